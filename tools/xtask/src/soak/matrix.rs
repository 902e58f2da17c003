//! The suite's core on every kind of machine: firmware, memory, CPUs, accelerator, and the kernel's slow path alone.
//!
//! The tests are those of `tests/`, started as ever; the machine reaches them by `SYNOS_RUN`, further options of every boot.

use std::process::Command;
use std::time::{Duration, Instant};

use qemu::Accel;

use super::mutate::shuffle;
use crate::build;
use crate::cargo::cargo;
use crate::error::{Error, Result};
use crate::process::show;
use crate::workspace::Workspace;

/// Test programs that make up the core: what Linux says, restarts, the terminal.
pub(crate) const CORE: [&str; 3] = ["scripts", "restart", "terminal"];
/// One test of the core, for a share.
const BRIEF: [&str; 2] = ["restart", "four_servers_die_in_one_session"];
/// Kinds of machines: a name, and the options of `run`.
const MACHINES: [(&str, &[&str]); 10] = [
    ("bios", &[]),
    ("uefi", &["--uefi"]),
    ("memory-128m", &["--memory", "128M"]),
    ("memory-2g", &["--memory", "2G"]),
    ("two-cpus", &["--smp", "2"]),
    ("uefi-two-cpus-1g", &["--uefi", "--smp", "2", "--memory", "1G"]),
    ("icount", &["--icount"]),
    ("slowpath", &["--option", "slowpath"]),
    ("pending", &["--option", "vfs-pending=11"]),
    ("kvm", &["--accel", "kvm"]),
];
/// The machine that only some hosts have.
const KVM: &str = "kvm";

/// The core on all machines, or on the one called `name`, for at most `time`; whether all was well.
pub(crate) fn run(workspace: &Workspace, name: Option<&str>, time: Option<Duration>, seed: u64) -> Result<bool> {
    let mut machines: Vec<_> = MACHINES.into_iter().filter(|(machine, _)| name.is_none_or(|name| name == *machine)).collect();
    if machines.is_empty() {
        let names: Vec<&str> = MACHINES.iter().map(|(name, _)| *name).collect();
        return Err(Error::Refused(format!("no such machine; there are {}", names.join(", "))));
    }
    shuffle(&mut machines, seed);
    build::warm(workspace)?;
    let started = Instant::now();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, options) in machines {
        if time.is_some_and(|time| started.elapsed() >= time) || !can_run(name) {
            println!("matrix: {name}: skipped");
            skipped += 1;
            continue;
        }
        let good = tests(workspace, options, &[]);
        println!("matrix: {name}: {}", if good { "passed" } else { "FAILED" });
        if good { passed += 1 } else { failed += 1 }
    }
    println!("matrix: {passed} machines passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0)
}

/// One test on one machine that `turn` chooses; whether it passed, and the machine's name.
pub(crate) fn share(workspace: &Workspace, turn: usize) -> (bool, &'static str) {
    let able: Vec<_> = MACHINES.into_iter().skip(1).filter(|(name, _)| can_run(name)).collect();
    let (name, options) = able.get(turn % able.len().max(1)).copied().unwrap_or(MACHINES[0]);
    (tests(workspace, options, &BRIEF), name)
}

fn can_run(name: &str) -> bool {
    name != KVM || Accel::Kvm.settled().is_ok()
}

/// Runs the core, or one test of it, with `options` for every boot.
fn tests(workspace: &Workspace, options: &[&str], one: &[&str]) -> bool {
    let mut command: Command = cargo(workspace, "test");
    command.args(["--quiet", "--no-fail-fast", "-p", "tests"]).env("SYNOS_RUN", options.join(" "));
    workspace.introduce(&mut command);
    match one {
        [program, test] => command.args(["--test", program, test]),
        _ => command.args(CORE.map(|program| ["--test", program]).concat()),
    };
    command.args(["--", "--test-threads=1"]);
    show(&mut command).inspect_err(|error| eprintln!("matrix: {error}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunOptions;
    use clap::{Args, FromArgMatches};

    #[test]
    fn machines_have_names_of_their_own_and_options_that_run_knows() {
        for (index, (name, options)) in MACHINES.iter().enumerate() {
            assert!(MACHINES.iter().skip(index + 1).all(|(other, _)| other != name), "{name}");
            let command = RunOptions::augment_args(clap::Command::new("run"));
            let parsed = command.try_get_matches_from([&["run"], *options].concat()).and_then(|matches| RunOptions::from_arg_matches(&matches));
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
        }
    }
}
