//! Paths, directories, links, renames.

use super::harness::{System, at, keep};
use protocols::vfs::{Error, FileId, Kind, MAX_PATH, Node, OpenFlags, ROOT, RenameMode};

const REPLACE: RenameMode = RenameMode::Replace;

fn tree() -> System {
    let mut system = System::new();
    for path in ["/a", "/a/b", "/a/b/c"] {
        system.mkdir(path).unwrap();
    }
    system.put("/a/f", b"f");
    system.put("/a/b/g", b"g");
    system
}

#[test]
fn paths_lead_to_files() {
    let mut system = tree();
    let file = system.stat("/a/b/g").unwrap().file;
    for path in ["a/b/g", "//a//b/./g", "/a/b/c/../g", "/../../a/b/../b/g"] {
        assert_eq!(system.stat(path).map(|seen| seen.file), Ok(file), "{path}");
    }
    assert_eq!(system.stat("/").map(|seen| seen.file), Ok(ROOT));
    assert_eq!(system.stat("/a/b/").map(|seen| seen.kind), Ok(Kind::Directory));
    assert_eq!(system.stat("/a/f/").map(|_| ()), Err(Error::NotDirectory));
    assert_eq!(system.stat("/a/f/x").map(|_| ()), Err(Error::NotDirectory));
    assert_eq!(system.stat("/a/x/y").map(|_| ()), Err(Error::NotFound));
    assert_eq!(system.stat("").map(|seen| seen.file), Ok(ROOT));
}

#[test]
fn names_and_paths_have_limits() {
    let mut system = System::new();
    let longest = "n".repeat(255);
    system.put(&longest, b"x");
    assert_eq!(system.content(&longest), Ok(b"x".to_vec()));
    assert_eq!(system.list("/"), std::slice::from_ref(&longest));
    assert_eq!(system.stat(&format!("{longest}n")).map(|_| ()), Err(Error::NameTooLong));
    assert_eq!(system.stat(&"./".repeat(MAX_PATH / 2)).map(|seen| seen.file), Ok(ROOT));
    assert_eq!(system.stat(&"/".repeat(MAX_PATH + 1)).map(|_| ()), Err(Error::NameTooLong));
    assert_eq!(system.stat("a\0b").map(|_| ()), Err(Error::Invalid));
}

#[test]
fn links_are_followed() {
    let mut system = tree();
    system.symlink("b/g", "/a/l").unwrap();
    system.symlink("/a/b", "/d").unwrap();
    system.symlink("missing", "/dangling").unwrap();
    assert_eq!(system.content("/a/l"), Ok(b"g".to_vec()));
    assert_eq!(system.content("/d/g"), Ok(b"g".to_vec()));
    assert_eq!(system.stat("/d/../f").map(|seen| seen.size), Ok(1));
    assert_eq!(system.readlink("/d"), Ok("/a/b".into()));
    assert_eq!(system.readlink("/a"), Err(Error::Invalid));
    let lstat = |system: &mut System, path: &str| system.ask(|vfs, number, actor| vfs.stat(number, keep(path), actor)).map(|seen| seen.kind);
    assert_eq!(lstat(&mut system, "/d"), Ok(Kind::Symlink));
    assert_eq!(lstat(&mut system, "/d/"), Ok(Kind::Directory));
    assert_eq!(system.stat("/dangling").map(|_| ()), Err(Error::NotFound));
    system.create("/dangling");
    assert_eq!(lstat(&mut system, "/missing"), Ok(Kind::File));
    let open = |system: &mut System, flags| system.ask(|vfs, number, actor| vfs.open(number, keep("/a/l"), actor, flags, 0));
    assert_eq!(open(&mut system, OpenFlags::READ).map(|_| ()), Err(Error::TooManyLinksFollowed));
    assert_eq!(open(&mut system, OpenFlags::PLACE).map(|opened| opened.kind), Ok(Kind::Symlink));
    system.check();
}

#[test]
fn fortieth_link_is_followed_and_the_next_is_not() {
    let mut system = System::new();
    system.put("/l0", b"end");
    for index in 1..=41 {
        system.symlink(&format!("l{}", index - 1), &format!("/l{index}")).unwrap();
    }
    assert_eq!(system.content("/l40"), Ok(b"end".to_vec()));
    assert_eq!(system.content("/l41"), Err(Error::TooManyLinksFollowed));
    system.symlink("loop", "/loop").unwrap();
    assert_eq!(system.stat("/loop/x").map(|_| ()), Err(Error::TooManyLinksFollowed));
}

#[test]
fn root_of_the_actor_is_never_left() {
    let mut system = tree();
    system.symlink("/g", "/a/b/to_root").unwrap();
    system.symlink("/a", "/a/b/out").unwrap();
    let inner = system.stat("/a/b").unwrap().file;
    system.actor.root = inner;
    assert_eq!(system.stat("/g").map(|seen| seen.size), Ok(1));
    assert_eq!(system.stat("/../../g").map(|seen| seen.size), Ok(1));
    assert_eq!(system.content("/to_root"), Ok(b"g".to_vec()));
    assert_eq!(system.stat("/out").map(|_| ()), Err(Error::NotFound));
}

#[test]
fn existing_names_are_not_made_again() {
    let mut system = tree();
    assert_eq!(system.mkdir("/a").map(|_| ()), Err(Error::Exists));
    assert_eq!(system.mkdir("/").map(|_| ()), Err(Error::Exists));
    assert_eq!(system.mkdir("/a/.").map(|_| ()), Err(Error::Exists));
    assert_eq!(system.mkdir("/x/y").map(|_| ()), Err(Error::NotFound));
    assert_eq!(system.symlink("x", "/a/f").map(|_| ()), Err(Error::Exists));
    assert_eq!(system.symlink("", "/x").map(|_| ()), Err(Error::NotFound));
    assert_eq!(system.link("/a/f", "/a/b"), Err(Error::Exists));
    assert_eq!(system.link("/a", "/x"), Err(Error::NotPermitted));
    assert!(system.mkdir("/new/").is_ok());
    system.check();
}

#[test]
fn nodes_are_made_but_not_served() {
    let mut system = System::new();
    let mut make = |path: &str, kind| {
        let node = Node { kind, permissions: 0o666, device: 0x103 };
        system.ask(|vfs, number, actor| vfs.make_node(number, at(path), actor, node)).map(|_| ())
    };
    assert_eq!(make("/null", Kind::CharacterDevice), Ok(()));
    assert_eq!(make("/fifo", Kind::Fifo), Ok(()));
    assert_eq!(make("/dir", Kind::Directory), Err(Error::Invalid));
    let opened = system.open("/null", OpenFlags::READ).unwrap();
    assert_eq!((opened.kind, opened.device), (Kind::CharacterDevice, 0x103));
    assert_eq!(system.stat("/fifo").map(|seen| seen.device), Ok(0));
    assert_eq!(system.read(opened.file, 0, 1), Err(Error::Invalid));
    system.actor.uid = 5;
    let node = Node { kind: Kind::BlockDevice, permissions: 0o666, device: 1 };
    assert_eq!(system.ask(|vfs, number, actor| vfs.make_node(number, at("/b"), actor, node)).map(|_| ()), Err(Error::NotPermitted));
}

#[test]
fn removal_obeys_kinds() {
    let mut system = tree();
    assert_eq!(system.unlink("/a"), Err(Error::IsDirectory));
    assert_eq!(system.unlink("/"), Err(Error::IsDirectory));
    assert_eq!(system.rmdir("/a/f"), Err(Error::NotDirectory));
    assert_eq!(system.rmdir("/a"), Err(Error::NotEmpty));
    assert_eq!(system.rmdir("/a/."), Err(Error::Invalid));
    assert_eq!(system.rmdir("/a/b/.."), Err(Error::NotEmpty));
    assert_eq!(system.rmdir("/"), Err(Error::Busy));
    assert_eq!(system.unlink("/a/f/"), Err(Error::NotDirectory));
    assert_eq!(system.unlink("/x"), Err(Error::NotFound));
    system.rmdir("/a/b/c/").unwrap();
    assert_eq!(system.stat("/a/b").map(|seen| seen.links), Ok(2));
    system.check();
}

#[test]
fn removed_directory_takes_no_more_files() {
    let mut system = tree();
    let gone = system.open("/a/b/c", OpenFlags::READ).unwrap().file;
    system.rmdir("/a/b/c").unwrap();
    let place = protocols::vfs::At::new(gone, b"x");
    let create = system.ask(|vfs, number, actor| vfs.open(number, place, actor, OpenFlags::CREATE, 0o644));
    assert_eq!(create, Err(Error::NotFound));
    assert_eq!(system.list_some(gone, 0, 600), Err(Error::NotFound));
    assert_eq!(system.path_of(gone, ROOT), Ok("\0/a/b/c".into()));
    system.close(gone).unwrap();
    system.check();
}

#[test]
fn hard_links_are_one_file() {
    let mut system = tree();
    system.link("/a/f", "/h").unwrap();
    assert_eq!(system.stat("/h").map(|seen| seen.links), Ok(2));
    system.unlink("/a/f").unwrap();
    assert_eq!(system.content("/h"), Ok(b"f".to_vec()));
    assert_eq!(system.stat("/h").map(|seen| seen.links), Ok(1));
    system.check();
}

#[test]
fn rename_moves_and_replaces() {
    let mut system = tree();
    system.rename("/a/f", "/f2", REPLACE).unwrap();
    assert_eq!(system.content("/f2"), Ok(b"f".to_vec()));
    system.rename("/f2", "/a/b/g", REPLACE).unwrap();
    assert_eq!(system.content("/a/b/g"), Ok(b"f".to_vec()));
    system.rename("/a/b", "/moved", REPLACE).unwrap();
    assert_eq!(system.stat("/moved/..").map(|seen| seen.file), Ok(ROOT));
    assert_eq!((system.stat("/").unwrap().links, system.stat("/a").unwrap().links), (4, 2));
    system.mkdir("/empty").unwrap();
    system.rename("/moved", "/empty", REPLACE).unwrap();
    assert_eq!(system.content("/empty/g"), Ok(b"f".to_vec()));
    system.check();
}

#[test]
fn rename_refuses_what_linux_refuses() {
    let mut system = tree();
    let mut rename = |from: &str, to: &str, mode| system.rename(from, to, mode);
    assert_eq!(rename("/x", "/y", REPLACE), Err(Error::NotFound));
    assert_eq!(rename("/a", "/a/b/c/d", REPLACE), Err(Error::Invalid));
    assert_eq!(rename("/a/b", "/a/b", REPLACE), Ok(()));
    assert_eq!(rename("/a/b/c", "/a", REPLACE), Err(Error::NotEmpty));
    assert_eq!(rename("/a/f", "/a/b", REPLACE), Err(Error::IsDirectory));
    assert_eq!(rename("/a/b", "/a/f", REPLACE), Err(Error::NotDirectory));
    assert_eq!(rename("/a/f", "/new/", REPLACE), Err(Error::NotDirectory));
    assert_eq!(rename("/a/.", "/x", REPLACE), Err(Error::Busy));
    assert_eq!(rename("/a/f", "/..", REPLACE), Err(Error::Busy));
    assert_eq!(rename("/a/f", "/a/b/g", RenameMode::NoReplace), Err(Error::Exists));
    assert_eq!(rename("/a/f", "/a/x", RenameMode::Exchange), Err(Error::NotFound));
    assert_eq!(rename("/a", "/a/b/c", RenameMode::Exchange), Err(Error::Invalid));
    system.check();
}

#[test]
fn exchange_swaps_a_file_and_a_directory() {
    let mut system = tree();
    system.rename("/a/b/c", "/a/f", RenameMode::Exchange).unwrap();
    assert_eq!(system.content("/a/b/c"), Ok(b"f".to_vec()));
    assert_eq!(system.stat("/a/f").map(|seen| seen.kind), Ok(Kind::Directory));
    assert_eq!((system.stat("/a").unwrap().links, system.stat("/a/b").unwrap().links), (4, 2));
    system.check();
}

#[test]
fn listing_is_complete_in_every_size() {
    let mut system = System::pending(9);
    let mut names: Vec<String> = (0..300).map(|index| format!("name-{index}-{}", "x".repeat(index % 90))).collect();
    for name in &names {
        system.put(&format!("/{name}"), b"");
    }
    for room in [150, 1000, 100_000] {
        let (mut seen, mut cookie) = (Vec::new(), 0);
        loop {
            let (some, next) = system.list_some(ROOT, cookie, room).unwrap();
            if some.is_empty() {
                break;
            }
            assert_eq!(some.last().map(|(_, next)| *next), Some(next));
            seen.extend(some.into_iter().map(|(name, _)| name));
            cookie = next;
        }
        assert_eq!(seen.drain(..2).collect::<Vec<_>>(), [".", ".."]);
        assert_eq!(seen, names);
    }
    assert_eq!(system.list_some(ROOT, 0, 20), Err(Error::Invalid));
    names.sort();
}

#[test]
fn names_that_stay_are_listed_once_whatever_else_goes() {
    let mut system = System::new();
    for index in 0..60 {
        system.put(&format!("/f{index}"), b"");
    }
    let (mut seen, mut cookie, mut round) = (Vec::new(), 0, 0);
    loop {
        let (some, next) = system.list_some(ROOT, cookie, 200).unwrap();
        let Some((last, _)) = some.last().cloned() else { break };
        seen.extend(some.into_iter().map(|(name, _)| name));
        cookie = next;
        // The entry that the cookie names goes, and one further on; its slot is used again.
        if last != ".." {
            system.unlink(&format!("/{last}")).unwrap();
        }
        let _ = system.unlink(&format!("/f{}", 59 - round));
        system.put(&format!("/new{round}"), b"");
        round += 1;
        if round > 30 {
            break;
        }
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), seen.len());
    system.check();
}

#[test]
fn paths_of_files_are_told() {
    let mut system = tree();
    let file = |system: &mut System, path: &str| system.stat(path).unwrap().file;
    let (root, inner, deep) = (ROOT, file(&mut system, "/a/b"), file(&mut system, "/a/b/g"));
    assert_eq!(system.path_of(root, root), Ok("/".into()));
    assert_eq!(system.path_of(deep, root), Ok("/a/b/g".into()));
    assert_eq!(system.path_of(deep, inner), Ok("/g".into()));
    let outside = file(&mut system, "/a/f");
    assert_eq!(system.path_of(outside, inner), Err(Error::NotFound));
    let lease = system.room(4);
    assert_eq!(system.ask(|vfs, number, _| vfs.path_of(number, deep, root, 4, lease)), Err(Error::Range));
    system.rename("/a/b", "/z", REPLACE).unwrap();
    assert_eq!(system.path_of(deep, root), Ok("/z/g".into()));
}

#[test]
fn path_of_what_was_removed_while_open_is_the_one_that_it_had() {
    let mut system = tree();
    let read = |system: &mut System, path: &str| system.open(path, OpenFlags::READ).unwrap().file;
    let (unlinked, replaced) = (read(&mut system, "/a/b/g"), read(&mut system, "/a/f"));
    system.unlink("/a/b/g").unwrap();
    assert_eq!(system.path_of(unlinked, ROOT), Ok("\0/a/b/g".into()));
    let with_name = system.open("/new", OpenFlags::CREATE.with(OpenFlags::WRITE)).unwrap().file;
    system.rename("/new", "/a/f", REPLACE).unwrap();
    assert_eq!(system.path_of(replaced, ROOT), Ok("\0/a/f".into()));
    assert_eq!(system.path_of(with_name, ROOT), Ok("/a/f".into()));
    // Where it was may be gone or be called otherwise: that is not its path's business any more.
    system.rename("/a", "/z", REPLACE).unwrap();
    assert_eq!(system.path_of(unlinked, ROOT), Ok("\0/a/b/g".into()));
    system.check();
    for file in [unlinked, replaced, with_name] {
        system.close(file).unwrap();
    }
    system.check();
    assert_eq!(system.path_of(unlinked, ROOT), Err(Error::Stale));
}

#[test]
fn path_of_a_removed_file_is_kept_only_while_texts_are_plenty() {
    let mut system = tree();
    let target = "t".repeat(1500);
    let mut links = 0;
    while system.symlink(&target, &format!("/l{links}")).is_ok() {
        links += 1;
    }
    let open = system.open("/a/f", OpenFlags::READ).unwrap().file;
    system.unlink("/a/f").unwrap();
    assert_eq!(system.path_of(open, ROOT), Err(Error::NotFound));
    system.close(open).unwrap();
    system.check();
}

#[test]
fn walks_stop_where_the_caller_answers() {
    let mut system = tree();
    let proc = system.mkdir("/proc").unwrap();
    system.symlink("/proc/self/", "/s").unwrap();
    system.ask(|vfs, number, _| vfs.set_mount(number, proc, true)).unwrap();
    let resolve = |system: &mut System, path: &str| {
        let lease = system.room(100);
        let resolved = system.ask(|vfs, number, actor| vfs.resolve(number, at(path), actor, 100, lease))?;
        Ok::<_, Error>(resolved.map(|(mount, count)| (mount, String::from_utf8(system.memory[..count as usize].to_vec()).unwrap())))
    };
    assert_eq!(system.stat("/proc").map(|_| ()), Err(Error::Elsewhere(proc)));
    assert_eq!(system.open("/a/../proc/1/stat", OpenFlags::READ), Err(Error::Elsewhere(proc)));
    assert_eq!(resolve(&mut system, "/a/../proc/1/stat"), Ok(Some((proc, "1/stat".into()))));
    assert_eq!(resolve(&mut system, "/s/fd/"), Ok(Some((proc, "self/fd/".into()))));
    assert_eq!(resolve(&mut system, "/proc"), Ok(Some((proc, String::new()))));
    assert_eq!(resolve(&mut system, "/a"), Ok(None));
    assert_eq!(system.rmdir("/proc"), Err(Error::Busy));
    assert_eq!(system.rename("/proc", "/p", REPLACE), Err(Error::Busy));
    assert_eq!(system.mkdir("/proc").map(|_| ()), Err(Error::Exists));
    let up = protocols::vfs::At::new(proc, b"../a");
    assert!(system.ask(|vfs, number, actor| vfs.stat(number, up, actor)).is_ok());
    system.ask(|vfs, number, _| vfs.set_mount(number, proc, false)).unwrap();
    assert!(system.stat("/proc").is_ok());
    assert_eq!(system.ask(|vfs, number, _| vfs.set_mount(number, FileId { inode: 9999, generation: 1 }, true)), Err(Error::Stale));
}
