//! Values of [`super::Thread::operation`].

/// None.
pub const NONE: u32 = 0;
/// fork, vfork or clone.
pub const FORK: u32 = 1;
/// execve.
pub const EXEC: u32 = 2;
