//! `signalfd`, `signalfd4`: signals read from a descriptor, by whoever reads it.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{NONBLOCK, READ_WRITE, kind};
use crate::io::Vector;
use crate::saved::{File, Origin};
use crate::signal::{SI_TIMER, UNSTOPPABLE};
use crate::wait::{Event, Wait};

const SFD_CLOEXEC: u64 = 0o2_000_000;
/// Bytes of `struct signalfd_siginfo`.
const INFO_BYTES: usize = 128;
const NEW: u32 = u32::MAX;

/// Makes one, or gives it other signals.
pub fn sys_signalfd(call: &mut Call<'_, '_>) -> SysResult {
    with_flags(call, 0)
}

/// Likewise, with flags.
pub fn sys_signalfd4(call: &mut Call<'_, '_>) -> SysResult {
    with_flags(call, call.arguments[3])
}

fn with_flags(call: &mut Call<'_, '_>, flags: u64) -> SysResult {
    let [descriptor, set, size, ..] = call.arguments;
    if size != 8 {
        return Err(Errno::EINVAL.into());
    }
    let set = call.read_u64(set)? & !UNSTOPPABLE;
    if flags & !(SFD_CLOEXEC | u64::from(NONBLOCK)) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if descriptor as u32 == NEW {
        let file = File { kind: kind::SIGNALS, flags: READ_WRITE | flags as u32 & NONBLOCK, detail: set, ..File::default() };
        return Ok(call.posix.open_file(call.process, file, flags & SFD_CLOEXEC != 0)? as u64);
    }
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    if file.kind != kind::SIGNALS {
        return Err(Errno::EINVAL.into());
    }
    call.posix.store.edit_file(index, |file| file.detail = set);
    call.posix.wake(Event::Any);
    Ok(descriptor)
}

impl Call<'_, '_> {
    /// Signals of a set that the caller could take.
    #[must_use]
    pub fn pending_of(&self, set: u64) -> u64 {
        (self.posix.store.thread(self.lane).pending | self.me().pending) & set
    }

    /// Reads signals, as many as there are and there is room for.
    ///
    /// # Errors
    /// `EINVAL`, `EAGAIN`, `EFAULT`, or a wait.
    pub fn read_signals(&mut self, file: &File, to: Vector) -> SysResult {
        let room = to.length / INFO_BYTES;
        if room == 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut bytes = alloc::vec::Vec::new();
        while bytes.len() < room * INFO_BYTES {
            let Some(next) = self.posix.next_signal(self.lane, file.detail) else { break };
            let origin = self.posix.take_pending(next);
            bytes.extend(encode(next.1, &origin));
        }
        if bytes.is_empty() {
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait(Wait::on(Event::Signal), true);
        }
        // What a bad address is told is lost, as on Linux.
        self.write(to.address, &bytes)?;
        Ok(bytes.len() as u64)
    }
}

/// `struct signalfd_siginfo`.
fn encode(signal: usize, origin: &Origin) -> [u8; INFO_BYTES] {
    let mut bytes = [0; INFO_BYTES];
    let value = [origin.value as u32, (origin.value >> 32) as u32];
    let (sender, timer) = if origin.code == SI_TIMER { ([0; 2], [origin.pid, origin.uid]) } else { ([origin.pid, origin.uid], [0; 2]) };
    let words = [signal as u32, 0, origin.code, sender[0], sender[1], 0, timer[0], 0, timer[1], 0, origin.status, value[0], value[0], value[1]];
    for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    bytes
}
