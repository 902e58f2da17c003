//! What is told by lease: the entries of directories, what links say, the paths of files.

use protocols::serve::Caller;
use protocols::vfs::{Actor, At, Error, FileId, Kind, LOST, MAX_NAME, Record, Reply, encode_record, record_length};

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::Inode;
use crate::walk::Mode;

/// Cookie after `.`.
const AFTER_DOT: u64 = 1;
/// Cookie after `..`; those of entries are larger.
const AFTER_DOT_DOT: u64 = 2;
/// Most bytes of a path that is told (Linux: `PATH_MAX`).
const MAX_TOLD: usize = 4096;
/// Bytes of records that are collected before they are copied.
const BATCH: usize = 4096;

impl<H: Host> Attempt<'_, H> {
    /// [`protocols::vfs::Request::ReadDirectory`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NotDirectory`], [`Error::NotFound`] of a removed one, [`Error::Invalid`] if not even one record fits; of the
    /// lease.
    pub fn read_directory(&mut self, caller: &mut dyn Caller, directory: FileId, cookie: u64, length: u32) -> Result<Reply, Error> {
        let (number, mut inode) = self.find(directory)?;
        if !inode.is(Kind::Directory) {
            return Err(Error::NotDirectory);
        }
        if inode.links == 0 {
            return Err(Error::NotFound);
        }
        let mut records = Records { caller, batch: [0; BATCH], filled: 0, sent: 0, room: length as usize };
        let mut next = cookie;
        while let Some((name, record)) = self.record_after(number, &inode, next)? {
            let record = Record { name: &name, ..record };
            if !records.push(&record)? {
                if records.is_empty() {
                    return Err(Error::Invalid);
                }
                break;
            }
            next = record.next;
        }
        let count = records.finish()?;
        if self.is_stale(&inode) {
            inode.set_accessed(self.now);
            self.put(number, &inode)?;
        }
        Ok(Reply::Listed { count, next })
    }

    /// The record after a reader's place: its name, and the rest of it.
    fn record_after(&self, number: u32, inode: &Inode, cookie: u64) -> Result<Option<(heapless::Vec<u8, MAX_NAME>, Record<'static>)>, Error> {
        let dots = |name: &[u8], inode: u32, next| {
            let name = heapless::Vec::from_slice(name).map_err(|_| Error::Damaged)?;
            Ok(Some((name, Record { inode: u64::from(inode), next, kind: Kind::Directory, name: b"" })))
        };
        match cookie {
            0 => dots(b".", number, AFTER_DOT),
            AFTER_DOT => dots(b"..", inode.parent, AFTER_DOT_DOT),
            _ => {
                let Some((slot, entry)) = self.state.entry_after(number, inode, cookie)? else { return Ok(None) };
                let text = self.state.text(entry.text, usize::from(entry.length))?;
                let name = heapless::Vec::from_slice(&text).map_err(|_| Error::Damaged)?;
                let kind = Kind::from_number(entry.kind).ok_or(Error::Damaged)?;
                Ok(Some((name, Record { inode: u64::from(entry.inode), next: entry.cookie(slot), kind, name: b"" })))
            }
        }
    }

    /// [`protocols::vfs::Request::ReadSymlink`].
    ///
    /// # Errors
    /// Those of path resolution, [`Error::Invalid`] for anything else than a symbolic link; of the lease.
    pub fn read_symlink(&mut self, caller: &mut dyn Caller, at: &At<'_>, actor: &Actor, length: u32) -> Result<Reply, Error> {
        let (_, inode) = self.walk_to_file(at, actor)?;
        if !inode.is(Kind::Symlink) {
            return Err(Error::Invalid);
        }
        let target = self.state.text(inode.target, inode.size as usize)?;
        let told = target.get(..length as usize).unwrap_or(&target);
        caller.write(0, 0, told)?;
        Ok(Reply::Count(told.len() as u32))
    }

    /// [`protocols::vfs::Request::PathOf`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NotFound`], [`Error::Range`]; of the lease.
    pub fn path_of(&mut self, caller: &mut dyn Caller, file: FileId, root: FileId, length: u32) -> Result<Reply, Error> {
        let (number, inode) = self.find(file)?;
        let mut path = Path::default();
        if inode.has_lost_path() {
            path.prepend(&self.state.text(inode.target, inode.text_length())?)?;
            path.prepend(&[LOST])?;
            return tell(caller, path.bytes(), length).map(Reply::Count);
        }
        self.climb(number, root.inode, &mut path)?;
        if path.bytes().is_empty() {
            path.prepend(b"/")?;
        }
        tell(caller, path.bytes(), length).map(Reply::Count)
    }

    /// Puts the names from `root` down to a file before what is there of its path.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one without a name there, [`Error::NameTooLong`].
    pub fn climb(&mut self, mut number: u32, root: u32, path: &mut Path) -> Result<(), Error> {
        while number != root {
            let inode = self.inode(number)?;
            if inode.name == 0 {
                return Err(Error::NotFound);
            }
            let entry = self.state.entry(inode.name)?;
            path.prepend(&self.state.text(entry.text, usize::from(entry.length))?)?;
            path.prepend(b"/")?;
            number = entry.directory;
        }
        Ok(())
    }

    /// [`protocols::vfs::Request::Resolve`].
    ///
    /// # Errors
    /// Those of path resolution, [`Error::Range`]; of the lease.
    pub fn resolve(&mut self, caller: &mut dyn Caller, at: &At<'_>, actor: &Actor, length: u32) -> Result<Reply, Error> {
        match self.walk(at, actor, if at.follow { Mode::Follow } else { Mode::Keep }) {
            Ok(_) => Ok(Reply::Done),
            Err(Error::Elsewhere(mount)) => {
                let rest = core::mem::take(&mut self.rest);
                tell(caller, &rest, length).map(|count| Reply::Elsewhere { mount, count })
            }
            Err(error) => Err(error),
        }
    }
}

/// A path that is put together from its end.
pub struct Path {
    bytes: [u8; MAX_TOLD],
    start: usize,
}

impl Default for Path {
    fn default() -> Self {
        Self { bytes: [0; MAX_TOLD], start: MAX_TOLD }
    }
}

impl Path {
    /// Puts bytes before it.
    ///
    /// # Errors
    /// [`Error::NameTooLong`].
    pub fn prepend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let start = self.start.checked_sub(bytes.len()).ok_or(Error::NameTooLong)?;
        self.bytes.get_mut(start..self.start).ok_or(Error::Damaged)?.copy_from_slice(bytes);
        self.start = start;
        Ok(())
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

fn tell(caller: &mut dyn Caller, bytes: &[u8], room: u32) -> Result<u32, Error> {
    let length = u32::try_from(bytes.len()).map_err(|_| Error::Range)?;
    if length > room {
        return Err(Error::Range);
    }
    caller.write(0, 0, bytes)?;
    Ok(length)
}

/// Records on their way to lease 0, in batches.
struct Records<'a> {
    caller: &'a mut dyn Caller,
    batch: [u8; BATCH],
    filled: usize,
    sent: usize,
    room: usize,
}

impl Records<'_> {
    const fn is_empty(&self) -> bool {
        self.sent + self.filled == 0
    }

    /// Adds a record; `false` if it does not fit into the lease.
    fn push(&mut self, record: &Record<'_>) -> Result<bool, Error> {
        let length = record_length(record.name.len());
        if self.sent + self.filled + length > self.room {
            return Ok(false);
        }
        if self.filled + length > BATCH {
            self.send()?;
        }
        let free = self.batch.get_mut(self.filled..).unwrap_or_default();
        self.filled += encode_record(record, free).ok_or(Error::Damaged)?;
        Ok(true)
    }

    fn send(&mut self) -> Result<(), Error> {
        let batch = self.batch.get(..self.filled).unwrap_or_default();
        self.caller.write(0, self.sent as u64, batch)?;
        (self.sent, self.filled) = (self.sent + self.filled, 0);
        Ok(())
    }

    fn finish(mut self) -> Result<u32, Error> {
        self.send()?;
        u32::try_from(self.sent).map_err(|_| Error::Invalid)
    }
}
