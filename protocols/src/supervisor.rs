//! What every server may tell the supervisor, and what the supervisor tells every server when it starts one.
//!
//! A request is trusted for what its badge says and nothing else: a server speaks about its own instance only; posix, which answers for who is root, may
//! speak about others. But for those two requests all are idempotent: the supervisor's state is in the kernel's objects, so hearing a thing twice
//! changes nothing.
//!
//! Absent on purpose: deaths. Nobody reports one; the kernel does, by an exception message with the dead thread's badge.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::call::{self, CallError, Carrier};
use crate::crash::Crash;
use crate::manifest::{Policy, Quota};
use crate::serve::{self, Answer, Caller};
use crate::service::Badge;
use crate::victim::How;
use abi::RequestNumber;

/// Most bytes of a crash report; more is cut off by the sender.
pub const MAX_REPORT: usize = 1024;
/// Most bytes of the options' text that a server is shown.
pub const MAX_OPTIONS: usize = 1024;
/// Most bytes of a failpoint's name.
pub const MAX_POINT: usize = 40;
/// Most bytes of a log at a time.
pub const MAX_LOGGED: usize = 2048;
/// Most records of the trace at a time.
pub const MAX_TRACED: usize = 64;
/// Most services that memory is told about.
pub const MAX_PAGED: usize = 16;
/// Exit status of the machine when the supervisor gives up, as for a set-up that failed.
pub const STATUS_GAVE_UP: u8 = 125;

/// The first thing that an instance reads: who it is and what it has. It lies, encoded, in its start pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartInfo {
    /// The service's number.
    pub service: u8,
    /// Counts the service's instances from 1.
    pub instance: u32,
    /// Ticks of the time-stamp counter in a second.
    pub tsc_hz: u64,
    /// Unix time in nanoseconds at which the time-stamp counter was 0.
    pub wall_base_ns: u64,
    /// Threads of the instance, the first one included.
    pub threads: u32,
    /// Pages of the heap's window.
    pub heap_pages: u32,
    /// Pages of the saved state's window.
    pub saved_pages: u32,
    /// Pages of the service region's window.
    pub region_pages: u32,
    /// Bytes of the root file system archive; 0 for a service that is not given it.
    pub rootfs_bytes: u64,
    /// The text of this run's options, one `key=value` a line.
    pub options: String<MAX_OPTIONS>,
    /// The failpoint that is armed in this instance.
    pub fail: Option<FailPoint>,
    /// For memory: the windows that it backs.
    pub paged: Vec<Paged, MAX_PAGED>,
    /// For memory: what its buyers may hold.
    pub buyers: Vec<Buyer, MAX_PAGED>,
    /// Processors that threads can be placed on.
    pub processors: u32,
}

/// A service that may buy memory for its vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// The service's number.
    pub service: u8,
    /// How much.
    pub quota: Quota,
}

/// A failpoint to arm: the instance dies when it reaches it for the `nth` time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailPoint {
    /// Its name.
    pub point: String<MAX_POINT>,
    /// Counted from 1.
    pub nth: u32,
}

/// A service whose page faults memory answers. The sizes are its quota: a fault beyond a window is declined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paged {
    /// The service's number.
    pub service: u8,
    /// Pages of the heap's window.
    pub heap_pages: u32,
    /// Pages of the saved state's window.
    pub saved_pages: u32,
    /// Pages of the service region's window.
    pub region_pages: u32,
    /// It may buy memory for its vault.
    pub buys_memory: bool,
}

/// A request to the supervisor. Append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a request lives on the stack of one call, and the report is as long as a crash may need")]
pub enum Request {
    /// The caller's instance has validated its state and serves from now on. Idempotent.
    Up,
    /// Last words, for the log. Idempotent.
    CrashReport {
        /// What happened.
        text: String<MAX_REPORT>,
    },
    /// Turns the machine off; `status` is the script's exit status. For posix and console. Idempotent.
    PowerOff {
        /// Exit status.
        status: u8,
    },
    /// How a service is. Idempotent.
    Status {
        /// The service's number.
        service: u8,
    },
    /// Ends an instance, or revives a service that was given up. For posix, which speaks for root. Numbered: it is done once, because the one who
    /// asks may be the one who dies of it.
    Restart {
        /// The service's number.
        service: u8,
    },
    /// Makes an instance die as a fault of its own would. For posix, which speaks for root. Numbered.
    Crash {
        /// The service's number.
        service: u8,
        /// In which way.
        how: How,
    },
    /// How the `index`-th service of the manifest is, in full. Idempotent.
    Health {
        /// Counted from 0.
        index: u8,
    },
    /// The `nth`-last death on record. Idempotent.
    Record {
        /// 0 for the last one.
        nth: u8,
    },
    /// What a service's present instance logged, from a byte on. Idempotent.
    Log {
        /// The service's number.
        service: u8,
        /// The first byte wanted; older ones than are kept are skipped.
        from: u64,
    },
    /// What threads did, as the kernel recorded it, and whether it goes on recording. For posix, which speaks for root. Idempotent.
    Trace {
        /// Whether to record from now on, if that is to change.
        on: Option<bool>,
        /// Number of the first record wanted; older ones than are kept are skipped.
        from: u64,
    },
}

/// A reply of the supervisor. Append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a reply lives on the stack of one call, and a record is as long as a message")]
pub enum Reply {
    /// It was done.
    Done,
    /// How a service is.
    Status(Status),
    /// How a service is, in full.
    Health(Health),
    /// A death.
    Record(Crash),
    /// A part of a log.
    Log(Logged),
    /// A part of the trace.
    Trace(Traced),
}

/// How a service is, in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The service's number.
    pub service: u8,
    /// What it is doing, and in which instance.
    pub status: Status,
    /// Its deaths since the machine started.
    pub deaths: u32,
    /// Its threads, helpers included.
    pub threads: u8,
    /// Priority of those that receive.
    pub priority: u8,
    /// Microseconds since its instance was started; 0 without one.
    pub age_us: u64,
    /// Microseconds until the next instance is started; 0 unless it waits for that.
    pub pause_us: u64,
    /// Microseconds that its instance's threads ran on their own account; what they do for callers is the callers'.
    pub own_us: u64,
    /// Calls that its instance's threads made.
    pub calls: u64,
    /// How its deaths are answered.
    pub policy: Policy,
}

/// A part of an instance's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// The instance.
    pub instance: u32,
    /// Where to ask on from.
    pub next: u64,
    /// The bytes before that: lines, the first one perhaps cut.
    pub bytes: Vec<u8, MAX_LOGGED>,
}

/// A part of the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// Where to ask on from.
    pub next: u64,
    /// The records before that, the oldest first: the words of [`abi::TraceRecord`], with the time in microseconds.
    pub records: Vec<[u64; 4], MAX_TRACED>,
}

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not started yet.
    Waiting,
    /// Started, not yet up; callers queue.
    Starting,
    /// Serving.
    Up,
    /// Given up: calls are refused.
    GivenUp,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Its current instance; the count of restarts is one less.
    pub instance: u32,
}

/// Why the supervisor refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The message is not a request.
    Malformed,
    /// The caller may not ask for this.
    NotAllowed,
    /// The instance is not the current one.
    Stale,
    /// There is no such service.
    UnknownService,
    /// It has no instance.
    NotRunning,
    /// So many deaths are not on record.
    NoRecord,
}

/// Calls the supervisor.
#[derive(Debug)]
pub struct Client<C>(pub C);

impl<C: Carrier> Client<C> {
    fn done(&mut self, number: RequestNumber, request: &Request) -> Result<(), CallError<Error>> {
        match call::call(&mut self.0, number, request, &[], &[])? {
            Reply::Done => Ok(()),
            _ => Err(CallError::Malformed),
        }
    }

    /// Says that this instance serves.
    ///
    /// # Errors
    /// [`Error::Stale`] if it is not the current instance.
    pub fn up(&mut self, number: RequestNumber) -> Result<(), CallError<Error>> {
        self.done(number, &Request::Up)
    }

    /// Reports why this instance is about to die; what does not fit into [`MAX_REPORT`] is cut off.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn crash_report(&mut self, number: RequestNumber, text: &str) -> Result<(), CallError<Error>> {
        self.done(number, &Request::CrashReport { text: truncated(text) })
    }

    /// Turns the machine off.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for services without that power.
    pub fn power_off(&mut self, number: RequestNumber, status: u8) -> Result<(), CallError<Error>> {
        self.done(number, &Request::PowerOff { status })
    }

    /// How `service` is.
    ///
    /// # Errors
    /// [`Error::UnknownService`].
    pub fn status(&mut self, number: RequestNumber, service: u8) -> Result<Status, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Status { service }, &[], &[])? {
            Reply::Status(status) => Ok(status),
            _ => Err(CallError::Malformed),
        }
    }

    /// Ends `service`'s instance, or revives it.
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NotAllowed`].
    pub fn restart(&mut self, number: RequestNumber, service: u8) -> Result<(), CallError<Error>> {
        self.done(number, &Request::Restart { service })
    }

    /// Makes `service`'s instance die.
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NotAllowed`], [`Error::NotRunning`].
    pub fn crash(&mut self, number: RequestNumber, service: u8, how: How) -> Result<(), CallError<Error>> {
        self.done(number, &Request::Crash { service, how })
    }

    /// How the `index`-th service of the manifest is.
    ///
    /// # Errors
    /// [`Error::UnknownService`] behind the last one.
    pub fn health(&mut self, number: RequestNumber, index: u8) -> Result<Health, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Health { index }, &[], &[])? {
            Reply::Health(health) => Ok(health),
            _ => Err(CallError::Malformed),
        }
    }

    /// The `nth`-last death.
    ///
    /// # Errors
    /// [`Error::NoRecord`] behind the oldest one.
    pub fn record(&mut self, number: RequestNumber, nth: u8) -> Result<Crash, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Record { nth }, &[], &[])? {
            Reply::Record(crash) => Ok(crash),
            _ => Err(CallError::Malformed),
        }
    }

    /// What `service`'s instance logged.
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NotRunning`].
    pub fn log(&mut self, number: RequestNumber, service: u8, from: u64) -> Result<Logged, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Log { service, from }, &[], &[])? {
            Reply::Log(logged) => Ok(logged),
            _ => Err(CallError::Malformed),
        }
    }
}

impl<C: Carrier> Client<C> {
    /// What threads did, and whether that is recorded from now on.
    ///
    /// # Errors
    /// [`Error::NotAllowed`].
    pub fn trace(&mut self, number: RequestNumber, on: Option<bool>, from: u64) -> Result<Traced, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Trace { on, from }, &[], &[])? {
            Reply::Trace(traced) => Ok(traced),
            _ => Err(CallError::Malformed),
        }
    }
}

/// The longest start of `text` that fits.
fn truncated<const N: usize>(text: &str) -> String<N> {
    let mut short = String::new();
    for character in text.chars() {
        if short.push(character).is_err() {
            break;
        }
    }
    short
}

/// The supervisor's side. `from` is the badge of the caller.
pub trait Service {
    /// See [`Request::Up`].
    ///
    /// # Errors
    /// [`Error::Stale`].
    fn up(&mut self, from: Badge) -> Result<(), Error>;

    /// See [`Request::CrashReport`].
    ///
    /// # Errors
    /// [`Error::UnknownService`].
    fn crash_report(&mut self, from: Badge, text: &str) -> Result<(), Error>;

    /// See [`Request::PowerOff`].
    ///
    /// # Errors
    /// [`Error::NotAllowed`].
    fn power_off(&mut self, from: Badge, status: u8) -> Result<(), Error>;

    /// See [`Request::Status`].
    ///
    /// # Errors
    /// [`Error::UnknownService`].
    fn status(&mut self, from: Badge, service: u8) -> Result<Status, Error>;

    /// See [`Request::Restart`].
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NotAllowed`].
    fn restart(&mut self, from: Badge, number: RequestNumber, service: u8) -> Result<(), Error>;

    /// See [`Request::Crash`].
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NotAllowed`], [`Error::NotRunning`].
    fn crash(&mut self, from: Badge, number: RequestNumber, service: u8, how: How) -> Result<(), Error>;

    /// See [`Request::Health`].
    ///
    /// # Errors
    /// [`Error::UnknownService`].
    fn health(&mut self, index: u8) -> Result<Health, Error>;

    /// See [`Request::Record`].
    ///
    /// # Errors
    /// [`Error::NoRecord`].
    fn record(&mut self, nth: u8) -> Result<Crash, Error>;

    /// See [`Request::Log`].
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NotRunning`].
    fn log(&mut self, service: u8, from: u64) -> Result<Logged, Error>;

    /// See [`Request::Trace`].
    ///
    /// # Errors
    /// [`Error::NotAllowed`].
    fn trace(&mut self, from: Badge, on: Option<bool>, start: u64) -> Result<Traced, Error>;
}

/// Answers one request.
pub fn serve(service: &mut (impl Service + ?Sized), caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
    let (from, number) = (Badge::from_word(caller.badge()), caller.number());
    serve::dispatch(request, reply, Error::Malformed, |request: &Request| match request {
        Request::Up => service.up(from).map(|()| Reply::Done),
        Request::CrashReport { text } => service.crash_report(from, text).map(|()| Reply::Done),
        Request::PowerOff { status } => service.power_off(from, *status).map(|()| Reply::Done),
        Request::Status { service: id } => service.status(from, *id).map(Reply::Status),
        Request::Restart { service: id } => service.restart(from, number, *id).map(|()| Reply::Done),
        Request::Crash { service: id, how } => service.crash(from, number, *id, *how).map(|()| Reply::Done),
        Request::Health { index } => service.health(*index).map(Reply::Health),
        Request::Record { nth } => service.record(*nth).map(Reply::Record),
        Request::Log { service: id, from } => service.log(*id, *from).map(Reply::Log),
        Request::Trace { on, from: start } => service.trace(from, *on, *start).map(Reply::Trace),
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_REPORT, truncated};

    #[test]
    fn report_is_cut_between_characters() {
        let long = "ä".repeat(MAX_REPORT);
        let short = truncated::<MAX_REPORT>(&long);
        assert_eq!(short.len(), MAX_REPORT);
        assert!(short.chars().all(|character| character == 'ä'));
    }
}
