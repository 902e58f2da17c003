use super::sockets::{STREAM, pair, send};
use crate::fake::harness::{DATA, System};

const IN: u32 = 1;
const OUT: u32 = 4;
const HANG_UP: u32 = 0x10;
const ONE_SHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
const EVENTS: u64 = DATA + 0x6000;

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

pub(super) fn epoll(system: &mut System, lane: usize) -> u64 {
    system.call(lane, 291, [0; 6]).unwrap()
}

pub(super) fn control(system: &mut System, lane: usize, epoll: u64, operation: u64, descriptor: u64, events: u32) -> Option<u64> {
    system.poke(lane, DATA + 0x700, &[&events.to_le_bytes()[..], &descriptor.to_le_bytes()].concat());
    system.call(lane, 233, [epoll, operation, descriptor, DATA + 0x700, 0, 0])
}

/// What is reported now: events and data of each.
pub(super) fn report(system: &mut System, lane: usize, epoll: u64, most: u64) -> Vec<(u32, u64)> {
    let count = system.call(lane, 232, [epoll, EVENTS, most, 0, 0, 0]).unwrap();
    let bytes = system.peek(lane, EVENTS, count as usize * 12);
    let event = |bytes: &[u8; 12]| (u32::from_le_bytes(bytes[..4].try_into().unwrap()), u64::from_le_bytes(bytes[4..].try_into().unwrap()));
    bytes.as_chunks::<12>().0.iter().map(event).collect()
}

fn pipe(system: &mut System, lane: usize) -> (u64, u64) {
    assert_eq!(system.call(lane, 22, [DATA + 0x1000, 0, 0, 0, 0, 0]), Some(0));
    let ends = system.peek(lane, DATA + 0x1000, 8);
    (u64::from(ends[0]), u64::from(ends[4]))
}

#[test]
fn level_is_told_until_it_is_gone() {
    let (mut system, lane) = System::start();
    let (epoll, (reader, writer)) = (epoll(&mut system, lane), pipe(&mut system, lane));
    assert_eq!(control(&mut system, lane, epoll, 1, reader, IN), Some(0));
    assert_eq!(control(&mut system, lane, epoll, 1, reader, IN), error(17), "EEXIST");
    assert_eq!(report(&mut system, lane, epoll, 4), []);
    system.call(lane, 1, [writer, DATA, 3, 0, 0, 0]);
    for _ in 0..2 {
        assert_eq!(report(&mut system, lane, epoll, 4), [(IN, reader)]);
    }
    system.call(lane, 0, [reader, DATA, 3, 0, 0, 0]);
    assert_eq!(report(&mut system, lane, epoll, 4), []);
    system.call(lane, 3, [writer, 0, 0, 0, 0, 0]);
    assert_eq!(report(&mut system, lane, epoll, 4), [(HANG_UP, reader)]);
    assert_eq!(control(&mut system, lane, epoll, 2, reader, 0), Some(0));
    assert_eq!(control(&mut system, lane, epoll, 2, reader, 0), error(2), "ENOENT");
    assert_eq!(report(&mut system, lane, epoll, 4), []);
}

#[test]
fn edge_is_told_once_for_each_write() {
    let (mut system, lane) = System::start();
    let (epoll, (left, right)) = (epoll(&mut system, lane), pair(&mut system, lane, STREAM));
    assert_eq!(control(&mut system, lane, epoll, 1, right, IN | EDGE), Some(0));
    assert_eq!(report(&mut system, lane, epoll, 4), []);
    for _ in 0..2 {
        send(&mut system, lane, left, "more");
        assert_eq!(report(&mut system, lane, epoll, 4), [(IN, right)]);
        assert_eq!(report(&mut system, lane, epoll, 4), [], "though it was not read");
    }
    system.restart();
    assert_eq!(report(&mut system, lane, epoll, 4), [], "a crash tells nothing twice");
    assert_eq!(control(&mut system, lane, epoll, 3, right, IN | EDGE), Some(0));
    assert_eq!(report(&mut system, lane, epoll, 4), [(IN, right)], "a change arms it");
}

#[test]
fn one_shot_fires_once_until_it_is_set_again() {
    let (mut system, lane) = System::start();
    let (epoll, (_, writer)) = (epoll(&mut system, lane), pipe(&mut system, lane));
    assert_eq!(control(&mut system, lane, epoll, 1, writer, OUT | ONE_SHOT), Some(0));
    assert_eq!(report(&mut system, lane, epoll, 4), [(OUT, writer)]);
    assert_eq!(report(&mut system, lane, epoll, 4), []);
    assert_eq!(control(&mut system, lane, epoll, 3, writer, OUT | ONE_SHOT), Some(0));
    assert_eq!(report(&mut system, lane, epoll, 4), [(OUT, writer)]);
}

#[test]
fn everybody_gets_a_turn() {
    let (mut system, lane) = System::start();
    let epoll = epoll(&mut system, lane);
    let writers: Vec<u64> = (0..3).map(|_| pipe(&mut system, lane).1).collect();
    for writer in &writers {
        control(&mut system, lane, epoll, 1, *writer, OUT);
    }
    let told: Vec<u64> = (0..6).map(|_| report(&mut system, lane, epoll, 1)[0].1).collect();
    assert_eq!(told, [&writers[..], &writers[..]].concat());
}

#[test]
fn sleeper_is_woken_after_crashes_and_at_its_time() {
    let (mut system, lane) = System::start();
    let (epoll, (reader, writer)) = (epoll(&mut system, lane), pipe(&mut system, lane));
    control(&mut system, lane, epoll, 1, reader, IN);
    let (waits, sleeps) = (system.fork(lane), system.fork(lane));
    assert_eq!(system.call(waits, 232, [epoll, EVENTS, 4, u64::from(u32::MAX), 0, 0]), None);
    assert_eq!(system.call(sleeps, 281, [epoll, EVENTS, 4, 1000, 0, 8]), None);
    for _ in 0..3 {
        system.pass(300_000_000);
        system.restart();
    }
    assert_eq!((system.result(waits), system.result(sleeps)), (None, None));
    system.pass(100_000_001);
    assert_eq!((system.result(waits), system.result(sleeps)), (None, Some(0)), "it did not sleep again from the start");
    system.call(lane, 1, [writer, DATA, 3, 0, 0, 0]);
    assert_eq!(system.result(waits), Some(1));
}

#[test]
fn closed_file_is_watched_no_more_and_its_last_descriptor_decides() {
    let (mut system, lane) = System::start();
    let (epoll, (_, writer)) = (epoll(&mut system, lane), pipe(&mut system, lane));
    control(&mut system, lane, epoll, 1, writer, OUT);
    let copy = system.call(lane, 32, [writer, 0, 0, 0, 0, 0]).unwrap();
    system.call(lane, 3, [writer, 0, 0, 0, 0, 0]);
    assert_eq!(report(&mut system, lane, epoll, 4), [(OUT, writer)], "as on Linux");
    system.call(lane, 3, [copy, 0, 0, 0, 0, 0]);
    assert_eq!(report(&mut system, lane, epoll, 4), []);
    let (_, writer) = pipe(&mut system, lane);
    control(&mut system, lane, epoll, 1, writer, OUT);
    system.call(lane, 3, [epoll, 0, 0, 0, 0, 0]);
    let watched = (0..crate::saved::FILES).map(|index| system.posix().store.file(index).watches).sum::<u32>();
    assert_eq!(watched, 0);
}

#[test]
fn epolls_nest_and_never_in_a_circle() {
    let (mut system, lane) = System::start();
    let epolls: Vec<u64> = (0..6).map(|_| epoll(&mut system, lane)).collect();
    for pair in epolls[..5].windows(2) {
        assert_eq!(control(&mut system, lane, pair[0], 1, pair[1], IN), Some(0));
    }
    assert_eq!(control(&mut system, lane, epolls[4], 1, epolls[0], IN), error(40), "ELOOP");
    assert_eq!(control(&mut system, lane, epolls[4], 1, epolls[5], IN), error(40), "too deep");
    assert_eq!(control(&mut system, lane, epolls[0], 1, epolls[0], IN), error(22));
    let (_, writer) = pipe(&mut system, lane);
    control(&mut system, lane, epolls[4], 1, writer, OUT);
    assert_eq!(report(&mut system, lane, epolls[0], 4), [(IN, epolls[1])]);
    let path = system.text(lane, 0x100, "/file");
    let file = system.call(lane, 2, [path, 0o102, 0o644, 0, 0, 0]).unwrap();
    assert_eq!(control(&mut system, lane, epolls[0], 1, file, IN), error(1), "EPERM");
}

#[test]
fn timer_goes_off_and_counts_what_was_missed() {
    let (mut system, lane) = System::start();
    let timer = system.call(lane, 283, [1, 0, 0, 0, 0, 0]).unwrap();
    let epoll = epoll(&mut system, lane);
    control(&mut system, lane, epoll, 1, timer, IN);
    system.poke(lane, DATA + 0x500, &[0, 100_000_000u64, 0, 300_000_000].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(lane, 286, [timer, 0, DATA + 0x500, 0, 0, 0]), Some(0));
    let (waits, reads) = (system.fork(lane), system.fork(lane));
    assert_eq!(system.call(waits, 232, [epoll, EVENTS, 4, u64::from(u32::MAX), 0, 0]), None);
    system.restart();
    assert_eq!(report(&mut system, lane, epoll, 4), []);
    system.pass(300_000_000);
    assert_eq!(system.result(waits), Some(1));
    system.pass(250_000_000);
    assert_eq!(system.call(lane, 0, [timer, DATA, 8, 0, 0, 0]), Some(8));
    assert_eq!(system.peek(lane, DATA, 8), 3u64.to_le_bytes());
    assert_eq!(system.call(reads, 0, [timer, DATA, 8, 0, 0, 0]), None);
    assert_eq!(system.call(lane, 287, [timer, DATA + 0x540, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.peek(lane, DATA + 0x558, 8), 50_000_000u64.to_le_bytes());
    system.pass(50_000_000);
    assert_eq!(system.result(reads), Some(8));
}

#[test]
fn signals_are_read_and_wake_who_waits_for_them() {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA + 0x500, &(1u64 << 9).to_le_bytes());
    assert_eq!(system.call(lane, 14, [0, DATA + 0x500, 0, 8, 0, 0]), Some(0), "SIGUSR1 is blocked");
    let signals = system.call(lane, 289, [u64::MAX, DATA + 0x500, 8, 0, 0, 0]).unwrap();
    let (reads, waits) = (system.fork(lane), system.fork(lane));
    assert_eq!(system.call(reads, 0, [signals, DATA, 128, 0, 0, 0]), None);
    assert_eq!(system.call(waits, 128, [DATA + 0x500, 0, 0, 8, 0, 0]), None, "rt_sigtimedwait");
    for child in [reads, waits] {
        let pid = u64::from(system.pid(child));
        assert_eq!(system.call(lane, 62, [pid, 10, 0, 0, 0, 0]), Some(0));
    }
    assert_eq!(system.posix().store.thread(reads).done.result, 128);
    assert_eq!(system.peek(reads, DATA, 4), 10u32.to_le_bytes());
    assert_eq!(system.posix().store.thread(waits).done.result, 10);
}

#[test]
fn signal_let_through_while_waiting_does_not_come_with_a_result() {
    let (mut system, lane) = System::start();
    let action = [0x40_1100u64, 0x0400_0000, 0x40_1200, 0].map(u64::to_le_bytes).concat();
    system.poke(lane, DATA + 0x800, &action);
    system.call(lane, 13, [10, DATA + 0x800, 0, 8, 0, 0]);
    system.poke(lane, DATA + 0x500, &(1u64 << 9).to_le_bytes());
    system.call(lane, 14, [0, DATA + 0x500, 0, 8, 0, 0]);
    let pid = u64::from(system.pid(lane));
    system.call(lane, 62, [pid, 10, 0, 0, 0, 0]);
    let (_, writer) = pipe(&mut system, lane);
    system.poke(lane, DATA + 0x600, &[&(writer as u32).to_le_bytes()[..], &4u16.to_le_bytes(), &[0; 2]].concat());
    system.poke(lane, DATA + 0x508, &[0; 8]);
    assert_eq!(system.call(lane, 271, [DATA + 0x600, 1, 0, DATA + 0x508, 8, 0]), Some(1), "ppoll");
    let frame = system.machine.0.borrow().threads.values().next().unwrap().frame;
    assert_ne!(frame.rip, 0x40_1100, "the signal stays blocked");
}

/// Makes a timer by the monotonic clock that sends `signal` with `value`; its number.
fn make_timer(system: &mut System, lane: usize, signal: u64, value: u64) -> u64 {
    system.poke(lane, DATA + 0x600, &[value, signal, 0, 0, 0, 0, 0, 0].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(lane, 222, [1, DATA + 0x600, DATA + 0x680, 0, 0, 0]), Some(0));
    u64::from(u32::from_le_bytes(system.peek(lane, DATA + 0x680, 4).try_into().unwrap()))
}

fn timer_setting(system: &mut System, lane: usize, timer: u64, first_ns: u64, interval_ns: u64) -> [u64; 6] {
    system.poke(lane, DATA + 0x6a0, &[0, interval_ns, 0, first_ns].map(u64::to_le_bytes).concat());
    [timer, 0, DATA + 0x6a0, 0, 0, 0]
}

/// The number, code, timer, overrun and value of a signal that waits.
pub(super) fn take_signal(system: &mut System, lane: usize) -> Option<[u32; 5]> {
    system.poke(lane, DATA + 0x700, &u64::MAX.to_le_bytes());
    system.poke(lane, DATA + 0x710, &[0; 16]);
    let signal = system.call(lane, 128, [DATA + 0x700, DATA + 0x780, DATA + 0x710, 8, 0, 0])?;
    let word = |at: usize, bytes: &[u8]| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let info = system.peek(lane, DATA + 0x780, 32);
    ((signal as i64) > 0).then(|| [word(0, &info), word(8, &info), word(16, &info), word(20, &info), word(24, &info)])
}

const SI_TIMER: u32 = -2i32 as u32;
pub(super) const MS: u64 = 1_000_000;

pub(super) fn with_all_blocked() -> (System, usize) {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA + 0x700, &u64::MAX.to_le_bytes());
    assert_eq!(system.call(lane, 14, [0, DATA + 0x700, 0, 8, 0, 0]), Some(0));
    (system, lane)
}

#[test]
pub(super) fn timer_of_a_program_goes_off_across_restarts_and_counts_what_nobody_heard() {
    let (mut system, lane) = with_all_blocked();
    let (first, second) = (make_timer(&mut system, lane, 10, 7), make_timer(&mut system, lane, 40, 8));
    assert_eq!((first, second), (0, 1));
    for (timer, interval) in [(first, 10 * MS), (second, 0)] {
        let setting = timer_setting(&mut system, lane, timer, 10 * MS, interval);
        assert_eq!(system.call(lane, 223, setting), Some(0));
    }
    system.restart();
    system.pass(5 * MS);
    assert_eq!(take_signal(&mut system, lane), None);
    system.pass(5 * MS);
    system.restart();
    assert_eq!(system.machine.0.borrow().deadline, None, "nothing is due before somebody takes what waits");
    system.pass(35 * MS);
    assert_eq!(take_signal(&mut system, lane), Some([10, SI_TIMER, 0, 3, 7]));
    assert_eq!(take_signal(&mut system, lane), Some([40, SI_TIMER, 1, 0, 8]));
    assert_eq!(system.call(lane, 225, [first, 0, 0, 0, 0, 0]), Some(3));
    system.pass(5 * MS);
    assert_eq!(take_signal(&mut system, lane), Some([10, SI_TIMER, 0, 0, 7]), "it keeps its step");
    assert_eq!(system.call(lane, 226, [first, 0, 0, 0, 0, 0]), Some(0));
    system.pass(50 * MS);
    assert_eq!(take_signal(&mut system, lane), None);
}

#[test]
fn timer_is_set_and_heard_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = with_all_blocked();
        let timer = make_timer(&mut system, lane, 40, 8);
        let setting = timer_setting(&mut system, lane, timer, 10 * MS, 10 * MS);
        let (died, result) = system.call_crashing_at_store(lane, 223, setting, nth);
        assert_eq!(result, Some(0), "store {nth}");
        system.pass(10 * MS);
        let (died_in_taking, signal) = system.call_crashing_at_store(lane, 128, [DATA + 0x700, DATA + 0x780, DATA + 0x710, 8, 0, 0], nth);
        assert_eq!(signal, Some(40), "store {nth}");
        assert_eq!(take_signal(&mut system, lane), None, "store {nth}");
        system.pass(10 * MS);
        assert_eq!(take_signal(&mut system, lane), Some([40, SI_TIMER, 0, 0, 8]), "store {nth}");
        if !died && !died_in_taking {
            assert!(nth > 3);
            break;
        }
    }
}

#[test]
fn timers_are_bounded_and_end_with_their_process() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    for _ in 0..crate::saved::TIMERS {
        make_timer(&mut system, child, 10, 0);
    }
    let arguments = [1, DATA + 0x600, DATA + 0x680, 0, 0, 0];
    assert_eq!(system.call(child, 222, arguments), Some((-11i64) as u64));
    assert_eq!(system.call(child, 231, [0; 6]), None);
    make_timer(&mut system, lane, 10, 0);
}
