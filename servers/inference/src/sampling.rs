//! Which token comes next: from a row of logits, by options, the tokens before and a seed.
//!
//! The steps and their order are llama.cpp's: biases, penalties of the tokens before, the `top_k` most likely, of those the fewest that have
//! `top_p` of the likelihood, of those the ones that have at least `min_p` of the best one's, then the temperature, then the draw. A temperature
//! of 0 takes the most likely token, the first of equals. The same seed and the same logits give the same tokens on every machine: exponentials
//! are `libm`'s, and sums are made in the order of the candidates.
//!
//! All room is made with the [`Sampler`]; choosing a token allocates nothing. A logit of minus infinity is a token that may not come (a grammar says
//! so, or a bias); one that is no number, or is plus infinity, is an error, as is a row that leaves no token.

mod cut;
mod penalty;
mod random;

use alloc::vec::Vec;

use crate::error::Error;
use cut::Candidate;
use penalty::Recent;
use random::Random;

/// Most tokens before that penalties look at: room for them is made at once.
const MOST_LAST: usize = 1 << 20;

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// By what logits are divided before the draw; 0 takes the most likely token.
    pub temperature: f32,
    /// How many of the most likely tokens are kept; 0 keeps all.
    pub top_k: usize,
    /// The share of the likelihood that is kept; 1 keeps all.
    pub top_p: f32,
    /// The share of the best token's likelihood that a token must have; 0 keeps all.
    pub min_p: f32,
    /// Over how many of the tokens before the penalties look; 0 switches them off.
    pub last: usize,
    /// By what the logit of a token that came before is divided, or multiplied where it is negative; 1 changes nothing.
    pub repeat: f32,
    /// What is taken off the logit of a token that came before.
    pub presence: f32,
    /// What is taken off the logit of a token for each time that it came before.
    pub frequency: f32,
    /// What is added to the logits of some tokens; minus infinity forbids one.
    pub bias: Vec<(u32, f32)>,
    /// Where the draws start.
    pub seed: u64,
}

impl Default for Options {
    /// The most likely token; with a temperature, what llama.cpp cuts off.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            last: 64,
            repeat: 1.0,
            presence: 0.0,
            frequency: 0.0,
            bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Options {
    /// Refuses what has no meaning, by name.
    fn check(&self, tokens: usize) -> Result<(), Error> {
        let share = 0.0..=1.0;
        let sound = [
            ("temperature", self.temperature.is_finite() && self.temperature >= 0.0),
            ("top-p", share.contains(&self.top_p)),
            ("min-p", share.contains(&self.min_p)),
            ("repeat last n", self.last <= MOST_LAST),
            ("repeat penalty", self.repeat.is_finite() && self.repeat > 0.0),
            ("presence penalty", self.presence.is_finite()),
            ("frequency penalty", self.frequency.is_finite()),
            ("logit bias", self.bias.iter().all(|(_, bias)| *bias < f32::INFINITY)),
        ];
        if let Some((name, _)) = sound.iter().find(|(_, sound)| !sound) {
            return Err(Error::Option(name));
        }
        let foreign = self.bias.iter().find(|(token, _)| *token as usize >= tokens);
        foreign.map_or(Ok(()), |(token, _)| Err(Error::Token(*token)))
    }
}

/// Chooses tokens.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: Options,
    tokens: usize,
    recent: Recent,
    random: Random,
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// For a vocabulary of `tokens`.
    ///
    /// # Errors
    /// An option has no meaning, or a bias is for a token that is not in the vocabulary.
    pub fn new(options: Options, tokens: usize) -> Result<Self, Error> {
        options.check(tokens)?;
        let (recent, random) = (Recent::new(options.last, tokens), Random::new(options.seed));
        Ok(Self { options, tokens, recent, random, candidates: Vec::with_capacity(tokens) })
    }

    /// Remembers a token of the text, the prompt's too, for the penalties.
    ///
    /// # Errors
    /// The token is not in the vocabulary.
    pub fn accept(&mut self, token: u32) -> Result<(), Error> {
        self.recent.push(token)
    }

    /// Takes `token` for one that [`Sampler::choose`] has chosen, and accepts it: the draws after it are those that came after it then.
    ///
    /// # Errors
    /// The token is not in the vocabulary.
    pub fn chose(&mut self, token: u32) -> Result<(), Error> {
        if self.options.temperature != 0.0 {
            self.random.unit();
        }
        self.accept(token)
    }

    /// The next token by its `logits`, one for each token of the vocabulary. It is not accepted yet.
    ///
    /// # Errors
    /// The row is not as long as the vocabulary, a logit is no number or is plus infinity, or no token is left.
    pub fn choose(&mut self, logits: &[f32]) -> Result<u32, Error> {
        if logits.len() != self.tokens {
            return Err(Error::Logits);
        }
        self.gather(logits)?;
        let Options { temperature, top_k, top_p, min_p, .. } = self.options;
        if temperature == 0.0 {
            return cut::best(&self.candidates).map(|best| best.token).ok_or(Error::NoToken);
        }
        cut::top_k(&mut self.candidates, top_k);
        cut::weigh(&mut self.candidates, 1.0);
        cut::top_p(&mut self.candidates, top_p);
        cut::min_p(&mut self.candidates, min_p);
        cut::weigh(&mut self.candidates, temperature);
        cut::draw(&self.candidates, self.random.unit()).ok_or(Error::NoToken)
    }

    /// The tokens that may come, with biases and penalties in their logits.
    fn gather(&mut self, logits: &[f32]) -> Result<(), Error> {
        self.candidates.clear();
        self.candidates.extend((0..).zip(logits).map(|(token, logit)| Candidate { token, logit: *logit, weight: 0.0 }));
        for (token, bias) in &self.options.bias {
            if let Some(candidate) = self.candidates.get_mut(*token as usize) {
                candidate.logit += bias;
            }
        }
        for (candidate, count) in self.candidates.iter_mut().zip(self.recent.counts()) {
            if *count > 0 {
                candidate.logit = penalty::penalised(candidate.logit, *count, &self.options);
            }
        }
        if self.candidates.iter().any(|candidate| candidate.logit.is_nan() || candidate.logit == f32::INFINITY) {
            return Err(Error::Logits);
        }
        self.candidates.retain(|candidate| candidate.logit > f32::NEG_INFINITY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(options: Options, tokens: usize) -> Sampler {
        Sampler::new(options, tokens).expect("sound options")
    }

    #[test]
    fn choosing_makes_no_room() {
        let mut sampler = sampler(Options { temperature: 1.0, repeat: 1.5, last: 3, ..Options::default() }, 50);
        let room = |sampler: &Sampler| (sampler.candidates.as_ptr(), sampler.candidates.capacity(), sampler.recent.room());
        let before = room(&sampler);
        let logits: Vec<f32> = (0..50_u8).map(|token| f32::from(token % 7)).collect();
        for _ in 0..100 {
            let token = sampler.choose(&logits).expect("a token");
            sampler.accept(token).expect("a token of the vocabulary");
        }
        assert_eq!(room(&sampler), before);
    }

    #[test]
    fn options_without_meaning_are_refused_by_name() {
        let refused = |options: Options| Sampler::new(options, 4).err();
        let sound = Options::default();
        assert_eq!(refused(Options { temperature: f32::NAN, ..sound.clone() }), Some(Error::Option("temperature")));
        assert_eq!(refused(Options { temperature: -1.0, ..sound.clone() }), Some(Error::Option("temperature")));
        assert_eq!(refused(Options { top_p: 1.5, ..sound.clone() }), Some(Error::Option("top-p")));
        assert_eq!(refused(Options { min_p: f32::NAN, ..sound.clone() }), Some(Error::Option("min-p")));
        assert_eq!(refused(Options { last: usize::MAX, ..sound.clone() }), Some(Error::Option("repeat last n")));
        assert_eq!(refused(Options { repeat: 0.0, ..sound.clone() }), Some(Error::Option("repeat penalty")));
        assert_eq!(refused(Options { bias: [(1, f32::INFINITY)].into(), ..sound.clone() }), Some(Error::Option("logit bias")));
        assert_eq!(refused(Options { bias: [(4, 1.0)].into(), ..sound.clone() }), Some(Error::Token(4)));
        assert_eq!(refused(Options { bias: [(3, f32::NEG_INFINITY)].into(), ..sound }), None);
    }
}
