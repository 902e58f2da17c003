//! A failure is believed when it comes twice.
//!
//! A program that hears of a failure that was none goes on with it, and nobody would ever know: one wrong bit in a register of this server, or of one that it
//! asks, becomes "Bad address" or "No such file". So a call that failed is made once more from its start, with the arguments that the kernel still has, and the
//! second outcome is the one that counts. It is what a successor would do if this instance died here, under the same request number, and harmless for the same
//! reason. A page fault or another exception that is to become a signal is left to the processor first: what really is wrong faults again.
//!
//! Where the code itself is wrong, both are: so what ends a program, and failures that are rare, come only after a look at it ([`libsys::text`]).
//!
//! A call that succeeds pays nothing for this. Not asked twice: what depends on the time or on what others do meanwhile.

use abi::Frame;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{Lane, slot};
use crate::server::{Incoming, Posix};
use crate::signal::deliver::{BREAKPOINT, DEBUG};
use crate::space::kernel_errno;
use crate::table;

/// An exception that is to become a signal: of a page fault the address and the access, of another one see [`of_exception`].
pub(crate) type Fault = (u64, u64);
/// No access of a page fault has this bit.
const EXCEPTION: u64 = 1 << 63;
/// Traps come after the instruction, which does not run again (Intel SDM vol. 3, 6.5).
const TRAPS: [u64; 2] = [DEBUG, BREAKPOINT];

/// Linux's numbers of `clone`, `fork`, `vfork` and `clone3`, whose `EAGAIN` says that there is no room and not that there may be some later.
const BIRTHS: [u64; 4] = [56, 57, 58, 435];

/// Failures that programs hardly ever provoke, and that are believed only of code that is what it was: what is wrong in that is wrong both times.
const UNHEARD_OF: [Errno; 3] = [Errno::EFAULT, Errno::ENOMEM, Errno::EIO];

/// Whether a failure of a call may be one of ours and not the program's.
fn is_doubtful(errno: Errno, call_number: u64) -> bool {
    match errno {
        Errno::EAGAIN => BIRTHS.contains(&call_number),
        Errno::EINTR | Errno::ETIMEDOUT => false,
        _ => true,
    }
}

/// An exception that is no page fault.
const fn of_exception(vector: u64, code: u64) -> Fault {
    (code, EXCEPTION | vector)
}

/// The call that a waiting thread made: number and arguments (x86-64 ABI, A.2.1).
const fn asked(frame: &Frame) -> (u64, [u64; 6]) {
    (frame.rax, [frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9])
}

impl Call<'_, '_> {
    /// Makes the call, and once more if it fails, or if it is not the one that the kernel has a sum of.
    #[inline]
    pub(crate) fn attempt(&mut self) -> SysResult {
        let (planned, sum) = (self.posix.afterwards.len(), self.sum);
        if !self.is_as_made() {
            return self.attempt_again(planned, sum);
        }
        match self.run(table::dispatch) {
            Err(Stop::Errno(errno)) if is_doubtful(errno, self.call_number) => self.attempt_again(planned, sum),
            outcome => outcome,
        }
    }

    /// Runs it. What came of it is not committed yet, so that a call which became another one on the way leaves nothing.
    #[inline]
    fn run(&mut self, dispatch: impl FnOnce(&mut Self) -> SysResult) -> SysResult {
        let outcome = dispatch(self);
        assert!(self.is_as_made(), "lane {}'s call is not what it was when it began", self.lane);
        outcome
    }

    /// Makes the call as if nothing had come of it yet, with what the kernel still has; so many things were planned before it.
    #[cold]
    fn attempt_again(&mut self, planned: usize, sum: u64) -> SysResult {
        self.posix.store.roll_back();
        self.posix.afterwards.truncate(planned);
        let frame = self.posix.kernel.get_frame(slot::thread(self.lane)).map_err(kernel_errno)?;
        assert!(frame.rcx == frame.rip, "lane {} made no call", self.lane);
        (self.call_number, self.arguments) = asked(&frame);
        self.sum = sum;
        // Of all that it is made of there is no other copy of the request's number.
        assert!(self.is_as_made(), "lane {} calls under another number than {:?}", self.lane, self.number);
        self.posix.hands.correct(self.lane, Incoming::Call { number: self.call_number, arguments: self.arguments, sum });
        self.process = self.posix.store.thread(self.lane).process as usize;
        self.map = self.posix.store.process(self.process).map as usize;
        let outcome = self.run(table::dispatch);
        if matches!(outcome, Err(Stop::Errno(errno)) if UNHEARD_OF.contains(&errno)) {
            self.posix.kernel.check_code();
        }
        outcome
    }
}

impl Posix<'_> {
    /// Whether a lane's exception that is no page fault is the one that it had before: if not, the instruction is to be tried again.
    pub(crate) fn is_raised_again(&mut self, lane: Lane, vector: u64, code: u64) -> bool {
        TRAPS.contains(&vector) || self.is_refused_again(lane, of_exception(vector, code))
    }

    /// The same for a page fault that is refused.
    pub(crate) fn is_refused_again(&mut self, lane: Lane, fault: Fault) -> bool {
        let Some(before) = self.refused.get_mut(lane) else { return true };
        let again = *before == Some(fault);
        *before = (!again).then_some(fault);
        if again {
            self.kernel.check_code();
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Frame, asked, is_doubtful};
    use crate::call::Call;
    use crate::fake::harness::{DATA, System};
    use abi::{RequestNumber, call_sum};

    /// Runs a call during which a word of it changes.
    fn run_while(change: impl FnOnce(&mut Call<'_, '_>)) {
        let (mut system, lane) = System::start();
        let (number, call_number, arguments) = (RequestNumber::new(10, 1, 7, 0), 1, [1, 2, 17, 4, 5, 6]);
        let sum = call_sum(number, call_number, arguments);
        let process = system.posix().store.thread(lane).process as usize;
        let map = system.posix().store.process(process).map as usize;
        let mut call = Call { posix: system.posix(), lane, process, map, number, call_number, arguments, sum };
        let outcome = call.run(|call| {
            change(call);
            Ok(17)
        });
        assert_eq!(outcome, Ok(17));
    }

    #[test]
    fn call_that_stays_what_it_is_has_its_result() {
        run_while(|_| {});
        run_while(|call| assert_eq!(call.effect(), call.number.with_step(1)));
    }

    #[test]
    #[should_panic = "not what it was when it began"]
    fn call_whose_argument_changes_on_the_way_has_no_result() {
        run_while(|call| call.arguments[2] = 0x6321_a94b_15d7_0ce9);
    }

    #[test]
    fn bytes_of_the_buffer_that_was_named_are_copied() {
        run_while(|call| {
            call.arguments = [1, DATA, 16, 0, 0, 0];
            assert_eq!(
                (call.read(DATA, &mut [0; 16]), call.read(DATA + 16, &mut []), call.read_some(DATA + 1, &mut [0; 15])),
                (Ok(()), Ok(()), Ok(15))
            );
            call.sum = call_sum(call.number, call.call_number, call.arguments);
        });
    }

    #[test]
    fn nothing_beyond_the_buffer_that_was_named_is_copied() {
        for (address, length) in [(DATA + 2048, 16), (DATA - 1, 16), (DATA, 17), (DATA + 1, 16), (DATA + 17, 0)] {
            for number in [0, 1, 17, 18] {
                let ended = std::panic::catch_unwind(|| {
                    run_while(|call| {
                        (call.call_number, call.arguments) = (number, [1, DATA, 16, 0, 0, 0]);
                        let _copied = call.write(address, &[0; 32][..length]);
                    });
                });
                let words = ended.err().and_then(|words| words.downcast::<String>().ok());
                assert!(words.is_some_and(|words| words.contains("named no buffer")), "{number} {address:#x} {length}");
            }
        }
    }

    #[test]
    #[should_panic = "did not ask for"]
    fn nothing_is_asked_of_others_for_a_call_that_is_another_one() {
        run_while(|call| {
            call.arguments[1] ^= 8;
            let _number = call.effect();
        });
    }

    #[test]
    fn arguments_are_where_the_abi_has_them() {
        let frame = Frame { rax: 7, rdi: 1, rsi: 2, rdx: 3, r10: 4, r8: 5, r9: 6, ..Frame::new() };
        assert_eq!(asked(&frame), (7, [1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn what_time_or_others_decide_is_not_asked_twice() {
        let of_read = |errno| is_doubtful(errno, 0);
        assert!([Errno::EFAULT, Errno::ENOENT, Errno::EBADF, Errno::EIO, Errno::ENOSYS, Errno::ENOMEM, Errno::ENOSPC].into_iter().all(of_read));
        assert!(![Errno::EAGAIN, Errno::EINTR, Errno::ETIMEDOUT].into_iter().any(of_read));
        assert!(is_doubtful(Errno::EAGAIN, 57), "no room for a process");
    }
}
