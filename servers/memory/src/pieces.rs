//! The free pages: which pieces of memory there are, and where a free page lies in them.
//!
//! There is no free list and no buddy tree. A page is free iff the kernel says that nothing maps it and no object lies in it, so memory cannot lose a page or
//! give one out twice, whatever it died of and whoever died around it: the pages of a dead server are free as soon as its space is taken apart, without
//! a word. What is kept here is a cache: the bounds of the pieces, free pages for each 2 MiB ([`Blocks`]), and the kernel's answer for 64 pages at a cursor.
//!
//! Why not buddies: their lists are a second truth, which a crash between list and page table would have to reconcile page by page, and joining
//! neighbours is all that they give beyond it. Joining costs nothing here, because being free is a property of each page: 512 free pages in an aligned row *are* a
//! 2 MiB page. What buddies do for order, placement does: pages that never move (tables, objects, heaps) come from the lowest block, pages of
//! regions, which [`crate::compact`] can move, from the highest begun one, sales and 2 MiB pages from the highest whole one.

use crate::blocks::{BLOCK, Blocks, Number};
use crate::kernel::{Kernel, Table, slot};
use abi::ObjectKind;
use heapless::Vec;

/// Pages that one answer of the kernel covers.
const WORD: u64 = 64;
/// Most pieces.
pub const MAX_PIECES: usize = (slot::PIECES.end - slot::PIECES.start) as usize;

/// One owned Memory capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its slot.
    pub slot: u32,
    /// Its first page in physical memory.
    pub first: u64,
    /// Its length.
    pub pages: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.first + self.pages
    }

    /// The run of its pages from the physical page `first` on.
    fn run(&self, first: u64, pages: u64) -> Run {
        Run { slot: self.slot, page: first - self.first, pages }
    }

    fn has(&self, first: u64, pages: u64) -> bool {
        self.first <= first && first + pages <= self.end()
    }
}

/// A run of free pages in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The piece's slot.
    pub slot: u32,
    /// Offset in the piece.
    pub page: u64,
    /// Length.
    pub pages: u64,
}

/// The word in hand: a bit for each free page of 64 from a physical page on, all in one piece and one block.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    first: u64,
    free: u64,
}

/// Whether a page can be moved later: see [`crate::compact`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table, an object, a page of a heap.
    Fixed,
    /// A page of a region.
    Movable,
}

/// All pieces and the cursors.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Vec<Piece, MAX_PIECES>,
    blocks: Blocks,
    /// By [`Kind`].
    cursors: [Cursor; 2],
    /// A block that is being emptied.
    except: Option<Number>,
}

impl Pieces {
    /// Reads the pieces from the vault and joins neighbours.
    pub fn gather(kernel: &mut impl Kernel) -> Self {
        let mut this = Self::default();
        this.join(kernel);
        this
    }

    /// Reads the pieces from the vault again and joins neighbours. What is known of blocks stays known.
    pub fn join(&mut self, kernel: &mut impl Kernel) {
        self.refresh(kernel);
        while let Some((low, high)) = self.neighbours() {
            if kernel.merge(low, high).is_err() {
                break;
            }
            self.refresh(kernel);
        }
    }

    /// Reads the pieces from the vault again.
    pub fn refresh(&mut self, kernel: &mut impl Kernel) {
        self.pieces.clear();
        self.cursors = Default::default();
        for slot in slot::PIECES {
            match kernel.describe(Table::Own, slot) {
                Ok(found) if found.kind == ObjectKind::Memory => {
                    self.blocks.reach(found.first + found.pages);
                    // There are as many places as slots.
                    let _full = self.pieces.push(Piece { slot, first: found.first, pages: found.pages });
                }
                Ok(_) | Err(_) => {}
            }
        }
        self.pieces.sort_unstable_by_key(|piece| piece.first);
    }

    /// After a death there may be free pages anywhere.
    pub fn forget(&mut self) {
        self.blocks.forget_all();
    }

    /// These physical pages were used, and may be free now.
    pub fn forget_pages(&mut self, first: u64, pages: u64) {
        self.blocks.forget(first, pages);
    }

    fn neighbours(&self) -> Option<(u32, u32)> {
        let pairs = self.pieces.iter().zip(self.pieces.iter().skip(1));
        pairs.filter(|(low, high)| low.end() == high.first).map(|(low, high)| (low.slot, high.slot)).next()
    }

    /// The pieces, lowest first.
    #[must_use]
    pub fn all(&self) -> &[Piece] {
        &self.pieces
    }

    /// A vault slot that holds no piece.
    #[must_use]
    pub fn spare_slot(&self) -> Option<u32> {
        slot::PIECES.into_iter().find(|slot| self.pieces.iter().all(|piece| piece.slot != *slot))
    }

    /// Pages in all pieces, used ones too.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.pages).sum()
    }

    /// Free pages in all pieces: exact for what memory did itself, and never more than there are.
    pub fn count_free(&mut self, kernel: &mut impl Kernel) -> u64 {
        let Self { pieces, blocks, .. } = self;
        blocks.free(|block| free_in(kernel, pieces, block))
    }

    /// A run of one to `most` free pages, in one block. It stays free until it is used; what is used must be told to [`Pieces::used`].
    pub fn find(&mut self, kernel: &mut impl Kernel, kind: Kind, most: u64) -> Option<Run> {
        self.look(kernel, kind);
        if self.cursors[kind as usize].free == 0 {
            // What others gave back was not told: everything is counted once more before there is no memory.
            self.blocks.forget_all();
            self.look(kernel, kind);
        }
        let Cursor { first, free } = self.cursors[kind as usize];
        if free == 0 {
            return None;
        }
        let first = first + u64::from(free.trailing_zeros());
        let length = u64::from((free >> free.trailing_zeros()).trailing_ones());
        self.piece_of(first).map(|piece| piece.run(first, length.min(most)))
    }

    /// Puts a cursor on a word with free pages, if it is on none.
    fn look(&mut self, kernel: &mut impl Kernel, kind: Kind) {
        while self.cursors[kind as usize].free == 0 {
            let Self { pieces, blocks, except, .. } = self;
            let count = |block: Number| free_in(kernel, pieces, block);
            let found = match kind {
                Kind::Fixed => blocks.lowest(count),
                Kind::Movable => blocks.highest(*except, count),
            };
            let Some(block) = found else { return };
            match words(pieces, block).map(|(piece, first, pages)| (first, free_word(kernel, &piece, first, pages))).find(|(_, free)| *free != 0) {
                Some((first, free)) => self.cursors[kind as usize] = Cursor { first, free },
                // Fewer than were counted: somebody else uses pages of ours, which only a wrong kernel could allow. Counted as none, so that this ends.
                None => blocks.used(block as u64 * BLOCK, BLOCK),
            }
        }
    }

    fn piece_of(&self, page: u64) -> Option<Piece> {
        self.pieces.iter().copied().find(|piece| piece.has(page, 1))
    }

    /// The first `pages` pages of a run are in use now.
    pub fn used(&mut self, run: Run, pages: u64) {
        let Some(piece) = self.pieces.iter().find(|piece| piece.slot == run.slot) else { return };
        let first = piece.first + run.page;
        self.blocks.used(first, pages);
        let bits = if pages >= WORD { u64::MAX } else { (1 << pages) - 1 };
        for cursor in &mut self.cursors {
            if let Some(low) = first.checked_sub(cursor.first).filter(|low| *low < WORD) {
                cursor.free &= !(bits << low);
            }
        }
    }

    /// A free block that lies in one piece: what a 2 MiB page is made of.
    pub fn find_whole(&mut self, kernel: &mut impl Kernel) -> Option<Run> {
        let Self { pieces, blocks, .. } = self;
        let first = |block: Number| block as u64 * BLOCK;
        let found = blocks.whole(|block| free_in(kernel, pieces, block)).find_map(|block| {
            let piece = pieces.iter().find(|piece| piece.has(first(block), BLOCK))?;
            Some(piece.run(first(block), BLOCK))
        });
        let first = found.map_or(0, |run| self.first(run));
        for cursor in &mut self.cursors {
            if first < cursor.first + WORD && cursor.first < first + BLOCK {
                *cursor = Cursor::default();
            }
        }
        found
    }

    /// Free blocks that lie in one piece each.
    pub fn count_whole(&mut self, kernel: &mut impl Kernel) -> u64 {
        let Self { pieces, blocks, .. } = self;
        let whole = blocks.whole(|block| free_in(kernel, pieces, block));
        whole.filter(|block| pieces.iter().any(|piece| piece.has(*block as u64 * BLOCK, BLOCK))).count() as u64
    }

    /// Exactly `pages` free pages in a row, to be sold. Whole blocks for whole blocks, the fullest block for less; where a piece could not be cut any
    /// more, its end.
    pub fn find_sale(&mut self, kernel: &mut impl Kernel, pages: u64) -> Option<Run> {
        let found = self.find_sale_as_known(kernel, pages);
        if found.is_some() {
            return found;
        }
        self.blocks.forget_all();
        self.find_sale_as_known(kernel, pages)
    }

    fn find_sale_as_known(&mut self, kernel: &mut impl Kernel, pages: u64) -> Option<Run> {
        if self.spare_slot().is_none() {
            return self
                .pieces
                .iter()
                .rev()
                .find(|piece| is_free(kernel, piece, piece.end().saturating_sub(pages), pages))
                .map(|piece| piece.run(piece.end() - pages, pages));
        }
        if pages >= BLOCK {
            let aligned = self.find_blocks(kernel, pages);
            if aligned.is_some() {
                return aligned;
            }
        } else {
            // The smallest block that suffices, so all of them must be known.
            let _free = self.count_free(kernel);
            let Self { pieces, blocks, .. } = self;
            if let Some(block) = blocks.fullest(pages, |block| free_in(kernel, pieces, block)) {
                let low = block as u64 * BLOCK;
                let found =
                    pieces.iter().rev().find_map(|piece| highest_run(kernel, piece, (low, low + BLOCK), pages).map(|first| piece.run(first, pages)));
                if found.is_some() {
                    return found;
                }
            }
        }
        self.pieces.iter().rev().find_map(|piece| highest_run(kernel, piece, (0, u64::MAX), pages).map(|first| piece.run(first, pages)))
    }

    /// The highest row of whole blocks for so many pages.
    fn find_blocks(&mut self, kernel: &mut impl Kernel, pages: u64) -> Option<Run> {
        let Self { pieces, blocks, .. } = self;
        let (mut row, mut last) = (0, None);
        for block in blocks.whole(|block| free_in(kernel, pieces, block)) {
            row = if last == Some(block + 1) { row + 1 } else { 1 };
            last = Some(block);
            let first = block as u64 * BLOCK;
            if row * BLOCK >= pages
                && let Some(piece) = pieces.iter().find(|piece| piece.has(first, pages))
            {
                return Some(piece.run(first, pages));
            }
        }
        None
    }

    /// Physical page that a run begins with.
    #[must_use]
    pub fn first(&self, run: Run) -> u64 {
        self.pieces.iter().find(|piece| piece.slot == run.slot).map_or(0, |piece| piece.first + run.page)
    }

    /// Length of the piece in `slot`.
    #[must_use]
    pub fn length(&self, slot: u32) -> u64 {
        self.pieces.iter().find(|piece| piece.slot == slot).map_or(0, |piece| piece.pages)
    }

    /// The block that costs the fewest moves to make whole: all of it in one piece, `movable` pages in use that can go elsewhere, and the rest free. Only
    /// if other blocks that are begun have room for them.
    pub fn cheapest(&mut self, kernel: &mut impl Kernel, movable: &[u16]) -> Option<Number> {
        let Self { pieces, blocks, .. } = self;
        let mut count = |block: Number| free_in(kernel, pieces, block);
        let begun: u64 = (0..blocks.len()).map(|block| blocks.count(block, &mut count)).filter(|free| *free < BLOCK).sum();
        let candidates = movable.iter().enumerate().filter(|(block, movable)| {
            let (free, movable) = (blocks.count(*block, &mut count), u64::from(**movable));
            let in_one_piece = pieces.iter().any(|piece| piece.has(*block as u64 * BLOCK, BLOCK));
            in_one_piece && movable > 0 && free + movable == BLOCK && begun.saturating_sub(free) >= movable
        });
        candidates.min_by_key(|(_, movable)| **movable).map(|(block, _)| block)
    }

    /// Keeps a block out of [`Pieces::find`] for what moves while it is being emptied.
    pub fn keep_out_of(&mut self, block: Option<Number>) {
        self.except = block;
        self.cursors = Default::default();
    }

    /// Blocks that pieces reach.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }
}

/// The words of a block: each in one piece, with its first page and its length.
fn words(pieces: &[Piece], block: Number) -> impl Iterator<Item = (Piece, u64, u64)> {
    let (low, high) = (block as u64 * BLOCK, block as u64 * BLOCK + BLOCK);
    let inside = pieces.iter().filter(move |piece| piece.first < high && low < piece.end());
    inside.flat_map(move |piece| {
        let (start, end) = (piece.first.max(low), piece.end().min(high));
        (start..end).step_by(WORD as usize).map(move |first| (*piece, first, (end - first).min(WORD)))
    })
}

fn free_in(kernel: &mut impl Kernel, pieces: &[Piece], block: Number) -> u64 {
    words(pieces, block).map(|(piece, first, pages)| u64::from(free_word(kernel, &piece, first, pages).count_ones())).sum()
}

/// The kernel's answer for the pages from a physical one on.
fn free_word(kernel: &mut impl Kernel, piece: &Piece, first: u64, pages: u64) -> u64 {
    let mask = if pages >= WORD { u64::MAX } else { (1 << pages) - 1 };
    kernel.free_pages(piece.slot, first - piece.first).unwrap_or(0) & mask
}

fn is_free(kernel: &mut impl Kernel, piece: &Piece, first: u64, pages: u64) -> bool {
    piece.has(first, pages) && highest_run(kernel, piece, (first, first + pages), pages) == Some(first)
}

/// Where the highest run of exactly `pages` free pages of a piece begins, between two physical pages.
fn highest_run(kernel: &mut impl Kernel, piece: &Piece, (low, high): (u64, u64), pages: u64) -> Option<u64> {
    let (low, high) = (piece.first.max(low), piece.end().min(high));
    let mut run = 0;
    let mut page = high;
    let mut word = (u64::MAX, 0);
    while page > low {
        page -= 1;
        let first = piece.first + (page - piece.first) / WORD * WORD;
        if word.0 != first {
            word = (first, free_word(kernel, piece, first, (piece.end() - first).min(WORD)));
        }
        run = if word.1 >> (page - first) & 1 == 1 { run + 1 } else { 0 };
        if run == pages {
            return Some(page);
        }
    }
    None
}
