//! Sharing out of a 2 MiB page: the whole of it as one entry where both sides allow, else its 4 KiB pages one by one.
//!
//! The two kinds of mapping of one page are counted apart (`huge` in the head's record, `maps` in each page's), so either may go first.

use abi::Error;

use super::AddressSpace;
use super::table::{DIRECTORY_SPAN, HUGE, PRESENT, Place, page_of_entry};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{HUGE_PAGES, Ref};

impl<M: Machine> Kernel<M> {
    /// Enters `entry`, which maps the 2 MiB page that `from` lies in, or its 4 KiB pages, into the destination: up to the end of that page or of the range.
    /// Returns how many pages were done.
    pub(super) fn share_huge(&mut self, space: Ref<AddressSpace>, range: (u64, u64, u64), entry: u64) -> Result<u64, Error> {
        let (address, from, pages) = range;
        let whole = pages >= u64::from(HUGE_PAGES) && from.is_multiple_of(DIRECTORY_SPAN) && address.is_multiple_of(DIRECTORY_SPAN);
        if whole {
            let place = self.directory_entry(space, address)?;
            match self.entry(place) {
                present if present & (PRESENT | HUGE) == PRESENT => {}
                present => return self.share_whole(place, present, entry),
            }
        }
        let offset = (from >> 12) % u64::from(HUGE_PAGES);
        let count = (u64::from(HUGE_PAGES) - offset).min(pages);
        let first = page_of_entry(entry).wrapping_add(offset as PageNumber);
        let bits = entry & !HUGE & !(u64::from(page_of_entry(entry)) << 12);
        self.over_pages(space, address, count, |kernel, place, done| {
            if kernel.entry(place) & PRESENT == 0 {
                let page = first.wrapping_add(done as PageNumber);
                kernel.count_map(page)?;
                kernel.set_entry(place, u64::from(page) << 12 | bits);
            }
            Ok(())
        })
    }

    /// One directory entry for all of it, unless there is one already.
    fn share_whole(&mut self, place: Place, present: u64, entry: u64) -> Result<u64, Error> {
        if present & PRESENT == 0 {
            let info = self.machine.page_info(page_of_entry(entry)).ok_or(Error::InvalidArgument)?;
            info.huge = info.huge.checked_add(1).ok_or(Error::KernelLimit)?;
            self.set_entry(place, entry);
        }
        Ok(u64::from(HUGE_PAGES))
    }
}
