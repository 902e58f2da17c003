//! Messages: whatever a server is sent, it answers in its protocol; whatever a client is answered, it bears; and what is understood once
//! is understood again in the same way.

use std::fmt::Debug;

use abi::{Error, Lease, RequestNumber};
use protocols::call::{CallError, Carrier, call};
use protocols::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::samples::{self, Protocol, answer_to, bytes_of};

/// Makes the target of a protocol and its seeds from its samples and the type of its requests.
macro_rules! target {
    ($run:ident, $seeds:ident, $samples:ty, $request:ty) => {
        pub(super) fn $run(bytes: &[u8]) {
            if let Ok(request) = wire::decode::<$request>(bytes) {
                assert_eq!(wire::decode::<$request>(&bytes_of(&request)), Ok(request));
            }
            foreign::<$samples>(bytes);
        }

        pub(super) fn $seeds() -> Vec<Vec<u8>> {
            samples_of::<$samples>()
        }
    };
}

target!(supervisor, supervisor_seeds, samples::supervisor::Supervisor, protocols::supervisor::Request);
target!(memory, memory_seeds, samples::memory::Memory, protocols::memory::Request);
target!(console, console_seeds, samples::console::Console, protocols::console::Request<'_>);
target!(vfs, vfs_seeds, samples::vfs::Vfs, protocols::vfs::Request<'_>);
target!(inference, inference_seeds, samples::inference::Inference, protocols::inference::Request);
target!(victim, victim_seeds, samples::victim::Victim, protocols::victim::Request<'_>);

/// The bytes as request, as parts of an answer, and as what comes back to a client.
fn foreign<P: Protocol>(bytes: &[u8]) {
    let answer = answer_to::<P>(bytes);
    assert!(wire::decode::<Result<P::Reply, P::Error>>(&answer).is_ok(), "the answer is none: {answer:x?}");
    same_again::<P::Reply>(bytes);
    same_again::<P::Error>(bytes);
    let request = P::requests().swap_remove(0);
    let result: Result<P::Reply, CallError<P::Error>> = call(&mut Answering(bytes), RequestNumber::default(), &request, &[], &[]);
    assert!(matches!(result, Ok(_) | Err(CallError::Service(_) | CallError::Malformed)), "{result:?}");
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = wire::decode::<T>(bytes) {
        assert_eq!(wire::decode::<T>(&bytes_of(&value)), Ok(value));
    }
}

fn samples_of<P: Protocol>() -> Vec<Vec<u8>> {
    let requests = P::requests().iter().map(bytes_of).collect::<Vec<_>>();
    let replies = P::replies().into_iter().map(|reply| bytes_of(&Ok::<_, P::Error>(reply)));
    let errors = P::errors().into_iter().map(|error| bytes_of(&Err::<P::Reply, _>(error)));
    requests.into_iter().chain(replies).chain(errors).collect()
}

/// Answers every request with these bytes.
struct Answering<'a>(&'a [u8]);

impl Carrier for Answering<'_> {
    fn attempt(&mut self, _number: RequestNumber, _message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        let length = self.0.len().min(reply.len());
        reply[..length].copy_from_slice(&self.0[..length]);
        // A length beyond the reply's room is foreign too.
        Ok(self.0.len())
    }
}
