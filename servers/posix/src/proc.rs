//! /proc: made up from the saved state where a read begins, never saved.
//!
//! A place is an [`Entry`], small enough to be a file's record. [`walk`] is the path walk below /proc; where it meets a link that leads out (`exe`, `cwd`, `fd/0`) it
//! hands the rest of the path back to vfs. What a file says is in `system` and `process`.

mod cpuinfo;
mod directory;
mod kept;
mod pages;
mod process;
mod status;
mod synos;
mod system;
mod task;
mod trace;

use alloc::format;
use alloc::vec::Vec;

use protocols::vfs::{self, FileId};

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fd::{FOREIGN, kind};
use crate::io::{Data, Vector};
use crate::saved::{File, ProcessIndex, state};
use crate::server::Posix;
pub use directory::path_of;
pub use kept::Kept;
pub(crate) use process::name_of;
pub use synos::is_control;
pub use task::{NAME_BYTES, name_from};

use crate::devpts;
use crate::stat::{PROC_DEVICE, Stat, mode};

/// Files of /proc itself; an entry's number is its place here.
const SYSTEM_FILES: [&str; 9] = ["meminfo", "uptime", "loadavg", "stat", "version", "cpuinfo", "filesystems", "cmdline", "swaps"];
/// Files of /proc/PID and of /proc/PID/task/TID.
const PROCESS_FILES: [&str; 9] = ["stat", "status", "cmdline", "maps", "comm", "environ", "statm", "mounts", "limits"];
/// Those of them whose modes are not everybody's to read.
const COMM: u16 = 4;
const ENVIRON: u16 = 5;
/// Links of /proc/PID.
const PROCESS_LINKS: [&str; 3] = ["exe", "cwd", "root"];

const MOUNTS: u16 = 7;
/// What the link `mounts` says.
const MOUNTS_LINK: &[u8] = b"self/mounts";
/// What a link to an open file says that its length is (Linux: fixed).
const DESCRIPTOR_LINK_BYTES: u64 = 64;
/// Numbers of processes and threads are below 32768: two of them fit a generation.
const TID_BITS: u32 = 16;
const TID_MASK: u32 = (1 << TID_BITS) - 1;

/// A place in /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// /proc.
    Root,
    /// `self`: a link.
    Oneself,
    /// `mounts`: a link.
    Mounts,
    /// A file of /proc.
    System(u16),
    /// /proc/synos.
    Synos,
    /// A file of it.
    SynosFile(u16),
    /// /proc/PID.
    Process(u32),
    /// A file of it.
    ProcessFile(u32, u16),
    /// A link of it.
    ProcessLink(u32, u16),
    /// /proc/PID/fd.
    Descriptors(u32),
    /// A link in it.
    Descriptor(u32, u16),
    /// /proc/PID/task.
    Tasks(u32),
    /// /proc/PID/task/TID: the process and the thread.
    Task(u32, u32),
    /// A file of it.
    TaskFile(u32, u32, u16),
    /// A place in /dev/pts, which is a mount of its own.
    Devpts(devpts::Place),
}

impl Entry {
    /// As a file identity that vfs never gives out.
    #[must_use]
    pub const fn to_id(self) -> FileId {
        let (kind, argument, pid) = match self {
            Self::Root => (0, 0, 0),
            Self::Oneself => (1, 0, 0),
            Self::System(file) => (2, file, 0),
            Self::Synos => (3, 0, 0),
            Self::SynosFile(file) => (4, file, 0),
            Self::Process(pid) => (5, 0, pid),
            Self::ProcessFile(pid, file) => (6, file, pid),
            Self::ProcessLink(pid, link) => (7, link, pid),
            Self::Descriptors(pid) => (8, 0, pid),
            Self::Descriptor(pid, number) => (9, number, pid),
            Self::Mounts => (10, 0, 0),
            Self::Tasks(pid) => (11, 0, pid),
            Self::Task(pid, tid) => (12, 0, pid << TID_BITS | tid),
            Self::TaskFile(pid, tid, file) => (13, file, pid << TID_BITS | tid),
            Self::Devpts(place) => (0x40, place.to_number(), 0),
        };
        FileId { inode: FOREIGN | kind << 16 | argument as u32, generation: pid }
    }

    /// The place of such an identity.
    #[must_use]
    pub const fn from_id(id: FileId) -> Self {
        let (argument, pid) = (id.inode as u16, id.generation);
        match id.inode >> 16 & 0xff {
            1 => Self::Oneself,
            2 => Self::System(argument),
            3 => Self::Synos,
            4 => Self::SynosFile(argument),
            5 => Self::Process(pid),
            6 => Self::ProcessFile(pid, argument),
            7 => Self::ProcessLink(pid, argument),
            8 => Self::Descriptors(pid),
            9 => Self::Descriptor(pid, argument),
            10 => Self::Mounts,
            11 => Self::Tasks(pid),
            12 => Self::Task(pid >> TID_BITS, pid & TID_MASK),
            13 => Self::TaskFile(pid >> TID_BITS, pid & TID_MASK, argument),
            0x40 => Self::Devpts(devpts::Place::from_number(argument)),
            _ => Self::Root,
        }
    }

    /// The place that an open file is of.
    #[must_use]
    pub const fn from_file(file: &File) -> Self {
        Self::from_id(FileId { inode: file.object, generation: file.detail as u32 })
    }

    /// An open file of this place.
    #[must_use]
    pub fn to_file(self, flags: u32) -> File {
        let id = self.to_id();
        File { kind: kind::PROC, flags, object: id.inode, detail: u64::from(id.generation), ..File::default() }
    }

    /// Whether it is a directory.
    #[must_use]
    pub const fn is_directory(self) -> bool {
        matches!(
            self,
            Self::Root | Self::Synos | Self::Process(_) | Self::Descriptors(_) | Self::Tasks(_) | Self::Task(..) | Self::Devpts(devpts::Place::Root)
        )
    }

    /// Whether it is a link.
    #[must_use]
    pub const fn is_link(self) -> bool {
        matches!(self, Self::Oneself | Self::Mounts | Self::ProcessLink(..) | Self::Descriptor(..))
    }

    /// The process that it tells of.
    const fn pid(self) -> Option<u32> {
        match self {
            Self::Process(pid)
            | Self::ProcessFile(pid, _)
            | Self::ProcessLink(pid, _)
            | Self::Descriptors(pid)
            | Self::Descriptor(pid, _)
            | Self::Tasks(pid)
            | Self::Task(pid, _)
            | Self::TaskFile(pid, ..) => Some(pid),
            _ => None,
        }
    }

    /// Whether its owner may write it.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::ProcessFile(_, COMM) | Self::TaskFile(_, _, COMM)) || is_control(self)
    }
}

/// How a walk ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walked {
    /// Here.
    Entry(Entry),
    /// In vfs.
    Vfs {
        /// Where it goes on.
        start: FileId,
        /// The rest of the path.
        rest: Vec<u8>,
    },
}

fn place(names: &[&str], name: &[u8]) -> Option<u16> {
    names.iter().position(|known| known.as_bytes() == name).map(|index| index as u16)
}

fn number(name: &[u8]) -> Option<u32> {
    core::str::from_utf8(name).ok()?.parse().ok()
}

/// Walks `path` from `from`.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`.
pub fn walk(posix: &mut Posix<'_>, from: Entry, path: &[u8], follow: bool, caller: ProcessIndex) -> Result<Walked, Errno> {
    let mut at = from;
    let mut rest = path;
    loop {
        let trimmed = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
        let must_be_directory = trimmed > 0 && !rest.is_empty();
        rest = rest.get(trimmed..).unwrap_or_default();
        let is_last = rest.is_empty();
        if at.is_link() && (!is_last || follow || must_be_directory) {
            match follow_link(posix, at, caller)? {
                // An open file that has no place in the tree: its link stands for it, and nothing can lie below.
                Walked::Entry(entry) if entry == at => {
                    return if is_last && !must_be_directory { Ok(Walked::Entry(at)) } else { Err(Errno::ENOTDIR) };
                }
                Walked::Entry(entry) => {
                    at = entry;
                    continue;
                }
                Walked::Vfs { start, .. } => return Ok(Walked::Vfs { start, rest: rest.to_vec() }),
            }
        }
        if is_last {
            return if must_be_directory && !at.is_directory() { Err(Errno::ENOTDIR) } else { Ok(Walked::Entry(at)) };
        }
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        rest = rest.get(end..).unwrap_or_default();
        if name == b".."
            && let Some(above) = above_mount(at)
        {
            return Ok(Walked::Vfs { start: vfs::ROOT, rest: [above, rest].concat() });
        }
        at = step(posix, at, name)?;
    }
}

/// The path from vfs's root to the directory above a mount, if this is one.
const fn above_mount(at: Entry) -> Option<&'static [u8]> {
    match at {
        Entry::Root => Some(b""),
        Entry::Devpts(devpts::Place::Root) => Some(b"dev/"),
        _ => None,
    }
}

fn step(posix: &Posix<'_>, at: Entry, name: &[u8]) -> Result<Entry, Errno> {
    if !at.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if name == b"." {
        return Ok(at);
    }
    let found = match at {
        Entry::Root => match name {
            b"self" => Some(Entry::Oneself),
            b"mounts" => Some(Entry::Mounts),
            b"synos" => Some(Entry::Synos),
            _ => place(&SYSTEM_FILES, name).map(Entry::System).or_else(|| number(name).filter(|pid| posix.has_pid(*pid)).map(Entry::Process)),
        },
        Entry::Synos if name == b".." => Some(Entry::Root),
        Entry::Synos => synos::find(name).map(Entry::SynosFile),
        Entry::Process(_) if name == b".." => Some(Entry::Root),
        Entry::Process(pid) if name == b"fd" => Some(Entry::Descriptors(pid)),
        Entry::Process(pid) if name == b"task" => Some(Entry::Tasks(pid)),
        Entry::Process(pid) => place(&PROCESS_FILES, name)
            .map(|file| Entry::ProcessFile(pid, file))
            .or_else(|| place(&PROCESS_LINKS, name).map(|link| Entry::ProcessLink(pid, link))),
        Entry::Descriptors(pid) | Entry::Tasks(pid) if name == b".." => Some(Entry::Process(pid)),
        Entry::Task(pid, _) if name == b".." => Some(Entry::Tasks(pid)),
        Entry::Tasks(pid) => number(name).filter(|tid| posix.has_thread(pid, *tid)).map(|tid| Entry::Task(pid, tid)),
        Entry::Task(pid, tid) => place(&PROCESS_FILES, name).map(|file| Entry::TaskFile(pid, tid, file)),
        Entry::Descriptors(pid) => number(name)
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| posix.find_pid(pid).is_some_and(|process| posix.store.descriptor(process, usize::from(*number)).file != 0))
            .map(|number| Entry::Descriptor(pid, number)),
        Entry::Devpts(_) => posix.find_in_devpts(name).map(Entry::Devpts),
        _ => None,
    };
    found.ok_or(Errno::ENOENT)
}

/// Where a link leads. One to an open file without a place in the tree leads nowhere.
fn follow_link(posix: &mut Posix<'_>, link: Entry, caller: ProcessIndex) -> Result<Walked, Errno> {
    let out = |id: FileId| {
        let inside = id.inode & FOREIGN != 0;
        if inside { Walked::Entry(Entry::from_id(id)) } else { Walked::Vfs { start: id, rest: Vec::new() } }
    };
    match link {
        Entry::Oneself | Entry::Mounts if caller == 0 => Err(Errno::ENOENT),
        Entry::Oneself => Ok(Walked::Entry(Entry::Process(posix.store.process(caller).pid))),
        Entry::Mounts => Ok(Walked::Entry(Entry::ProcessFile(posix.store.process(caller).pid, MOUNTS))),
        Entry::ProcessLink(pid, which) => {
            let process = posix.store.process(posix.find_pid(pid).ok_or(Errno::ENOENT)?);
            let node = match which {
                0 => posix.store.map(process.map as usize).program,
                1 => process.directory,
                _ => process.root,
            };
            if process.state == state::LIVE { Ok(out(posix.node_id(node))) } else { Err(Errno::ENOENT) }
        }
        Entry::Descriptor(pid, number) => {
            let process = posix.find_pid(pid).ok_or(Errno::ENOENT)?;
            let (_, file) = posix.place_of(process, u64::from(number)).map_err(|_| Errno::ENOENT)?;
            match file.kind {
                kind::PROC => Ok(Walked::Entry(Entry::from_file(&file))),
                kind::TERMINAL | kind::MASTER if file.node == 0 => Ok(Walked::Entry(posix.name_in_devpts(&file).map_or(link, Entry::Devpts))),
                // A file without node is opened again by its descriptor: see `openat`.
                _ if file.node == 0 => Ok(Walked::Entry(link)),
                _ => Ok(out(posix.node_id(file.node))),
            }
        }
        other => Ok(Walked::Entry(other)),
    }
}

impl Posix<'_> {
    /// The process with a number, zombies included.
    #[must_use]
    pub fn find_pid(&self, pid: u32) -> Option<ProcessIndex> {
        self.processes.iter().copied().find(|process| self.store.process(*process).pid == pid)
    }

    fn has_pid(&self, pid: u32) -> bool {
        self.find_pid(pid).is_some()
    }

    fn has_thread(&self, pid: u32, tid: u32) -> bool {
        self.find_pid(pid).is_some_and(|process| self.find_thread(process, tid).is_some())
    }
}

impl Call<'_, '_> {
    /// Describes a place in /proc.
    pub fn stat_proc(&mut self, entry: Entry) -> Stat {
        if let Entry::Devpts(place) = entry {
            return self.stat_devpts(place);
        }
        let id = entry.to_id();
        let kind = self.mode_of(entry);
        let size = if let Entry::Descriptor(..) = entry { DESCRIPTOR_LINK_BYTES } else { 0 };
        let owner = entry.pid().and_then(|pid| self.posix.find_pid(pid)).map_or([0; 2], |process| {
            let process = self.posix.store.process(process);
            [process.uid[1], process.gid[1]]
        });
        let seconds = self.posix.kernel.wall_base_ns() / 1_000_000_000;
        let time = vfs::Time { seconds: seconds as i64, nanoseconds: 0 };
        let links = if entry.is_directory() { 2 } else { 1 };
        let inode = (u64::from(id.generation) << 32) | (u64::from(id.inode & !FOREIGN) + 1);
        let [uid, gid] = owner;
        Stat { device: PROC_DEVICE, inode, links, mode: kind, uid, gid, size, times: [time; 3], ..Stat::default() }
    }

    fn mode_of(&self, entry: Entry) -> u32 {
        match entry {
            Entry::Descriptors(_) => mode::DIRECTORY | 0o500,
            Entry::Descriptor(pid, number) => {
                let file = self.posix.find_pid(pid).and_then(|process| self.posix.place_of(process, u64::from(number)).ok());
                let (reads, writes) = file.map_or((false, false), |(_, file)| (file.reads(), file.writes()));
                mode::LINK | 0o100 | if reads { 0o400 } else { 0 } | if writes { 0o200 } else { 0 }
            }
            _ if entry.is_directory() => mode::DIRECTORY | 0o555,
            _ if entry.is_link() => mode::LINK | 0o777,
            Entry::ProcessFile(_, ENVIRON) | Entry::TaskFile(_, _, ENVIRON) => mode::REGULAR | 0o400,
            _ if is_control(entry) => mode::REGULAR | 0o600,
            Entry::SynosFile(synos::TRACE) => mode::REGULAR | 0o400,
            _ if entry.is_writable() => mode::REGULAR | 0o644,
            _ => mode::REGULAR | 0o444,
        }
    }

    /// What the caller may do with a place: bits of `access(2)`. As elsewhere, root may read and write everything, and only the owner's and
    /// everybody's bits count.
    #[must_use]
    pub fn allowed_in_proc(&mut self, entry: Entry, uid: u32) -> u32 {
        let Stat { mode, uid: owner, .. } = self.stat_proc(entry);
        match uid {
            0 => 6 | (mode | mode >> 6) & 1,
            _ if uid == owner => mode >> 6 & 7,
            _ => mode & 7,
        }
    }

    /// Reads a file of /proc.
    ///
    /// # Errors
    /// `EISDIR`, `ESRCH`, `EFAULT`.
    pub fn read_proc(&mut self, index: usize, file: &File, offset: Option<u64>, to: Vector) -> SysResult {
        let from = offset.unwrap_or(file.offset);
        let kept = self.posix.texts.take(index, from);
        let text = kept.map_or_else(|| self.proc_text(Entry::from_file(file)), Ok)?;
        let start = from.min(text.len() as u64) as usize;
        let part = text.get(start..).unwrap_or_default();
        let part = part.get(..to.length).unwrap_or(part);
        self.write(to.address, part)?;
        let (count, next) = (part.len() as u64, (start + part.len()) as u64);
        if offset.is_none() {
            self.posix.store.edit_file(index, |file| file.offset = next);
        }
        self.posix.texts.keep(index, next, text);
        Ok(count)
    }

    /// Only `/proc/synos/control` and threads' names can be written.
    ///
    /// # Errors
    /// `EINVAL` elsewhere and for what is no command, `EPERM` for who is not root, `ESRCH` for a server that does not run.
    pub fn write_proc(&mut self, file: &File, from: Data<'_>) -> SysResult {
        let entry = Entry::from_file(file);
        if is_control(entry) { self.control(from) } else { self.write_comm(entry, from) }
    }

    fn proc_text(&mut self, entry: Entry) -> Result<Vec<u8>, Stop> {
        match entry {
            Entry::System(file) => self.system_text(file),
            Entry::SynosFile(file) => self.synos_text(file),
            Entry::ProcessFile(pid, file) => self.process_text(pid, None, file),
            Entry::TaskFile(pid, tid, file) => self.process_text(pid, Some(tid), file),
            Entry::Root | Entry::Synos | Entry::Process(_) | Entry::Descriptors(_) | Entry::Tasks(_) | Entry::Task(..) | Entry::Devpts(_) => {
                Err(Errno::EISDIR.into())
            }
            Entry::Oneself | Entry::Mounts | Entry::ProcessLink(..) | Entry::Descriptor(..) => Err(Errno::ELOOP.into()),
        }
    }

    /// What a link in /proc says.
    ///
    /// # Errors
    /// `EINVAL` if it is no link, `ENOENT` if its file is gone.
    pub fn proc_link(&mut self, entry: Entry) -> Result<Vec<u8>, Stop> {
        if !entry.is_link() {
            return Err(Errno::EINVAL.into());
        }
        let process = self.process;
        match follow_link(self.posix, entry, process)? {
            Walked::Entry(Entry::Process(pid)) if entry == Entry::Oneself => Ok(format!("{pid}").into_bytes()),
            Walked::Entry(_) if entry == Entry::Mounts => Ok(MOUNTS_LINK.into()),
            Walked::Entry(other) if other != entry => Ok(directory::path(other)),
            Walked::Entry(Entry::Descriptor(pid, number)) => {
                let process = self.posix.find_pid(pid).ok_or(Errno::ENOENT)?;
                let (index, file) = self.posix.place_of(process, u64::from(number)).map_err(|_| Errno::ENOENT)?;
                Ok(anonymous_name(index, &file))
            }
            Walked::Entry(_) => Err(Errno::ENOENT.into()),
            Walked::Vfs { start, .. } => self.path_of(start),
        }
    }
}

fn anonymous_name(index: usize, file: &File) -> Vec<u8> {
    let name = match file.kind {
        kind::PIPE => format!("pipe:[{}]", 0x1000 + file.object),
        kind::TERMINAL => match crate::tty::pty::pty_of(file.object) {
            None => "/dev/ttyS0".into(),
            Some(pty) => format!("/dev/pts/{pty} (deleted)"),
        },
        kind::MASTER => "/dev/ptmx".into(),
        kind::DEVICE => "/dev/null".into(),
        kind::SOCKET => format!("socket:[{}]", 0x2000 + index),
        kind::EPOLL => "anon_inode:[eventpoll]".into(),
        kind::TIMER => "anon_inode:[timerfd]".into(),
        kind::SIGNALS => "anon_inode:[signalfd]".into(),
        kind::PROCESS => "anon_inode:[pidfd]".into(),
        kind::EVENT => "anon_inode:[eventfd]".into(),
        _ => format!("anon_inode:[{index}]"),
    };
    name.into_bytes()
}
