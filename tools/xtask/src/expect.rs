//! `cargo xtask expect`: what every case of the tests leaves behind on Linux, kept in `tests/expected`.
//!
//! Linux is the oracle: Debian's kernel in QEMU, with the root file system and the busybox of SynOS as its initramfs. Cases run
//! several to a boot, by the same driver that runs them on SynOS. A file is written only when its header or its normalised output
//! changed, so that a second run changes nothing. Absent: judging SynOS, which `tests/tests/scripts.rs` does.

mod digest;
pub(crate) mod initramfs;
pub(crate) mod linux;
pub(crate) mod machine;
mod stage;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use machine::Clock;
use tests::compare::cases::{self, Case};
use tests::compare::expected::{Expected, Header};
use tests::compare::staged::Facts;
use tests::compare::{Output, difference, frames};
use tests::normalise::Rules;

use crate::error::{Error, Result};
use crate::process::Voice;
use crate::setup;
use crate::workspace::Workspace;

/// Folder of the files.
const EXPECTED: &str = "tests/expected";
/// What may differ.
const RULES: &str = "tests/normalise.toml";
/// How many cases share a boot: so many static programs fit into what may be added to a root file system.
const CASES_PER_BOOT: usize = 16;
/// How long Linux may take for them: several times what it takes on a busy machine.
const LINUX: Duration = Duration::from_secs(900);

/// Options of the command `expect`.
#[derive(Args, Debug)]
pub(crate) struct ExpectOptions {
    /// Only these cases
    name: Vec<String>,
    /// Use this static busybox instead of Debian's
    #[arg(long, value_name = "PATH")]
    busybox: Option<PathBuf>,
    /// Only lay the cases out in this folder, for the tests
    #[arg(long, value_name = "FOLDER", hide = true)]
    stage: Option<PathBuf>,
}

/// The command `expect`.
pub(crate) fn run(workspace: &Workspace, options: &ExpectOptions) -> Result<()> {
    let cases = selected(workspace, &options.name, options.stage.is_some())?;
    if let Some(folder) = &options.stage {
        let ready = setup::ensure(workspace, options.busybox.as_deref(), Voice::Quiet)?;
        return stage::lay_out(workspace, &ready.busybox, &cases, folder, Voice::Quiet).map(drop);
    }
    let ready = setup::ensure(workspace, options.busybox.as_deref(), Voice::Plain)?;
    let kernel = linux::ensure(workspace, Voice::Plain)?;
    let work = workspace.built("expect");
    let mut written = 0;
    for cases in cases.chunks(CASES_PER_BOOT) {
        let (staged, facts) = stage::lay_out(workspace, &ready.busybox, cases, &work, Voice::Plain)?;
        stage::add_driver(&staged)?;
        let initramfs = initramfs::make(workspace, &ready.busybox, &staged.guest(), &work)?;
        let told = machine::boot(&kernel.image, &initramfs, &work, Clock::Host, LINUX)?;
        written += keep(workspace, cases, &told.output, &kernel.name, &facts)?;
    }
    eprintln!("expect: {} cases ran on Linux, {written} files of {EXPECTED} changed", cases.len());
    Ok(())
}

/// The cases called `names`, or all. Tests may have programs staged that are no cases.
fn selected(workspace: &Workspace, names: &[String], staged: bool) -> Result<Vec<Case>> {
    let find = if staged && !names.is_empty() { cases::with_helpers } else { cases::all };
    let all = find(workspace.root()).map_err(Error::io("looking for cases in", workspace.root()))?;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|case| case.name == **name)) {
        return Err(Error::Refused(format!("there is no case called {unknown}")));
    }
    Ok(all.into_iter().filter(|case| names.is_empty() || names.contains(&case.name)).collect())
}

/// Writes the files of `cases` that changed; returns how many did.
fn keep(workspace: &Workspace, cases: &[Case], told: &str, kernel: &str, facts: &Facts) -> Result<usize> {
    let rules = fs::read_to_string(workspace.file(RULES)).map_err(Error::io("reading", &workspace.file(RULES)))?;
    let rules = Rules::parse(&rules).map_err(|why| Error::Refused(format!("{RULES}: {why}")))?;
    let told = frames::read(told);
    let mut written = 0;
    for case in cases {
        let name = &case.name;
        let output = told.cases.iter().find(|(each, _)| each == name).map(|(_, output)| output.clone());
        let output = output.unwrap_or_else(|| Err("Linux did not run it to its end".into()));
        let output = output.map_err(|why| Error::Refused(format!("{name}: {why}; see {}", machine::log(workspace).display())))?;
        let header = Header { kernel: kernel.into(), busybox: facts.busybox.clone(), source: facts.sources[name].clone() };
        written += usize::from(keep_one(workspace, &rules, name, header, output)?);
    }
    Ok(written)
}

/// Writes one file unless it says the same already; whether it did.
fn keep_one(workspace: &Workspace, rules: &Rules, name: &str, header: Header, output: Output) -> Result<bool> {
    let path = workspace.file(&format!("{EXPECTED}/{name}.txt"));
    let found = fs::read_to_string(&path).ok().and_then(|text| Expected::decode(&text).ok());
    if found.is_some_and(|found| found.header == header && difference(rules, name, &found.output, &output).is_none()) {
        return Ok(false);
    }
    let text = Expected { header, output }.encode().map_err(|why| Error::Refused(format!("{name}: {why}")))?;
    fs::write(&path, text).map_err(Error::io("writing", &path))?;
    eprintln!("expect: {EXPECTED}/{name}.txt");
    Ok(true)
}
