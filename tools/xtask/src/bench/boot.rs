//! `boot_to_prompt`: seconds from QEMU's start to the shell's first prompt.

use std::time::{Duration, Instant};

use qemu::{Machine, Serial};

use super::{Bench, Figure, peer};
use crate::build::{Boot, ImageOptions, build};
use crate::error::{Error, Result};
use crate::process::Voice;

pub(super) const NAME: &str = "boot_to_prompt";
/// The median of this many boots.
const BOOTS: usize = 3;
/// When a boot counts as failed.
const LIMIT: Duration = Duration::from_secs(60);
/// What the shell prints when it is ready.
const PROMPT: &str = "# ";
const GOAL: f64 = 10.0;

/// Linux's figure is its shell's first output, loaded by QEMU itself without a boot loader.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let workspace = bench.workspace;
    let folder = workspace.built("bench");
    build(workspace, &ImageOptions::default(), &[Boot::Bios], &folder, Voice::Plain)?;
    let machine = Machine { serial: Serial::Console, timeout: Some(LIMIT), ..Machine::new(Boot::Bios.image(&folder), folder) };
    let mut times = (0..BOOTS).map(|_| boot(&machine)).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    let median = times.get(BOOTS / 2).copied().unwrap_or_default();
    Ok(vec![Figure { name: NAME.into(), value: (median * 100.0).round() / 100.0, unit: "s", goal: Some(GOAL), linux: bench.linux(peer::BOOT) }])
}

fn boot(machine: &Machine) -> Result<f64> {
    let refused = |why: String| Error::Refused(format!("{NAME}: {why}"));
    let mut guest = machine.start().map_err(|error| refused(error.to_string()))?;
    let started = guest.started();
    let console = guest.console().ok_or_else(|| refused("the machine has no terminal".into()))?;
    console.expect(PROMPT, LIMIT).map_err(|error| refused(error.to_string()))?;
    Ok(Instant::now().saturating_duration_since(started).as_secs_f64())
}
