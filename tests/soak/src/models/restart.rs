//! The restart protocol: [`protocols::call::call`] above, the kernel on its machine of plain memory below, and a server that keeps a sum and
//! the results of its requests in saved state ([`libsys::lane`]).
//!
//! A history is a sequence of requests by two callers. A run is a history with at most two deaths of the server. It may die at every
//! *point*: when a request has been sent but not received, when it was received, at each store to saved memory of the work and of the
//! recovery, and when the work is done but not answered. What must hold: each caller gets its answer, as if nobody had died, and the sum
//! is that of all requests, each once. The kernel's own invariants are checked by `World` after every trap.

use std::collections::HashSet;

use abi::{Error, Label, Lease, Operation, RequestNumber, Rights};
use libsys::host::crash_or_count;
use libsys::lane::{Lanes, Verdict};
use libsys::saved::{Area, Cell};
use microkernel::fake::{Message, Process, World};
use microkernel::page::Ref;
use microkernel::thread::{State as Doing, Thread};
use protocols::call::{CallError, Carrier, call};
use protocols::wire;

use super::{Explored, sequences};

/// Slots of server and client in which they have the endpoint, and the server its Reply.
const ENDPOINT: u32 = 10;
const REPLY: u32 = 11;
const CALLERS: usize = 2;
/// What a request may add; a caller and an amount are a choice.
const AMOUNTS: [u64; 2] = [1, 1000];
/// States of an endpoint.
const OPEN: u64 = 0;
const HELD: u64 = 1;
const PAGES: u32 = 512;

#[allow(unsafe_code, reason = "the macro of saved state stands for an unsafe trait")]
mod state {
    use super::{Cell, Lanes};

    libsys::saved_state! {
        /// What the server remembers.
        pub(super) struct State: 1 {
            pub(super) sum: Cell<u64>,
            pub(super) lanes: Lanes<8>,
        }
    }
}
use state::State;

/// Counts points down to the next death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deaths {
    /// Points to pass before each death; a death that never comes is one behind the last point.
    left: [u64; 2],
    /// Deaths so far.
    done: usize,
    /// Points passed since the last death.
    passed: u64,
}

impl Deaths {
    fn new(first: u64, second: u64) -> Self {
        Self { left: [first, second], done: 0, passed: 0 }
    }

    /// Points to go until the next death.
    fn until_next(&self) -> Option<u64> {
        self.left.get(self.done).map(|at| at - self.passed)
    }

    /// Passes a point; whether the server dies of it.
    fn pass(&mut self) -> bool {
        let dies = self.until_next() == Some(0);
        if dies {
            self.died()
        } else {
            self.passed += 1
        }
        dies
    }

    fn died(&mut self) {
        self.done += 1;
        self.passed = 0;
    }
}

/// A run.
struct Run {
    world: World,
    area: &'static Area<State>,
    endpoint: u32,
    server: Process,
    clients: [Process; CALLERS],
    deaths: Deaths,
    /// States in which the server died.
    died_in: Vec<u64>,
    /// The sum as the recovery after the last death found it.
    recovered_sum: Option<u64>,
}

/// The system before anything was asked; each run works on a copy.
fn opening() -> (World, u32, Process, [Process; CALLERS]) {
    let mut world = World::with_pages(PAGES);
    let endpoint = world.endpoint();
    let server = instance(&mut world, endpoint);
    let clients = std::array::from_fn(|_| world.spawn());
    for (badge, client) in (1..).zip(&clients) {
        world.give_badged(client, ENDPOINT, endpoint, Rights::CALL, badge);
    }
    (world, endpoint, server, clients)
}

fn instance(world: &mut World, endpoint: u32) -> Process {
    let server = world.spawn();
    world.give(&server, ENDPOINT, endpoint, Rights::RECEIVE);
    world.run(server.thread, 0, Operation::SetReplySlot, &[u64::from(REPLY)]).expect("an index of the table");
    server
}

impl Run {
    fn new(deaths: Deaths) -> Self {
        thread_local! {
            static OPENING: (World, u32, Process, [Process; CALLERS]) = opening();
        }
        let (world, endpoint, server, clients) = OPENING.with(Clone::clone);
        Self { world, area: Area::on_host(), endpoint, server, clients, deaths, died_in: Vec::new(), recovered_sum: None }
    }

    /// The whole history; what went wrong.
    fn play(&mut self, history: &[usize]) -> Result<(), String> {
        let mut sum = 0u64;
        let mut numbers: [RequestNumber; CALLERS] = std::array::from_fn(|caller| RequestNumber::new(7, caller as u16 + 1, 1, 0));
        for choice in history {
            let (caller, amount) = (choice % CALLERS, AMOUNTS[choice / CALLERS]);
            sum += amount;
            let number = numbers[caller];
            numbers[caller] = number.next();
            let mut carrier = Calling { run: self, caller };
            let answer: Result<u64, CallError<u8>> = call(&mut carrier, number, &amount, &[], &[]);
            if answer != Ok(sum) {
                return Err(format!("caller {caller} got {answer:?} instead of {sum}"));
            }
        }
        let kept = self.area.state().sum.get();
        if kept == sum { Ok(()) } else { Err(format!("the sum is {kept} instead of {sum}")) }
    }

    /// Whether a thread that called has what became of it.
    fn is_answered(&mut self, thread: Ref<Thread>) -> bool {
        matches!(self.world.state(thread), Doing::Runnable)
    }

    /// The server takes the call that was made and answers it, or dies.
    fn serve(&mut self) {
        if self.deaths.pass() {
            return self.die();
        }
        self.world.receive(self.server.thread, ENDPOINT);
        let request = self.world.received(self.server.thread);
        if self.deaths.pass() {
            return self.die();
        }
        let bytes = request.words.iter().flat_map(|word| word.to_le_bytes()).take(request.label.bytes()).collect::<Vec<u8>>();
        let area = self.area;
        let Some(answer) = self.storing(|| work(area, RequestNumber(request.number), &bytes)) else { return self.die() };
        if self.deaths.pass() {
            return self.die();
        }
        let answered = self.world.reply(self.server.thread, REPLY, &packed(&answer, RequestNumber::default()));
        assert!(answered.is_ok(), "{answered:?}");
    }

    /// Runs work whose stores are points; none if the server died of one.
    fn storing<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let Some(to_go) = self.deaths.until_next() else { return Some(work()) };
        match crash_or_count(to_go, work) {
            None => {
                self.deaths.died();
                None
            }
            Some((value, stores)) => {
                self.deaths.passed += stores;
                Some(value)
            }
        }
    }

    /// The server is dead: what the supervisor does then, and the successor's recovery.
    fn die(&mut self) {
        self.died_in.push(fingerprint(self.area));
        self.world.must(self.endpoint, Operation::SetState, &[HELD, 0]);
        self.world.must(self.server.handle, Operation::ThreadStop, &[]);
        while self.world.must(self.server.table, Operation::Kill, &[]) != 0 {}
        self.server = instance(&mut self.world, self.endpoint);
        let area = self.area;
        while self.storing(|| area.recover()).is_none() {
            self.died_in.push(fingerprint(self.area));
        }
        self.recovered_sum = Some(area.state().sum.get());
        self.world.must(self.endpoint, Operation::SetState, &[OPEN, 0]);
    }
}

/// What a server does with a request: the check, the effect and its result in one transaction, the answer.
fn work(area: &Area<State>, number: RequestNumber, request: &[u8]) -> Vec<u8> {
    let state = area.state();
    let sum = match state.lanes.check(number) {
        Verdict::Done(result) => result.first_chunk().map(|sum| u64::from_le_bytes(*sum)),
        Verdict::Stale => None,
        Verdict::Fresh => wire::decode::<u64>(request).ok().and_then(|amount| {
            let transaction = area.begin();
            let sum = state.sum.get() + amount;
            state.sum.set(&transaction, sum);
            state.lanes.record(&transaction, number, &sum.to_le_bytes()).ok()?;
            transaction.commit();
            Some(sum)
        }),
    };
    let mut answer = vec![0; 64];
    let length = wire::encode(&sum.ok_or(0u8), &mut answer).expect("it is short");
    answer.truncate(length);
    answer
}

/// Bytes in registers.
fn packed(bytes: &[u8], number: RequestNumber) -> Message {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    let words = bytes.chunks(8).map(word).collect();
    Message { label: Label::new(bytes.len()), words, ..Message::default() }.numbered(number)
}

/// A number that differs where what lies in the area does.
fn fingerprint(area: &Area<State>) -> u64 {
    // SAFETY: the area is that large, this thread alone has it, and it consists of words.
    #[allow(unsafe_code, reason = "a dead server's memory is looked at as it lies there")]
    let bytes = unsafe { std::slice::from_raw_parts((&raw const *area).cast::<u8>(), Area::<State>::BYTES) };
    abi::boot::checksum(bytes)
}

/// One caller: its thread calls in the kernel, and what the kernel says is what the stub hears.
struct Calling<'a> {
    run: &'a mut Run,
    caller: usize,
}

impl Carrier for Calling<'_> {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        let thread = self.run.clients[self.caller].thread;
        self.run.world.call(thread, ENDPOINT, &packed(message, number));
        while !self.run.is_answered(thread) {
            self.run.serve();
        }
        let words = self.run.world.outcome(thread)?;
        let length = self.run.world.received(thread).label.bytes();
        for (to, from) in reply.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes())).take(length) {
            *to = from;
        }
        Ok(length)
    }
}

impl Drop for Run {
    #[allow(unsafe_code, reason = "an area lives until somebody says otherwise")]
    fn drop(&mut self) {
        // SAFETY: the run is over, and nothing else knows of its area.
        unsafe { self.area.free_on_host() };
    }
}

/// All histories of exactly `length` requests, each with every pair of deaths.
pub(super) fn explore(length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    let mut states = HashSet::new();
    let complete = sequences(length, CALLERS * AMOUNTS.len(), |history| {
        if !go_on() {
            return Ok(false);
        }
        explored.histories += 1;
        explore_one(history, go_on, explored, &mut states)
    })?;
    explored.states += states.len() as u64;
    Ok(complete)
}

/// Every first death with every second one; the last of both is the run in which it does not come.
fn explore_one(history: &[usize], go_on: &dyn Fn() -> bool, explored: &mut Explored, states: &mut HashSet<u64>) -> Result<bool, String> {
    for first in 0.. {
        for second in 0.. {
            if !go_on() {
                return Ok(false);
            }
            let mut run = Run::new(Deaths::new(first, second));
            run.play(history).map_err(|why| format!("history {history:?}, deaths at {first} and {second}: {why}"))?;
            explored.runs += 1;
            states.extend(&run.died_in);
            match run.deaths.done {
                0 => return Ok(true),
                1 => break,
                _ => {}
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model is worth nothing if it does not notice: a server that forgets to check is caught.
    #[test]
    fn a_death_between_commit_and_answer_is_among_the_points() {
        let mut redelivered = 0;
        for first in 0..200 {
            let mut run = Run::new(Deaths::new(first, u64::MAX));
            assert_eq!(run.play(&[0]), Ok(()));
            let sum_was_there = run.deaths.done == 1 && run.recovered_sum == Some(AMOUNTS[0]);
            redelivered += u32::from(sum_was_there);
        }
        assert!(redelivered > 0, "no death fell between the commit and the answer");
    }
}
