//! Which node a file of vfs has, without a look at all of them.
//!
//! An index of saved records, never saved itself: made when it is first asked, kept right by each change, dropped when changes are taken back.

use core::cell::RefCell;

use alloc::collections::BTreeMap;

use libsys::field;

use crate::saved::{Id, NODES, Node};
use crate::store::Store;

/// The nodes in use, by their files.
#[derive(Debug, Default)]
pub(super) struct Nodes(RefCell<Option<BTreeMap<(u32, u32), u32>>>);

impl Nodes {
    /// The node of a file, if the index is there: it is made of `all` nodes in use if not.
    fn find(&self, id: Id, all: impl Iterator<Item = (Id, u32)>) -> Option<u32> {
        let mut index = self.0.borrow_mut();
        index.get_or_insert_with(|| all.map(|(id, node)| (key(id), node)).collect()).get(&key(id)).copied()
    }

    fn changed(&self, id: Id, node: Option<u32>) {
        if let Some(index) = self.0.borrow_mut().as_mut() {
            match node {
                Some(node) => index.insert(key(id), node),
                None => index.remove(&key(id)),
            };
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = None;
    }
}

const fn key(id: Id) -> (u32, u32) {
    (id.inode, id.generation)
}

impl Store {
    /// The node of a vfs file that somebody uses.
    #[must_use]
    pub fn find_node(&self, id: Id) -> Option<usize> {
        self.find_any_node(id).filter(|index| self.node(*index).references != 0)
    }

    /// The node of a vfs file, also of one that lingers.
    ///
    /// # Panics
    /// If the index leads to a node of another file: the successor makes a new one.
    #[must_use]
    pub fn find_any_node(&self, id: Id) -> Option<usize> {
        let used = (1..NODES).map(|index| (self.node(index).file, index as u32)).filter(|(file, _)| file.inode != 0);
        let index = self.nodes.find(id, used)? as usize;
        assert!(self.node(index).file == id, "the index of nodes leads to another file's");
        Some(index)
    }

    /// Gives a file a node of its own. The node's index, if there is one left.
    pub fn add_node(&mut self, node: Node) -> Option<usize> {
        let index = (1..NODES).find(|index| self.node(*index).file.inode == 0)?;
        self.set_node(index, node);
        self.nodes.changed(node.file, Some(index as u32));
        Some(index)
    }

    /// Sets how often a node is used.
    pub fn set_references(&mut self, index: usize, references: u32) {
        self.open();
        if let (Some(transaction), Some(node)) = (&self.transaction, self.area.state().nodes.get(index)) {
            node.set_field(transaction, field!(Node, references), references);
        }
    }

    /// Takes a node from its file.
    pub fn remove_node(&mut self, index: usize) {
        self.nodes.changed(self.node(index).file, None);
        self.set_node(index, Node::default());
    }
}
