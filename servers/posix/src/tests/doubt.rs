//! A wrong bit in posix's own registers must not become a program's error.

use crate::fake::harness::{DATA, System};
use crate::saved::COUNTED_CALLS;

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
fn failure_that_is_the_programs_own_stays() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/nothing");
    assert_eq!(system.call(lane, 2, [path, 0, 0, 0, 0, 0]), Some(ENOENT));
    assert_eq!(system.call(lane, 0, [99, DATA, 1, 0, 0, 0]), Some(EBADF));
    assert_eq!(system.call(lane, 2, [HIGH, 0, 0, 0, 0, 0]), Some(EFAULT));
}
