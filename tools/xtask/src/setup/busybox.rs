//! A static busybox for the guest: Debian's `busybox-static`, unpacked into `target/`, never installed on the host.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt;
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

const PACKAGE: &str = "busybox-static";

/// Where the package has it: releases whose /bin is a link to /usr/bin have it there.
const PLACES: [&str; 2] = ["bin/busybox", "usr/bin/busybox"];

/// Makes sure that it is there and returns its path.
pub(super) fn ensure(workspace: &Workspace, voice: Voice) -> Result<PathBuf> {
    let work = workspace.built("setup/busybox");
    let found = || PLACES.iter().find_map(|place| checked(&work.join("tree").join(place)).ok());
    if let Some(program) = found() {
        return Ok(program);
    }
    let missing = |why: &str| Error::Missing {
        what: format!("a static busybox (package {PACKAGE}) could not be fetched ({why})"),
        help: "cargo xtask run --busybox PATH".into(),
    };
    apt::unpack(PACKAGE, &work).map_err(|error| missing(&error.in_brief()))?;
    let program = found().ok_or_else(|| missing("the package holds none"))?;
    voice.note(&format!("setup: unpacked {PACKAGE} into {}", work.display()));
    Ok(program)
}

/// Refuses what is not a 64-bit ELF program, before the guest finds out.
pub(super) fn checked(program: &Path) -> Result<PathBuf> {
    let bytes = fs::read(program).map_err(Error::io("reading", program))?;
    if !bytes.starts_with(b"\x7fELF\x02") {
        return Err(Error::Refused(format!("{}: not a 64-bit ELF program", program.display())));
    }
    Ok(program.to_path_buf())
}
