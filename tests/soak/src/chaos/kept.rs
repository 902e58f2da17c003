//! What is kept of a machine in which a fault could be seen: everything that it wrote, beside the command that makes it again.
//!
//! Guest time counts instructions, so the command is enough as long as nothing is compiled anew. From then on this is what is left.

use std::path::{Path, PathBuf};
use std::{fs, io};

use ::tests::Outcome;

/// Writes it down; where.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn keep(folder: &Path, name: &str, command: &str, outcome: &Outcome) -> io::Result<PathBuf> {
    // A colon separates folders in some variables.
    let folder = folder.join(name.replace(':', "-"));
    fs::create_dir_all(&folder)?;
    let [stdout, stderr] = &outcome.bytes;
    let status = format!("{command}\nstatus {}\n", outcome.status);
    for (name, bytes) in [("command", status.as_bytes()), ("log", outcome.log.as_bytes()), ("stdout", stdout), ("stderr", stderr)] {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(folder)
}
