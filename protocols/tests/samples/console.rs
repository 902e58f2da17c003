//! Samples of the console's protocol.

use super::Protocol;
use protocols::console::{
    self, Error, Flow, INLINE_BYTES, Patience, Pending, Queue, Reply, Request, Signals, Status, Stream, Termios, When, WindowSize,
};
use protocols::serve::{Answer, Caller};

pub(crate) struct Console;

struct Stub;

impl console::Service for Stub {
    fn handle(&mut self, _caller: &mut dyn Caller, request: Request<'_>) -> Result<Reply, Error> {
        match request {
            Request::WriteInline { bytes, .. } => Ok(Reply::Count(bytes.len() as u32)),
            Request::Termios => Ok(Reply::Termios(Termios::INITIAL)),
            _ => Ok(Reply::Done),
        }
    }
}

impl Protocol for Console {
    const NAME: &'static str = "console";
    type Request = Request<'static>;
    type Reply = Reply;
    type Error = Error;

    fn malformed() -> Error {
        Error::Malformed
    }

    fn requests() -> Vec<Request<'static>> {
        let modes = |when| Request::SetTermios { modes: Termios::INITIAL, when };
        let script = |stream| Request::ScriptWrite { stream, length: u32::MAX };
        vec![
            Request::Read { length: u32::MAX, patience: Patience::Wait },
            Request::ReadInline { length: 80, patience: Patience::Expired },
            Request::Write { length: 1, patience: Patience::Never },
            Request::WriteInline { bytes: b"abc", patience: Patience::Wait },
            Request::WriteInline { bytes: &[b'x'; INLINE_BYTES], patience: Patience::Wait },
            script(Stream::Output),
            script(Stream::Error),
            script(Stream::Status),
            Request::Status,
            Request::Signals,
            Request::Termios,
            modes(When::Now),
            modes(When::Drained),
            modes(When::Flushed),
            Request::WindowSize,
            Request::SetWindowSize(WindowSize { rows: 24, columns: 80, width: u16::MAX, height: 0 }),
            Request::Flush(Queue::Input),
            Request::Flush(Queue::Output),
            Request::Flush(Queue::Both),
            Request::Drain,
            Request::Flow(Flow::StopOutput),
            Request::Flow(Flow::StartOutput),
            Request::Flow(Flow::StopInput),
            Request::Flow(Flow::StartInput),
        ]
    }

    fn replies() -> Vec<Reply> {
        let data = [b'x'; INLINE_BYTES];
        vec![
            Reply::Done,
            Reply::Count(u32::MAX),
            Reply::Data(heapless::Vec::from_slice(&data).expect("fits")),
            Reply::Status(Status { readable: true, input_bytes: 1, output_room: u32::MAX, output_bytes: 300 }),
            Reply::Signals(Signals { interrupt: 1, quit: u32::MAX, suspend: 3 }),
            Reply::Termios(Termios::INITIAL),
            Reply::WindowSize(WindowSize::INITIAL),
        ]
    }

    fn errors() -> Vec<Error> {
        vec![
            Error::Malformed,
            Error::Pending(Pending { accepted: 70_000, timer_ms: 100 }),
            Error::NeedsPage { address: u64::MAX, write: true },
            Error::InvalidLease,
            Error::CallerGone,
            Error::Stale,
            Error::TooLong,
            Error::TooManyLanes,
        ]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        console::serve(&mut Stub, caller, request, reply)
    }
}
