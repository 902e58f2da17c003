//! What can be wrong with a manifest.

use std::fmt;
use std::path::PathBuf;

/// An error of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A line is wrong.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The encoded form is larger than any manifest can be.
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => write!(out, "{}: {reason}", path.display()),
            Self::Line { path, line, what } => write!(out, "{}:{line}: {what}", path.display()),
            Self::TooLarge => out.write_str("the manifest is too large"),
        }
    }
}

impl std::error::Error for Error {}
