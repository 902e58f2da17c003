//! What each processor of the fake machine has of its own.

use std::collections::BTreeMap;

use super::FakeMachine;
use crate::machine::{Duty, Machine, PageNumber};
use crate::page::Ref;
use crate::space::AddressSpace;

/// What a processor remembers of a walk through page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Translation {
    pub(super) space: Ref<AddressSpace>,
    pub(super) page: PageNumber,
    pub(super) write: bool,
}

/// A processor. Its TLB never forgets by itself, so what the kernel should have ended is there to be found.
#[derive(Clone, Debug, Hash)]
pub struct Core {
    /// What the timer is set to.
    pub timer: Option<u64>,
    /// The top-level table that is loaded, none for the kernel's own.
    pub root: Option<PageNumber>,
    /// Addresses whose translations were dropped.
    pub flushes: Vec<u64>,
    /// What the FPU's registers hold: one word stands for them all, 0 for the initial state.
    pub fpu: u64,
    /// CR0.TS.
    pub fpu_trap: bool,
    /// How often FPU state was stored and loaded.
    pub fpu_moves: (u32, u32),
    /// Another processor has interrupted it.
    pub(super) ipi: bool,
    /// Translations of the loaded space, by page address.
    pub(super) tlb: BTreeMap<u64, Translation>,
}

impl Core {
    pub(super) fn new() -> Self {
        Self { timer: None, root: None, flushes: Vec::new(), fpu: 0, fpu_trap: true, fpu_moves: (0, 0), ipi: false, tlb: BTreeMap::new() }
    }

    pub(super) fn load(&mut self, root: Option<PageNumber>) {
        self.root = root;
        self.tlb.clear();
    }

    /// A walk through the tables succeeded. One for writing is good for reading too.
    pub(super) fn remember(&mut self, address: u64, found: Translation) {
        let entry = self.tlb.entry(address / abi::PAGE_SIZE).or_insert(found);
        *entry = Translation { write: entry.write || found.write, ..found };
    }

    pub(super) fn drop_translation(&mut self, address: u64) {
        self.tlb.remove(&(address / abi::PAGE_SIZE));
    }
}

impl FakeMachine {
    /// The processor that a test plays on.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.cores[self.here]
    }

    /// The same, to change it as user code or a device does.
    pub fn core_mut(&mut self) -> &mut Core {
        &mut self.cores[self.here]
    }

    /// Gives the machine so many processors.
    pub(super) fn add_processors(&mut self, count: usize) {
        self.cores.resize_with(count, Core::new);
    }

    /// From now on `processor` is the one that enters the kernel.
    pub(super) fn go_to(&mut self, processor: usize) {
        assert!(processor < self.cores.len(), "there is no such processor");
        self.here = processor;
    }

    /// Takes an interrupt by another processor that has not arrived yet, and goes to where it does.
    pub(super) fn take_ipi(&mut self) -> bool {
        let Some(index) = self.cores.iter().position(|core| core.ipi) else { return false };
        self.here = index;
        self.take_ipi_at(index)
    }

    /// The same of one processor alone.
    pub(super) fn take_ipi_at(&mut self, processor: usize) -> bool {
        core::mem::take(&mut self.cores[processor].ipi)
    }

    /// Whether some processor is interrupted and has not noticed.
    pub(super) fn has_ipi(&self) -> bool {
        self.cores.iter().any(|core| core.ipi)
    }

    /// All translations that any processor remembers.
    pub(super) fn translations(&self) -> Vec<(usize, u64, Translation)> {
        let cores = self.cores.iter().enumerate();
        cores.flat_map(|(index, core)| core.tlb.iter().map(move |(page, found)| (index, page * abi::PAGE_SIZE, *found))).collect()
    }

    pub(super) fn do_duty(&mut self, processor: usize, duty: Duty) {
        assert_ne!(processor, self.here, "a processor asks itself");
        match duty {
            Duty::Forget => self.cores[processor].tlb.clear(),
            Duty::Unload => self.cores[processor].load(None),
            Duty::StoreFpu(address) => {
                let value = self.cores[processor].fpu;
                self.cores[processor].fpu_moves.0 += 1;
                assert!(address.is_multiple_of(64), "XSAVE area is not aligned");
                *self.word(address) = value;
            }
        }
    }

    pub(super) fn save_state(&mut self, address: u64) {
        assert!(!self.core().fpu_trap, "FPU instruction in ring 0 while CR0.TS is set");
        let here = self.processor();
        let value = self.core().fpu;
        assert!(address.is_multiple_of(64), "XSAVE area is not aligned");
        *self.word(address) = value;
        self.cores[here].fpu_moves.0 += 1;
    }

    pub(super) fn restore_state(&mut self, address: Option<u64>) {
        assert!(!self.core().fpu_trap, "FPU instruction in ring 0 while CR0.TS is set");
        let value = address.map_or(0, |address| *self.word(address));
        let core = self.core_mut();
        core.fpu = value;
        core.fpu_moves.1 += 1;
    }
}
