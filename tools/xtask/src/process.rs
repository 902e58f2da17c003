//! Running programs of the host.
//!
//! Invariant: nothing a child says reaches our standard output, which belongs to the guest. A child is either *shown* (both its
//! streams go to standard error) or *captured* (what it said appears only in the error, when it failed).

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};

/// How many characters of a command line an error shows.
const SHOWN: usize = 160;

/// Whether work that goes well is talked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// One line for each thing done, and the output of compilers.
    Plain,
    /// Nothing unless something is wrong.
    Quiet,
}

impl Voice {
    /// Tells the person at the terminal what has just been done.
    pub(crate) fn note(self, text: &str) {
        if self == Self::Plain {
            eprintln!("{text}");
        }
    }

    /// Runs `command`, shown or captured; anything but success is an error.
    pub(crate) fn run(self, command: &mut Command) -> Result<()> {
        match self {
            Self::Plain => show(command),
            Self::Quiet => capture(command).map(drop),
        }
    }
}

/// Runs `command` with both its output streams on our standard error.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    let error_stream = io::stderr().as_fd().try_clone_to_owned();
    let error_stream = error_stream.map_err(|error| failed_to_start(command, error))?;
    let status = command.stdin(Stdio::null()).stdout(error_stream).status().map_err(|error| failed_to_start(command, error))?;
    if status.success() { Ok(()) } else { Err(failure(command, status.to_string(), String::new())) }
}

/// Runs `command`, a program of the project's own, with our own streams.
pub(crate) fn show_all(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| failed_to_start(command, error))?;
    if status.success() { Ok(()) } else { Err(failure(command, status.to_string(), String::new())) }
}

/// Runs `command` and returns its standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failure(command, output.status.to_string(), String::from_utf8_lossy(&said).into_owned()))
}

/// Runs `command` to its end, whatever that is.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().map_err(|error| failed_to_start(command, error))
}

fn failed_to_start(command: &Command, error: io::Error) -> Error {
    Error::Io { doing: format!("starting {}", command.get_program().display()), error }
}

fn failure(command: &Command, outcome: String, said: String) -> Error {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    let line = words.collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(SHOWN).collect();
    let dots = if shown.len() < line.len() { " ..." } else { "" };
    Error::Command { command: shown + dots, outcome, said }
}

/// Whether this process may install packages.
pub(crate) fn is_root() -> bool {
    capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Copies a folder with everything in it; `to` must not exist yet. The files are new: cargo, which goes by the time of the last change, must not
/// take what it built from an earlier copy for what this one makes.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    capture(Command::new("cp").args(["-dR", "--preserve=mode"]).args([from.as_os_str(), to.as_os_str()] as [&OsStr; 2])).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_tells_its_status_and_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).map_err(|error| error.to_string());
        let text = error.err().unwrap_or_default();
        assert!(text.contains("out") && text.contains("err") && text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn a_copy_is_newer_than_what_it_was_copied_from() {
        let root = std::env::temp_dir().join(format!("synos-copy-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        std::fs::create_dir_all(&from).expect("a folder");
        std::fs::write(from.join("file"), "text").expect("a file");
        capture(Command::new("touch").args(["-d", "2001-01-01"]).arg(from.join("file"))).expect("touch");
        copy_tree(&from, &to).expect("a copy");
        let changed = |folder: &Path| folder.join("file").metadata().and_then(|data| data.modified()).expect("a time");
        assert!(changed(&to) > changed(&from));
        std::fs::remove_dir_all(&root).expect("removed");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut Command::new("no-such-program-here")).map_err(|error| error.to_string());
        assert!(error.err().unwrap_or_default().contains("no-such-program-here"));
    }
}
