//! A kernel in a few maps: physical pages, capabilities that own ranges of them, spaces that map them.
//!
//! It is strict where the real one is: a page is mapped zeroed only if it is free, capabilities move only into empty slots, and a range operation
//! stops after a few pages.

use std::collections::BTreeMap;

use abi::{Error, ObjectKind, PAGE_SIZE};

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
        self.spaces.values().any(|space| space.pages.values().any(|mapped| *mapped == page))
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
        let cap = match from {
            Table::Own => self.own.remove(&from_slot),
            Table::Buyer(service) => self.buyers.remove(&(service, from_slot)),
        };
        self.put(to, to_slot, cap.ok_or(Error::InvalidHandle)?)
    }

    fn make_region(&mut self, piece: u32, page: u64, to: u32) -> Result<(), Error> {
        let page = self.take_page(piece, page)?;
        self.objects.push(page);
        let id = self.space();
        self.put(Table::Own, to, Cap::Space { id, badge: 0, rights: 0xff })
    }

    fn lend_region(&mut self, region: u32, to: u32, rights: u8) -> Result<(), Error> {
        let Some(Cap::Space { id, .. }) = self.own.get(&region).copied() else { return Err(Error::InvalidHandle) };
        self.put(Table::Own, to, Cap::Space { id, badge: 0, rights })
    }

    fn add_table(&mut self, space: u32, piece: u32, page: u64) -> Result<(), Error> {
        let page = self.take_page(piece, page)?;
        self.objects.push(page);
        self.space_in(space)?.tables += 1;
        Ok(())
    }

    fn map_zeroed(&mut self, space: u32, address: u64, piece: u32, page: u64, pages: u64) -> Result<u64, Error> {
        if self.space_in(space)?.tables < TABLES {
            return Err(Error::NeedsTable);
        }
        for done in 0..pages.min(STEP) {
            let number = self.take_page(piece, page + done)?;
            let at = address / PAGE_SIZE + done;
            if self.space_in(space)?.pages.contains_key(&at) {
                return if done == 0 { Err(Error::AlreadyMapped) } else { Ok(done) };
            }
            self.space_in(space)?.pages.insert(at, number);
        }
        Ok(pages.min(STEP))
    }

    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error> {
        let space = self.space_in(space)?;
        let pages = pages.min(STEP);
        for page in 0..pages {
            space.pages.remove(&(address / PAGE_SIZE + page));
        }
        Ok(pages)
    }

    fn share(&mut self, space: u32, address: u64, source: u32, source_address: u64, pages: u64) -> Result<u64, Error> {
        if self.space_in(space)?.tables < TABLES {
            return Err(Error::NeedsTable);
        }
        let pages = pages.min(STEP);
        for page in 0..pages {
            let Some(number) = self.space_in(source)?.pages.get(&(source_address / PAGE_SIZE + page)).copied() else { continue };
            if self.cloned.contains(&number) {
                return if page == 0 { Err(Error::MissingRight) } else { Ok(page) };
            }
            self.space_in(space)?.pages.entry(address / PAGE_SIZE + page).or_insert(number);
        }
        Ok(pages)
    }

    fn unshare(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        let copy = self.take_page(piece, page)?;
        let at = address / PAGE_SIZE;
        let old = *self.space_in(space)?.pages.get(&at).ok_or(Error::InvalidArgument)?;
        let shared = self.spaces.values().flat_map(|space| space.pages.values()).filter(|page| **page == old).count() > 1;
        if shared {
            self.space_in(space)?.pages.insert(at, copy);
        } else {
            self.cloned.retain(|page| *page != old);
        }
        Ok(())
    }
}
