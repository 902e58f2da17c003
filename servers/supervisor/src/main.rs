#![cfg_attr(target_os = "none", no_std, no_main)]
//! The first process: reads what the kernel left, sets the machine up, and goes into the loop.

#[cfg(target_os = "none")]
mod machine;

#[cfg(target_os = "none")]
libsys::entry!(first machine::main);

#[cfg(not(target_os = "none"))]
fn main() {}
