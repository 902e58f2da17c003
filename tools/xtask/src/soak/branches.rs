//! `soak branches`: which ways of the kernel's slow path fuzzing takes, and which it never does.
//!
//! The fuzzer's program once more, compiled so that both ways of every condition in the source count (`-Zcoverage-options=branch`), beside the edges that guide it. It
//! fuzzes the kernel, with all that earlier runs have kept, and `llvm-cov` says what was never taken. The slow path is what runs after a
//! trap. Left out are therefore the start (`acpi`, `boot`, `meltdown`), the lock (`smp`, which loom explores), what no host runs (`arch`), the assembly (`fastpath`,
//! which its own test counts), and what only tests link (`fake`, `invariants`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::program::{self, Program};
use crate::error::{Error, Result};
use crate::process::{capture, show};
use crate::workspace::Workspace;

/// Where the kernel's sources are, from the project's root.
const SOURCES: &str = "microkernel/src/";
/// Parts of these that do not count.
const LEFT_OUT: [&str; 8] = ["acpi", "arch", "boot", "fake", "fastpath", "invariants", "meltdown", "smp"];
/// In hundredths, of all ways.
const GOAL: f64 = 95.0;
/// Folder below `target` for the build and what it counts.
const FOLDER: &str = "soak/branches";
const FLAGS: &str = "-Cinstrument-coverage -Zcoverage-options=branch";
/// The fuzz target.
const TARGET: &str = "kernel";

/// A condition: how often it was true, and how often false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    yes: u64,
    no: u64,
}

/// File, from the kernel's sources on, line and column of a condition.
type Place = (String, u64, u64);

/// Fuzzes for so many seconds and tells what was never taken; whether enough was, and nothing found wrong.
pub(crate) fn run(workspace: &Workspace, seconds: u64, seed: u64) -> Result<bool> {
    let tools = tools()?;
    let counts = workspace.built(FOLDER).join("kernel.profraw");
    let mut command = program::command(&workspace.with_target(FOLDER), FLAGS);
    command.env("RUSTC_BOOTSTRAP", "1").env("LLVM_PROFILE_FILE", &counts);
    command.args([Program::Fuzz.word(), TARGET, "--seed", &seed.to_string(), "--seconds", &seconds.to_string()]);
    let sound = program::found_nothing(&mut command)?;
    let merged = counts.with_extension("profdata");
    show(Command::new(tools.join("llvm-profdata")).args(["merge", "-sparse", "-o"]).arg(&merged).arg(&counts))?;
    let json = capture(
        Command::new(tools.join("llvm-cov"))
            .arg("export")
            .arg("--instr-profile")
            .arg(&merged)
            .arg(program::product(&workspace.with_target(FOLDER)))
            .arg("--sources")
            .arg(workspace.file(SOURCES)),
    )?;
    let conditions = conditions(&json).ok_or_else(|| Error::Refused("llvm-cov's answer has no conditions".into()))?;
    let (text, share) = report(&conditions);
    let path = workspace.built(FOLDER).join("branches.txt");
    fs::write(&path, &text).map_err(Error::io("writing", &path))?;
    print!("{text}");
    println!("branches: {share:.1} % of all ways, the goal is {GOAL} %");
    Ok(sound && share >= GOAL)
}

/// Where `llvm-cov` and `llvm-profdata` of the compiler's own version are.
fn tools() -> Result<PathBuf> {
    let library = capture(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let folder = Path::new(library.trim()).with_file_name("bin");
    let missing = ["llvm-cov", "llvm-profdata"].into_iter().find(|name| !folder.join(name).exists());
    match missing {
        None => Ok(folder),
        Some(name) => Err(Error::Missing { what: format!("{name} is missing"), help: "rustup component add llvm-tools".into() }),
    }
}

/// The conditions that count, from what `llvm-cov export` says. One that is compiled for several types counts once.
fn conditions(json: &str) -> Option<BTreeMap<Place, Taken>> {
    let export: Value = serde_json::from_str(json).ok()?;
    let mut all: BTreeMap<Place, Taken> = BTreeMap::new();
    for file in export.pointer("/data/0/files")?.as_array()? {
        let Some((_, name)) = file.get("filename")?.as_str()?.rsplit_once(SOURCES) else { continue };
        let part = name.split(['/', '.']).next().unwrap_or_default();
        if LEFT_OUT.contains(&part) {
            continue;
        }
        for branch in file.get("branches")?.as_array()? {
            let number = |index: usize| branch.get(index).and_then(Value::as_u64);
            let taken = all.entry((name.into(), number(0)?, number(1)?)).or_default();
            taken.yes += number(4)?;
            taken.no += number(5)?;
        }
    }
    Some(all)
}

/// Ways by file, those that were never taken, and the share of those that were in hundredths.
fn report(conditions: &BTreeMap<Place, Taken>) -> (String, f64) {
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut never = String::new();
    for ((file, line, column), taken) in conditions {
        let (ways, of) = files.entry(file).or_default();
        *of += 2;
        for (count, way) in [(taken.yes, "true"), (taken.no, "false")] {
            if count > 0 {
                *ways += 1;
            } else {
                // Writing to a string cannot fail.
                let _written = writeln!(never, "branches: {SOURCES}{file}:{line}:{column} is never {way}");
            }
        }
    }
    let mut text = String::new();
    for (file, (ways, of)) in &files {
        let _written = writeln!(text, "branches: {file:24} {ways:>4} of {of:>4}");
    }
    let (ways, of) = files.values().fold((0, 0), |(ways, of), file| (ways + file.0, of + file.1));
    let share = if of == 0 { 0.0 } else { ways as f64 * 100.0 / of as f64 };
    (text + &never, share)
}

#[cfg(test)]
mod tests {
    use super::{Taken, conditions, report};

    const EXPORT: &str = r#"{"data": [{"files": [
        {"filename": "/p/microkernel/src/space/table.rs", "branches": [[7, 8, 7, 20, 3, 0, 0, 0, 4], [7, 8, 7, 20, 1, 2, 0, 0, 4], [9, 1, 9, 4, 0, 5, 0, 0, 4]]},
        {"filename": "/p/microkernel/src/fake/world.rs", "branches": [[1, 1, 1, 2, 0, 0, 0, 0, 4]]},
        {"filename": "/p/microkernel/src/fastpath.rs", "branches": [[1, 1, 1, 2, 0, 0, 0, 0, 4]]},
        {"filename": "/p/libsys/src/log.rs", "branches": [[1, 1, 1, 2, 0, 0, 0, 0, 4]]}]}]}"#;

    #[test]
    fn conditions_are_the_kernels_and_those_of_several_types_count_once() {
        let found = conditions(EXPORT).expect("it is an export");
        let table = |line, column| ("space/table.rs".to_owned(), line, column);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(table(7, 8), Taken { yes: 4, no: 2 }), (table(9, 1), Taken { yes: 0, no: 5 })]);
        assert_eq!(conditions("{}"), None);
    }

    #[test]
    fn what_was_never_taken_is_named_with_its_place() {
        let (text, share) = report(&conditions(EXPORT).expect("it is an export"));
        let rows = "branches: space/table.rs              3 of    4\nbranches: microkernel/src/space/table.rs:9:1 is never true\n";
        assert_eq!((text.as_str(), share), (rows, 75.0));
    }
}
