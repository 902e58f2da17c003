//! A call as the server sees it: decode, run, encode.
//!
//! A server's logic sees its caller only through [`Caller`], so that the same logic runs under the kernel and in a test. Foreign bytes that are
//! not a request are answered with the protocol's `Malformed`; nothing here panics on them.

use abi::{MAX_CAPS, RequestNumber};
use serde::{Deserialize, Serialize};

use crate::wire::{self, WireError};

/// Why bytes could not be copied from or to a caller's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseError {
    /// The lender's page is missing; it must be made present, then the request runs again under its number. Not a result: never recorded.
    NeedsPage {
        /// Address in the lender's space.
        address: u64,
        /// The access was a write.
        write: bool,
    },
    /// The caller is gone, or was told otherwise.
    Gone,
    /// There is no such lease, it is too short, or lacks the right.
    Invalid,
}

/// The one that waits for the answer.
pub trait Caller {
    /// The badge of the capability that the call came through.
    fn badge(&self) -> u64;

    /// The request's number: the same when the request is delivered again.
    fn number(&self) -> RequestNumber;

    /// Copies from the caller's lease number `lease`, from `offset` on, until `to` is full.
    ///
    /// # Errors
    /// [`LeaseError`]; the start of `to` may have been filled.
    fn read(&mut self, lease: usize, offset: u64, to: &mut [u8]) -> Result<(), LeaseError>;

    /// Copies all of `from` to the caller's lease number `lease`, from `offset` on.
    ///
    /// # Errors
    /// [`LeaseError`]; the start may have been copied.
    fn write(&mut self, lease: usize, offset: u64, from: &[u8]) -> Result<(), LeaseError>;

    /// How many capabilities came with the call; they lie in the receive slots.
    fn caps(&self) -> usize;
}

/// What is in the reply buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Length of the encoded reply.
    pub bytes: usize,
    /// Handles of the capabilities that are copied to the caller.
    pub caps: heapless::Vec<u32, MAX_CAPS>,
}

impl Answer {
    /// An answer of `bytes` bytes.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self { bytes, caps: heapless::Vec::new() }
    }

    /// Encodes `result` into `reply`. One that does not fit becomes an empty answer, which the caller's stub reports as malformed; the
    /// limits test shows for each protocol that its largest reply fits.
    #[must_use]
    pub fn encode<R: Serialize, E: Serialize>(result: &Result<R, E>, reply: &mut [u8]) -> Self {
        Self::new(wire::encode(result, reply).unwrap_or(0))
    }

    /// With a copy of the capability `handle`; one beyond [`MAX_CAPS`] is left out.
    #[must_use]
    pub fn with_cap(mut self, handle: u32) -> Self {
        // A full list is the documented limit, not an error of this call.
        let _full = self.caps.push(handle);
        self
    }
}

/// A server's logic behind bytes.
pub trait Serve {
    /// Answers one request; a malformed one with the protocol's error for it.
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer;

    /// The bound notification's word came.
    fn notified(&mut self, bits: u64) {
        let _ = bits;
    }
}

/// Decodes `request`, runs it, encodes the result; `malformed` is the answer to bytes that are no request.
pub fn dispatch<'a, Q: Deserialize<'a>, R: Serialize, E: Serialize>(
    request: &'a [u8],
    reply: &mut [u8],
    malformed: E,
    run: impl FnOnce(&Q) -> Result<R, E>,
) -> Answer {
    wire::decode_in_place(request, |request: Result<&Q, WireError>| Answer::encode(&request.map_err(|_| malformed).and_then(run), reply))
}

#[cfg(test)]
mod tests {
    use super::{Answer, dispatch};
    use crate::wire;

    #[test]
    fn request_is_decoded_run_and_answered() {
        let mut reply = [0; 8];
        let answer = dispatch(&[20], &mut reply, 9u8, |request: &u32| Ok::<_, u8>(request + 1));
        assert_eq!(wire::decode::<Result<u32, u8>>(&reply[..answer.bytes]), Ok(Ok(21)));
    }

    #[test]
    fn malformed_request_is_answered_and_not_run() {
        let mut reply = [0; 8];
        let answer = dispatch(&[20, 20], &mut reply, 9u8, |_: &u32| -> Result<u32, u8> { unreachable!("not a request") });
        assert_eq!(wire::decode::<Result<u32, u8>>(&reply[..answer.bytes]), Ok(Err(9)));
    }

    #[test]
    fn reply_that_does_not_fit_is_an_empty_answer() {
        assert_eq!(Answer::encode(&Ok::<_, u8>([1u8; 9]), &mut [0; 8]), Answer::new(0));
    }

    #[test]
    fn fifth_capability_is_left_out() {
        let answer = (1..=5).fold(Answer::new(0), Answer::with_cap);
        assert_eq!(answer.caps.as_slice(), [1, 2, 3, 4]);
    }
}
