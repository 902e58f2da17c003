//! A static busybox for the guest: Debian's `busybox-static`, unpacked into `target/`, never installed on the host.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt;
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

const PACKAGE: &str = "busybox-static";

/// Makes sure that it is there and returns its path.
pub(super) fn ensure(workspace: &Workspace, voice: Voice) -> Result<PathBuf> {
    let work = workspace.built("setup/busybox");
    let program = work.join("tree/bin/busybox");
    if program.is_file() {
        return Ok(program);
    }
    apt::unpack(PACKAGE, &work).map_err(|error| Error::Missing {
        what: format!("a static busybox (package {PACKAGE}) could not be fetched ({})", error.in_brief()),
        help: "cargo xtask run --busybox PATH".into(),
    })?;
    voice.note(&format!("setup: unpacked {PACKAGE} into {}", work.display()));
    checked(&program)
}

/// Refuses what is not a 64-bit ELF program, before the guest finds out.
pub(super) fn checked(program: &Path) -> Result<PathBuf> {
    let bytes = fs::read(program).map_err(Error::io("reading", program))?;
    if !bytes.starts_with(b"\x7fELF\x02") {
        return Err(Error::Refused(format!("{}: not a 64-bit ELF program", program.display())));
    }
    Ok(program.to_path_buf())
}
