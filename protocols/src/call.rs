//! A call as its caller sees it: encode, send, send again if the callee died, decode.
//!
//! This is the one retry loop of the system. A callee that dies with the request in hand costs its caller a [`abi::Error::PeerDied`]; the same
//! bytes are then sent again under the same request number, so the successor can tell what its predecessor has done. The loop is
//! bounded: a callee that dies *of this request* twice is not tried again, because the supervisor has the kernel answer
//! [`abi::Error::Poisoned`]; one that dies of other things with this request in hand, [`ATTEMPTS`] times. There is no waiting in between,
//! because the kernel queues callers while a server is restarted.

use abi::{Lease, MAX_MESSAGE, RequestNumber};
use serde::{Serialize, de::DeserializeOwned};

use crate::wire;

/// How often a request is sent before its caller hears that the callee died. The supervisor gives up on a server that crashes in a loop well
/// before and closes its endpoint; this bound only keeps a caller from looping if it does not.
pub const ATTEMPTS: u32 = 16;

/// Bytes in which a request is tried first.
const SHORT_REQUEST: usize = 128;

/// Carries one message to one peer and its reply back.
pub trait Carrier {
    /// One attempt: sends `message` with the leases and with copies of the capabilities that `caps` name, and stores the answer in `reply`.
    /// Returns the answer's length.
    ///
    /// # Errors
    /// What the kernel says; [`abi::Error::PeerDied`] asks for another attempt.
    fn attempt(&mut self, number: RequestNumber, message: &[u8], leases: &[Lease], caps: &[u32], reply: &mut [u8]) -> Result<usize, abi::Error>;
}

impl<C: Carrier + ?Sized> Carrier for &mut C {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], leases: &[Lease], caps: &[u32], reply: &mut [u8]) -> Result<usize, abi::Error> {
        (**self).attempt(number, message, leases, caps, reply)
    }
}

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The service refused.
    Service(E),
    /// The service is given up: its endpoint is closed.
    Closed,
    /// The service dropped the request without an answer.
    Dropped,
    /// The service died of this request as often as the supervisor allows; it goes on without it.
    Poisoned,
    /// The answer's bytes are not an answer to this request.
    Malformed,
    /// The request is longer than a message may be.
    TooLong,
    /// The kernel refused, for another reason.
    Kernel(abi::Error),
}

impl<E> CallError<E> {
    /// Whether no peer and no state of things can have caused this, only the caller or the callee not being what its source says: an answer that is none, or a call
    /// that the kernel refuses. Nothing may be concluded from it; a server that hears it should end, and its successor ask again.
    #[must_use]
    pub const fn is_corruption(&self) -> bool {
        match self {
            Self::Malformed => true,
            Self::Kernel(error) => error.is_callers_own() || matches!(error, abi::Error::InvalidLease),
            Self::Service(_) | Self::Closed | Self::Dropped | Self::Poisoned | Self::TooLong => false,
        }
    }
}

/// Sends `request` and returns the reply.
///
/// # Errors
/// [`CallError`], with the service's own error in [`CallError::Service`].
pub fn call<Q: Serialize, R: DeserializeOwned, E: DeserializeOwned>(
    carrier: &mut impl Carrier,
    number: RequestNumber,
    request: &Q,
    leases: &[Lease],
    caps: &[u32],
) -> Result<R, CallError<E>> {
    let mut reply = [0; MAX_MESSAGE];
    let length = exchange(carrier, number, request, leases, caps, &mut reply)?;
    match wire::decode_result(reply.get(..length).unwrap_or_default()) {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(CallError::Service(error)),
        Err(_) => Err(CallError::Malformed),
    }
}

/// As [`call`], for a service whose replies have at most `BYTES` bytes: room for a reply is cleared before it comes, and for the longest message that costs
/// more than the kernel's whole part in a call. `pick` takes what is wanted out of the reply; `None` if that is not in it.
///
/// # Errors
/// As [`call`]; a longer reply is [`CallError::Kernel`].
pub fn call_within<const BYTES: usize, Q: Serialize, R: DeserializeOwned, E: DeserializeOwned, T>(
    carrier: &mut impl Carrier,
    number: RequestNumber,
    request: &Q,
    leases: &[Lease],
    caps: &[u32],
    pick: impl FnOnce(&R) -> Option<T>,
) -> Result<T, CallError<E>> {
    let mut reply = [0; BYTES];
    let length = exchange(carrier, number, request, leases, caps, &mut reply)?;
    match wire::decode_result(reply.get(..length).unwrap_or_default()) {
        Ok(Ok(ref reply)) => pick(reply).ok_or(CallError::Malformed),
        Ok(Err(error)) => Err(CallError::Service(error)),
        Err(_) => Err(CallError::Malformed),
    }
}

/// Sends `request` and has the answer's bytes put into `reply`; how many they are.
fn exchange<Q: Serialize, E>(
    carrier: &mut impl Carrier,
    number: RequestNumber,
    request: &Q,
    leases: &[Lease],
    caps: &[u32],
    reply: &mut [u8],
) -> Result<usize, CallError<E>> {
    // Nearly every request is short, and clearing room for a long one would cost as much as a kernel operation.
    let mut short = [0; SHORT_REQUEST];
    let length = match wire::encode(request, &mut short) {
        Ok(length) => send(carrier, number, short.get(..length).ok_or(CallError::TooLong)?, leases, caps, reply)?,
        Err(_) => {
            let mut message = [0; MAX_MESSAGE];
            let length = wire::encode(request, &mut message).map_err(|_| CallError::TooLong)?;
            send(carrier, number, message.get(..length).ok_or(CallError::TooLong)?, leases, caps, reply)?
        }
    };
    if length <= reply.len() { Ok(length) } else { Err(CallError::Malformed) }
}

fn send<E>(
    carrier: &mut impl Carrier,
    number: RequestNumber,
    message: &[u8],
    leases: &[Lease],
    caps: &[u32],
    reply: &mut [u8],
) -> Result<usize, CallError<E>> {
    for _ in 0..ATTEMPTS {
        match carrier.attempt(number, message, leases, caps, reply) {
            Err(abi::Error::PeerDied) => {}
            Err(abi::Error::Closed) => return Err(CallError::Closed),
            Err(abi::Error::Dropped) => return Err(CallError::Dropped),
            Err(abi::Error::Poisoned) => return Err(CallError::Poisoned),
            Err(error) => return Err(CallError::Kernel(error)),
            Ok(length) => return Ok(length),
        }
    }
    Err(CallError::Kernel(abi::Error::PeerDied))
}

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS, CallError, Carrier, call};
    use crate::wire;
    use abi::{Error, Lease, MAX_MESSAGE, RequestNumber};

    const NUMBER: RequestNumber = RequestNumber::new(11, 3, 9, 2);

    /// Fails `deaths` times, then answers; remembers what it was sent.
    struct Mortal {
        deaths: u32,
        then: Result<Result<u32, u8>, Error>,
        seen: Vec<(RequestNumber, Vec<u8>)>,
    }

    impl Mortal {
        fn new(deaths: u32, then: Result<Result<u32, u8>, Error>) -> Self {
            Self { deaths, then, seen: Vec::new() }
        }
    }

    impl Carrier for Mortal {
        fn attempt(&mut self, number: RequestNumber, message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
            self.seen.push((number, message.to_vec()));
            if self.seen.len() <= self.deaths as usize {
                return Err(Error::PeerDied);
            }
            self.then.map(|answer| wire::encode(&answer, reply).expect("fits"))
        }
    }

    fn ask(carrier: &mut Mortal) -> Result<u32, CallError<u8>> {
        call(carrier, NUMBER, &5u32, &[], &[])
    }

    #[test]
    fn what_nobody_can_answer_is_told_from_what_is_corrupt() {
        let corrupt = [CallError::Malformed, CallError::Kernel(Error::InvalidHandle), CallError::Kernel(Error::InvalidLease)];
        assert!(corrupt.iter().all(CallError::<u8>::is_corruption));
        let told = [
            CallError::Service(3),
            CallError::Closed,
            CallError::Dropped,
            CallError::Poisoned,
            CallError::TooLong,
            CallError::Kernel(Error::PeerDied),
        ];
        assert!(!told.iter().any(CallError::is_corruption));
    }

    #[test]
    fn reply_is_returned() {
        assert_eq!(ask(&mut Mortal::new(0, Ok(Ok(6)))), Ok(6));
    }

    #[test]
    fn error_of_the_service_is_returned() {
        assert_eq!(ask(&mut Mortal::new(0, Ok(Err(4)))), Err(CallError::Service(4)));
    }

    #[test]
    fn dead_peer_gets_the_same_bytes_under_the_same_number_again() {
        let mut carrier = Mortal::new(3, Ok(Ok(6)));
        assert_eq!(ask(&mut carrier), Ok(6));
        assert_eq!(carrier.seen, vec![(NUMBER, vec![5]); 4]);
    }

    #[test]
    fn peer_that_always_dies_is_given_up() {
        let mut carrier = Mortal::new(u32::MAX, Ok(Ok(6)));
        assert_eq!(ask(&mut carrier), Err(CallError::Kernel(Error::PeerDied)));
        assert_eq!(carrier.seen.len(), ATTEMPTS as usize);
    }

    #[test]
    fn poison_is_not_tried_again() {
        let mut carrier = Mortal::new(1, Err(Error::Poisoned));
        assert_eq!(ask(&mut carrier), Err(CallError::Poisoned));
        assert_eq!(carrier.seen.len(), 2);
    }

    #[test]
    fn closed_and_dropped_are_not_tried_again() {
        let mut carrier = Mortal::new(0, Err(Error::Closed));
        assert_eq!(ask(&mut carrier), Err(CallError::Closed));
        assert_eq!(carrier.seen.len(), 1);
        assert_eq!(ask(&mut Mortal::new(0, Err(Error::Dropped))), Err(CallError::Dropped));
        assert_eq!(ask(&mut Mortal::new(0, Err(Error::InvalidHandle))), Err(CallError::Kernel(Error::InvalidHandle)));
    }

    #[test]
    fn answer_of_another_shape_is_malformed() {
        struct Noise(&'static [u8], usize);
        impl Carrier for Noise {
            fn attempt(
                &mut self,
                _number: RequestNumber,
                _message: &[u8],
                _leases: &[Lease],
                _caps: &[u32],
                reply: &mut [u8],
            ) -> Result<usize, Error> {
                reply[..self.0.len()].copy_from_slice(self.0);
                Ok(self.1)
            }
        }
        for noise in [Noise(&[], 0), Noise(&[2], 1), Noise(&[0, 1, 1], 3), Noise(&[0], MAX_MESSAGE + 1)] {
            let mut noise = noise;
            assert_eq!(call::<_, u32, u8>(&mut noise, NUMBER, &5u32, &[], &[]), Err(CallError::Malformed));
        }
    }

    #[test]
    fn request_longer_than_a_message_is_not_sent() {
        let mut carrier = Mortal::new(0, Ok(Ok(6)));
        let long = vec![0u8; MAX_MESSAGE];
        assert_eq!(call::<_, u32, u8>(&mut carrier, NUMBER, &long.as_slice(), &[], &[]), Err(CallError::TooLong));
        assert!(carrier.seen.is_empty());
    }
}
