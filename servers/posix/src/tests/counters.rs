//! Timers of processor time, and the load: nothing ticks, and nothing is lost with an instance.

use crate::fake::Runs;
use crate::fake::harness::{DATA, System};
use crate::saved::slot;

/// `Ticks` of the fake machine in a second: a tick is a nanosecond.
const SECOND: u64 = 1_000_000_000;
const VIRTUAL: u64 = 1;
const PROF: u64 = 2;

fn set_timer(system: &mut System, lane: usize, which: u64, value_us: u64, interval_us: u64) {
    system.poke(lane, DATA + 0x400, &[0, interval_us, value_us / 1_000_000, value_us % 1_000_000].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(lane, 38, [which, DATA + 0x400, 0, 0, 0, 0]), Some(0));
}

/// A lane works for some time, all of it or half of it in its own code.
fn work(system: &mut System, lane: usize, ns: u64, user: u64) {
    if let Some(thread) = system.machine.0.borrow_mut().threads.get_mut(&slot::thread(lane)) {
        thread.ticks.user += user;
        thread.ticks.system += ns - user;
    }
    system.pass(ns);
}

fn pending(system: &mut System, lane: usize) -> u64 {
    let process = system.posix().store.thread(lane).process as usize;
    system.posix().store.process(process).pending
}

/// Blocks all signals, so that a test can look at them.
fn block(system: &mut System, lane: usize) {
    system.poke(lane, DATA + 0x800, &u64::MAX.to_le_bytes());
    assert_eq!(system.call(lane, 14, [0, DATA + 0x800, 0, 8, 0, 0]), Some(0));
}

#[test]
pub(super) fn a_timer_counts_work_and_not_time() {
    let (mut system, lane) = System::start();
    block(&mut system, lane);
    set_timer(&mut system, lane, VIRTUAL, 50_000, 0);
    set_timer(&mut system, lane, PROF, 70_000, 10_000);
    system.pass(SECOND);
    assert_eq!(pending(&mut system, lane), 0, "it had no processor");
    work(&mut system, lane, 60_000_000, 30_000_000);
    assert_eq!(pending(&mut system, lane), 0);
    system.restart();
    work(&mut system, lane, 10_000_000, 10_000_000);
    assert_eq!(pending(&mut system, lane), 1 << 26, "SIGPROF");
    work(&mut system, lane, 10_000_000, 10_000_000);
    assert_eq!(pending(&mut system, lane), 1 << 26 | 1 << 25, "SIGVTALRM too");
    let process = system.posix().store.process(1);
    assert_eq!((process.cpu_timers[0], process.cpu_timer_intervals), (0, [0, 10_000_000]));
    assert_eq!(process.cpu_timers[1], 90_000_000);
}

#[test]
pub(super) fn limit_of_processor_time_warns_and_then_kills() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    block(&mut system, child);
    system.poke(child, DATA, &[1u64, 3].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(child, 160, [0, DATA, 0, 0, 0, 0]), Some(0));
    work(&mut system, child, SECOND, SECOND);
    assert_eq!(pending(&mut system, child), 1 << 23, "SIGXCPU");
    let process = system.posix().store.thread(child).process as usize;
    assert_eq!(system.posix().store.process(process).limits[..2], [2, 3]);
    work(&mut system, child, 2 * SECOND, 2 * SECOND);
    assert_eq!(system.runs(child), None, "killed");
    assert_eq!(system.runs(lane), Some(Runs::Running));
}

#[test]
pub(super) fn nobody_is_woken_for_timers_of_who_does_not_run() {
    let (mut system, lane) = System::start();
    assert_eq!(system.machine.0.borrow().deadline, None, "nobody asked");
    set_timer(&mut system, lane, PROF, 50_000, 0);
    assert!(system.machine.0.borrow().deadline.is_some());
    assert_eq!(system.call(lane, 22, [DATA, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 0, [3, DATA, 1, 0, 0, 0]), None, "it waits for ever");
    system.pass(SECOND);
    assert_eq!(system.machine.0.borrow().deadline, None);
}

#[test]
fn load_follows_who_runs_without_a_tick() {
    let (mut system, lane) = System::start();
    let load = |system: &mut System| system.posix().load_averages().map(|average| (average * 100) >> 11);
    system.pass(60 * SECOND);
    assert_eq!(system.machine.0.borrow().deadline, None);
    let one = load(&mut system);
    assert!((60..=66).contains(&one[0]) && one[0] > one[1] && one[1] > one[2], "{one:?}");
    assert_eq!(system.call(lane, 22, [DATA, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 0, [3, DATA, 1, 0, 0, 0]), None, "nobody runs");
    system.pass(60 * SECOND);
    let before = load(&mut system);
    assert!((20..=26).contains(&before[0]), "{before:?}");
    system.restart();
    assert_eq!(load(&mut system), before, "as if nothing had happened");
    system.pass(3600 * SECOND);
    assert_eq!(load(&mut system)[0], 0);
}

#[test]
fn a_timer_is_set_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        block(&mut system, lane);
        system.poke(lane, DATA + 0x400, &[0u64, 0, 0, 50_000].map(u64::to_le_bytes).concat());
        let (died, _) = system.call_crashing_at_store(lane, 38, [PROF, DATA + 0x400, 0, 0, 0, 0], nth);
        work(&mut system, lane, 60_000_000, 0);
        assert_eq!(pending(&mut system, lane), 1 << 26, "store {nth}");
        if !died {
            assert!(nth > 2);
            break;
        }
    }
}
