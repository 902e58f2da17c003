//! A failure is believed when it comes twice.
//!
//! A program that hears of a failure that was none goes on with it, and nobody would ever know: one wrong bit in a register of this server, or of one that it
//! asks, becomes "Bad address" or "No such file". So a call that failed is made once more from its start, with the arguments that the kernel still has, and the
//! second outcome is the one that counts. It is what a successor would do if this instance died here, under the same request number, and harmless for the same
//! reason. A page fault that is to become a signal is left to the processor first: what really is wrong faults again.
//!
//! A call that succeeds pays nothing for this. Not asked twice: what depends on the time or on what others do meanwhile, and lack of something, because the
//! second attempt at what is not there costs as much as the first.

use abi::Frame;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fault::Refused;
use crate::saved::{Lane, slot};
use crate::server::{Incoming, Posix};
use crate::space::kernel_errno;
use crate::table;

/// A page fault that was refused: address and access.
pub(crate) type Fault = (u64, u64);

/// Whether a failure may be one of ours and not the program's.
const fn is_doubtful(errno: Errno) -> bool {
    !matches!(errno, Errno::EAGAIN | Errno::EINTR | Errno::ETIMEDOUT | Errno::ENOMEM | Errno::ENOSPC)
}

/// The call that a waiting thread made: number and arguments (x86-64 ABI, A.2.1).
const fn asked(frame: &Frame) -> (u64, [u64; 6]) {
    (frame.rax, [frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9])
}

impl Call<'_, '_> {
    /// Makes the call, and once more if it fails.
    #[inline]
    pub(crate) fn attempt(&mut self) -> SysResult {
        let planned = self.posix.afterwards.len();
        match table::dispatch(self) {
            Err(Stop::Errno(errno)) if is_doubtful(errno) => self.attempt_again(planned),
            outcome => outcome,
        }
    }

    /// Makes the call as if nothing had come of it yet, with what the kernel still has; so many things were planned before it.
    #[cold]
    fn attempt_again(&mut self, planned: usize) -> SysResult {
        self.posix.store.roll_back();
        self.posix.afterwards.truncate(planned);
        let frame = self.posix.kernel.get_frame(slot::thread(self.lane)).map_err(kernel_errno)?;
        (self.call_number, self.arguments) = asked(&frame);
        if let Some(hand) = self.posix.in_hand.get_mut(self.lane).and_then(Option::as_mut) {
            hand.incoming = Incoming::Call { number: self.call_number, arguments: self.arguments };
        }
        self.process = self.posix.store.thread(self.lane).process as usize;
        self.map = self.posix.store.process(self.process).map as usize;
        table::dispatch(self)
    }
}

impl Posix<'_> {
    /// Whether a lane's fault that is refused was so before: if not, the instruction is to be tried again.
    pub(crate) fn is_refused_again(&mut self, lane: Lane, fault: Fault, refused: Refused) -> bool {
        let Some(before) = self.refused.get_mut(lane) else { return true };
        let again = !matches!(refused, Refused::Segment { .. } | Refused::Bus) || *before == Some(fault);
        *before = (!again).then_some(fault);
        again
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Frame, asked, is_doubtful};

    #[test]
    fn arguments_are_where_the_abi_has_them() {
        let frame = Frame { rax: 7, rdi: 1, rsi: 2, rdx: 3, r10: 4, r8: 5, r9: 6, ..Frame::new() };
        assert_eq!(asked(&frame), (7, [1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn waiting_and_lacking_are_not_asked_twice() {
        assert!([Errno::EFAULT, Errno::ENOENT, Errno::EBADF, Errno::EIO, Errno::ENOSYS].into_iter().all(is_doubtful));
        assert!(![Errno::EAGAIN, Errno::EINTR, Errno::ENOMEM].into_iter().any(is_doubtful));
    }
}
