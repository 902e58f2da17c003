//! Descriptors in messages (`SCM_RIGHTS`).
//!
//! Each holds its file as a descriptor would. Messages can hold the very socket that they wait at: then nobody can receive them any more, although
//! every file of the circle has a holder. Whenever a descriptor of a socket is closed that lives on, what cannot be reached is looked for.

use alloc::vec;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::fd::kind;
use crate::saved::{FILES, RIGHTS, Right};
use crate::server::Posix;

/// `SCM_MAX_FD`: most descriptors of one message.
pub const MOST_RIGHTS: usize = 253;

impl Posix<'_> {
    /// Whether messages may hold `count` more descriptors.
    ///
    /// # Errors
    /// `ETOOMANYREFS`.
    pub fn check_room_for_rights(&self, count: usize) -> Result<(), Errno> {
        let free = (0..RIGHTS).filter(|index| self.store.right(*index).file == 0).take(count).count();
        if free == count { Ok(()) } else { Err(Errno::ETOOMANYREFS) }
    }

    /// Puts files into a message that is being sent: its first right plus one. There is room: see [`Posix::check_room_for_rights`].
    pub fn hold_rights(&mut self, files: &[usize]) -> u32 {
        let free: Vec<usize> = (0..RIGHTS).filter(|index| self.store.right(*index).file == 0).take(files.len()).collect();
        for (position, (file, index)) in files.iter().zip(&free).enumerate() {
            let next = free.get(position + 1).map_or(0, |next| *next as u32 + 1);
            self.store.set_right(*index, Right { file: *file as u32 + 1, next });
            self.hold_file(*file);
        }
        free.first().map_or(0, |first| *first as u32 + 1)
    }

    /// The files of a message.
    #[must_use]
    pub fn files_of_rights(&self, mut first: u32) -> Vec<usize> {
        let mut files = Vec::new();
        while let Some(index) = (first as usize).checked_sub(1)
            && files.len() < MOST_RIGHTS
        {
            let right = self.store.right(index);
            files.extend((right.file as usize).checked_sub(1));
            first = right.next;
        }
        files
    }

    /// A message's rights are no more; who takes its files now has their references.
    pub fn forget_rights(&mut self, mut first: u32) {
        while let Some(index) = (first as usize).checked_sub(1) {
            first = self.store.right(index).next;
            self.store.set_right(index, Right::default());
        }
    }

    /// A message with descriptors is lost: [`Posix::release_file`] closes them.
    pub fn discard_rights(&mut self, first: u32) {
        let files = self.files_of_rights(first);
        self.orphans.extend(files);
        self.forget_rights(first);
    }

    /// Files in the messages of a socket's queue, and of those that wait to be accepted there.
    fn files_waiting_at(&self, socket: usize) -> Vec<usize> {
        let record = self.store.socket(socket);
        let mut found = Vec::new();
        let mut sockets = vec![record];
        let mut next = record.first;
        while let Some(connection) = (next as usize).checked_sub(1) {
            sockets.push(self.store.socket(connection));
            next = self.store.socket(connection).next;
        }
        for queue in sockets.iter().filter_map(crate::saved::Socket::incoming) {
            let mut at = self.store.pipe(queue).head;
            while let Some(header) = self.message_at(queue, at) {
                at = at.wrapping_add(header.span());
                found.extend(self.files_of_rights(header.rights));
            }
        }
        found
    }

    /// Empties the queues of sockets that only messages hold which only such sockets hold.
    pub fn drop_unreachable_messages(&mut self) {
        let mut in_flight = vec![0u32; FILES];
        for index in 0..RIGHTS {
            if let Some(count) = (self.store.right(index).file as usize).checked_sub(1).and_then(|file| in_flight.get_mut(file)) {
                *count += 1;
            }
        }
        if in_flight.iter().all(|count| *count == 0) {
            return;
        }
        let sockets = |posix: &Self, file: usize| {
            let record = posix.store.file(file);
            (record.references != 0 && record.kind == kind::SOCKET).then_some(record)
        };
        let mut reached = vec![false; FILES];
        let held = |posix: &Self, file: usize| sockets(posix, file).is_some_and(|record| record.references > in_flight[file]);
        let mut to_do: Vec<usize> = (0..FILES).filter(|file| held(self, *file)).collect();
        while let Some(file) = to_do.pop() {
            if core::mem::replace(&mut reached[file], true) {
                continue;
            }
            if let Some(record) = sockets(self, file) {
                to_do.extend(self.files_waiting_at(record.object as usize).into_iter().filter(|file| !reached[*file]));
            }
        }
        for file in (0..FILES).filter(|file| in_flight[*file] > 0 && !reached[*file]) {
            if let Some(queue) = sockets(self, file).and_then(|record| self.store.socket(record.object as usize).incoming()) {
                self.discard_messages(queue);
            }
        }
    }
}
