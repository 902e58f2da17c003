//! Rows that the guest itself measures: a boot under `--icount`, where a tick of the guest's time-stamp counter is an instruction.
//!
//! The image is the one that ships, with an overlay of services or a program added. What the guest printed or logged is read as lines `NAME VALUE`;
//! a row of ours that is not among them is told of and left out, never made up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu::{Collector, Machine, Outcome};

use super::{Bench, Figure};
use crate::build::{Boot, Built, ImageOptions, build};
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

/// When a boot counts as failed: some ten times what the longest takes on a quiet machine.
const LIMIT: Duration = Duration::from_secs(1200);
const UNIT: &str = "instr";

/// A row: its name, and what it must not exceed.
pub(super) type Row = (&'static str, Option<f64>);

/// What a boot left behind.
pub(super) struct Seen {
    /// What the script printed.
    pub(super) stdout: String,
    /// The system's log.
    pub(super) log: String,
}

/// An image with `options` and `script` in a folder of the bench `name`, and the machine that boots it.
pub(super) fn machine(workspace: &Workspace, name: &str, script: &str, options: ImageOptions) -> Result<(Machine, Built)> {
    let folder = workspace.built("bench").join(name);
    fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    let options = ImageOptions { script: Some(written(&folder, script)?), ..options };
    let built = build(workspace, &options, &[Boot::Bios], &folder, Voice::Plain)?;
    let machine = Machine { script: true, icount: true, timeout: Some(LIMIT), ..Machine::new(Boot::Bios.image(&folder), folder) };
    Ok((machine, built))
}

/// Boots an image with `options` and `script`, and waits for its end.
pub(super) fn boot(workspace: &Workspace, name: &str, script: &str, options: ImageOptions) -> Result<Seen> {
    let (machine, _) = machine(workspace, name, script, options)?;
    let refused = |why: String| Error::Refused(format!("bench {name}: {why}; see {}", machine.log().display()));
    let (stdout, stderr) = (Collector::default(), Collector::default());
    let (mut guest, output) = machine.start_with_output(stdout.clone(), stderr.clone()).map_err(|error| refused(error.to_string()))?;
    let outcome = guest.wait().map_err(|error| refused(error.to_string()))?;
    let status = output.and_then(qemu::ScriptOutput::finish);
    if outcome != Outcome::Off || status != Some(0) {
        let said = String::from_utf8_lossy(&stderr.take()).into_owned();
        return Err(refused(format!("{outcome:?}, the script's status {status:?} {said}")));
    }
    Ok(Seen { stdout: String::from_utf8_lossy(&stdout.take()).into_owned(), log: guest.log() })
}

fn written(folder: &Path, script: &str) -> Result<PathBuf> {
    let path = folder.join("bench.sh");
    fs::write(&path, script).map_err(Error::io("writing", &path))?;
    Ok(path)
}

/// The figures of `rows` in lines that hold `prefix`, then name and value, each beside Linux's.
pub(super) fn figures(bench: &Bench<'_>, rows: &[Row], prefix: &str, text: &str) -> Vec<Figure> {
    let row = |(name, goal, value): (&'static str, _, _)| Figure { name: name.into(), value, unit: UNIT, goal, linux: bench.linux(name) };
    measured(rows, prefix, text, |why| bench.misses(why)).into_iter().map(row).collect()
}

/// Rows that have a value; the others are told of by `misses`.
fn measured(rows: &[Row], prefix: &str, text: &str, mut misses: impl FnMut(String)) -> Vec<(&'static str, Option<f64>, f64)> {
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(prefix)?.1.split_once(' ')).collect();
    let mut found = Vec::new();
    for (name, goal) in rows {
        match lines.iter().find(|(measured, _)| measured == name) {
            None => misses(format!("{name} was not measured")),
            Some((_, value)) => match value.trim().parse() {
                Ok(value) => found.push((*name, *goal, value)),
                Err(_) => misses(format!("{name} {value}")),
            },
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::measured;

    #[test]
    fn rows_are_found_by_name_and_those_without_a_value_told_of() {
        let mut missing = Vec::new();
        let rows = [("b", Some(7.0)), ("a", None), ("c", None), ("d", None)];
        let found = measured(&rows, "bench: ", "1.0 probe: bench: a 12\nprobe: bench: b 3\nbench: c failed: Busy\nb 9\n", |why| missing.push(why));
        assert_eq!(missing, ["c failed: Busy", "d was not measured"]);
        assert_eq!(found, [("b", Some(7.0), 3.0), ("a", None, 12.0)]);
    }
}
