//! `svc chaos`: the crashes that it reports are those that happened, and a seed is an order.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{Boot, Outcome};

/// Whom it strikes.
const VICTIMS: [&str; 3] = ["vfs", "console", "posix"];
/// And whom it does not.
const SPARED: &str = "memory";
/// How they die.
const WAYS: [&str; 4] = ["panic", "wild", "overflow", "hang"];
/// It is asked for more deaths than a policy that takes them for a loop. A hang is to be found soon, but nobody may be accused of one because a busy
/// host left one processor of the machine without time for a while.
const POLICY: &str = "burst = 255\nbackoff_ms = [1, 1]\nwatchdog_ms = 700";

fn run(name: &str, script: &str) -> Outcome {
    let boot = VICTIMS.into_iter().fold(Boot::new(name), |boot, victim| boot.policy(victim, POLICY));
    let outcome = boot.script(&format!("chaos() {{ /usr/bin/svc chaos --rate 8 --servers vfs,console,posix --seconds 10 \"$@\"; }}\n{script}"));
    assert!(outcome.status == 0 && outcome.stderr.is_empty(), "{outcome}");
    outcome
}

/// Victim and way of each crash by command, in the log's order.
fn crashes(log: &str) -> Vec<(String, String)> {
    let crash = |line: &str| {
        let (victim, how) = line.split_once(", is made to die: ")?;
        let (how, _) = how.split_once(' ')?;
        let (name, _) = victim.split_once(" ms: ")?.1.split_once(", instance ")?;
        Some((name.to_owned(), how.to_lowercase()))
    };
    log.lines().filter_map(crash).collect()
}

/// The deaths of a victim that nobody asked for.
fn unasked<'a>(log: &'a str, victim: &str) -> Vec<&'a str> {
    let died = format!(": {victim} died, instance ");
    let asked = |line: &str| {
        let instance = line.split_once(&died).and_then(|(_, rest)| rest.split_once(':')).map_or("", |(instance, _)| instance);
        log.contains(&format!(": {victim}, instance {instance}, is made to die: "))
    };
    log.lines().filter(|line| line.contains(&died) && !asked(line)).collect()
}

/// How often each victim died in each way.
fn counted(crashes: &[(String, String)]) -> BTreeMap<(String, String), u64> {
    crashes.iter().fold(BTreeMap::new(), |mut counts, crash| {
        *counts.entry(crash.clone()).or_default() += 1;
        counts
    })
}

/// What a report says of its rows: as [`counted`], when all of them came back.
fn reported(report: &Value) -> BTreeMap<(String, String), u64> {
    let row = |row: &Value| {
        let [injected, recovered] = ["injected", "recovered"].map(|field| row[field].as_u64().expect("a number"));
        assert!(injected == recovered && row["slowest_ms"].as_u64().is_some(), "{report}");
        let [server, how] = ["server", "how"].map(|field| row[field].as_str().expect("a text").to_owned());
        ((server, how), injected)
    };
    report["rows"].as_array().expect("an array").iter().map(row).collect()
}

#[test]
fn report_counts_what_the_log_has_and_a_seed_is_an_order_of_victims() {
    let outcome = run("svc-chaos-seed", "chaos --json --seed 7\nchaos --seed 7 --json\nchaos --seed 8 --json\n");
    let reports: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(reports.iter().map(|report| report["seed"].as_u64()).collect::<Vec<_>>(), [Some(7), Some(7), Some(8)], "{outcome}");
    let mut left = crashes(&outcome.log);
    let mut orders = Vec::new();
    for report in &reports {
        let count = report["injected"].as_u64().expect("a number") as usize;
        // A hang takes the watchdog's time, and another death a hundredth of that.
        assert!(count >= 8 && count <= left.len() && report["recovered"] == report["injected"], "{outcome}");
        let order: Vec<_> = left.drain(..count).collect();
        assert_eq!(reported(report), counted(&order), "{outcome}");
        orders.push(order);
    }
    assert!(left.is_empty(), "crashes that nobody reports: {left:?}");
    let both = orders[0].len().min(orders[1].len());
    assert_eq!(orders[0][..both], orders[1][..both]);
    let both = both.min(orders[2].len());
    assert_ne!(orders[0][..both], orders[2][..both]);
    for victim in VICTIMS {
        let times = orders.iter().flatten().filter(|(name, _)| name == victim).count();
        assert_eq!(unasked(&outcome.log, victim), [""; 0], "{outcome}");
        assert!(times > 0 && outcome.deaths(victim) == times, "{victim}: {outcome}");
    }
    assert!(WAYS.iter().all(|way| orders.iter().flatten().any(|(_, how)| how == way)), "{orders:?}");
    assert_eq!(outcome.deaths(SPARED), 0, "{outcome}");
}

#[test]
fn report_for_people_has_a_row_for_each_victim_and_way_and_a_sum() {
    let outcome = run("svc-chaos-table", "chaos --seed 3 --rate 4\n");
    let (mut lines, crashes) = (outcome.stdout.lines(), crashes(&outcome.log));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines.next().map(words).unwrap_or_default(), ["SERVER", "HOW", "INJECTED", "RECOVERED", "SLOWEST"], "{outcome}");
    for ((server, how), count) in counted(&crashes) {
        let row = lines.next().map(words).unwrap_or_default();
        assert_eq!(row[..4], [server, how, count.to_string(), count.to_string()], "{outcome}");
        assert!(row.len() == 5 && row[4].ends_with("ms"), "{outcome}");
    }
    let count = crashes.len();
    let sum = lines.next().unwrap_or_default();
    assert!(sum.starts_with(&format!("seed 3: {count} injected, {count} recovered, slowest ")) && lines.next().is_none(), "{outcome}");
    // Four a second for ten seconds, and one at once; fewer when deaths took longer.
    assert!((8..=41).contains(&count), "{outcome}");
}

#[test]
fn options_that_make_no_sense_crash_nobody() {
    let chaos = |options: &str| format!("/usr/bin/svc chaos {options} 2>> /tmp/said; echo $?\n");
    let script = ["--servers nobody", "--rate 0", "--rate 1e9", "--seconds x", "--seed", "--gently yes"].map(chaos).concat();
    let outcome = run("svc-chaos-errors", &format!("{script}cat /tmp/said\n"));
    let (statuses, said) = outcome.stdout.split_at(12);
    assert_eq!(statuses, "1\n".repeat(6), "{outcome}");
    assert!(said.lines().count() == 6 && said.lines().all(|line| line.starts_with("svc: ")), "{outcome}");
    assert_eq!(crashes(&outcome.log), [], "{outcome}");
}
