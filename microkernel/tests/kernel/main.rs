//! The kernel's operations, a file for each theme, on the machine of plain memory.
//!
//! One binary, because linking costs more than testing. The invariants are checked after every trap by `World`, so a test here says only what
//! its own scenario is about.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod accounting;
mod acpi;
mod boot;
mod capability;
mod cow;
mod death;
mod dismantle;
mod endpoint;
mod failure;
mod fault;
mod fpu;
mod handles;
mod inaccessible;
mod interrupt;
mod ipc;
mod kick;
mod lease;
mod memory;
mod notification;
mod poison;
mod preemption;
mod processors;
mod reflect;
mod schedule;
mod space;
mod thread;
mod trace;

use abi::{Error, Operation};
use microkernel::fake::World;

/// Root tries each of these; each must fail with its error.
fn refused(world: &mut World, handle: u32, operation: Operation, cases: &[(&[u64], Error)]) {
    for (words, error) in cases {
        assert_eq!(world.ask(handle, operation, words), Err(*error), "{operation:?} {words:x?}");
    }
}
