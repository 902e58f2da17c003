//! Locks of files: a process's record locks, the locks of open files (`F_OFD_SETLK`), and `flock`.
//!
//! All are records of one saved table, chained from their file: from its node, or, for what is not vfs's, from one chain for all such files. A wait for a lock
//! names the record that is in its way, and is tried again when that record changes.
//!
//! Invariants: who holds a lock has its file open (a record lock's process by some descriptor, any other lock's file by itself), so a chain ends with its node;
//! the locks of one owner on one file do not overlap.

pub mod range;

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::fd::kind;
use crate::saved::{File, LOCKS, Lock, ProcessIndex};
use crate::server::{Incoming, Posix};
use crate::syscall::lock::is_waiting_for_record;
use crate::wait::Event;
use range::Range;

/// Values of [`Lock::class`].
pub mod class {
    /// A record lock of a process.
    pub const RECORD: u32 = 1;
    /// A record lock of an open file.
    pub const OPEN_FILE: u32 = 2;
    /// `flock`, which does not see the other two.
    pub const WHOLE: u32 = 3;
}

/// How far a circle of waiting processes is followed (Linux: `MAX_DEADLK_ITERATIONS`).
const MOST_WAITING: usize = 10;

/// A file as locks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its node, 0 if it is not vfs's.
    node: u32,
    /// Which it is, if it is not.
    object: [u32; 3],
}

/// Who holds or wants a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// [`class`].
    pub class: u32,
    /// Index of the process or file.
    pub index: u32,
}

impl Owner {
    const fn of(lock: &Lock) -> Self {
        Self { class: lock.class, index: lock.owner }
    }

    const fn is_whole(self) -> bool {
        self.class == class::WHOLE
    }
}

/// Some bytes of a file, and who wants something of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which file.
    pub place: Place,
    /// Who.
    pub owner: Owner,
    /// Number of the asking process.
    pub pid: u32,
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

impl Lock {
    const fn range(&self) -> Range {
        Range { first: self.first, last: self.last, exclusive: self.exclusive != 0 }
    }
}

impl Place {
    /// Where the locks of an open file are.
    #[must_use]
    pub const fn of(file: &File) -> Self {
        let object = match file.kind {
            _ if file.node != 0 => [0; 3],
            // One inode for all of them, as on Linux.
            kind::EVENT | kind::EPOLL | kind::TIMER | kind::SIGNALS | kind::PROCESS => [kind::EVENT, 0, 0],
            kind::PROC => [kind::PROC, file.object, file.detail as u32],
            other => [other, file.object, 0],
        };
        Self { node: file.node, object }
    }
}

impl Posix<'_> {
    /// The lock that is in the way of another one, and its index.
    #[must_use]
    pub fn conflicting_lock(&self, asked: &Asked, exclusive: bool) -> Option<(usize, Lock)> {
        self.locks_at(asked.place).into_iter().find(|(_, lock)| {
            let (other, range) = (Owner::of(lock), lock.range());
            let excludes = (exclusive || range.exclusive) && other != asked.owner && other.is_whole() == asked.owner.is_whole();
            excludes && range.overlaps(asked.first, asked.last)
        })
    }

    /// What an owner has locked of a file, in order.
    #[must_use]
    pub fn locked_ranges(&self, asked: &Asked) -> Vec<Range> {
        let mut own: Vec<_> =
            self.locks_at(asked.place).iter().filter(|(_, lock)| Owner::of(lock) == asked.owner).map(|(_, lock)| lock.range()).collect();
        own.sort_unstable_by_key(|range| range.first);
        own
    }

    /// Locks bytes for an owner, or unlocks them. Nothing may conflict.
    ///
    /// # Errors
    /// `ENOLCK` if there are too many locks: then nothing has changed.
    pub fn change_locks(&mut self, asked: &Asked, exclusive: Option<bool>) -> Result<(), Errno> {
        let before = self.locked_ranges(asked);
        let after = range::change(&before, asked.first, asked.last, exclusive);
        if before == after {
            return Ok(());
        }
        let new = after.len().saturating_sub(before.len());
        let free: Vec<usize> = (0..LOCKS).filter(|index| self.store.lock(*index).class == 0).take(new).collect();
        if free.len() < new {
            return Err(Errno::ENOLCK);
        }
        let own = self.take_locks(asked.place, |lock| Owner::of(lock) == asked.owner);
        let records: Vec<usize> = own.into_iter().chain(free).collect();
        for (index, range) in records.into_iter().zip(&after) {
            self.add_lock(asked, index, *range);
        }
        if asked.owner.class != class::RECORD {
            let is_own = |lock: &Lock| lock.class != class::RECORD && lock.owner == asked.owner.index;
            let count = self.locks_at(asked.place).iter().filter(|(_, lock)| is_own(lock)).count();
            self.store.edit_file(asked.owner.index as usize, |file| file.locks = count as u32);
        }
        Ok(())
    }

    /// A process closes a descriptor of a file: it loses all its record locks there, whatever other descriptors of it it has (POSIX, `fcntl`).
    pub fn drop_record_locks(&mut self, process: ProcessIndex, file: &File) {
        let place = Place::of(file);
        if file.kind != kind::PLACE && self.first_lock(place) != 0 {
            let owner = Owner { class: class::RECORD, index: process as u32 };
            self.take_locks(place, |lock| Owner::of(lock) == owner);
        }
    }

    /// The last descriptor of a file was closed: so are its own locks.
    pub fn drop_file_locks(&mut self, index: usize, file: &File) {
        self.take_locks(Place::of(file), |lock| lock.class != class::RECORD && lock.owner as usize == index);
    }

    /// Whether a process would wait for itself if it waited for this lock.
    #[must_use]
    pub fn is_deadlock(&self, process: ProcessIndex, lock: &Lock) -> bool {
        let mut lock = *lock;
        for _ in 0..MOST_WAITING {
            if lock.class != class::RECORD {
                return false;
            }
            if lock.owner as usize == process {
                return true;
            }
            let Some(next) = self.awaited_lock(lock.owner as usize) else { return false };
            lock = next;
        }
        false
    }

    /// The lock that a process waits for with a record lock of its own.
    fn awaited_lock(&self, process: ProcessIndex) -> Option<Lock> {
        self.lanes_of(process).into_iter().find_map(|lane| {
            let hand = self.hands.get(lane)?;
            match (hand.wait?.event, hand.incoming) {
                (Event::Lock(index), Incoming::Call { number, arguments, .. }) if is_waiting_for_record(number, &arguments) => {
                    Some(self.store.lock(index as usize))
                }
                _ => None,
            }
        })
    }

    fn first_lock(&self, place: Place) -> u32 {
        if place.node == 0 { self.store.globals().locks } else { self.store.node(place.node as usize).locks }
    }

    fn set_first_lock(&mut self, place: Place, first: u32) {
        if place.node == 0 {
            self.store.edit_globals(|globals| globals.locks = first);
        } else {
            self.store.edit_node(place.node as usize, |node| node.locks = first);
        }
    }

    /// All locks of a chain, those of other files that are not vfs's included.
    fn chain(&self, place: Place) -> Vec<(usize, Lock)> {
        let mut chain = Vec::new();
        let mut next = self.first_lock(place);
        while let Some(index) = (next as usize).checked_sub(1).filter(|_| chain.len() < LOCKS) {
            let lock = self.store.lock(index);
            chain.push((index, lock));
            next = lock.next;
        }
        chain
    }

    fn locks_at(&self, place: Place) -> Vec<(usize, Lock)> {
        let mut locks = self.chain(place);
        locks.retain(|(_, lock)| lock.object == place.object);
        locks
    }

    /// Frees the locks of a file that are `wanted`, and wakes who waits for them. Their indices.
    fn take_locks(&mut self, place: Place, wanted: impl Fn(&Lock) -> bool) -> Vec<usize> {
        let (taken, left): (Vec<_>, Vec<_>) = self.chain(place).into_iter().partition(|(_, lock)| lock.object == place.object && wanted(lock));
        if taken.is_empty() {
            return Vec::new();
        }
        let mut next = 0;
        for (index, lock) in left.into_iter().rev() {
            if lock.next != next {
                self.store.set_lock(index, Lock { next, ..lock });
            }
            next = index as u32 + 1;
        }
        self.set_first_lock(place, next);
        let taken: Vec<usize> = taken.into_iter().map(|(index, _)| index).collect();
        for index in &taken {
            self.store.set_lock(*index, Lock::default());
            self.wake(Event::Lock(*index as u32));
        }
        taken
    }

    /// Puts a lock into a free record, at the head of its file's chain.
    fn add_lock(&mut self, asked: &Asked, index: usize, range: Range) {
        let Range { first, last, exclusive } = range;
        let Owner { class, index: owner } = asked.owner;
        let (object, next) = (asked.place.object, self.first_lock(asked.place));
        let lock = Lock { class, owner, exclusive: u32::from(exclusive), pid: asked.pid, object, next, first, last };
        self.store.set_lock(index, lock);
        self.set_first_lock(asked.place, index as u32 + 1);
    }
}
