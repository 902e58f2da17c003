//! /proc/synos: what the supervisor knows of the servers, and the file by which root ends and revives them.
//!
//! A program has no capability, so posix asks on its behalf. Everything is text of lines, first the name of what they say, for awk as for `svc`:
//! `services` has a line for each server under a line of titles, `crashes` a paragraph for each recorded death, the newest first, and `log.NAME` what
//! that server's present instance logged last. `control` takes one command a write: `restart NAME` or `crash NAME panic|wild|overflow|hang`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use protocols::call::CallError;
use protocols::crash::Crash;
use protocols::manifest::{OnGivingUp, Restart};
use protocols::service::Service;
use protocols::supervisor::{Client, Error, Health, State};
use protocols::victim::How;

use super::Entry;
use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::io::Data;
use crate::kernel::Port;
use crate::syscall::uname;

/// Files of /proc/synos; an entry's number is its place here.
pub(super) const FILES: [&str; 7] = ["unimplemented", "version", "calls", "services", "crashes", "control", "trace"];
const CONTROL: u16 = 5;
/// What everybody does, which is for root alone.
pub(super) const TRACE: u16 = 6;
/// An entry's number from here on is a log: of the service with the number above it.
const LOGS: u16 = 0x100;
const LOG_PREFIX: &str = "log.";
/// Parts of the trace that are read at most: more than the kernel keeps.
const TRACE_PARTS: usize = 80;
/// Longest command.
const MAX_COMMAND: usize = 64;
/// Bytes of a log that are shown: what an instance keeps.
const LOG_BYTES: usize = libsys::log::ring::ROOM;

const TITLES: &str = "name state instance deaths age_us pause_us own_us calls threads priority restart backoff_ms backoff_most_ms burst per_ms watchdog_ms helper_watchdog_ms on_giving_up";

/// The place of a name.
pub(super) fn find(name: &[u8]) -> Option<u16> {
    let log = || core::str::from_utf8(name).ok()?.strip_prefix(LOG_PREFIX).and_then(Service::from_name).map(|service| LOGS | u16::from(service.id()));
    super::place(&FILES, name).or_else(log)
}

/// The name of a place.
pub(super) fn name(file: u16) -> String {
    match Service::from_id(file as u8).filter(|_| file >= LOGS) {
        Some(service) => format!("{LOG_PREFIX}{}", service.name()),
        None => FILES.get(usize::from(file)).copied().unwrap_or_default().into(),
    }
}

/// Whether a place can be written, by root.
#[must_use]
pub const fn is_control(entry: Entry) -> bool {
    matches!(entry, Entry::SynosFile(CONTROL))
}

/// A command of `control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Restart(Service),
    Crash(Service, How),
    Trace(bool),
}

impl Command {
    fn parse(text: &str) -> Result<Self, Errno> {
        let mut words = text.split_ascii_whitespace();
        let (verb, name, how) = (words.next(), words.next(), words.next());
        if words.next().is_some() {
            return Err(Errno::EINVAL);
        }
        let service = || name.and_then(Service::from_name).ok_or(Errno::ESRCH);
        match (verb, how) {
            (Some("restart"), None) => Ok(Self::Restart(service()?)),
            (Some("crash"), Some(how)) => Ok(Self::Crash(service()?, way(how).ok_or(Errno::EINVAL)?)),
            (Some("trace"), None) if matches!(name, Some("on" | "off")) => Ok(Self::Trace(name == Some("on"))),
            _ => Err(Errno::EINVAL),
        }
    }
}

fn way(name: &str) -> Option<How> {
    Some(match name {
        "panic" => How::Panic,
        "wild" => How::Wild,
        "overflow" => How::Overflow,
        "hang" => How::Hang,
        _ => return None,
    })
}

fn errno(error: CallError<Error>) -> Errno {
    match error {
        CallError::Service(Error::UnknownService | Error::NotRunning) => Errno::ESRCH,
        CallError::Service(Error::NotAllowed) => Errno::EPERM,
        _ => Errno::EIO,
    }
}

impl Call<'_, '_> {
    fn supervisor(&mut self) -> Client<Port<'_>> {
        Client(Port { kernel: self.posix.kernel, service: Service::Supervisor })
    }

    pub(super) fn synos_text(&mut self, file: u16) -> Result<Vec<u8>, Stop> {
        if let Some(service) = Service::from_id(file as u8).filter(|_| file >= LOGS) {
            return self.log_text(service);
        }
        let text = match file {
            0 | 2 => self.calls_text(file == 2),
            1 => format!("{}\n", uname::RELEASE),
            3 => self.services_text()?,
            4 => self.crashes_text()?,
            TRACE => self.trace_text()?,
            _ => String::new(),
        };
        Ok(text.into_bytes())
    }

    fn services_text(&mut self) -> Result<String, Stop> {
        let mut text = format!("{TITLES}\n");
        for index in 0..u8::MAX {
            let number = self.ask();
            match self.supervisor().health(number, index) {
                Ok(health) => text.push_str(&line(&health)),
                Err(CallError::Service(Error::UnknownService)) => break,
                Err(error) => return Err(errno(error).into()),
            }
        }
        Ok(text)
    }

    fn crashes_text(&mut self) -> Result<String, Stop> {
        let mut text = String::new();
        for nth in 0..u8::MAX {
            let number = self.ask();
            match self.supervisor().record(number, nth) {
                Ok(crash) => text.push_str(&paragraph(&crash)),
                Err(CallError::Service(Error::NoRecord)) => break,
                Err(error) => return Err(errno(error).into()),
            }
        }
        Ok(text)
    }

    /// What threads did, a line a record. Each call is answered for what there was when it came, so that reading ends while tracing goes on.
    fn trace_text(&mut self) -> Result<String, Stop> {
        let (mut text, mut from, mut parts) = (String::new(), 0, 0);
        loop {
            let number = self.ask();
            let part = self.supervisor().trace(number, None, from).map_err(errno)?;
            if part.records.is_empty() || parts == TRACE_PARTS {
                return Ok(text);
            }
            part.records.iter().for_each(|words| text.push_str(&self.posix.traced((*words).into())));
            from = part.next;
            parts += 1;
        }
    }

    /// A server without an instance has logged nothing.
    fn log_text(&mut self, service: Service) -> Result<Vec<u8>, Stop> {
        let (mut bytes, mut from) = (Vec::new(), 0);
        while bytes.len() < LOG_BYTES {
            let number = self.ask();
            match self.supervisor().log(number, service.id(), from) {
                Ok(part) if part.bytes.is_empty() => break,
                Ok(part) => {
                    bytes.extend_from_slice(&part.bytes);
                    from = part.next;
                }
                Err(CallError::Service(Error::NotRunning)) => break,
                Err(error) => return Err(errno(error).into()),
            }
        }
        Ok(bytes)
    }

    /// A command to the supervisor, done once for its request: we may be the one who dies of it, and then the write is delivered again.
    pub(super) fn control(&mut self, from: Data<'_>) -> SysResult {
        if self.me().uid[1] != 0 {
            return Err(Errno::EPERM.into());
        }
        let mut bytes = [0; MAX_COMMAND];
        let bytes = bytes.get_mut(..from.length()).ok_or(Errno::EINVAL)?;
        self.fetch(from, 0, bytes)?;
        let command = Command::parse(core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?)?;
        let number = self.effect();
        let done = match command {
            Command::Restart(service) => self.supervisor().restart(number, service.id()),
            Command::Crash(service, how) => self.supervisor().crash(number, service.id(), how),
            Command::Trace(on) => self.supervisor().trace(number, Some(on), u64::MAX).map(drop),
        };
        done.map_err(errno)?;
        Ok(from.length() as u64)
    }
}

const fn state_name(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Starting => "starting",
        State::Up => "up",
        State::GivenUp => "given-up",
    }
}

fn service_name(id: u8) -> &'static str {
    Service::from_id(id).map_or("unknown", Service::name)
}

/// What changes all the time has a fixed width: a reader that asks for the rest must find the end where it was.
fn line(health: &Health) -> String {
    let Health { service, status, deaths, threads, priority, age_us, pause_us, own_us, calls, policy } = *health;
    let restart = match policy.restart {
        Restart::Always => "always",
        Restart::Never => "never",
    };
    let giving_up = match policy.on_giving_up {
        OnGivingUp::Close => "close",
        OnGivingUp::PowerOff => "power-off",
    };
    let (name, state, instance) = (service_name(service), state_name(status.state), status.instance);
    let [first, most, burst, per] = [policy.backoff_ms, policy.backoff_most_ms, policy.burst, policy.per_ms];
    let (watchdog, helper) = (policy.watchdog_ms, policy.helper_watchdog_ms);
    format!(
        "{name} {state} {instance} {deaths} {age_us:16} {pause_us:16} {own_us:16} {calls:16} {threads} {priority} {restart} {first} {most} {burst} {per} {watchdog} {helper} {giving_up}\n"
    )
}

/// A string grows as needed, so writing to one cannot fail.
fn paragraph(crash: &Crash) -> String {
    let mut text =
        format!("service {}\ninstance {}\nat_us {}\nlived_us {}\n", service_name(crash.service), crash.instance, crash.at_us, crash.lived_us);
    let _infallible = writeln!(text, "cause {}", crash.cause);
    if let Some(down) = crash.down_us {
        let _infallible = writeln!(text, "down_us {down}");
    }
    if let Some(request) = &crash.request {
        let _infallible = writeln!(text, "request {request}");
    }
    for line in crash.words.lines() {
        let _infallible = writeln!(text, "words {line}");
    }
    if let Some(thread) = crash.thread {
        let _infallible = writeln!(text, "thread {thread}");
    }
    if let Some(registers) = &crash.registers {
        let _infallible = writeln!(text, "registers {registers}");
    }
    for address in &crash.backtrace {
        let _infallible = writeln!(text, "return {address:#x}");
    }
    for line in crash.log.lines() {
        let _infallible = writeln!(text, "log {line}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{Command, FILES, find, name};
    use crate::errno::Errno;
    use protocols::service::Service;
    use protocols::victim::How;

    #[test]
    fn commands_are_words_on_one_line() {
        assert_eq!(Command::parse("restart vfs\n"), Ok(Command::Restart(Service::Vfs)));
        assert_eq!(Command::parse(" crash  posix hang"), Ok(Command::Crash(Service::Posix, How::Hang)));
        assert_eq!(["trace on", "trace off"].map(Command::parse), [Ok(Command::Trace(true)), Ok(Command::Trace(false))]);
        for (text, errno) in [
            ("", Errno::EINVAL),
            ("restart", Errno::ESRCH),
            ("trace", Errno::EINVAL),
            ("trace on now", Errno::EINVAL),
            ("restart nobody", Errno::ESRCH),
            ("restart vfs panic", Errno::EINVAL),
            ("crash vfs", Errno::EINVAL),
            ("crash vfs gently", Errno::EINVAL),
            ("crash vfs wild now", Errno::EINVAL),
            ("stop vfs", Errno::EINVAL),
        ] {
            assert_eq!(Command::parse(text), Err(errno), "{text:?}");
        }
    }

    #[test]
    fn names_and_places_belong_together() {
        for (place, file) in (0..).zip(FILES) {
            assert_eq!((find(file.as_bytes()), name(place).as_str()), (Some(place), file));
        }
        for service in Service::ALL {
            let file = alloc::format!("log.{}", service.name());
            assert_eq!(find(file.as_bytes()).map(name), Some(file));
        }
        assert_eq!(find(b"log.nobody"), None);
    }
}
