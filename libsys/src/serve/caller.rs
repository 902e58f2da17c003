//! A caller behind a Reply that this thread holds.

use abi::{Error, RequestNumber};
use protocols::serve::{Caller, LeaseError};

use crate::syscall::{self, CopyError, Incoming};

/// Copies from and to the caller whose Reply lies in a slot. Of a reflected caller, the one lease 0 is its whole address space and offsets
/// are addresses.
#[derive(Clone, Copy, Debug)]
pub struct KernelCaller {
    reply: u32,
    badge: u64,
    number: RequestNumber,
    /// As it came a second time: a result that is recorded under another number makes all requests of its lane too old.
    again: u64,
    caps: usize,
}

impl KernelCaller {
    pub(super) const fn new(reply: u32, incoming: &Incoming) -> Self {
        Self { reply, badge: incoming.badge, number: incoming.number, again: incoming.sum, caps: incoming.caps }
    }

    /// The caller whose Reply was kept in `reply`.
    #[must_use]
    pub const fn kept(reply: u32, badge: u64, number: RequestNumber) -> Self {
        Self { reply, badge, number, again: number.0, caps: 0 }
    }

    /// The slot of its Reply: what a [`abi::Lease`] that lends on names.
    #[must_use]
    pub const fn reply(&self) -> u32 {
        self.reply
    }
}

impl Caller for KernelCaller {
    fn badge(&self) -> u64 {
        self.badge
    }

    fn number(&self) -> RequestNumber {
        assert!(self.number.0 == self.again, "a request came as {:?} and is {:?}", RequestNumber(self.again), self.number);
        self.number
    }

    fn read(&mut self, lease: usize, mut offset: u64, mut to: &mut [u8]) -> Result<(), LeaseError> {
        while !to.is_empty() {
            let done = progress(syscall::lease_read(self.reply, lease, offset, to))?;
            to = to.get_mut(done..).unwrap_or_default();
            offset = offset.checked_add(done as u64).ok_or(LeaseError::Invalid)?;
        }
        Ok(())
    }

    fn write(&mut self, lease: usize, mut offset: u64, mut from: &[u8]) -> Result<(), LeaseError> {
        while !from.is_empty() {
            let done = progress(syscall::lease_write(self.reply, lease, offset, from))?;
            from = from.get(done..).unwrap_or_default();
            offset = offset.checked_add(done as u64).ok_or(LeaseError::Invalid)?;
        }
        Ok(())
    }

    fn caps(&self) -> usize {
        self.caps
    }
}

/// A copy that succeeds moves at least one byte, so that the loops end.
///
/// # Panics
/// For a slot in which no Reply lies: it is this server's own, and whoever heard that its lease is not there would believe it. And for a copy that is not what it was
/// to be ([`abi::copy_sum`]).
fn progress(result: Result<usize, CopyError>) -> Result<usize, LeaseError> {
    match result {
        Ok(0) => Err(LeaseError::Invalid),
        Ok(done) => Ok(done),
        Err(CopyError::NeedsPage { address, write }) => Err(LeaseError::NeedsPage { address, write }),
        Err(CopyError::Kernel(Error::ReplyGone)) => Err(LeaseError::Gone),
        Err(CopyError::Kernel(error @ (Error::InvalidHandle | Error::WrongKind))) => panic!("the caller's Reply is not in its slot: {error:?}"),
        Err(CopyError::Kernel(error @ Error::InvalidArgument)) => panic!("another copy was about to be made: {error:?}"),
        Err(CopyError::Kernel(_)) => Err(LeaseError::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::{KernelCaller, progress};
    use crate::syscall::CopyError;
    use abi::{Error, RequestNumber};
    use protocols::serve::{Caller as _, LeaseError};

    #[test]
    fn number_that_is_not_the_one_that_came_is_none() {
        let number = RequestNumber::new(10, 3, 7, 1);
        let caller = KernelCaller::kept(9, 5, number);
        assert_eq!(caller.number(), number);
        for bit in 0..64 {
            let wrong = KernelCaller { number: RequestNumber(number.0 ^ 1 << bit), ..caller };
            assert!(std::panic::catch_unwind(|| wrong.number()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn copy_without_progress_ends() {
        assert_eq!(progress(Ok(0)), Err(LeaseError::Invalid));
        assert_eq!(progress(Ok(9)), Ok(9));
    }

    #[test]
    fn kernel_errors_say_whose_fault_it_is() {
        let missing = CopyError::NeedsPage { address: 5, write: true };
        assert_eq!(progress(Err(missing)), Err(LeaseError::NeedsPage { address: 5, write: true }));
        assert_eq!(progress(Err(CopyError::Kernel(Error::ReplyGone))), Err(LeaseError::Gone));
        assert_eq!(progress(Err(CopyError::Kernel(Error::InvalidLease))), Err(LeaseError::Invalid));
        for own in [Error::InvalidHandle, Error::WrongKind, Error::InvalidArgument] {
            assert!(std::panic::catch_unwind(|| progress(Err(CopyError::Kernel(own)))).is_err(), "{own:?}");
        }
    }
}
