//! The real file system server on a machine of vectors: foreign messages, foreign paths, foreign archives, and a death in between.
//!
//! Whatever came, every answer is one, its own check of all its state holds, and it does so again after a restart.

use abi::Lease;
use protocols::call::Carrier;
use protocols::vfs::{OpenFlags, RenameMode};
use vfs::cpio::Archive;

use crate::models::files::Temporary;
use crate::samples::{self, Protocol, bytes_of};

/// Bytes of a lease that goes with every foreign message.
const LENT: u64 = 8192;
/// What separates messages of an input, and paths.
const MESSAGE_END: &[u8] = b"\xff\xfe";
const PATH_END: u8 = b'\n';

/// All that vfs says of its state holds, before and after a restart.
fn check(mut system: Temporary) {
    system.0.check();
    system.0.restart();
    system.0.check();
}

/// Messages, one after the other, each with a lease to read and write; the first two bytes say which of them dies, and at which store.
pub(super) fn requests(bytes: &[u8]) {
    let Some(([dying, store], messages)) = bytes.split_first_chunk() else { return };
    let mut system = populated();
    for (index, message) in split(messages).into_iter().enumerate() {
        if index == usize::from(*dying % 16) {
            system.0.crash_at = Some(u64::from(*store));
        }
        let lease = Lease { address: 0, length: LENT, rights: Lease::READ | Lease::WRITE, ..Lease::default() };
        let number = system.0.number();
        let message = message.get(..abi::MAX_MESSAGE).unwrap_or(message);
        let answered = system.0.attempt(number, message, &[lease], &[], &mut [0; abi::MAX_MESSAGE]);
        assert!(answered.is_ok(), "{answered:?}");
    }
    check(system);
}

fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(MESSAGE_END.len()).position(|window| window == MESSAGE_END) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + MESSAGE_END.len()..];
    }
    parts.push(bytes);
    parts
}

pub(super) fn request_seeds() -> Vec<Vec<u8>> {
    let short = |bytes: &Vec<u8>| bytes.len() < 200;
    let messages: Vec<Vec<u8>> = samples::vfs::Vfs::requests().iter().map(bytes_of).filter(short).collect();
    messages.windows(4).step_by(2).map(|some| [&[1, 9], &*some.join(MESSAGE_END)].concat()).collect()
}

/// A small tree, for requests and paths to meet something.
fn populated() -> Temporary {
    let mut system = Temporary::new(&[]).expect("an empty root");
    system.0.mkdir("/a").expect("an empty root has room");
    system.0.put("/a/f", b"content");
    system.0.symlink("a/f", "/l").expect("an empty root has room");
    system.0.symlink("loop", "/loop").expect("an empty root has room");
    system
}

/// Lines `OPERATION PATH`, with a second path behind a tab; any bytes may be in paths but the line's end.
pub(super) fn paths(bytes: &[u8]) {
    let mut system = populated();
    for line in bytes.split(|byte| *byte == PATH_END).take(32) {
        let Some((operation, rest)) = line.split_first() else { continue };
        let paths: Vec<String> = rest.splitn(2, |byte| *byte == b'\t').map(|path| path.iter().map(|byte| char::from(*byte)).collect()).collect();
        let first = paths.first().map_or("", String::as_str);
        let second = paths.get(1).map_or("/a/other", String::as_str);
        let system = &mut system.0;
        // Any answer will do; what must hold is checked at the end.
        let _answer = match operation % 9 {
            0 => system.open(first, OpenFlags::CREATE.with(OpenFlags::WRITE)).and_then(|opened| system.close(opened.file)),
            1 => system.mkdir(first).map(drop),
            2 => system.rmdir(first),
            3 => system.unlink(first),
            4 => system.symlink(second, first).map(drop),
            5 => system.link(first, second),
            6 => system.rename(first, second, RenameMode::Replace),
            7 => system.rename(first, second, RenameMode::Exchange),
            _ => system.stat(first).map(drop),
        };
    }
    check(system);
}

pub(super) fn path_seeds() -> Vec<Vec<u8>> {
    let deep = "/a".to_owned() + &"/..//./a".repeat(20);
    let long = format!("1/{}\n0/{}/x\n", "n".repeat(255), "n".repeat(256));
    let lines = "1/d\n1/d/e\n6/d\t/d/e/f\n4/d/s\t../d\n0/d/s/s/x\n5/a/f\t/d/g\n7/a\t/d\n2/d/e\n3/l\n8/loop\n3/d/g\n".to_owned();
    vec![lines.into_bytes(), format!("8{deep}\n{long}").into_bytes(), b"8\n8.\n8/\n8//\n8\0\n1/\xff\xc0\n".to_vec()]
}

/// An archive is unpacked as it is, or refused in words; half a tree is a tree that holds together.
pub(super) fn cpio(bytes: &[u8]) {
    for entry in Archive::new(bytes) {
        match entry {
            Ok(entry) => assert!(!entry.path.is_empty() && !entry.path.split(|byte| *byte == b'/').any(|part| part == b".."), "{entry:?}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    match Temporary::new(bytes) {
        Ok(system) => check(system),
        Err(error) => assert!(!format!("{error:?}").is_empty()),
    }
}

pub(super) fn cpio_seeds() -> Vec<Vec<u8>> {
    let entries = [
        ("etc", 0o040_755, 2, ""),
        ("etc/motd", 0o100_644, 1, "hello\n"),
        ("bin/sh", 0o120_777, 1, "/bin/busybox"),
        ("hard", 0o100_644, 2, "twice"),
        ("hard2", 0o100_644, 2, ""),
        ("dev/null", 0o020_666, 1, ""),
        ("TRAILER!!!", 0, 1, ""),
    ];
    let mut bytes = Vec::new();
    for (inode, (path, mode, links, data)) in entries.iter().enumerate() {
        let fields = [inode.min(4), *mode, 0, 0, *links, 1_700_000_000, data.len(), 0, 0, 1, 3, path.len() + 1, 0];
        bytes.extend(b"070701");
        fields.iter().for_each(|field| bytes.extend(format!("{field:08x}").bytes()));
        for part in [format!("{path}\0"), (*data).to_owned()] {
            bytes.extend(part.bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    vec![bytes]
}
