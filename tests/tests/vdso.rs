//! Clocks cost no call: programs read the time from the vDSO, whoever dies meanwhile.
//!
//! What the vDSO offers is compared with Linux's by `scripts.rs`; here is what only SynOS can tell: how many calls its server counted.

use tests::Boot;
use tests::compare::staged::Staged;

/// The case `vdso` of `scripts.rs`, whose program is asked for more here.
fn lay_out() -> Staged {
    Staged::lay_out(&["vdso".into()]).expect("xtask lays out the case")
}

/// A boot with the test's program as `/run/programs/vdso`.
fn boot(name: &str, staged: &Staged) -> Boot {
    Boot::new(name).with("--add", format!("{}:/run", staged.guest().display()))
}

#[test]
fn a_thousand_clocks_make_no_call() {
    let staged = lay_out();
    let outcome = boot("vdso-count", &staged).script("/run/programs/vdso count");
    outcome.expect_output("clock_gettime 0\ngettimeofday 0\ntime 0\nclock_getres 0\ngetcpu 0\none call 1\n");
}

#[test]
fn where_the_counter_cannot_be_used_clocks_are_calls() {
    let staged = lay_out();
    let outcome = boot("vdso-call", &staged).with("--option", "clock=call").script("/run/programs/vdso count && /run/programs/vdso monotonic 10");
    outcome.expect_output("clock_gettime 2000\ngettimeofday 1000\ntime 1000\nclock_getres 0\ngetcpu 0\none call 2001\n10 rounds, backwards 0\n");
}

#[test]
fn time_does_not_go_back_when_posix_dies() {
    let points = ["write.intent", "write.effect", "write.record", "write.reply"];
    let staged = lay_out();
    let boot = points.iter().fold(boot("vdso-restart", &staged), |boot, point| boot.failing("posix", point, 20));
    let outcome = boot.script("/run/programs/vdso monotonic 200");
    outcome.expect_output("200 rounds, backwards 0\n");
    assert_eq!(outcome.deaths("posix"), points.len(), "{outcome}");
}
