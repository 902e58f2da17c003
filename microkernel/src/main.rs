//! The kernel's binary: all of it is in the library.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use microkernel as _;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("the kernel runs on bare metal; `cargo test -p microkernel` runs its logic here");
}
