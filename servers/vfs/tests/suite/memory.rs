//! Memory behind free pages, and the limits of the tables.

use super::harness::System;
use protocols::vfs::{Error, WriteAt};
use vfs::host::PAGE;
use vfs::saved::INODES;

#[test]
fn tables_that_are_full_refuse_and_recover() {
    let mut system = System::new();
    let mut made = 0;
    while system.ask(|vfs, number, actor| {
        let name = format!("f{made}");
        vfs.make_symlink(number, super::harness::at(&name), actor, b"x")
    }) != Err(Error::NoSpace)
    {
        made += 1;
    }
    assert_eq!(made, INODES - 2);
    system.check();
    system.unlink("/f7").unwrap();
    assert!(system.symlink("again", "/f7").is_ok());
    system.restart();
    assert_eq!(system.readlink("/f7"), Ok("again".into()));
}

#[test]
fn failed_requests_leave_nothing_behind() {
    let mut system = System::new();
    let entries = system.state().entry_pool.live();
    assert_eq!(system.mkdir("/x/y").map(|_| ()), Err(Error::NotFound));
    assert_eq!(system.link("/x", "/y"), Err(Error::NotFound));
    assert_eq!((system.state().entry_pool.live(), system.state().inode_pool.live()), (entries, 1));
    system.check();
}

#[test]
fn scarce_memory_cuts_writes_but_not_overwriting() {
    let mut system = System::new();
    let file = system.create("/f");
    system.write(file, WriteAt::End, &[1; 2 * PAGE]).unwrap();
    system.host().with(|machine| machine.spare = 3);
    assert_eq!(system.write(file, WriteAt::End, &[2; 9 * PAGE]), Ok((3 * PAGE as u32, 5 * PAGE as u64)));
    system.host().with(|machine| machine.spare = 0);
    assert_eq!(system.write(file, WriteAt::End, b"x"), Err(Error::NoSpace));
    assert_eq!(system.write(file, WriteAt::Offset(1), b"x"), Ok((1, 2)));
    assert_eq!(system.ask(|vfs, number, _| vfs.map_pages(number, file, 0, 5, true)).map(|pages| pages.len()), Ok(5));
    system.check();
}
