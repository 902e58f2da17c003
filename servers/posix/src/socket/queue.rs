//! Messages in a pipe.
//!
//! Each is a header of 24 bytes, the sender's name (datagrams only) and its bytes. A stream is such messages too, whose boundaries the reader
//! does not see: descriptors belong to one of them, and end what one call reads. A message of a stream that is read in part gets a new header
//! before its rest, where bytes were that have been read.

use crate::pipe::ATOMIC_BYTES;
use crate::saved::{Pipe, SocketName};
use crate::server::Posix;

/// Bytes of a [`Header`].
pub const HEADER_BYTES: usize = 24;
/// What a message takes besides its own bytes, at most.
pub const OVERHEAD: usize = HEADER_BYTES + 108;

/// What stands before a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its bytes.
    pub length: u32,
    /// Bytes of the sender's name before them.
    pub name: u32,
    /// The first of its descriptors, plus one.
    pub rights: u32,
    /// Process, user and group of the sender.
    pub credentials: [u32; 3],
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let [pid, uid, gid] = self.credentials;
        let mut bytes = [0; HEADER_BYTES];
        for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip([self.length, self.name, self.rights, pid, uid, gid]) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    fn decode(bytes: [u8; HEADER_BYTES]) -> Self {
        let mut words = [0; 6];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [length, name, rights, pid, uid, gid] = words;
        Self { length, name, rights, credentials: [pid, uid, gid] }
    }

    /// Bytes from its beginning to the next message.
    #[must_use]
    pub fn span(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.name) + u64::from(self.length)
    }
}

/// Whether a queue takes a message of a page: what `poll` calls room.
#[must_use]
pub fn takes_more(queue: &Pipe) -> bool {
    queue.room() >= ATOMIC_BYTES + OVERHEAD || queue.bytes() == 0
}

impl Posix<'_> {
    /// The message at a position of a queue, if there is one. A header that says more than the queue holds, as only damage could make it, ends it.
    #[must_use]
    pub fn message_at(&self, queue: usize, at: u64) -> Option<Header> {
        let pipe = self.store.pipe(queue);
        let left = pipe.tail.wrapping_sub(at);
        if left < HEADER_BYTES as u64 || left > u64::from(pipe.capacity) {
            return None;
        }
        let mut bytes = [0; HEADER_BYTES];
        self.store.read_pipe(queue, at, &mut bytes);
        Some(Header::decode(bytes)).filter(|header| header.span() <= left)
    }

    /// The sender's name in the message at a position.
    #[must_use]
    pub fn sender_at(&self, queue: usize, at: u64, header: &Header) -> SocketName {
        let mut name = SocketName { length: header.name.min(108), ..SocketName::zeroed() };
        if let Some(to) = name.path.get_mut(..name.length as usize) {
            self.store.read_pipe(queue, at.wrapping_add(HEADER_BYTES as u64), to);
        }
        name
    }

    /// Puts a message behind the others. The caller has seen that there is room.
    pub fn push_message(&mut self, queue: usize, header: Header, name: &[u8], bytes: &[u8]) {
        let mut at = self.store.pipe(queue).tail;
        for part in [&header.encode(), name, bytes] {
            self.store.write_pipe(queue, at, part);
            at = at.wrapping_add(part.len() as u64);
        }
        self.store.edit_pipe(queue, |pipe| pipe.tail = at);
    }

    /// What a queue begins with from now on: position `at`, where the rest of a message of a stream is, or a new message.
    pub fn advance_queue(&mut self, queue: usize, at: u64, rest: Option<Header>) {
        if let Some(header) = rest {
            self.store.write_pipe(queue, at, &header.encode());
        }
        self.store.edit_pipe(queue, |pipe| pipe.head = at);
    }

    /// Nobody will receive what a queue holds.
    pub fn discard_messages(&mut self, queue: usize) {
        let pipe = self.store.pipe(queue);
        let mut at = pipe.head;
        while let Some(header) = self.message_at(queue, at) {
            at = at.wrapping_add(header.span());
            self.discard_rights(header.rights);
        }
        self.store.edit_pipe(queue, |pipe| pipe.head = pipe.tail);
    }
}
