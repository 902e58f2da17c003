//! What is run on both systems, found by where it lies in the project.
//!
//! Scripts of `tests/scripts` share a boot. Programs (`tests/linux`, `initrd/programs`) test much at once and boot alone, so that a
//! system that falls over them still runs the others. A case reaches the guest as `/run/cases/NAME.sh`; what it needs besides lies
//! in `/run/programs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name: the source's without ending.
    pub name: String,
    /// Its source: a file, or a folder with nothing else in it.
    pub source: PathBuf,
    /// What the source is.
    pub kind: Kind,
}

/// What a case's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A script for busybox.
    Script,
    /// A program in C, compiled into `target/linux`; what it includes lies in a folder of its name.
    C,
    /// A script for Debian's static bash.
    Bash,
    /// A program in Rust that the root file system has in `/usr/bin`.
    Rust,
}

/// Folders of sources, the ending of a source in it (none: each folder is one), and what it is.
const PLACES: [(&str, &str, Kind); 5] = [
    ("tests", "sh", Kind::Script),
    ("tests/scripts", "sh", Kind::Script),
    ("tests/linux", "c", Kind::C),
    ("tests/linux", "bash", Kind::Bash),
    ("initrd/programs", "", Kind::Rust),
];

/// Programs of those places that are no cases, and why.
const NO_CASES: [(&str, &str); 4] = [
    ("bench", "what it prints is how fast the machine is"),
    ("llm", "Linux has no device that answers"),
    ("stress", "what it prints is how much it did; tests/processors.rs runs it"),
    ("svc", "Linux has no servers to look at; tests/svc.rs runs it"),
];

/// All cases of the project in `root`, sorted by name.
///
/// # Errors
/// Those of reading its folders.
pub fn all(root: &Path) -> io::Result<Vec<Case>> {
    let mut cases = with_helpers(root)?;
    cases.retain(|case| NO_CASES.iter().all(|(no_case, _)| *no_case != case.name));
    Ok(cases)
}

/// Likewise, and the programs that are no cases, for tests that run them in their own way.
///
/// # Errors
/// Those of reading its folders.
pub fn with_helpers(root: &Path) -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (folder, ending, kind) in PLACES {
        for entry in fs::read_dir(root.join(folder))? {
            let source = entry?.path();
            let is_one = source.extension().unwrap_or_default() == ending && source.is_dir() == ending.is_empty();
            let name = source.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if is_one {
                cases.push(Case { name: name.into(), source: source.clone(), kind });
            }
        }
    }
    cases.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(cases)
}

impl Case {
    /// Whether it has a boot of its own.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.kind != Kind::Script
    }

    /// The text of `/run/cases/NAME.sh`.
    ///
    /// # Errors
    /// Those of reading a script.
    pub fn script(&self) -> io::Result<String> {
        let name = &self.name;
        Ok(match self.kind {
            Kind::Script => fs::read_to_string(&self.source)?,
            Kind::C => format!("exec /run/programs/{name}\n"),
            Kind::Bash => format!("exec /run/programs/bash-static /run/programs/{name}.bash\n"),
            Kind::Rust => format!("exec /usr/bin/{name}\n"),
        })
    }

    /// The files that make the case what it is, sorted.
    ///
    /// # Errors
    /// Those of reading folders.
    pub fn sources(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        collect(&self.source, &mut files)?;
        let included = self.source.with_extension("");
        if self.kind == Kind::C && included.is_dir() {
            collect(&included, &mut files)?;
        }
        files.sort();
        Ok(files)
    }
}

/// All files at and below `path`.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    fs::read_dir(path)?.try_for_each(|entry| collect(&entry?.path(), files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_has_cases_of_every_kind_and_no_two_of_one_name() {
        let cases = all(&crate::root()).expect("the project can be read");
        for (name, kind) in
            [("awk", Kind::Script), ("tour", Kind::Script), ("posixtest", Kind::C), ("features", Kind::Bash), ("rusttest", Kind::Rust)]
        {
            assert!(cases.iter().any(|case| case.name == name && case.kind == kind), "{name}");
        }
        assert!(cases.windows(2).all(|pair| pair[0].name != pair[1].name));
        assert!(cases.iter().all(|case| !["bench", "llm", "stress", "svc"].contains(&case.name.as_str())));
        let helpers = with_helpers(&crate::root()).expect("the project can be read");
        assert!(helpers.iter().any(|case| case.name == "stress" && case.kind == Kind::C));
    }

    #[test]
    fn what_a_program_includes_is_part_of_its_source() {
        let cases = all(&crate::root()).expect("the project can be read");
        let case = cases.iter().find(|case| case.name == "posixtest").expect("it is there");
        assert!(case.sources().expect("readable").iter().any(|path| path.ends_with("posixtest/pipes.h")));
    }
}
