//! The services' lives: which instance of which service is in which state, and what each event does to that.
//!
//! A death goes through the same steps in the same order, whatever the cause:
//! 1. the endpoint is held: from here on callers queue; the request that the dying thread had in hand is blamed;
//! 2. the instance's threads are stopped, so nobody works on a request any more;
//! 3. its callers are told, until none is left, and send their requests again; its ports, with the record of what was done to them, are taken back;
//! 4. memory hears which service died;
//! 5. the instance goes to the reaper, and its successor is built from other pages;
//! 6. when that one says that it is up, the endpoint is opened.
//!
//! Services start one after the other in the manifest's order, each when its predecessor is up or given up.

use abi::{EndpointState, Error};
use heapless::{Deque, String, Vec};
use protocols::crash::{Blamed, Cause, Crash, MAX_WORDS};
use protocols::manifest::OnGivingUp;
use protocols::service::{Badge, Service};
use protocols::supervisor::{STATUS_GAVE_UP, StartInfo, State};

use crate::autopsy::{self, Records};
use crate::build::{self, RootFs, Site};
use crate::doom::Doom;
use crate::inject::Injector;
use crate::kernel::{InHand, Kernel, Mint};
use crate::options;
use crate::policy::{ATTEMPTS, Deaths, Verdict};
use crate::reaper::{Corpse, Reaper, Step};
use crate::reserve::{Reserve, Run};
use crate::scrub::Pass;
use crate::shape::Shape;
use crate::slot::{self, Block, Blocks};
use crate::spec::{MAX_SERVICES, Spec};
use crate::watchdog::Watch;

/// Requests that are remembered as done: more than there are threads of the one server that may make them.
pub(crate) const MAX_DONE: usize = 16;
/// How long reaping goes on at a time: many of the kernel's steps, and still too short to be felt.
const REAP_SLICE_US: u64 = 200;

/// Facts of this boot that instances are told.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Ticks of the time-stamp counter in a second.
    pub tsc_hz: u64,
    /// Unix time in nanoseconds at which the counter was 0.
    pub wall_base_ns: u64,
    /// Processors that threads can be placed on.
    pub processors: u32,
    /// The options' text.
    pub options: &'a str,
    /// The root file system's archive.
    pub rootfs: RootFs,
}

/// A service's state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life {
    /// Its turn has not come.
    Waiting,
    /// Its instance runs and is not up yet.
    Starting(Body),
    /// Its instance serves.
    Up(Body),
    /// It has no instance; the next one is due at this time, or as soon after it as there are pages.
    Dead {
        /// When.
        due: u64,
    },
    /// There will be no more instance.
    GivenUp,
}

/// Whose doing a death is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The request's that its culprit had in hand, and its own.
    Culprit,
    /// Root's, who asked for it: it is a death of the service as any other, and the request is innocent.
    Root,
    /// That of another instance, which was not what its image says.
    Nobody,
}

/// What an instance consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) block: Block,
    pub(crate) run: Run,
    /// When it was started.
    pub(crate) since: u64,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) spec: Spec<'a>,
    pub(crate) life: Life,
    pub(crate) instance: u32,
    pub(crate) saved: Run,
    pub(crate) watch: Watch,
    pub(crate) deaths: Deaths,
    /// A death that root asked for.
    pub(crate) doom: Option<Doom>,
    /// The last instance that died such a death.
    pub(crate) doomed: u32,
    /// Last words of the present instance.
    pub(crate) words: String<MAX_WORDS>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(spec: Spec<'a>, saved: Run) -> Self {
        Self {
            spec,
            life: Life::Waiting,
            instance: 0,
            saved,
            watch: Watch::default(),
            deaths: Deaths::default(),
            doom: None,
            doomed: 0,
            words: String::new(),
        }
    }

    pub(crate) fn body(&self) -> Option<(Body, bool)> {
        match self.life {
            Life::Starting(body) => Some((body, false)),
            Life::Up(body) => Some((body, true)),
            Life::Waiting | Life::Dead { .. } | Life::GivenUp => None,
        }
    }

    /// Whether it should have an instance by now.
    fn is_due(&self, now: u64) -> bool {
        matches!(self.life, Life::Dead { due } if due <= now)
    }

    pub(crate) fn state(&self) -> State {
        match self.life {
            Life::Waiting => State::Waiting,
            Life::Starting(_) | Life::Dead { .. } => State::Starting,
            Life::Up(_) => State::Up,
            Life::GivenUp => State::GivenUp,
        }
    }
}

/// The supervisor.
#[derive(Debug)]
pub struct Supervisor<'a, K> {
    pub(crate) kernel: K,
    pub(crate) facts: Facts<'a>,
    pub(crate) services: Vec<Record<'a>, MAX_SERVICES>,
    pub(crate) reserve: Reserve,
    pub(crate) next_sample: u64,
    /// When tracing ends by itself, while it is on.
    pub(crate) traced_until: Option<u64>,
    pub(crate) pass: Option<Pass>,
    /// Numbers of the last requests that are done only once.
    pub(crate) done: Deque<u64, MAX_DONE>,
    pub(crate) records: &'a mut Records,
    pub(crate) injector: Option<Injector>,
    blocks: Blocks,
    reaper: Reaper,
}

impl<'a, K: Kernel> Supervisor<'a, K> {
    pub(crate) fn new(kernel: K, facts: Facts<'a>, reserve: Reserve, records: &'a mut Records) -> Self {
        Self {
            kernel,
            facts,
            services: Vec::new(),
            reserve,
            next_sample: 0,
            traced_until: None,
            pass: None,
            done: Deque::new(),
            records,
            injector: None,
            blocks: Blocks::default(),
            reaper: Reaper::default(),
        }
    }

    /// The kernel, for what the shell around this does itself.
    pub fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Starts what can be started: the dead, and the next service in order while none is on its way.
    pub fn start_due(&mut self) {
        while let Some(index) = self.due() {
            match self.start(index) {
                Ok(()) => {}
                Err(NotStarted::NoPages) => return,
                Err(NotStarted::Broken(error)) => self.bury(index, None, Cause::NotBuilt(error.to_status()), Blame::Culprit),
            }
        }
    }

    /// When the first of those is due that wait for their next instance and not only for pages; `None` when nobody does.
    pub fn next_start(&mut self) -> Option<u64> {
        let now = self.kernel.now();
        let dues = self.services.iter().filter_map(|record| match record.life {
            Life::Dead { due } if due > now => Some(due),
            _ => None,
        });
        dues.min()
    }

    fn due(&mut self) -> Option<usize> {
        let now = self.kernel.now();
        let dead = self.services.iter().position(|record| record.is_due(now));
        if dead.is_some() {
            return dead;
        }
        // The first that neither serves nor was given up is the one whose turn it is.
        let index = self.services.iter().position(|record| !matches!(record.life, Life::Up(_) | Life::GivenUp))?;
        self.services.get(index).is_some_and(|record| matches!(record.life, Life::Waiting)).then_some(index)
    }

    fn start(&mut self, index: usize) -> Result<(), NotStarted> {
        let Some(record) = self.services.get_mut(index) else { return Ok(()) };
        let shape = Shape::of(&record.spec, self.facts.rootfs.pages());
        let run = match self.reserve.take(shape.pages) {
            Some(run) => run,
            // The reaper brings pages; without anybody to reap this service can never start.
            None if self.reaper.is_idle() => return Err(NotStarted::Broken(Error::KernelLimit)),
            None => return Err(NotStarted::NoPages),
        };
        let Some(block) = self.blocks.take() else {
            self.reserve.give_back(run);
            return Err(NotStarted::NoPages);
        };
        record.instance = record.instance.wrapping_add(1);
        record.watch = Watch::default();
        record.words.clear();
        record.life = Life::Starting(Body { block, run, since: self.kernel.now() });
        self.bring_to_life(index, block, run, shape).map_err(NotStarted::Broken)
    }

    fn bring_to_life(&mut self, index: usize, block: Block, run: Run, shape: Shape) -> Result<(), Error> {
        let info = self.start_info(index);
        let Some(record) = self.services.get(index) else { return Ok(()) };
        let rootfs = self.facts.rootfs;
        let site =
            Site { spec: &record.spec, instance: record.instance, block, run, shape, saved: record.saved, rootfs, processors: self.facts.processors };
        build::build(&mut self.kernel, &site, &info)?;
        build::wire(&mut self.kernel, &site, self.services.iter().map(|other| &other.spec))?;
        if record.spec.is_paged() && self.services.iter().any(|other| other.spec.service == Service::Memory) {
            introduce(&mut self.kernel, record.spec.service, record.instance, block)?;
        }
        self.kernel.start(block.thread(0))
    }

    fn start_info(&self, index: usize) -> StartInfo {
        let Some(record) = self.services.get(index) else { return StartInfo::default() };
        let spec = &record.spec;
        let mut info = StartInfo {
            service: spec.service.id(),
            instance: record.instance,
            tsc_hz: self.facts.tsc_hz,
            wall_base_ns: self.facts.wall_base_ns,
            processors: self.facts.processors,
            threads: spec.all_threads(),
            heap_pages: spec.heap_pages,
            saved_pages: spec.saved_pages,
            region_pages: spec.region_pages,
            rootfs_bytes: if spec.rootfs { self.facts.rootfs.bytes } else { 0 },
            // Their length was checked at boot.
            options: options::shown(self.facts.options).unwrap_or_default(),
            fail: options::armed(self.facts.options, spec.service, record.instance),
            paged: Vec::new(),
            buyers: Vec::new(),
        };
        if spec.service == Service::Memory {
            info.paged.extend(self.services.iter().filter(|other| other.spec.is_paged()).map(|other| other.spec.paged()));
            info.buyers.extend(self.services.iter().filter_map(|other| other.spec.buyer()));
        }
        info
    }

    /// The instance that `from` names has come up.
    pub(crate) fn came_up(&mut self, index: usize) -> Result<(), Error> {
        let now = self.kernel.now();
        let Some(record) = self.services.get_mut(index) else { return Ok(()) };
        let Life::Starting(body) = record.life else { return Ok(()) };
        record.life = Life::Up(body);
        record.deaths.came_up();
        let (service, instance, threads) = (record.spec.service, record.instance, record.spec.all_threads());
        self.kernel.set_state(slot::endpoint(service), EndpointState::Open)?;
        for thread in 1..threads {
            self.kernel.start(body.block.thread(thread))?;
        }
        let took_us = self.microseconds(now.saturating_sub(body.since));
        let now_us = self.microseconds(now);
        self.records.up_again(service.id(), now_us);
        self.injector.iter_mut().for_each(|injector| injector.came_up(service, instance));
        self.say(format_args!("{} up, instance {instance}, {took_us} us after its start", service.name()));
        Ok(())
    }

    /// The instance that `from` names cannot go on, because of its thread `culprit` where it is one thread's doing. A word about an instance that is
    /// already dead changes nothing.
    pub fn died(&mut self, from: Badge, culprit: Option<u8>, cause: Cause) {
        let Some(index) = self.find(from) else { return };
        let is_innocent = self.is_last_death(index, culprit) && self.end_altered();
        // It may have been one of the altered itself.
        if let Some(index) = self.find(from) {
            let is_doomed = self.services.get(index).is_some_and(|record| record.doomed == record.instance);
            let blame = if is_innocent {
                Blame::Nobody
            } else if is_doomed {
                Blame::Root
            } else {
                Blame::Culprit
            };
            self.bury(index, culprit, autopsy::named(cause, culprit), blame);
        }
        self.start_due();
    }

    /// Whether one more death of it would tell somebody: a request is refused, or it is given up.
    fn is_last_death(&mut self, index: usize, culprit: Option<u8>) -> bool {
        let now = self.kernel.now();
        let now_ms = self.milliseconds(now);
        let Some(record) = self.services.get(index) else { return false };
        let Some((body, was_up)) = record.body() else { return false };
        let lived_ms = was_up.then(|| self.milliseconds(now.saturating_sub(body.since)));
        let mut deaths = record.deaths;
        let in_hand = culprit.and_then(|thread| self.kernel.blame(body.block.thread(u32::from(thread)), 0).ok().flatten());
        in_hand.is_some_and(|request| request.attempts + 1 >= ATTEMPTS) || deaths.died(&record.spec.policy, now_ms, lived_ms) == Verdict::GiveUp
    }

    /// The current instance that a badge names.
    pub(crate) fn find(&self, from: Badge) -> Option<usize> {
        let is_it = |record: &Record<'_>| record.spec.service.id() == from.service && record.instance == from.instance && record.body().is_some();
        self.services.iter().position(is_it)
    }

    /// Steps 1 to 5 of a death; the successor is due afterwards, or the service given up.
    pub(crate) fn bury(&mut self, index: usize, culprit: Option<u8>, cause: Cause, blame: Blame) {
        let Some(record) = self.services.get(index) else { return };
        let (service, instance, threads) = (record.spec.service, record.instance, record.spec.all_threads());
        self.say(format_args!("{} died, instance {instance}: {cause}", service.name()));
        let body = record_body(self.services.get(index));
        if let Some((body, _)) = body {
            // While a thread of it may still run, nothing of it may be used again, and no successor started.
            match self.end(service, body.block, threads, culprit, blame) {
                Ok(request) => self.write_down(index, body, culprit, cause, request),
                Err(error) => {
                    self.say(format_args!("{}: the kernel refused to end it: {error:?}", service.name()));
                    self.give_up(index);
                    return;
                }
            }
            self.reaper.bury(Corpse::new(body.block, body.run, threads));
        }
        let now = self.kernel.now();
        let now_ms = self.milliseconds(now);
        let lived_ms = body.filter(|(_, was_up)| *was_up).map(|(body, _)| self.milliseconds(now.saturating_sub(body.since)));
        let Some(record) = self.services.get_mut(index) else { return };
        if cause == Cause::Killed || blame == Blame::Nobody {
            // Somebody wants it to go on, or it was not its doing: there is nothing to wait for.
            record.deaths.forgive();
        }
        match record.deaths.died(&record.spec.policy, now_ms, lived_ms) {
            Verdict::RestartAfter(0) => record.life = Life::Dead { due: now },
            Verdict::RestartAfter(ms) => {
                record.life = Life::Dead { due: now.saturating_add(u64::from(ms).saturating_mul(self.facts.tsc_hz / 1000)) };
                self.say(format_args!("{} is started again in {ms} ms", service.name()));
            }
            Verdict::GiveUp => self.give_up(index),
        }
    }

    /// Puts the death on record, and what helps to find its reason on the log.
    fn write_down(&mut self, index: usize, body: Body, culprit: Option<u8>, cause: Cause, request: Option<Blamed>) {
        let now = self.kernel.now();
        let Some(record) = self.services.get_mut(index) else { return };
        let (service, instance, image) = (record.spec.service, record.instance, record.spec.image);
        let words = core::mem::take(&mut record.words);
        let (registers, backtrace) = culprit.map_or((None, Vec::new()), |thread| autopsy::examine(&mut self.kernel, &image, body.block, thread));
        let log = autopsy::last_lines(&mut self.kernel, body.block);
        if let Some(request) = &request {
            self.say(format_args!("{} had in hand {request}", service.name()));
        }
        if !backtrace.is_empty() {
            self.say(format_args!("{} was at{}", service.name(), Addresses(&backtrace)));
        }
        let (at_us, lived_us) = (self.microseconds(now), self.microseconds(now.saturating_sub(body.since)));
        let service = service.id();
        self.records.add(Crash {
            service,
            instance,
            thread: culprit,
            at_us,
            lived_us,
            down_us: None,
            cause,
            registers,
            backtrace,
            request,
            words,
            log,
        });
    }

    /// Steps 1 to 4. A thread that a half-built instance never got is passed over. Returns what the culprit had in hand.
    fn end(&mut self, service: Service, block: Block, threads: u32, culprit: Option<u8>, blame: Blame) -> Result<Option<Blamed>, Error> {
        self.kernel.set_state(slot::endpoint(service), EndpointState::Held)?;
        // Without a limit the kernel only tells.
        let limit = if blame == Blame::Culprit { ATTEMPTS } else { 0 };
        let request = match culprit {
            Some(thread) => ignore_missing(self.kernel.blame(block.thread(u32::from(thread)), limit))?.flatten(),
            None => None,
        };
        for thread in 0..threads {
            ignore_missing(self.kernel.stop(block.thread(thread)))?;
        }
        while ignore_missing(self.kernel.kill(block.table()))?.unwrap_or(0) > 0 {}
        for range in 0..libsys::slot::PORTS_COUNT {
            ignore_missing(self.kernel.take_back(slot::ports(service, range), block.table(), libsys::slot::PORTS + range))?;
        }
        // Its own death too: the successor hears it. Without memory there is nobody to tell.
        ignore_missing(self.kernel.signal(slot::notification(Service::Memory), 1 << service.id()))?;
        Ok(request.map(|InHand { number, kind, attempts, refused, .. }| Blamed {
            number: number.0,
            kind: kind.map_or(0, |kind| kind as u8),
            attempts,
            refused,
        }))
    }

    /// Gives a service that was given up another try.
    pub(crate) fn revive(&mut self, index: usize) -> Result<(), Error> {
        let due = self.kernel.now();
        let Some(record) = self.services.get_mut(index) else { return Ok(()) };
        record.deaths.forgive();
        record.life = Life::Dead { due };
        let service = record.spec.service;
        self.kernel.set_state(slot::endpoint(service), EndpointState::Held)?;
        self.say(format_args!("{} is revived", service.name()));
        self.start_due();
        Ok(())
    }

    fn give_up(&mut self, index: usize) {
        let Some(record) = self.services.get_mut(index) else { return };
        record.life = Life::GivenUp;
        let (service, on_giving_up) = (record.spec.service, record.spec.policy.on_giving_up);
        self.say(format_args!("{} is given up: it died too often", service.name()));
        if let Err(error) = self.kernel.set_state(slot::endpoint(service), EndpointState::Closed) {
            self.say(format_args!("{}: its endpoint cannot be closed: {error:?}", service.name()));
        }
        if on_giving_up == OnGivingUp::PowerOff {
            self.turn_off(STATUS_GAVE_UP);
        }
    }

    /// Reaps for about `REAP_SLICE_US`, and on as long as a dead service waits for pages. `true` while there is more to do: then the caller
    /// lets others run before it calls again.
    pub fn reap(&mut self) -> bool {
        let end = self.after_us(REAP_SLICE_US);
        while self.reap_step() {
            let now = self.kernel.now();
            let awaited = self.services.iter().any(|record| record.is_due(now));
            if !awaited && now >= end {
                return true;
            }
        }
        false
    }

    /// One step of reaping; then what waited for pages is started. `true` while there is more.
    fn reap_step(&mut self) -> bool {
        match self.reaper.step(&mut self.kernel, &mut self.reserve, &mut self.blocks) {
            Step::Idle => return false,
            Step::More => {}
            Step::Reaped => self.start_due(),
            Step::Lost(error, run) => {
                self.say(format_args!("{} pages of the reserve are lost: {error:?}", run.pages));
                self.start_due();
            }
        }
        !self.reaper.is_idle()
    }
}

/// Addresses on one line.
struct Addresses<'a>(&'a [u64]);

impl core::fmt::Display for Addresses<'_> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|address| write!(out, " {address:#x}"))
    }
}

/// Why a service was not started.
enum NotStarted {
    /// There will be pages when the reaper has gone on.
    NoPages,
    /// It cannot be built.
    Broken(Error),
}

fn record_body(record: Option<&Record<'_>>) -> Option<(Body, bool)> {
    record.and_then(Record::body)
}

fn ignore_missing<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::InvalidHandle) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells memory which space is the service's now: the slot in its vault that it looks into at each fault.
fn introduce(kernel: &mut impl Kernel, service: Service, instance: u32, block: Block) -> Result<(), Error> {
    let (vault, to) = (slot::vault(Service::Memory), protocols::memory::vault::SPACES + u32::from(service.id()));
    // The first instance finds the slot empty.
    ignore_missing(kernel.delete(vault, to))?;
    let rights = abi::Rights::MAP | abi::Rights::COPY | abi::Rights::LIST | abi::Rights::CONTROL;
    kernel.copy(vault, to, block.space(), Mint { rights, badge: Some(u64::from(instance)) })
}
