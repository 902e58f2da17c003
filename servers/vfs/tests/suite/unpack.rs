//! The root file system at the first start.

use super::harness::System;
use libsys::host::crash_at_failpoint;
use protocols::vfs::Kind;
use vfs::StartError;
use vfs::cpio::ArchiveError;
use vfs::unpack::UnpackError;

struct Item<'a> {
    path: &'a str,
    mode: u32,
    inode: u32,
    links: u32,
    device: (u32, u32),
    data: &'a [u8],
}

const fn item<'a>(path: &'a str, mode: u32, data: &'a [u8]) -> Item<'a> {
    Item { path, mode, inode: 0, links: 1, device: (0, 0), data }
}

fn pack(items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items.iter().chain([&item("TRAILER!!!", 0, b"")]) {
        let (path, size) = (item.path.as_bytes(), item.data.len() as u32);
        let fields = [item.inode, item.mode, 3, 4, item.links, 77, size, 0, 0, item.device.0, item.device.1, path.len() as u32 + 1, 0];
        bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| bytes.extend_from_slice(format!("{field:08x}").as_bytes()));
        for part in [&[path, &[0]].concat(), item.data] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

fn archive() -> Vec<u8> {
    let big = vec![3; 9000];
    pack(&[
        item(".", 0o040_755, b""),
        item("bin", 0o040_755, b""),
        Item { inode: 9, links: 2, ..item("bin/busybox", 0o100_755, &big) },
        Item { inode: 9, links: 2, ..item("bin/sh", 0o100_755, b"") },
        item("init", 0o120_777, b"bin/busybox"),
        Item { device: (5, 1), ..item("/console", 0o020_600, b"") },
        item("empty", 0o100_600, b""),
    ])
}

fn assert_unpacked(system: &mut System) {
    let tree = system.tree();
    let paths: Vec<&str> = tree.keys().map(String::as_str).collect();
    assert_eq!(paths, ["/", "/bin", "/bin/busybox", "/bin/sh", "/console", "/empty", "/init"]);
    let busybox = &tree["/bin/busybox"];
    assert_eq!((busybox.permissions, busybox.links, busybox.owner, busybox.modified.seconds), (0o755, 2, (3, 4), 77));
    assert_eq!(busybox.content, vec![3; 9000]);
    assert_eq!(tree["/bin/sh"].content, busybox.content);
    assert_eq!((tree["/console"].kind, tree["/console"].device), (Kind::CharacterDevice, 0x501));
    assert_eq!(tree["/init"].content, b"bin/busybox");
    for (directory, entries) in [("/", 4), ("/bin", 2)] {
        let seen = system.stat(directory).unwrap();
        assert_eq!((seen.modified.seconds, seen.size), (77, 20 * (2 + entries)), "{directory}");
    }
    system.check();
}

#[test]
fn archive_becomes_the_tree_once() {
    let mut system = System::with(None, &archive());
    assert_unpacked(&mut system);
    system.unlink("/empty").unwrap();
    assert_eq!(system.stat("/").unwrap().size, 100);
    system.restart();
    assert!(system.stat("/empty").is_err());
}

#[test]
fn interrupted_unpacking_starts_again() {
    for nth in 1..=7 {
        let mut system = System::new();
        system.forget_unpacking(&archive());
        assert!(crash_at_failpoint("unpack.entry", nth, || system.restart()).is_none());
        system.restart();
        assert_unpacked(&mut system);
    }
}

#[test]
fn unpacking_survives_a_crash_at_any_store() {
    let mut nth = 0;
    loop {
        let mut system = System::new();
        system.forget_unpacking(&archive());
        let ended = libsys::host::crash_at_store(nth, || system.restart()).is_some();
        if !ended {
            system.restart();
        }
        assert_unpacked(&mut system);
        if ended {
            break;
        }
        nth += 37;
    }
}

#[test]
fn damaged_archives_are_refused_in_words() {
    let bytes = archive();
    let error = System::try_with(None, &bytes[..300]).err().unwrap();
    assert_eq!(error, StartError::Unpack(UnpackError::Archive(ArchiveError::Truncated)));
    assert_eq!(error.to_string(), "the root file system cannot be unpacked: it ends within an entry");
    let nowhere = System::try_with(None, &pack(&[item("a/b", 0o100_644, b"")])).err().unwrap();
    assert_eq!(nowhere.to_string(), "the root file system cannot be unpacked: entry 0 of the archive: No such file or directory");
}
