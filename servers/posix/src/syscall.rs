//! Linux system calls: a file for each call and its near relatives, a function `sys_<name>` for each. Which number is which is [`crate::table`]'s to say.
//!
//! A function runs from its start each time its call is tried, under the same number: see [`crate::server`].

pub mod access;
pub mod attributes;
pub mod close;
pub mod copy_file_range;
pub mod directory;
pub mod dup;
pub mod execve;
pub mod exit;
pub mod fallocate;
pub mod fcntl;
pub mod flock;
pub mod fork;
pub mod futex;
pub mod getdents64;
pub mod ids;
pub mod ioctl;
pub mod kill;
pub mod limits;
pub mod lseek;
pub mod memfd_create;
pub mod misc;
pub mod mmap;
pub mod names;
pub mod open;
pub mod pipe;
pub mod poll;
pub mod prctl;
pub mod read;
pub mod readlink;
pub mod readv;
pub mod rt_sigaction;
pub mod sendfile;
pub mod stat;
pub mod statfs;
pub mod sync;
pub mod time;
pub mod uname;
pub mod wait4;
pub mod write;
pub mod xattr;
