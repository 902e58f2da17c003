//! The mirror: instead of the victim, for measuring. It answers every message with the message.
//!
//! So a call of it costs what the kernel and the receive loop cost, without the decoding that is each protocol's own.

use protocols::serve::{Answer, Caller, Serve};

/// The line of the run's options that asks for it.
pub const OPTION: &str = "victim=mirror";

/// Answers with the request.
#[derive(Debug)]
pub struct Mirror;

impl Serve for Mirror {
    fn serve(&mut self, _caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        match reply.get_mut(..request.len()) {
            Some(room) => {
                room.copy_from_slice(request);
                Answer::new(request.len())
            }
            None => Answer::new(0),
        }
    }
}

impl libsys::serve::Server for Mirror {}
