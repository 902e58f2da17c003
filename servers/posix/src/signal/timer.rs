//! Interval timers: `alarm` and `setitimer(ITIMER_REAL)`.

use super::{SI_KERNEL, SIGALRM};
use crate::saved::{Origin, ProcessIndex};
use crate::server::Posix;

impl Posix<'_> {
    /// When the next timer fires.
    pub fn next_timer(&mut self) -> Option<u64> {
        self.alarms.retain(|process| self.store.process(*process).timer != 0);
        self.alarms.iter().map(|process| self.store.process(*process).timer).min()
    }

    /// A process may have set its alarm.
    pub fn watch_alarm(&mut self, process: ProcessIndex) {
        if !self.alarms.contains(&process) {
            self.alarms.push(process);
        }
    }

    /// Fires the timers whose time has come.
    pub fn fire_timers(&mut self, now: u64) {
        for process in self.alarms.clone() {
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
