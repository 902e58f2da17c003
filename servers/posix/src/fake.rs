//! A machine for tests: pages, spaces, threads, a console, and the real vfs, all on the host.
//!
//! It behaves as the kernel does where posix can see it: pages are counted by what maps them, tables are asked for, a stopped thread gives up its call, and a
//! dead posix leaves its callers at their `syscall` instructions with their numbers kept.
#![allow(unsafe_code, reason = "leases of tests are pointers, as they are on the machine")]

mod cache;
mod console;
pub(crate) mod harness;
mod inference;
mod pointers;
mod thread;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use abi::{Error, Frame, Lease, MapFlags, ObjectKind, ReplyKind, RequestNumber, ThreadSetting};
use libsys::saved::Area;
use protocols::serve::Serve;
use protocols::service::Service;

use crate::kernel::{CopyFault, Doing, Kernel, Origin, Processor, Source, Ticks, Was};
use crate::saved::{Lane, slot};
use cache::{CachePages, VfsArea, start_vfs};
use console::FakeConsole;
use inference::FakeInference;
pub(crate) use inference::Work;
use pointers::Pointers;
use thread::FakeThread;
pub(crate) use thread::Runs;

const PAGE: usize = 4096;
/// Page faults' tables: a space needs one for each so many pages.
const PAGES_PER_TABLE: usize = 64;

type Bytes = Rc<RefCell<Box<[u8; PAGE]>>>;

fn blank() -> Bytes {
    Rc::new(RefCell::new(Box::new([0; PAGE])))
}

/// What lies in a page of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Plain,
    Object(u32),
    Table(u32),
}

struct ChunkPage {
    bytes: Bytes,
    used: Use,
}

#[derive(Clone)]
struct Leaf {
    bytes: Bytes,
    flags: u64,
}

#[derive(Default)]
struct Space {
    leaves: BTreeMap<u64, Leaf>,
    tables: usize,
    has_pager: bool,
}

/// Changes an answer of so many bytes, which gets as many as it gives.
pub(crate) type Spoil = fn(&mut [u8], usize) -> usize;

/// The machine.
pub(crate) struct Machine {
    chunks: BTreeMap<u32, Vec<ChunkPage>>,
    spaces: BTreeMap<u32, Space>,
    pub(crate) threads: BTreeMap<u32, FakeThread>,
    /// How many processors there are for programs.
    pub(crate) processors: usize,
    /// Words that another processor puts where an exchange is to be, each before one.
    pub(crate) meanwhile: Vec<u32>,
    /// How often vfs's pages were copied from.
    pub(crate) cached_copies: usize,
    /// Slots whose capability is dead, because its object was destroyed, and still lies there.
    dead: BTreeSet<u32>,
    pub(crate) answers: Vec<(Lane, ReplyKind, u64)>,
    cache: Rc<RefCell<Vec<Bytes>>>,
    vfs: vfs::Vfs<CachePages>,
    /// Done to the next answer of a server: as when it, or posix, had a wrong bit somewhere. Gives its new length.
    pub(crate) spoil_answer: Option<Spoil>,
    /// Behind vfs, which uses it.
    vfs_area: VfsArea,
    options: &'static str,
    /// vfs has signalled.
    pub(crate) vfs_ready: Rc<Cell<bool>>,
    pub(crate) console: FakeConsole,
    pub(crate) inference: FakeInference,
    pub(crate) now: u64,
    pub(crate) deadline: Option<u64>,
    pub(crate) log: Vec<String>,
    pub(crate) powered_off: Option<u8>,
    /// Pages that memory still sells.
    pub(crate) for_sale: usize,
    numbers: u32,
    entropy: u64,
    /// The processor gives random words.
    pub(crate) has_random: bool,
}

impl Machine {
    pub(crate) fn new(options: &'static str) -> Self {
        let cache = Rc::new(RefCell::new((0..2048).map(|_| blank()).collect::<Vec<_>>()));
        let vfs_area = VfsArea(Area::on_host());
        let vfs_ready = Rc::new(Cell::new(false));
        let vfs = start_vfs(vfs_area.0, libsys::saved::Opened::Fresh, &cache, options, &vfs_ready);
        Self {
            chunks: BTreeMap::new(),
            spaces: BTreeMap::new(),
            threads: BTreeMap::new(),
            processors: 1,
            meanwhile: Vec::new(),
            cached_copies: 0,
            dead: BTreeSet::new(),
            answers: Vec::new(),
            cache,
            vfs_area,
            vfs,
            spoil_answer: None,
            options,
            vfs_ready,
            console: FakeConsole::default(),
            inference: FakeInference::default(),
            now: 1_000_000,
            deadline: None,
            log: Vec::new(),
            powered_off: None,
            for_sale: 1 << 14,
            numbers: 0,
            entropy: 1,
            has_random: true,
        }
    }

    fn chunk_page(&mut self, chunk: u32, page: u64) -> Result<&mut ChunkPage, Error> {
        self.chunks.get_mut(&chunk).and_then(|pages| pages.get_mut(page as usize)).ok_or(Error::InvalidArgument)
    }

    fn space(&mut self, space: u32) -> Result<&mut Space, Error> {
        self.spaces.get_mut(&space).ok_or(Error::InvalidHandle)
    }

    fn insert(&mut self, space: u32, address: u64, leaf: Leaf) -> Result<(), Error> {
        let space = self.space(space)?;
        if space.leaves.contains_key(&address) {
            return Err(Error::AlreadyMapped);
        }
        if space.leaves.len() >= space.tables * PAGES_PER_TABLE {
            return Err(Error::NeedsTable);
        }
        space.leaves.insert(address, leaf);
        Ok(())
    }

    /// How often a page is mapped: its chunk or the cache holds it once, each leaf once more. `held` references are the asker's own.
    fn maps(bytes: &Bytes, held: usize) -> usize {
        Rc::strong_count(bytes) - 1 - held
    }

    fn in_cache(&self, bytes: &Bytes) -> bool {
        self.cache.borrow().iter().any(|page| Rc::ptr_eq(page, bytes))
    }

    fn copy_from_space(&mut self, space: u32, from: u64, pages: u64, at: u64) -> Result<Vec<(u64, Leaf)>, Error> {
        let source = self.space(space)?;
        let end = from + pages * PAGE as u64;
        Ok(source.leaves.range(from..end).map(|(address, leaf)| (address - from + at, leaf.clone())).collect())
    }

    /// Chunk pages that are neither free nor accounted for: there must be none.
    pub(crate) fn used_pages(&self) -> usize {
        let all = self.chunks.values().flatten();
        all.filter(|page| page.used != Use::Plain || Self::maps(&page.bytes, 0) > 0).count()
    }

    /// How many objects programs have: spaces and threads.
    pub(crate) fn objects(&self) -> (usize, usize) {
        let own = self.spaces.keys().filter(|space| matches!(**space, slot::STAGE | slot::VDSO)).count();
        (self.spaces.len() - own, self.threads.len())
    }

    /// The server died: its callers go back to their instructions.
    pub(crate) fn server_died(&mut self) {
        for thread in self.threads.values_mut().filter(|thread| thread.runs == Runs::Calling) {
            thread.runs = Runs::Running;
            thread.redeliver = !thread.frame_set && !thread.is_faulting;
            thread.frame.rip -= if thread.redeliver { 2 } else { 0 };
        }
        self.answers.clear();
        // It may have died in the middle of a request to vfs, as far as the count of stores goes: then vfs died too.
        self.restart_vfs();
    }

    /// vfs died. Its successor signals everybody.
    pub(crate) fn restart_vfs(&mut self) {
        let opened = self.vfs_area.0.recover();
        self.vfs = start_vfs(self.vfs_area.0, opened, &self.cache, self.options, &self.vfs_ready);
        self.vfs.signal_all();
    }
}

/// The machine as posix sees it; clones are the same machine.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Rc<RefCell<Machine>>);

fn page_of(address: u64) -> u64 {
    address & !(PAGE as u64 - 1)
}

impl Kernel for Shared {
    fn describe(&mut self, slot: u32) -> Option<(ObjectKind, u64)> {
        let machine = self.0.borrow();
        if let Some(chunk) = machine.chunks.get(&slot) {
            return Some((ObjectKind::Memory, chunk.len() as u64));
        }
        if machine.spaces.contains_key(&slot) {
            return Some((ObjectKind::AddressSpace, 0));
        }
        machine.threads.contains_key(&slot).then_some((ObjectKind::Thread, 0))
    }

    fn delete(&mut self, slot: u32) {
        let mut machine = self.0.borrow_mut();
        machine.spaces.remove(&slot);
        machine.threads.remove(&slot);
        machine.dead.remove(&slot);
    }

    fn free_pages(&mut self, chunk: u32, page: u64) -> Result<u64, Error> {
        let machine = self.0.borrow();
        let pages = machine.chunks.get(&chunk).ok_or(Error::InvalidHandle)?;
        let mut bits = 0;
        for (index, page) in pages.iter().skip(page as usize).take(64).enumerate() {
            if page.used == Use::Plain && Machine::maps(&page.bytes, 0) == 0 {
                bits |= 1 << index;
            }
        }
        Ok(bits)
    }

    fn retype(&mut self, source: Source, kind: ObjectKind, slot: u32) -> Result<(), Error> {
        if self.describe(slot).is_some() || self.0.borrow().dead.contains(&slot) {
            return Err(Error::SlotFull);
        }
        if self.free_pages(source.chunk, source.page)? & 1 == 0 {
            return Err(Error::Busy);
        }
        let mut machine = self.0.borrow_mut();
        machine.chunk_page(source.chunk, source.page)?.used = Use::Object(slot);
        match kind {
            ObjectKind::AddressSpace => drop(machine.spaces.insert(slot, Space::default())),
            ObjectKind::Thread => drop(machine.threads.insert(slot, FakeThread::new())),
            _ => return Err(Error::InvalidArgument),
        }
        Ok(())
    }

    fn reclaim(&mut self, source: Source) -> Result<(), Error> {
        let mut machine = self.0.borrow_mut();
        let Use::Object(slot) = machine.chunk_page(source.chunk, source.page)?.used else { return Err(Error::InvalidArgument) };
        if machine.threads.values().any(|thread| thread.space == slot) || machine.spaces.get(&slot).is_some_and(|space| !space.leaves.is_empty()) {
            return Err(Error::Busy);
        }
        machine.threads.remove(&slot);
        machine.spaces.remove(&slot);
        machine.dead.insert(slot);
        let page = machine.chunk_page(source.chunk, source.page)?;
        page.used = Use::Plain;
        page.bytes.borrow_mut().fill(0);
        Ok(())
    }

    fn map(&mut self, space: u32, address: u64, source: Source, flags: u64) -> Result<u64, Error> {
        assert!(flags & MapFlags::WRITE == 0 || flags & MapFlags::EXECUTE == 0, "writable and executable");
        for index in 0..source.pages {
            if flags & MapFlags::ZERO != 0 && self.free_pages(source.chunk, source.page + index)? & 1 == 0 {
                return if index == 0 { Err(Error::Busy) } else { Ok(index) };
            }
            let mut machine = self.0.borrow_mut();
            let bytes = Rc::clone(&machine.chunk_page(source.chunk, source.page + index)?.bytes);
            let leaf = Leaf { bytes: Rc::clone(&bytes), flags: flags & !MapFlags::ZERO };
            match machine.insert(space, address + index * PAGE as u64, leaf) {
                Ok(()) => {}
                Err(_) if index > 0 => return Ok(index),
                Err(error) => return Err(error),
            }
            if flags & MapFlags::ZERO != 0 {
                bytes.borrow_mut().fill(0);
            }
        }
        Ok(source.pages)
    }

    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error> {
        let mut machine = self.0.borrow_mut();
        let pages = pages.min(abi::BUDGET_PAGES);
        let end = address + pages * PAGE as u64;
        machine.space(space)?.leaves.retain(|at, _| !(address..end).contains(at));
        Ok(pages)
    }

    fn protect(&mut self, space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        let mut machine = self.0.borrow_mut();
        let pages = pages.min(abi::BUDGET_PAGES);
        for (_, leaf) in machine.space(space)?.leaves.range_mut(address..address + pages * PAGE as u64) {
            let cow = leaf.flags & MapFlags::COW;
            leaf.flags = flags | cow;
            if cow != 0 {
                leaf.flags &= !MapFlags::WRITE;
            }
        }
        Ok(pages)
    }

    fn share(&mut self, space: u32, address: u64, origin: Origin, from: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        let mut machine = self.0.borrow_mut();
        let pages = pages.min(abi::BUDGET_PAGES);
        let leaves = match origin {
            Origin::Space(source) => machine.copy_from_space(source, from, pages, address)?,
            Origin::PageCache => (0..pages).map(|index| (address + index * PAGE as u64, cache::leaf(&machine, from, index, flags))).collect(),
        };
        for (at, leaf) in leaves {
            match machine.insert(space, at, Leaf { flags, ..leaf }) {
                Ok(()) | Err(Error::AlreadyMapped) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pages)
    }

    fn clone_pages(&mut self, space: u32, address: u64, from_space: u32, from: u64, pages: u64, _flags: u64) -> Result<u64, Error> {
        assert_ne!(space, from_space);
        let mut machine = self.0.borrow_mut();
        let pages = pages.min(abi::BUDGET_PAGES);
        for (at, mut leaf) in machine.copy_from_space(from_space, from, pages, address)? {
            if leaf.flags & MapFlags::WRITE != 0 {
                leaf.flags = leaf.flags & !MapFlags::WRITE | MapFlags::COW;
                let original = machine.space(from_space)?.leaves.get_mut(&(at - address + from)).ok_or(Error::InvalidArgument)?;
                original.flags = leaf.flags;
            }
            match machine.insert(space, at, leaf) {
                Ok(()) | Err(Error::AlreadyMapped) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pages)
    }

    fn unshare(&mut self, space: u32, address: u64, source: Source) -> Result<bool, Error> {
        if self.0.borrow_mut().space(space)?.leaves.get(&address).is_some_and(|leaf| leaf.flags & MapFlags::NONE != 0) {
            return Err(Error::InvalidArgument);
        }
        let free = self.free_pages(source.chunk, source.page)? & 1 != 0;
        let mut machine = self.0.borrow_mut();
        let leaf = machine.space(space)?.leaves.get(&address).cloned().ok_or(Error::InvalidArgument)?;
        let writable = MapFlags::READ | MapFlags::WRITE;
        if leaf.flags & MapFlags::COW != 0 && Machine::maps(&leaf.bytes, 1) == 1 && !machine.in_cache(&leaf.bytes) {
            machine.space(space)?.leaves.insert(address, Leaf { flags: writable, ..leaf });
            return Ok(false);
        }
        if !free {
            return Err(Error::Busy);
        }
        let bytes = Rc::clone(&machine.chunk_page(source.chunk, source.page)?.bytes);
        **bytes.borrow_mut() = **leaf.bytes.borrow();
        machine.space(space)?.leaves.insert(address, Leaf { bytes, flags: writable });
        Ok(true)
    }

    fn list(&mut self, space: u32, address: u64, pages: &mut [u64]) -> Result<usize, Error> {
        let mut machine = self.0.borrow_mut();
        let mut found = Vec::new();
        for index in 0..pages.len() {
            found.push(machine.space(space)?.leaves.get(&(address + (index * PAGE) as u64)).cloned());
        }
        for (word, leaf) in pages.iter_mut().zip(found) {
            *word = leaf.map_or(0, |leaf| {
                let shared = Machine::maps(&leaf.bytes, 1) > 1 || machine.in_cache(&leaf.bytes);
                1 << 12 | leaf.flags | if shared { MapFlags::SHARED } else { 0 }
            });
        }
        Ok(pages.len())
    }

    fn add_tables(&mut self, space: u32, source: Source) -> Result<(), Error> {
        for index in 0..source.pages {
            if self.free_pages(source.chunk, source.page + index)? & 1 == 0 {
                return Err(Error::Busy);
            }
            let mut machine = self.0.borrow_mut();
            machine.space(space)?.tables += 1;
            machine.chunk_page(source.chunk, source.page + index)?.used = Use::Table(space);
        }
        Ok(())
    }

    fn set_pager(&mut self, space: u32) -> Result<(), Error> {
        self.0.borrow_mut().space(space)?.has_pager = true;
        Ok(())
    }

    fn dismantle(&mut self, space: u32) -> Result<bool, Error> {
        let mut machine = self.0.borrow_mut();
        if machine.threads.values().any(|thread| thread.space == space && thread.runs != Runs::Stopped) {
            return Err(Error::Busy);
        }
        // An interrupt comes once, behind the last page, however many there are.
        if !core::mem::take(&mut machine.space(space)?.leaves).is_empty() {
            return Ok(true);
        }
        let mut pages = machine.chunks.values_mut().flatten();
        while let Some(page) = pages.find(|page| page.used == Use::Table(space)) {
            page.used = Use::Plain;
        }
        Ok(false)
    }

    fn copy_from(&mut self, space: u32, address: u64, to: &mut [u8]) -> Result<usize, CopyFault> {
        let mut machine = self.0.borrow_mut();
        let leaf = machine.space(space).map_err(CopyFault::Refused)?.leaves.get(&page_of(address)).cloned();
        let Some(leaf) = leaf.filter(|leaf| leaf.flags & MapFlags::NONE == 0) else {
            return Err(CopyFault::NeedsPage { address, write: false });
        };
        let start = (address % PAGE as u64) as usize;
        let count = to.len().min(PAGE - start);
        to[..count].copy_from_slice(&leaf.bytes.borrow()[start..start + count]);
        Ok(count)
    }

    fn copy_to(&mut self, space: u32, address: u64, from: &[u8]) -> Result<usize, CopyFault> {
        let mut machine = self.0.borrow_mut();
        let leaf = machine.space(space).map_err(CopyFault::Refused)?.leaves.get(&page_of(address)).cloned();
        let Some(leaf) = leaf.filter(|leaf| leaf.flags & MapFlags::WRITE != 0) else {
            return Err(CopyFault::NeedsPage { address, write: true });
        };
        let start = (address % PAGE as u64) as usize;
        let count = from.len().min(PAGE - start);
        leaf.bytes.borrow_mut()[start..start + count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn copy_cached(&mut self, space: u32, address: u64, from: u64, bytes: usize) -> Result<usize, CopyFault> {
        let copied = cache::bytes(&mut self.0.borrow_mut(), from, bytes).ok_or(CopyFault::Refused(Error::LocalFault))?;
        self.copy_to(space, address, &copied)
    }

    fn copy_across(&mut self, space: u32, address: u64, source: u32, from: u64, bytes: usize) -> Result<usize, CopyFault> {
        let mut buffer = vec![0; bytes];
        let count = self.copy_from(source, from, &mut buffer).map_err(|_| CopyFault::Refused(Error::LocalFault))?;
        self.copy_to(space, address, &buffer[..count])
    }

    fn processors(&self) -> usize {
        self.0.borrow().processors
    }

    fn exchange(&mut self, space: u32, address: u64, expected: u32, new: u32) -> Result<u32, CopyFault> {
        let meanwhile = self.0.borrow_mut().meanwhile.pop();
        if let Some(word) = meanwhile {
            self.copy_to(space, address, &word.to_le_bytes())?;
        }
        let mut bytes = [0; 4];
        self.copy_from(space, address, &mut bytes)?;
        let found = u32::from_le_bytes(bytes);
        let word = if found == expected { new } else { found };
        self.copy_to(space, address, &word.to_le_bytes()).map(|_| found)
    }

    fn thread_init(&mut self, thread: u32, lane: Lane) -> Result<(), Error> {
        self.0.borrow_mut().threads.get_mut(&thread).ok_or(Error::InvalidHandle)?.lane = lane;
        Ok(())
    }

    fn thread_configure(&mut self, thread: u32, setting: ThreadSetting, value: u64) -> Result<(), Error> {
        let mut machine = self.0.borrow_mut();
        let thread = machine.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?;
        thread.level = if setting == ThreadSetting::Priority { value } else { thread.level };
        if setting == ThreadSetting::Processor {
            if thread.runs == Runs::Running {
                return Err(Error::WrongState);
            }
            thread.processor = value;
        }
        if setting == ThreadSetting::Lane {
            (thread.request, thread.redeliver) = (RequestNumber(value), false);
        }
        Ok(())
    }

    fn thread_space(&mut self, thread: u32, space: u32) -> Result<(), Error> {
        let mut machine = self.0.borrow_mut();
        assert!(machine.spaces.get(&space).is_some_and(|space| space.has_pager), "a space without pager");
        machine.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?.space = space;
        Ok(())
    }

    fn thread_start(&mut self, thread: u32) -> Result<(), Error> {
        let mut machine = self.0.borrow_mut();
        let thread = machine.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?;
        if thread.runs != Runs::Stopped {
            return Err(Error::WrongState);
        }
        thread.runs = Runs::Running;
        Ok(())
    }

    fn thread_stop(&mut self, thread: u32) -> Result<Was, Error> {
        let mut machine = self.0.borrow_mut();
        let thread = machine.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?;
        let was = match thread.runs {
            Runs::Stopped => Was::Stopped,
            Runs::Running => Was::Running,
            Runs::Calling => {
                thread.frame.rip -= if thread.frame_set || thread.is_faulting { 0 } else { 2 };
                Was::Calling
            }
        };
        thread.runs = Runs::Stopped;
        Ok(was)
    }

    fn get_frame(&mut self, thread: u32) -> Result<Frame, Error> {
        let machine = self.0.borrow();
        let thread = machine.threads.get(&thread).ok_or(Error::InvalidHandle)?;
        if thread.runs == Runs::Running { Err(Error::WrongState) } else { Ok(thread.frame) }
    }

    fn set_frame(&mut self, thread: u32, frame: &Frame) -> Result<(), Error> {
        let mut machine = self.0.borrow_mut();
        let thread = machine.threads.get_mut(&thread).ok_or(Error::InvalidHandle)?;
        if thread.runs == Runs::Running {
            return Err(Error::WrongState);
        }
        thread.frame = *frame;
        thread.frame_set = thread.runs == Runs::Calling;
        Ok(())
    }

    fn thread_state(&mut self, thread: u32) -> Result<(Ticks, Doing), Error> {
        let machine = self.0.borrow();
        let thread = machine.threads.get(&thread).ok_or(Error::InvalidHandle)?;
        let doing = match thread.runs {
            Runs::Stopped => Doing::Stopped,
            Runs::Running => Doing::Running,
            Runs::Calling => Doing::Calling,
        };
        Ok((thread.ticks, doing))
    }

    fn reply(&mut self, lane: Lane, _slot: u32, kind: ReplyKind, value: u64) {
        let mut machine = self.0.borrow_mut();
        if let Some(thread) = machine.threads.values_mut().find(|thread| thread.lane == lane && thread.runs == Runs::Calling) {
            thread.runs = Runs::Running;
            if kind == ReplyKind::Resume {
                thread.frame.rax = value;
            }
        }
        machine.answers.push((lane, kind, value));
    }

    fn take_up(&mut self, _slot: u32) {}

    fn now_ns(&mut self) -> u64 {
        self.0.borrow().now
    }

    fn wall_base_ns(&mut self) -> u64 {
        1_700_000_000_000_000_000
    }

    fn ticks_per_second(&self) -> u64 {
        1_000_000_000
    }

    fn cpuid(&self, leaf: u32) -> [u32; 4] {
        match leaf {
            0 => [1, u32::from_le_bytes(*b"Fake"), u32::from_le_bytes(*b"tor "), u32::from_le_bytes(*b"Prod")],
            1 => [0x0006_0fb1, 0x0300_0800, 1 << 31, 1 << 26 | 1],
            _ => [0; 4],
        }
    }

    fn processor(&self) -> Processor {
        Processor { counts_steadily: true, names_itself: true }
    }

    fn set_deadline(&mut self, at_ns: Option<u64>) {
        self.0.borrow_mut().deadline = at_ns;
    }

    fn entropy(&mut self) -> u64 {
        let mut machine = self.0.borrow_mut();
        machine.entropy = machine.entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        machine.entropy
    }

    fn hardware_random(&mut self) -> Option<u64> {
        let word = self.entropy();
        self.0.borrow().has_random.then_some(word)
    }

    fn log(&mut self, line: &str) {
        self.0.borrow_mut().log.push(line.into());
    }

    fn attempt(&mut self, service: Service, number: RequestNumber, message: &[u8], leases: &[Lease], reply: &mut [u8]) -> Result<usize, Error> {
        let mut machine = self.0.borrow_mut();
        let mut caller = Pointers { number, leases };
        let bytes = match service {
            Service::Vfs => machine.vfs.serve(&mut caller, message, reply).bytes,
            Service::Console => protocols::console::serve(&mut machine.console, &mut caller, message, reply).bytes,
            Service::Inference => match machine.inference.refused {
                Some(error) => return Err(error),
                None => protocols::inference::serve(&mut machine.inference, &mut caller, message, reply).bytes,
            },
            Service::Supervisor => {
                if let Ok(protocols::supervisor::Request::PowerOff { status }) = protocols::wire::decode(message) {
                    machine.powered_off = Some(status);
                }
                let done: Result<_, protocols::supervisor::Error> = Ok(protocols::supervisor::Reply::Done);
                return protocols::wire::encode(&done, reply).map_err(|_| Error::InvalidArgument);
            }
            _ => return Err(Error::Closed),
        };
        Ok(machine.spoil_answer.take().map_or(bytes, |spoil| spoil(reply, bytes)))
    }

    fn own_number(&mut self) -> RequestNumber {
        let mut machine = self.0.borrow_mut();
        machine.numbers += 1;
        RequestNumber::new(Service::Posix.id(), 0xff00, machine.numbers, 0)
    }

    fn lend(&mut self, bytes: &[u8]) -> Lease {
        Lease { address: bytes.as_ptr() as u64, length: bytes.len() as u64, reply: 0, index: 0, rights: Lease::READ }
    }

    fn lend_mut(&mut self, bytes: &mut [u8]) -> Lease {
        Lease { address: bytes.as_mut_ptr() as u64, length: bytes.len() as u64, reply: 0, index: 0, rights: Lease::WRITE }
    }

    fn buy(&mut self, pages: u32, slot: u32) -> bool {
        let mut machine = self.0.borrow_mut();
        if machine.chunks.contains_key(&slot) {
            return true;
        }
        if machine.for_sale < pages as usize {
            return false;
        }
        machine.for_sale -= pages as usize;
        let chunk = (0..pages).map(|_| ChunkPage { bytes: blank(), used: Use::Plain }).collect();
        machine.chunks.insert(slot, chunk);
        true
    }

    fn give_back(&mut self, slot: u32) -> bool {
        let mut machine = self.0.borrow_mut();
        if let Some(pages) = machine.chunks.remove(&slot) {
            let all_free = pages.iter().all(|page| page.used == Use::Plain && Machine::maps(&page.bytes, 0) == 0);
            assert!(all_free, "memory that is used was given back");
            machine.for_sale += pages.len();
        }
        true
    }
}
