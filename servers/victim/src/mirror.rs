//! The mirror: instead of the victim, for measuring. It answers every message with the message, straight from the registers.
//!
//! So a call of it costs what the kernel costs and two stubs, as other kernels are measured, without libsys' receive loop or a protocol.

use abi::{Error, Label};
use libsys::{slot, syscall, thread};

/// The line of the run's options that asks for it.
const OPTION: &str = "victim=mirror";

/// Becomes the mirror, if this run's options ask for it.
pub(crate) fn run_if_asked() {
    if libsys::start::info().options.lines().any(|line| line == OPTION) {
        run();
    }
}

/// Receives and answers for ever, on the server's own endpoint. A long message lies in the message page already.
///
/// # Panics
/// When the kernel refuses to receive: the server was wired wrongly.
fn run() -> ! {
    if let Err(error) = syscall::set_reply_slot(slot::reply(thread::index())) {
        panic!("no slot for Replies: {error:?}");
    }
    let (mut label, mut words) = (Label::new(0), [0; 8]);
    loop {
        (label, words) = match syscall::reply_words_receive(slot::ENDPOINT, label, words) {
            Ok(received) => received,
            Err(Error::Kicked) => (Label::new(0), [0; 8]),
            Err(error) => panic!("cannot receive: {error:?}"),
        };
    }
}
