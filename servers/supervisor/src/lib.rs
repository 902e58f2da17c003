//! The supervisor: the root of trust. It reads the manifest, builds every server with exactly the capabilities declared there, and starts the next
//! instance of one that died.
//!
//! It calls no other server, has no heap, and keeps no state that a server could corrupt: what it knows is in fixed arrays and in the kernel's
//! objects. All logic is generic over [`kernel::Kernel`] and runs on the host against a fake that checks the order of every step.
//!
//! Where to start: [`life`] (the states and the events), [`build`] (an instance), [`set_up`] (what is made once), [`reaper`] (what becomes of the
//! dead), [`watchdog`] and [`scrub`] (who hangs, and who is not what the image says). Absent on purpose: a view of what servers do. It knows pages, threads and capabilities, no paths and no processes.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod archive;
pub mod autopsy;
pub mod build;
pub mod clock;
mod doom;
pub mod inject;
pub mod kernel;
pub mod life;
pub mod native;
pub mod options;
pub mod policy;
pub mod reaper;
pub mod report;
mod requests;
pub mod reserve;
pub mod scrub;
pub mod set_up;
pub mod shape;
pub mod slot;
pub mod spec;
mod trace;
pub mod watchdog;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
