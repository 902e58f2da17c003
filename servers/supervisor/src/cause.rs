//! Why an instance died, in words for the log.

use core::fmt;

use abi::{FaultAccess, MessageKind};
use protocols::service::Service;

use crate::kernel::InHand;

/// Why an instance died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// It could not be built.
    NotBuilt(abi::Error),
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
            Self::NotBuilt(error) => write!(out, "not built: {error:?}"),
        }
    }
}

/// The request that a dying thread had in hand, in words.
#[derive(Clone, Copy, Debug)]
pub struct Blamed(pub InHand);

impl fmt::Display for Blamed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InHand { number, kind, attempts, refused, .. } = self.0;
        let what = match kind {
            Some(MessageKind::PageFault) => "a page fault",
            Some(MessageKind::Exception) => "an exception",
            Some(MessageKind::Reflected) => "a Linux call",
            Some(MessageKind::Call | MessageKind::Notification) | None => "a call",
        };
        let from = Service::from_id(number.service()).map_or("nobody", Service::name);
        let (lane, request, step) = (number.lane(), number.request(), number.step());
        write!(out, "{what}, {from}:{lane}:{request}:{step}, attempt {attempts}")?;
        if refused { out.write_str(", and refuses it now") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blamed, Cause};
    use crate::kernel::InHand;
    use abi::{MessageKind, RequestNumber};

    #[test]
    fn request_in_hand_reads_as_a_sentence() {
        let number = RequestNumber::new(11, 3, 7, 2);
        let blamed = Blamed(InHand { number, kind: Some(MessageKind::Call), badge: 0, attempts: 2, refused: true });
        assert_eq!(blamed.to_string(), "a call, posix:3:7:2, attempt 2, and refuses it now");
    }

    #[test]
    fn causes_read_as_sentences() {
        let panic = Cause::exception([6, 0, 0, 0x40_1000, 0, 0, 0, 0]);
        assert_eq!(panic.to_string(), "invalid instruction (vector 6, code 0x0, address 0x0) at 0x401000");
        let wild = Cause::page_fault([0x10, 1, 0x40_2000, 0, 0, 0, 0, 0]);
        assert_eq!(wild.to_string(), "wild write of 0x10 at 0x402000");
    }
}
