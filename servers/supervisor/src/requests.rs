//! What servers may ask of the supervisor. Each speaks for the instance that its badge names.

use abi::RequestNumber;
use heapless::Vec;
use libsys::layout;
use protocols::crash::{Cause, Crash};
use protocols::manifest::{MAX_SERVICES, MAX_THREADS};
use protocols::service::{Badge, Service};
use protocols::supervisor::{self, Error, Health, Logged, Status, Traced};
use protocols::victim::How;

use crate::autopsy;
use crate::kernel::Kernel;
use crate::life::{Life, Supervisor};
use crate::slot;
use crate::watchdog::{Hung, Limits, SAMPLES, STARTING_FACTOR};

/// Who may end and revive others: the one who knows who is root.
pub(crate) const MAY_CONTROL: Service = Service::Posix;
/// Who may turn the power off: whose script or whose first process has ended.
const MAY_POWER_OFF: Service = Service::Posix;

impl<K: Kernel> supervisor::Service for Supervisor<'_, K> {
    fn up(&mut self, from: Badge) -> Result<(), Error> {
        let index = self.find(from).ok_or(Error::Stale)?;
        if let Err(error) = self.came_up(index) {
            self.died(from, None, Cause::NotBuilt(error.to_status()));
            return Err(Error::Stale);
        }
        self.start_due();
        Ok(())
    }

    fn crash_report(&mut self, from: Badge, text: &str) -> Result<(), Error> {
        let service = from.service().ok_or(Error::UnknownService)?;
        self.say(format_args!("last words of {}, instance {}: {text}", service.name(), from.instance));
        if let Some(record) = self.find(from).and_then(|index| self.services.get_mut(index)) {
            record.words.clear();
            // The start of a long text is what matters.
            let _cut_off = text.chars().try_for_each(|character| record.words.push(character));
        }
        Ok(())
    }

    fn power_off(&mut self, from: Badge, status: u8) -> Result<(), Error> {
        if from.service() != Some(MAY_POWER_OFF) {
            return Err(Error::NotAllowed);
        }
        self.turn_off(status);
        Ok(())
    }

    fn status(&mut self, _from: Badge, service: u8) -> Result<Status, Error> {
        let record = self.services.iter().find(|record| record.spec.service.id() == service).ok_or(Error::UnknownService)?;
        Ok(Status { state: record.state(), instance: record.instance })
    }

    fn restart(&mut self, from: Badge, number: RequestNumber, service: u8) -> Result<(), Error> {
        let index = self.controlled(from, service)?;
        if self.is_done(number) {
            return Ok(());
        }
        match self.services.get(index).map(|record| (record.life, record.instance, record.spec.service)) {
            Some((Life::Starting(_) | Life::Up(_), instance, service)) => self.died(Badge::new(service, instance), None, Cause::Killed),
            Some((Life::GivenUp, ..)) => self.revive(index).map_err(|_| Error::NotRunning)?,
            Some((Life::Waiting | Life::Dead { .. }, ..)) | None => {}
        }
        self.note_done(number);
        Ok(())
    }

    fn crash(&mut self, from: Badge, number: RequestNumber, service: u8, how: How) -> Result<(), Error> {
        let index = self.controlled(from, service)?;
        if self.is_done(number) {
            return Ok(());
        }
        let record = self.services.get(index).ok_or(Error::UnknownService)?;
        if matches!(record.life, Life::Waiting | Life::GivenUp) {
            return Err(Error::NotRunning);
        }
        self.doom(index, how, number);
        self.note_done(number);
        Ok(())
    }

    fn health(&mut self, index: u8) -> Result<Health, Error> {
        let now = self.kernel.now();
        let record = self.services.get(usize::from(index)).ok_or(Error::UnknownService)?;
        let body = match record.life {
            Life::Starting(body) | Life::Up(body) => Some(body),
            Life::Waiting | Life::Dead { .. } | Life::GivenUp => None,
        };
        let pause = if let Life::Dead { due } = record.life { due.saturating_sub(now) } else { 0 };
        let (mut own, mut calls) = (0u64, 0u64);
        for thread in 0..record.spec.all_threads() {
            if let Some(counters) = body.and_then(|body| self.kernel.counters(body.block.thread(thread)).ok()) {
                own = own.saturating_add(counters.own_ticks);
                calls = calls.saturating_add(counters.calls);
            }
        }
        Ok(Health {
            service: record.spec.service.id(),
            status: Status { state: record.state(), instance: record.instance },
            deaths: record.deaths.total(),
            threads: record.spec.all_threads() as u8,
            priority: record.spec.priority,
            age_us: body.map_or(0, |body| self.microseconds(now.saturating_sub(body.since))),
            pause_us: self.microseconds(pause),
            own_us: self.microseconds(own),
            calls,
            policy: record.spec.policy,
        })
    }

    fn record(&mut self, nth: u8) -> Result<Crash, Error> {
        self.records.get(nth).cloned().ok_or(Error::NoRecord)
    }

    fn log(&mut self, service: u8, from: u64) -> Result<Logged, Error> {
        let record = self.services.iter().find(|record| record.spec.service.id() == service).ok_or(Error::UnknownService)?;
        let (Life::Starting(body) | Life::Up(body)) = record.life else { return Err(Error::NotRunning) };
        let mut logged = Logged { instance: record.instance, ..Logged::default() };
        logged.next = autopsy::read_log(&mut self.kernel, body.block, from, &mut logged.bytes).ok_or(Error::NotRunning)?;
        Ok(logged)
    }

    fn trace(&mut self, from: Badge, on: Option<bool>, start: u64) -> Result<Traced, Error> {
        self.traced(from, on, start)
    }
}

impl<K: Kernel> Supervisor<'_, K> {
    /// The service that a request to control one is about, if its sender may.
    fn controlled(&self, from: Badge, service: u8) -> Result<usize, Error> {
        if from.service() != Some(MAY_CONTROL) {
            return Err(Error::NotAllowed);
        }
        self.services.iter().position(|record| record.spec.service.id() == service).ok_or(Error::UnknownService)
    }

    /// Whether this request was done before: the one who asks may die of it, and then asks again.
    fn is_done(&self, number: RequestNumber) -> bool {
        self.done.iter().any(|done| *done == number.0)
    }

    /// What failed is not noted: made again it must fail again.
    fn note_done(&mut self, number: RequestNumber) {
        if self.done.is_full() {
            self.done.pop_front();
        }
        // There is room now.
        let _full = self.done.push_back(number.0);
    }

    /// Samples the threads' counters when that is due, and ends instances that hang. Returns when the next sample is due.
    pub fn watch(&mut self) -> u64 {
        let shortest_ms = self.services.iter().map(|record| u64::from(record.spec.policy.watchdog_ms)).min().unwrap_or(u64::MAX);
        let interval_ms = (shortest_ms / SAMPLES).max(1);
        let now = self.kernel.now();
        if now < self.next_sample {
            return self.next_sample;
        }
        self.end_trace();
        self.next_sample = now.saturating_add(interval_ms.saturating_mul(self.facts.tsc_hz / 1000));
        let mut all = Vec::<_, MAX_SERVICES>::new();
        for index in 0..self.services.len() {
            // There are as many places as services.
            let _full = self.hung(index, interval_ms).map(|hung| all.push((index, hung)));
        }
        // All are judged by this sample, before the first death changes what is seen.
        for index in 0..self.services.len() {
            if self.may_be_starved(index) || self.is_slowed_down(index) {
                all.retain(|(hung, _)| *hung != index);
                self.services.get_mut(index).into_iter().for_each(|record| record.watch.excuse());
            }
        }
        for (_, (from, hung)) in all {
            let culprit = if let Hung::Thread(thread) = hung { Some(thread) } else { None };
            self.died(from, culprit, Cause::Hung);
        }
        self.begin_pass();
        self.next_sample
    }

    /// Whether a server of higher priority may have kept this one from the processor: one that stands still, or one that comes up, often after such a one.
    fn may_be_starved(&self, index: usize) -> bool {
        let priority = self.services.get(index).map_or(0, |record| record.spec.priority);
        let mut more_important = self.services.iter().filter(|other| other.spec.priority > priority);
        more_important.any(|other| matches!(other.life, Life::Starting(_)) || other.body().is_some() && other.watch.keeps_running())
    }

    fn hung(&mut self, index: usize, interval_ms: u64) -> Option<(Badge, Hung)> {
        let record = self.services.get_mut(index)?;
        let (block, factor) = match record.life {
            Life::Up(body) => (body.block, 1),
            Life::Starting(body) => (body.block, STARTING_FACTOR),
            Life::Waiting | Life::Dead { .. } | Life::GivenUp => return None,
        };
        let limit = u64::from(record.spec.policy.watchdog_ms).saturating_mul(u64::from(factor)).div_ceil(interval_ms);
        let mut threads = Vec::<_, { MAX_THREADS as usize }>::new();
        let helper_ms = u64::from(record.spec.policy.helper_watchdog_ms);
        for thread in 0..record.spec.all_threads() {
            let mut counters = self.kernel.counters(block.thread(thread)).ok()?;
            if helper_ms != 0 && thread >= u32::from(record.spec.threads) {
                let mut beats = [0; size_of::<u64>()];
                self.kernel.copy_from(block.space(), layout::beats(u64::from(thread)), &mut beats).ok()?;
                counters.beats = u64::from_le_bytes(beats);
            }
            // The manifest's limit is the array's.
            let _full = threads.push(counters);
        }
        let helper_ticks = (helper_ms != 0).then(|| helper_ms.saturating_mul(self.facts.tsc_hz / 1000));
        let limits = Limits { samples: u32::try_from(limit).unwrap_or(u32::MAX), helper_ticks };
        let unattended = self.kernel.is_unattended(slot::endpoint(record.spec.service)).ok()? && matches!(record.life, Life::Up(_));
        let hung = record.watch.sample(usize::from(record.spec.threads), &threads, unattended, limits)?;
        Some((Badge::new(record.spec.service, record.instance), hung))
    }
}
