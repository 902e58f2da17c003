#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring.

#[cfg(target_os = "none")]
libsys::entry!(run);

#[cfg(target_os = "none")]
fn run() -> ! {
    use console::machine::Wired;
    use console::{Console, saved::State};
    use libsys::saved::Area;
    use libsys::{Peer, layout, next_number, serve, slot};
    use protocols::supervisor::Client;

    let (area, _how) = Area::<State>::open(layout::SAVED);
    let machine = match Wired::new() {
        Ok(machine) => machine,
        Err(error) => panic!("ports or interrupt line are missing: {error:?}"),
    };
    let mut console = Console::new(area, machine);
    if let Err(error) = Client(Peer::new(slot::SUPERVISOR)).up(next_number()) {
        panic!("the supervisor does not hear: {error:?}");
    }
    serve::run(&mut console)
}

#[cfg(not(target_os = "none"))]
fn main() {}
