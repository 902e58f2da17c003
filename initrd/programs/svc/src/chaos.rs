//! Crashes servers at random, and sees whether they come back.
//!
//! The order is the seed's alone (SplitMix64), so a run can be had again. A server counts as recovered when it is up in a later instance than the one that was
//! crashed; a hang is found by its watchdog, so that is waited for. One server at a time: the rate is how many are begun a second at most.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::show::quoted;
use crate::{Outcome, print, proc};

/// What `chaos help` says.
pub(crate) const HELP: &str = "\
usage: chaos [--json] [--rate N] [--servers all|A,B] [--seconds N] [--seed N]
crashes N servers a second at random (1), of all or those named, for so many seconds (60), in the seed's order (1), and reports;
the status is 0 when all came back. Who dies more often than its policy has for its burst is given up (svc status NAME)
";
const WAYS: [&str; 4] = ["panic", "wild", "overflow", "hang"];
/// How long a server may take to come back: the watchdog's 5 s, the longest pause of 10 s, and as much again.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    rate: f64,
    servers: Vec<String>,
    seconds: u64,
    seed: u64,
}

impl Options {
    /// Reads `--rate 1 --servers all --seconds 60 --seed 1`, each of which may be left out.
    pub(crate) fn parse(words: &[&str]) -> Outcome<Self> {
        let mut options = Self { rate: 1.0, servers: Vec::new(), seconds: 60, seed: 1 };
        for pair in words.chunks(2) {
            match pair {
                ["--rate", rate] => options.rate = number("--rate", rate)?,
                ["--servers", "all"] => options.servers.clear(),
                ["--servers", names] => options.servers = names.split(',').map(str::to_owned).collect(),
                ["--seconds", seconds] => options.seconds = number("--seconds", seconds)?,
                ["--seed", seed] => options.seed = number("--seed", seed)?,
                [option @ ("--rate" | "--servers" | "--seconds" | "--seed")] => return Err(format!("{option} needs a value").into()),
                other => return Err(format!("{} is no option; chaos help has them", other.join(" ")).into()),
            }
        }
        if !(options.rate > 0.0 && options.rate <= 1000.0) {
            return Err(format!("--rate {}: more than 0 and at most 1000 a second", options.rate).into());
        }
        Ok(options)
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Outcome<T> {
    text.parse().map_err(|_| format!("{name} takes a number, and {text} is none").into())
}

/// One crash and what came of it.
struct Injected {
    server: String,
    how: &'static str,
    took: Option<Duration>,
}

/// Runs, and reports. Fails when a server did not come back.
pub(crate) fn run(options: &Options, json: bool) -> Outcome<ExitCode> {
    let servers = chosen(&options.servers)?;
    let mut random = options.seed;
    let pause = Duration::from_secs_f64(1.0 / options.rate);
    let (end, mut next) = (Instant::now() + Duration::from_secs(options.seconds), Instant::now());
    let mut injected = Vec::new();
    while Instant::now() < end {
        let server = pick(&servers, &mut random).ok_or("there are no servers")?;
        let how = *pick(&WAYS, &mut random).ok_or("there is no way")?;
        injected.push(inject(server, how)?);
        next += pause;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    print(&report(&injected, options, json))?;
    Ok(if injected.iter().all(|one| one.took.is_some()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(names: &[String]) -> Outcome<Vec<String>> {
    let all: Vec<String> = proc::services()?.into_iter().map(|service| service.name).collect();
    if names.is_empty() {
        return Ok(all);
    }
    match names.iter().find(|name| !all.contains(name)) {
        Some(unknown) => Err(format!("there is no server called {unknown}").into()),
        None => Ok(names.to_vec()),
    }
}

fn instance(server: &str) -> Outcome<(u64, bool)> {
    let services = proc::services()?;
    let found = services.iter().find(|service| service.name == server).ok_or("the server is gone from the list")?;
    Ok((found.number("instance"), found.get("state") == "up"))
}

fn inject(server: &str, how: &'static str) -> Outcome<Injected> {
    let (before, _) = instance(server)?;
    let start = Instant::now();
    proc::command(&format!("crash {server} {how}"))?;
    let mut took = None;
    while took.is_none() && start.elapsed() < PATIENCE {
        let (now, up) = instance(server)?;
        if now > before && up {
            took = Some(start.elapsed());
        } else {
            std::thread::sleep(POLL);
        }
    }
    Ok(Injected { server: server.to_owned(), how, took })
}

fn pick<'a, T>(from: &'a [T], random: &mut u64) -> Option<&'a T> {
    let index = next_random(random).checked_rem(from.len() as u64)?;
    from.get(index as usize)
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

fn report(injected: &[Injected], options: &Options, json: bool) -> String {
    let recovered = injected.iter().filter(|one| one.took.is_some()).count();
    let slowest = injected.iter().filter_map(|one| one.took).max().unwrap_or_default().as_millis();
    let mut pairs: Vec<(&str, &str)> = injected.iter().map(|one| (one.server.as_str(), one.how)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let rows: Vec<(&str, &str, usize, usize, u128)> = pairs
        .into_iter()
        .map(|(server, how)| {
            let same: Vec<&Injected> = injected.iter().filter(|one| one.server == server && one.how == how).collect();
            let times: Vec<u128> = same.iter().filter_map(|one| one.took).map(|took| took.as_millis()).collect();
            (server, how, same.len(), times.len(), times.into_iter().max().unwrap_or(0))
        })
        .collect();
    if json {
        let rows = rows.iter().map(|(server, how, count, back, most)| {
            format!("{{\"server\":{},\"how\":{},\"injected\":{count},\"recovered\":{back},\"slowest_ms\":{most}}}", quoted(server), quoted(how))
        });
        let rows = rows.collect::<Vec<_>>().join(",");
        let count = injected.len();
        return format!("{{\"seed\":{},\"injected\":{count},\"recovered\":{recovered},\"slowest_ms\":{slowest},\"rows\":[{rows}]}}\n", options.seed);
    }
    let mut text = format!("{:<14}{:<10}{:>10}{:>10}{:>12}\n", "SERVER", "HOW", "INJECTED", "RECOVERED", "SLOWEST");
    for (server, how, count, back, most) in rows {
        text.push_str(&format!("{server:<14}{how:<10}{count:>10}{back:>10}{:>12}\n", format!("{most}ms")));
    }
    text.push_str(&format!("seed {}: {} injected, {recovered} recovered, slowest {slowest} ms\n", options.seed, injected.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::{Injected, Options, WAYS, next_random, pick, report};
    use std::time::Duration;

    #[test]
    fn options_have_defaults_and_are_checked() {
        let options = Options::parse(&["--rate", "0.5", "--servers", "vfs,posix", "--seed", "9"]).expect("good ones");
        assert_eq!(options, Options { rate: 0.5, servers: vec!["vfs".into(), "posix".into()], seconds: 60, seed: 9 });
        for (wrong, says) in [
            (&["--rate", "0"][..], "--rate 0: more than 0 and at most 1000 a second"),
            (&["--rate", "nan"], "--rate NaN: more than 0 and at most 1000 a second"),
            (&["--seconds", "x"], "--seconds takes a number, and x is none"),
            (&["--seed", "-1"], "--seed takes a number, and -1 is none"),
            (&["--speed", "1"], "--speed 1 is no option; chaos help has them"),
            (&["vfs"], "vfs is no option; chaos help has them"),
            (&["--rate", "2", "--seed"], "--seed needs a value"),
        ] {
            assert_eq!(Options::parse(wrong).map_err(|error| error.to_string()), Err(says.to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn seed_decides_the_order() {
        let order = |mut seed: u64| (0..8).filter_map(|_| pick(&WAYS, &mut seed).copied()).collect::<Vec<_>>();
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        // The generator's published first value for seed 0.
        assert_eq!(next_random(&mut 0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn report_counts_what_did_not_come_back() {
        let one = |took: Option<u64>| Injected { server: "vfs".into(), how: "wild", took: took.map(Duration::from_millis) };
        let options = Options::parse(&[]).expect("none");
        let text = report(&[one(Some(3)), one(None), one(Some(9))], &options, false);
        assert!(text.ends_with("seed 1: 3 injected, 2 recovered, slowest 9 ms\n"), "{text}");
        assert!(
            report(&[one(Some(3))], &options, true).contains("{\"server\":\"vfs\",\"how\":\"wild\",\"injected\":1,\"recovered\":1,\"slowest_ms\":3}")
        );
    }
}
