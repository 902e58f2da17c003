//! All short histories with all crashes: bounded exhaustive exploration of the real code.
//!
//! [`restart`] is a caller's retry loop, the kernel's delivery and death of servers, and a server with lanes, all real, over the
//! kernel's machine of plain memory, with up to two deaths at any point; and the same with two servers, of which the first asks the second. [`files`] is the file server over every short sequence of
//! operations, dead at every store of each, and in the recovery after it. A model goes on to a longer bound while there is
//! time, and says which bounds it has been through; a bound that was cut short does not count.

pub mod files;
pub mod restart;

use std::time::{Duration, Instant};

/// What a model went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Sequences of operations, without any crash.
    pub histories: u64,
    /// Runs, one for each way of crashing.
    pub runs: u64,
    /// Different states in which something died.
    pub states: u64,
    /// The longest sequences of which all were tried.
    pub bound: usize,
}

/// Explores all sequences of exactly so many operations. It stops when the function says no, and tells whether it came to its end.
type Explore = fn(length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String>;

/// A model.
struct Model {
    name: &'static str,
    what: &'static str,
    explore: Explore,
    /// No longer ones are tried.
    most: usize,
}

const MODELS: [Model; 3] = [
    Model { name: "restart", what: "retry loop, kernel and lanes, up to two deaths", explore: restart::explore, most: 4 },
    Model {
        name: "restart-of-two",
        what: "the same with two servers in a row, either dead at any point, up to two deaths",
        explore: restart::explore_two,
        most: 3,
    },
    Model { name: "files", what: "vfs, a death at every store, and in the recovery after it", explore: files::explore, most: 4 },
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
                println!(
                    "models: {}: {histories} histories, {runs} runs, {states} states, all of up to {bound} operations ({})",
                    model.name, model.what
                );
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
        if !(model.explore)(length, go_on, &mut explored)? {
            break;
        }
        explored.bound = length;
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
}
