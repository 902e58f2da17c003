//! Descriptors, open file descriptions, and the vfs files behind them.
//!
//! A descriptor names a [`File`] (what POSIX calls an open file description), a file may name a [`Node`]: a vfs file that posix has opened exactly once, however
//! many files, directories, programs and areas use it. All counts live in the saved state and change in the transaction of their cause; a node without users
//! goes into a ring of vfs files to be closed, which is drained one numbered request at a time, so that each close happens once.

use alloc::vec::Vec;

use abi::RequestNumber;
use protocols::service::Service;
use protocols::vfs::{self, FileId};

use crate::call::{EFFECT, vfs_stop};
use crate::errno::Errno;
use crate::saved::{CLOSING, DESCRIPTORS, Descriptor, FILES, File, Id, MapIndex, Node, ProcessIndex};
use crate::server::Posix;
use crate::vma::{Areas, FILE, SHARED};

/// Values of [`File::kind`].
pub mod kind {
    /// A regular file of vfs.
    pub const REGULAR: u32 = 1;
    /// A directory of vfs.
    pub const DIRECTORY: u32 = 2;
    /// The reading end of a pipe, or both ends of a FIFO.
    pub const PIPE: u32 = 3;
    /// A terminal: the object is its index.
    pub const TERMINAL: u32 = 4;
    /// A device of memory: the object is Linux's minor number.
    pub const DEVICE: u32 = 5;
    /// Something under /proc: object and detail are its [`crate::proc::Entry`].
    pub const PROC: u32 = 6;
    /// A place opened with `O_PATH`.
    pub const PLACE: u32 = 7;
    /// An event counter.
    pub const EVENT: u32 = 8;
    /// A socket: the object is its index.
    pub const SOCKET: u32 = 9;
    /// An epoll: the object is its first watch plus one.
    pub const EPOLL: u32 = 10;
    /// A timer: offset and detail are the next moment and the interval; see [`crate::timerfd`].
    pub const TIMER: u32 = 11;
    /// Signals by descriptor: the detail is their set.
    pub const SIGNALS: u32 = 12;
    /// A process: the object is its record, the detail its number, the offset when it began; see [`crate::syscall::pidfd`].
    pub const PROCESS: u32 = 13;
    /// Work of inference: the offset is in its text, the detail its name; see [`crate::llm`].
    pub const LLM: u32 = 14;
    /// The master of a pseudo terminal: the object is the terminal's index.
    pub const MASTER: u32 = 16;
}

/// `O_ACCMODE` and its values.
pub const ACCESS_MODE: u32 = 3;
/// `O_WRONLY`.
pub const WRITE_ONLY: u32 = 1;
/// `O_RDWR`.
pub const READ_WRITE: u32 = 2;
/// `O_APPEND`.
pub const APPEND: u32 = 0o2000;
/// `O_NONBLOCK`.
pub const NONBLOCK: u32 = 0o4000;

/// More descriptors than a program needs that does not mean to have many.
const MANY_DESCRIPTORS: usize = 64;
/// Lane of the requests that close vfs files.
const CLOSER_LANE: u16 = 0xfe00;
/// Set in the inode of what is not vfs's: /proc.
pub const FOREIGN: u32 = 1 << 31;

impl File {
    /// Whether it may be read from.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.flags & ACCESS_MODE != WRITE_ONLY
    }

    /// Whether it may be written to.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.flags & ACCESS_MODE != 0
    }

    /// Whether it never waits.
    #[must_use]
    pub fn is_nonblocking(&self) -> bool {
        self.flags & NONBLOCK != 0
    }
}

impl Posix<'_> {
    /// The file behind a descriptor that is not for its place in the tree alone (`O_PATH`).
    ///
    /// # Errors
    /// `EBADF`.
    pub fn file_of(&self, process: ProcessIndex, descriptor: u64) -> Result<(usize, File), Errno> {
        self.place_of(process, descriptor).and_then(|found| if found.1.kind == kind::PLACE { Err(Errno::EBADF) } else { Ok(found) })
    }

    /// The file behind a descriptor, for those few calls that take one with `O_PATH`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn place_of(&self, process: ProcessIndex, descriptor: u64) -> Result<(usize, File), Errno> {
        // A descriptor is an int: what a program put into the upper half of the register does not count.
        let record = self.store.descriptor(process, descriptor as u32 as usize);
        let index = (record.file as usize).checked_sub(1).ok_or(Errno::EBADF)?;
        Ok((index, self.store.file(index)))
    }

    /// A record for a new file, with one reference that the caller will put into a descriptor.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn make_file(&mut self, file: File) -> Result<usize, Errno> {
        let index = self.store.add_file(File { references: 1, ..file }).ok_or(Errno::ENFILE)?;
        self.terminal_opened(&file);
        Ok(index)
    }

    /// How many of a table's records a process leaves to others: of the last eighth only those get any that have few descriptors, so that hogs, however many, do not keep
    /// a shell from its next command.
    #[must_use]
    pub fn left_to_others(&self, process: ProcessIndex, records: usize) -> usize {
        let has_many = self.free_descriptor(process, 0).is_ok_and(|lowest| lowest >= MANY_DESCRIPTORS);
        if has_many { records / 8 } else { 0 }
    }

    /// Whether the system has room for `count` more files of a process.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn check_room_for_files(&self, process: ProcessIndex, count: usize) -> Result<(), Errno> {
        let wanted = count + self.left_to_others(process, FILES);
        let free = (0..FILES).filter(|index| self.store.file(*index).references == 0).take(wanted);
        if free.count() == wanted { Ok(()) } else { Err(Errno::ENFILE) }
    }

    /// The lowest free descriptor from `least` on.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn free_descriptor(&self, process: ProcessIndex, least: usize) -> Result<usize, Errno> {
        let limit = (self.store.process(process).descriptor_limit as usize).min(DESCRIPTORS);
        (least..limit).find(|number| self.store.descriptor(process, *number).file == 0).ok_or(Errno::EMFILE)
    }

    /// Puts a file into a descriptor that is free.
    pub fn install(&mut self, process: ProcessIndex, number: usize, file: usize, close_on_exec: bool) {
        let descriptor = Descriptor { file: file as u32 + 1, close_on_exec: u32::from(close_on_exec) };
        self.store.set_descriptor(process, number, descriptor);
    }

    /// A new file in the lowest free descriptor.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`.
    pub fn open_file(&mut self, process: ProcessIndex, file: File, close_on_exec: bool) -> Result<usize, Errno> {
        let number = self.free_descriptor(process, 0)?;
        if number >= MANY_DESCRIPTORS {
            self.check_room_for_files(process, 1)?;
        }
        let index = self.make_file(file)?;
        self.install(process, number, index, close_on_exec);
        Ok(number)
    }

    /// One more descriptor names a file.
    pub fn hold_file(&mut self, index: usize) {
        self.store.set_file_references(index, self.store.file(index).references + 1);
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&mut self, process: ProcessIndex, number: u64) -> Result<(), Errno> {
        let (index, file) = self.place_of(process, number)?;
        self.drop_record_locks(process, &file);
        self.store.set_descriptor(process, number as u32 as usize, Descriptor::default());
        self.release_file(index);
        Ok(())
    }

    /// Descriptors in use, in order.
    #[must_use]
    pub fn descriptors(&self, process: ProcessIndex) -> Vec<usize> {
        self.store.open_descriptors(process).numbers().collect()
    }

    /// One descriptor fewer names a file; the last one closes it.
    pub fn release_file(&mut self, index: usize) {
        self.release_one(index);
        // Files that were in the messages of a socket that is gone. One after the other, because there may be sockets among them.
        while let Some(next) = self.orphans.pop() {
            self.release_one(next);
        }
    }

    fn release_one(&mut self, index: usize) {
        let file = self.store.file(index);
        if file.references > 1 {
            self.store.set_file_references(index, file.references - 1);
            if file.kind == kind::SOCKET {
                self.drop_unreachable_messages();
            }
            return;
        }
        if file.watches != 0 {
            self.unwatch(index);
        }
        if file.locks != 0 {
            self.drop_file_locks(index, &file);
        }
        self.store.set_file(index, File::default());
        match file.kind {
            kind::PIPE => self.close_pipe_end(&file),
            kind::TERMINAL | kind::MASTER => self.terminal_closed(&file),
            kind::SOCKET => self.close_socket(file.object as usize),
            kind::EPOLL => self.close_epoll(&file),
            kind::PROC => self.texts.forget(index),
            kind::LLM => self.close_llm(&file),
            _ => {}
        }
        match file.node as usize {
            0 => {}
            node if file.writes() => self.release_node(node),
            node => self.leave_node(node),
        }
    }

    /// The node of a vfs file that was just opened. A file that is open already keeps its one open.
    ///
    /// # Errors
    /// `ENFILE`.
    pub fn node_opened(&mut self, file: FileId, mode: u32, device: u32) -> Result<usize, Errno> {
        let id = Id::from(file);
        if let Some(index) = self.node_open_already(file) {
            self.close_later(id);
            return Ok(index);
        }
        let node = Node { file: id, references: 1, mode, device, ..Node::default() };
        if let Some(index) = self.store.add_node(node) {
            return Ok(index);
        }
        self.close_lingering();
        self.store.add_node(node).ok_or(Errno::ENFILE)
    }

    /// One more user of the node of a file that vfs counts as open, of which it was not told.
    pub fn node_open_already(&mut self, file: FileId) -> Option<usize> {
        let index = self.store.find_any_node(file.into())?;
        self.hold_node(index);
        Some(index)
    }

    /// The node of a vfs file that is in use.
    #[must_use]
    pub fn find_node(&self, id: Id) -> Option<usize> {
        self.store.find_node(id)
    }

    /// What a node stands for; index 0 is the root.
    #[must_use]
    pub fn node_id(&self, index: u32) -> FileId {
        if index == 0 { vfs::ROOT } else { self.store.node(index as usize).file.into() }
    }

    /// One more user of a node.
    pub fn hold_node(&mut self, index: usize) {
        if index != 0 {
            self.store.set_references(index, self.store.node(index).references + 1);
        }
    }

    /// One user of a node fewer; the last one closes it in vfs.
    pub fn release_node(&mut self, index: usize) {
        if index == 0 {
            return;
        }
        let node = self.store.node(index);
        if node.references > 1 {
            self.store.set_references(index, node.references - 1);
            return;
        }
        self.give_up_node(index, node.file);
    }

    /// Nobody has a file any more: it is closed in vfs, which has promised until then that its pages stay where they are.
    pub fn give_up_node(&mut self, index: usize, file: Id) {
        self.store.remove_node(index);
        self.located.forget(file.into());
        self.close_later(file);
    }

    /// vfs is to count one open less.
    pub fn close_later(&mut self, file: Id) {
        if file.inode & FOREIGN != 0 {
            return;
        }
        let globals = self.store.globals();
        if globals.closing as usize >= CLOSING {
            self.kernel.log("posix: too many files wait to be closed; one stays open");
            return;
        }
        let at = (globals.closing_first as usize + globals.closing as usize) % CLOSING;
        self.store.set_closing(at, file);
        self.store.edit_globals(|globals| globals.closing += 1);
    }

    /// Tells vfs of the closes that wait.
    pub fn drain_closes(&mut self) {
        loop {
            let globals = self.store.globals();
            if globals.closing == 0 {
                return;
            }
            let file = self.store.closing(globals.closing_first as usize);
            let number = RequestNumber::new(Service::Posix.id(), CLOSER_LANE, globals.close_sequence, EFFECT);
            // A file that vfs no longer knows is as closed as it can be.
            if let Err(error) = self.vfs_to_ask().close(number, file.into()) {
                // One that is no answer is not to be taken for that.
                let _unknown = vfs_stop(error);
            }
            self.store.edit_globals(|globals| {
                globals.closing -= 1;
                globals.closing_first = (globals.closing_first + 1) % CLOSING as u32;
                globals.close_sequence = globals.close_sequence.wrapping_add(1);
            });
            self.store.commit();
        }
    }

    /// Sets the areas of a map; each file that they are of counts as one user of its node.
    ///
    /// # Errors
    /// `ENOMEM` if there are too many areas.
    pub fn set_areas(&mut self, map: MapIndex, areas: &Areas) -> Result<(), Errno> {
        let earlier = self.store.areas(map);
        let (before, after) = (files_of(&earlier), files_of(areas));
        if !self.store.set_areas(map, areas) {
            return Err(Errno::ENOMEM);
        }
        for id in after.iter().filter(|id| !before.contains(id)) {
            if let Some(node) = self.find_node(*id) {
                self.hold_node(node);
            }
        }
        for id in before.iter().filter(|id| !after.contains(id)) {
            let Some(node) = self.find_node(*id) else { continue };
            let is_read_alone = earlier.0.iter().all(|area| area.flags & SHARED == 0 || area.file() != *id);
            if is_read_alone { self.leave_node(node) } else { self.release_node(node) }
        }
        Ok(())
    }
}

/// The files that areas are of, each once.
fn files_of(areas: &Areas) -> Vec<Id> {
    let mut files: Vec<Id> = Vec::new();
    for area in areas.0.iter().filter(|area| area.flags & FILE != 0) {
        let id = area.file();
        if !files.contains(&id) {
            files.push(id);
        }
    }
    files
}
