//! From the boot loader to the first process.

use abi::boot::{Archive, OPTIONS};
use bootloader_api::config::{BootloaderConfig, Mapping};
use bootloader_api::info::{MemoryRegionKind, MemoryRegions};
use bootloader_api::{BootInfo, entry_point};
use core::sync::atomic::Ordering;
use x86_64::registers::control::Cr3;

use super::apic::{Apic, LINES};
use super::hardware::{Hardware, copy_kernel_half};
use super::processors::{self, Start};
use super::{clock, control, descriptors, entry, panic, trace, trap, xsave};
use crate::acpi::{Physical, Topology};
use crate::boot::{MAX_REGIONS, Plan, Region};
use crate::kernel::Kernel;
use crate::klog;
use crate::page::{PAGE_WORDS, PageInfo};
use crate::wrap;

/// Where all physical memory is mapped: the first entry of the kernel's half.
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Where the boot loader may put everything else.
const DYNAMIC_RANGE: u64 = 0xffff_9000_0000_0000;
const NO_EXECUTE: u64 = 1 << 63;
/// Entry of the direct map in the top-level table.
const DIRECT_MAP_ENTRY: usize = 256;

/// The stack that the kernel boots on. Without optimisation the kernel's state lies on it several times over while it is made.
const BOOT_STACK_BYTES: u64 = 512 * 1024;

static CONFIG: BootloaderConfig = {
    let mut config = BootloaderConfig::new_default();
    config.mappings.physical_memory = Some(Mapping::FixedAddress(DIRECT_MAP));
    config.mappings.dynamic_range_start = Some(DYNAMIC_RANGE);
    config.mappings.dynamic_range_end = Some(0xffff_bfff_ffff_ffff);
    config.kernel_stack_size = BOOT_STACK_BYTES;
    config
};

entry_point!(kernel_main, config = &CONFIG);

fn kernel_main(info: &'static mut BootInfo) -> ! {
    panic::IMAGE_OFFSET.store(info.kernel_image_offset, Ordering::Relaxed);
    let optimised = if cfg!(debug_assertions) { ", not optimised" } else { "" };
    klog!("kernel: SynOS {}{optimised}, loaded at {:#x}", env!("CARGO_PKG_VERSION"), info.kernel_image_offset);
    xsave::check();
    let protection = control::protect();
    let avx = xsave::enable();
    let control::Protection { wp, nx, smep, smap, umip } = protection;
    klog!("kernel: wp {wp} nx {nx} smep {smep} smap {smap} umip {umip} avx {avx}");
    control::warn(protection);
    control::name_processor(0);
    descriptors::init_gates();
    descriptors::load(0);
    entry::init();
    let rsdp = info.rsdp_addr.into_option().unwrap_or(0);
    let topology = topology(&info.memory_regions, rsdp);
    let (tsc_hz, apic) = clock::calibrate(Apic::init(DIRECT_MAP, topology));
    let (mut regions, count) = free_regions(&info.memory_regions);
    let root = own_root(&mut regions);
    let others = Start { root, apic, ids: topology.processors(), tsc_hz };
    let (ids, running) = processors::start(&others, &info.memory_regions);
    klog!("kernel: {running} of {} processors run threads", topology.processors().len());
    let infos = page_records(&mut regions, &info.memory_regions);
    // SAFETY: this function runs once.
    let trace = unsafe { trace::ring() };
    let hardware = Hardware { direct_map: DIRECT_MAP, infos, root, apic, tsc_hz, ids, trace };
    let (archive, bytes) = archive(info);
    let mut kernel = Kernel::new(hardware);
    kernel.use_processors(running);
    let regions = regions.get(..count).unwrap_or(&[]);
    let plan = Plan { regions, archive, archive_bytes: bytes, tsc_hz, rsdp };
    let pages: u64 = regions.iter().map(|region| u64::from(region.pages)).sum();
    klog!("kernel: {} MiB free in {count} regions, clock {} MHz, {LINES} lines", pages / 256, tsc_hz / 1_000_000);
    trap::install(kernel, slow_path(bytes));
    if let Err(error) = trap::with_kernel(|kernel| kernel.boot(&plan)) {
        panic!("cannot start the first process: {error:?}");
    }
    trap::run()
}

/// Whether the run's options ask for system calls without the fast path.
fn slow_path(archive: &[u8]) -> bool {
    let options = Archive::open(archive, false).ok().and_then(|archive| archive.bytes(&archive.find(OPTIONS).ok()?).ok());
    let asked = options.is_some_and(|options| options.split(|byte| *byte == b'\n').any(|line| line == b"slowpath"));
    if asked {
        klog!("kernel: without the fast path");
    }
    asked
}

/// Physical memory through the direct map, which the boot loader makes as long as the memory map and at least 4 GiB.
struct DirectMap {
    end: u64,
}

impl Physical for DirectMap {
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        address.checked_add(length).filter(|end| *end <= self.end)?;
        // SAFETY: inside the direct map; what firmware left there does not change while the kernel boots.
        Some(unsafe { core::slice::from_raw_parts((DIRECT_MAP + address) as *const u8, length as usize) })
    }
}

/// Where the interrupt controllers are. A machine whose firmware does not say, or not rightly, is taken for a plain PC.
fn topology(map: &MemoryRegions, rsdp: u64) -> Topology {
    const FOUR_GIB: u64 = 1 << 32;
    let end = map.iter().map(|region| region.end).fold(FOUR_GIB, u64::max);
    let topology = Topology::read(&DirectMap { end }, rsdp).unwrap_or_else(|error| {
        klog!("kernel: warning: the ACPI tables are not to be trusted ({error:?}): taken for a plain PC");
        Topology::PC
    });
    assert!(topology.local_apic.max(topology.io_apic) < end, "the interrupt controllers are out of reach");
    klog!("kernel: local APIC at {:#x}, I/O APIC at {:#x}, ACPI tables from {rsdp:#x}", topology.local_apic, topology.io_apic);
    topology
}

/// Usable memory above the first MiB, largest first.
fn free_regions(map: &MemoryRegions) -> ([Region; MAX_REGIONS], usize) {
    const FIRST_MEBIBYTE: u64 = 256;
    let mut regions = [Region::default(); MAX_REGIONS];
    let mut count = 0;
    for region in map.iter().filter(|region| region.kind == MemoryRegionKind::Usable) {
        let first = region.start.div_ceil(4096).max(FIRST_MEBIBYTE);
        let end = region.end / 4096;
        let Some(slot) = regions.get_mut(count) else { break };
        if end > first {
            *slot = Region { first: first as u32, pages: (end - first) as u32 };
            count += 1;
        }
    }
    if let Some(used) = regions.get_mut(..count) {
        used.sort_unstable_by_key(|region| core::cmp::Reverse(region.pages));
    }
    (regions, count)
}

/// Takes pages from the end of the largest region.
fn take(regions: &mut [Region; MAX_REGIONS], pages: u32) -> u32 {
    let [largest, ..] = regions;
    assert!(largest.pages > pages, "not enough memory");
    largest.pages -= pages;
    largest.first + largest.pages
}

/// A page as a table, through the direct map.
pub fn table(page: u32) -> &'static mut [u64; PAGE_WORDS] {
    let address = DIRECT_MAP + (u64::from(page) << 12);
    // SAFETY: a page taken from free memory, or a table of the boot loader's or ours, through the direct map; nobody else refers to it while the kernel boots.
    unsafe { &mut *(address as *mut [u64; PAGE_WORDS]) }
}

/// A top-level table with the kernel's half alone; the direct map is never executable.
fn own_root(regions: &mut [Region; MAX_REGIONS]) -> u32 {
    let root = take(regions, 1);
    let loaded = Cr3::read_raw().0.start_address().as_u64();
    let (old, new) = (table((loaded >> 12) as u32), table(root));
    new.fill(0);
    copy_kernel_half(old, new);
    new[DIRECT_MAP_ENTRY] |= NO_EXECUTE;
    // SAFETY: the table maps the kernel's code, stack and data exactly as the loaded one does.
    unsafe { core::arch::asm!("mov cr3, {}", in(reg) u64::from(root) << 12, options(nostack, preserves_flags)) }
    root
}

/// A record for every page up to the end of usable memory.
fn page_records(regions: &mut [Region; MAX_REGIONS], map: &MemoryRegions) -> &'static mut [PageInfo] {
    let kinds = [MemoryRegionKind::Usable, MemoryRegionKind::Bootloader];
    let end = map.iter().filter(|region| kinds.contains(&region.kind)).map(|region| region.end).max().unwrap_or(0);
    let count = (end / 4096) as usize;
    let pages = (count * size_of::<PageInfo>()).div_ceil(4096) as u32;
    let first = take(regions, pages);
    for page in first..first + pages {
        table(page).fill(0);
    }
    let address = DIRECT_MAP + (u64::from(first) << 12);
    // SAFETY: contiguous zeroed pages taken from free memory, and zeros are a valid record.
    unsafe { core::slice::from_raw_parts_mut(address as *mut PageInfo, count) }
}

/// Where the boot archive lies: the boot loader maps it, and has it in consecutive pages.
fn archive(info: &BootInfo) -> (Region, &'static [u8]) {
    let Some(address) = info.ramdisk_addr.into_option() else { panic!("the boot loader brought no boot archive") };
    let pages = info.ramdisk_len.div_ceil(4096) as u32;
    let first = translate(address);
    assert!(translate(address + u64::from(pages - 1) * 4096) == first + pages - 1, "the boot archive is not in consecutive pages");
    // SAFETY: the boot loader mapped the archive there, and nobody writes to it.
    let bytes = unsafe { core::slice::from_raw_parts((DIRECT_MAP + (u64::from(first) << 12)) as *const u8, info.ramdisk_len as usize) };
    (Region { first, pages }, bytes)
}

/// The page behind an address that the boot loader mapped.
fn translate(address: u64) -> u32 {
    const PRESENT: u64 = 1;
    const HUGE: u64 = 0x80;
    let mut entry = Cr3::read_raw().0.start_address().as_u64();
    for level in (0..4).rev() {
        let index = (address >> (12 + 9 * level)) as usize;
        entry = *wrap::at(table((entry >> 12 & 0xff_ffff_ffff) as u32), index);
        assert!(entry & PRESENT != 0, "the boot archive is not mapped");
        if level > 0 && entry & HUGE != 0 {
            let inside = address >> 12 & ((1 << (9 * level)) - 1);
            return (entry >> 12 & 0xff_ffff_ffff) as u32 + inside as u32;
        }
    }
    (entry >> 12 & 0xff_ffff_ffff) as u32
}
