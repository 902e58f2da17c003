//! Running cases on SynOS, as many as possible in one boot.
//!
//! A case that brings the system down costs only itself: those after it get another boot. The number of boots is bounded, so that a
//! system that falls over everything does not cost an hour.

use std::collections::BTreeMap;

use super::{DRIVER, Output, frames, staged::Staged};
use crate::Boot;

/// Most boots for one list of cases.
const MOST_BOOTS: u32 = 6;
/// Time-out of a boot: a part for starting, and one for each case.
const START_SECONDS: u32 = 60;
const CASE_SECONDS: u32 = 15;
/// A case alone may be a long one; the driver ends it before this is over.
const LEAST_SECONDS: u32 = 180;

/// What makes it harder for the system than a plain boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adversity {
    /// Nothing.
    None,
    /// vfs answers `Pending` at random, from this seed, and dies at `DEATHS`.
    Pending(u64),
}

/// Failpoints of vfs under [`Adversity::Pending`], one instance after the other, and at which passage each fires.
const DEATHS: [(&str, u32); 6] =
    [("open.effect", 12), ("write.record", 3), ("close.reply", 6), ("open.record", 9), ("open.reply", 5), ("close.intent", 8)];

/// What came of each case, or why nothing did.
pub type Results = BTreeMap<String, Result<Output, String>>;

/// Runs the cases `names`.
#[must_use]
pub fn run(names: &[String], adversity: Adversity) -> Results {
    run_by(names, |names| boot(names, adversity))
}

/// What a boot brought: the driver's output, and everything else that is known about it.
struct Brought {
    output: String,
    known: String,
}

fn boot(names: &[String], adversity: Adversity) -> Result<Brought, String> {
    let staged = Staged::lay_out(names)?;
    let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let seconds = CASE_SECONDS.saturating_mul(count).saturating_add(START_SECONDS).max(LEAST_SECONDS);
    let boot = Boot::new("cases").with("--add", format!("{}:/run", staged.guest().display())).within_seconds(seconds);
    let outcome = match adversity {
        Adversity::None => boot,
        Adversity::Pending(seed) => {
            // Much is done several times.
            let boot = boot.within_seconds(3 * seconds).with("--option", format!("vfs-pending={seed}"));
            DEATHS.iter().fold(boot, |boot, (point, nth)| boot.failing("vfs", point, *nth))
        }
    }
    .script(DRIVER);
    let known = outcome.to_string();
    // A case alone may be through before the later deaths.
    let deaths = if names.len() > 1 { DEATHS.len() } else { 1 };
    if adversity != Adversity::None && (outcome.deaths("vfs") < deaths || !outcome.log.contains("attempts put off")) {
        return Err(format!("vfs died less than {deaths} times or put nothing off: {known}"));
    }
    Ok(Brought { output: outcome.stdout, known })
}

fn run_by(names: &[String], mut boot: impl FnMut(&[String]) -> Result<Brought, String>) -> Results {
    let mut results = Results::new();
    let mut left = names.to_vec();
    let mut why = String::from("not run: too many boots ended early");
    for _ in 0..MOST_BOOTS {
        if left.is_empty() {
            break;
        }
        let brought = match boot(&left) {
            Ok(brought) => brought,
            Err(error) => {
                why = error;
                break;
            }
        };
        let told = frames::read(&brought.output);
        results.extend(told.cases);
        match told.unfinished {
            Some(name) => drop(results.insert(name, Err(format!("the system did not survive it: {}", brought.known)))),
            None if !told.complete => {
                why = format!("the driver did not run: {}", brought.known);
                break;
            }
            None => {}
        }
        left.retain(|name| !results.contains_key(name));
        if told.complete {
            why = String::from("the driver passed it over");
            break;
        }
    }
    results.extend(left.into_iter().map(|name| (name, Err(why.clone()))));
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| String::from(*name)).collect()
    }

    /// A system that ends in the middle of the cases `deadly`.
    fn system(deadly: &[&str], names: &[String]) -> Brought {
        let mut output = String::new();
        for name in names {
            output += &format!(":case {name}\n:stdout\n");
            if deadly.contains(&name.as_str()) {
                return Brought { output, known: "panic".into() };
            }
            output += ":stderr\n:status 0\n";
        }
        Brought { output: output + ":end\n", known: String::new() }
    }

    fn failed(results: &Results) -> Vec<&str> {
        results.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn one_boot_is_enough_for_a_system_that_stands() {
        let mut boots = 0;
        let results = run_by(&names(&["a", "b"]), |left| {
            boots += 1;
            Ok(system(&[], left))
        });
        assert_eq!((failed(&results), results.len(), boots), (vec![], 2, 1));
    }

    #[test]
    fn a_deadly_case_costs_only_itself() {
        let mut boots = 0;
        let results = run_by(&names(&["a", "b", "c", "d"]), |left| {
            boots += 1;
            Ok(system(&["b", "d"], left))
        });
        assert_eq!((failed(&results), boots), (vec!["b", "d"], 2));
    }

    #[test]
    fn boots_are_bounded_and_no_case_is_forgotten() {
        let all: Vec<String> = ('a'..='j').map(String::from).collect();
        let deadly: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut boots = 0;
        let results = run_by(&all, |left| {
            boots += 1;
            Ok(system(&deadly, left))
        });
        assert_eq!((results.len(), failed(&results).len(), boots), (all.len(), all.len(), MOST_BOOTS));
        let dead = run_by(&all, |_| Ok(Brought { output: "noise".into(), known: "time-out".into() }));
        assert!(dead["c"].as_ref().is_err_and(|why| why.contains("time-out")));
        assert_eq!(run_by(&all, |_| Err("no xtask".into()))["c"], Err("no xtask".into()));
    }
}
