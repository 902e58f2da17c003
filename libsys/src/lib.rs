//! The runtime of native servers. A tour for the author of one:
//!
//! - [`entry!`] names the function that thread 0 runs; [`start::info`] says who this instance is.
//! - [`saved`] holds what outlives the instance: records changed in transactions, rolled back when a crash cut one short. [`lane`]
//!   remembers, in the same transactions, which numbered requests were done.
//! - [`serve::run`] receives messages, gives calls to the protocol's `serve`, everything else to methods of [`serve::Server`], and answers.
//! - [`Peer`] calls other servers, through the typed clients of `protocols`; the retry after a death is in there.
//! - [`fail`] marks the places where tests let a server die, [`mark`] those that a traced bench looks for. [`log!`], [`clock`], [`heap`] and [`syscall`] are what they say.
//!
//! A server's logic depends on none of these but `saved`, `lane` and `fail`, which behave on the host as they do in the machine; [`host`]
//! has the tests' side of them. Everything else compiles on the host, and its kernel operations fail there.
//!
//! Absent on purpose: locks. A server changes its state from one thread.
#![no_std]

#[cfg(any(test, not(target_os = "none")))]
extern crate std;

pub mod clock;
pub mod death;
mod entry;
pub mod fail;
pub mod heap;
#[cfg(not(target_os = "none"))]
pub mod host;
pub mod lane;
pub mod layout;
pub mod log;
pub mod mark;
mod once;
pub mod opaque;
mod peer;
pub mod random;
pub mod saved;
pub mod serve;
pub mod slot;
pub mod start;
pub mod syscall;
pub mod text;
pub mod thread;

#[doc(hidden)]
pub use entry::{begin, thread_without_work};
pub use peer::{Peer, next_number};
pub use serve::{Outcome, reply};

/// The README's example, kept true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
