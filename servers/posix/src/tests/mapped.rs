//! Files that are mapped again after a change: what is there now shows, and not what vfs once answered.

use crate::fake::harness::System;

const READ_WRITE: u64 = 0o2;
const CREATE: u64 = 0o100;
const TRUNCATE: u64 = 0o1000;
const PAGE: u64 = 4096;

fn open(system: &mut System, lane: usize, path: &str, flags: u64) -> u64 {
    let path = system.text(lane, 0, path);
    system.call(lane, 2, [path, READ_WRITE | flags, 0o644, 0, 0, 0]).expect("open")
}

/// Writes at an offset.
fn put(system: &mut System, lane: usize, file: u64, offset: u64, text: &str) {
    let from = system.text(lane, 0x100, text);
    assert_eq!(system.call(lane, 18, [file, from, text.len() as u64, offset, 0, 0]), Some(text.len() as u64), "pwrite64");
}

/// The first bytes of two pages of the file, through a new private mapping.
fn seen(system: &mut System, lane: usize, file: u64) -> [Vec<u8>; 2] {
    let at = system.call(lane, 9, [0, 2 * PAGE, 1, 2, file, 0]).expect("mmap");
    let bytes = [0, PAGE].map(|page| system.peek(lane, at + page, 3));
    assert_eq!(system.call(lane, 11, [at, 2 * PAGE, 0, 0, 0, 0]), Some(0), "munmap");
    bytes
}

fn pages(first: &[u8; 3], second: &[u8; 3]) -> [Vec<u8>; 2] {
    [first.to_vec(), second.to_vec()]
}

#[test]
fn changes_between_two_mappings_show_in_the_second() {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane, "/f", CREATE);
    put(&mut system, lane, file, PAGE, "two");
    for _ in 0..2 {
        assert_eq!(seen(&mut system, lane, file), pages(&[0; 3], b"two"), "a hole and a page");
    }
    put(&mut system, lane, file, 0, "one");
    assert_eq!(seen(&mut system, lane, file), pages(b"one", b"two"), "the hole was filled");
    put(&mut system, lane, file, 0, "ONE");
    assert_eq!(seen(&mut system, lane, file), pages(b"ONE", b"two"), "a page was written");
    for length in [PAGE, 2 * PAGE] {
        assert_eq!(system.call(lane, 77, [file, length, 0, 0, 0, 0]), Some(0), "ftruncate");
    }
    assert_eq!(seen(&mut system, lane, file), pages(b"ONE", &[0; 3]), "the end was cut off");
    let again = open(&mut system, lane, "/f", TRUNCATE);
    put(&mut system, lane, again, PAGE, "new");
    assert_eq!(seen(&mut system, lane, file), pages(&[0; 3], b"new"), "all was cut off");
}

#[test]
fn what_is_written_through_a_mapping_shows_in_the_next_one() {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane, "/f", CREATE);
    put(&mut system, lane, file, PAGE, "two");
    assert_eq!(seen(&mut system, lane, file), pages(&[0; 3], b"two"));
    let shared = system.call(lane, 9, [0, 2 * PAGE, 3, 1, file, 0]).expect("mmap");
    for (page, text) in [(0, b"uno"), (PAGE, b"due")] {
        assert_eq!(system.peek(lane, shared + page, 3).len(), 3, "it is there for reading first");
        system.poke(lane, shared + page, text);
        assert_eq!(seen(&mut system, lane, file)[(page / PAGE) as usize], text);
    }
}

#[test]
fn another_file_of_the_same_path_shows_its_own_bytes() {
    let (mut system, lane) = System::start();
    for text in ["old", "new"] {
        let file = open(&mut system, lane, "/f", CREATE);
        put(&mut system, lane, file, 0, text);
        put(&mut system, lane, file, PAGE, text);
        for _ in 0..2 {
            assert_eq!(seen(&mut system, lane, file), [text.as_bytes(); 2].map(<[u8]>::to_vec));
        }
        assert_eq!(system.call(lane, 3, [file, 0, 0, 0, 0, 0]), Some(0), "close");
        let path = system.text(lane, 0, "/f");
        assert_eq!(system.call(lane, 87, [path, 0, 0, 0, 0, 0]), Some(0), "unlink");
    }
}
