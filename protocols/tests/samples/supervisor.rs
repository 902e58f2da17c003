//! Samples of the supervisor's protocol.

use super::Protocol;
use abi::RequestNumber;
use heapless::{String, Vec};
use protocols::crash::{Blamed, Cause, Crash, MAX_BACKTRACE, MAX_LOG, MAX_WORDS, Registers};
use protocols::manifest::{OnGivingUp, Policy, Quota, Restart};
use protocols::serve::{Answer, Caller};
use protocols::service::Badge;
use protocols::supervisor::{
    self, Buyer, Error, FailPoint, Health, Logged, MAX_LOGGED, MAX_OPTIONS, MAX_PAGED, MAX_POINT, MAX_REPORT, MAX_TRACED, Paged, Reply, Request,
    StartInfo, State, Status, Traced,
};
use protocols::victim::How;

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

    fn restart(&mut self, _from: Badge, _number: RequestNumber, _service: u8) -> Result<(), Error> {
        Ok(())
    }

    fn crash(&mut self, _from: Badge, _number: RequestNumber, _service: u8, _how: How) -> Result<(), Error> {
        Err(Error::NotRunning)
    }

    fn health(&mut self, _index: u8) -> Result<Health, Error> {
        Ok(health())
    }

    fn record(&mut self, _nth: u8) -> Result<Crash, Error> {
        Ok(crash())
    }

    fn log(&mut self, _service: u8, _from: u64) -> Result<Logged, Error> {
        Ok(logged())
    }

    fn trace(&mut self, _from: Badge, _on: Option<bool>, start: u64) -> Result<Traced, Error> {
        Ok(Traced { next: start, ..Traced::default() })
    }
}

fn health() -> Health {
    let policy = Policy {
        restart: Restart::Never,
        backoff_ms: u32::MAX,
        backoff_most_ms: u32::MAX,
        burst: u32::MAX,
        per_ms: u32::MAX,
        watchdog_ms: u32::MAX,
        helper_watchdog_ms: u32::MAX,
        on_giving_up: OnGivingUp::PowerOff,
    };
    let status = Status { state: State::GivenUp, instance: u32::MAX };
    let [age_us, pause_us, own_us, calls] = [u64::MAX; 4];
    Health { service: 255, status, deaths: u32::MAX, threads: 8, priority: 31, age_us, pause_us, own_us, calls, policy }
}

/// The largest record.
fn crash() -> Crash {
    Crash {
        service: 255,
        instance: u32::MAX,
        thread: Some(7),
        at_us: u64::MAX,
        lived_us: u64::MAX,
        down_us: Some(u64::MAX),
        cause: Cause::Exception { vector: u64::MAX, code: u64::MAX, address: u64::MAX, instruction: u64::MAX },
        registers: Some(Registers { general: [u64::MAX; 16], rip: u64::MAX, rflags: u64::MAX }),
        backtrace: [u64::MAX; MAX_BACKTRACE].into_iter().collect(),
        request: Some(Blamed { number: u64::MAX, kind: 255, attempts: u32::MAX, refused: true }),
        words: text(MAX_WORDS),
        log: text(MAX_LOG),
    }
}

fn small_crash(cause: Cause) -> Crash {
    Crash {
        thread: None,
        down_us: None,
        cause,
        registers: None,
        backtrace: Vec::new(),
        request: None,
        words: String::new(),
        log: String::new(),
        ..crash()
    }
}

fn logged() -> Logged {
    Logged { instance: u32::MAX, next: u64::MAX, bytes: [b'x'; MAX_LOGGED].into_iter().collect() }
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

    fn requests() -> std::vec::Vec<Request> {
        vec![
            Request::Up,
            Request::CrashReport { text: text(3) },
            Request::CrashReport { text: text(MAX_REPORT) },
            Request::PowerOff { status: 255 },
            Request::Status { service: 6 },
            Request::Restart { service: 6 },
            Request::Crash { service: 11, how: How::Overflow },
            Request::Health { index: 255 },
            Request::Record { nth: 3 },
            Request::Log { service: 2, from: u64::MAX },
            Request::Trace { on: None, from: 3 },
            Request::Trace { on: Some(true), from: u64::MAX },
        ]
    }

    fn replies() -> std::vec::Vec<Reply> {
        let status = |state| Reply::Status(Status { state, instance: u32::MAX });
        vec![
            Reply::Done,
            status(State::Waiting),
            status(State::Starting),
            status(State::Up),
            status(State::GivenUp),
            Reply::Health(health()),
            Reply::Record(crash()),
            Reply::Record(small_crash(Cause::Hung)),
            Reply::Record(small_crash(Cause::Killed)),
            Reply::Record(small_crash(Cause::Altered { address: 1 })),
            Reply::Record(small_crash(Cause::NotBuilt(u32::MAX))),
            Reply::Record(small_crash(Cause::PageFault { address: 1, access: 2, instruction: 3 })),
            Reply::Record(small_crash(Cause::Overflow { address: 1, instruction: 3 })),
            Reply::Log(logged()),
            Reply::Trace(Traced { next: 9, records: [[1, 2, 3, 4]].into_iter().collect() }),
            Reply::Trace(Traced { next: u64::MAX, records: [[u64::MAX; 4]; MAX_TRACED].into_iter().collect() }),
        ]
    }

    fn errors() -> std::vec::Vec<Error> {
        vec![Error::Malformed, Error::NotAllowed, Error::Stale, Error::UnknownService, Error::NotRunning, Error::NoRecord]
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
        buyers: [Buyer { service: 6, quota: Quota { percent: 75, pages: 300 } }].into_iter().collect(),
        processors: 4,
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
        buyers: [Buyer { service: 255, quota: Quota { percent: 255, pages: u32::MAX } }; MAX_PAGED].into_iter().collect(),
        processors: u32::MAX,
    }
}
