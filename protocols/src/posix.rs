//! What other servers tell posix, and what it answers them: Linux programs' system calls and faults come from the kernel, so there are no requests here, and
//! whatever a server sends is refused. Servers below it signal its notification when something that it was refused for now may succeed.
//!
//! The bits of all signallers share one word, so each signaller's protocol gives out its own and this module shows that they are different.

use serde::{Deserialize, Serialize};

use crate::serve::Answer;

/// Why a call is refused. Append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// What came is no request: there is none.
    Malformed,
}

/// The answer to every message.
#[must_use]
pub fn refuse(reply: &mut [u8]) -> Answer {
    Answer::encode(&Err::<(), _>(Error::Malformed), reply)
}

/// Bits of posix's notification. A restarted server sets all of its own.
pub mod event {
    /// vfs: what was answered `Pending` may be asked again.
    pub const VFS_READY: u64 = crate::vfs::event::READY;
    /// The console: input, room, signals.
    pub const CONSOLE: u64 = crate::console::event::ALL;

    const _: () = assert!(VFS_READY & CONSOLE == 0 && (VFS_READY | CONSOLE) & abi::DEADLINE_BIT == 0, "signallers must not share bits");
}

#[cfg(test)]
mod tests {
    use super::{Error, refuse};
    use crate::wire;

    #[test]
    fn refusal_is_an_error_of_two_bytes_for_ever() {
        let mut reply = [0xff; abi::MAX_MESSAGE];
        let answer = refuse(&mut reply);
        assert_eq!(&reply[..answer.bytes], [1, 0]);
        assert_eq!(wire::decode::<Result<(), Error>>(&reply[..answer.bytes]), Ok(Err(Error::Malformed)));
    }
}
