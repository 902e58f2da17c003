//! What the attacker makes of bought memory: objects of every kind, and puppets, processes whose registers it sets and which it meets again at their next
//! exception. Afterwards all of it must be plain memory again.

use abi::{Error, Frame, MAX_CAPS, MapFlags, OWN_TABLE, ObjectKind, ReplyKind, ThreadSetting};
use libsys::syscall::{self, MapSource};
use libsys::{Peer, slot};
use protocols::memory::Client;
use protocols::service::Service;

use super::{Outcome, failed, must};

/// Bought pages, in this slot of the own vault.
const MEMORY: u32 = 4;
const PAGES: u64 = 128;
/// Pages of the objects that no puppet has, an object each; then come the puppets'.
const OBJECTS: u64 = 16;
const PAGES_OF_A_PUPPET: u64 = 16;
/// Of those, in their order: its space, pages for the tables of that, and one of each of the others.
const TABLES: u64 = 8;
const THREAD: u64 = 9;
const TABLE: u64 = 10;
const CODE_PAGE: u64 = 11;
const DATA_PAGE: u64 = 12;
pub(super) const MESSAGE_PAGE: u64 = 13;
/// A page of the puppet's for whatever an attack maps.
pub(super) const SPARE_PAGE: u64 = 14;
/// Own slots: of objects, by their page, and of a puppet's space, thread and table.
const OBJECT_SLOTS: u32 = slot::FREE;
const PUPPET_SLOTS: u32 = OBJECT_SLOTS + OBJECTS as u32;
const SLOTS_OF_A_PUPPET: u32 = 3;
/// Where attacks may put what they try.
pub(super) const SCRATCH: u32 = PUPPET_SLOTS + 8 * SLOTS_OF_A_PUPPET;
const END_OF_SLOTS: u32 = SCRATCH + 32;
/// Where a puppet has its code, its data and its message page.
pub(super) const CODE: u64 = 0x40_0000;
pub(super) const DATA: u64 = 0x41_0000;
pub(super) const MESSAGE: u64 = 0x42_0000;
/// Less important than the attacker, so that it does not run while the attacker does on the same processor.
const PRIORITY: u64 = 9;
/// The slot into which the attacker takes Replies.
pub(super) const REPLY: u32 = slot::reply(0);
/// A number that no badge of a server's has.
const BADGE: u64 = 0x5eed;

/// Who attacks, and what it made so far.
#[derive(Debug)]
pub(super) struct Attacker {
    objects: u64,
    puppets: u32,
}

/// A process that is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Puppet {
    first_page: u64,
    /// Its AddressSpace.
    pub(super) space: u32,
    /// Its Thread.
    pub(super) thread: u32,
    /// Its CapTable.
    pub(super) table: u32,
}

/// What a puppet met, and its registers then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    /// The exception's number.
    pub(super) vector: u64,
    /// The address that a page fault is about.
    pub(super) address: u64,
    /// The registers.
    pub(super) frame: Frame,
}

impl Attacker {
    /// Buys the memory, once for all attacks.
    pub(super) fn buy() -> Outcome {
        let bought = Client(Peer::to(Service::Memory)).buy(libsys::next_number(), PAGES as u32, MEMORY);
        must("buying", bought)?;
        must("a slot for Replies", syscall::set_reply_slot(REPLY))
    }

    /// Starts with an endpoint for what puppets meet.
    pub(super) fn new() -> Outcome<Self> {
        let mut attacker = Self { objects: 0, puppets: 0 };
        attacker.make(ObjectKind::Endpoint)?;
        Ok(attacker)
    }

    /// The memory, which it owns.
    pub(super) const fn memory() -> u32 {
        slot::vault(MEMORY)
    }

    /// The endpoint where exceptions of puppets arrive.
    pub(super) const fn faults() -> u32 {
        OBJECT_SLOTS
    }

    /// Makes an object; its handle.
    pub(super) fn make(&mut self, kind: ObjectKind) -> Outcome<u32> {
        let handle = OBJECT_SLOTS + self.objects as u32;
        must("an object", syscall::retype(Self::memory(), self.objects, kind, 1, OWN_TABLE, handle))?;
        self.objects += 1;
        Ok(handle)
    }

    /// The page in the memory of an object that was made.
    pub(super) const fn page_of(handle: u32) -> u64 {
        (handle - OBJECT_SLOTS) as u64
    }

    /// Makes a puppet that will run this code, with an empty table.
    pub(super) fn puppet(&mut self, code: &[u8]) -> Outcome<Puppet> {
        let first_page = OBJECTS + u64::from(self.puppets) * PAGES_OF_A_PUPPET;
        let slots = PUPPET_SLOTS + self.puppets * SLOTS_OF_A_PUPPET;
        self.puppets += 1;
        let puppet = Puppet { first_page, space: slots, thread: slots + 1, table: slots + 2 };
        for (page, kind, to) in
            [(0, ObjectKind::AddressSpace, puppet.space), (THREAD, ObjectKind::Thread, puppet.thread), (TABLE, ObjectKind::CapTable, puppet.table)]
        {
            must("a puppet", syscall::retype(Self::memory(), first_page + page, kind, 1, OWN_TABLE, to))?;
        }
        must("its tables", syscall::add_tables(puppet.space, MapSource { memory: Self::memory(), first: first_page + 1, pages: TABLES }))?;
        puppet.load(CODE, code)?;
        puppet.map(DATA, DATA_PAGE, MapFlags::READ | MapFlags::WRITE)?;
        puppet.map(MESSAGE, MESSAGE_PAGE, MapFlags::READ | MapFlags::WRITE)?;
        for (setting, value, page) in [
            (ThreadSetting::Space, u64::from(puppet.space), 0),
            (ThreadSetting::Table, u64::from(puppet.table), 0),
            (ThreadSetting::MessagePage, u64::from(Self::memory()), first_page + MESSAGE_PAGE),
            (ThreadSetting::FaultEndpoint, u64::from(Self::faults()), 0),
            (ThreadSetting::Priority, PRIORITY, 0),
            (ThreadSetting::Badge, BADGE, 0),
        ] {
            must("a setting", syscall::thread_configure(puppet.thread, setting, value, page))?;
        }
        Ok(puppet)
    }

    /// Takes everything apart. Every page must be plain memory then, and nobody use it.
    pub(super) fn clean(self) -> Outcome {
        let slots = (0..self.puppets).map(|index| PUPPET_SLOTS + index * SLOTS_OF_A_PUPPET);
        let puppets = slots.clone().zip(0..).map(|(slots, index)| (slots, OBJECTS + index * PAGES_OF_A_PUPPET));
        for (slots, _) in puppets.clone() {
            // One that an attack ended is stopped for good.
            let _ended = syscall::thread_stop(slots + 1);
        }
        let _empty = syscall::delete(OWN_TABLE, REPLY);
        for (_, first_page) in puppets.clone() {
            reclaim(first_page + THREAD, 1)?;
        }
        for (slots, first_page) in puppets {
            reclaim(first_page + TABLE, 1)?;
            while must("taking apart", syscall::dismantle(slots))? != 0 {}
        }
        reclaim(0, PAGES)?;
        for handle in OBJECT_SLOTS..END_OF_SLOTS {
            // Nothing lies in most of them.
            let _empty = syscall::delete(OWN_TABLE, handle);
        }
        for first in (0..PAGES).step_by(64) {
            let free = must("looking", syscall::free_pages(Self::memory(), first))?;
            if free != u64::MAX {
                return Err(failed(format_args!("pages from {first} are not free: {free:#x}")));
            }
        }
        Ok(())
    }
}

/// Destroys what lies in a range of the memory.
pub(super) fn reclaim(first: u64, pages: u64) -> Outcome {
    let mut done = 0;
    while done < pages {
        done += must("reclaiming", syscall::reclaim(Attacker::memory(), first + done, pages - done))?;
    }
    Ok(())
}

impl Puppet {
    /// The number in the memory of one of its pages.
    pub(super) const fn page(&self, which: u64) -> u64 {
        self.first_page + which
    }

    /// Maps one of its pages into its space.
    pub(super) fn map(&self, address: u64, which: u64, flags: u64) -> Outcome {
        let source = MapSource { memory: Attacker::memory(), first: self.page(which), pages: 1 };
        must("mapping", syscall::map(self.space, address, source, flags)).map(drop)
    }

    /// Puts code at an address: its one page of code, which is writable only before.
    fn load(&self, address: u64, code: &[u8]) -> Outcome {
        self.map(address, CODE_PAGE, MapFlags::READ | MapFlags::WRITE)?;
        must("loading", syscall::copy_to(self.space, address, code))?;
        must("protecting", syscall::protect(self.space, address, 1, MapFlags::READ | MapFlags::EXECUTE)).map(drop)
    }

    /// Writes into its memory.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Outcome {
        must("writing", syscall::copy_to(self.space, address, bytes)).map(drop)
    }

    /// Gives it a capability in a slot of its own.
    pub(super) fn give(&self, to: u32, handle: u32, rights: u8) -> Outcome {
        must("giving", syscall::copy(self.table, to, handle, rights))
    }

    /// Lets it run from these registers.
    pub(super) fn start(&self, frame: &Frame) -> Outcome {
        must("its registers", syscall::set_frame(self.thread, frame))?;
        must("starting", syscall::thread_start(self.thread))
    }

    /// Lets it run from these registers until it meets an exception, of which it then waits to be told.
    pub(super) fn play(&self, frame: &Frame) -> Outcome<Met> {
        must("its registers", syscall::set_frame(self.thread, frame))?;
        match syscall::reply(REPLY, ReplyKind::Resume, 0) {
            Ok(()) => {}
            // It did not run before.
            Err(Error::InvalidHandle) => must("starting", syscall::thread_start(self.thread))?,
            Err(error) => return Err(failed(format_args!("answering: {error:?}"))),
        }
        self.meet()
    }

    /// Waits for its next exception.
    pub(super) fn meet(&self) -> Outcome<Met> {
        let message = must("waiting for an exception", syscall::receive(Attacker::faults(), [0; MAX_CAPS]))?;
        if message.badge != BADGE {
            return Err(failed(format_args!("a message of {:#x}", message.badge)));
        }
        let [vector, _, address, ..] = message.words;
        Ok(Met { vector, address, frame: must("its registers", syscall::get_frame(self.thread))? })
    }
}
