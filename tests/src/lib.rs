//! Boots SynOS in QEMU and looks at it from outside.
//!
//! A test runs the same command as a person, `cargo xtask run`, and sees what a person sees: status, standard output, standard error, and the
//! system's log. Every boot has a time-out, and the machine ends with the command. Nothing in here knows how the system works.

pub mod compare;
pub mod gdb;
pub mod load;
pub mod model;
pub mod normalise;
mod session;

pub use session::Session;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Seconds that a boot with a script may take: some ten times what it takes on a quiet machine.
const TIMEOUT_SECONDS: u32 = 180;

/// Options of `run` for every boot, separated by spaces.
const MACHINE: &str = "SYNOS_RUN";

/// A shell function for scripts: `await COMMAND` waits until the command succeeds, at most some minutes, so that a script need not guess how long something
/// takes on a busy host. What it waited for in vain is missed by whatever comes next.
pub const AWAIT: &str = "await() { looks=0; until eval \"$1\" || [ $looks -ge 600 ]; do sleep 0.1; looks=$((looks + 1)); done; }\n";

/// A boot that is being described.
#[derive(Debug)]
pub struct Boot {
    arguments: Vec<String>,
    overlay: String,
    folder: PathBuf,
    timeout_seconds: u32,
}

/// An overlay of services that starts victim and probe; the probe may call `peers`, a list in TOML.
#[must_use]
pub fn victim_and_probe(peers: &str) -> String {
    let service = |name: &str, priority: u8, saved_pages: u8, more: &str| {
        format!("[[service]]\nname = \"{name}\"\npriority = {priority}\nheap_pages = 16\nsaved_pages = {saved_pages}\n{more}\n\n")
    };
    service("victim", 20, 64, "helpers = 1\nhelper_priority = 3") + &service("probe", 10, 16, &format!("calls = {peers}"))
}

/// What came of a boot.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The command's exit status.
    pub status: i32,
    /// The guest's standard output.
    pub stdout: String,
    /// The guest's standard error.
    pub stderr: String,
    /// Both as they came.
    pub bytes: [Vec<u8>; 2],
    /// The system's log.
    pub log: String,
}

impl Boot {
    /// A boot of the system as it ships. `name` tells its files from those of other tests.
    #[must_use]
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = root().join(format!("target/tests/{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("target can be written");
        Self { arguments: Vec::new(), overlay: String::new(), folder, timeout_seconds: TIMEOUT_SECONDS }
    }

    /// Adds an option of `cargo xtask run`.
    #[must_use]
    pub fn with(mut self, option: &str, value: impl AsRef<str>) -> Self {
        self.arguments.extend([option.to_owned(), value.as_ref().to_owned()]);
        self
    }

    /// A file of this boot's own, in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Adds an option without a value.
    #[must_use]
    pub fn flag(mut self, option: &str) -> Self {
        self.arguments.push(option.to_owned());
        self
    }

    /// Lets the `nth` passage of a service's failpoint kill it; several calls make a sequence of deaths.
    #[must_use]
    pub fn failing(self, service: &str, point: &str, nth: u32) -> Self {
        self.with("--option", format!("fail={service}:{point}:{nth}"))
    }

    /// Changes or adds services.
    #[must_use]
    pub fn services(mut self, text: &str) -> Self {
        self.overlay.push_str(text);
        self
    }

    /// Changes the policy of a service: `burst = 64`, for one.
    #[must_use]
    pub fn policy(self, service: &str, lines: &str) -> Self {
        self.services(&format!("[[policy]]\nname = \"{service}\"\n{lines}\n"))
    }

    /// Gives the boot another time-out.
    #[must_use]
    pub fn within_seconds(mut self, seconds: u32) -> Self {
        self.timeout_seconds = seconds;
        self
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("target can be written");
        path
    }

    /// Runs `script` by the guest's shell as the only session.
    #[must_use]
    pub fn script(self, script: &str) -> Outcome {
        let path = self.file("script.sh", script);
        self.with("--script", path.to_string_lossy()).run()
    }

    /// Boots to a shell at the terminal.
    #[must_use]
    pub fn session(self) -> Session {
        Session::start(self.command(), &self.folder, self.timeout_seconds)
    }

    /// The same for a test of the time-out itself: whoever waits gives up after `seconds`, building included, and not when the machine's time is over.
    #[must_use]
    pub fn session_watched_for(self, seconds: u32) -> Session {
        Session::start(self.command(), &self.folder, seconds)
    }

    /// Boots and waits for the end.
    #[must_use]
    pub fn run(self) -> Outcome {
        let output = self.command().stdin(Stdio::null()).output().expect("xtask can be run");
        let outcome = Outcome {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            log: read_log(&self.folder),
            bytes: [output.stdout, output.stderr],
        };
        if std::env::var_os("SYNOS_KEEP").is_none() {
            remove_images(&self.folder);
        }
        outcome
    }

    fn command(&self) -> Command {
        let mut command = xtask();
        // The same tests on another machine (`cargo xtask soak matrix`); what a test asks for itself comes later and stands.
        let machine = std::env::var(MACHINE).unwrap_or_default();
        command.arg("run").args(machine.split_whitespace());
        if !self.overlay.is_empty() {
            command.arg("--services").arg(self.file("overlay.toml", &self.overlay));
        }
        command.args(&self.arguments).arg("--folder").arg(&self.folder);
        command.args(["--timeout", &self.timeout_seconds.to_string()]);
        command
    }
}

impl Outcome {
    /// Panics with everything that is known unless the script ended with status 0 and exactly this output.
    #[track_caller]
    pub fn expect_output(&self, stdout: &str) {
        assert!(self.status == 0 && self.stdout == stdout, "expected status 0 and {stdout:?}, got {self}");
    }

    /// How often a service died, by the log.
    #[must_use]
    pub fn deaths(&self, service: &str) -> usize {
        self.log.matches(&format!(": {service} died, instance")).count()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tail: Vec<_> = self.log.lines().rev().take(60).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        write!(out, "status {}\nstdout: {:?}\nstderr: {:?}\nlog (end):\n{}", self.status, self.stdout, self.stderr, tail.join("\n"))
    }
}

/// The system's log of a boot in `folder`.
fn read_log(folder: &Path) -> String {
    fs::read(folder.join("log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Disk images are large and nobody reads them after the boot; the logs stay.
fn remove_images(folder: &Path) {
    for name in ["bios.img", "uefi.img", "archive", "kernel"] {
        // What is not there need not go.
        let _absent = fs::remove_file(folder.join(name));
    }
}

/// The project's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// `cargo xtask`: the binary that runs these tests if it said where it is, else by cargo.
#[must_use]
pub fn xtask() -> Command {
    let mut command = match std::env::var_os("SYNOS_XTASK") {
        Some(path) => Command::new(path),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
            cargo
        }
    };
    command.current_dir(root());
    command
}
