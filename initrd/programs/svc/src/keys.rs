//! Keys of a terminal that a program draws on: each at once, and not shown.

use std::io::{self, IsTerminal as _, Stdin};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::Outcome;

/// What ctrl-C is when the terminal makes no signal of it.
const INTERRUPT: u8 = 3;
/// What ends a program that shows something, as with `top` and `less`.
const QUIT: u8 = b'q';

/// The terminal, for as long as this lives; afterwards it is as it was.
#[derive(Debug)]
pub(crate) struct Keys {
    terminal: Stdin,
    before: Termios,
}

impl Keys {
    /// `None` when nobody is at a terminal.
    pub(crate) fn open() -> Outcome<Option<Self>> {
        let terminal = io::stdin();
        if !terminal.is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&terminal)?;
        let mut modes = before.clone();
        // Without signals, because one would end the program and leave the terminal like this.
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
        Ok(Some(Self { terminal, before }))
    }

    /// Waits so long for a key; whether it is one that says to end, or the terminal has ended. Any other one ends the wait alone.
    pub(crate) fn end_within(&self, patience: Duration) -> Outcome<bool> {
        let patience = Timespec::try_from(patience)?;
        match poll(&mut [PollFd::new(&self.terminal, PollFlags::IN)], Some(&patience)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            // A signal that did not end us, such as being continued.
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let mut key = [0];
        Ok(read(&self.terminal, &mut key)? == 0 || [QUIT, INTERRUPT].contains(&key[0]))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _gone = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
