//! `pipe`, `pipe2`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{NONBLOCK, WRITE_ONLY, kind};
use crate::saved::File;

const O_CLOEXEC: u64 = 0o2_000_000;
const O_DIRECT: u64 = 0o40000;

/// Makes a pipe.
pub fn sys_pipe(call: &mut Call<'_, '_>) -> SysResult {
    make(call, 0)
}

/// Makes a pipe with flags.
pub fn sys_pipe2(call: &mut Call<'_, '_>) -> SysResult {
    let flags = call.arguments[1];
    // Packet mode is refused rather than ignored.
    if flags & !(O_CLOEXEC | u64::from(NONBLOCK)) != 0 || flags & O_DIRECT != 0 {
        return Err(Errno::EINVAL.into());
    }
    make(call, flags)
}

fn make(call: &mut Call<'_, '_>, flags: u64) -> SysResult {
    let reader = call.posix.free_descriptor(call.process, 0)?;
    let writer = call.posix.free_descriptor(call.process, reader + 1)?;
    let bytes = [(reader as u32).to_le_bytes(), (writer as u32).to_le_bytes()].concat();
    call.write(call.arguments[0], &bytes)?;
    // All that can fail comes before the first change.
    call.posix.check_room_for_files(call.process, 2)?;
    call.posix.check_room_for_pipes(call.process, 1)?;
    let pipe = call.posix.make_pipe()?;
    for access in [0, WRITE_ONLY] {
        call.posix.open_pipe_end(pipe, access);
        let flags_kept = access | flags as u32 & NONBLOCK;
        let file = File { kind: kind::PIPE, flags: flags_kept, object: pipe as u32, ..File::default() };
        call.posix.open_file(call.process, file, flags & O_CLOEXEC != 0)?;
    }
    Ok(0)
}
