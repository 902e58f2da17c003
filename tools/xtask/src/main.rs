//! The project's commands, as `cargo xtask COMMAND`.
//!
//! A thin composer: `cargo check` and `cargo test` work without it. One module per command; what they share is where things lie
//! ([`workspace`]), how programs of the host are run ([`process`], [`cargo`]) and how failures read ([`error`]).

mod bench;
mod build;
mod c_programs;
mod cargo;
mod compile;
mod error;
mod expect;
mod lint;
mod process;
mod run;
mod services;
mod setup;
mod soak;
mod symbols;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::process::Voice;
use crate::workspace::Workspace;

/// Sets up, builds, runs and checks SynOS.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch and install what building and booting need
    Setup,
    /// Build kernel, servers, root file system and disk images
    Build(build::BuildOptions),
    /// Boot SynOS in QEMU
    Run(run::RunOptions),
    /// Find out on Linux what the tests' cases must print
    Expect(expect::ExpectOptions),
    /// Check format, lints, documentation and the project's own rules
    Lint,
    /// Run the tests, and count them in the last line
    Test(test::TestOptions),
    /// Run what takes longer
    Soak(soak::SoakOptions),
    /// Measure
    Bench(bench::BenchOptions),
}

fn main() -> ExitCode {
    let workspace = Workspace::find();
    let arguments: Vec<_> = std::env::args_os().collect();
    let command = match CommandLine::try_parse_from(&arguments) {
        Ok(line) => line.command,
        Err(error) => return explain(&error, arguments.get(1).is_some_and(|command| command == "run")),
    };
    let failed = if matches!(command, Command::Run(_)) { ExitCode::from(run::NOT_STARTED) } else { ExitCode::FAILURE };
    execute(&workspace, &command).unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        failed
    })
}

/// Prints help where it was asked for, or what is wrong with the command line. The statuses of `run` below 124 are the script's, so there it is 125.
fn explain(error: &clap::Error, is_run: bool) -> ExitCode {
    // Without anybody who reads there is nobody to tell.
    let _unread = error.print();
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_run => ExitCode::from(run::NOT_STARTED),
        status => ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)),
    }
}

fn execute(workspace: &Workspace, command: &Command) -> Result<ExitCode> {
    match command {
        Command::Setup => setup::ensure(workspace, None, Voice::Plain).map(|_| ExitCode::SUCCESS),
        Command::Build(options) => build::run(workspace, options).map(|()| ExitCode::SUCCESS),
        Command::Run(options) => run::run(workspace, options),
        Command::Expect(options) => expect::run(workspace, options).map(|()| ExitCode::SUCCESS),
        Command::Lint => lint::run(workspace).map(|()| ExitCode::SUCCESS),
        Command::Test(options) => test::run(workspace, options),
        Command::Soak(options) => soak::run(workspace, options),
        Command::Bench(options) => bench::run(workspace, options).map(|()| ExitCode::SUCCESS),
    }
}
