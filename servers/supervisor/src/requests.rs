//! What servers may ask of the supervisor. Each speaks for the instance that its badge names.

use protocols::service::{Badge, Service};
use protocols::supervisor::{self, Error, Status};

use crate::cause::Cause;
use crate::kernel::Kernel;
use crate::life::{Life, Supervisor};
use crate::watchdog::{LIMIT, SAMPLE_SECONDS, STARTING_LIMIT};

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
        let interval = self.facts.tsc_hz.saturating_mul(SAMPLE_SECONDS);
        let now = self.kernel.now();
        if now < self.next_sample {
            return self.next_sample;
        }
        self.next_sample = now.saturating_add(interval);
        for index in 0..self.services.len() {
            if let Some((hung, thread)) = self.hung(index) {
                self.died(hung, Some(thread), Cause::Hung);
            }
        }
        self.next_sample
    }

    fn hung(&mut self, index: usize) -> Option<(Badge, u8)> {
        let record = self.services.get_mut(index)?;
        let (block, limit) = match record.life {
            Life::Up(body) => (body.block, LIMIT),
            Life::Starting(body) => (body.block, STARTING_LIMIT),
            Life::Waiting | Life::Dead | Life::GivenUp => return None,
        };
        for thread in 0..u32::from(record.spec.threads) {
            let counters = self.kernel.counters(block.thread(thread)).ok()?;
            if record.watch.sample(thread as usize, counters, limit) {
                return Some((Badge::new(record.spec.service, record.instance), thread as u8));
            }
        }
        None
    }
}
