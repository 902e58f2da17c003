//! Pages that two spaces map: sharing, copy-on-write clones, and their end.
//!
//! Each verb walks the *source* range and makes the same entry in the destination. Pages that the source does not have stay unmapped, and
//! pages that the destination has already are left alone, so a step that was done is done again without harm.

use abi::{Error, ObjectKind, Rights};

use super::table::{ACCESSED, COW, DIRTY, HUGE, MAY_WRITE, NO_EXECUTE, POINT_ENTRIES, PRESENT, UNCACHED, USER, WRITABLE, index_at, page_of_entry};
use super::{AddressSpace, Leaf, check_range, entry_bits, limit_bits, within_limits};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, PAGE_WORDS, Ref};
use crate::thread::Thread;

/// What the destination of a share gets for an entry of its source.
fn shared_entry(mut entry: u64, bits: u64) -> Result<u64, Error> {
    if entry & USER == 0 {
        return Err(Error::MissingRight);
    }
    if entry & WRITABLE == 0 {
        // What the source may not write now, the destination never may: its pages could be copy-on-write.
        entry &= !MAY_WRITE;
    }
    within_limits(entry, bits)?;
    Ok(entry & !(WRITABLE | NO_EXECUTE | COW | ACCESSED | DIRTY) | bits & (WRITABLE | NO_EXECUTE))
}

impl<M: Machine> Kernel<M> {
    /// Both spaces and the checked ranges of a share or clone.
    fn share_arguments(
        &mut self,
        thread: Ref<Thread>,
        handle: u32,
        words: [u64; 5],
        right: u8,
    ) -> Result<(Ref<AddressSpace>, Ref<AddressSpace>), Error> {
        let [address, source, from, pages, _] = words;
        let space = self.space_argument(thread, handle, Rights::MAP)?;
        let source = u32::try_from(source).map_err(|_| Error::InvalidArgument)?;
        let source = self.space_argument(thread, source, right)?;
        check_range(address, pages)?;
        check_range(from, pages)?;
        if source == space {
            return Err(Error::InvalidArgument);
        }
        Ok((space, source))
    }

    /// Maps what another space has, with at most the access that it has there.
    pub(crate) fn share(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let words: [u64; 5] = self.arguments(thread);
        let (space, source) = self.share_arguments(thread, handle, words, Rights::SHARE)?;
        let [address, _, from, pages, flags] = words;
        let bits = entry_bits(flags)?;
        match self.leaf(source, from) {
            Leaf::Huge(place) => {
                let entry = shared_entry(self.entry(place), bits)?;
                return self.share_huge(space, (address, from, pages), entry);
            }
            // Before a page is taken for a table: who gets nothing needs none.
            Leaf::Page(place) => drop(shared_entry(self.entry(place), bits)?),
            Leaf::Missing => {}
        }
        // A 2 MiB page that begins later ends this step; the next one begins with it.
        self.over_source(space, source, (address, from, pages), |kernel, place, _| shared_entry(kernel.entry(place), bits))
    }

    /// Makes the same pages copy-on-write in both spaces.
    pub(crate) fn clone_range(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let words: [u64; 5] = self.arguments(thread);
        let (space, source) = self.share_arguments(thread, handle, words, Rights::CLONE)?;
        let [address, _, from, pages, _] = words;
        self.over_source(space, source, (address, from, pages), |kernel, place, at| {
            let mut entry = kernel.entry(place);
            // Also what is read-only for the moment: it could become writable on both sides.
            if entry & (WRITABLE | MAY_WRITE) != 0 && entry & COW == 0 {
                let flush = entry & WRITABLE != 0;
                let shared = |entry: u64| entry & !WRITABLE | COW;
                kernel.update_entry(place, shared);
                entry = shared(entry);
                if flush {
                    kernel.flush(source, at);
                }
            }
            Ok(entry & !(ACCESSED | DIRTY))
        })
    }

    /// Walks a source range and enters into the destination what `entry_for` makes of each present 4 KiB entry. Returns how many pages were done; an error only
    /// if none was.
    fn over_source(
        &mut self,
        space: Ref<AddressSpace>,
        source: Ref<AddressSpace>,
        range: (u64, u64, u64),
        mut entry_for: impl FnMut(&mut Self, (u32, usize), u64) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let (address, from, pages) = range;
        let (mut done, mut steps, mut entries) = (0, 0, 0);
        while done < pages && steps < abi::BUDGET_PAGES {
            let (at, to) = (from + done * abi::PAGE_SIZE, address + done * abi::PAGE_SIZE);
            let outcome = match self.leaf(source, at) {
                Leaf::Page(place) => {
                    let most = (pages - done).min(abi::BUDGET_PAGES - steps).min(POINT_ENTRIES);
                    let (run, outcome) = self.over_run(space, (place, at), to, most as usize, &mut entry_for);
                    (done, steps, entries) = (done + run, steps + run, entries + run);
                    outcome
                }
                Leaf::Huge(_) => Err(Error::InvalidArgument),
                Leaf::Missing => {
                    let (hole_end, looked_at) = self.hole_end(source, at, 0);
                    done = pages.min((hole_end - from) / abi::PAGE_SIZE);
                    (steps, entries) = (steps + 1, entries + 1 + looked_at);
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                return if done == 0 { Err(error) } else { Ok(done) };
            }
            if entries >= POINT_ENTRIES {
                if self.machine.interrupted() {
                    break;
                }
                entries = 0;
            }
        }
        Ok(done)
    }

    /// The same for the present entries from one on that lie next to each other in one table. Returns how many were done, up to the first error.
    fn over_run(
        &mut self,
        space: Ref<AddressSpace>,
        ((table, first), at): ((PageNumber, usize), u64),
        to: u64,
        most: usize,
        entry_for: &mut impl FnMut(&mut Self, (u32, usize), u64) -> Result<u64, Error>,
    ) -> (u64, Result<(), Error>) {
        let target_first = index_at(to, 0);
        let target = match self.page_entry(space, to) {
            Ok((target, _)) => target,
            Err(error) => return (0, Err(error)),
        };
        let count = most.min(PAGE_WORDS - first.max(target_first));
        for index in 0..count {
            let place = (table, first + index);
            let entry = self.entry(place);
            let done = index as u64;
            if entry & PRESENT == 0 {
                return (done, Ok(()));
            }
            if self.entry((target, target_first + index)) & PRESENT != 0 {
                continue;
            }
            let page = page_of_entry(entry);
            if self.machine.page_info(page).is_none_or(|info| info.maps == u32::MAX) {
                return (done, Err(Error::KernelLimit));
            }
            match entry_for(self, place, at + done * abi::PAGE_SIZE).and_then(|entry| self.count_map(page).map(|()| entry)) {
                Ok(entry) => self.set_entry((target, target_first + index), entry),
                Err(error) => return (done, Err(error)),
            }
        }
        (count as u64, Ok(()))
    }

    /// Ends copy-on-write for one page: its last holder keeps it, another gets a copy in a page of its own.
    pub(crate) fn unshare(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let [address, memory, offset] = self.arguments(thread);
        let space = self.space_argument(thread, handle, Rights::MAP)?;
        check_range(address, 1)?;
        let Leaf::Page(place) = self.leaf(space, address) else { return Err(Error::InvalidArgument) };
        let entry = self.entry(place);
        if entry & (UNCACHED | HUGE) != 0 || entry & USER == 0 {
            return Err(Error::InvalidArgument);
        }
        let old = page_of_entry(entry);
        let alone = entry & COW != 0 && self.mappings(old) == 1 && self.machine.page_info(old).is_some_and(|info| info.pins == 0);
        let writable = entry & !COW | WRITABLE | NO_EXECUTE;
        if alone {
            self.update_entry(place, |entry| entry & !COW | WRITABLE | NO_EXECUTE);
            self.flush(space, address);
            return Ok(0);
        }
        let memory = u32::try_from(memory).map_err(|_| Error::InvalidArgument)?;
        let memory = self.lookup(thread, memory, ObjectKind::Memory, Rights::READ | Rights::WRITE)?;
        let fresh = self.memory_page(&memory, offset)?;
        if !self.is_unused(fresh) {
            return Err(Error::Busy);
        }
        page::copy(&mut self.machine, (old, 0), (fresh, 0), page::PAGE_BYTES);
        self.count_map(fresh)?;
        let limits = limit_bits(memory.rights);
        self.set_entry(place, u64::from(fresh) << 12 | writable & (0xfff & !limit_bits(Rights::ALL)) | limits | NO_EXECUTE);
        self.uncount_map(old);
        self.flush(space, address);
        Ok(1)
    }
}
