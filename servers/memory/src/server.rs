//! The server: requests and faults, one at a time.

use abi::{BUDGET_PAGES, PAGE_SIZE, Rights};
use libsys::fail;
use libsys::saved::Area;
use protocols::memory::{self, Error, Usage};
use protocols::service::Badge;
use protocols::supervisor::Paged;

use crate::kernel::{Kernel, Table, slot};
use crate::pager::{self, Verdict};
use crate::pieces::Pieces;
use crate::saved::Ledger;
use crate::trade::{self, Point};

/// What others may do with a region that they asked for: map it, clone it, see what is there. Not change it.
const LENT_RIGHTS: u8 = Rights::SHARE | Rights::CLONE | Rights::LIST;

/// Memory.
#[derive(Debug)]
pub struct Memory<'s, K> {
    kernel: K,
    area: &'s Area<Ledger>,
    paged: &'s [Paged],
    pieces: Pieces,
}

impl<'s, K: Kernel> Memory<'s, K> {
    /// Starts, which is recovery: what a predecessor began is settled, everything else is read from the kernel.
    pub fn restart(mut kernel: K, area: &'s Area<Ledger>, paged: &'s [Paged]) -> Self {
        trade::recover(&mut kernel, area);
        let pieces = Pieces::gather(&mut kernel);
        Self { kernel, area, paged, pieces }
    }

    /// Answers a fault at `address`.
    pub fn fault(&mut self, from: Badge, address: u64, access: u64) -> Verdict {
        fail::hit(Point::FaultIntent);
        let verdict = pager::fault(&mut self.kernel, &mut self.pieces, self.paged, from, address, access);
        fail::hit(Point::Fault);
        verdict
    }

    /// A server died; what it had is free, or will be as soon as it is reaped.
    pub fn peer_died(&mut self) {
        self.pieces.rewind(&mut self.kernel);
    }

    /// The pages of all pieces.
    #[must_use]
    pub fn total_pages(&self) -> u64 {
        self.pieces.total()
    }

    fn paged(&self, service: u8) -> Option<&'s Paged> {
        self.paged.iter().find(|paged| paged.service == service && service < slot::SERVICES)
    }

    fn buyer(&self, from: Badge) -> Result<u8, Error> {
        self.paged(from.service).filter(|paged| paged.buys_memory).map(|paged| paged.service).ok_or(Error::NotAllowed)
    }

    fn region_pages(&self, service: u8) -> Result<u64, Error> {
        self.paged(service).map(|paged| u64::from(paged.region_pages)).filter(|pages| *pages > 0).ok_or(Error::NoRegion)
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
        trade::buy(&mut self.kernel, &mut self.pieces, self.area, buyer, u64::from(pages), slot)
    }

    fn give_back(&mut self, from: Badge, slot: u32) -> Result<(), Error> {
        let buyer = self.buyer(from)?;
        trade::take_back(&mut self.kernel, &mut self.pieces, self.area, buyer, slot)
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
        // The instance first: a page that it still maps could come back into the region by a fault, never the other way round.
        self.unmap(slot::SPACES + service, libsys::layout::REGION + offset * PAGE_SIZE, pages);
        self.unmap(slot::REGION + service, offset * PAGE_SIZE, pages);
        Ok(())
    }

    fn usage(&mut self) -> Usage {
        let sold = self.area.state().total();
        Usage { total: self.pieces.total() + sold, free: self.pieces.count_free(&mut self.kernel), sold }
    }
}
