//! Faults on purpose, in servers that know nothing of it.
//!
//! Armed by the option `inject=` alone ([`plan`]), which only who starts the machine can give. One fault after the other: the injector lets the victim's thread
//! trap after each instruction, and when it has seen a number of them that the seed chose, it strikes ([`mod@strike`]); leaves the system alone for as long as
//! a consequence may take to show; undoes what nobody has met, so that the next fault finds a sound system; and says each step on the log, from which the
//! host makes its table; and when a successor has answered its first request (`served.rs`). After the last fault the power goes off. Under `--icount` all of it
//! is the same in every run of the same option.
//!
//! Absent on purpose: any opinion on what came of a fault. Who died is on the log as always, and whether the output was right is seen outside.

pub(crate) mod allocation;
pub(crate) mod message;
pub mod plan;
pub(crate) mod served;
pub mod strike;

use core::fmt;
use core::ops::Range;

use abi::{Error, Frame};
use protocols::crash::Cause;
use protocols::service::{Badge, Service};

use crate::kernel::{Doing, Kernel};
use crate::life::{Life, Record, Supervisor};
use crate::watchdog::SAMPLES;
use plan::{Fault, Kind, Plan};
use served::Unserved;
use strike::{Struck, Target, strike};

/// Vector of the trap after an instruction (Intel SDM vol. 3, table 6-1).
const TRAP_VECTOR: u64 = 1;

/// Up to so many microseconds pass before a fault: longer than most requests take, so that each is met at any place.
pub(crate) const SPREAD_US: u64 = 10_000;
/// A fault comes after at most this power of two of instructions of its victim, chosen at random from these: up to those of several requests. The fewer
/// the likelier, as each costs a trap.
const MOST_INSTRUCTIONS_SHIFT: Range<u64> = 5..13;
/// A victim that has not run so many instructions in this time is struck as it is.
const PATIENCE_US: u64 = 100_000;
/// How soon to look again for a thread that waits in a call, which a stop would end.
pub(crate) const LOOK_US: u64 = 20;
/// How long a consequence may take to show, besides the time that the watchdog needs. As long is waited after the deaths that were meant, for what these do to
/// others.
const WINDOW_US: u64 = 15_000;
/// So many samples after the watchdog's time a hang is found at the latest: it began after one, and another one's was found first.
const SAMPLES_LATE: u64 = 2;
/// How soon to look again for servers that are not up.
pub(crate) const RETRY_US: u64 = 1000;

/// What has been done of a plan.
#[derive(Debug)]
pub(crate) struct Injector {
    plan: Plan,
    /// Number of the last fault that was begun.
    last: u32,
    stage: Stage,
    due: u64,
    unserved: Unserved,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, and no heap to put registers on")]
enum Stage {
    /// Nothing is under way.
    Calm,
    /// The victim's thread is about to be made to trap after each instruction.
    Arming { fault: Fault },
    /// It traps, and is struck after so many more instructions, or at this time.
    Stepping { fault: Fault, left: u64, until: u64 },
    /// It has sent a message with these registers that it is to send again, and traps until it comes back.
    Repeating { fault: Fault, sent: Frame },
    /// It was struck.
    Struck { blow: Blow, until: u64, all_died: bool },
}

/// What a fault did, to whom.
#[derive(Clone, Copy, Debug)]
struct Blow {
    service: Service,
    instance: u32,
    companion: Option<(Service, u32)>,
    struck: Option<Struck>,
}

impl Injector {
    pub(crate) const fn new(plan: Plan) -> Self {
        Self { plan, last: 0, stage: Stage::Calm, due: 0, unserved: Unserved::new() }
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread { rip } => write!(out, "at {rip:#x}"),
            Self::Register { register, bit, rip } => write!(out, "register {register} bit {bit} at {rip:#x}"),
            Self::Memory(change) => write!(out, "{change}"),
            Self::Heap(refusal) => write!(out, "{refusal}"),
        }
    }
}

impl<'a, K: Kernel> Supervisor<'a, K> {
    /// Goes on with the plan, when there is something to do by now. Returns when there is more; `None` without a plan.
    pub fn inject(&mut self) -> Option<u64> {
        let mut injector = self.injector.take()?;
        let look = self.tell_served(&mut injector.unserved);
        if self.kernel.now() >= injector.due {
            injector.due = self.advance(&mut injector)?;
        }
        let due = look.map_or(injector.due, |look| look.min(injector.due));
        self.injector = Some(injector);
        Some(due)
    }

    /// One step; when the next one is due. `None` after the last.
    fn advance(&mut self, injector: &mut Injector) -> Option<u64> {
        if !self.services.iter().all(|record| matches!(record.life, Life::Up(_))) {
            return Some(self.after_us(RETRY_US));
        }
        let (stage, due) = match core::mem::replace(&mut injector.stage, Stage::Calm) {
            Stage::Calm => {
                injector.last += 1;
                let Some(mut fault) = injector.plan.fault(injector.last) else {
                    self.say(format_args!("inject: all {} faults are over", injector.plan.faults));
                    self.turn_off(0);
                    return None;
                };
                let wait_us = fault.dice.below(SPREAD_US);
                (Stage::Arming { fault }, self.after_us(wait_us))
            }
            Stage::Arming { fault } => self.make_step(fault),
            Stage::Stepping { fault, .. } | Stage::Repeating { fault, .. } => self.strike_all(&fault, None),
            Stage::Struck { blow, until, all_died } if all_died || self.kernel.now() >= until => {
                self.conclude(injector.last, blow);
                (Stage::Calm, self.kernel.now())
            }
            Stage::Struck { blow, until, .. } => self.wait_for_consequences(blow, until),
        };
        injector.stage = stage;
        Some(due)
    }

    /// Makes the victim's thread trap after each instruction, as soon as it does not wait in a call.
    fn make_step(&mut self, mut fault: Fault) -> (Stage, u64) {
        if let Some(target) = self.target(fault.service)
            && strike::step(&mut self.kernel, &target).is_err()
        {
            return (Stage::Arming { fault }, self.after_us(LOOK_US));
        }
        let (left, until) = (fault.dice.up_to_power(MOST_INSTRUCTIONS_SHIFT), self.after_us(PATIENCE_US));
        (Stage::Stepping { fault, left, until }, until)
    }

    /// An instance's thread cannot go on. Whether that is a trap that was asked for, after which it is to go on.
    pub fn stepped(&mut self, from: Badge, thread: u8, cause: Cause) -> bool {
        if !matches!(cause, Cause::Exception { vector: TRAP_VECTOR, .. }) {
            return false;
        }
        let Some(index) = self.find(from) else { return false };
        if self.step_to_doom(index, u32::from(thread)) {
            return true;
        }
        let Some(mut injector) = self.injector.take() else { return false };
        self.step(&mut injector, index, u32::from(thread));
        self.injector = Some(injector);
        true
    }

    /// Counts a trap, and strikes if it was the last. One that comes when nothing is to be counted is the thread's last too.
    fn step(&mut self, injector: &mut Injector, index: usize, thread: u32) {
        let Some(target) = self.target_of(index) else { return };
        let target = Target { thread, held: true, ..target };
        let counts = self.services.get(index).map(|record| record.spec.service);
        match &mut injector.stage {
            Stage::Stepping { fault, left, until } if Some(fault.service) == counts => {
                *left = left.saturating_sub(1);
                let is_late = self.kernel.now() >= *until;
                let sent = if fault.kind.is_of_message() && *left == 0 { message::sending(&mut self.kernel, &target, fault.kind) } else { None };
                let is_there = *left == 0 && (sent.is_some() || !fault.kind.is_of_message());
                let fault = fault.clone();
                match sent {
                    Some(sent) if fault.kind == Kind::Doubled => injector.stage = Stage::Repeating { fault, sent },
                    _ if is_there || is_late => (injector.stage, injector.due) = self.strike_all(&fault, Some(target)),
                    _ => {}
                }
            }
            Stage::Repeating { fault, sent } if Some(fault.service) == counts && message::is_back(&mut self.kernel, &target, sent) => {
                let (fault, sent) = (fault.clone(), *sent);
                let struck = message::repeat(&mut self.kernel, &target, &sent);
                (injector.stage, injector.due) = self.struck(&fault, true, struck);
            }
            _ => {
                // A thread whose registers cannot be set any more is about to end.
                let _ended = strike::unstep(&mut self.kernel, &target);
            }
        }
    }

    /// Strikes the victim, whose thread is held in a trap if one is given, and its companion.
    fn strike_all(&mut self, fault: &Fault, held: Option<Target<'a>>) -> (Stage, u64) {
        let victim = held.or_else(|| self.target(fault.service));
        let struck = self.strike(fault, victim);
        self.struck(fault, held.is_some(), struck)
    }

    /// The victim was struck: its companion is too, and what comes of it is waited for.
    fn struck(&mut self, fault: &Fault, held: bool, struck: Result<Struck, Error>) -> (Stage, u64) {
        self.tell(fault, fault.service, held, struck);
        if let Some(other) = fault.companion {
            let companion = self.target(other);
            let also = self.strike(fault, companion);
            self.tell(fault, other, false, also);
        }
        let watchdog_ms = self.record_of(fault.service).map_or(0, |record| record.spec.policy.watchdog_ms);
        let window_us = if struck.is_ok() { WINDOW_US + u64::from(watchdog_ms) * 1000 * (SAMPLES + SAMPLES_LATE) / SAMPLES } else { 0 };
        let companion = fault.companion.map(|other| (other, self.instance(other)));
        let blow = Blow { service: fault.service, instance: self.instance(fault.service), companion, struck: struck.ok() };
        let until = self.after_us(window_us);
        self.wait_for_consequences(blow, until)
    }

    /// The next look at what came of a blow.
    fn wait_for_consequences(&mut self, blow: Blow, until: u64) -> (Stage, u64) {
        let all_died =
            core::iter::once((blow.service, blow.instance)).chain(blow.companion).all(|(service, instance)| self.instance(service) != instance);
        (Stage::Struck { blow, until, all_died }, until.min(self.after_us(WINDOW_US)))
    }

    fn record_of(&self, service: Service) -> Option<&Record<'a>> {
        self.services.iter().find(|record| record.spec.service == service)
    }

    fn instance(&self, service: Service) -> u32 {
        self.record_of(service).map_or(0, |record| record.instance)
    }

    fn tell(&mut self, fault: &Fault, service: Service, held: bool, struck: Result<Struck, Error>) {
        let (number, name, kind) = (fault.number, service.name(), fault.kind.name());
        let how = if held { "at work" } else { "as it was" };
        match struck {
            Ok(struck) => self.say(format_args!("inject {number}: {name} {kind} {how}: {struck}")),
            Err(error) => self.say(format_args!("inject {number}: {name} {kind} is not possible: {error:?}")),
        }
    }

    fn strike(&mut self, fault: &Fault, target: Option<Target<'_>>) -> Result<Struck, Error> {
        strike(&mut self.kernel, &target.ok_or(Error::WrongState)?, fault.kind, &mut fault.dice.clone())
    }

    fn target(&mut self, service: Service) -> Option<Target<'a>> {
        let index = self.services.iter().position(|record| record.spec.service == service)?;
        self.target_of(index)
    }

    /// The thread of an instance that runs, or else its first one.
    pub(crate) fn target_of(&mut self, index: usize) -> Option<Target<'a>> {
        let record = self.services.get(index)?;
        let (body, _) = record.body()?;
        let (threads, image) = (record.spec.all_threads(), record.spec.image);
        let runs = |thread: &u32| self.kernel.counters(body.block.thread(*thread)).is_ok_and(|counters| counters.doing == Doing::Running);
        let thread = (0..threads).find(runs).unwrap_or(0);
        Some(Target { image, block: body.block, thread, held: false })
    }

    /// Undoes what is as the fault left it, unless the instance is gone with it.
    fn conclude(&mut self, number: u32, Blow { service, instance, struck, .. }: Blow) {
        let lives = self.instance(service) == instance;
        let came = match struck.filter(|_| lives).map(|struck| struck.undo(&mut self.kernel)) {
            Some(Ok(came)) => came,
            Some(Err(_)) => "unmapped",
            None if lives => "passed",
            None => "died",
        };
        self.say(format_args!("inject {number} over: {came}"));
    }
}
