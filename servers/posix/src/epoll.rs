//! epoll: descriptors that a program watches, as a chain of records in saved state.
//!
//! Nothing is queued when something happens at a file: a wait looks at all watches of its epoll, as `poll` does, and is woken as it is. What an edge is follows
//! from counters that the files keep anyway ([`Posix::activity`]): bytes that ever came and ever left. A watch remembers those at which it was last reported, so
//! what was told and what not survives a crash with the result that told it.
//!
//! A difference from Linux: of files that became ready between two waits, the one that is watched for longer is told first, not the one that was ready first.

use alloc::vec::Vec;

use crate::call::Call;
use crate::errno::Errno;
use crate::fd::kind;
use crate::poll::{ERROR, HANG_UP, IN, OUT};
use crate::saved::{File, WATCHES, Watch};
use crate::server::Posix;

/// `EPOLLEXCLUSIVE`: accepted; everybody is woken all the same.
pub const EXCLUSIVE: u32 = 1 << 28;
/// `EPOLLWAKEUP`: accepted; this system does not sleep.
pub const WAKE_UP: u32 = 1 << 29;
/// `EPOLLONESHOT`.
pub const ONE_SHOT: u32 = 1 << 30;
/// `EPOLLET`.
pub const EDGE: u32 = 1 << 31;
/// Bits that are no events.
const MODES: u32 = EXCLUSIVE | WAKE_UP | ONE_SHOT | EDGE;
/// Most epolls that can watch each other in a row (`EP_MAX_NESTS` and the first).
const MOST_NESTED: usize = 5;

impl Watch {
    /// Events that are waited for; none when a one-shot has fired.
    #[must_use]
    pub const fn wanted(&self) -> u32 {
        self.events & !MODES
    }
}

/// Whether `poll` means something for a file: the others cannot be watched.
#[must_use]
pub fn can_be_watched(file: &File) -> bool {
    const RANDOM: [u32; 2] = [8, 9];
    match file.kind {
        kind::PIPE | kind::TERMINAL | kind::MASTER | kind::EVENT | kind::SOCKET | kind::EPOLL | kind::TIMER | kind::SIGNALS | kind::PROCESS => true,
        kind::LLM => true,
        kind::DEVICE => RANDOM.contains(&file.object),
        _ => false,
    }
}

impl Posix<'_> {
    /// The watches of an epoll, in the order in which they are looked at.
    #[must_use]
    pub fn watches_of(&self, epoll: &File) -> Vec<usize> {
        let mut watches = Vec::new();
        let mut next = epoll.object as usize;
        while let Some(index) = next.checked_sub(1)
            && watches.len() < WATCHES
        {
            watches.push(index);
            next = self.store.watch(index).next as usize;
        }
        watches
    }

    /// Sets their order.
    pub fn set_watches(&mut self, epoll: usize, watches: &[usize]) {
        let next_of = |position: usize| watches.get(position).map_or(0, |next| *next as u32 + 1);
        self.store.edit_file(epoll, |file| file.object = next_of(0));
        for (position, index) in watches.iter().enumerate() {
            self.store.edit_watch(*index, |watch| watch.next = next_of(position + 1));
        }
    }

    /// The watch of a file by a descriptor.
    #[must_use]
    pub fn find_watch(&self, epoll: &File, file: usize, descriptor: u32) -> Option<usize> {
        self.watches_of(epoll).into_iter().find(|index| {
            let watch = self.store.watch(*index);
            watch.file as usize == file && watch.descriptor == descriptor
        })
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// `ENOSPC` if the system watches too much.
    pub fn add_watch(&mut self, epoll: usize, watch: Watch) -> Result<(), Errno> {
        let index = (0..WATCHES).find(|index| self.store.watch(*index).epoll == 0).ok_or(Errno::ENOSPC)?;
        let mut watches = self.watches_of(&self.store.file(epoll));
        watches.push(index);
        self.store.set_watch(index, Watch { epoll: epoll as u32 + 1, armed: 1, ..watch });
        self.store.edit_file(watch.file as usize, |file| file.watches += 1);
        self.set_watches(epoll, &watches);
        Ok(())
    }

    /// Ends to watch.
    pub fn remove_watch(&mut self, index: usize) {
        let watch = self.store.watch(index);
        if let Some(epoll) = (watch.epoll as usize).checked_sub(1) {
            let mut watches = self.watches_of(&self.store.file(epoll));
            watches.retain(|other| *other != index);
            self.set_watches(epoll, &watches);
        }
        self.store.set_watch(index, Watch::default());
        self.store.edit_file(watch.file as usize, |file| file.watches = file.watches.saturating_sub(1));
    }

    /// A file is being closed: nobody watches it any more.
    pub fn unwatch(&mut self, file: usize) {
        for index in 0..WATCHES {
            let watch = self.store.watch(index);
            if watch.epoll != 0 && watch.file as usize == file {
                self.remove_watch(index);
            }
        }
    }

    /// The last descriptor of an epoll was closed.
    pub fn close_epoll(&mut self, epoll: &File) {
        for index in self.watches_of(epoll) {
            let watched = self.store.watch(index).file as usize;
            self.store.set_watch(index, Watch::default());
            self.store.edit_file(watched, |file| file.watches = file.watches.saturating_sub(1));
        }
    }

    /// How many epolls are in a row below this one, itself included; `None` if there are too many, or `top` is among them.
    #[must_use]
    pub fn nesting(&self, epoll: usize, top: usize, left: usize) -> Option<usize> {
        if epoll == top || left == 0 {
            return None;
        }
        let mut deepest = 0;
        for index in self.watches_of(&self.store.file(epoll)) {
            let below = self.store.watch(index).file as usize;
            if self.store.file(below).kind == kind::EPOLL {
                deepest = deepest.max(self.nesting(below, top, left - 1)?);
            }
        }
        Some(deepest + 1)
    }

    /// How many epolls are in a row above this one.
    fn height(&self, epoll: usize, left: usize) -> usize {
        if left == 0 || self.store.file(epoll).watches == 0 {
            return 0;
        }
        let above = (0..WATCHES).map(|index| self.store.watch(index)).filter(|watch| watch.epoll != 0 && watch.file as usize == epoll);
        above.map(|watch| 1 + self.height(watch.epoll as usize - 1, left - 1)).max().unwrap_or(0)
    }

    /// Whether an epoll may watch another one.
    ///
    /// # Errors
    /// `ELOOP`.
    pub fn check_nesting(&self, epoll: usize, below: usize) -> Result<(), Errno> {
        let depth = self.nesting(below, epoll, MOST_NESTED).ok_or(Errno::ELOOP)?;
        if depth + self.height(epoll, MOST_NESTED) >= MOST_NESTED { Err(Errno::ELOOP) } else { Ok(()) }
    }

    /// How much has ever happened at a file, inwards and outwards: numbers that change with each event that Linux would wake somebody for. A terminal, whose
    /// bytes are the console's, has none: there an edge is a change of what is ready.
    #[must_use]
    pub fn activity(&mut self, file: &File, ready: u32) -> [u64; 2] {
        match file.kind {
            kind::PIPE => {
                let pipe = self.store.pipe(file.object as usize);
                [pipe.tail.wrapping_add(u64::from(pipe.writers) << 48), pipe.head.wrapping_add(u64::from(pipe.readers) << 48)]
            }
            kind::SOCKET => self.activity_of_socket(file.object as usize),
            // The writes and the reads, counted in its detail.
            kind::EVENT => [file.detail & u64::from(u32::MAX), file.detail >> 32],
            kind::TIMER => [self.expirations(file).wrapping_add(file.offset), 0],
            kind::LLM => self.activity_of_llm(file),
            kind::EPOLL => self.watches_of(file).into_iter().fold([0, 0], |[inwards, _], index| {
                let below = self.store.file(self.store.watch(index).file as usize);
                let [came, left] = if below.kind == kind::EPOLL { [0; 2] } else { self.activity(&below, ready) };
                [inwards.wrapping_add(came).wrapping_add(left), 0]
            }),
            _ => [u64::from(ready & !OUT), u64::from(ready & OUT)],
        }
    }
}

impl Call<'_, '_> {
    /// What there is to report at a watch: events, and what had happened then.
    pub fn look(&mut self, watch: &Watch) -> (u32, [u64; 2]) {
        let file = self.posix.store.file(watch.file as usize);
        let found = self.ready(&file) & watch.wanted();
        let activity = self.posix.activity(&file, found);
        // Only what is waited for is an edge: room that a reader makes does not concern who waits for bytes.
        let outwards = watch.events & OUT != 0 && activity[1] != watch.seen[1];
        let inwards = watch.wanted() & !(OUT | ERROR | HANG_UP) != 0 && activity[0] != watch.seen[0];
        let closed = found & (ERROR | HANG_UP) != 0 && activity != watch.seen;
        let changed = watch.armed != 0 || inwards || outwards || closed;
        (if watch.events & EDGE != 0 && !changed { 0 } else { found }, activity)
    }

    /// Whether an epoll has anything to report.
    pub fn ready_epoll(&mut self, epoll: &File) -> u32 {
        for index in self.posix.watches_of(epoll) {
            let watch = self.posix.store.watch(index);
            if self.look(&watch).0 != 0 {
                return IN;
            }
        }
        0
    }
}
