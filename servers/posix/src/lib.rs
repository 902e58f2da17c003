//! Linux system calls for unmodified static x86_64 programs.
//!
//! A program's `syscall` reaches this server as a message with its raw registers; so do its page faults. Start at [`server`], which says what becomes of a
//! message, then [`call`] and [`table`]; [`saved`] and [`recovery`] say what a crash leaves and what the next instance makes of it. Everything below is reached
//! through [`kernel::Kernel`], so all of this runs in host tests.
//!
//! Absent on purpose: paths and file contents (vfs), the line discipline ([`terminal`]; the console's is run by the console server), free memory (memory). Locks: there is one receiver.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod ahead;
pub mod answers;
pub mod call;
pub mod cut;
pub mod device;
pub mod devpts;
mod doubt;
pub mod elf;
pub mod epoll;
pub mod errno;
pub mod exec;
pub mod exit;
pub mod fail;
#[cfg(test)]
mod fake;
pub mod fault;
pub mod fd;
pub mod fork;
pub mod frames;
pub mod guest;
pub mod hands;
pub mod hot;
pub mod io;
pub mod kernel;
pub mod lent;
pub mod linger;
pub mod llm;
pub mod load;
pub mod located;
pub mod lock;
#[cfg(target_os = "none")]
pub mod native;
mod oom;
pub mod options;
pub mod path;
pub mod pipe;
pub mod place;
pub mod poll;
pub mod proc;
pub mod random;
pub mod recovery;
pub mod registers;
pub mod replies;
pub mod saved;
pub mod script;
pub mod server;
pub mod signal;
pub mod socket;
pub mod space;
pub mod stack;
pub mod stat;
pub mod store;
pub mod sure;
pub mod syscall;
pub mod table;
mod text_busy;
pub mod timerfd;
pub mod tty;
pub mod vdso;
pub mod vma;
pub mod wait;

#[cfg(test)]
mod tests;
