//! `cargo xtask soak`: what takes longer than an ordinary run of the suite.

pub(crate) mod mutate;
mod mutation;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::error::Result;
use crate::workspace::Workspace;

/// Options of the command `soak`.
#[derive(Args, Debug)]
pub(crate) struct SoakOptions {
    /// What to do; everything when absent
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// Begin nothing new after this time
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Decides the order; printed when not given
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
}

/// A kind of soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Plant one-line bugs in the kernel, one by one: do its tests notice?
    Mutate,
}

/// The command `soak`.
pub(crate) fn run(workspace: &Workspace, options: &SoakOptions) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(seed_of_now);
    eprintln!("soak: --seed {seed}");
    match options.kind {
        None | Some(Kind::Mutate) => mutate::run(workspace, options.seconds.map(Duration::from_secs), seed),
    }
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
