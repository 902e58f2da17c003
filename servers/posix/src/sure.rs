//! What is kept in two ways, so that a bit that flips in it ends this instance and not a program's file: the successor starts without what is not saved.
//!
//! posix remembers much that nobody else checks: what vfs answered, which lane waits, whose call was seen. A word of it that is wrong is an answer that is wrong; a pointer
//! to it that is wrong is another table's memory, of which each reads and writes what it takes for its own.

use alloc::boxed::Box;
use alloc::vec;
use core::ops::{Deref, DerefMut};

/// A word that is checked when it is used.
#[derive(Clone, Copy, Debug)]
pub struct Sure {
    word: u64,
    complement: u64,
}

impl Sure {
    /// A word.
    #[must_use]
    pub const fn new(word: u64) -> Self {
        Self { word, complement: !word }
    }

    /// The word.
    ///
    /// # Panics
    /// If it is not what was put there.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u64 {
        assert!(self.word == !self.complement, "a word is not what it was");
        self.word
    }

    /// One more.
    ///
    /// # Panics
    /// As [`Sure::get`].
    #[inline]
    pub const fn grow(&mut self) {
        *self = Self::new(self.get() + 1);
    }
}

impl Default for Sure {
    fn default() -> Self {
        Self::new(0)
    }
}

/// A table on the heap, of whose place there is a second copy.
#[derive(Debug)]
pub struct Table<T, const N: usize> {
    entries: Box<[T; N]>,
    complement: usize,
}

impl<T: Clone + Default, const N: usize> Default for Table<T, N> {
    fn default() -> Self {
        Self::new(vec![T::default(); N].into())
    }
}

impl<T, const N: usize> Table<T, N> {
    /// With these entries.
    ///
    /// # Panics
    /// If they are not `N`.
    #[must_use]
    pub fn new(entries: Box<[T]>) -> Self {
        let Ok(entries) = <Box<[T; N]>>::try_from(entries) else { panic!("a table of another size") };
        let complement = !entries.as_ptr().addr();
        Self { entries, complement }
    }

    #[inline]
    fn check(&self) {
        assert!(self.entries.as_ptr().addr() == !self.complement, "a table is not where it was");
    }
}

impl<T, const N: usize> Deref for Table<T, N> {
    type Target = [T; N];

    #[inline]
    fn deref(&self) -> &[T; N] {
        self.check();
        &self.entries
    }
}

impl<T, const N: usize> DerefMut for Table<T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T; N] {
        self.check();
        &mut self.entries
    }
}

/// First in, first out, with room for `N`.
#[derive(Debug)]
pub struct Queue<T, const N: usize> {
    entries: Table<Option<T>, N>,
    /// How many were ever put in, in the upper half, and taken out.
    ends: Sure,
}

impl<T: Copy, const N: usize> Default for Queue<T, N> {
    fn default() -> Self {
        Self { entries: Table::default(), ends: Sure::default() }
    }
}

impl<T: Copy, const N: usize> Queue<T, N> {
    #[inline]
    const fn ends(&self) -> (u32, u32) {
        let ends = self.ends.get();
        ((ends >> u32::BITS) as u32, ends as u32)
    }

    #[inline]
    const fn set_ends(&mut self, put: u32, taken: u32) {
        self.ends = Sure::new((put as u64) << u32::BITS | taken as u64);
    }

    /// How many are in it.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        let (put, taken) = self.ends();
        put.wrapping_sub(taken) as usize
    }

    /// Whether it is empty.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let (put, taken) = self.ends();
        put == taken
    }

    /// Puts one behind the others.
    ///
    /// # Panics
    /// If there is no room.
    pub fn push_back(&mut self, entry: T) {
        const { assert!(N.is_power_of_two(), "a place is to stay the same when the counts wrap") };
        let (put, taken) = self.ends();
        assert!((put.wrapping_sub(taken) as usize) < N, "more than {N} in a queue");
        self.entries[put as usize % N] = Some(entry);
        self.set_ends(put.wrapping_add(1), taken);
    }

    /// Takes the first.
    pub fn pop_front(&mut self) -> Option<T> {
        let (put, taken) = self.ends();
        if put == taken {
            return None;
        }
        self.set_ends(put, taken.wrapping_add(1));
        self.entries[taken as usize % N]
    }

    /// Takes back the last, until so many are left.
    pub fn truncate(&mut self, length: usize) {
        if length < self.len() {
            let (_, taken) = self.ends();
            self.set_ends(taken.wrapping_add(length as u32), taken);
        }
    }

    /// All of them, the first at first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (_, taken) = self.ends();
        (0..self.len()).filter_map(move |at| self.entries[taken.wrapping_add(at as u32) as usize % N].as_ref())
    }
}

impl<T: Copy, const N: usize> Extend<T> for Queue<T, N> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push_back(entry));
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Sure, Table};
    use std::vec::Vec;

    #[test]
    fn word_is_what_was_put_there() {
        let mut word = Sure::new(5);
        word.grow();
        assert_eq!((word.get(), Sure::default().get()), (6, 0));
    }

    #[test]
    fn every_bit_of_a_word_and_of_its_copy_is_checked() {
        for bit in 0..128 {
            let mut word = Sure::new(0x40);
            *[&mut word.word, &mut word.complement][bit / 64] ^= 1 << (bit % 64);
            assert!(std::panic::catch_unwind(|| word.get()).is_err(), "{bit}");
        }
    }

    #[test]
    #[should_panic = "not where it was"]
    fn table_that_is_elsewhere_is_not_read() {
        let mut table: Table<u64, 8> = Table::default();
        table[7] = 3;
        assert_eq!(*table, [0, 0, 0, 0, 0, 0, 0, 3]);
        table.complement ^= 1 << 7;
        let _word = table[7];
    }

    #[test]
    #[should_panic = "another size"]
    fn table_has_the_entries_that_it_says() {
        let _table: Table<u64, 8> = Table::new(vec![0; 7].into());
    }

    #[test]
    fn queue_is_a_queue() {
        let mut queue: Queue<u32, 4> = Queue::default();
        // The counts wrap on the way.
        queue.set_ends(u32::MAX - 7, u32::MAX - 7);
        assert_eq!((queue.pop_front(), queue.is_empty()), (None, true));
        for round in 0..9 {
            queue.extend([round, round + 1, round + 2, round + 3]);
            assert_eq!((queue.len(), queue.pop_front(), queue.pop_front()), (4, Some(round), Some(round + 1)));
            queue.push_back(7);
            queue.truncate(9);
            assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [round + 2, round + 3, 7]);
            queue.truncate(1);
            assert_eq!((queue.pop_front(), queue.pop_front(), queue.is_empty()), (Some(round + 2), None, true));
        }
    }

    #[test]
    #[should_panic = "more than 4"]
    fn queue_is_never_overfull() {
        Queue::<u32, 4>::default().extend(0..5);
    }
}
