//! Pages that programs write right after a fork: the stack's top, the thread's own data, the allocator's.
//!
//! Copy-on-write makes the first write to each of them a fault, on both sides. A page that was written after one fork is as a rule written after the
//! next, so it is copied at once: one copy instead of two faults, of which each costs several times as much. What is remembered here is a hint and
//! nothing else: it is not saved, and a wrong one costs a copy.

use abi::MapFlags;

use crate::saved::{MAPS, MapIndex};
use crate::server::Posix;
use crate::sure::Table;
use crate::vma::{PAGE, SHARED, WRITE};

/// Pages remembered of each map: a C library with its data, heap and stack writes some six, a shell ten.
const PAGES: usize = 12;

/// Addresses of pages, the most recently written first; 0 is none.
#[derive(Debug, Default)]
pub struct Hot(Table<[u64; PAGES], MAPS>);

impl Hot {
    /// The program of a map wrote to a page that it shared with a copy of itself.
    pub fn wrote(&mut self, map: MapIndex, page: u64) {
        let Some(pages) = self.0.get_mut(map) else { return };
        let place = pages.iter().position(|known| *known == page).unwrap_or(PAGES - 1);
        pages.copy_within(..place, 1);
        pages[0] = page;
    }

    /// A new map is a copy of another, or empty.
    pub fn begin(&mut self, map: MapIndex, from: Option<MapIndex>) {
        let pages = from.map_or([0; PAGES], |from| self.of(from));
        if let Some(to) = self.0.get_mut(map) {
            *to = pages;
        }
    }

    fn of(&self, map: MapIndex) -> [u64; PAGES] {
        self.0.get(map).copied().unwrap_or_default()
    }
}

impl Posix<'_> {
    /// Gives a clone its own copies of the pages that will be written first, and the original the right to write its own again.
    pub(crate) fn part_hot_pages(&mut self, map: MapIndex, from: MapIndex, stack: u64) {
        self.hot.wrote(from, stack & !(PAGE - 1));
        self.hot.begin(map, Some(from));
        for page in self.hot.of(from) {
            let private = |flags: u64| flags & (WRITE | SHARED) == WRITE;
            if !self.store.area_at(from, page).is_some_and(|area| private(area.flags)) {
                continue;
            }
            // Given up or closed since it was written: left to a fault.
            if !self.is_open_copy(map, page) || !self.is_open_copy(from, page) {
                continue;
            }
            // In this order: once the clone has its copy, the original is the page's last holder and copies nothing. No memory for a copy is left to a fault.
            if self.unshare(map, page).and_then(|()| self.unshare(from, page)).is_err() {
                continue;
            }
        }
    }

    /// Whether a page is there, copy-on-write, and may be accessed: another one the kernel refuses to unshare.
    fn is_open_copy(&mut self, map: MapIndex, page: u64) -> bool {
        self.page_at(map, page).is_some_and(|present| present & (MapFlags::COW | MapFlags::NONE) == MapFlags::COW)
    }
}

#[cfg(test)]
mod tests {
    use super::{Hot, PAGES};

    #[test]
    fn latest_pages_are_kept_each_once() {
        let mut hot = Hot::default();
        for page in (1..=PAGES as u64 + 3).chain([6]) {
            hot.wrote(5, page);
        }
        let pages = hot.of(5);
        assert_eq!((pages[0], pages[1]), (6, PAGES as u64 + 3));
        assert_eq!(pages.iter().filter(|page| **page == 6).count(), 1);
        assert!(!pages.contains(&0) && !pages.contains(&3));
    }

    #[test]
    fn copies_inherit_and_new_programs_do_not() {
        let mut hot = Hot::default();
        hot.wrote(1, 9);
        hot.begin(2, Some(1));
        assert_eq!(hot.of(2)[0], 9);
        hot.begin(2, None);
        assert_eq!(hot.of(2), [0; PAGES]);
    }
}
