//! `readv`, `writev`, `preadv`, `pwritev` and their second forms. A pipe's or terminal's vectors are one transfer as far as its first buffers go: later ones never wait.

use alloc::vec::Vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fd::kind;
use crate::io::{Data, Vector};
use crate::server::BUFFER_BYTES;
use crate::syscall::message;

/// Reads into several buffers.
pub fn sys_readv(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, count, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let vectors = call.vectors(address, count)?;
    if vectors.is_empty() {
        return if file.reads() { Ok(0) } else { Err(Errno::EBADF.into()) };
    }
    if file.kind == kind::REGULAR {
        return call.read_regular_on(index, &file, &vectors);
    }
    if file.kind == kind::SOCKET {
        return call.receive_message(&file, &vectors, 0, |_, _| Ok(Vec::new()));
    }
    call.read_on(index, &file, vectors[0])
}

/// Offset of the calls that take one, and whether they have no effect on the file's own. -1 stands for the file's own in the second forms.
fn offset_argument(call: &Call<'_, '_>, second_form: bool) -> Result<Option<u64>, Errno> {
    let offset = call.arguments[3];
    match offset as i64 {
        -1 if second_form => Ok(None),
        ..0 => Err(Errno::EINVAL),
        _ => Ok(Some(offset)),
    }
}

/// Buffers of a transfer at `offset`, which must not end beyond what a file can have.
fn vectors_at(call: &mut Call<'_, '_>, address: u64, count: u64, offset: u64) -> Result<Vec<Vector>, Stop> {
    let vectors = call.vectors(address, count)?;
    call.offset_argument(offset, vectors.iter().map(|vector| vector.length as u64).sum())?;
    Ok(vectors)
}

/// Flags of the second forms: those that ask for no more than happens anyway (`RWF_HIPRI`, `RWF_DSYNC`, `RWF_SYNC`).
fn check_flags(call: &Call<'_, '_>) -> Result<(), Errno> {
    if call.arguments[5] & !7 == 0 { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

/// Reads at an offset of the caller's into several buffers.
pub fn sys_preadv(call: &mut Call<'_, '_>) -> SysResult {
    let offset = offset_argument(call, false)?;
    read_at(call, offset)
}

/// Likewise, with flags.
pub fn sys_preadv2(call: &mut Call<'_, '_>) -> SysResult {
    let offset = offset_argument(call, true)?;
    check_flags(call)?;
    read_at(call, offset)
}

fn read_at(call: &mut Call<'_, '_>, offset: Option<u64>) -> SysResult {
    let Some(offset) = offset else { return sys_readv(call) };
    let [descriptor, address, count, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let vectors = vectors_at(call, address, count, offset)?;
    if file.kind == kind::REGULAR && !vectors.is_empty() {
        return call.read_regular(index, &file, Some(offset), &vectors);
    }
    call.over_vectors(&vectors, |call, vector, done| call.read_from(index, &file, Some(offset + done), vector))
}

/// Writes at an offset of the caller's from several buffers.
pub fn sys_pwritev(call: &mut Call<'_, '_>) -> SysResult {
    let offset = offset_argument(call, false)?;
    write_at(call, offset)
}

/// Likewise, with flags.
pub fn sys_pwritev2(call: &mut Call<'_, '_>) -> SysResult {
    let offset = offset_argument(call, true)?;
    check_flags(call)?;
    write_at(call, offset)
}

fn write_at(call: &mut Call<'_, '_>, offset: Option<u64>) -> SysResult {
    let Some(offset) = offset else { return sys_writev(call) };
    let [descriptor, address, count, ..] = call.arguments;
    let (index, _) = call.posix.file_of(call.process, descriptor)?;
    let vectors = vectors_at(call, address, count, offset)?;
    gather(call, index, &vectors, Some(offset))
}

/// Writes from several buffers. What fits the transfer buffer is one write, so that lines are not torn.
pub fn sys_writev(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, count, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let vectors = call.vectors(address, count)?;
    match vectors.as_slice() {
        [] => {
            if file.writes() {
                Ok(0)
            } else {
                Err(Errno::EBADF.into())
            }
        }
        [only] => call.write_on(index, &file, Data::Program(*only)),
        several if file.kind == kind::SOCKET => message::write_vectors(call, &file, several),
        several => gather(call, index, several, None),
    }
}

/// Copies the buffers together, as far as the transfer buffer reaches.
fn gather(call: &mut Call<'_, '_>, index: usize, vectors: &[Vector], offset: Option<u64>) -> SysResult {
    let mut bytes = Vec::new();
    for vector in vectors {
        let room = BUFFER_BYTES - bytes.len();
        let start = bytes.len();
        bytes.resize(start + vector.length.min(room), 0);
        let to = bytes.get_mut(start..).unwrap_or_default();
        let wanted = to.len();
        let fetched = match call.read_some(vector.address, to) {
            Err(Stop::Errno(_)) if start > 0 => 0,
            other => other?,
        };
        bytes.truncate(start + fetched);
        if fetched < wanted {
            break;
        }
    }
    let (_, file) = call.posix.file_of(call.process, call.arguments[0])?;
    let length: usize = vectors.iter().map(|vector| vector.length).sum();
    if file.kind == kind::LLM && bytes.len() < length {
        // A request is not asked in part.
        return Err(if length > BUFFER_BYTES { Errno::EMSGSIZE } else { Errno::EFAULT }.into());
    }
    match offset {
        Some(_) => call.write_to(index, &file, offset, Data::Bytes(&bytes)),
        None => call.write_on(index, &file, Data::Bytes(&bytes)),
    }
}
