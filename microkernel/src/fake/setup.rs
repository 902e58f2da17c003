//! What a test starts from: objects, processes, Linux programs, memory; all made by root through system calls.

use abi::{MapFlags, ObjectKind, Operation, Rights, ThreadSetting, thread_flags};

use super::World;
use super::world::PRIORITY;
use crate::page::Ref;
use crate::thread::Thread;

/// Pages that a process gets for its page tables.
const TABLE_PAGES: u64 = 12;

/// A process: handles in root's table, and its first thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its CapTable; 0 for a Linux program.
    pub table: u32,
    /// Its AddressSpace.
    pub space: u32,
    /// Its Thread.
    pub handle: u32,
    /// The thread itself.
    pub thread: Ref<Thread>,
}

/// A kernel object, or memory, and the owned Memory that it lies in: handles in root's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Made {
    /// The object.
    pub handle: u32,
    /// Its pages.
    pub memory: u32,
}

/// What a Linux program is connected to: handles in root's table, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Linux {
    /// Who answers its system calls.
    pub personality: u32,
    /// Who handles its page faults.
    pub pager: u32,
    /// Who handles its exceptions.
    pub faults: u32,
    /// Its badge there.
    pub badge: u64,
    /// First request number.
    pub lane: u64,
}

impl World {
    /// Owned memory of so many pages that nothing uses.
    pub fn pages(&mut self, count: u64) -> u32 {
        let rest = self.free_slot();
        self.must(self.memory, Operation::Split, &[count, u64::from(rest), 0]);
        core::mem::replace(&mut self.memory, rest)
    }

    /// Memory that can be mapped as one page of 2 MiB: it begins where one does.
    pub fn huge_pages(&mut self) -> u32 {
        let (root, next) = (self.root, self.pages(1));
        let after = self.slot(&root, next).first + 1;
        self.pages(u64::from(after.next_multiple_of(512) - after));
        self.pages(512)
    }

    /// An object in pages of its own.
    pub fn make(&mut self, kind: ObjectKind, pages: u64) -> Made {
        let (memory, handle) = (self.pages(pages), self.free_slot());
        self.must(memory, Operation::Retype, &[0, kind as u64, pages, u64::from(handle), 0]);
        Made { handle, memory }
    }

    /// A new endpoint.
    pub fn endpoint(&mut self) -> u32 {
        self.make(ObjectKind::Endpoint, 1).handle
    }

    /// A new notification.
    pub fn notification(&mut self) -> u32 {
        self.make(ObjectKind::Notification, 1).handle
    }

    /// A new address space with pages for its tables.
    pub fn space(&mut self) -> u32 {
        let space = self.make(ObjectKind::AddressSpace, 1).handle;
        let tables = self.pages(TABLE_PAGES);
        assert_eq!(self.must(space, Operation::AddTables, &[u64::from(tables), 0, TABLE_PAGES]), TABLE_PAGES);
        space
    }

    /// Sets a property of a thread.
    pub fn configure(&mut self, handle: u32, setting: ThreadSetting, value: u64) {
        self.must(handle, Operation::ThreadConfigure, &[setting as u64, value, 0]);
    }

    /// A stopped thread in a space, with a table (or none) and a message page.
    pub fn idle_thread(&mut self, table: u32, space: u32) -> Process {
        let handle = self.make(ObjectKind::Thread, 1).handle;
        let message = self.pages(1);
        self.configure(handle, ThreadSetting::Space, u64::from(space));
        if table != 0 {
            self.configure(handle, ThreadSetting::Table, u64::from(table));
        }
        self.configure(handle, ThreadSetting::MessagePage, u64::from(message));
        self.configure(handle, ThreadSetting::Priority, PRIORITY);
        let thread = self.object(handle);
        Process { table, space, handle, thread }
    }

    /// A process of its own, running.
    pub fn spawn(&mut self) -> Process {
        let (table, space) = (self.make(ObjectKind::CapTable, 1).handle, self.space());
        let process = self.idle_thread(table, space);
        self.must(process.handle, Operation::ThreadStart, &[]);
        process
    }

    /// One more thread of a process, running.
    pub fn spawn_thread(&mut self, process: &Process) -> Process {
        let thread = self.idle_thread(process.table, process.space);
        self.must(thread.handle, Operation::ThreadStart, &[]);
        thread
    }

    /// A Linux program, running.
    pub fn spawn_linux(&mut self, linux: &Linux) -> Process {
        let space = self.space();
        let process = self.idle_thread(0, space);
        self.configure(process.handle, ThreadSetting::Flags, thread_flags::FPU | thread_flags::REFLECT);
        self.configure(process.handle, ThreadSetting::Badge, linux.badge);
        self.configure(process.handle, ThreadSetting::Lane, linux.lane);
        for (setting, endpoint) in [(ThreadSetting::Personality, linux.personality), (ThreadSetting::FaultEndpoint, linux.faults)] {
            if endpoint != 0 {
                self.configure(process.handle, setting, u64::from(endpoint));
            }
        }
        if linux.pager != 0 {
            self.must(space, Operation::SetPager, &[u64::from(linux.pager)]);
        }
        self.must(process.handle, Operation::ThreadStart, &[]);
        process
    }

    /// Moves a thread to another processor, where it goes on with what it did, or lets it follow its callers.
    pub fn place(&mut self, handle: u32, processor: u64) {
        let was = self.must(handle, Operation::ThreadStop, &[]);
        self.configure(handle, ThreadSetting::Processor, processor);
        if was != 0 {
            self.must(handle, Operation::ThreadStart, &[]);
        }
    }

    /// Copies root's capability into a slot of a process, with these rights.
    pub fn give(&mut self, process: &Process, slot: u32, handle: u32, rights: u8) {
        self.must(process.table, Operation::Copy, &[u64::from(slot), u64::from(handle), u64::from(rights), 0, 0, 0]);
    }

    /// As [`World::give`], under a badge.
    pub fn give_badged(&mut self, process: &Process, slot: u32, handle: u32, rights: u8, badge: u64) {
        self.must(process.table, Operation::Copy, &[u64::from(slot), u64::from(handle), u64::from(rights), badge, 1, 0]);
    }

    /// Maps fresh memory into a process's space; root's handle of it.
    pub fn map(&mut self, process: &Process, address: u64, pages: u64, flags: u64) -> u32 {
        let memory = self.pages(pages);
        let done = self.must(process.space, Operation::Map, &[address, u64::from(memory), 0, pages, flags | MapFlags::READ]);
        assert_eq!(done, pages);
        memory
    }

    /// Lends root's memory: a capability that owns nothing.
    pub fn lend(&mut self, memory: u32, first: u64, pages: u64, rights: u8) -> u32 {
        let slot = self.free_slot();
        self.must(memory, Operation::Derive, &[first, pages, u64::from(rights), u64::from(slot), 0]);
        slot
    }

    /// A server and a client of one endpoint. The server holds RECEIVE in slot 10 and takes Replies into slot 11, the client holds CALL in slot
    /// 10 under `badge`.
    pub fn pair(&mut self, badge: u64) -> (Process, Process, u32) {
        let endpoint = self.endpoint();
        let (server, client) = (self.spawn(), self.spawn());
        self.give(&server, 10, endpoint, Rights::RECEIVE);
        self.give_badged(&client, 10, endpoint, Rights::CALL, badge);
        self.run(server.thread, 0, Operation::SetReplySlot, &[11]).expect("an index of the table");
        (server, client, endpoint)
    }
}
