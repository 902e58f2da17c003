//! A booted kernel and the threads that a test plays: each method is something that user code or a device could do.
//!
//! Which thread is current changes only by the kernel's own scheduling, and after every trap the invariants are checked.

use std::collections::BTreeMap;

use abi::{Control, Error, Label, ObjectKind, Operation, boot_slot};

use super::cores::Translation;
use super::{FakeMachine, Process, Segment, Way, archive};
use crate::boot::{Plan, Region};
use crate::capability::{Slot, SlotPlace};
use crate::fault::PAGE_FAULT;
use crate::invariants::{self, History};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{self, PAGE_BYTES, Ref};
use crate::thread::{State, Thread, odd};

/// Pages of a world: 6 MiB, so that a 2 MiB page fits behind what boot takes.
const PAGES: u32 = 1536;
/// Where the memory begins that is not the archive's; page 0 is never used.
const FIRST_FREE: u32 = 16;
/// Priority of all threads until a test says otherwise.
pub(super) const PRIORITY: u64 = 10;
/// First slot of the root process that tests use.
const FIRST_SLOT: u32 = 64;

/// A kernel after boot, and what the test made so far.
#[derive(Clone, Debug)]
pub struct World {
    /// The kernel.
    pub kernel: Kernel<FakeMachine>,
    /// The first process: it holds everything.
    pub root: Process,
    /// Root's handle of the owned Memory that nothing was taken from yet.
    pub(super) memory: u32,
    pub(super) next_slot: u32,
    /// Pages that have an owner: the same number for ever.
    owned: u32,
    history: History,
    /// Threads that were sent back to their system call.
    preempted: Vec<Ref<Thread>>,
    /// Whether system calls try the fast path first.
    pub(super) fast: bool,
    /// Whether the invariants are checked after every trap.
    pub(super) checked: bool,
    /// Whether other processors notice that they were interrupted only when [`World::deliver_ipis`] says so.
    pub late: bool,
    /// Whether another processor has the lock whenever the fast path wants it, for a moment.
    pub waits: bool,
    /// System calls that the fast path did, by way.
    pub fast_ways: BTreeMap<Way, u64>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Boots a kernel on a machine of 6 MiB, from an archive made for it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_pages(PAGES)
    }

    /// As [`World::new`], with another amount of memory.
    ///
    /// # Panics
    /// If the kernel does not boot.
    #[must_use]
    pub fn with_pages(pages: u32) -> Self {
        let code = Segment { address: 0x40_0000, bytes: b"supervisor".to_vec(), pages: 1, flags: abi::boot::SEGMENT_EXECUTE };
        let data = Segment { address: 0x41_0000, bytes: Vec::new(), pages: 2, flags: abi::boot::SEGMENT_WRITE };
        let bytes = archive(0x40_0000, &[code, data]);
        let mut machine = FakeMachine::new(pages);
        let archive = Region { first: 1, pages: (bytes.len() / PAGE_BYTES) as u32 };
        for (page, chunk) in (archive.first..).zip(bytes.chunks(PAGE_BYTES)) {
            page::bytes(&mut machine, page).copy_from_slice(chunk);
        }
        let mut kernel = Kernel::new(machine);
        let regions = [Region { first: 8, pages: 8 }, Region { first: FIRST_FREE, pages: pages - FIRST_FREE }];
        kernel.boot(&Plan { regions: &regions, archive, archive_bytes: &bytes, tsc_hz: 1_000_000_000, rsdp: 0 }).expect("boot");
        kernel.finish();
        let thread = kernel.current().expect("the first thread runs");
        let root = Process { table: boot_slot::TABLE, space: boot_slot::SPACE, handle: boot_slot::THREAD, thread };
        let mut world = Self {
            kernel,
            root,
            memory: boot_slot::FIRST_MEMORY,
            next_slot: FIRST_SLOT,
            owned: 0,
            history: History::default(),
            preempted: Vec::new(),
            fast: false,
            waits: false,
            checked: true,
            late: false,
            fast_ways: BTreeMap::new(),
        };
        world.owned = invariants::owned_pages(&mut world.kernel);
        world.history = History::new(&mut world.kernel);
        world.must(boot_slot::THREAD, Operation::ThreadConfigure, &[abi::ThreadSetting::Priority as u64, PRIORITY]);
        world
    }

    /// The same with more processors, on which nothing runs.
    #[must_use]
    pub fn with_processors(count: usize) -> Self {
        let mut world = Self::new();
        world.use_processors(count);
        world
    }

    /// Gives the machine more processors, on which nothing runs.
    pub fn use_processors(&mut self, count: usize) {
        self.kernel.machine.add_processors(count);
        self.kernel.use_processors(count);
        for processor in 1..count {
            self.play_on(processor);
            self.trap(|_| {});
        }
        self.play_on(0);
    }

    /// From now on what happens happens on this processor.
    pub fn play_on(&mut self, processor: usize) {
        self.kernel.machine.go_to(processor);
    }

    /// The processor that the test plays on.
    #[must_use]
    pub fn processor(&self) -> usize {
        self.kernel.machine.processor()
    }

    /// Lets a trap happen, ends it, and checks the invariants.
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn trap(&mut self, act: impl FnOnce(&mut Kernel<FakeMachine>)) {
        self.do_trap(act);
        self.end_trap();
    }

    fn do_trap(&mut self, act: impl FnOnce(&mut Kernel<FakeMachine>)) {
        self.kernel.machine.meter.begin();
        act(&mut self.kernel);
        self.kernel.finish();
        self.kernel.machine.meter.end();
        self.load_bases();
    }

    /// The invariants are checked, before and after other processors that were interrupted notice; unless they are late.
    pub(super) fn end_trap(&mut self) {
        self.check();
        let here = self.processor();
        if self.late {
            // It was interrupted before it came here, and has done no more than it had begun.
            if self.kernel.machine.take_ipi_at(here) {
                self.do_trap(Kernel::take_ipi);
                self.check();
            }
        } else {
            self.deliver_ipis();
        }
    }

    /// Other processors that were interrupted notice.
    ///
    /// # Panics
    /// If one should have been interrupted and was not.
    pub fn deliver_ipis(&mut self) {
        let here = self.processor();
        while self.kernel.machine.take_ipi() {
            self.do_trap(Kernel::take_ipi);
            self.check();
        }
        self.play_on(here);
        let undecided = self.checked && (0..self.kernel.processors()).any(|index| self.kernel.is_outranked(index));
        assert!(!undecided, "a processor was not told of a more important thread");
    }

    /// As `arch` does at the end of a trap.
    pub(super) fn load_bases(&mut self) {
        let Some(current) = self.kernel.current() else { return };
        let thread = self.kernel.thread(current);
        if thread.has_bases() {
            self.kernel.cpu().loaded_bases = [thread.frame.fs_base, thread.frame.gs_base];
        }
    }

    /// Checks the invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&mut self) {
        if !self.checked {
            return;
        }
        if let Err(violation) = invariants::check(&mut self.kernel) {
            panic!("invariant broken: {violation:?}");
        }
        if let Err(violation) = self.history.step(&mut self.kernel) {
            panic!("broken by the last step: {violation:?}");
        }
        assert_eq!(invariants::owned_pages(&mut self.kernel), self.owned, "free and used pages are all pages");
        self.check_translations();
    }

    /// No processor remembers what the tables do not say any more.
    fn check_translations(&mut self) {
        for (processor, address, found) in self.kernel.machine.translations() {
            let page = self.kernel.machine.page_of(found.space.address());
            let alive = self.page_info(page).kind() == ObjectKind::AddressSpace;
            let now = if alive { self.kernel.translation(found.space, address, found.write) } else { None };
            assert_eq!(now, Some(found.page), "processor {processor} remembers an old translation of {address:#x}");
        }
    }

    /// Goes to a thread's processor and waits until it is current, while the threads before it give up the processor.
    ///
    /// # Panics
    /// If it does not come to that.
    pub fn switch_to(&mut self, thread: Ref<Thread>) {
        let processor = usize::from(self.kernel.thread(thread).cpu);
        self.play_on(processor);
        for _ in 0..64 {
            match self.kernel.current() {
                Some(current) if current == thread => return,
                Some(current) => self.trap(|kernel| kernel.rotate(current)),
                None => break,
            }
        }
        panic!("{thread:?} is {:?} and does not run; {:?} does", self.state(thread), self.kernel.current());
    }

    /// `thread` executes `syscall` with these registers, as often as the kernel sends it back to it, and jumps back to it: its code is a loop around one.
    pub fn enter(&mut self, thread: Ref<Thread>, control: Control, label: Label, words: &[u64], number: u64) {
        self.prepare_syscall(thread, control, label, words, number);
        let rip = self.frame(thread).rip;
        while self.execute_syscall(thread) {
            self.switch_to(thread);
        }
        if self.is_thread(thread) {
            self.frame(thread).rip = rip;
        }
    }

    /// `thread` runs and stands at a `syscall` instruction with these registers, and with the sum of them where the operation wants one.
    pub fn prepare_syscall(&mut self, thread: Ref<Thread>, control: Control, label: Label, words: &[u64], number: u64) {
        self.switch_to(thread);
        let entry = self.kernel.thread(thread);
        let mut all = [0; 8];
        all[..words.len()].copy_from_slice(words);
        entry.set_words(if words.len() < all.len() { control.with_sum(all) } else { all });
        entry.frame.rax = u64::from(label.0) << 32 | u64::from(control.0);
        entry.frame.r15 = number;
    }

    /// The current thread executes the `syscall` instruction that it stands at, once. Returns whether it stands there still: the kernel was interrupted.
    pub fn execute_syscall(&mut self, thread: Ref<Thread>) -> bool {
        let rip = self.frame(thread).rip;
        self.frame(thread).rip = rip.wrapping_add(2);
        self.system_call();
        let preempted = self.is_thread(thread) && self.frame(thread).rip == rip && self.state(thread) == State::Runnable;
        self.preempted.retain(|other| *other != thread);
        self.preempted.extend(preempted.then_some(thread));
        preempted
    }

    /// Whether a thread stands at a `syscall` that the kernel sent it back to.
    #[must_use]
    pub fn is_preempted(&self, thread: Ref<Thread>) -> bool {
        self.preempted.contains(&thread)
    }

    /// `thread` asks for an operation that may make it wait.
    pub fn begin(&mut self, thread: Ref<Thread>, handle: u32, operation: Operation, words: &[u64]) {
        self.enter(thread, Control::new(operation, handle), Label::default(), words, 0);
    }

    /// `thread` asks for an operation that ends at once; its results.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn run(&mut self, thread: Ref<Thread>, handle: u32, operation: Operation, words: &[u64]) -> Result<[u64; 8], Error> {
        self.begin(thread, handle, operation, words);
        self.outcome(thread)
    }

    /// Root asks for an operation.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn ask(&mut self, handle: u32, operation: Operation, words: &[u64]) -> Result<[u64; 8], Error> {
        self.run(self.root.thread, handle, operation, words)
    }

    /// Root asks for an operation that must succeed; its first result.
    ///
    /// # Panics
    /// If it fails.
    pub fn must(&mut self, handle: u32, operation: Operation, words: &[u64]) -> u64 {
        match self.ask(handle, operation, words) {
            Ok([value, ..]) => value,
            Err(error) => panic!("{operation:?} {words:x?} failed: {error:?}"),
        }
    }

    /// What a thread that waits no more finds in its registers.
    ///
    /// # Errors
    /// The status, if it is not success.
    ///
    /// # Panics
    /// If it still waits.
    pub fn outcome(&mut self, thread: Ref<Thread>) -> Result<[u64; 8], Error> {
        let state = self.state(thread);
        assert!(matches!(state, State::Runnable | State::Stopped), "{thread:?} is {state:?}");
        Error::check(self.kernel.thread(thread).frame.rax as u32).map(|()| self.words(thread))
    }

    /// A thread's message words, whatever its status.
    pub fn words(&mut self, thread: Ref<Thread>) -> [u64; 8] {
        self.kernel.thread(thread).words()
    }

    /// What a thread does.
    pub fn state(&mut self, thread: Ref<Thread>) -> State {
        self.kernel.thread(thread).state()
    }

    /// Whether the page that a reference names still holds a thread.
    pub fn is_thread(&mut self, thread: Ref<Thread>) -> bool {
        let page = self.kernel.machine.page_of(thread.address());
        self.page_info(page).kind() == ObjectKind::Thread
    }

    /// A copy of a thread.
    pub fn thread(&mut self, thread: Ref<Thread>) -> Thread {
        *self.kernel.thread(thread)
    }

    /// Whether what a thread does is recorded.
    pub fn is_traced(&mut self, thread: Ref<Thread>) -> bool {
        self.kernel.thread(thread).odd & odd::TRACED != 0
    }

    /// A thread's registers, for a test to change as user code does between system calls.
    pub fn frame(&mut self, thread: Ref<Thread>) -> &mut abi::Frame {
        &mut self.kernel.thread(thread).frame
    }

    /// Time passes; the timer of each processor fires if it was set for a time that has come.
    pub fn advance(&mut self, ticks: u64) {
        self.kernel.machine.time += ticks;
        let (now, here) = (self.kernel.machine.time, self.processor());
        for processor in 0..self.kernel.processors() {
            self.play_on(processor);
            if self.kernel.machine.core().timer.is_some_and(|at| at <= now) {
                self.trap(Kernel::timer_fired);
            }
        }
        self.play_on(here);
    }

    /// A device raises a line; it reaches the kernel, on the first processor, if it is not masked.
    pub fn raise(&mut self, line: u32) {
        if self.kernel.machine.lines[line as usize] {
            let here = self.processor();
            self.play_on(0);
            self.trap(|kernel| kernel.line_fired(line));
            self.play_on(here);
        }
    }

    /// `thread` runs into an exception.
    pub fn exception(&mut self, thread: Ref<Thread>, vector: u64, code: u64, address: u64) {
        self.switch_to(thread);
        if vector == PAGE_FAULT {
            self.page_fault(code, address);
        } else {
            self.trap(|kernel| kernel.exception(vector, code, address));
        }
    }

    /// `thread` accesses an address. Returns whether that worked; else it has faulted, as it does while its processor has not loaded the space since that
    /// got its first table.
    pub fn touch(&mut self, thread: Ref<Thread>, address: u64, write: bool) -> bool {
        self.switch_to(thread);
        let space = self.kernel.thread(thread).space;
        let loaded = self.kernel.machine.core().root.unwrap_or(0) == self.kernel.space_root(space);
        if loaded && let Some(page) = self.kernel.translate(space, address, write) {
            self.kernel.machine.core_mut().remember(address, Translation { space, page, write });
            return true;
        }
        let present = loaded && self.kernel.translate(space, address, false).is_some();
        let code = u64::from(present) | u64::from(write) << 1 | 4;
        self.page_fault(code, address);
        false
    }

    /// The bytes at an address of a thread's space, in one page.
    ///
    /// # Panics
    /// If nothing is mapped there.
    pub fn memory(&mut self, thread: Ref<Thread>, address: u64) -> &mut [u8] {
        let space = self.kernel.thread(thread).space;
        let page = self.kernel.translate(space, address, false).expect("mapped");
        &mut page::bytes(&mut self.kernel.machine, page)[address as usize % PAGE_BYTES..]
    }

    /// A slot of a process's own table.
    pub fn slot(&mut self, process: &Process, index: u32) -> Slot {
        let table = self.kernel.thread(process.thread).table;
        *self.kernel.slot(SlotPlace { table, index })
    }

    /// Puts a slot straight into root's table, for what only the machine's own lists can give (device memory).
    pub fn grant(&mut self, slot: Slot) -> u32 {
        let index = self.free_slot();
        let table = self.kernel.thread(self.root.thread).table;
        *self.kernel.slot(SlotPlace { table, index }) = slot;
        self.history = History::new(&mut self.kernel);
        index
    }

    /// All that a thread can name: handles, with what lies there.
    pub fn handles(&mut self, thread: Ref<Thread>) -> Vec<(u32, Slot)> {
        let Thread { table, vault, .. } = *self.kernel.thread(thread);
        let mut found = Vec::new();
        for (table, bit) in [(table, 0), (vault, abi::VAULT)].into_iter().filter(|(table, _)| table.some().is_some()) {
            for index in abi::FIRST_HANDLE..self.kernel.table(table).slots {
                let slot = *self.kernel.slot(SlotPlace { table, index });
                if !slot.is_empty() {
                    found.push((index | bit, slot));
                }
            }
        }
        found
    }

    /// The object that root's handle names.
    pub fn object<T>(&mut self, handle: u32) -> Ref<T> {
        let root = self.root;
        self.slot(&root, handle).reference()
    }

    /// The record of a page.
    pub fn page_info(&mut self, page: u32) -> page::PageInfo {
        *self.kernel.machine.page_info(page).expect("a page of the machine")
    }

    /// A physical page's bytes.
    pub fn page(&mut self, page: u32) -> &mut [u8; PAGE_BYTES] {
        page::bytes(&mut self.kernel.machine, page)
    }

    /// An empty slot of root's table.
    pub fn free_slot(&mut self) -> u32 {
        self.next_slot += 1;
        self.next_slot - 1
    }
}
