//! `restart`: for how long nobody serves when a server dies, and what that costs programs.
//!
//! Both under `--icount`, where an instruction is a nanosecond of guest time. The times are the supervisor's own, of deaths at instructions that its
//! injector chose: from the death to the successor's word that it is up, which is when the endpoint opens and waiting callers are served. The loss is that
//! of a shell that makes files and pipes for a while, with a server killed once a second, against the same while without deaths. Linux has no such figures.

use std::fs;

use super::counted;
use super::{Bench, Figure};
use crate::build::ImageOptions;
use crate::error::{Error, Result};

pub(super) const NAME: &str = "restart";
/// Deaths of each server.
const DEATHS: usize = 100;
/// A server, and the names of its rows.
const SERVERS: [(&str, &str, &str, &str); 4] = [
    ("console", "restart_p50_console", "restart_p99_console", "restart_loss_console"),
    ("memory", "restart_p50_memory", "restart_p99_memory", "restart_loss_memory"),
    ("posix", "restart_p50_posix", "restart_p99_posix", "restart_loss_posix"),
    ("vfs", "restart_p50_vfs", "restart_p99_vfs", "restart_loss_vfs"),
];
const P50_GOAL_US: f64 = 10_000.0;
const P99_GOAL_US: f64 = 100_000.0;
const LOSS_GOAL_PERCENT: f64 = 10.0;
/// Whoever is killed on purpose is not in a loop.
const POLICY: &str = "burst = 255\nbackoff_ms = [1, 1]\n";
/// Work until the injector turns the power off.
const ENDLESS: &str = "while :; do seq 1 100 | cat > /tmp/file; sort -r /tmp/file | tail -n 1; rm /tmp/file; done\n";
/// Rounds of work in two seconds, first undisturbed and then with each server killed in the middle of each second.
const LOSS: &str = r#"
now() { read -r up rest < /proc/uptime; echo $((${up%.*} * 100 + 1${up#*.} - 100)); }
rounds() {
    end=$(($(now) + 200)); count=0
    while [ $(now) -lt $end ]; do
        seq 1 100 | cat > /tmp/file; sort -r /tmp/file | tail -n 1 > /dev/null; rm /tmp/file
        count=$((count + 1))
    done
    echo "bench: rounds_$1 $count"
}
rounds none
for server in console memory posix vfs; do
    (sleep 0.5; /usr/bin/svc crash $server panic; sleep 1; /usr/bin/svc crash $server panic) &
    rounds $server
    wait
done
"#;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (server, p50, p99, _) in SERVERS {
        let option = vec![format!("inject=1:{DEATHS}:{server}:panic")];
        let seen = counted::boot(bench.workspace, NAME, ENDLESS, ImageOptions { option, services: Some(policy(bench)?), ..ImageOptions::default() })?;
        let downs = downs_us(&seen.log, server);
        if downs.len() < DEATHS {
            return Err(Error::Refused(format!("bench {NAME}: {server} came back {} times of {DEATHS}", downs.len())));
        }
        figures.push(figure(p50, percentile(&downs, 50), "us", P50_GOAL_US));
        figures.push(figure(p99, percentile(&downs, 99), "us", P99_GOAL_US));
    }
    let seen = counted::boot(bench.workspace, NAME, LOSS, ImageOptions { services: Some(policy(bench)?), ..ImageOptions::default() })?;
    for (server, _, _, loss) in SERVERS {
        match lost_percent(&seen.stdout, server) {
            Some(percent) => figures.push(figure(loss, percent, "%", LOSS_GOAL_PERCENT)),
            None => eprintln!("bench: {loss} was not measured"),
        }
    }
    Ok(figures)
}

fn figure(name: &'static str, value: f64, unit: &'static str, goal: f64) -> Figure {
    Figure { name, value, unit, goal: Some(goal), linux: None }
}

/// An overlay of services by which nobody is given up.
fn policy(bench: &Bench<'_>) -> Result<std::path::PathBuf> {
    let folder = bench.workspace.built("bench").join(NAME);
    fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    let path = folder.join("overlay.toml");
    let text: String = SERVERS.iter().map(|(server, ..)| format!("[[policy]]\nname = \"{server}\"\n{POLICY}")).collect();
    fs::write(&path, text).map_err(Error::io("writing", &path))?;
    Ok(path)
}

/// The times without a server in the supervisor's log, in microseconds, sorted.
fn downs_us(log: &str, server: &str) -> Vec<u64> {
    let mut died_us = None;
    let mut downs = Vec::new();
    for (at_us, text) in log.lines().filter_map(timed) {
        let event = text.strip_prefix(server).unwrap_or_default();
        if event.starts_with(" died, ") {
            died_us = Some(at_us);
        } else if event.starts_with(" up, ") {
            downs.extend(died_us.take().map(|died_us| at_us - died_us));
        }
    }
    downs.sort_unstable();
    downs
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

/// How much less was done while a server was killed than while none was, rounded to a tenth.
fn lost_percent(printed: &str, server: &str) -> Option<f64> {
    let rounds = |name: &str| -> Option<f64> {
        let prefix = format!("bench: rounds_{name} ");
        printed.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
    };
    let (whole, part) = (rounds("none").filter(|whole| *whole > 0.0)?, rounds(server)?);
    Some(((whole - part) * 1000.0 / whole).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::{downs_us, lost_percent, percentile};

    #[test]
    fn times_without_a_server_are_read_from_the_log() {
        let log = "\
[supervisor]    100.000 ms: vfs up, instance 1, 90 us after its start
[supervisor]    200.500 ms: vfs died, instance 1: hung
[supervisor]    200.600 ms: posix died, instance 1: hung
[supervisor]    207.000 ms: vfs up, instance 2, 5000 us after its start
[posix] vfs died, instance 7
[supervisor]   1000.000 ms: vfs died, instance 2: hung
[supervisor]   1003.007 ms: vfs up, instance 3, 2000 us after its start
";
        assert_eq!(downs_us(log, "vfs"), [3007, 6500]);
        assert_eq!(downs_us(log, "posix"), [0; 0]);
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!([percentile(&values, 50), percentile(&values, 99)], [50.0, 99.0]);
    }

    #[test]
    fn loss_is_against_the_undisturbed_rounds() {
        let printed = "bench: rounds_none 80\nbench: rounds_vfs 74\n";
        assert_eq!((lost_percent(printed, "vfs"), lost_percent(printed, "posix")), (Some(7.5), None));
    }
}
