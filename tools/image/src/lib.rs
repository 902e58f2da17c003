//! Composes what SynOS boots from, out of files that are already compiled.
//!
//! Four layers, each a pure function of bytes and tested as such: an ELF file becomes a flat [`program`] image, files become
//! the [`root`] file system, a [`cpio`] archive; both become entries of the boot [`archive`]; that and the kernel become a
//! bootable [`disk`], whose volume is formatted for speed. The same inputs give the same bytes: order is sorted and times are fixed.
//!
//! A crate of its own, outside the default members, because it links the boot loader, whose build needs what set-up fetches.
//! Absent on purpose: compiling anything, and the kernel's memory layout (which stands in the kernel).

pub mod archive;
pub mod compose;
pub mod cpio;
pub mod disk;
mod fat;
pub mod program;
pub mod root;

use std::fmt;
use std::io;
use std::path::Path;

/// Why nothing could be composed.
#[derive(Debug)]
pub enum Error {
    /// The host refused something: what was being done, and its answer.
    Io(String, io::Error),
    /// A program cannot be laid out: its name, and why.
    Program(String, String),
    /// A file or option cannot be used: why.
    Refused(String),
}

impl Error {
    pub(crate) fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        move |error| Self::Io(doing, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(doing, error) => write!(to, "{doing}: {error}"),
            Self::Program(name, why) => write!(to, "program {name}: {why}"),
            Self::Refused(why) => to.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
