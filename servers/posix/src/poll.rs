//! Readiness: what `poll`, `select` and `epoll` find at a file. Whoever waits for it wakes at anything and looks again.

use crate::call::Call;
use crate::fd::{ACCESS_MODE, kind};
use crate::saved::File;

/// `POLLIN`.
pub const IN: u32 = 1;
/// `POLLPRI`.
pub const PRIORITY: u32 = 2;
/// `POLLOUT`.
pub const OUT: u32 = 4;
/// `POLLERR`.
pub const ERROR: u32 = 8;
/// `POLLHUP`.
pub const HANG_UP: u32 = 0x10;
/// `POLLNVAL`.
pub const INVALID: u32 = 0x20;
/// `POLLRDHUP`.
pub const READ_HANG_UP: u32 = 0x2000;
/// `POLLRDNORM` and `POLLWRNORM`, which mean the same as the first ones here.
pub const NORMAL_IN: u32 = 0x40;
/// See [`NORMAL_IN`].
pub const NORMAL_OUT: u32 = 0x100;

impl Call<'_, '_> {
    /// What is ready at a file.
    pub fn ready(&mut self, file: &File) -> u32 {
        let when = |condition: bool, bits: u32| if condition { bits } else { 0 };
        let found = match file.kind {
            kind::PIPE => self.ready_pipe(file),
            kind::TERMINAL => self.posix.poll_terminal(self.number, file.object),
            kind::MASTER => self.ready_master(file),
            kind::EVENT => when(file.offset > 0, IN) | when(file.offset < u64::MAX - 1, OUT),
            kind::SOCKET => self.posix.ready_socket(file.object as usize),
            kind::EPOLL => self.ready_epoll(file),
            kind::TIMER => when(self.posix.expirations(file) > 0, IN),
            kind::SIGNALS => when(self.pending_of(file.detail) != 0, IN),
            kind::PROCESS => when(self.posix.has_ended(file), IN),
            kind::LLM => self.ready_llm(file),
            _ => IN | OUT,
        };
        let normal_in = if found & IN != 0 { NORMAL_IN } else { 0 };
        let normal_out = if found & OUT != 0 { NORMAL_OUT } else { 0 };
        found | normal_in | normal_out
    }

    fn ready_pipe(&self, file: &File) -> u32 {
        let pipe = self.posix.store.pipe(file.object as usize);
        let mut found = 0;
        if file.flags & ACCESS_MODE != crate::fd::WRITE_ONLY {
            found |= if pipe.bytes() > 0 { IN } else { 0 };
            // Not before there was any (Linux: `pipe_poll`).
            found |= if pipe.writers == 0 && u64::from(pipe.writer_opens) != file.detail { HANG_UP } else { 0 };
        }
        if file.flags & ACCESS_MODE != 0 {
            found |= if pipe.room() >= crate::pipe::ATOMIC_BYTES { OUT } else { 0 };
            found |= if pipe.readers == 0 { ERROR } else { 0 };
        }
        found
    }
}
