//! `/dev/llm`: one request at a time, and what comes of it. Closing it, as this program's end does, ends the work.

use std::fs::{File, OpenOptions};
use std::io;

use rustix::io::Errno;
use rustix::ioctl::{Getter, ioctl};

use crate::Outcome;
use crate::status::{BYTES, REQUEST, Status};

const PATH: &str = "/dev/llm";
/// More than a read gives.
const PIECE: usize = 4096;

/// The device, opened for this program.
#[derive(Debug)]
pub(crate) struct Device(File);

impl Device {
    /// Opens it.
    pub(crate) fn open() -> Outcome<Self> {
        let opened = OpenOptions::new().read(true).write(true).open(PATH);
        Ok(Self(opened.map_err(|error| format!("{PATH}: {error}"))?))
    }

    /// Asks, and passes on what comes of it, piece by piece, to its end.
    pub(crate) fn answer(&mut self, request: &[u8], piece: impl FnMut(&[u8]) -> Outcome) -> Outcome {
        match exchange(&mut self.0, request, piece) {
            Ok(()) => Ok(()),
            Err(Fault::Refused(error)) => Err(refusal(&error).into()),
            Err(Fault::Ended(error)) => Err(self.reason(&error).into()),
            Err(Fault::Own(error)) => Err(error),
        }
    }

    /// How far it is.
    pub(crate) fn status(&self) -> Outcome<Status> {
        Ok(Status::decode(&self.status_bytes()?))
    }

    #[allow(unsafe_code, reason = "an ioctl writes as much as its number says, which nothing but that number knows")]
    fn status_bytes(&self) -> io::Result<[u8; BYTES]> {
        // SAFETY: the number's size is that of the array, any bytes are good ones of it, and no more is written.
        Ok(unsafe { ioctl(&self.0, Getter::<REQUEST, [u8; BYTES]>::new()) }?)
    }

    /// Why there is no more to read.
    fn reason(&self, error: &io::Error) -> String {
        match self.status() {
            Ok(status) => status.reason().map_or_else(|| error.to_string(), str::to_owned),
            Err(_) => "inference is not there any more".into(),
        }
    }
}

/// Why an exchange has ended too early.
#[derive(Debug)]
enum Fault {
    /// The request was not taken.
    Refused(io::Error),
    /// There is no more to read.
    Ended(io::Error),
    /// What was read could not be passed on.
    Own(Box<dyn std::error::Error>),
}

fn exchange(device: &mut (impl io::Read + io::Write), request: &[u8], mut piece: impl FnMut(&[u8]) -> Outcome) -> Result<(), Fault> {
    // All of it at once: each write is a request.
    let taken = retried(|| device.write(request)).map_err(Fault::Refused)?;
    if taken < request.len() {
        return Err(Fault::Refused(io::ErrorKind::WriteZero.into()));
    }
    let mut buffer = [0; PIECE];
    loop {
        match retried(|| device.read(&mut buffer)).map_err(Fault::Ended)? {
            0 => return Ok(()),
            count => piece(buffer.get(..count).unwrap_or_default()).map_err(Fault::Own)?,
        }
    }
}

/// A signal that did not end this program ends no call either.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Why a request was not taken.
fn refusal(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MSGSIZE) => "that is longer than 32 KiB with all that belongs to it, which is the most".into(),
        Some(Errno::BUSY) => "inference has no room for more work now".into(),
        Some(Errno::IO) => "inference is not there".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, exchange, refusal, retried};
    use std::io;

    /// Takes so many bytes of a request, and gives these pieces.
    struct Fake(usize, Vec<Vec<u8>>, Vec<io::Result<&'static str>>);

    impl io::Write for Fake {
        fn write(&mut self, request: &[u8]) -> io::Result<usize> {
            self.1.push(request.to_vec());
            Ok(request.len().min(self.0))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl io::Read for Fake {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.2.remove(0)?;
            buffer[..piece.len()].copy_from_slice(piece.as_bytes());
            Ok(piece.len())
        }
    }

    #[test]
    fn one_write_is_answered_by_pieces_up_to_the_end() {
        let interrupted = Err(io::ErrorKind::Interrupted.into());
        let mut fake = Fake(100, Vec::new(), vec![Ok("Once "), interrupted, Ok("upon"), Ok("")]);
        let mut pieces = Vec::new();
        let result = exchange(&mut fake, b"words", |piece| {
            pieces.push(String::from_utf8_lossy(piece).into_owned());
            Ok(())
        });
        assert!(result.is_ok());
        assert_eq!((fake.1, pieces), (vec![b"words".to_vec()], vec!["Once ".to_owned(), "upon".to_owned()]));
    }

    #[test]
    fn what_ends_an_exchange_is_told_apart() {
        let mut half = Fake(3, Vec::new(), Vec::new());
        assert!(matches!(exchange(&mut half, b"words", |_| Ok(())), Err(Fault::Refused(_))));
        let mut broken = Fake(100, Vec::new(), vec![Ok("Once"), Err(io::Error::from_raw_os_error(5))]);
        assert!(matches!(exchange(&mut broken, b"words", |_| Ok(())), Err(Fault::Ended(error)) if error.raw_os_error() == Some(5)));
        let mut unread = Fake(100, Vec::new(), vec![Ok("Once")]);
        assert!(matches!(exchange(&mut unread, b"words", |_| Err("closed".into())), Err(Fault::Own(_))));
    }

    #[test]
    fn refusals_are_words() {
        let says = |number: i32| refusal(&io::Error::from_raw_os_error(number));
        assert_eq!(says(16), "inference has no room for more work now");
        assert_eq!(says(5), "inference is not there");
        assert!(says(90).contains("32 KiB"));
        assert!(says(13).contains("denied"));
    }

    #[test]
    fn interrupted_call_is_made_again() {
        let mut left = 3;
        let result = retried(|| {
            left -= 1;
            if left > 0 { Err(io::Error::from(io::ErrorKind::Interrupted)) } else { Ok(7) }
        });
        assert_eq!((result.ok(), left), (Some(7), 0));
    }
}
