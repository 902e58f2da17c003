#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring.

#[cfg(target_os = "none")]
libsys::entry!(run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use console::machine::Wired;
    use console::{Console, saved::State};
    use libsys::saved::Area;
    use libsys::{layout, serve, start};

    let (area, _how) = Area::<State>::open(layout::SAVED);
    let machine = match Wired::new() {
        Ok(machine) => machine,
        Err(error) => panic!("ports or interrupt line are missing: {error:?}"),
    };
    let mut console = Console::new(area, machine);
    start::up();
    serve::run(&mut console)
}

#[cfg(not(target_os = "none"))]
fn main() {}
