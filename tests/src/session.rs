//! A session at the guest's terminal: types, and waits for what is shown.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long to wait before the next look whether it runs.
const POLL: Duration = Duration::from_millis(20);

/// Where the run's standard error goes, in the boot's folder.
const ERRORS: &str = "errors";

/// A running guest with its terminal. It is killed when dropped.
#[derive(Debug)]
pub struct Session {
    child: Child,
    shown: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    folder: PathBuf,
    deadline: Instant,
}

impl Session {
    pub(crate) fn start(mut command: Command, folder: &Path, timeout_seconds: u32) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(folder.join(ERRORS)).expect("target can be written"));
        let mut child = piped.spawn().expect("xtask can be run");
        let mut output = child.stdout.take().expect("it is piped");
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + Duration::from_secs(u64::from(timeout_seconds));
        Self { child, shown, unread: Vec::new(), folder: folder.to_path_buf(), deadline }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("the guest runs");
    }

    /// Waits until `wanted` is shown; returns everything up to and including it.
    #[track_caller]
    pub fn expect(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = find(&self.unread, wanted.as_bytes()) {
                let seen: Vec<u8> = self.unread.drain(..at + wanted.len()).collect();
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.unread.extend(bytes),
                Err(error) => panic!("{} while waiting for {wanted:?}; shown:\n{}\nlog:\n{}", why(error), self.text(), self.log()),
            }
        }
    }

    /// Waits until the run has ended; returns its exit status.
    #[track_caller]
    pub fn ended(&mut self) -> i32 {
        while Instant::now() < self.deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(POLL);
        }
        panic!("it does not end; shown:\n{}\nlog:\n{}", self.text(), self.log());
    }

    /// Types nothing for a while, as a person does between two keys that mean something else together.
    pub fn pause_ms(&self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// What the run itself said.
    #[must_use]
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.join(ERRORS)).unwrap_or_default()
    }

    /// The system's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        crate::read_log(&self.folder)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Ctrl-A X ends QEMU in order, so that nothing is left behind; the kill is for one that does not listen.
        if let Some(input) = self.child.stdin.as_mut() {
            let _ended = input.write_all(b"\x01x").and_then(|()| input.flush());
        }
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(POLL);
        }
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        crate::remove_images(&self.folder);
    }
}

fn why(error: RecvTimeoutError) -> &'static str {
    match error {
        RecvTimeoutError::Timeout => "time-out",
        RecvTimeoutError::Disconnected => "the guest ended",
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
