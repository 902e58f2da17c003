//! `cargo xtask run`: boots SynOS.
//!
//! Standard output carries what the guest says and nothing else; building, set-up and this module speak on standard error. The
//! exit status with `--script` is the script's own, or one of the three codes below, which are those of timeout(1) and of
//! shells that cannot run a command.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use qemu::{Accel, Firmware, Follower, Machine, Outcome, Serial};

use crate::build::{Boot, Built, ImageOptions, build};
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::symbols;
use crate::workspace::Workspace;

/// The guest was killed because its time was over.
const TIMED_OUT: u8 = 124;
/// Set-up or build failed, or QEMU could not be started.
pub(crate) const NOT_STARTED: u8 = 125;
/// The kernel panicked, or the machine went off without the script's status.
const PANICKED: u8 = 126;
/// A script that hangs must not hang its caller: seconds without `--timeout`.
const SCRIPT_SECONDS: u64 = 600;

/// Options of the command `run`.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    image: ImageOptions,
    /// Attach a disk image (virtio-blk; repeatable)
    #[arg(long, value_name = "IMG")]
    disk: Vec<PathBuf>,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 1, overrides_with = "smp")]
    smp: u32,
    /// Model and features of the CPUs, in QEMU's notation: Skylake-Client, or max,-smap
    #[arg(long, value_name = "MODEL", default_value = "max", overrides_with = "cpu")]
    cpu: String,
    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "512M", overrides_with = "memory")]
    memory: String,
    /// Boot by UEFI instead of the BIOS
    #[arg(long, overrides_with = "uefi")]
    uefi: bool,
    /// What executes the guest: auto, tcg or kvm
    #[arg(long, value_name = "auto|tcg|kvm", default_value = "auto", overrides_with = "accel")]
    accel: Accel,
    /// Let guest time count instructions: exact and repeatable
    #[arg(long, overrides_with = "icount")]
    icount: bool,
    /// Kill the guest after this time (600 seconds with --script, never without)
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait for a debugger on port 1234 before the first instruction
    #[arg(long)]
    gdb: bool,
    /// Show the system's log (always in target/run/log) on standard error
    #[arg(long)]
    log: bool,
    /// Folder for images and logs, for tests that read them (target/run when absent)
    #[arg(long, value_name = "FOLDER", hide = true)]
    folder: Option<PathBuf>,
}

impl RunOptions {
    /// What could only fail after minutes of building fails now.
    fn check(&self) -> Result<()> {
        if let Some(missing) = self.disk.iter().find(|disk| !disk.is_file()) {
            return Err(Error::Refused(format!("--disk {}: there is no such file", missing.display())));
        }
        let machine = Machine { accel: self.accel, icount: self.icount, ..Machine::new(PathBuf::new(), PathBuf::new()) };
        machine.accelerator().map(drop).map_err(|error| Error::Refused(error.to_string()))
    }
}

/// The command `run`.
pub(crate) fn run(workspace: &Workspace, options: &RunOptions) -> Result<ExitCode> {
    let script = options.image.script.is_some();
    let voice = if script { Voice::Quiet } else { Voice::Plain };
    options.check()?;
    let folder = RunFolder::claim(workspace, options.folder.as_deref())?;
    let boot = if options.uefi { Boot::Uefi } else { Boot::Bios };
    let built = build(workspace, &options.image, &[boot], &folder.path, voice)?;
    let machine = machine(options, boot, &built, &folder.path);
    if options.gdb {
        let kernel = built.kernel.display();
        eprintln!("run: waiting for gdb -ex 'target remote :1234'");
        eprintln!("run: the log's first line says where the kernel is loaded: add-symbol-file {kernel} -o ADDRESS");
    }
    if !script {
        eprintln!("run: Ctrl-A X ends QEMU, Ctrl-A C switches to its monitor; the system's log is {}", machine.log().display());
    }
    let code = watch(&machine, options.log).map_err(|error| Error::Refused(error.to_string()))?;
    if code == PANICKED {
        eprint!("{}", symbols::explain_panic(&built.kernel, &machine.log()));
    }
    Ok(ExitCode::from(code))
}

fn machine(options: &RunOptions, boot: Boot, built: &Built, folder: &Path) -> Machine {
    let script = options.image.script.is_some();
    let seconds = options.timeout.or(script.then_some(SCRIPT_SECONDS));
    Machine {
        firmware: match boot {
            Boot::Bios => Firmware::Bios,
            Boot::Uefi => Firmware::Uefi(built.ready.ovmf.clone()),
        },
        serial: if script { Serial::Unused } else { Serial::Terminal },
        script,
        memory: options.memory.clone(),
        cpus: options.smp,
        cpu: options.cpu.clone(),
        accel: options.accel,
        icount: options.icount,
        disks: options.disk.clone(),
        gdb: options.gdb,
        timeout: seconds.map(Duration::from_secs),
        ..Machine::new(boot.image(folder), folder.to_path_buf())
    }
}

/// Runs the guest to its end; the exit code of our process.
fn watch(machine: &Machine, show_log: bool) -> std::result::Result<u8, qemu::Error> {
    let (mut guest, output) = machine.start_with_output(io::stdout(), io::stderr())?;
    let follower = show_log.then(|| Follower::start(&machine.log(), io::stderr()));
    let outcome = guest.wait()?;
    drop(follower);
    let status = output.map(qemu::ScriptOutput::finish);
    Ok(match (outcome, status) {
        (Outcome::Off, None) => 0,
        (Outcome::Off, Some(Some(status))) => status,
        (Outcome::Off, Some(None)) => {
            eprintln!("run: the machine went off before the script ended; see {}", machine.log().display());
            PANICKED
        }
        (Outcome::Panicked, _) => PANICKED,
        (Outcome::TimedOut, _) => {
            eprintln!("run: killed after its time was over; see {}", machine.log().display());
            TIMED_OUT
        }
        (Outcome::Failed(why), _) => {
            eprintln!("run: QEMU failed: {why}");
            NOT_STARTED
        }
    })
}

/// `target/run`, or, while another run uses that, `target/run-2` and so on. Held until dropped.
struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    fn claim(workspace: &Workspace, wanted: Option<&Path>) -> Result<Self> {
        if let Some(path) = wanted {
            fs::create_dir_all(path).map_err(Error::io("creating", path))?;
            let lock = File::create(path.join("lock")).map_err(Error::io("locking", path))?;
            return Ok(Self { path: path.to_path_buf(), _lock: lock });
        }
        for number in 1.. {
            let path = if number == 1 { workspace.built("run") } else { workspace.built(&format!("run-{number}")) };
            fs::create_dir_all(&path).map_err(Error::io("creating", &path))?;
            let lock = File::create(path.join("lock")).map_err(Error::io("locking", &path))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(Error::io("locking", &path)(error)),
            }
        }
        Err(Error::Refused("no free folder for this run".into()))
    }
}
