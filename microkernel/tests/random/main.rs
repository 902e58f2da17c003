//! Long random programs of system calls, faults and interrupts from several processes; `World` checks every invariant after every step.
//!
//! A program is a list of seeds, one a step: what a step does follows from its seed and from the state it meets, so any part of a program is a
//! program, and one that fails is cut down before it is shown. The seeds are fixed. `SYNOS_RANDOM_SECONDS` gives it more time than the few
//! seconds that `cargo test` has, `SYNOS_RANDOM_SEED` another start.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod arguments;
mod dice;
mod play;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use dice::Dice;
use microkernel::fake::World;
use play::{Tally, opening, spread_opening, step};

/// Steps of one program.
const STEPS: usize = 600;
/// Time for all programs, unless the environment says otherwise.
const SECONDS: u64 = 8;
/// And so many of them, however long they take: what is found does not hang on how busy the machine is.
const LEAST: u32 = 40;
/// Programs whose every failure is compared with doing nothing.
const COMPARED: u64 = 8;
/// Runs that may be spent on cutting down a program that fails.
const CUTS: usize = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays a program on a copy of the opening; what went wrong, if something did.
fn play(opening: &World, program: &[u64], tally: &mut Tally) -> Result<(), String> {
    let mut world = opening.clone();
    for seed in program {
        catch_unwind(AssertUnwindSafe(|| step(&mut world, *seed, tally))).map_err(|reason| message(&*reason))?;
    }
    Ok(())
}

fn message(reason: &(dyn std::any::Any + Send)) -> String {
    let text = reason.downcast_ref::<String>().cloned();
    text.or_else(|| reason.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// A shorter program that still fails: parts are left out, ever smaller ones.
fn cut_down(opening: &World, program: &[u64]) -> Vec<u64> {
    let (mut program, mut part, mut runs) = (program.to_vec(), program.len() / 2, 0);
    while part > 0 && runs < CUTS {
        let mut start = 0;
        while start < program.len() && runs < CUTS {
            let mut shorter = program.clone();
            shorter.drain(start..(start + part).min(program.len()));
            runs += 1;
            if play(opening, &shorter, &mut Tally::default()).is_err() {
                program = shorter;
            } else {
                start += part;
            }
        }
        part /= 2;
    }
    program
}

#[test]
fn random_programs_break_no_invariant_and_never_panic() {
    run(&opening());
}

#[test]
fn random_programs_on_three_processors_do_neither() {
    run(&spread_opening(3));
}

/// Whatever an operation lacks (a slot, a page for a table, a place in a list, a right, a page of somebody's), it says so and has done nothing.
#[test]
fn operation_that_fails_changes_nothing() {
    let mut tally = Tally { compares_failures: true, ..Tally::default() };
    let opening = opening();
    for seed in 1..=COMPARED {
        let mut dice = Dice::new(seed);
        let program: Vec<u64> = (0..STEPS).map(|_| dice.next()).collect();
        tally.programs += 1;
        if let Err(why) = play(&opening, &program, &mut tally) {
            panic!("program {seed}: {why}");
        }
    }
    println!("{tally:?}");
    assert!(tally.is_varied(), "the programs do too little: {tally:?}");
}

fn run(opening: &World) {
    let end = Instant::now() + Duration::from_secs(number("SYNOS_RANDOM_SECONDS").unwrap_or(SECONDS));
    let first = number("SYNOS_RANDOM_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    // Panics are what is looked for: each is shown once, at the end.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut failure = None;
    for seed in first.. {
        let mut dice = Dice::new(seed);
        let program: Vec<u64> = (0..STEPS).map(|_| dice.next()).collect();
        tally.programs += 1;
        if play(opening, &program, &mut tally).is_err() {
            failure = Some((seed, cut_down(opening, &program)));
        }
        if failure.is_some() || tally.programs >= LEAST && Instant::now() > end {
            break;
        }
    }
    std::panic::set_hook(hook);
    if let Some((seed, program)) = failure {
        let mut shown = Tally { show: true, ..Tally::default() };
        let reason = play(opening, &program, &mut shown).unwrap_err();
        panic!("program {seed}, cut down to {} steps: {reason}", program.len());
    }
    println!("{tally:?}");
    assert!(tally.is_varied(), "the programs do too little: {tally:?}");
}
