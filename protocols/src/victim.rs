//! A server that counts, and dies when asked to: what the rest of the system is tested against.
//!
//! Add and Echo are idempotent, and there is nothing to them. Count and Crash are numbered. A crash is counted as 1 before the victim dies of it: with
//! `only_first_time` the same number delivered again is answered; that is what shows that a caller's stub tried again and was not merely told something.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::call::{self, CallError, Carrier};
use crate::serve::{self, Answer, Caller};
use abi::{MAX_MESSAGE, RequestNumber};

/// Most bytes of an echo: a full message less what the encoding adds (result, variant, two bytes of length).
pub const MAX_ECHO: usize = MAX_MESSAGE - 4;

/// How to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// A Rust panic: crash report, then an exception.
    Panic,
    /// A write to an address that nobody backs.
    Wild,
    /// Endless recursion: the stack's guard page.
    Overflow,
    /// An endless loop: only the watchdog notices.
    Hang,
}

/// A request to the victim. Append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Adds. Idempotent.
    Add {
        /// One term.
        a: u64,
        /// The other.
        b: u64,
    },
    /// Dies. Numbered.
    Crash {
        /// In which way.
        how: How,
        /// When the same number comes again, answers instead.
        only_first_time: bool,
    },
    /// Sends the bytes back. Idempotent.
    Echo(&'a [u8]),
    /// Has a helper thread do so many units of work more, and says how many are done since this instance began. Not idempotent, and not kept:
    /// work dies with its instance.
    Work {
        /// Units.
        units: u64,
    },
    /// Adds to a count that outlives instances, and says what it is then. Numbered.
    Count {
        /// How much.
        amount: u64,
    },
}

/// A reply of the victim. Append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a reply lives on the stack of one call, and the echo is meant to be as long as a message")]
pub enum Reply {
    /// The sum, modulo 2^64.
    Sum(u64),
    /// The victim died of this number before, and lives.
    Survived,
    /// The bytes.
    Echoed(Vec<u8, MAX_ECHO>),
    /// Units of work done.
    Worked(u64),
    /// The count, modulo 2^64.
    Counted(u64),
}

/// Why the victim refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The message is not a request.
    Malformed,
    /// The echo is longer than [`MAX_ECHO`].
    TooLong,
    /// The caller's lane has gone on to a later request.
    Outdated,
    /// More lanes have asked than results can be kept for.
    TooManyLanes,
}

/// Calls the victim.
#[derive(Debug)]
pub struct Client<C>(pub C);

impl<C: Carrier> Client<C> {
    /// Adds `a` and `b`.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn add(&mut self, number: RequestNumber, a: u64, b: u64) -> Result<u64, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Add { a, b }, &[], &[])? {
            Reply::Sum(sum) => Ok(sum),
            _ => Err(CallError::Malformed),
        }
    }

    /// Makes the victim die.
    ///
    /// # Errors
    /// [`CallError`]; without `only_first_time` the victim dies of it until that is [`CallError::Poisoned`].
    pub fn crash(&mut self, number: RequestNumber, how: How, only_first_time: bool) -> Result<(), CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Crash { how, only_first_time }, &[], &[])? {
            Reply::Survived => Ok(()),
            _ => Err(CallError::Malformed),
        }
    }

    /// Has `bytes` sent back.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn echo(&mut self, number: RequestNumber, bytes: &[u8]) -> Result<Vec<u8, MAX_ECHO>, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Echo(bytes), &[], &[])? {
            Reply::Echoed(bytes) => Ok(bytes),
            _ => Err(CallError::Malformed),
        }
    }

    /// Adds to the count; returns what it is then.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn count(&mut self, number: RequestNumber, amount: u64) -> Result<u64, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Count { amount }, &[], &[])? {
            Reply::Counted(count) => Ok(count),
            _ => Err(CallError::Malformed),
        }
    }

    /// Has so many units of work more done; returns how many were done before it.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn work(&mut self, number: RequestNumber, units: u64) -> Result<u64, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Work { units }, &[], &[])? {
            Reply::Worked(done) => Ok(done),
            _ => Err(CallError::Malformed),
        }
    }
}

/// The victim's side.
pub trait Service {
    /// See [`Request::Count`].
    ///
    /// # Errors
    /// [`Error::Outdated`], [`Error::TooManyLanes`].
    fn count(&mut self, number: RequestNumber, amount: u64) -> Result<u64, Error>;

    /// See [`Request::Crash`]. Returns only when the number was died of before, or with an error.
    ///
    /// # Errors
    /// [`Error::Outdated`], [`Error::TooManyLanes`].
    fn crash(&mut self, number: RequestNumber, how: How, only_first_time: bool) -> Result<(), Error>;
}

/// Its side too: what a helper thread does for it.
pub trait Worker {
    /// See [`Request::Work`].
    fn work(&mut self, units: u64) -> u64;
}

/// Answers one request.
pub fn serve(service: &mut (impl Service + Worker + ?Sized), caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
    let number = caller.number();
    serve::dispatch(request, reply, Error::Malformed, |request: &Request<'_>| match *request {
        Request::Add { a, b } => Ok(Reply::Sum(a.wrapping_add(b))),
        Request::Crash { how, only_first_time } => service.crash(number, how, only_first_time).map(|()| Reply::Survived),
        Request::Echo(bytes) => Vec::from_slice(bytes).map(Reply::Echoed).map_err(|_| Error::TooLong),
        Request::Work { units } => Ok(Reply::Worked(service.work(units))),
        Request::Count { amount } => service.count(number, amount).map(Reply::Counted),
    })
}
