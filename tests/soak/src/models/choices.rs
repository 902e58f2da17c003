//! What a run leaves open, chosen in every way: one way in each run.
//!
//! A run asks at each place where things may go on in several ways which one it is to be, and gets the same answers as the run before it up to some place, where
//! it gets the next one. So all runs together are all ways, each once, as long as a run does the same whenever it gets the same answers.

/// The answers of a run.
#[derive(Debug, Default)]
pub(super) struct Choices {
    given: Vec<Given>,
    /// Answers that this run has had.
    at: usize,
}

#[derive(Debug)]
struct Given {
    choice: u64,
    /// Whether there is a next one.
    more: bool,
}

impl Choices {
    /// One of `count` ways, counted from 0.
    pub(super) fn one_of(&mut self, count: usize) -> usize {
        let choice = self.next();
        if choice + 1 >= count as u64 {
            self.was_last();
        }
        choice as usize
    }

    /// A number that is one more in each run, until [`Choices::was_last`] says so.
    pub(super) fn next(&mut self) -> u64 {
        if self.at == self.given.len() {
            self.given.push(Given { choice: 0, more: false });
        }
        self.at += 1;
        let given = &mut self.given[self.at - 1];
        given.more = true;
        given.choice
    }

    /// The latest answer is the last of its kind.
    pub(super) fn was_last(&mut self) {
        if let Some(given) = self.at.checked_sub(1).and_then(|last| self.given.get_mut(last)) {
            given.more = false;
        }
    }

    /// Makes ready for the next run; false when all were.
    pub(super) fn advance(&mut self) -> bool {
        self.given.truncate(self.at);
        self.at = 0;
        while let Some(last) = self.given.last_mut() {
            if last.more {
                last.choice += 1;
                return true;
            }
            self.given.pop();
        }
        false
    }

    /// The answers of this run.
    pub(super) fn answers(&self) -> Vec<u64> {
        self.given[..self.at].iter().map(|given| given.choice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Choices;

    #[test]
    fn every_way_is_gone_once() {
        let mut choices = Choices::default();
        let mut ways = Vec::new();
        loop {
            let mut way = vec![choices.one_of(2)];
            if way[0] == 1 {
                way.push(choices.one_of(3));
            }
            way.push(choices.one_of(1));
            ways.push(way);
            if !choices.advance() {
                break;
            }
        }
        assert_eq!(ways, [vec![0, 0], vec![1, 0, 0], vec![1, 1, 0], vec![1, 2, 0]]);
    }

    #[test]
    fn number_goes_up_until_it_was_the_last() {
        let mut choices = Choices::default();
        let mut ways = Vec::new();
        loop {
            let number = choices.next();
            if number == 2 {
                choices.was_last();
            }
            ways.push((number, choices.one_of(2)));
            if !choices.advance() {
                break;
            }
        }
        assert_eq!(ways, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
        assert_eq!(choices.answers(), Vec::<u64>::new());
    }
}
