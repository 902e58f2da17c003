#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: saved state, recovery, the receive loop.

#[cfg(target_os = "none")]
libsys::entry!(run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use libsys::saved::Area;
    use libsys::{Peer, layout, next_number, serve, start};
    use posix::native::Native;
    use posix::server::Posix;
    use protocols::service::Service;
    use protocols::supervisor::Client;

    let (area, opened) = Area::open(layout::SAVED);
    let mut kernel = Native::new();
    let mut server = Posix::new(area, &mut kernel, &start::info().options);
    libsys::log!("posix: {opened:?}");
    if let Err(error) = serve::bind_notification() {
        panic!("no notification: {error:?}");
    }
    server.recover();
    if let Err(error) = Client(Peer::to(Service::Supervisor)).up(next_number()) {
        panic!("the supervisor does not hear: {error:?}");
    }
    serve::run(&mut server)
}

#[cfg(not(target_os = "none"))]
fn main() {}
