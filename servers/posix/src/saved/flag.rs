//! Bits of [`super::Process::flags`].

/// It has executed a program since its fork.
pub const EXECUTED: u32 = 1;
/// A stop is to be reported to the parent.
pub const STOP_REPORT: u32 = 2;
/// A continuation is to be reported.
pub const CONTINUE_REPORT: u32 = 4;
/// Stopped by a signal.
pub const STOPPED: u32 = 8;
/// Killed or exiting: no lane of it runs again.
pub const EXITING: u32 = 16;
/// `PR_SET_CHILD_SUBREAPER`.
pub const SUBREAPER: u32 = 32;
/// `PR_SET_NO_NEW_PRIVS`.
pub const NO_NEW_PRIVILEGES: u32 = 64;
/// Not dumpable.
pub const NOT_DUMPABLE: u32 = 128;
/// `PR_SET_THP_DISABLE`: programs never have large pages, so this is for who asks.
pub const NO_HUGE_PAGES: u32 = 256;
