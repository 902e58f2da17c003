//! Which descriptors of a process are open, without looking at all of them.
//!
//! An index of saved records, never saved itself: made when a process is first asked for, kept right by each change, dropped when changes are taken
//! back. A fork, an exec and an exit go through the few open descriptors instead of all.

use core::cell::Cell;

use alloc::vec;
use alloc::vec::Vec;

use crate::saved::{DESCRIPTORS, PROCESSES, ProcessIndex};

const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = DESCRIPTORS / WORD_BITS;
const _: () = assert!(DESCRIPTORS.is_multiple_of(WORD_BITS), "the sets have whole words");

/// A bit for each descriptor of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set([u64; WORDS]);

impl Set {
    /// Of the descriptors that `is_open`.
    fn of(is_open: impl Fn(usize) -> bool) -> Self {
        let mut set = Self::default();
        for number in (0..DESCRIPTORS).filter(|number| is_open(*number)) {
            set.put(number, true);
        }
        set
    }

    fn put(&mut self, number: usize, is_open: bool) {
        let Some(word) = self.0.get_mut(number / WORD_BITS) else { return };
        let bit = 1 << (number % WORD_BITS);
        *word = if is_open { *word | bit } else { *word & !bit };
    }

    /// The open ones, in order.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(index, word)| {
            let rest = core::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
            rest.take_while(|word| *word != 0).map(move |word| index * WORD_BITS + word.trailing_zeros() as usize)
        })
    }
}

/// The sets of all processes that were asked for.
#[derive(Debug)]
pub(super) struct Open(Vec<Cell<Option<Set>>>);

impl Open {
    pub(super) fn new() -> Self {
        Self(vec![Cell::new(None); PROCESSES])
    }

    /// The set of a process, made by `is_open` if it is not known yet.
    pub(super) fn of(&self, process: ProcessIndex, is_open: impl Fn(usize) -> bool) -> Set {
        let Some(cell) = self.0.get(process) else { return Set::default() };
        let set = cell.get().unwrap_or_else(|| Set::of(is_open));
        cell.set(Some(set));
        set
    }

    /// A descriptor was opened or closed.
    pub(super) fn changed(&self, process: ProcessIndex, number: usize, is_open: bool) {
        let Some(cell) = self.0.get(process) else { return };
        let mut set = cell.get();
        if let Some(set) = &mut set {
            set.put(number, is_open);
        }
        cell.set(set);
    }

    /// Nothing is known any more.
    pub(super) fn forget(&self) {
        self.0.iter().for_each(|cell| cell.set(None));
    }
}

#[cfg(test)]
mod tests {
    use super::{DESCRIPTORS, Open, Set};

    #[test]
    fn set_lists_what_is_open_in_order() {
        let wanted = [0, 1, 63, 64, 200, 255];
        let mut set = Set::of(|number| wanted.contains(&number));
        assert_eq!(set.numbers().collect::<Vec<_>>(), wanted);
        set.put(63, false);
        set.put(DESCRIPTORS, true);
        assert_eq!(set.numbers().collect::<Vec<_>>(), [0, 1, 64, 200, 255]);
    }

    #[test]
    fn changes_count_whether_or_not_the_process_was_asked_for() {
        let open = Open::new();
        open.changed(3, 7, true);
        assert_eq!(open.of(3, |number| number == 7).numbers().collect::<Vec<_>>(), [7]);
        open.changed(3, 9, true);
        assert_eq!(open.of(3, |_| unreachable!()).numbers().collect::<Vec<_>>(), [7, 9]);
        open.forget();
        assert_eq!(open.of(3, |number| number == 2).numbers().collect::<Vec<_>>(), [2]);
    }
}
