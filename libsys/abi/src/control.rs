//! The low half of `rax`: which operation on which handle.
//!
//! The two operations that have a fast path are told from all others by the top bits alone; every other operation is bit 31 and a number.

/// An operation. The table in each variant's text: invoked handle; arguments in message words; results in message words.
///
/// Operations on ranges do at most [`crate::BUDGET_PAGES`] pages and return how many they did, at least one: the caller goes on from there. They return
/// early when an interrupt waits, after each page that is zeroed and after so many entries. Operations that are done as a whole ([`Operation::SetState`],
/// [`Operation::Retype`], the end of an object in [`Operation::Reclaim`]) keep their progress in the object instead, and their thread finds itself at the
/// same `syscall` again with the same registers, after the interrupt: it need not know. If it is stopped there for good, somebody else can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Operation {
    /// Endpoint (CALL). Sends a message and waits for its reply.
    Call = 0x00,
    /// Endpoint (RECEIVE). Replies through the thread's reply slot, if it holds a Reply, and waits for the next message.
    ReplyReceive = 0x40,
    /// Endpoint (RECEIVE). Waits for the next message; its Reply is put into the thread's reply slot, which must be empty.
    Receive = 0x80,
    /// Reply. Answers without waiting. Message as for a call.
    Reply = 0x81,
    /// No handle; word 0: slot of the own table where the next message's Reply goes.
    SetReplySlot = 0x82,
    /// Reply; word 0: lease index; 1: offset (an address for a reflected caller); 2: local address; 3: bytes; 7: [`crate::copy_sum`]. Copies from the caller.
    /// Result 0: bytes copied, at most [`crate::COPY_BYTES`]. On [`crate::Error::NeedsPage`]: 0: address in the lender, 1: 1 for a write.
    LeaseRead = 0x83,
    /// As [`Operation::LeaseRead`], to the caller.
    LeaseWrite = 0x84,
    /// Notification (SIGNAL); word 0: bits to set.
    Signal = 0x85,
    /// Notification (WAIT). Waits until its word is not zero, returns and clears it. Result 0: the word.
    Wait = 0x86,
    /// Notification (WAIT). Returns and clears the word, zero or not. Result 0: the word.
    Poll = 0x87,
    /// Notification (CONTROL); word 0: absolute TSC value, 0 for none. [`crate::DEADLINE_BIT`] is signalled when it has passed.
    Deadline = 0x88,
    /// Notification (CONTROL); word 0: handle of an Endpoint (RECEIVE): its receivers get the word as a message. 0 undoes it.
    Bind = 0x89,
    /// No handle. Gives up the processor to threads of the same priority.
    Yield = 0x8a,
    /// No handle; word 0: bytes in the message page. Writes them to the system's log.
    Log = 0x8b,
    /// Reply. The thread works for its caller from now on, as if it had just received the message: it is what the thread has in hand, and its caller pays.
    /// For a message that was kept.
    TakeUp = 0x8c,

    /// CapTable (INSERT), or [`crate::OWN_TABLE`]; word 0: slot there; 1: source handle; 2: rights to keep; 3: badge; 4: 1 to set the badge (mint),
    /// 2 to move; 5: handle of the table that the source handle names a slot of (TAKE), or [`crate::OWN_TABLE`].
    Copy = 0x90,
    /// CapTable (INSERT), or [`crate::OWN_TABLE`]; word 0: slot. Empties it. An owned Memory is refused; a Reply is dropped, and its caller told so.
    Delete = 0x91,
    /// CapTable (TAKE), or [`crate::OWN_TABLE`]; word 0: slot. Results: 0: kind, 1: rights, 2: badge, 3: first (page, port, line), 4: count, 5: 1 if still valid.
    /// Of an Endpoint, 3: 1 if callers queue, 4: 1 if a receiver waits. 0 of others.
    Describe = 0x92,
    /// CapTable (CONTROL). One step of an instance's death: its callers are told. Result 0: callers left.
    Kill = 0x93,

    /// Memory (OWNED); word 0: page offset; 1: [`crate::ObjectKind`]; 2: pages (only tables have more than one); 3: destination slot; 4: destination table.
    /// A table that lies there with fewer pages, its capability in that slot, gets the others: the same operation, preempted.
    Retype = 0xa0,
    /// Memory (OWNED); word 0: page offset; 1: destination slot; 2: destination table. The pages from the offset on become a capability of their own.
    Split = 0xa1,
    /// Memory (OWNED); word 0: handle of the owned Memory that begins where this one ends; that one goes.
    Merge = 0xa2,
    /// Memory (OWNED); word 0: page offset; 1: pages. Destroys what lies there and zeroes it. Result 0: pages done. A table's later pages go first, and
    /// all its handles before; where it ends early, they are plain pages to be reclaimed as such.
    Reclaim = 0xa3,
    /// Memory (OWNED); word 0: page offset; 1: pages. Every other capability to these pages dies. Result 0: pages done.
    Revoke = 0xa4,
    /// Memory, IoPorts or Irq; word 0: offset; 1: count; 2: rights to keep; 3: destination slot; 4: destination table. Makes a lent or narrower capability.
    Derive = 0xa5,
    /// Memory (OWNED); word 0: page offset. Result 0: bit i is set when page offset + i is plain memory that nothing maps or pins, for 64 pages.
    FreePages = 0xa6,
    /// Memory (PHYS); word 0: page offset. Result 0: physical address.
    PhysicalAddress = 0xa7,

    /// AddressSpace (MAP); word 0: address; 1: Memory handle; 2: first page; 3: pages; 4: [`crate::MapFlags`]. Result 0: pages done. A 2 MiB page is not
    /// zeroed by this: [`Operation::Reclaim`] does it in steps.
    Map = 0xb0,
    /// AddressSpace (MAP); word 0: address; 1: pages. Result 0: pages done (mapped or not).
    Unmap = 0xb1,
    /// AddressSpace (MAP); word 0: address; 1: pages; 2: [`crate::MapFlags`]. Result 0: pages done.
    Protect = 0xb2,
    /// AddressSpace (MAP); word 0: address; 1: source AddressSpace handle (SHARE); 2: source address; 3: pages; 4: [`crate::MapFlags`]. Result 0: pages done.
    /// Pages that the source does not have stay unmapped. A 2 MiB page is shared as such where the range has all of it and both addresses are
    /// aligned, else as 4 KiB pages.
    Share = 0xb3,
    /// AddressSpace (MAP); as [`Operation::Share`] with right CLONE: both sides lose the right to write until [`Operation::Unshare`].
    /// Not for 2 MiB pages.
    Clone = 0xb4,
    /// AddressSpace (MAP); word 0: address; 1: Memory handle; 2: page in it. Ends copy-on-write for one page, with a copy in the page given if
    /// others still map the old one. Result 0: 1 if the page was used.
    Unshare = 0xb5,
    /// AddressSpace (COPY); word 0: address there; 1: local address; 2: bytes; 7: [`crate::copy_sum`]. Copies from the space. Results as [`Operation::LeaseRead`].
    CopyFrom = 0xb6,
    /// As [`Operation::CopyFrom`], into the space.
    CopyTo = 0xb7,
    /// AddressSpace (LIST); word 0: address; 1: pages, at most 448. The message page receives a u64 a page: 0, or the page's number shifted by 12
    /// with [`crate::MapFlags`]. Result 0: pages done.
    List = 0xb8,
    /// AddressSpace (MAP); word 0: Memory handle (OWNED); 1: first page; 2: pages. Gives the space pages for its tables. Result 0: pages done.
    AddTables = 0xb9,
    /// AddressSpace (CONTROL); word 0: endpoint handle (CALL) of its pager.
    SetPager = 0xba,
    /// AddressSpace (CONTROL). One step of taking it apart; it can never be loaded again. Result 0: 0 when nothing is left.
    Dismantle = 0xbb,
    /// AddressSpace (COPY); word 0: address, a multiple of 4; 1: a 32-bit word that is expected there; 2: another one, which replaces it in one atomic step if
    /// it is; 7: [`crate::copy_sum`]. Result 0: the word that was there. On [`crate::Error::NeedsPage`] as [`Operation::LeaseRead`].
    Exchange = 0xbc,
    /// AddressSpace (COPY); word 0: address there; 1: another AddressSpace's handle (CLONE); 2: address in that; 3: bytes; 7: [`crate::copy_sum`]. Copies from the
    /// other space. Results as [`Operation::LeaseWrite`], where what the other space has not counts as local memory.
    CopyAcross = 0xbd,

    /// Thread (CONTROL); word 0: [`crate::ThreadSetting`]; 1, 2: its value.
    ThreadConfigure = 0xc0,
    /// Thread (CONTROL). Makes it runnable.
    ThreadStart = 0xc1,
    /// Thread (CONTROL). Stops it wherever it is; a call that it waits in is given up: a reflected one, as a fault, is made again when the thread is started, under a new
    /// number, unless registers were set meanwhile, which are its answer. Its frame is stored when this returns. Two threads that run at the same time and
    /// stop each other both stop.
    /// Result 0: 1 if it was running or runnable, 2 if it waited in a call or fault, 3 if on a notification or endpoint, 0 if it was stopped before.
    ThreadStop = 0xc2,
    /// Thread (CONTROL). Ends its wait, of whatever kind. On a notification or an endpoint, or in a native call: it returns with
    /// [`crate::Error::Kicked`]; the call may have been received or not, so it is sent again under the same number or not at all. In a reflected call
    /// or a fault: it runs its instruction again, and the system call keeps its number; registers that were set meanwhile are the answer instead.
    /// Whoever had the message received finds [`crate::Error::ReplyGone`], and what it calls itself goes on. A thread that runs or is stopped has no wait
    /// that could end: nothing happens, now or later. Result 0: what it was doing, as for [`Operation::ThreadStop`].
    ThreadKick = 0xc3,
    /// Thread (CONTROL), stopped or waiting in a call. Its [`crate::Frame`] is put into the caller's message page.
    GetFrame = 0xc4,
    /// Thread (CONTROL), stopped or waiting in a call. Its frame is taken from the caller's message page, each value checked.
    SetFrame = 0xc5,
    /// Thread (CONTROL). Results: 0: TSC ticks that it ran, 1: ticks that others ran on its behalf, 2: its calls, 3: its state, 4: request it last received,
    /// 5: ticks since it received it.
    Counters = 0xc6,
    /// Thread (CONTROL), not yet stopped; word 0: attempts, or 0. What request it has in hand: one that it received, and neither answered nor put aside
    /// by waiting for the next. With word 0 the request is blamed for the thread's end, which counts an attempt; when that makes as many as word 0, its
    /// caller is refused: [`crate::Error::Poisoned`], EIO for a reflected call; a page fault becomes an exception; an exception leaves its thread stopped.
    /// Results: 0: 1 if it has one in hand, 1: its number, 2: its [`crate::MessageKind`], 3: the caller's badge, 4: attempts counted so far, 5: 1 if refused.
    Blame = 0xc7,

    /// Endpoint (CONTROL); word 0: [`crate::EndpointState`]; 1: error code that callers of a closed endpoint get. It opens when all have met who wait on
    /// both sides, and closes before the first of those who wait is told.
    SetState = 0xd0,
    /// Irq; word 0: line offset; 1: Notification handle (SIGNAL), or 0 for none; 2: bits to signal.
    IrqBind = 0xd1,
    /// Irq; word 0: line offset. Unmasks it after a delivery.
    IrqAck = 0xd2,
    /// IoPorts; word 0: port offset; 1: width in bytes (1, 2, 4). Result 0: the value.
    PortIn = 0xd3,
    /// IoPorts; word 0: port offset; 1: width; 2: value.
    PortOut = 0xd4,
    /// IoPorts; word 0: port offset; 1: bytes of the message page to write to the port one after the other.
    PortOutBytes = 0xd5,
    /// IoPorts. What was done through this capability: it moves with it from table to table, and copies begin anew, so whoever gets a dead driver's
    /// capability knows what reached the device. Results: 0: reads completed, 1: writes completed, each byte of [`Operation::PortOutBytes`] being one,
    /// both modulo 2^32, 2: the last value read.
    PortRecord = 0xd6,
    /// IoPorts (USE) of all ports, which nobody has who may not see everything; word 0: 1 to trace what threads do from now on, 0 to stop; 1: number of the first
    /// record wanted. The message page receives [`crate::TraceRecord`]s from there on, or from the oldest that is kept. Results: 0: number of the first one, 1: how
    /// many, at most [`crate::TRACE_RECORDS`].
    Trace = 0xd7,
}

impl Operation {
    /// All operations but [`Operation::Call`] and [`Operation::ReplyReceive`], in order.
    pub const SLOW: [Self; 55] = [
        Self::Receive,
        Self::Reply,
        Self::SetReplySlot,
        Self::LeaseRead,
        Self::LeaseWrite,
        Self::Signal,
        Self::Wait,
        Self::Poll,
        Self::Deadline,
        Self::Bind,
        Self::Yield,
        Self::Log,
        Self::TakeUp,
        Self::Copy,
        Self::Delete,
        Self::Describe,
        Self::Kill,
        Self::Retype,
        Self::Split,
        Self::Merge,
        Self::Reclaim,
        Self::Revoke,
        Self::Derive,
        Self::FreePages,
        Self::PhysicalAddress,
        Self::Map,
        Self::Unmap,
        Self::Protect,
        Self::Share,
        Self::Clone,
        Self::Unshare,
        Self::CopyFrom,
        Self::CopyTo,
        Self::List,
        Self::AddTables,
        Self::SetPager,
        Self::Dismantle,
        Self::Exchange,
        Self::CopyAcross,
        Self::ThreadConfigure,
        Self::ThreadStart,
        Self::ThreadStop,
        Self::ThreadKick,
        Self::GetFrame,
        Self::SetFrame,
        Self::Counters,
        Self::Blame,
        Self::SetState,
        Self::IrqBind,
        Self::IrqAck,
        Self::PortIn,
        Self::PortOut,
        Self::PortOutBytes,
        Self::PortRecord,
        Self::Trace,
    ];

    /// How many arguments it has of which [`crate::copy_sum`] is the last word; `None` if it copies nothing.
    #[must_use]
    pub const fn summed(self) -> Option<usize> {
        match self {
            Self::LeaseRead | Self::LeaseWrite | Self::CopyAcross => Some(4),
            Self::CopyFrom | Self::CopyTo | Self::Exchange => Some(3),
            _ => None,
        }
    }
}

/// The low half of `rax`: bits 0 to 23 the handle, bits 24 to 31 the [`Operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Control(pub u32);

impl Control {
    /// `operation` on `handle`.
    #[must_use]
    pub const fn new(operation: Operation, handle: u32) -> Self {
        Self((operation as u32) << 24 | handle & 0x00ff_ffff)
    }

    /// The handle.
    #[must_use]
    pub const fn handle(self) -> u32 {
        self.0 & 0x00ff_ffff
    }

    /// The operation, if there is one of this number.
    #[must_use]
    pub fn operation(self) -> Option<Operation> {
        *BY_NUMBER.get((self.0 >> 24) as usize)?
    }

    /// Message words with the sum in place that the operation wants, if it does: [`crate::copy_sum`].
    #[must_use]
    pub fn with_sum(self, mut words: [u64; 8]) -> [u64; 8] {
        if let Some(arguments) = self.operation().and_then(Operation::summed).and_then(|count| words.get(..count)) {
            words[7] = crate::copy_sum(self.handle(), arguments);
        }
        words
    }
}

/// Each operation at its number, so that a system call need not search.
static BY_NUMBER: [Option<Operation>; 256] = {
    let mut table = [None; 256];
    table[Operation::Call as usize] = Some(Operation::Call);
    table[Operation::ReplyReceive as usize] = Some(Operation::ReplyReceive);
    let mut index = 0;
    while index < Operation::SLOW.len() {
        table[Operation::SLOW[index] as usize] = Some(Operation::SLOW[index]);
        index += 1;
    }
    table
};
