//! Interval timers: `alarm` and `setitimer(ITIMER_REAL)`.

use super::{SI_KERNEL, SIGALRM};
use crate::saved::Origin;
use crate::server::Posix;

impl Posix<'_> {
    /// When the next timer fires.
    #[must_use]
    pub fn next_timer(&self) -> Option<u64> {
        self.processes.iter().map(|process| self.store.process(*process).timer).filter(|at| *at != 0).min()
    }

    /// Fires the timers whose time has come.
    pub fn fire_timers(&mut self, now: u64) {
        for process in self.processes.clone() {
            let record = self.store.process(process);
            if record.timer == 0 || record.timer > now {
                continue;
            }
            let missed = (now - record.timer).checked_div(record.timer_interval);
            self.store.edit_process(process, |process| {
                process.timer = missed.map_or(0, |missed| record.timer + (missed + 1) * record.timer_interval);
            });
            self.send(process, SIGALRM, Origin { code: SI_KERNEL, ..Origin::default() });
            self.store.commit();
        }
    }
}
