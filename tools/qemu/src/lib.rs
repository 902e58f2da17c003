//! Starts, watches and talks to the QEMU that SynOS runs in.
//!
//! [`Machine`] says what to start, [`Machine::start`] makes a [`Guest`], whose end is an [`Outcome`]. The shared invariant: **no
//! QEMU outlives its [`Guest`]**. It is killed by process id when the guest is dropped, by time-out when one is set, and by
//! the host's kernel when our own process dies first (`setpriv --pdeathsig`, where the host has it).
//!
//! What the guest says leaves it on four paths that never mix: the serial line (a terminal, see [`Console`]), the log (a file
//! in the run's folder), a script's output (see [`ScriptOutput`]), and the exit status. Absent on purpose: images, building,
//! anything that knows what SynOS is made of.

mod accel;
mod console;
mod guest;
mod log;
mod machine;
mod script;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use accel::Accel;
pub use console::{Console, ExpectError};
pub use guest::{Guest, Outcome};
pub use log::Follower;
pub use machine::{Firmware, Machine, Ovmf, Serial};
pub use script::{Collector, ScriptOutput};

/// The program that is started.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// Why a guest could not be started or watched.
#[derive(Debug)]
pub enum Error {
    /// The host refused something: what was being done, and its answer.
    Io(String, io::Error),
    /// QEMU ended before the machine ran: what it said.
    Refused(String),
    /// The options contradict each other.
    Options(&'static str),
}

impl Error {
    fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        move |error| Self::Io(doing, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(doing, error) => write!(to, "{doing}: {error}"),
            Self::Refused(said) => write!(to, "QEMU did not start: {}", said.trim()),
            Self::Options(why) => to.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

/// QEMU's command, killed by the host's kernel when we are: a test that is killed cannot drop its guest.
#[must_use]
pub fn command() -> Command {
    match find_program("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", PROGRAM]);
            command
        }
        None => Command::new(PROGRAM),
    }
}

/// Where the program called `name` lies in `PATH`.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
