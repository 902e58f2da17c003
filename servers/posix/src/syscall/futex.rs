//! `futex`: waiting for a word of memory to change.
//!
//! A waiter is a kept call with a key; a wake marks as many of them as woken, in saved state, so that after a crash the woken one returns and the others wait.
//! Until a waiter has made its call again to a new instance nobody knows whether it still waits. It is woken and moved with the others, and does not count:
//! somebody may wake who need not, which futex(2) allows, but nobody sleeps on.

use alloc::vec::Vec;

use libsys::field;

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::{Lane, MapIndex, Thread};
use crate::server::Posix;
use crate::vma::{FILE, SHARED};
use crate::wait::Event;

const FUTEX_WAIT: u64 = 0;
const FUTEX_WAKE: u64 = 1;
const FUTEX_REQUEUE: u64 = 3;
const FUTEX_CMP_REQUEUE: u64 = 4;
const FUTEX_WAKE_OP: u64 = 5;
const FUTEX_WAIT_BITSET: u64 = 9;
const FUTEX_WAKE_BITSET: u64 = 10;
const PRIVATE: u64 = 128;
const CLOCK_REALTIME: u64 = 256;
const ALL_BITS: u64 = u32::MAX as u64;
/// A word's owner, and what the kernel says with it (linux/futex.h).
const TID_MASK: u32 = 0x3fff_ffff;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
/// Most entries of a list that are looked at (Linux: `ROBUST_LIST_LIMIT`).
const ROBUST_ENTRIES: u32 = 2048;
/// Progress of a wait: queued, woken.
const QUEUED: u64 = 1;
const WOKEN: u64 = 2;

/// A thread that waits for a word.
struct Waiter {
    lane: Lane,
    /// It has made its call to this instance.
    is_certain: bool,
}

impl Posix<'_> {
    /// What a futex is known by: its map and address, or its file and offset.
    fn futex_key(&self, map: MapIndex, address: u64) -> [u64; 2] {
        match self.store.area_at(map, address) {
            Some(area) if area.flags & (FILE | SHARED) == FILE | SHARED => {
                let file = u64::from(area.inode) << 32 | u64::from(area.generation);
                [file | 1 << 63, area.offset + (address - area.start)]
            }
            _ => [map as u64, address],
        }
    }

    fn futex_waiters(&self, key: [u64; 2]) -> Vec<Waiter> {
        let waits = |lane: Lane| {
            let thread = self.store.thread(lane);
            let is_certain = match self.hands.get(lane) {
                // One whose wait is over, by its deadline or a signal, makes another call now.
                Some(hand) => (hand.number.0 == thread.wait_number).then_some(true),
                None => self.last_seen[lane].is_none().then_some(false),
            };
            is_certain.filter(|_| thread.futex == key && thread.progress == QUEUED).map(|is_certain| Waiter { lane, is_certain })
        };
        self.lanes.iter().copied().filter_map(waits).collect()
    }

    fn wake_futex_in(&mut self, map: MapIndex, address: u64, count: u64, bits: u64) -> u64 {
        let key = self.futex_key(map, address);
        let mut woken = 0;
        for Waiter { lane, is_certain } in self.futex_waiters(key) {
            if woken >= count {
                break;
            }
            if self.store.thread(lane).futex_bits & bits == 0 {
                continue;
            }
            self.store.set_thread_field(lane, field!(Thread, progress), WOKEN);
            self.wake_lane(lane);
            woken += u64::from(is_certain);
        }
        woken
    }

    /// A thread ends: the robust futexes that it still holds are marked as their owner's remains, and one waiter of each is woken (set_robust_list(2)).
    ///
    /// The list is the program's; whatever is odd about it ends the walk, and what cannot be read or written is passed over.
    pub fn leave_robust_futexes(&mut self, lane: Lane) {
        let thread = self.store.thread(lane);
        let map = self.store.process(thread.process as usize).map as usize;
        let Some([first, offset, pending]) = self.words_of_list(lane, map, thread.robust) else { return };
        let mut entry = first;
        for _ in 0..ROBUST_ENTRIES {
            if entry & !1 == thread.robust {
                break;
            }
            let next = self.words_of_list::<1>(lane, map, entry & !1);
            if entry & !1 != pending & !1 {
                self.leave_robust_futex(lane, map, entry, offset);
            }
            let Some([next]) = next else { break };
            entry = next;
        }
        if pending & !1 != 0 {
            self.leave_robust_futex(lane, map, pending, offset);
        }
    }

    fn words_of_list<const N: usize>(&mut self, lane: Lane, map: MapIndex, address: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        let number = self.last_number(lane);
        for (index, word) in (0u64..).zip(&mut words) {
            let mut bytes = [0; 8];
            let at = address.checked_add(index * 8).filter(|at| *at != index * 8)?;
            self.read_guest(map, at, &mut bytes, number).ok()?;
            *word = u64::from_le_bytes(bytes);
        }
        Some(words)
    }

    fn leave_robust_futex(&mut self, lane: Lane, map: MapIndex, entry: u64, offset: u64) {
        let (address, number) = ((entry & !1).wrapping_add(offset), self.last_number(lane));
        if check_word(address).is_err() {
            return;
        }
        let owner = self.store.thread(lane).tid;
        let leave = |word| if word & TID_MASK == owner { Ok(word & FUTEX_WAITERS | FUTEX_OWNER_DIED) } else { Err(Errno::EPERM) };
        if self.change_word(map, address, number, leave).is_ok_and(|word| word & FUTEX_WAITERS != 0) {
            self.wake_futex_in(map, address, 1, ALL_BITS);
        }
    }
}

impl Call<'_, '_> {
    fn futex_key(&self, address: u64) -> [u64; 2] {
        self.posix.futex_key(self.map, address)
    }

    fn waiters(&self, key: [u64; 2]) -> Vec<Waiter> {
        self.posix.futex_waiters(key)
    }

    /// Wakes up to `count` waiters of a word.
    pub fn wake_futex(&mut self, address: u64, count: u64, bits: u64) -> u64 {
        self.posix.wake_futex_in(self.map, address, count, bits)
    }
}

/// Whether a word of memory can be there.
fn check_word(address: u64) -> Result<(), Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if address >= abi::USER_END { Err(Errno::EFAULT) } else { Ok(()) }
}

/// Waits for, or wakes those who wait for, a word.
pub fn sys_futex(call: &mut Call<'_, '_>) -> SysResult {
    let [address, operation, value, timeout, second, third] = call.arguments;
    check_word(address)?;
    match operation & !(PRIVATE | CLOCK_REALTIME) & 0xffff_ffff {
        FUTEX_WAIT => wait(call, ALL_BITS, false),
        FUTEX_WAIT_BITSET => wait(call, third & ALL_BITS, true),
        FUTEX_WAKE => Ok(call.wake_futex(address, value & 0x7fff_ffff, ALL_BITS)),
        FUTEX_WAKE_BITSET if third as u32 == 0 => Err(Errno::EINVAL.into()),
        FUTEX_WAKE_BITSET => Ok(call.wake_futex(address, value & 0x7fff_ffff, third & ALL_BITS)),
        FUTEX_REQUEUE => requeue(call, address, second, value, timeout),
        FUTEX_CMP_REQUEUE => {
            check_requeue(second, value, timeout)?;
            if call.read_u32(address)? != third as u32 {
                return Err(Errno::EAGAIN.into());
            }
            requeue(call, address, second, value, timeout)
        }
        FUTEX_WAKE_OP => wake_op(call, address, second, [value, timeout, third]),
        _ => Err(Errno::ENOSYS.into()),
    }
}

fn wait(call: &mut Call<'_, '_>, bits: u64, absolute: bool) -> SysResult {
    let [address, operation, value, timeout, ..] = call.arguments;
    if bits == 0 {
        return Err(Errno::EINVAL.into());
    }
    if call.progress() == WOKEN {
        return Ok(0);
    }
    let deadline = if timeout == 0 {
        None
    } else if absolute {
        let at = call.read_timespec(timeout)?;
        let base = if operation & CLOCK_REALTIME != 0 { call.posix.wall_offset_ns() } else { 0 };
        Some(at.saturating_sub(base).max(1))
    } else {
        call.timeout_argument(timeout)?
    };
    if call.progress() != QUEUED {
        if call.read_u32(address)? != value as u32 {
            return Err(Errno::EAGAIN.into());
        }
        let key = call.futex_key(address);
        let keep = call.posix.store.thread(call.lane).deadline;
        call.set_progress(QUEUED);
        call.posix.store.edit_thread(call.lane, |thread| {
            (thread.futex, thread.futex_bits) = (key, bits);
            if deadline.is_some() && !absolute {
                thread.deadline = keep;
            }
        });
    }
    if call.has_passed(deadline) {
        return Err(Errno::ETIMEDOUT.into());
    }
    call.wait(call.until(Event::Lane, deadline), !absolute && deadline.is_none())
}

fn check_requeue(to: u64, wake: u64, most: u64) -> Result<(), Errno> {
    if (wake as i32) < 0 || (most as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    check_word(to)
}

fn requeue(call: &mut Call<'_, '_>, from: u64, to: u64, wake: u64, most: u64) -> SysResult {
    check_requeue(to, wake, most)?;
    let (old, new) = (call.futex_key(from), call.futex_key(to));
    let woken = call.wake_futex(from, wake & 0x7fff_ffff, ALL_BITS);
    let mut moved = 0;
    for Waiter { lane, is_certain } in call.waiters(old) {
        if moved >= most & 0x7fff_ffff {
            break;
        }
        call.posix.store.set_thread_field(lane, field!(Thread, futex), new);
        moved += u64::from(is_certain);
    }
    Ok(woken + moved)
}

/// Changes a second word and wakes its waiters if it was as wanted (futex(2)).
fn wake_op(call: &mut Call<'_, '_>, first: u64, second: u64, [count, second_count, encoded]: [u64; 3]) -> SysResult {
    let encoded = encoded as u32;
    let signed = |value: u32| ((value << 20) as i32 >> 20) as u32;
    let (mut operand, compared) = (signed(encoded >> 12 & 0xfff), signed(encoded & 0xfff));
    if encoded >> 31 != 0 {
        operand = 1 << (operand & 31);
    }
    check_word(second)?;
    let old = call.posix.change_word(call.map, second, call.number, |old| {
        Ok(match encoded >> 28 & 7 {
            0 => operand,
            1 => old.wrapping_add(operand),
            2 => old | operand,
            3 => old & !operand,
            4 => old ^ operand,
            _ => return Err(Errno::ENOSYS),
        })
    })?;
    let mut woken = call.wake_futex(first, count & 0x7fff_ffff, ALL_BITS);
    let (old, compared) = (old as i32, compared as i32);
    let holds = match encoded >> 24 & 0xf {
        0 => old == compared,
        1 => old != compared,
        2 => old < compared,
        3 => old <= compared,
        4 => old > compared,
        5 => old >= compared,
        _ => return Err(Errno::ENOSYS.into()),
    };
    if holds {
        woken += call.wake_futex(second, second_count & 0x7fff_ffff, ALL_BITS);
    }
    Ok(woken)
}
