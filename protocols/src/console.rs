//! The console: one serial line with its line discipline, and the two script streams.
//!
//! Every request is an attempt that never waits. What cannot be done now is answered [`Error::Pending`]; the same request under the same number is
//! sent again after the matching bit of [`event`] came up, so whoever waits keeps the wait, and an interrupted wait is settled by the caller alone.
//!
//! | request | repeatable because |
//! |---|---|
//! | [`Request::Status`], [`Request::Signals`], [`Request::Termios`], [`Request::WindowSize`], [`Request::Drain`] | they change nothing |
//! | [`Request::SetWindowSize`], [`Request::Flow`] | idempotent |
//! | [`Request::Read`], [`Request::ReadInline`] | numbered: the bytes that a lane got last are given again |
//! | [`Request::Write`], [`Request::WriteInline`], [`Request::ScriptWrite`] | numbered: the count accepted so far is kept, and the same request goes on from there |
//! | [`Request::SetTermios`], [`Request::Flush`] | numbered: done once |
//!
//! Signals are counters rather than a set that is taken: a reader compares them with the counts that it acted on, so neither its death nor the
//! console's loses a signal or raises it twice.
//!
//! What is not here: process groups, sessions and background access; they are posix's, which asks for [`Request::Termios`] when it needs
//! [`termios::TOSTOP`] or [`termios::ISIG`].

pub mod client;
pub mod termios;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::serve::{Answer, Caller, LeaseError};
pub use client::Client;
pub use termios::{Termios, WindowSize};

/// Bits that the console sets in the notification of whoever is declared to call it. A restarted console sets all of them.
pub mod event {
    /// A read may succeed now; with an inter-byte timer it also says that another byte came.
    pub const READABLE: u64 = 1 << 8;
    /// The output queue has room again.
    pub const WRITABLE: u64 = 1 << 9;
    /// A count of [`super::Signals`] went up.
    pub const SIGNAL: u64 = 1 << 10;
    /// The last byte of output left the line.
    pub const DRAINED: u64 = 1 << 11;
    /// All of them.
    pub const ALL: u64 = READABLE | WRITABLE | SIGNAL | DRAINED;
}

/// Most bytes of a [`Request::ReadInline`], [`Request::WriteInline`] or [`Request::ScriptWrite`].
pub const INLINE_BYTES: usize = 2048;

/// How long a read or write is willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Patience {
    /// Until the modes are satisfied (reads: a line, or VMIN bytes; writes: all bytes accepted).
    Wait,
    /// The timer that an earlier [`Error::Pending`] asked for ran out: whatever is there is the answer, nothing included.
    Expired,
    /// Not at all (`O_NONBLOCK`): whatever can be done now is the answer; nothing at all is [`Error::Pending`].
    Never,
}

/// When new modes take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum When {
    /// At once (`TCSETS`).
    Now,
    /// After all output left (`TCSETSW`).
    Drained,
    /// After all output left; unread input is thrown away (`TCSETSF`).
    Flushed,
}

/// A direction of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Queue {
    /// Unread input (`TCIFLUSH`).
    Input,
    /// Output not yet sent (`TCOFLUSH`).
    Output,
    /// Both (`TCIOFLUSH`).
    Both,
}

/// What `tcflow` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Flow {
    /// Stop sending (`TCOOFF`).
    StopOutput,
    /// Go on sending (`TCOON`).
    StartOutput,
    /// Send the STOP character (`TCIOFF`).
    StopInput,
    /// Send the START character (`TCION`).
    StartInput,
}

/// Where a script's bytes go on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Its standard output.
    Output,
    /// Its standard error.
    Error,
    /// Its exit status, one byte; the last one counts.
    Status,
}

/// What is asked of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Up to `length` bytes of input into lease 0. Numbered. Nothing is consumed unless all of the answer reached the lease.
    Read {
        /// Most bytes.
        length: u32,
        /// How long to wait.
        patience: Patience,
    },
    /// Up to `length` bytes of input in the reply, at most [`INLINE_BYTES`]. Numbered.
    ReadInline {
        /// Most bytes.
        length: u32,
        /// How long to wait.
        patience: Patience,
    },
    /// `length` bytes of lease 0 to the line. Numbered.
    Write {
        /// How many bytes.
        length: u32,
        /// How long to wait.
        patience: Patience,
    },
    /// Bytes to the line. Numbered.
    WriteInline {
        /// The bytes, at most [`INLINE_BYTES`].
        bytes: &'a [u8],
        /// How long to wait.
        patience: Patience,
    },
    /// `length` bytes of lease 0 to a stream of the host. Numbered. It takes what the host takes, so it is never pending; the reply may count fewer bytes.
    ScriptWrite {
        /// Which stream.
        stream: Stream,
        /// How many bytes.
        length: u32,
    },
    /// What a read or write would find. Idempotent.
    Status,
    /// How often each signal character was typed. Idempotent.
    Signals,
    /// The modes. Idempotent.
    Termios,
    /// New modes. Numbered.
    SetTermios {
        /// The modes.
        modes: Termios,
        /// When they take effect.
        when: When,
    },
    /// The window's size. Idempotent.
    WindowSize,
    /// A new window size. Idempotent; the signal that a change means is the caller's to send.
    SetWindowSize(WindowSize),
    /// Throws away what is queued. Numbered.
    Flush(Queue),
    /// Whether all output left the line; [`Error::Pending`] until then. Idempotent.
    Drain,
    /// Flow control by hand. Idempotent.
    Flow(Flow),
}

/// What the console answers.
#[allow(clippy::large_enum_variant, reason = "a reply lives on the stack for one call; there is no heap to box its bytes on")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// So many bytes.
    Count(u32),
    /// The bytes read.
    Data(Vec<u8, INLINE_BYTES>),
    /// [`Request::Status`].
    Status(Status),
    /// [`Request::Signals`].
    Signals(Signals),
    /// [`Request::Termios`].
    Termios(Termios),
    /// [`Request::WindowSize`].
    WindowSize(WindowSize),
}

/// What a read or write would find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// A read would not wait (`POLLIN`; true for an end of file too).
    pub readable: bool,
    /// Bytes that can be read now (`FIONREAD`).
    pub input_bytes: u32,
    /// Bytes of output that would be accepted now (`POLLOUT` when not 0).
    pub output_room: u32,
    /// Bytes of output not yet sent (`TIOCOUTQ`).
    pub output_bytes: u32,
}

/// How often each signal character was recognised since the console's first start; the counts wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(C)]
pub struct Signals {
    /// VINTR: SIGINT.
    pub interrupt: u32,
    /// VQUIT: SIGQUIT.
    pub quit: u32,
    /// VSUSP: SIGTSTP.
    pub suspend: u32,
}

/// Why the console refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Error {
    /// The bytes are no request.
    Malformed,
    /// Not now; ask again under the same number when an [`event`] says so.
    Pending(Pending),
    /// The caller's page must be made ready first; then ask again under the same number.
    NeedsPage {
        /// Address in the lender.
        address: u64,
        /// Whether it is written.
        write: bool,
    },
    /// The lease is missing, shorter than the length given, or lacks the right.
    InvalidLease,
    /// The caller is gone; nobody hears this.
    CallerGone,
    /// The number is older than the lane's last one, or what it read is no longer kept.
    Stale,
    /// A length is beyond [`INLINE_BYTES`].
    TooLong,
    /// More lanes than the console keeps results for.
    TooManyLanes,
}

/// How far a request got that has to be asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pending {
    /// Bytes of a write accepted so far: the result, should the wait be interrupted.
    pub accepted: u32,
    /// If not 0: so many milliseconds from now, unless the request was repeated before, ask with [`Patience::Expired`] (VTIME). Each answer
    /// replaces the timer of the one before.
    pub timer_ms: u32,
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

/// What a console does. [`serve`] decodes for it.
pub trait Service {
    /// Answers one request.
    ///
    /// # Errors
    /// [`Error`].
    fn handle(&mut self, caller: &mut dyn Caller, request: Request<'_>) -> Result<Reply, Error>;
}

/// Decodes, asks the service, encodes.
pub fn serve(service: &mut impl Service, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
    crate::serve::dispatch(request, reply, Error::Malformed, |request: &Request<'_>| service.handle(caller, *request))
}
