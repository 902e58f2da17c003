//! The kernel operations that the supervisor uses, as a trait, so that all its logic runs on the host.
//!
//! Handles are slots of the supervisor's own table (its ids are in [`crate::slot`]); all memory is a range of the one owned Memory capability that
//! is its reserve. Range operations return how many pages they did.

use abi::{EndpointState, Error, Frame, ObjectKind, ThreadSetting, TraceRecord};
pub use libsys::syscall::InHand;

/// What to do to a slot of another table: which rights stay and which badge it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mint {
    /// [`abi::Rights`] to keep.
    pub rights: u8,
    /// The new badge; `None` keeps the source's.
    pub badge: Option<u64>,
}

/// A range of the owned Memory capability in slot `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Slot of the capability.
    pub memory: u32,
    /// First page in it.
    pub page: u64,
    /// Pages.
    pub pages: u64,
}

/// The operations.
pub trait Kernel {
    /// Cuts a Memory: pages from `page` on become the capability in slot `to`.
    ///
    /// # Errors
    /// The kernel's, as with every operation here.
    fn split(&mut self, memory: u32, page: u64, to: u32) -> Result<(), Error>;
    /// Makes an object of pages of the reserve.
    ///
    /// # Errors
    /// The kernel's.
    fn retype(&mut self, range: Range, kind: ObjectKind, to: u32) -> Result<(), Error>;
    /// One step of destroying what lies in a range. Returns pages done.
    ///
    /// # Errors
    /// The kernel's.
    fn reclaim(&mut self, range: Range) -> Result<u64, Error>;
    /// Copies a capability into a slot of the table `table`.
    ///
    /// # Errors
    /// The kernel's.
    fn copy(&mut self, table: u32, to: u32, from: u32, mint: Mint) -> Result<(), Error>;
    /// Moves a capability, of owned Memory too, into a slot of the table `table`.
    ///
    /// # Errors
    /// The kernel's.
    fn give(&mut self, table: u32, to: u32, from: u32) -> Result<(), Error>;
    /// Moves a capability from slot `from` of the table `table` into a slot of the own table.
    ///
    /// # Errors
    /// The kernel's.
    fn take_back(&mut self, to: u32, table: u32, from: u32) -> Result<(), Error>;
    /// Puts `count` I/O ports or interrupt lines from `first` on into a slot of the table `table`.
    ///
    /// # Errors
    /// The kernel's.
    fn derive(&mut self, table: u32, to: u32, from: u32, first: u64, count: u64) -> Result<(), Error>;
    /// Empties a slot of the table `table` ([`abi::OWN_TABLE`] for the supervisor's own).
    ///
    /// # Errors
    /// The kernel's.
    fn delete(&mut self, table: u32, slot: u32) -> Result<(), Error>;
    /// One step of an instance's death. Returns callers left.
    ///
    /// # Errors
    /// The kernel's.
    fn kill(&mut self, table: u32) -> Result<u64, Error>;
    /// Maps pages. Returns pages done.
    ///
    /// # Errors
    /// The kernel's.
    fn map(&mut self, space: u32, address: u64, range: Range, flags: u64) -> Result<u64, Error>;
    /// Changes the protection of mapped pages. Returns pages done.
    ///
    /// # Errors
    /// The kernel's.
    fn protect(&mut self, space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error>;
    /// Copies at most [`abi::COPY_BYTES`] bytes into a space. Returns bytes done.
    ///
    /// # Errors
    /// The kernel's.
    fn copy_to(&mut self, space: u32, address: u64, bytes: &[u8]) -> Result<u64, Error>;
    /// Gives a space pages for its tables. Returns pages done.
    ///
    /// # Errors
    /// The kernel's.
    fn add_tables(&mut self, space: u32, range: Range) -> Result<u64, Error>;
    /// Names the pager of a space.
    ///
    /// # Errors
    /// The kernel's.
    fn set_pager(&mut self, space: u32, endpoint: u32) -> Result<(), Error>;
    /// One step of taking a space apart. Returns 0 when nothing is left.
    ///
    /// # Errors
    /// The kernel's.
    fn dismantle(&mut self, space: u32) -> Result<u64, Error>;
    /// Sets a thread up.
    ///
    /// # Errors
    /// The kernel's.
    fn configure(&mut self, thread: u32, setting: ThreadSetting, value: u64, second: u64) -> Result<(), Error>;
    /// Sets a stopped thread's registers.
    ///
    /// # Errors
    /// The kernel's.
    fn set_frame(&mut self, thread: u32, frame: &Frame) -> Result<(), Error>;
    /// A stopped thread's registers.
    ///
    /// # Errors
    /// The kernel's.
    fn get_frame(&mut self, thread: u32) -> Result<Frame, Error>;
    /// Copies from a space until `to` is full; at most [`abi::COPY_BYTES`] bytes.
    ///
    /// # Errors
    /// The kernel's.
    fn copy_from(&mut self, space: u32, address: u64, to: &mut [u8]) -> Result<(), Error>;
    /// Makes a thread runnable.
    ///
    /// # Errors
    /// The kernel's.
    fn start(&mut self, thread: u32) -> Result<(), Error>;
    /// Stops a thread wherever it is.
    ///
    /// # Errors
    /// The kernel's.
    fn stop(&mut self, thread: u32) -> Result<(), Error>;
    /// What a thread is doing.
    ///
    /// # Errors
    /// The kernel's.
    fn counters(&mut self, thread: u32) -> Result<Counters, Error>;
    /// What request a thread has in hand. With a limit it is blamed for the thread's end, and refused at the limit-th time.
    ///
    /// # Errors
    /// The kernel's.
    fn blame(&mut self, thread: u32, limit: u32) -> Result<Option<InHand>, Error>;
    /// Whether callers queue at an endpoint while nobody receives there.
    ///
    /// # Errors
    /// The kernel's.
    fn is_unattended(&mut self, endpoint: u32) -> Result<bool, Error>;
    /// Opens, holds or closes an endpoint.
    ///
    /// # Errors
    /// The kernel's.
    fn set_state(&mut self, endpoint: u32, state: EndpointState) -> Result<(), Error>;
    /// Signals a notification.
    ///
    /// # Errors
    /// The kernel's.
    fn signal(&mut self, notification: u32, bits: u64) -> Result<(), Error>;
    /// Writes to an I/O port.
    ///
    /// # Errors
    /// The kernel's.
    fn port_out(&mut self, port: u16, width: u8, value: u32) -> Result<(), Error>;
    /// Turns tracing on or off, and copies what is recorded from a number on: the number of the first record, and how many.
    ///
    /// # Errors
    /// The kernel's.
    fn trace(&mut self, on: bool, from: u64, records: &mut [TraceRecord]) -> Result<(u64, usize), Error>;
    /// Writes a line to the system's log.
    fn log(&mut self, line: &str);
    /// The time-stamp counter.
    fn now(&mut self) -> u64;
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// For a message, or to be started: nobody waits for it.
    #[default]
    Idle,
    /// For nothing: it runs or could.
    Running,
    /// For another server's answer.
    Calling,
    /// For a signal.
    Waiting,
}

/// What a thread is doing; see [`abi::Operation::Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whether it gets on by itself.
    pub doing: Doing,
    /// It has a request in hand.
    pub in_hand: bool,
    /// When it received its last request, in ticks.
    pub received_at: u64,
    /// How many calls it made.
    pub calls: u64,
    /// Ticks that it ran on its own account.
    pub own_ticks: u64,
    /// How often it said that it gets on: not the kernel's, and 0 for those that are not asked.
    pub beats: u64,
}
