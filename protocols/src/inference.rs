//! Work on language models: a request in words, and the bytes that come of it, which are read as they are made.
//!
//! Whoever asks gives its work a name, and sends the request's words once ([`Request::Begin`]); what they mean is described where they are read (`inference::words`). What
//! comes of it is a text that only grows: the answer, or lines of numbers. It is read from any byte on, as often as one likes, until it is
//! ended ([`Request::End`]). So a reader that keeps its place itself loses nothing and gets nothing twice, whoever dies in between.
//!
//! | request | repeatable because |
//! |---|---|
//! | [`Request::Begin`] | numbered: work that was begun under the same name and number is there already |
//! | [`Request::Read`], [`Request::Status`] | they change nothing |
//! | [`Request::End`] | idempotent |
//!
//! No request waits: what is not there yet is [`Error::Pending`], and [`event::READABLE`] says when to ask again.

use abi::{Lease, RequestNumber};
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::call::{CallError, Carrier, call};
use crate::serve::{Answer, Caller, LeaseError, dispatch};
use crate::vfs::{Actor, FileId};

/// Bits that inference sets in the notification of whoever is declared to call it.
pub mod event {
    /// There may be more to read. A restarted server sets it, too.
    pub const READABLE: u64 = 1 << 12;
}

/// Most bytes of a request's words.
pub const MAX_WORDS: usize = 32 * 1024;
/// Most bytes of one [`Request::Read`].
pub const MAX_READ: usize = 2048;
/// Most bytes of the words that say why work failed; longer ones are cut off.
pub const MAX_REASON: usize = 200;

/// What is asked of inference. Append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Begins work under a name of the caller's, from the words in lease 0. Numbered. That the words make no sense is no refusal: the work has failed then.
    Begin {
        /// Its name.
        name: u64,
        /// On whose behalf files are opened.
        actor: Actor,
        /// Where paths without a leading slash start.
        start: FileId,
        /// How many bytes the words are, at most [`MAX_WORDS`].
        length: u32,
    },
    /// What came of it from a byte on; nothing when there will be no more. Idempotent.
    Read {
        /// Its name.
        name: u64,
        /// The first byte.
        from: u64,
        /// Most bytes; beyond [`MAX_READ`] as many as that.
        length: u32,
    },
    /// How far it is. Idempotent.
    Status {
        /// Its name.
        name: u64,
    },
    /// Nobody wants it any more. Idempotent.
    End {
        /// Its name.
        name: u64,
    },
}

/// What inference answers. Append only.
#[allow(clippy::large_enum_variant, reason = "a reply lives on the stack for one call; there is no heap to box its bytes on")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// What was read.
    Text(Vec<u8, MAX_READ>),
    /// [`Request::Status`].
    Status(Status),
}

/// Where work stands.
#[allow(clippy::large_enum_variant, reason = "as a reply's")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It waits, or its model is being loaded, or it is being done.
    Working,
    /// All of it is there.
    Whole,
    /// There will be no more, and why.
    Failed(String<MAX_REASON>),
}

/// How far work is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Bytes of it that are there.
    pub bytes: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens that were made.
    pub tokens: u32,
    /// How long loading took (ns), where this work had its model loaded.
    pub load_ns: u64,
    /// How long reading the prompt took (ns).
    pub prompt_ns: u64,
    /// How long making the tokens took (ns).
    pub tokens_ns: u64,
    /// Within how long half of the tokens were made (ns), at most an eighth too long.
    pub p50_ns: u64,
    /// The same for 99 of a hundred.
    pub p99_ns: u64,
    /// What its model and what is kept of its text take (bytes).
    pub memory: u64,
}

/// Why inference refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The message is not a request.
    Malformed,
    /// There is nothing to read yet.
    Pending,
    /// The work has failed; its status says why.
    Failed,
    /// There is no work of that name.
    NoSuchWork,
    /// Work of that name was begun by another request.
    Exists,
    /// As much work is being done as there is room for.
    Busy,
    /// More words than [`MAX_WORDS`].
    TooLong,
    /// The caller's page must be made ready first; then ask again under the same number.
    NeedsPage {
        /// Address in the lender.
        address: u64,
        /// Whether it is written.
        write: bool,
    },
    /// The lease is missing, or shorter than the length given.
    InvalidLease,
    /// The caller is gone; nobody hears this.
    CallerGone,
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::NeedsPage { address, write } => Self::NeedsPage { address, write },
            LeaseError::Gone => Self::CallerGone,
            LeaseError::Invalid => Self::InvalidLease,
        }
    }
}

/// Asks inference.
#[derive(Debug)]
pub struct Client<C>(pub C);

impl<C: Carrier> Client<C> {
    /// See [`Request::Begin`]: the words are what `lease` covers.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn begin(&mut self, number: RequestNumber, name: u64, (actor, start): (&Actor, FileId), lease: Lease) -> Result<(), CallError<Error>> {
        let length = u32::try_from(lease.length).unwrap_or(u32::MAX);
        self.done(number, &Request::Begin { name, actor: actor.clone(), start, length }, &[lease])
    }

    /// See [`Request::Read`].
    ///
    /// # Errors
    /// [`CallError`].
    pub fn read(&mut self, number: RequestNumber, name: u64, from: u64, length: u32) -> Result<Vec<u8, MAX_READ>, CallError<Error>> {
        match call(&mut self.0, number, &Request::Read { name, from, length }, &[], &[])? {
            Reply::Text(text) => Ok(text),
            _ => Err(CallError::Malformed),
        }
    }

    /// See [`Request::Status`].
    ///
    /// # Errors
    /// [`CallError`].
    pub fn status(&mut self, number: RequestNumber, name: u64) -> Result<Status, CallError<Error>> {
        match call(&mut self.0, number, &Request::Status { name }, &[], &[])? {
            Reply::Status(status) => Ok(status),
            _ => Err(CallError::Malformed),
        }
    }

    /// See [`Request::End`].
    ///
    /// # Errors
    /// [`CallError`].
    pub fn end(&mut self, number: RequestNumber, name: u64) -> Result<(), CallError<Error>> {
        self.done(number, &Request::End { name }, &[])
    }

    fn done(&mut self, number: RequestNumber, request: &Request, leases: &[Lease]) -> Result<(), CallError<Error>> {
        match call(&mut self.0, number, request, leases, &[])? {
            Reply::Done => Ok(()),
            _ => Err(CallError::Malformed),
        }
    }
}

/// What inference does. [`serve`] decodes for it.
pub trait Service {
    /// Answers one request.
    ///
    /// # Errors
    /// [`Error`].
    fn handle(&mut self, caller: &mut dyn Caller, request: &Request) -> Result<Reply, Error>;
}

/// Decodes, asks the service, encodes.
pub fn serve(service: &mut impl Service, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
    dispatch(request, reply, Error::Malformed, |request: &Request| service.handle(caller, request))
}
