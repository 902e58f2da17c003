//! Samples of the supervisor's protocol.

use super::Protocol;
use heapless::String;
use protocols::serve::{Answer, Caller};
use protocols::service::Badge;
use protocols::supervisor::{self, Error, FailPoint, MAX_OPTIONS, MAX_PAGED, MAX_POINT, MAX_REPORT, Paged, Reply, Request, StartInfo, State, Status};

pub(crate) struct Supervisor;

struct Stub;

impl supervisor::Service for Stub {
    fn up(&mut self, _from: Badge) -> Result<(), Error> {
        Ok(())
    }

    fn crash_report(&mut self, _from: Badge, _text: &str) -> Result<(), Error> {
        Ok(())
    }

    fn power_off(&mut self, _from: Badge, _status: u8) -> Result<(), Error> {
        Err(Error::NotAllowed)
    }

    fn status(&mut self, _from: Badge, service: u8) -> Result<Status, Error> {
        Ok(Status { state: State::Up, instance: u32::from(service) })
    }
}

fn text<const N: usize>(length: usize) -> String<N> {
    "x".repeat(length).as_str().try_into().expect("short enough")
}

impl Protocol for Supervisor {
    const NAME: &'static str = "supervisor";
    type Request = Request;
    type Reply = Reply;
    type Error = Error;

    fn malformed() -> Error {
        Error::Malformed
    }

    fn requests() -> Vec<Request> {
        vec![
            Request::Up,
            Request::CrashReport { text: text(3) },
            Request::CrashReport { text: text(MAX_REPORT) },
            Request::PowerOff { status: 255 },
            Request::Status { service: 6 },
        ]
    }

    fn replies() -> Vec<Reply> {
        let status = |state| Reply::Status(Status { state, instance: u32::MAX });
        vec![Reply::Done, status(State::Waiting), status(State::Starting), status(State::Up), status(State::GivenUp)]
    }

    fn errors() -> Vec<Error> {
        vec![Error::Malformed, Error::NotAllowed, Error::Stale, Error::UnknownService]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        supervisor::serve(&mut Stub, caller, request, reply)
    }
}

/// A start information with every field set.
pub(crate) fn start_info() -> StartInfo {
    StartInfo {
        service: 6,
        instance: 2,
        tsc_hz: 3_000_000_000,
        wall_base_ns: 1_700_000_000_000_000_000,
        threads: 2,
        heap_pages: 256,
        saved_pages: 512,
        region_pages: 4096,
        rootfs_bytes: 1 << 20,
        options: text(9),
        fail: Some(FailPoint { point: text(12), nth: 1 }),
        paged: [Paged { service: 6, heap_pages: 1, saved_pages: 2, region_pages: 3, buys_memory: true }].into_iter().collect(),
    }
}

/// The largest one.
pub(crate) fn largest_start_info() -> StartInfo {
    let paged = Paged { service: 255, heap_pages: u32::MAX, saved_pages: u32::MAX, region_pages: u32::MAX, buys_memory: true };
    StartInfo {
        service: 255,
        instance: u32::MAX,
        tsc_hz: u64::MAX,
        wall_base_ns: u64::MAX,
        threads: u32::MAX,
        heap_pages: u32::MAX,
        saved_pages: u32::MAX,
        region_pages: u32::MAX,
        rootfs_bytes: u64::MAX,
        options: text(MAX_OPTIONS),
        fail: Some(FailPoint { point: text(MAX_POINT), nth: u32::MAX }),
        paged: [paged; MAX_PAGED].into_iter().collect(),
    }
}
