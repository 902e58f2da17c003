#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: saved state and the receive loop.

#[cfg(target_os = "none")]
libsys::entry!(run, victim::work::run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use libsys::saved::Area;
    use protocols::service::Service;
    use protocols::supervisor::Client;

    let (area, _how_found) = Area::open(libsys::layout::SAVED);
    let mut server = victim::Victim::restart(area, victim::Real);
    if let Err(error) = Client(libsys::Peer::to(Service::Supervisor)).up(libsys::next_number()) {
        panic!("cannot come up: {error:?}");
    }
    if libsys::start::info().options.lines().any(|line| line == victim::mirror::OPTION) {
        victim::mirror::run();
    }
    libsys::serve::run(&mut server)
}

#[cfg(not(target_os = "none"))]
fn main() {}
