//! The root file system of SynOS as Linux's initramfs: the image builder's own, with a script to run and a first process of Linux's added.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compile;
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

/// Linux's first process.
const INIT: &str = include_str!("init.sh");

/// Composes it in `work` and returns its path; the folder `run`, with the file `script` in it, becomes `/run`. No kernel and no server is
/// compiled for it: the oracle stands alone.
pub(crate) fn make(workspace: &Workspace, busybox: &Path, run: &Path, work: &Path) -> Result<PathBuf> {
    let init = work.join("init");
    fs::write(&init, INIT).map_err(Error::io("writing", &init))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(Error::io("making executable", &init))?;
    let parts = compile::root_file_system(workspace, Voice::Plain)?;
    let mut builder = Command::new(&parts.image_builder);
    builder.arg("--root").arg("--out").arg(work).arg("--busybox").arg(busybox);
    builder.arg("--skeleton").arg(workspace.file("initrd/rootfs"));
    for program in &parts.programs {
        builder.arg("--program").arg(program);
    }
    for (host, guest) in [(&*init, "/init"), (run, "/run")] {
        builder.arg("--add").arg(format!("{}:{guest}", host.display()));
    }
    Voice::Plain.run(&mut builder)?;
    Ok(work.join("root.cpio"))
}
