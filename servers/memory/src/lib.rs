//! Memory: owns all pages that are nobody else's, sells them to those who page for others, and brings pages to native servers.
//!
//! The kernel's objects are the truth. There is no list of free pages and no table of regions that could disagree with them: a page is free iff the
//! kernel says so, a region is an AddressSpace in a slot that its service's number names. Starting is recovery, every time.
//!
//! Where to start: [`kernel::slot`] (the vault), [`pieces`] (free pages), [`pager`] (faults), [`trade`] (sales), [`compact`] (making room for 2 MiB pages).
//! Absent on purpose: calls to other
//! servers. Everybody waits for memory, so memory waits for nobody; its own pages are all there before it starts.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod blocks;
pub mod compact;
pub mod kernel;
pub mod native;
pub mod pager;
pub mod pieces;
pub mod saved;
pub mod server;
pub mod trade;
pub mod wish;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
