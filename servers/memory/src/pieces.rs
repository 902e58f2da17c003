//! The free pages: which pieces of memory there are, and where a free page lies in them.
//!
//! There is no free list. A page is free iff the kernel says that nothing maps it and no object lies in it, so memory cannot lose a page or give
//! one out twice, whatever it died of and whoever died around it: the pages of a dead server are free as soon as its space is taken apart, without
//! a word. What is kept here is a cache, rebuilt by [`Pieces::gather`]: the bounds of the pieces, and the kernel's answer for 64 pages at a cursor.
//!
//! Single pages are taken from low addresses upwards, next fit; sold runs from high addresses downwards. So the ends of pieces stay free, and a
//! sale is as a rule one `Split`.

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

/// All pieces and the cursor.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Vec<Piece, MAX_PIECES>,
    piece: usize,
    page: u64,
    free: u64,
}

impl Pieces {
    /// Reads the pieces from the vault, joins neighbours, and puts the cursor at the start.
    pub fn gather(kernel: &mut impl Kernel) -> Self {
        let mut this = Self::default();
        this.refresh(kernel);
        while let Some((low, high)) = this.neighbours() {
            if kernel.merge(low, high).is_err() {
                break;
            }
            this.refresh(kernel);
        }
        this
    }

    /// Reads the pieces from the vault again; what the cursor knew is forgotten.
    pub fn refresh(&mut self, kernel: &mut impl Kernel) {
        *self = Self::default();
        for slot in slot::PIECES {
            match kernel.describe(Table::Own, slot) {
                Ok(found) if found.kind == ObjectKind::Memory => {
                    let piece = Piece { slot, first: found.first, pages: found.pages };
                    // There are as many places as slots.
                    let _full = self.pieces.push(piece);
                }
                Ok(_) | Err(_) => {}
            }
        }
        self.pieces.sort_unstable_by_key(|piece| piece.first);
        self.rewind(kernel);
    }

    /// Puts the cursor back to the lowest page: after a death there may be free pages again.
    pub fn rewind(&mut self, kernel: &mut impl Kernel) {
        self.piece = 0;
        self.page = 0;
        self.free = self.look(kernel);
    }

    fn neighbours(&self) -> Option<(u32, u32)> {
        let pairs = self.pieces.iter().zip(self.pieces.iter().skip(1));
        pairs.filter(|(low, high)| low.first + low.pages == high.first).map(|(low, high)| (low.slot, high.slot)).next()
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

    /// Free pages in all pieces.
    pub fn count_free(&self, kernel: &mut impl Kernel) -> u64 {
        let words = self.pieces.iter().flat_map(|piece| (0..piece.pages).step_by(WORD as usize).map(|page| (*piece, page)));
        words.map(|(piece, page)| u64::from(free_word(kernel, piece, page).count_ones())).sum()
    }

    /// A run of one to `most` free pages at the cursor. It stays free until it is used; what is used must be told to [`Pieces::used`].
    pub fn find(&mut self, kernel: &mut impl Kernel, most: u64) -> Option<Run> {
        let words: u64 = self.pieces.iter().map(|piece| piece.pages.div_ceil(WORD)).sum();
        for _ in 0..=words {
            if self.free != 0 {
                let piece = self.pieces.get(self.piece)?;
                let low = u64::from(self.free.trailing_zeros());
                let length = u64::from((self.free >> low).trailing_ones());
                return Some(Run { slot: piece.slot, page: self.page + low, pages: length.min(most) });
            }
            self.advance();
            self.free = self.look(kernel);
        }
        None
    }

    /// The first `pages` pages of the run that [`Pieces::find`] gave are in use now.
    pub fn used(&mut self, run: Run, pages: u64) {
        let low = run.page.saturating_sub(self.page).min(WORD - 1);
        let bits = if pages >= WORD { u64::MAX } else { (1 << pages) - 1 };
        self.free &= !(bits << low);
    }

    /// The highest run of exactly `pages` free pages.
    pub fn find_high(&self, kernel: &mut impl Kernel, pages: u64) -> Option<Run> {
        self.pieces.iter().rev().find_map(|piece| {
            let page = highest_run(kernel, *piece, pages)?;
            Some(Run { slot: piece.slot, page, pages })
        })
    }

    /// Length of the piece in `slot`.
    #[must_use]
    pub fn length(&self, slot: u32) -> u64 {
        self.pieces.iter().find(|piece| piece.slot == slot).map_or(0, |piece| piece.pages)
    }

    fn look(&self, kernel: &mut impl Kernel) -> u64 {
        self.pieces.get(self.piece).map_or(0, |piece| free_word(kernel, *piece, self.page))
    }

    fn advance(&mut self) {
        self.page += WORD;
        let end = self.pieces.get(self.piece).map_or(0, |piece| piece.pages);
        if self.page >= end {
            self.page = 0;
            self.piece = (self.piece + 1) % self.pieces.len().max(1);
        }
    }
}

/// The kernel's answer with the bits beyond the piece's end cleared.
fn free_word(kernel: &mut impl Kernel, piece: Piece, page: u64) -> u64 {
    let left = piece.pages.saturating_sub(page);
    let mask = if left >= WORD { u64::MAX } else { (1 << left) - 1 };
    kernel.free_pages(piece.slot, page).unwrap_or(0) & mask
}

fn highest_run(kernel: &mut impl Kernel, piece: Piece, pages: u64) -> Option<u64> {
    let mut run = 0;
    let mut page = piece.pages;
    let mut word = 0;
    while page > 0 {
        let bit = (page - 1) % WORD;
        if bit == WORD - 1 || page == piece.pages {
            word = free_word(kernel, piece, page - 1 - bit);
        }
        run = if word >> bit & 1 == 1 { run + 1 } else { 0 };
        page -= 1;
        if run == pages {
            return Some(page);
        }
    }
    None
}
