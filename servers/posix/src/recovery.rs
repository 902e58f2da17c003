//! What an instance does before its first message: nothing but what saved state gives reasons for.
//!
//! The area has rolled its open transaction back. Then: what was being made is condemned, indices are built, waits stand as the kernel will deliver them again,
//! registers and starts that were due are done, stopped processes are held, pending signals are looked at, and what is dying is destroyed.

use alloc::vec::Vec;

use protocols::vfs::{self, Actor, At};

use crate::call::EFFECT;
use crate::saved::{LANES, MAPS, PROCESSES, Process, flag, operation, redo, slot, state};
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
        // Whatever was staged is mapped at its place, or will be again.
        if self.kernel.describe(slot::STAGE).is_some() {
            self.kernel.delete(slot::STAGE);
        }
        for lane in self.lanes.clone() {
            let thread = self.store.thread(lane);
            if thread.redo != redo::NONE {
                self.redo(lane);
            }
            let process = self.store.process(thread.process as usize);
            if process.flags & flag::STOPPED != 0 {
                self.afterwards.push_back(After::Hold(lane));
            }
            self.afterwards.push_back(After::Poke(lane));
        }
        self.mount();
        if self.store.globals().session == 0 {
            self.session_due = true;
            self.start_session();
            self.session_due = false;
        }
        self.take_console_signals();
        self.settle();
    }

    fn collect_dying(&mut self) {
        let lanes = (1..LANES).filter(|lane| self.store.thread(*lane).state == state::DYING);
        self.dying.lanes = lanes.collect::<Vec<_>>();
        let maps = (1..MAPS).filter(|map| self.store.map(*map).state == state::DYING);
        self.dying.maps = maps.collect();
    }

    fn build_indices(&mut self) {
        self.lanes = (1..LANES).filter(|lane| self.store.thread(*lane).state == state::LIVE).collect();
        let used = |process: &usize| matches!(self.store.process(*process).state, state::LIVE | state::ZOMBIE);
        self.processes = (1..PROCESSES).filter(used).collect();
    }

    /// /proc is answered by posix. Done at each start, because it does no harm to do it twice.
    fn mount(&mut self) {
        let fresh = self.store.globals().started == 0;
        let number = self.kernel.own_number();
        if fresh {
            // A predecessor without saved state is one that never was.
            let _forgotten = self.vfs().close_all(number);
            self.make_devices();
        }
        let at = At::new(vfs::ROOT, b"/proc");
        let number = self.kernel.own_number();
        let made = self.vfs().make_directory(number.with_step(EFFECT), at, &Actor::superuser(), 0o555);
        let directory = match made {
            Ok(directory) => Some(directory),
            Err(_) => {
                let number = self.kernel.own_number();
                self.vfs().stat(number, at, &Actor::superuser()).ok().map(|attributes| attributes.file)
            }
        };
        match directory {
            Some(directory) => {
                let number = self.kernel.own_number();
                self.proc_mount = directory;
                if self.vfs().set_mount(number, directory, true).is_err() {
                    self.kernel.log("posix: /proc cannot be mounted");
                }
            }
            // It was mounted before: then even its attributes are ours.
            None => self.kernel.log("posix: /proc is there already"),
        }
        if fresh {
            self.store.edit_globals(|globals| globals.started = 1);
            self.store.commit();
        }
    }

    fn make_devices(&mut self) {
        for device in crate::device::NODES {
            device.make(self);
        }
    }
}
