//! A running posix on the fake machine: tests make the calls of its programs.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;

use abi::{Frame, RequestNumber, call_sum};
use libsys::host;
use libsys::saved::Area;
use protocols::call::CallError;
use protocols::vfs::{self, Actor, At, OpenFlags, ROOT, WriteAt};

use super::{Machine, Runs, Shared};
use crate::call::Stop;
use crate::kernel::Kernel;
use crate::replies::{self, Ending};
use crate::saved::{Lane, State, slot};
use crate::server::{Incoming, Posix};

/// Where test programs keep their data: mapped when the harness starts.
pub(crate) const DATA: u64 = 0x10_0000_0000;
/// Bytes there.
pub(crate) const DATA_BYTES: u64 = 0x10_0000;

/// Most signals of vfs for one call.
const MOST_SIGNALS: usize = 5_000;

std::thread_local! {
    /// What [`System::with_pending`] has asked for.
    static PENDING: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A system.
pub(crate) struct System {
    pub(crate) machine: Shared,
    pub(crate) area: &'static Area<State>,
    posix: Option<Posix<'static>>,
    /// What the present instance was lent of the machine.
    lent: Option<NonNull<Shared>>,
    options: &'static str,
    /// Each lane's present call, for when it is to be delivered again.
    calls: Vec<Option<(u64, [u64; 6])>>,
    /// vfs's signals are kept back until [`System::hear_vfs`].
    pub(crate) deaf: bool,
}

impl System {
    /// With a script as its session, started and waiting at its first instruction; `DATA` is mapped. Returns the lane too.
    pub(crate) fn start() -> (Self, Lane) {
        Self::start_with("script=/run/script")
    }

    /// Runs a test against a vfs that answers `Pending` at random.
    pub(crate) fn with_pending(seed: u64, test: fn()) {
        PENDING.set(Some(seed));
        test();
        PENDING.set(None);
    }

    pub(crate) fn start_with(options: &'static str) -> (Self, Lane) {
        let options = PENDING.get().map_or(options, |seed| format!("{options}\nvfs-pending={seed}").leak());
        let machine = Shared(Rc::new(RefCell::new(Machine::new(options))));
        let mut system =
            Self { machine, area: Area::on_host(), posix: None, lent: None, options, calls: vec![None; crate::saved::LANES], deaf: false };
        system.install("/bin/sh", &program());
        system.boot();
        let lane = system.posix().lanes[0];
        let mapped = system.call(lane, 9, [DATA, DATA_BYTES, 3, 0x32, u64::MAX, 0]);
        assert_eq!(mapped, Some(DATA));
        (system, lane)
    }

    /// Puts a file into the tree.
    pub(crate) fn install(&mut self, path: &str, bytes: &[u8]) {
        let mut kernel = self.machine.clone();
        let actor = Actor::superuser();
        let mut client = protocols::vfs::Client(crate::kernel::Port { kernel: &mut kernel, service: protocols::service::Service::Vfs });
        let mut numbers = self.machine.clone();
        let mut next = || numbers.own_number().with_step(1);
        let mut at = String::new();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for part in &parts[..parts.len() - 1] {
            at = format!("{at}/{part}");
            let _exists = until_there(|| client.make_directory(next(), At::new(ROOT, at.as_bytes()), &actor, 0o755));
        }
        let flags = OpenFlags::WRITE.with(OpenFlags::CREATE).with(OpenFlags::TRUNCATE);
        let file = until_there(|| client.open(next(), At::new(ROOT, path.as_bytes()), &actor, flags, 0o755)).expect("an open file").file;
        let lease = abi::Lease { address: bytes.as_ptr() as u64, length: bytes.len() as u64, reply: 0, index: 0, rights: 1 };
        until_there(|| client.write(next(), file, WriteAt::Offset(0), bytes.len() as u32, true, lease)).expect("a written file");
        client.close(next(), file).expect("a closed file");
    }

    fn boot(&mut self) {
        let mut lent = NonNull::from(Box::leak(Box::new(self.machine.clone())));
        self.lent = Some(lent);
        // SAFETY: it was leaked, nobody else uses it, and `end_instance` frees it after its user.
        let mut posix = Posix::new(self.area, unsafe { lent.as_mut() }, self.options);
        posix.recover();
        self.posix = Some(posix);
        self.hear_vfs();
    }

    /// The instance is no more, nor what it was lent.
    fn end_instance(&mut self) {
        self.posix = None;
        if let Some(lent) = self.lent.take() {
            // SAFETY: `boot` leaked it, and its only user is gone.
            drop(unsafe { Box::from_raw(lent.as_ptr()) });
        }
    }

    /// Passes vfs's signals on until it is silent: then nothing is pending any more.
    pub(crate) fn hear_vfs(&mut self) {
        for _ in 0..MOST_SIGNALS {
            if !self.machine.0.borrow().vfs_ready.replace(false) {
                return;
            }
            self.posix().notified(protocols::posix::event::VFS_READY);
        }
        panic!("an attempt needs more than there ever is at once");
    }

    /// inference says that there may be more to read.
    pub(crate) fn hear_inference(&mut self) {
        self.posix().notified(protocols::inference::event::READABLE);
    }

    pub(crate) fn posix(&mut self) -> &mut Posix<'static> {
        self.posix.as_mut().expect("a living posix")
    }

    /// Posix dies, and a successor starts; the calls in hand are made again.
    pub(crate) fn restart(&mut self) {
        self.restart_and(|_| ());
    }

    /// Likewise; `meanwhile` is done before any call is delivered again, as a thread of the program may that runs on another processor.
    pub(crate) fn restart_and(&mut self, meanwhile: impl FnOnce(&mut Self)) {
        self.end_instance();
        self.machine.0.borrow_mut().server_died();
        self.area.recover();
        self.boot();
        meanwhile(self);
        self.redeliver();
    }

    fn redeliver(&mut self) {
        let again: Vec<Lane> = {
            let machine = self.machine.0.borrow();
            machine.threads.values().filter(|thread| thread.redeliver && thread.runs == Runs::Running).map(|thread| thread.lane).collect()
        };
        for lane in again {
            // One that is delivered first may have ended another.
            if let Some((number, arguments)) = self.calls[lane].filter(|_| self.runs(lane) == Some(Runs::Running)) {
                self.deliver(lane, number, arguments);
            }
        }
    }

    /// A program makes a system call. Its result, unless it waits or is gone.
    pub(crate) fn call(&mut self, lane: Lane, number: u64, arguments: [u64; 6]) -> Option<u64> {
        self.machine.0.borrow_mut().answers.clear();
        self.calls[lane] = Some((number, arguments));
        self.deliver(lane, number, arguments);
        self.result(lane)
    }

    /// Likewise, but the server dies in it, and its successor goes on.
    pub(crate) fn call_crashing(&mut self, lane: Lane, number: u64, arguments: [u64; 6], point: &str) -> Option<u64> {
        self.call_crashing_at(lane, number, arguments, (point, 1))
    }

    /// Likewise, at the n-th passage.
    pub(crate) fn call_crashing_at(&mut self, lane: Lane, number: u64, arguments: [u64; 6], (point, nth): (&str, u32)) -> Option<u64> {
        let (died, result) = self.call_crashing_if(lane, number, arguments, (point, nth));
        assert!(died, "{point} was not reached for the {nth}. time");
        result
    }

    /// Likewise, if it comes to that. Whether it did.
    pub(crate) fn call_crashing_if(&mut self, lane: Lane, number: u64, arguments: [u64; 6], (point, nth): (&str, u32)) -> (bool, Option<u64>) {
        self.machine.0.borrow_mut().answers.clear();
        self.calls[lane] = Some((number, arguments));
        let died = host::crash_at_failpoint(point, nth, || self.deliver(lane, number, arguments)).is_none();
        if died {
            self.restart();
        }
        (died, self.result(lane))
    }

    /// Likewise, dying at the `nth` store to saved state. Whether it came to that.
    pub(crate) fn call_crashing_at_store(&mut self, lane: Lane, number: u64, arguments: [u64; 6], nth: u64) -> (bool, Option<u64>) {
        self.call_crashing_while(lane, number, arguments, nth, |_| ())
    }

    /// Likewise; `meanwhile` is done between the death and the call's second delivery.
    pub(crate) fn call_crashing_while(
        &mut self,
        lane: Lane,
        number: u64,
        arguments: [u64; 6],
        nth: u64,
        meanwhile: impl FnOnce(&mut Self),
    ) -> (bool, Option<u64>) {
        self.machine.0.borrow_mut().answers.clear();
        self.calls[lane] = Some((number, arguments));
        let died = host::crash_at_store(nth, || self.deliver(lane, number, arguments)).is_none();
        if died {
            self.restart_and(meanwhile);
        }
        (died, self.result(lane))
    }

    /// Likewise, but the server may find that something is wrong and end itself. Whether it did.
    pub(crate) fn call_ending(&mut self, lane: Lane, number: u64, arguments: [u64; 6]) -> bool {
        self.machine.0.borrow_mut().answers.clear();
        self.calls[lane] = Some((number, arguments));
        let ended = catch_unwind(AssertUnwindSafe(|| self.deliver(lane, number, arguments))).is_err();
        if ended {
            self.restart();
        }
        ended
    }

    /// A call that posix takes for another one when its message comes: as when a register of its own had a wrong bit.
    pub(crate) fn call_taken_for(&mut self, lane: Lane, number: u64, arguments: [u64; 6], taken: [u64; 6]) -> Option<u64> {
        self.taken_for(lane, number, arguments, |sum| Incoming::Call { number, arguments: taken, sum })
    }

    /// As [`System::call_taken_for`], with the arguments that are right.
    pub(crate) fn number_taken_for(&mut self, lane: Lane, number: u64, arguments: [u64; 6], taken: u64) -> Option<u64> {
        self.taken_for(lane, number, arguments, |sum| Incoming::Call { number: taken, arguments, sum })
    }

    fn taken_for(&mut self, lane: Lane, number: u64, arguments: [u64; 6], taken: impl Fn(u64) -> Incoming) -> Option<u64> {
        self.machine.0.borrow_mut().answers.clear();
        let request = self.trap(lane, number, arguments);
        self.receive(lane, request, taken(call_sum(request, number, arguments)));
        self.hear_vfs();
        self.result(lane)
    }

    fn deliver(&mut self, lane: Lane, number: u64, arguments: [u64; 6]) {
        let request = self.trap(lane, number, arguments);
        self.receive(lane, request, Incoming::Call { number, arguments, sum: call_sum(request, number, arguments) });
        if !self.deaf {
            self.hear_vfs();
        }
    }

    /// What the kernel does when a program calls; the request's number.
    fn trap(&mut self, lane: Lane, number: u64, arguments: [u64; 6]) -> RequestNumber {
        let mut machine = self.machine.0.borrow_mut();
        let thread = machine.threads.get_mut(&slot::thread(lane)).expect("a thread");
        assert_eq!(thread.runs, Runs::Running, "lane {lane} cannot call");
        if !core::mem::take(&mut thread.redeliver) {
            thread.request = thread.request.next();
        }
        thread.runs = Runs::Calling;
        (thread.frame_set, thread.is_faulting) = (false, false);
        thread.frame.rip += 2;
        (thread.frame.rax, thread.frame.rcx) = (number, thread.frame.rip);
        let Frame { rdi, rsi, rdx, r10, r8, r9, .. } = &mut thread.frame;
        for (register, argument) in [rdi, rsi, rdx, r10, r8, r9].into_iter().zip(arguments) {
            *register = argument;
        }
        thread.request
    }

    /// As the receive loop: has a message run, and gives its answer.
    pub(crate) fn receive(&mut self, lane: Lane, number: RequestNumber, incoming: Incoming) {
        if let Ending::Answer(kind, value) = self.posix().receive(lane, replies::NONE, number, incoming) {
            self.machine.clone().reply(lane, replies::NONE, kind, value);
        }
    }

    /// The result that a lane's call had.
    pub(crate) fn result(&self, lane: Lane) -> Option<u64> {
        let machine = self.machine.0.borrow();
        machine.answers.iter().rev().find(|answer| answer.0 == lane).map(|answer| answer.2)
    }

    /// Whether a lane's thread runs its own code.
    pub(crate) fn runs(&self, lane: Lane) -> Option<Runs> {
        self.machine.0.borrow().threads.get(&slot::thread(lane)).map(|thread| thread.runs)
    }

    /// Writes into a program's memory.
    pub(crate) fn poke(&mut self, lane: Lane, address: u64, bytes: &[u8]) {
        let map = self.map_of(lane);
        while let Err(stop) = self.posix().write_guest(map, address, bytes, abi::RequestNumber::default()) {
            assert!(matches!(stop, Stop::Wait(_)), "memory that cannot be written: {stop:?}");
        }
    }

    /// Reads a program's memory.
    pub(crate) fn peek(&mut self, lane: Lane, address: u64, length: usize) -> Vec<u8> {
        let map = self.map_of(lane);
        let mut bytes = vec![0; length];
        while let Err(stop) = self.posix().read_guest(map, address, &mut bytes, abi::RequestNumber::default()) {
            assert!(matches!(stop, Stop::Wait(_)), "memory that cannot be read: {stop:?}");
        }
        bytes
    }

    /// Writes to a program's memory as one of its threads would; whether it may.
    pub(crate) fn may_write(&mut self, lane: Lane, address: u64, bytes: &[u8]) -> bool {
        let map = self.map_of(lane);
        self.posix().write_guest(map, address, bytes, abi::RequestNumber::default()).is_ok()
    }

    /// A lane's thread meets a page fault, of which posix has not heard yet; its number.
    pub(crate) fn begin_fault(&mut self, lane: Lane) -> RequestNumber {
        let mut machine = self.machine.0.borrow_mut();
        let thread = machine.threads.get_mut(&slot::thread(lane)).expect("a thread");
        (thread.runs, thread.frame_set, thread.is_faulting) = (Runs::Calling, false, true);
        thread.request.with_step(RequestNumber::FAULT_STEP)
    }

    pub(crate) fn map_of(&mut self, lane: Lane) -> usize {
        let process = self.posix().store.thread(lane).process as usize;
        self.posix().store.process(process).map as usize
    }

    /// Puts a string into memory at `DATA + offset` and returns its address.
    pub(crate) fn text(&mut self, lane: Lane, offset: u64, text: &str) -> u64 {
        let bytes = [text.as_bytes(), b"\0"].concat();
        self.poke(lane, DATA + offset, &bytes);
        DATA + offset
    }

    /// Time passes; whoever waits for it is woken.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.machine.0.borrow_mut().now += ns;
        let now = self.machine.now_ns();
        if self.machine.0.borrow().deadline.is_some_and(|deadline| deadline <= now) {
            self.posix().notified(abi::DEADLINE_BIT);
        }
    }

    /// What the script has printed.
    pub(crate) fn printed(&self) -> Vec<u8> {
        self.machine.0.borrow().console.streams[0].clone()
    }

    /// The pid of a lane's process.
    pub(crate) fn pid(&mut self, lane: Lane) -> u32 {
        let process = self.posix().store.thread(lane).process as usize;
        self.posix().store.process(process).pid
    }

    /// Makes a child by `fork` and returns its lane.
    pub(crate) fn fork(&mut self, lane: Lane) -> Lane {
        let pid = self.call(lane, 57, [0; 6]).expect("a child") as u32;
        self.lane_of(pid)
    }

    pub(crate) fn lane_of(&mut self, pid: u32) -> Lane {
        let posix = self.posix();
        posix.lanes.iter().copied().find(|lane| posix.store.thread(*lane).tid == pid).expect("the child's lane")
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.end_instance();
        // SAFETY: posix was its only user.
        unsafe { self.area.free_on_host() };
    }
}

/// Asks vfs until what it asks for is there.
fn until_there<T>(mut ask: impl FnMut() -> Result<T, CallError<vfs::Error>>) -> Result<T, CallError<vfs::Error>> {
    loop {
        match ask() {
            Err(CallError::Service(vfs::Error::Pending(_))) => {}
            result => return result,
        }
    }
}

/// A small static program.
pub(crate) fn program() -> Vec<u8> {
    let mut file = crate::elf::small_program();
    file.resize(0x2200, 0x90);
    file
}
