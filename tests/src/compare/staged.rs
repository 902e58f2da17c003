//! A folder with cases, ready to be put at `/run` of a guest.
//!
//! xtask lays it out, for Linux and for SynOS alike, because only it knows where build products lie. Beside the folder for the guest
//! stand the facts that a header of an expected file is checked against.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The part that goes into the guest, at `/run`.
const GUEST: &str = "run";
const FACTS: &str = "facts";

/// Hashes of what the cases run with here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The hash of busybox.
    pub busybox: String,
    /// The hash of each case's source, by the case's name.
    pub sources: BTreeMap<String, String>,
}

/// A folder with cases.
#[derive(Debug)]
pub struct Staged {
    folder: PathBuf,
    /// Whether it goes with its owner.
    is_temporary: bool,
}

impl Staged {
    /// The folder of cases that is, or will be, at `folder`.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), is_temporary: false }
    }

    /// Has xtask lay out the cases `names` in a folder of their own, which is removed when this is dropped.
    ///
    /// # Errors
    /// What xtask said.
    pub fn lay_out(names: &[String]) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = crate::root().join(format!("target/tests/staged-{}-{number}", std::process::id()));
        let staged = Self { folder, is_temporary: true };
        let mut command = crate::xtask();
        command.args(["expect", "--stage"]).arg(&staged.folder).args(names);
        run(&mut command)?;
        Ok(staged)
    }

    /// What goes into the guest, at `/run`.
    #[must_use]
    pub fn guest(&self) -> PathBuf {
        self.folder.join(GUEST)
    }

    /// The file of facts.
    #[must_use]
    pub fn facts_file(&self) -> PathBuf {
        self.folder.join(FACTS)
    }

    /// The facts.
    ///
    /// # Errors
    /// They cannot be read, or are none.
    pub fn facts(&self) -> Result<Facts, String> {
        let text = fs::read_to_string(self.facts_file()).map_err(|error| format!("{}: {error}", self.facts_file().display()))?;
        Facts::parse(&text).ok_or_else(|| format!("{}: not a list of facts", self.facts_file().display()))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_temporary {
            // What cannot be removed from the build folder harms nobody.
            let _removed = fs::remove_dir_all(&self.folder);
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("xtask cannot be run: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim_end().into()) }
}

impl Facts {
    fn parse(text: &str) -> Option<Self> {
        let mut facts = Self::default();
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["busybox", hash] => facts.busybox = hash.into(),
                ["source", name, hash] => drop(facts.sources.insert(name.into(), hash.into())),
                _ => return None,
            }
        }
        Some(facts)
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "busybox {}", self.busybox)?;
        self.sources.iter().try_for_each(|(name, hash)| writeln!(to, "source {name} {hash}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_they_were_written() {
        let sources = [("awk".into(), "sha256:2".into()), ("sed".into(), "sha256:3".into())];
        let facts = Facts { busybox: "sha256:1".into(), sources: sources.into() };
        assert_eq!(Facts::parse(&facts.to_string()), Some(facts));
        assert_eq!(Facts::parse("kernel sha256:4"), None);
    }
}
