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

/// What is known of a block: its free pages, or nothing. Two bytes, because memory's own heap is small and machines are large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count(u16);

impl Count {
    const UNKNOWN: Self = Self(u16::MAX);

    fn known(self) -> Option<u64> {
        (self != Self::UNKNOWN).then_some(u64::from(self.0))
    }
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
            self.counts.reserve_exact(blocks - self.counts.len());
            self.counts.resize(blocks, Count::UNKNOWN);
        }
    }

    /// Nothing is known of any block.
    pub fn forget_all(&mut self) {
        self.counts.fill(Count::UNKNOWN);
    }

    /// Nothing is known of the blocks that hold these pages.
    pub fn forget(&mut self, first: u64, pages: u64) {
        let blocks = (first / BLOCK) as usize..(first + pages).div_ceil(BLOCK) as usize;
        if let Some(counts) = self.counts.get_mut(blocks) {
            counts.fill(Count::UNKNOWN);
        }
    }

    /// These pages, of one block, are used now.
    pub fn used(&mut self, first: u64, pages: u64) {
        if let Some(count) = self.counts.get_mut((first / BLOCK) as usize) {
            *count = count.known().map_or(Count::UNKNOWN, |free| Count(free.saturating_sub(pages) as u16));
        }
    }

    /// Free pages of a block, counted if they are not known.
    pub fn count(&mut self, block: Number, count: &mut impl FnMut(Number) -> u64) -> u64 {
        let Some(known) = self.counts.get_mut(block) else { return 0 };
        known.known().unwrap_or_else(|| {
            let free = count(block);
            *known = Count(free as u16);
            free
        })
    }

    /// Free pages of all blocks.
    pub fn free(&mut self, mut count: impl FnMut(Number) -> u64) -> u64 {
        let blocks = self.counts.len();
        for step in 0..RECOUNTED.min(blocks) {
            self.counts[(self.turn + step) % blocks] = Count::UNKNOWN;
        }
        self.turn = (self.turn + RECOUNTED) % blocks.max(1);
        (0..blocks).map(|block| self.count(block, &mut count)).sum()
    }

    /// The block with the fewest free pages, but at least `pages`: so those with many keep them. Blocks of
    /// which nothing is known are counted only if the others have nothing.
    pub fn fullest(&mut self, pages: u64, mut count: impl FnMut(Number) -> u64) -> Option<Number> {
        let known = self.counts.iter().enumerate().filter_map(|(block, count)| Some((count.known().filter(|free| *free >= pages)?, block))).min();
        if let Some((free, block)) = known
            && free < BLOCK
        {
            return Some(block);
        }
        // Rather one that is begun than a whole one.
        let mut whole = known.map(|(_, block)| block);
        for block in 0..self.counts.len() {
            if self.counts[block] != Count::UNKNOWN {
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

    /// The lowest block with free pages, begun or not. For pages that never move: they stay together.
    pub fn lowest(&mut self, mut count: impl FnMut(Number) -> u64) -> Option<Number> {
        (0..self.counts.len()).find(|block| self.count(*block, &mut count) != 0)
    }

    /// The highest block that is begun and has free pages, else the highest whole one; not `except`. For pages that can move.
    pub fn highest(&mut self, except: Option<Number>, mut count: impl FnMut(Number) -> u64) -> Option<Number> {
        let mut whole = None;
        for block in (0..self.counts.len()).rev().filter(|block| Some(*block) != except) {
            match self.count(block, &mut count) {
                0 => {}
                BLOCK => whole = whole.or(Some(block)),
                _ => return Some(block),
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
        assert_eq!(blocks.fullest(1, none), Some(2));
        assert_eq!(blocks.fullest(50, none), Some(1));
        assert_eq!(blocks.fullest(101, none), Some(0));
        assert_eq!(blocks.fullest(513, none), None);
        assert_eq!(blocks.whole(none).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_stays_is_kept_low_and_what_moves_high() {
        let mut blocks = blocks(&[0, 512, 100, 20, 512, 0]);
        let none = |_| -> u64 { unreachable!("all are known") };
        assert_eq!(blocks.lowest(none), Some(1));
        assert_eq!(blocks.highest(None, none), Some(3));
        assert_eq!(blocks.highest(Some(3), none), Some(2));
        blocks.used(2 * 512, 100);
        assert_eq!(blocks.highest(Some(3), none), Some(4));
    }

    #[test]
    fn unknown_blocks_are_counted_before_a_whole_one_is_broken() {
        let mut blocks = blocks(&[512, 0, 7, 512]);
        blocks.forget(2 * 512 + 5, 1);
        assert_eq!(blocks.fullest(1, |block| [512, 0, 9, 512][block]), Some(2));
        blocks.forget_all();
        assert_eq!(blocks.fullest(10, |block| [512, 0, 9, 512][block]), Some(0));
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
