//! Linux in QEMU, for one run: the kernel's messages on the first serial line, the script's output on the second.
//!
//! Serial lines, because Debian's kernel has virtio only in modules. Like every guest of ours it is bounded by a time-out, killed
//! when its owner goes away, and tied to our own process by the host's kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// The same processor as SynOS gets, so that programs choose the same code; a panic ends the machine.
const OPTIONS: [&str; 14] = [
    "-machine",
    "pc,usb=off,vmport=off",
    "-accel",
    "tcg",
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

/// How guest time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// With the host's.
    Host,
    /// By instructions, as `run --icount` has it.
    Instructions,
}

impl Clock {
    /// The options that `qemu::Machine` gives SynOS for it; with four levels of page tables, which are all that SynOS uses, so that addresses are what they are there.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Host => &["-cpu", "max,la57=off"],
            Self::Instructions => &["-cpu", "max,-erms,-fsrm", "-icount", "shift=0,sleep=off"],
        }
    }
}

/// What came of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// What came over the second serial line until the power went off or the time was over.
    pub(crate) output: String,
    /// How long after QEMU's start the first of it was there.
    pub(crate) first: Option<Duration>,
}

/// Where Linux's messages go.
pub(super) fn log(workspace: &Workspace) -> PathBuf {
    workspace.built("expect/log")
}

/// Boots `kernel` with `initramfs`.
pub(crate) fn boot(kernel: &Path, initramfs: &Path, work: &Path, clock: Clock, timeout: Duration) -> Result<Told> {
    let (log, output, errors) = (work.join("log"), work.join("output"), work.join("qemu-errors"));
    let error_file = fs::File::create(&errors).map_err(Error::io("creating", &errors))?;
    let mut command = qemu::command();
    command.args(OPTIONS).args(clock.options()).arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    command.arg("-serial").arg(file(&log)).arg("-serial").arg(file(&output));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error_file);
    remove(&output)?;
    let child = command.spawn().map_err(|error| Error::Io { doing: format!("starting {}", qemu::PROGRAM), error })?;
    let (status, first) = Guest(child).wait(timeout, &output)?;
    match status {
        Some(status) if !status.success() => {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            Err(Error::Command { command: qemu::PROGRAM.into(), outcome: status.to_string(), said })
        }
        // What was told before the time was over still counts; the rest is missed by name.
        _ => {
            let bytes = fs::read(&output).map_err(Error::io("reading", &output))?;
            Ok(Told { output: String::from_utf8_lossy(&bytes).into_owned(), first })
        }
    }
}

/// An output of an earlier boot is none of this one's.
fn remove(output: &Path) -> Result<()> {
    if output.exists() { fs::remove_file(output).map_err(Error::io("removing", output)) } else { Ok(()) }
}

/// QEMU's name for a file as the end of a serial line; commas in it are doubled.
fn file(path: &Path) -> String {
    format!("file:{}", path.display().to_string().replace(',', ",,"))
}

/// A running QEMU, killed when dropped.
struct Guest(Child);

impl Guest {
    /// Waits for its end; none within `timeout`. Tells too when there was something in `output`.
    fn wait(mut self, timeout: Duration, output: &Path) -> Result<(Option<ExitStatus>, Option<Duration>)> {
        let started = Instant::now();
        let mut first = None;
        while started.elapsed() < timeout {
            if first.is_none() && fs::metadata(output).is_ok_and(|about| about.len() > 0) {
                first = Some(started.elapsed());
            }
            let status = self.0.try_wait().map_err(|error| Error::Io { doing: format!("waiting for {}", qemu::PROGRAM), error })?;
            if status.is_some() {
                return Ok((status, first));
            }
            sleep(INTERVAL);
        }
        Ok((None, first))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when the process has ended already, which is what is wanted.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
