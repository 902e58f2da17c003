//! The server: requests and faults, one at a time.

use abi::{BUDGET_PAGES, MapFlags, PAGE_SIZE, Rights};
use libsys::fail;
use libsys::saved::Area;
use protocols::memory::{self, Error, ServiceUsage, Usage, Window};
use protocols::service::{Badge, Service};
use protocols::supervisor::{Buyer, Paged};

use crate::blocks::BLOCK;
use crate::compact;
use crate::kernel::{Kernel, Table, slot};
use crate::pager::{self, Verdict};
use crate::pieces::Pieces;
use crate::saved::Ledger;
use crate::trade::{self, Point};
use crate::wish;

/// What others may do with a region that they asked for: map it, clone it, see what is there. Not change it.
const LENT_RIGHTS: u8 = Rights::SHARE | Rights::CLONE | Rights::LIST;

/// Pages that one question lists.
const LISTED: usize = 256;
/// Memory.
#[derive(Debug)]
pub struct Memory<'s, K> {
    kernel: K,
    area: &'s Area<Ledger>,
    paged: &'s [Paged],
    buyers: &'s [Buyer],
    pieces: Pieces,
    stuck: compact::Stuck,
    /// How often there was nothing, by service.
    refused: [u64; slot::SERVICES as usize],
}

impl<'s, K: Kernel> Memory<'s, K> {
    /// Starts, which is recovery: what a predecessor began is settled, everything else is read from the kernel.
    pub fn restart(mut kernel: K, area: &'s Area<Ledger>, paged: &'s [Paged], buyers: &'s [Buyer]) -> Self {
        trade::recover(&mut kernel, area);
        let pieces = Pieces::gather(&mut kernel);
        Self { kernel, area, paged, buyers, pieces, stuck: compact::Stuck::default(), refused: [0; slot::SERVICES as usize] }
    }

    /// Answers a fault at `address`.
    pub fn fault(&mut self, from: Badge, address: u64, access: u64) -> Verdict {
        fail::hit(Point::FaultIntent);
        let verdict = pager::fault(&mut self.kernel, &mut self.pieces, self.area, self.paged, from, address, access);
        fail::hit(Point::Fault);
        if verdict == Verdict::OutOfMemory {
            self.refuse(from.service, 1);
        }
        verdict
    }

    /// A server died; what it had is free, or will be as soon as it is reaped.
    pub fn peer_died(&mut self) {
        self.pieces.forget();
    }

    /// What a test does to the machine below.
    #[cfg(test)]
    pub(crate) fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// The pages of all pieces.
    #[must_use]
    pub fn total_pages(&self) -> u64 {
        self.pieces.total()
    }

    /// Counts that there was nothing for a service, and says so in the log: at the first time, the second, the fourth and so on.
    fn refuse(&mut self, service: u8, pages: u64) {
        let Some(count) = self.refused.get_mut(usize::from(service)) else { return };
        *count += 1;
        if count.is_power_of_two() {
            let times = *count;
            let free = self.pieces.count_free(&mut self.kernel);
            let has = self.counted(service);
            libsys::log!("out of memory: service {service} wants {pages} pages, {free} are free, {times} times now; it has {has:?}");
        }
    }

    /// Pages that a space has from an address on.
    fn count_mapped(&mut self, space: u32, mut address: u64, pages: u64) -> u64 {
        let mut words = [0; LISTED];
        let (mut left, mut mapped) = (pages, 0);
        while left > 0 {
            let most = left.min(LISTED as u64) as usize;
            let listed = self.kernel.list(space, address, words.get_mut(..most).unwrap_or_default()).unwrap_or(0);
            if listed == 0 {
                break;
            }
            mapped += words.iter().take(listed).filter(|word| **word != 0).count() as u64;
            address += listed as u64 * PAGE_SIZE;
            left -= listed as u64;
        }
        mapped
    }

    fn counted(&mut self, service: u8) -> Option<ServiceUsage> {
        let paged = *self.paged(service)?;
        let (slot, [heap, saved, region]) = (u32::from(service), [paged.heap_pages, paged.saved_pages, paged.region_pages].map(u64::from));
        Some(ServiceUsage {
            heap: (self.count_mapped(slot::SPACES + slot, libsys::layout::HEAP, heap), heap),
            saved: (self.count_mapped(slot::SAVED + slot, 0, saved), saved),
            region: (self.count_mapped(slot::REGION + slot, 0, region), region),
            bought: self.area.state().sold_to(service),
            refused: self.refused.get(usize::from(service)).copied().unwrap_or(0),
        })
    }

    fn paged(&self, service: u8) -> Option<&'s Paged> {
        self.paged.iter().find(|paged| paged.service == service && service < slot::SERVICES)
    }

    fn buyer(&self, from: Badge) -> Result<Buyer, Error> {
        let declared = |buyer: &&Buyer| buyer.service == from.service && buyer.quota.allows_some() && buyer.service < slot::SERVICES;
        self.buyers.iter().find(declared).copied().ok_or(Error::NotAllowed)
    }

    /// Says in the log that a buyer has all that it may have: as [`Memory::refuse`].
    fn refuse_quota(&mut self, buyer: Buyer, pages: u64) {
        let Some(count) = self.refused.get_mut(usize::from(buyer.service)) else { return };
        *count += 1;
        if count.is_power_of_two() {
            let times = *count;
            let (bought, total) = (self.area.state().sold_to(buyer.service), self.total_pages() + self.area.state().total());
            let (name, most) = (Service::from_id(buyer.service).map_or("?", Service::name), buyer.quota.of(total));
            libsys::log!("quota: {name} wants {pages} pages, has bought {bought} and may have {most} of {total}, {times} times now");
        }
    }

    fn region_pages(&self, service: u8) -> Result<u64, Error> {
        self.paged(service).map(|paged| u64::from(paged.region_pages)).filter(|pages| *pages > 0).ok_or(Error::NoRegion)
    }

    /// Whether a range that ends, or begins, before this page of a region would take a part of a 2 MiB page.
    fn cuts_huge(&mut self, region: u32, page: u64) -> bool {
        let mut word = [0];
        let listed = self.kernel.list(region, page * PAGE_SIZE, &mut word);
        !page.is_multiple_of(BLOCK) && listed.is_ok() && word[0] & MapFlags::HUGE != 0
    }

    /// The blocks of a region's pages are counted again, for these pages may be free soon.
    fn forget_listed(&mut self, region: u32, offset: u64, pages: u64) {
        let mut words = [0; LISTED];
        let mut at = offset;
        while at < offset + pages {
            let most = (offset + pages - at).min(LISTED as u64) as usize;
            let listed = self.kernel.list(region, at * PAGE_SIZE, words.get_mut(..most).unwrap_or_default()).unwrap_or(0);
            if listed == 0 {
                return;
            }
            words.iter().take(listed).filter(|word| **word != 0).for_each(|word| self.pieces.forget_pages(word >> 12, 1));
            at += listed as u64;
        }
    }

    /// Unmaps a range; that a space or region is not there means that nothing is mapped.
    fn unmap(&mut self, space: u32, mut address: u64, pages: u64) {
        let mut left = pages;
        while left > 0 {
            match self.kernel.unmap(space, address, left.min(BUDGET_PAGES)) {
                Ok(done) if done > 0 => {
                    address += done * PAGE_SIZE;
                    left = left.saturating_sub(done);
                }
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl<K: Kernel> memory::Service for Memory<'_, K> {
    fn buy(&mut self, from: Badge, pages: u32, slot: u32) -> Result<(), Error> {
        let buyer = self.buyer(from)?;
        let bought = trade::buy(&mut self.kernel, &mut self.pieces, self.area, buyer, u64::from(pages), slot);
        match bought {
            Err(Error::OutOfMemory) => self.refuse(from.service, u64::from(pages)),
            Err(Error::QuotaExceeded) => self.refuse_quota(buyer, u64::from(pages)),
            _ => {}
        }
        bought
    }

    fn give_back(&mut self, from: Badge, slot: u32) -> Result<(), Error> {
        let buyer = self.buyer(from)?;
        trade::take_back(&mut self.kernel, &mut self.pieces, self.area, buyer.service, slot)
    }

    fn region(&mut self, _from: Badge, service: u8) -> Result<u32, Error> {
        self.region_pages(service)?;
        let (region, lent) = (slot::REGION + u32::from(service), slot::LENT + u32::from(service));
        pager::open_region(&mut self.kernel, &mut self.pieces, region).map_err(|_| Error::OutOfMemory)?;
        let there = self.kernel.describe(Table::Own, lent).is_ok_and(|found| found.kind == abi::ObjectKind::AddressSpace);
        if !there {
            self.kernel.lend_region(region, lent, LENT_RIGHTS).map_err(|_| Error::OutOfMemory)?;
        }
        Ok(libsys::slot::vault(lent))
    }

    fn discard(&mut self, from: Badge, offset_pages: u32, pages: u32) -> Result<(), Error> {
        let limit = self.region_pages(from.service)?;
        let (offset, pages) = (u64::from(offset_pages), u64::from(pages));
        if pages == 0 || offset + pages > limit {
            return Err(Error::InvalidRange);
        }
        let service = u32::from(from.service);
        if self.cuts_huge(slot::REGION + service, offset) || self.cuts_huge(slot::REGION + service, offset + pages) {
            return Err(Error::InvalidRange);
        }
        self.forget_listed(slot::REGION + service, offset, pages);
        // The instance first: a page that it still maps could come back into the region by a fault, never the other way round.
        self.unmap(slot::SPACES + service, libsys::layout::REGION + offset * PAGE_SIZE, pages);
        self.unmap(slot::REGION + service, offset * PAGE_SIZE, pages);
        Ok(())
    }

    fn usage(&mut self) -> Usage {
        let sold = self.area.state().total();
        Usage { total: self.pieces.total() + sold, free: self.pieces.count_free(&mut self.kernel), sold }
    }

    fn huge(&mut self, from: Badge, window: Window, offset_pages: u32, pages: u32) -> Result<u64, Error> {
        let paged = self.paged(from.service).ok_or(Error::NotAllowed)?;
        let limit = match window {
            Window::Heap => paged.heap_pages,
            Window::Region => paged.region_pages,
        };
        if offset_pages.checked_add(pages).is_none_or(|end| end > limit) {
            return Err(Error::InvalidRange);
        }
        wish::make(self.area, from, window, u64::from(offset_pages), u64::from(pages))?;
        let whole = self.pieces.count_whole(&mut self.kernel);
        fail::hit(Point::HugeReply);
        Ok(whole)
    }

    fn compact(&mut self) -> u64 {
        compact::step(&mut self.kernel, &mut self.pieces, &mut self.stuck, self.paged);
        self.pieces.count_whole(&mut self.kernel)
    }

    fn service_usage(&mut self, service: u8) -> Result<ServiceUsage, Error> {
        self.counted(service).ok_or(Error::NotAllowed)
    }
}
