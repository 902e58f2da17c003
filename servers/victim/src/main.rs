#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: saved state and the receive loop.

#[cfg(target_os = "none")]
mod mirror;

libsys::entry!(run, victim::work::run);

#[cfg(target_os = "none")]
fn run() -> ! {
    let (area, _how_found) = libsys::saved::Area::open(libsys::layout::SAVED);
    libsys::start::up();
    mirror::run_if_asked();
    libsys::serve::run(&mut victim::Victim(area))
}

#[cfg(not(target_os = "none"))]
fn main() {}
