#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: the receiver with its saved state, and the helper that does the work.

#[cfg(target_os = "none")]
mod native;

#[cfg(target_os = "none")]
libsys::entry!(native::receive, native::work);

#[cfg(not(target_os = "none"))]
fn main() {}
