//! Messages: the label word and the message page.

use crate::RequestNumber;

/// Most bytes that travel in registers.
pub const MAX_INLINE: usize = 64;
/// Most bytes of a message.
pub const MAX_MESSAGE: usize = 3584;
/// Most capabilities in a message.
pub const MAX_CAPS: usize = 4;
/// Most leases of a call.
pub const MAX_LEASES: usize = 4;

/// What a received message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// A call of a native thread: one postcard value.
    Call = 0,
    /// The bound notification's word, in word 0. There is no Reply.
    Notification = 1,
    /// Words: 0: address, 1: [`FaultAccess`] bits, 2: instruction pointer. The answer is a [`ReplyKind`].
    PageFault = 2,
    /// Words: 0: vector, 1: error code, 2: address, 3: instruction pointer. The answer is a [`ReplyKind`].
    Exception = 3,
    /// A Linux system call. Words 0 to 5: `rdi rsi rdx r8 r9 r10`, 6: `rax`, 7: instruction pointer after the call. `r15`: [`call_sum`].
    Reflected = 4,
}

/// What the answer to a fault or a reflected call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReplyKind {
    /// Call: here is the result. Reflected: word 0 of [`result_words`] becomes `rax`. Fault: the instruction is tried again.
    Resume = 0,
    /// Page fault: not mine; goes on to the fault endpoint.
    Decline = 1,
    /// Reflected: the frame was set; it is loaded as it stands.
    Frame = 2,
}

/// What comes with a Linux call's number and arguments and with its request's number: any bit that changes in one of them on the way to where they are used shows
/// in it.
#[must_use]
pub const fn call_sum(request: RequestNumber, call: u64, [a, b, c, d, e, f]: [u64; 6]) -> u64 {
    request.0 ^ call ^ a ^ b ^ c ^ d ^ e ^ f
}

/// The last word of an operation that copies bytes: what its handle and its arguments come to. What was copied from or to a wrong place looks like any other bytes, so
/// an operation that comes with another sum copies nothing ([`crate::Error::InvalidArgument`]).
#[must_use]
#[inline(always)]
pub fn copy_sum(handle: u32, arguments: &[u64]) -> u64 {
    !arguments.iter().fold(u64::from(handle), |sum, word| sum ^ word)
}

/// The words of an answer to a reflected call: the result and its complement. Nobody behind the server could tell a wrong bit from a right one, so an answer
/// whose words do not agree is refused, and leaves the call as it was.
#[must_use]
pub const fn result_words(result: u64) -> [u64; 2] {
    [result, !result]
}

/// The result in an answer's words; `None` when they do not agree.
#[must_use]
pub const fn result_of([result, complement, ..]: [u64; 8]) -> Option<u64> {
    if complement == !result { Some(result) } else { None }
}

/// Bits of a page fault's second word.
pub struct FaultAccess;

impl FaultAccess {
    /// The access was a write.
    pub const WRITE: u64 = 1;
    /// The access was an instruction fetch.
    pub const EXECUTE: u64 = 2;
    /// The page was present: the access broke its protection.
    pub const PRESENT: u64 = 4;
}

/// The high half of `rax`: bits 0 to 11 the length in bytes, 12 to 14 the number of capabilities, 15 to 17 the number of leases, 24 to 31 the
/// [`MessageKind`] of a message received or the [`ReplyKind`] of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label(pub u32);

impl Label {
    /// A message of `bytes` bytes.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self(bytes as u32 & 0xfff)
    }

    /// With `count` capabilities.
    #[must_use]
    pub const fn with_caps(self, count: usize) -> Self {
        Self(self.0 & !(7 << 12) | (count as u32 & 7) << 12)
    }

    /// With `count` leases.
    #[must_use]
    pub const fn with_leases(self, count: usize) -> Self {
        Self(self.0 & !(7 << 15) | (count as u32 & 7) << 15)
    }

    /// With the kind byte.
    #[must_use]
    pub const fn with_kind(self, kind: u8) -> Self {
        Self(self.0 & 0x00ff_ffff | (kind as u32) << 24)
    }

    /// Length in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        (self.0 & 0xfff) as usize
    }

    /// Number of capabilities.
    #[must_use]
    pub const fn caps(self) -> usize {
        (self.0 >> 12 & 7) as usize
    }

    /// Number of leases.
    #[must_use]
    pub const fn leases(self) -> usize {
        (self.0 >> 15 & 7) as usize
    }

    /// The kind byte.
    #[must_use]
    pub const fn kind(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// What a received message is.
    #[must_use]
    pub const fn message_kind(self) -> Option<MessageKind> {
        Some(match self.kind() {
            0 => MessageKind::Call,
            1 => MessageKind::Notification,
            2 => MessageKind::PageFault,
            3 => MessageKind::Exception,
            4 => MessageKind::Reflected,
            _ => return None,
        })
    }
}

/// A range of memory that a caller lends to its callee for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Lease {
    /// Start: an address of the caller, or an offset into the lease that is lent on.
    pub address: u64,
    /// Length in bytes.
    pub length: u64,
    /// 0 for the caller's own memory; else the Reply slot whose lease is lent on.
    pub reply: u32,
    /// Which lease of that Reply.
    pub index: u32,
    /// [`Lease::READ`], [`Lease::WRITE`].
    pub rights: u64,
}

impl Lease {
    /// The callee may copy from it.
    pub const READ: u64 = 1;
    /// The callee may copy to it.
    pub const WRITE: u64 = 2;
}

/// The page through which a native thread and the kernel exchange what does not fit in registers. The kernel reads each field once.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4096))]
pub struct MessagePage {
    /// The message's bytes.
    pub bytes: [u8; MAX_MESSAGE],
    /// Sending: handles of the capabilities that are copied.
    pub send_caps: [u32; MAX_CAPS],
    /// Receiving (also a call's reply): empty slots for the capabilities that come.
    pub receive_slots: [u32; MAX_CAPS],
    /// Sending: the leases.
    pub leases: [Lease; MAX_LEASES],
    /// Fills the page.
    pub reserved: [u8; 352],
}

const _: () = assert!(core::mem::size_of::<MessagePage>() == 4096);
