//! Linux in QEMU, for one run: the kernel's messages on the first serial line, the driver's output on the second.
//!
//! Serial lines, because Debian's kernel has virtio only in modules. Like every guest of ours it is bounded by a time-out, killed
//! when its owner goes away, and tied to our own process by the host's kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process::find_program;
use crate::workspace::Workspace;

/// The same processor as SynOS gets, so that programs choose the same code; a panic ends the machine.
const OPTIONS: [&str; 16] = [
    "-machine",
    "pc,usb=off,vmport=off",
    "-accel",
    "tcg",
    "-cpu",
    "max",
    "-m",
    "512M",
    "-display",
    "none",
    "-nic",
    "none",
    "-nodefaults",
    "-no-reboot",
    "-append",
    "console=ttyS0 quiet panic=-1",
];
/// How often a wait looks whether QEMU has ended.
const INTERVAL: Duration = Duration::from_millis(50);

/// Where Linux's messages go.
pub(super) fn log(workspace: &Workspace) -> PathBuf {
    workspace.built("expect/log")
}

/// Boots `kernel` with `initramfs`; returns what came over the second serial line until the power went off or the time was over.
pub(super) fn boot(kernel: &Path, initramfs: &Path, work: &Path, timeout: Duration) -> Result<String> {
    let (log, output, errors) = (work.join("log"), work.join("output"), work.join("qemu-errors"));
    let error_file = fs::File::create(&errors).map_err(Error::io("creating", &errors))?;
    let mut command = tied_to_us();
    command.args(OPTIONS).arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    command.arg("-serial").arg(file(&log)).arg("-serial").arg(file(&output));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error_file);
    let child = command.spawn().map_err(|error| Error::Io { doing: format!("starting {}", qemu::PROGRAM), error })?;
    let status = Guest(child).wait(timeout)?;
    match status {
        Some(status) if !status.success() => {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            Err(Error::Command { command: qemu::PROGRAM.into(), outcome: status.to_string(), said })
        }
        // What was told before the time was over still counts; the rest is missed by name.
        _ => fs::read(&output).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(Error::io("reading", &output)),
    }
}

/// QEMU's name for a file as the end of a serial line; commas in it are doubled.
fn file(path: &Path) -> String {
    format!("file:{}", path.display().to_string().replace(',', ",,"))
}

/// QEMU's command, killed by the host's kernel when we are.
fn tied_to_us() -> Command {
    match find_program("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", qemu::PROGRAM]);
            command
        }
        None => Command::new(qemu::PROGRAM),
    }
}

/// A running QEMU, killed when dropped.
struct Guest(Child);

impl Guest {
    /// Waits for its end; none within `timeout`.
    fn wait(mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            let status = self.0.try_wait().map_err(|error| Error::Io { doing: format!("waiting for {}", qemu::PROGRAM), error })?;
            if status.is_some() {
                return Ok(status);
            }
            sleep(INTERVAL);
        }
        Ok(None)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when the process has ended already, which is what is wanted.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
