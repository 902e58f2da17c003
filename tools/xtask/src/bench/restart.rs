//! `restart`: for how long nobody serves when a server dies, and what that costs programs.
//!
//! All under `--icount`, where an instruction is a nanosecond of guest time. The times are the supervisor's own, of deaths at instructions that its
//! injector chose: from the death, which for a hang is when the watchdog found it, to the successor's first answered request. `restart_p50_*` and `restart_p99_*` end
//! with the successor's word that it is up. How long the watchdog took to find a hang is a row of its own, from the strike on. The loss is that of a shell
//! that works with files or with pipes, or asks a model, for a while, with a server killed once a second, against the same while without deaths. Linux has no such
//! figures. The goals are promises: the command fails when one is missed.

use std::fs;

use ::tests::load::{SERVERS, policy};
use ::tests::model;

use super::counted;
use super::{Bench, Figure};
use crate::build::ImageOptions;
use crate::error::{Error, Result};

pub(super) const NAME: &str = "restart";
/// Deaths of each server of each kind, at least.
const DEATHS: usize = 100;
/// So many faults are injected for them: the last successor goes down with the machine, and not every fault is possible when its turn comes.
const FAULTS: usize = 120;
const KINDS: [&str; 2] = ["panic", "hang"];
/// The functions of [`LOSS`].
const WORKLOADS: [&str; 3] = ["file", "pipe", "answer"];
const P50_GOAL_US: f64 = 10_000.0;
const P99_GOAL_US: f64 = 100_000.0;
const DETECTION_GOAL_US: f64 = 500_000.0;
const LOSS_GOAL_PERCENT: f64 = 10.0;
/// Guest time counts instructions, so that the watchdog need not allow for a busy host.
const WATCHDOG_MS: u32 = 100;
/// Whoever is killed on purpose is not in a loop, with the pauses that ship: whether they cost programs anything is the question.
const SHIPPED_PAUSES: &str = "burst = 255\n";
/// Work until the injector turns the power off, by which a server is asked for something all the time: memory only when pages are wanted.
const PAGES: &str = "while :; do dd if=/dev/zero of=/tmp/big bs=64k count=64 2>/dev/null; rm /tmp/big; done\n";
/// Asks the model that the tests make.
const ANSWERS: &str = "while :; do llm run /models/small.gguf -p 'ab ba' -n 20 > /dev/null 2>&1; done\n";
const FILES: &str = "while :; do seq 1 100 | cat > /tmp/file; sort -r /tmp/file | tail -n 1; rm /tmp/file; done\n";
/// Rounds of each workload in ten seconds, first without deaths and then with each server killed in the middle of each second. What is compared differs in the deaths
/// alone: caches are warm from a window that does not count, and beside the undisturbed work runs the same job, which asks for a list instead of a death. Without
/// either, the loss came out as some -7 %: a first window has 4 % fewer rounds than the next, and one with a job beside it 3 % more than one without.
const LOSS: &str = r#"
now() { read -r up rest < /proc/uptime; echo $((${up%.*} * 100 + 1${up#*.} - 100)); }
file() { seq 1 100 > /tmp/file; sort -r /tmp/file > /tmp/sorted; rm /tmp/file /tmp/sorted; }
pipe() { seq 1 100 | sort -r | cat | tail -n 1 > /dev/null; }
answer() { llm run /models/small.gguf -p 'ab ba' -n 4 > /dev/null 2>&1; }
rounds() {
    end=$(($(now) + $3)); count=0
    while [ $(now) -lt $end ]; do $1; count=$((count + 1)); done
    echo "bench: $1_$2 $count"
}
each_second() { sleep 0.5; for kill in 1 2 3 4 5 6 7 8 9 10; do /usr/bin/svc "$@" > /dev/null & sleep 1; done; wait; }
# $1: work, $2: name, the rest: what is asked of svc each second
beside() {
    work=$1; name=$2; shift 2
    each_second "$@" &
    rounds $work $name 1000
    wait
}
losses() {
    rounds $1 warm 200
    beside $1 none list
    for server in $2; do beside $1 $server crash $server panic; done
}
"#;
/// Deaths of a server in each window.
const KILLS: usize = 10;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (server, kind) in SERVERS.into_iter().flat_map(|server| KINDS.map(|kind| (server, kind))) {
        if !rows_of(server, kind).iter().any(|row| bench.shows(NAME, row)) {
            continue;
        }
        let option = vec![format!("inject=1:{FAULTS}:{server}:{kind}")];
        let load = match server {
            "memory" => PAGES,
            "inference" => ANSWERS,
            _ => FILES,
        };
        let services = Some(overlay(bench, |server| policy(server, WATCHDOG_MS))?);
        let seen =
            counted::boot(bench.workspace, NAME, load, ImageOptions { option, services, add: vec![model::added()], ..ImageOptions::default() })?;
        figures.extend(restarts(&seen.log, server, kind)?);
    }
    for workload in WORKLOADS {
        figures.extend(losses(bench, workload)?);
    }
    for (figure, goal) in figures.iter().filter_map(|figure| Some((figure, figure.goal?))) {
        if figure.value > goal {
            bench.misses(format!("{} is {} {} and not {goal}", figure.name, figure.value, figure.unit));
        }
    }
    Ok(figures)
}

/// The names of the rows that [`restarts`] makes.
fn rows_of(server: &str, kind: &str) -> Vec<String> {
    let rows: &[&str] = if kind == "hang" { &["hang_p50", "hang_p99", "hang_found"] } else { &["panic_p50", "panic_p99", "p50", "p99"] };
    rows.iter().map(|row| format!("restart_{row}_{server}")).collect()
}

/// What it costs work of a kind that each server is killed once a second, as far as it was asked for.
fn losses(bench: &Bench<'_>, workload: &str) -> Result<Vec<Figure>> {
    let row = |server: &str| format!("restart_loss_{workload}_{server}");
    let servers: Vec<&str> = SERVERS.into_iter().filter(|server| bench.shows(NAME, &row(server))).collect();
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    let script = format!("{LOSS}losses {workload} \"{}\"\n", servers.join(" "));
    let services = Some(overlay(bench, |_| SHIPPED_PAUSES.into())?);
    let seen = counted::boot(bench.workspace, NAME, &script, ImageOptions { services, add: vec![model::added()], ..ImageOptions::default() })?;
    let mut figures = Vec::new();
    for server in servers {
        let deaths = seen.log.lines().filter_map(timed).filter(|(_, text)| text.starts_with(&format!("{server} died, "))).count();
        match lost_percent(&seen.stdout, workload, server) {
            Some(percent) if deaths == KILLS => figures.push(figure(row(server), percent, "%", LOSS_GOAL_PERCENT)),
            Some(_) => bench.misses(format!("{server} died {deaths} times, not {KILLS}")),
            None => bench.misses(format!("{} was not measured", row(server))),
        }
    }
    Ok(figures)
}

/// The rows that a server's deaths of a kind make.
fn restarts(log: &str, server: &str, kind: &str) -> Result<Vec<Figure>> {
    let (died, up, served) = (format!("{server} died, "), format!("{server} up, "), format!("{server} served, "));
    let enough = |what: &str, times: Vec<u64>| match times.len() {
        DEATHS.. => Ok(times),
        few => Err(Error::Refused(format!("bench {NAME}: {kind} of {server}: {what} {few} times of {DEATHS}"))),
    };
    let times = enough("a request was answered", spans_us(log, |text| text.starts_with(&died), |text| text.starts_with(&served)))?;
    let mut figures = vec![
        figure(format!("restart_{kind}_p50_{server}"), percentile(&times, 50), "us", P50_GOAL_US),
        figure(format!("restart_{kind}_p99_{server}"), percentile(&times, 99), "us", P99_GOAL_US),
    ];
    if kind == "hang" {
        let is_strike = |text: &str| text.starts_with("inject ") && text.contains(&format!(": {server} hang ")) && !text.contains(" is not possible");
        let found = enough("a hang was found", spans_us(log, is_strike, |text| text.starts_with(&died)))?;
        figures.push(figure(format!("restart_hang_found_{server}"), percentile(&found, 100), "us", DETECTION_GOAL_US));
    } else {
        let ups = enough("it came up", spans_us(log, |text| text.starts_with(&died), |text| text.starts_with(&up)))?;
        figures.push(figure(format!("restart_p50_{server}"), percentile(&ups, 50), "us", P50_GOAL_US));
        figures.push(figure(format!("restart_p99_{server}"), percentile(&ups, 99), "us", P99_GOAL_US));
    }
    Ok(figures)
}

fn figure(name: String, value: f64, unit: &'static str, goal: f64) -> Figure {
    Figure { name: name.into(), value, unit, goal: Some(goal), linux: None }
}

/// An overlay of services by which every server has its policy.
fn overlay(bench: &Bench<'_>, policy: impl Fn(&str) -> String) -> Result<std::path::PathBuf> {
    let folder = bench.workspace.built("bench").join(NAME);
    fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    let path = folder.join("overlay.toml");
    let text: String = SERVERS.iter().map(|server| format!("[[policy]]\nname = \"{server}\"\n{}", policy(server))).collect();
    fs::write(&path, text).map_err(Error::io("writing", &path))?;
    Ok(path)
}

/// The times from a line of the supervisor's to the next one of another kind, in microseconds, sorted. A begin that comes before the last one's end counts as one with it:
/// a successor that died too is a longer time without.
fn spans_us(log: &str, is_begin: impl Fn(&str) -> bool, is_end: impl Fn(&str) -> bool) -> Vec<u64> {
    let mut begun_us = None;
    let mut spans = Vec::new();
    for (at_us, text) in log.lines().filter_map(timed) {
        if is_begin(text) {
            begun_us.get_or_insert(at_us);
        } else if is_end(text) {
            spans.extend(begun_us.take().map(|begun_us| at_us - begun_us));
        }
    }
    spans.sort_unstable();
    spans
}

/// The time and the text of a line such as `[supervisor]   1088.453 ms: vfs died, ...`.
fn timed(line: &str) -> Option<(u64, &str)> {
    let (time, text) = line.strip_prefix("[supervisor]")?.trim_start().split_once(" ms: ")?;
    let us = time.replace('.', "").parse().ok()?;
    Some((us, text))
}

/// The smallest of the sorted values that is not below so many of a hundred of them.
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let nth = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(nth - 1).copied().unwrap_or_default() as f64
}

/// How much less of a workload was done while a server was killed than while none was, rounded to a tenth.
fn lost_percent(printed: &str, workload: &str, server: &str) -> Option<f64> {
    let rounds = |name: &str| -> Option<f64> {
        let prefix = format!("bench: {workload}_{name} ");
        printed.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
    };
    let (whole, part) = (rounds("none").filter(|whole| *whole > 0.0)?, rounds(server)?);
    Some(((whole - part) * 1000.0 / whole).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::{lost_percent, percentile, restarts, rows_of, spans_us};

    const LOG: &str = "\
[supervisor]    100.000 ms: vfs up, instance 1, 90 us after its start
[supervisor]    199.500 ms: inject 1: vfs hang at work: at 0x4134c7
[supervisor]    200.500 ms: vfs died, instance 1: hung
[supervisor]    200.600 ms: posix died, instance 1: hung
[supervisor]    207.000 ms: vfs up, instance 2, 5000 us after its start
[supervisor]    208.000 ms: vfs served, instance 2
[posix] vfs died, instance 7
[supervisor]   1000.000 ms: vfs died, instance 2: hung
[supervisor]   1003.007 ms: vfs up, instance 3, 2000 us after its start
[supervisor]   1005.000 ms: vfs died, instance 3: hung
[supervisor]   1008.000 ms: vfs up, instance 4, 2000 us after its start
[supervisor]   1009.000 ms: vfs served, instance 4
";

    #[test]
    fn times_are_read_from_the_supervisors_lines() {
        let spans = |begin: &str, end: &str| spans_us(LOG, |text| text.starts_with(begin), |text| text.starts_with(end));
        assert_eq!(spans("vfs died, ", "vfs up, "), [3000, 3007, 6500]);
        assert_eq!(spans("vfs died, ", "vfs served, "), [7500, 9000], "a successor that dies unasked is no end");
        assert_eq!(spans("posix died, ", "posix up, "), [0; 0]);
    }

    #[test]
    fn rows_have_names_by_kind_and_server_and_too_few_deaths_have_none() {
        let rows = |kind| {
            let rows = restarts(&LOG.repeat(50), "vfs", kind).expect("deaths enough");
            rows.into_iter().map(|row| format!("{} {}", row.name, row.value)).collect::<Vec<_>>()
        };
        assert_eq!(rows("panic"), ["restart_panic_p50_vfs 7500", "restart_panic_p99_vfs 9000", "restart_p50_vfs 3007", "restart_p99_vfs 6500"]);
        assert!(restarts(LOG, "vfs", "panic").is_err_and(|why| why.to_string().contains("2 times of 100")));
        let found = restarts(&LOG.repeat(50), "vfs", "hang");
        assert!(found.is_err_and(|why| why.to_string().contains("a hang was found 50 times")), "one of two deaths was a strike's");
        let hangs = restarts(&LOG.repeat(100), "vfs", "hang").expect("deaths enough");
        assert_eq!(hangs.iter().map(|row| row.name.as_ref()).collect::<Vec<_>>(), rows_of("vfs", "hang"));
        let panics = restarts(&LOG.repeat(50), "vfs", "panic").expect("deaths enough");
        assert_eq!(panics.iter().map(|row| row.name.as_ref()).collect::<Vec<_>>(), rows_of("vfs", "panic"), "the rows that can be asked for");
        assert_eq!(hangs.last().map(|row| (row.name.as_ref(), row.value)), Some(("restart_hang_found_vfs", 1000.0)));
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!([percentile(&values, 50), percentile(&values, 99)], [50.0, 99.0]);
    }

    #[test]
    fn loss_is_against_the_undisturbed_rounds_of_the_same_work() {
        let printed = "bench: file_none 80\nbench: file_vfs 74\nbench: pipe_none 10\n";
        assert_eq!(lost_percent(printed, "file", "vfs"), Some(7.5));
        assert_eq!([lost_percent(printed, "pipe", "vfs"), lost_percent(printed, "file", "posix")], [None, None]);
    }
}
