//! Address spaces and regions. An operation on a range returns how many pages it did, at least one and at most [`abi::BUDGET_PAGES`], fewer when an
//! interrupt came: the caller goes on from there.

use abi::{Error, Operation};

use super::endpoint::{CopyError, copy_in, copy_once, copy_out};
use super::{command, page, query};

/// Most pages that one [`list`] tells of.
pub const LIST_PAGES: u64 = 448;

/// The pages that a mapping is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSource {
    /// Handle of the Memory.
    pub memory: u32,
    /// First page in it.
    pub first: u64,
    /// How many.
    pub pages: u64,
}

/// Maps pages of a Memory at `address` with [`abi::MapFlags`].
///
/// # Errors
/// What the kernel says; [`Error::NeedsTable`] asks for [`add_tables`].
#[inline]
pub fn map(space: u32, address: u64, source: MapSource, flags: u64) -> Result<u64, Error> {
    query(Operation::Map, space, [address, u64::from(source.memory), source.first, source.pages, flags])
}

/// Unmaps; pages that are not mapped count as done.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn unmap(space: u32, address: u64, pages: u64) -> Result<u64, Error> {
    query(Operation::Unmap, space, [address, pages])
}

/// Changes the access of what is mapped to [`abi::MapFlags`].
///
/// # Errors
/// What the kernel says.
pub fn protect(space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
    query(Operation::Protect, space, [address, pages, flags])
}

/// Maps what `source` has at `source_address` here too, with [`abi::MapFlags`].
///
/// # Errors
/// What the kernel says; [`Error::NeedsTable`] asks for [`add_tables`].
pub fn share(space: u32, address: u64, source: u32, source_address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
    query(Operation::Share, space, [address, u64::from(source), source_address, pages, flags])
}

/// As [`share`], copy-on-write: both sides lose the right to write until [`unshare`].
///
/// # Errors
/// What the kernel says; [`Error::NeedsTable`] asks for [`add_tables`].
pub fn clone(space: u32, address: u64, source: u32, source_address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
    query(Operation::Clone, space, [address, u64::from(source), source_address, pages, flags])
}

/// Ends copy-on-write for one page, with a copy in page `first` of `memory` if others still map the old one. Returns whether the page was used.
///
/// # Errors
/// What the kernel says.
pub fn unshare(space: u32, address: u64, memory: u32, first: u64) -> Result<bool, Error> {
    query(Operation::Unshare, space, [address, u64::from(memory), first]).map(|used| used != 0)
}

/// Copies from the space until `to` is full or [`abi::COPY_BYTES`] are copied. Returns how many bytes were copied.
///
/// # Errors
/// [`CopyError`].
pub fn copy_from(space: u32, address: u64, to: &mut [u8]) -> Result<usize, CopyError> {
    copy_in(Operation::CopyFrom, space, |local, bytes| [address, local, bytes], to)
}

/// Copies to the space, the other way round.
///
/// # Errors
/// [`CopyError`].
pub fn copy_to(space: u32, address: u64, from: &[u8]) -> Result<usize, CopyError> {
    copy_out(Operation::CopyTo, space, |local, bytes| [address, local, bytes], from)
}

/// Replaces the word at `address`, a multiple of 4, by `new` if it is `expected`, in one atomic step. Returns the word that was there.
///
/// # Errors
/// [`CopyError`].
pub fn exchange(space: u32, address: u64, expected: u32, new: u32) -> Result<u32, CopyError> {
    copy_once(Operation::Exchange, space, [address, u64::from(expected), u64::from(new)]).map(|found| found as u32)
}

/// Copies from another space to the space, at most [`abi::COPY_BYTES`]. Returns how many bytes were copied; [`abi::Error::LocalFault`] if the other space has no page
/// there.
///
/// # Errors
/// [`CopyError`].
pub fn copy_across(space: u32, address: u64, source: u32, from: u64, bytes: u64) -> Result<usize, CopyError> {
    copy_once(Operation::CopyAcross, space, [address, u64::from(source), from, bytes])
}

/// Tells of the pages from `address` on, one word each: 0, or the page's number shifted by 12 with [`abi::MapFlags`]. Returns how many
/// words were filled.
///
/// # Errors
/// What the kernel says.
pub fn list(space: u32, address: u64, pages: &mut [u64]) -> Result<usize, Error> {
    let wanted = (pages.len() as u64).min(LIST_PAGES);
    let done = query(Operation::List, space, [address, wanted])?.min(wanted) as usize;
    page::take_words(pages.get_mut(..done).unwrap_or_default());
    Ok(done)
}

/// Gives the space pages for its tables, all of them.
///
/// # Errors
/// What the kernel says; the pages before the one that it says it of are given.
pub fn add_tables(space: u32, source: MapSource) -> Result<(), Error> {
    let mut done = 0;
    while done < source.pages {
        done += query(Operation::AddTables, space, [u64::from(source.memory), source.first + done, source.pages - done])?;
    }
    Ok(())
}

/// Names the endpoint (CALL) that gets the space's page faults.
///
/// # Errors
/// What the kernel says.
pub fn set_pager(space: u32, endpoint: u32) -> Result<(), Error> {
    command(Operation::SetPager, space, [u64::from(endpoint)])
}

/// One step of taking the space apart. Returns 0 when nothing is left.
///
/// # Errors
/// What the kernel says.
pub fn dismantle(space: u32) -> Result<u64, Error> {
    query(Operation::Dismantle, space, [])
}
