//! A wrong bit in posix's own registers must not become a program's error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use abi::RequestNumber;

use crate::fake::harness::{DATA, System};
use crate::fake::{Runs, Spoil};
use crate::saved::{COUNTED_CALLS, slot};
use crate::server::Incoming;

const ENOENT: u64 = -2i64 as u64;
const EBADF: u64 = -9i64 as u64;
const EFAULT: u64 = -14i64 as u64;
const ENOSYS: u64 = -38i64 as u64;
/// Linux has none of this number.
const NO_CALL: usize = 500;
const HIGH: u64 = 1 << 55;

#[test]
fn call_with_a_wrong_argument_is_made_again_with_the_right_one() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/file");
    let open = [path, 0o102, 0o600, 0, 0, 0];
    let file = system.call_taken_for(lane, 2, open, [path | HIGH, 0o102, 0o600, 0, 0, 0]).unwrap();
    assert!(file < 16, "{file:#x}");
    system.poke(lane, DATA, b"right");
    let write = [file, DATA, 5, 0, 0, 0];
    assert_eq!(system.call_taken_for(lane, 1, write, [file, DATA | HIGH, 5, 0, 0, 0]), Some(5));
    assert_eq!(system.call_taken_for(lane, 1, write, [file ^ 64, DATA, 5, 0, 0, 0]), Some(5));
    assert_eq!(
        system.call_taken_for(lane, 17, [file, DATA + 64, 16, 0, 0, 0], [file, DATA + 64, 16, HIGH << 8, 0, 0]),
        Some(10),
        "each write was done once"
    );
    assert_eq!(system.peek(lane, DATA + 64, 10), b"rightright");
    let child = system.call_taken_for(lane, 56, [17, 0, 0, 0, 0, 0], [17, HIGH, 0, 0, 0, 0]).unwrap();
    assert!(child > 1 && (child as i64) > 0, "{child:#x}");
}

#[test]
fn call_that_is_taken_for_one_that_there_is_not_is_made_again_and_not_counted_as_unknown() {
    let (mut system, lane) = System::start();
    let pid = system.call(lane, 39, [0; 6]);
    assert_eq!([39 | 1 << 9, 39 | HIGH].map(|taken| system.number_taken_for(lane, 39, [0; 6], taken)), [pid; 2]);
    // The last place counts what is above.
    let counts = |system: &mut System| [39, COUNTED_CALLS - 1, NO_CALL].map(|number| system.posix().store.unknown_calls(number));
    assert_eq!(counts(&mut system), [0; 3]);
    assert_eq!(system.call(lane, NO_CALL as u64, [0; 6]), Some(ENOSYS));
    assert_eq!(counts(&mut system), [0, 0, 1], "one that there is not is asked for twice and counted once");
}

#[test]
fn call_that_is_taken_for_another_one_that_can_be_made_is_not_made() {
    let (mut system, lane) = System::start();
    let file = file_of_ten(&mut system, lane);
    let read = [file, DATA + 64, 10, 0, 0, 0];
    for taken in [[file, DATA + 64, 8, 0, 0, 0], [file, DATA + 80, 10, 0, 0, 0], [file, DATA + 64, 10, 1, 0, 0]] {
        assert_eq!(system.call_taken_for(lane, 17, read, taken), Some(10), "{taken:x?}");
        assert_eq!(system.peek(lane, DATA + 64, 26), b"0123456789\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "{taken:x?}");
    }
    // `write`, which would have an effect.
    assert_eq!(system.number_taken_for(lane, 17, read, 1), Some(10));
    assert_eq!(system.call(lane, 17, [file, DATA + 64, 64, 0, 0, 0]), Some(10), "nothing was written");
}

#[test]
fn failure_that_is_the_programs_own_stays() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/nothing");
    assert_eq!(system.call(lane, 2, [path, 0, 0, 0, 0, 0]), Some(ENOENT));
    assert_eq!(system.call(lane, 0, [99, DATA, 1, 0, 0, 0]), Some(EBADF));
    assert_eq!(system.call(lane, 2, [HIGH, 0, 0, 0, 0, 0]), Some(EFAULT));
}

/// A message that the kernel sends when a thread cannot go on, or what posix takes it for.
fn stopped_by(system: &mut System, lane: usize, incoming: Incoming) {
    let number = {
        let mut machine = system.machine.0.borrow_mut();
        let thread = machine.threads.get_mut(&slot::thread(lane)).unwrap();
        // Its last call lies behind it.
        (thread.runs, thread.frame.rip) = (Runs::Calling, thread.frame.rcx + 9);
        thread.request.with_step(RequestNumber::FAULT_STEP)
    };
    system.receive(lane, number, incoming);
}

#[test]
fn exception_is_believed_when_it_comes_twice() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    for (vector, code) in [(13, 0), (6, 0), (0, 0), (13, 8)] {
        stopped_by(&mut system, child, Incoming::Exception { vector, code, address: 0 });
        assert_eq!(system.runs(child), Some(Runs::Running), "the processor is to say it again");
    }
    stopped_by(&mut system, child, Incoming::Exception { vector: 13, code: 8, address: 0 });
    assert_eq!(system.runs(child), None, "SIGSEGV");
}

#[test]
fn trap_comes_once() {
    for vector in [1, 3] {
        let (mut system, lane) = System::start();
        let child = system.fork(lane);
        stopped_by(&mut system, child, Incoming::Exception { vector, code: 0, address: 0 });
        assert_eq!(system.runs(child), None, "SIGTRAP");
    }
}

#[test]
fn fault_that_is_taken_for_a_call_ends_the_instance() {
    let (mut system, lane) = System::start();
    let pid = system.call(lane, 39, [0; 6]);
    let taken = Incoming::Call { number: 0x5f000, arguments: [0; 6], sum: 0 };
    assert!(catch_unwind(AssertUnwindSafe(|| stopped_by(&mut system, lane, taken))).is_err(), "rax is no call's number");
    system.machine.0.borrow_mut().threads.get_mut(&slot::thread(lane)).unwrap().runs = Runs::Running;
    system.restart();
    assert_eq!(system.call(lane, 39, [0; 6]), pid);
}

/// A file of ten bytes, open at its start.
fn file_of_ten(system: &mut System, lane: usize) -> u64 {
    let path = system.text(lane, 0, "/file");
    let file = system.call(lane, 2, [path, 0o102, 0o600, 0, 0, 0]).unwrap();
    system.poke(lane, DATA, b"0123456789");
    assert_eq!(system.call(lane, 1, [file, DATA, 10, 0, 0, 0]), Some(10));
    assert_eq!(system.call(lane, 8, [file, 0, 0, 0, 0, 0]), Some(0));
    file
}

/// Whether posix ends in a call whose first answer of another server is spoilt; its successor makes it, with this result.
fn ends_in(system: &mut System, lane: usize, number: u64, arguments: [u64; 6], spoil: Spoil) -> (bool, Option<u64>) {
    system.machine.0.borrow_mut().spoil_answer = Some(spoil);
    let ended = system.call_ending(lane, number, arguments);
    (ended, system.result(lane))
}

#[test]
fn more_bytes_than_were_asked_for_were_not_transferred() {
    let (mut system, lane) = System::start();
    let file = file_of_ten(&mut system, lane);
    // The answers are `Ok`, a variant and a count.
    let longer: Spoil = |answer, bytes| {
        answer[2] |= 64;
        bytes
    };
    for (number, result) in [(17, 4), (1, 4)] {
        assert_eq!(ends_in(&mut system, lane, number, [file, DATA, 4, 0, 0, 0], longer), (true, Some(result)));
    }
    let elsewhere: Spoil = |answer, bytes| {
        answer[3] ^= 16;
        bytes
    };
    assert_eq!(ends_in(&mut system, lane, 1, [file, DATA, 4, 0, 0, 0], elsewhere), (true, Some(4)));
    assert_eq!(system.call(lane, 8, [file, 0, 1, 0, 0, 0]), Some(8));
}

/// What vfs said once is not what it says when it is asked again: the answer that is kept for the next `stat` must not be the one to this.
#[test]
fn wrong_answer_about_a_path_is_not_heard_again_from_what_was_kept() {
    const STAT: u64 = 4;
    let (mut system, lane) = System::start();
    file_of_ten(&mut system, lane);
    let path = system.text(lane, 0, "/file");
    assert_eq!(system.call(lane, STAT, [path, DATA + 64, 0, 0, 0, 0]), Some(0));
    let absent = system.text(lane, 32, "/none");
    for _ in 0..3 {
        assert_eq!(system.call(lane, STAT, [absent, DATA + 64, 0, 0, 0, 0]), Some(ENOENT));
        system.posix().answers.grow_old();
        // `Err`, and the variant of what is no directory.
        system.machine.0.borrow_mut().spoil_answer = Some(|answer, _| {
            answer[..2].copy_from_slice(&[1, 3]);
            2
        });
        assert_eq!(system.call(lane, STAT, [path, DATA + 64, 0, 0, 0, 0]), Some(0));
    }
}

#[test]
fn what_a_script_prints_is_not_lost_by_an_answer_that_the_console_cannot_give() {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA, b"0123456789");
    // Nothing was written; more was than there is; what posix lends is not there; posix is not.
    let answers: [Spoil; 4] = [
        |answer, bytes| {
            answer[2] |= 64;
            bytes
        },
        |answer, _| {
            answer[..2].copy_from_slice(&[1, 4]);
            2
        },
        |answer, bytes| {
            answer[2] = 0;
            bytes
        },
        |answer, _| {
            answer[..2].copy_from_slice(&[1, 3]);
            2
        },
    ];
    for spoil in answers {
        assert_eq!(ends_in(&mut system, lane, 1, [1, DATA, 10, 0, 0, 0], spoil), (true, Some(10)));
    }
    assert_eq!(system.printed(), b"0123456789".repeat(4));
}

#[test]
fn message_that_nobody_will_answer_ends_the_instance() {
    let (mut system, lane) = System::start();
    let fds = DATA + 64;
    assert_eq!(system.call(lane, 22, [fds, 0, 0, 0, 0, 0]), Some(0));
    let read = u64::from(system.peek(lane, fds, 1)[0]);
    assert_eq!(system.call(lane, 0, [read, DATA, 1, 0, 0, 0]), None, "it waits");
    system.posix().check_kept(lane);
    system.posix().hands.put_down(lane);
    assert!(catch_unwind(AssertUnwindSafe(|| system.posix().check_kept(lane))).is_err());
}
