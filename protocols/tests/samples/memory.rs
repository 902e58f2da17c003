//! Samples of memory's protocol.

use super::Protocol;
use protocols::memory::{self, Error, Reply, Request, Usage};
use protocols::serve::{Answer, Caller};
use protocols::service::Badge;

pub(crate) struct Memory;

struct Stub;

impl memory::Service for Stub {
    fn buy(&mut self, _from: Badge, _pages: u32, _slot: u32) -> Result<(), Error> {
        Ok(())
    }

    fn give_back(&mut self, _from: Badge, _slot: u32) -> Result<(), Error> {
        Err(Error::InvalidSlot)
    }

    fn region(&mut self, _from: Badge, _service: u8) -> Result<u32, Error> {
        Ok(200)
    }

    fn discard(&mut self, _from: Badge, _offset_pages: u32, _pages: u32) -> Result<(), Error> {
        Ok(())
    }

    fn usage(&mut self) -> Usage {
        Usage { total: 3, free: 2, sold: 1 }
    }
}

impl Protocol for Memory {
    const NAME: &'static str = "memory";
    type Request = Request;
    type Reply = Reply;
    type Error = Error;

    fn malformed() -> Error {
        Error::Malformed
    }

    fn requests() -> Vec<Request> {
        vec![
            Request::Buy { pages: 512, slot: 130 },
            Request::Return { slot: u32::MAX },
            Request::Region { service: 6 },
            Request::Discard { offset_pages: u32::MAX, pages: u32::MAX },
            Request::Usage,
        ]
    }

    fn replies() -> Vec<Reply> {
        vec![Reply::Done, Reply::Region, Reply::Usage(Usage { total: u64::MAX, free: u64::MAX, sold: u64::MAX })]
    }

    fn errors() -> Vec<Error> {
        vec![Error::Malformed, Error::NotAllowed, Error::OutOfMemory, Error::InvalidSlot, Error::InvalidRange, Error::TooFragmented, Error::NoRegion]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        memory::serve(&mut Stub, caller, request, reply)
    }
}
