//! The command line; `cargo xtask soak` runs it, people rarely do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use soak::chaos::{failpoints, faults};
use soak::{fuzz, models};

/// Runs what takes long.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    kind: Kind,
    /// Seconds in total.
    #[arg(long, global = true, default_value_t = 60)]
    seconds: u64,
    /// Decides everything that is random.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Kind {
    /// Bytes to everything that reads foreign bytes.
    Fuzz {
        /// Only this target.
        name: Option<String>,
        /// Only this input, from a file.
        #[arg(long, requires = "name")]
        input: Option<PathBuf>,
    },
    /// All short histories with all crashes.
    Models,
    /// Kills servers at random in a running system: at failpoints, for so many seconds, unless faults from outside are asked for.
    Chaos {
        /// Who is struck by what.
        #[arg(default_value = "all:all")]
        what: String,
        /// So many faults from outside.
        #[arg(long)]
        faults: Option<usize>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    let failures = match arguments.kind {
        Kind::Fuzz { name: Some(name), input: Some(input) } => fuzz::again(&name, &input),
        Kind::Fuzz { name, input: _ } => fuzz::run(name.as_deref(), time, arguments.seed),
        Kind::Models => models::run(time),
        Kind::Chaos { what, faults: Some(count) } => faults::run(count, arguments.seed, &what),
        Kind::Chaos { .. } => failpoints::run(time, arguments.seed),
    };
    match failures {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("soak: {why}");
            ExitCode::FAILURE
        }
    }
}
