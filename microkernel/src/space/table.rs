//! Page tables of four levels (SDM vol. 3, 4.5): finding entries, and the donated pages that tables are made of.

use abi::Error;

use super::AddressSpace;
use crate::endpoint::MAX_CPUS;
use crate::kernel::Kernel;
use crate::machine::{Duty, Machine, PageNumber};
use crate::page::{self, PAGE_WORDS, Ref};
use crate::wrap;

pub(super) const PRESENT: u64 = 1;
pub(super) const WRITABLE: u64 = 2;
pub(super) const USER: u64 = 4;
pub(super) const UNCACHED: u64 = 0x10;
pub(crate) const ACCESSED: u64 = 0x20;
pub(crate) const DIRTY: u64 = 0x40;
/// In a directory entry: it maps 2 MiB.
pub(super) const HUGE: u64 = 0x80;
/// Software bit: the page is shared copy-on-write.
pub(super) const COW: u64 = 0x200;
/// Software bits: what the capability allows that the page was mapped with; protecting never gives more.
pub(super) const MAY_WRITE: u64 = 0x400;
pub(super) const MAY_EXECUTE: u64 = 0x800;
pub(super) const NO_EXECUTE: u64 = 1 << 63;
/// The bits that say what user code may do.
pub(super) const ACCESS: u64 = USER | WRITABLE | NO_EXECUTE;

/// Bytes that one entry of the page directory covers.
pub(super) const DIRECTORY_SPAN: u64 = 1 << 21;

/// Entries that are looked at together: most of a table is holes.
pub(super) const GROUP: usize = 8;

/// Entries of a hole that one step looks through at most in one table.
const HOLE_ENTRIES: usize = 224;
/// Entries after which a walk comes to a preemption point: with another hole's they still are fewer than the budget.
pub(super) const POINT_ENTRIES: u64 = abi::BUDGET_PAGES / 2;
const _: () = assert!(POINT_ENTRIES + HOLE_ENTRIES as u64 + 4 * GROUP as u64 <= abi::BUDGET_PAGES);

/// Where an entry is: its table and its index.
pub(crate) type Place = (PageNumber, usize);

/// What translates an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// An entry of a page table.
    Page(Place),
    /// An entry of a page directory, for 2 MiB.
    Huge(Place),
    /// Nothing.
    Missing,
}

/// The page that an entry points at.
pub(super) fn page_of_entry(entry: u64) -> PageNumber {
    (entry >> 12 & 0xff_ffff_ffff) as PageNumber
}

/// The index of an address at a level: 0 for the page table, 3 for the top.
pub(super) fn index_at(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level)) as usize % PAGE_WORDS
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn entry(&mut self, place: Place) -> u64 {
        *wrap::at(page::words(&mut self.machine, place.0), place.1)
    }

    /// Changes a present entry, whose accessed and dirty bits another processor may set at any moment (SDM vol. 3, 4.8).
    pub(crate) fn update_entry(&mut self, place: Place, change: impl Fn(u64) -> u64) {
        page::update_word(&mut self.machine, place.0, place.1, change);
    }

    /// Sets an entry that maps nothing yet, or nothing any more.
    pub(crate) fn set_entry(&mut self, place: Place, entry: u64) {
        *wrap::at_mut(page::words(&mut self.machine, place.0), place.1) = entry;
    }

    /// Adds a donated page to a space's pool.
    pub(super) fn pool_push(&mut self, space: Ref<AddressSpace>, page: PageNumber) {
        let next = core::mem::replace(&mut self.space(space).pool, page);
        page::words(&mut self.machine, page)[0] = u64::from(next);
    }

    /// Takes a zeroed page from a space's pool.
    pub(super) fn pool_pop(&mut self, space: Ref<AddressSpace>) -> Option<PageNumber> {
        let page = self.space(space).pool;
        if page == 0 {
            return None;
        }
        let next = core::mem::take(&mut page::words(&mut self.machine, page)[0]);
        self.space(space).pool = next as PageNumber;
        Some(page)
    }

    /// The top-level table, made on first use.
    pub(crate) fn ensure_root(&mut self, space: Ref<AddressSpace>) -> Result<PageNumber, Error> {
        let root = self.space(space).root;
        if root != 0 {
            return Ok(root);
        }
        let root = self.pool_pop(space).ok_or(Error::NeedsTable)?;
        self.machine.fill_kernel_half(root);
        self.space(space).root = root;
        Ok(root)
    }

    /// The table below an entry, made on first use.
    fn descend(&mut self, space: Ref<AddressSpace>, place: Place) -> Result<PageNumber, Error> {
        let entry = self.entry(place);
        if entry & PRESENT != 0 {
            return if entry & HUGE == 0 { Ok(page_of_entry(entry)) } else { Err(Error::AlreadyMapped) };
        }
        let table = self.pool_pop(space).ok_or(Error::NeedsTable)?;
        self.set_entry(place, u64::from(table) << 12 | PRESENT | WRITABLE | USER);
        Ok(table)
    }

    /// Whether the pool has a page for each table of an address that is not there, down to the level `lowest`: all of them are made, or none.
    fn check_pool(&mut self, space: Ref<AddressSpace>, address: u64, lowest: u32) -> Result<(), Error> {
        let missing = self.tables_missing(space, address, lowest);
        let mut page = self.space(space).pool;
        for _ in 0..missing {
            if page == 0 {
                return Err(Error::NeedsTable);
            }
            page = page::words(&mut self.machine, page)[0] as PageNumber;
        }
        Ok(())
    }

    fn tables_missing(&mut self, space: Ref<AddressSpace>, address: u64, lowest: u32) -> u32 {
        let mut table = self.space(space).root;
        if table == 0 {
            return 4 - lowest;
        }
        for level in (lowest + 1..4).rev() {
            let entry = self.entry((table, index_at(address, level)));
            if entry & PRESENT == 0 {
                return level - lowest;
            }
            if entry & HUGE != 0 {
                break;
            }
            table = page_of_entry(entry);
        }
        0
    }

    /// The directory entry of an address; tables above it are made.
    pub(super) fn directory_entry(&mut self, space: Ref<AddressSpace>, address: u64) -> Result<Place, Error> {
        self.check_pool(space, address, 1)?;
        let root = self.ensure_root(space)?;
        let third = self.descend(space, (root, index_at(address, 3)))?;
        let second = self.descend(space, (third, index_at(address, 2)))?;
        Ok((second, index_at(address, 1)))
    }

    /// The page-table entry of an address; tables above it are made.
    #[inline]
    pub(super) fn page_entry(&mut self, space: Ref<AddressSpace>, address: u64) -> Result<Place, Error> {
        match self.page_table(space, address) {
            Some(table) => Ok((table, index_at(address, 0))),
            None => self.make_page_entry(space, address),
        }
    }

    /// The page table of an address, if it is there.
    #[inline]
    pub(super) fn page_table(&mut self, space: Ref<AddressSpace>, address: u64) -> Option<PageNumber> {
        let mut table = self.space(space).root;
        if table == 0 {
            return None;
        }
        for level in (1..4).rev() {
            let entry = self.entry((table, index_at(address, level)));
            if entry & (PRESENT | HUGE) != PRESENT {
                return None;
            }
            table = page_of_entry(entry);
        }
        Some(table)
    }

    #[cold]
    fn make_page_entry(&mut self, space: Ref<AddressSpace>, address: u64) -> Result<Place, Error> {
        self.check_pool(space, address, 0)?;
        let directory = self.directory_entry(space, address)?;
        Ok((self.descend(space, directory)?, index_at(address, 0)))
    }

    /// What translates an address now.
    #[inline]
    pub(crate) fn leaf(&mut self, space: Ref<AddressSpace>, address: u64) -> Leaf {
        if let Some(table) = self.page_table(space, address) {
            return self.page_leaf((table, index_at(address, 0)));
        }
        self.upper_leaf(space, address)
    }

    /// What translates an address that has no page table.
    fn upper_leaf(&mut self, space: Ref<AddressSpace>, address: u64) -> Leaf {
        let mut table = self.space(space).root;
        if table == 0 {
            return Leaf::Missing;
        }
        for level in (1..4).rev() {
            let place = (table, index_at(address, level));
            let entry = self.entry(place);
            if entry & PRESENT == 0 {
                return Leaf::Missing;
            }
            if entry & HUGE != 0 {
                return Leaf::Huge(place);
            }
            table = page_of_entry(entry);
        }
        Leaf::Missing
    }

    /// The leaf that an entry of a page table is.
    fn page_leaf(&mut self, place: Place) -> Leaf {
        if self.entry(place) & PRESENT == 0 { Leaf::Missing } else { Leaf::Page(place) }
    }

    /// Does `act` for the page-table entry of each page of a range, whose tables are made; stops at the budget or the first error.
    /// Returns how many pages were done; an error only if none was.
    pub(super) fn over_pages(
        &mut self,
        space: Ref<AddressSpace>,
        address: u64,
        pages: u64,
        mut act: impl FnMut(&mut Self, Place, u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut done = 0;
        let mut table = None;
        while done < pages.min(abi::BUDGET_PAGES) {
            let at = address + done * abi::PAGE_SIZE;
            let index = index_at(at, 0);
            let place = match table {
                Some(table) if index != 0 => Ok((table, index)),
                _ => self.page_entry(space, at),
            };
            match place.and_then(|place| act(self, place, done).map(|()| place)) {
                Ok(place) => table = Some(place.0),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            done += 1;
        }
        Ok(done)
    }

    /// Does `act` for each leaf of a range that exists, and passes over whole holes; stops at the budget, the first error, or a preemption point.
    pub(super) fn over_range(
        &mut self,
        space: Ref<AddressSpace>,
        address: u64,
        pages: u64,
        mut act: impl FnMut(&mut Self, Leaf, u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let end = address + pages * abi::PAGE_SIZE;
        let mut at = address;
        let (mut steps, mut entries) = (0, 0);
        let mut table = None;
        while at < end && steps < abi::BUDGET_PAGES {
            (steps, entries) = (steps + 1, entries + 1);
            let leaf = match table {
                Some(table) if index_at(at, 0) != 0 => self.page_leaf((table, index_at(at, 0))),
                _ => self.leaf(space, at),
            };
            if let Err(error) = act(self, leaf, at) {
                return if at == address { Err(error) } else { Ok((at - address) / abi::PAGE_SIZE) };
            }
            table = None;
            at = match leaf {
                Leaf::Page(place) => {
                    table = Some(place.0);
                    at + abi::PAGE_SIZE
                }
                Leaf::Huge(_) => next_multiple(at, DIRECTORY_SPAN),
                Leaf::Missing => {
                    let (hole_end, looked_at) = self.hole_end(space, at, 0);
                    entries += looked_at;
                    hole_end
                }
            };
            if entries >= POINT_ENTRIES {
                if self.machine.interrupted() {
                    break;
                }
                entries = 0;
            }
        }
        Ok((at.min(end) - address) / abi::PAGE_SIZE)
    }

    /// Up to where the address space from `address` on is certainly empty, as the tables of level `lowest` and above tell: the next present entry of
    /// the topmost table that has none for it, or that table's end. One step passes over [`HOLE_ENTRIES`] entries at most. `address` itself if
    /// none of them misses it. Also how many entries were looked at.
    pub(super) fn hole_end(&mut self, space: Ref<AddressSpace>, address: u64, lowest: u32) -> (u64, u64) {
        let mut table = self.space(space).root;
        if table == 0 {
            return (1 << 48, 0);
        }
        let mut looked_at = 0;
        for level in (lowest..4).rev() {
            let index = index_at(address, level);
            let entries = page::words(&mut self.machine, table);
            let missing = missing_entries(entries.get(index..PAGE_WORDS.min(index + HOLE_ENTRIES)).unwrap_or_default());
            let entry = *wrap::at(entries, index);
            looked_at += missing + GROUP as u64;
            self.machine.touched(8 * (missing as usize + GROUP));
            if missing != 0 {
                let span = 1 << (12 + 9 * level);
                return ((address / span + missing) * span, looked_at);
            }
            if entry & HUGE != 0 {
                break;
            }
            table = page_of_entry(entry);
        }
        (address, looked_at)
    }

    /// Forgets a translation where the space is loaded: here at once, on other processors before the trap ends. Nothing can use the page for something
    /// else before.
    #[inline]
    pub(crate) fn flush(&mut self, space: Ref<AddressSpace>, address: u64) {
        let root = self.space(space).root;
        if root == self.cpu().root {
            self.machine.flush(address);
        }
        if self.processors() > 1 {
            self.note_stale(root);
        }
    }

    fn note_stale(&mut self, root: PageNumber) {
        let here = self.machine.processor();
        let others = self.cpus.used().iter().enumerate().filter(|(index, cpu)| *index != here && cpu.root == root && root != 0);
        let stale = others.fold(0, |bits, (index, _)| bits | 1 << index);
        self.stale |= stale;
        self.cpu().reschedule |= stale != 0;
    }

    /// The shoot-down: other processors forget what [`Kernel::flush`] ended. An idle one leaves the space.
    pub(crate) fn end_translations(&mut self) {
        let stale = core::mem::take(&mut self.stale);
        for processor in (0..MAX_CPUS).filter(|processor| stale >> processor & 1 != 0) {
            if self.cpu_at(processor).is_idle() {
                self.unload_at(processor);
            } else {
                self.machine.delegate(processor, Duty::Forget);
            }
        }
    }

    /// Another processor, on which no thread of the loaded space runs, leaves it.
    pub(super) fn unload_at(&mut self, processor: usize) {
        self.cpu_at(processor).root = 0;
        self.machine.delegate(processor, Duty::Unload);
    }
}

/// Whether no entry of a group is present.
pub(super) fn is_hole(group: &[u64; GROUP]) -> bool {
    group.iter().fold(0, |bits, entry| bits | entry) & PRESENT == 0
}

/// How many entries at the start are not present. Looks at several at a time: address spaces are mostly holes.
fn missing_entries(entries: &[u64]) -> u64 {
    let (groups, _) = entries.as_chunks::<GROUP>();
    let whole = groups.iter().take_while(|group| is_hole(group)).count() * GROUP;
    let rest = entries.iter().skip(whole).take_while(|entry| **entry & PRESENT == 0).count();
    (whole + rest) as u64
}

/// The first multiple of `span` above `address`.
pub(super) fn next_multiple(address: u64, span: u64) -> u64 {
    (address / span + 1) * span
}
