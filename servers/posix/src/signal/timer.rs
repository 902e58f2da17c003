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
            let missed = if record.timer_interval == 0 { 0 } else { (now - record.timer) / record.timer_interval + 1 };
            self.store.edit_process(process, |process| {
                process.timer = if missed == 0 { 0 } else { record.timer + missed * record.timer_interval };
            });
            self.send(process, SIGALRM, Origin { code: SI_KERNEL, ..Origin::default() });
            self.store.commit();
        }
    }
}
