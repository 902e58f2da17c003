//! What the supervisor says on the log, and how the machine ends.

use core::fmt::{self, Write as _};

use abi::boot::SCRIPT_STATUS_PORT;
use libsys::log::Line;

use crate::kernel::Kernel;
use crate::life::Supervisor;

/// Most bytes of a line.
const LINE_BYTES: usize = libsys::log::MAX_LINE;
/// ACPI's PM1a control register of QEMU's pc machine, where SeaBIOS and where OVMF put it, and the value that means S5 there: SLP_EN with sleep
/// type 0.
const POWER_PORTS: [u16; 2] = [0x604, 0xb004];
const POWER_OFF: u32 = 0x2000;

/// Turns the machine off; `status` is what the host's command exits with.
pub fn turn_off(kernel: &mut impl Kernel, status: u8) {
    // Both ports are the supervisor's by right; on a machine without them the log is all that can be had.
    let told = kernel.port_out(SCRIPT_STATUS_PORT, 1, u32::from(status));
    let off = POWER_PORTS.into_iter().try_for_each(|port| kernel.port_out(port, 2, POWER_OFF));
    if told.is_err() || off.is_err() {
        kernel.log("the power cannot be turned off");
    }
}

impl<K: Kernel> Supervisor<'_, K> {
    /// Writes a line of the timeline: milliseconds since the machine started, then the text.
    pub(crate) fn say(&mut self, text: fmt::Arguments<'_>) {
        let now = self.kernel.now();
        let us = self.microseconds(now);
        let mut line = Line::<LINE_BYTES>::new();
        // The only error is a full line, and then its start is worth having.
        let _cut_off = write!(line, "{:6}.{:03} ms: {text}", us / 1000, us % 1000);
        self.kernel.log(line.as_str());
    }

    /// The time-stamp counter's value in `us` microseconds.
    pub fn after_us(&mut self, us: u64) -> u64 {
        let per_us = self.facts.tsc_hz / 1_000_000;
        self.kernel.now().saturating_add(us.saturating_mul(per_us))
    }

    pub(crate) fn milliseconds(&self, ticks: u64) -> u64 {
        self.microseconds(ticks) / 1000
    }

    pub(crate) fn microseconds(&self, ticks: u64) -> u64 {
        let per_us = self.facts.tsc_hz / 1_000_000;
        ticks / per_us.max(1)
    }

    pub(crate) fn turn_off(&mut self, status: u8) {
        self.say(format_args!("power off with status {status}"));
        turn_off(&mut self.kernel, status);
    }
}
