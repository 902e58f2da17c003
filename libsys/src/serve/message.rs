//! Messages that the kernel itself makes, by name instead of by word.

use abi::{FaultAccess, RequestNumber};

use super::KernelCaller;
use crate::syscall::Incoming;

/// A page that is missing, or was accessed in a way that its mapping forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// Slot of its Reply.
    pub reply: u32,
    /// Badge of the thread.
    pub badge: u64,
    /// Number under which calls for it are made.
    pub number: RequestNumber,
    /// The address.
    pub address: u64,
    /// [`FaultAccess`] bits.
    pub access: u64,
    /// The instruction.
    pub instruction: u64,
}

impl PageFault {
    pub(super) const fn new(incoming: &Incoming, reply: u32) -> Self {
        let [address, access, instruction, ..] = incoming.words;
        Self { reply, badge: incoming.badge, number: incoming.number, address, access, instruction }
    }

    /// The access was a write.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        self.access & FaultAccess::WRITE != 0
    }

    /// The access was an instruction fetch.
    #[must_use]
    pub const fn is_execute(&self) -> bool {
        self.access & FaultAccess::EXECUTE != 0
    }

    /// A page was there: the access broke its protection.
    #[must_use]
    pub const fn is_protection(&self) -> bool {
        self.access & FaultAccess::PRESENT != 0
    }
}

/// A thread that cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Slot of its Reply.
    pub reply: u32,
    /// Badge of the thread.
    pub badge: u64,
    /// Number under which calls for it are made.
    pub number: RequestNumber,
    /// The processor's vector (Intel SDM vol. 3, table 6-1).
    pub vector: u64,
    /// The processor's error code.
    pub code: u64,
    /// The address of a page fault.
    pub address: u64,
    /// The instruction.
    pub instruction: u64,
}

impl Exception {
    pub(super) const fn new(incoming: &Incoming, reply: u32) -> Self {
        let [vector, code, address, instruction, ..] = incoming.words;
        Self { reply, badge: incoming.badge, number: incoming.number, vector, code, address, instruction }
    }
}

/// A Linux system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reflected {
    /// Slot of its Reply.
    pub reply: u32,
    /// Badge of the thread.
    pub badge: u64,
    /// The request's number: the same when the call is delivered again.
    pub number: RequestNumber,
    /// The call's number, from `rax`.
    pub call: u64,
    /// Its arguments in the order of the Linux ABI: `rdi rsi rdx r10 r8 r9`.
    pub arguments: [u64; 6],
    /// What the kernel says that they come to: [`abi::call_sum`].
    pub sum: u64,
    /// Where the thread goes on.
    pub instruction: u64,
}

impl Reflected {
    pub(super) const fn new(incoming: &Incoming, reply: u32) -> Self {
        let [rdi, rsi, rdx, r8, r9, r10, rax, rip] = incoming.words;
        let arguments = [rdi, rsi, rdx, r10, r8, r9];
        Self { reply, badge: incoming.badge, number: incoming.number, call: rax, arguments, sum: incoming.sum, instruction: rip }
    }

    /// Reads and writes the program's memory: lease 0, offsets are addresses.
    #[must_use]
    pub const fn caller(&self) -> KernelCaller {
        KernelCaller::kept(self.reply, self.badge, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::Reflected;
    use crate::syscall::Incoming;
    use abi::RequestNumber;

    #[test]
    fn reflected_arguments_are_in_the_order_of_linux() {
        let words = [10, 11, 12, 18, 19, 20, 39, 99];
        let incoming = Incoming { kind: None, badge: 1, number: RequestNumber(2), words, sum: 7, bytes: 64, caps: 0, leases: 0 };
        let call = Reflected::new(&incoming, 130);
        assert_eq!(call.arguments, [10, 11, 12, 20, 18, 19]);
        assert_eq!((call.call, call.sum, call.instruction, call.reply), (39, 7, 99, 130));
    }
}
