//! `cargo xtask bench`: figures with names that stay, so that they can be compared over time.
//!
//! A bench is a function that measures; what several benches would share of a machine stands in the `qemu` crate. With each figure
//! stands that of a peer, where one is known on the same kind of machine (the sources are in the project's list of anchors).

mod boot;
mod counted;
mod ipc;
mod lines;
mod linux;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Options of the command `bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    /// Only benches whose name contains this
    name: Option<String>,
    /// Write the figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One measured figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// Its name, which never changes.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// Unit of both values.
    pub(crate) unit: &'static str,
    /// What others have.
    pub(crate) peers: Peers,
}

/// Other systems, each with its figure.
pub(crate) type Peers = &'static [(&'static str, f64)];

impl Figure {
    /// The figure to beat.
    fn best_peer(&self) -> Option<f64> {
        self.peers.iter().map(|peer| peer.1).min_by(f64::total_cmp)
    }
}

/// A bench: its name, and how it measures.
type Bench = (&'static str, fn(&Workspace) -> Result<Vec<Figure>>);

/// All benches, by name.
const BENCHES: [Bench; 4] = [(boot::NAME, boot::measure), (ipc::NAME, ipc::measure), (linux::NAME, linux::measure), (lines::NAME, lines::measure)];

/// The command `bench`.
pub(crate) fn run(workspace: &Workspace, options: &BenchOptions) -> Result<()> {
    let wanted = |name: &str| options.name.as_deref().is_none_or(|part| name.contains(part));
    let mut figures = Vec::new();
    for (_, measure) in BENCHES.into_iter().filter(|(name, _)| wanted(name)) {
        for figure in measure(workspace)? {
            println!("{}", line(&figure));
            figures.push(figure);
        }
    }
    if figures.is_empty() {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        return Err(Error::Refused(format!("no such bench; there are {}", names.join(", "))));
    }
    match &options.json {
        Some(path) => fs::write(path, json(&figures)).map_err(Error::io("writing", path)),
        None => Ok(()),
    }
}

/// A row of the table.
fn line(figure: &Figure) -> String {
    let peers: Vec<String> = figure.peers.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!("{:24} {:>10} {:7} {}", figure.name, figure.value, figure.unit, peers.join(", ")).trim_end().into()
}

/// A list of objects, each with the best peer's figure; names and units hold nothing that JSON would have to escape.
fn json(figures: &[Figure]) -> String {
    let mut text = String::from("[\n");
    for (index, figure) in figures.iter().enumerate() {
        let peer = figure.best_peer().map_or_else(|| "null".into(), |peer| peer.to_string());
        let comma = if index + 1 < figures.len() { "," } else { "" };
        // Writing to a string cannot fail.
        let _written =
            writeln!(text, r#"  {{"name": "{}", "value": {}, "unit": "{}", "peer": {peer}}}{comma}"#, figure.name, figure.value, figure.unit);
    }
    text + "]\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_json() {
        let figure = |name, peers| Figure { name, value: 1.5, unit: "s", peers };
        let expected = concat!(
            "[\n",
            "  {\"name\": \"a\", \"value\": 1.5, \"unit\": \"s\", \"peer\": null},\n",
            "  {\"name\": \"b\", \"value\": 1.5, \"unit\": \"s\", \"peer\": 20}\n",
            "]\n"
        );
        assert_eq!(json(&[figure("a", &[]), figure("b", &[("x", 21.0), ("y", 20.0)])]), expected);
    }

    #[test]
    fn names_are_snake_case_and_sorted() {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')));
    }
}
