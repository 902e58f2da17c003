//! Numbers at the ends of their types, and bits that mean nothing: each call says what Linux says. `tests/linux/badargs.c` compares all calls with it.

use crate::fake::harness::{DATA, System};
use crate::tests::sockets::{DATAGRAM, PACKETS, STREAM, pair};

const EAGAIN: u64 = -11i64 as u64;
const EINVAL: u64 = -22i64 as u64;
const ESRCH: u64 = -3i64 as u64;
const EOPNOTSUPP: u64 = -95i64 as u64;
const EOVERFLOW: u64 = -75i64 as u64;
const MINUS_ONE: u64 = u64::MAX;
/// -1, the smallest and the largest of 32 bits.
const NO_PROCESS: [u64; 3] = [MINUS_ONE, 0x8000_0000, 0x7fff_ffff];

fn file(system: &mut System, lane: usize) -> u64 {
    let path = system.text(lane, 0, "/file");
    let file = system.call(lane, 2, [path, 0o102, 0o600, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, 1, [file, DATA, 8, 0, 0, 0]), Some(8));
    file
}

#[test]
pub(super) fn mapping_ignores_unknown_protection_and_the_offset_of_what_is_no_file() {
    const PRIVATE: u64 = 2;
    const ANONYMOUS: u64 = 0x22;
    let (mut system, lane) = System::start();
    let file = file(&mut system, lane);
    let mut map = |protection, flags, offset| system.call(lane, 9, [0, 4096, protection, flags, file, offset]).unwrap() as i64;
    assert!(map(MINUS_ONE, ANONYMOUS, 0) > 0);
    assert!(map(MINUS_ONE, PRIVATE, 0) > 0);
    assert!(map(3, ANONYMOUS, 1 << 63) > 0);
    assert!(map(3, ANONYMOUS, 0u64.wrapping_sub(4096)) > 0);
    assert_eq!(map(1, PRIVATE, 1 << 63) as u64, EOVERFLOW);
    assert_eq!(map(1, PRIVATE, (1 << 63) - 4096) as u64, EOVERFLOW, "it ends beyond the largest file");
}

#[test]
pub(super) fn mandatory_locks_are_ignored() {
    let (mut system, lane) = System::start();
    let file = file(&mut system, lane);
    assert_eq!(system.call(lane, 73, [file, MINUS_ONE, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 73, [file, 16, 0, 0, 0, 0]), Some(EINVAL));
}

#[test]
pub(super) fn no_group_has_a_negative_number() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 109, [MINUS_ONE, 0, 0, 0, 0, 0]), Some(EINVAL), "nor has the group of a process's own number");
    assert_eq!(system.call(lane, 109, [0x7fff_ffff, 0, 0, 0, 0, 0]), Some(ESRCH));
}

#[test]
pub(super) fn processors_of_a_thread_that_is_not_there_are_none() {
    let (mut system, lane) = System::start();
    let pid = u64::from(system.pid(lane));
    for call in [203, 204] {
        for process in NO_PROCESS {
            system.poke(lane, DATA, &[0xff; 8]);
            assert_eq!(system.call(lane, call, [process, 8, DATA, 0, 0, 0]), Some(ESRCH), "call {call}, {process:#x}");
        }
        system.poke(lane, DATA, &[0xff; 8]);
        assert!((system.call(lane, call, [pid, 8, DATA, 0, 0, 0]).unwrap() as i64) >= 0);
    }
}

#[test]
pub(super) fn clocks_that_nobody_sleeps_by_say_so_and_unknown_flags_do_not_count() {
    let (mut system, lane) = System::start();
    let mut sleep = |clock, flags| {
        system.poke(lane, DATA, &[0; 16]);
        system.call(lane, 230, [clock, flags, DATA, 0, 0, 0])
    };
    assert_eq!(sleep(1, MINUS_ONE), Some(0));
    for clock in [0, 1, 2, 7, 11] {
        assert_eq!(sleep(clock, 0), Some(0), "clock {clock}");
    }
    for clock in [3, 4, 5, 6] {
        assert_eq!(sleep(clock, 0), Some(EOPNOTSUPP), "clock {clock}");
    }
    assert_eq!(sleep(99, 0), Some(EINVAL));
}

#[test]
pub(super) fn vectors_end_where_files_can() {
    let (mut system, lane) = System::start();
    let file = file(&mut system, lane);
    system.poke(lane, DATA, &[DATA + 64, 16].map(u64::to_le_bytes).concat());
    for call in [295, 296, 327, 328] {
        assert_eq!(system.call(lane, call, [file, DATA, 1, i64::MAX as u64, 0, 0]), Some(EINVAL), "call {call}");
    }
}

#[test]
pub(super) fn flags_of_messages_that_a_socket_has_not() {
    const OUT_OF_BAND: u64 = 1;
    const COMPATIBLE: u64 = 0x8000_0000;
    const DO_NOT_WAIT: u64 = 0x40;
    let (mut system, lane) = System::start();
    for (kind, nothing) in [(STREAM, EINVAL), (DATAGRAM, EOPNOTSUPP), (PACKETS, EOPNOTSUPP)] {
        let (socket, _) = pair(&mut system, lane, kind);
        assert_eq!(system.call(lane, 45, [socket, DATA, 1, OUT_OF_BAND, 0, 0]), Some(nothing), "kind {kind}");
        assert_eq!(system.call(lane, 45, [socket, DATA, 1, COMPATIBLE | DO_NOT_WAIT, 0, 0]), Some(EAGAIN), "kind {kind}");
    }
    for call in [46, 47] {
        assert_eq!(system.call(lane, call, [MINUS_ONE, 0, COMPATIBLE, 0, 0, 0]), Some(EINVAL), "before anything else is looked at");
    }
}
