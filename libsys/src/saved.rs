//! What a server remembers across its own death.
//!
//! Saved state is a fixed structure of cells ([`Cell`], [`Array`], [`Bytes`]) without pointers, at a fixed address, in memory that outlives
//! the instance. It changes only inside a [`Transaction`]: before a cell is overwritten its old bytes go to an undo log. Committing empties
//! the log with one store. An instance that finds a log that is not empty rolls back, so **every store either never happened or belongs to
//! a committed transaction**, whichever store the predecessor died at.
//!
//! - Memory of zeros is a fresh area: nothing has to be initialised, and pages that were never touched cost nothing.
//! - Cells are shared references, so that logic takes `&'static State` and no borrow spans a server; they belong to one thread.
//! - Element types are [`Plain`]: every bit pattern is a value, without padding. Damaged memory can thus hold wrong numbers, never
//!   undefined behaviour; a server checks each index it reads after a restart.
//!
//! Why undo and not redo: reads then need no look-aside, which matters more than a copy of the old bytes at each write. Why no checksum:
//! what a wild write can break, it can break together with the checksum's input; the order of truth (page tables before saved state) is the
//! defence.
//!
//! ```
//! libsys::saved_state! {
//!     /// What the counter remembers.
//!     pub struct Counter: 1 {
//!         /// How often it was asked.
//!         pub count: libsys::saved::Cell<u64>,
//!         /// The last names.
//!         pub names: libsys::saved::Array<[u8; 16], 8>,
//!     }
//! }
//!
//! let area = libsys::saved::Area::<Counter>::on_host();
//! let tx = area.begin();
//! area.state().count.set(&tx, 1);
//! tx.commit();
//! drop(area.begin()); // rolls back: nothing was changed
//! assert_eq!(area.state().count.get(), 1);
//! ```
#![allow(unsafe_code, reason = "typed access to memory that outlives the program")]

mod area;
mod cell;
mod log;
mod plain;

pub use area::{Area, LOG_BYTES, Opened, SavedState};
pub use cell::{Array, Bytes, Cell, Field};
pub use log::Transaction;
pub use plain::{Plain, zeroed};

#[cfg(test)]
mod tests;
