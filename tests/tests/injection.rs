//! Faults from outside, by the supervisor's injector: that a run can be had again, and what becomes of servers whose heap fails them.
//!
//! How many faults a system survives is measured by `cargo xtask soak chaos --faults`; here a few must be to the letter.

use tests::load::{LOAD, rounds};
use tests::{Boot, Outcome};

const SERVERS: [&str; 4] = ["memory", "vfs", "console", "posix"];
/// Deaths on purpose are no loop, and guest time does not depend on the host: a hang is found soon.
const POLICY: &str = "burst = 64\nbackoff_ms = [1, 1]\nwatchdog_ms = 100";

/// Injects what `option` says under the load, again and again until the last fault is over and the power goes off.
fn inject(name: &str, option: &str) -> Outcome {
    let boot = SERVERS.into_iter().fold(Boot::new(name), |boot, server| boot.policy(server, POLICY));
    let boot = boot.flag("--icount").with("--smp", "1").with("--option", format!("inject={option}")).within_seconds(400);
    boot.script(&format!("while :; do rounds=1\n{LOAD}done\n"))
}

/// What the supervisor says of faults and deaths, without the times.
fn record(log: &str) -> Vec<&str> {
    let told = |line: &str| line.contains("inject") || line.contains(" died, instance ") || line.contains(" up, instance ");
    let timeless = |line: &'_ str| line.split_once(" ms: ").map_or(0, |(time, _)| time.len() + 5);
    let record = log.lines().filter(|line| line.starts_with("[supervisor]") && told(line));
    // How long a start took is a time too.
    record.filter_map(|line| line.get(timeless(line)..)?.split(" us after").next()?.split(", instance ").next()).collect()
}

#[test]
fn one_seed_makes_the_same_faults_with_the_same_outcome() {
    const FAULTS: usize = 20;
    let runs = ["inject-once", "inject-again"].map(|name| inject(name, &format!("7:{FAULTS}:all:all")));
    let [once, again] = runs.each_ref().map(|outcome| record(&outcome.log));
    for (nth, (once, again)) in once.iter().zip(&again).enumerate() {
        assert_eq!(once, again, "line {nth}: {}\n{}", runs[0], runs[1]);
    }
    assert_eq!(once.len(), again.len());
    // What was compared is faults, of several kinds, and deaths.
    let count = |what: &str| once.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count(" over: "), count("inject: all")), (FAULTS, 1), "{once:#?}");
    assert!(count(" died") >= 5 && count(" at work: ") + count(" as it was: ") >= FAULTS - 5, "{once:#?}");
    assert_ne!(record(&inject("inject-other", &format!("8:{FAULTS}:all:all")).log), once, "another seed has other faults");
}

#[test]
fn server_whose_heap_fails_it_dies_of_that_alone_and_no_program_reads_a_wrong_byte() {
    const FAULTS: usize = 24;
    let outcome = inject("inject-allocation", &format!("3:{FAULTS}:posix,vfs:allocation"));
    assert_eq!(outcome.status, 0, "{outcome}");
    let over = |came: &str| outcome.log.matches(&format!(" over: {came}\n")).count();
    assert_eq!(over("died") + over("undone") + over("refused"), FAULTS, "{outcome}");
    let words = |server: &str| {
        let parts: Vec<&str> = outcome.log.split(&format!("last words of {server}, instance ")).skip(1).collect();
        parts
            .iter()
            .filter(|part| part.lines().nth(1).is_some_and(|line| line.starts_with("memory allocation of ") && line.ends_with(" failed")))
            .count()
    };
    for server in ["posix", "vfs"] {
        assert!(words(server) >= 3 && words(server) == outcome.deaths(server), "{server}: {outcome}");
    }
    assert_eq!(words("posix") + words("vfs"), over("died"), "{outcome}");
    assert_eq!(outcome.deaths("memory") + outcome.deaths("console"), 0, "{outcome}");

    let rounds = rounds(&outcome.stdout);
    let (last, whole) = rounds.split_last().expect("at least one");
    assert!(whole.len() >= 2 && whole[0].contains("caught\non\n"), "{outcome}");
    whole.iter().enumerate().for_each(|(index, round)| assert_eq!(*round, whole[0], "round {index}: {outcome}"));
    // The power went off in the middle of it.
    assert!(whole[0].starts_with(last.trim_end_matches(|end: char| end != '\n')), "{last:?}: {outcome}");
}
