//! Unpacking the root file system, once.
//!
//! Each entry is made in small transactions, and making one that is there makes it again: an unpacking that was interrupted starts from the beginning and
//! ends with the same tree. Only the last transaction says that it was done. What comes into a directory changes its times, so those that the archive gives to
//! directories are set at the end.

use alloc::vec::Vec;
use core::fmt;

use libsys::fail::hit;
use protocols::vfs::{Actor, At, Error, FileId, Kind, MAX_TRANSFER, Node, ROOT, Reply, Time, WriteAt};

use crate::attempt::Attempt;
use crate::cpio::{Archive, ArchiveError, Entry};
use crate::fail::Point;
use crate::gate::Vfs;
use crate::host::{Host, PAGE};
use crate::walk::Mode;

/// Why the root file system cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// The archive is damaged.
    Archive(ArchiveError),
    /// An entry cannot be made; entries count from 0.
    Entry {
        /// Which.
        index: usize,
        /// Why.
        error: Error,
    },
}

impl fmt::Display for UnpackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(error) => write!(formatter, "{error}"),
            Self::Entry { index, error } => write!(formatter, "entry {index} of the archive: {error}"),
        }
    }
}

/// Names of files that have several, by what the archive calls their identity.
type Linked<'a> = Vec<((u32, u32, u32), &'a [u8])>;

/// Unpacks `archive`; empty bytes are an empty one.
///
/// # Errors
/// [`UnpackError`].
pub fn unpack<H: Host>(vfs: &mut Vfs<H>, archive: &[u8]) -> Result<(), UnpackError> {
    let mut linked = Linked::new();
    let entries = if archive.is_empty() { None } else { Some(Archive::new(archive)) };
    let mut directories = Vec::new();
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        let entry = entry.map_err(UnpackError::Archive)?;
        make(vfs, &entry, &mut linked).map_err(|error| UnpackError::Entry { index, error })?;
        if entry.kind == Kind::Directory {
            directories.push((index, entry));
        }
        hit(Point::UnpackEntry);
    }
    for (index, entry) in directories {
        let finished = vfs.transact(0, |attempt| finish(attempt, &place(entry.path), &entry));
        finished.map_err(|error| UnpackError::Entry { index, error })?;
    }
    vfs.transact(0, |attempt| {
        attempt.state.unpacked.set(attempt.tx, 1);
        Ok(())
    })
    .map_err(|error| UnpackError::Entry { index: 0, error })
}

/// Where an entry goes: what its path says, seen from the root.
fn place(path: &[u8]) -> At<'_> {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    At::no_follow(ROOT, path.get(start..).unwrap_or_default())
}

fn make<'a, H: Host>(vfs: &mut Vfs<H>, entry: &Entry<'a>, linked: &mut Linked<'a>) -> Result<(), Error> {
    let at = place(entry.path);
    let known = linked.iter().find(|(identity, _)| *identity == entry.identity).map(|(_, path)| *path);
    match known {
        Some(first) if entry.links > 1 && entry.kind != Kind::Directory => link(vfs, &place(first), &at)?,
        _ => {
            vfs.transact(0, |attempt| make_one(attempt, &at, entry))?;
            if entry.links > 1 {
                linked.push((entry.identity, entry.path));
            }
        }
    }
    if entry.kind == Kind::File && !entry.data.is_empty() {
        fill(vfs, &at, entry.data)?;
    }
    vfs.transact(0, |attempt| finish(attempt, &at, entry))
}

fn link<H: Host>(vfs: &mut Vfs<H>, from: &At<'_>, to: &At<'_>) -> Result<(), Error> {
    let made = vfs.transact(0, |attempt| attempt.link(from, to, &Actor::superuser()));
    if made == Err(Error::Exists) { Ok(()) } else { made.map(|_| ()) }
}

/// Makes an entry, without data, unless it is there.
fn make_one<H: Host>(attempt: &mut Attempt<'_, H>, at: &At<'_>, entry: &Entry<'_>) -> Result<(), Error> {
    let actor = Actor::superuser();
    let place = attempt.walk(at, &actor, Mode::Name)?;
    if place.found != 0 {
        let there = attempt.state.inode(place.found)?;
        return if there.is(entry.kind) { Ok(()) } else { Err(Error::Exists) };
    }
    let made = match entry.kind {
        Kind::Directory => attempt.make_directory(at, &actor, entry.permissions),
        Kind::Symlink => attempt.make_symlink(at, &actor, entry.data),
        kind => attempt.make_node(at, &actor, Node { kind, permissions: entry.permissions, device: entry.device }),
    };
    made.map(|_| ())
}

fn find<H: Host>(attempt: &mut Attempt<'_, H>, at: &At<'_>) -> Result<FileId, Error> {
    match attempt.stat(at, &Actor::superuser())? {
        Reply::Attributes(attributes) => Ok(attributes.file),
        _ => Err(Error::Damaged),
    }
}

/// Writes a file's bytes, in place of those that it has.
fn fill<H: Host>(vfs: &mut Vfs<H>, at: &At<'_>, data: &[u8]) -> Result<(), Error> {
    vfs.transact(0, |attempt| attempt.truncate(at, &Actor::superuser(), 0))?;
    for piece in data.chunks(MAX_TRANSFER as usize) {
        let written = vfs.transact(piece.len().div_ceil(PAGE) as u32, |attempt| {
            let file = find(attempt, at)?;
            let mut source = piece;
            attempt.write(&mut source, file, WriteAt::End, piece.len() as u32, true)
        })?;
        match written {
            Reply::Written { count, .. } if count as usize == piece.len() => {}
            _ => return Err(Error::NoSpace),
        }
    }
    Ok(())
}

/// Sets what the archive says about an entry.
fn finish<H: Host>(attempt: &mut Attempt<'_, H>, at: &At<'_>, entry: &Entry<'_>) -> Result<(), Error> {
    let (number, mut inode) = {
        let file = find(attempt, at)?;
        attempt.state.find(file)?
    };
    (inode.uid, inode.gid) = (entry.uid, entry.gid);
    if entry.kind != Kind::Symlink {
        inode.permissions = entry.permissions;
    }
    inode.set_modified(Time { seconds: i64::from(entry.modified), nanoseconds: 0 });
    attempt.put(number, &inode)
}
