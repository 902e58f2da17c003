//! The areas of a Linux address space: what lies where, by whose promise.
//!
//! An area is a promise, not a mapping: pages come at the first fault, and the page tables alone say which are there. Areas of a process are kept
//! sorted and disjoint; two neighbours that could be one are one. All of it is pure: callers load the list, change it and save it in one transaction,
//! then make the page tables agree, and may do the latter again.

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::saved::{Id, Vma};

/// The page may be read (Linux `PROT_READ`).
pub const READ: u64 = 1;
/// The page may be written (`PROT_WRITE`).
pub const WRITE: u64 = 2;
/// The page may be executed (`PROT_EXEC`).
pub const EXEC: u64 = 4;
/// All three.
pub const PROTECTION: u64 = READ | WRITE | EXEC;
/// Writes are seen by all who map it (`MAP_SHARED`).
pub const SHARED: u64 = 8;
/// Its bytes come from a file.
pub const FILE: u64 = 0x10;
/// It grows downwards at a fault (`MAP_GROWSDOWN`): the stack.
pub const GROWS_DOWN: u64 = 0x20;
/// The program break's area.
pub const HEAP: u64 = 0x40;
/// The main stack.
pub const STACK: u64 = 0x80;
/// The file was opened for writing: a shared mapping may become writable.
pub const MAY_WRITE: u64 = 0x100;

/// A forked child has zeros there (`MADV_WIPEONFORK`).
pub const WIPED_ON_FORK: u64 = 0x800;
/// A forked child has nothing there (`MADV_DONTFORK`).
pub const NOT_FORKED: u64 = 0x1000;

/// The clock's page of [`crate::vdso`]: never writable, never copied.
pub const VVAR: u64 = 0x200;
/// The code of [`crate::vdso`].
pub const VDSO: u64 = 0x400;

/// Bytes in a page.
pub const PAGE: u64 = 4096;
/// Lowest address that may be mapped (`vm.mmap_min_addr`).
pub const LOWEST: u64 = 0x1_0000;
/// Where the search for free space starts, downwards: below the stack's largest extent.
pub const MMAP_TOP: u64 = 0x7fff_f7ff_f000;
/// Top of the main stack: what is above it is [`crate::vdso`]'s.
pub const STACK_TOP: u64 = 0x7fff_ffff_b000;
/// Most bytes of the main stack (`RLIMIT_STACK`).
pub const STACK_BYTES: u64 = 8 << 20;

impl Vma {
    /// Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end - self.start
    }

    /// The file whose bytes it has; nobody's for one without.
    #[must_use]
    pub fn file(&self) -> Id {
        Id { inode: self.inode, generation: self.generation }
    }

    /// Whether it holds `address`.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// The part from `start` to `end`, which must lie in it.
    #[must_use]
    pub fn part(&self, start: u64, end: u64) -> Self {
        let offset = if self.flags & FILE != 0 { self.offset + (start - self.start) } else { 0 };
        Self { start, end, offset, ..*self }
    }

    fn joins(&self, next: &Self) -> bool {
        self.end == next.start
            && self.flags == next.flags
            && self.inode == next.inode
            && self.generation == next.generation
            && (self.flags & FILE == 0 || self.offset + self.length() == next.offset)
    }
}

/// The areas of one process, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Areas(pub Vec<Vma>);

impl Areas {
    /// The area that holds `address`.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.0.iter().find(|area| area.contains(address))
    }

    /// The lowest area that ends above `address`.
    #[must_use]
    pub fn at_or_above(&self, address: u64) -> Option<&Vma> {
        self.0.iter().find(|area| area.end > address)
    }

    /// Whether nothing lies between `start` and `end`.
    #[must_use]
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        !self.0.iter().any(|area| area.start < end && start < area.end)
    }

    /// Whether every page from `start` to `end` lies in an area.
    #[must_use]
    pub fn covers(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        for area in &self.0 {
            if area.contains(at) {
                at = area.end;
            }
        }
        at >= end
    }

    /// Puts an area where nothing lies; joins it with equal neighbours.
    pub fn insert(&mut self, area: Vma) {
        let at = self.0.partition_point(|other| other.start < area.start);
        self.0.insert(at, area);
        self.join(at);
    }

    fn join(&mut self, at: usize) {
        for index in [at, at.wrapping_sub(1)] {
            let (Some(left), Some(right)) = (self.0.get(index).copied(), self.0.get(index.wrapping_add(1)).copied()) else { continue };
            if left.joins(&right) {
                self.0[index].end = right.end;
                self.0.remove(index + 1);
            }
        }
    }

    /// Takes everything between `start` and `end` out and returns it, cut to that range.
    pub fn remove(&mut self, start: u64, end: u64) -> Vec<Vma> {
        let mut removed = Vec::new();
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for area in &self.0 {
            let (low, high) = (area.start.max(start), area.end.min(end));
            if low >= high {
                kept.push(*area);
                continue;
            }
            if area.start < low {
                kept.push(area.part(area.start, low));
            }
            removed.push(area.part(low, high));
            if high < area.end {
                kept.push(area.part(high, area.end));
            }
        }
        self.0 = kept;
        removed
    }

    /// Gives the pages from `start` to `end` new protection bits. The range must be covered.
    pub fn protect(&mut self, start: u64, end: u64, protection: u64) {
        self.change_flags(start, end, PROTECTION, protection);
    }

    /// Of the pages from `start` to `end`, takes the flags `taken` and gives them `given`.
    pub fn change_flags(&mut self, start: u64, end: u64, taken: u64, given: u64) {
        for mut area in self.remove(start, end) {
            area.flags = area.flags & !taken | given;
            self.insert(area);
        }
    }

    /// A free range of `bytes` (a multiple of the page size): at `hint` if that is free, else as high as possible below [`MMAP_TOP`].
    ///
    /// # Errors
    /// `ENOMEM` if there is none.
    pub fn find_free(&self, hint: u64, bytes: u64) -> Result<u64, Errno> {
        let hint_end = hint.checked_add(bytes).filter(|end| *end <= abi::USER_END);
        if hint >= LOWEST && hint_end.is_some_and(|end| self.is_free(hint, end)) {
            return Ok(hint);
        }
        self.find_free_below(MMAP_TOP, bytes)
    }

    /// A free range of `bytes`, as high as possible below `top`.
    ///
    /// # Errors
    /// `ENOMEM` if there is none.
    pub fn find_free_below(&self, top: u64, bytes: u64) -> Result<u64, Errno> {
        let mut top = top;
        for area in self.0.iter().rev() {
            if area.start >= top {
                continue;
            }
            if area.end <= top && top - area.end >= bytes {
                break;
            }
            top = area.start;
        }
        top.checked_sub(bytes).filter(|start| *start >= LOWEST).ok_or(Errno::ENOMEM)
    }
}

#[cfg(test)]
mod tests {
    use super::{Areas, FILE, LOWEST, MMAP_TOP, PAGE, READ, WRITE};
    use crate::errno::Errno;
    use crate::saved::Vma;

    fn area(start: u64, end: u64, flags: u64) -> Vma {
        Vma { start: start * PAGE, end: end * PAGE, flags, ..Vma::default() }
    }

    fn file(start: u64, end: u64, offset: u64) -> Vma {
        Vma { inode: 5, offset: offset * PAGE, ..area(start, end, READ | FILE) }
    }

    fn areas(list: &[Vma]) -> Areas {
        let mut areas = Areas::default();
        for area in list {
            areas.insert(*area);
        }
        areas
    }

    #[test]
    fn equal_neighbours_join_on_both_sides() {
        let joined = areas(&[area(1, 2, READ), area(3, 4, READ), area(2, 3, READ)]);
        assert_eq!(joined.0, [area(1, 4, READ)]);
        let apart = areas(&[area(1, 2, READ), area(2, 3, WRITE)]);
        assert_eq!(apart.0.len(), 2);
    }

    #[test]
    fn file_areas_join_only_when_their_offsets_do() {
        assert_eq!(areas(&[file(1, 2, 7), file(2, 3, 8)]).0, [file(1, 3, 7)]);
        assert_eq!(areas(&[file(1, 2, 7), file(2, 3, 9)]).0.len(), 2);
    }

    #[test]
    fn removal_cuts_the_middle_and_keeps_offsets() {
        let mut list = areas(&[file(1, 10, 100)]);
        assert_eq!(list.remove(4 * PAGE, 6 * PAGE), [file(4, 6, 103)]);
        assert_eq!(list.0, [file(1, 4, 100), file(6, 10, 105)]);
        assert_eq!(list.remove(0, 20 * PAGE).len(), 2);
        assert!(list.0.is_empty());
    }

    #[test]
    fn protection_splits_and_joins_again() {
        let mut list = areas(&[area(1, 10, READ | WRITE)]);
        list.protect(3 * PAGE, 5 * PAGE, READ);
        assert_eq!(list.0, [area(1, 3, READ | WRITE), area(3, 5, READ), area(5, 10, READ | WRITE)]);
        list.protect(3 * PAGE, 5 * PAGE, READ | WRITE);
        assert_eq!(list.0, [area(1, 10, READ | WRITE)]);
    }

    #[test]
    fn coverage_sees_holes() {
        let list = areas(&[area(1, 2, READ), area(2, 4, WRITE), area(5, 6, READ)]);
        assert!(list.covers(PAGE, 4 * PAGE));
        assert!(!list.covers(PAGE, 5 * PAGE));
        assert!(!list.covers(0, 2 * PAGE));
    }

    #[test]
    fn free_space_is_found_from_the_top_and_at_the_hint() {
        let top = MMAP_TOP / PAGE;
        let list = areas(&[area(top - 4, top - 2, READ), area(top + 5, top + 6, READ)]);
        assert_eq!(list.find_free(0, 2 * PAGE), Ok(MMAP_TOP - 2 * PAGE));
        assert_eq!(list.find_free(0, 3 * PAGE), Ok(MMAP_TOP - 7 * PAGE));
        assert_eq!(list.find_free(0x40_0000, PAGE), Ok(0x40_0000));
        assert_eq!(list.find_free((top - 3) * PAGE, PAGE), Ok(MMAP_TOP - PAGE));
        assert_eq!(list.find_free(0, MMAP_TOP - LOWEST + PAGE), Err(Errno::ENOMEM));
    }
}
