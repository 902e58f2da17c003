//! `inference`: tokens per second of the language-model engine on this machine, what share of the machine that is, and beside llama.cpp.
//!
//! Measured by the engine's own driver (`servers/inference/examples/llm`) on models that it makes, unless one is named. With `--llama-bench` each row is measured by pairs,
//! first ours and then theirs with the same file and threads, since a machine's speed wanders by more than what is compared; the ratio is the pairs' median, and
//! everything that was printed is kept. It takes many minutes, so that it runs only where it is named.

mod pairs;
mod row;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::{Bench, Figure};
use crate::cargo::{Profile, cargo, product};
use crate::error::{Error, Result};
use crate::process;
use crate::workspace::Workspace;
use pairs::Quartiles;
use row::{CASES, Limits, Row, Speed};

pub(super) const NAME: &str = "inference";
/// Models that are made, as they are called.
const KINDS: [&str; 5] = ["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16"];
/// Fewest pairs that a ratio is made of.
const FEWEST_PAIRS: usize = 7;

/// Options of this bench.
#[derive(Args, Debug)]
pub(crate) struct InferenceOptions {
    /// Inference: measure with this model instead of those that are made
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Inference: compare with this program of llama.cpp
    #[arg(long, value_name = "PATH")]
    llama_bench: Option<PathBuf>,
    /// Inference: numbers of threads
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Inference: how often each row is measured
    #[arg(long, value_name = "N", default_value_t = FEWEST_PAIRS)]
    pairs: usize,
    /// Inference: only rows whose names contain one of these
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    rows: Vec<String>,
}

/// The two programs, and where all that they print is kept.
struct Programs<'a> {
    ours: PathBuf,
    theirs: Option<&'a Path>,
    raw: PathBuf,
}

impl Programs<'_> {
    /// Starts a new record of what is printed.
    fn begin(&self) -> Result<()> {
        fs::write(&self.raw, "").map_err(Error::io("writing", &self.raw))
    }

    /// Runs a program, and keeps what it prints.
    fn run(&self, program: &Path, arguments: &[String]) -> Result<String> {
        let said = process::capture(Command::new(program).args(arguments))?;
        let mut raw = fs::OpenOptions::new().append(true).open(&self.raw).map_err(Error::io("opening", &self.raw))?;
        let record = format!("$ {} {}\n{said}\n", program.display(), arguments.join(" "));
        raw.write_all(record.as_bytes()).map_err(Error::io("writing", &self.raw))?;
        Ok(said)
    }

    fn ours(&self, row: &Row<'_>) -> Result<Speed> {
        let said = self.run(&self.ours, &row.arguments())?;
        Speed::read(&said).ok_or_else(|| Error::Refused(format!("bench: {} printed no speed", self.ours.display())))
    }

    fn theirs(&self, program: &Path, row: &Row<'_>) -> Result<f64> {
        let said = self.run(program, &row.peer_arguments())?;
        row::peer_speed(&said).ok_or_else(|| Error::Refused(format!("bench: {} printed no speed", program.display())))
    }

    /// Says and keeps which llama.cpp it is, and for which instructions it was built. Its bench does not tell the latter; its neighbour does.
    fn introduce(&self, program: &Path, model: &Path) -> Result<()> {
        let version = process::output(Command::new(program).arg("--version"))?;
        let neighbour = program.with_file_name("llama-completion");
        let words = ["-no-cnv", "--no-warmup", "-n", "1", "-p", "a", "-m"];
        let told = process::output(Command::new(&neighbour).args(words).arg(model));
        let told = told.map(|told| [told.stdout, told.stderr].concat()).unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        let system = told.lines().find_map(|line| line.find("system_info:").map(|at| line[at..].to_owned()));
        let system = system.unwrap_or_else(|| format!("system_info: not known, {} does not tell it", neighbour.display()));
        let version = String::from_utf8_lossy(&[version.stdout, version.stderr].concat()).into_owned();
        let text = format!("{}\n{system}\n", version.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"));
        eprint!("{text}");
        let mut raw = fs::OpenOptions::new().append(true).open(&self.raw).map_err(Error::io("opening", &self.raw))?;
        raw.write_all(text.as_bytes()).map_err(Error::io("writing", &self.raw))
    }
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let (workspace, options) = (bench.workspace, bench.inference);
    if options.llama_bench.is_some() && options.pairs < FEWEST_PAIRS {
        return Err(Error::Refused(format!("bench: a ratio is made of at least {FEWEST_PAIRS} pairs")));
    }
    let folder = workspace.built("bench/inference");
    fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    process::show(cargo(workspace, "build").args(["--quiet", "--release", "-p", "inference", "--example", "llm"]))?;
    let ours = product(workspace, None, Profile::Release, "examples/llm");
    let programs = Programs { ours, theirs: options.llama_bench.as_deref(), raw: folder.join("raw") };
    programs.begin()?;
    let threads = options.threads.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let machine = ["machine".into(), "--threads".into(), threads];
    let (mut limits, mut figures) = (Limits::default(), Vec::new());
    for (name, path) in models(workspace, options, &folder) {
        let rows = CASES.into_iter().flat_map(|case| options.threads.iter().map(move |threads| (case, *threads)));
        let rows = rows.map(|(case, threads)| Row { model: &path, kind: &name, case, threads });
        let rows: Vec<Row<'_>> =
            rows.filter(|row| options.rows.is_empty() || options.rows.iter().any(|part| row.name().contains(part.as_str()))).collect();
        if rows.is_empty() {
            continue;
        }
        make(&programs, &name, &path)?;
        if let (Some(theirs), true) = (programs.theirs, figures.is_empty()) {
            programs.introduce(theirs, &path)?;
        }
        for row in rows {
            // The best that was ever seen is what the machine can do: others may have used it while this looked.
            limits.raise(Limits::read(&programs.run(&programs.ours, &machine)?));
            figures.extend(measured(&programs, &row, options.pairs, &limits)?);
        }
    }
    figures.extend(limits.figures());
    eprintln!("bench: all that was printed is in {}", programs.raw.display());
    Ok(figures)
}

/// Names and files of the models.
fn models(workspace: &Workspace, options: &InferenceOptions, folder: &Path) -> Vec<(String, PathBuf)> {
    match &options.model {
        Some(path) => {
            // Cargo runs this in the project's folder, and whoever names a file may be elsewhere.
            let path = path.canonicalize().unwrap_or_else(|_| workspace.file(&path.to_string_lossy()));
            vec![(path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path)]
        }
        None => KINDS.map(|kind| (kind.to_owned(), folder.join(format!("{}.gguf", kind.to_lowercase())))).to_vec(),
    }
}

/// Makes a model that is not there yet.
fn make(programs: &Programs<'_>, kind: &str, path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    eprintln!("bench: making {}", path.display());
    let unfinished = path.with_extension("part");
    process::capture(Command::new(&programs.ours).args(["model", "--kind", kind, "--out"]).arg(&unfinished))?;
    fs::rename(&unfinished, path).map_err(Error::io("renaming", &unfinished))
}

/// Measures a row: its speed, its share of the machine, and with a peer its ratio.
fn measured(programs: &Programs<'_>, row: &Row<'_>, pairs: usize, limits: &Limits) -> Result<Vec<Figure>> {
    let (mut speeds, mut shares, mut peers, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs.max(1) {
        let speed = programs.ours(row)?;
        if let Some(theirs) = programs.theirs {
            let theirs = programs.theirs(theirs, row)?;
            ratios.push(speed.tokens / theirs);
            peers.push(theirs);
        }
        shares.extend(limits.share(&speed, row.threads));
        speeds.push(speed.tokens);
    }
    let name = row.name();
    let figure = |part: &str, value: f64, unit, goal| Figure { name: format!("{name}{part}").into(), value: round(value), unit, goal, linux: None };
    let mut figures = Vec::new();
    let speed = Quartiles::of(&mut speeds);
    figures.push(figure("", speed.median, "t/s", None));
    if !shares.is_empty() {
        figures.push(figure("_share", Quartiles::of(&mut shares).median, "%", None));
    }
    eprint!("bench: {name}: {:.2} tokens/s", speed.median);
    if !ratios.is_empty() {
        let (peer, ratio) = (Quartiles::of(&mut peers), Quartiles::of(&mut ratios));
        figures.push(figure("_peer", peer.median, "t/s", None));
        figures.push(figure("_ratio", ratio.median, "x", row.goal()));
        figures.push(figure("_ratio_lower", ratio.lower, "x", None));
        figures.push(figure("_ratio_upper", ratio.upper, "x", None));
        eprint!(", theirs {:.2}, ratio {:.2} ({:.2} to {:.2} of {} pairs)", peer.median, ratio.median, ratio.lower, ratio.upper, ratios.len());
    }
    eprintln!();
    Ok(figures)
}

/// To as many places as mean something.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
