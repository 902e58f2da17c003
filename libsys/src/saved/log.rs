//! The undo log.
//!
//! Records lie one after the other, each the old bytes padded to words, then one word with their place and length; the word `used` counts
//! the words of all whole records. Order is everything, and each line is one or more single stores:
//!
//! 1. the record beyond `used`; 2. `used`, which makes it count; 3. the cell's new bytes. Commit: `used` = 0.
//!
//! A crash before 2 leaves a record that nobody reads; after it, restoring the old bytes is right whether or not 3 happened. Rolling back
//! restores from the last record to the first and then sets `used` = 0; a crash in between starts over and restores the same bytes. All
//! stores are volatile, so the compiler keeps their order, and x86 lets no other processor see them in another.

use core::cell::{Cell as PlainCell, UnsafeCell};
use core::ops::Range;

use crate::opaque::opaque;

const WORD: usize = size_of::<u64>();
/// Where the second half of a word is.
const HALF: usize = WORD / 2;
/// Most words that make one record.
const SHORT: usize = 12;
/// Words that are compared at once.
const GROUP: usize = 4;
/// A record's last word: offset in the state in the low half, length in the upper.
const LENGTH_SHIFT: u32 = 32;

/// What lies in memory. All zeros: an empty log.
#[repr(C)]
pub(super) struct Log<const WORDS: usize> {
    used: UnsafeCell<u64>,
    words: [UnsafeCell<u64>; WORDS],
}

/// A record names bytes outside the state: the area was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The log of one area and the state that it protects.
#[derive(Clone, Copy)]
pub(super) struct Journal<'a> {
    used: &'a UnsafeCell<u64>,
    words: &'a [UnsafeCell<u64>],
    state: *mut u8,
    state_bytes: usize,
}

impl<const WORDS: usize> Log<WORDS> {
    /// # Safety
    /// `state` is valid for reads and writes of `state_bytes` bytes for `'a`, by this thread alone, and nobody holds a reference to them
    /// but through `UnsafeCell`.
    pub(super) unsafe fn journal(&self, state: *mut u8, state_bytes: usize) -> Journal<'_> {
        Journal { used: &self.used, words: &self.words, state, state_bytes }
    }
}

impl<'a> Journal<'a> {
    fn used(&self) -> usize {
        // SAFETY: the cell is valid and belongs to this thread.
        unsafe { self.used.get().read_volatile() as usize }
    }

    fn set_used(&self, words: usize) {
        store_word(self.used.get(), words as u64);
    }

    fn word(&self, index: usize) -> Result<u64, Damaged> {
        let cell = self.words.get(index).ok_or(Damaged)?;
        // SAFETY: the cell is valid and belongs to this thread.
        Ok(unsafe { cell.get().read_volatile() })
    }

    /// Saves `length` old bytes at `offset`. The caller has checked that they lie in the state.
    fn save(&self, offset: usize, length: usize) {
        // SAFETY: the bytes lie in the state, as the caller has checked.
        let old = (0..length).step_by(WORD).map(|at| unsafe { word_at(self.state.add(offset), at, length) });
        self.append(offset, length, old);
    }

    /// Saves words of the state, which lie at `offset`.
    fn save_words(&self, offset: usize, old: &[UnsafeCell<u64>]) {
        // SAFETY: the state belongs to this thread.
        self.append(offset, old.len() * WORD, old.iter().map(|word| unsafe { word.get().read() }));
    }

    /// Adds the record of `length` bytes at `offset`, which were `old`.
    #[inline(always)]
    fn append(&self, offset: usize, length: usize, old: impl Iterator<Item = u64>) {
        let used = self.used();
        let needed = length.div_ceil(WORD) + 1;
        let end = used + needed;
        let Some((record, header)) = self.words.get(used..end).and_then(|record| record.split_last()).map(|(last, old)| (old, last)) else {
            panic!("a transaction outgrew its undo log of {} words", self.words.len());
        };
        for (word, old) in record.iter().zip(old) {
            store_word(word.get(), old);
        }
        // Were it not the last one that counts, or of bytes outside the state, no successor could roll back.
        let is_last = header.get().addr() == self.words.as_ptr().addr() + (opaque(end) - 1) * WORD;
        let offset = opaque(offset);
        assert!(is_last && offset <= self.state_bytes - length, "a record of the undo log is not where it belongs, or not of the state");
        store_word(header.get(), offset as u64 | (length as u64) << LENGTH_SHIFT);
        self.set_used(end);
    }

    /// Puts all old bytes back. Returns whether there were any.
    pub(super) fn roll_back(&self) -> Result<bool, Damaged> {
        let mut end = self.used();
        let any = end != 0;
        while end != 0 {
            let header = self.word(end.checked_sub(1).ok_or(Damaged)?)?;
            let (offset, length) = (header as u32 as usize, (header >> LENGTH_SHIFT) as usize);
            if length == 0 || offset.checked_add(length).is_none_or(|last| last > self.state_bytes) {
                return Err(Damaged);
            }
            let start = end.checked_sub(length.div_ceil(WORD) + 1).ok_or(Damaged)?;
            for (index, at) in (offset..offset + length).step_by(WORD).enumerate() {
                let old = self.word(start + index)?.to_le_bytes();
                let count = WORD.min(offset + length - at);
                // SAFETY: the range was checked against the state.
                store_bytes(unsafe { self.state.add(at) }, old.get(..count).ok_or(Damaged)?);
            }
            end = start;
        }
        if any {
            self.set_used(0);
        }
        Ok(any)
    }
}

/// A group of changes that happen together or not at all. Dropped without [`commit`](Self::commit) it is rolled back.
///
/// Keep it short: no call to another server and no wait belongs between its begin and its end.
pub struct Transaction<'a> {
    journal: Journal<'a>,
    open: &'a PlainCell<bool>,
}

impl core::fmt::Debug for Transaction<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Transaction").field("log_words", &self.journal.used()).finish()
    }
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(journal: Journal<'a>, open: &'a PlainCell<bool>) -> Self {
        assert!(!open.replace(true), "a transaction is open already");
        Self { journal, open }
    }

    /// Stores `new` at `address`, after the old bytes were saved. What is there already is neither saved nor stored, but for few words between others.
    pub(super) fn store(&self, address: *mut u8, new: &[u8]) {
        if new.is_empty() {
            return;
        }
        let Journal { state, state_bytes, .. } = self.journal;
        let offset = (address as usize).wrapping_sub(state as usize);
        let inside = offset.checked_add(new.len()).is_some_and(|end| end <= state_bytes);
        assert!(inside, "a cell was changed in a transaction of another area");
        let (words, rest) = new.as_chunks::<WORD>();
        if let ([word], []) = (words, rest)
            && address.cast::<u64>().is_aligned()
        {
            // SAFETY: the word lies in the state, which belongs to this thread and has no references to plain memory.
            let cell = unsafe { &*address.cast::<UnsafeCell<u64>>() };
            return self.store_one(offset, cell, u64::from_le_bytes(*word));
        }
        if let ([], [a, b, c, d]) = (words, rest)
            && offset.is_multiple_of(HALF)
            && offset | HALF < state_bytes
            && state.cast::<u64>().is_aligned()
        {
            // SAFETY: the word around the half lies in the state, which is aligned, belongs to this thread and has no references to plain memory.
            let cell = unsafe { &*address.wrapping_sub(offset % WORD).cast::<UnsafeCell<u64>>() };
            return self.store_half(offset, cell, u32::from_le_bytes([*a, *b, *c, *d]));
        }
        if let ([first, second], []) = (words, rest)
            && address.cast::<u64>().is_aligned()
        {
            // SAFETY: both words lie in the state, which belongs to this thread and has no references to plain memory.
            let cells = unsafe { &*address.cast::<[UnsafeCell<u64>; 2]>() };
            return self.store_pair(offset, cells, [first, second].map(|word| u64::from_le_bytes(*word)));
        }
        if rest.is_empty() && address.cast::<u64>().is_aligned() {
            // SAFETY: the words lie in the state, which belongs to this thread and has no references to plain memory.
            unsafe { self.store_words(offset, address.cast(), words) };
            return;
        }
        let mut done = 0;
        // SAFETY: the bytes lie in the state, which belongs to this thread and has no references to plain memory.
        while let Some(run) = unsafe { next_change(address, new, done) } {
            done = run.end;
            self.journal.save(offset + run.start, run.len());
            // SAFETY: the run lies within the range that was checked.
            store_bytes(unsafe { address.add(run.start) }, new.get(run).unwrap_or_default());
        }
    }

    /// The same for one word.
    fn store_one(&self, offset: usize, cell: &UnsafeCell<u64>, new: u64) {
        // SAFETY: the state belongs to this thread.
        let old = unsafe { cell.get().read() };
        if old != new {
            self.journal.append(offset, WORD, core::iter::once(old));
            store_word(cell.get(), new);
        }
    }

    /// The same for half of a word, at `offset`.
    fn store_half(&self, offset: usize, cell: &UnsafeCell<u64>, new: u32) {
        let shift = offset % WORD * 8;
        // SAFETY: the state belongs to this thread.
        let kept = unsafe { cell.get().read() } & !(u64::from(u32::MAX) << shift);
        self.store_one(offset - offset % WORD, cell, kept | u64::from(new) << shift);
    }

    /// The same for two, which is what a call has come to: in one record, even if only one of them is another than before.
    fn store_pair(&self, offset: usize, [first, second]: &[UnsafeCell<u64>; 2], new: [u64; 2]) {
        // SAFETY: the state belongs to this thread.
        let old = unsafe { [first.get().read(), second.get().read()] };
        if old != new {
            self.journal.append(offset, 2 * WORD, old.into_iter());
            store_word(first.get(), new[0]);
            store_word(second.get(), new[1]);
        }
    }

    /// The same for a few: one record from the first that differs to the last. To look for runs among them would cost more than it saves.
    fn store_short(&self, offset: usize, cells: &[UnsafeCell<u64>], new: &[[u8; WORD]]) {
        // SAFETY: the state belongs to this thread.
        let differs = |(cell, new): (&UnsafeCell<u64>, &[u8; WORD])| unsafe { cell.get().read() } != u64::from_le_bytes(*new);
        let Some(first) = cells.iter().zip(new).position(differs) else { return };
        let end = cells.iter().zip(new).rposition(differs).map_or(first, |last| last + 1);
        let (Some(cells), Some(new)) = (cells.get(first..end), new.get(first..end)) else { return };
        self.journal.save_words(offset + first * WORD, cells);
        for (to, word) in cells.iter().zip(new) {
            store_word(to.get(), u64::from_le_bytes(*word));
        }
    }

    /// The same for whole words, of which most records are: nearly all time of a transaction goes by here.
    ///
    /// # Safety
    /// `address` is aligned, `offset` is its place in the state, and as many words as `new` has lie there.
    unsafe fn store_words(&self, offset: usize, address: *mut u64, new: &[[u8; WORD]]) {
        if new.len() <= SHORT {
            // SAFETY: by the caller's promise.
            let cells = unsafe { core::slice::from_raw_parts(address.cast::<UnsafeCell<u64>>(), new.len()) };
            return self.store_short(offset, cells, new);
        }
        let new_word = |at: usize| new.get(at).map(|word| u64::from_le_bytes(*word));
        // SAFETY: of words that `new` has, by the caller's promise.
        let differs = |at: usize| new_word(at).is_some_and(|word| word != unsafe { address.add(at).read() });
        let mut done = 0;
        // SAFETY: by the caller's promise.
        while let Some(start) = unsafe { next_difference(address, new, done) } {
            done = run_end(start, differs);
            // SAFETY: the run lies within the words.
            let run = unsafe { core::slice::from_raw_parts(address.add(start).cast::<UnsafeCell<u64>>(), done - start) };
            self.journal.save_words(offset + start * WORD, run);
            for (to, word) in run.iter().zip(new.get(start..done).unwrap_or_default()) {
                store_word(to.get(), u64::from_le_bytes(*word));
            }
        }
    }

    /// Makes all changes lasting, with one store.
    pub fn commit(self) {
        if self.journal.used() != 0 {
            self.journal.set_used(0);
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // A crash of a test unwinds through here; what it leaves must be what a real one leaves.
        #[cfg(not(target_os = "none"))]
        if std::thread::panicking() {
            return;
        }
        self.open.set(false);
        // The records are this transaction's own, so they name bytes of the state; after a commit there are none.
        let _own_records = self.journal.roll_back();
    }
}

/// The next range of bytes from `from` on, a multiple of [`WORD`], in which `new` differs from what is at `address`.
///
/// # Safety
/// `address` is valid for reads of as many bytes as `new` has.
unsafe fn next_change(address: *const u8, new: &[u8], from: usize) -> Option<Range<usize>> {
    let differs = |word: usize| {
        let at = word * WORD;
        // SAFETY: by the caller's promise; `new` is valid for reads of its own bytes.
        at < new.len() && unsafe { word_at(address, at, new.len()) != word_at(new.as_ptr(), at, new.len()) }
    };
    let start = (from.div_ceil(WORD)..new.len().div_ceil(WORD)).find(|word| differs(*word))?;
    Some(start * WORD..(run_end(start, differs) * WORD).min(new.len()))
}

/// Where the run of words that differ ends, which begins at `start`. Two words that are the same end it: fewer would cost more as a record of their own than
/// within one.
#[inline(always)]
fn run_end(start: usize, differs: impl Fn(usize) -> bool) -> usize {
    let mut end = start + 1;
    loop {
        if differs(end) {
            end += 1;
        } else if differs(end + 1) {
            end += 2;
        } else {
            return end;
        }
    }
}

/// The first word from `from` on that differs from what is at `address`.
///
/// # Safety
/// `address` is aligned, and as many words as `new` has lie there.
unsafe fn next_difference(address: *const u64, new: &[[u8; WORD]], from: usize) -> Option<usize> {
    // SAFETY: by the caller's promise: the slices end with `new`.
    let old = unsafe { core::slice::from_raw_parts(address, new.len()) };
    let (old, new) = (old.get(from..)?, new.get(from..)?);
    let (old_groups, _) = old.as_chunks::<GROUP>();
    let (new_groups, _) = new.as_chunks::<GROUP>();
    // Most of a record is what it was.
    let differs = |old: &[u64; GROUP], new: &[[u8; WORD]; GROUP]| (0..GROUP).fold(0, |all, at| all | (old[at] ^ u64::from_le_bytes(new[at]))) != 0;
    let same = old_groups.iter().zip(new_groups).position(|(old, new)| differs(old, new)).unwrap_or(old_groups.len()) * GROUP;
    let rest = old.get(same..)?.iter().zip(new.get(same..)?);
    let index = rest.map(|(old, new)| *old != u64::from_le_bytes(*new)).position(|differs| differs)?;
    Some(from + same + index)
}

/// The word at offset `at` of `length` bytes, padded with zeros behind their end.
///
/// # Safety
/// `bytes` is valid for reads of `length` bytes, and `at` is below that.
unsafe fn word_at(bytes: *const u8, at: usize, length: usize) -> u64 {
    let left = length - at;
    if left >= WORD {
        // SAFETY: the whole word lies within the bytes.
        return u64::from_le(unsafe { bytes.add(at).cast::<u64>().read_unaligned() });
    }
    let mut word = [0; WORD];
    // SAFETY: `left` bytes from `at` on are the last ones.
    unsafe { core::ptr::copy_nonoverlapping(bytes.add(at), word.as_mut_ptr(), left) };
    u64::from_le_bytes(word)
}

/// One store, before which a test may crash.
pub(super) fn store_word(to: *mut u64, word: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::before_store();
    // SAFETY: callers pass words of the log, which belongs to this thread.
    unsafe { to.write_volatile(word) };
}

/// Stores of words where the address is a multiple of 8, else of bytes.
fn store_bytes(to: *mut u8, bytes: &[u8]) {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: callers pass a range of the state, and `done` is within it.
        let at = unsafe { to.add(done) };
        match rest.first_chunk::<WORD>() {
            Some(word) if at.cast::<u64>().is_aligned() => {
                store_word(at.cast(), u64::from_le_bytes(*word));
                done += WORD;
            }
            _ => {
                store_byte(at, rest[0]);
                done += 1;
            }
        }
    }
}

fn store_byte(to: *mut u8, byte: u8) {
    #[cfg(not(target_os = "none"))]
    crate::host::before_store();
    // SAFETY: callers pass bytes of the state, which belongs to this thread.
    unsafe { to.write_volatile(byte) };
}
