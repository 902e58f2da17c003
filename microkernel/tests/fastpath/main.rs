//! The fast path against the slow one: the same random programs on two worlds, one of which tries the fast path first; after each step their
//! complete states are compared. The text that runs is the kernel's own assembly, but for the instructions of ring 0 (`fastpath`'s head).
//!
//! A program is a list of seeds, as in `tests/random`, whose steps are taken too: they change everything else. `SYNOS_FASTPATH_PROGRAMS` sets how many
//! programs are played instead of as many as fit in some seconds, `SYNOS_FASTPATH_SEED` where they start. Many are shared among the host's processors, a process
//! each, as the fast path knows one world of a process; `cargo xtask test` plays 100,000.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../random/arguments.rs"]
mod arguments;
#[path = "../random/dice.rs"]
mod dice;
#[allow(dead_code, reason = "the random programs look at more")]
#[path = "../random/play.rs"]
mod play;
mod talk;

use std::num::NonZero;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use abi::{FLAGS_FIXED, FLAGS_STEP, Operation, ReplyKind};
use dice::Dice;
use microkernel::fake::{Linux, Message, Trap, Way, World};
use play::Tally;
use talk::Opening;

/// Steps of one program: so many that calls nest and servers die, so few that most programs still talk at their end.
const STEPS: u64 = 40;
/// Time for all programs, and how many there are at least, unless a number of them is asked for.
const SECONDS: u64 = 8;
const LEAST: u64 = 400;
/// More than these are shared among processes.
const MOST_ALONE: u64 = 10_000;
const PROGRAMS: &str = "SYNOS_FASTPATH_PROGRAMS";
const SEED: &str = "SYNOS_FASTPATH_SEED";

/// The fast path knows one world at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays one program on both worlds; what differs after which step, if something does.
fn play(opening: &Opening, fast: &mut World, seed: u64, trace: bool) -> Result<(), String> {
    fast.return_to(&opening.world);
    let mut slow = opening.world.clone();
    let mut dice = Dice::new(seed);
    let mut tallies = [Tally { show: trace, ..Tally::default() }, Tally::default()];
    for step in 0..STEPS {
        let seed = dice.next();
        let [first, second] = &mut tallies;
        let calls = fast.fast_calls();
        fast.waits = dice.chance(30);
        opening.step(fast, seed, first);
        opening.step(&mut slow, seed, second);
        let way = if fast.fast_calls() == calls { "slow" } else { "fast" };
        fast.compare(&mut slow, step + 1 == STEPS).map_err(|difference| format!("step {step} ({way}): {difference}"))?;
    }
    Ok(())
}

/// All ways that the fast path has.
fn ways() -> impl Iterator<Item = Way> {
    let native = [(Operation::Call, true), (Operation::ReplyReceive, true), (Operation::Yield, true), (Operation::Poll, false)];
    let more = [(Operation::Signal, false), (Operation::Wait, false), (Operation::Wait, true)];
    let native = native.into_iter().chain(more).map(|(operation, switches)| (Trap::Native(Some(operation)), switches, false));
    let others = [(Trap::Linux, true, false), (Trap::PageFault, true, false), (Trap::Native(Some(Operation::ReplyReceive)), true, true)];
    native.chain(others).map(|(trap, switches, returns)| Way { trap, switches, returns })
}

const DIFFERENTIAL: &str = "the_fast_path_does_what_the_slow_path_does";

/// Plays the programs from `first` on in as many processes as there are processors, some thousand in each at a time, never so few that a way could be missed.
fn share(first: u64, programs: u64) {
    let end = first + programs;
    let share = programs.div_ceil(programs.div_ceil(MOST_ALONE));
    let next = Mutex::new(first);
    let take = || {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = *next;
        *next = end.min(begin + share);
        (begin, *next - begin)
    };
    let play = || {
        loop {
            let (begin, programs) = take();
            if programs == 0 {
                return;
            }
            let mut process = Command::new(std::env::current_exe().unwrap());
            process.args(["--exact", DIFFERENTIAL, "--nocapture"]).env(SEED, begin.to_string()).env(PROGRAMS, programs.to_string());
            let output = process.stdin(Stdio::null()).output().unwrap();
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
            print!("{said}");
            assert!(output.status.success() && said.contains("1 passed"), "{programs} programs from {begin}: {said}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(play);
        }
    });
}

#[test]
fn the_fast_path_does_what_the_slow_path_does() {
    let _one = alone();
    // One processor, and two: a program in turn for each.
    let mut openings = [1, 2].map(Opening::new);
    openings.iter_mut().for_each(|opening| opening.world.leave_unchecked());
    let mut fast = openings[0].world.clone();
    fast.use_fast_path();
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let (first, limit) = (number(SEED).unwrap_or(1), number(PROGRAMS));
    if let Some(programs) = limit.filter(|programs| *programs > MOST_ALONE) {
        return share(first, programs);
    }
    let (mut programs, mut counts) = (0, [(0, 0); 2]);
    for seed in first.. {
        let which = seed as usize % openings.len();
        let (opening, before) = (&openings[which], fast.fast_calls());
        if let Err(difference) = play(opening, &mut fast, seed, false) {
            let _again = play(opening, &mut fast, seed, true);
            panic!("program {seed}: {difference}");
        }
        programs += 1;
        counts[which] = (counts[which].0 + 1, counts[which].1 + fast.fast_calls() - before);
        if limit.map_or(programs >= LEAST && Instant::now() > end, |limit| programs >= limit) {
            break;
        }
    }
    let calls = fast.fast_calls();
    println!("{programs} programs of {STEPS} steps, {calls} calls by the fast path: {:?}", fast.fast_ways);
    for way in ways() {
        assert!(fast.fast_ways.get(&way).is_some_and(|count| *count * 100 > programs), "{way:?} is hardly ever taken in {programs} programs");
    }
    // On two processors some calls go across.
    for ((programs, calls), least) in counts.into_iter().zip([4, 6]) {
        assert!(calls > programs * STEPS / least, "too few steps take the fast path: {calls} in {programs} programs");
    }
}

/// After SYSRET a thread that executes one instruction at a time would trap before the first, again and again.
#[test]
fn linux_thread_that_steps_goes_on_by_iret() {
    let _one = alone();
    for (flags, returns) in [(FLAGS_FIXED, false), (FLAGS_FIXED | FLAGS_STEP, true)] {
        let mut slow = World::new();
        slow.leave_unchecked();
        let mut world = slow.clone();
        world.use_fast_path();
        let (server, _, endpoint) = slow.pair(7);
        let program = slow.spawn_linux(&Linux { personality: endpoint, pager: endpoint, badge: 9, ..Linux::default() });
        slow.receive(server.thread, 10);
        slow.frame(program.thread).rflags = flags;
        world.return_to(&slow);
        world.linux_call(program.thread, 39, [0; 6], 0x40_0000);
        world.fast_ways.clear();
        world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Resume, 1234));
        let way = Way { trap: Trap::Native(Some(Operation::ReplyReceive)), switches: true, returns };
        assert_eq!(world.fast_ways.iter().collect::<Vec<_>>(), [(&way, &1)]);
        let frame = world.frame(program.thread);
        assert_eq!((frame.rax, frame.rcx, frame.r11, frame.rip, frame.rflags), (1234, 0x40_0002, flags, 0x40_0002, flags));
    }
}
