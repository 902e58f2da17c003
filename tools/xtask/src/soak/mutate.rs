//! Planting bugs in the kernel, one by one, to see whether its tests notice: an invariant check that catches no seeded bug checks
//! nothing.
//!
//! The work is done in a copy of the project under `target/mutate`, with a build folder of its own that all mutations share.
//! A mutation is *caught* when the tests fail or hang; one that does not compile proves nothing and is an error.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::mutation::{FOLDER, Mutation};
use crate::cargo::cargo;
use crate::error::{Error, Result};
use crate::process::{Voice, copy_tree, output};
use crate::workspace::Workspace;

/// The tests take some seconds; a planted bug that makes them hang is caught after this long.
const HANG_SECONDS: &str = "300";
/// What is not copied: products, and history.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// How many mutations ended how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) caught: usize,
    pub(crate) survived: usize,
}

/// The whole list in an order that `seed` decides, or those in `names`, separated by commas, for at most `time`; whether all were caught.
pub(crate) fn run(workspace: &Workspace, names: Option<&str>, time: Option<Duration>, seed: u64) -> Result<bool> {
    let mut mutations = Mutation::all(&workspace.file(FOLDER))?;
    if let Some(names) = names {
        mutations = chosen(mutations, names)?;
    }
    shuffle(&mut mutations, seed);
    let started = Instant::now();
    let report = try_all(workspace, &mutations, || time.is_none_or(|time| started.elapsed() < time))?;
    println!("{}/{} mutations caught", report.caught, report.caught + report.survived);
    Ok(report.survived == 0)
}

/// The mutations of these names. One that does not exist is an error: it would count as caught.
fn chosen(mut mutations: Vec<Mutation>, names: &str) -> Result<Vec<Mutation>> {
    let unknown = names.split(',').find(|name| mutations.iter().all(|mutation| mutation.name != *name));
    if let Some(name) = unknown {
        return Err(Error::Refused(format!("no mutation is called {name}")));
    }
    mutations.retain(|mutation| names.split(',').any(|name| mutation.name == name));
    Ok(mutations)
}

/// `count` mutations from the list, starting where `turn` says.
pub(crate) fn share(workspace: &Workspace, count: usize, turn: usize) -> Result<Report> {
    let mut mutations = Mutation::all(&workspace.file(FOLDER))?;
    if mutations.is_empty() {
        return Ok(Report::default());
    }
    let first = turn.wrapping_mul(count) % mutations.len();
    mutations.rotate_left(first);
    mutations.truncate(count);
    try_all(workspace, &mutations, || true)
}

fn try_all(workspace: &Workspace, mutations: &[Mutation], go_on: impl Fn() -> bool) -> Result<Report> {
    let copy = Copy::make(workspace)?;
    copy.compile()?;
    if !copy.tests_pass()? {
        return Err(Error::Refused("the kernel's tests fail without any mutation".into()));
    }
    let mut report = Report::default();
    for mutation in mutations.iter().take_while(|_| go_on()) {
        let caught = copy.catches(mutation)?;
        if caught {
            report.caught += 1
        } else {
            report.survived += 1
        }
        eprintln!("{:8} {:40} {}", if caught { "caught" } else { "SURVIVED" }, mutation.name, mutation.what);
    }
    Ok(report)
}

/// A copy of the project to break.
struct Copy {
    workspace: Workspace,
}

impl Copy {
    fn make(workspace: &Workspace) -> Result<Self> {
        let root = workspace.built("mutate/copy");
        if root.exists() {
            fs::remove_dir_all(&root).map_err(Error::io("removing", &root))?;
        }
        fs::create_dir_all(&root).map_err(Error::io("creating", &root))?;
        for entry in fs::read_dir(workspace.root()).map_err(Error::io("reading", workspace.root()))?.flatten() {
            if !LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                copy_tree(&entry.path(), &root.join(entry.file_name()))?;
            }
        }
        Ok(Self { workspace: Workspace::at(root, workspace.built("mutate/target")) })
    }

    fn test(&self) -> Command {
        let mut command = cargo(&self.workspace, "test");
        // Checked arithmetic and assertions stay; the invariants after each trap cost a fifth of the time.
        command.args(["--quiet", "-p", "microkernel"]).env("CARGO_PROFILE_TEST_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        command
    }

    fn compile(&self) -> Result<()> {
        Voice::Quiet.run(self.test().arg("--no-run"))
    }

    fn tests_pass(&self) -> Result<bool> {
        let test = self.test();
        let mut limited = Command::new("timeout");
        limited.arg(HANG_SECONDS).arg(test.get_program()).args(test.get_args()).current_dir(self.workspace.root());
        limited.envs(test.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(output(&mut limited)?.status.success())
    }

    /// Plants the bug, runs the tests, and mends it. The mended file is written anew: cargo goes by the time of the last change.
    fn catches(&self, mutation: &Mutation) -> Result<bool> {
        let file = self.workspace.root().join(&mutation.file);
        let whole = fs::read_to_string(&file).map_err(Error::io("reading", &file))?;
        write(&file, &mutation.planted(&whole)?)?;
        let compiled = self.compile();
        let passed = if compiled.is_ok() { self.tests_pass() } else { Ok(false) };
        write(&file, &whole)?;
        compiled.map_err(|error| Error::Refused(format!("{error}\nmutation {} does not compile", mutation.name)))?;
        passed.map(|passed| !passed)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("writing", path))
}

/// Fisher-Yates with a linear congruential generator (Knuth's MMIX constants): repeatable, and good enough for an order.
pub(super) fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for end in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bound = end as u64 + 1;
        // The remainder is at most `end`.
        items.swap(end, usize::try_from((seed >> 33) % bound).unwrap_or(end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_chosen_by_name_and_an_unknown_name_is_an_error() {
        let all = || Mutation::all(&Workspace::find().file(FOLDER)).expect("readable mutations");
        let two = chosen(all(), "signal-lost,revoke-nothing").expect("both exist");
        assert_eq!(two.iter().map(|mutation| mutation.name.as_str()).collect::<Vec<_>>(), ["revoke-nothing", "signal-lost"]);
        assert!(chosen(all(), "signal-lost,no-such-bug").is_err());
    }

    #[test]
    fn an_order_is_a_permutation_that_the_seed_decides() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..20).collect();
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }
}
