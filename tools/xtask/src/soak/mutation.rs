//! A planted bug, as it stands in `microkernel/tests/mutations/NAME.mutation`.
//!
//! The file is text: which file of the kernel is broken, what that breaks, and the text to replace.
//!
//! ```text
//! file: src/capability.rs
//! why: a stale handle is accepted
//! --- find
//!     if slot.epoch < page.revoked_at {
//! --- replace
//!     if false {
//! ```
//!
//! The text to find stands exactly once in the file, so that a mutation which no longer fits the code is an error and not a success.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Folder of the mutations.
pub(crate) const FOLDER: &str = "microkernel/tests/mutations";
/// What the files' names are relative to.
const CRATE: &str = "microkernel";
/// Ending of their files.
const ENDING: &str = "mutation";

/// A planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// Name of its file, without the ending.
    pub(crate) name: String,
    /// What is broken.
    pub(crate) what: String,
    /// The file to break, from the project's folder.
    pub(crate) file: PathBuf,
    find: String,
    replace: String,
}

impl Mutation {
    /// All mutations in `folder`, sorted by name.
    pub(crate) fn all(folder: &Path) -> Result<Vec<Self>> {
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let files = fs::read_dir(folder).map_err(Error::io("reading", folder))?.flatten().map(|entry| entry.path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == ENDING)).collect();
        files.sort();
        files.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let form = || Error::Refused(format!("{}: not of the form that tools/xtask/src/soak/mutation.rs describes", path.display()));
        Self::parse(&name, &text).ok_or_else(form)
    }

    fn parse(name: &str, text: &str) -> Option<Self> {
        let (file, rest) = text.strip_prefix("file: ")?.split_once('\n')?;
        let (what, rest) = rest.strip_prefix("why: ")?.split_once("\n--- find\n")?;
        let (find, replace) = rest.split_once("\n--- replace")?;
        let replace = replace.strip_prefix('\n').unwrap_or(replace).trim_end_matches('\n');
        let filled = ![what, file, find].iter().any(|part| part.trim().is_empty());
        filled.then(|| Self {
            name: name.into(),
            what: what.trim().into(),
            file: Path::new(CRATE).join(file.trim()),
            find: find.into(),
            replace: replace.into(),
        })
    }

    /// `source` with the bug planted.
    pub(crate) fn planted(&self, source: &str) -> Result<String> {
        match source.matches(&self.find).count() {
            1 => Ok(source.replacen(&self.find, &self.replace, 1)),
            count => Err(Error::Refused(format!("mutation {}: its text stands {count} times in {}", self.name, self.file.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    const TEXT: &str =
        "file: src/a.rs\nwhy: checks nothing\n--- find\n    if stale {\n        return;\n--- replace\n    if false {\n        return;\n";

    #[test]
    fn a_mutation_is_planted_where_its_text_stands() {
        let mutation = Mutation::parse("m", TEXT).expect("well formed");
        assert_eq!((mutation.what.as_str(), mutation.file.as_path()), ("checks nothing", Path::new("microkernel/src/a.rs")));
        let planted = mutation.planted("fn a() {\n    if stale {\n        return;\n    }\n}\n").expect("it fits");
        assert_eq!(planted, "fn a() {\n    if false {\n        return;\n    }\n}\n");
    }

    #[test]
    fn text_that_is_missing_or_doubled_is_an_error() {
        let mutation = Mutation::parse("m", TEXT).expect("well formed");
        assert!(mutation.planted("fn a() {}").is_err());
        assert!(mutation.planted(&"    if stale {\n        return;\n".repeat(2)).is_err());
    }

    #[test]
    fn a_replacement_may_be_empty_and_the_rest_may_not() {
        let removal = Mutation::parse("m", "file: f\nwhy: w\n--- find\nx\n--- replace\n").expect("well formed");
        assert_eq!(removal.planted("axb").ok().as_deref(), Some("ab"));
        assert_eq!(Mutation::parse("m", "file: f\nwhy: w\n--- find\n\n--- replace\ny\n"), None);
        assert_eq!(Mutation::parse("m", "file: f\nwhy: w\n"), None);
    }

    #[test]
    fn every_committed_mutation_fits_the_code() {
        let workspace = Workspace::find();
        let all = Mutation::all(&workspace.file(FOLDER)).expect("readable mutations");
        assert!(all.len() >= 180, "each operation has some");
        for mutation in all {
            let source = fs::read_to_string(workspace.root().join(&mutation.file)).expect("the file to break");
            mutation.planted(&source).map(drop).expect("a mutation that fits");
        }
    }
}
