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

/// Pages that a table has at most.
const TABLE_PAGES: u64 = 64;

impl<M: Machine> Kernel<M> {
    /// The page at `offset` of a range that `memory` names: plain, and not revoked since.
    pub(crate) fn memory_page(&mut self, memory: &Slot, offset: u64) -> Result<PageNumber, Error> {
        if !memory.covers(offset, 1) {
            return Err(Error::InvalidArgument);
        }
        let page = memory.first.wrapping_add(offset as u32);
        let info = *self.machine.page_info(page).ok_or(Error::InvalidHandle)?;
        let valid = info.kind == memory.kind && (memory.rights & Rights::OWNED != 0 || memory.epoch >= info.revoked_at);
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

    /// Turns plain pages into a kernel object. A table grows page by page; returns whether it has all of them: done again, it goes on.
    pub(crate) fn retype(&mut self, thread: Ref<Thread>, handle: u32) -> Result<bool, Error> {
        let [offset, kind, pages, target, table] = self.arguments(thread);
        let (memory, _) = self.owned(thread, handle)?;
        let kind = u8::try_from(kind).ok().and_then(ObjectKind::from_byte).ok_or(Error::InvalidArgument)?;
        let multiple = kind == ObjectKind::CapTable;
        let creatable =
            matches!(kind, ObjectKind::Endpoint | ObjectKind::Notification | ObjectKind::Thread | ObjectKind::AddressSpace | ObjectKind::CapTable);
        if !creatable || pages == 0 || pages > TABLE_PAGES || pages > 1 && !multiple || !memory.covers(offset, pages) {
            return Err(Error::InvalidArgument);
        }
        let first = memory.first.wrapping_add(offset as u32);
        let to = self.target_place(thread, table, target)?;
        let (object, pages) = (self.machine.page_address(first), pages as u32);
        let begun = *self.slot(to);
        let ready = if begun.is_empty() { 0 } else { self.begun_pages(&begun, kind, first, pages)? };
        for index in ready..pages {
            if !self.is_unused(first + index) {
                return Err(Error::Busy);
            }
        }
        for index in ready..pages {
            page::zero(&mut self.machine, first + index);
            let epoch = self.set_kind(first + index, kind);
            match kind {
                ObjectKind::CapTable => self.grow_table(Ref::at(object)),
                ObjectKind::Thread => self.init_thread(Ref::at(object)),
                _ => {}
            }
            if index == 0 {
                *self.slot(to) = Slot { rights: Rights::ALL, kind: kind as u8, first, epoch, object, ..Slot::default() };
            }
            if index + 1 < pages && self.machine.interrupted() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The pages that a table has so far whose making was preempted: its capability is in its slot already.
    fn begun_pages(&mut self, begun: &Slot, kind: ObjectKind, first: PageNumber, pages: u32) -> Result<u32, Error> {
        let same = kind == ObjectKind::CapTable && begun.kind() == kind && begun.first == first && self.is_valid(begun);
        let ready = if same { self.table_pages(begun.reference()) } else { pages };
        if ready < pages { Ok(ready) } else { Err(Error::SlotFull) }
    }

    /// The pages from an offset on become a capability of their own.
    pub(crate) fn split(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [offset, target, table] = self.arguments(thread);
        let (memory, place) = self.owned(thread, handle)?;
        if offset == 0 || offset >= u64::from(memory.count()) {
            return Err(Error::InvalidArgument);
        }
        let to = self.empty_place(thread, table, target)?;
        let rest = u64::from(memory.count()).wrapping_sub(offset);
        self.put(to, Slot { first: memory.first.wrapping_add(offset as u32), object: rest, ..memory });
        self.slot(place).object = offset;
        Ok(())
    }

    /// Joins two adjacent ranges.
    pub(crate) fn merge(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [other] = self.arguments(thread);
        let (memory, place) = self.owned(thread, handle)?;
        let other = u32::try_from(other).map_err(|_| Error::InvalidArgument)?;
        let (next, next_place) = self.owned(thread, other)?;
        if memory.first.checked_add(memory.count()) != Some(next.first) || place == next_place || memory.rights != next.rights {
            return Err(Error::InvalidArgument);
        }
        self.slot(place).object = u64::from(memory.count()).wrapping_add(u64::from(next.count()));
        self.put(next_place, Slot::default());
        Ok(())
    }

    /// Destroys what lies in a range of pages and zeroes them, up to a preemption point. Returns how many pages were done; none if the object in the
    /// first one has not ended yet: done again, it goes on.
    pub(crate) fn reclaim(&mut self, thread: Ref<Thread>, handle: u32, words: [u64; 2]) -> Result<Option<u64>, Error> {
        let [offset, pages] = words;
        let (memory, _) = self.owned(thread, handle)?;
        if !memory.covers(offset, pages) {
            return Err(Error::InvalidArgument);
        }
        let mut done = 0;
        while done < pages.min(abi::BUDGET_PAGES) {
            let page = memory.first.wrapping_add((offset + done) as u32);
            match self.reclaim_page(page, pages - done) {
                Ok(gone) => done += u64::from(gone),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            if self.machine.interrupted() {
                break;
            }
        }
        Ok((done != 0 || pages == 0).then_some(done))
    }

    /// One step of the end of the object in a page. Returns whether the page is memory now; `left` is how many pages may be taken.
    fn reclaim_page(&mut self, page: PageNumber, left: u64) -> Result<bool, Error> {
        let info = *self.machine.page_info(page).ok_or(Error::InvalidArgument)?;
        let address = self.machine.page_address(page);
        let mut gone = page;
        match info.kind() {
            ObjectKind::Memory => {
                if !self.is_unused(page) {
                    return Err(Error::Busy);
                }
            }
            ObjectKind::Endpoint => {
                if !self.destroy_endpoint(Ref::at(address)) {
                    return Ok(false);
                }
            }
            ObjectKind::Notification => self.destroy_notification(Ref::at(address)),
            ObjectKind::Thread => {
                if self.cpu().current == Ref::at(address) {
                    return Err(Error::Busy);
                }
                if !self.destroy_thread(Ref::at(address)) {
                    return Ok(false);
                }
            }
            ObjectKind::AddressSpace => {
                if !self.is_dismantled(Ref::at(address)) {
                    return Err(Error::Busy);
                }
            }
            ObjectKind::CapTable if info.pins != 0 => return Err(Error::Busy),
            ObjectKind::CapTable => gone = self.destroy_table(Ref::at(address), left)?,
            ObjectKind::PageTable | ObjectKind::Empty | ObjectKind::Reply | ObjectKind::Irq | ObjectKind::IoPorts | ObjectKind::Device => {
                return Err(Error::Busy);
            }
        }
        page::zero(&mut self.machine, gone);
        self.unpin(gone);
        self.set_kind(gone, ObjectKind::Memory);
        Ok(gone == page)
    }

    /// One step of a table's end, if it may go: nobody uses it, no caller waits in it, no memory would be lost. Returns its last page, which goes first.
    fn destroy_table(&mut self, table: Ref<CapTable>, left: u64) -> Result<PageNumber, Error> {
        let header = *self.table(table);
        if u64::from(self.table_pages(table)) > left {
            return Err(Error::InvalidArgument);
        }
        if header.users != 0 || header.callers.some().is_some() || header.owned != 0 {
            return Err(Error::Busy);
        }
        // Every capability to it dies first, so that nobody sees it half gone.
        let first = self.machine.page_of(table.address());
        self.set_kind(first, ObjectKind::CapTable);
        Ok(self.shrink_table(table))
    }

    /// Every lent capability to a range of pages dies.
    pub(crate) fn revoke(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [offset, pages] = self.arguments(thread);
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
    pub(crate) fn free_pages(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [offset] = self.arguments(thread);
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
    pub(crate) fn physical_address(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [offset] = self.arguments(thread);
        let memory = self.lookup(thread, handle, ObjectKind::Memory, Rights::PHYS)?;
        let page = self.memory_page(&memory, offset)?;
        Ok(u64::from(page) * abi::PAGE_SIZE)
    }
}
