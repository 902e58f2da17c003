//! Who may have threads traced, for how long, and what is told of them.

use abi::TraceRecord;
use protocols::service::{Badge, Service};
use protocols::supervisor::{Error, MAX_TRACED, Service as _};

use super::{HZ, booted};

const POSIX: Badge = Badge::new(Service::Posix, 1);

#[test]
fn posix_alone_may_trace() {
    let mut supervisor = booted("");
    assert_eq!(supervisor.trace(Badge::new(Service::Vfs, 1), Some(true), 0), Err(Error::NotAllowed));
    assert!(!supervisor.kernel().trace.0);
    assert!(supervisor.trace(POSIX, Some(true), 0).is_ok());
    assert!(supervisor.kernel().trace.0);
    assert!(supervisor.trace(POSIX, None, 0).is_ok());
    assert!(supervisor.kernel().trace.0, "who reads changes nothing");
    assert!(supervisor.trace(POSIX, Some(false), 0).is_ok());
    assert!(!supervisor.kernel().trace.0);
}

#[test]
fn tracing_that_nobody_asks_for_again_ends() {
    let mut supervisor = booted("");
    let asked = supervisor.trace(POSIX, Some(true), 0);
    assert!(asked.is_ok());
    for second in 1..=9 {
        supervisor.kernel().ticks += HZ;
        supervisor.watch();
        assert!(supervisor.kernel().trace.0, "after {second} s");
    }
    supervisor.kernel().ticks += 2 * HZ;
    supervisor.watch();
    assert!(!supervisor.kernel().trace.0);
}

#[test]
fn records_come_in_parts_with_times_in_microseconds() {
    let mut supervisor = booted("");
    let record = |number: u64| TraceRecord { at: number * (HZ / 1_000_000), badge: 5, what: 6, word: number };
    supervisor.kernel().trace.1 = (0..MAX_TRACED as u64 + 2).map(record).collect();
    let first = supervisor.trace(POSIX, None, 0).expect("records");
    assert_eq!((first.next, first.records.len()), (MAX_TRACED as u64, MAX_TRACED));
    let second = supervisor.trace(POSIX, None, first.next).expect("records");
    assert_eq!((second.next, &second.records[..]), (66, &[[64, 5, 6, 64], [65, 5, 6, 65]][..]));
    assert!(supervisor.trace(POSIX, None, second.next).expect("none").records.is_empty());
}
