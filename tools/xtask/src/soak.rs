//! `cargo xtask soak`: what takes longer than an ordinary run of the suite.
//!
//! `mutate` and `matrix` stand here, because they are about building and starting other things; `fuzz`, `models` and `chaos` are programs
//! over the system's own crates (`tests/soak`), which this compiles as each needs it and starts.

mod branches;
pub(crate) mod matrix;
pub(crate) mod mutate;
mod mutation;
pub(crate) mod program;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::build;
use crate::cargo::cargo;
use crate::error::{Error, Result};
use crate::workspace::Workspace;
use program::Program;

/// Faults from outside where nobody says how many.
const FAULTS: usize = 2000;
/// Seconds of each boot of random calls where nobody says how many.
const STRESS_SECONDS: u64 = 60;

/// Seconds of fuzzing whose ways are counted where nobody says how many.
const BRANCHES_SECONDS: u64 = 300;

/// Options of the command `soak`.
#[derive(Args, Debug)]
pub(crate) struct SoakOptions {
    /// What to do; everything when absent
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// Only the target, configuration, server or mutation of this name (mutations and servers may be several, separated by commas); who is struck by what (chaos:
    /// `vfs,posix+memory:jump`, `all:all` when absent)
    name: Option<String>,
    /// Chaos: strike servers by so many faults from outside
    #[arg(long, value_name = "N")]
    faults: Option<usize>,
    /// Begin nothing new after this time (60 when absent; mutate and matrix: to the end of their lists)
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Decides everything that is random; printed when not given
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Crashes: how often each server dies in each way
    #[arg(long, value_name = "N", default_value_t = 20)]
    times: usize,
    /// Run one input of a fuzz target again
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// A kind of soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Plant one-line bugs in the kernel, one by one: do its tests notice?
    Mutate,
    /// Foreign bytes to everything that reads them
    Fuzz,
    /// Which ways of the kernel's slow path fuzzing takes, and which it never does
    Branches,
    /// Kill servers in a running system, at failpoints and from outside, and compare all output
    Chaos,
    /// The suite's core on every kind of machine
    Matrix,
    /// All short histories with all crashes
    Models,
    /// Every server dies in every way, so many times each, under a load in which nobody may notice
    Crashes,
    /// Random calls of many processes and threads on 2 and 4 processors, with and without deaths of servers, which check themselves
    Stress,
}

impl Kind {
    const ALL: [Self; 8] = [Self::Mutate, Self::Fuzz, Self::Branches, Self::Chaos, Self::Matrix, Self::Models, Self::Crashes, Self::Stress];
}

/// The command `soak`.
pub(crate) fn run(workspace: &Workspace, options: &SoakOptions) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(seed_of_now);
    eprintln!("soak: --seed {seed}");
    let kinds = options.kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
    let has_names = |kind: Kind| match kind {
        Kind::Mutate | Kind::Fuzz | Kind::Matrix | Kind::Crashes => true,
        Kind::Chaos => options.faults.is_some(),
        Kind::Models | Kind::Stress | Kind::Branches => false,
    };
    if options.name.is_some() && !options.kind.is_some_and(has_names) {
        let names =
            "a name is a mutation's, a target's, a machine's or a list of victims: soak mutate|fuzz|matrix|crashes NAME, soak chaos NAME --faults N";
        return Err(Error::Refused(names.into()));
    }
    let mut good = true;
    for kind in kinds {
        good &= soak(workspace, options, kind, seed)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one kind; whether all was well.
fn soak(workspace: &Workspace, options: &SoakOptions, kind: Kind, seed: u64) -> Result<bool> {
    let (time, name) = (options.seconds.map(Duration::from_secs), options.name.as_deref());
    match kind {
        Kind::Mutate => mutate::run(workspace, name, time, seed),
        Kind::Matrix => matrix::run(workspace, name, time, seed),
        Kind::Fuzz => Program::Fuzz.run(workspace, name, options.input.as_deref(), options.seconds, seed),
        Kind::Branches => branches::run(workspace, options.seconds.unwrap_or(BRANCHES_SECONDS), seed),
        Kind::Crashes => crashes(workspace, options),
        Kind::Stress => stress(workspace, options.seconds.unwrap_or(STRESS_SECONDS), seed),
        Kind::Models => Program::Models.run(workspace, None, None, options.seconds, seed),
        Kind::Chaos if options.faults.is_some() || options.seconds.is_some() => chaos(workspace, options, seed),
        Kind::Chaos => {
            let failpoints = Program::Chaos.run(workspace, None, None, None, seed)?;
            Ok(Program::faults(workspace, None, FAULTS, seed)? && failpoints)
        }
    }
}

/// One of the two kinds of chaos.
fn chaos(workspace: &Workspace, options: &SoakOptions, seed: u64) -> Result<bool> {
    match options.faults {
        Some(count) => Program::faults(workspace, options.name.as_deref(), count, seed),
        None => Program::Chaos.run(workspace, None, None, options.seconds, seed),
    }
}

/// The suite's test of deaths under load, with as many as are asked for.
fn crashes(workspace: &Workspace, options: &SoakOptions) -> Result<bool> {
    build::warm(workspace)?;
    let mut command = cargo(workspace, "test");
    workspace.introduce(&mut command);
    command.args(["-p", "tests", "--test", "crashes", "--", "--nocapture"]);
    command.env("SYNOS_CRASH_TIMES", options.times.to_string()).env("SYNOS_CRASH_SERVERS", options.name.as_deref().unwrap_or_default());
    program::found_nothing(&mut command)
}

/// The suite's test of random calls, for so many seconds in each of its boots.
fn stress(workspace: &Workspace, seconds: u64, seed: u64) -> Result<bool> {
    build::warm(workspace)?;
    let mut command = cargo(workspace, "test");
    workspace.introduce(&mut command);
    command.args(["-p", "tests", "--test", "processors", "random_calls", "--", "--nocapture", "--test-threads=1"]);
    // The program's seed is an int.
    command.env("SYNOS_STRESS_SECONDS", seconds.to_string()).env("SYNOS_STRESS_SEED", (seed & 0x7fff_ffff).to_string());
    program::found_nothing(&mut command)
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
