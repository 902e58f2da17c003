//! Owned Memory: making objects of it, cutting it, taking it back. New capabilities go to slot `slot` of `table` (a handle, or
//! [`abi::OWN_TABLE`]).

use abi::{Error, ObjectKind, Operation};

use super::{command, query};

/// Makes a kernel object of `pages` pages (only tables have more than one) from `offset` on.
///
/// # Errors
/// What the kernel says.
pub fn retype(memory: u32, offset: u64, kind: ObjectKind, pages: u64, table: u32, slot: u32) -> Result<(), Error> {
    command(Operation::Retype, memory, [offset, kind as u64, pages, u64::from(slot), u64::from(table)])
}

/// Cuts it in two: the pages from `offset` on become a capability of their own.
///
/// # Errors
/// What the kernel says.
pub fn split(memory: u32, offset: u64, table: u32, slot: u32) -> Result<(), Error> {
    command(Operation::Split, memory, [offset, u64::from(slot), u64::from(table)])
}

/// Joins `next`, which begins where `memory` ends, to it; its capability goes.
///
/// # Errors
/// What the kernel says.
pub fn merge(memory: u32, next: u32) -> Result<(), Error> {
    command(Operation::Merge, memory, [u64::from(next)])
}

/// Destroys what lies in the pages and zeroes them. Returns how many were done.
///
/// # Errors
/// What the kernel says.
pub fn reclaim(memory: u32, offset: u64, pages: u64) -> Result<u64, Error> {
    query(Operation::Reclaim, memory, [offset, pages])
}

/// Kills every other capability to the pages. Returns how many were done.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn revoke(memory: u32, offset: u64, pages: u64) -> Result<u64, Error> {
    query(Operation::Revoke, memory, [offset, pages])
}

/// Makes a lent Memory, or narrower IoPorts or Irq: `count` from `offset` on, with the rights in `rights` that the source has.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn derive(source: u32, offset: u64, count: u64, rights: u8, table: u32, slot: u32) -> Result<(), Error> {
    command(Operation::Derive, source, [offset, count, u64::from(rights), u64::from(slot), u64::from(table)])
}

/// Bit i is set when page `offset` + i is plain memory that nothing maps or pins, for 64 pages.
///
/// # Errors
/// What the kernel says.
pub fn free_pages(memory: u32, offset: u64) -> Result<u64, Error> {
    query(Operation::FreePages, memory, [offset])
}

/// The physical address of a page.
///
/// # Errors
/// What the kernel says.
pub fn physical_address(memory: u32, offset: u64) -> Result<u64, Error> {
    query(Operation::PhysicalAddress, memory, [offset])
}
