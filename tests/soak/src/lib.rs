//! What runs for long: [`fuzz`] throws bytes at whatever reads foreign bytes, [`models`] tries all short histories with all crashes,
//! [`chaos`] kills servers at random under a running system.
//!
//! All three drive the real code and keep no model of it beyond what a caller may expect. Everything random follows from a seed that is
//! printed; what failed can be run again alone. `cargo xtask soak` builds and starts this, and `cargo test` runs a little of the first two.
//!
//! The files of other crates' tests below are used as they are, so that there is one place that knows how to make a vfs on the host, samples
//! of every message, and programs of system calls.

pub mod chaos;
pub mod fuzz;
pub mod models;

#[path = "../../../microkernel/tests/random/arguments.rs"]
mod arguments;
#[path = "../../../microkernel/tests/random/dice.rs"]
mod dice;
#[path = "../../../servers/vfs/tests/suite/harness.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "a part of it is used, and it may panic as tests may")]
mod harness;
#[path = "../../../microkernel/tests/random/play.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "a part of it is used, and it may panic as tests may")]
mod play;
#[path = "../../../protocols/tests/samples/mod.rs"]
mod samples;
#[path = "../../../microkernel/tests/fastpath/talk.rs"]
#[allow(clippy::unwrap_used, reason = "it may panic as tests may")]
mod talk;
#[path = "../../../servers/inference/tests/suite/writer.rs"]
mod writer;
