//! Stopping and continuing processes.
//!
//! A stopped process runs nothing: its running threads are stopped in the kernel (and `held`), its calls are kept. A call that was answered right before
//! is not taken back.

use crate::kernel::Doing;
use crate::saved::{Lane, ProcessIndex, flag, redo, slot};
use crate::server::{After, Posix};
use crate::wait::Event;

/// `CLD_STOPPED`.
const CLD_STOPPED: u32 = 5;
/// `CLD_CONTINUED`.
const CLD_CONTINUED: u32 = 6;

/// `SA_NOCLDSTOP`.
const NO_CHILD_STOP: u64 = 1;

impl Posix<'_> {
    /// Stops a process by a signal.
    pub fn stop_process(&mut self, process: ProcessIndex, signal: usize) {
        self.store.edit_process(process, |record| {
            record.flags = record.flags & !flag::CONTINUE_REPORT | flag::STOPPED | flag::STOP_REPORT;
            record.stop_signal = signal as u32;
        });
        self.report(process, CLD_STOPPED, signal as u32);
        for lane in self.lanes_of(process) {
            self.afterwards.push_back(After::Hold(lane));
        }
    }

    /// Stops a running lane's thread. One whose call is on its way is kept when it arrives.
    pub fn hold(&mut self, lane: Lane) {
        let running = matches!(self.kernel.thread_state(slot::thread(lane)), Ok((_, Doing::Running)));
        let stopped = self.store.process(self.store.thread(lane).process as usize).flags & flag::STOPPED != 0;
        if !running || !stopped || self.store.thread(lane).held != 0 {
            return;
        }
        self.store.edit_thread(lane, |thread| thread.held = 1);
        self.store.commit();
        self.held.push(lane);
        // One that called, or faulted, right before that does so again when it goes on.
        let _was = self.kernel.thread_stop(slot::thread(lane));
    }

    /// Continues a stopped process.
    pub fn continue_process(&mut self, process: ProcessIndex, report: bool) {
        if self.store.process(process).flags & flag::STOPPED == 0 {
            return;
        }
        self.store.edit_process(process, |record| {
            record.flags &= !(flag::STOPPED | flag::STOP_REPORT);
            if report {
                record.flags |= flag::CONTINUE_REPORT;
            }
        });
        for lane in self.lanes_of(process) {
            if self.store.thread(lane).held != 0 {
                self.store.edit_thread(lane, |thread| {
                    thread.held = 0;
                    thread.redo = redo::START;
                });
                self.held.retain(|other| *other != lane);
                self.afterwards.push_back(After::Redo(lane));
            } else if self.hands.wait_of(lane).is_some_and(|wait| wait.event == Event::Continued) {
                self.wake_lane(lane);
            }
        }
        if report {
            self.report(process, CLD_CONTINUED, super::SIGCONT as u32);
        }
    }

    fn report(&mut self, process: ProcessIndex, code: u32, status: u32) {
        let parent = self.store.process(process).parent as usize;
        if parent == 0 {
            return;
        }
        if self.store.action(parent, super::SIGCHLD).flags & NO_CHILD_STOP == 0 {
            self.tell_parent(process, code, status);
        } else {
            self.wake(Event::Child(parent as u32));
        }
    }
}
