//! Strikes servers from outside, through the supervisor's injector, and makes a table of what became of each fault.
//!
//! Machines are booted under a load that never ends; the supervisor injects so many faults, one after the other, and turns the power off. What
//! the log and the output say is judged here. A machine's seed decides everything that happens in it, because guest time counts instructions:
//! the command that is printed for a fault that was seen makes it again, as long as nothing is compiled anew.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ::tests::load::{self, LOAD};
use ::tests::{Boot, Outcome};

use super::kept::keep;
use super::output::{Right, Wrong};
use super::record::Record;
use super::table::Table;
use super::verdict::{Fate, Judged, judge};

/// Rounds in which nobody dies, to learn what is right.
const GOLDEN_ROUNDS: usize = 2;
/// Faults of one machine. Always the same number, because a machine with more of them is another one from the first on.
const FAULTS: usize = 25;
/// Machines at a time.
const MACHINES: usize = 2;
/// A hang is found soon, since guest time does not depend on how busy the host is.
const WATCHDOG_MS: u32 = 100;
/// Seconds for a boot: many times what it takes on a busy machine.
const BOOT_SECONDS: u32 = 900;
/// Lines of the log to show of what came after a fault that was seen.
const LINES: usize = 24;
/// Where the output and the log of machines is kept that a fault was seen in, from the project's root.
const KEPT: &str = "target/soak/faults";
/// `run`'s status when the kernel panicked or the machine went off without a word.
const PANICKED: i32 = 126;

/// Boots machines until `count` faults were judged; how many complaints there are. `what` says who is struck by what, as the injector's option does:
/// `all:all`, or `vfs,posix:jump`.
///
/// # Errors
/// The load does not even run when nobody dies.
pub fn run(count: usize, seed: u64, what: &str) -> Result<usize, String> {
    let golden = boot("golden").script(&format!("rounds={GOLDEN_ROUNDS}\n{LOAD}"));
    let right = Right::of(&golden.stdout, GOLDEN_ROUNDS).map_err(|why| format!("{why}\n{golden}"))?;
    let tally = Mutex::new(Tally::new(&::tests::root().join(KEPT)));
    let next = AtomicU64::new(seed);
    thread::scope(|scope| {
        for _ in 0..MACHINES.min(count.div_ceil(FAULTS)) {
            scope.spawn(|| {
                while !tally.lock().is_ok_and(|mut tally| tally.begin(count)) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let outcome = machine(seed, what);
                    tally.lock().into_iter().for_each(|mut tally| tally.end(seed, what, &right, &outcome));
                }
            });
        }
    });
    let tally = tally.into_inner().map_err(|_| "a machine's judge panicked")?;
    print!("{}", tally.table);
    let complaints = tally.complaints();
    complaints.iter().for_each(|complaint| println!("chaos: {complaint}"));
    println!("chaos: {} faults in {} machines from seed {seed}, {} complaints", tally.table.faults(), tally.machines, complaints.len());
    Ok(complaints.len())
}

fn boot(name: &str) -> Boot {
    load::boot(&format!("faults-{name}"), &load::SERVERS, WATCHDOG_MS).within_seconds(BOOT_SECONDS)
}

fn machine(seed: u64, what: &str) -> Outcome {
    let boot = boot(&seed.to_string()).flag("--icount").with("--option", format!("inject={seed}:{FAULTS}:{what}"));
    boot.script(&format!("rounds=-1\n{LOAD}"))
}

/// What came of all machines.
struct Tally {
    /// Where to keep what is worth it.
    folder: PathBuf,
    table: Table,
    machines: usize,
    under_way: usize,
    /// Machines that ended by themselves and not by a fault's doing.
    broken: usize,
    panics: usize,
}

impl Tally {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), table: Table::default(), machines: 0, under_way: 0, broken: 0, panics: 0 }
    }

    /// Whether there are enough machines for `count` faults; if not, one more is under way.
    fn begin(&mut self, count: usize) -> bool {
        let enough = self.table.faults() + self.under_way * FAULTS >= count || self.broken > 0;
        self.under_way += usize::from(!enough);
        enough
    }

    /// Counts what came of a machine, and tells which of its faults a program saw.
    fn end(&mut self, seed: u64, what: &str, right: &Right, outcome: &Outcome) {
        self.machines += 1;
        self.under_way -= 1;
        self.panics += usize::from(outcome.status == PANICKED);
        let record = Record::read(&outcome.log);
        let wrong = right.first_wrong(&outcome.stdout, record.end_us).or_else(|| ended_early(&record, outcome));
        let judged = judge(&record, wrong.as_ref());
        self.table.add(&judged, &record.deaths);
        if judged.is_empty() {
            self.broken += 1;
            println!("chaos: seed {seed}: no fault was injected\n{outcome}");
        }
        if let (Some(wrong), Some(last)) = (&wrong, judged.last()) {
            tell(seed, last, wrong, &outcome.log);
        }
        if wrong.is_some() || judged.is_empty() {
            self.keep(seed, what, outcome);
        }
    }

    /// Keeps what a machine wrote, and says where and how to make it again.
    fn keep(&self, seed: u64, what: &str, outcome: &Outcome) {
        let command = format!("cargo xtask soak chaos {what} --faults {FAULTS} --seed {seed}");
        match keep(&self.folder, &format!("{seed}-{what}"), &command, outcome) {
            Ok(folder) => println!("    its log and output are kept in {}", folder.display()),
            Err(error) => println!("    its log and output could not be kept in {}: {error}", self.folder.display()),
        }
        println!("    {command}");
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.table.complaints();
        if self.panics > 0 {
            complaints.push(format!("the kernel panicked in {} machines", self.panics));
        }
        if self.broken > 0 {
            complaints.push(format!("{} machines did not run", self.broken));
        }
        complaints
    }
}

/// A machine that went off before its last fault, or with another status, although all that it wrote is right.
fn ended_early(record: &Record, outcome: &Outcome) -> Option<Wrong> {
    let why = match (record.complete, outcome.status) {
        (true, 0) => return None,
        (true, status) => format!("the machine ended with status {status}: {}", outcome.stderr),
        (false, status) => format!("the machine ended before its last fault, with status {status}: {}", outcome.stderr),
    };
    Some(Wrong { why, after_us: record.end_us, before_us: record.end_us + 1 })
}

fn tell(seed: u64, judged: &Judged<'_>, wrong: &Wrong, log: &str) {
    let Judged { strike, fate, .. } = judged;
    let seen = if *fate == Fate::Silent { "silent" } else { "seen" };
    println!("chaos: seed {seed}: fault {}, {} {}: {seen}", strike.number, strike.services.join(" and "), strike.kind.name());
    println!("    after {} ms, before {} ms: {}", wrong.after_us / 1000, wrong.before_us / 1000, wrong.why);
    let begin = format!("inject {}: ", strike.number);
    log.lines().skip_while(|line| !line.contains(&begin)).take(LINES).for_each(|line| println!("    {line}"));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FAULTS, Outcome, Right, Tally};

    const RIGHT: &str = "=== 1 0.10\na\n=== 2 0.20\na\n";

    /// A tally that keeps what it keeps in a folder of this test's own, which is empty.
    fn tally(name: &str) -> Tally {
        let folder = std::env::temp_dir().join(format!("synos-faults-{name}-{}", std::process::id()));
        let _was_not_there = fs::remove_dir_all(&folder);
        Tally::new(&folder)
    }

    /// A machine that was struck once at 0.15 s, by a jump that vfs was restarted after, and wrote `stdout`.
    fn ended(tally: &mut Tally, stdout: &str, status: i32, last: &str) {
        let log = format!(
            "[supervisor]    150.000 ms: inject 1: vfs jump at work: at 0x400000\n\
             [supervisor]    150.010 ms: vfs died, instance 1: page fault\n\
             [supervisor]    155.010 ms: vfs up, instance 2, 4000 us after its start\n\
             [supervisor]    180.000 ms: inject 1 over: died\n\
             [supervisor]    250.000 ms: {last}\n"
        );
        let right = Right::of(RIGHT, 2).expect("it is right");
        let outcome = Outcome { status, stdout: stdout.into(), log, bytes: [stdout.into(), Vec::new()], ..Outcome::default() };
        assert!(!tally.begin(1000));
        tally.end(1, "all:all", &right, &outcome);
    }

    #[test]
    fn machine_that_wrote_what_is_right_is_no_complaint() {
        let mut tally = tally("right");
        ended(&mut tally, RIGHT, 0, "inject: all 1 faults are over");
        assert_eq!((tally.table.faults(), tally.complaints().len()), (1, 0));
        assert!(!tally.folder.exists(), "nothing of it is kept");
    }

    #[test]
    fn wrong_bytes_early_ends_and_kernel_panics_are_complaints() {
        for (stdout, status, last) in [
            ("=== 1 0.10\nb\n=== 2 0.20\na\n", 0, "inject: all 1 faults are over"),
            (RIGHT, 0, "power off with status 0"),
            (RIGHT, 1, "inject: all 1 faults are over"),
        ] {
            let mut tally = tally("wrong");
            ended(&mut tally, stdout, status, last);
            let kept = |name: &str| fs::read_to_string(tally.folder.join("1-all-all").join(name)).expect("it is kept");
            assert_eq!(kept("command"), format!("cargo xtask soak chaos all:all --faults {FAULTS} --seed 1\nstatus {status}\n"));
            assert!(kept("stdout") == stdout && kept("log").contains(last) && kept("stderr").is_empty());
            fs::remove_dir_all(&tally.folder).expect("it is there");
            assert_eq!(tally.complaints(), ["1 of 1 fail-stop faults were seen by programs"], "{stdout:?}");
        }
        let mut tally = tally("panic");
        ended(&mut tally, RIGHT, 126, "panic");
        fs::remove_dir_all(&tally.folder).expect("it is there");
        assert_eq!(tally.complaints(), ["1 of 1 fail-stop faults were seen by programs", "the kernel panicked in 1 machines"]);
    }

    #[test]
    fn machine_without_faults_ends_the_run() {
        let mut tally = tally("none");
        let right = Right::of(RIGHT, 2).expect("it is right");
        assert!(!tally.begin(1000));
        tally.end(1, "all:all", &right, &Outcome { status: 125, ..Outcome::default() });
        assert!(tally.begin(1000));
        assert_eq!(tally.complaints(), ["1 machines did not run"]);
        fs::remove_dir_all(&tally.folder).expect("what it wrote is kept");
    }

    #[test]
    fn as_many_machines_are_begun_as_are_needed() {
        let mut tally = tally("begun");
        let begun = (0..10).filter(|_| !tally.begin(2 * FAULTS + 1)).count();
        assert_eq!(begun, 3);
    }
}
