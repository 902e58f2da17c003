//! `readv`, `writev`. A pipe's or terminal's vectors are one transfer as far as its first buffers go: later ones never wait.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fd::kind;
use crate::io::{Data, Vector};
use crate::server::BUFFER_BYTES;

/// Reads into several buffers.
pub fn sys_readv(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, count, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let vectors = call.vectors(address, count)?;
    if vectors.is_empty() {
        return if file.reads() { Ok(0) } else { Err(Errno::EBADF.into()) };
    }
    if file.kind == kind::REGULAR {
        let start = file.offset;
        let done = call.over_vectors(&vectors, |call, vector, done| call.read_from(index, &file, Some(start + done), vector))?;
        call.posix.store.edit_file(index, |file| file.offset = start + done);
        return Ok(done);
    }
    call.read_from(index, &file, None, vectors[0])
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
        [only] => call.write_to(index, &file, None, Data::Program(*only)),
        several => gather(call, index, several),
    }
}

/// Copies the buffers together, as far as the transfer buffer reaches.
fn gather(call: &mut Call<'_, '_>, index: usize, vectors: &[Vector]) -> SysResult {
    let mut bytes = alloc::vec::Vec::new();
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
    call.write_to(index, &file, None, Data::Bytes(&bytes))
}
