//! The file system server: paths, files and their pages, all in memory that outlives the instance.
//!
//! - [`gate`] is what every request passes: duplicate check, one attempt in one transaction, commit, answer. Its table says which function does what.
//! - [`attempt`] is what the operations work with; they stand in [`open`], [`data`], [`attributes`], [`make`], [`remove`], [`rename`], [`holes`] and [`list`],
//!   on top of [`walk`] (paths) and [`permission`].
//! - [`saved`] is the state: [`inode`], [`directory`], [`text`], [`index`] (page tables of files), [`pages`] (which pages are free), [`pool`].
//! - [`settle`] does what a commit leaves over; [`check`] says what must hold; [`unpack`] and [`cpio`] bring the root file system.
//! - [`host`] is the machine as the logic sees it, [`machine`] the real one; [`ready`] and [`fail`] are the tests' handles.
//!
//! Absent on purpose: descriptors, offsets, pipes, device drivers, `/proc`: those are posix's. There is no lock: one thread changes the state.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod attempt;
pub mod attributes;
pub mod check;
pub mod cpio;
pub mod data;
pub mod directory;
pub mod fail;
pub mod gate;
pub mod holes;
pub mod host;
pub mod index;
pub mod inode;
pub mod list;
pub mod machine;
pub mod make;
pub mod open;
pub mod pages;
pub mod permission;
pub mod pool;
pub mod ready;
pub mod remove;
pub mod rename;
pub mod saved;
pub mod settle;
pub mod text;
pub mod unpack;
pub mod walk;

pub use gate::{StartError, Vfs};
