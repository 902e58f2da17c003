//! Looks at SynOS's servers, and lets root end, revive and crash them: `svc help` says how.
//!
//! Everything it knows it reads under /proc/synos, and all it does is a command written to /proc/synos/control: a Linux program holds no capability.
//! So it may die of what it asks for only as any other program would, which is not at all. By the name `chaos` it is that command alone.

mod chaos;
mod crash;
mod follow;
mod keys;
mod proc;
mod show;
mod trace;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use proc::{Crash, Service};

const HELP: &str = "\
usage: svc [--json] COMMAND      (what list, status, log, trace, top and chaos show, as JSON)
  list                     every server: state, instance, deaths, age
  status NAME              one server, its policy, and its last death
  restart NAME             ends it, or revives one that was given up
  crash NAME HOW           lets it die: panic, wild, overflow or hang
  log NAME [-f]            what its present instance logged; -f goes on
  trace [NAME] [-n N]      what threads do: all, a server's, one (vfs.0, 57); -n ends it after N records
  top [-n TIMES]           the list, again every second; q ends it
  chaos [--rate N] [--servers all|A,B] [--seconds N] [--seed N]
                           crashes N servers a second at random, and reports
";
/// Its other name: the command that one runs most, and the one that has no applet's name in busybox.
const CHAOS: &str = "chaos";

/// Why a command failed, in words.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    let is_chaos = name.rsplit('/').next() == Some(CHAOS);
    let mut arguments: Vec<String> = is_chaos.then(|| CHAOS.to_owned()).into_iter().chain(arguments).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words, json) {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be closed; the status says it too.
            let _unheard = writeln!(io::stderr(), "{}: {error}", if is_chaos { CHAOS } else { "svc" });
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str], json: bool) -> Outcome<ExitCode> {
    match words {
        ["list"] => print(&show::list(&proc::services()?, json, colours()))?,
        ["status", name] => print(&show::status(&known(name)?, &crashes_of(name)?, json, colours()))?,
        ["restart", name] => proc::command(&format!("restart {name}"))?,
        ["crash", name, how] => crash::run(name, how)?,
        ["log", name] => follow::once(&known(name)?, json)?,
        ["log", name, "-f"] | ["log", "-f", name] => follow::run(&known(name)?, json)?,
        ["top"] => top(u32::MAX, json)?,
        ["top", "-n", times] => top(times.parse()?, json)?,
        ["trace", options @ ..] => trace::run(&trace::Options::parse(options)?, json)?,
        [CHAOS, "help" | "--help"] => print(chaos::HELP)?,
        [CHAOS, options @ ..] => return chaos::run(&chaos::Options::parse(options)?, json),
        ["help"] => print(HELP)?,
        _ => return Err(HELP.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Only a person at a terminal sees colours.
fn colours() -> bool {
    io::stdout().is_terminal()
}

fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn known(name: &str) -> Outcome<Service> {
    let found = proc::services()?.into_iter().find(|service| service.name == name);
    found.ok_or_else(|| format!("there is no server called {name}").into())
}

fn crashes_of(name: &str) -> Outcome<Vec<Crash>> {
    Ok(proc::crashes()?.into_iter().filter(|crash| crash.get("service") == Some(name)).collect())
}

fn top(times: u32, json: bool) -> Outcome {
    let keys = keys::Keys::open()?;
    for round in 0..times {
        if round > 0 && waited(keys.as_ref(), Duration::from_secs(1))? {
            break;
        }
        if colours() {
            print("\x1b[H\x1b[2J")?;
        }
        print(&show::list(&proc::services()?, json, colours()))?;
    }
    Ok(())
}

/// Waits; whether somebody at the terminal has had enough.
fn waited(keys: Option<&keys::Keys>, time: Duration) -> Outcome<bool> {
    let Some(keys) = keys else {
        std::thread::sleep(time);
        return Ok(false);
    };
    keys.end_within(time)
}
