#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: saved state, start information, the receive loop.

#[cfg(target_os = "none")]
libsys::entry!(run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use libsys::saved::Area;
    use memory::native::Native;
    use memory::server::Memory;

    let info = libsys::start::info();
    let (area, _how_found) = Area::open(libsys::layout::SAVED);
    let mut server = Memory::restart(Native, area, &info.paged, &info.buyers);
    if let Err(error) = libsys::serve::bind_notification() {
        panic!("cannot hear of deaths: {error:?}");
    }
    libsys::log!("{} pages to give", server.total_pages());
    libsys::start::up();
    libsys::serve::run(&mut server)
}

#[cfg(not(target_os = "none"))]
fn main() {}
