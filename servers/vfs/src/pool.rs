//! Which slots of a saved array are in use: a list through the free ones, and a mark above which none was ever used.
//!
//! The mark lets a fresh area be all zeros. Slot 0 is never given out, so that 0 means none everywhere. Where a free slot keeps its link is the array's
//! business: it passes the way to read and write it.

use libsys::saved::{Cell, Transaction};
use protocols::vfs::Error;

libsys::saved_state! {
    /// The free slots of one array.
    pub struct Pool: 1 {
        first_free: Cell<u32>,
        highest: Cell<u32>,
        live: Cell<u32>,
    }
}

impl Pool {
    /// How many slots are in use.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live.get()
    }

    /// The highest slot that was ever used.
    #[must_use]
    pub fn highest(&self) -> u32 {
        self.highest.get()
    }

    /// The first slot of the list of free ones, or 0.
    #[must_use]
    pub fn first_free(&self) -> u32 {
        self.first_free.get()
    }

    /// Takes a slot below `slots`; `link` reads a free slot's link.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub fn take(&self, tx: &Transaction<'_>, slots: usize, link: impl FnOnce(u32) -> Result<u32, Error>) -> Result<u32, Error> {
        let slot = match self.first_free.get() {
            0 => {
                let slot = self.highest.get() + 1;
                if slot as usize >= slots {
                    return Err(Error::NoSpace);
                }
                self.highest.set(tx, slot);
                slot
            }
            slot => {
                self.first_free.set(tx, link(slot)?);
                slot
            }
        };
        self.live.set(tx, self.live.get() + 1);
        Ok(slot)
    }

    /// Puts a slot back and returns the link that the caller stores in it.
    #[must_use = "the free slot must hold the link"]
    pub fn give(&self, tx: &Transaction<'_>, slot: u32) -> u32 {
        let link = self.first_free.get();
        self.first_free.set(tx, slot);
        self.live.set(tx, self.live.get().saturating_sub(1));
        link
    }
}
