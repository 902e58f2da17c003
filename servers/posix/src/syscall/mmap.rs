//! `mmap`, `munmap`, `mprotect`, `mremap`, `brk`, `madvise`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::exec::HEAP_FLAGS;
use crate::fd::kind;
use crate::saved::Vma;
use crate::space::{map_flags, protect_flags};
use crate::vma::{Areas, FILE, GROWS_DOWN, LOWEST, MAY_WRITE, NOT_FORKED, PAGE, SHARED, VDSO, VVAR, WIPED_ON_FORK, WRITE};

/// Read, write, execute, and a word that means nothing on x86 (`PROT_SEM`).
const PROT_KNOWN: u64 = 0xf;
const PROT_GROWSDOWN: u64 = 0x0100_0000;
const PROT_GROWSUP: u64 = 0x0200_0000;
const MAP_SHARED: u64 = 1;
const MAP_PRIVATE: u64 = 2;
const MAP_SHARED_VALIDATE: u64 = 3;
const MAP_TYPE: u64 = 0xf;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_32BIT: u64 = 0x40;
const MAP_GROWSDOWN: u64 = 0x100;
const MAP_HUGETLB: u64 = 0x4_0000;
/// What `MAP_SHARED_VALIDATE` knows (Linux: `LEGACY_MAP_MASK`).
const MAP_KNOWN: u64 = 0x7c07_f973;
/// Where `MAP_32BIT` maps.
const TOP_OF_32_BITS: u64 = 1 << 31;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
const MREMAP_MAYMOVE: u64 = 1;
const MREMAP_FIXED: u64 = 2;
/// Progress of a move, beside the address of the new place: all pages are there.
const MOVED: u64 = 1;

fn pages(length: u64) -> Result<u64, Errno> {
    match length.checked_next_multiple_of(PAGE) {
        Some(0) => Err(Errno::EINVAL),
        Some(bytes) if bytes <= abi::USER_END => Ok(bytes),
        _ => Err(Errno::ENOMEM),
    }
}

/// The range of an argument that must lie in user space as a whole.
fn range(start: u64, length: u64) -> Result<(u64, u64), Errno> {
    let bytes = pages(length).map_err(|_| Errno::EINVAL)?;
    let end = start.checked_add(bytes).filter(|end| *end <= abi::USER_END).ok_or(Errno::EINVAL)?;
    Ok((bytes, end))
}

/// Maps a file, or fresh zeros.
pub fn sys_mmap(call: &mut Call<'_, '_>) -> SysResult {
    let [address, length, protection, flags, descriptor, offset] = call.arguments;
    if length == 0 || offset % PAGE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let bytes = pages(length)?;
    let is_anonymous = flags & MAP_ANONYMOUS != 0;
    let shared = match flags & MAP_TYPE {
        MAP_PRIVATE => false,
        MAP_SHARED => true,
        MAP_SHARED_VALIDATE if is_anonymous => return Err(Errno::EINVAL.into()),
        MAP_SHARED_VALIDATE if flags & !MAP_KNOWN != 0 => return Err(Errno::EOPNOTSUPP.into()),
        MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL.into()),
    };
    if flags & MAP_HUGETLB != 0 {
        // There are as many as on a Linux whose administrator set none aside, and no file is made of them.
        return Err(if is_anonymous { Errno::ENOMEM } else { Errno::EINVAL }.into());
    }
    let mut area = Vma { flags: protection & 7 | if shared { SHARED } else { 0 }, ..Vma::default() };
    if flags & MAP_GROWSDOWN != 0 {
        area.flags |= GROWS_DOWN;
    }
    let is_zeros = is_anonymous || file_area(call, &mut area, descriptor, offset, bytes)?;
    if is_zeros && shared {
        shared_area(call, &mut area, bytes)?;
    }
    let mut areas = call.posix.store.areas(call.map);
    let start = if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        fixed(call, &mut areas, address, bytes, flags & MAP_FIXED_NOREPLACE != 0)?
    } else {
        let hint = address & !(PAGE - 1);
        let is_low = |start: &u64| flags & MAP_32BIT == 0 || start.saturating_add(bytes) <= TOP_OF_32_BITS;
        areas.find_free(hint, bytes).ok().filter(is_low).map_or_else(|| areas.find_free_below(TOP_OF_32_BITS, bytes), Ok)?
    };
    check_limit(call, &areas, bytes)?;
    (area.start, area.end) = (start, start + bytes);
    areas.insert(area);
    call.posix.set_areas(call.map, &areas)?;
    call.release_unnamed(&area);
    Ok(start)
}

/// `RLIMIT_AS`.
fn check_limit(call: &Call<'_, '_>, areas: &Areas, bytes: u64) -> Result<(), Errno> {
    let total: u64 = areas.0.iter().map(Vma::length).sum();
    if total.saturating_add(bytes) > call.me().limits[18] { Err(Errno::ENOMEM) } else { Ok(()) }
}

fn fixed(call: &mut Call<'_, '_>, areas: &mut Areas, address: u64, bytes: u64, keep: bool) -> Result<u64, Errno> {
    let end = address.checked_add(bytes).filter(|end| *end <= abi::USER_END).ok_or(Errno::ENOMEM)?;
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if address < LOWEST {
        return Err(Errno::EPERM);
    }
    if keep && !areas.is_free(address, end) {
        return Err(Errno::EEXIST);
    }
    if !areas.remove(address, end).is_empty() {
        call.posix.unmap(call.map, address, end)?;
    }
    Ok(address)
}

/// An area of a file; whether the file is one of zeros, which is as good as none.
fn file_area(call: &mut Call<'_, '_>, area: &mut Vma, descriptor: u64, offset: u64, bytes: u64) -> Result<bool, Errno> {
    let (_, file) = call.posix.file_of(call.process, descriptor)?;
    if file.kind == kind::DEVICE && file.object == crate::device::ZERO {
        return Ok(true);
    }
    if file.kind != kind::REGULAR {
        return Err(Errno::ENODEV);
    }
    call.offset_argument(offset, bytes).map_err(|_| Errno::EOVERFLOW)?;
    if !file.reads() || area.flags & SHARED != 0 && area.flags & WRITE != 0 && !file.writes() {
        return Err(Errno::EACCES);
    }
    let id = call.posix.node_id(file.node);
    area.flags |= FILE | if file.writes() { MAY_WRITE } else { 0 };
    (area.inode, area.generation, area.offset) = (id.inode, id.generation, offset);
    Ok(false)
}

/// Shared memory without a file is a file without a name.
fn shared_area(call: &mut Call<'_, '_>, area: &mut Vma, bytes: u64) -> Result<(), crate::call::Stop> {
    let (id, _) = call.unnamed_file(bytes, None)?;
    area.flags |= FILE | MAY_WRITE;
    (area.inode, area.generation, area.offset) = (id.inode, id.generation, 0);
    Ok(())
}

/// Takes mappings away.
pub fn sys_munmap(call: &mut Call<'_, '_>) -> SysResult {
    let [start, length, ..] = call.arguments;
    let (_, end) = range(start, length)?;
    if start % PAGE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut areas = call.posix.store.areas(call.map);
    let removed = areas.remove(start, end);
    for part in removed {
        call.posix.unmap(call.map, part.start, part.end)?;
    }
    call.posix.set_areas(call.map, &areas)?;
    Ok(0)
}

/// Changes protection. What becomes more than it was is found out at the next fault.
pub fn sys_mprotect(call: &mut Call<'_, '_>) -> SysResult {
    let [start, length, protection, ..] = call.arguments;
    let grows = protection & (PROT_GROWSDOWN | PROT_GROWSUP);
    let protection = protection & !grows;
    if start % PAGE != 0 || grows == PROT_GROWSDOWN | PROT_GROWSUP {
        return Err(Errno::EINVAL.into());
    }
    if length == 0 {
        return Ok(0);
    }
    let end = start.checked_add(pages(length)?).filter(|end| *end <= abi::USER_END).ok_or(Errno::ENOMEM)?;
    if protection & !PROT_KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut areas = call.posix.store.areas(call.map);
    let start = match areas.at_or_above(start) {
        Some(area) if grows == PROT_GROWSDOWN && area.start < end => area.start,
        _ => start,
    };
    if !areas.covers(start, end) {
        return Err(Errno::ENOMEM.into());
    }
    if grows != 0 && !areas.find(start).is_some_and(|area| grows == PROT_GROWSDOWN && area.flags & GROWS_DOWN != 0) {
        return Err(Errno::EINVAL.into());
    }
    let is_fixed = |area: &Vma| area.flags & (SHARED | FILE | MAY_WRITE) == SHARED | FILE || area.flags & VVAR != 0;
    let forbidden = |area: &Vma| is_fixed(area) && area.start < end && start < area.end;
    if protection & WRITE != 0 && areas.0.iter().any(forbidden) {
        return Err(Errno::EACCES.into());
    }
    areas.protect(start, end, protection & 7);
    call.posix.protect(call.map, start, end, protect_flags(protection))?;
    call.posix.set_areas(call.map, &areas)?;
    Ok(0)
}

/// Makes a mapping larger or smaller, or moves it.
pub fn sys_mremap(call: &mut Call<'_, '_>) -> SysResult {
    let [old, old_length, new_length, flags, target, _] = call.arguments;
    if old % PAGE != 0 || flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0 || old_length == 0 {
        return Err(Errno::EINVAL.into());
    }
    let (old_bytes, _) = range(0, old_length)?;
    let bytes = match new_length.checked_next_multiple_of(PAGE) {
        None => return Err(Errno::EINVAL.into()),
        Some(_) if flags & MREMAP_FIXED != 0 => range(0, new_length)?.0,
        Some(_) => pages(new_length)?,
    };
    let reaches = || target.checked_add(bytes).is_none_or(|end| end > abi::USER_END);
    if flags & MREMAP_FIXED != 0 && (target % PAGE != 0 || reaches()) {
        return Err(Errno::EINVAL.into());
    }
    let end = old.checked_add(old_bytes).filter(|end| *end <= abi::USER_END).ok_or(Errno::EFAULT)?;
    let mut areas = call.posix.store.areas(call.map);
    let area = *areas.find(old).ok_or(Errno::EFAULT)?;
    if bytes > old_bytes && area.flags & (VVAR | VDSO) != 0 {
        return Err(Errno::EFAULT.into());
    }
    // What it is made smaller by goes first, whatever that is.
    let (old_bytes, end, surplus) = if bytes < old_bytes { (bytes, old + bytes, end) } else { (old_bytes, end, end) };
    for part in areas.remove(end, surplus) {
        call.posix.unmap(call.map, part.start, part.end)?;
    }
    call.posix.set_areas(call.map, &areas)?;
    if flags & MREMAP_FIXED == 0 && bytes == old_bytes {
        return Ok(old);
    }
    if area.end < end {
        return Err(Errno::EFAULT.into());
    }
    let grown = old.checked_add(bytes).filter(|end| *end <= abi::USER_END);
    let begun = call.progress();
    if let (Some(grown), 0) = (grown, flags & MREMAP_FIXED)
        && begun == 0
        && areas.is_free(end, grown)
    {
        areas.remove(old, end);
        areas.insert(Vma { end: grown, ..area.part(old, end) });
        call.posix.set_areas(call.map, &areas)?;
        return Ok(old);
    }
    if flags & MREMAP_MAYMOVE == 0 {
        return Err(if flags & MREMAP_FIXED != 0 { Errno::EINVAL } else { Errno::ENOMEM }.into());
    }
    let moved = area.part(old, end);
    let start = if begun == 0 { begin_move(call, &mut areas, moved, (flags & MREMAP_FIXED != 0).then_some(target), bytes)? } else { begun & !MOVED };
    if begun & MOVED == 0 {
        if begun != 0 {
            // All pages are still at the old place, where a sibling may have written to those that were copied before the crash.
            call.posix.unmap(call.map, start, start + bytes)?;
        }
        let moved = call.posix.move_pages(call.map, old, start, old_bytes.min(bytes) / PAGE, map_flags(area.flags & !WRITE));
        if let Err(errno) = moved.and_then(|()| close_old_place(call, areas.clone(), old, end, start)) {
            call.posix.unmap(call.map, start, start + bytes)?;
            areas.remove(start, start + bytes);
            call.posix.set_areas(call.map, &areas)?;
            return Err(errno.into());
        }
    }
    call.posix.unmap(call.map, old, end)?;
    areas.remove(old, end);
    call.posix.set_areas(call.map, &areas)?;
    Ok(start)
}

/// Says that all pages are at the new place. Nobody can write at the old one from here on, and it is nobody else's before it is empty: a crash finds it as it was.
fn close_old_place(call: &mut Call<'_, '_>, mut areas: Areas, old: u64, end: u64, start: u64) -> Result<(), Errno> {
    areas.protect(old, end, 0);
    call.posix.set_areas(call.map, &areas)?;
    call.set_progress(start | MOVED);
    call.posix.store.commit();
    Ok(())
}

/// Chooses where an area goes, and says so before a page is there: after a crash the place must be nobody else's, and what was moved already must not be taken
/// for what lay there before.
fn begin_move(call: &mut Call<'_, '_>, areas: &mut Areas, moved: Vma, target: Option<u64>, bytes: u64) -> Result<u64, Errno> {
    let start = match target {
        Some(target) if target < moved.end && moved.start < target.saturating_add(bytes) => return Err(Errno::EINVAL),
        Some(target) => fixed(call, areas, target, bytes, false)?,
        None => areas.find_free(0, bytes)?,
    };
    areas.insert(Vma { start, end: start + bytes, ..moved });
    call.posix.set_areas(call.map, areas)?;
    call.set_progress(start);
    call.posix.store.commit();
    Ok(start)
}

/// Moves the program break.
pub fn sys_brk(call: &mut Call<'_, '_>) -> SysResult {
    let wanted = call.arguments[0];
    let record = call.posix.store.map(call.map);
    let (old, new) = (record.heap_end.next_multiple_of(PAGE), wanted.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX));
    let limit = record.heap_start.saturating_add(call.me().limits[4]);
    if wanted < record.heap_start || new > abi::USER_END || wanted > limit {
        return Ok(record.heap_end);
    }
    let mut areas = call.posix.store.areas(call.map);
    if new > old {
        if !areas.is_free(old, new) || check_limit(call, &areas, new - old).is_err() {
            return Ok(record.heap_end);
        }
        areas.insert(Vma { start: old, end: new, flags: HEAP_FLAGS, ..Vma::default() });
    } else if new < old {
        areas.remove(new, old);
        call.posix.unmap(call.map, new, old)?;
    }
    if call.posix.set_areas(call.map, &areas).is_err() {
        return Ok(record.heap_end);
    }
    call.posix.store.edit_map(call.map, |map| map.heap_end = wanted);
    Ok(wanted)
}

/// Advice. Only what changes contents is more than that.
pub fn sys_madvise(call: &mut Call<'_, '_>) -> SysResult {
    const DONT_NEED: u64 = 4;
    const FREE: u64 = 8;
    const REMOVE: u64 = 9;
    let [start, length, advice, ..] = call.arguments;
    let bytes = length.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
    let end = start.checked_add(bytes).ok_or(Errno::EINVAL)?;
    if start % PAGE != 0 || !matches!(advice, 0..=4 | 8..=25) {
        return Err(Errno::EINVAL.into());
    }
    if bytes == 0 {
        return Ok(0);
    }
    let areas = call.posix.store.areas(call.map);
    if !areas.covers(start, end) {
        return Err(Errno::ENOMEM.into());
    }
    if let Some((taken, given)) = at_fork(advice) {
        return change_at_fork(call, areas, (start, end), taken, given);
    }
    if advice == REMOVE {
        // Of a file it would make a hole.
        let is_shared = areas.find(start).is_some_and(|area| area.flags & SHARED != 0);
        return Err(if is_shared { Errno::EOPNOTSUPP } else { Errno::EINVAL }.into());
    }
    if matches!(advice, DONT_NEED | FREE) {
        for area in areas.0 {
            let (low, high) = (area.start.max(start), area.end.min(end));
            if low < high {
                call.posix.unmap(call.map, low, high)?;
            }
        }
    }
    Ok(0)
}

/// Which flags an advice takes and gives that says what a fork does.
const fn at_fork(advice: u64) -> Option<(u64, u64)> {
    match advice {
        10 => Some((0, NOT_FORKED)),
        11 => Some((NOT_FORKED, 0)),
        18 => Some((0, WIPED_ON_FORK)),
        19 => Some((WIPED_ON_FORK, 0)),
        _ => None,
    }
}

fn change_at_fork(call: &mut Call<'_, '_>, mut areas: Areas, (start, end): (u64, u64), taken: u64, given: u64) -> SysResult {
    let is_refused = |area: &Vma| given & WIPED_ON_FORK != 0 && area.flags & (SHARED | FILE) != 0;
    if areas.0.iter().any(|area| is_refused(area) && area.start < end && start < area.end) {
        return Err(Errno::EINVAL.into());
    }
    areas.change_flags(start, end, taken, given);
    call.posix.set_areas(call.map, &areas)?;
    Ok(0)
}
