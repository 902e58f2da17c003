#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: saved state, the region, the root file system, the receive loop.

#[cfg(target_os = "none")]
libsys::entry!(run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use libsys::saved::Area;
    use libsys::{layout, serve, start};
    use vfs::Vfs;
    use vfs::machine::{Machine, archive};
    use vfs::ready::Readiness;

    let info = start::info();
    let (area, opened) = Area::open(layout::SAVED);
    let (machine, ready) = (Machine::new(info.region_pages), Readiness::from_options(&info.options));
    let mut server = match Vfs::new(area, opened, machine, ready, archive(info.rootfs_bytes)) {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    };
    libsys::log!("{opened:?}: {} files, {} pages used", server.state().inode_pool.live(), server.state().pages.used_count());
    start::up();
    server.signal_all();
    serve::run(&mut server)
}

#[cfg(not(target_os = "none"))]
fn main() {}
