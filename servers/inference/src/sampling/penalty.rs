//! The tokens before, and what having come before does to a logit.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::Options;
use crate::error::Error;

/// The last tokens of the text, and how often each token is among them.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    most: usize,
    tokens: VecDeque<u32>,
    counts: Vec<u32>,
}

impl Recent {
    /// The last `most` tokens, of a vocabulary of `tokens`.
    pub(super) fn new(most: usize, tokens: usize) -> Self {
        Self { most, tokens: VecDeque::with_capacity(most), counts: vec![0; tokens] }
    }

    pub(super) fn push(&mut self, token: u32) -> Result<(), Error> {
        let count = self.counts.get_mut(token as usize).ok_or(Error::Token(token))?;
        if self.most == 0 {
            return Ok(());
        }
        *count += 1;
        if self.tokens.len() == self.most
            && let Some(count) = self.tokens.pop_front().and_then(|oldest| self.counts.get_mut(oldest as usize))
        {
            *count -= 1;
        }
        self.tokens.push_back(token);
        Ok(())
    }

    /// For each token of the vocabulary how often it is among the last ones.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.tokens.capacity()
    }
}

/// The logit of a token that came `count` times.
pub(super) fn penalised(logit: f32, count: u32, options: &Options) -> f32 {
    let repeated = if logit <= 0.0 { logit * options.repeat } else { logit / options.repeat };
    repeated - count as f32 * options.frequency - options.presence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ago_is_forgotten() {
        let mut recent = Recent::new(3, 4);
        for token in [0, 1, 1, 3, 1] {
            recent.push(token).expect("a token of the vocabulary");
        }
        assert_eq!(recent.counts(), [0, 2, 0, 1]);
        assert_eq!(recent.push(4), Err(Error::Token(4)));
        let mut nothing = Recent::new(0, 2);
        nothing.push(1).expect("a token of the vocabulary");
        assert_eq!(nothing.counts(), [0, 0]);
    }

    #[test]
    fn repetition_makes_either_sign_less_likely() {
        let options = Options { repeat: 2.0, presence: 0.5, frequency: 0.25, ..Options::default() };
        assert_eq!(penalised(3.0, 1, &options), 0.75);
        assert_eq!(penalised(3.0, 4, &options), 0.0);
        assert_eq!(penalised(-3.0, 2, &options), -7.0);
    }
}
