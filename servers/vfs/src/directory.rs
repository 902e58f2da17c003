//! Directory entries: found by name through one hash table of all directories, read in order through a list for each.
//!
//! An entry carries the number that its directory gave it (`sequence`, never given twice), and lists are in that order. A reader's place is that number and
//! the entry's slot: if the slot still holds that entry, reading goes on at its successor at once; if not, with the first entry of a higher number, so that
//! what stays is seen once whatever comes and goes.
//!
//! `.` and `..` are not stored. Absent: permissions, link counts and times, which are the operations' business.

use libsys::saved::Transaction;
use protocols::vfs::{Error, Kind};

use crate::inode::Inode;
use crate::saved::{BUCKETS, ENTRIES, Slots, State};

/// Bits of a cookie for the slot; the others are the sequence number.
const SLOT_BITS: u32 = 24;

libsys::plain! {
    /// A name of a file. All links are slots, 0 for none.
    pub struct Entry {
        /// Its number in the directory; never given twice.
        pub sequence: u64,
        /// The directory; 0 for a free slot.
        pub directory: u32,
        /// The file.
        pub inode: u32,
        /// The name's first chunk.
        pub text: u32,
        /// Hash of directory and name.
        pub hash: u32,
        /// The next one of the same bucket, or the next free slot.
        pub chain: u32,
        /// The one before it in the directory.
        pub previous: u32,
        /// The one after it in the directory.
        pub next: u32,
        /// Length of the name.
        pub length: u16,
        /// What the file is.
        pub kind: u8,
        /// No padding is left to chance.
        pub reserved: u8,
    }
}

impl Entry {
    /// The reader's place after this entry, which lies in `slot`.
    #[must_use]
    pub const fn cookie(&self, slot: u32) -> u64 {
        self.sequence << SLOT_BITS | slot as u64
    }
}

/// FNV-1a of directory and name.
fn hash(directory: u32, name: &[u8]) -> u32 {
    directory.to_le_bytes().iter().chain(name).fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

const fn bucket(hash: u32) -> u32 {
    hash % BUCKETS as u32
}

impl State {
    /// An entry in use.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a free slot or none.
    pub fn entry(&self, slot: u32) -> Result<Entry, Error> {
        let entry = self.entries.get_checked(slot)?;
        if slot == 0 || entry.directory == 0 { Err(Error::Damaged) } else { Ok(entry) }
    }

    fn change_entry(&self, tx: &Transaction<'_>, slot: u32, change: impl FnOnce(&mut Entry)) -> Result<(), Error> {
        let mut entry = self.entry(slot)?;
        change(&mut entry);
        self.entries.set_checked(tx, slot, entry)
    }

    /// The entry of a name.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn lookup(&self, directory: u32, name: &[u8]) -> Result<Option<(u32, Entry)>, Error> {
        let hash = hash(directory, name);
        let mut slot = self.buckets.get_checked(bucket(hash))?;
        while slot != 0 {
            let entry = self.entry(slot)?;
            let candidate = entry.hash == hash && entry.directory == directory && usize::from(entry.length) == name.len();
            if candidate && self.text_is(entry.text, name)? {
                return Ok(Some((slot, entry)));
            }
            slot = entry.chain;
        }
        Ok(None)
    }

    /// Adds a name, which must not be there, to the end of a directory.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; the transaction must then be dropped.
    pub fn add_entry(&self, tx: &Transaction<'_>, directory: u32, name: &[u8], inode: u32, kind: Kind) -> Result<u32, Error> {
        let length = u16::try_from(name.len()).map_err(|_| Error::NameTooLong)?;
        let slot = self.entry_pool.take(tx, ENTRIES, |slot| self.entries.get_checked(slot).map(|free| free.chain))?;
        let text = self.make_text(tx, name)?;
        let hash = hash(directory, name);
        let chain = self.buckets.get_checked(bucket(hash))?;
        let mut parent = self.inode(directory)?;
        let sequence = parent.sequence + 1;
        let previous = parent.last;
        let entry = Entry { sequence, directory, inode, text, hash, chain, previous, next: 0, length, kind: kind as u8, reserved: 0 };
        self.entries.set_checked(tx, slot, entry)?;
        self.buckets.set_checked(tx, bucket(hash), slot)?;
        match previous {
            0 => parent.first = slot,
            last => self.change_entry(tx, last, |entry| entry.next = slot)?,
        }
        (parent.last, parent.sequence, parent.entries) = (slot, sequence, parent.entries + 1);
        self.put_inode(tx, directory, &parent)?;
        Ok(slot)
    }

    /// Removes an entry; the file stays.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn remove_entry(&self, tx: &Transaction<'_>, slot: u32) -> Result<(), Error> {
        let entry = self.entry(slot)?;
        self.unchain(tx, slot, &entry)?;
        let mut parent = self.inode(entry.directory)?;
        match entry.previous {
            0 => parent.first = entry.next,
            previous => self.change_entry(tx, previous, |before| before.next = entry.next)?,
        }
        match entry.next {
            0 => parent.last = entry.previous,
            next => self.change_entry(tx, next, |after| after.previous = entry.previous)?,
        }
        parent.entries = parent.entries.saturating_sub(1);
        self.put_inode(tx, entry.directory, &parent)?;
        self.free_text(tx, entry.text, usize::from(entry.length))?;
        let chain = self.entry_pool.give(tx, slot);
        self.entries.set_checked(tx, slot, Entry { chain, ..Entry::default() })
    }

    fn unchain(&self, tx: &Transaction<'_>, slot: u32, entry: &Entry) -> Result<(), Error> {
        let bucket = bucket(entry.hash);
        let mut at = self.buckets.get_checked(bucket)?;
        if at == slot {
            return self.buckets.set_checked(tx, bucket, entry.chain);
        }
        loop {
            let before = self.entry(at)?;
            if before.chain == slot {
                return self.change_entry(tx, at, |before| before.chain = entry.chain);
            }
            at = before.chain;
        }
    }

    /// Makes an entry name another file.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn point_entry(&self, tx: &Transaction<'_>, slot: u32, inode: u32, kind: u8) -> Result<(), Error> {
        self.change_entry(tx, slot, |entry| (entry.inode, entry.kind) = (inode, kind))
    }

    /// The first entry after a reader's place; place 0 is before the first.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn entry_after(&self, directory: u32, inode: &Inode, cookie: u64) -> Result<Option<(u32, Entry)>, Error> {
        let (sequence, place) = (cookie >> SLOT_BITS, (cookie & ((1 << SLOT_BITS) - 1)) as u32);
        let mut slot = match self.entries.get_checked(place) {
            Ok(entry) if entry.directory == directory && entry.sequence == sequence => entry.next,
            _ => inode.first,
        };
        while slot != 0 {
            let entry = self.entry(slot)?;
            if entry.sequence > sequence {
                return Ok(Some((slot, entry)));
            }
            slot = entry.next;
        }
        Ok(None)
    }
}
