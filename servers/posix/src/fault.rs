//! Page faults: an area's promise is kept.
//!
//! What is mapped already decides first, because page tables are the truth: a fault on a present page is about writing (copy-on-write, or a page that is
//! still the page cache's) or about executing. A missing page is zeros, or the file's page shared from vfs's cache. All of it may be done twice.

use abi::{FaultAccess, MapFlags, RequestNumber};
use protocols::call::CallError;
use protocols::vfs::{self, Pages};

use crate::call::{Stop, vfs_stop};
use crate::errno::Errno;
use crate::kernel::Origin;
use crate::lent::Asked;
use crate::saved::{MapIndex, Vma};
use crate::server::Posix;
use crate::space::{map_flags, protect_flags};
use crate::vma::{EXEC, FILE, PAGE, PROTECTION, SHARED, VDSO, VVAR, WRITE};
use crate::wait::Wait;

/// Pages mapped around a fault in a file: what one answer of vfs covers.
pub const AROUND: u64 = 32;
/// Pages of a file that a program gets of its own when it writes to the first of them.
const OWN_AROUND: u64 = 8;

/// Why a fault was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// SIGSEGV.
    Segment {
        /// Whether an area is there, but does not allow the access (`SEGV_ACCERR`).
        mapped: bool,
    },
    /// SIGBUS: the file does not reach so far.
    Bus,
    /// SIGKILL: a limit other than the lack of pages, for which the largest process goes (`crate::oom`).
    NoMemory,
    /// Not yet.
    Wait(Wait),
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        if errno == Errno::ENOMEM { Self::NoMemory } else { Self::Segment { mapped: true } }
    }
}

impl Posix<'_> {
    /// Makes a page ready for an access: [`FaultAccess`] bits. Without `PRESENT` nothing was mapped there when it happened.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn fault(&mut self, map: MapIndex, address: u64, access: u64, number: RequestNumber) -> Result<(), Refused> {
        match self.keep_promise(map, address, access, number) {
            Err(Refused::NoMemory) => Err(self.lack_of_memory()),
            outcome => outcome,
        }
    }

    fn keep_promise(&mut self, map: MapIndex, address: u64, access: u64, number: RequestNumber) -> Result<(), Refused> {
        let area = self.store.area_at(map, address).ok_or(Refused::Segment { mapped: false })?;
        let (write, execute) = (access & FaultAccess::WRITE != 0, access & FaultAccess::EXECUTE != 0);
        let needed = if write {
            WRITE
        } else if execute {
            EXEC
        } else {
            PROTECTION
        };
        if area.flags & needed == 0 {
            return Err(Refused::Segment { mapped: true });
        }
        let page = address & !(PAGE - 1);
        let present = if access & FaultAccess::PRESENT != 0 { self.page_at(map, page) } else { None };
        match present {
            Some(present) => self.fault_on_present(map, &area, page, present, write, execute),
            None if area.flags & (VVAR | VDSO) != 0 => self.fault_in_vdso(map, &area, page),
            None if area.flags & FILE != 0 => self.fault_in_file(map, &area, page, write, number),
            None => self.fault_on_nothing(map, &area, page),
        }
    }

    fn fault_on_present(&mut self, map: MapIndex, area: &Vma, page: u64, present: u64, write: bool, execute: bool) -> Result<(), Refused> {
        if present & MapFlags::NONE != 0 {
            // The area allows access, so its pages were closed by an `mprotect` that a crash took back, or are not opened yet.
            self.protect(map, page, page + PAGE, protect_flags(area.flags))?;
        }
        if write && present & MapFlags::WRITE == 0 {
            if area.flags & SHARED == 0 && present & MapFlags::COW == 0 && present & MapFlags::SHARED != 0 {
                return self.unshare_around(map, area, page);
            }
            if area.flags & SHARED == 0 && present & MapFlags::COW != 0 {
                self.hot.wrote(map, page);
                return Ok(self.unshare(map, page)?);
            }
            return Ok(self.protect(map, page, page + PAGE, MapFlags::READ | MapFlags::WRITE)?);
        }
        if execute && present & MapFlags::EXECUTE == 0 {
            return Ok(self.protect(map, page, page + PAGE, MapFlags::READ | MapFlags::EXECUTE)?);
        }
        // Another thread's fault was first.
        Ok(())
    }

    /// Gives a program pages of its own where it has the page cache's: a program's data is written page after page, and a copy is cheaper than a fault.
    fn unshare_around(&mut self, map: MapIndex, area: &Vma, page: u64) -> Result<(), Refused> {
        self.unshare(map, page)?;
        let pages = ((area.end - page) / PAGE).min(OWN_AROUND);
        for next in (1..pages).map(|index| page + index * PAGE) {
            let is_cached = |present: u64| present & (MapFlags::SHARED | MapFlags::COW | MapFlags::WRITE | MapFlags::NONE) == MapFlags::SHARED;
            if !self.page_at(map, next).is_some_and(is_cached) {
                break;
            }
            self.unshare(map, next)?;
        }
        Ok(())
    }

    fn fault_on_nothing(&mut self, map: MapIndex, area: &Vma, page: u64) -> Result<(), Refused> {
        let (start, end) = self.ahead.window(map, area, page);
        match self.map_zero_to_first(map, start, (end - start) / PAGE, map_flags(area.flags)) {
            // What lies around the page was a guess, for which nobody has to go.
            Err(_) if self.page_at(map, page).is_some() => Ok(()),
            done => Ok(done?),
        }
    }

    fn fault_in_file(&mut self, map: MapIndex, area: &Vma, page: u64, write: bool, number: RequestNumber) -> Result<(), Refused> {
        // What lies before the page is wanted as often as what lies behind it.
        let window = page - page % (AROUND * PAGE);
        let start = if write && area.flags & SHARED != 0 { page } else { window.max(area.start) };
        self.populate(map, area, start, write, number)?;
        if self.page_at(map, page).is_none() {
            return Err(Refused::Bus);
        }
        if write && area.flags & SHARED == 0 {
            // The page is the cache's, or zeros of our own: either way it becomes writable now.
            let present = self.page_at(map, page).unwrap_or(0);
            return self.fault_on_present(map, area, page, present, true, false);
        }
        Ok(())
    }

    /// Maps the pages of a file area from `page` on, as many as one answer of vfs covers. Returns the address behind them.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn populate(&mut self, map: MapIndex, area: &Vma, page: u64, write: bool, number: RequestNumber) -> Result<u64, Refused> {
        let file = vfs::FileId::from(area.file());
        let first = (area.offset + (page - area.start)) / PAGE;
        let count = ((area.end - page) / PAGE).min(AROUND);
        let shared_write = write && area.flags & SHARED != 0;
        let number = number.with_step(RequestNumber::FIRST_FAULT_STEP);
        // A write through a shared mapping concerns one page: holes around it stay holes.
        let count = if shared_write { 1 } else { count };
        if shared_write {
            self.located.forget(file);
        }
        let pages = self.pages_to_map(number, Asked { file, first, count: count as u8 }, shared_write)?;
        let flags = if area.flags & SHARED == 0 || !shared_write { map_flags(area.flags & !WRITE) } else { map_flags(area.flags) };
        let pages: heapless::Vec<Option<u32>, { vfs::MAX_MAPPED }> = pages.iter().collect();
        let mut index = 0;
        while index < pages.len() {
            let at = page + index as u64 * PAGE;
            let run = run_length(&pages[index..]);
            match pages[index] {
                Some(region) => self.share(map, at, Origin::PageCache, u64::from(region) * PAGE, run, flags)?,
                None if area.flags & SHARED == 0 => self.map_zero(map, at, 1, map_flags(area.flags))?,
                // A hole of a shared file: nothing is there until somebody writes, and a reader sees zeros of the file itself.
                None => self.fill_hole(map, file, first + index as u64, at, flags, number)?,
            }
            index += run as usize;
        }
        Ok(page + count * PAGE)
    }

    /// Where pages lie that are to be mapped: as vfs has answered before, or answers now. For a write through a shared mapping it is always asked.
    fn pages_to_map(&mut self, number: RequestNumber, asked: Asked, shared_write: bool) -> Result<Pages, Refused> {
        if !shared_write && let Some(pages) = self.located.lent.find(asked) {
            return Ok(pages.clone());
        }
        let pages = self.vfs_to_read().map_pages(number, asked.file, asked.first, asked.count, shared_write).map_err(refused)?;
        if !shared_write {
            self.located.lent.keep(asked, &pages);
        }
        Ok(pages)
    }

    fn fill_hole(&mut self, map: MapIndex, file: vfs::FileId, first: u64, at: u64, flags: u64, number: RequestNumber) -> Result<(), Refused> {
        self.located.forget(file);
        let pages = self.vfs().map_pages(number, file, first, 1, true).map_err(refused)?;
        match pages.iter().next() {
            Some(Some(region)) => Ok(self.share(map, at, Origin::PageCache, u64::from(region) * PAGE, 1, flags)?),
            _ => Err(Refused::Bus),
        }
    }
}

/// How many pages at the start lie next to each other in the cache; a hole stands alone.
fn run_length(pages: &[Option<u32>]) -> u64 {
    let Some(Some(first)) = pages.first().copied() else { return 1 };
    let follows = |(index, page): &(usize, &Option<u32>)| **page == Some(first + *index as u32);
    pages.iter().enumerate().take_while(follows).count() as u64
}

fn refused(error: CallError<vfs::Error>) -> Refused {
    match vfs_stop(error) {
        Stop::Wait(wait) => Refused::Wait(wait),
        _ => Refused::Bus,
    }
}

#[cfg(test)]
mod tests {
    use super::run_length;

    #[test]
    fn runs_are_of_neighbours_in_the_cache() {
        assert_eq!(run_length(&[Some(5), Some(6), Some(8)]), 2);
        assert_eq!(run_length(&[Some(5), None, Some(6)]), 1);
        assert_eq!(run_length(&[None, None]), 1);
    }
}
