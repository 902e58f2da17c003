//! Laying cases out in a folder that goes to `/run` of a guest, Linux or SynOS.

use std::fs;
use std::path::{Path, PathBuf};

use tests::compare::DRIVER;
use tests::compare::cases::{Case, Kind};
use tests::compare::staged::{Facts, Staged};

use super::digest;
use crate::c_programs;
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::setup::apt;
use crate::workspace::Workspace;

const BASH_PACKAGE: &str = "bash-static";
/// Where the driver lies in the guest; on SynOS `--script` puts it there.
pub(super) const DRIVER_PATH: &str = "/run/script";

/// Lays `cases` out in `folder`, in place of what was there.
pub(super) fn lay_out(workspace: &Workspace, busybox: &Path, cases: &[Case], folder: &Path, voice: Voice) -> Result<(Staged, Facts)> {
    let staged = Staged::at(folder);
    let guest = staged.guest();
    if guest.exists() {
        fs::remove_dir_all(&guest).map_err(Error::io("removing", &guest))?;
    }
    for folder in [guest.join("cases"), guest.join("programs")] {
        fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    }
    let in_c: Vec<&str> = cases.iter().filter(|case| case.kind == Kind::C).map(|case| case.name.as_str()).collect();
    c_programs::compile(workspace, &in_c, voice)?;
    let mut facts = Facts { busybox: digest::of(&[busybox])?, ..Facts::default() };
    for case in cases {
        let script = case.script().map_err(Error::io("reading", &case.source))?;
        write(&guest.join(format!("cases/{}.sh", case.name)), script)?;
        for program in programs(workspace, case, voice)? {
            copy(&program, &guest.join("programs").join(program.file_name().unwrap_or_default()))?;
        }
        let sources = case.sources().map_err(Error::io("reading", &case.source))?;
        facts.sources.insert(case.name.clone(), digest::of(&sources)?);
    }
    write(&staged.facts_file(), facts.to_string())?;
    Ok((staged, facts))
}

/// Puts the driver into the folder, for a system that has no `--script`.
pub(super) fn add_driver(staged: &Staged) -> Result<()> {
    write(&staged.guest().join(Path::new(DRIVER_PATH).file_name().unwrap_or_default()), DRIVER.into())
}

/// What a case needs in `/run/programs`.
fn programs(workspace: &Workspace, case: &Case, voice: Voice) -> Result<Vec<PathBuf>> {
    Ok(match case.kind {
        Kind::Script | Kind::Rust => Vec::new(),
        Kind::C => vec![c_programs::program(workspace, &case.name)],
        Kind::Bash => vec![bash(workspace, voice)?, case.source.clone()],
    })
}

/// Debian's static bash, unpacked into `target/`.
fn bash(workspace: &Workspace, voice: Voice) -> Result<PathBuf> {
    let work = workspace.built("setup/bash");
    let program = work.join("tree/bin/bash-static");
    if !program.is_file() {
        apt::unpack(BASH_PACKAGE, &work)?;
        voice.note(&format!("expect: unpacked {BASH_PACKAGE} into {}", work.display()));
    }
    Ok(program)
}

fn write(path: &Path, text: String) -> Result<()> {
    fs::write(path, text).map_err(Error::io("writing", path))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(Error::io("copying", from))
}
