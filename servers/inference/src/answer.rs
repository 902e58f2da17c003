//! Answers, made step by step: several in turn, and each to be gone on with from a record of what it has said.
//!
//! A step is one pass: a batch of what is still to be read, or one token. So whoever makes several answers gives each a step in turn ([`Turns`]), and none waits for
//! longer than one pass of each of the others, however long their prompts are.
//!
//! **A [`Record`] is all that an answer depends on.** Logits have the same bits for any cutting of a text, and a draw takes one number of its seed's stream, so an answer
//! that is begun again with what it said so far says what it would have said: the tokens are read, in batches, instead of being made once more.
//!
//! Absent: clocks, text, and where records are kept. A full context is not shifted: a record that may not fit its session is refused before anything is read.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::engine::{BATCH, Engine, Session, Want};
use crate::error::Error;
use crate::grammar::{Grammar, Matcher, Vocabulary};
use crate::sampling::{Options, Sampler};
use crate::team::Team;

/// What an answer depends on, besides its model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// What it is an answer to, the token that begins included.
    pub prompt: Vec<u32>,
    /// What it said so far; empty for a new one.
    pub said: Vec<u32>,
    /// Most tokens that it says, those included.
    pub most: usize,
    /// The token that ends it, if the model has one.
    pub end: Option<u32>,
    /// How tokens are chosen.
    pub options: Options,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// It read a part, and there is more to read.
    Read,
    /// It said a token.
    Said(u32),
    /// There is nothing left to say.
    Ended(Why),
}

/// Why an answer is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model ended it.
    End,
    /// It may say no more tokens.
    Limit,
}

/// An answer in the making.
#[derive(Debug)]
pub struct Answer {
    session: Session,
    sampler: Sampler,
    /// The prompt and what was said after it.
    text: Vec<u32>,
    left: usize,
    end: Option<u32>,
    ended: Option<Why>,
    logits: Vec<f32>,
    rules: Option<Rules>,
}

/// What an answer has to follow: its place in a grammar, and the vocabulary as the grammar sees it.
type Rules = (Matcher<Arc<Grammar>>, Arc<Vocabulary>);

impl Answer {
    /// Begins, or goes on with, the answer of `record`. What `session` has seen of it is not read again.
    ///
    /// # Errors
    /// The session cannot hold as many tokens as there may be, the prompt is empty, an option has no meaning, or a token is not in the vocabulary.
    pub fn new(engine: &Engine<'_>, mut session: Session, record: &Record) -> Result<Self, Error> {
        let left = record.most.saturating_sub(record.said.len());
        let length = record.prompt.len() + record.said.len();
        if record.prompt.is_empty() {
            return Err(Error::Option("prompt"));
        }
        if length.checked_add(left).is_none_or(|most| most > session.position() + session.room()) {
            return Err(Error::ContextFull);
        }
        let mut sampler = Sampler::new(record.options.clone(), engine.tokens())?;
        record.prompt.iter().try_for_each(|token| sampler.accept(*token))?;
        record.said.iter().try_for_each(|token| sampler.chose(*token))?;
        let mut text = Vec::with_capacity(length + left);
        text.extend_from_slice(&record.prompt);
        text.extend_from_slice(&record.said);
        session.reuse(&text);
        let ended = (left == 0).then_some(Why::Limit);
        Ok(Self { session, sampler, text, left, end: record.end, ended, logits: Vec::with_capacity(engine.tokens()), rules: None })
    }

    /// From here on, and in what it has said already, it follows `grammar`. `vocabulary` is that of its model.
    ///
    /// # Errors
    /// The grammar is too ambiguous, or `said` does not follow it.
    pub fn follow(&mut self, grammar: Arc<Grammar>, vocabulary: Arc<Vocabulary>, said: &[u32]) -> Result<(), Error> {
        let mut matcher = Matcher::new(grammar)?;
        for token in said {
            if !matcher.advance(vocabulary.bytes_of(*token))? {
                return Err(Error::Grammar("what was said does not follow it".to_owned()));
            }
        }
        self.rules = Some((matcher, vocabulary));
        Ok(())
    }

    /// One pass. After the end there is none, and the answer is the same again.
    ///
    /// # Errors
    /// The logits leave nothing to choose by; a token is not in `engine`'s vocabulary.
    ///
    /// # Panics
    /// The session was made for another engine, or for fewer threads than `team` has.
    pub fn step(&mut self, engine: &Engine<'_>, team: &dyn Team) -> Result<Step, Error> {
        if let Some(why) = self.ended {
            return Ok(Step::Ended(why));
        }
        let unread = &self.text[self.session.position()..];
        let batch = &unread[..unread.len().min(BATCH)];
        let is_all = batch.len() == unread.len();
        self.logits.clear();
        engine.feed(&mut self.session, batch, Want::Last, team, &mut self.logits)?;
        if is_all { self.choose() } else { Ok(Step::Read) }
    }

    fn choose(&mut self) -> Result<Step, Error> {
        if let Some((matcher, vocabulary)) = &mut self.rules {
            matcher.mask(vocabulary, &mut self.logits)?;
        }
        let token = match self.sampler.choose(&self.logits) {
            // The grammar's text is whole, and the model has no token for its end.
            Err(Error::NoToken) if self.rules.as_ref().is_some_and(|(matcher, _)| matcher.is_finished()) => None,
            token => Some(token?).filter(|token| Some(*token) != self.end),
        };
        let Some(token) = token else {
            self.ended = Some(Why::End);
            return Ok(Step::Ended(Why::End));
        };
        self.sampler.accept(token)?;
        if let Some((matcher, vocabulary)) = &mut self.rules {
            matcher.advance(vocabulary.bytes_of(token))?;
        }
        self.text.push(token);
        self.left -= 1;
        if self.left == 0 {
            self.ended = Some(Why::Limit);
        }
        Ok(Step::Said(token))
    }

    /// What the session has seen stays useful for the next text that begins alike.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.session
    }
}

/// Answers that are made in turn, each under a key of its own.
#[derive(Debug)]
pub struct Turns<K> {
    most: usize,
    /// The first is whose turn it is.
    answers: VecDeque<(K, Answer)>,
}

impl<K: Copy + PartialEq> Turns<K> {
    /// Room for `most` answers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, answers: VecDeque::with_capacity(most) }
    }

    /// One more, whose turn comes after everybody's.
    ///
    /// # Errors
    /// There are as many as there is room for.
    pub fn start(&mut self, key: K, answer: Answer) -> Result<(), Error> {
        if self.answers.len() == self.most {
            return Err(Error::Busy);
        }
        self.answers.push_back((key, answer));
        Ok(())
    }

    /// Ends an answer that nobody waits for any more. It is given back if it was there.
    pub fn cancel(&mut self, key: K) -> Option<Answer> {
        let index = self.answers.iter().position(|(other, _)| *other == key)?;
        self.answers.remove(index).map(|(_, answer)| answer)
    }

    /// Lets `step` do a step of the answer whose turn it is, which then waits for all others' turns, or leaves if that was its last. Nothing if there is no answer.
    pub fn turn<E>(&mut self, step: impl FnOnce(K, &mut Answer) -> Result<Step, E>) -> Option<Turn<K, E>> {
        let (key, mut answer) = self.answers.pop_front()?;
        let done = step(key, &mut answer);
        if matches!(done, Ok(Step::Read | Step::Said(_))) {
            self.answers.push_back((key, answer));
            return Some(Turn { key, done, left: None });
        }
        Some(Turn { key, done, left: Some(answer) })
    }
}

/// A step that was made in turn.
#[derive(Debug)]
#[must_use]
pub struct Turn<K, E> {
    /// Of which answer.
    pub key: K,
    /// What it did.
    pub done: Result<Step, E>,
    /// The answer, if that was its last step.
    pub left: Option<Answer>,
}
