//! The server around the engine: what it is asked ([`words`]), what it keeps ([`works`]), who does it ([`worker`]), and how the two threads talk ([`mailbox`]).
//!
//! The receiver answers at once and alone has saved state; the worker, a helper thread, reads files, loads models ([`ready`]) and makes answers, a step of each in turn.

pub mod mailbox;
pub mod ready;
pub mod times;
mod watched;
pub mod words;
pub mod worker;
pub mod works;
