//! What servers say to each other: for each server one module with its requests, replies, errors, typed client and service trait.
//!
//! The shape that all modules share:
//! - `Request` and `Reply` are plain enums, `Error` a closed one with a `Malformed` variant; on the wire a request is one postcard value and an
//!   answer is the postcard value of `Result<Reply, Error>` ([`wire`]);
//! - `Client<C: Carrier>` has one method for each operation, which goes through the one retry loop ([`call::call`]);
//! - `trait Service` has the same operations on the other side, and a function `serve` turns bytes into calls of it ([`serve::dispatch`]);
//! - each operation says whether it is idempotent or numbered (done once for its request number, see [`abi::RequestNumber`]).
//!
//! postcard numbers variants by position: messages are **append-only**, and `tests/golden.rs` holds the bytes. The README has the rules.
//!
//! Absent on purpose: how a message travels. The runtime's `Peer` carries it through the kernel, tests carry it through a closure.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod call;
pub mod console;
pub mod crash;
pub mod inference;
pub mod manifest;
pub mod memory;
pub mod posix;
pub mod serve;
pub mod service;
pub mod supervisor;
pub mod vfs;
pub mod victim;
pub mod wire;
