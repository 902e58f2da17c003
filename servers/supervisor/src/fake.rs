//! A kernel in a few maps that refuses what the order of steps forbids.
//!
//! It panics, so that a test fails at the step that is wrong, when
//! - an instance's callers are told while its endpoint is not held or one of its threads is not stopped;
//! - an instance starts while a predecessor's thread runs, or has callers left, or before memory heard of its death;
//! - an endpoint is opened without a running instance;
//! - a page is used again before nothing maps it and it was reclaimed to zero.

use std::collections::{BTreeMap, BTreeSet};

use abi::{EndpointState, Error, Frame, MapFlags, MessageKind, ObjectKind, PAGE_SIZE, RequestNumber, ThreadSetting, TraceRecord};
use libsys::layout;
use protocols::service::{Badge, Service};

use crate::kernel::{Counters, InHand, Kernel, Mint, Range};
use crate::slot;

/// Ticks in a second of the fake machine.
pub(crate) const HZ: u64 = 1_000_000_000;
/// Callers that each dead instance leaves, told two at a step.
const CALLERS: u64 = 5;
/// Pages that a range operation does at most: small, so that loops are tested.
const STEP: u64 = 7;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Page {
    kind: Option<ObjectKind>,
    mapped: bool,
    dirty: bool,
    /// The firmware leaves pages as they are; only the kernel's `Reclaim` zeroes them.
    zeroed: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Thread {
    pub(crate) running: bool,
    pub(crate) settings: BTreeMap<u64, (u64, u64)>,
    pub(crate) frame: Option<Frame>,
    page: u64,
}

/// A capability in a table of the fake: where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) from: u32,
    pub(crate) mint: Option<Mint>,
    pub(crate) first: u64,
    pub(crate) count: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Fake {
    /// Capabilities that were taken back from an instance.
    pub(crate) parked: BTreeMap<u32, Copied>,
    pub(crate) ticks: u64,
    pub(crate) log: Vec<String>,
    pub(crate) endpoints: BTreeMap<u32, EndpointState>,
    pub(crate) threads: BTreeMap<u32, Thread>,
    pub(crate) tables: BTreeMap<u32, BTreeMap<u32, Copied>>,
    /// Bytes by space and address of the copy.
    pub(crate) written: BTreeMap<(u32, u64), Vec<u8>>,
    pub(crate) signals: Vec<(u32, u64)>,
    pub(crate) ports: Vec<(u16, u32)>,
    /// What the kernel recorded, and whether it goes on.
    pub(crate) trace: (bool, Vec<TraceRecord>),
    pub(crate) counters: BTreeMap<u32, Counters>,
    /// Bytes that servers wrote, by space and address.
    pub(crate) memory: BTreeMap<(u32, u64), u8>,
    /// Number of the request that a thread has in hand.
    pub(crate) in_hand: BTreeMap<u32, u64>,
    /// Requests that were refused.
    pub(crate) refused: Vec<u64>,
    /// Endpoints where callers queue and nobody receives.
    pub(crate) unattended: BTreeSet<u32>,
    attempts: BTreeMap<u64, u32>,
    /// How often the reserve was reclaimed, in pages.
    pub(crate) reclaimed: u64,
    /// The operation with this number fails, counted down.
    pub(crate) fail_in: Option<u64>,
    slots: BTreeMap<u32, ObjectKind>,
    pages: BTreeMap<u64, Page>,
    mapped: BTreeMap<u32, BTreeMap<u64, (u64, u64)>>,
    callers: BTreeMap<u32, u64>,
    killed: BTreeSet<u32>,
    /// Services whose death memory has not heard of.
    unheard: BTreeSet<u8>,
}

impl Fake {
    fn gate(&mut self) -> Result<(), Error> {
        self.ticks += 1000;
        match &mut self.fail_in {
            Some(0) => {
                self.fail_in = None;
                Err(Error::KernelLimit)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn expect(&self, slot: u32, kind: ObjectKind) -> Result<(), Error> {
        match self.slots.get(&slot) {
            None => Err(Error::InvalidHandle),
            Some(found) if *found == kind => Ok(()),
            Some(_) => Err(Error::WrongKind),
        }
    }

    fn badge(&self, thread: u32) -> Badge {
        let word = self.threads[&thread].settings.get(&(ThreadSetting::Badge as u64)).map_or(0, |value| value.0);
        Badge::from_word(word)
    }

    /// The running threads of a service.
    pub(crate) fn running(&self, service: Service) -> Vec<u32> {
        let is_it = |slot: &u32| self.threads[slot].running && self.badge(*slot).service == service.id();
        self.threads.keys().copied().filter(is_it).collect()
    }

    pub(crate) fn table_of(&self, thread: u32) -> u32 {
        self.threads[&thread].settings.get(&(ThreadSetting::Table as u64)).map_or(0, |value| value.0 as u32)
    }

    pub(crate) fn mappings(&self, space: u32) -> &BTreeMap<u64, (u64, u64)> {
        &self.mapped[&space]
    }
}

impl Kernel for Fake {
    fn split(&mut self, _memory: u32, _page: u64, to: u32) -> Result<(), Error> {
        self.gate()?;
        self.slots.insert(to, ObjectKind::Memory);
        Ok(())
    }

    fn retype(&mut self, range: Range, kind: ObjectKind, to: u32) -> Result<(), Error> {
        self.gate()?;
        assert!(!self.slots.contains_key(&to), "slot {to} is full");
        for number in range.page..range.page + range.pages {
            let page = self.pages.entry(number).or_default();
            assert!(page.kind.is_none() && !page.mapped && !page.dirty, "page {number} is in use");
            *page = Page { kind: Some(kind), mapped: false, dirty: true, zeroed: false };
        }
        self.slots.insert(to, kind);
        match kind {
            ObjectKind::Thread => drop(self.threads.insert(to, Thread { page: range.page, ..Thread::default() })),
            ObjectKind::CapTable => {
                self.tables.insert(to, BTreeMap::new());
                self.callers.insert(to, CALLERS);
                self.killed.remove(&to);
            }
            ObjectKind::AddressSpace => drop(self.mapped.insert(to, BTreeMap::new())),
            ObjectKind::Endpoint => drop(self.endpoints.insert(to, EndpointState::Open)),
            _ => {}
        }
        Ok(())
    }

    fn reclaim(&mut self, range: Range) -> Result<u64, Error> {
        self.gate()?;
        let pages = range.pages.min(STEP);
        for number in range.page..range.page + pages {
            let page = self.pages.entry(number).or_default();
            assert!(!page.mapped, "page {number} is reclaimed while something maps it");
            let thread = self.threads.iter().find(|(_, thread)| thread.page == number).map(|(slot, thread)| (*slot, thread.running));
            if let (Some(ObjectKind::Thread), Some((slot, running))) = (page.kind, thread) {
                assert!(!running, "a running thread is reclaimed");
                self.threads.remove(&slot);
            }
            *page = Page { zeroed: true, ..Page::default() };
        }
        self.reclaimed += pages;
        Ok(pages)
    }

    fn copy(&mut self, table: u32, to: u32, from: u32, mint: Mint) -> Result<(), Error> {
        self.gate()?;
        if !self.slots.contains_key(&from) {
            return Err(Error::InvalidHandle);
        }
        let table = self.tables.get_mut(&table).ok_or(Error::InvalidHandle)?;
        assert!(!table.contains_key(&to), "slot {to} of a table is full");
        table.insert(to, Copied { from, mint: Some(mint), first: 0, count: 0 });
        Ok(())
    }

    fn give(&mut self, table: u32, to: u32, from: u32) -> Result<(), Error> {
        self.gate()?;
        if let Some(parked) = self.parked.remove(&from) {
            self.tables.get_mut(&table).ok_or(Error::InvalidHandle)?.insert(to, parked);
            return Ok(());
        }
        let waits_for_ports = |service| (0..libsys::slot::PORTS_COUNT).any(|range| slot::ports(service, range) == from);
        if Service::ALL.into_iter().any(waits_for_ports) {
            return Err(Error::InvalidHandle);
        }
        self.tables.get_mut(&table).ok_or(Error::InvalidHandle)?.insert(to, Copied { from, mint: None, first: 0, count: 0 });
        Ok(())
    }

    fn take_back(&mut self, to: u32, table: u32, from: u32) -> Result<(), Error> {
        self.gate()?;
        let taken = self.tables.get_mut(&table).and_then(|table| table.remove(&from)).ok_or(Error::InvalidHandle)?;
        assert!(self.parked.insert(to, taken).is_none(), "slot {to} is full");
        Ok(())
    }

    fn derive(&mut self, table: u32, to: u32, from: u32, first: u64, count: u64) -> Result<(), Error> {
        self.gate()?;
        self.tables.get_mut(&table).ok_or(Error::InvalidHandle)?.insert(to, Copied { from, mint: None, first, count });
        Ok(())
    }

    fn delete(&mut self, table: u32, slot: u32) -> Result<(), Error> {
        self.gate()?;
        if table != abi::OWN_TABLE {
            return self.tables.get_mut(&table).and_then(|table| table.remove(&slot)).map(drop).ok_or(Error::InvalidHandle);
        }
        self.threads.remove(&slot);
        self.tables.remove(&slot);
        self.mapped.remove(&slot);
        self.slots.remove(&slot).map(drop).ok_or(Error::InvalidHandle)
    }

    fn kill(&mut self, table: u32) -> Result<u64, Error> {
        self.gate()?;
        self.expect(table, ObjectKind::CapTable)?;
        let threads: Vec<u32> = self.threads.keys().copied().filter(|slot| self.table_of(*slot) == table).collect();
        for thread in threads {
            assert!(!self.threads[&thread].running, "callers are told while thread {thread} runs");
            if let Some(service) = self.badge(thread).service() {
                assert_eq!(self.endpoints[&slot::endpoint(service)], EndpointState::Held, "callers are told while the endpoint is not held");
                self.unheard.insert(service.id());
            }
        }
        let left = self.callers.get_mut(&table).ok_or(Error::InvalidHandle)?;
        *left = left.saturating_sub(2);
        if *left == 0 {
            self.killed.insert(table);
        }
        Ok(*left)
    }

    fn map(&mut self, space: u32, address: u64, range: Range, flags: u64) -> Result<u64, Error> {
        self.gate()?;
        self.expect(space, ObjectKind::AddressSpace)?;
        assert!(flags & MapFlags::WRITE == 0 || flags & MapFlags::EXECUTE == 0, "writable and executable");
        let pages = range.pages.min(STEP);
        for offset in 0..pages {
            // Saved pages are the service's: predecessor and successor map the same.
            let kept = address == layout::SAVED;
            if range.memory == slot::RESERVE && !kept {
                let page = self.pages.entry(range.page + offset).or_default();
                assert!(page.kind.is_none() && !page.mapped, "page {} is in use", range.page + offset);
                assert!(page.zeroed, "page {} is mapped with what the firmware left in it", range.page + offset);
                *page = Page { kind: None, mapped: true, dirty: true, zeroed: false };
            }
            let number = if range.memory == slot::RESERVE && !kept { range.page + offset } else { u64::MAX };
            let before = self.mapped.get_mut(&space).ok_or(Error::InvalidHandle)?.insert(address + offset * PAGE_SIZE, (number, flags));
            assert_eq!(before, None, "mapped twice");
        }
        Ok(pages)
    }

    fn protect(&mut self, space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        self.gate()?;
        let pages = pages.min(STEP);
        let mapped = self.mapped.get_mut(&space).ok_or(Error::InvalidHandle)?;
        for offset in 0..pages {
            mapped.get_mut(&(address + offset * PAGE_SIZE)).ok_or(Error::InvalidArgument)?.1 = flags;
        }
        Ok(pages)
    }

    fn copy_to(&mut self, space: u32, address: u64, bytes: &[u8]) -> Result<u64, Error> {
        self.gate()?;
        let bytes = &bytes[..bytes.len().min(PAGE_SIZE as usize)];
        let mapped = self.mapped.get(&space).ok_or(Error::InvalidHandle)?;
        let (_, flags) = mapped.get(&(address & !(PAGE_SIZE - 1))).ok_or(Error::NeedsPage)?;
        assert!(flags & MapFlags::WRITE != 0, "copied into a page that is not writable");
        self.written.insert((space, address), bytes.to_vec());
        self.memory.extend((address..).zip(bytes).map(|(address, byte)| ((space, address), *byte)));
        Ok(bytes.len() as u64)
    }

    fn add_tables(&mut self, _space: u32, range: Range) -> Result<u64, Error> {
        self.gate()?;
        let pages = range.pages.min(STEP);
        for number in range.page..range.page + pages {
            let page = self.pages.entry(number).or_default();
            assert!(page.kind.is_none() && !page.mapped && !page.dirty, "page {number} is in use");
            page.kind = Some(ObjectKind::PageTable);
        }
        Ok(pages)
    }

    fn set_pager(&mut self, space: u32, endpoint: u32) -> Result<(), Error> {
        self.gate()?;
        self.expect(space, ObjectKind::AddressSpace)?;
        self.expect(endpoint, ObjectKind::Endpoint)
    }

    fn dismantle(&mut self, space: u32) -> Result<u64, Error> {
        self.gate()?;
        self.expect(space, ObjectKind::AddressSpace)?;
        let uses = |thread: &Thread| thread.settings.get(&(ThreadSetting::Space as u64)).is_some_and(|value| value.0 == u64::from(space));
        assert!(!self.threads.values().any(uses), "a space is taken apart that a thread uses");
        let mapped = self.mapped.get_mut(&space).ok_or(Error::InvalidHandle)?;
        for _ in 0..STEP {
            let Some((_, (number, _))) = mapped.pop_first() else { break };
            if let Some(page) = self.pages.get_mut(&number) {
                page.mapped = false;
            }
        }
        Ok(mapped.len() as u64)
    }

    fn configure(&mut self, thread: u32, setting: ThreadSetting, value: u64, second: u64) -> Result<(), Error> {
        self.gate()?;
        self.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?.settings.insert(setting as u64, (value, second));
        Ok(())
    }

    fn set_frame(&mut self, thread: u32, frame: &Frame) -> Result<(), Error> {
        self.gate()?;
        self.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?.frame = Some(*frame);
        Ok(())
    }

    fn get_frame(&mut self, thread: u32) -> Result<Frame, Error> {
        self.gate()?;
        let found = self.threads.get(&thread).ok_or(Error::InvalidHandle)?;
        if found.running { Err(Error::WrongState) } else { found.frame.ok_or(Error::WrongState) }
    }

    fn copy_from(&mut self, space: u32, address: u64, to: &mut [u8]) -> Result<(), Error> {
        self.gate()?;
        self.expect(space, ObjectKind::AddressSpace)?;
        for (byte, address) in to.iter_mut().zip(address..) {
            *byte = self.memory.get(&(space, address)).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn start(&mut self, thread: u32) -> Result<(), Error> {
        self.gate()?;
        self.expect(thread, ObjectKind::Thread)?;
        let (badge, table) = (self.badge(thread), self.table_of(thread));
        assert!(!self.unheard.contains(&badge.service), "a successor starts before memory heard of the death");
        for other in self.threads.keys().filter(|slot| self.badge(**slot).service == badge.service) {
            let old = self.table_of(*other);
            assert!(old == table || !self.threads[other].running, "a predecessor's thread runs");
            assert!(old == table || self.killed.contains(&old), "a predecessor's callers were not told");
        }
        self.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?.running = true;
        Ok(())
    }

    fn stop(&mut self, thread: u32) -> Result<(), Error> {
        self.gate()?;
        self.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?.running = false;
        self.in_hand.remove(&thread);
        Ok(())
    }

    fn counters(&mut self, thread: u32) -> Result<Counters, Error> {
        self.gate()?;
        Ok(self.counters.get(&thread).copied().unwrap_or_default())
    }

    fn blame(&mut self, thread: u32, limit: u32) -> Result<Option<InHand>, Error> {
        self.gate()?;
        self.expect(thread, ObjectKind::Thread)?;
        let Some(number) = self.in_hand.get(&thread).copied() else { return Ok(None) };
        assert!(self.threads[&thread].running, "a stopped thread has nothing in hand any more");
        let attempts = self.attempts.entry(number).or_default();
        *attempts += u32::from(limit != 0);
        let refused = limit != 0 && *attempts >= limit;
        if refused {
            self.refused.push(number);
            self.in_hand.remove(&thread);
        }
        Ok(Some(InHand { number: RequestNumber(number), kind: Some(MessageKind::Call), badge: 0, attempts: *attempts, refused }))
    }

    fn is_unattended(&mut self, endpoint: u32) -> Result<bool, Error> {
        self.gate()?;
        Ok(self.unattended.contains(&endpoint))
    }

    fn set_state(&mut self, endpoint: u32, state: EndpointState) -> Result<(), Error> {
        self.gate()?;
        self.expect(endpoint, ObjectKind::Endpoint)?;
        if state == EndpointState::Open {
            let service = Service::ALL.into_iter().find(|service| slot::endpoint(*service) == endpoint).expect("a service's endpoint");
            assert!(!self.running(service).is_empty(), "an endpoint is opened without an instance");
        }
        self.endpoints.insert(endpoint, state);
        Ok(())
    }

    fn signal(&mut self, notification: u32, bits: u64) -> Result<(), Error> {
        self.gate()?;
        self.expect(notification, ObjectKind::Notification)?;
        if notification == slot::notification(Service::Memory) {
            self.unheard.retain(|service| bits >> service & 1 == 0);
        }
        self.signals.push((notification, bits));
        Ok(())
    }

    fn port_out(&mut self, port: u16, _width: u8, value: u32) -> Result<(), Error> {
        self.ports.push((port, value));
        Ok(())
    }

    fn trace(&mut self, on: bool, from: u64, records: &mut [TraceRecord]) -> Result<(u64, usize), Error> {
        self.trace.0 = on;
        let rest = self.trace.1.iter().skip(from as usize);
        Ok((from, records.iter_mut().zip(rest).map(|(to, record)| *to = *record).count()))
    }

    fn log(&mut self, line: &str) {
        self.log.push(line.to_owned());
    }

    fn now(&mut self) -> u64 {
        self.ticks
    }
}
