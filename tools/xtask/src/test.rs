//! `cargo xtask test`: all tests, and one line that counts them.
//!
//! Parts: `host` (plain `cargo test` and the image builder's), `vm` (the suite that boots QEMU, a machine of two CPUs for each of the host's) and,
//! with neither named, the suite's core on one CPU without the kernel's fast path, and a small rotating share of what `soak` does at length. The counts are taken from what the test programs
//! print; a call of cargo that fails without a failed test, because something does not compile or a test program died, counts
//! as one failure.

use std::fs;
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::ops::AddAssign;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::cargo::{Profile, cargo, unlocked};
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::soak::program::Program;
use crate::soak::{matrix, mutate};
use crate::workspace::Workspace;
use crate::{build, setup};

/// More guests than this at once would want more memory than a development machine has to spare.
const MOST_GUESTS: usize = 8;
/// CPUs of the suite's machines.
const PROCESSORS: u32 = 2;
/// The machine that the suite's core runs on once more: one CPU, and no operation by the fast path.
const PLAIN: &str = "--smp 1 --option slowpath";
/// How many random programs are played on the fast path and on the slow one: about two minutes' on two processors.
const FASTPATH_PROGRAMS: &str = "100000";
/// How many mutations an ordinary run of the suite tries.
const MUTATIONS: usize = 2;
/// Seconds of a run of the suite that go to each of the programs of `soak`. Chaos boots once to know what is right, and then once more.
const FUZZ_SECONDS: u64 = 28;
const MODEL_SECONDS: u64 = 20;
const CHAOS_SECONDS: u64 = 1;
/// Faults from outside in a run of the suite: two machines' worth, which run side by side.
const FAULTS: usize = 50;
/// Where they begin: not by the hour, because a fault at another instruction is a new experiment, whose finding is not the fault of the change that is tested.
const FAULTS_SEED: u64 = 1000;

/// Options of the command `test`.
#[derive(Args, Debug)]
pub(crate) struct TestOptions {
    /// Only this part
    #[arg(value_enum)]
    part: Option<Part>,
    /// Only tests whose name contains this; in QEMU all tests of files whose name does, too
    name: Option<String>,
    /// CPUs of every machine whose test does not ask for a number itself; 2 without this
    #[arg(long, value_name = "N")]
    smp: Option<u32>,
}

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Without QEMU.
    Host,
    /// In QEMU.
    Vm,
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The command `test`.
pub(crate) fn run(workspace: &Workspace, options: &TestOptions) -> Result<ExitCode> {
    let mut counts = Counts::default();
    let name = options.name.as_deref();
    if options.part != Some(Part::Vm) {
        setup::toolchain(workspace, Voice::Plain)?;
        counts += tests(cargo(workspace, "test").arg("--no-fail-fast").env("SYNOS_FASTPATH_PROGRAMS", FASTPATH_PROGRAMS), name, &[])?;
        counts += tests(cargo(workspace, "test").args(["--no-fail-fast", "-p", "svc"]), name, &[])?;
        counts += tests(unlocked(workspace, "test", Profile::Release).args(["--no-fail-fast", "-p", "image"]), name, &[])?;
    }
    if options.part != Some(Part::Host) {
        build::warm(workspace)?;
        let programs = guest_programs(workspace)?;
        for (targets, name) in guest_calls(&programs, name) {
            counts += guest_tests(workspace, &targets, name, &format!("--smp {}", options.smp.unwrap_or(PROCESSORS)))?;
        }
    }
    if options.part.is_none() && name.is_none() {
        let core: Vec<&str> = matrix::CORE.iter().flat_map(|program| ["--test", program]).collect();
        counts += guest_tests(workspace, &core, None, PLAIN)?;
        counts += shares(workspace)?;
    }
    if let Some(name) = name.filter(|_| counts == Counts::default()) {
        return Err(Error::Refused(format!("no test is called like {name}")));
    }
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The test programs that boot: the files of `tests/tests`.
fn guest_programs(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.file("tests/tests");
    let files = fs::read_dir(&folder).map_err(Error::io("reading", &folder))?.flatten().map(|entry| entry.path());
    let sources = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let mut names: Vec<String> = sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Calls of cargo, each with its targets and the name that its tests must contain: the programs that are called so run whole, of the others what is.
fn guest_calls<'a>(programs: &'a [String], name: Option<&'a str>) -> Vec<(Vec<&'a str>, Option<&'a str>)> {
    let Some(name) = name else { return vec![(Vec::new(), None)] };
    let (whole, others): (Vec<&str>, Vec<&str>) = programs.iter().map(String::as_str).partition(|program| program.contains(name));
    let targets = |programs: Vec<&'a str>| programs.into_iter().flat_map(|program| ["--test", program]);
    let others = (["--lib"].into_iter().chain(targets(others)).collect(), Some(name));
    if whole.is_empty() { vec![others] } else { vec![(targets(whole).collect(), None), others] }
}

/// Runs test programs, all or those of `targets`, whose every machine has these options of `run`.
fn guest_tests(workspace: &Workspace, targets: &[&str], name: Option<&str>, machine: &str) -> Result<Counts> {
    let mut command = cargo(workspace, "test");
    workspace.introduce(&mut command);
    command.args(["--no-fail-fast", "-p", "tests"]).args(targets).env("SYNOS_RUN", machine);
    tests(&mut command, name, &[&format!("--test-threads={}", guests())])
}

/// How many guests run at once: each wants a CPU of the host, and half a gigabyte.
fn guests() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_GUESTS)
}

/// Runs test programs, showing their output on standard error.
fn tests(command: &mut Command, name: Option<&str>, harness: &[&str]) -> Result<Counts> {
    command.args(name).arg("--").args(harness).stdin(Stdio::null()).stdout(Stdio::piped());
    let doing = |error| Error::Io { doing: "running the tests".into(), error };
    let mut child = command.spawn().map_err(doing)?;
    let mut counts = Counts::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(doing)?;
            eprintln!("{line}");
            counts += counted(&line).unwrap_or_default();
        }
    }
    let status = child.wait().map_err(doing)?;
    if !status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

/// The counts in a line like `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`.
fn counted(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| {
        let part = numbers.split("; ").find(|part| part.ends_with(what))?;
        part.split(' ').next()?.parse().ok()
    };
    Some(Counts { passed: number(" passed")?, failed: number(" failed")?, skipped: number(" ignored")? })
}

/// A share of each kind of soak, which moves on every hour, but for the faults: mutations, machines and seeds take turns. Each kind counts as one test,
/// each mutation as one more.
fn shares(workspace: &Workspace) -> Result<Counts> {
    let hours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() / 3600);
    let turn = usize::try_from(hours).unwrap_or(0);
    let mut counts = Counts::default();
    let mut count = |good: bool| counts += Counts { passed: usize::from(good), failed: usize::from(!good), skipped: 0 };
    for (program, seconds) in [(Program::Fuzz, FUZZ_SECONDS), (Program::Models, MODEL_SECONDS), (Program::Chaos, CHAOS_SECONDS)] {
        count(program.run(workspace, None, None, Some(seconds), hours)?);
    }
    count(Program::faults(workspace, None, FAULTS, FAULTS_SEED)?);
    let (good, machine) = matrix::share(workspace, turn);
    eprintln!("matrix: a test on {machine}: {}", if good { "passed" } else { "FAILED" });
    count(good);
    let report = mutate::share(workspace, MUTATIONS, turn)?;
    counts += Counts { passed: report.caught, failed: report.survived, skipped: 0 };
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.01s";
        assert_eq!(counted(line), Some(Counts { passed: 3, failed: 2, skipped: 1 }));
        assert_eq!(counted("test a ... ok"), None);
        assert_eq!(counted("test result: "), None);
    }

    #[test]
    fn names_select_whole_files_and_single_tests() {
        let programs = ["boot", "svc", "svc_json"].map(String::from);
        assert_eq!(guest_calls(&programs, None), [(vec![], None)]);
        let single = (vec!["--lib", "--test", "boot", "--test", "svc", "--test", "svc_json"], Some("prompt"));
        assert_eq!(guest_calls(&programs, Some("prompt")), [single]);
        let files = (vec!["--test", "svc", "--test", "svc_json"], None);
        assert_eq!(guest_calls(&programs, Some("svc")), [files, (vec!["--lib", "--test", "boot"], Some("svc"))]);
    }

    #[test]
    fn files_of_the_suite_are_known() {
        let programs = guest_programs(&Workspace::find()).expect("a folder");
        assert!(
            programs.is_sorted() && ["boot", "run", "scripts", "svc_json"].iter().all(|name| programs.contains(&(*name).to_owned())),
            "{programs:?}"
        );
    }

    #[test]
    fn a_test_program_that_dies_counts_as_a_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'; exit 1"]);
        assert_eq!(tests(&mut command, None, &[]).ok(), Some(Counts { passed: 1, failed: 1, skipped: 0 }));
    }
}
