#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: comes up, checks or measures, and then waits for calls that nobody makes.

#[cfg(target_os = "none")]
mod machine {
    use abi::RequestNumber;
    use libsys::{Peer, slot, syscall};
    use protocols::serve::{Answer, Caller, Serve};
    use protocols::service::Service;

    const PAUSE_NS: u64 = 10_000_000;

    struct Machine;

    impl probe::Outside for Machine {
        fn next_number(&mut self) -> RequestNumber {
            libsys::next_number()
        }

        fn log(&mut self, line: &str) {
            libsys::log!("{line}");
        }

        fn pause(&mut self) {
            let soon = libsys::clock::ticks_at(libsys::clock::now_ns() + PAUSE_NS);
            let waited = syscall::deadline(slot::NOTIFICATION, soon).and_then(|()| syscall::wait(slot::NOTIFICATION));
            if let Err(error) = waited {
                libsys::log!("cannot pause: {error:?}");
            }
        }
    }

    /// Serves nothing.
    struct Idle;

    impl Serve for Idle {
        fn serve(&mut self, _caller: &mut dyn Caller, _request: &[u8], _reply: &mut [u8]) -> Answer {
            Answer::default()
        }
    }

    impl libsys::serve::Server for Idle {}

    /// Other threads than the first are the bench's.
    pub(super) fn help(_thread: u64) -> ! {
        probe::bench::help(&libsys::start::info().options)
    }

    pub(super) fn run() -> ! {
        libsys::start::up();
        if libsys::start::info().options.lines().any(|line| line == probe::bench::OPTION) {
            probe::bench::run(&libsys::start::info().options);
        } else if probe::wants_garbage(&libsys::start::info().options) {
            probe::send_garbage(Peer::to, &mut Machine);
        } else if libsys::start::info().options.lines().any(|line| line == probe::attack::OPTION) {
            probe::attack::run(&mut Machine);
        } else if libsys::start::info().options.lines().any(|line| line == probe::memory::OPTION) {
            probe::memory::run(Peer::to(Service::Memory), &mut Machine);
        } else if libsys::start::info().options.lines().any(|line| line == probe::closed::OPTION) {
            let _logged = probe::closed::run(Peer::to(Service::Victim), &mut Machine);
        } else {
            let _failed = probe::run(Peer::to(Service::Victim), &mut Machine);
        }
        libsys::serve::run(&mut Idle)
    }
}

#[cfg(target_os = "none")]
libsys::entry!(machine::run, machine::help);

#[cfg(not(target_os = "none"))]
fn main() {}
