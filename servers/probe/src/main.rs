#![cfg_attr(target_os = "none", no_std, no_main)]
//! Wiring: comes up, checks, and then waits for calls that nobody makes.

#[cfg(target_os = "none")]
mod machine {
    use abi::RequestNumber;
    use libsys::Peer;
    use protocols::serve::{Answer, Caller, Serve};
    use protocols::service::Service;
    use protocols::supervisor::Client;

    struct Machine;

    impl probe::Outside for Machine {
        fn next_number(&mut self) -> RequestNumber {
            libsys::next_number()
        }

        fn log(&mut self, line: &str) {
            libsys::log!("{line}");
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

    pub(super) fn run() -> ! {
        if let Err(error) = Client(Peer::to(Service::Supervisor)).up(libsys::next_number()) {
            panic!("cannot come up: {error:?}");
        }
        let _failed = probe::run(Peer::to(Service::Victim), &mut Machine);
        libsys::serve::run(&mut Idle)
    }
}

#[cfg(target_os = "none")]
libsys::entry!(machine::run);

#[cfg(not(target_os = "none"))]
fn main() {}
