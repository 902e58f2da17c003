//! Samples of the victim's protocol.

use super::Protocol;
use abi::RequestNumber;
use protocols::serve::{Answer, Caller};
use protocols::victim::{self, Error, How, MAX_ECHO, Reply, Request};

pub(crate) struct Victim;

struct Stub;

impl victim::Service for Stub {
    fn count(&mut self, _number: RequestNumber, amount: u64) -> Result<u64, Error> {
        Ok(amount)
    }

    fn crash(&mut self, _number: RequestNumber, _how: How, _only_first_time: bool) -> Result<(), Error> {
        Ok(())
    }
}

impl victim::Worker for Stub {
    fn work(&mut self, units: u64) -> u64 {
        units
    }
}

impl Protocol for Victim {
    const NAME: &'static str = "victim";
    type Request = Request<'static>;
    type Reply = Reply;
    type Error = Error;

    fn malformed() -> Error {
        Error::Malformed
    }

    fn requests() -> Vec<Request<'static>> {
        vec![
            Request::Add { a: 1, b: u64::MAX },
            Request::Crash { how: How::Panic, only_first_time: true },
            Request::Crash { how: How::Wild, only_first_time: true },
            Request::Crash { how: How::Overflow, only_first_time: true },
            Request::Crash { how: How::Hang, only_first_time: false },
            Request::Echo(b"abc"),
            Request::Echo(&[b'x'; MAX_ECHO]),
            Request::Work { units: 1 << 40 },
            Request::Count { amount: 1 << 33 },
        ]
    }

    fn replies() -> Vec<Reply> {
        let echo = [b'x'; MAX_ECHO];
        vec![
            Reply::Sum(u64::MAX),
            Reply::Survived,
            Reply::Echoed(heapless::Vec::from_slice(&echo).expect("fits")),
            Reply::Worked(7),
            Reply::Counted(8),
        ]
    }

    fn errors() -> Vec<Error> {
        vec![Error::Malformed, Error::TooLong, Error::Outdated, Error::TooManyLanes]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        victim::serve(&mut Stub, caller, request, reply)
    }
}
