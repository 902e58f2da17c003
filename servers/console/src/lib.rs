//! The console server: the serial line, its line discipline, and the two streams of a script.
//!
//! ```text
//!   posix ── protocols::console ──> service ── discipline ──> rings in saved memory ── pump ──> uart ── machine ──> ports
//! ```
//!
//! - The discipline is [`terminal`]'s, which posix uses for ptys too. [`saved`] has its storage here, and everything else that outlives an instance.
//! - [`service`] answers requests, none of which waits. [`pump`] moves bytes between rings and [`uart`], after each request and interrupt.
//! - [`machine`] is the seam to ports, interrupt line and notifications; the tests put a model of the device there.
//!
//! One thread, one interrupt line. Why no byte is lost or repeated when an instance dies is said in [`pump`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod machine;
pub mod point;
pub mod pump;
pub mod saved;
pub mod service;
pub mod uart;

#[cfg(test)]
mod tests;

pub use service::Console;
