//! Descriptors of processes.

use super::events::{MS, take_signal, with_all_blocked};
use crate::fake::harness::{DATA, System};

const PIDFD_OPEN: u64 = 434;
const SEND_SIGNAL: u64 = 424;
const POLL: u64 = 7;
const WAITID: u64 = 247;
const P_PIDFD: u64 = 3;
const WEXITED: u64 = 4;
const ESRCH: u64 = (-3i64) as u64;
const ECHILD: u64 = (-10i64) as u64;

fn open(system: &mut System, lane: usize, of: usize) -> u64 {
    let pid = u64::from(system.posix().store.thread(of).tid);
    system.call(lane, PIDFD_OPEN, [pid, 0, 0, 0, 0, 0]).expect("a descriptor")
}

fn is_ready(system: &mut System, lane: usize, descriptor: u64) -> bool {
    system.poke(lane, DATA + 0x600, &(descriptor | 1 << 32).to_le_bytes());
    system.call(lane, POLL, [DATA + 0x600, 1, 0, 0, 0, 0]) == Some(1)
}

#[test]
fn descriptor_means_its_process_across_restarts_and_nobody_else_afterwards() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    let descriptor = open(&mut system, lane, child);
    system.restart();
    assert!(!is_ready(&mut system, lane, descriptor));
    assert_eq!(system.call(child, 231, [0; 6]), None, "it ends");
    system.restart();
    assert!(is_ready(&mut system, lane, descriptor));
    let wait = [P_PIDFD, descriptor, 0, WEXITED, 0, 0];
    assert_eq!(system.call(lane, SEND_SIGNAL, [descriptor, 0, 0, 0, 0, 0]), Some(0), "nobody has waited for it yet");
    assert_eq!(system.call(lane, WAITID, wait), Some(0));
    system.pass(MS);
    let later = system.fork(lane);
    assert_eq!(system.posix().store.thread(later).process, system.posix().store.thread(child).process, "the same record");
    assert!(is_ready(&mut system, lane, descriptor));
    assert_eq!(system.call(lane, WAITID, wait), Some(ECHILD));
    assert_eq!(system.call(lane, SEND_SIGNAL, [descriptor, 9, 0, 0, 0, 0]), Some(ESRCH));
}

#[test]
fn poll_of_a_descriptor_wakes_when_the_process_ends() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    let descriptor = open(&mut system, lane, child);
    system.poke(lane, DATA + 0x600, &(descriptor | 1 << 32).to_le_bytes());
    assert_eq!(system.call(lane, POLL, [DATA + 0x600, 1, u64::MAX, 0, 0, 0]), None);
    assert_eq!(system.call(child, 231, [0; 6]), None);
    assert_eq!(system.result(lane), Some(1));
}

#[test]
fn signal_by_descriptor_comes_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = with_all_blocked();
        let descriptor = open(&mut system, lane, lane);
        let (died, result) = system.call_crashing_at_store(lane, SEND_SIGNAL, [descriptor, 40, 0, 0, 0, 0], nth);
        assert_eq!(result, Some(0), "store {nth}");
        assert_eq!(take_signal(&mut system, lane).map(|[signal, ..]| signal), Some(40), "store {nth}");
        assert_eq!(take_signal(&mut system, lane), None, "store {nth}");
        if !died {
            assert!(nth > 1);
            break;
        }
    }
}
