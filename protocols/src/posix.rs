//! What other servers tell posix: nobody calls it but Linux programs, whose system calls and faults the kernel delivers, so there are no requests here. Servers
//! below it signal its notification when something that it was refused for now may succeed.
//!
//! The bits of all signallers share one word, so each signaller's protocol gives out its own and this module shows that they are different.

/// Bits of posix's notification. A restarted server sets all of its own.
pub mod event {
    /// vfs: what was answered `Pending` may be asked again.
    pub const VFS_READY: u64 = crate::vfs::event::READY;
    /// The console: input, room, signals.
    pub const CONSOLE: u64 = crate::console::event::ALL;

    const _: () = assert!(VFS_READY & CONSOLE == 0 && (VFS_READY | CONSOLE) & abi::DEADLINE_BIT == 0, "signallers must not share bits");
}
