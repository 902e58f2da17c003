//! /dev/pts: a directory of the pseudo terminals whose masters are open, made up from their records as /proc is from those of processes.
//!
//! It is mounted in vfs, reached by the same walk as /proc ([`crate::proc::walk`]), and behaves as Linux's devpts with `gid=5,mode=620,ptmxmode=666`: a name
//! comes with the master and goes with it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocols::vfs::{Change, SetTime, Time};

use crate::call::{Call, Stop};
use crate::device::{PTMX, TTY_SPECIAL, device};
use crate::errno::Errno;
use crate::fd::{ACCESS_MODE, READ_WRITE, WRITE_ONLY, kind};
use crate::proc::Entry;
use crate::saved::{File, PTYS, Process};
use crate::server::Posix;
use crate::stat::{DEVPTS_DEVICE, Stat, mode};
use crate::tty::device_of;
use crate::tty::pty::{pty_of, terminal_of};

const NS_PER_SECOND: u64 = 1_000_000_000;
/// Inode numbers, as Linux gives them: the directory, `ptmx`, and from the third on the terminals.
const FIRST_TERMINAL_INODE: u64 = 3;

/// A place in /dev/pts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The directory.
    Root,
    /// `ptmx`: each open makes a terminal.
    Maker,
    /// A terminal, by its number.
    Terminal(u16),
}

impl Place {
    const ROOT: u16 = u16::MAX;
    const MAKER: u16 = u16::MAX - 1;

    /// As part of a file identity.
    #[must_use]
    pub const fn to_number(self) -> u16 {
        match self {
            Self::Root => Self::ROOT,
            Self::Maker => Self::MAKER,
            Self::Terminal(number) => number,
        }
    }

    /// From part of a file identity.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            Self::ROOT => Self::Root,
            Self::MAKER => Self::Maker,
            number => Self::Terminal(number),
        }
    }

    /// The place that a terminal's file without a node in vfs is of.
    #[must_use]
    pub fn of(file: &File) -> Option<Self> {
        let pty = pty_of(file.object)?;
        match file.kind {
            kind::TERMINAL => Some(Self::Terminal(pty as u16)),
            kind::MASTER => Some(Self::Maker),
            _ => None,
        }
    }

    /// Its name in the directory.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Root => ".".into(),
            Self::Maker => "ptmx".into(),
            Self::Terminal(number) => format!("{number}"),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Root => "/dev/pts".into(),
            other => format!("/dev/pts/{}", other.name()),
        }
    }

    /// Its inode number.
    #[must_use]
    pub const fn inode(self) -> u64 {
        match self {
            Self::Root => 1,
            Self::Maker => 2,
            Self::Terminal(number) => FIRST_TERMINAL_INODE + number as u64,
        }
    }
}

impl Posix<'_> {
    fn is_named(&self, place: Place) -> bool {
        match place {
            Place::Terminal(number) => usize::from(number) < PTYS && self.store.terminal(terminal_of(usize::from(number)) as usize).masters != 0,
            _ => true,
        }
    }

    /// What the directory holds.
    #[must_use]
    pub fn list_devpts(&self) -> Vec<Place> {
        let terminals = (0..PTYS as u16).map(Place::Terminal);
        core::iter::once(Place::Maker).chain(terminals).filter(|place| self.is_named(*place)).collect()
    }

    /// The place with a name.
    #[must_use]
    pub fn find_in_devpts(&self, name: &[u8]) -> Option<Place> {
        self.list_devpts().into_iter().find(|place| place.name().as_bytes() == name)
    }

    /// The place of a terminal's file, while it still has one.
    #[must_use]
    pub fn name_in_devpts(&self, file: &File) -> Option<Place> {
        Place::of(file).filter(|place| self.is_named(*place))
    }
}

impl Call<'_, '_> {
    /// Describes a place.
    pub fn stat_devpts(&mut self, place: Place) -> Stat {
        let base = self.posix.kernel.wall_base_ns();
        let stat = |mode, links, special: u32, ns: u64| {
            let time = Time { seconds: (ns / NS_PER_SECOND) as i64, nanoseconds: (ns % NS_PER_SECOND) as u32 };
            Stat { device: DEVPTS_DEVICE, inode: place.inode(), mode, links, special: u64::from(special), times: [time; 3], ..Stat::default() }
        };
        match place {
            Place::Root => stat(mode::DIRECTORY | 0o755, 2, 0, base),
            Place::Maker => stat(mode::CHARACTER | 0o666, 1, device(TTY_SPECIAL, PTMX), base),
            Place::Terminal(number) => {
                let terminal = terminal_of(usize::from(number));
                let record = self.posix.store.terminal(terminal as usize);
                let stat = stat(mode::CHARACTER | record.permissions, 1, device_of(terminal), record.opened_ns);
                Stat { uid: record.uid, gid: record.gid, ..stat }
            }
        }
    }

    /// The file of a place that is opened; `None` for what is opened as any place of /proc is.
    ///
    /// # Errors
    /// `EACCES`, `EIO`, `ENFILE`, `ENOSPC`.
    pub fn open_in_devpts(&mut self, entry: Entry, flags: u32) -> Result<Option<File>, Errno> {
        let Entry::Devpts(place @ (Place::Maker | Place::Terminal(_))) = entry else { return Ok(None) };
        let wanted = match flags & ACCESS_MODE {
            WRITE_ONLY => 2,
            READ_WRITE => 6,
            _ => 4,
        };
        if wanted & !self.allowed_in_devpts(place, 3) != 0 {
            return Err(Errno::EACCES);
        }
        match place {
            Place::Terminal(number) => self.pty_file(usize::from(number), flags).map(Some),
            _ => self.open_master(flags, 0).map(Some),
        }
    }

    /// The rights (4 read, 2 write, 1 search) that the caller has at a place; `which` says by which of its identities.
    pub fn allowed_in_devpts(&mut self, place: Place, which: usize) -> u64 {
        let (me, stat): (Process, Stat) = (self.me(), self.stat_devpts(place));
        let uid = me.uid.get(which).copied().unwrap_or(u32::MAX);
        let groups = me.groups.iter().take(me.group_count as usize).chain(me.gid.get(which));
        if uid == 0 {
            return if place == Place::Root { 7 } else { 6 };
        }
        let shift = if uid == stat.uid {
            6
        } else if groups.into_iter().any(|group| *group == stat.gid) {
            3
        } else {
            0
        };
        u64::from(stat.mode >> shift & 7)
    }

    /// Changes permissions, owner or times of a terminal's name.
    ///
    /// # Errors
    /// `EPERM`: it is not the caller's, or not a terminal's.
    pub fn change_in_devpts(&mut self, entry: Entry, change: Change) -> Result<(), Stop> {
        let Entry::Devpts(Place::Terminal(number)) = entry else { return Err(Errno::EPERM.into()) };
        let terminal = terminal_of(usize::from(number)) as usize;
        let me = self.me();
        let owner = self.posix.store.terminal(terminal).uid;
        let gives_away = change.uid.is_some() || change.gid.is_some();
        if me.uid[3] != 0 && (gives_away || me.uid[3] != owner) {
            return Err(Errno::EPERM.into());
        }
        let now = self.posix.kernel.wall_base_ns() + self.posix.kernel.now_ns();
        self.posix.store.edit_terminal(terminal, |terminal| {
            terminal.permissions = change.permissions.map_or(terminal.permissions, u32::from);
            terminal.uid = change.uid.unwrap_or(terminal.uid);
            terminal.gid = change.gid.unwrap_or(terminal.gid);
            terminal.opened_ns = match change.modified {
                None => terminal.opened_ns,
                Some(SetTime::Now) => now,
                Some(SetTime::To(time)) => (time.seconds.max(0) as u64).saturating_mul(NS_PER_SECOND).saturating_add(u64::from(time.nanoseconds)),
            };
        });
        Ok(())
    }
}
