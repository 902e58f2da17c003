//! Values of [`super::Thread::redo`]: what is still to be done to the kernel's thread after a commit.

/// Nothing.
pub const NONE: u32 = 0;
/// Stop it, set its space and its saved frame, start it. It cannot have run since the commit.
pub const FRAME: u32 = 1;
/// Start it. It may have been started already.
pub const START: u32 = 2;
