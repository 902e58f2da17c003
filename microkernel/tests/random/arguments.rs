//! Arguments of system calls: mostly what could make sense in the state at hand, sometimes garbage.

use abi::{MapFlags, ObjectKind, Operation, Rights, USER_END};
use microkernel::capability::Slot;

use crate::dice::Dice;

/// Numbers that programs get wrong.
pub(crate) const GARBAGE: [u64; 18] = [
    0,
    1,
    2,
    3,
    7,
    255,
    256,
    4095,
    4096,
    0x1_0000,
    1 << 23,
    1 << 32,
    1 << 47,
    USER_END - 4096,
    USER_END,
    0xffff_8000_0000_0000,
    u64::MAX - 4095,
    u64::MAX,
];
/// Where things are mapped: pages in three tables and two huge pages.
const BASES: [u64; 5] = [0x10_0000, 0x1f_e000, 0x40_0000, 0x4000_0000, USER_END - 0x4000];

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    /// A handle of a capability of a kind.
    Handle(ObjectKind),
    /// A handle of anything.
    Any,
    /// A handle of a table, or the own table.
    Table,
    /// An index of a slot, mostly a free one.
    Slot,
    Address,
    /// An offset into a lease.
    Offset,
    /// A length in bytes.
    Bytes,
    /// A number of pages, or a page in a range.
    Pages,
    Flags,
    Rights,
    /// Bits of a notification, a badge, a register.
    Word,
    /// A kind of object that can be made.
    Kind,
    /// Below this.
    Below(u64),
    /// A time.
    Time,
}

use Argument::{Address, Any, Below, Bytes, Flags, Handle, Kind, Offset, Pages, Rights as RightsArgument, Slot as SlotArgument, Table, Time, Word};
use ObjectKind::{AddressSpace, CapTable, Endpoint, IoPorts, Irq, Memory, Notification, Reply, Thread};

/// What an operation is invoked on and its arguments.
pub(crate) fn shape(operation: Operation) -> (Argument, &'static [Argument]) {
    match operation {
        Operation::Call | Operation::Reply => (if operation == Operation::Call { Handle(Endpoint) } else { Handle(Reply) }, &[Word, Word]),
        Operation::ReplyReceive | Operation::Receive => (Handle(Endpoint), &[Word]),
        Operation::SetReplySlot => (Below(1), &[SlotArgument]),
        Operation::LeaseRead | Operation::LeaseWrite => (Handle(Reply), &[Below(2), Offset, Address, Bytes]),
        Operation::Signal => (Handle(Notification), &[Word]),
        Operation::Wait | Operation::Poll => (Handle(Notification), &[]),
        Operation::Deadline => (Handle(Notification), &[Time]),
        Operation::Bind => (Handle(Notification), &[Handle(Endpoint)]),
        Operation::Yield | Operation::Log => (Below(1), &[Below(4000)]),
        Operation::Copy => (Table, &[SlotArgument, Any, RightsArgument, Word, Below(4), Table]),
        Operation::Delete | Operation::Describe => (Table, &[SlotArgument]),
        Operation::Kill => (Handle(CapTable), &[]),
        Operation::Retype => (Handle(Memory), &[Pages, Kind, Below(3), SlotArgument, Table]),
        Operation::Split => (Handle(Memory), &[Pages, SlotArgument, Table]),
        Operation::Merge => (Handle(Memory), &[Handle(Memory)]),
        Operation::Reclaim | Operation::Revoke => (Handle(Memory), &[Pages, Pages]),
        Operation::Derive => (Handle(Memory), &[Pages, Pages, RightsArgument, SlotArgument, Table]),
        Operation::FreePages | Operation::PhysicalAddress => (Handle(Memory), &[Pages]),
        Operation::Map => (Handle(AddressSpace), &[Address, Handle(Memory), Pages, Pages, Flags]),
        Operation::Unmap | Operation::List => (Handle(AddressSpace), &[Address, Pages]),
        Operation::Protect => (Handle(AddressSpace), &[Address, Pages, Flags]),
        Operation::Share | Operation::Clone => (Handle(AddressSpace), &[Address, Handle(AddressSpace), Address, Pages, Flags]),
        Operation::Unshare => (Handle(AddressSpace), &[Address, Handle(Memory), Pages]),
        Operation::CopyFrom | Operation::CopyTo => (Handle(AddressSpace), &[Address, Address, Bytes]),
        Operation::CopyAcross => (Handle(AddressSpace), &[Address, Handle(AddressSpace), Address, Bytes]),
        Operation::Exchange => (Handle(AddressSpace), &[Address, Word, Word]),
        Operation::AddTables => (Handle(AddressSpace), &[Handle(Memory), Pages, Pages]),
        Operation::SetPager => (Handle(AddressSpace), &[Handle(Endpoint)]),
        Operation::Dismantle => (Handle(AddressSpace), &[]),
        Operation::ThreadConfigure => (Handle(Thread), &[Below(12), Any, Pages]),
        Operation::ThreadStart | Operation::ThreadStop | Operation::ThreadKick => (Handle(Thread), &[]),
        Operation::GetFrame | Operation::SetFrame | Operation::Counters => (Handle(Thread), &[]),
        Operation::TakeUp => (Handle(Reply), &[]),
        Operation::Blame => (Handle(Thread), &[Below(3)]),
        Operation::SetState => (Handle(Endpoint), &[Below(3), Word]),
        Operation::IrqBind => (Handle(Irq), &[Below(6), Handle(Notification), Word]),
        Operation::IrqAck => (Handle(Irq), &[Below(6)]),
        Operation::PortRecord => (Handle(IoPorts), &[]),
        Operation::Trace => (Handle(IoPorts), &[Below(2), Below(40)]),
        Operation::PortIn | Operation::PortOut | Operation::PortOutBytes => (Handle(IoPorts), &[Below(9), Below(5), Word]),
    }
}

/// Makes one up.
pub(crate) fn invent(argument: Argument, dice: &mut Dice, held: &[(u32, Slot)]) -> u64 {
    if dice.chance(6) {
        return if dice.chance(50) { dice.pick(&GARBAGE) } else { dice.next() >> dice.below(64) };
    }
    match argument {
        Handle(kind) => handle(dice, held, |slot| slot.kind() == kind),
        Any => handle(dice, held, |_| true),
        Table if dice.chance(60) => 0,
        Table => handle(dice, held, |slot| slot.kind() == CapTable),
        SlotArgument => 4 + dice.below(60) + dice.pick(&[0, 60]),
        Address => address(dice),
        Offset => {
            if dice.chance(60) {
                dice.below(64)
            } else {
                address(dice)
            }
        }
        Pages => dice.pick(&[0, 0, 0, 1, 1, 1, 2, 3, 4, 8, 16, 512]),
        Flags => dice.pick(&[
            0,
            MapFlags::WRITE,
            MapFlags::WRITE,
            MapFlags::EXECUTE,
            MapFlags::WRITE | MapFlags::ZERO,
            MapFlags::HUGE,
            MapFlags::NONE,
            dice.clone().below(64),
        ]),
        RightsArgument => {
            if dice.chance(50) {
                u64::from(Rights::ALL)
            } else {
                dice.below(256)
            }
        }
        Word => dice.pick(&[1, 2, 4, 0x10, 77, 0]),
        Bytes => dice.pick(&[0, 1, 16, 100, 4000, 4096, 6000]),
        Kind => dice.pick(&[Endpoint, Notification, Thread, AddressSpace, CapTable]) as u64,
        Below(end) => dice.below(end),
        Time => dice.pick(&[0, 1, 5_000, 20_000, 1 << 30]),
    }
}

/// An address near the places where things are mapped.
pub(crate) fn address(dice: &mut Dice) -> u64 {
    let base = if dice.chance(60) { BASES[0] } else { dice.pick(&BASES) };
    let page = base + dice.below(4) * 4096;
    if dice.chance(80) { page } else { page + dice.below(4096) }
}

fn handle(dice: &mut Dice, held: &[(u32, Slot)], wanted: impl Fn(&Slot) -> bool) -> u64 {
    let fitting: Vec<u32> = held.iter().filter(|(_, slot)| wanted(slot)).map(|(handle, _)| *handle).collect();
    if fitting.is_empty() { dice.below(64) } else { u64::from(dice.pick(&fitting)) }
}
