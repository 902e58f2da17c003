//! Locks of files: who excludes whom, what ends them, and that each change happens once. `tests/linux/posixtest/locks.h` compares them with Linux.

use crate::fake::Runs;
use crate::fake::harness::{DATA, System};

const AGAIN: u64 = -11i64 as u64;
const READ: u64 = 0;
const WRITE: u64 = 1;
const UNLOCK: u64 = 2;
const SETLK: u64 = 6;
const SETLKW: u64 = 7;
const OFD_SETLK: u64 = 37;

fn open(system: &mut System, lane: usize) -> u64 {
    let path = system.text(lane, 0, "/locked");
    system.call(lane, 2, [path, 0o102, 0o600, 0, 0, 0]).unwrap()
}

fn describe(system: &mut System, lane: usize, kind: u64, start: u64, length: u64) -> u64 {
    system.poke(lane, DATA + 0x400, &[kind, start, length, 0].map(u64::to_le_bytes).concat());
    DATA + 0x400
}

fn fcntl(system: &mut System, lane: usize, file: u64, command: u64, kind: u64, bytes: (u64, u64)) -> Option<u64> {
    let at = describe(system, lane, kind, bytes.0, bytes.1);
    system.call(lane, 72, [file, command, at, 0, 0, 0])
}

fn held(system: &mut System) -> usize {
    let posix = system.posix();
    (0..crate::saved::LOCKS).filter(|lock| posix.store.lock(*lock).class != 0).count()
}

#[test]
pub(super) fn a_wait_for_a_lock_ends_when_it_is_given_back() {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane);
    let child = system.fork(lane);
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (0, 10)), Some(0));
    assert_eq!(fcntl(&mut system, child, file, SETLK, READ, (9, 1)), Some(AGAIN));
    assert_eq!(fcntl(&mut system, child, file, SETLKW, READ, (9, 1)), None, "it waits");
    assert_eq!(fcntl(&mut system, lane, file, SETLK, UNLOCK, (0, 9)), Some(0));
    assert_eq!(system.result(child), None, "its byte is still locked");
    system.restart();
    assert_eq!(system.result(child), None, "it waits in the next instance too");
    assert_eq!(fcntl(&mut system, lane, file, SETLK, UNLOCK, (9, 1)), Some(0));
    assert_eq!(system.result(child), Some(0));
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (0, 0)), Some(AGAIN));
    system.call(child, 231, [0; 6]);
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (0, 0)), Some(0), "the end of a process ends its locks");
    assert_eq!(system.call(lane, 3, [file, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(held(&mut system), 0);
}

#[test]
pub(super) fn who_would_wait_for_itself_is_told() {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane);
    let child = system.fork(lane);
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (0, 1)), Some(0));
    assert_eq!(fcntl(&mut system, child, file, SETLK, WRITE, (1, 1)), Some(0));
    assert_eq!(fcntl(&mut system, child, file, SETLKW, WRITE, (0, 1)), None);
    assert_eq!(fcntl(&mut system, lane, file, SETLKW, WRITE, (1, 1)), Some((-35i64) as u64));
    system.restart();
    assert_eq!(fcntl(&mut system, lane, file, SETLKW, WRITE, (1, 1)), Some((-35i64) as u64));
}

#[test]
pub(super) fn a_table_that_is_full_says_so_and_keeps_what_is_locked() {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane);
    for byte in 0..crate::saved::LOCKS as u64 {
        assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (byte * 2, 1)), Some(0), "{byte}");
    }
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (9999, 1)), Some((-37i64) as u64));
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (0, 0)), Some(0), "one lock instead of all");
    assert_eq!(held(&mut system), 1);
}

/// A process with locks at both ends of the file, and one that waits for the middle.
fn prepared() -> (System, usize, usize, u64) {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane);
    let child = system.fork(lane);
    assert_eq!(fcntl(&mut system, lane, file, SETLK, WRITE, (0, 30)), Some(0));
    assert_eq!(fcntl(&mut system, lane, file, OFD_SETLK, WRITE, (100, 10)), Some(0));
    assert_eq!(fcntl(&mut system, child, file, SETLKW, WRITE, (12, 3)), None);
    (system, lane, child, file)
}

fn check_unlocked_middle(system: &mut System, lane: usize, child: usize, file: u64, what: &str) {
    assert_eq!(system.runs(child), Some(Runs::Running), "{what}: the waiter has its bytes");
    let conflicts = [(0, 10), (10, 2), (12, 3), (15, 5), (20, 10), (30, 70), (100, 10)].map(|bytes| {
        let other = open(system, lane);
        let result = fcntl(system, lane, other, OFD_SETLK, READ, bytes);
        system.call(lane, 3, [other, 0, 0, 0, 0, 0]);
        result == Some(AGAIN)
    });
    // Closing another descriptor of the file gave this process's record locks back: what is left is the child's, and the open file's own.
    assert_eq!(conflicts, [true, false, true, false, false, false, true], "{what}");
    system.call(child, 231, [0; 6]);
    system.call(lane, 3, [file, 0, 0, 0, 0, 0]);
    assert_eq!(held(system), 0, "{what}");
}

#[test]
fn an_unlock_happens_once_whichever_failpoint_kills() {
    for point in ["fcntl.intent", "fcntl.effect", "fcntl.record", "fcntl.reply"] {
        let (mut system, lane, child, file) = prepared();
        let at = describe(&mut system, lane, UNLOCK, 10, 10);
        let result = system.call_crashing(lane, 72, [file, SETLK, at, 0, 0, 0], point);
        // One that was answered before the crash has its result in its registers, which this harness does not look at.
        assert!(point == "fcntl.reply" || result == Some(0), "{point}: {result:?}");
        check_unlocked_middle(&mut system, lane, child, file, point);
    }
}

#[test]
fn an_unlock_happens_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane, child, file) = prepared();
        let at = describe(&mut system, lane, UNLOCK, 10, 10);
        let (died, result) = system.call_crashing_at_store(lane, 72, [file, SETLK, at, 0, 0, 0], nth);
        assert!(result.is_none_or(|value| value == 0), "store {nth}: {result:?}");
        check_unlocked_middle(&mut system, lane, child, file, &format!("store {nth}"));
        if !died {
            assert!(nth > 10);
            break;
        }
    }
}

#[test]
fn a_close_ends_all_locks_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane, child, file) = prepared();
        let pid = u64::from(system.pid(child));
        assert_eq!(system.call(lane, 62, [pid, 9, 0, 0, 0, 0]), Some(0));
        assert_eq!(system.call(lane, 73, [file, 2, 0, 0, 0, 0]), Some(0));
        let (died, _) = system.call_crashing_at_store(lane, 3, [file, 0, 0, 0, 0, 0], nth);
        assert_eq!(held(&mut system), 0, "store {nth}");
        if !died {
            assert!(nth > 10);
            break;
        }
    }
}
