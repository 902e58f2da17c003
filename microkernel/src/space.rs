//! Address spaces: page tables, and the batch verbs on them.
//!
//! Invariants: the lower half of the tables below `root` belongs to the space alone and consists of pages that its owner donated; every present
//! entry is counted in its page's `maps` (or `huge`); no entry is writable and executable; nothing at or above [`abi::USER_END`] is mapped. A
//! entry that user code may not access at all (`MapFlags::NONE`) is read-only and not executable; its page stays, and is counted like any other. A
//! region is a space that no thread runs in. What a mapping is *for* is unknown here: no areas, no files, no copy-on-write policy.
//!
//! Why an inaccessible page is a present entry without `USER`, and not one that is not present and keeps its page number: a processor with the L1
//! terminal fault reads through the latter speculatively, whoever owns the cached line (SDM vol. 3, 11.11, and Intel's advisory SA-00161).

mod huge;
mod share;
pub(crate) mod table;
mod teardown;

use abi::{Error, MapFlags, ObjectKind, Rights};

use crate::capability::Slot;
use crate::endpoint::Endpoint;
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, HUGE_PAGES, Object, Ref};
use crate::thread::{Port, Thread};
use crate::wrap;
pub(crate) use table::Leaf;
use table::{ACCESS, ACCESSED, COW, DIRTY, HUGE, MAY_EXECUTE, MAY_WRITE, NO_EXECUTE, PRESENT, UNCACHED, USER, WRITABLE, page_of_entry};

/// Pages that one `List` returns at most: what fits the message page.
const LIST_PAGES: u64 = (abi::MAX_MESSAGE / 8) as u64;

/// An address space.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AddressSpace {
    /// The top-level table, 0 until one is needed.
    pub(crate) root: PageNumber,
    /// First of the donated pages, linked through their first words; 0 for none.
    pub(crate) pool: PageNumber,
    /// Threads that are configured with it.
    pub(crate) users: u32,
    /// 1 once it is being taken apart: it is never loaded or mapped into again.
    pub(crate) dismantled: u32,
    /// How far taking apart has come.
    pub(crate) cursor: u64,
    /// Who handles its page faults.
    pub(crate) pager: Port<Endpoint>,
}

// SAFETY: `repr(C)`, smaller than a page, integers only.
#[allow(unsafe_code, reason = "an address space is plain data")]
unsafe impl Object for AddressSpace {
    const KIND: ObjectKind = ObjectKind::AddressSpace;
}

/// A range of user addresses in pages, checked once.
fn check_range(address: u64, pages: u64) -> Result<(), Error> {
    let bytes = pages.checked_mul(abi::PAGE_SIZE).ok_or(Error::InvalidArgument)?;
    let end = address.checked_add(bytes).ok_or(Error::InvalidArgument)?;
    if !address.is_multiple_of(abi::PAGE_SIZE) || end > abi::USER_END || pages == 0 {
        return Err(Error::InvalidArgument);
    }
    Ok(())
}

/// Flags that a mapping may be asked for with; the others only describe one.
const ASKED: u64 = MapFlags::READ | MapFlags::WRITE | MapFlags::EXECUTE | MapFlags::ZERO | MapFlags::HUGE | MapFlags::UNCACHED;

/// The entry bits for the `flags` of a protection, which may take all access away.
fn protection_bits(flags: u64) -> Result<u64, Error> {
    if flags == MapFlags::NONE { Ok(PRESENT | NO_EXECUTE) } else { entry_bits(flags) }
}

/// The entry bits for `flags`.
fn entry_bits(flags: u64) -> Result<u64, Error> {
    if flags & !ASKED != 0 || flags & MapFlags::WRITE != 0 && flags & MapFlags::EXECUTE != 0 {
        return Err(Error::InvalidArgument);
    }
    let mut bits = PRESENT | USER;
    if flags & MapFlags::WRITE != 0 {
        bits |= WRITABLE;
    }
    if flags & MapFlags::EXECUTE == 0 {
        bits |= NO_EXECUTE;
    }
    if flags & MapFlags::UNCACHED != 0 {
        bits |= UNCACHED;
    }
    Ok(bits)
}

/// The entry bits that remember the rights of the capability behind a mapping.
fn limit_bits(rights: u8) -> u64 {
    let write = if rights & Rights::WRITE != 0 { MAY_WRITE } else { 0 };
    let execute = if rights & Rights::EXECUTE != 0 { MAY_EXECUTE } else { 0 };
    write | execute
}

/// Whether an entry's limits allow the access that `bits` would give.
fn within_limits(entry: u64, bits: u64) -> Result<(), Error> {
    let write = bits & WRITABLE != 0 && entry & MAY_WRITE == 0;
    let execute = bits & NO_EXECUTE == 0 && entry & MAY_EXECUTE == 0;
    if write || execute { Err(Error::MissingRight) } else { Ok(()) }
}

/// A 2 MiB page around `at` is changed only by a range that has all of it.
fn has_whole_directory_entry(at: u64, address: u64, pages: u64) -> Result<(), Error> {
    let span = u64::from(HUGE_PAGES) * abi::PAGE_SIZE;
    let start = at - at % span;
    if start < address || start + span > address + pages * abi::PAGE_SIZE { Err(Error::InvalidArgument) } else { Ok(()) }
}

/// The rights that a Memory capability needs for `flags`.
fn rights_for(flags: u64) -> u8 {
    let write = if flags & (MapFlags::WRITE | MapFlags::ZERO) != 0 { Rights::WRITE } else { 0 };
    let execute = if flags & MapFlags::EXECUTE != 0 { Rights::EXECUTE } else { 0 };
    Rights::READ | write | execute
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn space(&mut self, space: Ref<AddressSpace>) -> &mut AddressSpace {
        page::object(&mut self.machine, space)
    }

    /// The top-level table of a space, 0 for none.
    pub(crate) fn space_root(&mut self, space: Ref<AddressSpace>) -> PageNumber {
        match space.some() {
            Some(space) => self.space(space).root,
            None => 0,
        }
    }

    pub(crate) fn space_argument(&mut self, thread: Ref<Thread>, handle: u32, rights: u8) -> Result<Ref<AddressSpace>, Error> {
        let space = self.lookup(thread, handle, ObjectKind::AddressSpace, rights)?.reference();
        if self.space(space).dismantled != 0 { Err(Error::WrongState) } else { Ok(space) }
    }

    /// Donates pages for page tables.
    pub(crate) fn add_tables(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [memory, first, pages] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::MAP)?;
        let memory = u32::try_from(memory).map_err(|_| Error::InvalidArgument)?;
        let memory = self.lookup(thread, memory, ObjectKind::Memory, Rights::OWNED)?;
        if !memory.covers(first, pages) {
            return Err(Error::InvalidArgument);
        }
        let mut done = 0;
        while done < pages.min(abi::BUDGET_PAGES) {
            let page = memory.first.wrapping_add((first + done) as u32);
            if !self.is_unused(page) {
                return if done == 0 { Err(Error::Busy) } else { Ok(done) };
            }
            self.set_kind(page, ObjectKind::PageTable);
            page::zero(&mut self.machine, page);
            self.pool_push(space, page);
            done += 1;
            if self.machine.interrupted() {
                break;
            }
        }
        Ok(done)
    }

    /// Names the endpoint that gets the space's page faults.
    pub(crate) fn set_pager(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [endpoint] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::CONTROL)?;
        let endpoint = u32::try_from(endpoint).map_err(|_| Error::InvalidArgument)?;
        let slot = self.lookup(thread, endpoint, ObjectKind::Endpoint, Rights::CALL)?;
        self.space(space).pager = Port { object: slot.reference(), epoch: slot.epoch };
        Ok(())
    }

    /// Maps pages of Memory.
    pub(crate) fn map(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [address, memory, first, pages, flags] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::MAP)?;
        check_range(address, pages)?;
        let bits = entry_bits(flags)?;
        let place = u32::try_from(memory).map_err(|_| Error::InvalidArgument)?;
        let place = self.handle_place(thread, place)?;
        let memory = *self.slot(place);
        if !matches!(memory.kind(), ObjectKind::Memory | ObjectKind::Device) {
            return Err(if memory.is_empty() { Error::InvalidHandle } else { Error::WrongKind });
        }
        if memory.rights & rights_for(flags) != rights_for(flags) {
            return Err(Error::MissingRight);
        }
        // A 2 MiB page is too much to zero at once: reclaiming it does, in steps.
        let zeroless = memory.kind() == ObjectKind::Device || flags & MapFlags::HUGE != 0;
        if !memory.covers(first, pages) || zeroless && flags & MapFlags::ZERO != 0 {
            return Err(Error::InvalidArgument);
        }
        // What a device has in its registers is never the cache's, whatever was asked for.
        let cache = if memory.kind() == ObjectKind::Device { UNCACHED } else { 0 };
        let bits = bits | limit_bits(memory.rights) | cache;
        if flags & MapFlags::HUGE != 0 {
            return self.map_huge(space, address, &memory, (first, pages), bits);
        }
        // Before pages are taken for tables: who has nothing to map needs none.
        let page = self.memory_page(&memory, first)?;
        if flags & MapFlags::ZERO != 0 && self.page_table(space, address).is_none() && !self.is_unused(page) {
            return Err(Error::Busy);
        }
        if pages == 1 {
            let leaf = self.page_entry(space, address)?;
            return self.map_page(leaf, page, bits, flags).map(|()| 1);
        }
        self.over_pages(space, address, pages, |kernel, leaf, done| {
            // A preemption point between two pages of zeros: this page ends the step, and begins the next one.
            if done != 0 && flags & MapFlags::ZERO != 0 && kernel.machine.interrupted() {
                return Err(Error::Busy);
            }
            let page = kernel.memory_page(&memory, first + done)?;
            kernel.map_page(leaf, page, bits, flags)
        })
    }

    #[inline]
    fn map_page(&mut self, leaf: (PageNumber, usize), page: PageNumber, bits: u64, flags: u64) -> Result<(), Error> {
        if self.entry(leaf) & PRESENT != 0 {
            return Err(Error::AlreadyMapped);
        }
        if flags & MapFlags::ZERO != 0 {
            if !self.is_unused(page) {
                return Err(Error::Busy);
            }
            page::zero(&mut self.machine, page);
        }
        self.count_map(page)?;
        self.set_entry(leaf, u64::from(page) << 12 | bits);
        Ok(())
    }

    /// Maps one 2 MiB page.
    fn map_huge(&mut self, space: Ref<AddressSpace>, address: u64, memory: &Slot, range: (u64, u64), bits: u64) -> Result<u64, Error> {
        let (first, pages) = range;
        let head = self.memory_page(memory, first)?;
        let aligned = head.is_multiple_of(HUGE_PAGES) && address.is_multiple_of(u64::from(HUGE_PAGES) * abi::PAGE_SIZE);
        if pages != u64::from(HUGE_PAGES) || !aligned || memory.kind() == ObjectKind::Device {
            return Err(Error::InvalidArgument);
        }
        for offset in first..first + pages {
            self.memory_page(memory, offset)?;
        }
        let count = self.machine.page_info(head).ok_or(Error::InvalidArgument)?.huge.checked_add(1).ok_or(Error::KernelLimit)?;
        let place = self.directory_entry(space, address)?;
        if self.entry(place) & PRESENT != 0 {
            return Err(Error::AlreadyMapped);
        }
        self.machine.page_info(head).ok_or(Error::InvalidArgument)?.huge = count;
        self.set_entry(place, u64::from(head) << 12 | bits | HUGE);
        Ok(pages)
    }

    /// One more entry maps a page.
    pub(crate) fn count_map(&mut self, page: PageNumber) -> Result<(), Error> {
        let info = self.machine.page_info(page).ok_or(Error::InvalidArgument)?;
        info.maps = info.maps.checked_add(1).ok_or(Error::KernelLimit)?;
        Ok(())
    }

    /// One entry fewer maps a page.
    pub(crate) fn uncount_map(&mut self, page: PageNumber) {
        if let Some(info) = self.machine.page_info(page) {
            info.maps = info.maps.saturating_sub(1);
        }
    }

    /// Unmaps a range; holes in it are passed over.
    pub(crate) fn unmap(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [address, pages] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::MAP)?;
        check_range(address, pages)?;
        if pages == 1
            && let Leaf::Page(place) = self.leaf(space, address)
        {
            self.clear_page(space, place, address);
            return Ok(1);
        }
        self.over_range(space, address, pages, |kernel, leaf, at| kernel.clear_leaf(space, leaf, at, address, pages))
    }

    /// Clears one leaf of a range that is unmapped. A 2 MiB page goes only as a whole.
    fn clear_leaf(&mut self, space: Ref<AddressSpace>, leaf: Leaf, at: u64, address: u64, pages: u64) -> Result<(), Error> {
        match leaf {
            Leaf::Page(place) => self.clear_page(space, place, at),
            Leaf::Huge(place) => {
                has_whole_directory_entry(at, address, pages)?;
                let entry = self.entry(place);
                self.set_entry(place, 0);
                if let Some(info) = self.machine.page_info(page_of_entry(entry)) {
                    info.huge = info.huge.saturating_sub(1);
                }
                self.flush(space, at);
            }
            Leaf::Missing => {}
        }
        Ok(())
    }

    #[inline]
    fn clear_page(&mut self, space: Ref<AddressSpace>, place: table::Place, at: u64) {
        let entry = self.entry(place);
        self.set_entry(place, 0);
        self.uncount_map(page_of_entry(entry));
        self.flush(space, at);
    }

    /// Changes how a range is mapped, within the rights of the capabilities that it was mapped with. A copy-on-write page does not become writable
    /// by this.
    pub(crate) fn protect(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [address, pages, flags] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::MAP)?;
        check_range(address, pages)?;
        let bits = protection_bits(flags)?;
        self.over_range(space, address, pages, |kernel, leaf, at| {
            let (Leaf::Page(place) | Leaf::Huge(place)) = leaf else { return Ok(()) };
            let entry = kernel.entry(place);
            if matches!(leaf, Leaf::Huge(_)) {
                has_whole_directory_entry(at, address, pages)?;
            }
            within_limits(entry, bits)?;
            let cow = if entry & COW != 0 { WRITABLE } else { 0 };
            let changed = |entry: u64| entry & !ACCESS | bits & ACCESS & !cow;
            if changed(entry) != entry {
                kernel.update_entry(place, changed);
                kernel.flush(space, at);
            }
            Ok(())
        })
    }

    /// Writes what a range holds into the message page, a word a page.
    pub(crate) fn list(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [address, pages] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::LIST)?;
        check_range(address, pages)?;
        let out = self.thread(thread).message_page;
        if out == 0 {
            return Err(Error::WrongState);
        }
        let pages = pages.min(LIST_PAGES);
        for index in 0..pages {
            let described = self.describe_page(space, address + index * abi::PAGE_SIZE);
            *wrap::at_mut(page::words(&mut self.machine, out), index as usize) = described;
        }
        Ok(pages)
    }

    fn describe_page(&mut self, space: Ref<AddressSpace>, address: u64) -> u64 {
        let (place, offset, size) = match self.leaf(space, address) {
            Leaf::Page(place) => (place, 0, 0),
            Leaf::Huge(place) => (place, (address >> 12) % u64::from(HUGE_PAGES), MapFlags::HUGE),
            Leaf::Missing => return 0,
        };
        let entry = self.entry(place);
        let page = u64::from(page_of_entry(entry)) + offset;
        let mut flags = size | if entry & USER != 0 { MapFlags::READ } else { MapFlags::NONE };
        for (bit, flag) in [(WRITABLE, MapFlags::WRITE), (COW, MapFlags::COW), (DIRTY, MapFlags::DIRTY)] {
            if entry & bit != 0 {
                flags |= flag;
            }
        }
        if entry & NO_EXECUTE == 0 {
            flags |= MapFlags::EXECUTE;
        }
        if self.mappings(page as PageNumber) > 1 {
            flags |= MapFlags::SHARED;
        }
        page << 12 | flags
    }

    /// How many entries map a page, those of 2 MiB around it included.
    fn mappings(&mut self, page: PageNumber) -> u64 {
        let huge = self.machine.page_info(page - page % HUGE_PAGES).map_or(0, |info| info.huge);
        self.machine.page_info(page).map_or(0, |info| u64::from(info.maps)) + u64::from(huge)
    }

    /// The page behind a user address, if it is mapped for the access. The kernel's own accesses count as the program's.
    pub(crate) fn translate(&mut self, space: Ref<AddressSpace>, address: u64, write: bool) -> Option<PageNumber> {
        let (place, entry, page) = self.accessible(space, address, write)?;
        let accessed = ACCESSED | if write { DIRTY } else { 0 };
        if entry & accessed != accessed {
            self.update_entry(place, |entry| entry | accessed);
        }
        Some(page)
    }

    /// The entry that maps a user address for the access: where it is, what it is, and the page.
    #[inline]
    fn accessible(&mut self, space: Ref<AddressSpace>, address: u64, write: bool) -> Option<(table::Place, u64, PageNumber)> {
        if address >= abi::USER_END {
            return None;
        }
        let (place, offset) = match self.leaf(space, address) {
            Leaf::Page(place) => (place, 0),
            Leaf::Huge(place) => (place, (address >> 12) as u32 % HUGE_PAGES),
            Leaf::Missing => return None,
        };
        let entry = self.entry(place);
        let denied = entry & USER == 0 || write && entry & WRITABLE == 0 || entry & UNCACHED != 0;
        (!denied).then(|| (place, entry, page_of_entry(entry) + offset))
    }

    /// What [`Kernel::translate`] would find, without an access.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn translation(&mut self, space: Ref<AddressSpace>, address: u64, write: bool) -> Option<PageNumber> {
        self.accessible(space, address, write).map(|(_, _, page)| page)
    }
}

/// What building the first process needs of spaces.
impl<M: Machine> Kernel<M> {
    /// Gives a space a page for its tables; the page is of kind `PageTable` and zeroed.
    pub(crate) fn donate(&mut self, space: Ref<AddressSpace>, page: PageNumber) {
        self.pool_push(space, page);
    }

    /// Maps one page that nothing maps at that address.
    pub(crate) fn map_one(&mut self, space: Ref<AddressSpace>, address: u64, page: PageNumber, flags: u64) -> Result<(), Error> {
        check_range(address, 1)?;
        let bits = entry_bits(flags)? | limit_bits(rights_for(flags));
        let place = self.page_entry(space, address)?;
        if self.entry(place) & PRESENT != 0 {
            return Err(Error::AlreadyMapped);
        }
        self.count_map(page)?;
        self.set_entry(place, u64::from(page) << 12 | bits);
        Ok(())
    }
}
