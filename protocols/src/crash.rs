//! A death as the supervisor recorded it: why, where, of which request, and what the instance said last.
//!
//! Everything in a record is of the moment of death: the dying instance's memory is gone when somebody reads it. Addresses are raw; who has the
//! server's executable can name them.

use core::fmt;

use abi::{FaultAccess, MessageKind, RequestNumber};
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::service::Service;

/// Most return addresses.
pub const MAX_BACKTRACE: usize = 16;
/// Most bytes of last words.
pub const MAX_WORDS: usize = 256;
/// Most bytes of the last log lines.
pub const MAX_LOG: usize = 1024;

/// A recorded death.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// The service's number.
    pub service: u8,
    /// Which instance.
    pub instance: u32,
    /// Its thread whose doing it was, if it was one's.
    pub thread: Option<u8>,
    /// Microseconds since the machine started.
    pub at_us: u64,
    /// Microseconds since the instance was started.
    pub lived_us: u64,
    /// Microseconds from the death until a successor was up; `None` until then.
    pub down_us: Option<u64>,
    /// Why.
    pub cause: Cause,
    /// The thread's registers.
    pub registers: Option<Registers>,
    /// Where it was, and where it would have returned to, innermost first.
    pub backtrace: Vec<u64, MAX_BACKTRACE>,
    /// The request that the thread had in hand.
    pub request: Option<Blamed>,
    /// The text of a panic.
    pub words: String<MAX_WORDS>,
    /// The end of what the instance logged.
    pub log: String<MAX_LOG>,
}

/// A thread's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    /// `rax rbx rcx rdx rsi rdi rbp rsp r8` to `r15`.
    pub general: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
}

impl fmt::Display for Registers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 16] = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
        write!(out, "rip {:#x} rflags {:#x}", self.rip, self.rflags)?;
        NAMES.iter().zip(self.general).try_for_each(|(name, value)| write!(out, " {name} {value:#x}"))
    }
}

/// Why an instance died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// An exception of the processor.
    Exception {
        /// Its vector.
        vector: u64,
        /// Its error code.
        code: u64,
        /// The address that it is about.
        address: u64,
        /// Where.
        instruction: u64,
    },
    /// A page fault that its pager declined, or that it has no pager for.
    PageFault {
        /// The address.
        address: u64,
        /// [`FaultAccess`].
        access: u64,
        /// Where.
        instruction: u64,
    },
    /// It did not come to an end with one request.
    Hung,
    /// It could not be built: the kernel's status.
    NotBuilt(u32),
    /// Somebody asked for another instance.
    Killed,
    /// Its text or its constants were not what its image says.
    Altered {
        /// The first byte that was not.
        address: u64,
    },
    /// A page fault in the guard pages below the thread's own stack.
    Overflow {
        /// The address.
        address: u64,
        /// Where.
        instruction: u64,
    },
}

impl Cause {
    /// The cause that an exception message's words tell.
    #[must_use]
    pub const fn exception(words: [u64; 8]) -> Self {
        let [vector, code, address, instruction, ..] = words;
        Self::Exception { vector, code, address, instruction }
    }

    /// The cause that a page fault message's words tell.
    #[must_use]
    pub const fn page_fault(words: [u64; 8]) -> Self {
        let [address, access, instruction, ..] = words;
        Self::PageFault { address, access, instruction }
    }
}

/// Names of vectors (Intel SDM vol. 3, table 6-1).
const fn vector_name(vector: u64) -> &'static str {
    match vector {
        0 => "division",
        1 | 3 => "breakpoint",
        6 => "invalid instruction",
        7 => "no floating point",
        12 => "stack segment",
        13 => "general protection",
        14 => "page fault",
        16 | 19 => "floating point",
        17 => "alignment",
        _ => "exception",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exception { vector, code, address, instruction } => {
                write!(out, "{} (vector {vector}, code {code:#x}, address {address:#x}) at {instruction:#x}", vector_name(vector))
            }
            Self::PageFault { address, access, instruction } => {
                let verb = if access & FaultAccess::EXECUTE != 0 {
                    "execute"
                } else if access & FaultAccess::WRITE != 0 {
                    "write"
                } else {
                    "read"
                };
                write!(out, "wild {verb} of {address:#x} at {instruction:#x}")
            }
            Self::Hung => out.write_str("hung"),
            Self::NotBuilt(status) => match abi::Error::check(status) {
                Ok(()) => out.write_str("not built"),
                Err(error) => write!(out, "not built: {error:?}"),
            },
            Self::Killed => out.write_str("killed"),
            Self::Altered { address } => write!(out, "altered: {address:#x} is not as in its image"),
            Self::Overflow { address, instruction } => write!(out, "stack overflow (address {address:#x}) at {instruction:#x}"),
        }
    }
}

/// The request that a dying thread had in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blamed {
    /// Its number.
    pub number: u64,
    /// Its [`MessageKind`].
    pub kind: u8,
    /// How many instances died of it.
    pub attempts: u32,
    /// Its caller was refused.
    pub refused: bool,
}

impl fmt::Display for Blamed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match abi::Label::default().with_kind(self.kind).message_kind() {
            Some(MessageKind::PageFault) => "a page fault",
            Some(MessageKind::Exception) => "an exception",
            Some(MessageKind::Reflected) => "a Linux call",
            Some(MessageKind::Call | MessageKind::Notification) | None => "a call",
        };
        let number = RequestNumber(self.number);
        let from = Service::from_id(number.service()).map_or("nobody", Service::name);
        let (lane, request, step) = (number.lane(), number.request(), number.step());
        write!(out, "{what}, {from}:{lane}:{request}:{step}, attempt {}", self.attempts)?;
        if self.refused { out.write_str(", and refuses it now") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blamed, Cause, Registers};
    use abi::{MessageKind, RequestNumber};

    #[test]
    fn request_in_hand_reads_as_a_sentence() {
        let number = RequestNumber::new(11, 3, 7, 2).0;
        let blamed = Blamed { number, kind: MessageKind::Call as u8, attempts: 2, refused: true };
        assert_eq!(blamed.to_string(), "a call, posix:3:7:2, attempt 2, and refuses it now");
    }

    #[test]
    fn causes_read_as_sentences() {
        let panic = Cause::exception([6, 0, 0, 0x40_1000, 0, 0, 0, 0]);
        assert_eq!(panic.to_string(), "invalid instruction (vector 6, code 0x0, address 0x0) at 0x401000");
        let wild = Cause::page_fault([0x10, 1, 0x40_2000, 0, 0, 0, 0, 0]);
        assert_eq!(wild.to_string(), "wild write of 0x10 at 0x402000");
        let overflow = Cause::Overflow { address: 0x10, instruction: 0x40_2000 };
        assert_eq!(overflow.to_string(), "stack overflow (address 0x10) at 0x402000");
        assert_eq!(Cause::NotBuilt(abi::Error::Busy.to_status()).to_string(), "not built: Busy");
        assert_eq!(Cause::Altered { address: 0x40_3000 }.to_string(), "altered: 0x403000 is not as in its image");
    }

    #[test]
    fn registers_read_in_the_frames_order() {
        let registers = Registers { general: core::array::from_fn(|index| index as u64), rip: 0x40, rflags: 2 };
        assert!(registers.to_string().starts_with("rip 0x40 rflags 0x2 rax 0x0 rbx 0x1 ") && registers.to_string().ends_with(" r15 0xf"));
    }
}
