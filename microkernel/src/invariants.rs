//! What is true of the kernel's state between two traps, checked by counting everything anew.
//!
//! Nothing here trusts a counter, a flag or a helper of the kernel: page tables are walked by the SDM, queues by their links, capabilities by
//! their slots. So it is slow, and only the tests have it. What it cannot see, because the state has no history: that a handle which was dead
//! comes to life again; the random programs watch for that.

mod capabilities;
mod history;
mod pages;
mod threads;

use abi::ObjectKind;

use crate::capability::CapTable;
use crate::endpoint::Endpoint;
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::notification::Notification;
use crate::page::Ref;
use crate::space::AddressSpace;
use crate::thread::{State, Thread};

pub use capabilities::owned_pages;
pub use history::History;

/// An invariant that does not hold, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A present entry points at a page that is neither plain nor device memory.
    KernelPageMapped(PageNumber),
    /// `maps` of a page is not the number of entries that point at it.
    Maps(Count<PageNumber>),
    /// `huge` of a page is not the number of 2 MiB entries that begin there.
    Huge(Count<PageNumber>),
    /// `pins` of a page is not the number of threads that have it as message page.
    Pins(Count<PageNumber>),
    /// An entry is writable and executable.
    WritableAndExecutable(u64),
    /// An entry is writable and copy-on-write.
    WritableAndShared(u64),
    /// An entry gives more than the capability did that the page was mapped with.
    BeyondRights(u64),
    /// An entry lets user code reach an address at or above the end.
    AboveUserEnd(u64),
    /// An entry lacks the user bit, or a 2 MiB entry is not aligned.
    Malformed(u64),
    /// A page table is reached twice, or is none; or one that is not used yet is not zero.
    Table(PageNumber),
    /// A page of kind `PageTable` belongs to no space.
    TableLost(PageNumber),
    /// Two top-level tables differ in the kernel's half.
    KernelHalf(PageNumber),
    /// More than one owning capability covers a page.
    TwoOwners(PageNumber),
    /// A table has not as many owning capabilities as it counts.
    Owned(Count<u64>),
    /// A capability names pages that cannot be owned.
    OwnsNothing(Place),
    /// A slot holds what no operation could have put there.
    Slot(Place),
    /// The kernel takes a capability for valid that is not, or the other way round.
    Validity(Place),
    /// A Reply does not match the caller that it names.
    Reply(Place),
    /// A capability that did not work before works again.
    Reborn(Place),
    /// A capability has what no source of it had.
    Authority(Place),
    /// `revoked_at` of a page went back.
    Epoch(PageNumber),
    /// A table's later page is not marked as one, or the other way round.
    TablePage(PageNumber),
    /// A thread is not where its state says.
    State(Ref<Thread>, State, Vec<Seat>),
    /// The links of a list do not fit together.
    Links(Ref<Thread>),
    /// The run queue's bit of a level, or its tail, is wrong.
    RunQueue(usize),
    /// What the fast path reads instead of working it out is not what it would find.
    Unnoted(Ref<Thread>),
    /// A thread is runnable with less than it needs, or its registers could not be loaded.
    Unfit(Ref<Thread>),
    /// Server and caller do not name each other.
    Service(Ref<Thread>),
    /// `users` of a space or table is wrong, or a space that is taken apart has some.
    Users(Count<u64>),
    /// An endpoint could have delivered what it queues.
    Undelivered(Ref<Endpoint>),
    /// An endpoint's binding is not mutual.
    Bound(Ref<Endpoint>),
    /// A notification holds bits that somebody waits for.
    Unsignalled(Ref<Notification>),
    /// The list of deadlines is not sorted, or names a notification twice, or one that is gone.
    Deadlines(usize),
    /// A more important thread than the current one is runnable, or the processor idles beside one.
    Preemption,
    /// A thread is where only those of another processor may be.
    Processor(Ref<Thread>),
    /// The wrong thread pays.
    Payer(Ref<Thread>),
    /// The loaded space is not that of the current thread, or none at all.
    Loaded(PageNumber),
    /// The FPU's owner may not have it, or its trap is not as the owner wants.
    Fpu,
}

/// A counter that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<T> {
    /// Of what.
    pub of: T,
    /// What the kernel has.
    pub recorded: u64,
    /// What is there.
    pub counted: u64,
}

/// A slot: its table and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: Ref<CapTable>,
    /// The index.
    pub index: u32,
}

/// A place where a thread can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// On the processor.
    Current,
    /// In the run queue, at a level.
    Queued(usize),
    /// In an endpoint's queue of callers.
    Caller(Ref<Endpoint>),
    /// In an endpoint's list of receivers.
    Receiver(Ref<Endpoint>),
    /// Waiting for a notification.
    Waiter(Ref<Notification>),
    /// In a table's list of callers whose Reply lies there.
    Awaiting(Ref<CapTable>),
}

/// All objects, found by the kinds of all pages.
#[derive(Debug, Default)]
struct Objects {
    tables: Vec<Ref<CapTable>>,
    spaces: Vec<Ref<AddressSpace>>,
    threads: Vec<Ref<Thread>>,
    endpoints: Vec<Ref<Endpoint>>,
    notifications: Vec<Ref<Notification>>,
    page_tables: Vec<PageNumber>,
}

impl Objects {
    fn find<M: Machine>(kernel: &mut Kernel<M>) -> Self {
        let mut objects = Self::default();
        for page in 0..kernel.machine.page_count() {
            let Some(info) = kernel.machine.page_info(page).copied() else { continue };
            let address = kernel.machine.page_address(page);
            match info.kind() {
                // The later pages of a table are pinned by it.
                ObjectKind::CapTable if info.pins == 0 => objects.tables.push(Ref::at(address)),
                ObjectKind::AddressSpace => objects.spaces.push(Ref::at(address)),
                ObjectKind::Thread => objects.threads.push(Ref::at(address)),
                ObjectKind::Endpoint => objects.endpoints.push(Ref::at(address)),
                ObjectKind::Notification => objects.notifications.push(Ref::at(address)),
                ObjectKind::PageTable => objects.page_tables.push(page),
                _ => {}
            }
        }
        objects
    }
}

/// Checks everything, in the state that [`Kernel::finish`] leaves.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check<M: Machine>(kernel: &mut Kernel<M>) -> Result<(), Violation> {
    let objects = Objects::find(kernel);
    pages::check(kernel, &objects)?;
    capabilities::check(kernel, &objects)?;
    threads::check(kernel, &objects)
}

fn ensure(holds: bool, violation: impl FnOnce() -> Violation) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(violation()) }
}
