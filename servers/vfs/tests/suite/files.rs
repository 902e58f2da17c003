//! Bytes: reading, writing, lengths, opens, pages that are shared.

use super::harness::{PAGES, System, at};
use protocols::service::Service;
use protocols::vfs::{At, Error, FileId, MAX_TRANSFER, OpenFlags, Pages, WriteAt};
use vfs::data::MAX_SIZE;
use vfs::host::PAGE;

const CREATE: OpenFlags = OpenFlags::CREATE.with(OpenFlags::WRITE);

#[test]
fn bytes_written_are_read_across_pages() {
    for mut system in [System::new(), System::pending(3)] {
        let file = system.create("/f");
        let bytes: Vec<u8> = (0..10_000u32).map(|index| index as u8).collect();
        assert_eq!(system.write(file, WriteAt::Offset(100), &bytes), Ok((10_000, 10_100)));
        assert_eq!(system.read(file, 100, 20_000), Ok(bytes.clone()));
        assert_eq!(system.read(file, 0, 100), Ok(vec![0; 100]));
        assert_eq!(system.read(file, 10_100, 5), Ok(vec![]));
        assert_eq!(system.read(file, u64::MAX, 5), Ok(vec![]));
        system.check();
    }
}

#[test]
fn holes_read_as_zeros_and_take_no_pages() {
    let mut system = System::new();
    let file = system.create("/f");
    let far = 5 << 30;
    assert_eq!(system.write(file, WriteAt::Offset(far), b"end"), Ok((3, far + 3)));
    let seen = system.stat("/f").unwrap();
    assert_eq!((seen.size, seen.pages), (far + 3, 1));
    assert_eq!(system.read(file, far - 4, 10), Ok(b"\0\0\0\0end".to_vec()));
    assert_eq!(system.read(file, 1 << 20, 3), Ok(vec![0; 3]));
    system.check();
}

#[test]
fn append_finds_the_end_itself() {
    let mut system = System::new();
    let file = system.create("/f");
    assert_eq!(system.write(file, WriteAt::End, b"one"), Ok((3, 3)));
    assert_eq!(system.write(file, WriteAt::End, b"two"), Ok((3, 6)));
    assert_eq!(system.content("/f"), Ok(b"onetwo".to_vec()));
}

#[test]
fn numbered_write_happens_once() {
    let mut system = System::new();
    let file = system.create("/f");
    let lease = system.lend(b"abc");
    let number = system.number();
    for _ in 0..3 {
        assert_eq!(system.ask_again(number, |vfs, number, _| vfs.write(number, file, WriteAt::End, 3, true, lease)), Ok((3, 3)));
    }
    assert_eq!(system.content("/f"), Ok(b"abc".to_vec()));
    system.write(file, WriteAt::End, b"d").unwrap();
    let lease = system.lend(b"abc");
    assert_eq!(system.ask_again(number, |vfs, number, _| vfs.write(number, file, WriteAt::End, 3, true, lease)), Err(Error::Outdated));
    assert_eq!(system.content("/f"), Ok(b"abcd".to_vec()));
}

#[test]
fn long_transfers_are_cut() {
    let mut system = System::new();
    let file = system.create("/f");
    let bytes = vec![7; MAX_TRANSFER as usize + 1];
    assert_eq!(system.write(file, WriteAt::Offset(0), &bytes), Ok((MAX_TRANSFER, u64::from(MAX_TRANSFER))));
    assert_eq!(system.read(file, 0, MAX_TRANSFER + 1).map(|bytes| bytes.len()), Ok(MAX_TRANSFER as usize));
    system.check();
}

#[test]
fn missing_page_of_the_lender_stops_a_write_and_shortens_a_read() {
    let mut system = System::new();
    let file = system.create("/f");
    system.missing.extend([0, 1, 2]);
    let bytes = vec![9; 3 * PAGE];
    assert_eq!(system.write(file, WriteAt::Offset(0), &bytes), Ok((3 * PAGE as u32, 3 * PAGE as u64)));
    assert!(system.missing.is_empty());
    system.missing.insert(2);
    assert_eq!(system.read(file, 0, 3 * PAGE as u32).map(|bytes| bytes.len()), Ok(2 * PAGE));
    system.check();
}

#[test]
fn bad_lease_changes_nothing() {
    let mut system = System::new();
    let file = system.create("/f");
    let lease = system.room(10);
    assert_eq!(system.ask(|vfs, number, _| vfs.write(number, file, WriteAt::Offset(0), 10, true, lease)), Err(Error::BadLease));
    let short = system.lend(b"ab");
    assert_eq!(system.ask(|vfs, number, _| vfs.write(number, file, WriteAt::Offset(0), 10, true, short)), Err(Error::BadLease));
    assert_eq!(system.stat("/f").map(|seen| (seen.size, seen.pages)), Ok((0, 0)));
    system.check();
}

#[test]
fn full_region_cuts_a_write_and_then_refuses() {
    let mut system = System::new();
    let file = system.create("/f");
    let bytes = vec![1; 400 * PAGE];
    let first = system.write(file, WriteAt::End, &bytes[..256 * PAGE]).unwrap();
    let second = system.write(file, WriteAt::End, &bytes[..256 * PAGE]).unwrap();
    assert_eq!((first.0, second.0), (256 * PAGE as u32, 256 * PAGE as u32));
    assert_eq!(system.write(file, WriteAt::End, &bytes[..256 * PAGE]), Ok(((PAGES as u32 - 512) * PAGE as u32, PAGES as u64 * PAGE as u64)));
    assert_eq!(system.write(file, WriteAt::End, b"x"), Err(Error::NoSpace));
    system.check();
    system.unlink("/f").unwrap();
    system.close(file).unwrap();
    assert_eq!(system.state().pages.used_count(), 0);
    system.put("/g", &bytes[..5000]);
    system.check();
}

#[test]
fn cut_and_grown_file_reads_zeros() {
    for mut system in [System::new(), System::pending(5)] {
        system.put("/f", &[5; 9000]);
        let truncate = |system: &mut System, size| system.ask(|vfs, number, actor| vfs.truncate(number, at("/f"), actor, size));
        truncate(&mut system, 100).unwrap();
        assert_eq!(system.stat("/f").map(|seen| (seen.size, seen.pages)), Ok((100, 1)));
        truncate(&mut system, 9000).unwrap();
        let mut expected = vec![5; 100];
        expected.resize(9000, 0);
        assert_eq!(system.content("/f"), Ok(expected));
        assert_eq!(truncate(&mut system, MAX_SIZE + 1), Err(Error::TooLarge));
        truncate(&mut system, MAX_SIZE).unwrap();
        let file = system.stat("/f").unwrap().file;
        assert_eq!(system.write(file, WriteAt::End, b"x"), Err(Error::TooLarge));
        assert_eq!(system.write(file, WriteAt::Offset(MAX_SIZE - 1), b"xy"), Ok((1, MAX_SIZE)));
        truncate(&mut system, 0).unwrap();
        assert_eq!((system.state().pages.used_count(), system.state().node_pool.live()), (0, 0));
        system.check();
    }
}

#[test]
fn open_flags_are_obeyed() {
    let mut system = System::new();
    assert_eq!(system.open("/f", OpenFlags::READ), Err(Error::NotFound));
    assert!(system.open("/f", CREATE).unwrap().created);
    assert!(!system.open("/f", CREATE).unwrap().created);
    assert_eq!(system.open("/f", CREATE.with(OpenFlags::EXCLUSIVE)), Err(Error::Exists));
    assert_eq!(system.open("/f", OpenFlags::DIRECTORY), Err(Error::NotDirectory));
    assert_eq!(system.open("/", OpenFlags::WRITE), Err(Error::IsDirectory));
    assert_eq!(system.open("/", CREATE), Err(Error::IsDirectory));
    assert_eq!(system.open("/g/", CREATE), Err(Error::IsDirectory));
    assert_eq!(system.open("/f", OpenFlags::EXECUTE), Err(Error::Denied));
    system.put("/f", b"text");
    assert_eq!(system.open("/f", OpenFlags::WRITE.with(OpenFlags::TRUNCATE)).map(|opened| opened.size), Ok(0));
    system.check();
}

#[test]
fn unlinked_file_lives_until_its_last_close() {
    let mut system = System::new();
    let file = system.create("/f");
    system.ask(|vfs, number, _| vfs.hold(number, file)).unwrap();
    system.write(file, WriteAt::End, b"still here").unwrap();
    system.unlink("/f").unwrap();
    assert_eq!(system.stat("/f").map(|_| ()), Err(Error::NotFound));
    system.close(file).unwrap();
    system.restart();
    assert_eq!(system.read(file, 0, 10), Ok(b"still here".to_vec()));
    assert_eq!(system.stat_file(file).map(|seen| seen.links), Ok(0));
    system.close(file).unwrap();
    assert_eq!(system.read(file, 0, 10), Err(Error::Stale));
    assert_eq!(system.close(file), Err(Error::Stale));
    system.check();
}

#[test]
fn reused_inode_is_another_file() {
    let mut system = System::new();
    system.put("/f", b"");
    let old = system.stat("/f").unwrap().file;
    system.unlink("/f").unwrap();
    system.put("/g", b"");
    let new = system.stat("/g").unwrap().file;
    assert_eq!(old.inode, new.inode);
    assert_eq!(system.read(old, 0, 1), Err(Error::Stale));
    assert_eq!(system.read(FileId { inode: u32::MAX, generation: 1 }, 0, 1), Err(Error::Stale));
    assert_eq!(system.read(FileId { inode: 0, generation: 0 }, 0, 1), Err(Error::Stale));
}

#[test]
fn opens_are_counted_for_each_service() {
    let mut system = System::new();
    let file = system.create("/f");
    system.service = Service::Web;
    assert_eq!(system.close(file), Err(Error::Invalid));
    assert_eq!(system.ask(|vfs, number, _| vfs.hold(number, file)), Err(Error::Invalid));
    system.open("/f", OpenFlags::READ).unwrap();
    system.unlink("/f").unwrap();
    system.ask(|vfs, number, _| vfs.close_all(number)).unwrap();
    system.service = Service::Posix;
    assert!(system.stat_file(file).is_ok());
    system.ask(|vfs, number, _| vfs.close_all(number)).unwrap();
    assert_eq!(system.stat_file(file).map(|_| ()), Err(Error::Stale));
    system.service = Service::Memory;
    assert_eq!(system.open("/", OpenFlags::READ), Err(Error::NotServed));
    system.check();
}

#[test]
fn mapped_pages_are_the_file() {
    let mut system = System::new();
    system.put("/f", &[1; 2 * PAGE + 1]);
    let file = system.open("/f", OpenFlags::READ).unwrap().file;
    let pages = system.ask(|vfs, number, _| vfs.map_pages(number, file, 0, 8, false)).unwrap();
    assert_eq!(pages.len(), 3);
    let pages: Vec<_> = pages.iter().map(Option::unwrap).collect();
    let (first, last) = (pages[0], pages[2]);
    let seen = system.host().with(|host| {
        host.page(first)[1] = 77;
        host.page(last)[0..3].to_vec()
    });
    assert_eq!(seen, [1, 0, 0]);
    assert_eq!(system.read(file, 0, 3), Ok(vec![1, 77, 1]));
    assert_eq!(system.ask(|vfs, number, _| vfs.map_pages(number, file, 3, 1, true)), Ok(Pages::default()));
    assert_eq!(system.ask(|vfs, number, _| vfs.map_pages(number, file, 0, 0, true)), Err(Error::Invalid));
}

#[test]
fn holes_are_filled_for_writable_mappings_only() {
    let mut system = System::new();
    let file = system.create("/f");
    system.ask(|vfs, number, actor| vfs.truncate(number, At::file(file), actor, 3 * PAGE as u64)).unwrap();
    assert_eq!(system.ask(|vfs, number, _| vfs.map_pages(number, file, 0, 3, false)).unwrap(), [None; 3].into_iter().collect());
    let pages = system.ask(|vfs, number, _| vfs.map_pages(number, file, 1, 1, true)).unwrap();
    let page = pages.iter().next().unwrap().unwrap();
    assert!(system.host().with(|host| { host.page(page).iter().all(|byte| *byte == 0) }));
    assert_eq!(system.stat("/f").map(|seen| seen.pages), Ok(1));
    system.check();
}

#[test]
fn page_that_a_program_may_see_is_given_back_before_it_is_used_again() {
    let mut system = System::new();
    system.put("/f", &[1; PAGE]);
    let file = system.open("/f", OpenFlags::READ).unwrap().file;
    let page = system.ask(|vfs, number, _| vfs.map_pages(number, file, 0, 1, false)).unwrap().iter().next().unwrap().unwrap();
    system.unlink("/f").unwrap();
    system.close(file).unwrap();
    let big = system.create("/big");
    for _ in 0..3 {
        system.write(big, WriteAt::End, &vec![2; 200 * PAGE]).unwrap();
    }
    assert_eq!(system.stat("/big").map(|seen| seen.pages), Ok(PAGES as u64));
    assert!(system.host().with(|host| host.discarded.contains(&(page, 1))));
    system.check();
}

#[test]
fn bytes_that_a_program_wrote_beyond_the_end_never_become_the_files() {
    let mut system = System::new();
    system.put("/f", b"abc");
    let file = system.open("/f", OpenFlags::WRITE).unwrap().file;
    let page = system.ask(|vfs, number, _| vfs.map_pages(number, file, 0, 1, true)).unwrap().iter().next().unwrap().unwrap();
    system.host().with(|host| host.page(page).fill(9));
    system.write(file, WriteAt::Offset(10), b"z").unwrap();
    assert_eq!(system.content("/f"), Ok(b"\x09\x09\x09\0\0\0\0\0\0\0z".to_vec()));
}

#[test]
fn times_follow_what_happens() {
    let mut system = System::new();
    let seconds = |system: &mut System, path: &str| {
        let seen = system.stat(path).unwrap();
        (seen.accessed.seconds, seen.modified.seconds, seen.changed.seconds)
    };
    system.put("/f", b"abc");
    system.host().with(|host| host.now.seconds = 2000);
    system.content("/f").unwrap();
    assert_eq!(seconds(&mut system, "/f"), (2000, 1000, 1000));
    system.host().with(|host| host.now.seconds = 3000);
    system.content("/f").unwrap();
    assert_eq!(seconds(&mut system, "/f"), (2000, 1000, 1000));
    let file = system.stat("/f").unwrap().file;
    system.write(file, WriteAt::Offset(0), b"x").unwrap();
    assert_eq!(seconds(&mut system, "/f"), (2000, 3000, 3000));
    system.host().with(|host| host.now.seconds = 4000);
    system.link("/f", "/g").unwrap();
    assert_eq!(seconds(&mut system, "/f"), (2000, 3000, 4000));
    assert_eq!(seconds(&mut system, "/").1, 4000);
}

#[test]
fn totals_are_those_of_the_region_and_the_table() {
    let mut system = System::new();
    let before = system.ask(|vfs, number, _| vfs.capacity(number)).unwrap();
    system.put("/f", &[0; 3 * PAGE]);
    let after = system.ask(|vfs, number, _| vfs.capacity(number)).unwrap();
    assert_eq!((before.pages, before.pages_free - after.pages_free, before.files_free - after.files_free), (PAGES as u64, 3, 1));
    system.ask(|vfs, number, _| vfs.sync(number)).unwrap();
}
