//! Files that are closed and still open in vfs: what programs see is the same, and no byte stays behind.

use crate::fake::harness::{DATA, System, program};

const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const READ: u64 = 0;
const UNLINK: u64 = 87;
const RENAME: u64 = 82;
const EACCES: Option<u64> = Some((-13i64) as u64);
const ETXTBSY: Option<u64> = Some((-26i64) as u64);
const ENOENT: Option<u64> = Some((-2i64) as u64);

/// Makes a file of these bytes, which was written and so does not linger; where its path lies.
fn make(system: &mut System, lane: usize, at: u64, path: &str, bytes: &str) -> u64 {
    let path = system.text(lane, at, path);
    let file = system.call(lane, OPEN, [path, 0o101, 0o644, 0, 0, 0]).unwrap();
    let from = system.text(lane, 0x800, bytes);
    assert_eq!(system.call(lane, 1, [file, from, bytes.len() as u64, 0, 0, 0]), Some(bytes.len() as u64));
    assert_eq!(system.call(lane, CLOSE, [file, 0, 0, 0, 0, 0]), Some(0));
    path
}

/// Opens a file for reading, reads it and closes it.
fn contents(system: &mut System, lane: usize, path: u64) -> Vec<u8> {
    let file = system.call(lane, OPEN, [path, 0, 0, 0, 0, 0]).unwrap();
    let count = system.call(lane, READ, [file, DATA + 0xc00, 100, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, CLOSE, [file, 0, 0, 0, 0, 0]), Some(0));
    system.peek(lane, DATA + 0xc00, count as usize)
}

/// A word of what `statfs` says of the root.
fn total(system: &mut System, lane: usize, word: u64) -> u64 {
    let root = system.text(lane, 0xe00, "/");
    assert_eq!(system.call(lane, 137, [root, DATA + 0xe80, 0, 0, 0, 0]), Some(0));
    u64::from_le_bytes(system.peek(lane, DATA + 0xe80 + word * 8, 8).try_into().unwrap())
}

/// Pages that no file has.
fn free_pages(system: &mut System, lane: usize) -> u64 {
    total(system, lane, 3)
}

/// Inodes that are nobody's.
fn free_inodes(system: &mut System, lane: usize) -> u64 {
    total(system, lane, 6)
}

fn lingering(system: &mut System) -> usize {
    system.posix().find_lingering().len()
}

#[test]
fn file_that_was_read_lingers_and_one_that_was_written_does_not() {
    let (mut system, lane) = System::start();
    let path = make(&mut system, lane, 0, "/f", "bytes");
    assert_eq!(lingering(&mut system), 0);
    for _ in 0..3 {
        assert_eq!((contents(&mut system, lane, path), lingering(&mut system)), (b"bytes".to_vec(), 1));
    }
    assert_eq!(system.call(lane, OPEN, [path, 2, 0, 0, 0, 0]), Some(3));
    assert_eq!((lingering(&mut system), system.call(lane, CLOSE, [3, 0, 0, 0, 0, 0]), lingering(&mut system)), (0, Some(0), 0));
}

#[test]
fn what_is_removed_is_free_at_once() {
    let (mut system, lane) = System::start();
    let before = free_pages(&mut system, lane);
    let path = make(&mut system, lane, 0, "/f", "bytes");
    contents(&mut system, lane, path);
    assert!(free_pages(&mut system, lane) < before);
    assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!((free_pages(&mut system, lane), lingering(&mut system)), (before, 0));
    assert_eq!(system.call(lane, OPEN, [path, 0, 0, 0, 0, 0]), ENOENT);
}

#[test]
fn path_that_leads_elsewhere_opens_what_is_there_now() {
    let (mut system, lane) = System::start();
    let (old, new) = (make(&mut system, lane, 0, "/old", "old"), make(&mut system, lane, 0x40, "/new", "new"));
    let before = free_pages(&mut system, lane);
    assert_eq!(contents(&mut system, lane, old), b"old");
    assert_eq!(system.call(lane, RENAME, [new, old, 0, 0, 0, 0]), Some(0));
    assert_eq!((contents(&mut system, lane, old), free_pages(&mut system, lane)), (b"new".to_vec(), before + 1));
}

#[test]
fn who_may_no_longer_open_it_cannot() {
    let (mut system, lane) = System::start();
    let path = make(&mut system, lane, 0, "/f", "bytes");
    let other = system.fork(lane);
    assert_eq!(system.call(other, 105, [1000, 0, 0, 0, 0, 0]), Some(0), "setuid");
    assert_eq!(contents(&mut system, other, path), b"bytes");
    assert_eq!(system.call(lane, 90, [path, 0o600, 0, 0, 0, 0]), Some(0), "chmod");
    assert_eq!(system.call(other, OPEN, [path, 0, 0, 0, 0, 0]), EACCES);
    assert_eq!(contents(&mut system, lane, path), b"bytes");
    assert_eq!(system.call(other, OPEN, [path, 0, 0, 0, 0, 0]), EACCES, "what one may, another may not");
}

#[test]
fn few_linger_and_all_are_free_in_the_end() {
    let (mut system, lane) = System::start();
    let before = free_pages(&mut system, lane);
    let paths: Vec<u64> = (0..20).map(|n| make(&mut system, lane, n * 8, &format!("/f{n}"), "x")).collect();
    for path in &paths {
        assert_eq!(contents(&mut system, lane, *path), b"x");
    }
    assert_eq!(lingering(&mut system), 16);
    assert_eq!(contents(&mut system, lane, paths[0]), b"x", "it had made room");
    system.restart();
    assert_eq!(lingering(&mut system), 16, "the successor knows");
    for path in paths {
        assert_eq!(contents(&mut system, lane, path), b"x");
        assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0));
    }
    assert_eq!((free_pages(&mut system, lane), lingering(&mut system)), (before, 0));
}

/// For an open and a close of what lingers, and the removal of it.
#[test]
fn nothing_is_lost_or_stays_whichever_store_is_the_last() {
    for step in 0..3 {
        for nth in 0.. {
            let (mut system, lane) = System::start();
            let before = free_pages(&mut system, lane);
            let path = make(&mut system, lane, 0, "/f", "bytes");
            contents(&mut system, lane, path);
            let mut died = false;
            for (at, (call, argument)) in [(OPEN, path), (CLOSE, 3), (UNLINK, path)].into_iter().enumerate() {
                let arguments = [argument, 0, 0, 0, 0, 0];
                let result = if at == step {
                    let (was, result) = system.call_crashing_at_store(lane, call, arguments, nth);
                    died = was;
                    result
                } else {
                    system.call(lane, call, arguments)
                };
                assert_eq!(result, Some(if call == OPEN { 3 } else { 0 }), "step {step}, store {nth}");
            }
            assert_eq!((free_pages(&mut system, lane), lingering(&mut system)), (before, 0), "step {step}, store {nth}");
            if !died {
                assert!(nth > 3);
                break;
            }
        }
    }
}

/// A failed call is made twice, under one number: what vfs has counted for it at first must be closed, though the answer is known by then and the file is open.
#[test]
fn an_open_that_fails_after_vfs_has_opened_leaves_nothing_open() {
    let (mut system, lane) = System::start();
    let before = free_inodes(&mut system, lane);
    system.install("/program", &program());
    let path = system.text(lane, 0, "/program");
    assert_eq!(system.call(lane, 90, [path, 0o755, 0, 0, 0, 0]), Some(0), "chmod");
    let child = system.fork(lane);
    assert_eq!(system.call(child, 59, [path, 0, 0, 0, 0, 0]), None, "execve");
    for _ in 0..3 {
        assert_eq!(system.call(lane, OPEN, [path, 2, 0, 0, 0, 0]), ETXTBSY);
    }
    assert_eq!(system.call(child, 231, [0; 6]), None, "exit_group");
    assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!((free_inodes(&mut system, lane), lingering(&mut system)), (before, 0));
}

/// Another process opens the same file before the call of one whose open posix died of is made again.
#[test]
fn an_open_that_is_made_again_is_closed_though_its_answer_is_known_by_then() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        let before = free_inodes(&mut system, lane);
        let path = make(&mut system, lane, 0, "/f", "bytes");
        let other = system.fork(lane);
        let open = [path, 0, 0, 0, 0, 0];
        let (died, file) = system.call_crashing_while(lane, OPEN, open, nth, |system| assert_eq!(system.call(other, OPEN, open), Some(3)));
        if died {
            assert_eq!(system.call(other, CLOSE, [3, 0, 0, 0, 0, 0]), Some(0));
        }
        assert_eq!((file, system.call(lane, CLOSE, [3, 0, 0, 0, 0, 0])), (Some(3), Some(0)), "store {nth}");
        assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0), "store {nth}");
        assert_eq!((free_inodes(&mut system, lane), lingering(&mut system)), (before, 0), "store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
}

/// A program at a path, executed once by a child that has ended.
fn executed(system: &mut System, lane: usize) -> u64 {
    system.install("/program", &program());
    let path = system.text(lane, 0, "/program");
    assert_eq!(system.call(lane, 90, [path, 0o755, 0, 0, 0, 0]), Some(0), "chmod");
    let child = system.fork(lane);
    assert_eq!(system.call(child, 59, [path, 0, 0, 0, 0, 0]), None, "execve");
    assert_eq!((lingering(system), system.call(child, 231, [0; 6]), lingering(system)), (0, None, 1));
    path
}

#[test]
fn a_program_lingers_and_is_executed_again_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        let before = free_inodes(&mut system, lane);
        let path = executed(&mut system, lane);
        let child = system.fork(lane);
        let (died, result) = system.call_crashing_at_store(child, 59, [path, 0, 0, 0, 0, 0], nth);
        assert_eq!((result, lingering(&mut system)), (None, 0), "store {nth}: it runs");
        assert_eq!(system.call(lane, OPEN, [path, 2, 0, 0, 0, 0]), ETXTBSY, "store {nth}");
        assert_eq!(system.call(child, 231, [0; 6]), None, "exit_group");
        assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0), "store {nth}");
        assert_eq!((free_inodes(&mut system, lane), lingering(&mut system)), (before, 0), "store {nth}");
        if !died {
            assert!(nth > 20);
            break;
        }
    }
}

#[test]
fn a_program_that_lingers_is_not_executed_while_it_is_written_nor_by_who_may_not() {
    let (mut system, lane) = System::start();
    let before = free_inodes(&mut system, lane);
    let path = executed(&mut system, lane);
    let child = system.fork(lane);
    assert_eq!(system.call(lane, OPEN, [path, 2, 0, 0, 0, 0]), Some(3));
    assert_eq!(system.call(child, 59, [path, 0, 0, 0, 0, 0]), ETXTBSY);
    assert_eq!(system.call(lane, CLOSE, [3, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 90, [path, 0o644, 0, 0, 0, 0]), Some(0), "chmod");
    assert_eq!(system.call(child, 59, [path, 0, 0, 0, 0, 0]), EACCES);
    assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!((free_inodes(&mut system, lane), lingering(&mut system)), (before, 0));
}

#[test]
fn a_file_without_a_name_is_free_when_nobody_has_it_any_more() {
    let (mut system, lane) = System::start();
    let before = free_pages(&mut system, lane);
    let path = make(&mut system, lane, 0, "/f", "bytes");
    let file = system.call(lane, OPEN, [path, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, CLOSE, [file, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!((free_pages(&mut system, lane), lingering(&mut system)), (before, 0), "a descriptor's");
    let path = executed(&mut system, lane);
    let child = system.fork(lane);
    assert_eq!(system.call(child, 59, [path, 0, 0, 0, 0, 0]), None, "execve");
    assert_eq!(system.call(lane, UNLINK, [path, 0, 0, 0, 0, 0]), Some(0));
    assert!(free_pages(&mut system, lane) < before, "it runs");
    assert_eq!(system.call(child, 231, [0; 6]), None, "exit_group");
    assert_eq!((free_pages(&mut system, lane), lingering(&mut system)), (before, 0), "a program's");
}
