//! What each of the kernel's operations wants: the table that attacks are made from. It has a line for every operation, or it does not compile.

use abi::ObjectKind::{AddressSpace, CapTable, Endpoint, IoPorts, Irq, Memory, Notification, Thread};
use abi::{ObjectKind, Operation};

/// All operations there are.
pub(super) fn all() -> impl Iterator<Item = Operation> {
    Operation::SLOW.into_iter().chain([Operation::Call, Operation::ReplyReceive])
}

/// Kinds that an operation's handle may be of; none for one that takes no handle.
pub(super) const fn wanted(operation: Operation) -> &'static [ObjectKind] {
    match operation {
        Operation::Call | Operation::ReplyReceive | Operation::Receive | Operation::SetState => &[Endpoint],
        Operation::Reply | Operation::LeaseRead | Operation::LeaseWrite | Operation::TakeUp => &[ObjectKind::Reply],
        Operation::Signal | Operation::Wait | Operation::Poll | Operation::Deadline | Operation::Bind => &[Notification],
        Operation::SetReplySlot | Operation::Yield | Operation::Log => &[],
        Operation::Copy | Operation::Delete | Operation::Describe | Operation::Kill => &[CapTable],
        Operation::Retype | Operation::Split | Operation::Merge | Operation::Reclaim | Operation::Revoke => &[Memory],
        Operation::FreePages | Operation::PhysicalAddress => &[Memory],
        Operation::Derive => &[Memory, IoPorts, Irq],
        Operation::Map | Operation::Unmap | Operation::Protect | Operation::Share | Operation::Clone | Operation::Unshare => &[AddressSpace],
        Operation::CopyFrom | Operation::CopyTo | Operation::List | Operation::AddTables | Operation::SetPager => &[AddressSpace],
        Operation::Dismantle | Operation::Exchange | Operation::CopyAcross => &[AddressSpace],
        Operation::ThreadConfigure | Operation::ThreadStart | Operation::ThreadStop | Operation::ThreadKick => &[Thread],
        Operation::GetFrame | Operation::SetFrame | Operation::Counters | Operation::Blame => &[Thread],
        Operation::IrqBind | Operation::IrqAck => &[Irq],
        Operation::PortIn | Operation::PortOut | Operation::PortOutBytes | Operation::PortRecord | Operation::Trace => &[IoPorts],
    }
}

/// Which of an operation's words names another capability, of which kind, and the words with which that is looked at.
pub(super) const fn second(operation: Operation) -> Option<(usize, ObjectKind, [u64; 6])> {
    const ADDRESS: u64 = 0x40_0000;
    match operation {
        Operation::Bind => Some((0, Endpoint, [0; 6])),
        Operation::SetPager => Some((0, Endpoint, [0; 6])),
        Operation::Merge => Some((0, Memory, [0; 6])),
        Operation::AddTables => Some((0, Memory, [0, 0, 1, 0, 0, 0])),
        Operation::Map => Some((1, Memory, [ADDRESS, 0, 0, 1, 1, 0])),
        Operation::Share | Operation::Clone => Some((1, AddressSpace, [ADDRESS, 0, ADDRESS, 1, 1, 0])),
        Operation::CopyAcross => Some((1, AddressSpace, [ADDRESS, 0, ADDRESS, 8, 0, 0])),
        Operation::Retype => Some((4, CapTable, [0, Endpoint as u64, 1, 10, 0, 0])),
        Operation::Split => Some((2, CapTable, [1, 10, 0, 0, 0, 0])),
        Operation::Derive => Some((4, CapTable, [0, 1, 0xff, 10, 0, 0])),
        Operation::IrqBind => Some((1, Notification, [0, 0, 1, 0, 0, 0])),
        // The table that the source is taken from; the source itself may be of any kind.
        Operation::Copy => Some((5, CapTable, [10, 4, 0xff, 0, 0, 0])),
        Operation::Call | Operation::ReplyReceive | Operation::Receive | Operation::Reply | Operation::SetReplySlot => None,
        Operation::LeaseRead | Operation::LeaseWrite | Operation::Signal | Operation::Wait | Operation::Poll | Operation::Deadline => None,
        Operation::Yield | Operation::Log | Operation::TakeUp | Operation::Delete | Operation::Describe | Operation::Kill => None,
        Operation::Reclaim | Operation::Revoke | Operation::FreePages | Operation::PhysicalAddress | Operation::Unmap => None,
        Operation::Protect | Operation::CopyFrom | Operation::CopyTo | Operation::List | Operation::Dismantle | Operation::Exchange => None,
        // Whose value is a handle in some settings, which are tried one by one; and who looks at the page first.
        Operation::ThreadConfigure | Operation::Unshare => None,
        Operation::ThreadStart | Operation::ThreadStop | Operation::ThreadKick | Operation::GetFrame | Operation::SetFrame => None,
        Operation::Counters | Operation::Blame | Operation::SetState | Operation::IrqAck | Operation::PortIn | Operation::PortOut => None,
        Operation::PortOutBytes | Operation::PortRecord | Operation::Trace => None,
    }
}
