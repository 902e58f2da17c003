//! `uname`, `sysinfo`, `sethostname`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::load::FRACTION_BITS;
use crate::saved::state;

/// System name: what unmodified programs expect.
pub const SYSTEM: &str = "Linux";
/// Release: the interface that is offered.
pub const RELEASE: &str = "6.1.0-synos";
/// Version.
pub const VERSION: &str = "#1 SynOS";
/// Machine.
pub const MACHINE: &str = "x86_64";
const FIELD_BYTES: usize = 65;
/// Fraction bits of a load in `struct sysinfo` (`SI_LOAD_SHIFT`).
const LOAD_BITS: u32 = 16;

/// What system this is.
pub fn sys_uname(call: &mut Call<'_, '_>) -> SysResult {
    let mut bytes = [0; FIELD_BYTES * 6];
    for (field, text) in bytes.chunks_exact_mut(FIELD_BYTES).zip([SYSTEM, "synos", RELEASE, VERSION, MACHINE, "(none)"]) {
        for (to, from) in field.iter_mut().zip(text.bytes()) {
            *to = from;
        }
    }
    call.write(call.arguments[0], &bytes)?;
    Ok(0)
}

/// Totals of the machine.
pub fn sys_sysinfo(call: &mut Call<'_, '_>) -> SysResult {
    let (total, free) = call.posix.memory_usage();
    let uptime = call.posix.kernel.now_ns() / 1_000_000_000;
    let live = call.posix.processes.iter().filter(|process| call.posix.store.process(**process).state == state::LIVE).count();
    let mut bytes = [0; 112];
    let [one, five, fifteen] = call.posix.load_averages().map(|average| average << (LOAD_BITS - FRACTION_BITS));
    let words = [uptime, one, five, fifteen, total * 4096, free * 4096, 0, 0, 0, 0, live as u64, 0, 0];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes[104] = 1;
    call.write(call.arguments[0], &bytes)?;
    Ok(0)
}

/// The machine's name is fixed.
pub fn sys_sethostname(_call: &mut Call<'_, '_>) -> SysResult {
    Err(Errno::EPERM.into())
}
