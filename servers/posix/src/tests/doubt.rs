//! A wrong bit in posix's own registers must not become a program's error.

use crate::fake::harness::{DATA, System};

const ENOENT: u64 = -2i64 as u64;
const EBADF: u64 = -9i64 as u64;
const EFAULT: u64 = -14i64 as u64;
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
fn failure_that_is_the_programs_own_stays() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/nothing");
    assert_eq!(system.call(lane, 2, [path, 0, 0, 0, 0, 0]), Some(ENOENT));
    assert_eq!(system.call(lane, 0, [99, DATA, 1, 0, 0, 0]), Some(EBADF));
    assert_eq!(system.call(lane, 2, [HIGH, 0, 0, 0, 0, 0]), Some(EFAULT));
}
