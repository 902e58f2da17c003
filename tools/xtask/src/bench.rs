//! `cargo xtask bench`: figures with names that stay, so that they can be compared over time.
//!
//! A bench is a function that measures; what several benches would share of a machine stands in the `qemu` crate. With each figure stands
//! the goal, where the project has set itself one, and Linux's figure, measured in the same run ([`peer`]) and never remembered.

mod boot;
mod counted;
mod inference;
mod ipc;
mod lines;
mod linux;
mod peer;
mod phases;
mod restart;

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::workspace::Workspace;
use counted::Row;
use peer::Linux;

/// Options of the command `bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    /// Only benches, or rows, whose name contains this
    name: Option<String>,
    /// Write the figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Do not boot Linux beside: its column stays empty
    #[arg(long)]
    without_linux: bool,
    #[command(flatten)]
    phases: phases::PhasesOptions,
    #[command(flatten)]
    inference: inference::InferenceOptions,
}

/// One measured figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// Its name, which never changes.
    pub(crate) name: Cow<'static, str>,
    /// What was measured.
    pub(crate) value: f64,
    /// Unit of all three values.
    pub(crate) unit: &'static str,
    /// What it must not exceed; what a ratio must reach.
    pub(crate) goal: Option<f64>,
    /// What Linux has, in the same emulator and the same run.
    pub(crate) linux: Option<f64>,
}

/// What a bench measures with: the project, and Linux, which is booted when the first asks for it.
pub(crate) struct Bench<'a> {
    pub(crate) workspace: &'a Workspace,
    /// What was asked for; all without it.
    part: Option<&'a str>,
    inference: &'a inference::InferenceOptions,
    /// Nobody's when it was not wanted.
    linux: OnceCell<Linux>,
    /// What should have been measured and was not, in words.
    missing: RefCell<Vec<String>>,
}

impl Bench<'_> {
    /// Linux's figure for a row.
    pub(crate) fn linux(&self, name: &str) -> Option<f64> {
        self.linux.get_or_init(|| Linux::measured(self.workspace)).figure(name)
    }

    /// Whether a row of the bench `bench` is to be shown.
    fn shows(&self, bench: &str, row: &str) -> bool {
        self.part.is_none_or(|part| bench.contains(part) || row.contains(part))
    }

    /// A row has no value, or misses a goal that is a promise: the others are shown, and the command fails.
    fn misses(&self, why: String) {
        self.missing.borrow_mut().push(why);
    }
}

/// How a bench measures.
type Measure = fn(&Bench<'_>) -> Result<Vec<Figure>>;

/// All benches, by name, with the rows that can be asked for by theirs.
const BENCHES: [(&str, Measure, &[Row]); 6] = [
    (boot::NAME, boot::measure, &[]),
    (inference::NAME, inference::measure, &[]),
    (ipc::NAME, ipc::measure, &ipc::ROWS),
    (linux::NAME, linux::measure, &linux::ROWS),
    (lines::NAME, lines::measure, &[]),
    (restart::NAME, restart::measure, &[]),
];

/// Whether a bench is to run.
fn is_wanted(part: Option<&str>, bench: &str, rows: &[Row]) -> bool {
    // What takes an hour has to be asked for.
    part.map_or(bench != inference::NAME, |part| bench.contains(part) || part.starts_with(bench) || rows.iter().any(|(row, _)| row.contains(part)))
}

/// The command `bench`.
pub(crate) fn run(workspace: &Workspace, options: &BenchOptions) -> Result<()> {
    let part = options.name.as_deref();
    let linux = if options.without_linux { OnceCell::from(Linux::default()) } else { OnceCell::new() };
    let bench = Bench { workspace, part, inference: &options.inference, linux, missing: RefCell::default() };
    let mut figures: Vec<Figure> = Vec::new();
    for (name, measure, _) in BENCHES.into_iter().filter(|(name, _, rows)| is_wanted(part, name, rows)) {
        for figure in measure(&bench)?.into_iter().filter(|figure| bench.shows(name, &figure.name)) {
            if figures.is_empty() {
                println!("{HEAD}");
            }
            println!("{}", line(&figure));
            figures.push(figure);
        }
    }
    if figures.is_empty() {
        let names: Vec<&str> = BENCHES.iter().map(|(name, ..)| *name).collect();
        return Err(Error::Refused(format!("no such bench; there are {}", names.join(", "))));
    }
    if let Some(path) = &options.json {
        fs::write(path, json(&figures)).map_err(Error::io("writing", path))?;
    }
    phases::print(&bench, &options.phases, &figures)?;
    let missing = bench.missing.into_inner();
    if missing.is_empty() { Ok(()) } else { Err(Error::Refused(format!("bench: {}", missing.join("; ")))) }
}

/// The table's first line.
const HEAD: &str = "name                                SynOS unit         Linux       goal";

/// A row of the table.
fn line(figure: &Figure) -> String {
    let column = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| value.to_string());
    format!("{:30} {:>10} {:7} {:>10} {:>10}", figure.name, figure.value, figure.unit, column(figure.linux), column(figure.goal))
}

/// A list of objects, each with Linux's figure as peer; names and units hold nothing that JSON would have to escape.
fn json(figures: &[Figure]) -> String {
    let mut text = String::from("[\n");
    for (index, figure) in figures.iter().enumerate() {
        let peer = figure.linux.map_or_else(|| "null".into(), |peer| peer.to_string());
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
        let figure = |name: &'static str, linux| Figure { name: name.into(), value: 1.5, unit: "s", goal: None, linux };
        let expected = concat!(
            "[\n",
            "  {\"name\": \"a\", \"value\": 1.5, \"unit\": \"s\", \"peer\": null},\n",
            "  {\"name\": \"b\", \"value\": 1.5, \"unit\": \"s\", \"peer\": 20}\n",
            "]\n"
        );
        assert_eq!(json(&[figure("a", None), figure("b", Some(20.0))]), expected);
    }

    #[test]
    fn a_row_shows_what_is_there_and_what_is_not() {
        let figure = Figure { name: "a".into(), value: 250.0, unit: "instr", goal: Some(300.0), linux: None };
        assert_eq!(line(&figure), "a                                     250 instr            -        300");
        assert_eq!(HEAD.len(), line(&figure).len());
    }

    #[test]
    fn bench_runs_for_its_own_name_and_for_those_of_its_rows() {
        let run = |part| BENCHES.into_iter().filter(|(name, _, rows)| is_wanted(part, name, rows)).map(|(name, ..)| name).collect::<Vec<_>>();
        assert_eq!(run(Some("call_reply_empty")), [ipc::NAME]);
        assert_eq!(run(Some("ipc")), [ipc::NAME, linux::NAME]);
        assert_eq!(run(Some("kernel_lines")), [lines::NAME]);
        assert_eq!(run(Some("restart_p50_inference")), [restart::NAME], "a row's name begins with its bench's");
        assert_eq!(run(Some("nothing_like_it")), [""; 0]);
        assert_eq!(run(None).len(), BENCHES.len() - 1);
    }

    /// They are what figures are compared by over time, and other programs look for them.
    #[test]
    fn names_of_rows_stay() {
        let rows: Vec<&str> = BENCHES.iter().flat_map(|(.., rows)| rows.iter().map(|(row, _)| *row)).collect();
        let expected = "call_reply_empty call_reply_32 call_reply_64 call_reply_1k native_null switch_two notification_ping_pong fault_to_handler map_one unmap_one \
                        map_batched unmap_batched mint delete revoke reflected_getppid pread_1 pread_4k open_close stat create_write_unlink page_fault_anon \
                        page_fault_around pipe_ping_pong thread_create_join fork_exit_wait vfork_exec_tiny fork_exec_static";
        assert_eq!(rows.join(" "), expected);
    }

    #[test]
    fn names_are_snake_case_and_sorted() {
        let names: Vec<&str> = BENCHES.iter().map(|(name, ..)| *name).collect();
        assert!(names.is_sorted());
        let rows = BENCHES.iter().flat_map(|(.., rows)| rows.iter().map(|(row, _)| *row));
        assert!(
            names
                .iter()
                .copied()
                .chain(rows)
                .all(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'))
        );
    }
}
