//! What an instance does before its first message: nothing but what saved state gives reasons for.
//!
//! The area has rolled its open transaction back. Then: what was being made is condemned, indices are built, waits stand as the kernel will deliver them again,
//! registers and starts that were due are done, stopped processes are held, pending signals are looked at, and what is dying is destroyed.

use alloc::format;
use alloc::vec::Vec;

use protocols::call::CallError;
use protocols::vfs::{self, Actor, At, FileId};

use crate::call::{EFFECT, Stop, vfs_stop};
use crate::errno::Errno;
use crate::kernel::Doing;
use crate::saved::{LANES, Lane, MAPS, PROCESSES, Process, flag, operation, redo, slot, state};
use crate::server::{After, Posix};

/// Makes everything that was not finished something that is dying.
pub fn condemn_embryos(posix: &mut Posix<'_>) {
    for lane in 1..LANES {
        let thread = posix.store.thread(lane);
        if thread.state == state::EMBRYO {
            posix.store.edit_thread(lane, |thread| thread.state = state::DYING);
            posix.dying.lanes.push(lane);
        } else if thread.operation != operation::NONE {
            posix.store.edit_thread(lane, |thread| thread.operation = operation::NONE);
        }
    }
    for map in 1..MAPS {
        if posix.store.map(map).state == state::EMBRYO {
            posix.store.edit_map(map, |map| map.state = state::DYING);
            posix.dying.maps.push(map);
        }
    }
    for process in 1..PROCESSES {
        if posix.store.process(process).state == state::EMBRYO {
            posix.store.set_process(process, Process::default());
        }
    }
    posix.store.commit();
}

impl Posix<'_> {
    /// Brings the saved state, the kernel's objects and this instance together. Starts the session if there is none.
    pub fn recover(&mut self) {
        self.collect_dying();
        condemn_embryos(self);
        self.build_indices();
        self.find_timers();
        self.find_posix_timers();
        self.find_processor_timers();
        self.load = self.store.load();
        // Whatever was staged is mapped at its place, or will be again. The region stays: without its capability nobody could take it apart.
        if self.kernel.describe(slot::STAGE).is_some()
            && let Err(error) = self.clear_stage()
        {
            self.kernel.log(&alloc::format!("posix: staged pages stay: {error:?}"));
        }
        for lane in self.lanes.clone() {
            let thread = self.store.thread(lane);
            if thread.redo != redo::NONE {
                self.redo(lane);
            }
            let process = self.store.process(thread.process as usize);
            self.start_again(lane, thread.held != 0 || process.flags & flag::STOPPED != 0);
            if process.flags & flag::STOPPED != 0 {
                self.afterwards.push_back(After::Hold(lane));
            }
            self.afterwards.push_back(After::Poke(lane));
        }
        self.prepare_vdso();
        self.session_due = self.store.globals().session == 0;
        self.begin();
        self.take_console_signals();
        self.settle();
    }

    /// A thread that nothing keeps from running was stopped by a predecessor that died before it could say why: its signal is still pending.
    fn start_again(&mut self, lane: Lane, is_held: bool) {
        let handle = slot::thread(lane);
        if !is_held && matches!(self.kernel.thread_state(handle), Ok((_, Doing::Stopped))) {
            // It is stopped, so nothing refuses.
            let _started = self.kernel.thread_start(handle);
        }
    }

    fn collect_dying(&mut self) {
        let lanes = (1..LANES).filter(|lane| self.store.thread(*lane).state == state::DYING);
        self.dying.lanes = lanes.collect::<Vec<_>>();
        self.dying.unheard.clone_from(&self.dying.lanes);
        let maps = (1..MAPS).filter(|map| self.store.map(*map).state == state::DYING);
        self.dying.maps = maps.collect();
    }

    fn build_indices(&mut self) {
        self.lanes = (1..LANES).filter(|lane| self.store.thread(*lane).state == state::LIVE).collect();
        self.lingering = self.find_lingering();
        self.held = self.lanes.iter().copied().filter(|lane| self.store.thread(*lane).held != 0).collect();
        let used = |process: &usize| matches!(self.store.process(*process).state, state::LIVE | state::ZOMBIE);
        self.processes = (1..PROCESSES).filter(used).collect();
        self.alarms = self.processes.iter().copied().filter(|process| self.store.process(*process).timer != 0).collect();
    }

    /// What vfs must know and the session, as far as vfs lets them be done now; the rest when it signals.
    pub fn begin(&mut self) {
        if self.mount_due {
            match self.mount() {
                Ok(()) => self.mount_due = false,
                Err(Stop::Wait(_)) => return,
                Err(stop) => {
                    self.kernel.log(&format!("posix: /proc or /dev/pts cannot be mounted: {stop:?}"));
                    self.mount_due = false;
                }
            }
        }
        if self.session_due {
            self.start_session();
        }
    }

    /// /proc and /dev/pts are answered by posix. Done at each start, because it does no harm to do it twice.
    fn mount(&mut self) -> Result<(), Stop> {
        let fresh = self.store.globals().started == 0;
        if fresh {
            // A predecessor without saved state is one that never was.
            let number = self.kernel.own_number();
            self.vfs().close_all(number).map_err(vfs_stop)?;
            for device in crate::device::NODES {
                device.make(self)?;
            }
        }
        self.mount_at(b"/proc", 0o555)?;
        let devpts = self.mount_at(b"/dev/pts", 0o755)?;
        if fresh {
            self.store.edit_globals(|globals| (globals.started, globals.devpts) = (1, devpts.into()));
            self.store.commit();
        }
        Ok(())
    }

    /// Makes a directory one that posix answers for; which one that is.
    fn mount_at(&mut self, path: &[u8], permissions: u16) -> Result<FileId, Stop> {
        let (at, actor) = (At::new(vfs::ROOT, path), Actor::superuser());
        let number = self.kernel.own_number();
        let made = self.vfs().make_directory(number.with_step(EFFECT), at, &actor, permissions);
        let directory = match made.map_err(vfs_stop) {
            Ok(directory) => directory,
            Err(Stop::Errno(Errno::EEXIST)) => {
                let number = self.kernel.own_number();
                match self.vfs().stat(number, at, &actor) {
                    Ok(attributes) => attributes.file,
                    // It was mounted before: then even its attributes are ours.
                    Err(CallError::Service(vfs::Error::Elsewhere(mount))) => mount,
                    Err(error) => return Err(vfs_stop(error)),
                }
            }
            Err(stop) => return Err(stop),
        };
        let number = self.kernel.own_number();
        self.vfs().set_mount(number, directory, true).map_err(vfs_stop)?;
        Ok(directory)
    }
}
