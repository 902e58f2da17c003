//! One run: servers in a row, callers before them, and what a run's [`Choices`] have them do.

use abi::{EndpointState, Error, Label, Lease, ObjectKind, Operation, RequestNumber, Rights};
use libsys::host::crash_or_count;
use libsys::lane::{Lanes, Verdict};
use libsys::saved::{Area, Cell};
use microkernel::fake::{Message, Process, World};
use microkernel::page::Ref;
use microkernel::thread::{State as Doing, Thread};
use protocols::call::{CallError, Carrier, call};
use protocols::wire;

use super::super::choices::Choices;
use super::client::{Client, Doing as ClientDoing, Request};
use super::{BASE, Bounds, Bug, CALLERS, MOST_DEPTH};

/// Slots in which a server has its endpoint and its Reply, and who asks has the endpoint of the one asked.
const ENDPOINT: u32 = 10;
const REPLY: u32 = 11;
const ASKED: u32 = 12;
const PAGES: u32 = 512;
/// What a server answers when the one behind it is given up, and when nobody should wait for the answer.
pub(super) const BEHIND_IS_CLOSED: u8 = 1;
const NOBODY_WAITS: u8 = 2;

#[allow(unsafe_code, reason = "the macro of saved state stands for an unsafe trait")]
mod state {
    use super::{Cell, Lanes};

    libsys::saved_state! {
        /// What the server remembers.
        pub(super) struct State: 1 {
            pub(super) sum: Cell<u64>,
            pub(super) lanes: Lanes<8>,
            /// The number of the latest request, for [`Bug::OneResult`].
            pub(super) latest: Cell<u64>,
        }
    }
}
use state::State;

/// A server: what outlives its instances, and the present one.
struct Server {
    area: &'static Area<State>,
    endpoint: u32,
    process: Process,
    /// How often it died.
    deaths: usize,
    /// It died and was given up.
    is_closed: bool,
}

/// Who can die.
#[derive(Clone, Copy, Debug)]
enum Mortal {
    Server(usize),
    Client(usize),
}

/// Something that may come between two steps of a server.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    Death(Mortal),
    /// A caller makes its next attempt.
    Attempt(usize),
}

/// A run.
pub(super) struct Run<'a> {
    world: World,
    servers: Vec<Server>,
    clients: Vec<Client>,
    choices: &'a mut Choices,
    bug: Bug,
    /// Numbers that the first server gave of its own ([`Bug::NumberNotDerived`]).
    own_numbers: RequestNumber,
    /// Deaths so far, and at most.
    deaths: usize,
    most_deaths: usize,
    /// Counts what callers do.
    clock: u64,
    /// The first thing that should never be.
    violation: Option<String>,
    /// States in which a server died.
    pub(super) died_in: Vec<u64>,
    /// What happened, for tests that want to know whether it was among the runs.
    pub(super) seen: Seen,
}

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    /// Deaths by server.
    pub(super) deaths: Vec<usize>,
    /// A successor found the whole of a request done whose caller still waited.
    pub(super) was_done_before: bool,
    /// A successor got another caller's request before the one that its predecessor died with.
    pub(super) overtaken: bool,
    /// A caller died.
    pub(super) client_died: bool,
    /// A caller was told that a server is given up.
    pub(super) told: bool,
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

/// The requests of all callers, `asked` by each; each adds a power of [`BASE`] of its own, so that a sum tells how often each was done.
fn requests(asked: [usize; CALLERS], bug: Bug) -> [Vec<Request>; CALLERS] {
    let mut amount = 1;
    std::array::from_fn(|caller| {
        let mut number = RequestNumber::new(7, caller as u16 + 1, 1, 0);
        let next = |_| {
            let request = Request { number, amount, began: None, ended: None };
            amount *= BASE;
            if bug != Bug::NumberReused {
                number = number.next();
            }
            request
        };
        (0..asked[caller]).map(next).collect()
    })
}

impl<'a> Run<'a> {
    pub(super) fn new(bounds: Bounds, asked: [usize; CALLERS], bug: Bug, choices: &'a mut Choices) -> Self {
        thread_local! {
            static OPENING: Opening = opening();
        }
        let (world, servers, clients) = OPENING.with(Clone::clone);
        let server = |(endpoint, process)| Server { area: Area::on_host(), endpoint, process, deaths: 0, is_closed: false };
        let servers: Vec<Server> = servers.into_iter().take(bounds.depth).map(server).collect();
        let clients = clients.into_iter().zip(requests(asked, bug)).map(|(process, requests)| Client::new(process, requests)).collect();
        let seen = Seen { deaths: vec![0; bounds.depth], ..Seen::default() };
        Self {
            world,
            servers,
            clients,
            choices,
            bug,
            own_numbers: RequestNumber::new(8, 3, 1, 0),
            deaths: 0,
            most_deaths: bounds.deaths,
            clock: 0,
            violation: None,
            died_in: Vec::new(),
            seen,
        }
    }

    /// The whole of it; what went wrong.
    pub(super) fn play(&mut self) -> Result<(), String> {
        loop {
            self.hear();
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
            let ready: Vec<usize> = self.clients_that(ClientDoing::Ready).collect();
            let waits = self.clients_that(ClientDoing::Waits).next().is_some();
            let ways = ready.len() + usize::from(waits);
            if ways == 0 {
                return super::verdict::judge(&self.clients, &self.sums());
            }
            match ready.get(self.choices.one_of(ways)) {
                Some(client) => self.attempt(*client),
                None if self.servers[0].is_closed => return Err("a caller of a closed endpoint still waits".into()),
                None => self.serve(0),
            }
        }
    }

    fn clients_that(&self, doing: ClientDoing) -> impl Iterator<Item = usize> {
        self.clients.iter().enumerate().filter(move |(_, client)| client.doing == doing).map(|(index, _)| index)
    }

    fn sums(&self) -> Vec<u64> {
        self.servers.iter().map(|server| server.area.state().sum.get()).collect()
    }

    /// Callers hear what became of their calls.
    fn hear(&mut self) {
        for client in self.clients_that(ClientDoing::Waits).collect::<Vec<_>>() {
            let thread = self.clients[client].process.thread;
            if self.is_answered(thread) {
                self.clock += 1;
                let outcome = self.outcome(thread);
                self.seen.told |= outcome == Err(Error::Closed);
                self.clients[client].hear(outcome, self.clock);
            }
        }
    }

    /// What a call came to: the answer's bytes.
    fn outcome(&mut self, thread: Ref<Thread>) -> Result<Vec<u8>, Error> {
        let words = self.world.outcome(thread)?;
        let length = self.world.received(thread).label.bytes();
        Ok(words.iter().flat_map(|word| word.to_le_bytes()).take(length).collect())
    }

    /// A caller calls.
    fn attempt(&mut self, client: usize) {
        self.clock += 1;
        let Some((number, message)) = self.clients[client].attempt(self.clock) else { return };
        self.world.call(self.clients[client].process.thread, ASKED, &packed(&message, number));
    }

    /// Whether a thread that called has what became of it.
    fn is_answered(&mut self, thread: Ref<Thread>) -> bool {
        matches!(self.world.state(thread), Doing::Runnable)
    }

    /// A point between stores of a server's work: anything may come. Whether it is the same instance still. Callers that could call before it received have
    /// just chosen not to.
    fn pass(&mut self, level: usize, has_received: bool) -> bool {
        let before = self.servers[level].deaths;
        while self.servers[level].deaths == before {
            self.hear();
            let mut events = vec![Event::Nothing];
            if self.deaths < self.most_deaths {
                events.extend((0..=level).rev().map(|level| Event::Death(Mortal::Server(level))));
                events.extend(self.clients_that(ClientDoing::Waits).map(|client| Event::Death(Mortal::Client(client))));
            }
            if has_received {
                events.extend(self.clients_that(ClientDoing::Ready).map(Event::Attempt));
            }
            match events[self.choices.one_of(events.len())] {
                Event::Nothing => return true,
                Event::Death(Mortal::Server(level)) => self.die(level),
                Event::Death(Mortal::Client(client)) => self.client_dies(client),
                Event::Attempt(client) => self.attempt(client),
            }
        }
        false
    }

    /// The server of a level takes a call that was made and answers it, or dies.
    fn serve(&mut self, level: usize) {
        if !self.pass(level, false) {
            return;
        }
        let thread = self.servers[level].process.thread;
        self.world.receive(thread, ENDPOINT);
        if !self.is_answered(thread) {
            // Who asked died meanwhile, and its call is given up: it waits, and is put back to rest.
            self.world.must(self.servers[level].process.handle, Operation::ThreadKick, &[]);
            self.check_nobody_waits(level);
            return;
        }
        let request = self.world.received(thread);
        if !self.pass(level, true) {
            return;
        }
        let bytes = request.words.iter().flat_map(|word| word.to_le_bytes()).take(request.label.bytes()).collect::<Vec<u8>>();
        let Some(answer) = self.work(level, RequestNumber(request.number), &bytes) else { return };
        if self.pass(level, true) {
            let answered = self.world.reply(thread, REPLY, &packed(&answer, RequestNumber::default()));
            assert!(matches!(answered, Ok(()) | Err(Error::ReplyGone)), "{answered:?}");
        }
    }

    /// A server with nothing in hand found no call, so nobody may wait for it.
    fn check_nobody_waits(&mut self, level: usize) {
        self.hear();
        let waits = match level.checked_sub(1) {
            None => self.clients_that(ClientDoing::Waits).next().is_some(),
            Some(above) => !self.servers[above].is_closed && !self.is_answered(self.servers[above].process.thread),
        };
        if waits {
            self.violate(format!("who asked server {level} waits for ever"));
        }
    }

    fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    fn check(&mut self, level: usize, number: RequestNumber) -> Verdict {
        let state = self.servers[level].area.state();
        let verdict = state.lanes.check(number);
        let deaths = self.servers[level].deaths;
        self.seen.was_done_before |= deaths > 0 && matches!(verdict, Verdict::Done(_));
        let is_latest = state.latest.get() == number.0;
        self.seen.overtaken |= deaths > 0 && !is_latest && matches!(verdict, Verdict::Done(_));
        match self.bug {
            Bug::NoCheck => Verdict::Fresh,
            Bug::OneResult if !is_latest => Verdict::Fresh,
            _ => verdict,
        }
    }

    /// What a server does with a request: the check, what it asks below, the effect and its result in one transaction, the answer. None if it died.
    fn work(&mut self, level: usize, number: RequestNumber, request: &[u8]) -> Option<Vec<u8>> {
        let area = self.servers[level].area;
        let sum = match self.check(level, number) {
            Verdict::Done(result) => Ok(u64::from_le_bytes(*result.first_chunk().expect("the result of a request"))),
            Verdict::Stale => Err(NOBODY_WAITS),
            Verdict::Fresh => {
                let amount = wire::decode::<u64>(request).expect("what a caller sent");
                let below = if level + 1 < self.servers.len() { self.ask_below(level, number, amount)? } else { Ok(()) };
                match below {
                    Err(error) => Err(error),
                    Ok(()) => {
                        let apart = self.bug == Bug::ResultApart;
                        let Some(sum) = self.storing(level, || effect(area, number, amount, apart)) else {
                            self.bury(level);
                            return None;
                        };
                        Ok(sum)
                    }
                }
            }
        };
        let mut answer = vec![0; 64];
        let length = wire::encode(&sum, &mut answer).expect("it is short");
        answer.truncate(length);
        Some(answer)
    }

    /// Has the next server do the same; none if the one who asks died, or nothing matters any more.
    fn ask_below(&mut self, level: usize, number: RequestNumber, amount: u64) -> Option<Result<(), u8>> {
        let deaths = self.servers[level].deaths;
        let derived = if self.bug == Bug::NumberNotDerived {
            self.own_numbers = self.own_numbers.next();
            self.own_numbers
        } else {
            number.with_step(1)
        };
        let thread = self.servers[level].process.thread;
        let answer: Result<u64, CallError<u8>> = call(&mut Calling { run: self, thread, of: level, deaths }, derived, &amount, &[], &[]);
        if self.servers[level].deaths != deaths || self.violation.is_some() {
            return None;
        }
        Some(match answer {
            Ok(_) => Ok(()),
            Err(CallError::Closed) => Err(BEHIND_IS_CLOSED),
            // Its own caller is dead, and another request of that lane was done meanwhile.
            Err(CallError::Service(NOBODY_WAITS)) => Err(NOBODY_WAITS),
            other => panic!("{other:?}"),
        })
    }

    /// Runs work whose stores are points; none if the server died of one.
    fn storing<T>(&mut self, level: usize, work: impl FnOnce() -> T) -> Option<T> {
        if self.deaths == self.most_deaths {
            return Some(work());
        }
        let nth = self.choices.next();
        let Some((value, _)) = crash_or_count(nth, work) else {
            self.count_death(level);
            return None;
        };
        self.choices.was_last();
        Some(value)
    }

    fn count_death(&mut self, level: usize) {
        self.deaths += 1;
        self.seen.deaths[level] += 1;
        self.died_in.push(fingerprint(self.servers[level].area));
    }

    /// A server dies between two stores.
    fn die(&mut self, level: usize) {
        self.count_death(level);
        self.bury(level);
    }

    /// A caller dies while it waits.
    fn client_dies(&mut self, client: usize) {
        self.deaths += 1;
        self.seen.client_died = true;
        self.clients[client].doing = ClientDoing::Dead;
        let process = self.clients[client].process;
        self.dispose(process);
    }

    /// What the supervisor does with what is dead: nothing of it can be reached or acts any more.
    fn dispose(&mut self, process: Process) {
        self.world.must(process.handle, Operation::ThreadStop, &[]);
        while self.bug != Bug::NotKilled && self.world.must(process.table, Operation::Kill, &[]) != 0 {}
        let left = self.world.handles(process.thread);
        if left.iter().any(|(_, slot)| slot.kind() == ObjectKind::Reply && slot.object != 0) {
            self.violate(format!("authority to answer outlives its holder: {left:?}"));
        }
    }

    /// A server is dead: what the supervisor does then, and the successor's recovery.
    fn bury(&mut self, level: usize) {
        let Server { area, endpoint, process, .. } = self.servers[level];
        self.world.must(endpoint, Operation::SetState, &[EndpointState::Held as u64, 0]);
        self.dispose(process);
        self.servers[level].deaths += 1;
        // It may be that this one was the last that the policy allows.
        let gives_up = self.deaths == self.most_deaths && self.choices.one_of(2) == 1;
        if gives_up {
            self.servers[level].is_closed = true;
            self.world.must(endpoint, Operation::SetState, &[EndpointState::Closed as u64, Error::Closed as u64]);
            while self.storing(level, || area.recover()).is_none() {}
            return;
        }
        let endpoints: Vec<u32> = self.servers.iter().map(|server| server.endpoint).collect();
        self.servers[level].process = instance(&mut self.world, &endpoints, level);
        while self.storing(level, || area.recover()).is_none() {}
        self.world.must(endpoint, Operation::SetState, &[EndpointState::Open as u64, 0]);
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
    state.latest.set(&transaction, number.0);
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

/// A server's thread that calls the next one in the kernel, and what the kernel says is what the stub hears.
struct Calling<'a, 'b> {
    run: &'a mut Run<'b>,
    thread: Ref<Thread>,
    /// The server whose thread it is, and how often that had died.
    of: usize,
    deaths: usize,
}

impl Calling<'_, '_> {
    /// The thread is dead, or the run is.
    fn is_over(&self) -> bool {
        self.run.servers[self.of].deaths != self.deaths || self.run.violation.is_some()
    }
}

impl Carrier for Calling<'_, '_> {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        let thread = self.thread;
        self.run.world.call(thread, ASKED, &packed(message, number));
        while !self.is_over() && !self.run.is_answered(thread) {
            self.run.serve(self.of + 1);
        }
        if self.is_over() {
            // Nobody hears this.
            return Err(Error::Kicked);
        }
        let answer = self.run.outcome(thread)?;
        reply.get_mut(..answer.len()).ok_or(Error::Kicked)?.copy_from_slice(&answer);
        Ok(answer.len())
    }
}

impl Drop for Run<'_> {
    #[allow(unsafe_code, reason = "an area lives until somebody says otherwise")]
    fn drop(&mut self) {
        for server in &self.servers {
            // SAFETY: the run is over, and nothing else knows of its areas.
            unsafe { server.area.free_on_host() };
        }
    }
}
