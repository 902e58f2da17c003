//! Linux's column: Debian's cloud kernel, our root file system, and the program that measures SynOS, in the same emulator and the same run.
//!
//! Two boots: one that counts instructions, for the rows of `tests/linux/bench.c`; one by the host's clock, for the time to the shell. Where
//! the kernel cannot be had, or does not run to the end, the column stays empty and the reason is said once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::linux;
use crate::error::{Error, Result};
use crate::expect::machine::{Clock, Told};
use crate::expect::{initramfs, linux as kernel, machine};
use crate::process::Voice;
use crate::setup;
use crate::workspace::Workspace;

/// The row of the time from QEMU's start to the shell's first output, in seconds.
pub(super) const BOOT: &str = "boot_to_prompt";
/// When a boot counts as failed: some ten times what it takes on a quiet machine.
const LIMIT: Duration = Duration::from_secs(600);

/// What Linux has.
#[derive(Debug, Default)]
pub(super) struct Linux(Vec<(String, f64)>);

impl Linux {
    /// Boots Linux and measures; an empty column where that does not work.
    pub(super) fn measured(workspace: &Workspace) -> Self {
        Self::measure(workspace).unwrap_or_else(|error| {
            eprintln!("bench: Linux's column stays empty: {error}");
            Self::default()
        })
    }

    fn measure(workspace: &Workspace) -> Result<Self> {
        let work = workspace.built("bench/linux");
        let ready = setup::ensure(workspace, None, Voice::Plain)?;
        let kernel = kernel::ensure(workspace, Voice::Plain)?;
        let run = stage(workspace, &work)?;
        let initramfs = initramfs::make(workspace, &ready.busybox, &run, &work)?;
        eprintln!("bench: measuring {}", kernel.name);
        let boot = |clock| machine::boot(&kernel.image, &initramfs, &work, clock, LIMIT);
        let counted = boot(Clock::Instructions)?;
        Ok(Self::read(&counted, boot(Clock::Host)?.first))
    }

    fn read(counted: &Told, to_prompt: Option<Duration>) -> Self {
        let row = |line: &str| line.trim().split_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        let mut rows: Vec<(String, f64)> = counted.output.lines().filter_map(row).collect();
        rows.extend(to_prompt.map(|time| (BOOT.to_owned(), (time.as_secs_f64() * 100.0).round() / 100.0)));
        Self(rows)
    }

    /// The figure called `name`.
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(row, _)| row == name).map(|(_, value)| *value)
    }
}

/// The folder that becomes `/run`: script and programs.
fn stage(workspace: &Workspace, work: &Path) -> Result<std::path::PathBuf> {
    let run = work.join("run");
    let folder = run.join("programs");
    fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    for (name, path) in linux::programs(workspace)? {
        fs::copy(&path, folder.join(name)).map_err(Error::io("copying", &path))?;
    }
    // The first line says that the shell is there; the argument has Linux measure what stands for SynOS' own operations too.
    let script = format!("echo shell\n{} peers\n", linux::SCRIPT.trim_end());
    fs::write(run.join("script"), script).map_err(Error::io("writing", &run))?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_noise_is_not() {
        let told = Told { output: "shell\r\nreflected_getppid 337\r\nnot a row\n".into(), first: None };
        let linux = Linux::read(&told, Some(Duration::from_millis(2904)));
        assert_eq!((linux.figure("reflected_getppid"), linux.figure(BOOT), linux.figure("not")), (Some(337.0), Some(2.9), None));
        assert_eq!(Linux::default().figure(BOOT), None);
    }
}
