//! Clocks cost no call: programs read the time from the vDSO, whoever dies meanwhile.
//!
//! What the vDSO offers is compared with Linux's by `scripts.rs`; here is what only SynOS can tell: how many calls its server counted.

use posix::fail::Point;
use tests::{Boot, root};

/// A boot with the test's program as `/run/vdso`.
fn boot(name: &str) -> Boot {
    Boot::new(name).with("--add", format!("{}:/run/vdso", root().join("target/linux/vdso").display()))
}

#[test]
fn a_thousand_clocks_make_no_call() {
    let outcome = boot("vdso-count").script("/run/vdso count");
    outcome.expect_output("clock_gettime 0\ngettimeofday 0\ntime 0\nclock_getres 0\ngetcpu 0\none call 1\n");
}

#[test]
fn where_the_counter_cannot_be_used_clocks_are_calls() {
    let outcome = boot("vdso-call").with("--option", "clock=call").script("/run/vdso count && /run/vdso monotonic 10");
    outcome.expect_output("clock_gettime 2000\ngettimeofday 1000\ntime 1000\nclock_getres 0\ngetcpu 0\none call 2001\n10 rounds, backwards 0\n");
}

#[test]
fn time_does_not_go_back_when_posix_dies() {
    let points = [Point::WriteIntent, Point::WriteEffect, Point::WriteRecord, Point::WriteReply].map(Point::name);
    let boot = points.iter().fold(boot("vdso-restart"), |boot, point| boot.failing("posix", point, 20));
    let outcome = boot.script("/run/vdso monotonic 200");
    outcome.expect_output("200 rounds, backwards 0\n");
    assert_eq!(outcome.deaths("posix"), points.len(), "{outcome}");
}
