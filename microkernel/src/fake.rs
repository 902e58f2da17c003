//! A machine of plain memory, on which the tests run the kernel's own code.
//!
//! It can be cloned, hashed and compared, so a model can explore what the real system calls do. Addresses are opaque numbers that only
//! [`Machine::resolve`] understands; what real hardware would not forgive (an FPU instruction while CR0.TS is set, a root that is no page table)
//! is a panic. There is no time but what a test sets and no code: a test *is* the user program, through [`World`].

mod archive;
mod compare;
mod cores;
mod fast;
mod ipc;
mod meter;
mod pages;
mod setup;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use abi::{ObjectKind, TraceRecord};

pub use archive::{Segment, archive};
pub use cores::Core;
pub use fast::{Trap, Way};
pub use ipc::{Message, Received};
pub use meter::{Meter, Work};
pub use setup::{Linux, Made, Process};
pub use world::World;

use crate::machine::{Duty, Machine, PageNumber};
use crate::page::{PAGE_BYTES, PAGE_WORDS, PageInfo};
use pages::Pages;

/// Address of page 0. Nothing of a host's lies there, so that who takes such an address for a pointer dies; but for one machine at a time whose pages
/// a test of the fast path has put there ([`FakeMachine::make_real`]).
pub const FAKE_BASE: u64 = 0x2fa4_e000_0000;
/// Interrupt lines of the machine.
pub const LINES: u32 = 24;
/// What the kernel's half of a top-level table is filled with.
pub const KERNEL_HALF: u64 = 0x6b65_726e_656c_0003;

/// Memory, a clock, and a record of everything that the kernel did to the hardware.
#[derive(Clone, Hash)]
pub struct FakeMachine {
    pages: Pages,
    infos: Vec<PageInfo>,
    /// The time-stamp counter; a test moves it.
    pub time: u64,
    /// Which interrupt lines are unmasked.
    pub lines: [bool; LINES as usize],
    /// The processors, and which of them a test plays on.
    cores: Vec<Core>,
    here: usize,
    /// What ports read as; 0 where nothing is set.
    pub inputs: BTreeMap<u16, u32>,
    /// What was written to ports: port, width, value.
    pub outputs: Vec<(u16, u8, u32)>,
    /// The system's log.
    pub log: Vec<u8>,
    /// The trace ring: short, so that it goes round.
    pub trace: [TraceRecord; 16],
    /// The exception that the first process died of.
    pub lost: Option<[u64; 4]>,
    /// What the kernel does between two preemption points, and when an interrupt waits at one.
    pub meter: Meter,
}

impl FakeMachine {
    /// A machine with `pages` pages, all unused.
    #[must_use]
    pub fn new(pages: PageNumber) -> Self {
        Self {
            pages: Pages::new(pages as usize),
            infos: vec![PageInfo::default(); pages as usize],
            time: 1_000,
            lines: [false; LINES as usize],
            cores: vec![Core::new()],
            here: 0,
            inputs: BTreeMap::new(),
            outputs: Vec::new(),
            log: Vec::new(),
            trace: [TraceRecord::default(); 16],
            lost: None,
            meter: Meter::default(),
        }
    }

    /// Puts the pages where their addresses say that they are, for assembly that takes those for pointers. Copies of the machine lie elsewhere.
    ///
    /// # Panics
    /// If another machine is there.
    pub fn make_real(&mut self) {
        self.pages.make_real();
    }

    /// Moves to where another machine's pages lie, and sends that one elsewhere.
    fn take_place(&mut self, other: &mut Self) {
        core::mem::swap(&mut self.pages, &mut other.pages);
        self.pages.clone_from_slice(&other.pages);
    }

    pub(crate) fn info_address(&self) -> u64 {
        self.infos.as_ptr() as u64
    }

    /// The word at an address of [`Machine::page_address`].
    fn word(&mut self, address: u64) -> &mut u64 {
        let (page, at) = split(address);
        &mut self.pages[page].0[at / 8]
    }
}

impl fmt::Debug for FakeMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeMachine").field("pages", &self.pages.len()).field("time", &self.time).field("cores", &self.cores).finish_non_exhaustive()
    }
}

/// The page and the offset in it of an opaque address.
fn split(address: u64) -> (usize, usize) {
    let offset = address.checked_sub(FAKE_BASE).expect("an address of this machine") as usize;
    (offset / PAGE_BYTES, offset % PAGE_BYTES)
}

impl Machine for FakeMachine {
    fn page_count(&self) -> PageNumber {
        self.infos.len() as PageNumber
    }

    fn page_info(&mut self, page: PageNumber) -> Option<&mut PageInfo> {
        self.meter.accessed();
        self.infos.get_mut(page as usize)
    }

    fn page_address(&self, page: PageNumber) -> u64 {
        FAKE_BASE + (u64::from(page) << 12)
    }

    fn page_of(&self, address: u64) -> PageNumber {
        (address.wrapping_sub(FAKE_BASE) >> 12) as PageNumber
    }

    fn resolve(&mut self, address: u64) -> *mut u8 {
        self.meter.accessed();
        let (page, at) = split(address);
        self.pages[page].0.as_mut_ptr().cast::<u8>().wrapping_add(at)
    }

    fn fill_kernel_half(&mut self, root: PageNumber) {
        self.pages[root as usize].0[PAGE_WORDS / 2..].fill(KERNEL_HALF);
    }

    fn load_root(&mut self, root: Option<PageNumber>) {
        if let Some(root) = root {
            assert_eq!(self.infos[root as usize].kind(), ObjectKind::PageTable, "the loaded root is no page table");
            assert_eq!(self.pages[root as usize].0[PAGE_WORDS - 1], KERNEL_HALF, "the loaded root has no kernel half");
        }
        self.core_mut().load(root);
    }

    fn flush(&mut self, address: u64) {
        let core = self.core_mut();
        core.flushes.push(address);
        core.drop_translation(address);
    }

    fn interrupted(&mut self) -> bool {
        // Who was interrupted waits to get in.
        self.meter.point() || self.has_ipi()
    }

    fn processor(&self) -> usize {
        self.here
    }

    fn send_ipi(&mut self, processor: usize) {
        assert_ne!(processor, self.here, "a processor interrupts itself");
        self.cores[processor].ipi = true;
        self.meter.ipis += 1;
    }

    fn delegate(&mut self, processor: usize, duty: Duty) {
        self.do_duty(processor, duty);
    }

    fn touched(&mut self, bytes: usize) {
        self.meter.touched(bytes);
    }

    fn now(&mut self) -> u64 {
        self.time
    }

    fn set_timer(&mut self, at: Option<u64>) {
        self.core_mut().timer = at;
    }

    fn set_line(&mut self, line: u32, enabled: bool) {
        if let Some(unmasked) = self.lines.get_mut(line as usize) {
            *unmasked = enabled;
        }
    }

    fn lines(&self) -> u32 {
        LINES
    }

    fn port_in(&mut self, port: u16, width: u8) -> u32 {
        let value = self.inputs.get(&port).copied().unwrap_or(0);
        if width == 4 { value } else { value & ((1 << (8 * width)) - 1) }
    }

    fn port_out(&mut self, port: u16, width: u8, value: u32) {
        self.outputs.push((port, width, value));
    }

    fn trace_ring(&mut self) -> &mut [TraceRecord] {
        &mut self.trace
    }

    fn log(&mut self, bytes: &[u8]) {
        self.log.extend_from_slice(bytes);
    }

    fn first_process_lost(&mut self, fault: [u64; 4]) {
        self.lost = Some(fault);
    }

    fn fpu_save(&mut self, address: u64) {
        self.save_state(address);
    }

    fn fpu_restore(&mut self, address: Option<u64>) {
        self.restore_state(address);
    }

    fn set_fpu_trap(&mut self, trap: bool) {
        self.core_mut().fpu_trap = trap;
    }
}
