//! `--phases`: where the instructions of a row of `ipc` and `ipc_linux` go, from a trace of every one of them.
//!
//! A boot for each row of the image that ships, in which the program that measures repeats that row for ever. QEMU tells each instruction ([`log`]), the
//! programs' files say whose it is ([`image`], [`spaces`]) and marks in them, which are no instructions, where an operation begins and a phase of the kernel ([`account`]).
//! The rows of the table are measured without any of that.

mod account;
mod image;
mod lines;
mod log;
mod privileged;
mod spaces;

use std::io::BufReader;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use clap::Args;
use qemu::{Collector, Guest, Machine};

use super::{Bench, Figure, counted, ipc, linux};
use crate::build::ImageOptions;
use crate::error::{Error, Result};
use account::{Account, Programs};
use image::Image;
use log::Trace;

/// How these boots' folder is called.
const FOLDER: &str = "phases";
/// The kernel's package.
const KERNEL: &str = "microkernel";
/// What the guest says before it repeats a row, behind the row's name.
const REPEATS: &str = " repeats";
/// What the kernel says before its address.
const LOADED: &str = "loaded at 0x";
/// How long the guest may take to begin with a row, and QEMU to tell enough of it: some ten times what they take on a quiet machine.
const LIMIT: Duration = Duration::from_secs(240);
const INTERVAL: Duration = Duration::from_millis(10);
/// Enough is told after so many operations and so many instructions. Rows that go through several places go through all of them.
const OPERATIONS: usize = 24;
const INSTRUCTIONS: usize = 150_000;

/// Options of the benches that count instructions.
#[derive(Args, Clone, Debug)]
pub(super) struct PhasesOptions {
    /// For rows of ipc and ipc_linux: trace some operations, and say whose their instructions are, in the kernel by phase or module, and what they write to CR3 and MSRs
    #[arg(long)]
    phases: bool,
    /// With --phases: name the functions too
    #[arg(long, requires = "phases")]
    functions: bool,
}

/// Prints where the instructions of those of the figures go that are rows of `ipc` or `ipc_linux`, if that is wanted.
pub(super) fn print(bench: &Bench<'_>, options: &PhasesOptions, figures: &[Figure]) -> Result<()> {
    for figure in figures.iter().filter(|_| options.phases) {
        let is_in = |rows: &[counted::Row]| rows.iter().any(|(row, _)| *row == figure.name);
        let account = if is_in(&ipc::ROWS) {
            let (script, image) = ipc::repeating(bench, &figure.name);
            traced(bench, &figure.name, &script, image, &[])?
        } else if is_in(&linux::ROWS) {
            let (script, image) = linux::repeating(bench, &figure.name)?;
            traced(bench, &figure.name, &script, image, &linux::programs(bench.workspace)?)?
        } else {
            continue;
        };
        print!("\n{}", account.text(&figure.name, figure.value, options.functions));
    }
    Ok(())
}

/// Boots a guest that repeats the row `name`, traces it and sums up. `others` are programs besides the servers.
fn traced(bench: &Bench<'_>, name: &str, script: &str, image: ImageOptions, others: &[(&'static str, std::path::PathBuf)]) -> Result<Account> {
    let (machine, built) = counted::machine(bench.workspace, FOLDER, script, image)?;
    let machine = Machine { trace: true, ..machine };
    let refused = |why: String| Error::Refused(format!("bench --phases: {name}: {why}; see {}", machine.log().display()));
    let stdout = Collector::default();
    let (mut guest, _output) = machine.start_with_output(stdout.clone(), std::io::sink()).map_err(|error| refused(error.to_string()))?;
    await_row(&mut guest, &stdout, name).map_err(refused)?;
    let users = built.servers.iter().map(|(name, path)| (name.as_str(), path)).chain(others.iter().map(|(name, path)| (*name, path)));
    let programs = Programs {
        kernel: Image::read(KERNEL, &built.kernel)?,
        kernel_at: kernel_at(&guest.log()).ok_or_else(|| refused("the kernel does not say where it is".into()))?,
        users: users.map(|(name, path)| Image::read(name, Path::new(path))).collect::<Result<_>>()?,
    };
    let told = guest.trace().map_err(|error| refused(error.to_string()))?;
    let (sender, receiver) = mpsc::channel();
    spawn(move || {
        let mut operations = 0;
        let read = log::read(BufReader::new(told), |instruction, trace: &Trace| {
            operations += usize::from(programs.may_begin(instruction));
            operations > OPERATIONS && trace.executed.len() > INSTRUCTIONS
        });
        // Nobody waits any more if that was too late.
        let _late = sender.send(read.map(|trace| programs.account(&trace)));
    });
    let account = receiver.recv_timeout(LIMIT).map_err(|_| refused("QEMU does not tell enough".into()))?;
    let account = account.map_err(|error| refused(error.to_string()))?;
    if account.operations() == 0 { Err(refused("no operation was seen".into())) } else { Ok(account) }
}

/// Waits until the guest repeats the row.
fn await_row(guest: &mut Guest, stdout: &Collector, name: &str) -> std::result::Result<(), String> {
    let line = format!("{name}{REPEATS}");
    let mut printed = String::new();
    let deadline = Instant::now() + LIMIT;
    loop {
        printed += &String::from_utf8_lossy(&stdout.take());
        if printed.contains(&line) || guest.log().contains(&line) {
            return Ok(());
        }
        let ended = guest.ended().map_err(|error| error.to_string())?;
        if ended.is_some() || Instant::now() > deadline {
            return Err(format!("it never begins: {ended:?} {printed}"));
        }
        sleep(INTERVAL);
    }
}

fn kernel_at(log: &str) -> Option<u64> {
    let digits = log.split_once(LOADED)?.1.split_whitespace().next()?;
    u64::from_str_radix(digits, 16).ok()
}
