//! Showing the log while it is being written.
//!
//! The log is a plain file, so that it is kept whatever happens; whoever wants to see it live follows the file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Copies a growing file to a writer until it is dropped, which copies the rest.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts following `path`, which must exist.
    ///
    /// # Errors
    /// Those of opening the file.
    pub fn start(path: &Path, mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let mut file = File::open(PathBuf::from(path))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || {
            loop {
                let last = stopped.load(Ordering::Acquire);
                if copy_rest(&mut file, &mut to).is_err() || last {
                    return;
                }
                sleep(INTERVAL);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the follower is its own; it must not become a second one here.
            let _ended = thread.join();
        }
    }
}

fn copy_rest(file: &mut File, to: &mut impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    to.write_all(&bytes)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collector;

    #[test]
    fn everything_is_copied_and_the_tail_too() {
        let path = std::env::temp_dir().join(format!("synos-follow-{}", std::process::id()));
        let mut file = File::create(&path).expect("a temporary file");
        let seen = Collector::default();
        let follower = Follower::start(&path, seen.clone()).expect("to follow");
        file.write_all(b"one ").expect("to write");
        sleep(INTERVAL * 3);
        file.write_all(b"two").expect("to write");
        drop(follower);
        assert_eq!(seen.take(), b"one two");
        std::fs::remove_file(&path).expect("to tidy up");
    }
}
