#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: saved state, recovery, the receive loop.

#[cfg(target_os = "none")]
libsys::entry!(run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use libsys::saved::Area;
    use libsys::{layout, serve, start};
    use posix::native::Native;
    use posix::server::Posix;

    libsys::text::note();
    let (area, opened) = Area::open(layout::SAVED);
    let mut kernel = Native::new();
    let mut server = Posix::new(area, &mut kernel, &start::info().options);
    libsys::log!("posix: {opened:?}");
    if let Err(error) = serve::bind_notification() {
        panic!("no notification: {error:?}");
    }
    server.recover();
    start::up();
    serve::run(&mut server)
}

#[cfg(not(target_os = "none"))]
fn main() {}
