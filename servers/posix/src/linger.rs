//! Files that nobody has open or mapped any more and that vfs still counts as open: programs open the same few again and again, and the same few are executed.
//!
//! The node of such a file has no reference, and keeps its file: this is saved, so a successor knows what vfs counts. An open that vfs has answered before takes it up again,
//! and vfs hears of neither. Only what was read lingers, because what was written is likelier to be removed; a few at most, the longest makes room; and none beyond the
//! next removal or renaming, because the bytes of a file that has no name are free when its last descriptor is closed. For the same reason none lingers that was removed
//! while it was in use: only who was opened by a path since the last removal does.

use protocols::vfs::FileId;

use crate::fd::FOREIGN;
use crate::saved::{NODES, Node};
use crate::server::Posix;
use crate::stat::mode;
use crate::sure::{Queue, Sure, Table};

/// How many linger.
const MOST: usize = 16;
/// Of how many files it is known that they have a name.
const NAMED: usize = 64;

/// Nodes of files that linger or did so, the longest first: for a moment one more than may.
pub type Lingering = Queue<usize, { 2 * MOST }>;

/// Which files have a name for certain.
#[derive(Debug)]
pub struct Named {
    /// A file, and how many removals there had been when a path last led to it.
    files: Table<(FileId, u64), NAMED>,
    removals: Sure,
}

impl Default for Named {
    fn default() -> Self {
        Self { files: Table::default(), removals: Sure::new(1) }
    }
}

impl Named {
    /// A path has led to a file.
    pub fn note(&mut self, file: FileId) {
        self.files[file.inode as usize % NAMED] = (file, self.removals.get());
    }

    /// Whether one does for certain.
    fn has(&self, file: FileId) -> bool {
        self.files[file.inode as usize % NAMED] == (file, self.removals.get())
    }
}

impl Node {
    /// Whether it stands for a file that lingers.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.references == 0 && self.file.inode != 0
    }

    fn may_linger(&self) -> bool {
        let is_kind = |kind| self.mode & mode::KINDS == kind;
        self.file.inode & FOREIGN == 0 && (is_kind(mode::REGULAR) || is_kind(mode::DIRECTORY)) && self.pipe == 0 && self.locks == 0
    }
}

impl Posix<'_> {
    /// Whether vfs counts a file as open.
    #[must_use]
    pub fn is_open_in_vfs(&self, file: FileId) -> bool {
        self.store.find_any_node(file.into()).is_some()
    }

    /// As [`Posix::release_node`], of a file that was read.
    pub fn leave_node(&mut self, index: usize) {
        let node = self.store.node(index);
        if index == 0 || node.references > 1 || !node.may_linger() || !self.named.has(node.file.into()) {
            self.release_node(index);
            return;
        }
        self.store.set_references(index, 0);
        if self.lingering.iter().any(|other| *other == index) {
            return;
        }
        self.lingering.push_back(index);
        if self.lingering.len() > MOST
            && let Some(longest) = self.lingering.pop_front()
        {
            self.end_lingering(longest);
        }
    }

    fn end_lingering(&mut self, index: usize) {
        let node = self.store.node(index);
        // Meanwhile it may have been opened again.
        if node.lingers() {
            self.give_up_node(index, node.file);
        }
    }

    /// A name is about to go: nothing lingers on. What is closed stays in the list, because this may be taken back.
    pub fn close_lingering(&mut self) {
        self.named.removals.grow();
        for _ in 0..self.lingering.len() {
            if let Some(index) = self.lingering.pop_front() {
                self.end_lingering(index);
                self.lingering.push_back(index);
            }
        }
    }

    /// What lingered when the predecessor died.
    pub(crate) fn find_lingering(&self) -> Lingering {
        let mut found = Lingering::default();
        found.extend((1..NODES).filter(|index| self.store.node(*index).lingers()));
        found
    }
}
