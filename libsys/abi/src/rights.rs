//! Kinds of objects, rights on them, and how pages are mapped.

/// What a slot or a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ObjectKind {
    /// Nothing: an empty slot; a page that is not for use.
    Empty = 0,
    /// A range of plain pages.
    Memory = 1,
    /// Endpoint.
    Endpoint = 2,
    /// Notification.
    Notification = 3,
    /// Thread.
    Thread = 4,
    /// AddressSpace, also as a region.
    AddressSpace = 5,
    /// CapTable.
    CapTable = 6,
    /// Reply: only in the receiver's own table.
    Reply = 7,
    /// A range of interrupt lines.
    Irq = 8,
    /// A range of I/O ports.
    IoPorts = 9,
    /// A page that an address space uses as a page table; no capability has this kind.
    PageTable = 10,
    /// A range of device memory: mapped, never retyped.
    Device = 11,
}

impl ObjectKind {
    /// Decodes an argument or a stored byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Empty,
            1 => Self::Memory,
            2 => Self::Endpoint,
            3 => Self::Notification,
            4 => Self::Thread,
            5 => Self::AddressSpace,
            6 => Self::CapTable,
            7 => Self::Reply,
            8 => Self::Irq,
            9 => Self::IoPorts,
            10 => Self::PageTable,
            11 => Self::Device,
            _ => return None,
        })
    }
}

/// Rights of a capability; what a bit means depends on the kind.
pub struct Rights;

impl Rights {
    /// Every right.
    pub const ALL: u8 = 0xff;

    /// Endpoint: call.
    pub const CALL: u8 = 1;
    /// Endpoint: receive.
    pub const RECEIVE: u8 = 2;
    /// Endpoint, Notification, AddressSpace, CapTable, Thread: change its state.
    pub const CONTROL: u8 = 0x40;

    /// Notification: signal.
    pub const SIGNAL: u8 = 1;
    /// Notification: wait.
    pub const WAIT: u8 = 2;

    /// Memory: map readable.
    pub const READ: u8 = 1;
    /// Memory: map writable.
    pub const WRITE: u8 = 2;
    /// Memory: map executable.
    pub const EXECUTE: u8 = 4;
    /// Memory: the one owning capability of its pages.
    pub const OWNED: u8 = 8;
    /// Memory: physical addresses may be asked for.
    pub const PHYS: u8 = 0x10;

    /// AddressSpace: change its mappings.
    pub const MAP: u8 = 1;
    /// AddressSpace: be the source of a share.
    pub const SHARE: u8 = 2;
    /// AddressSpace: be the source of a copy-on-write clone.
    pub const CLONE: u8 = 4;
    /// AddressSpace: copy bytes from and to it.
    pub const COPY: u8 = 8;
    /// AddressSpace: list its pages.
    pub const LIST: u8 = 0x10;

    /// CapTable: put into it.
    pub const INSERT: u8 = 1;
    /// CapTable: take from it and describe its slots.
    pub const TAKE: u8 = 2;

    /// Irq, IoPorts: use.
    pub const USE: u8 = 1;
}

/// How a page is mapped.
pub struct MapFlags;

impl MapFlags {
    /// Readable; implied, except by [`MapFlags::NONE`].
    pub const READ: u64 = 1;
    /// Writable.
    pub const WRITE: u64 = 2;
    /// Executable; never together with writable.
    pub const EXECUTE: u64 = 4;
    /// Map: zero the page first; it must not be mapped elsewhere. Not with [`MapFlags::HUGE`].
    pub const ZERO: u64 = 8;
    /// Map: one 2 MiB page; address and physical address must be aligned and the range exactly that long. List: the page is part of one.
    pub const HUGE: u64 = 0x10;
    /// Device memory: not cached.
    pub const UNCACHED: u64 = 0x20;
    /// List: the page is copy-on-write.
    pub const COW: u64 = 0x40;
    /// List: the page was written since it was mapped (the dirty bit of its entry).
    pub const DIRTY: u64 = 0x80;
    /// List: something else maps the page too.
    pub const SHARED: u64 = 0x100;
    /// Protect and List: the page stays, and no user code may access it, nor the kernel on its behalf. Alone, without any access.
    pub const NONE: u64 = 0x200;
}
