//! What the supervisor knows of a service: its entry in the manifest, and its image from the archive.
//!
//! Both were checked when the archive was built. They are checked again as they are read, because a damaged archive must end in words on the log
//! and not in a server that was wired wrongly.

use abi::boot::Image;
use heapless::Vec;
use protocols::manifest::ANY_PROCESSOR;
use protocols::service::Service;
use protocols::supervisor::{Buyer, Paged};

pub use protocols::manifest::{MAX_CALLS, MAX_IRQS, MAX_PORTS, MAX_SERVICES, Policy, Ports, Quota};

const _: () = assert!(MAX_PORTS <= libsys::slot::PORTS_COUNT as usize && MAX_IRQS <= libsys::slot::IRQ_COUNT as usize);

/// What a service is given.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    /// Which service.
    pub service: Service,
    /// Priority of its threads.
    pub priority: u8,
    /// Its threads that receive, at least one.
    pub threads: u8,
    /// Its helper threads, behind the others.
    pub helpers: u8,
    /// Priority of the helpers.
    pub helper_priority: u8,
    /// Pages of its heap's window.
    pub heap_pages: u32,
    /// Pages of its saved state's window.
    pub saved_pages: u32,
    /// Pages of its region's window.
    pub region_pages: u32,
    /// Slots of its vault; 0 for none.
    pub keeps: u32,
    /// What it may buy.
    pub quota: Quota,
    /// The processor that its threads run on, counted around where there are fewer; or [`ANY_PROCESSOR`].
    pub processor: u8,
    /// Its threads have vector registers: all of them, since its program may use some anywhere.
    pub fpu: bool,
    /// It is given the root file system's archive.
    pub rootfs: bool,
    /// How its deaths are answered.
    pub policy: Policy,
    /// Its I/O ports.
    pub ports: Vec<Ports, MAX_PORTS>,
    /// Its interrupt lines.
    pub irqs: Vec<u8, MAX_IRQS>,
    /// The services that it calls.
    pub calls: Vec<Service, MAX_CALLS>,
    /// Its program.
    pub image: Image<'a>,
}

impl Spec<'_> {
    /// All its threads.
    #[must_use]
    pub fn all_threads(&self) -> u32 {
        u32::from(self.threads) + u32::from(self.helpers)
    }

    /// Where they run, of so many processors, as the kernel is told.
    #[must_use]
    pub fn place(&self, processors: u32) -> u64 {
        if self.processor == ANY_PROCESSOR { abi::ANY_PROCESSOR } else { u64::from(u32::from(self.processor) % processors.max(1)) }
    }

    /// The priority of one of them.
    #[must_use]
    pub fn priority_of(&self, thread: u32) -> u8 {
        if thread < u32::from(self.threads) { self.priority } else { self.helper_priority }
    }

    /// Whether its page faults go to memory. Memory itself has no pager: all its pages are there from the start.
    #[must_use]
    pub fn is_paged(&self) -> bool {
        self.service != Service::Memory
    }

    /// What memory is told about it as a buyer, if it is one.
    #[must_use]
    pub fn buyer(&self) -> Option<Buyer> {
        self.quota.allows_some().then_some(Buyer { service: self.service.id(), quota: self.quota })
    }

    /// What memory is told about it.
    #[must_use]
    pub fn paged(&self) -> Paged {
        Paged {
            service: self.service.id(),
            heap_pages: self.heap_pages,
            saved_pages: self.saved_pages,
            region_pages: self.region_pages,
            buys_memory: self.quota.allows_some(),
        }
    }
}
