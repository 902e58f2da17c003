//! Rows that the guest itself measures: a boot under `--icount`, where a tick of the guest's time-stamp counter is an instruction.
//!
//! The image is the one that ships, with an overlay of services or a program added. What the guest printed or logged is read as lines `NAME VALUE`;
//! a row of ours that is not among them is told of and left out, never made up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu::{Collector, Machine, Outcome};

use super::{Figure, Peers};
use crate::build::{Boot, ImageOptions, build};
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

/// When a boot counts as failed: some ten times what it takes on a quiet machine.
const LIMIT: Duration = Duration::from_secs(300);
const UNIT: &str = "instr";

/// A row: its name, and what others have.
pub(super) type Row = (&'static str, Peers);

/// What a boot left behind.
pub(super) struct Seen {
    /// What the script printed.
    pub(super) stdout: String,
    /// The system's log.
    pub(super) log: String,
}

/// Boots an image with `options` and `script` in a folder of the bench `name`, and waits for its end.
pub(super) fn boot(workspace: &Workspace, name: &str, script: &str, options: ImageOptions) -> Result<Seen> {
    let folder = workspace.built("bench").join(name);
    fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    let options = ImageOptions { script: Some(written(&folder, script)?), ..options };
    build(workspace, &options, &[Boot::Bios], &folder, Voice::Plain)?;
    let machine = Machine { script: true, icount: true, timeout: Some(LIMIT), ..Machine::new(Boot::Bios.image(&folder), folder) };
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

/// The figures of `rows` in lines that hold `prefix`, then name and value.
pub(super) fn figures(rows: &[Row], prefix: &str, text: &str) -> Vec<Figure> {
    let measured: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(prefix)?.1.split_once(' ')).collect();
    let mut figures = Vec::new();
    for (name, peers) in rows {
        match measured.iter().find(|(measured, _)| measured == name) {
            None => eprintln!("bench: {name} was not measured"),
            Some((_, value)) => match value.trim().parse() {
                Ok(value) => figures.push(Figure { name, value, unit: UNIT, peers }),
                Err(_) => eprintln!("bench: {name} {value}"),
            },
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn rows_are_found_by_name_and_those_without_a_value_left_out() {
        let rows = [("b", &[("Linux", 7.0)] as super::Peers), ("a", &[]), ("c", &[]), ("d", &[])];
        let found = figures(&rows, "bench: ", "1.0 probe: bench: a 12\nprobe: bench: b 3\nbench: c failed: Busy\nb 9\n");
        let values: Vec<_> = found.iter().map(|figure| (figure.name, figure.value, figure.peers.len())).collect();
        assert_eq!(values, [("b", 3.0, 1), ("a", 12.0, 0)]);
    }
}
