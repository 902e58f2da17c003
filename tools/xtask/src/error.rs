//! Why a command of xtask gave up.
//!
//! Every variant prints as one or a few lines that a person can act on: what was being done, on what, and, where one exists,
//! the command that would help.

use std::fmt;
use std::io;
use std::path::Path;

/// Result of everything in xtask that can go wrong.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// How lines start in which programs say what is wrong.
const COMPLAINTS: [&str; 3] = ["E: ", "error: ", "dpkg-deb: error: "];

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum Error {
    /// The host's file system or process table refused something.
    Io {
        /// What was being done, with the path.
        doing: String,
        /// What the host answered.
        error: io::Error,
    },
    /// A program of the host ended without success.
    Command {
        /// The command line, shortened to program and first arguments.
        command: String,
        /// How it ended.
        outcome: String,
        /// What it said, when it was not shown as it ran.
        said: String,
    },
    /// Something the project needs cannot be had on this machine.
    Missing {
        /// What is missing and why it could not be fetched.
        what: String,
        /// The command that would help.
        help: String,
    },
    /// The options or a file of the project ask for something impossible.
    Refused(String),
}

impl Error {
    /// Wraps an I/O error with what was being done to `path`.
    pub(crate) fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        move |error| Self::Io { doing, error }
    }

    /// In one line, as a part of another error: of what a program said only the first complaint.
    pub(crate) fn in_brief(&self) -> String {
        match self {
            Self::Command { command, outcome, said } => {
                let complaint = said.lines().find(|line| COMPLAINTS.iter().any(|start| line.starts_with(start)));
                complaint.map_or_else(|| format!("{command}: {outcome}"), str::to_owned)
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error } => write!(to, "{doing}: {error}"),
            Self::Command { command, outcome, said } if said.trim().is_empty() => write!(to, "{command}: {outcome}"),
            Self::Command { command, outcome, said } => write!(to, "{}\n{command}: {outcome}", said.trim_end()),
            Self::Missing { what, help } => write!(to, "{what}; try: {help}"),
            Self::Refused(why) => to.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_brief_a_program_is_quoted_with_its_first_complaint() {
        let failed = |said: &str| Error::Command { command: "apt-get".into(), outcome: "exit status: 100".into(), said: said.into() };
        assert_eq!(failed("Get:1\nE: no such package\nE: more").in_brief(), "E: no such package");
        assert_eq!(failed("").in_brief(), "apt-get: exit status: 100");
    }
}
