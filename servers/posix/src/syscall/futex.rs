//! `futex`: waiting for a word of memory to change.
//!
//! A waiter is a kept call with a key; a wake marks as many of them as woken, in saved state, so that after a crash the woken one returns and the others wait.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::Lane;
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
/// Progress of a wait: queued, woken.
const QUEUED: u64 = 1;
const WOKEN: u64 = 2;

impl Call<'_, '_> {
    /// What a futex is known by: its map and address, or its file and offset.
    fn futex_key(&self, address: u64) -> [u64; 2] {
        match self.posix.store.area_at(self.map, address) {
            Some(area) if area.flags & (FILE | SHARED) == FILE | SHARED => {
                let file = u64::from(area.inode) << 32 | u64::from(area.generation);
                [file | 1 << 63, area.offset + (address - area.start)]
            }
            _ => [self.map as u64, address],
        }
    }

    fn waiters(&self, key: [u64; 2]) -> alloc::vec::Vec<Lane> {
        let waits = |lane: &Lane| {
            let thread = self.posix.store.thread(*lane);
            thread.futex == key && thread.progress == QUEUED && self.posix.in_hand[*lane].is_some()
        };
        self.posix.lanes.iter().copied().filter(waits).collect()
    }

    /// Wakes up to `count` waiters of a word.
    pub fn wake_futex(&mut self, address: u64, count: u64, bits: u64) -> u64 {
        let key = self.futex_key(address);
        let mut woken = 0;
        for lane in self.waiters(key) {
            if woken >= count {
                break;
            }
            if self.posix.store.thread(lane).futex_bits & bits == 0 {
                continue;
            }
            self.posix.store.edit_thread(lane, |thread| thread.progress = WOKEN);
            self.posix.wake_lane(lane);
            woken += 1;
        }
        woken
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
        FUTEX_WAKE_BITSET if third as u32 != 0 => Ok(call.wake_futex(address, value & 0x7fff_ffff, third & ALL_BITS)),
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
    for lane in call.waiters(old) {
        if moved >= most & 0x7fff_ffff {
            break;
        }
        call.posix.store.edit_thread(lane, |thread| thread.futex = new);
        moved += 1;
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
    let old = call.read_u32(second)?;
    let new = match encoded >> 28 & 7 {
        0 => operand,
        1 => old.wrapping_add(operand),
        2 => old | operand,
        3 => old & !operand,
        4 => old ^ operand,
        _ => return Err(Errno::ENOSYS.into()),
    };
    call.write_u32(second, new)?;
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
