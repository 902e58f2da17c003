//! `uname`, `sysinfo`, `sethostname`, `setdomainname`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::load::FRACTION_BITS;
use crate::saved::Name;

/// System name: what unmodified programs expect.
pub const SYSTEM: &str = "Linux";
/// Release: the interface that is offered.
pub const RELEASE: &str = "6.1.0-synos";
/// Version.
pub const VERSION: &str = "#1 SynOS";
/// Machine.
pub const MACHINE: &str = "x86_64";
const FIELD_BYTES: usize = 65;
/// What the machine and its domain are called until somebody names them.
const FIRST_NAMES: [&str; 2] = ["synos", "(none)"];
const HOST: usize = 0;
const DOMAIN: usize = 1;
/// Most bytes of a name (`__NEW_UTS_LEN`).
const NAME_BYTES: usize = FIELD_BYTES - 1;
/// Fraction bits of a load in `struct sysinfo` (`SI_LOAD_SHIFT`).
const LOAD_BITS: u32 = 16;

/// What system this is.
pub fn sys_uname(call: &mut Call<'_, '_>) -> SysResult {
    let mut bytes = [0; FIELD_BYTES * 6];
    let names = [HOST, DOMAIN].map(|which| name(call, which));
    let texts = [SYSTEM.as_bytes(), &names[HOST], RELEASE.as_bytes(), VERSION.as_bytes(), MACHINE.as_bytes(), &names[DOMAIN]];
    for (field, text) in bytes.chunks_exact_mut(FIELD_BYTES).zip(texts) {
        for (to, from) in field.iter_mut().zip(text) {
            *to = *from;
        }
    }
    call.write(call.arguments[0], &bytes)?;
    Ok(0)
}

/// Totals of the machine.
pub fn sys_sysinfo(call: &mut Call<'_, '_>) -> SysResult {
    let (total, free) = call.posix.memory_usage();
    let uptime = call.posix.kernel.now_ns().div_ceil(1_000_000_000);
    let threads = call.posix.lanes.len();
    let mut bytes = [0; 112];
    let [one, five, fifteen] = call.posix.load_averages().map(|average| average << (LOAD_BITS - FRACTION_BITS));
    let words = [uptime, one, five, fifteen, total * 4096, free * 4096, 0, 0, 0, 0, threads as u64, 0, 0];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes[104] = 1;
    call.write(call.arguments[0], &bytes)?;
    Ok(0)
}

/// Names the machine.
pub fn sys_sethostname(call: &mut Call<'_, '_>) -> SysResult {
    rename(call, HOST)
}

/// Names its domain.
pub fn sys_setdomainname(call: &mut Call<'_, '_>) -> SysResult {
    rename(call, DOMAIN)
}

fn name(call: &Call<'_, '_>, which: usize) -> [u8; NAME_BYTES] {
    let saved = call.posix.store.name(which);
    let mut bytes = [0; NAME_BYTES];
    let first = FIRST_NAMES[which].as_bytes();
    if saved.is_set == 0 {
        bytes[..first.len()].copy_from_slice(first);
    } else {
        bytes.copy_from_slice(saved.words.map(u64::to_le_bytes).as_flattened());
    }
    bytes
}

fn rename(call: &mut Call<'_, '_>, which: usize) -> SysResult {
    // Linux: `CAP_SYS_ADMIN`.
    if call.me().uid[1] != 0 {
        return Err(Errno::EPERM.into());
    }
    let [from, length, ..] = call.arguments;
    // An int: what the upper half of the register holds does not count.
    let length = usize::try_from(length as u32).ok().filter(|length| *length <= NAME_BYTES).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; NAME_BYTES];
    call.read(from, &mut bytes[..length])?;
    let mut words = [0; NAME_BYTES / 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    call.posix.store.set_name(which, Name { words, is_set: 1 });
    Ok(0)
}
