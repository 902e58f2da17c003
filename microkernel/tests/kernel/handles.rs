//! What every operation that takes a handle does with a bad one.

use abi::{Control, Error, Label, ObjectKind, Operation, Rights};
use microkernel::fake::World;

/// Every operation that takes a handle (but tables, which also take `OWN_TABLE`), what it wants, and which right.
const INVOKED: [(Operation, ObjectKind, u8); 42] = [
    (Operation::Call, ObjectKind::Endpoint, Rights::CALL),
    (Operation::ReplyReceive, ObjectKind::Endpoint, Rights::RECEIVE),
    (Operation::Receive, ObjectKind::Endpoint, Rights::RECEIVE),
    (Operation::Signal, ObjectKind::Notification, Rights::SIGNAL),
    (Operation::Wait, ObjectKind::Notification, Rights::WAIT),
    (Operation::Poll, ObjectKind::Notification, Rights::WAIT),
    (Operation::Deadline, ObjectKind::Notification, Rights::CONTROL),
    (Operation::Bind, ObjectKind::Notification, Rights::CONTROL),
    (Operation::Kill, ObjectKind::CapTable, Rights::CONTROL),
    (Operation::Copy, ObjectKind::CapTable, Rights::INSERT),
    (Operation::Delete, ObjectKind::CapTable, Rights::INSERT),
    (Operation::Describe, ObjectKind::CapTable, Rights::TAKE),
    (Operation::Retype, ObjectKind::Memory, Rights::OWNED),
    (Operation::Split, ObjectKind::Memory, Rights::OWNED),
    (Operation::Merge, ObjectKind::Memory, Rights::OWNED),
    (Operation::Reclaim, ObjectKind::Memory, Rights::OWNED),
    (Operation::Revoke, ObjectKind::Memory, Rights::OWNED),
    (Operation::FreePages, ObjectKind::Memory, Rights::OWNED),
    (Operation::PhysicalAddress, ObjectKind::Memory, Rights::PHYS),
    (Operation::Map, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::Unmap, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::Protect, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::Share, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::Clone, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::Unshare, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::CopyFrom, ObjectKind::AddressSpace, Rights::COPY),
    (Operation::CopyTo, ObjectKind::AddressSpace, Rights::COPY),
    (Operation::Exchange, ObjectKind::AddressSpace, Rights::COPY),
    (Operation::CopyAcross, ObjectKind::AddressSpace, Rights::COPY),
    (Operation::List, ObjectKind::AddressSpace, Rights::LIST),
    (Operation::AddTables, ObjectKind::AddressSpace, Rights::MAP),
    (Operation::SetPager, ObjectKind::AddressSpace, Rights::CONTROL),
    (Operation::Dismantle, ObjectKind::AddressSpace, Rights::CONTROL),
    (Operation::ThreadConfigure, ObjectKind::Thread, Rights::CONTROL),
    (Operation::ThreadStart, ObjectKind::Thread, Rights::CONTROL),
    (Operation::ThreadStop, ObjectKind::Thread, Rights::CONTROL),
    (Operation::ThreadKick, ObjectKind::Thread, Rights::CONTROL),
    (Operation::GetFrame, ObjectKind::Thread, Rights::CONTROL),
    (Operation::SetFrame, ObjectKind::Thread, Rights::CONTROL),
    (Operation::Counters, ObjectKind::Thread, Rights::CONTROL),
    (Operation::Blame, ObjectKind::Thread, Rights::CONTROL),
    (Operation::SetState, ObjectKind::Endpoint, Rights::CONTROL),
];

/// The same for devices: the boot slots hold their capabilities.
const DEVICES: [(Operation, u32); 6] = [
    (Operation::IrqBind, abi::boot_slot::IRQS),
    (Operation::IrqAck, abi::boot_slot::IRQS),
    (Operation::PortIn, abi::boot_slot::PORTS),
    (Operation::PortOut, abi::boot_slot::PORTS),
    (Operation::PortOutBytes, abi::boot_slot::PORTS),
    (Operation::PortRecord, abi::boot_slot::PORTS),
];

/// Those that take a Reply, or one of several kinds.
const OTHERS: [Operation; 6] =
    [Operation::Reply, Operation::LeaseRead, Operation::LeaseWrite, Operation::TakeUp, Operation::Derive, Operation::Trace];

/// Those that take none.
const WITHOUT: [Operation; 3] = [Operation::SetReplySlot, Operation::Yield, Operation::Log];

/// A capability of a kind, in root's table.
fn some(world: &mut World, kind: ObjectKind) -> u32 {
    match kind {
        ObjectKind::Memory => world.pages(2),
        kind => world.make(kind, 1).handle,
    }
}

fn attempt(world: &mut World, handle: u32, operation: Operation) -> Result<[u64; 8], Error> {
    // Slot 5 is root's own space: an argument that is fine as far as it goes, so that the handle alone is wrong.
    world.ask(handle, operation, &[5, 5, 5, 5, 0, 0])
}

#[test]
fn no_operation_is_forgotten() {
    let listed: Vec<Operation> = INVOKED.into_iter().map(|entry| entry.0).chain(DEVICES.map(|entry| entry.0)).chain(OTHERS).chain(WITHOUT).collect();
    for operation in Operation::SLOW.into_iter().chain([Operation::Call, Operation::ReplyReceive]) {
        assert_eq!(listed.iter().filter(|other| **other == operation).count(), 1, "{operation:?}");
    }
}

#[test]
fn empty_slot_header_slot_and_index_beyond_the_table_are_invalid_handles() {
    let mut world = World::new();
    let devices = DEVICES.map(|(operation, _)| operation);
    for operation in INVOKED.into_iter().map(|entry| entry.0).chain(devices).chain(OTHERS) {
        for handle in [3000, 1, 3, 4096, abi::HANDLE_MASK, abi::VAULT | 20] {
            assert_eq!(attempt(&mut world, handle, operation), Err(Error::InvalidHandle), "{operation:?} on {handle}");
        }
    }
}

#[test]
fn capability_of_another_kind_is_refused() {
    let mut world = World::new();
    let others = [ObjectKind::Endpoint, ObjectKind::Memory, ObjectKind::Thread].map(|kind| (kind, some(&mut world, kind)));
    for (operation, kind, _) in INVOKED {
        for (_, handle) in others.iter().filter(|(other, _)| *other != kind) {
            assert_eq!(attempt(&mut world, *handle, operation), Err(Error::WrongKind), "{operation:?}");
        }
    }
    for (operation, _) in DEVICES {
        assert_eq!(attempt(&mut world, others[0].1, operation), Err(Error::WrongKind), "{operation:?}");
    }
    for operation in OTHERS {
        assert_eq!(attempt(&mut world, others[0].1, operation), Err(Error::WrongKind), "{operation:?}");
    }
}

#[test]
fn each_operation_needs_its_right() {
    let mut world = World::new();
    for (operation, kind, right) in INVOKED {
        let (all, weak) = (some(&mut world, kind), world.free_slot());
        let rights = u64::from(!right);
        if kind == ObjectKind::Memory {
            world.must(all, Operation::Derive, &[0, 1, rights, u64::from(weak), 0]);
        } else {
            world.must(abi::OWN_TABLE, Operation::Copy, &[u64::from(weak), u64::from(all), rights, 0, 0, 0]);
        }
        assert_eq!(attempt(&mut world, weak, operation), Err(Error::MissingRight), "{operation:?}");
    }
    for (operation, device) in DEVICES {
        let weak = world.free_slot();
        world.must(device, Operation::Derive, &[0, 1, u64::from(!Rights::USE), u64::from(weak), 0]);
        assert_eq!(attempt(&mut world, weak, operation), Err(Error::MissingRight), "{operation:?}");
    }
}

#[test]
fn handle_of_a_destroyed_object_is_invalid_for_every_operation() {
    let mut world = World::new();
    for (operation, kind, _) in INVOKED.into_iter().filter(|entry| entry.1 != ObjectKind::Memory) {
        let made = world.make(kind, 1);
        world.must(made.memory, Operation::Reclaim, &[0, 1]);
        assert_eq!(attempt(&mut world, made.handle, operation), Err(Error::InvalidHandle), "{operation:?}");
        // The same page becomes the same kind of object again: the old handle stays dead.
        let again = u64::from(world.free_slot());
        world.must(made.memory, Operation::Retype, &[0, kind as u64, 1, again, 0]);
        assert_eq!(attempt(&mut world, made.handle, operation), Err(Error::InvalidHandle), "{operation:?}");
    }
}

#[test]
fn unknown_operation_numbers_are_refused() {
    let mut world = World::new();
    let root = world.root.thread;
    let known = Operation::SLOW.map(|operation| operation as u32);
    for number in (1..0x100).filter(|number| *number != 0x40 && !known.contains(number)) {
        world.enter(root, Control(number << 24 | 16), Label::default(), &[], 0);
        assert_eq!(world.outcome(root), Err(Error::UnknownOperation), "{number:#x}");
    }
}

#[test]
fn handle_argument_with_bits_above_its_width_is_refused() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    for wrong in [1u64 << 24, 1 << 31, 1 << 32, 1 << 63] {
        let slot = u64::from(world.free_slot());
        let copied = world.ask(0, Operation::Copy, &[slot, u64::from(endpoint) | wrong, 0xff, 0, 0, 0]);
        assert!(matches!(copied, Err(Error::InvalidArgument | Error::InvalidHandle)), "{wrong:#x}: {copied:?}");
    }
}
