//! `svc chaos`, and `chaos`, which is the same: the crashes that it reports are those that happened, and a seed is an order.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::load::{SERVERS as ALL, policy};
use tests::{Boot, Outcome};

/// Whom it strikes.
const VICTIMS: [&str; 3] = ["vfs", "console", "posix"];
/// And whom it does not.
const SPARED: &str = "memory";
/// In this seed's order each server is among the first five: on a busy host a death may take seconds.
const SEED_OF_ALL: u64 = 7;
/// How they die.
const WAYS: [&str; 4] = ["panic", "wild", "overflow", "hang"];
/// A hang is to be found soon, but nobody may be accused of one because a busy host left one processor of the machine without time for a while.
const WATCHDOG_MS: u32 = 700;
/// Likewise, for work beside it: the programs and the servers of the lowest priority get little of a busy host's time.
const PATIENT_MS: u32 = 2000;

fn run(name: &str, script: &str) -> Outcome {
    let boot = VICTIMS.into_iter().fold(Boot::new(name), |boot, victim| boot.policy(victim, &policy(victim, WATCHDOG_MS)));
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

/// What makes no sense to it, and what it says of that.
const NONSENSE: [(&str, &str); 7] = [
    ("--servers nobody", "there is no server called nobody"),
    ("--servers vfs,", "there is no server called "),
    ("--rate 0", "--rate 0: more than 0 and at most 1000 a second"),
    ("--rate 1e9", "--rate 1000000000: more than 0 and at most 1000 a second"),
    ("--seconds x", "--seconds takes a number, and x is none"),
    ("--seed", "--seed needs a value"),
    ("--gently yes", "--gently yes is no option; chaos help has them"),
];

#[test]
fn options_that_make_no_sense_crash_nobody() {
    let script = |command: &str| NONSENSE.map(|(options, _)| format!("{command} {options} 2>> /tmp/said; echo $?\n")).concat();
    let outcome = Boot::new("svc-chaos-errors").script(&format!("{}{}cat /tmp/said\n", script("/usr/bin/svc chaos"), script("chaos")));
    let said = |command: &str| NONSENSE.map(|(_, says)| format!("{command}: {says}\n")).concat();
    outcome.expect_output(&format!("{}{}{}", "1\n".repeat(2 * NONSENSE.len()), said("svc"), said("chaos")));
    assert_eq!(crashes(&outcome.log), [], "{outcome}");
}

#[test]
fn chaos_of_all_servers_is_a_command_of_its_own_and_work_goes_on_meanwhile() {
    let work = format!(
        "\
        i=0; while [ ! -e /tmp/over ]; do i=$((i + 1)); echo $i | cat >> /tmp/lines; done & \n\
        chaos --servers all --rate 4 --seconds 20 --seed {SEED_OF_ALL} --json; echo $?\n\
        touch /tmp/over; wait; seq 1 $(wc -l < /tmp/lines) | cmp - /tmp/lines && echo whole\n"
    );
    let outcome = ALL.into_iter().fold(Boot::new("chaos-all"), |boot, server| boot.policy(server, &policy(server, PATIENT_MS))).script(&work);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(outcome.status == 0 && outcome.stderr.is_empty() && lines.get(1..) == Some(&["0", "whole"]), "{outcome}");
    let report: Value = serde_json::from_str(lines[0]).expect("JSON");
    let crashes = crashes(&outcome.log);
    assert!(report["injected"].as_u64() == Some(crashes.len() as u64) && report["recovered"] == report["injected"], "{outcome}");
    assert_eq!((reported(&report), &report["seed"]), (counted(&crashes), &Value::from(SEED_OF_ALL)), "{outcome}");
    for server in ALL {
        let times = crashes.iter().filter(|(name, _)| name == server).count();
        assert_eq!(unasked(&outcome.log, server), [""; 0], "{outcome}");
        assert!(times > 0 && outcome.deaths(server) == times, "{server}: {outcome}");
    }
}

#[test]
fn chaos_is_typed_at_the_prompt() {
    let mut session = Boot::new("chaos-typed").policy("console", &policy("console", PATIENT_MS)).session();
    session.expect("# ");
    session.send("chaos --servers console --rate 1000 --seconds 1; chaos help; echo status $?\n");
    let shown = session.expect("status 0");
    let sum = shown.lines().find(|line| line.starts_with("seed 1: ")).unwrap_or_default();
    let words: Vec<&str> = sum.split_whitespace().collect();
    assert!(matches!(words[..], [_, _, injected, _, recovered, "recovered,", ..] if injected == recovered), "{shown:?}");
    assert!(shown.contains("usage: chaos [--json]"), "{shown:?}");
}
