//! Pages that two spaces map: sharing, copy-on-write clones, and their end.
//!
//! Each verb walks the *source* range and makes the same entry in the destination. Pages that the source does not have stay unmapped, and
//! pages that the destination has already are left alone, so a step that was done is done again without harm.

use abi::{Error, ObjectKind, Rights};

use super::table::{ACCESSED, COW, DIRECTORY_SPAN, DIRTY, HUGE, MAY_WRITE, NO_EXECUTE, PRESENT, UNCACHED, USER, WRITABLE, index_at, page_of_entry};
use super::{AddressSpace, Leaf, check_range, entry_bits, limit_bits, within_limits};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{self, Ref};
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
        if let Leaf::Huge(place) = self.leaf(source, from) {
            let entry = shared_entry(self.entry(place), bits)?;
            return self.share_huge(space, (address, from, pages), entry);
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
                entry = entry & !WRITABLE | COW;
                kernel.set_entry(place, entry);
                if flush {
                    kernel.flush(source, at);
                }
            }
            Ok(entry & !(ACCESSED | DIRTY))
        })
    }

    /// Walks a source range and enters into the destination what `entry_for` makes of each present 4 KiB entry.
    fn over_source(
        &mut self,
        space: Ref<AddressSpace>,
        source: Ref<AddressSpace>,
        range: (u64, u64, u64),
        mut entry_for: impl FnMut(&mut Self, (u32, usize), u64) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let (address, from, pages) = range;
        let mut table = None;
        self.over_range(source, from, pages, |kernel, leaf, at| {
            let place = match leaf {
                Leaf::Page(place) => place,
                Leaf::Missing => return Ok(()),
                Leaf::Huge(_) => return Err(Error::InvalidArgument),
            };
            let to = address + (at - from);
            let target = match table {
                Some((span, table)) if span == to / DIRECTORY_SPAN => (table, index_at(to, 0)),
                _ => kernel.page_entry(space, to)?,
            };
            table = Some((to / DIRECTORY_SPAN, target.0));
            if kernel.entry(target) & PRESENT != 0 {
                return Ok(());
            }
            let page = page_of_entry(kernel.entry(place));
            if kernel.machine.page_info(page).is_none_or(|info| info.maps == u32::MAX) {
                return Err(Error::KernelLimit);
            }
            let entry = entry_for(kernel, place, at)?;
            kernel.count_map(page)?;
            kernel.set_entry(target, entry);
            Ok(())
        })
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
            self.set_entry(place, writable);
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
