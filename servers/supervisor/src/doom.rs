//! Deaths that root asks for: at any instruction of a server's work, and not at the moment of asking.
//!
//! Whoever asks is a request that posix has in hand: posix waits for the answer in always the same call, and no other server has been asked for anything. A death
//! at that moment would show nothing but that one case. So it comes some milliseconds later, and then, by the injector's means, so many instructions after the
//! server was given work: how long and how many is the request's number's choice. A server that nobody asks for anything dies idle in the end; one that does
//! anything is waited for by its instructions, whose traps take a busy host any time. Each command is a death: one that is still to come happens when the next is
//! given, and the last one waits for the successor of an instance that died of something else. Only while there is no instance all commands are one death.

use core::ops::Range;

use abi::RequestNumber;
use protocols::victim::How;

use crate::inject::plan::Dice;
use crate::inject::strike::{self, Struck, Target};
use crate::inject::{LOOK_US, RETRY_US, SPREAD_US};
use crate::kernel::Kernel;
use crate::life::{Life, Supervisor};

/// For so long an instruction is awaited. Not longer, as `svc crash` waits with us.
const PATIENCE_US: u64 = 200_000;
/// So many instructions without a request are what a server does between two of them, and more are not waited for.
const MOST_IDLE_INSTRUCTIONS: u64 = 1 << 13;
/// It comes after at most this power of two of instructions, chosen at random from these: up to those of several requests.
const MOST_INSTRUCTIONS_SHIFT: Range<u64> = 3..13;

/// A death to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doom {
    how: How,
    due: u64,
    /// From when on an idle server dies too.
    until: u64,
    left: Left,
    /// The instance of which a thread traps after each instruction.
    stepping: Option<u32>,
}

/// How many instructions an instance has before it dies.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// With a request in hand.
    at_work: u64,
    /// Without.
    idle: u64,
}

impl Doom {
    fn next_look(&self) -> u64 {
        if self.stepping.is_some() { self.until } else { self.due }
    }
}

impl<'a, K: Kernel> Supervisor<'a, K> {
    /// Lets the service die soon, and at once of what was asked for before.
    pub(crate) fn doom(&mut self, index: usize, how: How, number: RequestNumber) {
        let mut dice = Dice::new(number.0);
        let wait_us = dice.below(SPREAD_US);
        let (due, until) = (self.after_us(wait_us), self.after_us(wait_us + PATIENCE_US));
        let left = Left { at_work: dice.up_to_power(MOST_INSTRUCTIONS_SHIFT), idle: MOST_IDLE_INSTRUCTIONS };
        let doom = Doom { how, due, until, left, stepping: None };
        if let Some(earlier) = self.services.get_mut(index).and_then(|record| record.doom.replace(doom))
            && let Some(target) = self.target_of(index)
        {
            self.fulfil(index, earlier, target);
        }
    }

    /// Lets die who is to die by now. Returns when to look again; `None` while nobody is to.
    pub fn fulfil_dooms(&mut self) -> Option<u64> {
        let mut next: Option<u64> = None;
        for index in 0..self.services.len() {
            let Some(doom) = self.services.get_mut(index).and_then(|record| record.doom.take()) else { continue };
            let doom = if self.kernel.now() < doom.next_look() { Some(doom) } else { self.advance_doom(index, doom) };
            next = doom.iter().map(Doom::next_look).chain(next).min();
            if let Some(record) = self.services.get_mut(index) {
                record.doom = doom;
            }
        }
        next
    }

    /// The next step of a death; what is left of it.
    fn advance_doom(&mut self, index: usize, doom: Doom) -> Option<Doom> {
        let record = self.services.get(index)?;
        if matches!(record.life, Life::GivenUp) {
            return None;
        }
        let (instance, is_up) = (record.instance, matches!(record.life, Life::Up(_)));
        let Some(target) = self.target_of(index) else {
            return Some(Doom { due: self.after_us(RETRY_US), stepping: None, ..doom });
        };
        // Who is not up is at work already, and traps belong to the injector where there is one.
        if self.kernel.now() >= doom.until || !is_up || self.injector.is_some() {
            self.fulfil(index, doom, target);
            return None;
        }
        match strike::step(&mut self.kernel, &target) {
            Ok(()) => Some(Doom { stepping: Some(instance), ..doom }),
            Err(_) => Some(Doom { due: self.after_us(LOOK_US), stepping: None, ..doom }),
        }
    }

    /// Whether the instance traps after each instruction, and therefore hardly gets on.
    pub(crate) fn is_slowed_down(&self, index: usize) -> bool {
        self.services.get(index).is_some_and(|record| record.doom.is_some_and(|doom| doom.stepping == Some(record.instance)))
    }

    /// A thread trapped after an instruction. Whether that was for a death's sake.
    pub(crate) fn step_to_doom(&mut self, index: usize, thread: u32) -> bool {
        let Some(record) = self.services.get_mut(index) else { return false };
        let instance = record.instance;
        let Some(mut doom) = record.doom.take_if(|doom| doom.stepping == Some(instance)) else { return false };
        let Some(target) = self.target_of(index).map(|target| Target { thread, held: true, ..target }) else { return true };
        let left = if self.works(index, &target) { &mut doom.left.at_work } else { &mut doom.left.idle };
        *left -= 1;
        if *left == 0 {
            self.fulfil(index, doom, target);
        } else {
            let until = self.after_us(PATIENCE_US);
            if let Some(record) = self.services.get_mut(index) {
                record.doom = Some(Doom { until, ..doom });
            }
        }
        true
    }

    /// Whether the thread has a request in hand. A helper has none, and works when it runs.
    fn works(&mut self, index: usize, target: &Target<'_>) -> bool {
        let helps = self.services.get(index).is_some_and(|record| target.thread >= u32::from(record.spec.threads));
        helps || self.kernel.counters(target.handle()).is_ok_and(|counters| counters.in_hand)
    }

    fn fulfil(&mut self, index: usize, doom: Doom, target: Target<'a>) {
        let Some(record) = self.services.get_mut(index) else { return };
        let (name, instance) = (record.spec.service.name(), record.instance);
        record.doomed = instance;
        let how = if self.works(index, &target) { "at work" } else { "without a request" };
        match strike::die(&mut self.kernel, &target, doom.how) {
            Ok(Struck::Thread { rip }) => self.say(format_args!("{name}, instance {instance}, is made to die: {:?} {how}, at {rip:#x}", doom.how)),
            Ok(_) => {}
            Err(error) => self.say(format_args!("{name} cannot be made to die: {error:?}")),
        }
    }
}
