//! Names of directory entries and what symbolic links say: bytes in chains of small chunks, so that short ones cost little.

use heapless::Vec;
use libsys::saved::Transaction;
use protocols::vfs::{Error, MAX_PATH};

use crate::saved::{CHUNKS, Slots, State};

/// Bytes of a text in one chunk.
pub const CHUNK_BYTES: usize = 28;

libsys::plain! {
    /// A piece of a text. All but the last of a chain are full.
    pub struct Chunk {
        /// The rest of the text, or the next free chunk.
        pub next: u32,
        /// Its bytes; zeros behind the text's end.
        pub bytes: [u8; CHUNK_BYTES],
    }
}

impl State {
    /// Stores a text that is not empty; returns its first chunk.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; the transaction must then be dropped.
    pub fn make_text(&self, tx: &Transaction<'_>, text: &[u8]) -> Result<u32, Error> {
        let mut next = 0;
        for piece in text.chunks(CHUNK_BYTES).rev() {
            let number = self.chunk_pool.take(tx, CHUNKS, |slot| self.chunks.get_checked(slot).map(|free| free.next))?;
            let mut chunk = Chunk { next, ..Chunk::default() };
            for (to, from) in chunk.bytes.iter_mut().zip(piece) {
                *to = *from;
            }
            self.chunks.set_checked(tx, number, chunk)?;
            next = number;
        }
        Ok(next)
    }

    /// Whether a text of `length` bytes is not too long and leaves half of all chunks to names.
    #[must_use]
    pub fn has_room_for_text(&self, length: usize) -> bool {
        length <= MAX_PATH && self.chunk_pool.live() as usize + length.div_ceil(CHUNK_BYTES) <= CHUNKS / 2
    }

    /// Frees a text of `length` bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn free_text(&self, tx: &Transaction<'_>, first: u32, length: usize) -> Result<(), Error> {
        let mut number = first;
        for _ in 0..length.div_ceil(CHUNK_BYTES) {
            let next = self.chunks.get_checked(number)?.next;
            let link = self.chunk_pool.give(tx, number);
            self.chunks.set_checked(tx, number, Chunk { next: link, ..Chunk::default() })?;
            number = next;
        }
        if number == 0 { Ok(()) } else { Err(Error::Damaged) }
    }

    /// The text of `length` bytes that starts in chunk `first`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn text(&self, first: u32, length: usize) -> Result<Vec<u8, MAX_PATH>, Error> {
        let mut text = Vec::new();
        self.for_each_piece(first, length, |piece| text.extend_from_slice(piece).map_err(|_| Error::Damaged))?;
        Ok(text)
    }

    /// Whether a stored text of `text`'s length is `text`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn text_is(&self, first: u32, text: &[u8]) -> Result<bool, Error> {
        let mut number = first;
        for piece in text.chunks(CHUNK_BYTES) {
            let chunk = self.chunks.get_checked(number)?;
            if chunk.bytes.get(..piece.len()) != Some(piece) {
                return Ok(false);
            }
            number = chunk.next;
        }
        Ok(true)
    }

    /// Visits the numbers of a text's chunks; for [`crate::check`].
    ///
    /// # Errors
    /// [`Error::Damaged`], also when `visit` says `false`.
    pub fn walk_text(&self, first: u32, length: usize, mut visit: impl FnMut(u32) -> bool) -> Result<(), Error> {
        let mut number = first;
        for _ in 0..length.div_ceil(CHUNK_BYTES) {
            if number == 0 || !visit(number) {
                return Err(Error::Damaged);
            }
            number = self.chunks.get_checked(number)?.next;
        }
        if number == 0 { Ok(()) } else { Err(Error::Damaged) }
    }

    fn for_each_piece(&self, first: u32, length: usize, mut visit: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut number = first;
        let mut left = length;
        while left > 0 {
            let chunk = self.chunks.get_checked(number)?;
            let piece = left.min(CHUNK_BYTES);
            visit(chunk.bytes.get(..piece).ok_or(Error::Damaged)?)?;
            number = chunk.next;
            left -= piece;
        }
        Ok(())
    }
}
