//! New processes and threads.
//!
//! An operation with kernel objects has three parts. The *intent* reserves records (embryos) and pages and is committed; the *effect* makes the objects and clones
//! memory; the *record* makes the embryos live, with the caller's result, in one transaction. A crash before the record leaves embryos, which recovery destroys,
//! and the call is made again from the start; a crash after it leaves a thread that is to be started.

use abi::{Frame, ObjectKind, RequestNumber, ThreadSetting};
use protocols::service::Service;

use libsys::field;

use crate::errno::Errno;
use crate::fail::Point;
use crate::frames::Place;
use crate::place;
use crate::saved::{Action, LANES, Lane, MAPS, Map, MapIndex, PROCESSES, Process, ProcessIndex, SIGNALS, Thread, flag, operation, redo, slot, state};
use crate::server::{After, Posix};
use crate::signal::IGNORE;
use crate::space::kernel_errno;
use crate::syscall::sched;
use crate::vma::{NOT_FORKED, SHARED, VVAR, WIPED_ON_FORK};

/// A process group of this many processes, or threads of them, is a large one.
const MANY_TASKS: usize = 64;

/// What the new thread is to be.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// A thread of the same process.
    pub thread: bool,
    /// It shares its parent's memory, as vfork children do.
    pub shares_memory: bool,
    /// The parent waits until the child executes or ends.
    pub waits: bool,
    /// Signal at its end.
    pub exit_signal: u32,
    /// Stack pointer, 0 for the parent's.
    pub stack: u64,
    /// Thread pointer, if it gets a new one.
    pub thread_pointer: Option<u64>,
    /// Address that is cleared at its end.
    pub clear_tid: u64,
    /// Its parent's parent becomes its parent (`CLONE_PARENT`).
    pub sibling: bool,
    /// Handlers go back to default (`CLONE_CLEAR_SIGHAND`).
    pub clears_handlers: bool,
}

/// What was reserved for it.
#[derive(Clone, Copy, Debug)]
struct Embryo {
    process: ProcessIndex,
    lane: Lane,
    map: MapIndex,
}

impl Posix<'_> {
    /// Makes a new thread, in a process of its own or not. Returns its lane; the caller records its own result before the next commit and then redoes the lane.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOMEM`.
    pub fn give_birth(&mut self, parent: Lane, birth: &Birth) -> Result<Lane, Errno> {
        let embryo = self.intend(parent, birth)?;
        libsys::fail::hit(Point::ChildRecorded);
        let result = self.build(parent, embryo, birth);
        self.frames.release_reserved();
        if let Err(errno) = result {
            self.abandon_operation(parent);
            return Err(errno);
        }
        libsys::fail::hit(Point::ChildMade);
        self.enliven(parent, embryo, birth);
        Ok(embryo.lane)
    }

    fn intend(&mut self, parent: Lane, birth: &Birth) -> Result<Embryo, Errno> {
        let own = self.store.thread(parent).process as usize;
        let lane = (1..LANES).find(|lane| self.store.thread(*lane).state == state::FREE).ok_or(Self::FULL)?;
        let process = if birth.thread { own } else { self.free_process()? };
        let shares = birth.thread || birth.shares_memory;
        let map = if shares { self.store.process(own).map as usize } else { self.free_map()? };
        let page = self.frames.reserve(self.kernel)?.0;
        self.store.edit_thread(lane, |thread| {
            *thread = Thread { state: state::EMBRYO, page, process: process as u32, number: thread.number, ..Thread::default() };
        });
        if !shares {
            let page = self.frames.reserve(self.kernel)?.0;
            self.store.set_map(map, Map { state: state::EMBRYO, page, ..Map::default() });
            self.frames.space_began(slot::space(map));
        }
        if !birth.thread {
            self.store.set_process(process, Process { state: state::EMBRYO, ..Process::default() });
        }
        self.store.edit_thread(parent, |thread| {
            thread.operation = operation::FORK;
            thread.operation_lane = lane as u32;
            thread.operation_process = if birth.thread { 0 } else { process as u32 };
            thread.operation_map = if shares { 0 } else { map as u32 };
        });
        self.store.commit();
        Ok(Embryo { process, lane, map })
    }

    /// Whether the system has room for one more process or thread of a process's group. Of the last eighth only those groups get any that are small: a bomb, however
    /// many processes of however many threads, does not keep a shell from its next command. What has ended counts until somebody waits for it.
    ///
    /// # Errors
    /// `EAGAIN`.
    pub fn check_room_for_task(&self, process: ProcessIndex) -> Result<(), Errno> {
        let group = self.store.process(process).group;
        let in_group = |index: usize| self.store.process(index).group == group;
        let threads = self.lanes.iter().filter(|lane| in_group(self.store.thread(**lane).process as usize)).count();
        let processes = self.processes.iter().filter(|index| in_group(**index)).count();
        if threads.max(processes) < MANY_TASKS {
            return Ok(());
        }
        let leaves_some = self.lanes.len() < LANES - LANES / 8 && self.processes.len() < PROCESSES - PROCESSES / 8;
        if leaves_some { Ok(()) } else { Err(Self::FULL) }
    }

    /// A free process record.
    ///
    /// # Errors
    /// `EAGAIN`.
    pub fn free_process(&self) -> Result<ProcessIndex, Errno> {
        (1..PROCESSES).find(|process| self.store.process(*process).state == state::FREE).ok_or(Self::FULL)
    }

    /// A free map record.
    ///
    /// # Errors
    /// `EAGAIN`.
    pub fn free_map(&self) -> Result<MapIndex, Errno> {
        (1..MAPS).find(|map| self.store.map(*map).state == state::FREE).ok_or(Self::FULL)
    }

    fn build(&mut self, parent: Lane, embryo: Embryo, birth: &Birth) -> Result<(), Errno> {
        let mut frame = self.kernel.get_frame(slot::thread(parent)).map_err(kernel_errno)?;
        let own_map = self.store.process(self.store.thread(parent).process as usize).map as usize;
        if embryo.map != own_map {
            self.make_space(embryo.map)?;
            for area in self.store.areas(own_map).0 {
                if area.flags & (SHARED | VVAR | WIPED_ON_FORK | NOT_FORKED) == 0 {
                    self.clone_range(embryo.map, own_map, area.start, area.end)?;
                }
            }
            self.part_hot_pages(embryo.map, own_map, frame.rsp);
        }
        frame.rax = 0;
        if birth.stack != 0 {
            frame.rsp = birth.stack;
        }
        if let Some(pointer) = birth.thread_pointer {
            frame.fs_base = pointer;
        }
        self.make_thread(embryo.lane, embryo.map, &frame)?;
        let processor = place::processor_of(embryo.lane, self.affinity(parent)) as u64;
        self.kernel.thread_configure(slot::thread(embryo.lane), ThreadSetting::Processor, processor).map_err(kernel_errno)?;
        match sched::inherited(&self.store.thread(parent)) {
            (0, _) => Ok(()),
            (policy, priority) => self.apply_policy(embryo.lane, policy, priority),
        }
    }

    /// Makes the thread of a lane whose page was set aside; it is not started.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn make_thread(&mut self, lane: Lane, map: MapIndex, frame: &Frame) -> Result<(), Errno> {
        let handle = slot::thread(lane);
        let page = self.store.thread(lane).page;
        self.kernel.retype(Place(page).source(), ObjectKind::Thread, handle).map_err(kernel_errno)?;
        self.kernel.thread_init(handle, lane).map_err(kernel_errno)?;
        self.kernel.thread_configure(handle, ThreadSetting::Lane, self.own_number(lane)).map_err(kernel_errno)?;
        self.kernel.thread_space(handle, slot::space(map)).map_err(kernel_errno)?;
        self.kernel.set_frame(handle, frame).map_err(kernel_errno)
    }

    /// The number of the last request of a lane, as it is set in a thread: one of the lane's own, though no thread of it has ever made a call.
    pub(crate) fn own_number(&self, lane: Lane) -> u64 {
        RequestNumber::new(Service::Posix.id(), lane as u16, RequestNumber(self.store.thread(lane).number).request(), 0).0
    }

    fn enliven(&mut self, parent: Lane, embryo: Embryo, birth: &Birth) {
        let pid = self.next_pid();
        let thread = self.store.thread(parent);
        let own = thread.process as usize;
        if birth.thread {
            self.store.edit_process(own, |process| process.lanes += 1);
        } else {
            self.copy_process(parent, embryo, birth, pid);
        }
        if embryo.map != self.store.process(own).map as usize {
            self.copy_map(self.store.process(own).map as usize, embryo.map);
        } else if !birth.thread {
            self.store.edit_map(embryo.map, |map| map.references += 1);
        }
        if birth.waits {
            self.store.edit_process(embryo.process, |process| process.vfork_lane = parent as u32 + 1);
        }
        let name = self.thread_name(parent);
        let keeps_alternate = !birth.thread && !birth.shares_memory;
        self.store.edit_thread(embryo.lane, |child| {
            child.state = state::LIVE;
            child.process = embryo.process as u32;
            child.tid = pid;
            child.name = name;
            child.mask = thread.mask;
            (child.policy, child.static_priority) = sched::inherited(&thread);
            child.affinity = thread.affinity;
            child.timer_slack = [thread.timer_slack[0]; 2];
            child.alternate = if keeps_alternate { thread.alternate } else { [0; 3] };
            child.clear_tid = birth.clear_tid;
            child.redo = redo::START;
        });
        self.store.set_thread_field(parent, field!(Thread, operation), operation::NONE);
        self.store.edit_globals(|globals| globals.forks += 1);
        self.last_seen[embryo.lane] = Some(RequestNumber(self.store.thread(embryo.lane).number));
        self.lanes.push(embryo.lane);
        if !birth.thread {
            self.processes.push(embryo.process);
            self.watch_processor_time(embryo.process);
        }
        self.afterwards.push_back(After::Redo(embryo.lane));
    }

    fn copy_process(&mut self, parent: Lane, embryo: Embryo, birth: &Birth, pid: u32) {
        let own = self.store.thread(parent).process as usize;
        let record = self.store.process(own);
        let now = self.kernel.now_ns();
        self.store.set_process(
            embryo.process,
            Process {
                state: state::LIVE,
                pid,
                parent: if birth.sibling { record.parent } else { own as u32 },
                map: embryo.map as u32,
                exit_signal: birth.exit_signal,
                lanes: 1,
                flags: record.flags & (flag::NO_NEW_PRIVILEGES | flag::NOT_DUMPABLE | flag::NO_HUGE_PAGES),
                death_signal: 0,
                stop_signal: 0,
                vfork_lane: 0,
                status: 0,
                pending: 0,
                queued: [0; 2],
                next_timer: 0,
                timer: 0,
                timer_interval: 0,
                cpu_timers: [0; 2],
                cpu_timer_intervals: [0; 2],
                name: self.thread_name(parent),
                started_ns: now,
                ticks: [0; 2],
                child_ticks: [0; 2],
                ..record
            },
        );
        self.hold_node(record.directory as usize);
        self.hold_node(record.root as usize);
        self.store.copy_actions(own, embryo.process);
        if birth.clears_handlers {
            self.clear_handlers(embryo.process);
        }
        // All descriptors of a record that was free are closed.
        for number in self.descriptors(own) {
            let descriptor = self.store.descriptor(own, number);
            self.store.set_descriptor(embryo.process, number, descriptor);
            if let Some(file) = (descriptor.file as usize).checked_sub(1) {
                self.hold_file(file);
            }
        }
    }

    /// Signals that a process handles go back to default.
    pub fn clear_handlers(&mut self, process: ProcessIndex) {
        for signal in 1..=SIGNALS {
            if self.store.action(process, signal).handler > IGNORE {
                self.store.set_action(process, signal, Action::default());
            }
        }
    }

    fn copy_map(&mut self, from: MapIndex, to: MapIndex) {
        let (record, page) = (self.store.map(from), self.store.map(to).page);
        self.store.set_map(to, Map { page, references: 1, areas: 0, ..record });
        self.hold_node(record.program as usize);
        let mut areas = self.store.areas(from);
        areas.0.retain(|area| area.flags & NOT_FORKED == 0);
        // As many as the parent has always fit.
        let _fits = self.set_areas(to, &areas);
    }

    /// A process number that nothing uses (Linux: below 32768, from 2 on; 1 is posix itself).
    pub fn next_pid(&mut self) -> u32 {
        const MAX_PID: u32 = 32768;
        let mut pid = self.store.globals().last_pid;
        loop {
            pid = if pid + 1 >= MAX_PID { 300 } else { (pid + 1).max(2) };
            let is_thread = self.lanes.iter().any(|lane| self.store.thread(*lane).tid == pid);
            let is_process = self.processes.iter().any(|process| {
                let process = self.store.process(*process);
                process.pid == pid || process.group == pid || process.session == pid
            });
            if !is_thread && !is_process {
                break;
            }
        }
        self.store.edit_globals(|globals| globals.last_pid = pid);
        pid
    }

    /// Destroys what an operation of a lane has made so far, unless it was committed.
    pub fn abandon_operation(&mut self, lane: Lane) {
        let thread = self.store.thread(lane);
        if thread.operation == operation::NONE {
            return;
        }
        let embryo = thread.operation_lane as usize;
        if embryo != 0 && self.store.thread(embryo).state == state::EMBRYO {
            self.store.set_thread_field(embryo, field!(Thread, state), state::DYING);
            self.dying.lanes.push(embryo);
        }
        let process = thread.operation_process as usize;
        if process != 0 && self.store.process(process).state == state::EMBRYO {
            self.store.set_process(process, Process::default());
        }
        let map = thread.operation_map as usize;
        if map != 0 && self.store.map(map).state == state::EMBRYO {
            self.store.edit_map(map, |map| map.state = state::DYING);
            self.dying.maps.push(map);
        }
        self.store.edit_thread(lane, |thread| {
            thread.operation = operation::NONE;
            (thread.operation_lane, thread.operation_process, thread.operation_map) = (0, 0, 0);
        });
    }
}
