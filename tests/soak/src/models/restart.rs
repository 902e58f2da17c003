//! The restart protocol: [`protocols::call::call`] above, the kernel on its machine of plain memory below, and servers that keep a sum and
//! the results of their requests in saved state ([`libsys::lane`]).
//!
//! A history is how many requests each of two callers makes. A run is a history with an order of everything that has none: callers call side by side, so a
//! call may come at any point of another one's work, and wait in the kernel's queue, there too while a server is dead; and at most two die (`STEPS`). Servers
//! stand in a row: the first asks the second under a number derived from its caller's before it does its own work. Whoever is in the middle of something
//! may die at every *point*: when a request has been sent but not received, when it was received, at each store to saved memory of the work and of the
//! recovery, and when the work is done but not answered; and so may, at the points between stores, whoever waits for it, a caller too. After the last death
//! the server comes back or is given up. What must hold is in `verdict`; the kernel's own invariants are checked by `World` after every trap. There is no
//! state of the protocol here: what callers and servers know is what the real code keeps.
//!
//! A run cannot be told from another by a state that both come to, because what the kernel keeps counts up for ever; so it is not states that are gone
//! through, but runs, all of them (`Choices`).
//!
//! `Bug` names what the model must not miss; its tests plant each.

mod client;
mod run;
mod verdict;

use std::collections::HashSet;

use super::Explored;
use super::choices::Choices;
use run::{Run, Seen};

/// Servers in a row at most.
const MOST_DEPTH: usize = 2;
const CALLERS: usize = 2;
/// What a request adds is a power of this, which is more than it can be done.
const BASE: u64 = 16;

/// What runs may have.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Servers in a row.
    depth: usize,
    /// Deaths at most.
    deaths: usize,
    /// Requests of all callers together.
    requests: usize,
}

/// What servers and callers may get wrong, for the model to be tried on.
#[cfg_attr(not(test), allow(dead_code, reason = "only tests plant them"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// Nothing.
    None,
    /// A server does not look whether it has done a request already.
    NoCheck,
    /// A request's result is committed after its effect and not with it.
    ResultApart,
    /// A caller makes two requests under one number.
    NumberReused,
    /// The first server asks the second under a number of its own.
    NumberNotDerived,
    /// A server remembers what it did last, and nothing for callers before.
    OneResult,
    /// What is dead is stopped and keeps what it had, the authority to answer too.
    NotKilled,
}

/// Requests and deaths by step: those of one caller alone, of two side by side, and then with a second death.
const STEPS: [(usize, usize); 5] = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2)];

/// All runs of a step, counted from 1, with one server.
pub(super) fn explore(step: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    explore_all(bounds(1, step), Bug::None, |_| go_on(), explored)
}

/// The same with a second server behind the first.
pub(super) fn explore_two(step: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    explore_all(bounds(2, step), Bug::None, |_| go_on(), explored)
}

fn bounds(depth: usize, step: usize) -> Bounds {
    let (requests, deaths) = STEPS[step - 1];
    Bounds { depth, deaths, requests }
}

/// Whether all were gone through; `go_on` is asked after each run, with what was seen in it.
fn explore_all(bounds: Bounds, bug: Bug, mut go_on: impl FnMut(&Seen) -> bool, explored: &mut Explored) -> Result<bool, String> {
    let mut states: HashSet<u64> = HashSet::new();
    let mut was_stopped = false;
    // Callers are alike, so the first one asks at least as often as the other. Calls side by side come first.
    for second in (0..=bounds.requests / CALLERS).rev() {
        if was_stopped {
            break;
        }
        let asked = [bounds.requests - second, second];
        explored.histories += 1;
        let mut choices = Choices::default();
        while !was_stopped {
            let mut run = Run::new(bounds, asked, bug, &mut choices);
            let verdict = run.play();
            states.extend(&run.died_in);
            was_stopped = !go_on(&run.seen);
            drop(run);
            verdict.map_err(|why| format!("requests {asked:?}, choices {:?}: {why}", choices.answers()))?;
            explored.runs += 1;
            if !choices.advance() {
                break;
            }
        }
    }
    explored.states += states.len() as u64;
    Ok(!was_stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_fall_where_the_protocol_is_needed() {
        for depth in 1..=MOST_DEPTH {
            let (mut was_done_before, mut client_died, mut told) = (false, false, false);
            let visit = |seen: &Seen| {
                was_done_before |= seen.was_done_before;
                client_died |= seen.client_died;
                told |= seen.told;
                true
            };
            assert_eq!(explore_all(bounds(depth, 1), Bug::None, visit, &mut Explored::default()), Ok(true));
            assert!(was_done_before, "none fell between the commit and the answer");
            assert!(client_died && told);
        }
    }

    #[test]
    fn each_server_dies_and_both_die_in_one_run() {
        let mut missing = vec![vec![2, 0], vec![0, 2], vec![1, 1]];
        let visit = |seen: &Seen| {
            missing.retain(|deaths| *deaths != seen.deaths);
            !missing.is_empty()
        };
        assert!(explore_all(bounds(2, 3), Bug::None, visit, &mut Explored::default()).is_ok());
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn callers_overtake_each_other_while_a_server_is_dead() {
        let mut overtaken = false;
        let visit = |seen: &Seen| {
            overtaken |= seen.overtaken;
            !overtaken
        };
        assert!(explore_all(bounds(1, 2), Bug::None, visit, &mut Explored::default()).is_ok() && overtaken);
    }

    /// The model is worth nothing if it does not notice.
    #[test]
    fn planted_bugs_are_found() {
        let find = |depth, bug| (1..=2).any(|step| explore_all(bounds(depth, step), bug, |_| true, &mut Explored::default()).is_err());
        for bug in [Bug::NoCheck, Bug::ResultApart, Bug::NumberReused, Bug::OneResult, Bug::NotKilled] {
            assert!(find(1, bug), "{bug:?}");
        }
        assert!(find(2, Bug::NumberNotDerived));
        assert!(find(2, Bug::NoCheck) && find(2, Bug::ResultApart));
    }
}
