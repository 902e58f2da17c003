//! The only part of the supervisor that looks at raw memory: the boot information and the boot archive, where the kernel mapped them, and its own records.
#![allow(unsafe_code, reason = "reads what the kernel mapped before this process began, and has one static of its own")]

use core::cell::UnsafeCell;

use abi::{ARCHIVE_ADDRESS, BOOT_INFO_ADDRESS, BootInfo};
use protocols::supervisor::STATUS_GAVE_UP;
use supervisor::autopsy::Records;
use supervisor::life::{Facts, Supervisor};
use supervisor::native::{self, Cmos, Native};
use supervisor::{archive, clock, report};

/// The records of deaths: too large for the stack.
struct Kept(UnsafeCell<Records>);

// SAFETY: the supervisor has one thread.
unsafe impl Sync for Kept {}

static RECORDS: Kept = Kept(UnsafeCell::new(Records::new()));

/// The entry.
pub(crate) fn main() -> ! {
    let reason = start();
    libsys::log!("{}", reason.as_str());
    report::turn_off(&mut Native, STATUS_GAVE_UP);
    loop {
        core::hint::spin_loop();
    }
}

/// Comes back only with what went wrong, in words.
fn start() -> libsys::log::Line<{ libsys::log::MAX_LINE }> {
    let mut words = libsys::log::Line::new();
    let said = match try_start() {
        Ok(never) => match never {},
        Err(Failure::Archive(error)) => core::fmt::Write::write_fmt(&mut words, format_args!("{error}")),
        Err(Failure::SetUp(error)) => core::fmt::Write::write_fmt(&mut words, format_args!("{error}")),
        Err(Failure::Loop(error)) => core::fmt::Write::write_fmt(&mut words, format_args!("the kernel refused to go on: {error:?}")),
    };
    // An error says that the line is full; its start is still worth having.
    let _cut_off = said;
    words
}

enum Failure {
    Archive(archive::ArchiveError),
    SetUp(supervisor::set_up::SetUpError),
    Loop(abi::Error),
}

fn try_start() -> Result<core::convert::Infallible, Failure> {
    // SAFETY: the kernel mapped the boot information there, aligned, for the life of this process, and nobody writes it.
    let info = unsafe { &*core::ptr::with_exposed_provenance::<BootInfo>(BOOT_INFO_ADDRESS as usize) };
    // SAFETY: the kernel mapped the archive there, read only, for the life of this process, and says how long it is.
    let bytes =
        unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<u8>(ARCHIVE_ADDRESS as usize), info.archive_bytes as usize) };
    let contents = archive::read(bytes).map_err(Failure::Archive)?;
    let seconds = clock::read(&mut Cmos).unwrap_or(0);
    let facts = Facts {
        tsc_hz: info.tsc_hz,
        wall_base_ns: clock::wall_base_ns(seconds, libsys::clock::now_ticks(), info.tsc_hz),
        processors: info.processors as u32,
        options: contents.options,
        rootfs: contents.rootfs,
    };
    // SAFETY: this function runs once, on the only thread, and nothing else names the static.
    let records = unsafe { &mut *RECORDS.0.get() };
    let memories = info.memory_pages.get(..info.memories as usize).unwrap_or(&info.memory_pages);
    let supervisor = Supervisor::set_up(Native, memories, contents.specs, facts, records).map_err(Failure::SetUp)?;
    native::run(supervisor).map_err(Failure::Loop)
}
