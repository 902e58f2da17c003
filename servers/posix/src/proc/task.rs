//! Threads as /proc shows them: /proc/PID/task, and their names.

use alloc::vec::Vec;

use super::{COMM, Entry};
use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::io::Data;
use crate::saved::{Lane, ProcessIndex};
use crate::server::Posix;

/// Bytes of a name, its final zero not counted (Linux: `TASK_COMM_LEN`).
pub const NAME_BYTES: usize = 15;

/// A thread's name from what a program says.
#[must_use]
pub fn name_from(text: &[u8]) -> [u8; 16] {
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().take(NAME_BYTES).zip(text.iter().take_while(|byte| **byte != 0)) {
        *to = *from;
    }
    name
}

impl Posix<'_> {
    /// Whether a lane is the first thread of its process, the one that has its number.
    fn is_first(&self, lane: Lane) -> bool {
        let thread = self.store.thread(lane);
        thread.tid == self.store.process(thread.process as usize).pid
    }

    /// The name of a thread.
    #[must_use]
    pub fn thread_name(&self, lane: Lane) -> [u8; 16] {
        let thread = self.store.thread(lane);
        if self.is_first(lane) { self.store.process(thread.process as usize).name } else { thread.name }
    }

    /// Names a thread.
    pub fn set_thread_name(&mut self, lane: Lane, name: [u8; 16]) {
        if self.is_first(lane) {
            let process = self.store.thread(lane).process as usize;
            self.store.edit_process(process, |process| process.name = name);
        } else {
            self.store.edit_thread(lane, |thread| thread.name = name);
        }
    }

    /// The thread with a number, if it is one of this process.
    #[must_use]
    pub fn find_thread(&self, process: ProcessIndex, tid: u32) -> Option<Lane> {
        self.lanes.iter().copied().find(|lane| {
            let thread = self.store.thread(*lane);
            thread.tid == tid && thread.process as usize == process
        })
    }

    /// The numbers of a process's threads, in order.
    #[must_use]
    pub(super) fn thread_numbers(&self, process: ProcessIndex) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.lanes_of(process).into_iter().map(|lane| self.store.thread(lane).tid).collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Call<'_, '_> {
    /// Names a thread by its `comm`. A program may name its own threads only, root's too.
    ///
    /// # Errors
    /// `EINVAL` for another file or another process's thread, `ESRCH` if it has ended, `EFAULT`.
    pub(super) fn write_comm(&mut self, entry: Entry, from: Data<'_>) -> SysResult {
        let (pid, tid) = match entry {
            Entry::ProcessFile(pid, COMM) => (pid, pid),
            Entry::TaskFile(pid, tid, COMM) => (pid, tid),
            _ => return Err(Errno::EINVAL.into()),
        };
        let process = self.posix.find_pid(pid).ok_or(Errno::ESRCH)?;
        let length = from.length();
        let mut text = [0; NAME_BYTES];
        let known = length.min(text.len());
        self.fetch(from, 0, text.get_mut(..known).unwrap_or_default())?;
        if process != self.process {
            return Err(Errno::EINVAL.into());
        }
        let name = name_from(&text);
        match self.posix.find_thread(process, tid) {
            Some(lane) => self.posix.set_thread_name(lane, name),
            // The first thread ends before its process when others go on.
            None if tid == pid => self.posix.store.edit_process(process, |process| process.name = name),
            None => return Err(Errno::ESRCH.into()),
        }
        Ok(length as u64)
    }
}
