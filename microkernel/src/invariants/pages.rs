//! Pages and page tables: every mapping is walked and counted (SDM vol. 3, 4.5).

use abi::ObjectKind;

use super::{Count, Objects, Violation, ensure};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, HUGE_PAGES, PAGE_WORDS, Ref};
use crate::space::AddressSpace;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const USER: u64 = 4;
const HUGE: u64 = 0x80;
const COPY_ON_WRITE: u64 = 0x200;
/// The kernel's own bits: what the capability allows that a page was mapped with.
const MAY_WRITE: u64 = 0x400;
const MAY_EXECUTE: u64 = 0x800;
const NO_EXECUTE: u64 = 1 << 63;
const LOWER_ENTRIES: usize = PAGE_WORDS / 2;

/// What all tables together map, page by page.
struct Counted {
    maps: Vec<u32>,
    huge: Vec<u32>,
    pins: Vec<u32>,
    table_seen: Vec<bool>,
    kernel_half: Option<Vec<u64>>,
}

pub(super) fn check<M: Machine>(kernel: &mut Kernel<M>, objects: &Objects) -> Result<(), Violation> {
    let pages = kernel.machine.page_count() as usize;
    let mut counted = Counted { maps: vec![0; pages], huge: vec![0; pages], pins: vec![0; pages], table_seen: vec![false; pages], kernel_half: None };
    for space in &objects.spaces {
        walk_space(kernel, *space, &mut counted)?;
    }
    for thread in &objects.threads {
        let page = kernel.thread(*thread).message_page as usize;
        if page != 0 {
            counted.pins[page] += 1;
        }
    }
    for table in &objects.page_tables {
        ensure(counted.table_seen[*table as usize], || Violation::TableLost(*table))?;
    }
    for table in &objects.tables {
        let first = kernel.machine.page_of(table.address()) as usize;
        for page in first + 1..first + (kernel.table(*table).slots / abi::SLOTS_PER_PAGE) as usize {
            counted.pins[page] += 1;
        }
    }
    compare(kernel, &counted)
}

/// Compares the records of all pages with what was counted.
fn compare<M: Machine>(kernel: &mut Kernel<M>, counted: &Counted) -> Result<(), Violation> {
    let mut covered_until = 0;
    for page in 0..counted.maps.len() {
        let info = kernel.machine.page_info(page as PageNumber).copied().unwrap_or_default();
        let count = |recorded: u64, counted: u32| Count { of: page as PageNumber, recorded, counted: u64::from(counted) };
        ensure(info.maps == counted.maps[page], || Violation::Maps(count(u64::from(info.maps), counted.maps[page])))?;
        ensure(u32::from(info.huge) == counted.huge[page], || Violation::Huge(count(u64::from(info.huge), counted.huge[page])))?;
        ensure(u32::from(info.pins) == counted.pins[page], || Violation::Pins(count(u64::from(info.pins), counted.pins[page])))?;
        ensure(info.revoked_at <= kernel.epoch, || Violation::Maps(count(info.revoked_at, 0)))?;
        if info.huge != 0 {
            covered_until = page + HUGE_PAGES as usize;
        }
        let mapped = info.maps != 0 || page < covered_until;
        let pinned = info.pins != 0 && info.kind() != ObjectKind::CapTable;
        let plain = matches!(info.kind(), ObjectKind::Memory | ObjectKind::Device);
        ensure(plain || !mapped && !pinned, || Violation::KernelPageMapped(page as PageNumber))?;
    }
    Ok(())
}

fn claim_table<M: Machine>(kernel: &mut Kernel<M>, page: PageNumber, counted: &mut Counted) -> Result<(), Violation> {
    let kind = kernel.machine.page_info(page).map(|info| info.kind());
    let seen = counted.table_seen.get_mut(page as usize).ok_or(Violation::Table(page))?;
    ensure(kind == Some(ObjectKind::PageTable) && !core::mem::replace(seen, true), || Violation::Table(page))
}

fn walk_space<M: Machine>(kernel: &mut Kernel<M>, space: Ref<AddressSpace>, counted: &mut Counted) -> Result<(), Violation> {
    let AddressSpace { root, mut pool, .. } = *kernel.space(space);
    while pool != 0 {
        claim_table(kernel, pool, counted)?;
        let [next, rest @ ..] = page::words(&mut kernel.machine, pool);
        ensure(rest.iter().all(|word| *word == 0), || Violation::Table(pool))?;
        pool = *next as PageNumber;
    }
    if root == 0 {
        return Ok(());
    }
    claim_table(kernel, root, counted)?;
    let upper = page::words(&mut kernel.machine, root)[LOWER_ENTRIES..].to_vec();
    ensure(*counted.kernel_half.get_or_insert_with(|| upper.clone()) == upper, || Violation::KernelHalf(root))?;
    walk_table(kernel, root, 3, 0, counted)
}

fn walk_table<M: Machine>(kernel: &mut Kernel<M>, table: PageNumber, level: u32, base: u64, counted: &mut Counted) -> Result<(), Violation> {
    let entries = *page::words(&mut kernel.machine, table);
    let end = if level == 3 { LOWER_ENTRIES } else { PAGE_WORDS };
    for (index, entry) in present(&entries[..end]) {
        let address = base | (index as u64) << (12 + 9 * level);
        let target = (entry >> 12 & 0xff_ffff_ffff) as PageNumber;
        ensure(entry & PRESENT != 0, || Violation::Malformed(address))?;
        if level != 0 && entry & HUGE == 0 {
            ensure(entry & USER != 0, || Violation::Malformed(address))?;
            claim_table(kernel, target, counted)?;
            walk_table(kernel, target, level - 1, address, counted)?;
        } else {
            leaf(kernel, entry, address, level, target, counted)?;
        }
    }
    Ok(())
}

/// The entries that are not zero. Most are, so whole runs are compared first.
fn present(entries: &[u64]) -> Vec<(usize, u64)> {
    const RUN: usize = 64;
    let runs = entries.chunks(RUN).enumerate().filter(|(_, run)| **run != [0; RUN]);
    runs.flat_map(|(run, words)| words.iter().enumerate().filter(|(_, word)| **word != 0).map(move |(at, word)| (run * RUN + at, *word))).collect()
}

fn leaf<M: Machine>(
    kernel: &mut Kernel<M>,
    entry: u64,
    address: u64,
    level: u32,
    target: PageNumber,
    counted: &mut Counted,
) -> Result<(), Violation> {
    let pages = if level == 0 { 1 } else { HUGE_PAGES };
    ensure(entry & WRITABLE == 0 || entry & NO_EXECUTE != 0, || Violation::WritableAndExecutable(address))?;
    ensure(entry & WRITABLE == 0 || entry & COPY_ON_WRITE == 0, || Violation::WritableAndShared(address))?;
    let inaccessible = entry & WRITABLE == 0 && entry & NO_EXECUTE != 0;
    ensure(entry & USER != 0 || inaccessible, || Violation::Malformed(address))?;
    let (writes, executes) = (entry & (WRITABLE | COPY_ON_WRITE) != 0, entry & NO_EXECUTE == 0);
    ensure((!writes || entry & MAY_WRITE != 0) && (!executes || entry & MAY_EXECUTE != 0), || Violation::BeyondRights(address))?;
    ensure(address + u64::from(pages) * abi::PAGE_SIZE <= abi::USER_END, || Violation::AboveUserEnd(address))?;
    ensure(level < 2 && target.is_multiple_of(pages), || Violation::Malformed(address))?;
    for page in target..target + pages {
        let kind = kernel.machine.page_info(page).map(|info| info.kind());
        ensure(matches!(kind, Some(ObjectKind::Memory | ObjectKind::Device)), || Violation::KernelPageMapped(page))?;
    }
    let counter = if level == 0 { &mut counted.maps } else { &mut counted.huge };
    counter[target as usize] += 1;
    Ok(())
}
