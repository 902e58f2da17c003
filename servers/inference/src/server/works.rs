//! The work that is being done, as saved: the words that ask for it, and all that has come of it.
//!
//! This is the receiver's side. The worker ([`super::worker`]) gets a [`Job`] for each piece of work and leaves [`News`] of it; the receiver puts them into saved state before it
//! answers anybody, so what a reader has seen outlives this instance. A successor hands each piece that is not ended to its worker again, with the tokens that were
//! made: these are read and not made again, and as an answer depends on its words and tokens alone, it goes on with the same text.
//!
//! A ticket, the number of the request that began the work, keeps late news of work that is over from being taken for its successor's in the same place.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::times::{LENGTHS, length_of, percentile};
use libsys::field;
use libsys::saved::{Area, Array, Bytes, Cell};
use protocols::inference::{Error, MAX_READ, MAX_REASON, MAX_WORDS, Reply, Request, Service, State as Stands, Status};
use protocols::serve::{Answer, Caller, Serve};
use protocols::service::Badge;
use protocols::vfs::{Actor, FileId};
use protocols::wire;

/// How much work there is room for.
pub const WORKS: usize = 16;
/// Most tokens of an answer.
pub const MAX_TOKENS: usize = 8192;
/// Most bytes of what comes of work.
pub const MAX_TEXT: usize = 128 * 1024;
/// Most bytes that are saved at once: what was there before has to fit the undo log.
pub const AT_ONCE: usize = 32 * 1024;
/// How often the server may die without a token in between. Then a piece of work is given up: it would end every successor, too.
const MOST_DEATHS: u64 = 3;
/// Bytes in which an actor and a place are encoded.
const ACTOR_BYTES: usize = 256;

/// Where a piece of work stands; zero is a place that is free.
mod state {
    pub(super) const WORKING: u32 = 1;
    pub(super) const WHOLE: u32 = 2;
    pub(super) const FAILED: u32 = 3;
}

libsys::plain! {
    /// A piece of work. Its bytes lie at its place in the state's other parts.
    pub struct Work {
        /// What its caller calls it.
        pub name: u64,
        /// The request that began it.
        pub ticket: u64,
        /// The caller's service.
        pub caller: u32,
        /// Where it stands.
        pub state: u32,
        /// Bytes of its words.
        pub words: u32,
        /// Bytes of its actor.
        pub actor: u32,
        /// Bytes of what has come of it.
        pub text: u32,
        /// Tokens that were made.
        pub tokens: u32,
        /// Bytes that say why it failed.
        pub reason: u32,
        /// Tokens of the prompt.
        pub prompt_tokens: u32,
        /// How long loading took (ns).
        pub load_ns: u64,
        /// How long the prompt took (ns).
        pub prompt_ns: u64,
        /// How long the tokens took (ns).
        pub tokens_ns: u64,
        /// What its model and what is kept of its text take (bytes).
        pub memory: u64,
        /// How often the server has died since it last made a token of this.
        pub deaths: u64,
    }
}

libsys::saved_state! {
    /// What outlives an instance.
    pub struct State: 2 {
        works: Array<Work, WORKS>,
        words: [Bytes<MAX_WORDS>; WORKS],
        actors: [Bytes<ACTOR_BYTES>; WORKS],
        tokens: [Array<u32, MAX_TOKENS>; WORKS],
        text: [Bytes<MAX_TEXT>; WORKS],
        reasons: [Bytes<MAX_REASON>; WORKS],
        times: [Array<u32, LENGTHS>; WORKS],
    }
}

libsys::failpoints! {
    /// Where tests let the server die.
    pub enum Point {
        Intent => "begin.intent", Effect => "begin.effect", Reply => "begin.reply",
        News => "news.effect", End => "end.effect",
    }
}

/// What the worker is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Begin, or go on with, a piece of work.
    Begin {
        /// Where it lies.
        place: usize,
        /// Its ticket.
        ticket: u64,
        /// What is asked.
        words: Vec<u8>,
        /// On whose behalf files are opened, and where paths start.
        actor: (Actor, FileId),
        /// Tokens that were made by a predecessor.
        said: Vec<u32>,
    },
    /// Nobody wants it any more.
    End {
        /// Its ticket.
        ticket: u64,
    },
}

/// What became of a piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Where it lies.
    pub place: usize,
    /// Its ticket.
    pub ticket: u64,
    /// What.
    pub what: What,
}

/// See [`News`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A token was made, which stands for these bytes, and so many nanoseconds after the one before.
    Said(u32, Vec<u8>, u64),
    /// Lines of numbers, at most [`AT_ONCE`] bytes of them.
    Text(Vec<u8>),
    /// The model was loaded for it, in so many nanoseconds.
    Loaded(u64),
    /// What its model and what is kept of its text take (bytes).
    Takes(u64),
    /// Its prompt was read: so many tokens, in so many nanoseconds.
    Read(u32, u64),
    /// It is whole.
    Whole,
    /// It failed, and why.
    Failed(String),
}

/// Whom the receiver gives its jobs to and takes news from.
pub trait Worker {
    /// Leaves a job for it.
    fn give(&mut self, job: Job);

    /// What it has left, in the order in which it did.
    fn take(&mut self) -> Vec<News>;
}

/// The receiver's side of the server.
pub struct Works<'s, W> {
    area: &'s Area<State>,
    worker: W,
}

impl<'s, W: Worker> Works<'s, W> {
    /// Over saved state: what a predecessor has not finished is given to the worker.
    pub fn new(area: &'s Area<State>, worker: W) -> Self {
        let mut works = Self { area, worker };
        for place in 0..WORKS {
            let work = works.work(place);
            if work.state == state::WORKING {
                works.resume(place, work);
            }
        }
        works
    }

    /// Has work of a predecessor gone on with, unless that is what servers die of.
    fn resume(&mut self, place: usize, work: Work) {
        let deaths = work.deaths + 1;
        if deaths > MOST_DEATHS {
            self.save(place, work, What::Failed("the server died of it, or of what came with it".to_owned()));
            return;
        }
        // What has no tokens is made again from its start, and comes out the same.
        let text = if work.tokens == 0 { 0 } else { work.text };
        self.change(place, |transaction, cell| cell.set(transaction, Work { deaths, text, ..work }));
        self.hand_over(place);
    }

    fn work(&self, place: usize) -> Work {
        self.area.state().works.get(place).map(Cell::get).unwrap_or_default()
    }

    fn change(&self, place: usize, change: impl FnOnce(&libsys::saved::Transaction<'_>, &Cell<Work>)) {
        if let Some(cell) = self.area.state().works.get(place) {
            let transaction = self.area.begin();
            change(&transaction, cell);
            transaction.commit();
        }
    }

    fn find(&self, caller: u32, name: u64) -> Option<usize> {
        (0..WORKS).find(|place| {
            let work = self.work(*place);
            work.state != 0 && work.caller == caller && work.name == name
        })
    }

    fn hand_over(&mut self, place: usize) {
        let (work, saved) = (self.work(place), self.area.state());
        let mut words = vec![0; MAX_WORDS.min(work.words as usize)];
        let mut actor = [0; ACTOR_BYTES];
        saved.words[place].read(0, &mut words);
        saved.actors[place].read(0, &mut actor);
        let said = saved.tokens[place].iter().take(work.tokens as usize).map(Cell::get).collect();
        // Nobody but `begin` writes it, so it is one; were it not, the files of nobody are opened.
        let actor = actor.get(..work.actor as usize).and_then(|bytes| wire::decode(bytes).ok());
        let actor = actor.unwrap_or_else(|| (Actor { uid: u32::MAX, gid: u32::MAX, ..Actor::superuser() }, protocols::vfs::ROOT));
        self.worker.give(Job::Begin { place, ticket: work.ticket, words, actor, said });
    }

    /// Saves what the worker has left.
    pub fn settle(&mut self) {
        for news in self.worker.take() {
            let work = self.work(news.place);
            if work.state == state::WORKING && work.ticket == news.ticket {
                let is_last = matches!(news.what, What::Whole | What::Failed(_));
                self.save(news.place, work, news.what);
                libsys::fail::hit(Point::News);
                // There is room for no more of it.
                if !is_last && self.work(news.place).state != state::WORKING {
                    self.worker.give(Job::End { ticket: work.ticket });
                }
            }
        }
    }

    fn save(&self, place: usize, work: Work, what: What) {
        let saved = self.area.state();
        let (text, reason) = (&saved.text[place], &saved.reasons[place]);
        self.change(place, |transaction, cell| match what {
            What::Said(token, bytes, ns) => {
                let stored = saved.tokens[place].set_range(transaction, work.tokens as usize, &[token]);
                let added = text.write(transaction, work.text as usize, at_once(&bytes));
                let is_full = stored == 0 || added < bytes.len() || work.tokens as usize + 1 == MAX_TOKENS;
                let state = if is_full { state::WHOLE } else { work.state };
                let tokens_ns = work.tokens_ns.saturating_add(ns);
                // The first came with the prompt.
                if let Some(count) = saved.times[place].get(length_of(ns)).filter(|_| ns > 0) {
                    count.set(transaction, count.get().saturating_add(1));
                }
                cell.set(
                    transaction,
                    Work { tokens: work.tokens + stored as u32, text: work.text + added as u32, tokens_ns, state, deaths: 0, ..work },
                );
            }
            What::Text(bytes) => {
                let added = text.write(transaction, work.text as usize, at_once(&bytes));
                let state = if added < bytes.len() { state::FAILED } else { work.state };
                let reason = if added < bytes.len() { reason.write(transaction, 0, b"more than there is room for") } else { 0 };
                cell.set(transaction, Work { text: work.text + added as u32, state, reason: reason as u32, ..work });
            }
            What::Loaded(load_ns) => cell.set_field(transaction, field!(Work, load_ns), load_ns),
            What::Takes(memory) => cell.set_field(transaction, field!(Work, memory), memory),
            What::Read(prompt_tokens, prompt_ns) => cell.set(transaction, Work { prompt_tokens, prompt_ns, ..work }),
            What::Whole => cell.set_field(transaction, field!(Work, state), state::WHOLE),
            What::Failed(why) => {
                let reason = reason.write(transaction, 0, why.as_bytes()) as u32;
                cell.set(transaction, Work { state: state::FAILED, reason, ..work });
            }
        });
    }

    fn begin(&mut self, caller: &mut dyn Caller, name: u64, actor: &(Actor, FileId), length: u32) -> Result<Reply, Error> {
        let (service, ticket) = (service_of(caller), caller.number().with_step(0).0);
        if let Some(place) = self.find(service, name) {
            return if self.work(place).ticket == ticket { Ok(Reply::Done) } else { Err(Error::Exists) };
        }
        if length as usize > MAX_WORDS {
            return Err(Error::TooLong);
        }
        let place = (0..WORKS).find(|place| self.work(*place).state == 0).ok_or(Error::Busy)?;
        let mut words = vec![0; length as usize];
        caller.read(0, 0, &mut words)?;
        let mut encoded = [0; ACTOR_BYTES];
        let actor_bytes = wire::encode(actor, &mut encoded).map_err(|_| Error::Malformed)?;
        libsys::fail::hit(Point::Intent);
        let saved = self.area.state();
        self.change(place, |transaction, cell| {
            let words = saved.words[place].write(transaction, 0, &words) as u32;
            saved.times[place].iter().filter(|count| count.get() != 0).for_each(|count| count.set(transaction, 0));
            let actor = saved.actors[place].write(transaction, 0, encoded.get(..actor_bytes).unwrap_or_default()) as u32;
            cell.set(transaction, Work { name, ticket, caller: service, state: state::WORKING, words, actor, ..Work::default() });
            libsys::fail::hit(Point::Effect);
        });
        self.hand_over(place);
        libsys::fail::hit(Point::Reply);
        Ok(Reply::Done)
    }

    fn read(&self, caller: u32, name: u64, from: u64, length: u32) -> Result<Reply, Error> {
        let place = self.find(caller, name).ok_or(Error::NoSuchWork)?;
        let work = self.work(place);
        let left = u64::from(work.text).saturating_sub(from).min(u64::from(length)).min(MAX_READ as u64) as usize;
        if left > 0 {
            let mut bytes = [0; MAX_READ];
            let read = self.area.state().text[place].read(from as usize, bytes.get_mut(..left).unwrap_or_default());
            return Ok(Reply::Text(bytes.get(..read).and_then(|bytes| heapless::Vec::from_slice(bytes).ok()).unwrap_or_default()));
        }
        match work.state {
            state::WORKING if length > 0 => Err(Error::Pending),
            state::FAILED => Err(Error::Failed),
            _ => Ok(Reply::Text(heapless::Vec::new())),
        }
    }

    fn status(&self, caller: u32, name: u64) -> Result<Reply, Error> {
        let place = self.find(caller, name).ok_or(Error::NoSuchWork)?;
        let work = self.work(place);
        let state = match work.state {
            state::WORKING => Stands::Working,
            state::WHOLE => Stands::Whole,
            _ => Stands::Failed(self.reason(place, work.reason)),
        };
        let Work { prompt_tokens, tokens, load_ns, prompt_ns, tokens_ns, text, memory, .. } = work;
        let times = self.area.state().times[place].iter().map(Cell::get);
        let [p50_ns, p99_ns] = [50, 99].map(|percent| percentile(times.clone(), percent));
        Ok(Reply::Status(Status { state, bytes: u64::from(text), prompt_tokens, tokens, load_ns, prompt_ns, tokens_ns, p50_ns, p99_ns, memory }))
    }

    fn reason(&self, place: usize, length: u32) -> heapless::String<MAX_REASON> {
        let mut bytes = [0; MAX_REASON];
        let bytes = bytes.get_mut(..length as usize).unwrap_or_default();
        self.area.state().reasons[place].read(0, bytes);
        // It may be cut off within a character.
        let whole = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        heapless::String::try_from(whole).unwrap_or_default()
    }

    fn end(&mut self, caller: u32, name: u64) {
        if let Some(place) = self.find(caller, name) {
            let ticket = self.work(place).ticket;
            self.change(place, |transaction, cell| cell.set(transaction, Work::default()));
            libsys::fail::hit(Point::End);
            self.worker.give(Job::End { ticket });
        }
    }
}

/// As much of it as is saved at once; what is left out counts as what there is no room for.
fn at_once(bytes: &[u8]) -> &[u8] {
    bytes.get(..AT_ONCE).unwrap_or(bytes)
}

fn service_of(caller: &dyn Caller) -> u32 {
    u32::from(Badge::from_word(caller.badge()).service)
}

impl<W: Worker> Service for Works<'_, W> {
    fn handle(&mut self, caller: &mut dyn Caller, request: &Request) -> Result<Reply, Error> {
        self.settle();
        let service = service_of(caller);
        match request {
            Request::Begin { name, actor, start, length } => self.begin(caller, *name, &(actor.clone(), *start), *length),
            Request::Read { name, from, length } => self.read(service, *name, *from, *length),
            Request::Status { name } => self.status(service, *name),
            Request::End { name } => {
                self.end(service, *name);
                Ok(Reply::Done)
            }
        }
    }
}

impl<W: Worker> Serve for Works<'_, W> {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        protocols::inference::serve(self, caller, request, reply)
    }
}

impl<W: Worker> libsys::serve::Server for Works<'_, W> {
    fn between(&mut self) {
        self.settle();
    }
}
