//! The other processors: started one after the other at boot, protected as the first one is, and let in when there is a kernel.
//!
//! Until then each waits with interrupts off on a stack of its own. It has loaded its own tables and the kernel's space by then, so nothing of it
//! points into the memory that it was started from.

use core::sync::atomic::{AtomicU64, Ordering};

use bootloader_api::info::{MemoryRegionKind, MemoryRegions};

use super::apic::Apic;
use super::boot::table;
use super::control::Registers;
use super::hardware::copy_kernel_half;
use super::trampoline::Parameters;
use super::{clock, control, descriptors, entry, trap, xsave};
use crate::endpoint::MAX_CPUS;
use crate::klog;
use crate::page::PAGE_BYTES;
use crate::wrap;

/// Pages that a start needs in the first MiB: the first instructions, and three tables that map the first 2 MiB where they are.
const LOW_PAGES: u32 = 4;
/// Pages of the first MiB.
const FIRST_MEBIBYTE: u64 = 256;
/// Present and writable.
const TABLE: u64 = 3;
/// The same, for a page of 2 MiB.
const HUGE: u64 = TABLE | 0x80;
/// How long a processor waits between the interrupts that start it (SDM vol. 3, 9.4.4.1), and how long it may take, in microseconds.
const INIT_MICROSECONDS: u64 = 10_000;
const START_MICROSECONDS: u64 = 200;
const PATIENCE_MICROSECONDS: u64 = 2_000_000;

/// Number of the processor that was started last.
static STARTED: AtomicU64 = AtomicU64::new(0);
/// What all processors have in common.
static COMMON: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// What the start of processors needs of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Page number of the kernel's own top-level table.
    pub root: u32,
    /// The interrupt controllers.
    pub apic: Apic,
    /// Local APIC ids of all processors.
    pub ids: &'a [u32],
    /// Ticks of the time-stamp counter in a second.
    pub tsc_hz: u64,
}

/// Starts all processors but this one, the first. Returns the local APIC ids of all that run, by their numbers, and how many there are.
pub fn start(start: &Start<'_>, map: &MemoryRegions) -> ([u32; MAX_CPUS], usize) {
    let own = start.apic.id();
    let (mut ids, mut count) = ([own; MAX_CPUS], 1);
    let others = start.ids.iter().copied().filter(|id| *id != own).take(MAX_CPUS - 1);
    if others.clone().next().is_none() {
        return (ids, count);
    }
    let Some(low) = low_pages(map) else {
        klog!("kernel: warning: no memory in the first MiB to start other processors from");
        return (ids, count);
    };
    let registers = Registers::read();
    let common = [registers.cr0, registers.cr4, registers.efer, address(start.root)];
    for (to, value) in COMMON.iter().zip(common) {
        to.store(value, Ordering::Relaxed);
    }
    map_low(low, start.root);
    for id in others {
        if !start.start_one(low, id, count as u64) {
            klog!("kernel: warning: the processor with local APIC {id} did not start; the rest is left alone");
            break;
        }
        *wrap::at_mut(&mut ids, count) = id;
        count += 1;
    }
    (ids, count)
}

/// Address of the kernel's own top-level table, which every started processor has loaded.
pub fn kernel_root() -> u64 {
    let [.., root] = &COMMON;
    root.load(Ordering::Relaxed)
}

/// The first of consecutive pages in the first MiB that nobody uses. Page 0 is the firmware's.
fn low_pages(map: &MemoryRegions) -> Option<u32> {
    let usable = map.iter().filter(|region| region.kind == MemoryRegionKind::Usable);
    let pages = usable.map(|region| (region.start.div_ceil(PAGE_BYTES as u64).max(1), (region.end / PAGE_BYTES as u64).min(FIRST_MEBIBYTE)));
    pages.into_iter().find(|(first, end)| first + u64::from(LOW_PAGES) <= *end).map(|(first, _)| first as u32)
}

/// Builds, behind page `low`, a space in which that page is where it is without paging, and the kernel where it always is.
fn map_low(low: u32, kernel: u32) {
    let [root, upper, directory] = [low + 1, low + 2, low + 3];
    for page in [root, upper, directory] {
        table(page).fill(0);
    }
    copy_kernel_half(table(kernel), table(root));
    table(root)[0] = address(upper) | TABLE;
    table(upper)[0] = address(directory) | TABLE;
    table(directory)[0] = HUGE;
}

/// The physical address of a page.
fn address(page: u32) -> u64 {
    u64::from(page) * PAGE_BYTES as u64
}

impl Start<'_> {
    /// Starts the processor with local APIC `id` as number `index`; whether it came.
    fn start_one(&self, low: u32, id: u32, index: u64) -> bool {
        let stack = descriptors::kernel_stack_top(index as usize);
        Parameters::new(address(low) as u32, address(low + 1) as u32, started, stack, index).write(table(low));
        let came = || STARTED.load(Ordering::Acquire) == index;
        self.apic.send_init(id);
        self.wait(INIT_MICROSECONDS, || false);
        self.apic.send_start(id, low);
        if self.wait(START_MICROSECONDS, came) {
            return true;
        }
        self.apic.send_start(id, low);
        self.wait(PATIENCE_MICROSECONDS, came)
    }

    /// Waits until `done`, or for this long; whether it was done.
    fn wait(&self, microseconds: u64, done: impl Fn() -> bool) -> bool {
        let end = clock::now() + self.tsc_hz / 1_000_000 * microseconds;
        while !done() {
            if clock::now() >= end {
                return false;
            }
            core::hint::spin_loop();
        }
        true
    }
}

/// Where another processor arrives, on its own stack, in the space that it was started in.
extern "C" fn started(index: u64) -> ! {
    let [cr0, cr4, efer, root] = COMMON.each_ref().map(|word| word.load(Ordering::Relaxed));
    descriptors::load(index as usize);
    Registers { cr0, cr4, efer }.write();
    // SAFETY: the kernel's own table has its code, this stack and all data.
    unsafe { core::arch::asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) }
    xsave::enable();
    control::name_processor(index as u16);
    entry::init();
    STARTED.store(index, Ordering::Release);
    trap::join(index as usize)
}
