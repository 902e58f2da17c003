//! Taking a space apart, a bounded step at a time.
//!
//! First it becomes unloadable, then its mappings go, then its tables. What was donated becomes plain memory of its owner again. A table is zero by
//! then, for each entry was cleared when what it pointed at was let go: nothing is zeroed twice.

use abi::{Error, ObjectKind, Rights};

use super::table::{DIRECTORY_SPAN, GROUP, HUGE, PRESENT, index_at, is_hole, next_multiple, page_of_entry};
use super::{AddressSpace, Leaf};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, PAGE_WORDS, Ref};
use crate::thread::Thread;

/// End of the lower half.
const LOWER_HALF: u64 = 1 << 47;

impl<M: Machine> Kernel<M> {
    /// One step, up to a preemption point. Returns 0 when nothing is left.
    pub(crate) fn dismantle(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let space: Ref<AddressSpace> = self.lookup(thread, handle, ObjectKind::AddressSpace, Rights::CONTROL)?.reference();
        if self.space(space).users != 0 {
            return Err(Error::Busy);
        }
        self.space(space).dismantled = 1;
        self.unload(space);
        while self.space(space).cursor < LOWER_HALF && self.space(space).root != 0 {
            self.dismantle_directory(space);
            if self.machine.interrupted() {
                return Ok(1);
            }
        }
        Ok(self.release_root(space))
    }

    /// Whether a space has nothing left and may become memory.
    pub(crate) fn is_dismantled(&mut self, space: Ref<AddressSpace>) -> bool {
        let object = self.space(space);
        object.users == 0 && object.root == 0 && object.pool == 0
    }

    fn unload(&mut self, space: Ref<AddressSpace>) {
        let root = self.space(space).root;
        let here = self.machine.processor();
        for processor in 0..self.processors() {
            if root == 0 || self.cpu_at(processor).root != root {
                continue;
            }
            if processor == here {
                self.cpu().root = 0;
                self.machine.load_root(None);
            } else {
                self.unload_at(processor);
            }
        }
    }

    /// Clears what one directory entry at the cursor covers, or passes over a hole.
    fn dismantle_directory(&mut self, space: Ref<AddressSpace>) {
        let at = self.space(space).cursor;
        let (hole_end, _) = self.hole_end(space, at, 1);
        let next = if hole_end > at {
            hole_end
        } else {
            self.clear_directory_entry(space, at);
            next_multiple(at, DIRECTORY_SPAN)
        };
        if at >> 30 != next >> 30 {
            self.release_table(space, at, 2);
        }
        if at >> 39 != next >> 39 {
            self.release_table(space, at, 3);
        }
        self.space(space).cursor = next;
    }

    /// Ends what is mapped through the directory entry of an address.
    fn clear_directory_entry(&mut self, space: Ref<AddressSpace>, at: u64) {
        if let Leaf::Huge(place) = self.leaf(space, at) {
            let page = page_of_entry(self.entry(place));
            self.set_entry(place, 0);
            if let Some(info) = self.machine.page_info(page) {
                info.huge = info.huge.saturating_sub(1);
            }
        } else if let Some(table) = self.table_at(space, at, 1) {
            self.clear_table(table);
            self.release_table(space, at, 1);
        }
    }

    fn clear_table(&mut self, table: PageNumber) {
        for first in (0..PAGE_WORDS).step_by(GROUP) {
            let (groups, _) = page::words(&mut self.machine, table).as_chunks_mut::<GROUP>();
            let Some(group) = groups.get_mut(first / GROUP).filter(|group| !is_hole(group)) else { continue };
            let group = core::mem::take(group);
            for entry in group {
                if entry & PRESENT != 0 {
                    self.uncount_map(page_of_entry(entry));
                }
            }
        }
    }

    /// The place of the entry at `level` for an address: 1 is in the directory, 3 in the top-level table.
    fn entry_place(&mut self, space: Ref<AddressSpace>, address: u64, level: u32) -> Option<(PageNumber, usize)> {
        let mut table = self.space(space).root;
        let mut at = 3;
        while at > level {
            let entry = self.entry((table, index_at(address, at)));
            if entry & PRESENT == 0 || entry & HUGE != 0 {
                return None;
            }
            table = page_of_entry(entry);
            at -= 1;
        }
        Some((table, index_at(address, level)))
    }

    fn table_at(&mut self, space: Ref<AddressSpace>, address: u64, level: u32) -> Option<PageNumber> {
        let place = self.entry_place(space, address, level)?;
        let entry = self.entry(place);
        (entry & PRESENT != 0 && entry & HUGE == 0).then(|| page_of_entry(entry))
    }

    /// Gives back the table below the entry at `level`, if there is one.
    fn release_table(&mut self, space: Ref<AddressSpace>, address: u64, level: u32) {
        let Some(table) = self.table_at(space, address, level) else { return };
        if let Some(place) = self.entry_place(space, address, level) {
            self.set_entry(place, 0);
        }
        self.release_page(table);
    }

    /// A table that is zero becomes memory.
    fn release_page(&mut self, page: PageNumber) {
        debug_assert!(page::words(&mut self.machine, page).iter().all(|word| *word == 0), "a table is given back with entries");
        self.set_kind(page, ObjectKind::Memory);
    }

    /// Gives back the top-level table and unused donations. Returns whether something is left.
    fn release_root(&mut self, space: Ref<AddressSpace>) -> u64 {
        let root = core::mem::take(&mut self.space(space).root);
        if root != 0 {
            page::zero(&mut self.machine, root);
            self.release_page(root);
        }
        for _ in 0..abi::BUDGET_PAGES {
            let Some(page) = self.pool_pop(space) else { return 0 };
            self.release_page(page);
        }
        u64::from(self.space(space).pool != 0)
    }
}
