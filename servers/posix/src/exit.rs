//! The end of processes and threads.
//!
//! Saved state says first that something is dying, in the transaction of its cause; then its kernel objects are destroyed, and only then is the record free.
//! So a crash anywhere leaves something dying, which the successor's first reaping finishes.

use alloc::vec::Vec;

use crate::fail::Point;
use crate::frames::Place;
use crate::saved::{Lane, Map, MapIndex, Process, ProcessIndex, Thread, flag, slot, state};
use crate::server::Posix;
use crate::signal::{Holder, IGNORE, SI_KERNEL, SI_USER, SIGCHLD, SIGCONT, SIGHUP};
use crate::vma::Areas;
use crate::wait::Event;

/// `CLD_EXITED`, `CLD_KILLED`, `CLD_DUMPED`.
const CLD_EXITED: u32 = 1;
const CLD_KILLED: u32 = 2;
/// `SA_NOCLDWAIT`.
const NO_CHILD_WAIT: u64 = 2;

/// Kernel objects to be destroyed, an index of the records in [`state::DYING`].
#[derive(Debug, Default)]
pub struct Dying {
    /// Threads; they go first, because they use the spaces.
    pub lanes: Vec<Lane>,
    /// Address spaces.
    pub maps: Vec<MapIndex>,
    /// Threads among them that may have opened files without hearing of it.
    pub unheard: Vec<Lane>,
}

impl Posix<'_> {
    /// Ends a process with a wait status.
    pub fn exit_process(&mut self, process: ProcessIndex, status: u32) {
        if self.store.process(process).flags & flag::EXITING != 0 {
            return;
        }
        self.store.edit_process(process, |process| {
            process.flags = process.flags & !flag::STOPPED | flag::EXITING;
            process.status = status;
            process.timer = 0;
            process.cpu_timers = [0; 2];
        });
        for lane in self.lanes_of(process) {
            self.end_lane(lane);
        }
        self.drop_pending(Holder::Process(process), u64::MAX);
        self.delete_posix_timers(process);
        for number in self.descriptors(process) {
            // It is open: the list was just made.
            let _closed = self.close(process, number as u64);
        }
        let record = self.store.process(process);
        self.release_node(record.directory as usize);
        self.release_node(record.root as usize);
        self.release_map(record.map as usize);
        self.release_vfork(process);
        if record.pid == record.session {
            self.leave_terminal(&record, true);
        }
        self.disown_children(process);
        self.session_ended(process, status);
        self.become_zombie(process, status);
    }

    fn become_zombie(&mut self, process: ProcessIndex, status: u32) {
        let record = self.store.process(process);
        let parent = record.parent as usize;
        let action = self.store.action(parent, SIGCHLD);
        let unwanted = parent == 0 || action.handler == IGNORE || action.flags & NO_CHILD_WAIT != 0;
        self.store.edit_process(process, |process| process.state = state::ZOMBIE);
        let code = if status & 0x7f == 0 { CLD_EXITED } else { CLD_KILLED };
        let value = if code == CLD_EXITED { status >> 8 & 0xff } else { status & 0x7f };
        self.tell_parent(process, code, value);
        // Whoever has a descriptor of it.
        self.wake(Event::Any);
        if unwanted {
            self.forget_process(process);
        }
    }

    /// The record of a process that nobody will wait for any more.
    pub fn forget_process(&mut self, process: ProcessIndex) {
        self.store.set_process(process, Process::default());
        self.processes.retain(|other| *other != process);
        self.faults[process] = 0;
    }

    /// What a thread has done is, or is no more, what the processor did besides those that there are.
    pub fn count_worked(&mut self, processor: usize, [user, system]: [u64; 2], count: fn(u64, u64) -> u64) {
        self.store.edit_worked(processor, |worked| (worked.user, worked.system) = (count(worked.user, user), count(worked.system, system)));
    }

    /// A thread ends: it runs no more.
    pub fn end_lane(&mut self, lane: Lane) {
        let next = self.last_number(lane).next();
        let ticks = self.kernel.thread_state(slot::thread(lane)).map_or([0; 2], |(ticks, _)| [ticks.user, ticks.system]);
        let processor = self.processor_of(lane);
        self.count_worked(processor, ticks, u64::wrapping_add);
        let process = self.store.thread(lane).process as usize;
        let waits_for_file = self.hands.wait_of(lane).is_some_and(|wait| wait.event == Event::Vfs);
        if waits_for_file || self.last_seen[lane].is_none() {
            self.dying.unheard.push(lane);
        }
        self.leave_robust_futexes(lane);
        self.drop_pending(Holder::Thread(lane), u64::MAX);
        self.abandon_operation(lane);
        self.store.edit_thread(lane, |thread| {
            thread.state = state::DYING;
            // What it has settled stays known until it is gone: see `take_back`.
            thread.done.number = thread.done.number.max(thread.number);
            thread.number = next.0;
        });
        self.store.edit_process(process, |process| {
            process.lanes = process.lanes.saturating_sub(1);
            process.ticks = [process.ticks[0] + ticks[0], process.ticks[1] + ticks[1]];
        });
        self.hands.put_down(lane);
        self.lanes.retain(|other| *other != lane);
        self.held.retain(|other| *other != lane);
        self.dying.lanes.push(lane);
    }

    /// One process fewer uses a map.
    pub fn release_map(&mut self, map: MapIndex) {
        let record = self.store.map(map);
        if record.references > 1 {
            self.store.edit_map(map, |map| map.references -= 1);
            return;
        }
        // No areas use files from here on. It cannot fail: fewer always fit.
        let _fewer = self.set_areas(map, &Areas::default());
        self.leave_node(record.program as usize);
        self.store.edit_map(map, |map| {
            map.references = 0;
            map.state = state::DYING;
        });
        self.dying.maps.push(map);
    }

    /// A vfork child is through with its parent's memory.
    pub fn release_vfork(&mut self, process: ProcessIndex) {
        let lane = self.store.process(process).vfork_lane as usize;
        if lane != 0 {
            self.store.edit_process(process, |process| process.vfork_lane = 0);
            self.wake_lane(lane - 1);
        }
    }

    /// The end of a parent may orphan stopped groups, which nobody could continue any more (POSIX, `_exit`).
    fn disown_children(&mut self, process: ProcessIndex) {
        let hang_up = crate::saved::Origin { code: SI_KERNEL, ..Default::default() };
        let heir = self.reaper_of(process);
        for child in self.processes.clone() {
            let record = self.store.process(child);
            if record.parent as usize != process || child == process {
                continue;
            }
            self.store.edit_process(child, |child| child.parent = heir as u32);
            let origin = crate::saved::Origin { code: SI_USER, pid: self.store.process(process).pid, ..Default::default() };
            self.send(child, record.death_signal as usize, origin);
            if record.state == state::ZOMBIE {
                if heir == 0 {
                    self.forget_process(child);
                } else {
                    self.wake(Event::Child(heir as u32));
                }
            } else if record.flags & flag::STOPPED != 0 {
                self.send(child, SIGHUP, hang_up);
                self.send(child, SIGCONT, hang_up);
            }
        }
    }

    /// Who inherits the children of a process: the nearest ancestor that asked for it, else init, which is posix itself (0).
    fn reaper_of(&self, process: ProcessIndex) -> ProcessIndex {
        let mut ancestor = self.store.process(process).parent as usize;
        for _ in 0..crate::saved::PROCESSES {
            if ancestor == 0 || self.store.process(ancestor).flags & flag::SUBREAPER != 0 {
                break;
            }
            ancestor = self.store.process(ancestor).parent as usize;
        }
        ancestor
    }

    /// Destroys what is dying.
    pub fn reap(&mut self) {
        if self.store.is_changed() {
            self.store.commit();
        }
        while let Some(lane) = self.dying.lanes.pop() {
            let handle = slot::thread(lane);
            let thread = self.store.thread(lane);
            // A thread that was never made, or is gone already, cannot be stopped.
            let _state_before = self.kernel.thread_stop(handle);
            self.replies.forget(lane);
            if self.dying.unheard.contains(&lane) {
                self.take_back(lane, thread.done.number);
                self.dying.unheard.retain(|other| *other != lane);
            }
            self.destroy(handle, thread.page);
            self.store.set_thread(lane, Thread { number: thread.number, ..Thread::default() });
            self.store.commit();
        }
        while let Some(map) = self.dying.maps.pop() {
            let handle = slot::space(map);
            while let Ok(true) = self.kernel.dismantle(handle) {}
            self.frames.space_ended(handle);
            self.destroy(handle, self.store.map(map).page);
            self.store.set_map(map, Map::default());
            self.store.commit();
            self.memory_came_back();
            libsys::fail::hit(Point::SpaceGone);
        }
    }

    /// A thread is gone whose last request was made to vfs and not settled here: a predecessor died in between, or it was killed while something was pending.
    /// What vfs opened for it is nobody's.
    fn take_back(&mut self, lane: Lane, settled: u64) {
        let number = self.kernel.own_number();
        if let Err(error) = self.vfs().take_back(number, lane as u16, settled) {
            self.kernel.log(&alloc::format!("posix: files of lane {lane} may stay open: {error:?}"));
        }
    }

    fn destroy(&mut self, handle: u32, page: u64) {
        if self.kernel.describe(handle).is_some()
            && let Err(error) = self.kernel.reclaim(Place(page).source())
        {
            self.kernel.log(&alloc::format!("posix: an object of slot {handle} stays: {error:?}"));
        }
        libsys::fail::hit(Point::ObjectReclaimed);
        // Also where there is no object: a predecessor that died between the two steps left a dead capability, and nothing could be made in its slot.
        self.kernel.delete(handle);
    }
}
