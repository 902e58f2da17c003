//! The supervisor's own memory, handed out in contiguous runs: one for each instance, one for what each service keeps for ever.
//!
//! A run and not single pages, because then an instance is one number, its death is one `Reclaim` over one range, and nothing of it can be
//! forgotten. First fit over a sorted list of free runs; a run comes back only when the kernel has zeroed it.

use heapless::Vec;

/// Most free runs. Each allocation lies between two at most, and there are fewer instances and services than half of this.
const MAX_RUNS: usize = 96;

/// Contiguous pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First page of the reserve.
    pub page: u64,
    /// Pages.
    pub pages: u64,
}

/// The free runs, sorted, none touching the next.
#[derive(Debug, Default)]
pub struct Reserve {
    free: Vec<Run, MAX_RUNS>,
}

impl Reserve {
    /// A reserve of `pages` free pages.
    #[must_use]
    pub fn new(pages: u64) -> Self {
        let mut reserve = Self::default();
        reserve.give_back(Run { page: 0, pages });
        reserve
    }

    /// Takes the first run that is long enough.
    pub fn take(&mut self, pages: u64) -> Option<Run> {
        let index = self.free.iter().position(|run| run.pages >= pages)?;
        let run = self.free.get_mut(index)?;
        let taken = Run { page: run.page, pages };
        run.page += pages;
        run.pages -= pages;
        if run.pages == 0 {
            self.free.remove(index);
        }
        Some(taken)
    }

    /// Takes a run back. Its pages must be plain and zero.
    pub fn give_back(&mut self, run: Run) {
        if run.pages == 0 {
            return;
        }
        let index = self.free.iter().position(|free| free.page > run.page).unwrap_or(self.free.len());
        // The list cannot be full: see MAX_RUNS.
        let _full = self.free.insert(index, run);
        self.join(index);
        if let Some(before) = index.checked_sub(1) {
            self.join(before);
        }
    }

    /// Joins the run at `index` with the next one if they touch.
    fn join(&mut self, index: usize) {
        let (Some(low), Some(high)) = (self.free.get(index).copied(), self.free.get(index + 1).copied()) else {
            return;
        };
        if low.page + low.pages != high.page {
            return;
        }
        if let Some(run) = self.free.get_mut(index) {
            run.pages += high.pages;
        }
        self.free.remove(index + 1);
    }

    /// Free pages.
    #[must_use]
    pub fn free_pages(&self) -> u64 {
        self.free.iter().map(|run| run.pages).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Reserve, Run};

    #[test]
    fn runs_are_disjoint_and_join_again() {
        let mut reserve = Reserve::new(100);
        let runs: Vec<Run> = [30, 20, 50].into_iter().map(|pages| reserve.take(pages).expect("enough")).collect();
        assert_eq!(reserve.take(1), None);
        assert_eq!(runs, [Run { page: 0, pages: 30 }, Run { page: 30, pages: 20 }, Run { page: 50, pages: 50 }]);
        for index in [0, 2, 1] {
            reserve.give_back(runs[index]);
        }
        assert_eq!(reserve.take(100), Some(Run { page: 0, pages: 100 }));
    }

    #[test]
    fn run_that_is_too_long_is_refused_and_takes_nothing() {
        let mut reserve = Reserve::new(10);
        assert_eq!(reserve.take(11), None);
        assert_eq!(reserve.free_pages(), 10);
    }
}
