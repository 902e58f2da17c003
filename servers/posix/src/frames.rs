//! Pages for Linux spaces: bought from memory in chunks, given to whoever needs one, never counted.
//!
//! A page is free when the kernel says so: plain memory that nothing maps. So nothing here is saved, and nothing can be lost: this is a cache of
//! answers of [`Kernel::free_pages`]. A page handed out is used at once, by an operation of the kernel that maps it or makes an object of it; the cached
//! answer is dropped as soon as it was used.
//!
//! Whole chunks go back when programs ended, so that what a program had can be bought by others, files among them. Two limits keep that from
//! going to and fro: a few free chunks stay, and chunks are only looked through when a good part of all pages were given up since the last time. That a
//! chunk went back shows in its empty slot, and giving back what is gone is no error, so a crash anywhere leaves nothing to be settled. What a program
//! unmaps while it lives stays here: its page tables stay with it, and they lie in every chunk.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use libsys::fail;

use crate::errno::Errno;
use crate::fail::Point;
use crate::kernel::{Kernel, Source};
use crate::saved::slot;

/// Pages of a chunk: one purchase serves many programs, and 64 divides it.
const CHUNK_PAGES: u32 = 1024;
/// What is bought when no such run is left.
const SMALL_CHUNK_PAGES: u32 = 64;
/// Free pages that stay when chunks go back: what the next few programs need is not to be bought again.
const KEPT_PAGES: u64 = 2 * CHUNK_PAGES as u64;
/// Chunks are looked through when pages for this many chunks were given up, and one page in [`GIVEN_UP_SHARE`] of all: each look asks about every chunk.
const GIVEN_UP_LEAST: u64 = 2 * CHUNK_PAGES as u64;
const GIVEN_UP_SHARE: u64 = 8;
/// What the space of a usual program comes to: text, data, heap, stack, libraries and the vDSO have a table each, there are those above, and some are spare.
const USUAL_TABLES: u64 = 12;
const USUAL_PAGES: u64 = 64;
/// Pages below a table.
const TABLE_PAGES: u64 = 512;
/// Pages that one answer covers.
const WORD: u64 = 64;

/// Where a page lies: chunk's vault slot in the high half, page in the low one. 0 is nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u64);

impl Place {
    /// Of one page.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self(u64::from(source.chunk) << 32 | source.page)
    }

    /// The page.
    #[must_use]
    pub fn source(self) -> Source {
        Source { chunk: (self.0 >> 32) as u32, page: self.0 & 0xffff_ffff, pages: 1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    slot: u32,
    pages: u64,
}

/// The bought memory.
#[derive(Debug, Default)]
pub struct Frames {
    chunks: Vec<Chunk>,
    /// Chunk and first page of the word in hand, and its bits.
    current: (usize, u64),
    bits: u64,
    /// Pages set aside for objects that are not made yet: [`Place`]s.
    reserved: Vec<Place>,
    /// Tables that each space was given, by its vault slot; none of a space that was there before this instance.
    tables: BTreeMap<u32, u64>,
    /// Pages that programs gave up since chunks were looked through, as far as is known.
    given_up: u64,
}

impl Frames {
    /// Finds what was bought before.
    pub fn recover(kernel: &mut dyn Kernel) -> Self {
        // A predecessor may have died before it gave back what it had too much.
        Self { chunks: bought(kernel), given_up: u64::MAX, ..Self::default() }
    }

    /// Compares what is known with what the kernel says, before anybody is killed for a lack of pages.
    ///
    /// # Panics
    /// If they differ: the successor begins with what the kernel says.
    pub fn check(&self, kernel: &mut dyn Kernel) {
        let bought = bought(kernel);
        let knows = |chunk: &Chunk| self.chunks.contains(chunk);
        assert!(bought.len() == self.chunks.len() && bought.iter().all(knows), "what was bought is not what the kernel says");
    }

    /// Pages bought.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.pages).sum()
    }

    /// Counts the free pages among them.
    pub fn count_free(&self, kernel: &mut dyn Kernel) -> u64 {
        let words = self.chunks.iter().flat_map(|chunk| (0..chunk.pages.div_ceil(WORD)).map(move |word| (chunk.slot, word * WORD)));
        words.map(|(slot, page)| u64::from(kernel.free_pages(slot, page).unwrap_or(0).count_ones())).sum()
    }

    /// One page, to be used at once.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn take(&mut self, kernel: &mut dyn Kernel) -> Result<Source, Errno> {
        self.take_run(kernel, 1)
    }

    /// Between one and `most` pages in a row, to be used at once.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn take_run(&mut self, kernel: &mut dyn Kernel, most: u64) -> Result<Source, Errno> {
        if self.bits == 0 && !self.search(kernel) {
            self.buy(kernel)?;
            if !self.search(kernel) {
                return Err(Errno::ENOMEM);
            }
        }
        let (chunk, first) = self.current;
        let Some(Chunk { slot, .. }) = self.chunks.get(chunk).copied() else { panic!("the free pages in hand are of no chunk") };
        let bit = u64::from(self.bits.trailing_zeros());
        let run = u64::from((self.bits >> bit).trailing_ones()).min(most).max(1);
        let mask = if run >= WORD { u64::MAX } else { ((1 << run) - 1) << bit };
        self.bits &= !mask;
        Ok(Source { chunk: slot, page: first + bit, pages: run })
    }

    /// One page that nobody else gets until [`Frames::release_reserved`].
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn reserve(&mut self, kernel: &mut dyn Kernel) -> Result<Place, Errno> {
        let place = Place::new(self.take(kernel)?);
        self.reserved.push(place);
        Ok(place)
    }

    /// The reserved pages are objects now, or not wanted.
    pub fn release_reserved(&mut self) {
        self.reserved.clear();
    }

    /// Goes around all words once, from behind the current one.
    fn search(&mut self, kernel: &mut dyn Kernel) -> bool {
        let words: u64 = self.chunks.iter().map(|chunk| chunk.pages.div_ceil(WORD)).sum();
        for _ in 0..words {
            self.advance();
            let Some(chunk) = self.chunks.get(self.current.0) else { return false };
            let mut bits = kernel.free_pages(chunk.slot, self.current.1).unwrap_or(0);
            let left = chunk.pages - self.current.1;
            if left < WORD {
                bits &= (1 << left) - 1;
            }
            for place in &self.reserved {
                let Source { chunk: slot, page, .. } = place.source();
                if slot == chunk.slot && (self.current.1..self.current.1 + WORD).contains(&page) {
                    bits &= !(1 << (page - self.current.1));
                }
            }
            if bits != 0 {
                self.bits = bits;
                return true;
            }
        }
        false
    }

    fn advance(&mut self) {
        let (chunk, page) = self.current;
        let pages = self.chunks.get(chunk).map_or(0, |chunk| chunk.pages);
        self.current = if page + WORD < pages { (chunk, page + WORD) } else { ((chunk + 1) % self.chunks.len().max(1), 0) };
    }

    /// A program's space is new: its tables are counted from here on.
    pub fn space_began(&mut self, slot: u32) {
        self.tables.insert(slot, 0);
    }

    /// It was given tables.
    pub fn tables_given(&mut self, slot: u32, count: u64) {
        if let Some(tables) = self.tables.get_mut(&slot) {
            *tables += count;
        }
    }

    /// It was taken apart. The first few tables are mostly empty, whatever the program; and what an older space had nobody knows, so that is worth a look.
    pub fn space_ended(&mut self, slot: u32) {
        let large = |tables: u64| USUAL_PAGES + tables.saturating_sub(USUAL_TABLES) * TABLE_PAGES;
        let pages = self.tables.remove(&slot).map_or(u64::MAX, large);
        self.given_up = self.given_up.saturating_add(pages);
    }

    /// Gives whole free chunks back to memory, if that is worth a look; see the module. No page may be between [`Frames::take`] and its use.
    pub fn give_back_surplus(&mut self, kernel: &mut dyn Kernel) {
        if self.given_up < GIVEN_UP_LEAST.max(self.total() / GIVEN_UP_SHARE) {
            return;
        }
        self.given_up = 0;
        let reserved = |slot: u32, places: &[Place]| places.iter().any(|place| place.source().chunk == slot);
        let whole = |chunk: &Chunk, kernel: &mut dyn Kernel| !reserved(chunk.slot, &self.reserved) && is_free(kernel, *chunk);
        let mut free: Vec<Chunk> = self.chunks.iter().filter(|chunk| whole(chunk, kernel)).copied().collect();
        // Small ones first: they take a slot each, and a piece of memory's.
        free.sort_unstable_by_key(|chunk| chunk.pages);
        let mut left: u64 = free.iter().map(|chunk| chunk.pages).sum();
        for chunk in free {
            if left.saturating_sub(chunk.pages) < KEPT_PAGES || !self.give_back(kernel, chunk) {
                return;
            }
            left -= chunk.pages;
        }
    }

    fn give_back(&mut self, kernel: &mut dyn Kernel, chunk: Chunk) -> bool {
        fail::hit(Point::ChunkReturn);
        let returned = kernel.give_back(chunk.slot);
        fail::hit(Point::ChunkReturned);
        if returned {
            self.chunks.retain(|other| other.slot != chunk.slot);
            // From the first chunk on: what is used next to what is used leaves the others whole.
            (self.current, self.bits) = ((0, 0), 0);
        }
        returned
    }

    fn buy(&mut self, kernel: &mut dyn Kernel) -> Result<(), Errno> {
        let used = |slot: u32| self.chunks.iter().any(|chunk| chunk.slot == slot);
        let slot = (slot::CHUNK..slot::CHUNK + slot::CHUNKS).find(|slot| !used(*slot)).ok_or(Errno::ENOMEM)?;
        fail::hit(Point::ChunkBuy);
        let pages = [CHUNK_PAGES, SMALL_CHUNK_PAGES].into_iter().find(|pages| kernel.buy(*pages, slot)).ok_or(Errno::ENOMEM)?;
        fail::hit(Point::ChunkBought);
        // A slot filled by a purchase that was forgotten holds what was asked for then.
        let pages = kernel.describe(slot).map_or(u64::from(pages), |(_, pages)| pages);
        self.chunks.push(Chunk { slot, pages });
        self.current = (self.chunks.len() - 1, pages);
        Ok(())
    }
}

/// Every chunk that was bought.
fn bought(kernel: &mut dyn Kernel) -> Vec<Chunk> {
    let chunk = |slot| match kernel.describe(slot) {
        Some((abi::ObjectKind::Memory, pages)) => Some(Chunk { slot, pages }),
        _ => None,
    };
    (slot::CHUNK..slot::CHUNK + slot::CHUNKS).filter_map(chunk).collect()
}

fn is_free(kernel: &mut dyn Kernel, chunk: Chunk) -> bool {
    (0..chunk.pages).step_by(WORD as usize).all(|page| {
        let left = chunk.pages - page;
        let mask = if left >= WORD { u64::MAX } else { (1 << left) - 1 };
        kernel.free_pages(chunk.slot, page).is_ok_and(|bits| bits & mask == mask)
    })
}
