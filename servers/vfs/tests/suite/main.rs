//! vfs as its callers see it: the real client, the real bytes, a machine of vectors. Every request may be answered `Pending` or `NeedsPage` first.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crash;
mod files;
mod harness;
mod holes;
mod memory;
mod model;
mod names;
mod permissions;
mod unpack;
