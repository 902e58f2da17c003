//! Memory: ranges of plain pages, and how they become objects and memory again.
//!
//! Invariants: a page changes its kind only while nothing maps or pins it; pages are zero when they leave a kernel kind; of the capabilities to
//! a page exactly one is owning, so an owning capability needs no epoch check, and a lent one is checked for each page it touches.

use abi::{Error, ObjectKind, Rights};

use crate::capability::{CapTable, Slot, SlotPlace};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, HUGE_PAGES, Ref};
use crate::thread::Thread;

/// Pages that one zeroing operation does at most.
const ZERO_BUDGET: u64 = 64;

impl<M: Machine> Kernel<M> {
    /// The page at `offset` of a range that `memory` names: plain, and not revoked since.
    pub(crate) fn memory_page(&mut self, memory: &Slot, offset: u64) -> Result<PageNumber, Error> {
        if !memory.covers(offset, 1) {
            return Err(Error::InvalidArgument);
        }
        let page = memory.first.wrapping_add(offset as u32);
        let info = *self.machine.page_info(page).ok_or(Error::InvalidHandle)?;
        let valid = info.kind() == memory.kind() && (memory.rights & Rights::OWNED != 0 || memory.epoch >= info.revoked_at);
        if valid { Ok(page) } else { Err(Error::InvalidHandle) }
    }

    /// Whether a page is plain and nothing maps or pins it.
    pub(crate) fn is_unused(&mut self, page: PageNumber) -> bool {
        let head = page - page % HUGE_PAGES;
        let covered = self.machine.page_info(head).is_some_and(|info| info.huge != 0);
        !covered && self.machine.page_info(page).is_some_and(|info| info.kind() == ObjectKind::Memory && info.maps == 0 && info.pins == 0)
    }

    fn owned(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(Slot, SlotPlace), Error> {
        let slot = self.lookup(thread, handle, ObjectKind::Memory, Rights::OWNED)?;
        Ok((slot, self.handle_place(thread, handle)?))
    }

    /// Gives a page a new kind; every capability to it dies.
    pub(crate) fn set_kind(&mut self, page: PageNumber, kind: ObjectKind) -> u64 {
        let epoch = self.next_epoch();
        if let Some(info) = self.machine.page_info(page) {
            info.kind = kind as u8;
            info.revoked_at = epoch;
        }
        epoch
    }

    /// Turns plain pages into a kernel object.
    pub(crate) fn retype(&mut self, thread: Ref<Thread>, handle: u32, words: [u64; 5]) -> Result<(), Error> {
        let [offset, kind, pages, target, table] = words;
        let (memory, _) = self.owned(thread, handle)?;
        let kind = u8::try_from(kind).ok().and_then(ObjectKind::from_byte).ok_or(Error::InvalidArgument)?;
        let multiple = kind == ObjectKind::CapTable;
        let creatable =
            matches!(kind, ObjectKind::Endpoint | ObjectKind::Notification | ObjectKind::Thread | ObjectKind::AddressSpace | ObjectKind::CapTable);
        if !creatable || pages == 0 || pages > ZERO_BUDGET || pages > 1 && !multiple || !memory.covers(offset, pages) {
            return Err(Error::InvalidArgument);
        }
        let first = memory.first.wrapping_add(offset as u32);
        let to = self.empty_place(thread, table, target)?;
        for index in 0..pages as u32 {
            if !self.is_unused(first + index) {
                return Err(Error::Busy);
            }
        }
        let mut epoch = 0;
        for index in 0..pages as u32 {
            page::zero(&mut self.machine, first + index);
            epoch = self.set_kind(first + index, kind);
        }
        let object = self.machine.page_address(first);
        match kind {
            ObjectKind::CapTable => self.init_table(Ref::at(object), pages as u32),
            ObjectKind::Thread => self.init_thread(Ref::at(object)),
            _ => {}
        }
        *self.slot(to) = Slot { rights: Rights::ALL, kind: kind as u8, first, epoch, object, ..Slot::default() };
        Ok(())
    }

    /// The pages from an offset on become a capability of their own.
    pub(crate) fn split(&mut self, thread: Ref<Thread>, handle: u32, words: [u64; 3]) -> Result<(), Error> {
        let [offset, target, table] = words;
        let (memory, place) = self.owned(thread, handle)?;
        if offset == 0 || offset >= u64::from(memory.count()) {
            return Err(Error::InvalidArgument);
        }
        let to = self.empty_place(thread, table, target)?;
        let rest = u64::from(memory.count()).wrapping_sub(offset);
        *self.slot(to) = Slot { first: memory.first.wrapping_add(offset as u32), object: rest, ..memory };
        self.slot(place).object = offset;
        Ok(())
    }

    /// Joins two adjacent ranges.
    pub(crate) fn merge(&mut self, thread: Ref<Thread>, handle: u32, other: u64) -> Result<(), Error> {
        let (memory, place) = self.owned(thread, handle)?;
        let other = u32::try_from(other).map_err(|_| Error::InvalidArgument)?;
        let (next, next_place) = self.owned(thread, other)?;
        if memory.first.checked_add(memory.count()) != Some(next.first) || place == next_place || memory.rights != next.rights {
            return Err(Error::InvalidArgument);
        }
        self.slot(place).object = u64::from(memory.count()).wrapping_add(u64::from(next.count()));
        *self.slot(next_place) = Slot::default();
        Ok(())
    }

    /// Destroys what lies in a range of pages and zeroes them, a budget at a time.
    pub(crate) fn reclaim(&mut self, thread: Ref<Thread>, handle: u32, words: [u64; 2]) -> Result<u64, Error> {
        let [offset, pages] = words;
        let (memory, _) = self.owned(thread, handle)?;
        if !memory.covers(offset, pages) {
            return Err(Error::InvalidArgument);
        }
        let mut done = 0;
        while done < pages.min(ZERO_BUDGET) {
            let page = memory.first.wrapping_add((offset + done) as u32);
            match self.reclaim_page(page, pages - done) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Ends the object in a page. Returns how many pages it had; `left` is how many may be taken.
    fn reclaim_page(&mut self, page: PageNumber, left: u64) -> Result<u64, Error> {
        let info = *self.machine.page_info(page).ok_or(Error::InvalidArgument)?;
        let address = self.machine.page_address(page);
        let mut pages = 1;
        match info.kind() {
            ObjectKind::Memory => {
                if !self.is_unused(page) {
                    return Err(Error::Busy);
                }
            }
            ObjectKind::Endpoint => {
                if !self.destroy_endpoint(Ref::at(address)) {
                    return Err(Error::Busy);
                }
            }
            ObjectKind::Notification => self.destroy_notification(Ref::at(address)),
            ObjectKind::Thread => {
                if self.cpu.current == Ref::at(address) {
                    return Err(Error::Busy);
                }
                self.destroy_thread(Ref::at(address));
            }
            ObjectKind::AddressSpace => {
                if !self.is_dismantled(Ref::at(address)) {
                    return Err(Error::Busy);
                }
            }
            ObjectKind::CapTable if info.pins != 0 => return Err(Error::Busy),
            ObjectKind::CapTable => pages = self.destroy_table(Ref::at(address), left)?,
            ObjectKind::PageTable | ObjectKind::Empty | ObjectKind::Reply | ObjectKind::Irq | ObjectKind::IoPorts | ObjectKind::Device => {
                return Err(Error::Busy);
            }
        }
        for index in 0..pages as u32 {
            page::zero(&mut self.machine, page + index);
            self.unpin(page + index);
            self.set_kind(page + index, ObjectKind::Memory);
        }
        Ok(pages)
    }

    /// Whether a table may go: nobody uses it, no caller waits in it, no memory would be lost. Returns its pages.
    fn destroy_table(&mut self, table: Ref<CapTable>, left: u64) -> Result<u64, Error> {
        let header = *self.table(table);
        let pages = u64::from(header.slots / abi::SLOTS_PER_PAGE);
        if pages == 0 || pages > left {
            return Err(Error::InvalidArgument);
        }
        if header.users != 0 || header.callers.some().is_some() || self.holds_owned_memory(table) {
            return Err(Error::Busy);
        }
        Ok(pages)
    }

    /// Every lent capability to a range of pages dies.
    pub(crate) fn revoke(&mut self, thread: Ref<Thread>, handle: u32, words: [u64; 2]) -> Result<u64, Error> {
        let [offset, pages] = words;
        let (memory, _) = self.owned(thread, handle)?;
        if !memory.covers(offset, pages) {
            return Err(Error::InvalidArgument);
        }
        let epoch = self.next_epoch();
        let done = pages.min(abi::BUDGET_PAGES);
        for index in 0..done {
            let page = memory.first.wrapping_add((offset + index) as u32);
            if let Some(info) = self.machine.page_info(page)
                && info.kind() == ObjectKind::Memory
            {
                info.revoked_at = epoch;
            }
        }
        Ok(done)
    }

    /// Which of 64 pages are plain and unused, as bits.
    pub(crate) fn free_pages(&mut self, thread: Ref<Thread>, handle: u32, offset: u64) -> Result<u64, Error> {
        let (memory, _) = self.owned(thread, handle)?;
        if !memory.covers(offset, 1) {
            return Err(Error::InvalidArgument);
        }
        let count = (u64::from(memory.count()) - offset).min(64);
        let mut bits = 0;
        for index in 0..count {
            if self.is_unused(memory.first.wrapping_add((offset + index) as u32)) {
                bits |= 1 << index;
            }
        }
        Ok(bits)
    }

    /// Where a page lies, for a driver's descriptors.
    pub(crate) fn physical_address(&mut self, thread: Ref<Thread>, handle: u32, offset: u64) -> Result<u64, Error> {
        let memory = self.lookup(thread, handle, ObjectKind::Memory, Rights::PHYS)?;
        let page = self.memory_page(&memory, offset)?;
        Ok(u64::from(page) * abi::PAGE_SIZE)
    }
}
