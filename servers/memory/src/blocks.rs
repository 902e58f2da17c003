//! How many pages of each 2 MiB of physical memory are free, so that few questions to the kernel find the right place.
//!
//! The kernel alone knows which pages are free; here are its answers, added up for each *block* (2 MiB, aligned). A block's count is exact or *lower* than
//! the truth: pages become used only by memory itself, which says so, while others free theirs without a word. So what counts find is there, and what
//! they miss is found when the block is counted again: when something died, when pages were taken out of a region, in turn at each [`Blocks::free`], and all of
//! them before memory says that it has none. At a restart nothing is known, and blocks are counted as they are needed.

use alloc::vec::Vec;

/// Pages of a block.
pub const BLOCK: u64 = 512;
/// Blocks that every question for the total counts again.
const RECOUNTED: usize = 4;

/// A block's number: its first page divided by [`BLOCK`].
pub type Number = usize;

/// What is known of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    free: u16,
    is_known: bool,
}

/// The counts, by block.
#[derive(Debug, Default)]
pub struct Blocks {
    counts: Vec<Count>,
    /// Where the next recount in turn begins.
    turn: usize,
}

impl Blocks {
    /// Makes room for all blocks up to the one that holds the page before `end`.
    pub fn reach(&mut self, end: u64) {
        let blocks = end.div_ceil(BLOCK) as usize;
        if blocks > self.counts.len() {
            self.counts.resize(blocks, Count::default());
        }
    }

    /// Nothing is known of any block.
    pub fn forget_all(&mut self) {
        self.counts.iter_mut().for_each(|count| count.is_known = false);
    }

    /// Nothing is known of the blocks that hold these pages.
    pub fn forget(&mut self, first: u64, pages: u64) {
        let blocks = (first / BLOCK) as usize..(first + pages).div_ceil(BLOCK) as usize;
        if let Some(counts) = self.counts.get_mut(blocks) {
            counts.iter_mut().for_each(|count| count.is_known = false);
        }
    }

    /// These pages, of one block, are used now.
    pub fn used(&mut self, first: u64, pages: u64) {
        if let Some(count) = self.counts.get_mut((first / BLOCK) as usize) {
            count.free = count.free.saturating_sub(pages as u16);
        }
    }

    /// Free pages of a block, counted if they are not known.
    pub fn count(&mut self, block: Number, count: &mut impl FnMut(Number) -> u64) -> u64 {
        let Some(known) = self.counts.get_mut(block) else { return 0 };
        if !known.is_known {
            *known = Count { free: count(block) as u16, is_known: true };
        }
        u64::from(known.free)
    }

    /// Free pages of all blocks.
    pub fn free(&mut self, mut count: impl FnMut(Number) -> u64) -> u64 {
        let blocks = self.counts.len();
        for step in 0..RECOUNTED.min(blocks) {
            self.counts[(self.turn + step) % blocks].is_known = false;
        }
        self.turn = (self.turn + RECOUNTED) % blocks.max(1);
        (0..blocks).map(|block| self.count(block, &mut count)).sum()
    }

    /// The block with the fewest free pages, but at least `pages`, and not `except`: so those with many keep them, and 2 MiB pages can be made. Blocks of
    /// which nothing is known are counted only if the others have nothing.
    pub fn fullest(&mut self, pages: u64, except: Option<Number>, mut count: impl FnMut(Number) -> u64) -> Option<Number> {
        let fits = |(block, known): &(Number, &Count)| known.is_known && u64::from(known.free) >= pages && Some(*block) != except;
        let known = self.counts.iter().enumerate().filter(fits).min_by_key(|(_, known)| known.free).map(|(block, _)| block);
        if let Some(block) = known.filter(|block| self.counts[*block].free < BLOCK as u16) {
            return Some(block);
        }
        // Rather one that is begun than a whole one.
        let mut whole = known;
        for block in 0..self.counts.len() {
            if self.counts[block].is_known || Some(block) == except {
                continue;
            }
            match self.count(block, &mut count) {
                BLOCK => whole = whole.or(Some(block)),
                free if free >= pages => return Some(block),
                _ => {}
            }
        }
        whole
    }

    /// Whole blocks, highest first, counted where they are not known.
    pub fn whole(&mut self, mut count: impl FnMut(Number) -> u64) -> impl Iterator<Item = Number> {
        (0..self.counts.len()).rev().filter(move |block| self.count(*block, &mut count) == BLOCK)
    }

    /// Blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    fn blocks(counts: &[u64]) -> Blocks {
        let mut blocks = Blocks::default();
        blocks.reach(counts.len() as u64 * 512);
        assert_eq!(blocks.free(|block| counts[block]), counts.iter().sum());
        blocks
    }

    #[test]
    fn fullest_block_that_suffices_is_taken_and_whole_ones_last() {
        let mut blocks = blocks(&[512, 100, 20, 0]);
        let none = |_| -> u64 { unreachable!("all are known") };
        assert_eq!(blocks.fullest(1, None, none), Some(2));
        assert_eq!(blocks.fullest(1, Some(2), none), Some(1));
        assert_eq!(blocks.fullest(50, None, none), Some(1));
        assert_eq!(blocks.fullest(101, None, none), Some(0));
        assert_eq!(blocks.fullest(513, None, none), None);
        assert_eq!(blocks.whole(none).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn unknown_blocks_are_counted_before_a_whole_one_is_broken() {
        let mut blocks = blocks(&[512, 0, 7, 512]);
        blocks.forget(2 * 512 + 5, 1);
        assert_eq!(blocks.fullest(1, None, |block| [512, 0, 9, 512][block]), Some(2));
        blocks.forget_all();
        assert_eq!(blocks.fullest(10, None, |block| [512, 0, 9, 512][block]), Some(0));
    }

    #[test]
    fn counts_follow_use_and_catch_up_in_turn() {
        let mut blocks = blocks(&[512; 9]);
        blocks.used(3 * 512 + 7, 10);
        // Nothing but the recount in turn tells that the pages are free again.
        let totals: Vec<_> = (0..3).map(|_| blocks.free(|_| 512)).collect();
        assert_eq!(*totals.last().expect("three"), 9 * 512);
    }
}
