//! Files that lose bytes while programs map them.
//!
//! vfs takes the pages first, under the request's number; then they are unmapped here, from whoever maps the file. After a crash in between the request runs
//! again and unmaps what is left. A program that touches a page beyond the new end gets SIGBUS from the fault that follows.

use abi::MapFlags;
use protocols::vfs::FileId;

use crate::saved::{Id, MAPS, Vma, state};
use crate::server::Posix;
use crate::vma::{FILE, PAGE, SHARED};

/// What of a file is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// All pages that begin at or beyond this byte, a program's private copies too.
    From(u64),
    /// A range of bytes became a hole: private copies stay.
    Hole(u64, u64),
}

impl Posix<'_> {
    /// Unmaps what a file has lost.
    pub fn drop_pages(&mut self, file: FileId, dropped: Dropped) {
        let id = Id::from(file);
        if self.find_node(id).is_none() {
            return;
        }
        for map in (1..MAPS).filter(|map| self.store.map(*map).state == state::LIVE).collect::<alloc::vec::Vec<_>>() {
            for area in
                self.store.areas(map).0.iter().filter(|area| area.flags & FILE != 0 && area.inode == id.inode && area.generation == id.generation)
            {
                self.drop_of_area(map, area, dropped);
            }
        }
    }

    fn drop_of_area(&mut self, map: usize, area: &Vma, dropped: Dropped) {
        let length = area.end - area.start;
        let place = |byte: u64| area.start + byte.saturating_sub(area.offset).min(length);
        let (start, end) = match dropped {
            Dropped::From(size) => (place(size.next_multiple_of(PAGE)), area.end),
            Dropped::Hole(from, to) => (place(from.next_multiple_of(PAGE)), place(to & !(PAGE - 1))),
        };
        if start >= end {
            return;
        }
        let whole = area.flags & SHARED != 0 || matches!(dropped, Dropped::From(_));
        if whole {
            // Nothing is mapped in a space that is gone.
            let _gone = self.unmap(map, start, end);
            return;
        }
        for page in (start..end).step_by(PAGE as usize) {
            let is_cached = |present: u64| present & (MapFlags::SHARED | MapFlags::COW) == MapFlags::SHARED;
            if self.page_at(map, page).is_some_and(is_cached) {
                let _gone = self.unmap(map, page, page + PAGE);
            }
        }
    }
}
