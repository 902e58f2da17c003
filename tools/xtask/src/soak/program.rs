//! The kinds of soak that are programs over the system's crates: `tests/soak`, compiled and started.
//!
//! A build of its own (profile `soak`: optimised, with assertions, unwinding) in a folder of its own, because fuzzing counts edges by the
//! compiler's coverage pass, which every crate must be compiled with. The pass is named by ordinary options of the compiler; nothing is
//! fetched. The other programs are the same one: counting costs them little, and a second build would cost a minute.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build;
use crate::cargo::{LINUX, cargo};
use crate::error::{Error, Result};
use crate::process::show_all;
use crate::workspace::Workspace;

/// The package.
const PACKAGE: &str = "soak";
const PROFILE: &str = "soak";
/// Folder below `target` for the build.
const FOLDER: &str = "soak/build";
/// Has the compiler count every edge in a byte.
const COVERAGE: &str =
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Ccodegen-units=1";

/// One of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Foreign bytes.
    Fuzz,
    /// All short histories.
    Models,
    /// Deaths at random.
    Chaos,
}

impl Program {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fuzz => "fuzz",
            Self::Models => "models",
            Self::Chaos => "chaos",
        }
    }

    /// Compiles and runs it; whether it found nothing wrong.
    pub(crate) fn run(self, workspace: &Workspace, name: Option<&str>, input: Option<&Path>, seconds: Option<u64>, seed: u64) -> Result<bool> {
        if self == Self::Chaos {
            build::warm(workspace)?;
        }
        let mut command = command(&workspace.with_target(FOLDER), "");
        command.arg(self.word()).args(name).args(["--seed", &seed.to_string()]);
        if let Some(seconds) = seconds {
            command.args(["--seconds", &seconds.to_string()]);
        }
        if let Some(input) = input {
            let input = input.canonicalize().map_err(Error::io("reading", input))?;
            command.arg("--input").arg(input);
        }
        found_nothing(&mut command)
    }

    /// Strikes servers by faults from outside: `what` says whom by what, everybody by everything when absent. Whether it found nothing wrong.
    pub(crate) fn faults(workspace: &Workspace, what: Option<&str>, count: usize, seed: u64) -> Result<bool> {
        build::warm(workspace)?;
        let mut command = command(&workspace.with_target(FOLDER), "");
        command.arg(Self::Chaos.word()).args(what).args(["--faults", &count.to_string(), "--seed", &seed.to_string()]);
        found_nothing(&mut command)
    }
}

/// Runs a program that says itself what it finds; whether that is nothing.
pub(super) fn found_nothing(command: &mut Command) -> Result<bool> {
    match show_all(command) {
        Ok(()) => Ok(true),
        // It has said what it found.
        Err(Error::Command { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Compiles the program if need be, with more of the compiler's options, and starts it with the arguments that are still to come.
pub(super) fn command(workspace: &Workspace, options: &str) -> Command {
    let mut command = cargo(workspace, "run");
    command.args(["--quiet", "-p", PACKAGE, "--profile", PROFILE, "--target", LINUX]);
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", format!("{COVERAGE} {options}").trim_end());
    workspace.introduce(&mut command);
    command.arg("--");
    command
}

/// Where the program lies when it is compiled.
pub(super) fn product(workspace: &Workspace) -> PathBuf {
    workspace.built(LINUX).join(PROFILE).join(PACKAGE)
}
