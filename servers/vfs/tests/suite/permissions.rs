//! Who may do what, through requests.

use super::harness::{System, at};
use protocols::vfs::{Actor, Change, Error, OpenFlags, ROOT, RenameMode, SetTime, Time, WriteAt};

fn user(uid: u32) -> Actor {
    Actor { uid, gid: uid, groups: heapless::Vec::new(), root: ROOT }
}

fn change(system: &mut System, path: &str, change: Change) -> Result<(), Error> {
    system.ask(|vfs, number, actor| vfs.set_attributes(number, at(path), actor, change))
}

fn chmod(system: &mut System, path: &str, permissions: u16) -> Result<(), Error> {
    change(system, path, Change { permissions: Some(permissions), ..Change::default() })
}

#[test]
fn search_read_and_write_need_permission() {
    let mut system = System::new();
    system.mkdir("/d").unwrap();
    system.put("/d/f", b"x");
    chmod(&mut system, "/d/f", 0o600).unwrap();
    system.actor = user(7);
    assert_eq!(system.open("/d/f", OpenFlags::READ), Err(Error::Denied));
    assert_eq!(system.open("/d/new", OpenFlags::CREATE), Err(Error::Denied));
    assert_eq!(system.unlink("/d/f"), Err(Error::Denied));
    assert_eq!(system.mkdir("/x").map(|_| ()), Err(Error::Denied));
    assert!(system.open("/d/f", OpenFlags::PLACE).is_ok());
    system.actor = user(0);
    chmod(&mut system, "/d", 0o700).unwrap();
    system.actor = user(7);
    assert_eq!(system.stat("/d/f").map(|_| ()), Err(Error::Denied));
    let access = |system: &mut System, path: &str, wanted| system.ask(|vfs, number, actor| vfs.access(number, at(path), actor, wanted));
    assert_eq!(access(&mut system, "/d", 4), Err(Error::Denied));
    assert_eq!(access(&mut system, "/d", 0), Ok(()));
    assert_eq!(access(&mut system, "/x", 0), Err(Error::NotFound));
}

#[test]
fn sticky_directory_protects_names() {
    let mut system = System::new();
    system.mkdir("/tmp").unwrap();
    chmod(&mut system, "/tmp", 0o1777).unwrap();
    system.actor = user(7);
    system.put("/tmp/mine", b"");
    system.actor = user(8);
    assert_eq!(system.unlink("/tmp/mine"), Err(Error::NotPermitted));
    system.put("/tmp/other", b"");
    assert_eq!(system.rename("/tmp/other", "/tmp/mine", RenameMode::Replace), Err(Error::NotPermitted));
    assert_eq!(system.unlink("/tmp/other"), Ok(()));
    system.actor = user(7);
    assert_eq!(system.unlink("/tmp/mine"), Ok(()));
}

#[test]
fn set_group_directory_hands_its_group_down() {
    let mut system = System::new();
    system.mkdir("/d").unwrap();
    change(&mut system, "/d", Change { gid: Some(50), permissions: Some(0o2777), ..Change::default() }).unwrap();
    system.actor = user(7);
    system.put("/d/f", b"");
    system.mkdir("/d/sub").unwrap();
    assert_eq!(system.stat("/d/f").map(|seen| (seen.uid, seen.gid, seen.permissions)), Ok((7, 50, 0o644)));
    assert_eq!(system.stat("/d/sub").map(|seen| (seen.gid, seen.permissions)), Ok((50, 0o2755)));
}

#[test]
fn owners_alone_change_attributes() {
    let mut system = System::new();
    chmod(&mut system, "/", 0o777).unwrap();
    system.actor = user(7);
    system.put("/f", b"");
    assert_eq!(chmod(&mut system, "/f", 0o6755), Ok(()));
    assert_eq!(change(&mut system, "/f", Change { uid: Some(8), ..Change::default() }), Err(Error::NotPermitted));
    assert_eq!(change(&mut system, "/f", Change { gid: Some(99), ..Change::default() }), Err(Error::NotPermitted));
    assert_eq!(change(&mut system, "/f", Change { gid: Some(7), ..Change::default() }), Ok(()));
    assert_eq!(system.stat("/f").map(|seen| seen.permissions), Ok(0o755));
    system.actor = user(8);
    assert_eq!(chmod(&mut system, "/f", 0o777), Err(Error::NotPermitted));
    assert_eq!(chmod(&mut system, "/missing", 0o777), Err(Error::NotFound));
}

#[test]
fn times_need_owner_or_the_present_and_write() {
    let mut system = System::new();
    system.put("/f", b"");
    let past = SetTime::To(Time { seconds: -5, nanoseconds: 7 });
    let set = |system: &mut System, accessed, modified| change(system, "/f", Change { accessed, modified, ..Change::default() });
    assert_eq!(set(&mut system, Some(past), Some(SetTime::Now)), Ok(()));
    let seen = system.stat("/f").unwrap();
    assert_eq!((seen.accessed.seconds, seen.accessed.nanoseconds, seen.modified.seconds), (-5, 7, 1000));
    let wrong = SetTime::To(Time { seconds: 0, nanoseconds: 1_000_000_000 });
    assert_eq!(set(&mut system, Some(wrong), None), Err(Error::Invalid));
    system.actor = user(7);
    assert_eq!(set(&mut system, Some(SetTime::Now), Some(SetTime::Now)), Err(Error::Denied));
    assert_eq!(set(&mut system, Some(past), None), Err(Error::NotPermitted));
    system.actor = user(0);
    chmod(&mut system, "/f", 0o666).unwrap();
    system.actor = user(7);
    assert_eq!(set(&mut system, Some(SetTime::Now), Some(SetTime::Now)), Ok(()));
    assert_eq!(set(&mut system, None, Some(SetTime::Now)), Err(Error::NotPermitted));
}

#[test]
fn write_without_privilege_drops_set_user() {
    let mut system = System::new();
    let file = system.create("/f");
    chmod(&mut system, "/f", 0o6755).unwrap();
    system.write(file, WriteAt::End, b"x").unwrap();
    assert_eq!(system.stat("/f").map(|seen| seen.permissions), Ok(0o6755));
    let lease = system.lend(b"y");
    system.ask(|vfs, number, _| vfs.write(number, file, WriteAt::End, 1, false, lease)).unwrap();
    assert_eq!(system.stat("/f").map(|seen| seen.permissions), Ok(0o755));
}
