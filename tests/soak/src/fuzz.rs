//! Bytes to everything that reads foreign bytes.
//!
//! A [`Target`] is a function of bytes that panics when something is wrong. Targets share their time evenly. What comes of one:
//!
//! - Inputs are mutated from a corpus: the committed one in `corpus/NAME`, the target's own seeds, and what earlier runs left in
//!   `target/soak/corpus`. With a build that counts edges (`coverage`) an input that reaches something new joins the corpus; without
//!   one the targets are thrown at blindly, which is what `cargo test` does for a moment.
//! - An input that panics is cut down, kept in `target/soak/crashes`, and the command that runs it again is printed. So is one that runs
//!   for longer than ten seconds, by a thread that watches.
//!
//! Why not libFuzzer: its engine is C++, wants a compiler of its own kind on every machine, and ends the process at the first finding.

mod campaign;
mod coverage;
mod mutation;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use campaign::Campaign;
pub use targets::TARGETS;

/// Something that reads foreign bytes.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Panics when `bytes` make something go wrong.
    pub run: fn(bytes: &[u8]),
    /// Inputs to start from, besides the committed ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Longest input worth trying.
    pub most_bytes: usize,
}

/// Where what a run found is kept.
fn kept(what: &str) -> PathBuf {
    ::tests::root().join("target/soak").join(what)
}

impl Target {
    /// All inputs to start from that belong to the project.
    #[must_use]
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name);
        let mut inputs = (self.seeds)();
        inputs.extend(self.inputs_in(&committed));
        inputs
    }

    /// The inputs in a folder, sorted, so that a run depends on what is there and its seed alone.
    fn inputs_in(&self, folder: &Path) -> Vec<Vec<u8>> {
        let mut files: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
        files.sort();
        let mut inputs: Vec<Vec<u8>> = files.iter().filter_map(|file| fs::read(file).ok()).collect();
        inputs.iter_mut().for_each(|input| input.truncate(self.most_bytes));
        inputs
    }
}

fn find(name: &str) -> Result<&'static Target, String> {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    TARGETS.iter().find(|target| target.name == name).ok_or_else(|| format!("no target {name}; there are {}", names.join(", ")))
}

/// Fuzzes all targets, or the one called `name`, for `time` in all; how many findings there were.
///
/// # Errors
/// There is no such target, or `target` cannot be written.
pub fn run(name: Option<&str>, time: Duration, seed: u64) -> Result<usize, String> {
    let selected: Vec<&Target> = match name {
        Some(name) => vec![find(name)?],
        None => TARGETS.iter().collect(),
    };
    let share = time / u32::try_from(selected.len()).unwrap_or(u32::MAX).max(1);
    let mut findings = 0;
    for target in selected {
        let mut campaign = Campaign::new(target, seed);
        findings += usize::from(campaign.run(share)?);
        println!("fuzz: {}", campaign.summary());
    }
    println!("fuzz: {findings} findings with seed {seed}");
    Ok(findings)
}

/// Runs one kept input again, with its panic shown; how many findings there were.
///
/// # Errors
/// There is no such target or file.
pub fn again(name: &str, input: &Path) -> Result<usize, String> {
    let target = find(name)?;
    let bytes = fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    (target.run)(&bytes);
    println!("fuzz: {name} survives {}", input.display());
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each target survives its corpus and what a moment of blind mutation makes of it.
    #[test]
    fn every_target_survives_its_corpus_and_a_moment_more() {
        for target in TARGETS {
            let corpus = target.corpus();
            assert!(!corpus.is_empty(), "{} starts from nothing", target.name);
            let mut campaign = Campaign::new(target, 1);
            assert_eq!(campaign.run(Duration::from_millis(200)), Ok(false), "{}", target.name);
            assert!(campaign.runs() >= corpus.len() as u64, "{}", campaign.summary());
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        for target in TARGETS {
            assert_eq!(find(target.name).map(|found| found.name), Ok(target.name));
            assert_eq!(TARGETS.iter().filter(|other| other.name == target.name).count(), 1);
        }
        assert!(find("nothing").is_err_and(|why| why.contains("kernel")));
    }
}
