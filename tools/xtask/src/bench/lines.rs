//! `kernel_lines`: lines of code that run in ring 0, without blanks, comments, documentation and tests.
//!
//! Counted are the kernel and the ABI crate that it links. Left out is what the bare-metal kernel does not compile: items under
//! `#[cfg(test)]` and `#[cfg(not(target_os = "none"))]`, and the files of modules declared so. The counter reads lines, not
//! syntax; it relies on rustfmt, which puts the end of an item at the indentation of its start.

use std::fs;
use std::path::Path;

use super::{Bench, Figure};
use crate::error::{Error, Result};
use crate::workspace::Workspace;

pub(super) const NAME: &str = "kernel_lines";
/// Root modules of what runs in ring 0.
const ROOTS: [&str; 3] = ["microkernel/src/main.rs", "microkernel/src/lib.rs", "libsys/abi/src/lib.rs"];
/// What ring 0 may have before its README must argue for more.
const GOAL: f64 = 6_000.0;
/// Attributes of items that the bare-metal kernel does not have.
const HOST_ONLY: [&str; 3] = ["#[cfg(test)]", "#[cfg(not(target_os = \"none\"))]", "#[cfg(any(test"];

/// Linux has no figure here: what it does in ring 0 is not what ours does.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    // A count of lines is far below 2^52.
    let value = count(bench.workspace)? as f64;
    Ok(vec![Figure { name: NAME.into(), value, unit: "lines", goal: Some(GOAL), linux: None }])
}

fn count(workspace: &Workspace) -> Result<usize> {
    ROOTS.iter().map(|root| module(&workspace.file(root))).sum()
}

/// Lines of the module in `file` and of those that it declares.
fn module(file: &Path) -> Result<usize> {
    let text = fs::read_to_string(file).map_err(Error::io("reading", file))?;
    let source = Source::read(&text);
    let mut lines = source.lines;
    for name in source.modules {
        lines += module(&child(file, name))?;
    }
    Ok(lines)
}

/// The file of the module `name` that `parent` declares.
fn child(parent: &Path, name: &str) -> std::path::PathBuf {
    let stem = parent.file_stem().unwrap_or_default();
    let folder = parent.parent().unwrap_or(parent);
    let folder = if stem == "lib" || stem == "main" || stem == "mod" { folder.to_path_buf() } else { folder.join(stem) };
    let flat = folder.join(format!("{name}.rs"));
    if flat.exists() { flat } else { folder.join(name).join("mod.rs") }
}

/// What the counter knows of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source<'text> {
    lines: usize,
    modules: Vec<&'text str>,
}

/// What the counter passes over.
enum Passing<'text> {
    Nothing,
    /// A block comment.
    Comment,
    /// Attributes and start of a host-only item.
    ItemStart,
    /// The rest of a host-only item, up to its closing line.
    Item(&'text str),
}

impl<'text> Source<'text> {
    fn read(text: &'text str) -> Self {
        let mut source = Self::default();
        let mut passing = Passing::Nothing;
        for line in text.lines() {
            passing = source.line(line, passing);
        }
        source
    }

    fn line(&mut self, line: &'text str, passing: Passing<'text>) -> Passing<'text> {
        let code = line.trim();
        match passing {
            Passing::Comment => return if code.contains("*/") { Passing::Nothing } else { Passing::Comment },
            Passing::Item(indent) => {
                let ends = line.strip_prefix(indent).is_some_and(|rest| rest.starts_with('}'));
                return if ends { Passing::Nothing } else { Passing::Item(indent) };
            }
            Passing::ItemStart if code.starts_with('#') || code.starts_with("//") => return Passing::ItemStart,
            Passing::ItemStart if code.ends_with(';') || code.ends_with('}') => return Passing::Nothing,
            Passing::ItemStart => return Passing::Item(line.get(..line.len() - line.trim_start().len()).unwrap_or_default()),
            Passing::Nothing => {}
        }
        if HOST_ONLY.iter().any(|attribute| code.starts_with(attribute)) {
            return Passing::ItemStart;
        }
        if code.starts_with("/*") {
            return if code.contains("*/") { Passing::Nothing } else { Passing::Comment };
        }
        if !code.is_empty() && !code.starts_with("//") {
            self.lines += 1;
            self.modules.extend(declared_module(code));
        }
        Passing::Nothing
    }
}

/// The name in a line like `pub(crate) mod name;`.
fn declared_module(code: &str) -> Option<&str> {
    let (before, name) = code.strip_suffix(';')?.split_once("mod ")?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let text = "//! Doc.\n\nuse a::b; // why\n/* one\n   two */\n/// Doc.\nfn f() {\n    // comment\n    g();\n}\n";
        assert_eq!(Source::read(text), Source { lines: 4, modules: vec![] });
    }

    #[test]
    fn host_only_items_do_not_count_and_their_modules_are_not_followed() {
        let text = concat!(
            "mod a;\npub(crate) mod b;\n#[cfg(not(target_os = \"none\"))]\npub mod fake;\n#[cfg(test)]\nmod tests {\n    fn t() {\n    }\n}\n",
            "#[cfg(test)]\n#[allow(x)]\nfn g(\n    a: u8,\n) {\n}\nfn f() {}\n"
        );
        assert_eq!(Source::read(text), Source { lines: 3, modules: vec!["a", "b"] });
    }

    #[test]
    fn the_kernel_is_counted() {
        let lines = count(&Workspace::find()).expect("readable sources");
        assert!(lines > 1000, "{lines}");
    }
}
