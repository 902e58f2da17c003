//! The project's crates and source files, for the tidy rules.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders of products and of files that are not ours to rule.
const PASSED_OVER: [&str; 2] = ["target", "rootfs"];

/// A source file.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tools/xtask lies two folders deep")
}

/// Folders of all crates.
pub(crate) fn crates() -> Vec<PathBuf> {
    let manifests = files(root()).into_iter().filter(|path| path.ends_with("Cargo.toml"));
    manifests.filter_map(|path| path.parent().map(Path::to_path_buf)).filter(|folder| folder != root()).collect()
}

/// All Rust files.
pub(crate) fn sources() -> Vec<Source> {
    let paths = files(root()).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    paths.map(|path| Source { text: fs::read_to_string(&path).expect("a source file"), path }).collect()
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !PASSED_OVER.contains(&name.as_str()) {
                found.extend(files(&path));
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Source {
    /// Whether it is a part of a crate's own tests, whose names say what they are for.
    pub(crate) fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    }

    /// Names and lengths of the functions. rustfmt puts a function's end at the indentation of its start.
    pub(crate) fn functions(&self) -> Vec<(String, usize)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut functions = Vec::new();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let Some((before, rest)) = code.split_once("fn ") else { continue };
            let words = ["pub(crate) ", "pub(super) ", "pub ", "const ", "unsafe ", "extern \"C\" "];
            if !words.iter().fold(before.to_owned(), |left, word| left.replace(word, "")).is_empty() || code.ends_with(['}', ';']) {
                continue;
            }
            // One statement of assembly cannot be cut into functions: each of its entries and exits is an instruction's place.
            if start.checked_sub(1).is_some_and(|before| lines[before].contains("#[unsafe(naked)]")) {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[start..].iter().position(|line| line.starts_with(&end)).unwrap_or_default();
            functions.push((rest.split(['(', '<']).next().unwrap_or_default().to_owned(), length + 1));
        }
        functions
    }

    /// Whether cargo finds the file by itself, or some file above it or beside it declares it as a module.
    pub(crate) fn is_declared(&self, all: &[Self]) -> bool {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = self.path.parent().unwrap_or(&self.path);
        let kind = folder.file_name().unwrap_or_default();
        let is_root =
            matches!(&*name, "lib" | "main" | "build") || ["tests", "benches", "examples", "bin", "fuzz_targets"].iter().any(|own| kind == *own);
        if is_root || name == "mod" {
            return true;
        }
        let beside = folder.with_extension("rs");
        let declares = |text: &str| {
            let declared = format!("mod {name};");
            text.lines().any(|line| line.trim().ends_with(&declared)) || text.contains(&format!("{name}.rs\"]"))
        };
        all.iter().any(|other| (other.path.parent() == Some(folder) || other.path == beside) && declares(&other.text))
    }
}
