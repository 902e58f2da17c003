//! `cargo xtask setup`: makes a fresh machine able to build and boot SynOS.
//!
//! Every step is idempotent: it looks first, does nothing and says nothing when all is there, and otherwise says one line about
//! what it did. What is fetched comes through the machine's own tools (rustup, apt), which check signatures; no address of any
//! server stands in this repository. Only QEMU and OVMF are installed; everything else is unpacked under `target/` or, for the
//! compiler's own parts, into the toolchain's folder where cargo looks for them.

pub(crate) mod apt;
mod busybox;
mod emulator;
mod objcopy;
mod std_source;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::{Voice, capture};
use crate::workspace::Workspace;

/// What set-up leaves behind for the other commands.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The toolchain's objcopy.
    pub(crate) objcopy: PathBuf,
    /// The static busybox to put into the root file system.
    pub(crate) busybox: PathBuf,
    /// OVMF's code and its fresh variables, for booting by UEFI.
    pub(crate) ovmf: qemu::Ovmf,
}

/// Brings the machine into the state that building and booting need; `busybox` is one of the user's own instead of Debian's.
///
/// # Errors
/// [`crate::error::Error::Missing`] names what cannot be had and the command that would help.
pub(crate) fn ensure(workspace: &Workspace, busybox: Option<&Path>, voice: Voice) -> Result<Ready> {
    let objcopy = toolchain(workspace, voice)?;
    let ovmf = emulator::ensure(voice)?;
    let busybox = match busybox {
        Some(path) => busybox::checked(path)?,
        None => busybox::ensure(workspace, voice)?,
    };
    Ok(Ready { objcopy, busybox, ovmf })
}

/// The part of set-up that bare-metal compilation needs; the toolchain's objcopy.
pub(crate) fn toolchain(workspace: &Workspace, voice: Voice) -> Result<PathBuf> {
    let rustc = |what: &[&str]| capture(Command::new("rustc").args(what).current_dir(workspace.root())).map_err(needs_compiler);
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    std_source::ensure(workspace, &sysroot, voice)?;
    let host = rustc(&["--print", "host-tuple"])?;
    objcopy::ensure(&sysroot.join("lib/rustlib").join(host.trim()).join("bin"), voice)
}

fn needs_compiler(error: Error) -> Error {
    Error::Missing { what: format!("the Rust compiler cannot be run ({})", error.in_brief()), help: "https://rustup.rs, then rustup show".into() }
}
