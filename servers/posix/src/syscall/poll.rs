//! `poll`, `ppoll`, `select`, `pselect6`.

use alloc::vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::poll::{ERROR, HANG_UP, IN, INVALID, OUT, PRIORITY};
use crate::saved::DESCRIPTORS;
use crate::wait::Event;

/// Waits for files to be ready.
pub fn sys_poll(call: &mut Call<'_, '_>) -> SysResult {
    let [address, count, timeout, ..] = call.arguments;
    let timeout = timeout as i32;
    let deadline = if timeout < 0 { None } else { Some(call.deadline_after(timeout as u64 * 1_000_000)) };
    poll(call, address, count, deadline)
}

/// Likewise, with a finer timeout and another mask.
pub fn sys_ppoll(call: &mut Call<'_, '_>) -> SysResult {
    let [address, count, timeout, mask, size, _] = call.arguments;
    let deadline = call.timeout_argument(timeout)?;
    call.suspend_mask_argument(mask, size)?;
    poll(call, address, count, deadline)
}

fn poll(call: &mut Call<'_, '_>, address: u64, count: u64, deadline: Option<u64>) -> SysResult {
    let count = count & u64::from(u32::MAX);
    if count > u64::from(call.me().descriptor_limit) {
        return Err(Errno::EINVAL.into());
    }
    let mut entries = vec![0; count as usize * 8];
    call.read(address, &mut entries)?;
    let mut ready = 0;
    for entry in entries.as_chunks_mut::<8>().0 {
        let [a, b, c, d, e, f, ..] = *entry;
        let (descriptor, events) = (i32::from_le_bytes([a, b, c, d]), u32::from(u16::from_le_bytes([e, f])));
        let found = if descriptor < 0 {
            0
        } else {
            match call.posix.file_of(call.process, descriptor as u64) {
                Ok((_, file)) => call.ready(&file) & (events | ERROR | HANG_UP | INVALID),
                Err(_) => INVALID,
            }
        };
        [entry[6], entry[7]] = (found as u16).to_le_bytes();
        ready += u64::from(found != 0);
    }
    // A signal that the mask lets through ends even a call that was not to wait.
    if ready == 0 && (!call.has_passed(deadline) || call.posix.has_deliverable(call.lane)) {
        return call.wait(call.until(Event::Any, deadline), false);
    }
    call.write(address, &entries)?;
    Ok(ready)
}

/// Waits for files of three sets to be ready.
pub fn sys_select(call: &mut Call<'_, '_>) -> SysResult {
    let [count, read, write, except, timeout, _] = call.arguments;
    let deadline = if timeout == 0 {
        None
    } else {
        let [seconds, microseconds] = call.read_words(timeout)?;
        if seconds > i64::MAX as u64 || microseconds > i64::MAX as u64 {
            return Err(Errno::EINVAL.into());
        }
        Some(call.deadline_after(seconds.saturating_mul(1_000_000_000).saturating_add(microseconds.saturating_mul(1000))))
    };
    let ready = select(call, count, [read, write, except], deadline)?;
    if let Some(deadline) = deadline {
        let left = deadline.saturating_sub(call.posix.kernel.now_ns());
        // A timeout that cannot be written is no error: it may be a constant.
        let _written = call.write_words(timeout, &[left / 1_000_000_000, left % 1_000_000_000 / 1000]);
    }
    Ok(ready)
}

/// Likewise, with a finer timeout and another mask.
pub fn sys_pselect6(call: &mut Call<'_, '_>) -> SysResult {
    let [count, read, write, except, timeout, mask] = call.arguments;
    let deadline = call.timeout_argument(timeout)?;
    if mask != 0 {
        let [set, size] = call.read_words(mask)?;
        call.suspend_mask_argument(set, size)?;
    }
    select(call, count, [read, write, except], deadline)
}

fn select(call: &mut Call<'_, '_>, count: u64, addresses: [u64; 3], deadline: Option<u64>) -> SysResult {
    let count = usize::try_from(count as i32).map_err(|_| Errno::EINVAL)?.min(DESCRIPTORS);
    let bytes = count.div_ceil(64) * 8;
    let mut wanted = [[0u8; 128]; 3];
    for (set, address) in wanted.iter_mut().zip(addresses) {
        if address != 0 {
            call.read(address, set.get_mut(..bytes).unwrap_or_default())?;
        }
    }
    let mut found = [[0u8; 128]; 3];
    let mut ready = 0;
    for number in 0..count {
        let (byte, bit) = (number / 8, 1u8 << (number % 8));
        if wanted.iter().all(|set| set[byte] & bit == 0) {
            continue;
        }
        let (_, file) = call.posix.file_of(call.process, number as u64).map_err(Stop::from)?;
        let events = call.ready(&file);
        for (index, mask) in [IN | HANG_UP | ERROR, OUT | ERROR, PRIORITY].into_iter().enumerate() {
            if wanted[index][byte] & bit != 0 && events & mask != 0 {
                found[index][byte] |= bit;
                ready += 1;
            }
        }
    }
    // A signal that the mask lets through ends even a call that was not to wait.
    if ready == 0 && (!call.has_passed(deadline) || call.posix.has_deliverable(call.lane)) {
        return call.wait(call.until(Event::Any, deadline), false);
    }
    for (set, address) in found.iter().zip(addresses) {
        if address != 0 {
            call.write(address, set.get(..bytes).unwrap_or_default())?;
        }
    }
    Ok(ready)
}
