//! Which page of the region holds which page of a file: a radix tree for each file, 64 ways at each level.
//!
//! A tree of height 0 is the page of file page 0 itself; one of height `h` covers `64^h` pages; it grows at the top when a page beyond is put in, so that
//! small files cost no node and any page of a large one is found in at most [`MAX_HEIGHT`] steps. A slot is 0 for a hole, else a node, or at the
//! lowest level a page plus one. Pages are taken out only from the end (files are cut, not punched), a node goes with its last slot.
//!
//! Invariant: no page lies at or beyond the file's end, except while a cut of it is recorded ([`crate::settle`]).

use libsys::saved::Transaction;
use protocols::vfs::Error;

use crate::inode::Inode;
use crate::saved::{NODES, State};

/// Slots of a node.
pub const WAYS: usize = 64;
const WAY_BITS: u32 = WAYS.trailing_zeros();
/// Most levels: 64 GiB.
pub const MAX_HEIGHT: u8 = 4;
/// Most pages of a file.
pub const MAX_FILE_PAGES: u64 = 1 << (WAY_BITS * MAX_HEIGHT as u32);

const fn covers(height: u8, page: u64) -> bool {
    page >> (WAY_BITS * height as u32) == 0
}

const fn way(level: u8, page: u64) -> usize {
    (page >> (WAY_BITS * (level as u32 - 1))) as usize % WAYS
}

/// What [`State::cut_step`] took out.
#[must_use = "a cut goes on until it is finished"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// There may be more.
    More,
    /// No page is left at or beyond the end.
    Finished,
}

impl State {
    fn slot(&self, node: u32, way: usize) -> Result<u32, Error> {
        if node == 0 || node as usize >= NODES { Err(Error::Damaged) } else { Ok(self.slots[node as usize * WAYS + way].get()) }
    }

    fn set_slot(&self, tx: &Transaction<'_>, node: u32, way: usize, value: u32) -> Result<(), Error> {
        if node == 0 || node as usize >= NODES {
            return Err(Error::Damaged);
        }
        self.slots[node as usize * WAYS + way].set(tx, value);
        Ok(())
    }

    /// An empty node.
    fn take_node(&self, tx: &Transaction<'_>) -> Result<u32, Error> {
        let node = self.node_pool.take(tx, NODES, |node| self.slot(node, 0))?;
        if self.slot(node, 0)? != 0 {
            self.set_slot(tx, node, 0, 0)?;
        }
        Ok(node)
    }

    /// Frees an empty node; the link lies in its slot 0.
    fn give_node(&self, tx: &Transaction<'_>, node: u32) -> Result<(), Error> {
        let link = self.node_pool.give(tx, node);
        self.set_slot(tx, node, 0, link)
    }

    /// The page that holds page `page` of a file; nothing for a hole.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn page_of(&self, inode: &Inode, page: u64) -> Result<Option<u32>, Error> {
        if !covers(inode.height, page) {
            return Ok(None);
        }
        let mut slot = inode.index;
        for level in (1..=inode.height).rev() {
            if slot == 0 {
                return Ok(None);
            }
            slot = self.slot(slot, way(level, page))?;
        }
        Ok(slot.checked_sub(1))
    }

    /// Puts a page into a hole of a file. The inode is changed, not put back.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the largest file, [`Error::NoSpace`] without a node; the transaction must then be dropped.
    pub fn put_page(&self, tx: &Transaction<'_>, inode: &mut Inode, page: u64, data: u32) -> Result<(), Error> {
        if page >= MAX_FILE_PAGES {
            return Err(Error::TooLarge);
        }
        while !covers(inode.height, page) {
            if inode.index != 0 {
                let node = self.take_node(tx)?;
                self.set_slot(tx, node, 0, inode.index)?;
                inode.index = node;
            }
            inode.height += 1;
        }
        inode.pages += 1;
        if inode.height == 0 {
            inode.index = data + 1;
            return Ok(());
        }
        if inode.index == 0 {
            inode.index = self.take_node(tx)?;
        }
        let mut node = inode.index;
        for level in (2..=inode.height).rev() {
            let below = match self.slot(node, way(level, page))? {
                0 => {
                    let below = self.take_node(tx)?;
                    self.set_slot(tx, node, way(level, page), below)?;
                    below
                }
                below => below,
            };
            node = below;
        }
        self.set_slot(tx, node, way(1, page), data + 1)
    }

    /// Makes page `page` of a file a hole and frees what it had, and the nodes that become empty by it. The inode is changed, not put back.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn remove_page(&self, tx: &Transaction<'_>, inode: &mut Inode, page: u64) -> Result<(), Error> {
        let Some(data) = self.page_of(inode, page)? else { return Ok(()) };
        let height = inode.height.min(MAX_HEIGHT);
        let mut path = [0; MAX_HEIGHT as usize];
        let mut node = inode.index;
        for level in (1..=height).rev() {
            path[usize::from(level) - 1] = node;
            node = self.slot(node, way(level, page))?;
        }
        self.pages.release(tx, &[data])?;
        inode.pages = inode.pages.saturating_sub(1);
        for (level, node) in (1..=height).zip(path) {
            self.set_slot(tx, node, way(level, page), 0)?;
            if self.last_way(node)?.is_some() {
                return Ok(());
            }
            self.give_node(tx, node)?;
        }
        (inode.index, inode.height) = (0, 0);
        Ok(())
    }

    /// The first page of a file that is no hole, from `from` on.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn next_page(&self, inode: &Inode, from: u64) -> Result<Option<u64>, Error> {
        if inode.index == 0 || !covers(inode.height, from) {
            return Ok(None);
        }
        self.next_below(inode.index, inode.height.min(MAX_HEIGHT), 0, from)
    }

    fn next_below(&self, slot: u32, height: u8, first: u64, from: u64) -> Result<Option<u64>, Error> {
        if height == 0 {
            return Ok((first >= from).then_some(first));
        }
        let span = |ways: u64| ways << (WAY_BITS * u32::from(height - 1));
        for way in 0..WAYS {
            let start = first + span(way as u64);
            if start + span(1) <= from {
                continue;
            }
            let below = self.slot(slot, way)?;
            if below != 0
                && let Some(found) = self.next_below(below, height - 1, start, from)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Frees the pages of the file's last node that lie at or beyond page `keep`, at most [`WAYS`], and the nodes that become empty by it. The
    /// inode is changed, not put back.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn cut_step(&self, tx: &Transaction<'_>, inode: &mut Inode, keep: u64) -> Result<Cut, Error> {
        if inode.index == 0 {
            inode.height = 0;
            return Ok(Cut::Finished);
        }
        if inode.height == 0 {
            if keep > 0 {
                return Ok(Cut::Finished);
            }
            self.pages.release(tx, &[inode.index.saturating_sub(1)])?;
            (inode.index, inode.pages) = (0, inode.pages.saturating_sub(1));
            return Ok(Cut::Finished);
        }
        let (path, first_page) = self.last_leaf(inode)?;
        let leaf = path[0];
        let mut freed = heapless::Vec::<u32, WAYS>::new();
        for way in 0..WAYS {
            let slot = self.slot(leaf, way)?;
            if slot != 0 && first_page + way as u64 >= keep {
                // The list has room for every slot of a node.
                let _full = freed.push(slot - 1);
                self.set_slot(tx, leaf, way, 0)?;
            }
        }
        if freed.is_empty() {
            return Ok(Cut::Finished);
        }
        self.pages.release(tx, &freed)?;
        inode.pages = inode.pages.saturating_sub(freed.len() as u32);
        self.prune(tx, inode, &path)?;
        Ok(Cut::More)
    }

    /// The nodes from the last leaf (first) to the top, and the file page of the leaf's slot 0.
    fn last_leaf(&self, inode: &Inode) -> Result<([u32; MAX_HEIGHT as usize], u64), Error> {
        let mut path = [0; MAX_HEIGHT as usize];
        let mut page = 0;
        let mut node = inode.index;
        for level in (1..=inode.height.min(MAX_HEIGHT)).rev() {
            path[usize::from(level) - 1] = node;
            if level > 1 {
                let way = self.last_way(node)?.ok_or(Error::Damaged)?;
                page = page << WAY_BITS | way as u64;
                node = self.slot(node, way)?;
            }
        }
        Ok((path, page << WAY_BITS))
    }

    fn last_way(&self, node: u32) -> Result<Option<usize>, Error> {
        for way in (0..WAYS).rev() {
            if self.slot(node, way)? != 0 {
                return Ok(Some(way));
            }
        }
        Ok(None)
    }

    /// Frees the nodes of `path` (leaf first) that are empty. Each but the top hangs in the last used slot of the one above it.
    fn prune(&self, tx: &Transaction<'_>, inode: &mut Inode, path: &[u32; MAX_HEIGHT as usize]) -> Result<(), Error> {
        let height = usize::from(inode.height.min(MAX_HEIGHT));
        for level in 0..height {
            if self.last_way(path[level])?.is_some() {
                return Ok(());
            }
            match path[..height].get(level + 1) {
                Some(above) => {
                    let way = self.last_way(*above)?.ok_or(Error::Damaged)?;
                    self.set_slot(tx, *above, way, 0)?;
                }
                None => (inode.index, inode.height) = (0, 0),
            }
            self.give_node(tx, path[level])?;
        }
        Ok(())
    }

    /// Visits every page and node of a file; for [`crate::check`]. `visit` gets the file page of each page, and the nodes.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn walk_index(&self, inode: &Inode, visit: &mut dyn FnMut(Visited) -> bool) -> Result<(), Error> {
        self.walk_node(inode.index, inode.height, 0, visit)
    }

    fn walk_node(&self, slot: u32, height: u8, first: u64, visit: &mut dyn FnMut(Visited) -> bool) -> Result<(), Error> {
        let Some(data) = slot.checked_sub(1) else { return Ok(()) };
        if height == 0 {
            return if visit(Visited::Page { page: first, data }) { Ok(()) } else { Err(Error::Damaged) };
        }
        if height > MAX_HEIGHT || !visit(Visited::Node(slot)) || self.last_way(slot)?.is_none() {
            return Err(Error::Damaged);
        }
        for way in 0..WAYS {
            self.walk_node(self.slot(slot, way)?, height - 1, first << WAY_BITS | way as u64, visit)?;
        }
        Ok(())
    }

    /// The link of a free node; for [`crate::check`].
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not empty otherwise.
    pub fn free_node_link(&self, node: u32) -> Result<u32, Error> {
        for way in 1..WAYS {
            if self.slot(node, way)? != 0 {
                return Err(Error::Damaged);
            }
        }
        self.slot(node, 0)
    }
}

/// What [`State::walk_index`] meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visited {
    /// A node.
    Node(u32),
    /// A page of data.
    Page {
        /// Its place in the file.
        page: u64,
        /// Its place in the region.
        data: u32,
    },
}
