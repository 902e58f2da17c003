//! Which pages of the region hold data: three bits a page, and a summary that finds a free one in two steps.
//!
//! - *used*: it belongs to a file.
//! - *touched*: it may have memory behind it: set when it is first used, cleared when the memory was given back.
//! - *lent*: it was shared with a program since it was last given back. The program may still see it after the file is gone, so a free page that is lent
//!   is not used again before it was given back: the program then keeps the old memory to itself.
//!
//! Invariants: lent implies touched; used implies touched; a summary bit is set iff no page of its word is free to use; the two counts are those of
//! the bits. Absent: which file a page belongs to.

use alloc::vec;
use alloc::vec::Vec;

use libsys::saved::{Array, Cell, Transaction};
use protocols::vfs::Error;

/// Most pages of data: 512 MiB. The window given at start may be smaller.
pub const MAX_PAGES: u32 = 131_072;

const WORD: u32 = u64::BITS;
const WORDS: usize = (MAX_PAGES / WORD) as usize;
const SUMMARIES: usize = WORDS / WORD as usize;

libsys::saved_state! {
    /// The state of every page; all zero is all free.
    pub struct PageMap: 1 {
        used: Array<u64, WORDS>,
        touched: Array<u64, WORDS>,
        lent: Array<u64, WORDS>,
        full: Array<u64, SUMMARIES>,
        used_count: Cell<u32>,
        idle_count: Cell<u32>,
    }
}

/// A run of pages with memory behind them that hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleRun {
    /// The first.
    pub first: u32,
    /// How many; all in one word of the map.
    pub count: u32,
}

const fn place(page: u32) -> (usize, u64) {
    ((page / WORD) as usize, 1 << (page % WORD))
}

impl PageMap {
    /// How many pages are used.
    #[must_use]
    pub fn used_count(&self) -> u32 {
        self.used_count.get()
    }

    /// How many pages are not used but have memory behind them.
    #[must_use]
    pub fn idle_count(&self) -> u32 {
        self.idle_count.get()
    }

    /// Whether a page is used.
    #[must_use]
    pub fn is_used(&self, page: u32) -> bool {
        let (word, bit) = place(page);
        page < MAX_PAGES && self.used[word].get() & bit != 0
    }

    /// Takes the lowest free page below `limit`. What it holds is not known.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub fn allocate(&self, tx: &Transaction<'_>, limit: u32) -> Result<u32, Error> {
        let summary = (0..SUMMARIES).find(|summary| self.full[*summary].get() != u64::MAX).ok_or(Error::NoSpace)?;
        let word = summary * WORD as usize + self.full[summary].get().trailing_ones() as usize;
        let taken = self.used[word].get() | self.lent[word].get();
        let page = word as u32 * WORD + taken.trailing_ones();
        if taken == u64::MAX || page >= limit.min(MAX_PAGES) {
            return Err(Error::NoSpace);
        }
        let (_, bit) = place(page);
        self.used[word].set(tx, self.used[word].get() | bit);
        self.used_count.set(tx, self.used_count.get() + 1);
        if self.touched[word].get() & bit == 0 {
            self.touched[word].set(tx, self.touched[word].get() | bit);
        } else {
            self.idle_count.set(tx, self.idle_count.get().saturating_sub(1));
        }
        self.summarise(tx, word);
        Ok(page)
    }

    /// Frees pages. Neighbours in the list that share a word cost one change.
    ///
    /// # Errors
    /// [`Error::Damaged`] if one was not used.
    pub fn release(&self, tx: &Transaction<'_>, pages: &[u32]) -> Result<(), Error> {
        for run in pages.chunk_by(|one, other| place(*one).0 == place(*other).0) {
            let word = run.first().map_or(0, |page| place(*page).0);
            let bits = run.iter().fold(0, |bits, page| bits | place(*page).1);
            if word >= WORDS || self.used[word].get() & bits != bits || bits.count_ones() as usize != run.len() {
                return Err(Error::Damaged);
            }
            self.used[word].set(tx, self.used[word].get() & !bits);
            self.summarise(tx, word);
        }
        let count = pages.len() as u32;
        self.used_count.set(tx, self.used_count.get().saturating_sub(count));
        self.idle_count.set(tx, self.idle_count.get() + count);
        Ok(())
    }

    /// Notes that a program shares a used page.
    pub fn lend(&self, tx: &Transaction<'_>, page: u32) {
        let (word, bit) = place(page);
        if self.is_used(page) && self.lent[word].get() & bit == 0 {
            self.lent[word].set(tx, self.lent[word].get() | bit);
        }
    }

    fn summarise(&self, tx: &Transaction<'_>, word: usize) {
        let (summary, bit) = place(word as u32);
        let full = self.used[word].get() | self.lent[word].get() == u64::MAX;
        let old = self.full[summary].get();
        let new = if full { old | bit } else { old & !bit };
        if new != old {
            self.full[summary].set(tx, new);
        }
    }

    /// The first run of idle pages at or after page `from`.
    #[must_use]
    pub fn next_idle(&self, from: u32) -> Option<IdleRun> {
        let mut mask = u64::MAX.checked_shl(from % WORD).unwrap_or(0);
        for word in (from / WORD) as usize..WORDS {
            let idle = self.touched[word].get() & !self.used[word].get() & mask;
            if idle != 0 {
                let start = idle.trailing_zeros();
                return Some(IdleRun { first: word as u32 * WORD + start, count: (idle >> start).trailing_ones() });
            }
            mask = u64::MAX;
        }
        None
    }

    /// Notes that the memory behind idle pages was given back.
    pub fn discarded(&self, tx: &Transaction<'_>, run: IdleRun) {
        let (word, _) = place(run.first);
        let bits = (u64::MAX >> (WORD - run.count.clamp(1, WORD))) << (run.first % WORD);
        self.touched[word].set(tx, self.touched[word].get() & !bits);
        self.lent[word].set(tx, self.lent[word].get() & !bits);
        self.idle_count.set(tx, self.idle_count.get().saturating_sub(run.count));
        self.summarise(tx, word);
    }

    /// Checks the invariants of the bits; `owned` says which pages files have, for each word of the map. For [`crate::check`].
    #[must_use]
    pub fn is_sound(&self, owned: &OwnedPages) -> bool {
        let (mut used_count, mut idle_count) = (0, 0);
        for (word, owned) in owned.0.iter().enumerate() {
            let (used, touched, lent) = (self.used[word].get(), self.touched[word].get(), self.lent[word].get());
            let (summary, bit) = place(word as u32);
            let full = self.full[summary].get() & bit != 0;
            if (used | lent) & !touched != 0 || full != (used | lent == u64::MAX) || *owned != used {
                return false;
            }
            used_count += used.count_ones();
            idle_count += (touched & !used).count_ones();
        }
        used_count == self.used_count.get() && idle_count == self.idle_count.get()
    }
}

/// The pages that files were found to have.
#[derive(Clone, Debug)]
pub struct OwnedPages(Vec<u64>);

impl Default for OwnedPages {
    fn default() -> Self {
        Self(vec![0; WORDS])
    }
}

impl OwnedPages {
    /// A file has the page; `false` if another one has it too, or there is no such page.
    pub fn meet(&mut self, page: u32) -> bool {
        let (word, bit) = place(page);
        match self.0.get_mut(word) {
            Some(owned) if *owned & bit == 0 => {
                *owned |= bit;
                true
            }
            _ => false,
        }
    }
}
