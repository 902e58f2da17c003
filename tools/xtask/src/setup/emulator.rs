//! QEMU and its UEFI firmware: the only things that set-up installs.

use qemu::find_program;

use super::apt;
use crate::error::{Error, Result};
use crate::process::{Voice, is_root};

/// Debian's packages, and the command for people without root rights here.
const PACKAGES: [&str; 2] = ["qemu-system-x86", "ovmf"];
/// Makes sure that both are there and returns the firmware's files.
pub(super) fn ensure(voice: Voice) -> Result<qemu::Ovmf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !is_root() {
        return Err(missing("and only root can install packages"));
    }
    apt::install(&PACKAGES).map_err(|error| missing(&format!("and could not be installed ({})", error.in_brief())))?;
    voice.note(&format!("setup: installed {}", PACKAGES.join(" and ")));
    find().ok_or_else(|| missing("although their packages are installed"))
}

fn find() -> Option<qemu::Ovmf> {
    find_program(qemu::PROGRAM)?;
    qemu::Ovmf::find()
}

fn missing(why: &str) -> Error {
    let what = match find_program(qemu::PROGRAM) {
        Some(_) => "OVMF (package ovmf)",
        None => "QEMU (package qemu-system-x86)",
    };
    Error::Missing { what: format!("{what} is missing {why}"), help: format!("sudo apt-get install {}", PACKAGES.join(" ")) }
}
