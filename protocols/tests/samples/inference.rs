//! Samples of inference's protocol.

use super::Protocol;
use super::vfs::largest_actor;
use protocols::inference::{self, Error, MAX_READ, MAX_REASON, MAX_WORDS, Reply, Request, State, Status};
use protocols::serve::{Answer, Caller};
use protocols::vfs::{Actor, FileId, ROOT};

pub(crate) struct Inference;

struct Stub;

impl inference::Service for Stub {
    fn handle(&mut self, _caller: &mut dyn Caller, _request: &Request) -> Result<Reply, Error> {
        Ok(Reply::Done)
    }
}

fn status(state: State) -> Status {
    Status { state, bytes: u64::MAX, prompt_tokens: 3, tokens: 4, load_ns: 5, prompt_ns: 6, tokens_ns: u64::MAX, p50_ns: 7, p99_ns: 8, memory: 9 }
}

impl Protocol for Inference {
    const NAME: &'static str = "inference";
    type Request = Request;
    type Reply = Reply;
    type Error = Error;

    fn malformed() -> Error {
        Error::Malformed
    }

    fn requests() -> Vec<Request> {
        vec![
            Request::Begin { name: 7, actor: Actor::superuser(), start: ROOT, length: MAX_WORDS as u32 },
            Request::Begin { name: u64::MAX, actor: largest_actor(), start: FileId { inode: u32::MAX, generation: u32::MAX }, length: u32::MAX },
            Request::Read { name: 7, from: 1 << 40, length: 2048 },
            Request::Status { name: 7 },
            Request::End { name: 7 },
        ]
    }

    fn replies() -> Vec<Reply> {
        let reason = heapless::String::try_from("x".repeat(MAX_REASON).as_str()).expect("fits");
        vec![
            Reply::Done,
            Reply::Text(heapless::Vec::from_slice(b"Once").expect("fits")),
            Reply::Text(heapless::Vec::from_slice(&[b'x'; MAX_READ]).expect("fits")),
            Reply::Status(status(State::Working)),
            Reply::Status(status(State::Whole)),
            Reply::Status(status(State::Failed(reason))),
        ]
    }

    fn errors() -> Vec<Error> {
        vec![
            Error::Malformed,
            Error::Pending,
            Error::Failed,
            Error::NoSuchWork,
            Error::Exists,
            Error::Busy,
            Error::TooLong,
            Error::NeedsPage { address: 4096, write: false },
            Error::InvalidLease,
            Error::CallerGone,
        ]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        inference::serve(&mut Stub, caller, request, reply)
    }
}
