//! Reading and writing open files, whatever they are.
//!
//! Reads of vfs are idempotent: the offset moves with the commit. Writes are numbered, one step for each piece, so a re-run finds the pieces that
//! were written; a call writes at most `MAX_PIECES` of them and then counts as partial.

use alloc::vec::Vec;
use core::ops::Range;

use protocols::vfs::{FileId, WriteAt};

use crate::call::{Call, EFFECT, Stop, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::{APPEND, kind};
use crate::saved::File;
use crate::server::BUFFER_BYTES;

/// Most pieces of one write, each of [`BUFFER_BYTES`].
const MAX_PIECES: u8 = 32;
/// Most bytes of one call (Linux: `MAX_RW_COUNT`).
pub const MAX_COUNT: u64 = 0x7fff_f000;
/// Most buffers of `readv` and `writev` (`UIO_MAXIOV`).
const MAX_VECTORS: u64 = 1024;

/// A buffer of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector {
    /// Where.
    pub address: u64,
    /// How long.
    pub length: usize,
}

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// A program's own buffer.
    Program(Vector),
    /// Bytes that were fetched before.
    Bytes(&'a [u8]),
}

impl Data<'_> {
    /// How many bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        match self {
            Self::Program(vector) => vector.length,
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// What comes next after the first `done` bytes of some buffers: of one of them, and no more than the transfer buffer holds.
fn part_from(buffers: &[Vector], mut done: usize) -> Option<Vector> {
    for Vector { address, length } in buffers.iter().copied() {
        if done < length {
            return Some(Vector { address: address + done as u64, length: (length - done).min(BUFFER_BYTES) });
        }
        done -= length;
    }
    None
}

/// Sent to who writes beyond RLIMIT_FSIZE.
const SIGXFSZ: usize = 25;
/// Where the soft RLIMIT_FSIZE stands among the limits.
const LIMIT_FILE_SIZE: usize = 2;

/// What another server says of a transfer, if it can be: no more bytes than were asked for.
///
/// # Panics
/// If it cannot: that server, or posix, is not what its source says, and the successor asks again.
#[must_use]
pub fn possible(count: u32, asked: usize) -> usize {
    assert!(count as usize <= asked, "{count} bytes were transferred of {asked}");
    count as usize
}

impl Call<'_, '_> {
    /// Reads at the file's own offset.
    ///
    /// # Errors
    /// Linux's for `read`.
    pub fn read_on(&mut self, index: usize, file: &File, to: Vector) -> SysResult {
        if file.kind == kind::REGULAR { self.read_regular_on(index, file, &[to]) } else { self.read_from(index, file, None, to) }
    }

    /// Likewise, a file of vfs into several buffers.
    ///
    /// # Errors
    /// Linux's for `readv`, or a wait.
    pub fn read_regular_on(&mut self, index: usize, file: &File, to: &[Vector]) -> SysResult {
        let before = file.offset.wrapping_sub(self.progress());
        let done = self.read_regular(index, file, None, to)?;
        self.check_moved(index, before, done);
        Ok(done)
    }

    /// Writes at the file's own offset, or at its end.
    ///
    /// # Errors
    /// Linux's for `write`.
    pub fn write_on(&mut self, index: usize, file: &File, from: Data<'_>) -> SysResult {
        let done = self.write_to(index, file, None, from)?;
        if file.kind == kind::REGULAR && file.flags & APPEND == 0 {
            self.check_moved(index, file.offset, done);
        }
        Ok(done)
    }

    /// Nothing but the data would tell if a file's offset had not moved by as many bytes as were transferred: the next transfer would miss some, or do some twice.
    fn check_moved(&self, index: usize, before: u64, done: u64) {
        let after = self.posix.store.file(index).offset;
        assert!(after == before.wrapping_add(done), "{done} bytes have moved an offset from {before} to {after}");
    }

    /// Copies the bytes from `offset` on, as many as `to` takes.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn fetch(&mut self, data: Data<'_>, offset: usize, to: &mut [u8]) -> Result<(), Stop> {
        if self.fetch_some(data, offset, to)? == to.len() { Ok(()) } else { Err(Errno::EFAULT.into()) }
    }

    /// Likewise, up to the first byte that the program could not have read; how many bytes that is.
    ///
    /// # Errors
    /// `EFAULT` if it is the first one, or a wait for a page.
    pub fn fetch_some(&mut self, data: Data<'_>, offset: usize, to: &mut [u8]) -> Result<usize, Stop> {
        match data {
            Data::Program(vector) => self.read_some(vector.address.checked_add(offset as u64).ok_or(Errno::EFAULT)?, to),
            Data::Bytes(bytes) => {
                let from = bytes.get(offset..).and_then(|bytes| bytes.get(..to.len())).ok_or(Errno::EFAULT)?;
                to.copy_from_slice(from);
                Ok(to.len())
            }
        }
    }

    /// A buffer argument; lengths beyond Linux's bound are cut to it.
    ///
    /// # Errors
    /// `EFAULT` if it leaves user space, by its whole length.
    pub fn buffer_argument(&self, address: u64, length: u64) -> Result<Vector, Errno> {
        if address.checked_add(length).is_none_or(|end| end > abi::USER_END) {
            return Err(Errno::EFAULT);
        }
        Ok(Vector { address, length: length.min(MAX_COUNT) as usize })
    }

    /// An offset argument of a transfer of `length` bytes.
    ///
    /// # Errors
    /// `EINVAL` if the transfer begins below or ends beyond what a file can have.
    pub fn offset_argument(&self, offset: u64, length: u64) -> Result<u64, Errno> {
        let end = i64::try_from(offset).ok().and_then(|offset| offset.checked_add_unsigned(length));
        if end.is_some() { Ok(offset) } else { Err(Errno::EINVAL) }
    }

    /// The buffers of `readv` and `writev`.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn vectors(&mut self, address: u64, count: u64) -> Result<Vec<Vector>, Stop> {
        // Linux takes 32 bits of the count.
        let count = count & u64::from(u32::MAX);
        if count > MAX_VECTORS {
            return Err(Errno::EINVAL.into());
        }
        let mut vectors = Vec::new();
        let mut total = 0u64;
        for index in 0..count {
            let at = address.checked_add(index * 16).ok_or(Errno::EFAULT)?;
            let [base, length] = self.read_words(at)?;
            if length > i64::MAX as u64 {
                return Err(Errno::EINVAL.into());
            }
            let mut vector = self.buffer_argument(base, length)?;
            vector.length = vector.length.min((MAX_COUNT - total) as usize);
            total += vector.length as u64;
            if vector.length > 0 {
                vectors.push(vector);
            }
        }
        Ok(vectors)
    }

    /// Reads from a file, at its own offset or at `offset`.
    ///
    /// # Errors
    /// Linux's for `read`.
    pub fn read_from(&mut self, index: usize, file: &File, offset: Option<u64>, to: Vector) -> SysResult {
        if !file.reads() {
            return Err(Errno::EBADF.into());
        }
        if offset.is_some() && !matches!(file.kind, kind::REGULAR | kind::PROC | kind::DEVICE | kind::DIRECTORY) {
            return Err(Errno::ESPIPE.into());
        }
        match file.kind {
            kind::REGULAR => self.read_regular(index, file, offset, &[to]),
            kind::DIRECTORY => Err(Errno::EISDIR.into()),
            kind::PIPE => self.read_pipe(file, to.address, to.length),
            kind::TERMINAL => self.read_terminal(file, to.address, to.length),
            kind::MASTER => self.read_master(file, to.address, to.length),
            kind::DEVICE => self.read_device(file.object, to.address, to.length),
            kind::PROC => self.read_proc(index, file, offset, to),
            kind::EVENT => self.read_event(index, file, to),
            kind::SOCKET if to.length == 0 => Ok(0),
            kind::SOCKET => self.receive_message(file, &[to], 0, |_, _| Ok(Vec::new())),
            kind::TIMER => self.read_timer(index, file, to),
            kind::SIGNALS => self.read_signals(file, to),
            kind::LLM => self.read_llm(index, file, to),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Reads from a file of vfs into several buffers. A program's read of such a file is not cut short (POSIX, `read`), so one that has to wait goes on where it was.
    ///
    /// # Errors
    /// Linux's for `readv`, or a wait.
    pub fn read_regular(&mut self, index: usize, file: &File, offset: Option<u64>, to: &[Vector]) -> SysResult {
        if !file.reads() {
            return Err(Errno::EBADF.into());
        }
        let id = self.posix.node_id(file.node);
        let mut done = self.progress() as usize;
        // A read that goes on has moved the file's own offset already.
        let start = offset.unwrap_or(file.offset.wrapping_sub(done as u64));
        let end = |done: usize| start.wrapping_add(done as u64);
        let move_on = |call: &mut Self, done: usize| {
            if offset.is_none() && done > 0 {
                call.posix.store.edit_file(index, |file| file.offset = end(done));
            }
        };
        while let Some(part) = part_from(to, done) {
            match self.read_piece(id, end(done), part) {
                Ok((count, is_last)) => {
                    done += count;
                    if is_last {
                        break;
                    }
                }
                Err(Stop::Errno(_)) if done > 0 => break,
                Err(stop) => return Err(self.stop_at(stop, done as u64, |call| move_on(call, done))),
            }
        }
        move_on(self, done);
        Ok(done as u64)
    }

    /// How many bytes were read, and whether it ends there: at the file's end, or where the program's memory does.
    fn read_piece(&mut self, id: FileId, at: u64, to: Vector) -> Result<(usize, bool), Stop> {
        let (copied, is_last) = self.read_located(id, at, to)?;
        if is_last || copied > 0 {
            return Ok((copied, is_last && copied < to.length));
        }
        let number = self.ask();
        let (asked, count) = self.with_buffer(to.length, |call, buffer| {
            let (lease, length) = (call.posix.kernel.lend_mut(buffer), buffer.len() as u32);
            let count = call.posix.vfs_to_read().read(number, id, at, length, lease).map_err(vfs_stop)?;
            let count = possible(count, buffer.len());
            Ok((buffer.len(), call.write_some(to.address, buffer.get(..count).unwrap_or_default())?))
        })?;
        self.locate_if_read_again(id, at);
        Ok((count, count < asked))
    }

    /// Writes to a file, at its own offset or at `offset`.
    ///
    /// # Errors
    /// Linux's for `write`.
    pub fn write_to(&mut self, index: usize, file: &File, offset: Option<u64>, from: Data<'_>) -> SysResult {
        if !file.writes() {
            return Err(Errno::EBADF.into());
        }
        if offset.is_some() && !matches!(file.kind, kind::REGULAR | kind::PROC | kind::DEVICE) {
            return Err(Errno::ESPIPE.into());
        }
        match file.kind {
            kind::REGULAR => self.write_regular(index, file, offset, from),
            kind::PIPE => self.write_pipe(file, from),
            kind::TERMINAL => self.write_terminal(file, from),
            kind::MASTER => self.write_master(file, from),
            kind::DEVICE => self.write_device(file.object, from.length()),
            kind::PROC => self.write_proc(file, from),
            kind::EVENT => self.write_event(index, file, from),
            kind::LLM => self.write_llm(index, file, from),
            kind::SOCKET => self.send_message(file, &crate::socket::Outgoing { data: from, flags: 0, to: None, files: &[] }),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn write_regular(&mut self, index: usize, file: &File, offset: Option<u64>, from: Data<'_>) -> SysResult {
        let id = self.posix.node_id(file.node);
        let privileged = self.me().uid[1] == 0;
        // Linux appends whatever offset is given (pwrite(2), BUGS).
        let mut place = if file.flags & APPEND != 0 { None } else { Some(offset.unwrap_or(file.offset)) };
        let allowed = self.allowed_bytes(id, place)?;
        if from.length() > 0 && allowed == 0 {
            self.posix.send_thread(self.lane, SIGXFSZ, crate::saved::Origin::default());
            return Err(Errno::EFBIG.into());
        }
        // A write across the limit ends at it; the next one is refused.
        let length = from.length().min(usize::try_from(allowed).unwrap_or(usize::MAX));
        let mut done = 0;
        for piece in 0..MAX_PIECES {
            let part = (length - done).min(BUFFER_BYTES);
            if part == 0 {
                break;
            }
            match self.write_piece((id, place, privileged), from, done..done + part, piece) {
                Ok((count, end)) => {
                    done += count;
                    place = Some(end);
                    if count < part {
                        break;
                    }
                }
                // What was written counts; the error comes with the next call.
                Err(Stop::Errno(_)) if done > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        if offset.is_none()
            && let Some(end) = place
            && done > 0
        {
            self.posix.store.edit_file(index, |file| file.offset = end);
        }
        Ok(done as u64)
    }

    /// How many bytes RLIMIT_FSIZE allows from a place on; `None` is the file's end.
    fn allowed_bytes(&mut self, file: FileId, place: Option<u64>) -> Result<u64, Stop> {
        let limit = self.me().limits[LIMIT_FILE_SIZE];
        if limit == u64::MAX {
            return Ok(limit);
        }
        if let Some(at) = place {
            return Ok(limit.saturating_sub(at));
        }
        // Where the end was before the first piece: the next run would find it behind what this one has written.
        let found = match self.progress().checked_sub(1) {
            Some(end) => end,
            None => self.stat_at(file, b"", false)?.size,
        };
        self.set_progress(found + 1);
        self.posix.store.commit();
        Ok(limit.saturating_sub(found))
    }

    fn write_piece(
        &mut self,
        (id, place, privileged): (FileId, Option<u64>, bool),
        from: Data<'_>,
        range: Range<usize>,
        piece: u8,
    ) -> Result<(usize, u64), Stop> {
        let number = self.numbered(EFFECT + piece);
        self.with_buffer(range.len(), |call, buffer| {
            let fetched = call.fetch_some(from, range.start, buffer)?;
            let buffer = buffer.get(..fetched).unwrap_or_default();
            let lease = call.posix.kernel.lend(buffer);
            let at = place.map_or(WriteAt::End, WriteAt::Offset);
            call.posix.located.forget(id);
            let (count, end) = call.vfs().write(number, id, at, buffer.len() as u32, privileged, lease).map_err(vfs_stop)?;
            assert!(place.is_none_or(|place| end == place + u64::from(count)), "vfs has written {count} bytes from {place:?} to {end}");
            Ok((possible(count, buffer.len()), end))
        })
    }

    /// Does a transfer for each buffer in turn, until one is not filled.
    ///
    /// # Errors
    /// The first one's; later ones end the transfer.
    pub fn over_vectors(&mut self, vectors: &[Vector], mut transfer: impl FnMut(&mut Self, Vector, u64) -> SysResult) -> SysResult {
        let mut done = 0;
        for vector in vectors {
            match transfer(self, *vector, done) {
                Ok(count) => {
                    done += count;
                    if count < vector.length as u64 {
                        break;
                    }
                }
                Err(Stop::Errno(_)) if done > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(done)
    }

    /// Reads an event counter.
    ///
    /// # Errors
    /// `EINVAL`, `EAGAIN`, or a wait.
    pub fn read_event(&mut self, index: usize, file: &File, to: Vector) -> SysResult {
        if to.length < 8 {
            return Err(Errno::EINVAL.into());
        }
        if file.offset == 0 {
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait(crate::wait::Wait::on(crate::wait::Event::Any), true);
        }
        // `EFD_SEMAPHORE` counts down by one.
        let value = if file.object != 0 { 1 } else { file.offset };
        self.write(to.address, &value.to_le_bytes())?;
        self.posix.store.edit_file(index, |file| {
            file.offset -= value;
            // Reads are counted in the upper half, writes in the lower: edges for epoll.
            file.detail = file.detail.wrapping_add(1 << 32);
        });
        self.posix.wake(crate::wait::Event::Any);
        Ok(8)
    }

    /// Adds to an event counter.
    ///
    /// # Errors
    /// `EINVAL`, `EAGAIN`, or a wait.
    pub fn write_event(&mut self, index: usize, file: &File, from: Data<'_>) -> SysResult {
        if from.length() < 8 {
            return Err(Errno::EINVAL.into());
        }
        let mut word = [0; 8];
        self.fetch(from, 0, &mut word)?;
        let value = u64::from_le_bytes(word);
        if value == u64::MAX {
            return Err(Errno::EINVAL.into());
        }
        match file.offset.checked_add(value).filter(|sum| *sum < u64::MAX) {
            Some(sum) => {
                self.posix.store.edit_file(index, |file| {
                    file.offset = sum;
                    let writes = (file.detail as u32).wrapping_add(1);
                    file.detail = file.detail >> 32 << 32 | u64::from(writes);
                });
                self.posix.wake(crate::wait::Event::Any);
                Ok(8)
            }
            None if file.is_nonblocking() => Err(Errno::EAGAIN.into()),
            None => self.wait(crate::wait::Wait::on(crate::wait::Event::Any), true),
        }
    }
}
