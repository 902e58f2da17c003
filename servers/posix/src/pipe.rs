//! Pipes: a ring of bytes in the saved state, with the positions of its two ends.
//!
//! The bytes, the positions and the caller's result are one transaction, so bytes are in a pipe once. A write of at most `PIPE_BUF` bytes is not mixed with
//! others; a longer one that waits in the middle remembers how far it came. FIFOs are pipes that belong to a node.

mod handoff;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fail::Point;
use crate::fd::{ACCESS_MODE, NONBLOCK, READ_WRITE, WRITE_ONLY, kind};
use crate::io::Data;
use crate::saved::{File, Origin, PIPES, Pipe, ProcessIndex};
use crate::server::Posix;
use crate::signal::{SI_KERNEL, SIGPIPE};
use crate::store::Store;
use crate::wait::{Event, Wait};

/// `PIPE_BUF`.
pub const ATOMIC_BYTES: usize = 4096;

impl Pipe {
    /// Bytes in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.tail.wrapping_sub(self.head) as usize).min(self.capacity as usize)
    }

    /// Bytes that fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity as usize - self.bytes()
    }
}

impl Posix<'_> {
    /// A new pipe without ends.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn make_pipe(&mut self) -> Result<usize, Errno> {
        let index = (0..PIPES).find(|index| self.store.pipe(*index).used == 0).ok_or(Errno::ENFILE)?;
        let (_, bytes) = Store::pipe_place(index);
        self.store.set_pipe(index, Pipe { used: 1, capacity: bytes as u32, ..Pipe::default() });
        Ok(index)
    }

    /// Whether there are `count` more pipes for a process.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn check_room_for_pipes(&self, process: ProcessIndex, count: usize) -> Result<(), Errno> {
        let wanted = count + self.left_to_others(process, PIPES);
        let free = (0..PIPES).filter(|index| self.store.pipe(*index).used == 0).take(wanted);
        if free.count() == wanted { Ok(()) } else { Err(Errno::ENFILE) }
    }

    /// A file was opened on a pipe.
    pub fn open_pipe_end(&mut self, pipe: usize, flags: u32) {
        self.store.edit_pipe(pipe, |pipe| {
            pipe.opens = pipe.opens.wrapping_add(1);
            if flags & ACCESS_MODE != WRITE_ONLY {
                pipe.readers += 1;
            }
            if flags & ACCESS_MODE != 0 {
                pipe.writers += 1;
                pipe.writer_opens = pipe.writer_opens.wrapping_add(1);
            }
        });
    }

    /// The last descriptor of a file on a pipe was closed.
    pub fn close_pipe_end(&mut self, file: &File) {
        let index = file.object as usize;
        let mut pipe = self.store.pipe(index);
        match file.flags & ACCESS_MODE {
            0 => pipe.readers = pipe.readers.saturating_sub(1),
            READ_WRITE => (pipe.readers, pipe.writers) = (pipe.readers.saturating_sub(1), pipe.writers.saturating_sub(1)),
            _ => pipe.writers = pipe.writers.saturating_sub(1),
        }
        if pipe.readers == 0 && pipe.writers == 0 {
            pipe = Pipe::default();
            if file.node != 0 {
                self.store.edit_node(file.node as usize, |node| node.pipe = 0);
            }
        }
        self.store.set_pipe(index, pipe);
        self.wake(Event::Pipe(index as u32));
    }
}

impl Call<'_, '_> {
    /// Reads from a pipe.
    ///
    /// # Errors
    /// `EAGAIN`, `EFAULT`, or a wait.
    pub fn read_pipe(&mut self, file: &File, address: u64, length: usize) -> SysResult {
        let index = file.object as usize;
        let pipe = self.posix.store.pipe(index);
        if pipe.bytes() == 0 {
            if pipe.writers == 0 || length == 0 {
                return Ok(0);
            }
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait(Wait::on(Event::Pipe(index as u32)), true);
        }
        let count = length.min(pipe.bytes());
        self.with_buffer(count, |call, buffer| {
            call.posix.store.read_pipe(index, pipe.head, buffer);
            call.write(address, buffer)
        })?;
        libsys::fail::hit(Point::QueueEmptied);
        self.posix.store.edit_pipe(index, |pipe| pipe.head = pipe.head.wrapping_add(count as u64));
        self.posix.wake(Event::Pipe(index as u32));
        Ok(count as u64)
    }

    /// Writes to a pipe.
    ///
    /// # Errors
    /// `EPIPE`, `EAGAIN`, `EFAULT`, or a wait.
    pub fn write_pipe(&mut self, file: &File, from: Data<'_>) -> SysResult {
        let (index, length) = (file.object as usize, from.length());
        let done = self.progress() as usize;
        let pipe = self.posix.store.pipe(index);
        if length == 0 {
            return Ok(0);
        }
        if pipe.readers == 0 {
            if done > 0 {
                return Ok(done as u64);
            }
            self.posix.send_thread(self.lane, SIGPIPE, Origin { code: SI_KERNEL, ..Origin::default() });
            return Err(Errno::EPIPE.into());
        }
        if done == 0 && pipe.bytes() == 0 && self.hand_over(index, from) {
            libsys::fail::hit(Point::QueueFilled);
            return Ok(length as u64);
        }
        let left = length.saturating_sub(done);
        let whole = left <= ATOMIC_BYTES && done == 0;
        let count = if whole && pipe.room() < left { 0 } else { left.min(pipe.room()) };
        let wanted = count;
        let mut count = count;
        if count > 0 {
            let taken = self.with_buffer(count, |call, buffer| {
                let fetched = call.fetch_some(from, done, buffer)?;
                // As Linux, whose pipes take pages: one that cannot be read to its end is not taken.
                let taken = if fetched == buffer.len() { fetched } else { fetched - fetched % ATOMIC_BYTES };
                let bytes = buffer.get(..taken).filter(|bytes| !bytes.is_empty()).ok_or(Errno::EFAULT)?;
                call.posix.store.write_pipe(index, pipe.tail, bytes);
                Ok(taken)
            });
            count = match taken {
                Err(Stop::Errno(_)) if done > 0 => return Ok(done as u64),
                other => other?,
            };
            libsys::fail::hit(Point::QueueFilled);
            self.posix.store.edit_pipe(index, |pipe| pipe.tail = pipe.tail.wrapping_add(count as u64));
            self.posix.wake(Event::Pipe(index as u32));
        }
        let done = done + count;
        if done == length || count < wanted {
            return Ok(done as u64);
        }
        if file.is_nonblocking() {
            return if done > 0 { Ok(done as u64) } else { Err(Errno::EAGAIN.into()) };
        }
        if done > 0 {
            self.set_progress(done as u64);
            if self.posix.has_deliverable(self.lane) {
                return Ok(done as u64);
            }
        }
        self.wait(Wait::on(Event::Pipe(index as u32)), true)
    }

    /// Opens a FIFO: waits for the other end, unless it is opened for both or not to wait (POSIX, `open`).
    ///
    /// # Errors
    /// `ENXIO`, or a wait.
    pub fn open_fifo(&mut self, node: usize, flags: u32) -> Result<File, Stop> {
        let record = self.posix.store.node(node);
        let pipe = match (record.pipe as usize).checked_sub(1) {
            Some(pipe) => pipe,
            None => {
                let pipe = self.posix.make_pipe()?;
                self.posix.store.edit_node(node, |node| node.pipe = pipe as u32 + 1);
                pipe
            }
        };
        let state = self.posix.store.pipe(pipe);
        if flags & ACCESS_MODE == WRITE_ONLY && flags & NONBLOCK != 0 && state.readers == 0 {
            return Err(Errno::ENXIO.into());
        }
        self.posix.open_pipe_end(pipe, flags);
        self.posix.wake(Event::Pipe(pipe as u32));
        let detail = if flags & NONBLOCK != 0 && state.writers == 0 { u64::from(state.writer_opens) } else { 0 };
        Ok(File { kind: kind::PIPE, flags, object: pipe as u32, node: node as u32, detail, ..File::default() })
    }

    /// Runs something with the first `length` bytes of the buffer, at most all of it.
    ///
    /// # Errors
    /// Its own.
    pub fn with_buffer<T>(&mut self, length: usize, run: impl FnOnce(&mut Self, &mut [u8]) -> Result<T, Stop>) -> Result<T, Stop> {
        let mut buffer = core::mem::take(&mut self.posix.buffer);
        let length = length.min(buffer.len());
        let result = run(self, buffer.get_mut(..length).unwrap_or_default());
        self.posix.buffer = buffer;
        result
    }
}
