//! The machine's session: a script, or shells at the console one after the other. Posix is their init.
//!
//! A script's standard output and error are two pipes that posix drains into the console server's streams, numbered by a saved count: what is being written is
//! recorded first, so that after a crash of either side the same bytes go out under the same number. When the script has ended and both pipes are dry, the
//! supervisor is asked to turn the power off with its status.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use abi::RequestNumber;
use protocols::console::Stream;
use protocols::service::Service;
use protocols::vfs::{self, Actor};

use crate::call::{EFFECT, Stop, vfs_stop};
use crate::exec::Request;
use crate::fd::{WRITE_ONLY, kind};
use crate::io::possible;
use crate::kernel::Port;
use crate::saved::{DESCRIPTORS, File, Lane, Map, PIPE_BYTES, Process, ProcessIndex, Thread, redo, slot, state};
use crate::server::{After, Posix};
use crate::tty::CONSOLE;
use crate::tty::console::check_refusal;

/// Lane of the requests that open the session's program, and of those that drain the script's pipes.
const SESSION_LANE: u16 = 0xfd00;
const DRAIN_LANE: u16 = 0xfd01;
/// Bytes of a pipe that go out at once.
const DRAIN_BYTES: usize = 32 * 1024;
/// `ulimit -s` and the like: pairs of soft and hard limits, in Linux's order.
const UNLIMITED: u64 = u64::MAX;

impl Posix<'_> {
    /// Starts the session if there is none; what it needs of vfs may make it due once more.
    pub fn start_session(&mut self) {
        let globals = self.store.globals();
        if globals.session != 0 || globals.script_status != 0 {
            self.session_due = false;
            return;
        }
        let result = self.spawn_session();
        self.frames.release_reserved();
        if let Err(stop) = result {
            self.store.roll_back();
            self.discard_embryos();
            if let Stop::Wait(_) = stop {
                // Under the same numbers again, when vfs signals.
                return;
            }
            self.kernel.log(&format!("posix: the session's program cannot be started: {stop:?}"));
            self.store.edit_globals(|globals| globals.script_status = 128);
            self.store.commit();
        }
        self.session_due = false;
    }

    fn session_request(&mut self) -> Request {
        let script = self.options.script.clone();
        let terminal = self.options.terminal.clone().unwrap_or_else(|| "linux".into());
        let mut environment = vec![b"PATH=/bin:/sbin:/usr/bin".to_vec(), b"HOME=/root".to_vec()];
        let arguments: Vec<Vec<u8>> = match script {
            Some(script) => vec![b"sh".to_vec(), script],
            None => {
                environment.push(format!("TERM={terminal}").into_bytes());
                vec![b"-sh".to_vec()]
            }
        };
        let count = self.store.globals().session_sequence;
        Request {
            start: vfs::ROOT,
            path: b"/bin/sh".to_vec(),
            name: b"/bin/sh".to_vec(),
            is_hidden: false,
            follow: true,
            arguments,
            environment,
            actor: Actor::superuser(),
            process: 0,
            ids: [0; 4],
            number: RequestNumber::new(Service::Posix.id(), SESSION_LANE, count, 0),
            lane: None,
        }
    }

    /// Makes the session's process. Its embryos are committed first; a crash before the last commit leaves them to recovery.
    fn spawn_session(&mut self) -> Result<(), Stop> {
        let request = self.session_request();
        let found = self.find_program(&request)?;
        let (process, map) = (self.free_process()?, self.free_map()?);
        let lane = (1..crate::saved::LANES).find(|lane| self.store.thread(*lane).state == state::FREE).ok_or(Self::FULL)?;
        let pages = [self.frames.reserve(self.kernel)?.0, self.frames.reserve(self.kernel)?.0];
        self.store.edit_thread(lane, |thread| {
            *thread = Thread { state: state::EMBRYO, page: pages[0], number: thread.number, ..Thread::default() };
        });
        self.store.set_map(map, Map { state: state::EMBRYO, page: pages[1], ..Map::default() });
        self.frames.space_began(slot::space(map));
        self.store.commit();
        self.make_space(map)?;
        let start = self.load_program(map, &request, &found)?;
        self.make_thread(lane, map, &start.frame())?;
        self.store.edit_map(map, |map| (map.state, map.references) = (state::LIVE, 1));
        self.enliven_session(process, lane, map, found.short_name);
        self.open_session_files(process)?;
        self.store.edit_globals(|globals| {
            globals.session = process as u32;
            globals.session_sequence = globals.session_sequence.wrapping_add(1);
        });
        self.store.commit();
        Ok(())
    }

    fn enliven_session(&mut self, process: ProcessIndex, lane: Lane, map: usize, name: [u8; 16]) {
        let pid = self.next_pid();
        let mut limits = [UNLIMITED; 32];
        // CPU, FSIZE, DATA, STACK, CORE, RSS, NPROC, NOFILE, MEMLOCK, AS, LOCKS, SIGPENDING, MSGQUEUE, NICE, RTPRIO, RTTIME.
        for (resource, pair) in [
            (3, [8 << 20, UNLIMITED]),
            (4, [0, UNLIMITED]),
            (6, [crate::saved::LANES as u64; 2]),
            (7, [DESCRIPTORS as u64; 2]),
            (13, [0; 2]),
            (14, [0; 2]),
        ] {
            limits[resource * 2] = pair[0];
            limits[resource * 2 + 1] = pair[1];
        }
        let now = self.kernel.now_ns();
        self.store.set_process(
            process,
            Process {
                state: state::LIVE,
                pid,
                group: pid,
                session: pid,
                map: map as u32,
                umask: 0o22,
                lanes: 1,
                nice: 20,
                descriptor_limit: DESCRIPTORS as u32,
                exit_signal: 0,
                started_ns: now,
                limits,
                name,
                flags: crate::saved::flag::EXECUTED,
                ..Process::default()
            },
        );
        self.store.edit_thread(lane, |thread| {
            thread.state = state::LIVE;
            thread.process = process as u32;
            thread.tid = pid;
            thread.redo = redo::START;
        });
        for signal in 1..=crate::saved::SIGNALS {
            self.store.set_action(process, signal, crate::saved::Action::default());
        }
        self.last_seen[lane] = Some(RequestNumber(self.store.thread(lane).number));
        self.lanes.push(lane);
        self.processes.push(process);
        self.afterwards.push_back(After::Redo(lane));
    }

    fn open_session_files(&mut self, process: ProcessIndex) -> Result<(), Stop> {
        if self.options.script.is_none() {
            self.give_terminal(process, CONSOLE);
            let node = self.session_terminal_node()?;
            let console = File { kind: kind::TERMINAL, flags: crate::fd::READ_WRITE, object: CONSOLE, node: node as u32, ..File::default() };
            let number = self.open_file(process, console, false)?;
            let (index, _) = self.file_of(process, number as u64)?;
            for number in 1..3 {
                self.install(process, number, index, false);
                self.hold_file(index);
            }
            return self.enter_home(process);
        }
        self.open_file(process, File { kind: kind::DEVICE, object: crate::device::NULL, ..File::default() }, false)?;
        let mut pipes = [0; 2];
        for ends in &mut pipes {
            let pipe = self.make_pipe()?;
            // Posix itself is the reader.
            self.open_pipe_end(pipe, 0);
            self.open_pipe_end(pipe, WRITE_ONLY);
            let file = File { kind: kind::PIPE, flags: WRITE_ONLY, object: pipe as u32, ..File::default() };
            self.open_file(process, file, false)?;
            *ends = pipe as u32 + 1;
        }
        self.store.edit_globals(|globals| globals.script_pipes = pipes);
        Ok(())
    }

    /// The node of the serial line, by which `tty` finds the terminal's name; 0, a terminal without a name, if the root file system has none.
    fn session_terminal_node(&mut self) -> Result<usize, Stop> {
        let number = self.session_request().number.with_step(EFFECT + 17);
        let flags = vfs::OpenFlags::READ.with(vfs::OpenFlags::WRITE);
        match self.vfs().open(number, vfs::At::new(vfs::ROOT, b"/dev/ttyS0"), &Actor::superuser(), flags, 0).map_err(vfs_stop) {
            Ok(opened) => Ok(self.node_opened(opened.file, opened.kind.mode_bits() | u32::from(opened.permissions), opened.device)?),
            Err(Stop::Errno(_)) => Ok(0),
            Err(stop) => Err(stop),
        }
    }

    /// The shell starts in /root, if there is one.
    fn enter_home(&mut self, process: ProcessIndex) -> Result<(), Stop> {
        let number = self.session_request().number.with_step(EFFECT + 16);
        let at = vfs::At::new(vfs::ROOT, b"/root");
        let flags = vfs::OpenFlags::PLACE.with(vfs::OpenFlags::DIRECTORY);
        match self.vfs().open(number, at, &Actor::superuser(), flags, 0).map_err(vfs_stop) {
            Ok(opened) => {
                let node = self.node_opened(opened.file, opened.kind.mode_bits(), 0)?;
                self.store.edit_process(process, |process| process.directory = node as u32);
                Ok(())
            }
            Err(Stop::Errno(_)) => Ok(()),
            Err(stop) => Err(stop),
        }
    }

    /// A process ended: was it the session?
    pub fn session_ended(&mut self, process: ProcessIndex, status: u32) {
        if self.store.globals().session as usize != process {
            return;
        }
        let code = if status & 0x7f == 0 { status >> 8 & 0xff } else { 128 + (status & 0x7f) };
        let is_script = self.options.script.is_some();
        if !is_script {
            self.kernel.log("posix: the console's shell ended; here is the next");
        }
        self.store.edit_globals(|globals| {
            globals.session = 0;
            if is_script {
                globals.script_status = code + 1;
            }
        });
        (self.session_due, self.script_due) = (true, true);
    }

    /// Writes what the script has printed to the host, and ends the machine after the last byte.
    pub fn drain_script(&mut self) {
        if self.session_due && !self.mount_due && self.options.script.is_none() {
            self.start_session();
        }
        if !core::mem::take(&mut self.script_due) {
            return;
        }
        let globals = self.store.globals();
        if globals.script_pipes == [0; 2] {
            return;
        }
        for stream in 0..2 {
            while self.drain_step(stream) {}
        }
        if globals.script_status != 0 && self.store.globals().script_writing == [0; 2] {
            self.power_off(globals.script_status - 1);
        }
    }

    /// Writes one piece. Whether there was one.
    fn drain_step(&mut self, stream: usize) -> bool {
        let globals = self.store.globals();
        let Some(index) = (globals.script_pipes[stream] as usize).checked_sub(1) else { return false };
        let pipe = self.store.pipe(index);
        if globals.script_writing[stream] == 0 {
            if pipe.bytes() == 0 {
                return false;
            }
            self.store.edit_globals(|globals| globals.script_writing[stream] = pipe.bytes().min(DRAIN_BYTES) as u32);
            self.store.commit();
        }
        let length = (self.store.globals().script_writing[stream] as usize).min(PIPE_BYTES);
        let written = self.write_stream(stream, index, pipe.head, length);
        self.store.edit_pipe(index, |pipe| pipe.head = pipe.head.wrapping_add(written));
        self.store.edit_globals(|globals| {
            globals.script_writing[stream] = 0;
            globals.script_sequence[stream] = globals.script_sequence[stream].wrapping_add(1);
        });
        self.store.commit();
        self.wake(crate::wait::Event::Pipe(index as u32));
        true
    }

    /// What cannot be written at all counts as written: nothing else can become of it.
    fn write_stream(&mut self, stream: usize, pipe: usize, head: u64, length: usize) -> u64 {
        let mut buffer = core::mem::take(&mut self.buffer);
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        self.store.read_pipe(pipe, head, bytes);
        let lease = self.kernel.lend(bytes);
        let sequence = self.store.globals().script_sequence[stream];
        let number = RequestNumber::new(Service::Posix.id(), DRAIN_LANE + stream as u16, sequence, EFFECT);
        let target = if stream == 0 { Stream::Output } else { Stream::Error };
        let written = self.console().script_write(number, target, lease);
        self.buffer = buffer;
        match written {
            Ok(count) => {
                assert!(count > 0, "the console has written nothing of {length} bytes");
                possible(count, length) as u64
            }
            Err(error) => {
                check_refusal(&error);
                length as u64
            }
        }
    }

    fn power_off(&mut self, status: u32) {
        let number = self.kernel.own_number();
        let mut supervisor = protocols::supervisor::Client(Port { kernel: self.kernel, service: Service::Supervisor });
        if supervisor.power_off(number, status as u8).is_err() {
            self.kernel.log("posix: the supervisor does not turn the power off");
        }
    }

    /// What a failed start left.
    fn discard_embryos(&mut self) {
        crate::recovery::condemn_embryos(self);
    }
}
