//! Faults from outside, by the supervisor's injector: that a run can be had again, and what becomes of servers whose heap fails them.
//!
//! How many faults a system survives is measured by `cargo xtask soak chaos --faults`; here a few must be to the letter.

use tests::Outcome;
use tests::load::{LOAD, SERVERS, boot, rounds};

/// Guest time does not depend on the host: a hang is found soon.
const WATCHDOG_MS: u32 = 100;

/// Injects what `option` says under the load, again and again until the last fault is over and the power goes off.
fn inject(name: &str, option: &str) -> Outcome {
    let boot = boot(name, &SERVERS, WATCHDOG_MS).flag("--icount").with("--smp", "1").with("--option", format!("inject={option}")).within_seconds(400);
    boot.script(&format!("while :; do rounds=1\n{LOAD}done\n"))
}

/// What the supervisor says after the times.
fn told(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.starts_with("[supervisor]")).filter_map(|line| Some(line.split_once(" ms: ")?.1))
}

/// Faults, what became of each, and who died and came back meanwhile; without the places, which may differ by some instructions.
fn outcomes(log: &str) -> Vec<String> {
    let outcome = |line: &str| {
        let is_over = line.contains(" over: ") || line.starts_with("inject: all ");
        let end = [" at work: ", " as it was: ", ", instance "].into_iter().find_map(|end| line.find(end));
        let is_told = is_over || line.starts_with("inject ") || line.contains(" died, instance ") || line.contains(" up, instance ");
        is_told.then(|| line.get(..end.unwrap_or(line.len())).unwrap_or_default().to_owned())
    };
    told(log).filter_map(outcome).collect()
}

/// Number, servers and kind of each fault, of those that were not possible too.
fn faults(log: &str) -> Vec<(&str, &str, &str)> {
    let faults = told(log).filter_map(|line| {
        let (number, rest) = line.strip_prefix("inject ")?.split_once(": ").filter(|(head, _)| !head.ends_with(" over"))?;
        let mut words = rest.split(' ');
        Some((number, words.next()?, words.next()?))
    });
    faults.collect()
}

#[test]
fn one_seed_makes_the_same_faults_with_the_same_outcome() {
    const FAULTS: usize = 16;
    let plan = |seed: u32| format!("{seed}:{FAULTS}:all:panic,jump,overflow,hang,allocation");
    let runs = [7, 7, 8].map(|seed| inject(&format!("inject-{seed}"), &plan(seed)));
    let [once, again, other] = runs.each_ref().map(|outcome| outcomes(&outcome.log));
    assert_eq!(once, again, "{}\n{}", runs[0], runs[1]);
    let count = |what: &str| once.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count(" over: "), count("inject: all ")), (FAULTS, 1), "{once:#?}");
    assert!(count(" died") >= 5 && count(" up") >= 5, "{once:#?}");
    assert_ne!(once, other, "another seed has other faults");
}

/// What a wrong bit does may hang on one instruction, and it may end the shell, and with it the machine; but not which bits are next.
#[test]
fn one_seed_flips_bits_of_the_same_servers() {
    let runs = ["inject-bits", "inject-bits-again"].map(|name| inject(name, "7:16:all:register,text,data,stack,write,dropped,doubled,corrupted"));
    let [once, again] = runs.each_ref().map(|outcome| faults(&outcome.log));
    let both = once.len().min(again.len());
    assert!(both >= 1 && once[..both] == again[..both], "{once:?}\n{again:?}\n{}\n{}", runs[0], runs[1]);
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
