//! `pidfd_open`, `pidfd_send_signal`; `waitid` and `poll` know these files, too.
//!
//! Such a file names one process for ever: its record, its number and the moment that it began, which no later user of the number and the record has.

use super::kill;
use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{NONBLOCK, READ_WRITE, kind};
use crate::saved::{File, ProcessIndex, state};
use crate::server::Posix;
use crate::signal;

impl Posix<'_> {
    /// The process that a file of [`kind::PROCESS`] names, until somebody has waited for it.
    #[must_use]
    pub fn process_of_file(&self, file: &File) -> Option<ProcessIndex> {
        let process = file.object as usize;
        let record = self.store.process(process);
        let is_used = matches!(record.state, state::LIVE | state::ZOMBIE);
        (is_used && u64::from(record.pid) == file.detail && record.started_ns == file.offset).then_some(process)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self, file: &File) -> bool {
        self.process_of_file(file).is_none_or(|process| self.store.process(process).state == state::ZOMBIE)
    }
}

impl Call<'_, '_> {
    /// The file that names a process, behind a descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn process_file(&self, descriptor: u64) -> Result<File, Errno> {
        let (_, file) = self.posix.file_of(self.process, descriptor)?;
        if file.kind == kind::PROCESS { Ok(file) } else { Err(Errno::EBADF) }
    }
}

/// A descriptor of a process.
pub fn sys_pidfd_open(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, flags, ..] = call.arguments;
    if flags as u32 & !NONBLOCK != 0 || pid as i32 <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let Some(process) = call.posix.find_pid(pid as u32) else {
        // Threads that are not their process's first have none.
        return Err(call.thread_argument(pid as u32).map_or(Errno::ESRCH, |_| Errno::EINVAL).into());
    };
    let began = call.posix.store.process(process).started_ns;
    let (flags, detail) = (READ_WRITE | flags as u32 & NONBLOCK, u64::from(pid as u32));
    let file = File { kind: kind::PROCESS, flags, object: process as u32, offset: began, detail, ..File::default() };
    Ok(call.posix.open_file(call.process, file, true)? as u64)
}

/// Sends a signal to the process of a descriptor.
pub fn sys_pidfd_send_signal(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, signal, info, flags, ..] = call.arguments;
    if flags as u32 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = call.process_file(descriptor)?;
    let origin = if info == 0 { kill::sent_by(call) } else { kill::said_of(call, info, signal, file.detail)? };
    let process = call.posix.process_of_file(&file).ok_or(Errno::ESRCH)?;
    let signal = signal::number(signal)?;
    kill::send_process(call, process, signal, origin)
}
