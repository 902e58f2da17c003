//! What servers may ask of the supervisor. Each speaks for the instance that its badge names.

use heapless::Vec;
use protocols::manifest::MAX_THREADS;
use protocols::service::{Badge, Service};
use protocols::supervisor::{self, Error, Status};

use crate::cause::Cause;
use crate::kernel::Kernel;
use crate::life::{Life, Supervisor};
use crate::slot;
use crate::watchdog::{Hung, SAMPLES, STARTING_FACTOR};

/// Who may turn the power off.
const MAY_POWER_OFF: [Service; 2] = [Service::Posix, Service::Console];

impl<K: Kernel> supervisor::Service for Supervisor<'_, K> {
    fn up(&mut self, from: Badge) -> Result<(), Error> {
        let index = self.find(from).ok_or(Error::Stale)?;
        if let Err(error) = self.came_up(index) {
            self.died(from, None, Cause::NotBuilt(error));
            return Err(Error::Stale);
        }
        self.start_due();
        Ok(())
    }

    fn crash_report(&mut self, from: Badge, text: &str) -> Result<(), Error> {
        let service = from.service().ok_or(Error::UnknownService)?;
        self.say(format_args!("last words of {}, instance {}: {text}", service.name(), from.instance));
        Ok(())
    }

    fn power_off(&mut self, from: Badge, status: u8) -> Result<(), Error> {
        if !from.service().is_some_and(|service| MAY_POWER_OFF.contains(&service)) {
            return Err(Error::NotAllowed);
        }
        self.turn_off(status);
        Ok(())
    }

    fn status(&mut self, _from: Badge, service: u8) -> Result<Status, Error> {
        let record = self.services.iter().find(|record| record.spec.service.id() == service).ok_or(Error::UnknownService)?;
        Ok(Status { state: record.state(), instance: record.instance })
    }
}

impl<K: Kernel> Supervisor<'_, K> {
    /// Samples the threads' counters when that is due, and ends instances that hang. Returns when the next sample is due.
    pub fn watch(&mut self) -> u64 {
        let shortest_ms = self.services.iter().map(|record| u64::from(record.spec.policy.watchdog_ms)).min().unwrap_or(u64::MAX);
        let interval_ms = (shortest_ms / SAMPLES).max(1);
        let now = self.kernel.now();
        if now < self.next_sample {
            return self.next_sample;
        }
        self.next_sample = now.saturating_add(interval_ms.saturating_mul(self.facts.tsc_hz / 1000));
        for index in 0..self.services.len() {
            if let Some((from, hung)) = self.hung(index, interval_ms) {
                let culprit = if let Hung::Thread(thread) = hung { Some(thread) } else { None };
                self.died(from, culprit, Cause::Hung);
            }
        }
        self.next_sample
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
        for thread in 0..record.spec.all_threads() {
            // The manifest's limit is the array's.
            let _full = threads.push(self.kernel.counters(block.thread(thread)).ok()?);
        }
        let unattended = self.kernel.is_unattended(slot::endpoint(record.spec.service)).ok()? && matches!(record.life, Life::Up(_));
        let hung = record.watch.sample(usize::from(record.spec.threads), &threads, unattended, u32::try_from(limit).unwrap_or(u32::MAX))?;
        Some((Badge::new(record.spec.service, record.instance), hung))
    }
}
