//! `flock`, and the lock commands of `fcntl`.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::lock::range::LAST;
use crate::lock::{Asked, Owner, Place, class};
use crate::saved::{File, Lock};
use crate::wait::{Event, Wait};

const LOCK_SH: u64 = 1;
const LOCK_EX: u64 = 2;
const LOCK_NB: u64 = 4;
const LOCK_UN: u64 = 8;
const LOCK_MAND: u64 = 32;

const FCNTL: u64 = 72;
const F_GETLK: u64 = 5;
const F_SETLK: u64 = 6;
const F_SETLKW: u64 = 7;
const F_OFD_GETLK: u64 = 36;
const F_OFD_SETLK: u64 = 37;
const F_OFD_SETLKW: u64 = 38;
const F_RDLCK: u16 = 0;
const F_WRLCK: u16 = 1;
const F_UNLCK: u16 = 2;
const SEEK_SET: u16 = 0;
const SEEK_CUR: u16 = 1;
const SEEK_END: u16 = 2;

/// Whether a call is one that waits for a record lock of its process.
#[must_use]
pub const fn is_waiting_for_record(number: u64, arguments: &[u64; 6]) -> bool {
    number == FCNTL && arguments[1] as u32 as u64 == F_SETLKW
}

/// Locks a whole file for an open file description.
pub fn sys_flock(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, operation, ..] = call.arguments;
    if operation & LOCK_MAND != 0 {
        // Linux has given up mandatory locks, and asks for them have no effect: whatever the descriptor.
        return Ok(0);
    }
    let wanted = match operation & !LOCK_NB {
        LOCK_SH => Some(false),
        LOCK_EX => Some(true),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL.into()),
    };
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let owner = Owner { class: class::WHOLE, index: index as u32 };
    let asked = Asked { place: Place::of(&file), owner, pid: call.me().pid, first: 0, last: LAST };
    if call.posix.locked_ranges(&asked).first().map(|range| range.exclusive) != wanted {
        // A lock is not converted but given back first (flock(2)).
        call.posix.change_locks(&asked, None)?;
    }
    set(call, &asked, wanted, operation & LOCK_NB == 0)
}

/// Sets locks that nothing may be in the way of, or waits until that is so.
fn set(call: &mut Call<'_, '_>, asked: &Asked, wanted: Option<bool>, waits: bool) -> SysResult {
    if let Some((index, lock)) = wanted.and_then(|exclusive| call.posix.conflicting_lock(asked, exclusive)) {
        if !waits {
            return Err(Errno::EAGAIN.into());
        }
        if asked.owner.class == class::RECORD && call.posix.is_deadlock(call.process, &lock) {
            return Err(Errno::EDEADLK.into());
        }
        return call.wait(Wait::on(Event::Lock(index as u32)), true);
    }
    call.posix.change_locks(asked, wanted)?;
    Ok(0)
}

/// `struct flock` as a program gives it.
#[derive(Clone, Copy, Debug)]
struct Described {
    kind: u16,
    first: u64,
    last: u64,
    pid: u32,
}

/// The lock commands of `fcntl`; `None` for another command.
pub fn fcntl(call: &mut Call<'_, '_>, index: usize, file: &File) -> Option<SysResult> {
    let [_, command, argument, ..] = call.arguments;
    let owner = match command {
        F_GETLK | F_SETLK | F_SETLKW => Owner { class: class::RECORD, index: call.process as u32 },
        F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => Owner { class: class::OPEN_FILE, index: index as u32 },
        _ => return None,
    };
    let asks = matches!(command, F_GETLK | F_OFD_GETLK);
    Some(read_lock(call, index, file, argument).and_then(|wanted| {
        let asked = Asked { place: Place::of(file), owner, pid: call.me().pid, first: wanted.first, last: wanted.last };
        if asks { get_lock(call, &asked, wanted) } else { set_lock(call, file, &asked, wanted) }
    }))
}

/// Reads a `struct flock` (fcntl(2)).
fn read_lock(call: &mut Call<'_, '_>, index: usize, file: &File, address: u64) -> Result<Described, Stop> {
    let [head, start, length, pid] = call.read_words(address)?;
    let (kind, whence) = (head as u16, (head >> 16) as u16);
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => file.offset,
        SEEK_END => call.stat_file(index, file)?.size,
        _ => return Err(Errno::EINVAL.into()),
    };
    if kind > F_UNLCK {
        return Err(Errno::EINVAL.into());
    }
    let (first, last) = bounds(base, start as i64, length as i64)?;
    Ok(Described { kind, first, last, pid: pid as u32 })
}

/// First and last byte of a lock that begins `start` bytes from `base`. A length of 0 is up to the end of all files, a negative one lies before the start.
fn bounds(base: u64, start: i64, length: i64) -> Result<(u64, u64), Errno> {
    let start = i64::try_from(base).unwrap_or(i64::MAX).checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match length {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?),
        _ => (start.checked_add(length).ok_or(Errno::EINVAL)?, start.checked_sub(1).ok_or(Errno::EINVAL)?),
    };
    match (u64::try_from(first), u64::try_from(last)) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err(Errno::EINVAL),
    }
}

fn set_lock(call: &mut Call<'_, '_>, file: &File, asked: &Asked, wanted: Described) -> SysResult {
    if wanted.kind == F_RDLCK && !file.reads() || wanted.kind == F_WRLCK && !file.writes() {
        return Err(Errno::EBADF.into());
    }
    let command = call.arguments[1];
    if matches!(command, F_OFD_SETLK | F_OFD_SETLKW) && wanted.pid != 0 {
        return Err(Errno::EINVAL.into());
    }
    let exclusive = (wanted.kind != F_UNLCK).then_some(wanted.kind == F_WRLCK);
    set(call, asked, exclusive, matches!(command, F_SETLKW | F_OFD_SETLKW))
}

/// Tells which lock would be in the way.
fn get_lock(call: &mut Call<'_, '_>, asked: &Asked, wanted: Described) -> SysResult {
    let [_, command, address, ..] = call.arguments;
    if wanted.kind == F_UNLCK || command == F_OFD_GETLK && wanted.pid != 0 {
        return Err(Errno::EINVAL.into());
    }
    match call.posix.conflicting_lock(asked, wanted.kind == F_WRLCK) {
        None => call.write(address, &F_UNLCK.to_le_bytes())?,
        Some((_, lock)) => {
            let length = if lock.last == LAST { 0 } else { lock.last - lock.first + 1 };
            call.write(address, &encode(&lock, length))?;
        }
    }
    Ok(0)
}

/// `struct flock` up to its last field; what lies between the fields is zero.
fn encode(lock: &Lock, length: u64) -> [u8; 28] {
    let kind = if lock.exclusive != 0 { F_WRLCK } else { F_RDLCK };
    let pid = if lock.class == class::OPEN_FILE { u32::MAX } else { lock.pid };
    let mut bytes = [0; 28];
    bytes[..2].copy_from_slice(&kind.to_le_bytes());
    bytes[2..4].copy_from_slice(&SEEK_SET.to_le_bytes());
    bytes[8..16].copy_from_slice(&lock.first.to_le_bytes());
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[24..].copy_from_slice(&pid.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::bounds;
    use crate::errno::Errno;

    #[test]
    fn bounds_are_those_of_linux() {
        const END: u64 = i64::MAX as u64;
        for (base, start, length, expected) in [
            (0, 0, 0, Ok((0, END))),
            (10, -10, 1, Ok((0, 0))),
            (10, -11, 1, Err(Errno::EINVAL)),
            (10, 0, -10, Ok((0, 9))),
            (10, 0, -11, Err(Errno::EINVAL)),
            (0, 0, -1, Err(Errno::EINVAL)),
            (0, 1, i64::MAX, Ok((1, END))),
            (0, 2, i64::MAX, Err(Errno::EOVERFLOW)),
            (1, i64::MAX, 1, Err(Errno::EOVERFLOW)),
            (0, i64::MIN, i64::MIN, Err(Errno::EINVAL)),
            (u64::MAX, 0, 1, Ok((END, END))),
        ] {
            assert_eq!(bounds(base, start, length), expected, "{base} {start} {length}");
        }
    }
}
