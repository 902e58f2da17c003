//! The SynOS microkernel.
//!
//! Ring 0 does four things: it schedules threads, keeps address spaces, carries messages, and turns interrupts and faults into messages.
//! There is one mechanism, invoking a capability; no heap; and no policy. Files by the order in which a call meets them:
//!
//! - [`kernel`]: the state, and what runs after a trap; [`syscall`]: the table of operations; [`capability`]: handles to objects
//! - [`endpoint`], [`message`], [`lease`]: calls; [`notification`]: signals and deadlines; [`fault`]: traps that become calls
//! - [`schedule`], [`thread`]: who runs; [`memory`], [`page`], [`space`]: what pages are and where they are mapped
//! - [`interrupt`]: lines and ports; [`boot`]: the first process; [`acpi`]: where firmware says that interrupt controllers are; [`meltdown`]: whether the
//!   processor keeps the kernel's memory from user code
//! - `wrap`: indices that cannot be out of bounds
//! - [`machine`]: the seam below; `arch` (bare metal only): the processor
//!
//! All but `arch` is this library, which the tests run on a machine of plain memory.
#![cfg_attr(target_os = "none", no_std)]
#![deny(missing_docs, clippy::indexing_slicing)]

pub mod acpi;
#[cfg(target_os = "none")]
#[allow(unsafe_code, reason = "instructions, descriptor tables and device registers")]
pub mod arch;
pub mod boot;
pub mod capability;
pub mod endpoint;
#[cfg(not(target_os = "none"))]
#[allow(clippy::indexing_slicing, reason = "a test harness may fail by a panic")]
pub mod fake;
pub mod fastpath;
pub mod fault;
pub mod interrupt;
#[cfg(not(target_os = "none"))]
#[allow(clippy::indexing_slicing, reason = "a test harness may fail by a panic")]
pub mod invariants;
pub mod kernel;
pub mod lease;
pub mod machine;
pub mod meltdown;
pub mod memory;
pub mod message;
pub mod notification;
pub mod page;
pub mod poison;
pub mod schedule;
pub mod smp;
pub mod space;
pub mod syscall;
pub mod thread;
pub mod trace;
mod wrap;

pub use kernel::Kernel;
pub use machine::Machine;
