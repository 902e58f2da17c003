//! A script's output and status on their way to the host.
//!
//! Each channel is a Unix socket on which the host listens before QEMU starts. Bytes are passed on unchanged and as they come;
//! when whoever reads our output goes away the rest is swallowed, so that the guest still ends by itself.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};

/// The running copies of a script's three channels.
#[derive(Debug)]
pub struct ScriptOutput {
    copies: Vec<JoinHandle<()>>,
    status: JoinHandle<Option<u8>>,
}

impl ScriptOutput {
    /// Starts copying; the streams are those of [`crate::machine::SCRIPT_CHANNELS`], in that order.
    pub(crate) fn start([stdout, stderr, status]: [UnixStream; 3], out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        let copies = vec![spawn(move || pass_on(stdout, out)), spawn(move || pass_on(stderr, err))];
        Self { copies, status: spawn(move || last_byte(status)) }
    }

    /// Waits until QEMU has closed all channels; the status that the script ended with, if it got that far.
    #[must_use]
    pub fn finish(self) -> Option<u8> {
        for copy in self.copies {
            // A copy that panicked has nothing more to pass on.
            let _ended = copy.join();
        }
        self.status.join().ok().flatten()
    }
}

/// A writer that keeps what was written, for whoever holds another copy of it.
#[derive(Clone, Debug, Default)]
pub struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    /// Everything written so far, once.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default()
    }
}

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::Error::other("another writer panicked"))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pass_on(mut from: UnixStream, mut to: impl Write) {
    let mut buffer = [0u8; 4096];
    let mut reader_there = true;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        reader_there = reader_there && to.write_all(bytes).and_then(|()| to.flush()).is_ok();
    }
}

fn last_byte(mut from: UnixStream) -> Option<u8> {
    let mut bytes = Vec::new();
    // A broken connection ends the status like a closed one.
    let _end = from.read_to_end(&mut bytes);
    bytes.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pairs() -> ([UnixStream; 3], [UnixStream; 3]) {
        let pair = || UnixStream::pair().expect("a socket pair");
        let [(a, x), (b, y), (c, z)] = [pair(), pair(), pair()];
        ([a, b, c], [x, y, z])
    }

    #[test]
    fn bytes_arrive_unchanged_and_the_status_is_returned() {
        let (ours, [mut stdout, mut stderr, mut status]) = pairs();
        let (out, err) = (Collector::default(), Collector::default());
        let output = ScriptOutput::start(ours, out.clone(), err.clone());
        let all: Vec<u8> = (0..=255).collect();
        stdout.write_all(&all).and_then(|()| stderr.write_all(b"oops")).and_then(|()| status.write_all(&[7])).expect("to write");
        drop((stdout, stderr, status));
        assert_eq!(output.finish(), Some(7));
        assert_eq!((out.take(), err.take()), (all, b"oops".to_vec()));
    }

    #[test]
    fn a_reader_that_left_does_not_stop_the_script() {
        let (ours, [mut stdout, stderr, status]) = pairs();
        let output = ScriptOutput::start(ours, Gone, Gone);
        stdout.write_all(&[1; 100_000]).expect("swallowed");
        drop((stdout, stderr, status));
        assert_eq!(output.finish(), None);
    }
}
