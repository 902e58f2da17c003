//! Taking a space apart, a bounded step at a time.
//!
//! First it becomes unloadable, then its mappings go, then its tables. What was donated becomes plain memory of its owner again.

use abi::{Error, ObjectKind, Rights};

use super::table::{DIRECTORY_SPAN, HUGE, PRESENT, index_at, next_multiple, page_of_entry};
use super::{AddressSpace, Leaf};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, PAGE_WORDS, Ref};
use crate::thread::Thread;

/// Donated pages that one step gives back at most.
const STEP_TABLES: usize = 32;
/// Entries that are looked at together: most of a table is holes.
const GROUP: usize = 8;
/// End of the lower half.
const LOWER_HALF: u64 = 1 << 47;

impl<M: Machine> Kernel<M> {
    /// One step. Returns 0 when nothing is left.
    pub(crate) fn dismantle(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let space: Ref<AddressSpace> = self.lookup(thread, handle, ObjectKind::AddressSpace, Rights::CONTROL)?.reference();
        if self.space(space).users != 0 {
            return Err(Error::Busy);
        }
        self.space(space).dismantled = 1;
        self.unload(space);
        let mut entries = 0;
        while entries < abi::BUDGET_PAGES {
            if self.space(space).cursor >= LOWER_HALF || self.space(space).root == 0 {
                return Ok(self.release_root(space));
            }
            entries += if self.dismantle_directory(space) { PAGE_WORDS as u64 } else { 1 };
        }
        Ok(1)
    }

    /// Whether a space has nothing left and may become memory.
    pub(crate) fn is_dismantled(&mut self, space: Ref<AddressSpace>) -> bool {
        let object = self.space(space);
        object.users == 0 && object.root == 0 && object.pool == 0
    }

    fn unload(&mut self, space: Ref<AddressSpace>) {
        let root = self.space(space).root;
        if root != 0 && self.cpu.root == root {
            self.cpu.root = 0;
            self.machine.load_root(None);
        }
    }

    /// Clears what one directory entry at the cursor covers, or passes over a hole. Returns whether it was a full table.
    fn dismantle_directory(&mut self, space: Ref<AddressSpace>) -> bool {
        let at = self.space(space).cursor;
        let hole_end = self.hole_end(space, at, 1);
        let mut full = false;
        let next = if hole_end > at {
            hole_end
        } else {
            full = self.clear_directory_entry(space, at);
            next_multiple(at, DIRECTORY_SPAN)
        };
        if at >> 30 != next >> 30 {
            self.release_table(space, at, 2);
        }
        if at >> 39 != next >> 39 {
            self.release_table(space, at, 3);
        }
        self.space(space).cursor = next;
        full
    }

    /// Ends what is mapped through the directory entry of an address. Returns whether it was a full table.
    fn clear_directory_entry(&mut self, space: Ref<AddressSpace>, at: u64) -> bool {
        if let Leaf::Huge(place) = self.leaf(space, at) {
            let page = page_of_entry(self.entry(place));
            self.set_entry(place, 0);
            if let Some(info) = self.machine.page_info(page) {
                info.huge = info.huge.saturating_sub(1);
            }
        } else if let Some(table) = self.table_at(space, at, 1) {
            self.clear_table(table);
            self.release_table(space, at, 1);
            return true;
        }
        false
    }

    fn clear_table(&mut self, table: PageNumber) {
        for first in (0..PAGE_WORDS).step_by(GROUP) {
            let (groups, _) = page::words(&mut self.machine, table).as_chunks::<GROUP>();
            let group = groups[first / GROUP];
            if group.iter().fold(0, |bits, entry| bits | entry) & PRESENT == 0 {
                continue;
            }
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

    fn release_page(&mut self, page: PageNumber) {
        page::zero(&mut self.machine, page);
        self.set_kind(page, ObjectKind::Memory);
    }

    /// Gives back the top-level table and unused donations. Returns whether something is left.
    fn release_root(&mut self, space: Ref<AddressSpace>) -> u64 {
        let root = core::mem::take(&mut self.space(space).root);
        if root != 0 {
            self.release_page(root);
        }
        for _ in 0..STEP_TABLES {
            let Some(page) = self.pool_pop(space) else { return 0 };
            self.release_page(page);
        }
        u64::from(self.space(space).pool != 0)
    }
}
