//! The probe: calls the victim as any server calls another, through the typed client, and logs what came of it.
//!
//! It never looks at whether the victim lives. That is what it shows: a caller sees results, the retry after a death is the stub's. Each check logs
//! `probe: NAME ok` or `probe: NAME failed`, and the last line is `probe: done`. With `probe=garbage` among this run's options it sends what is no
//! request instead ([`garbage`]), to every server; with `probe=memory` it uses 2 MiB pages ([`memory`]); with
//! `probe=closed` it sees the victim given up and revived ([`closed`]); with `probe=attack` it attacks the kernel ([`attack`]).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attack;
pub mod bench;
pub mod closed;
pub mod garbage;
pub mod memory;

use core::fmt::Write as _;

use abi::RequestNumber;
use heapless::String;
use protocols::call::{CallError, Carrier};
use protocols::service::Service;
use protocols::victim::{Client, How, MAX_ECHO};

/// Rounds of sums between and after the deaths.
const SUMS: u64 = 100;
/// Work for the victim's helper, and pauses to wait for it: a minute, far longer than it takes.
const UNITS: u64 = 100;
const PATIENCE: u32 = 6000;
/// Lengths of echo that meet every path of a message: empty, in registers, at their limit, beyond it, and the longest one.
const ECHOES: [usize; 5] = [0, 8, 61, 200, MAX_ECHO];

/// What the probe needs beside the victim.
pub trait Outside {
    /// The number of the next request.
    fn next_number(&mut self) -> RequestNumber;
    /// Logs a line.
    fn log(&mut self, line: &str);
    /// Lets others have the processor for some milliseconds.
    fn pause(&mut self);
}

/// Runs all checks; returns how many failed.
pub fn run(carrier: impl Carrier, outside: &mut impl Outside) -> u32 {
    let mut client = Client(carrier);
    let mut failed = 0;
    let mut check = |name: &str, outside: &mut dyn Outside, passed: bool| {
        report(name, outside, passed);
        failed += u32::from(!passed);
    };
    let passed = sums(&mut client, outside);
    check("add", outside, passed);
    let passed = echoes(&mut client, outside);
    check("echo", outside, passed);
    let passed = counts(&mut client, outside);
    check("count", outside, passed);
    for (name, how) in [("panic", How::Panic), ("wild", How::Wild), ("overflow", How::Overflow), ("hang", How::Hang)] {
        let passed = client.crash(outside.next_number(), how, true).is_ok() && sums(&mut client, outside);
        check(name, outside, passed);
    }
    let passed = poison(&mut client, outside);
    check("poison", outside, passed);
    let passed = helper(&mut client, outside);
    check("helper", outside, passed);
    outside.log("probe: done");
    failed
}

fn report(name: &str, outside: &mut dyn Outside, passed: bool) {
    let mut line = String::<64>::new();
    // Names are short literals.
    let _fits = write!(line, "probe: {name} {}", if passed { "ok" } else { "failed" });
    outside.log(&line);
}

/// Whether this run's options ask for [`send_garbage`] instead of [`run`].
#[must_use]
pub fn wants_garbage(options: &str) -> bool {
    options.lines().any(|line| line.trim() == "probe=garbage")
}

/// Sends what is no request to every server, each behind the carrier that `to` gives.
pub fn send_garbage<C: Carrier>(mut to: impl FnMut(Service) -> C, outside: &mut impl Outside) {
    for service in garbage::SERVICES {
        let sent = garbage::run(service, &mut to(service), outside);
        report(service.name(), outside, sent.is_some());
        let mut line = String::<64>::new();
        // A name and a number are short.
        let _fits = write!(line, "probe: {} answered {}", service.name(), sent.unwrap_or_default());
        outside.log(&line);
    }
    outside.log("probe: done");
}

/// The victim's helper does its work while the victim answers; a successor's helper begins anew.
fn helper(client: &mut Client<impl Carrier>, outside: &mut impl Outside) -> bool {
    if client.work(outside.next_number(), UNITS) != Ok(0) {
        return false;
    }
    // Each call takes the processor from the helper; in between nobody does.
    let finished = (0..PATIENCE).any(|_| {
        outside.pause();
        client.work(outside.next_number(), 0) == Ok(UNITS)
    });
    finished && client.crash(outside.next_number(), How::Panic, true).is_ok() && client.work(outside.next_number(), 1) == Ok(0)
}

/// A request that kills the victim every time is refused, and the victim serves the next one.
fn poison(client: &mut Client<impl Carrier>, outside: &mut impl Outside) -> bool {
    client.crash(outside.next_number(), How::Wild, false) == Err(CallError::Poisoned) && sums(client, outside)
}

fn sums(client: &mut Client<impl Carrier>, outside: &mut impl Outside) -> bool {
    (0..SUMS).all(|round| client.add(outside.next_number(), round, 7) == Ok(round + 7))
}

/// A count that grows by what is added and by nothing else, whoever dies of it meanwhile.
fn counts(client: &mut Client<impl Carrier>, outside: &mut impl Outside) -> bool {
    let Ok(start) = client.count(outside.next_number(), 0) else { return false };
    let mut expected = start;
    (0..SUMS).all(|round| {
        expected = expected.wrapping_add(round);
        client.count(outside.next_number(), round) == Ok(expected)
    })
}

fn echoes(client: &mut Client<impl Carrier>, outside: &mut impl Outside) -> bool {
    let mut bytes = [0; MAX_ECHO];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = index as u8;
    }
    ECHOES.into_iter().filter_map(|length| bytes.get(..length)).all(|sent| {
        let back = client.echo(outside.next_number(), sent);
        back.is_ok_and(|back| back.as_slice() == sent)
    })
}

#[cfg(test)]
mod tests;
