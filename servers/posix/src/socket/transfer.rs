//! Sending and receiving.
//!
//! All that a call tells its program is in the program's memory before the first change of saved state: an address that cannot be written leaves the message where
//! it is. A long write to a stream goes as pipes' do: each part is committed with how far the call came.

use alloc::vec::Vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fail::Point;
use crate::io::{Data, Vector};
use crate::pipe::ATOMIC_BYTES;
use crate::saved::{File, Origin, Socket, SocketName};
use crate::signal::{SI_KERNEL, SIGPIPE};
use crate::socket::queue::{HEADER_BYTES, Header, OVERHEAD};
use crate::socket::{DATAGRAM, SHUT_READ, SHUT_WRITE, STREAM, state};
use crate::wait::Event;

/// `MSG_*`.
pub mod flag {
    /// Out-of-band data.
    pub const OUT_OF_BAND: u32 = 1;
    /// The message stays.
    pub const PEEK: u32 = 2;
    /// Told: descriptors were left out.
    pub const CONTROL_TRUNCATED: u32 = 8;
    /// Told: the message was longer. Asked: its whole length.
    pub const TRUNCATED: u32 = 0x20;
    /// The call does not wait.
    pub const DO_NOT_WAIT: u32 = 0x40;
    /// All bytes that were asked for.
    pub const WAIT_ALL: u32 = 0x100;
    /// No `SIGPIPE`.
    pub const NO_SIGNAL: u32 = 0x4000;
    /// The structures are those of 32 bits, which only a kernel says to itself.
    pub const COMPATIBLE: u32 = 0x8000_0000;
    /// Descriptors are closed by exec.
    pub const CLOSE_ON_EXEC: u32 = 0x4000_0000;
}

/// What is to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The bytes.
    pub data: Data<'a>,
    /// [`flag`] bits.
    pub flags: u32,
    /// Where to, if not to the other end.
    pub to: Option<SocketName>,
    /// Files that go with it.
    pub files: &'a [usize],
}

/// What was received.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Bytes that were copied.
    pub count: usize,
    /// Bytes that the message had.
    pub whole: usize,
    /// The sender's name; of no length if it has none.
    pub sender: SocketName,
    /// Process, user and group of the sender.
    pub credentials: [u32; 3],
    /// Files that came with it.
    pub files: Vec<usize>,
}

/// A file that a program gets by a message: its descriptor.
pub type Granted = (usize, usize);

/// What one call takes from a queue: where the queue begins then, with what, and which rights are used up.
struct Taken {
    end: u64,
    rest: Option<Header>,
    rights: u32,
}

impl Call<'_, '_> {
    /// Sends.
    ///
    /// # Errors
    /// Linux's for `sendmsg`, or a wait.
    pub fn send_message(&mut self, file: &File, message: &Outgoing<'_>) -> SysResult {
        if message.flags & flag::OUT_OF_BAND != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let socket = self.posix.store.socket(file.object as usize);
        if socket.kind == STREAM { self.send_stream(file, &socket, message) } else { self.send_packet(file, &socket, message) }
    }

    fn send_stream(&mut self, file: &File, socket: &Socket, message: &Outgoing<'_>) -> SysResult {
        if message.to.is_some() {
            return Err(if socket.state == state::CONNECTED { Errno::EISCONN } else { Errno::EOPNOTSUPP }.into());
        }
        if socket.state != state::CONNECTED {
            return Err(Errno::ENOTCONN.into());
        }
        let (done, length) = (self.progress() as usize, message.data.length());
        let other = socket.other().map(|other| self.posix.store.socket(other)).filter(|other| other.shut & SHUT_READ == 0);
        let Some(queue) = other.and_then(|other| other.incoming()).filter(|_| socket.shut & SHUT_WRITE == 0) else {
            return self.broken(done, message.flags);
        };
        let left = length.saturating_sub(done);
        if left == 0 {
            return Ok(done as u64);
        }
        let room = self.posix.store.pipe(queue).room().saturating_sub(HEADER_BYTES);
        let count = if room >= left.min(ATOMIC_BYTES) { left.min(room) } else { 0 };
        if count > 0 {
            let files = if done == 0 { message.files } else { &[] };
            self.posix.check_room_for_rights(files.len())?;
            match self.push(queue, message.data, done..done + count, &SocketName::zeroed(), files) {
                Err(Stop::Errno(_)) if done > 0 => return Ok(done as u64),
                other => other?,
            }
        }
        let done = done + count;
        if done == length {
            return Ok(done as u64);
        }
        if file.is_nonblocking() || message.flags & flag::DO_NOT_WAIT != 0 {
            return if done > 0 { Ok(done as u64) } else { Err(Errno::EAGAIN.into()) };
        }
        if done > 0 {
            self.set_progress(done as u64);
            if self.posix.has_deliverable(self.lane) {
                return Ok(done as u64);
            }
        }
        self.wait_for_room(socket, queue, done)
    }

    /// The other end does not read any more.
    fn broken(&mut self, done: usize, flags: u32) -> SysResult {
        if done > 0 {
            return Ok(done as u64);
        }
        if flags & flag::NO_SIGNAL == 0 {
            self.posix.send_thread(self.lane, SIGPIPE, Origin { code: SI_KERNEL, ..Origin::default() });
        }
        Err(Errno::EPIPE.into())
    }

    fn send_packet(&mut self, file: &File, socket: &Socket, message: &Outgoing<'_>) -> SysResult {
        let length = message.data.length();
        if socket.kind != DATAGRAM {
            self.take_error(file.object as usize)?;
            if socket.state != state::CONNECTED {
                return Err(Errno::ENOTCONN.into());
            }
        }
        if socket.shut & SHUT_WRITE != 0 {
            return Err(Errno::EPIPE.into());
        }
        let other = match message.to {
            Some(name) if socket.kind == DATAGRAM => self.find_socket(&name, DATAGRAM)?,
            _ => self.destination(file.object as usize, socket)?,
        };
        let receiver = self.posix.store.socket(other);
        if socket.kind == DATAGRAM && receiver.other().is_some_and(|its| its != file.object as usize) {
            return Err(Errno::EPERM.into());
        }
        if receiver.shut & SHUT_READ != 0 {
            return Err(Errno::EPIPE.into());
        }
        let queue = receiver.incoming().ok_or(Errno::ENOTCONN)?;
        let pipe = self.posix.store.pipe(queue);
        if length + OVERHEAD > pipe.capacity as usize {
            return Err(Errno::EMSGSIZE.into());
        }
        // A datagram says who sent it; on a connection that is known.
        let name = if socket.kind == DATAGRAM { socket.name } else { SocketName::zeroed() };
        if pipe.room() < length + OVERHEAD {
            if file.is_nonblocking() || message.flags & flag::DO_NOT_WAIT != 0 {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait_for_room(socket, queue, 0);
        }
        self.posix.check_room_for_rights(message.files.len())?;
        self.push(queue, message.data, 0..length, &name, message.files)?;
        Ok(length as u64)
    }

    /// Where a packet without a name goes. A destination that is gone is told once.
    fn destination(&mut self, index: usize, socket: &Socket) -> Result<usize, Stop> {
        match socket.other() {
            Some(other) => Ok(other),
            None if socket.state == state::CONNECTED && socket.kind == DATAGRAM => {
                self.posix.store.edit_socket(index, |socket| socket.state = state::OPEN);
                Err(Errno::ECONNREFUSED.into())
            }
            None if socket.state == state::CONNECTED => Err(Errno::EPIPE.into()),
            None => Err(Errno::ENOTCONN.into()),
        }
    }

    fn push(&mut self, queue: usize, data: Data<'_>, range: core::ops::Range<usize>, name: &SocketName, files: &[usize]) -> Result<(), Stop> {
        self.with_buffer(range.len(), |call, buffer| {
            call.fetch(data, range.start, buffer)?;
            let rights = call.posix.hold_rights(files);
            let header = call.header(buffer.len(), name, rights);
            call.posix.push_message(queue, header, name.bytes(), buffer);
            Ok(())
        })?;
        libsys::fail::hit(Point::QueueFilled);
        self.posix.wake(Event::Pipe(queue as u32));
        Ok(())
    }

    fn wait_for_room(&mut self, socket: &Socket, queue: usize, done: usize) -> SysResult {
        let deadline = (socket.timeouts[1] != 0).then(|| self.deadline_after(socket.timeouts[1]));
        if self.has_passed(deadline) {
            return if done > 0 { Ok(done as u64) } else { Err(Errno::EAGAIN.into()) };
        }
        self.wait(self.until(Event::Pipe(queue as u32), deadline), deadline.is_none())
    }

    fn take_error(&mut self, index: usize) -> Result<(), Stop> {
        if self.posix.store.socket(index).error == 0 {
            return Ok(());
        }
        self.posix.store.edit_socket(index, |socket| socket.error = 0);
        // There is no other that a socket keeps.
        Err(Errno::ECONNRESET.into())
    }

    /// Receives into `to`. `tell` puts what else the program wants to know into its memory, and says which files it gets under which
    /// descriptors.
    ///
    /// # Errors
    /// Linux's for `recvmsg`, or a wait.
    pub fn receive_message(
        &mut self,
        file: &File,
        to: &[Vector],
        flags: u32,
        tell: impl FnOnce(&mut Self, &Received) -> Result<Vec<Granted>, Stop>,
    ) -> SysResult {
        let index = file.object as usize;
        let socket = self.posix.store.socket(index);
        if flags & flag::OUT_OF_BAND != 0 {
            // None ever comes; a stream might have had some.
            return Err(if socket.kind == STREAM { Errno::EINVAL } else { Errno::EOPNOTSUPP }.into());
        }
        if socket.is_connection() && socket.state != state::CONNECTED {
            return Err(if socket.kind == STREAM { Errno::EINVAL } else { Errno::ENOTCONN }.into());
        }
        let stream = socket.kind == STREAM;
        if !stream {
            self.take_error(index)?;
        }
        let queue = socket.incoming().ok_or(Errno::ENOTCONN)?;
        let (done, head) = (self.progress() as usize, self.posix.store.pipe(queue).head);
        let wanted: usize = to.iter().map(|vector| vector.length).sum();
        if self.posix.message_at(queue, head).is_none() && !(stream && wanted == 0) {
            return self.nothing_came(file, &socket, queue, flags, done);
        }
        let (received, taken) = self.with_buffer(wanted.saturating_sub(done), |call, buffer| {
            let (received, taken) = if stream { call.posix.look_at_stream(queue, buffer) } else { call.posix.look_at_packet(queue, buffer) };
            call.scatter(to, done, buffer.get(..received.count).unwrap_or_default())?;
            Ok((received, taken))
        })?;
        let received = Received { sender: if stream { socket.peer_name } else { received.sender }, ..received };
        let granted = tell(self, &received)?;
        for (number, file) in &granted {
            self.posix.hold_file(*file);
            self.posix.install(self.process, *number, *file, flags & flag::CLOSE_ON_EXEC != 0);
        }
        libsys::fail::hit(Point::QueueEmptied);
        if flags & flag::PEEK == 0 {
            self.use_up(queue, &taken);
        }
        let count = if flags & flag::TRUNCATED != 0 && !stream { received.whole } else { received.count };
        let all = flags & (flag::WAIT_ALL | flag::PEEK) != flag::WAIT_ALL || !stream || done + count >= wanted;
        let more = self.posix.message_at(queue, taken.end).is_some();
        if all || more || taken.rights != 0 || file.is_nonblocking() || flags & flag::DO_NOT_WAIT != 0 {
            return Ok((done + count) as u64);
        }
        self.set_progress((done + count) as u64);
        self.nothing_came(file, &self.posix.store.socket(index), queue, flags, done + count)
    }

    fn use_up(&mut self, queue: usize, taken: &Taken) {
        self.posix.advance_queue(queue, taken.end, taken.rest);
        let files = self.posix.files_of_rights(taken.rights);
        self.posix.forget_rights(taken.rights);
        // Those that the program did not get are closed here.
        for file in files {
            self.posix.release_file(file);
        }
        self.posix.wake(Event::Pipe(queue as u32));
    }

    /// The queue is empty.
    fn nothing_came(&mut self, file: &File, socket: &Socket, queue: usize, flags: u32, done: usize) -> SysResult {
        let so_far = |otherwise: Errno| if done > 0 { Ok(done as u64) } else { Err(otherwise.into()) };
        if done == 0 {
            self.take_error(file.object as usize)?;
        }
        if socket.shut & SHUT_READ != 0 || socket.error != 0 {
            return Ok(done as u64);
        }
        if file.is_nonblocking() || flags & flag::DO_NOT_WAIT != 0 {
            return so_far(Errno::EAGAIN);
        }
        let deadline = (socket.timeouts[0] != 0).then(|| self.deadline_after(socket.timeouts[0]));
        if self.has_passed(deadline) {
            return so_far(Errno::EAGAIN);
        }
        if done > 0 && self.posix.has_deliverable(self.lane) {
            return Ok(done as u64);
        }
        self.wait(self.until(Event::Pipe(queue as u32), deadline), deadline.is_none())
    }

    /// Copies bytes into buffers, from `offset` of all of them on.
    fn scatter(&mut self, to: &[Vector], mut offset: usize, mut bytes: &[u8]) -> Result<(), Stop> {
        for vector in to {
            let skipped = offset.min(vector.length);
            offset -= skipped;
            let (part, rest) = bytes.split_at(bytes.len().min(vector.length - skipped));
            self.write(vector.address.wrapping_add(skipped as u64), part)?;
            bytes = rest;
        }
        Ok(())
    }
}

impl crate::server::Posix<'_> {
    /// Copies the first message of a queue.
    fn look_at_packet(&self, queue: usize, to: &mut [u8]) -> (Received, Taken) {
        let head = self.store.pipe(queue).head;
        let header = self.message_at(queue, head).unwrap_or_default();
        let whole = header.length as usize;
        let count = whole.min(to.len());
        let bytes = to.get_mut(..count).unwrap_or_default();
        self.store.read_pipe(queue, head.wrapping_add(HEADER_BYTES as u64 + u64::from(header.name)), bytes);
        let sender = self.sender_at(queue, head, &header);
        let files = self.files_of_rights(header.rights);
        let taken = Taken { end: head.wrapping_add(header.span()), rest: None, rights: header.rights };
        (Received { count, whole, sender, credentials: header.credentials, files }, taken)
    }

    /// Copies the bytes of messages up to the first that came with descriptors.
    fn look_at_stream(&self, queue: usize, to: &mut [u8]) -> (Received, Taken) {
        let mut at = self.store.pipe(queue).head;
        let mut taken = Taken { end: at, rest: None, rights: 0 };
        let mut received = Received::default();
        while let Some(header) = self.message_at(queue, at)
            && received.count < to.len()
            && (header.rights == 0 || received.count == 0)
            && (received.count == 0 || header.credentials == received.credentials)
        {
            let count = (header.length as usize).min(to.len() - received.count);
            let bytes = to.get_mut(received.count..received.count + count).unwrap_or_default();
            self.store.read_pipe(queue, at.wrapping_add(HEADER_BYTES as u64), bytes);
            received.count += count;
            received.credentials = header.credentials;
            taken.rights = header.rights;
            if count < header.length as usize {
                at = at.wrapping_add(count as u64);
                taken.rest = Some(Header { length: header.length - count as u32, rights: 0, ..header });
            } else {
                at = at.wrapping_add(header.span());
            }
            if header.rights != 0 || taken.rest.is_some() {
                break;
            }
        }
        received.files = self.files_of_rights(taken.rights);
        received.whole = received.count;
        taken.end = at;
        (received, taken)
    }

    /// Bytes that wait: of datagrams those of the first, as Linux has it.
    #[must_use]
    pub fn readable_bytes_of_socket(&self, index: usize) -> u64 {
        let socket = self.store.socket(index);
        let Some(queue) = socket.incoming() else { return 0 };
        let mut at = self.store.pipe(queue).head;
        let mut bytes = 0;
        while let Some(header) = self.message_at(queue, at) {
            at = at.wrapping_add(header.span());
            bytes += u64::from(header.length);
            if socket.kind == DATAGRAM {
                break;
            }
        }
        bytes
    }
}
