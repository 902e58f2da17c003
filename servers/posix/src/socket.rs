//! Sockets of one machine (AF_UNIX), connected in pairs or by name.
//!
//! A socket is a record; what was sent to it lies in its [`queue`], a pipe of messages, so bytes, boundaries and descriptors on their way are
//! saved state and change in the transaction of the call that moves them. A connection is made by the connecting side alone: it makes the
//! other end too, which waits in the listener's list until `accept` gives it a file. A socket's place in the file system is a node of vfs that
//! holds nothing: [`name`] says how it leads here.
//!
//! Absent: other families, out-of-band data, `SO_PEEK_OFF`, and any use of the sizes that `SO_SNDBUF` sets.

pub mod name;
pub mod queue;
mod rights;
mod transfer;

pub use rights::MOST_RIGHTS;
pub use transfer::{Granted, Outgoing, Received, flag};

use crate::call::Call;
use crate::errno::Errno;
use crate::fd::{READ_WRITE, kind};
use crate::poll;
use crate::saved::{File, ProcessIndex, SOCKETS, Socket};
use crate::server::Posix;
use crate::wait::Event;

/// `SOCK_STREAM`.
pub const STREAM: u32 = 1;
/// `SOCK_DGRAM`.
pub const DATAGRAM: u32 = 2;
/// `SOCK_SEQPACKET`.
pub const PACKETS: u32 = 5;

/// Bit of [`Socket::shut`]: it receives no more.
pub const SHUT_READ: u32 = 1;
/// It sends no more.
pub const SHUT_WRITE: u32 = 2;

/// Values of [`Socket::state`].
pub mod state {
    /// The record is free.
    pub const FREE: u32 = 0;
    /// Not connected.
    pub const OPEN: u32 = 1;
    /// Waits for connections.
    pub const LISTENING: u32 = 2;
    /// It has, or had, another end.
    pub const CONNECTED: u32 = 3;
}

/// Bits of [`Socket::options`]: `1 << SO_*`.
pub mod option {
    /// `SO_PASSCRED`.
    pub const PASS_CREDENTIALS: u32 = 1 << 16;
    /// Those that are kept and have no effect: `SO_DEBUG`, `SO_REUSEADDR`, `SO_DONTROUTE`, `SO_BROADCAST`, `SO_KEEPALIVE`.
    pub const KEPT: u32 = 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 9;
}

impl Socket {
    /// Whether it talks to one other end at a time.
    #[must_use]
    pub const fn is_connection(&self) -> bool {
        self.kind != DATAGRAM
    }

    /// Index of the other end.
    #[must_use]
    pub const fn other(&self) -> Option<usize> {
        (self.peer as usize).checked_sub(1)
    }

    /// Index of the pipe that is its queue.
    #[must_use]
    pub const fn incoming(&self) -> Option<usize> {
        (self.queue as usize).checked_sub(1)
    }
}

impl Posix<'_> {
    /// A new socket, with a queue if it can receive before it is connected.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn make_socket(&mut self, kind: u32) -> Result<usize, Errno> {
        let index = (0..SOCKETS).find(|index| self.store.socket(*index).state == state::FREE).ok_or(Errno::ENFILE)?;
        let queue = if kind == DATAGRAM { self.make_pipe()? as u32 + 1 } else { 0 };
        let nobody = [0, u32::MAX, u32::MAX];
        self.store.set_socket(index, Socket { state: state::OPEN, kind, queue, peer_credentials: nobody, ..Socket::zeroed() });
        Ok(index)
    }

    /// Whether there is room for `sockets` more of them with `queues` more queues for a process: asked before the first change.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn check_room_for_sockets(&self, process: ProcessIndex, sockets: usize, queues: usize) -> Result<(), Errno> {
        let wanted = sockets + self.left_to_others(process, SOCKETS);
        let free = (0..SOCKETS).filter(|index| self.store.socket(*index).state == state::FREE).take(wanted).count();
        if free == wanted { self.check_room_for_pipes(process, queues) } else { Err(Errno::ENFILE) }
    }

    /// Makes two sockets the ends of one connection. There is room for their queues: see [`Posix::check_room_for_sockets`].
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn join_sockets(&mut self, left: usize, right: usize) -> Result<(), Errno> {
        for (one, other) in [(left, right), (right, left)] {
            let queue = match self.store.socket(one).incoming() {
                Some(queue) => queue,
                None => self.make_pipe()?,
            };
            self.store.edit_socket(one, |socket| {
                socket.state = state::CONNECTED;
                socket.peer = other as u32 + 1;
                socket.queue = queue as u32 + 1;
                socket.changes = socket.changes.wrapping_add(1);
            });
        }
        Ok(())
    }

    /// A file for a socket, in the lowest free descriptor.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`.
    pub fn open_socket(&mut self, process: ProcessIndex, socket: usize, nonblock: u32, close_on_exec: bool) -> Result<usize, Errno> {
        let file = File { kind: kind::SOCKET, flags: READ_WRITE | nonblock, object: socket as u32, ..File::default() };
        self.open_file(process, file, close_on_exec)
    }

    /// Something other than a queue changed at a socket: whoever waits there looks again.
    pub fn socket_changed(&mut self, index: usize) {
        self.store.edit_socket(index, |socket| socket.changes = socket.changes.wrapping_add(1));
        self.wake(Event::Socket(index as u32));
        if let Some(queue) = self.store.socket(index).incoming() {
            self.wake(Event::Pipe(queue as u32));
        }
    }

    /// The last descriptor of a socket was closed.
    pub fn close_socket(&mut self, index: usize) {
        let socket = self.store.socket(index);
        let mut waiting = socket.first;
        self.end_socket(index, false);
        // Who wanted to be accepted never is.
        while let Some(connection) = (waiting as usize).checked_sub(1) {
            waiting = self.store.socket(connection).next;
            self.end_socket(connection, true);
        }
    }

    fn end_socket(&mut self, index: usize, unaccepted: bool) {
        let socket = self.store.socket(index);
        let unread = socket.incoming().is_some_and(|queue| self.store.pipe(queue).bytes() > 0);
        self.socket_changed(index);
        self.store.set_socket(index, Socket::zeroed());
        if let Some(queue) = socket.incoming() {
            self.discard_messages(queue);
            self.store.set_pipe(queue, crate::saved::Pipe::default());
        }
        match socket.other() {
            Some(other) if socket.is_connection() => {
                self.store.edit_socket(other, |other| {
                    other.peer = 0;
                    other.shut = SHUT_READ | SHUT_WRITE;
                    other.error = if unread || unaccepted { Errno::ECONNRESET as u32 } else { other.error };
                });
                self.socket_changed(other);
            }
            _ if !socket.is_connection() => self.forget_destination(index),
            _ => {}
        }
    }

    /// A socket for datagrams is gone: those that send to it find nobody.
    fn forget_destination(&mut self, gone: usize) {
        for index in 0..SOCKETS {
            let socket = self.store.socket(index);
            if socket.state == state::CONNECTED && !socket.is_connection() && socket.other() == Some(gone) {
                self.store.edit_socket(index, |socket| socket.peer = 0);
                self.socket_changed(index);
            }
        }
    }

    /// What is ready at a socket (`unix_poll` of Linux).
    #[must_use]
    pub fn ready_socket(&self, index: usize) -> u32 {
        let socket = self.store.socket(index);
        let when = |condition: bool, bits: u32| if condition { bits } else { 0 };
        let filled = socket.incoming().is_some_and(|queue| self.store.pipe(queue).bytes() > 0);
        let outgoing = socket.other().and_then(|other| self.store.socket(other).incoming());
        let room = outgoing.is_none_or(|queue| queue::takes_more(&self.store.pipe(queue)));
        when(socket.error != 0, poll::ERROR)
            | when(socket.shut == SHUT_READ | SHUT_WRITE, poll::HANG_UP)
            | when(socket.shut & SHUT_READ != 0, poll::READ_HANG_UP | poll::IN)
            | when(filled || socket.waiting > 0, poll::IN)
            | when(socket.is_connection() && socket.state == state::OPEN, poll::HANG_UP)
            | when(socket.state != state::LISTENING && room, poll::OUT)
    }

    /// How much has happened at a socket, inwards and outwards: see [`crate::epoll`].
    #[must_use]
    pub fn activity_of_socket(&self, index: usize) -> [u64; 2] {
        let socket = self.store.socket(index);
        let changes = u64::from(socket.changes) << 48;
        let came = socket.incoming().map_or(0, |queue| self.store.pipe(queue).tail);
        let outgoing = socket.other().and_then(|other| self.store.socket(other).incoming());
        let left = outgoing.map_or(0, |queue| self.store.pipe(queue).head);
        [came.wrapping_add(changes), left.wrapping_add(changes)]
    }
}

impl Call<'_, '_> {
    /// The socket behind a descriptor, with its file.
    ///
    /// # Errors
    /// `EBADF`, `ENOTSOCK`.
    pub fn socket_argument(&self) -> Result<(File, usize), Errno> {
        let (_, file) = self.posix.file_of(self.process, self.arguments[0])?;
        if file.kind == kind::SOCKET { Ok((file, file.object as usize)) } else { Err(Errno::ENOTSOCK) }
    }

    /// The caller, as the other end of its sockets is told: process, user, group.
    #[must_use]
    pub fn credentials(&self) -> [u32; 3] {
        let me = self.me();
        [me.pid, me.uid[1], me.gid[1]]
    }
}
