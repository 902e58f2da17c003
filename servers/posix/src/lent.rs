//! Where the pages of files lie that are mapped again and again: programs are executed again, and each fault around their text is the same question to vfs.
//!
//! A page that vfs has lent stays lent as long as it is the file's, and it is the file's until posix asks for a change (see [`crate::located`], which tells when what is known
//! of a file is forgotten, of this as of that). Where pages lie does not change when they are written to through a mapping.
//!
//! Nothing of this is saved. Each answer is kept with a sum of its words, because a flipped bit would be another file's page in a program.

use core::ops::Range;

use protocols::vfs::{FileId, Pages};

use crate::sure::{Sure, Table};

/// How many answers are kept: the windows of a few large programs.
const ANSWERS: usize = SETS * WAYS;
/// Places of which an answer may be in one, by what was asked.
const SETS: usize = 64;
/// In how many places an answer may be.
const WAYS: usize = 4;
/// Files that are forgotten apart from each other.
const FILES: usize = 64;

/// What was asked for: a file, the first page, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The file.
    pub file: FileId,
    /// Its first page.
    pub first: u64,
    /// How many pages.
    pub count: u8,
}

impl Asked {
    /// Where its answer may be: by Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4), because the areas of one program begin at neighbouring pages.
    fn places(self) -> Range<usize> {
        let key = u64::from(self.file.inode) << 32 ^ self.first << 8 ^ u64::from(self.count);
        let set = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SETS.ilog2())) as usize;
        set * WAYS..(set + 1) * WAYS
    }

    fn sum(self, pages: &Pages) -> u64 {
        let asked = u64::from(self.file.inode) << 32 ^ u64::from(self.file.generation) << 8 ^ u64::from(self.count);
        let step = |sum: u64, word: u64| sum.rotate_left(5) ^ word;
        let sum = pages.iter().fold(step(asked, self.first), |sum, page| step(sum, page.map_or(0, |page| u64::from(page) + 1)));
        step(sum, pages.len() as u64)
    }
}

/// How often all was forgotten, and the file and those that share its place.
type Age = [u64; 2];

/// An answer; one of another age is forgotten.
#[derive(Clone, Debug, Default)]
struct Answer {
    age: Age,
    asked: Asked,
    pages: Pages,
    sum: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Lent {
    answers: Table<Answer, ANSWERS>,
    age: Sure,
    ages: Table<Sure, FILES>,
}

impl Default for Lent {
    fn default() -> Self {
        Self { answers: Table::default(), age: Sure::new(1), ages: Table::default() }
    }
}

impl Lent {
    fn age_of(&self, file: FileId) -> Age {
        [self.age.get(), self.ages[file.inode as usize % FILES].get()]
    }

    /// What vfs has answered.
    ///
    /// # Panics
    /// If it is not what was kept: the successor starts without it.
    #[must_use]
    pub fn find(&self, asked: Asked) -> Option<&Pages> {
        let age = self.age_of(asked.file);
        let answer = self.answers.get(asked.places())?.iter().find(|answer| answer.asked == asked && answer.age == age)?;
        assert!(answer.sum == asked.sum(&answer.pages), "where a file's pages lie is not what vfs said");
        Some(&answer.pages)
    }

    /// vfs has answered.
    pub fn keep(&mut self, asked: Asked, pages: &Pages) {
        let (age, sum) = (self.age_of(asked.file), asked.sum(pages));
        let Some(places) = self.answers.get_mut(asked.places()) else { return };
        // The last of them is the oldest.
        places.rotate_right(1);
        if let Some(place) = places.first_mut() {
            *place = Answer { age, asked, pages: pages.clone(), sum };
        }
    }

    /// Forgets a file.
    pub fn forget(&mut self, file: FileId) {
        self.ages[file.inode as usize % FILES].grow();
    }

    /// Forgets all.
    pub const fn forget_all(&mut self) {
        self.age.grow();
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Lent, WAYS};
    use protocols::vfs::{FileId, Pages};

    const ASKED: Asked = Asked { file: FileId { inode: 5, generation: 2 }, first: 16, count: 16 };

    fn lent() -> (Lent, Pages) {
        let (mut lent, pages): (_, Pages) = (Lent::default(), [Some(7), None, Some(0)].into_iter().collect());
        lent.keep(ASKED, &pages);
        (lent, pages)
    }

    #[test]
    fn answer_is_that_to_the_same_question() {
        let (mut lent, pages) = lent();
        assert_eq!(lent.find(ASKED), Some(&pages));
        assert_eq!(lent.find(Asked { count: 15, ..ASKED }), None);
        assert_eq!(lent.find(Asked { first: 17, ..ASKED }), None);
        assert_eq!(lent.find(Asked { file: FileId { inode: 5, generation: 3 }, ..ASKED }), None);
        let others = (17..).map(|first| Asked { first, ..ASKED }).filter(|asked| asked.places() == ASKED.places());
        for (nth, other) in others.take(WAYS).enumerate() {
            assert_eq!((lent.find(other), lent.find(ASKED)), (None, Some(&pages)), "{nth}");
            lent.keep(other, &Pages::default());
            assert_eq!(lent.find(other), Some(&Pages::default()));
        }
        assert_eq!(lent.find(ASKED), None, "the oldest makes room");
    }

    #[test]
    fn what_is_forgotten_is_not_found() {
        let (mut lent, pages) = lent();
        lent.forget(FileId { inode: 6, generation: 2 });
        assert_eq!(lent.find(ASKED), Some(&pages));
        lent.forget(ASKED.file);
        assert_eq!(lent.find(ASKED), None);
        lent.keep(ASKED, &pages);
        lent.forget_all();
        assert_eq!(lent.find(ASKED), None);
        assert_eq!(Lent::default().find(Asked::default()), None, "of which nothing was said");
    }

    #[test]
    fn no_bit_of_a_page_can_flip() {
        for (nth, bit) in (0..3).flat_map(|nth| (0..32).map(move |bit| (nth, bit))) {
            let (mut lent, pages) = lent();
            let flipped = pages.iter().enumerate().map(|(at, page)| page.map(|page| if at == nth { page ^ 1 << bit } else { page }));
            let flipped: Pages = flipped.collect();
            if flipped == pages {
                continue;
            }
            lent.answers[ASKED.places().start].pages = flipped;
            assert!(std::panic::catch_unwind(|| lent.find(ASKED).is_some()).is_err(), "page {nth}, bit {bit}");
        }
    }
}
