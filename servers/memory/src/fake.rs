//! A kernel in a few maps: physical pages, capabilities that own ranges of them, spaces that map them.
//!
//! It is strict where the real one is: a page is mapped zeroed only if it is free, capabilities move only into empty slots, and a range operation
//! stops after a few pages.

use std::collections::BTreeMap;

use abi::{Error, MapFlags, ObjectKind, PAGE_SIZE};

use crate::blocks::BLOCK;
use crate::kernel::{Described, Kernel, Table, slot};

/// Pages that a range operation does at most.
const STEP: u64 = 5;
/// Pages of tables that every new space asks for.
const TABLES: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cap {
    Memory { first: u64, pages: u64 },
    Space { id: u32, badge: u64, rights: u8 },
}

#[derive(Debug, Default)]
pub(crate) struct Space {
    /// Physical page by page of the space.
    pub(crate) pages: BTreeMap<u64, u64>,
    /// First physical page of each 2 MiB page, by its number in the space.
    pub(crate) huge: BTreeMap<u64, u64>,
    tables: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) own: BTreeMap<u32, Cap>,
    pub(crate) buyers: BTreeMap<(u8, u32), Cap>,
    pub(crate) spaces: BTreeMap<u32, Space>,
    /// Pages that are objects or tables.
    pub(crate) objects: Vec<u64>,
    /// Pages that are copy-on-write for those who map them now.
    pub(crate) cloned: Vec<u64>,
    next: u32,
    /// How many operations that change something are done before one fails, and all after it.
    pub(crate) fails_in: Option<u32>,
}

impl Fake {
    /// With pieces of memory, each (first, pages).
    pub(crate) fn new(pieces: &[(u64, u64)]) -> Self {
        let mut fake = Self::default();
        for (to, (first, pages)) in slot::PIECES.zip(pieces) {
            fake.own.insert(to, Cap::Memory { first: *first, pages: *pages });
        }
        fake
    }

    /// A new, empty instance of a service, in the slot where the supervisor puts it; what the one before mapped is unmapped.
    pub(crate) fn instance(&mut self, service: u8, badge: u64) -> u32 {
        let id = self.space();
        let before = self.own.insert(slot::SPACES + u32::from(service), Cap::Space { id, badge, rights: 0xff });
        if let Some(Cap::Space { id, .. }) = before {
            self.spaces.remove(&id);
        }
        id
    }

    fn space(&mut self) -> u32 {
        self.next += 1;
        self.spaces.insert(self.next, Space::default());
        self.next
    }

    pub(crate) fn is_free(&self, page: u64) -> bool {
        !self.objects.contains(&page) && !self.is_mapped(page)
    }

    fn is_mapped(&self, page: u64) -> bool {
        self.mappings(page) > 0
    }

    fn mappings(&self, page: u64) -> usize {
        let small = |space: &Space| space.pages.values().filter(|mapped| **mapped == page).count();
        let huge = |space: &Space| space.huge.values().filter(|head| (**head..**head + BLOCK).contains(&page)).count();
        self.spaces.values().map(|space| small(space) + huge(space)).sum()
    }

    /// What changes state counts, and the one that a test named fails.
    fn may_fail(&mut self) -> Result<(), Error> {
        match &mut self.fails_in {
            Some(0) => return Err(Error::KernelLimit),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    /// Every page is owned exactly once.
    pub(crate) fn check_ownership(&self, all: u64) {
        let mut owned: Vec<(u64, u64)> = self
            .own
            .values()
            .chain(self.buyers.values())
            .filter_map(|cap| match cap {
                Cap::Memory { first, pages } => Some((*first, *pages)),
                Cap::Space { .. } => None,
            })
            .collect();
        owned.sort_unstable();
        assert!(owned.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "a page is owned twice");
        assert_eq!(owned.iter().map(|(_, pages)| pages).sum::<u64>(), all, "a page is lost");
    }

    pub(crate) fn sold(&self) -> u64 {
        let pages = |cap: &Cap| if let Cap::Memory { pages, .. } = cap { *pages } else { 0 };
        self.buyers.values().map(pages).sum()
    }

    fn put(&mut self, table: Table, to: u32, cap: Cap) -> Result<(), Error> {
        let full = match table {
            Table::Own => self.own.insert(to, cap),
            Table::Buyer(service) => self.buyers.insert((service, to), cap),
        };
        assert_eq!(full, None, "slot {to} is full");
        Ok(())
    }

    fn memory(&self, piece: u32) -> Result<(u64, u64), Error> {
        match self.own.get(&piece) {
            Some(Cap::Memory { first, pages }) => Ok((*first, *pages)),
            Some(Cap::Space { .. }) => Err(Error::WrongKind),
            None => Err(Error::InvalidHandle),
        }
    }

    fn take_page(&self, piece: u32, page: u64) -> Result<u64, Error> {
        let (first, pages) = self.memory(piece)?;
        assert!(page < pages && self.is_free(first + page), "page {page} is not free");
        Ok(first + page)
    }

    fn space_in(&mut self, handle: u32) -> Result<&mut Space, Error> {
        match self.own.get(&handle) {
            Some(Cap::Space { id, .. }) => self.spaces.get_mut(id).ok_or(Error::InvalidHandle),
            Some(Cap::Memory { .. }) => Err(Error::WrongKind),
            None => Err(Error::InvalidHandle),
        }
    }
}

impl Kernel for Fake {
    fn describe(&mut self, table: Table, slot: u32) -> Result<Described, Error> {
        let cap = match table {
            Table::Own => self.own.get(&slot),
            Table::Buyer(_) if slot > 100 => return Err(Error::InvalidHandle),
            Table::Buyer(service) => self.buyers.get(&(service, slot)),
        };
        Ok(match cap {
            None => Described { kind: ObjectKind::Empty, first: 0, pages: 0, badge: 0 },
            Some(Cap::Memory { first, pages }) => Described { kind: ObjectKind::Memory, first: *first, pages: *pages, badge: 0 },
            Some(Cap::Space { badge, .. }) => Described { kind: ObjectKind::AddressSpace, first: 0, pages: 0, badge: *badge },
        })
    }

    fn free_pages(&mut self, piece: u32, page: u64) -> Result<u64, Error> {
        let (first, pages) = self.memory(piece)?;
        let free = |bit: &u64| page + bit < pages && self.is_free(first + page + bit);
        Ok((0..64).filter(free).fold(0, |word, bit| word | 1 << bit))
    }

    fn split(&mut self, piece: u32, page: u64, table: Table, to: u32) -> Result<(), Error> {
        self.may_fail()?;
        let (first, pages) = self.memory(piece)?;
        assert!(page > 0 && page < pages, "a split must leave both parts something");
        self.own.insert(piece, Cap::Memory { first, pages: page });
        self.put(table, to, Cap::Memory { first: first + page, pages: pages - page })
    }

    fn merge(&mut self, piece: u32, next: u32) -> Result<(), Error> {
        let ((first, pages), (next_first, next_pages)) = (self.memory(piece)?, self.memory(next)?);
        assert_eq!(first + pages, next_first, "not neighbours");
        self.own.remove(&next);
        self.own.insert(piece, Cap::Memory { first, pages: pages + next_pages });
        Ok(())
    }

    fn relocate(&mut self, from: Table, from_slot: u32, to: Table, to_slot: u32) -> Result<(), Error> {
        self.may_fail()?;
        let cap = match from {
            Table::Own => self.own.remove(&from_slot),
            Table::Buyer(service) => self.buyers.remove(&(service, from_slot)),
        };
        self.put(to, to_slot, cap.ok_or(Error::InvalidHandle)?)
    }

    fn make_region(&mut self, piece: u32, page: u64, to: u32) -> Result<(), Error> {
        self.may_fail()?;
        let page = self.take_page(piece, page)?;
        self.objects.push(page);
        let id = self.space();
        self.put(Table::Own, to, Cap::Space { id, badge: 0, rights: 0xff })
    }

    fn lend_region(&mut self, region: u32, to: u32, rights: u8) -> Result<(), Error> {
        self.may_fail()?;
        let Some(Cap::Space { id, .. }) = self.own.get(&region).copied() else { return Err(Error::InvalidHandle) };
        self.put(Table::Own, to, Cap::Space { id, badge: 0, rights })
    }

    fn add_table(&mut self, space: u32, piece: u32, page: u64) -> Result<(), Error> {
        self.may_fail()?;
        let page = self.take_page(piece, page)?;
        self.objects.push(page);
        self.space_in(space)?.tables += 1;
        Ok(())
    }

    fn map_zeroed(&mut self, space: u32, address: u64, piece: u32, page: u64, pages: u64) -> Result<u64, Error> {
        self.may_fail()?;
        if self.space_in(space)?.tables < TABLES {
            return Err(Error::NeedsTable);
        }
        for done in 0..pages.min(STEP) {
            let number = self.take_page(piece, page + done)?;
            let at = address / PAGE_SIZE + done;
            let there = self.space_in(space)?;
            if there.pages.contains_key(&at) || there.huge.contains_key(&(at / BLOCK)) {
                return if done == 0 { Err(Error::AlreadyMapped) } else { Ok(done) };
            }
            self.space_in(space)?.pages.insert(at, number);
        }
        Ok(pages.min(STEP))
    }

    fn map_huge(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        self.may_fail()?;
        if self.space_in(space)?.tables < TABLES {
            return Err(Error::NeedsTable);
        }
        let head = self.take_page(piece, page)?;
        assert!(head.is_multiple_of(BLOCK) && address.is_multiple_of(BLOCK * PAGE_SIZE), "not aligned");
        for offset in 1..BLOCK {
            self.take_page(piece, page + offset)?;
        }
        let at = address / PAGE_SIZE / BLOCK;
        let space = self.space_in(space)?;
        if space.huge.contains_key(&at) || space.pages.range(at * BLOCK..at * BLOCK + BLOCK).next().is_some() {
            return Err(Error::AlreadyMapped);
        }
        space.huge.insert(at, head);
        Ok(())
    }

    fn list(&mut self, space: u32, address: u64, words: &mut [u64]) -> Result<usize, Error> {
        let count = words.len().min(STEP as usize);
        for (index, word) in words.iter_mut().take(count).enumerate() {
            let at = address / PAGE_SIZE + index as u64;
            let space = self.space_in(space)?;
            let (page, size) = match (space.pages.get(&at), space.huge.get(&(at / BLOCK))) {
                (Some(page), _) => (*page, 0),
                (None, Some(head)) => (head + at % BLOCK, MapFlags::HUGE),
                (None, None) => {
                    *word = 0;
                    continue;
                }
            };
            let shared = if self.mappings(page) > 1 { MapFlags::SHARED } else { 0 };
            let cloned = if self.cloned.contains(&page) { MapFlags::COW } else { MapFlags::WRITE };
            *word = page << 12 | size | shared | cloned | MapFlags::READ;
        }
        Ok(count)
    }

    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error> {
        let space = self.space_in(space)?;
        let first = address / PAGE_SIZE;
        let mut at = first;
        while at < first + pages && at < first + STEP {
            if space.huge.contains_key(&(at / BLOCK)) {
                if !at.is_multiple_of(BLOCK) || at + BLOCK > first + pages {
                    return if at == first { Err(Error::InvalidArgument) } else { Ok(at - first) };
                }
                space.huge.remove(&(at / BLOCK));
                at += BLOCK;
            } else {
                space.pages.remove(&at);
                at += 1;
            }
        }
        Ok(at - first)
    }

    fn share(&mut self, space: u32, address: u64, source: u32, source_address: u64, pages: u64) -> Result<u64, Error> {
        if self.space_in(space)?.tables < TABLES {
            return Err(Error::NeedsTable);
        }
        self.may_fail()?;
        let (to, from) = (address / PAGE_SIZE, source_address / PAGE_SIZE);
        if let Some(head) = self.space_in(source)?.huge.get(&(from / BLOCK)).copied() {
            let whole = pages >= BLOCK && to.is_multiple_of(BLOCK) && from.is_multiple_of(BLOCK);
            let space = self.space_in(space)?;
            if whole && space.pages.range(to..to + BLOCK).next().is_none() {
                space.huge.insert(to / BLOCK, head);
                return Ok(BLOCK);
            }
            let count = (BLOCK - from % BLOCK).min(pages);
            for page in 0..count {
                space.pages.entry(to + page).or_insert(head + from % BLOCK + page);
            }
            return Ok(count);
        }
        let pages = pages.min(STEP);
        for page in 0..pages {
            if self.space_in(source)?.huge.contains_key(&((source_address / PAGE_SIZE + page) / BLOCK)) {
                return Ok(page);
            }
            let Some(number) = self.space_in(source)?.pages.get(&(source_address / PAGE_SIZE + page)).copied() else { continue };
            if self.cloned.contains(&number) {
                return if page == 0 { Err(Error::MissingRight) } else { Ok(page) };
            }
            self.space_in(space)?.pages.entry(address / PAGE_SIZE + page).or_insert(number);
        }
        Ok(pages)
    }

    fn unshare(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        self.may_fail()?;
        let copy = self.take_page(piece, page)?;
        let at = address / PAGE_SIZE;
        let old = *self.space_in(space)?.pages.get(&at).ok_or(Error::InvalidArgument)?;
        if self.mappings(old) > 1 || !self.cloned.contains(&old) {
            self.space_in(space)?.pages.insert(at, copy);
        } else {
            self.cloned.retain(|page| *page != old);
        }
        Ok(())
    }
}
