//! The restart protocol: [`protocols::call::call`] above, the kernel on its machine of plain memory below, and servers that keep a sum and
//! the results of their requests in saved state ([`libsys::lane`]).
//!
//! A history is a sequence of requests by two callers. A run is a history with at most two deaths. Servers stand in a row: the first asks the second under
//! a number derived from its caller's before it does its own work. Whoever is in the middle of something may die at every *point*: when a
//! request has been sent but not received, when it was received, at each store to saved memory of the work and of the
//! recovery, and when the work is done but not answered; and so may, at the points between stores, whoever waits for it. What must hold: each caller gets its answer, as if nobody
//! had died, and every sum is that of all requests, each once. The kernel's own invariants are checked by `World` after every trap.
//!
//! `Bug` names what the model must not miss; its tests plant each.

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

/// Slots in which a server has its endpoint and its Reply, and who asks has the endpoint of the one asked.
const ENDPOINT: u32 = 10;
const REPLY: u32 = 11;
const ASKED: u32 = 12;
/// Servers in a row at most.
const MOST_DEPTH: usize = 2;
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

/// What servers and callers may get wrong, for the model to be tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// Nothing.
    None,
    /// A server does not look whether it has done a request already.
    NoCheck,
    /// A request's result is committed after its effect and not with it.
    ResultApart,
    /// A caller makes two requests under one number.
    NumberReused,
    /// The first server asks the second under a number of its own.
    NumberNotDerived,
}

/// A server: what outlives its instances, and the present one.
struct Server {
    area: &'static Area<State>,
    endpoint: u32,
    process: Process,
    /// How often it died.
    deaths: usize,
}

/// A run.
struct Run {
    world: World,
    servers: Vec<Server>,
    clients: [Process; CALLERS],
    deaths: Deaths,
    bug: Bug,
    /// Numbers that the first server gave of its own ([`Bug::NumberNotDerived`]).
    own_numbers: RequestNumber,
    /// States in which a server died.
    died_in: Vec<u64>,
    /// The sum as the recovery after the last death found it.
    recovered_sum: Option<u64>,
}

/// The kernel, each server's endpoint and process, and the callers.
type Opening = (World, Vec<(u32, Process)>, [Process; CALLERS]);

/// The system before anything was asked; each run works on a copy.
fn opening() -> Opening {
    let mut world = World::with_pages(PAGES);
    let endpoints = [0; MOST_DEPTH].map(|_| world.endpoint());
    let servers: Vec<_> = (0..MOST_DEPTH).map(|level| (endpoints[level], instance(&mut world, &endpoints, level))).collect();
    let clients = std::array::from_fn(|_| world.spawn());
    for (badge, client) in (1..).zip(&clients) {
        world.give_badged(client, ASKED, endpoints[0], Rights::CALL, badge);
    }
    (world, servers, clients)
}

fn instance(world: &mut World, endpoints: &[u32], level: usize) -> Process {
    let server = world.spawn();
    world.give(&server, ENDPOINT, endpoints[level], Rights::RECEIVE);
    if let Some(below) = endpoints.get(level + 1) {
        world.give_badged(&server, ASKED, *below, Rights::CALL, 7);
    }
    world.run(server.thread, 0, Operation::SetReplySlot, &[u64::from(REPLY)]).expect("an index of the table");
    server
}

impl Run {
    fn new(depth: usize, deaths: Deaths, bug: Bug) -> Self {
        thread_local! {
            static OPENING: Opening = opening();
        }
        let (world, servers, clients) = OPENING.with(Clone::clone);
        let server = |(endpoint, process)| Server { area: Area::on_host(), endpoint, process, deaths: 0 };
        let servers = servers.into_iter().take(depth).map(server).collect();
        let own_numbers = RequestNumber::new(8, 3, 1, 0);
        Self { world, servers, clients, deaths, bug, own_numbers, died_in: Vec::new(), recovered_sum: None }
    }

    /// The whole history; what went wrong.
    fn play(&mut self, history: &[usize]) -> Result<(), String> {
        let mut sum = 0u64;
        let mut numbers: [RequestNumber; CALLERS] = std::array::from_fn(|caller| RequestNumber::new(7, caller as u16 + 1, 1, 0));
        for choice in history {
            let (caller, amount) = (choice % CALLERS, AMOUNTS[choice / CALLERS]);
            sum += amount;
            let number = numbers[caller];
            if self.bug != Bug::NumberReused {
                numbers[caller] = number.next();
            }
            let thread = self.clients[caller].thread;
            let answer = self.ask(thread, 0, number, amount, None);
            if answer != Ok(sum) {
                return Err(format!("caller {caller} got {answer:?} instead of {sum}"));
            }
        }
        for (level, server) in self.servers.iter().enumerate() {
            let kept = server.area.state().sum.get();
            if kept != sum {
                return Err(format!("the sum of server {level} is {kept} instead of {sum}"));
            }
        }
        Ok(())
    }

    /// A thread asks the server of a level to add something; `of` is the level of the server whose thread it is.
    fn ask(&mut self, thread: Ref<Thread>, level: usize, number: RequestNumber, amount: u64, of: Option<usize>) -> Result<u64, CallError<u8>> {
        let deaths = of.map_or(0, |level| self.servers[level].deaths);
        call(&mut Calling { run: self, thread, level, of, deaths }, number, &amount, &[], &[])
    }

    /// Whether a thread that called has what became of it.
    fn is_answered(&mut self, thread: Ref<Thread>) -> bool {
        matches!(self.world.state(thread), Doing::Runnable)
    }

    /// A point between stores of a server's work: it dies, or one of those that wait for it does. Whether it is the same instance still.
    fn pass(&mut self, level: usize) -> bool {
        let before = self.servers[level].deaths;
        for victim in (0..=level).rev() {
            if self.deaths.pass() {
                self.die(victim);
            }
        }
        self.servers[level].deaths == before
    }

    /// The server of a level takes the call that was made and answers it, or dies.
    fn serve(&mut self, level: usize) {
        if !self.pass(level) {
            return;
        }
        let thread = self.servers[level].process.thread;
        self.world.receive(thread, ENDPOINT);
        if !self.is_answered(thread) {
            // Who asked died meanwhile, and its call is given up: it waits, and is put back to rest.
            self.world.must(self.servers[level].process.handle, Operation::ThreadKick, &[]);
            return;
        }
        let request = self.world.received(thread);
        if !self.pass(level) {
            return;
        }
        let bytes = request.words.iter().flat_map(|word| word.to_le_bytes()).take(request.label.bytes()).collect::<Vec<u8>>();
        let Some(answer) = self.work(level, RequestNumber(request.number), &bytes) else { return };
        if self.pass(level) {
            let answered = self.world.reply(thread, REPLY, &packed(&answer, RequestNumber::default()));
            assert!(matches!(answered, Ok(()) | Err(Error::ReplyGone)), "{answered:?}");
        }
    }

    /// What a server does with a request: the check, what it asks below, the effect and its result in one transaction, the answer. None if it died.
    fn work(&mut self, level: usize, number: RequestNumber, request: &[u8]) -> Option<Vec<u8>> {
        let area = self.servers[level].area;
        let sum = match area.state().lanes.check(number) {
            Verdict::Done(result) if self.bug != Bug::NoCheck => result.first_chunk().map(|sum| u64::from_le_bytes(*sum)),
            Verdict::Stale => None,
            Verdict::Done(_) | Verdict::Fresh => {
                let amount = wire::decode::<u64>(request).expect("what a caller sent");
                if level + 1 < self.servers.len() && !self.ask_below(level, number, amount) {
                    return None;
                }
                let apart = self.bug == Bug::ResultApart;
                let Some(sum) = self.storing(level, || effect(area, number, amount, apart)) else {
                    self.bury(level);
                    return None;
                };
                Some(sum)
            }
        };
        let mut answer = vec![0; 64];
        let length = wire::encode(&sum.ok_or(0u8), &mut answer).expect("it is short");
        answer.truncate(length);
        Some(answer)
    }

    /// Has the next server do the same. Whether the one who asks still lives.
    fn ask_below(&mut self, level: usize, number: RequestNumber, amount: u64) -> bool {
        let before = self.servers[level].deaths;
        let derived = if self.bug == Bug::NumberNotDerived {
            self.own_numbers = self.own_numbers.next();
            self.own_numbers
        } else {
            number.with_step(1)
        };
        let thread = self.servers[level].process.thread;
        let answer = self.ask(thread, level + 1, derived, amount, Some(level));
        let lives = self.servers[level].deaths == before;
        assert!(!lives || answer.is_ok(), "{answer:?}");
        lives
    }

    /// Runs work whose stores are points; none if the server died of one.
    fn storing<T>(&mut self, level: usize, work: impl FnOnce() -> T) -> Option<T> {
        let Some(to_go) = self.deaths.until_next() else { return Some(work()) };
        match crash_or_count(to_go, work) {
            None => {
                self.deaths.died();
                self.died_in.push(fingerprint(self.servers[level].area));
                None
            }
            Some((value, stores)) => {
                self.deaths.passed += stores;
                Some(value)
            }
        }
    }

    /// A server dies between two stores.
    fn die(&mut self, level: usize) {
        self.died_in.push(fingerprint(self.servers[level].area));
        self.bury(level);
    }

    /// A server is dead: what the supervisor does then, and the successor's recovery.
    fn bury(&mut self, level: usize) {
        let Server { area, endpoint, process, .. } = self.servers[level];
        self.world.must(endpoint, Operation::SetState, &[HELD, 0]);
        self.world.must(process.handle, Operation::ThreadStop, &[]);
        while self.world.must(process.table, Operation::Kill, &[]) != 0 {}
        let endpoints: Vec<u32> = self.servers.iter().map(|server| server.endpoint).collect();
        let successor = instance(&mut self.world, &endpoints, level);
        self.servers[level].process = successor;
        self.servers[level].deaths += 1;
        while self.storing(level, || area.recover()).is_none() {}
        self.recovered_sum = Some(area.state().sum.get());
        self.world.must(endpoint, Operation::SetState, &[OPEN, 0]);
    }
}

/// The effect of a request and its result, in one transaction unless that is the bug.
fn effect(area: &Area<State>, number: RequestNumber, amount: u64, apart: bool) -> u64 {
    let state = area.state();
    let sum = state.sum.get() + amount;
    let transaction = area.begin();
    state.sum.set(&transaction, sum);
    let transaction = if apart {
        transaction.commit();
        area.begin()
    } else {
        transaction
    };
    state.lanes.record(&transaction, number, &sum.to_le_bytes()).expect("there are lanes enough");
    transaction.commit();
    sum
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

/// A thread that calls in the kernel, and what the kernel says is what the stub hears.
struct Calling<'a> {
    run: &'a mut Run,
    thread: Ref<Thread>,
    level: usize,
    /// The server whose thread it is, and how often that had died.
    of: Option<usize>,
    deaths: usize,
}

impl Calling<'_> {
    fn is_dead(&self) -> bool {
        self.of.is_some_and(|level| self.run.servers[level].deaths != self.deaths)
    }
}

impl Carrier for Calling<'_> {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        let thread = self.thread;
        self.run.world.call(thread, ASKED, &packed(message, number));
        while !self.is_dead() && !self.run.is_answered(thread) {
            self.run.serve(self.level);
        }
        if self.is_dead() {
            // Nobody hears this.
            return Err(Error::Kicked);
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
        for server in &self.servers {
            // SAFETY: the run is over, and nothing else knows of its areas.
            unsafe { server.area.free_on_host() };
        }
    }
}

/// All histories of exactly `length` requests to one server, each with every pair of deaths.
pub(super) fn explore(length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    explore_deep(1, Bug::None, length, go_on, explored)
}

/// The same with a second server behind the first.
pub(super) fn explore_two(length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    explore_deep(2, Bug::None, length, go_on, explored)
}

fn explore_deep(depth: usize, bug: Bug, length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    let mut states = HashSet::new();
    let complete = sequences(length, CALLERS * AMOUNTS.len(), |history| {
        if !go_on() {
            return Ok(false);
        }
        explored.histories += 1;
        explore_one(depth, bug, history, go_on, explored, &mut states)
    })?;
    explored.states += states.len() as u64;
    Ok(complete)
}

/// Every first death with every second one; the last of both is the run in which it does not come.
fn explore_one(
    depth: usize,
    bug: Bug,
    history: &[usize],
    go_on: &dyn Fn() -> bool,
    explored: &mut Explored,
    states: &mut HashSet<u64>,
) -> Result<bool, String> {
    for first in 0.. {
        for second in 0.. {
            if !go_on() {
                return Ok(false);
            }
            let mut run = Run::new(depth, Deaths::new(first, second), bug);
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

    #[test]
    fn a_death_between_commit_and_answer_is_among_the_points() {
        for depth in 1..=MOST_DEPTH {
            let mut redelivered = 0;
            for first in 0..400 {
                let mut run = Run::new(depth, Deaths::new(first, u64::MAX), Bug::None);
                assert_eq!(run.play(&[0]), Ok(()));
                let sum_was_there = run.deaths.done == 1 && run.recovered_sum == Some(AMOUNTS[0]);
                redelivered += u32::from(sum_was_there);
            }
            assert!(redelivered > 0, "no death fell between the commit and the answer");
        }
    }

    #[test]
    fn each_server_dies_and_both_die_in_one_run() {
        let mut seen = HashSet::new();
        for first in (0..60).step_by(4) {
            for second in (0..60).step_by(4) {
                let mut run = Run::new(2, Deaths::new(first, second), Bug::None);
                assert_eq!(run.play(&[0]), Ok(()));
                seen.insert(run.servers.iter().map(|server| server.deaths).collect::<Vec<_>>());
            }
        }
        assert!([[2, 0], [0, 2], [1, 1]].iter().all(|deaths| seen.contains(&deaths[..])), "{seen:?}");
    }

    /// The model is worth nothing if it does not notice.
    #[test]
    fn planted_bugs_are_found() {
        let find = |depth, bug| (1..=2).any(|length| explore_deep(depth, bug, length, &|| true, &mut Explored::default()).is_err());
        for bug in [Bug::NoCheck, Bug::ResultApart, Bug::NumberReused] {
            assert!(find(1, bug), "{bug:?}");
        }
        assert!(find(2, Bug::NumberNotDerived));
        assert!(find(2, Bug::NoCheck) && find(2, Bug::ResultApart));
    }
}
