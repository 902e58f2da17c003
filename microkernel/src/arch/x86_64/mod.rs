//! x86_64: entry and exit, descriptor tables, paging set-up, interrupt controllers, clocks, FPU.
//!
//! Invariants: in ring 0 interrupts are off, except at the one `hlt` of an idle processor; user memory is never dereferenced (SMAP is on and
//! nothing sets AC); what the processor promises (WP, NX, SMEP, SMAP, UMIP) is read back after it was set.

pub mod apic;
pub mod boot;
pub mod clock;
pub mod control;
pub mod descriptors;
pub mod duties;
pub mod entry;
pub mod exit;
pub mod hardware;
pub mod log;
pub mod panic;
pub mod processors;
pub mod trace;
pub mod trampoline;
pub mod trap;
pub mod xsave;
