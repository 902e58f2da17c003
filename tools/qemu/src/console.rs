//! The guest's terminal, for programs that type and read.
//!
//! An `expect` without patterns: what is waited for is a piece of text. Every wait has a time-out, and its error carries what
//! was seen instead. Text that has been waited for is consumed; the rest stays for the next call.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How much of what was seen an error shows.
const SHOWN: usize = 2000;

/// The far end of the guest's serial line.
#[derive(Debug)]
pub struct Console {
    stream: UnixStream,
    unread: Vec<u8>,
}

/// Why the awaited text did not come.
#[derive(Debug, PartialEq, Eq)]
pub enum ExpectError {
    /// Not within the time-out: what was awaited, and what came instead.
    TimedOut(String, String),
    /// The guest ended first: what was awaited, and what came instead.
    Closed(String, String),
}

impl fmt::Display for ExpectError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (why, wanted, seen) = match self {
            Self::TimedOut(wanted, seen) => ("time-out", wanted, seen),
            Self::Closed(wanted, seen) => ("the guest ended", wanted, seen),
        };
        write!(to, "{why} while waiting for {wanted:?}; the terminal showed:\n{seen}")
    }
}

impl std::error::Error for ExpectError {}

impl Console {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Types `text`; returns once the line has taken it.
    ///
    /// # Errors
    /// Those of the socket, when the guest has ended.
    pub fn send(&mut self, text: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(text.as_ref())
    }

    /// Waits for `wanted` and returns all text up to and including it.
    ///
    /// # Errors
    /// [`ExpectError`] when it does not come.
    pub fn expect(&mut self, wanted: &str, timeout: Duration) -> Result<String, ExpectError> {
        let deadline = Instant::now() + timeout;
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.unread, wanted.as_bytes(), searched) {
                let taken: Vec<u8> = self.unread.drain(..at + wanted.len()).collect();
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            searched = self.unread.len().saturating_sub(wanted.len());
            match self.read_until(deadline) {
                Step::Read => {}
                Step::Late => return Err(ExpectError::TimedOut(wanted.into(), self.tail())),
                Step::End => return Err(ExpectError::Closed(wanted.into(), self.tail())),
            }
        }
    }

    /// Reads until nothing has come for `quiet`; returns and consumes everything unread.
    pub fn drain(&mut self, quiet: Duration) -> String {
        while let Step::Read = self.read_until(Instant::now() + quiet) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    fn read_until(&mut self, deadline: Instant) -> Step {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
            return Step::Late;
        }
        let mut buffer = [0u8; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Step::End,
            Ok(count) => {
                self.unread.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Step::Read
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Step::Late,
            Err(error) if error.kind() == ErrorKind::Interrupted => Step::Read,
            Err(_) => Step::End,
        }
    }

    fn tail(&self) -> String {
        let from = self.unread.len().saturating_sub(SHOWN);
        String::from_utf8_lossy(self.unread.get(from..).unwrap_or_default()).into_owned()
    }
}

/// What one read brought.
enum Step {
    Read,
    Late,
    End,
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    if wanted.is_empty() {
        return Some(from);
    }
    bytes.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|at| at + from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{sleep, spawn};

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(20);

    fn console() -> (Console, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (Console::new(ours), theirs)
    }

    #[test]
    fn text_that_comes_in_pieces_is_found_and_the_rest_kept() {
        let (mut console, mut guest) = console();
        let typist = spawn(move || {
            for piece in ["boot\n", "# ec", "ho\nhello\n# "] {
                guest.write_all(piece.as_bytes()).expect("to write");
                sleep(SOON / 5);
            }
            guest
        });
        assert_eq!(console.expect("# echo", LATE), Ok("boot\n# echo".into()));
        assert_eq!(console.expect("# ", LATE), Ok("\nhello\n# ".into()));
        drop(typist.join());
    }

    #[test]
    fn a_time_out_shows_what_came_instead_and_keeps_it() {
        let (mut console, mut guest) = console();
        guest.write_all(b"panic").expect("to write");
        assert_eq!(console.expect("# ", SOON), Err(ExpectError::TimedOut("# ".into(), "panic".into())));
        assert_eq!(console.drain(SOON), "panic");
    }

    #[test]
    fn the_end_of_the_guest_is_told_apart() {
        let (mut console, guest) = console();
        drop(guest);
        assert!(matches!(console.expect("# ", LATE), Err(ExpectError::Closed(..))));
    }

    #[test]
    fn what_is_sent_arrives() {
        let (mut console, mut guest) = console();
        console.send("ls\n").expect("to send");
        let mut seen = [0u8; 3];
        guest.read_exact(&mut seen).expect("to read");
        assert_eq!(&seen, b"ls\n");
    }
}
