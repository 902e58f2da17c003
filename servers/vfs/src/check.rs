//! What must hold of the saved state between transactions, checked in full: at every restart, and after every step of the tests.
//!
//! Every slot of every array is either free and on its list, or belongs to exactly one thing; every file is reached from the root by its names or is
//! open; counts are what is counted. A state that passes can be used without fear, whatever wrote it.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use protocols::vfs::{Error, Kind, MAX_NAME, ROOT};

use crate::host::PAGE;
use crate::index::Visited;
use crate::inode::{Inode, PREALLOCATED};
use crate::pages::OwnedPages;
use crate::pool::Pool;
use crate::saved::{CHUNKS, ENTRIES, INODES, NODES, Slots, State};

/// What contradicts what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The root directory is missing.
    Root,
    /// A list of free slots is broken, or a slot is neither free nor used.
    Pool(&'static str),
    /// A link leads nowhere.
    Link(&'static str),
    /// A file's list or counts of entries are not what is there.
    Directory(u32),
    /// A file's count of names is not what is there.
    Links(u32),
    /// A file has no name, no opens, and is not about to be freed.
    Lost(u32),
    /// A file's pages are not what its length and count say.
    Pages(u32),
    /// The map of pages does not agree with the files.
    PageMap,
    /// Work that was noted is left.
    Unsettled,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => write!(formatter, "there is no root directory"),
            Self::Pool(which) => write!(formatter, "free and used {which} do not add up"),
            Self::Link(which) => write!(formatter, "a link to {which} leads nowhere"),
            Self::Directory(number) => write!(formatter, "the entries of directory {number} do not add up"),
            Self::Links(number) => write!(formatter, "file {number} has not as many names as it says"),
            Self::Lost(number) => write!(formatter, "file {number} has neither a name nor an open"),
            Self::Pages(number) => write!(formatter, "the pages of file {number} do not add up"),
            Self::PageMap => write!(formatter, "the map of pages does not agree with the files"),
            Self::Unsettled => write!(formatter, "work that was noted is left"),
        }
    }
}

/// Which slots were met.
struct Met {
    slots: Vec<bool>,
    count: u32,
}

impl Met {
    fn new(slots: usize) -> Self {
        Self { slots: vec![false; slots], count: 0 }
    }

    /// `false` if it is none, or was met before.
    fn meet(&mut self, slot: u32) -> bool {
        match self.slots.get_mut(slot as usize) {
            Some(met) if !*met && slot != 0 => {
                *met = true;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    fn has(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).copied().unwrap_or(false)
    }
}

/// What files own.
struct Owned {
    entries: Met,
    chunks: Met,
    nodes: Met,
    pages: OwnedPages,
    names: Vec<u32>,
    directories: Vec<u32>,
}

/// Checks all of it.
///
/// # Errors
/// The first [`Damage`] that was found.
pub fn check(state: &State) -> Result<(), Damage> {
    if state.cut.get() != 0 || state.doomed.get() != 0 {
        return Err(Damage::Unsettled);
    }
    let root = state.find(ROOT).map_err(|_| Damage::Root)?.1;
    if !root.is(Kind::Directory) || root.parent != ROOT.inode || root.links == 0 {
        return Err(Damage::Root);
    }
    let mut owned = Owned {
        entries: Met::new(ENTRIES),
        chunks: Met::new(CHUNKS),
        nodes: Met::new(NODES),
        pages: OwnedPages::default(),
        names: vec![0; INODES],
        directories: vec![0; INODES],
    };
    let mut inodes = Met::new(INODES);
    for number in 1..=state.inode_pool.highest().min(INODES as u32 - 1) {
        if let Ok(inode) = state.inode(number) {
            inodes.meet(number);
            check_content(state, number, &inode, &mut owned)?;
        }
    }
    for number in (1..INODES as u32).filter(|number| inodes.has(*number)) {
        let inode = state.inode(number).map_err(|_| Damage::Link("a file"))?;
        check_names(state, number, &inode, &owned)?;
    }
    check_pools(state, &mut inodes, &mut owned)?;
    if state.pages.is_sound(&owned.pages) { Ok(()) } else { Err(Damage::PageMap) }
}

fn check_content(state: &State, number: u32, inode: &Inode, owned: &mut Owned) -> Result<(), Damage> {
    match inode.kind().map_err(|_| Damage::Link("a file"))? {
        Kind::Directory => check_entries(state, number, inode, owned)?,
        _ if inode.first != 0 => return Err(Damage::Link("an entry")),
        _ => {}
    }
    if inode.has_lost_path() && inode.links != 0 {
        return Err(Damage::Link("a lost path"));
    }
    if inode.target != 0 || inode.is(Kind::Symlink) {
        state.walk_text(inode.target, inode.text_length(), |chunk| owned.chunks.meet(chunk)).map_err(|_| Damage::Link("a text"))?;
    }
    let end = inode.size.div_ceil(PAGE as u64);
    let mut pages = 0;
    let walked = state.walk_index(inode, &mut |visited| match visited {
        Visited::Node(node) => owned.nodes.meet(node),
        Visited::Page { page, data } => {
            pages += 1;
            (page < end || inode.flags & PREALLOCATED != 0) && owned.pages.meet(data)
        }
    });
    if walked.is_err() || pages != inode.pages { Err(Damage::Pages(number)) } else { Ok(()) }
}

fn check_entries(state: &State, number: u32, inode: &Inode, owned: &mut Owned) -> Result<(), Damage> {
    let damage = Damage::Directory(number);
    let (mut slot, mut previous, mut count, mut sequence) = (inode.first, 0, 0, 0);
    while slot != 0 {
        let entry = state.entry(slot).map_err(|_| damage)?;
        let in_order = entry.directory == number && entry.previous == previous && entry.sequence > sequence;
        if !in_order || !owned.entries.meet(slot) || entry.length == 0 || usize::from(entry.length) > MAX_NAME {
            return Err(damage);
        }
        let text = state.walk_text(entry.text, usize::from(entry.length), |chunk| owned.chunks.meet(chunk));
        let name = state.text(entry.text, usize::from(entry.length)).map_err(|_| damage)?;
        let found = state.lookup(number, &name).map_err(|_| damage)?.map(|(found, _)| found);
        let child = state.inode(entry.inode).map_err(|_| Damage::Link("a file"))?;
        if text.is_err() || found != Some(slot) || child.kind != entry.kind {
            return Err(damage);
        }
        if let Some(names) = owned.names.get_mut(entry.inode as usize) {
            *names += 1;
        }
        if child.is(Kind::Directory) {
            if child.parent != number || child.name != slot {
                return Err(damage);
            }
            if let Some(directories) = owned.directories.get_mut(number as usize) {
                *directories += 1;
            }
        }
        (slot, previous, count, sequence) = (entry.next, slot, count + 1, entry.sequence);
    }
    if previous == inode.last && count == inode.entries && sequence <= inode.sequence { Ok(()) } else { Err(damage) }
}

fn check_names(state: &State, number: u32, inode: &Inode, owned: &Owned) -> Result<(), Damage> {
    let at = |counts: &[u32]| counts.get(number as usize).copied().unwrap_or(0);
    let (names, directories) = (at(&owned.names), at(&owned.directories));
    let removed = names == 0 && number != ROOT.inode;
    let expected = match inode.kind() {
        Ok(Kind::Directory) if removed => 0,
        Ok(Kind::Directory) => 2 + directories,
        _ => names,
    };
    if inode.links != expected || inode.is(Kind::Directory) && names > 1 {
        return Err(Damage::Links(number));
    }
    if removed && !inode.is_open() {
        return Err(Damage::Lost(number));
    }
    let hint = if inode.name == 0 { Ok(number) } else { state.entry(inode.name).map(|entry| entry.inode) };
    if hint != Ok(number) {
        return Err(Damage::Link("a name"));
    }
    if inode.is(Kind::Directory) && !removed { check_connected(state, number) } else { Ok(()) }
}

/// A directory with a name leads up to the root.
fn check_connected(state: &State, number: u32) -> Result<(), Damage> {
    let mut current = number;
    for _ in 0..INODES {
        if current == ROOT.inode {
            return Ok(());
        }
        current = state.inode(current).map_err(|_| Damage::Directory(number))?.parent;
    }
    Err(Damage::Directory(number))
}

fn check_pools(state: &State, inodes: &mut Met, owned: &mut Owned) -> Result<(), Damage> {
    check_pool("files", &state.inode_pool, inodes, |slot| state.inodes.get_checked(slot).map(|inode| inode.next))?;
    check_pool("entries", &state.entry_pool, &mut owned.entries, |slot| state.entries.get_checked(slot).map(|entry| entry.chain))?;
    check_pool("chunks", &state.chunk_pool, &mut owned.chunks, |slot| state.chunks.get_checked(slot).map(|chunk| chunk.next))?;
    check_pool("nodes", &state.node_pool, &mut owned.nodes, |slot| state.free_node_link(slot))
}

/// Used slots and those on the free list are all slots up to the highest, each once.
fn check_pool(which: &'static str, pool: &Pool, met: &mut Met, link: impl Fn(u32) -> Result<u32, Error>) -> Result<(), Damage> {
    if met.count != pool.live() {
        return Err(Damage::Pool(which));
    }
    let mut slot = pool.first_free();
    while slot != 0 {
        if !met.meet(slot) {
            return Err(Damage::Pool(which));
        }
        slot = link(slot).map_err(|_| Damage::Pool(which))?;
    }
    if met.count == pool.highest() { Ok(()) } else { Err(Damage::Pool(which)) }
}
