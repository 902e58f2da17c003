//! What Linux has and posix refuses, so that programs can do without: the names that `coverage.toml` calls refused and no program compares with Linux.

use crate::fake::harness::{DATA, System};

const CLONE: u64 = 56;
const CLONE3: u64 = 435;
const OPENAT2: u64 = 437;
const CURRENT: u64 = -100i64 as u64;
const SIGCHLD: u64 = 17;
const EAGAIN: u64 = -11i64 as u64;
const EINVAL: u64 = -22i64 as u64;
/// Bytes of `struct clone_args` and of `struct open_how`.
const CLONE_ARGS: u64 = 88;
const OPEN_HOW: u64 = 24;
/// What asks for a child with something of its own or to be known by.
const OF_CHILDREN: [(&str, u64); 4] =
    [("CLONE_PIDFD", 0x1000), ("CLONE_NEWNS", 0x2_0000), ("CLONE_NEWPID", 0x2000_0000), ("CLONE_NEWUSER", 0x1000_0000)];
/// Of opening: from what is cached alone.
const RESOLVE_CACHED: u64 = 0x20;

#[test]
fn children_have_no_namespaces_and_no_descriptors_of_their_own() {
    for (name, flag) in OF_CHILDREN {
        let (mut system, lane) = System::start();
        assert_eq!(system.call(lane, CLONE, [flag | SIGCHLD, 0, DATA, 0, 0, 0]), Some(EINVAL), "{name}");
        let words = [flag, DATA + 0x200, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, 0];
        system.poke(lane, DATA, &words.map(u64::to_le_bytes).concat());
        assert_eq!(system.call(lane, CLONE3, [DATA, CLONE_ARGS, 0, 0, 0, 0]), Some(EINVAL), "{name}");
    }
}

#[test]
fn nothing_is_known_to_be_cached() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0x200, "/");
    let how = |resolve: u64| [0, 0, resolve].map(u64::to_le_bytes).concat();
    system.poke(lane, DATA, &how(RESOLVE_CACHED));
    assert_eq!(system.call(lane, OPENAT2, [CURRENT, path, DATA, OPEN_HOW, 0, 0]), Some(EAGAIN));
    system.poke(lane, DATA, &how(0));
    assert!(system.call(lane, OPENAT2, [CURRENT, path, DATA, OPEN_HOW, 0, 0]).is_some_and(|opened| opened < 1024));
}
