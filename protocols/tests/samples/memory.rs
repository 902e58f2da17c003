//! Samples of memory's protocol.

use super::Protocol;
use protocols::memory::{self, Error, Reply, Request, ServiceUsage, Usage, Window};
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

    fn huge(&mut self, _from: Badge, _window: Window, _offset_pages: u32, _pages: u32) -> Result<u64, Error> {
        Ok(7)
    }

    fn compact(&mut self) -> u64 {
        8
    }

    fn service_usage(&mut self, _service: u8) -> Result<ServiceUsage, Error> {
        Err(Error::NotAllowed)
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
            Request::Huge { window: Window::Heap, offset_pages: 512, pages: 1024 },
            Request::Huge { window: Window::Region, offset_pages: u32::MAX, pages: u32::MAX },
            Request::Compact,
            Request::ServiceUsage { service: 6 },
        ]
    }

    fn replies() -> Vec<Reply> {
        let most = (u64::MAX, u64::MAX);
        vec![
            Reply::Done,
            Reply::Region,
            Reply::Usage(Usage { total: u64::MAX, free: u64::MAX, sold: u64::MAX }),
            Reply::Whole(u64::MAX),
            Reply::ServiceUsage(ServiceUsage { heap: most, saved: most, region: most, bought: u64::MAX, refused: u64::MAX }),
        ]
    }

    fn errors() -> Vec<Error> {
        vec![
            Error::Malformed,
            Error::NotAllowed,
            Error::OutOfMemory,
            Error::InvalidSlot,
            Error::InvalidRange,
            Error::TooFragmented,
            Error::NoRegion,
            Error::TooManyRanges,
            Error::QuotaExceeded,
        ]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        memory::serve(&mut Stub, caller, request, reply)
    }
}
