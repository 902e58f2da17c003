//! The helper that does the work: it takes jobs, and makes a step of each answer in turn, so that none waits for longer than a pass of each of the others.
//!
//! What it knows is lost with the instance. All that comes of a job follows from its words, the files that they name and the tokens that were made before, so a successor
//! that is given the same goes on with the same.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use protocols::vfs::{Actor, FileId};

use super::ready::{Machine, Models, Version, adapters, read_whole, words as in_words};
use super::watched::Watched;
use super::words::{Reason, Task, Words};
use super::works::{AT_ONCE, Job, MAX_TOKENS, News, WORKS, What};
use crate::answer::{Answer, Record, Step, Turn, Turns};
use crate::chat::Template;
use crate::engine::{Pooling, Session};
use crate::grammar::{Grammar, schema};

/// Sessions have room for a multiple of so many tokens, so that one is large enough for a text that goes on.
const ROUND: usize = 512;

/// A job that was not begun yet.
struct Waiting {
    place: usize,
    ticket: u64,
    words: Vec<u8>,
    actor: (Actor, FileId),
    said: Vec<u32>,
}

/// An answer that is being made.
struct Making {
    place: usize,
    ticket: u64,
    model: Version,
    prompt_tokens: u32,
    /// How long its prompt has taken so far; `None` once it is read.
    prompt_ns: Option<u64>,
}

/// Tells of a text, in parts that are saved one by one.
fn tell_text(text: &[u8], tell: &mut impl FnMut(What)) {
    text.chunks(AT_ONCE).for_each(|part| tell(What::Text(part.to_vec())));
}

/// See the module.
pub struct Worker<M> {
    machine: M,
    models: Models,
    waiting: VecDeque<Waiting>,
    turns: Turns<u64>,
    making: Vec<Making>,
}

impl<M: Machine> Worker<M> {
    /// One that has no work.
    pub fn new(machine: M) -> Self {
        Self { machine, models: Models::default(), waiting: VecDeque::new(), turns: Turns::new(WORKS), making: Vec::new() }
    }

    /// Takes a job.
    pub fn take(&mut self, job: Job) {
        match job {
            Job::Begin { place, ticket, words, actor, said } => self.waiting.push_back(Waiting { place, ticket, words, actor, said }),
            Job::End { ticket } => {
                self.waiting.retain(|waiting| waiting.ticket != ticket);
                if let Some(answer) = self.turns.cancel(ticket) {
                    self.leave(ticket, Some(answer.into_session()));
                }
            }
        }
    }

    /// An answer is over; its model may have its session again.
    fn leave(&mut self, ticket: u64, session: Option<Session>) {
        let Some(index) = self.making.iter().position(|making| making.ticket == ticket) else { return };
        let making = self.making.swap_remove(index);
        if let Some(ready) = self.models.get_mut(making.model) {
            ready.users -= 1;
            if let Some(session) = session {
                ready.give_back(session);
            }
        }
    }

    /// Makes one step of an answer, and begins a job that waits. `tell` hears what came of it. Returns whether there was anything to do.
    pub fn step(&mut self, mut tell: impl FnMut(News)) -> bool {
        let turned = self.turn(&mut tell);
        let Some(waiting) = self.waiting.pop_front() else { return turned };
        let (place, ticket) = (waiting.place, waiting.ticket);
        let mut tell = |what| tell(News { place, ticket, what });
        if let Err(reason) = self.begin(&waiting, &mut tell) {
            tell(What::Failed(reason));
        }
        true
    }

    /// Whether there was an answer to make a step of.
    fn turn(&mut self, tell: &mut impl FnMut(News)) -> bool {
        let Self { machine, models, turns, making, .. } = self;
        let mut elapsed = 0;
        let turn = turns.turn(|ticket, answer| {
            let model = making.iter().find(|making| making.ticket == ticket).and_then(|making| models.get_mut(making.model));
            let ready = model.ok_or_else(|| "its model is gone".to_owned())?;
            let started = machine.now_ns();
            let done = ready.with(|parts| answer.step(&parts.engine, &Watched));
            elapsed = machine.now_ns().saturating_sub(started);
            done.map_err(|error| in_words(&error))
        });
        let Some(Turn { key: ticket, done, left }) = turn else { return false };
        if let Some(making) = making.iter_mut().find(|making| making.ticket == ticket) {
            let place = making.place;
            let mut tell = |what| tell(News { place, ticket, what });
            match done {
                Ok(Step::Read) => making.prompt_ns = making.prompt_ns.map(|before| before + elapsed),
                Ok(Step::Said(token)) => {
                    // The last part of the prompt and the first token are one pass.
                    let after = if let Some(before) = making.prompt_ns.take() {
                        tell(What::Read(making.prompt_tokens, before + elapsed));
                        0
                    } else {
                        elapsed
                    };
                    let mut bytes = Vec::new();
                    if let Some(ready) = models.get_mut(making.model) {
                        ready.with(|parts| parts.tokenizer.append(token, false, &mut bytes));
                    }
                    tell(What::Said(token, bytes, after));
                }
                Ok(Step::Ended(_)) => tell(What::Whole),
                Err(reason) => tell(What::Failed(reason)),
            }
        }
        if let Some(answer) = left {
            self.leave(ticket, Some(answer.into_session()));
        }
        true
    }

    fn begin(&mut self, waiting: &Waiting, tell: &mut impl FnMut(What)) -> Result<(), Reason> {
        let words = Words::parse(&waiting.words)?;
        match words.task {
            Task::List => {
                tell_text(self.models.list().as_bytes(), tell);
                tell(What::Whole);
                return Ok(());
            }
            Task::Unload => {
                let version = self.machine.version(words.model, &waiting.actor)?;
                self.models.unload(version).map_err(|reason| format!("{}: {reason}", words.model))?;
                tell(What::Whole);
                return Ok(());
            }
            Task::Load | Task::Answer | Task::Tokens | Task::Embedding => {}
        }
        let (index, loaded) = self.models.find(&mut self.machine, words.model, &waiting.actor)?;
        if let Some(ns) = loaded {
            tell(What::Loaded(ns));
        }
        match words.task {
            Task::Answer => {
                let memory = self.begin_answer(waiting, &words, index)?;
                tell(What::Takes(memory));
                return Ok(());
            }
            Task::Tokens => tell_text(&self.tokens(index, &words)?, tell),
            Task::Embedding => tell_text(&self.embedding(waiting, index, &words)?, tell),
            Task::Load | Task::Unload | Task::List => {}
        }
        tell(What::Whole);
        Ok(())
    }

    /// The tokens of the text, or of the conversation that it is.
    fn prompt(&mut self, index: usize, words: &Words<'_>) -> Result<Vec<u32>, Reason> {
        self.models.at(index).with(|parts| {
            let Some(name) = words.chat else {
                return Ok(parts.tokenizer.begin().into_iter().chain(parts.tokenizer.tokens(words.text, true)).collect());
            };
            let template = if name == "file" { parts.template.clone() } else { Template::named(name) };
            let messages = words.messages();
            let tokens = template.and_then(|template| template.pieces(&messages).and_then(|pieces| parts.tokenizer.chat(&pieces)));
            tokens.map_err(|error| in_words(&error))
        })
    }

    fn tokens(&mut self, index: usize, words: &Words<'_>) -> Result<Vec<u8>, Reason> {
        let tokens = self.prompt(index, words)?;
        let line = |token: &u32| {
            let mut bytes = Vec::new();
            self.models.at(index).with(|parts| parts.tokenizer.append(*token, false, &mut bytes));
            format!("{token} \"{}\"\n", bytes.escape_ascii())
        };
        Ok(tokens.iter().map(line).collect::<String>().into_bytes())
    }

    fn embedding(&mut self, waiting: &Waiting, index: usize, words: &Words<'_>) -> Result<Vec<u8>, Reason> {
        let tokens = self.prompt(index, words)?;
        let mut session = self.session(waiting, index, words, tokens.len())?;
        session.truncate(0);
        let numbers = self.models.at(index).with(|parts| parts.engine.embed(&mut session, &tokens, Pooling::Mean, &Watched));
        self.models.at(index).give_back(session);
        let numbers = numbers.map_err(|error| in_words(&error))?;
        Ok(numbers.iter().map(|number| format!("{number:e}\n")).collect::<String>().into_bytes())
    }

    /// A session with room for so many tokens, with the adapters that are asked for.
    fn session(&mut self, waiting: &Waiting, index: usize, words: &Words<'_>, capacity: usize) -> Result<Session, Reason> {
        let left = self.machine.left();
        let adapters = adapters(&mut self.machine, self.models.at(index), &words.adapters, &waiting.actor)?;
        let mut session = self.models.at(index).session(capacity, left)?;
        if adapters.is_some() {
            session.adapt(adapters);
        }
        Ok(session)
    }

    /// Begins an answer; what it takes in bytes.
    fn begin_answer(&mut self, waiting: &Waiting, words: &Words<'_>, index: usize) -> Result<u64, Reason> {
        let rules = self.rules(waiting, words)?;
        let prompt = self.prompt(index, words)?;
        let context = self.models.at(index).with(|parts| parts.engine.config().context);
        let room = if words.context == 0 { context } else { words.context };
        if prompt.len() >= room {
            return Err(format!("the text has {} tokens, and there is room for {room}", prompt.len()));
        }
        let most = words.most.min(room - prompt.len()).min(MAX_TOKENS);
        let end = self.models.at(index).with(|parts| parts.tokenizer.end());
        let session = self.session(waiting, index, words, (prompt.len() + most).next_multiple_of(ROUND).min(room))?;
        let memory = self.models.at(index).bytes() + session.kept_bytes() as u64;
        let prompt_tokens = prompt.len() as u32;
        let record = Record { prompt, said: waiting.said.clone(), most, end, options: words.options.clone() };
        let ready = self.models.at(index);
        let mut answer = ready.with(|parts| Answer::new(&parts.engine, session, &record)).map_err(|error| in_words(&error))?;
        if let Some(rules) = rules {
            answer.follow(rules, ready.vocabulary(), &record.said).map_err(|error| in_words(&error))?;
        }
        let model = ready.version;
        self.turns.start(waiting.ticket, answer).map_err(|error| in_words(&error))?;
        self.models.at(index).users += 1;
        self.making.push(Making { place: waiting.place, ticket: waiting.ticket, model, prompt_tokens, prompt_ns: Some(0) });
        Ok(memory)
    }

    /// What the answer must follow.
    fn rules(&mut self, waiting: &Waiting, words: &Words<'_>) -> Result<Option<Arc<Grammar>>, Reason> {
        let Some(path) = words.grammar.or(words.schema) else { return Ok(None) };
        let bytes = read_whole(&mut self.machine, path, &waiting.actor)?;
        let text = core::str::from_utf8(&bytes).map_err(|_| format!("{path}: not UTF-8"))?;
        let grammar =
            if words.schema.is_some() { schema::grammar(text).and_then(|notation| Grammar::parse(&notation)) } else { Grammar::parse(text) };
        grammar.map(|grammar| Some(Arc::new(grammar))).map_err(|error| format!("{path}: {error}"))
    }
}
