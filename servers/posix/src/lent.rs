//! Where the pages of files lie that are mapped again and again: programs are executed again, and each fault around their text is the same question to vfs.
//!
//! A page that vfs has lent stays lent as long as it is the file's, and it is the file's until posix asks for a change (see [`crate::located`], which tells when what is known
//! of a file is forgotten, of this as of that). Where pages lie does not change when they are written to through a mapping.
//!
//! Nothing of this is saved. Each answer is kept with a sum of its words, because a flipped bit would be another file's page in a program.

use alloc::vec;
use alloc::vec::Vec;

use protocols::vfs::{FileId, Pages};

/// How many answers are kept: the windows of a few large programs.
const ANSWERS: usize = 256;
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
    /// Windows of one file are neighbours, and the files' first ones are apart.
    const fn place(self) -> usize {
        (self.first as usize / 16).wrapping_add(self.file.inode as usize * 37) % ANSWERS
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
    answers: Vec<Answer>,
    age: u64,
    ages: Vec<u64>,
}

impl Default for Lent {
    fn default() -> Self {
        Self { answers: vec![Answer::default(); ANSWERS], age: 1, ages: vec![0; FILES] }
    }
}

impl Lent {
    fn age_of(&self, file: FileId) -> Age {
        [self.age, self.ages.get(file.inode as usize % FILES).copied().unwrap_or_default()]
    }

    /// What vfs has answered.
    ///
    /// # Panics
    /// If it is not what was kept: the successor starts without it.
    #[must_use]
    pub fn find(&self, asked: Asked) -> Option<&Pages> {
        let answer = self.answers.get(asked.place()).filter(|answer| answer.asked == asked && answer.age == self.age_of(asked.file))?;
        assert!(answer.sum == asked.sum(&answer.pages), "where a file's pages lie is not what vfs said");
        Some(&answer.pages)
    }

    /// vfs has answered.
    pub fn keep(&mut self, asked: Asked, pages: &Pages) {
        let (age, sum) = (self.age_of(asked.file), asked.sum(pages));
        if let Some(answer) = self.answers.get_mut(asked.place()) {
            *answer = Answer { age, asked, pages: pages.clone(), sum };
        }
    }

    /// Forgets a file.
    pub fn forget(&mut self, file: FileId) {
        if let Some(age) = self.ages.get_mut(file.inode as usize % FILES) {
            *age += 1;
        }
    }

    /// Forgets all.
    pub const fn forget_all(&mut self) {
        self.age += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWERS, Asked, Lent};
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
        let same_place = Asked { first: 16 + 16 * ANSWERS as u64, ..ASKED };
        assert_eq!(lent.find(same_place), None);
        lent.keep(same_place, &Pages::default());
        assert_eq!((lent.find(same_place), lent.find(ASKED)), (Some(&Pages::default()), None));
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
            lent.answers[ASKED.place()].pages = flipped;
            assert!(std::panic::catch_unwind(|| lent.find(ASKED).is_some()).is_err(), "page {nth}, bit {bit}");
        }
    }
}
