//! Linux address spaces as kernel objects: made, filled, changed, taken apart.
//!
//! Every operation here may be done twice: what is mapped stays mapped, what is gone stays gone. Pages for tables are found when the kernel
//! asks for them.

use abi::{Error, MapFlags, ObjectKind};

use crate::errno::Errno;
use crate::frames::Place;
use crate::kernel::{Kernel, Origin, Source};
use crate::saved::{MapIndex, slot};
use crate::server::Posix;
use crate::vma::{EXEC, PAGE, PROTECTION, WRITE};

/// Pages for tables donated at a time.
const TABLE_PAGES: u64 = 4;
/// Where pages are staged that move within a space, and how many at a time: as many as one table has, and one step of the kernel's does.
const STAGE: u64 = 1 << 21;
const STAGE_PAGES: u64 = abi::BUDGET_PAGES;
/// Most rounds of one operation: each makes progress of at least a page or a table.
const ROUNDS: u64 = 1 << 20;

/// What the kernel is told about protection. A page is never writable and executable: an area that is both flips at each fault.
#[must_use]
pub fn map_flags(protection: u64) -> u64 {
    let write = if protection & WRITE != 0 { MapFlags::WRITE } else { 0 };
    let execute = if protection & EXEC != 0 && write == 0 { MapFlags::EXECUTE } else { 0 };
    MapFlags::READ | write | execute
}

/// What the kernel is told of pages that are there when an area's protection changes. Never writable here: a private page may be the page cache's, and
/// a fault tells. Without any access a page keeps its content until somebody allows some.
#[must_use]
pub fn protect_flags(protection: u64) -> u64 {
    if protection & PROTECTION == 0 { MapFlags::NONE } else { map_flags(protection & !WRITE) }
}

/// A kernel error of an operation on a program's behalf.
///
/// # Panics
/// For one that no program can cause. Which operation, on which handle, with which rights and range, in which state is this server's own doing, because what a
/// program chooses is checked before the kernel hears of it: where that is wrong, posix's code or state is, and a program that got an error for it would go on
/// with a wrong answer. The successor does the request again; a second death refuses it.
#[must_use]
pub fn kernel_errno(error: Error) -> Errno {
    match error {
        Error::NeedsTable | Error::KernelLimit | Error::Busy => Errno::ENOMEM,
        error if error.is_callers_own() => panic!("the kernel refuses what only posix can have got wrong: {error:?}"),
        _ => Errno::EFAULT,
    }
}

impl Posix<'_> {
    /// Makes the object of a map whose page was set aside.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn make_space(&mut self, map: MapIndex) -> Result<(), Errno> {
        let place = Place(self.store.map(map).page);
        let handle = slot::space(map);
        self.kernel.retype(place.source(), ObjectKind::AddressSpace, handle).map_err(kernel_errno)?;
        self.kernel.set_pager(handle).map_err(kernel_errno)
    }

    /// Runs an operation on a range to its end, giving the space pages for tables whenever the kernel asks.
    fn over_range(
        &mut self,
        handle: u32,
        mut address: u64,
        mut pages: u64,
        mut operation: impl FnMut(&mut dyn Kernel, u64, u64) -> Result<u64, Error>,
    ) -> Result<(), Errno> {
        let end = address.wrapping_add(pages.wrapping_mul(PAGE));
        for _ in 0..ROUNDS {
            if pages == 0 {
                assert!(address == end, "a range to {end:#x} was gone through to {address:#x}");
                return Ok(());
            }
            match operation(self.kernel, address, pages) {
                Ok(0) => return Err(Errno::EFAULT),
                Ok(done) => {
                    address += done * PAGE;
                    pages = pages.saturating_sub(done);
                }
                Err(Error::NeedsTable) => self.donate_tables(handle)?,
                Err(error) => return Err(kernel_errno(error)),
            }
        }
        Err(Errno::ENOMEM)
    }

    fn donate_tables(&mut self, handle: u32) -> Result<(), Errno> {
        let source = self.frames.take_run(self.kernel, TABLE_PAGES)?;
        self.frames.tables_given(handle, source.pages);
        self.kernel.add_tables(handle, source).map_err(kernel_errno)
    }

    /// Maps fresh pages of zeros. Pages that are there already stay.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_zero(&mut self, map: MapIndex, address: u64, pages: u64, flags: u64) -> Result<(), Errno> {
        self.map_zero_in(slot::space(map), address, pages, flags)
    }

    /// Likewise, but only up to the first page that is there.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_zero_to_first(&mut self, map: MapIndex, address: u64, pages: u64, flags: u64) -> Result<(), Errno> {
        self.map_zero_past(slot::space(map), address, pages, flags, false)
    }

    /// As [`Posix::map_zero`], in the space or region of a vault slot.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_zero_in(&mut self, handle: u32, address: u64, pages: u64, flags: u64) -> Result<(), Errno> {
        self.map_zero_past(handle, address, pages, flags, true)
    }

    fn map_zero_past(&mut self, handle: u32, mut address: u64, mut pages: u64, flags: u64, past_present: bool) -> Result<(), Errno> {
        while pages > 0 {
            let source = self.frames.take_run(self.kernel, pages)?;
            match self.kernel.map(handle, address, source, flags | MapFlags::ZERO) {
                Ok(done) => {
                    address += done * PAGE;
                    pages = pages.saturating_sub(done);
                }
                Err(Error::AlreadyMapped) if past_present => {
                    address += PAGE;
                    pages -= 1;
                }
                Err(Error::AlreadyMapped) => break,
                // The cached answer was older than a use of the page.
                Err(Error::Busy) => {}
                Err(Error::NeedsTable) => self.donate_tables(handle)?,
                Err(error) => return Err(kernel_errno(error)),
            }
        }
        Ok(())
    }

    /// Unmaps a range.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn unmap(&mut self, map: MapIndex, start: u64, end: u64) -> Result<(), Errno> {
        let handle = slot::space(map);
        self.over_range(handle, start, (end - start) / PAGE, |kernel, address, pages| kernel.unmap(handle, address, pages))
    }

    /// Changes the protection of what is mapped in a range.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn protect(&mut self, map: MapIndex, start: u64, end: u64, flags: u64) -> Result<(), Errno> {
        let handle = slot::space(map);
        self.over_range(handle, start, (end - start) / PAGE, |kernel, address, pages| kernel.protect(handle, address, pages, flags))
    }

    /// Shares pages of the page cache or of another space.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn share(&mut self, map: MapIndex, address: u64, origin: Origin, from: u64, pages: u64, flags: u64) -> Result<(), Errno> {
        let handle = slot::space(map);
        self.over_range(handle, address, pages, |kernel, at, left| kernel.share(handle, at, origin, from + (at - address), left, flags))
    }

    /// Clones a range of another map, at the same addresses.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn clone_range(&mut self, map: MapIndex, from: MapIndex, start: u64, end: u64) -> Result<(), Errno> {
        let (handle, source) = (slot::space(map), slot::space(from));
        let flags = MapFlags::READ;
        self.over_range(handle, start, (end - start) / PAGE, |kernel, at, left| kernel.clone_pages(handle, at, source, at, left, flags))
    }

    /// Gives a map a page of its own where it has a shared one.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn unshare(&mut self, map: MapIndex, address: u64) -> Result<(), Errno> {
        // A page in the cache of answers may have been used since; the next one is not.
        for _ in 0..64 {
            let source: Source = self.frames.take(self.kernel)?;
            match self.kernel.unshare(slot::space(map), address, source) {
                Ok(_) => return Ok(()),
                Err(Error::Busy) => {}
                Err(error) => return Err(kernel_errno(error)),
            }
        }
        Err(Errno::ENOMEM)
    }

    /// What is mapped at an address: [`MapFlags`] bits, or nothing.
    pub fn page_at(&mut self, map: MapIndex, address: u64) -> Option<u64> {
        let mut word = [0];
        match self.kernel.list(slot::space(map), address & !(PAGE - 1), &mut word) {
            Ok(1) if word[0] != 0 => Some(word[0] & 0xfff),
            _ => None,
        }
    }

    /// Moves the pages of a range to another address of the same map, through the staging region.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn move_pages(&mut self, map: MapIndex, from: u64, to: u64, pages: u64, flags: u64) -> Result<(), Errno> {
        if self.kernel.describe(slot::STAGE).is_none() {
            let source = self.frames.take(self.kernel)?;
            self.kernel.retype(source, ObjectKind::AddressSpace, slot::STAGE).map_err(kernel_errno)?;
        }
        for offset in (0..pages).step_by(STAGE_PAGES as usize) {
            let count = (pages - offset).min(STAGE_PAGES);
            self.move_some(map, from + offset * PAGE, to + offset * PAGE, count, flags)?;
        }
        Ok(())
    }

    /// Moves at most [`STAGE_PAGES`] pages.
    fn move_some(&mut self, map: MapIndex, from: u64, to: u64, pages: u64, flags: u64) -> Result<(), Errno> {
        let (handle, stage) = (slot::space(map), slot::STAGE);
        // What a move left there that did not come to its end would be taken for these pages.
        self.clear_stage()?;
        self.over_range(stage, STAGE, pages, |kernel, at, left| kernel.clone_pages(stage, at, handle, from + (at - STAGE), left, MapFlags::READ))?;
        self.over_range(handle, to, pages, |kernel, at, left| kernel.clone_pages(handle, at, stage, STAGE + (at - to), left, flags))?;
        self.clear_stage()
    }

    /// Empties the staging region, which stays for the next move and the next instance.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn clear_stage(&mut self) -> Result<(), Errno> {
        self.over_range(slot::STAGE, STAGE, STAGE_PAGES, |kernel, at, left| kernel.unmap(slot::STAGE, at, left))
    }
}

#[cfg(test)]
mod tests {
    use super::kernel_errno;
    use crate::errno::Errno;
    use crate::fake::harness::{DATA, System};
    use crate::saved::slot;
    use abi::Error;

    #[test]
    fn program_hears_of_memory_and_of_what_it_chose_itself() {
        assert_eq!([Error::NeedsTable, Error::KernelLimit, Error::Busy].map(kernel_errno), [Errno::ENOMEM; 3]);
        assert_eq!([Error::NeedsPage, Error::AlreadyMapped].map(kernel_errno), [Errno::EFAULT; 2]);
    }

    #[test]
    fn range_is_gone_through_to_its_end_and_no_further() {
        let (mut system, lane) = System::start();
        let space = slot::space(system.map_of(lane));
        let mut through = |step: u64| {
            let posix = system.posix();
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| posix.over_range(space, DATA, 4, |_, _, _| Ok(step))))
        };
        assert!(through(1).is_ok() && through(2).is_ok());
        assert!(through(3).is_err());
    }

    #[test]
    fn posix_ends_where_it_is_wrong_itself() {
        let own = [Error::InvalidHandle, Error::WrongKind, Error::SlotFull, Error::WrongState, Error::InvalidArgument, Error::MissingRight];
        for error in own {
            assert!(std::panic::catch_unwind(|| kernel_errno(error)).is_err(), "{error:?}");
        }
    }
}
