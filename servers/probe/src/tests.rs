//! The probe against the real victim's protocol in one process, deaths included.

use super::{Outside, closed, garbage, run, send_garbage, wants_garbage};
use abi::{Error, Lease, MAX_MESSAGE, RequestNumber};
use protocols::call::Carrier;
use protocols::serve::{Caller, LeaseError};
use protocols::service::Service as ServiceName;
use protocols::victim::{self, How};

/// A victim that remembers the number it died of, and says whether it dies now.
#[derive(Default)]
struct Service {
    died_of: Option<RequestNumber>,
    dies: bool,
    worked: u64,
    count: u64,
    /// It counts what it is told, and so much more.
    miscounts_by: u64,
}

impl victim::Service for Service {
    fn count(&mut self, _number: RequestNumber, amount: u64) -> Result<u64, victim::Error> {
        self.count = self.count.wrapping_add(amount).wrapping_add(self.miscounts_by);
        Ok(self.count)
    }

    fn crash(&mut self, number: RequestNumber, _how: How, only_first_time: bool) -> Result<(), victim::Error> {
        self.dies = !(only_first_time && self.died_of == Some(number));
        self.died_of = Some(number);
        self.worked = 0;
        Ok(())
    }
}

impl victim::Worker for Service {
    fn work(&mut self, units: u64) -> u64 {
        self.worked += units;
        self.worked - units
    }
}

struct From(RequestNumber);

impl Caller for From {
    fn badge(&self) -> u64 {
        0
    }

    fn number(&self) -> RequestNumber {
        self.0
    }

    fn read(&mut self, _lease: usize, _offset: u64, _to: &mut [u8]) -> Result<(), LeaseError> {
        Err(LeaseError::Invalid)
    }

    fn write(&mut self, _lease: usize, _offset: u64, _from: &[u8]) -> Result<(), LeaseError> {
        Err(LeaseError::Invalid)
    }

    fn caps(&self) -> usize {
        0
    }
}

/// Carries messages to a service in this process; its death is an error of the attempt.
#[derive(Default)]
struct Local {
    service: Service,
    deaths: u32,
    /// What the last death was of: the second of the same number is the last, as the supervisor has it.
    killer: Option<RequestNumber>,
}

impl Carrier for Local {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], _: &[Lease], _: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        assert!(message.len() <= MAX_MESSAGE);
        self.service.dies = false;
        let answer = victim::serve(&mut self.service, &mut From(number), message, reply);
        if self.service.dies {
            self.deaths += 1;
            let again = self.killer.replace(number) == Some(number);
            return Err(if again { Error::Poisoned } else { Error::PeerDied });
        }
        Ok(answer.bytes)
    }
}

#[derive(Default)]
struct Log {
    count: u32,
    lines: Vec<String>,
}

impl Outside for Log {
    fn next_number(&mut self) -> RequestNumber {
        self.count += 1;
        RequestNumber::new(14, 0xff00, self.count, 0)
    }

    fn log(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn pause(&mut self) {}
}

#[test]
fn every_check_passes_through_seven_deaths() {
    let (mut local, mut log) = (Local::default(), Log::default());
    assert_eq!(run(&mut local, &mut log), 0);
    assert_eq!(local.deaths, 7);
    let expected = ["add ok", "echo ok", "count ok", "panic ok", "wild ok", "overflow ok", "hang ok", "poison ok", "helper ok", "done"]
        .map(|what| format!("probe: {what}"));
    assert_eq!(log.lines, expected);
}

#[test]
fn option_asks_for_garbage() {
    assert!(wants_garbage("script=/s\nprobe=garbage\n"));
    assert!(!wants_garbage("probe=garbages\n"));
}

#[test]
fn server_that_answers_garbage_passes() {
    // A victim whose `dies` is looked at only by its own requests: random bytes may ask it to die, which a real one does not survive either.
    struct Immortal(Local);
    impl Carrier for Immortal {
        fn attempt(&mut self, number: RequestNumber, message: &[u8], _: &[Lease], _: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
            Ok(victim::serve(&mut self.0.service, &mut From(number), message, reply).bytes)
        }
    }
    let sent = garbage::run(ServiceName::Victim, &mut Immortal(Local::default()), &mut Log::default());
    assert!(sent.is_some_and(|sent| sent > 300 + 100), "{sent:?}");
}

#[test]
fn every_kind_of_request_has_a_sample_and_every_sample_is_one() {
    for (service, kinds) in [("supervisor", 3), ("memory", 2), ("vfs", 15), ("console", 4), ("victim", 3)] {
        let service = ServiceName::from_name(service).expect("a service");
        let samples: Vec<_> = garbage::samples(service).collect();
        assert!(samples.iter().all(|sample| garbage::is_request(service, sample)), "{service:?}");
        let variants: std::collections::BTreeSet<u8> = samples.iter().filter_map(|sample| sample.first().copied()).collect();
        assert!(variants.len() >= kinds, "{service:?}: {variants:?}");
        // Variants are numbered from 0 without gaps, so a kind without a short sample would leave one.
        assert_eq!(variants.last().map(|last| usize::from(*last) + 1), Some(variants.len()), "{service:?}");
    }
}

#[test]
fn posix_which_has_no_requests_refuses_whole_ones() {
    struct Refuses;
    impl Carrier for Refuses {
        fn attempt(&mut self, _: RequestNumber, _: &[u8], _: &[Lease], _: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
            Ok(protocols::posix::refuse(reply).bytes)
        }
    }
    let sent = garbage::run(ServiceName::Posix, &mut Refuses, &mut Log::default());
    assert!(sent.is_some_and(|sent| sent > 1000), "{sent:?}");
    assert!(garbage::samples(ServiceName::Posix).all(|sample| !garbage::is_request(ServiceName::Posix, &sample)));
}

#[test]
fn server_that_accepts_half_a_request_or_gives_no_answer_fails() {
    struct Says(Result<usize, Error>);
    impl Carrier for Says {
        fn attempt(&mut self, _: RequestNumber, _: &[u8], _: &[Lease], _: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
            reply[0] = 0;
            self.0
        }
    }
    for says in [Ok(1), Ok(0), Err(Error::PeerDied)] {
        let mut log = Log::default();
        send_garbage(|_| Says(says), &mut log);
        for service in garbage::SERVICES {
            assert!(log.lines.contains(&format!("probe: {} failed", service.name())), "{says:?}: {:?}", log.lines);
        }
    }
}

#[test]
fn refused_call_is_a_failed_check() {
    struct Closed;
    impl Carrier for Closed {
        fn attempt(&mut self, _: RequestNumber, _: &[u8], _: &[Lease], _: &[u32], _: &mut [u8]) -> Result<usize, Error> {
            Err(Error::Closed)
        }
    }
    let mut log = Log::default();
    assert_eq!(run(Closed, &mut log), 9);
    assert_eq!(log.lines.first().map(String::as_str), Some("probe: add failed"));
}

#[test]
fn count_of_something_twice_is_a_failed_check() {
    let mut log = Log::default();
    assert_eq!(run(Local { service: Service { miscounts_by: 1, ..Service::default() }, ..Local::default() }, &mut log), 1);
    assert!(log.lines.contains(&"probe: count failed".into()), "{:?}", log.lines);
}

/// A service that lives through `deaths` of its requests, then refuses `refusals` calls, whatever they are, and answers again.
struct GivenUp {
    local: Local,
    deaths: u32,
    refusals: u32,
    says: Error,
}

impl Carrier for GivenUp {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], leases: &[Lease], caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        if self.local.deaths < self.deaths || self.refusals == 0 {
            return self.local.attempt(number, message, leases, caps, reply);
        }
        self.refusals -= 1;
        Err(self.says)
    }
}

#[test]
fn given_up_victim_is_one_that_refuses_and_then_answers() {
    let run = |deaths, refusals, says| {
        let mut log = Log::default();
        let failed = closed::run(GivenUp { local: Local::default(), deaths, refusals, says }, &mut log);
        (failed, log.lines)
    };
    let lines = |closed: &str, revived: &str| vec![format!("probe: closed {closed}"), format!("probe: revived {revived}"), "probe: done".into()];
    assert_eq!(run(2, 100, Error::Closed), (0, lines("ok", "ok")));
    assert_eq!(run(2, 10, Error::Closed), (1, lines("failed", "ok")), "it answered too soon");
    assert_eq!(run(2, 10_000, Error::Closed), (1, lines("ok", "failed")), "nobody revived it");
    assert_eq!(run(100, 0, Error::Closed), (1, lines("failed", "ok")), "it was never given up");
    assert_eq!(run(2, 100, Error::Dropped), (2, lines("failed", "failed")), "another refusal");
}
