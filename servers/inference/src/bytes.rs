//! Reading little-endian numbers and counted strings from bytes that nobody vouches for.
//!
//! Every read either yields bytes that are there or [`Error::Truncated`]; nothing is computed from a length before it has been compared with
//! what is left, so that no length can overflow.

use crate::error::Error;

/// What is left to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    left: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Bytes that are left.
    pub(crate) const fn length(&self) -> usize {
        self.left.len()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Error> {
        let count = usize::try_from(count).map_err(|_| Error::Truncated)?;
        let (taken, left) = self.left.split_at_checked(count).ok_or(Error::Truncated)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, left) = self.left.split_first_chunk().ok_or(Error::Truncated)?;
        self.left = left;
        Ok(*taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string: its length in 8 bytes, then its bytes, which are text or not.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u64()?;
        self.take(length)
    }

    /// A string that must be text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        core::str::from_utf8(self.string()?).map_err(|_| Error::NotText)
    }
}
