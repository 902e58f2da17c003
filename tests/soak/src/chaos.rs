//! Kills servers in a running system, and compares everything that came out with a run in which nobody died.
//!
//! In two ways: [`failpoints`] lets servers die at the places that they name themselves, in the middle of every operation that is not
//! idempotent; [`faults`] strikes them from outside at any instruction, by deaths, hangs, bit flips and wild writes, and makes a table of
//! what became of each.

pub mod failpoints;
pub mod faults;
mod kept;
mod output;
mod record;
mod table;
mod verdict;
