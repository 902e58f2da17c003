//! `epoll_create`, `epoll_create1`, `epoll_ctl`, `epoll_wait`, `epoll_pwait`, `epoll_pwait2`.

use alloc::vec::Vec;

use crate::call::{Call, SysResult};
use crate::epoll::{EDGE, EXCLUSIVE, ONE_SHOT, WAKE_UP, can_be_watched};
use crate::errno::Errno;
use crate::fd::{READ_WRITE, kind};
use crate::poll::{ERROR, HANG_UP, IN, OUT};
use crate::saved::{File, Watch};
use crate::wait::Event;

const EPOLL_CLOEXEC: u64 = 0o2_000_000;
const EPOLL_CTL_ADD: u64 = 1;
const EPOLL_CTL_DEL: u64 = 2;
const EPOLL_CTL_MOD: u64 = 3;
/// What may be waited for exclusively (`EPOLLEXCLUSIVE_OK_BITS`).
const EXCLUSIVE_EVENTS: u32 = IN | OUT | ERROR | HANG_UP | WAKE_UP | EDGE | EXCLUSIVE;
/// Bytes of the packed `struct epoll_event`.
const EVENT_BYTES: u64 = 12;
/// Most events of one call (`EP_MAX_EVENTS`).
const MOST_EVENTS: u64 = i32::MAX as u64 / EVENT_BYTES;

/// Makes an epoll.
pub fn sys_epoll_create(call: &mut Call<'_, '_>) -> SysResult {
    if call.arguments[0] as i32 <= 0 {
        return Err(Errno::EINVAL.into());
    }
    create(call, false)
}

/// Likewise, with flags.
pub fn sys_epoll_create1(call: &mut Call<'_, '_>) -> SysResult {
    let flags = call.arguments[0];
    if flags & !EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    create(call, flags != 0)
}

fn create(call: &mut Call<'_, '_>, close_on_exec: bool) -> SysResult {
    let file = File { kind: kind::EPOLL, flags: READ_WRITE, ..File::default() };
    Ok(call.posix.open_file(call.process, file, close_on_exec)? as u64)
}

/// Begins, changes or ends watching a descriptor.
pub fn sys_epoll_ctl(call: &mut Call<'_, '_>) -> SysResult {
    let [epoll, operation, descriptor, event, ..] = call.arguments;
    let (mut events, mut data) = (0, 0);
    if operation != EPOLL_CTL_DEL {
        // Nobody can help being told of these.
        events = call.read_u32(event)? | ERROR | HANG_UP;
        data = call.read_u64(event + 4)?;
    }
    let (epoll, epoll_file) = call.posix.file_of(call.process, epoll)?;
    let (file, record) = call.posix.file_of(call.process, descriptor)?;
    if !can_be_watched(&record) {
        return Err(Errno::EPERM.into());
    }
    let exclusive = events & EXCLUSIVE != 0;
    let refused = exclusive && (operation == EPOLL_CTL_MOD || record.kind == kind::EPOLL || events & !EXCLUSIVE_EVENTS != 0);
    if epoll == file || epoll_file.kind != kind::EPOLL || refused {
        return Err(Errno::EINVAL.into());
    }
    if operation == EPOLL_CTL_ADD && record.kind == kind::EPOLL {
        call.posix.check_nesting(epoll, file)?;
    }
    let known = call.posix.find_watch(&epoll_file, file, descriptor as u32);
    let watch = Watch { file: file as u32, descriptor: descriptor as u32, events, data, ..Watch::default() };
    match (operation, known) {
        (EPOLL_CTL_ADD, Some(_)) => return Err(Errno::EEXIST.into()),
        (EPOLL_CTL_ADD, None) => call.posix.add_watch(epoll, watch)?,
        (EPOLL_CTL_DEL | EPOLL_CTL_MOD, None) => return Err(Errno::ENOENT.into()),
        (EPOLL_CTL_DEL, Some(index)) => call.posix.remove_watch(index),
        (EPOLL_CTL_MOD, Some(index)) if call.posix.store.watch(index).events & EXCLUSIVE == 0 => {
            call.posix.store.edit_watch(index, |watch| (watch.events, watch.data, watch.armed) = (events, data, 1));
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    // Somebody may wait at this epoll while it learns of something that is ready.
    call.posix.wake(Event::Any);
    Ok(0)
}

/// Waits for what is watched.
pub fn sys_epoll_wait(call: &mut Call<'_, '_>) -> SysResult {
    let timeout = call.arguments[3] as i32;
    let deadline = u64::try_from(timeout).ok().map(|timeout| call.deadline_after(timeout * 1_000_000));
    wait(call, deadline)
}

/// Likewise, under another mask.
pub fn sys_epoll_pwait(call: &mut Call<'_, '_>) -> SysResult {
    let [.., mask, size] = call.arguments;
    call.suspend_mask_argument(mask, size)?;
    sys_epoll_wait(call)
}

/// Likewise, with a finer timeout.
pub fn sys_epoll_pwait2(call: &mut Call<'_, '_>) -> SysResult {
    let [_, _, _, timeout, mask, size] = call.arguments;
    let deadline = call.timeout_argument(timeout)?;
    call.suspend_mask_argument(mask, size)?;
    wait(call, deadline)
}

fn wait(call: &mut Call<'_, '_>, deadline: Option<u64>) -> SysResult {
    let [epoll, to, most, ..] = call.arguments;
    if most as i32 <= 0 || most > MOST_EVENTS {
        return Err(Errno::EINVAL.into());
    }
    call.buffer_argument(to, most * EVENT_BYTES)?;
    let (index, file) = call.posix.file_of(call.process, epoll)?;
    if file.kind != kind::EPOLL {
        return Err(Errno::EINVAL.into());
    }
    let watches = call.posix.watches_of(&file);
    let mut told: Vec<(usize, Watch)> = Vec::new();
    let mut bytes = Vec::new();
    let mut more = false;
    for each in &watches {
        let watch = call.posix.store.watch(*each);
        let (events, seen) = call.look(&watch);
        if events == 0 {
            continue;
        }
        if told.len() as u64 == most {
            more = true;
            break;
        }
        bytes.extend(events.to_le_bytes());
        bytes.extend(watch.data.to_le_bytes());
        let events = if watch.events & ONE_SHOT == 0 { watch.events } else { watch.events & (ONE_SHOT | EDGE | EXCLUSIVE | WAKE_UP) };
        let edge = watch.events & EDGE != 0;
        told.push((*each, if edge { Watch { events, seen, armed: 0, ..watch } } else { Watch { events, ..watch } }));
    }
    if told.is_empty() && !call.has_passed(deadline) {
        return call.wait(call.until(Event::Any, deadline), false);
    }
    call.write(to, &bytes)?;
    for (each, watch) in &told {
        call.posix.store.set_watch(*each, *watch);
    }
    // Whoever was not told now is looked at first the next time.
    if more {
        let is_told = |each: &&usize| told.iter().any(|(index, _)| index == *each);
        let (last, first): (Vec<_>, Vec<_>) = watches.iter().partition(is_told);
        call.posix.set_watches(index, &[first, last].concat());
    }
    Ok(told.len() as u64)
}
