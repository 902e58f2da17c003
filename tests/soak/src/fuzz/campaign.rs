//! One target's turn: choose, change, run, keep what reaches something new.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::coverage::{self, Seen};
use super::mutation::mutate;
use super::{Target, kept};
use crate::dice::Dice;

/// An input that runs for longer hangs: targets take milliseconds.
const HANG: Duration = Duration::from_secs(10);
/// Runs that may be spent on cutting down an input that fails.
const CUTS: usize = 500;

/// What is running, and since when; the watching thread looks at it.
type Running = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// One target's turn.
pub(crate) struct Campaign {
    target: &'static Target,
    seed: u64,
    dice: Dice,
    corpus: Vec<Vec<u8>>,
    seen: Seen,
    running: Running,
    runs: u64,
    time: Duration,
}

impl Campaign {
    pub(crate) fn new(target: &'static Target, seed: u64) -> Self {
        let name = target.name.bytes().fold(seed, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self {
            target,
            seed,
            dice: Dice::new(name),
            corpus: Vec::new(),
            seen: Seen::default(),
            running: Running::default(),
            runs: 0,
            time: Duration::ZERO,
        }
    }

    /// Fuzzes for `time`, or until the first finding; whether there was one.
    pub(crate) fn run(&mut self, time: Duration) -> Result<bool, String> {
        let hook = std::panic::take_hook();
        // Panics are what is looked for: the one that counts is shown at its end.
        std::panic::set_hook(Box::new(|_| {}));
        let watcher = Watcher::start(self.target, Arc::clone(&self.running));
        let started = Instant::now();
        let found = self.search(|| started.elapsed() < time);
        self.time = started.elapsed();
        drop(watcher);
        std::panic::set_hook(hook);
        self.keep_corpus()?;
        match found {
            None => Ok(false),
            Some((input, why)) => {
                let path = keep(self.target, &input)?;
                println!("fuzz: {} with seed {}: {why}\n    {}", self.target.name, self.seed, again(self.target, &path));
                Ok(true)
            }
        }
    }

    /// How many inputs were run.
    #[cfg(test)]
    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    /// What was done, in one line.
    pub(crate) fn summary(&self) -> String {
        let rate = self.runs as f64 / self.time.as_secs_f64().max(0.001);
        format!(
            "{:12} {:>9} runs, {rate:>7.0} a second, {:>5} edges, {:>4} inputs",
            self.target.name,
            self.runs,
            self.seen.edges(),
            self.corpus.len()
        )
    }

    fn search(&mut self, go_on: impl Fn() -> bool) -> Option<(Vec<u8>, String)> {
        let found = |input: Vec<u8>, why: String, campaign: &mut Self| Some((campaign.cut_down(input), why));
        Seen::clear();
        let mut corpus = self.target.corpus();
        if coverage::is_there() {
            corpus.extend(self.target.inputs_in(&kept("corpus").join(self.target.name)));
        }
        for input in corpus {
            if let Err(why) = self.try_one(&input) {
                return found(input, why, self);
            }
            self.corpus.push(input);
        }
        let first = self.corpus.len();
        while go_on() {
            let mut input = self.choose(first);
            let other = self.choose(first);
            mutate(&mut input, &other, &mut self.dice, self.target.most_bytes);
            match self.try_one(&input) {
                Ok(true) => self.corpus.push(input),
                Ok(false) => {}
                Err(why) => return found(input, why, self),
            }
        }
        None
    }

    /// One of the corpus; every second time one of the latest, which are nearest to what is new.
    fn choose(&mut self, first: usize) -> Vec<u8> {
        let count = self.corpus.len();
        let late = count > first && self.dice.chance(50);
        let from = if late { count - (count - first).div_ceil(4) } else { 0 };
        let at = from + self.dice.below((count - from) as u64) as usize;
        self.corpus.get(at).cloned().unwrap_or_default()
    }

    /// Runs one input: whether it reached something new, or the panic's words.
    fn try_one(&mut self, input: &[u8]) -> Result<bool, String> {
        self.runs += 1;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), input.to_vec()));
        let result = catch_unwind(AssertUnwindSafe(|| (self.target.run)(input)));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let new = self.seen.add();
        result.map(|()| new).map_err(|reason| words(&*reason))
    }

    /// A shorter input that still fails: parts are left out, ever smaller ones.
    fn cut_down(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let (mut part, mut tries) = (input.len() / 2, 0);
        while part > 0 {
            let mut start = 0;
            while start < input.len() && tries < CUTS {
                let mut shorter = input.clone();
                shorter.drain(start..(start + part).min(input.len()));
                tries += 1;
                if self.try_one(&shorter).is_err() {
                    input = shorter;
                } else {
                    start += part;
                }
            }
            part /= 2;
        }
        input
    }

    /// Leaves what reached something new for the next run.
    fn keep_corpus(&self) -> Result<(), String> {
        if self.seen.edges() == 0 {
            return Ok(());
        }
        let folder = kept("corpus").join(self.target.name);
        self.corpus.iter().try_for_each(|input| write(&folder, input).map(drop))
    }
}

fn words(reason: &(dyn std::any::Any + Send)) -> String {
    let text = reason.downcast_ref::<String>().cloned();
    text.or_else(|| reason.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic without words".into())
}

fn keep(target: &Target, input: &[u8]) -> Result<std::path::PathBuf, String> {
    write(&kept("crashes").join(target.name), input)
}

/// Writes `input` into `folder` under the name of its contents.
fn write(folder: &std::path::Path, input: &[u8]) -> Result<std::path::PathBuf, String> {
    let path = folder.join(format!("{:016x}", abi::boot::checksum(input) ^ input.len() as u64));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, input));
    written.map(|()| path.clone()).map_err(|error| format!("{}: {error}", path.display()))
}

fn again(target: &Target, path: &std::path::Path) -> String {
    format!("cargo xtask soak fuzz {} --input {}", target.name, path.display())
}

/// Ends the process when an input hangs: nothing else can.
struct Watcher {
    stop: std::sync::mpsc::Sender<()>,
}

impl Watcher {
    fn start(target: &'static Target, running: Running) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            while stopped.recv_timeout(HANG / 10) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let now = running.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((since, input)) = now
                    && since.elapsed() > HANG
                {
                    let kept = keep(target, &input).map(|path| again(target, &path));
                    println!("fuzz: {} hangs\n    {}", target.name, kept.unwrap_or_else(|why| why));
                    std::process::exit(1);
                }
            }
        });
        Self { stop }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A watcher that has ended needs no word.
        let _gone = self.stop.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FRAGILE: Target = Target {
        name: "fragile",
        run: |bytes| assert!(!bytes.contains(&b'!'), "it does not bear this"),
        seeds: || vec![b"harmless bytes, but for one bit".to_vec()],
        most_bytes: 100,
    };

    #[test]
    fn a_finding_is_cut_down_and_told() {
        let mut campaign = Campaign::new(&FRAGILE, 1);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let found = campaign.search(|| true);
        std::panic::set_hook(hook);
        assert_eq!(found, Some((b"!".to_vec(), "it does not bear this".to_owned())));
    }
}
