use crate::fake::Runs;
use crate::fake::harness::{DATA, System};
use crate::saved::slot;
use protocols::service::Service;

const HANDLER: u64 = 0x40_1100;
const RESTORER: u64 = 0x40_1200;

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

pub(super) fn handle(system: &mut System, lane: usize, signal: u64, flags: u64) {
    let action = [HANDLER, flags | 0x0400_0000, RESTORER, 0].map(u64::to_le_bytes).concat();
    system.poke(lane, DATA + 0x800, &action);
    assert_eq!(system.call(lane, 13, [signal, DATA + 0x800, 0, 8, 0, 0]), Some(0));
}

pub(super) fn frame(system: &System, lane: usize) -> abi::Frame {
    system.machine.0.borrow().threads[&slot::thread(lane)].frame
}

/// What the restorer does.
pub(super) fn return_from_handler(system: &mut System, lane: usize) {
    system.machine.0.borrow_mut().threads.get_mut(&slot::thread(lane)).unwrap().frame.rsp += 8;
    assert_eq!(system.call(lane, 15, [0; 6]), None);
}

#[test]
pub(super) fn handler_runs_and_the_program_goes_on_where_it_was() {
    let (mut system, lane) = System::start();
    handle(&mut system, lane, 10, 0);
    let before = frame(&system, lane);
    let pid = system.pid(lane);
    system.call(lane, 62, [u64::from(pid), 10, 0, 0, 0, 0]);
    let inside = frame(&system, lane);
    assert_eq!((inside.rip, inside.rdi), (HANDLER, 10));
    assert_eq!((inside.rsp + 8) % 16, 0);
    assert_eq!(system.peek(lane, inside.rsp, 8), RESTORER.to_le_bytes());
    assert_eq!(system.posix().store.thread(lane).mask, 1 << 9);
    return_from_handler(&mut system, lane);
    let after = frame(&system, lane);
    assert_eq!((after.rip, after.rsp, after.rax), (before.rip + 2, before.rsp, 0), "kill returned 0");
    assert_eq!(system.posix().store.thread(lane).mask, 0);
}

#[test]
pub(super) fn running_thread_is_interrupted() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    handle(&mut system, child, 10, 0);
    let before = frame(&system, child);
    let pid = system.pid(child);
    system.call(lane, 62, [u64::from(pid), 10, 0, 0, 0, 0]);
    assert_eq!(frame(&system, child).rip, HANDLER);
    return_from_handler(&mut system, child);
    let after = frame(&system, child);
    assert_eq!(after.xsave, crate::signal::frame::initial_fpu(), "the state that the handler was shown");
    assert_eq!(abi::Frame { fpu_valid: before.fpu_valid, xsave: before.xsave, ..after }, before);
}

/// Its faults are told from those of others by their numbers, too, before it has made a call under one.
#[test]
fn signal_before_the_first_call_leaves_a_thread_its_own_numbers() {
    let (mut system, lane) = System::start();
    handle(&mut system, lane, 10, 0);
    let child = system.fork(lane);
    let pid = system.pid(child);
    assert_eq!(system.call(lane, 62, [u64::from(pid), 10, 0, 0, 0, 0]), Some(0));
    assert_eq!(frame(&system, child).rip, HANDLER);
    let number = system.machine.0.borrow().threads[&slot::thread(child)].request;
    assert_eq!((number.service(), number.lane()), (Service::Posix.id(), child as u16));
}

/// On another processor, a call may be on its way when its thread's group is signalled: none of the group escapes, and what has a handler forks afterwards.
#[test]
fn fork_that_was_on_its_way_when_a_signal_came_waits_for_it() {
    for (signal, flags) in [(9, None), (15, None), (19, None), (10, Some(0)), (10, Some(0x1000_0000))] {
        let (mut system, lane) = System::start();
        let child = system.fork(lane);
        if let Some(flags) = flags {
            handle(&mut system, child, 10, flags);
        }
        let before = frame(&system, child);
        let set = |system: &System, runs| system.machine.0.borrow_mut().threads.get_mut(&slot::thread(child)).unwrap().runs = runs;
        set(&system, Runs::Calling);
        let pid = u64::from(system.pid(child));
        assert_eq!(system.call(lane, 62, [pid, signal, 0, 0, 0, 0]), Some(0));
        set(&system, Runs::Running);
        assert_eq!(system.call(child, 57, [0; 6]), None, "fork, at signal {signal}");
        assert_eq!(system.posix().processes.len(), 2, "nobody more, at signal {signal}");
        assert_eq!(system.runs(child).is_none(), signal == 9 || signal == 15, "signal {signal}");
        if flags.is_some() {
            assert_eq!(frame(&system, child).rip, HANDLER);
            return_from_handler(&mut system, child);
            let after = frame(&system, child);
            assert_eq!((after.rip, after.rax), (before.rip, 57), "the call is made again");
        }
    }
}

#[test]
pub(super) fn wait_ends_with_eintr_or_is_made_again() {
    for (flags, restarts) in [(0, false), (0x1000_0000, true)] {
        let (mut system, lane) = System::start();
        system.call(lane, 22, [DATA, 0, 0, 0, 0, 0]);
        let child = system.fork(lane);
        handle(&mut system, child, 10, flags);
        let before = frame(&system, child);
        assert_eq!(system.call(child, 0, [3, DATA + 0x100, 10, 0, 0, 0]), None);
        let pid = system.pid(child);
        system.call(lane, 62, [u64::from(pid), 10, 0, 0, 0, 0]);
        assert_eq!(frame(&system, child).rip, HANDLER);
        return_from_handler(&mut system, child);
        let after = frame(&system, child);
        if restarts {
            assert_eq!((after.rip, after.rax), (before.rip, 0), "at the instruction again, with the number of read");
        } else {
            assert_eq!((after.rip, Some(after.rax)), (before.rip + 2, error(4)));
        }
    }
}

#[test]
pub(super) fn deadly_signals_end_and_ignored_ones_do_nothing() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    let pid = u64::from(system.pid(child));
    assert_eq!(system.call(child, 34, [0; 6]), None, "pause");
    assert_eq!(system.call(lane, 62, [pid, 17, 0, 0, 0, 0]), Some(0), "SIGCHLD is ignored");
    assert_eq!(system.runs(child), Some(Runs::Calling));
    assert_eq!(system.call(lane, 62, [pid, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 62, [pid, 65, 0, 0, 0, 0]), error(22));
    assert_eq!(system.call(lane, 62, [9999, 9, 0, 0, 0, 0]), error(3));
    assert_eq!(system.call(lane, 62, [pid, 15, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(child), None);
    assert_eq!(system.call(lane, 61, [pid, DATA, 0, 0, 0, 0]), Some(pid));
    assert_eq!(system.peek(lane, DATA, 4), 15u32.to_le_bytes());
}

#[test]
pub(super) fn blocked_signal_waits_until_it_is_let_through() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    handle(&mut system, child, 10, 0);
    system.poke(child, DATA, &(1u64 << 9).to_le_bytes());
    assert_eq!(system.call(child, 14, [0, DATA, 0, 8, 0, 0]), Some(0));
    let pid = u64::from(system.pid(child));
    system.call(lane, 62, [pid, 10, 0, 0, 0, 0]);
    assert_ne!(frame(&system, child).rip, HANDLER);
    assert_eq!(system.call(child, 127, [DATA + 8, 8, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.peek(child, DATA + 8, 8), (1u64 << 9).to_le_bytes());
    system.call(child, 14, [1, DATA, 0, 8, 0, 0]);
    assert_eq!(frame(&system, child).rip, HANDLER);
}

#[test]
pub(super) fn stopped_process_runs_nothing_until_it_is_continued() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    let pid = u64::from(system.pid(child));
    assert_eq!(system.call(lane, 62, [pid, 19, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(child), Some(Runs::Stopped));
    assert_eq!(system.call(lane, 61, [pid, DATA, 2, 0, 0, 0]), Some(pid), "WUNTRACED");
    assert_eq!(system.peek(lane, DATA, 4), (19u32 << 8 | 0x7f).to_le_bytes());
    assert_eq!(system.call(lane, 62, [pid, 18, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(child), Some(Runs::Running));
    assert_eq!(system.call(lane, 61, [pid, DATA, 8, 0, 0, 0]), Some(pid), "WCONTINUED");
    assert_eq!(system.peek(lane, DATA, 4), 0xffffu32.to_le_bytes());
    assert_eq!(system.call(lane, 62, [pid, 19, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 62, [pid, 9, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(child), None, "killed while stopped");
}

#[test]
pub(super) fn interrupt_key_reaches_the_foreground_group_only() {
    let (mut system, lane) = System::start_with("");
    let (front, back) = (system.fork(lane), system.fork(lane));
    let [front_pid, back_pid] = [front, back].map(|lane| u64::from(system.pid(lane)));
    for pid in [front_pid, back_pid] {
        assert_eq!(system.call(lane, 109, [pid, pid, 0, 0, 0, 0]), Some(0), "setpgid");
    }
    system.poke(lane, DATA, &(front_pid as u32).to_le_bytes());
    assert_eq!(system.call(lane, 16, [0, 0x5410, DATA, 0, 0, 0]), Some(0), "TIOCSPGRP");
    assert_eq!(system.call(front, 0, [0, DATA + 0x100, 10, 0, 0, 0]), None, "reads the terminal");
    assert_eq!(system.call(back, 0, [0, DATA + 0x100, 10, 0, 0, 0]), None, "is stopped for it");
    assert_eq!(system.posix().store.process(2).pid as u64, front_pid);
    system.machine.0.borrow_mut().console.signals.interrupt += 1;
    system.posix().notified(protocols::console::event::SIGNAL);
    assert_eq!(system.runs(front), None, "SIGINT");
    assert_eq!(system.call(lane, 61, [back_pid, DATA, 2, 0, 0, 0]), Some(back_pid));
    assert_eq!(system.peek(lane, DATA, 4), (21u32 << 8 | 0x7f).to_le_bytes(), "SIGTTIN");
}

#[test]
pub(super) fn sleep_ends_in_time_and_alarm_interrupts_it() {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA, &[1u64, 0].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(lane, 35, [DATA, 0, 0, 0, 0, 0]), None);
    system.pass(1_000_000_001);
    assert_eq!(system.result(lane), Some(0));
    handle(&mut system, lane, 14, 0);
    system.poke(lane, DATA, &[9u64, 0].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(lane, 37, [2, 0, 0, 0, 0, 0]), Some(0), "alarm");
    assert_eq!(system.call(lane, 35, [DATA, DATA + 16, 0, 0, 0, 0]), None);
    system.pass(2_000_000_000);
    assert_eq!(frame(&system, lane).rip, HANDLER);
    assert_eq!(system.peek(lane, DATA + 16, 8), 7u64.to_le_bytes(), "seconds left");
}

#[test]
pub(super) fn a_signal_that_begins_to_be_ignored_waits_no_longer() {
    const CHILD: u64 = 17;
    let (mut system, lane) = System::start();
    let (pid, blocked) = (u64::from(system.pid(lane)), 1u64 << (CHILD - 1));
    system.poke(lane, DATA, &blocked.to_le_bytes());
    assert_eq!(system.call(lane, 14, [0, DATA, 0, 8, 0, 0]), Some(0));
    handle(&mut system, lane, CHILD, 0);
    assert_eq!(system.call(lane, 62, [pid, CHILD, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 234, [pid, pid, CHILD, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 127, [DATA, 8, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.peek(lane, DATA, 8), blocked.to_le_bytes());
    system.poke(lane, DATA + 0x800, &[0; 32]);
    assert_eq!(system.call(lane, 13, [CHILD, DATA + 0x800, 0, 8, 0, 0]), Some(0), "its default is to be ignored");
    assert_eq!(system.call(lane, 127, [DATA, 8, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.peek(lane, DATA, 8), [0; 8], "sent to the process, and sent to the thread");
}

/// `rt_sigqueueinfo` to oneself.
fn queue(system: &mut System, lane: usize, signal: u64, value: u64) -> [u64; 6] {
    const SI_QUEUE: u64 = (-1i32) as u32 as u64;
    let pid = u64::from(system.pid(lane));
    system.poke(lane, DATA + 0x900, &[signal, SI_QUEUE, pid, value].map(u64::to_le_bytes).concat());
    [pid, signal, DATA + 0x900, 0, 0, 0]
}

fn block_all(system: &mut System, lane: usize) {
    system.poke(lane, DATA + 0x980, &u64::MAX.to_le_bytes());
    assert_eq!(system.call(lane, 14, [0, DATA + 0x980, 0, 8, 0, 0]), Some(0));
}

/// Takes all signals that wait: their numbers and values.
fn take_all(system: &mut System, lane: usize) -> Vec<(u64, u64)> {
    let mut taken = Vec::new();
    system.poke(lane, DATA + 0x980, &u64::MAX.to_le_bytes());
    system.poke(lane, DATA + 0x990, &[0; 16]);
    loop {
        match system.call(lane, 128, [DATA + 0x980, DATA + 0xa00, DATA + 0x990, 8, 0, 0]) {
            Some(signal) if (signal as i64) > 0 => {
                let value = system.peek(lane, DATA + 0xa00 + 24, 8);
                taken.push((signal, u64::from_le_bytes(value.try_into().unwrap())));
            }
            ended => {
                assert_eq!(ended, error(11));
                return taken;
            }
        }
    }
}

/// Nothing of a queue is left in the pool.
fn is_pool_empty(system: &mut System) -> bool {
    (0..crate::saved::QUEUED_SIGNALS).all(|index| system.posix().store.queued_signal(index) == Default::default())
}

#[test]
pub(super) fn real_time_signals_queue_and_survive_a_restart() {
    let (mut system, lane) = System::start();
    block_all(&mut system, lane);
    for (signal, value) in [(41, 1), (40, 2), (41, 3), (10, 4), (10, 5), (40, 6), (41, 7)] {
        let arguments = queue(&mut system, lane, signal, value);
        assert_eq!(system.call(lane, 129, arguments), Some(0));
    }
    system.restart();
    assert_eq!(take_all(&mut system, lane), [(10, 4), (40, 2), (40, 6), (41, 1), (41, 3), (41, 7)]);
    assert!(is_pool_empty(&mut system));
}

#[test]
fn queue_ends_with_its_pool_and_with_its_process() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    block_all(&mut system, child);
    let arguments = queue(&mut system, child, 50, 0);
    // The first one waits in the process itself.
    for _ in 0..=crate::saved::QUEUED_SIGNALS {
        assert_eq!(system.call(child, 129, arguments), Some(0));
    }
    assert_eq!(system.call(child, 129, arguments), error(11));
    let pid = u64::from(system.pid(child));
    assert_eq!(system.call(child, 62, [pid, 50, 0, 0, 0, 0]), Some(0), "kill has nothing to say");
    assert_eq!(system.call(child, 231, [0; 6]), None);
    assert!(is_pool_empty(&mut system));
}

#[test]
fn handler_without_a_stack_becomes_sigsegv_on_the_other_one() {
    let (mut system, lane) = System::start();
    let stack = [DATA, 0, 0x2000].map(u64::to_le_bytes).concat();
    system.poke(lane, DATA + 0x900, &stack);
    assert_eq!(system.call(lane, 131, [DATA + 0x900, 0, 0, 0, 0, 0]), Some(0));
    handle(&mut system, lane, 10, 0);
    handle(&mut system, lane, 11, 0x0800_0000);
    system.machine.0.borrow_mut().threads.get_mut(&slot::thread(lane)).unwrap().frame.rsp = 8;
    let pid = u64::from(system.pid(lane));
    system.call(lane, 62, [pid, 10, 0, 0, 0, 0]);
    let inside = frame(&system, lane);
    assert_eq!((inside.rip, inside.rdi), (HANDLER, 11));
    assert!((DATA..DATA + 0x2000).contains(&inside.rsp));
    return_from_handler(&mut system, lane);
    assert_eq!(frame(&system, lane).rsp, 8, "back to where it was, without the first signal");
}

#[test]
pub(super) fn handlers_of_signals_that_waited_together_nest() {
    let (mut system, lane) = System::start();
    block_all(&mut system, lane);
    handle(&mut system, lane, 10, 0);
    handle(&mut system, lane, 40, 0);
    let pid = u64::from(system.pid(lane));
    for signal in [10, 40, 40] {
        assert_eq!(system.call(lane, 62, [pid, signal, 0, 0, 0, 0]), Some(0));
    }
    let before = frame(&system, lane);
    system.poke(lane, DATA, &0u64.to_le_bytes());
    assert_eq!(system.call(lane, 14, [2, DATA, 0, 8, 0, 0]), None);
    for signal in [40, 40, 10] {
        assert_eq!((frame(&system, lane).rip, frame(&system, lane).rdi), (HANDLER, signal));
        return_from_handler(&mut system, lane);
    }
    let after = frame(&system, lane);
    assert_eq!((after.rip, after.rsp), (before.rip + 2, before.rsp));
}
