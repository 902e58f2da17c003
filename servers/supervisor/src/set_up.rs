//! The first moments: what is made once and lives as long as the machine.
//!
//! All endpoints exist, held, before the first server starts, so that no order of starts can make a call fail: it waits. The reserve is cut from
//! the largest piece of memory; all other memory goes to memory's vault.

use core::fmt;

use abi::{EndpointState, Error, ObjectKind, Rights, boot_slot};
use heapless::Vec;
use protocols::memory::vault;
use protocols::service::Service;
use protocols::supervisor::{MAX_OPTIONS, MAX_PAGED};

use crate::autopsy::Records;
use crate::inject::Injector;
use crate::inject::plan::Plan;
use crate::kernel::{Kernel, Mint, Range};
use crate::life::{Facts, Record, Supervisor};
use crate::reserve::{Reserve, Run};
use crate::shape::{Shape, pages_for_slots};
use crate::slot;
use crate::spec::{MAX_SERVICES, Spec};

const _: () = assert!(MAX_SERVICES <= MAX_PAGED);

/// How many of the largest instance the reserve has beyond one of each service: one that is reaped, and one that is built meanwhile.
const SPARE_INSTANCES: u64 = 2;

/// Why the machine cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUpError {
    /// The largest piece of memory is smaller than the reserve.
    TooLittleMemory {
        /// Pages that the reserve needs.
        needed: u64,
        /// Pages of the largest piece.
        largest: u64,
    },
    /// There are more pieces of memory than the vault has places for, or memory's vault is too small.
    TooManyPieces,
    /// The options' text is too long.
    OptionsTooLong,
    /// The kernel refused.
    Kernel(Error),
}

impl From<Error> for SetUpError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for SetUpError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLittleMemory { needed, largest } => {
                write!(out, "too little memory: the servers need {needed} pages in one piece, the largest has {largest}")
            }
            Self::TooManyPieces => out.write_str("memory is in more pieces than its server's vault has slots"),
            Self::OptionsTooLong => write!(out, "the options are longer than {MAX_OPTIONS} bytes"),
            Self::Kernel(error) => write!(out, "the kernel refused: {error:?}"),
        }
    }
}

/// Pages that a service keeps for ever: endpoint, notification, vault, and the saved state of memory, which has no pager to keep it.
fn kept_pages(spec: &Spec<'_>) -> u64 {
    2 + pages_for_slots(spec.keeps) + saved_pages(spec)
}

fn saved_pages(spec: &Spec<'_>) -> u64 {
    if spec.is_paged() { 0 } else { u64::from(spec.saved_pages) }
}

/// Pages of the reserve.
#[must_use]
pub fn reserve_pages(specs: &[Spec<'_>], rootfs_pages: u64) -> u64 {
    let own = 2;
    let kept: u64 = specs.iter().map(kept_pages).sum();
    let shapes = || specs.iter().map(|spec| Shape::of(spec, rootfs_pages).pages);
    own + kept + shapes().sum::<u64>() + SPARE_INSTANCES * shapes().max().unwrap_or(0)
}

/// Firmware leaves memory as it is. From here on the reserve's pages are zero whenever they are free: saved state and heaps rely on it.
fn zero(kernel: &mut impl Kernel, pages: u64) -> Result<(), SetUpError> {
    let mut page = 0;
    while page < pages {
        match kernel.reclaim(Range { memory: slot::RESERVE, page, pages: pages - page })? {
            0 => return Err(SetUpError::Kernel(Error::Busy)),
            done => page += done,
        }
    }
    Ok(())
}

impl<'a, K: Kernel> Supervisor<'a, K> {
    /// Makes everything that lasts. `memories` are the pages of the owned Memory capabilities that the kernel left, largest first. Nothing is started.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub fn set_up(
        mut kernel: K,
        memories: &[u64],
        specs: Vec<Spec<'a>, MAX_SERVICES>,
        facts: Facts<'a>,
        records: &'a mut Records,
    ) -> Result<Self, SetUpError> {
        if crate::options::shown(facts.options).is_none() {
            return Err(SetUpError::OptionsTooLong);
        }
        let needed = reserve_pages(&specs, facts.rootfs.pages());
        let largest = memories.first().copied().unwrap_or(0);
        if largest <= needed {
            return Err(SetUpError::TooLittleMemory { needed, largest });
        }
        kernel.split(slot::RESERVE, needed, slot::REST)?;
        zero(&mut kernel, needed)?;
        let mut this = Self::new(kernel, facts, Reserve::new(needed), records);
        this.make_kept(Service::Supervisor, 0)?;
        for spec in specs {
            let saved = this.make_kept_of(&spec)?;
            // There are as many places as in `specs`.
            let _full = this.services.push(Record::new(spec, saved));
        }
        this.endow_memory(memories.len() as u32)?;
        this.arm();
        let left = this.reserve.free_pages();
        this.say(format_args!("{needed} pages in reserve, {left} for instances; {} pieces of memory to give", memories.len()));
        Ok(this)
    }

    /// Arms the faults that the options ask for.
    fn arm(&mut self) {
        let present: Vec<Service, MAX_SERVICES> = self.services.iter().map(|record| record.spec.service).collect();
        self.injector = Plan::read(self.facts.options, &present).map(Injector::new);
    }

    fn make_kept_of(&mut self, spec: &Spec<'_>) -> Result<Run, SetUpError> {
        self.make_kept(spec.service, spec.keeps)?;
        self.kernel.set_state(slot::endpoint(spec.service), EndpointState::Held)?;
        let pages = saved_pages(spec);
        self.reserve.take(pages).ok_or(SetUpError::Kernel(Error::KernelLimit))
    }

    fn make_kept(&mut self, service: Service, vault_slots: u32) -> Result<(), SetUpError> {
        self.make(ObjectKind::Endpoint, 1, slot::endpoint(service))?;
        self.make(ObjectKind::Notification, 1, slot::notification(service))?;
        match pages_for_slots(vault_slots) {
            0 => Ok(()),
            pages => self.make(ObjectKind::CapTable, pages, slot::vault(service)),
        }
    }

    fn make(&mut self, kind: ObjectKind, pages: u64, to: u32) -> Result<(), SetUpError> {
        let run = self.reserve.take(pages).ok_or(SetUpError::Kernel(Error::KernelLimit))?;
        Ok(self.kernel.retype(Range { memory: slot::RESERVE, page: run.page, pages: run.pages }, kind, to)?)
    }

    /// Fills memory's vault: all memory but the reserve, and the vaults of its buyers.
    fn endow_memory(&mut self, memories: u32) -> Result<(), SetUpError> {
        if !self.services.iter().any(|record| record.spec.service == Service::Memory) {
            return Ok(());
        }
        let table = slot::vault(Service::Memory);
        let pieces = core::iter::once(slot::REST).chain((1..memories).map(|index| boot_slot::FIRST_MEMORY + index));
        if memories > vault::PIECES.len() as u32 {
            return Err(SetUpError::TooManyPieces);
        }
        for (to, from) in vault::PIECES.zip(pieces) {
            self.kernel.give(table, to, from)?;
        }
        for buyer in self.services.iter().filter(|record| record.spec.buyer().is_some()) {
            let service = buyer.spec.service;
            let mint = Mint { rights: Rights::INSERT | Rights::TAKE, badge: None };
            self.kernel.copy(table, vault::BUYERS + u32::from(service.id()), slot::vault(service), mint)?;
        }
        Ok(())
    }
}
