//! Kills servers at random in a running system, and compares everything that came out with a run in which nobody died.
//!
//! One boot without deaths tells what is right; every further one arms a sequence of failpoints in each server, chosen by the boot's seed
//! (the n-th in the n-th instance), and runs the same load. Counted are: *injected*, armed failpoints; *hit*, those that were reached, so
//! that the server died of them; *recovered*, deaths after which a next instance came up; *wrong*, boots whose streams or status were not
//! those of the first. A boot that went wrong is told with its seed, by which it is made again.
//!
//! Of posix's failpoints those of the calls that the load makes are armed, as posix counted them in the first boot: one that is never reached keeps those behind it
//! from being armed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ::tests::{Boot, Outcome};
use libsys::fail::Failpoint;

use crate::dice::Dice;

/// What runs in the guest.
const LOAD: &str = include_str!("load.sh");
/// The last that it writes.
const DONE: &str = "done\n";
/// What tells afterwards which calls were made.
const COUNTED: &str = "cat /proc/synos/calls\n";
/// Most deaths of one server in one boot.
const MOST_DEATHS: u64 = 6;
/// A server that is killed on purpose all the time is not in a loop, and its successor need not wait.
const POLICY: &str = "burst = 64\nbackoff_ms = [1, 1]";
/// A failpoint is armed at one of its first so many passages.
const PASSAGES: u32 = 16;
/// Seconds for a boot: several times what it takes on a busy machine.
const BOOT_SECONDS: u32 = 400;

/// A server, and the names of its failpoints.
type Victim = (&'static str, Vec<String>);

/// Every server that the load passes through, which makes these calls.
fn victims(calls: &BTreeSet<&str>) -> Vec<Victim> {
    let steps = posix::fail::names_of_calls().into_iter();
    let steps = steps.filter(|point| point.split_once('.').is_some_and(|(call, _)| calls.contains(call)));
    vec![
        ("posix", names::<posix::fail::Point>().into_iter().chain(steps).collect()),
        ("vfs", names::<vfs::fail::Point>()),
        ("console", names::<console::point::Point>()),
        ("memory", names::<memory::trade::Point>()),
    ]
}

fn names<P: Failpoint>() -> Vec<String> {
    P::ALL.iter().map(|point| point.name().to_owned()).collect()
}

/// A failpoint to arm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shot {
    service: &'static str,
    point: String,
    nth: u32,
}

/// The calls that posix has counted, by its file of numbers and counts.
fn made(counted: &str) -> BTreeSet<&'static str> {
    let numbers = counted.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    numbers.filter_map(posix::table::name).collect()
}

/// The shots of a boot. All that a line of the run's options says.
fn shots(victims: &[Victim], seed: u64) -> Vec<Shot> {
    let mut dice = Dice::new(seed);
    let mut shots = Vec::new();
    for (service, points) in victims {
        let points: Vec<&str> = points.iter().map(String::as_str).collect();
        for instance in 0..dice.below(MOST_DEATHS + 1) {
            // A successor's first passage may be of the request that its predecessor died of, which a second death makes poison.
            let first = if instance == 0 { 1 } else { 2 };
            shots.push(Shot { service, point: dice.pick(&points).to_owned(), nth: first + passage(&mut dice) });
        }
    }
    shots
}

/// So many passages later, the fewer the likelier: a failpoint that is not reached keeps those behind it from being armed.
fn passage(dice: &mut Dice) -> u32 {
    let among = 1 << dice.below(u64::from(PASSAGES.ilog2()) + 1);
    dice.below(among) as u32
}

/// What came of all boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    boots: usize,
    injected: usize,
    hit: usize,
    recovered: usize,
    wrong: usize,
}

/// Boots until `time` is over, at least once besides the first; how many boots went wrong.
///
/// # Errors
/// The load does not even run when nobody dies.
pub fn run(time: Duration, seed: u64) -> Result<usize, String> {
    let started = Instant::now();
    let mut right = boot("chaos-golden", &[], &[LOAD, COUNTED].concat());
    let Some((load, counted)) = right.stdout.rsplit_once(DONE).filter(|_| right.status == 0) else {
        return Err(format!("the load fails although nobody dies: {right}"));
    };
    let (load, victims) = (format!("{load}{DONE}"), victims(&made(counted)));
    right.stdout = load;
    let mut tally = Tally::default();
    for seed in seed.. {
        let shots = shots(&victims, seed);
        let outcome = boot("chaos", &shots, LOAD);
        let hit = outcome.log.matches("] failpoint ").count();
        let wrong = differs(&right, &outcome).or_else(|| deaths_of_their_own(&outcome.log, hit));
        tally.boots += 1;
        tally.injected += shots.len();
        tally.hit += hit;
        tally.recovered += recovered(&outcome.log);
        if let Some(why) = wrong {
            tally.wrong += 1;
            println!("chaos: seed {seed}: {why}\n    armed: {}\n{outcome}", told(&shots));
            println!("    cargo xtask soak chaos --seconds 1 --seed {seed}");
        }
        if started.elapsed() >= time {
            break;
        }
    }
    let Tally { boots, injected, hit, recovered, wrong } = tally;
    println!("chaos: {boots} boots from seed {seed}: {injected} injected, {hit} hit, {recovered} recovered, {wrong} wrong");
    Ok(wrong)
}

fn boot(name: &str, shots: &[Shot], script: &str) -> Outcome {
    let boot = Boot::new(name).within_seconds(BOOT_SECONDS);
    let shot_at: BTreeSet<&str> = shots.iter().map(|shot| shot.service).collect();
    let boot = shot_at.into_iter().fold(boot, |boot, service| boot.policy(service, POLICY));
    shots.iter().fold(boot, |boot, shot| boot.failing(shot.service, &shot.point, shot.nth)).script(script)
}

/// In what a boot differs from the one in which nobody died.
fn differs(right: &Outcome, outcome: &Outcome) -> Option<String> {
    if outcome.status != right.status {
        return Some(format!("status {} instead of {}", outcome.status, right.status));
    }
    let streams = [("stdout", &right.stdout, &outcome.stdout), ("stderr", &right.stderr, &outcome.stderr)];
    let (name, right, wrong) = streams.into_iter().find(|(_, right, wrong)| right != wrong)?;
    let line = right.lines().zip(wrong.lines()).take_while(|(right, wrong)| right == wrong).count();
    Some(format!("{name} line {}: {:?} instead of {:?}", line + 1, wrong.lines().nth(line), right.lines().nth(line)))
}

/// More deaths than failpoints is a fault of a server's own.
fn deaths_of_their_own(log: &str, hit: usize) -> Option<String> {
    let deaths = log.matches(" died, instance").count();
    (deaths > hit).then(|| format!("{deaths} deaths, and only {hit} failpoints were reached"))
}

/// Instances that came up after a death, by the log.
fn recovered(log: &str) -> usize {
    let instance = |line: &str| line.rsplit_once(" up, instance ")?.1.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok();
    log.lines().filter_map(instance).filter(|instance: &u32| *instance > 1).count()
}

fn told(shots: &[Shot]) -> String {
    let each = shots.iter().map(|Shot { service, point, nth }| format!("{service}:{point}:{nth}"));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shots_follow_from_the_seed_and_meet_every_server() {
        let victims = victims(&made("1 20\n39 5\n"));
        assert_eq!(shots(&victims, 5), shots(&victims, 5));
        assert_ne!(shots(&victims, 5), shots(&victims, 6));
        let many: Vec<Shot> = (0..40).flat_map(|seed| shots(&victims, seed)).collect();
        for (service, points) in &victims {
            assert!(many.iter().any(|shot| shot.service == *service && points.contains(&shot.point)), "{service}");
        }
        let of_calls = posix::fail::names_of_calls();
        let steps: BTreeSet<&str> = many.iter().map(|shot| shot.point.as_str()).filter(|point| of_calls.iter().any(|name| name == point)).collect();
        assert!(steps.contains("write.effect"), "{steps:?}");
        assert!(victims.iter().all(|(service, points)| *service != "posix" || !points.iter().any(|point| point.starts_with("dup."))));
        assert!(many.iter().all(|shot| (1..=PASSAGES + 2).contains(&shot.nth)));
    }

    #[test]
    fn a_boot_that_differs_is_told_with_the_first_line() {
        let outcome = |stdout: &str, status| Outcome { status, stdout: stdout.into(), ..Outcome::default() };
        let right = outcome("a\nb\nc\n", 0);
        assert_eq!(differs(&right, &right), None);
        assert_eq!(differs(&right, &outcome("a\nb\nc\n", 1)).as_deref(), Some("status 1 instead of 0"));
        let told = differs(&right, &outcome("a\nb\nb\nc\n", 0)).expect("they differ");
        assert_eq!(told, r#"stdout line 3: Some("b") instead of Some("c")"#);
    }

    #[test]
    fn successors_are_counted_in_the_log() {
        let log =
            "1.0 [supervisor] vfs up, instance 1\n2.0 [supervisor] vfs died, instance 1: failpoint\n2.1 [supervisor] vfs up, instance 2 (3 ms)\n";
        assert_eq!(recovered(log), 1);
        assert_eq!(deaths_of_their_own(log, 1), None);
        assert!(deaths_of_their_own(log, 0).is_some());
    }
}
