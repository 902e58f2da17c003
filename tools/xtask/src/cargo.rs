//! Calls of cargo, each with an environment of its own.
//!
//! Three traps are avoided here, once. `RUSTC_BOOTSTRAP` changes what build scripts of our dependencies detect, so everything
//! that sets it uses the release profile and plain `cargo test` keeps the dev profile: neither rebuilds the other's work.
//! The build folder goes by option, not by `CARGO_TARGET_DIR`: the boot loader's build script runs cargo again, which
//! inherits the variable and would wait for ever for the lock that its parent holds. Compiler flags go by the variable of one
//! target, so that build scripts and host tools keep their own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::workspace::Workspace;

/// Target of guest programs.
pub(crate) const LINUX: &str = "x86_64-unknown-linux-gnu";
/// What describes [`Bare::Fpu`] to the compiler.
const FPU_FILE: &str = "tools/xtask/x86_64-none-fpu.json";

/// A target for bare metal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// Of the kernel and the servers: no instruction touches a vector register, so switching between them switches none.
    Soft,
    /// Of servers that compute. The compiler has no such target, and one without vector registers can have no function with any (its calling convention does
    /// not pass them), so this one is ours: all else is as in the other.
    Fpu,
}

impl Bare {
    /// Its name: of its folder, and in the variable of its compiler flags.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Soft => "x86_64-unknown-none",
            Self::Fpu => "x86_64-none-fpu",
        }
    }

    /// What cargo is told: a name that it knows, or the file that describes it.
    fn option(self, workspace: &Workspace) -> OsString {
        match self {
            Self::Soft => self.name().into(),
            Self::Fpu => workspace.file(FPU_FILE).into(),
        }
    }

    fn flags_variable(self) -> String {
        format!("CARGO_TARGET_{}_RUSTFLAGS", self.name().replace('-', "_").to_uppercase())
    }
}

/// Variables of a caller that would change what is built. The last is our own, which a program that we start hands on to the next xtask.
const FOREIGN: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
];

/// How fast and how well the guest's code is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to compile, with all debug information.
    Debug,
    /// What is run, tested and measured.
    Release,
}

impl Profile {
    fn option(self) -> &'static str {
        match self {
            Self::Debug => "--profile=dev",
            Self::Release => "--release",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Cargo's `verb` in the project's folder, for the host.
pub(crate) fn cargo(workspace: &Workspace, verb: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.arg(verb).current_dir(workspace.root());
    if workspace.target() != workspace.file("target") {
        command.arg("--target-dir").arg(workspace.target());
    }
    command
}

/// The same with the compiler's unstable options unlocked.
pub(crate) fn unlocked(workspace: &Workspace, verb: &str, profile: Profile) -> Command {
    let mut command = cargo(workspace, verb);
    command.env("RUSTC_BOOTSTRAP", "1").arg(profile.option());
    command
}

/// Cargo's `verb` for bare metal: the standard library's `core` and `alloc` are compiled along.
pub(crate) fn bare(workspace: &Workspace, verb: &str, target: Bare, profile: Profile, flags: &[&str]) -> Command {
    let mut command = unlocked(workspace, verb, profile);
    command.args(["-Zjson-target-spec", "-Zbuild-std=core,alloc,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem", "--target"]);
    command.arg(target.option(workspace)).env(target.flags_variable(), flags.join(" "));
    command
}

/// Where cargo leaves the program `name`.
pub(crate) fn product(workspace: &Workspace, target: Option<&str>, profile: Profile, name: &str) -> PathBuf {
    let folder = target.map_or_else(|| workspace.target().to_path_buf(), |target| workspace.built(target));
    folder.join(profile.folder()).join(name)
}
