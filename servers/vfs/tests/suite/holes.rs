//! Holes, files without a name, walks that must stay where they are, and opens that are taken back.

use super::harness::{System, at};
use protocols::vfs::{At, Error, MAX_ALLOCATED, OpenFlags, Within, WriteAt};
use vfs::host::PAGE;

const BYTES: u64 = PAGE as u64;

#[test]
fn punched_range_reads_as_zeros_and_its_pages_are_free() {
    for seed in [None, Some(4)] {
        let mut system = System::with(seed, &[]);
        let file = system.create("/f");
        system.write(file, WriteAt::Offset(0), &vec![5; 200 * PAGE]).unwrap();
        let (from, length) = (BYTES + 7, 150 * BYTES);
        system.ask(|vfs, number, _| vfs.punch(number, file, from, length, true)).unwrap();
        let content = system.read_all(file).unwrap();
        let expected: Vec<u8> = (0..200 * BYTES).map(|byte| if byte >= from && byte < from + length { 0 } else { 5 }).collect();
        assert!(content == expected);
        assert_eq!(system.stat_file(file).map(|seen| (seen.size, seen.pages)), Ok((200 * BYTES, 51)));
        system.check();
        system.ask(|vfs, number, _| vfs.punch(number, file, 0, u64::MAX, true)).unwrap();
        assert_eq!(system.stat_file(file).map(|seen| (seen.size, seen.pages)), Ok((200 * BYTES, 0)));
        assert_eq!(system.ask(|vfs, number, _| vfs.punch(number, file, 5, 0, true)), Err(Error::Invalid));
        system.check();
    }
}

#[test]
fn punch_within_a_page_clears_only_its_bytes() {
    let mut system = System::new();
    let file = system.create("/f");
    system.write(file, WriteAt::Offset(0), &[1; 100]).unwrap();
    system.ask(|vfs, number, _| vfs.punch(number, file, 10, 20, true)).unwrap();
    let content = system.read_all(file).unwrap();
    assert_eq!((content.len(), content.iter().map(|byte| u32::from(*byte)).sum::<u32>(), content[9], content[10]), (100, 80, 1, 0));
}

#[test]
fn pages_that_are_missing_are_fetched_together() {
    let mut system = System::pending(7);
    let file = system.create("/f");
    let before = system.put_off;
    system.ask(|vfs, number, _| vfs.allocate(number, file, 0, MAX_ALLOCATED)).unwrap();
    assert!((1..=2).contains(&(system.put_off - before)), "for the inode, and for all pages");
    assert_eq!(system.stat_file(file).map(|seen| seen.pages), Ok(u64::from(MAX_ALLOCATED)));
    system.check();
}

#[test]
fn data_and_holes_are_found() {
    let mut system = System::pending(9);
    let file = system.create("/f");
    for page in [0, 1, 5, 70, 5000] {
        system.write(file, WriteAt::Offset(page * BYTES), b"x").unwrap();
    }
    let mut seek = |offset, hole| system.ask(|vfs, number, _| vfs.seek(number, file, offset, hole)).unwrap();
    assert_eq!([seek(0, false), seek(3, false), seek(2 * BYTES, false)], [Some(0), Some(3), Some(5 * BYTES)]);
    assert_eq!([seek(6 * BYTES + 1, false), seek(71 * BYTES, false)], [Some(70 * BYTES), Some(5000 * BYTES)]);
    assert_eq!([seek(0, true), seek(2 * BYTES + 9, true), seek(5 * BYTES, true)], [Some(2 * BYTES), Some(2 * BYTES + 9), Some(6 * BYTES)]);
    assert_eq!([seek(5000 * BYTES, true), seek(5000 * BYTES + 1, true), seek(5000 * BYTES + 1, false)], [Some(5000 * BYTES + 1), None, None]);
}

#[test]
fn allocated_pages_are_zeros_and_may_lie_beyond_the_end() {
    let mut system = System::new();
    let file = system.create("/f");
    system.write(file, WriteAt::Offset(0), b"abc").unwrap();
    system.ask(|vfs, number, _| vfs.allocate(number, file, 0, 10)).unwrap();
    assert_eq!(system.stat_file(file).map(|seen| (seen.size, seen.pages)), Ok((3, 10)));
    system.check();
    system.restart();
    system.ask(|vfs, number, actor| vfs.truncate(number, At::file(file), actor, 4 * BYTES)).unwrap();
    assert_eq!(system.read(file, 0, 5), Ok(b"abc\0\0".to_vec()));
    assert_eq!(system.stat_file(file).map(|seen| seen.pages), Ok(10));
    system.ask(|vfs, number, actor| vfs.truncate(number, At::file(file), actor, 2 * BYTES)).unwrap();
    assert_eq!(system.stat_file(file).map(|seen| seen.pages), Ok(2));
    assert_eq!(system.ask(|vfs, number, _| vfs.allocate(number, file, 0, MAX_ALLOCATED + 1)), Err(Error::Invalid));
    assert_eq!(system.ask(|vfs, number, _| vfs.allocate(number, file, u64::MAX, 2)), Err(Error::TooLarge));
    system.check();
}

fn temporary(system: &mut System, flags: OpenFlags) -> Result<protocols::vfs::Opened, Error> {
    system.open("/", OpenFlags::TEMPORARY.with(flags))
}

#[test]
fn file_without_a_name_gets_one_or_goes_with_its_last_close() {
    let mut system = System::new();
    let file = temporary(&mut system, OpenFlags::WRITE).unwrap().file;
    system.write(file, WriteAt::Offset(0), b"kept").unwrap();
    system.ask(|vfs, number, actor| vfs.link(number, At::file(file), at("/named"), actor)).unwrap();
    system.close(file).unwrap();
    assert_eq!(system.content("/named"), Ok(b"kept".to_vec()));
    let other = temporary(&mut system, OpenFlags::WRITE).unwrap().file;
    system.close(other).unwrap();
    assert_eq!(system.stat_file(other), Err(Error::Stale));
    let never = temporary(&mut system, OpenFlags::WRITE.with(OpenFlags::EXCLUSIVE)).unwrap().file;
    assert_eq!(system.ask(|vfs, number, actor| vfs.link(number, At::file(never), at("/never"), actor)), Err(Error::NotFound));
    assert_eq!(temporary(&mut system, OpenFlags::READ), Err(Error::Invalid));
    assert_eq!(system.open("/named", OpenFlags::TEMPORARY.with(OpenFlags::WRITE)), Err(Error::NotDirectory));
    system.check();
}

#[test]
fn walk_stays_within() {
    let mut system = System::pending(2);
    system.mkdir("/a").unwrap();
    let inner = system.mkdir("/a/b").unwrap();
    system.put("/a/f", b"f");
    system.put("/a/b/f", b"f");
    system.symlink("../f", "/a/b/up").unwrap();
    system.symlink("/a/f", "/a/b/absolute").unwrap();
    let mut open = |path: &str, within| {
        let place = At::new(inner, path.as_bytes());
        system.ask(|vfs, number, actor| vfs.open_within(number, place, actor, OpenFlags::READ, 0, within)).map(|opened| opened.size)
    };
    for path in ["../f", "/a/b/f", "up", "absolute"] {
        assert_eq!(open(path, Within::default()), Ok(1), "{path}");
        assert_eq!(open(path, Within::BENEATH), Err(Error::CrossesMount), "{path}");
    }
    assert_eq!(open("f", Within::BENEATH), Ok(1));
    assert_eq!(open("up", Within::NO_LINKS), Err(Error::TooManyLinksFollowed));
    assert_eq!(open("../f", Within::NO_LINKS), Ok(1));
}

#[test]
fn opens_that_nobody_heard_of_are_taken_back_once() {
    let mut system = System::new();
    system.put("/f", b"f");
    let held = system.open("/f", OpenFlags::READ).unwrap().file;
    system.unlink("/f").unwrap();
    let settled = system.number();
    let lost = system.number();
    for step in [1, 2] {
        system.ask_again(lost.with_step(step), |vfs, number, actor| vfs.open(number, At::file(held), actor, OpenFlags::READ, 0)).unwrap();
    }
    for _ in 0..2 {
        let number = lost.with_step(0x40);
        system.ask_again(number, |vfs, number, _| vfs.take_back(number, number.lane(), settled.0)).unwrap();
        assert_eq!(system.stat_file(held).map(|seen| seen.links), Ok(0), "one open is left");
    }
    system.close(held).unwrap();
    assert_eq!(system.stat_file(held), Err(Error::Stale));
    system.check();
}
