//! What every test of every protocol needs: samples of its messages and a service that answers them.
//!
//! A protocol's samples name each variant at least once, which `golden.rs` checks against the list that serde knows; so a new message
//! without a sample does not pass.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod console;
pub(crate) mod inference;
pub(crate) mod memory;
pub(crate) mod supervisor;
pub(crate) mod vfs;
pub(crate) mod victim;

use abi::RequestNumber;
use protocols::serve::{Answer, Caller, LeaseError};
use protocols::service::{Badge, Service};
use protocols::wire;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// One module of the crate, as the tests see it.
pub(crate) trait Protocol {
    /// The module's name.
    const NAME: &'static str;
    /// Its requests.
    type Request: Serialize + Deserialize<'static> + Debug + PartialEq;
    /// Its replies.
    type Reply: Serialize + DeserializeOwned + Debug + PartialEq;
    /// Its errors.
    type Error: Serialize + DeserializeOwned + Debug + PartialEq;

    /// The answer to bytes that are no request.
    fn malformed() -> Self::Error;
    /// Samples of all requests, the largest among them.
    fn requests() -> Vec<Self::Request>;
    /// Samples of all replies, the largest among them.
    fn replies() -> Vec<Self::Reply>;
    /// Samples of all errors.
    fn errors() -> Vec<Self::Error>;
    /// The module's `serve` with a service that answers everything.
    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer;
}

/// Makes a test for each protocol from a generic function of the same name.
#[macro_export]
macro_rules! each_protocol {
    ($($check:ident),+ $(,)?) => {
        $(mod $check {
            #[test]
            fn supervisor() {
                super::$check::<super::samples::supervisor::Supervisor>();
            }
            #[test]
            fn memory() {
                super::$check::<super::samples::memory::Memory>();
            }
            #[test]
            fn victim() {
                super::$check::<super::samples::victim::Victim>();
            }
            #[test]
            fn console() {
                super::$check::<super::samples::console::Console>();
            }
            #[test]
            fn inference() {
                super::$check::<super::samples::inference::Inference>();
            }
            #[test]
            fn vfs() {
                super::$check::<super::samples::vfs::Vfs>();
            }
        })+
    };
}

/// A caller with memory of its own behind lease 0.
pub(crate) struct FakeCaller {
    pub(crate) memory: Vec<u8>,
}

impl FakeCaller {
    pub(crate) fn new() -> Self {
        Self { memory: vec![0; 4096] }
    }

    fn range(&mut self, lease: usize, offset: u64, length: usize) -> Result<&mut [u8], LeaseError> {
        let start = usize::try_from(offset).ok().filter(|_| lease == 0).ok_or(LeaseError::Invalid)?;
        let end = start.checked_add(length).ok_or(LeaseError::Invalid)?;
        self.memory.get_mut(start..end).ok_or(LeaseError::Invalid)
    }
}

impl Caller for FakeCaller {
    fn badge(&self) -> u64 {
        Badge::new(Service::Posix, 1).to_word()
    }

    fn number(&self) -> RequestNumber {
        RequestNumber::new(Service::Posix.id(), 1, 1, 1)
    }

    fn read(&mut self, lease: usize, offset: u64, to: &mut [u8]) -> Result<(), LeaseError> {
        to.copy_from_slice(self.range(lease, offset, to.len())?);
        Ok(())
    }

    fn write(&mut self, lease: usize, offset: u64, from: &[u8]) -> Result<(), LeaseError> {
        self.range(lease, offset, from.len())?.copy_from_slice(from);
        Ok(())
    }

    fn caps(&self) -> usize {
        0
    }
}

/// The bytes of a value, however long.
pub(crate) fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 20];
    let length = wire::encode(value, &mut buffer).expect("a megabyte is enough");
    buffer.truncate(length);
    buffer
}

/// What a protocol's service answers to `request`.
pub(crate) fn answer_to<P: Protocol>(request: &[u8]) -> Vec<u8> {
    let mut reply = vec![0; abi::MAX_MESSAGE];
    let answer = P::serve(&mut FakeCaller::new(), request, &mut reply);
    reply.truncate(answer.bytes);
    reply
}
