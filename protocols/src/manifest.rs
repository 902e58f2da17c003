//! The manifest as the supervisor reads it: which servers run, with what, and who may call whom.
//!
//! People write `initrd/services.toml`; the image builder checks it, where errors can name a line, and encodes it as this. The supervisor checks
//! again only what it needs to stay sound. Services start in the order of the list, so a service stands behind all that it calls.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

/// Most services in a manifest.
pub const MAX_SERVICES: usize = 16;
/// Most peers that a service may call.
pub const MAX_CALLS: usize = 16;
/// Most ranges of I/O ports of a service.
pub const MAX_PORTS: usize = 4;
/// Most interrupt lines of a service.
pub const MAX_IRQS: usize = 2;
/// Most threads of a service.
pub const MAX_THREADS: u8 = 8;
pub use abi::MAX_PROCESSORS;
/// [`Entry::processor`] of a service whose receivers go where their callers are.
pub const ANY_PROCESSOR: u8 = u8::MAX;
/// Most bytes of a service's name.
pub const MAX_NAME: usize = 24;

/// A range of I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// How many, at least one.
    pub count: u16,
}

/// When a service gets another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// After every death.
    Always,
    /// Never: its first death gives it up.
    Never,
}

/// What happens when a service is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnGivingUp {
    /// Its endpoint is closed: callers get an error, and somebody may revive it.
    Close,
    /// The power goes off: the machine is of no use without it.
    PowerOff,
}

/// How a service's deaths are answered. `initrd/services.toml` argues the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// When it gets another instance.
    pub restart: Restart,
    /// Pause before the second restart within [`Policy::per_ms`], doubling with each further one; the first is immediate.
    pub backoff_ms: u32,
    /// The longest such pause.
    pub backoff_most_ms: u32,
    /// More deaths than this within [`Policy::per_ms`] give it up.
    pub burst: u32,
    /// The window of [`Policy::burst`].
    pub per_ms: u32,
    /// How long a request, or a queue of callers without receiver, may stand still.
    pub watchdog_ms: u32,
    /// How long a helper may compute without a sign that it gets on; 0: as long as it likes.
    pub helper_watchdog_ms: u32,
    /// What giving up means.
    pub on_giving_up: OnGivingUp,
}

/// How much bought memory a service may hold: both limits count. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Of all memory, in hundredths.
    pub percent: u8,
    /// In pages.
    pub pages: u32,
}

impl Quota {
    /// Whether it may buy at all.
    #[must_use]
    pub const fn allows_some(self) -> bool {
        self.percent > 0 && self.pages > 0
    }

    /// Pages that may be held where there are `total` in the machine.
    #[must_use]
    pub const fn of(self, total: u64) -> u64 {
        let share = total / 100 * self.percent as u64;
        if share < self.pages as u64 { share } else { self.pages as u64 }
    }
}

/// What a service is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, as in [`crate::service::Service::from_name`].
    pub name: String<MAX_NAME>,
    /// Priority of its threads.
    pub priority: u8,
    /// Its threads that receive, at least 1; with the helpers at most [`MAX_THREADS`].
    pub threads: u8,
    /// Its helper threads: behind the others in number, and at their own priority.
    pub helpers: u8,
    /// Priority of the helpers, below that of the others.
    pub helper_priority: u8,
    /// Pages of its heap's window.
    pub heap_pages: u32,
    /// Pages of its saved state's window.
    pub saved_pages: u32,
    /// Pages of its region's window.
    pub region_pages: u32,
    /// Slots of its vault; 0 for none.
    pub keeps: u32,
    /// It is given the root file system's archive.
    pub rootfs: bool,
    /// How its deaths are answered.
    pub policy: Policy,
    /// Its I/O ports.
    pub ports: Vec<Ports, MAX_PORTS>,
    /// Its interrupt lines.
    pub irqs: Vec<u8, MAX_IRQS>,
    /// The numbers of the services that it calls.
    pub calls: Vec<u8, MAX_CALLS>,
    /// What it may buy.
    pub quota: Quota,
    /// The processor that its threads run on, counted around where there are fewer; or [`ANY_PROCESSOR`].
    pub processor: u8,
    /// Its threads have vector registers, and its program is compiled for them. Then [`Entry::processor`] is one.
    pub fpu: bool,
}

/// All services, in the order in which they start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The services.
    pub services: Vec<Entry, MAX_SERVICES>,
}

impl Manifest {
    /// Reads an encoded manifest.
    ///
    /// # Errors
    /// [`crate::wire::WireError`] for bytes that are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::wire::WireError> {
        crate::wire::decode(bytes)
    }
}
