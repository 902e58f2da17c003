//! `cargo xtask lint`: everything about the sources that needs no run.
//!
//! Bare-metal crates are checked one by one, each in a cargo call of its own: cargo unifies features over all packages of a call,
//! so that a crate which wants `std` from a dependency would pass in the company of host tools and fail in the kernel. All
//! steps run even when one fails, and the last lines name those that did.

use std::process::Command;
use std::time::Instant;

use crate::cargo::{Bare, Profile, bare, cargo, unlocked};
use crate::compile::folders;
use crate::error::{Error, Result};
use crate::process::{Voice, show};
use crate::services;
use crate::setup;
use crate::workspace::Workspace;

/// Crates below the servers that must compile for bare metal alone.
const BARE_CRATES: [&str; 5] = ["abi", "protocols", "libsys", "terminal", "microkernel"];
/// Makes every warning of clippy an error.
const DENY: [&str; 3] = ["--", "-D", "warnings"];

/// One check: its name, and the command that makes it.
struct Step {
    name: String,
    command: Command,
}

/// The command `lint`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::toolchain(workspace, Voice::Plain)?;
    let mut failed = Vec::new();
    for mut step in steps(workspace)? {
        let started = Instant::now();
        eprintln!("lint: {}", step.name);
        match show(&mut step.command) {
            Ok(()) => eprintln!("lint: {} is clean ({:.1} s)", step.name, started.elapsed().as_secs_f32()),
            Err(error) => {
                eprintln!("lint: {error}");
                failed.push(step.name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::Refused(format!("lint: not clean: {}", failed.join(", ")))) }
}

fn steps(workspace: &Workspace) -> Result<Vec<Step>> {
    let mut steps = vec![format(workspace), host(workspace), image(workspace)];
    for name in BARE_CRATES {
        steps.push(on_bare_metal(workspace, name, Bare::Soft));
    }
    let shipped = services::load(workspace, None)?.servers;
    for name in folders(&workspace.file("servers"))? {
        let target = shipped.iter().find(|(shipped, _)| *shipped == name).map_or(Bare::Soft, |(_, target)| *target);
        steps.push(on_bare_metal(workspace, &name, target));
    }
    steps.push(documentation(workspace));
    steps.push(tidy(workspace));
    Ok(steps)
}

fn on_bare_metal(workspace: &Workspace, name: &str, target: Bare) -> Step {
    let mut command = bare(workspace, "clippy", target, Profile::Release, &[]);
    command.args(["-p", name]).args(DENY);
    Step { name: format!("{name} on bare metal ({})", target.name()), command }
}

fn format(workspace: &Workspace) -> Step {
    let mut command = Command::new("cargo");
    command.args(["fmt", "--all", "--check"]).current_dir(workspace.root());
    Step { name: "format".into(), command }
}

fn host(workspace: &Workspace) -> Step {
    let mut command = cargo(workspace, "clippy");
    command.args(["--workspace", "--exclude", "image", "--all-targets"]).args(DENY);
    Step { name: "host".into(), command }
}

/// The image builder links the boot loader, which needs the unlocked compiler.
fn image(workspace: &Workspace) -> Step {
    let mut command = unlocked(workspace, "clippy", Profile::Release);
    command.args(["-p", "image", "--all-targets"]).args(DENY);
    Step { name: "image builder".into(), command }
}

fn documentation(workspace: &Workspace) -> Step {
    let mut command = cargo(workspace, "doc");
    command.args(["--workspace", "--exclude", "image", "--no-deps", "--document-private-items", "--quiet"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    Step { name: "documentation".into(), command }
}

/// The project's own rules are ordinary tests; here they run among their like.
fn tidy(workspace: &Workspace) -> Step {
    let mut command = cargo(workspace, "test");
    command.args(["--quiet", "-p", "xtask", "--test", "tidy"]);
    Step { name: "tidy rules".into(), command }
}
