//! All short histories with all crashes: bounded exhaustive exploration of the real code.
//!
//! [`restart`] is callers' retry loops side by side, the kernel's delivery and death of servers, and a server with lanes, all real, over the
//! kernel's machine of plain memory, with one death at any point, or two where one caller is alone; and the same with two servers, of which the first asks the second. [`files`] is
//! the file server over every short sequence of operations, dead at every store of each, and in the recovery after it. A model goes through its least
//! bound however long that takes, and on to larger ones while there is time; it says which bounds it has been through, and a bound that was cut short does
//! not count. At the least bound everything follows from the code, so a model that finds less there than `Model::least` has lost a part of what it is to
//! try, and fails.

mod choices;
pub mod files;
pub mod restart;

use std::time::{Duration, Instant};

/// What a model went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Histories: what is asked, without any crash.
    pub histories: u64,
    /// Runs, one for each way of crashing.
    pub runs: u64,
    /// Different states in which something died.
    pub states: u64,
    /// The last bound up to which all was tried: operations in a sequence, or what a model calls its steps.
    pub bound: usize,
}

impl Explored {
    /// Whether this is as much as `least`.
    fn covers(&self, least: &Self) -> bool {
        self.histories >= least.histories && self.runs >= least.runs && self.states >= least.states && self.bound >= least.bound
    }
}

/// Explores all of a bound. It stops when the function says no, and tells whether it came to its end.
type Explore = fn(bound: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String>;

/// A model.
struct Model {
    name: &'static str,
    what: &'static str,
    explore: Explore,
    /// What everything up to the least bound comes to, at least.
    least: Explored,
    /// No larger one is tried.
    most: usize,
}

const MODELS: [Model; 3] = [
    Model {
        name: "restart",
        what: "retry loop, kernel and lanes, two callers side by side with one death, one with two",
        explore: restart::explore,
        least: Explored { histories: 4, runs: 2245, states: 123, bound: 3 },
        most: 5,
    },
    Model {
        name: "restart-of-two",
        what: "the same with two servers in a row, either dead at any point",
        explore: restart::explore_two,
        least: Explored { histories: 4, runs: 8106, states: 194, bound: 3 },
        most: 5,
    },
    Model {
        name: "files",
        what: "vfs, a death at every store, and in the recovery after it",
        explore: files::explore,
        least: Explored { histories: 12, runs: 4038, states: 4, bound: 1 },
        most: 4,
    },
];

/// Explores for `time`, which the models share; how many failures there were.
///
/// # Errors
/// None: the signature is that of its like.
pub fn run(time: Duration) -> Result<usize, String> {
    let share = time / u32::try_from(MODELS.len()).unwrap_or(u32::MAX);
    let mut failures = 0;
    for model in &MODELS {
        let started = Instant::now();
        let go_on = || started.elapsed() < share;
        match explored(model, &go_on) {
            Ok(explored) => {
                let Explored { histories, runs, states, bound } = explored;
                println!("models: {}: {histories} histories, {runs} runs, {states} states, all up to bound {bound} ({})", model.name, model.what);
            }
            Err(why) => {
                println!("models: {}: {why}", model.name);
                failures += 1;
            }
        }
    }
    Ok(failures)
}

fn explored(model: &Model, go_on: &dyn Fn() -> bool) -> Result<Explored, String> {
    let mut explored = Explored::default();
    for length in 1..=model.most {
        let always = || true;
        let go_on = if length <= model.least.bound { &always } else { go_on };
        if !(model.explore)(length, go_on, &mut explored)? {
            break;
        }
        explored.bound = length;
        if length == model.least.bound && !explored.covers(&model.least) {
            return Err(format!("only {explored:?}, where there was {:?}", model.least));
        }
    }
    if explored.bound < model.least.bound {
        return Err(format!("it stopped by itself before its least bound: {explored:?}"));
    }
    Ok(explored)
}

/// Calls `visit` with all sequences of `length` numbers below `choices`, until it wants no more; whether it had all.
fn sequences(length: usize, choices: usize, mut visit: impl FnMut(&[usize]) -> Result<bool, String>) -> Result<bool, String> {
    let mut sequence = vec![0; length];
    loop {
        if !visit(&sequence)? {
            return Ok(false);
        }
        let Some(place) = sequence.iter().rposition(|choice| choice + 1 < choices) else { return Ok(true) };
        sequence[place] += 1;
        sequence[place + 1..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_all_there_once() {
        let mut seen = Vec::new();
        let complete = sequences(3, 2, |sequence| {
            seen.push(sequence.to_vec());
            Ok(true)
        });
        seen.dedup();
        assert_eq!((complete, seen.len(), seen.last()), (Ok(true), 8, Some(&vec![1, 1, 1])));
        assert_eq!(sequences(3, 2, |_| Ok(false)), Ok(false));
    }

    /// A moment of each, which must end well; `cargo xtask soak models` goes to the bounds.
    #[test]
    fn every_model_explores_and_finds_nothing_wrong() {
        for model in &MODELS {
            let started = Instant::now();
            let mut explored = Explored::default();
            let moment = || started.elapsed() < Duration::from_secs(1);
            let complete = (model.explore)(1, &moment, &mut explored);
            assert!(complete.is_ok() && explored.runs > 0, "{}: {complete:?} {explored:?}", model.name);
        }
    }

    /// A model of which each sequence is two runs and finds a state.
    fn plain(length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
        sequences(length, 3, |_| {
            *explored = Explored { histories: explored.histories + 1, runs: explored.runs + 2, states: explored.states + 1, ..*explored };
            Ok(go_on())
        })
    }

    #[test]
    fn model_that_lost_a_part_or_its_least_bound_fails() {
        const ALL: Explored = Explored { histories: 12, runs: 24, states: 12, bound: 2 };
        let explored = |explore, least| explored(&Model { name: "", what: "", explore, least, most: 3 }, &|| false);
        assert_eq!(explored(plain, ALL).map(|explored| explored.bound), Ok(2));
        for more in [Explored { histories: 13, ..ALL }, Explored { runs: 25, ..ALL }, Explored { states: 13, ..ALL }] {
            assert_eq!(explored(plain, more), Err(format!("only {ALL:?}, where there was {more:?}")));
        }
        assert!(explored(|_, _, _| Ok(false), ALL).is_err_and(|why| why.starts_with("it stopped by itself")));
    }
}
