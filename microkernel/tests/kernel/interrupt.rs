//! Interrupt lines and I/O ports.

use abi::{Error, ObjectKind, Operation, Rights, boot_slot};
use microkernel::fake::World;

use super::refused;

const IRQS: u32 = boot_slot::IRQS;
const PORTS: u32 = boot_slot::PORTS;

#[test]
fn line_is_masked_from_its_delivery_to_the_acknowledgement() {
    let mut world = World::new();
    let notification = world.notification();
    world.raise(4);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0, "masked until it is bound");
    world.must(IRQS, Operation::IrqBind, &[4, u64::from(notification), 0x10]);
    world.raise(4);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0x10);
    assert!(!world.kernel.machine.lines[4]);
    world.raise(4);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0);
    world.must(IRQS, Operation::IrqAck, &[4]);
    world.raise(4);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0x10);
}

#[test]
fn line_wakes_the_driver_that_waits() {
    let mut world = World::new();
    let driver = world.spawn();
    let notification = world.notification();
    world.give(&driver, 20, notification, 0xff);
    world.must(IRQS, Operation::IrqBind, &[4, u64::from(notification), 1]);
    world.begin(driver.thread, 20, Operation::Wait, &[]);
    world.raise(4);
    assert_eq!(world.outcome(driver.thread).unwrap()[0], 1);
}

#[test]
fn unbound_line_is_masked() {
    let mut world = World::new();
    let notification = world.notification();
    world.must(IRQS, Operation::IrqBind, &[4, u64::from(notification), 1]);
    world.must(IRQS, Operation::IrqBind, &[4, 0, 0]);
    assert!(!world.kernel.machine.lines[4]);
    world.raise(4);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0);
}

#[test]
fn line_of_a_destroyed_notification_stays_masked_and_silent() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Notification, 1);
    world.must(IRQS, Operation::IrqBind, &[4, u64::from(made.handle), 1]);
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    let again = u64::from(world.free_slot());
    world.must(made.memory, Operation::Retype, &[0, ObjectKind::Notification as u64, 1, again, 0]);
    world.raise(4);
    assert!(!world.kernel.machine.lines[4]);
    assert_eq!(world.must(again as u32, Operation::Poll, &[]), 0, "the new object is not the old one");
}

#[test]
fn spurious_line_does_no_harm() {
    let mut world = World::new();
    world.trap(|kernel| kernel.line_fired(23));
    world.trap(|kernel| kernel.line_fired(1000));
}

#[test]
fn lines_refuse_bad_arguments() {
    let mut world = World::new();
    let (notification, endpoint) = (u64::from(world.notification()), u64::from(world.endpoint()));
    let weak = u64::from(world.free_slot());
    world.must(0, Operation::Copy, &[weak, notification, u64::from(Rights::WAIT), 0, 0, 0]);
    world.must(IRQS, Operation::Derive, &[4, 2, 0xff, 100, 0]);
    refused(
        &mut world,
        IRQS,
        Operation::IrqBind,
        &[
            (&[24, notification, 1], Error::InvalidArgument),
            (&[u64::MAX, notification, 1], Error::InvalidArgument),
            (&[4, endpoint, 1], Error::WrongKind),
            (&[4, 2999, 1], Error::InvalidHandle),
            (&[4, weak, 1], Error::MissingRight),
            (&[4, 1 << 32, 1], Error::InvalidArgument),
        ],
    );
    refused(&mut world, 100, Operation::IrqBind, &[(&[2, notification, 1], Error::InvalidArgument)]);
    refused(&mut world, 100, Operation::IrqAck, &[(&[2], Error::InvalidArgument), (&[u64::MAX], Error::InvalidArgument)]);
    world.must(100, Operation::IrqBind, &[1, notification, 1]);
    assert!(world.kernel.machine.lines[5], "offsets count from the capability's first line");
}

#[test]
fn ports_are_read_and_written_in_their_width() {
    let mut world = World::new();
    world.kernel.machine.inputs.insert(0x3f8, 0xaabb_ccdd);
    for (width, expected) in [(1, 0xdd), (2, 0xccdd), (4, 0xaabb_ccdd)] {
        assert_eq!(world.must(PORTS, Operation::PortIn, &[0x3f8, width]), expected);
        world.must(PORTS, Operation::PortOut, &[0x60, width, 0x1_0000_0000 | width]);
    }
    assert_eq!(world.kernel.machine.outputs, [(0x60, 1, 1), (0x60, 2, 2), (0x60, 4, 4)]);
}

#[test]
fn narrower_ports_count_from_their_first() {
    let mut world = World::new();
    world.must(PORTS, Operation::Derive, &[0x3f8, 8, 0xff, 100, 0]);
    world.must(100, Operation::PortOut, &[7, 1, 9]);
    assert_eq!(world.kernel.machine.outputs, [(0x3ff, 1, 9)]);
    let root = world.root.thread;
    world.message_page(root)[..3].copy_from_slice(b"abc");
    world.must(100, Operation::PortOutBytes, &[0, 3]);
    assert_eq!(world.kernel.machine.outputs[1..], [(0x3f8, 1, 0x61), (0x3f8, 1, 0x62), (0x3f8, 1, 0x63)]);
}

#[test]
fn ports_refuse_what_leaves_the_range() {
    let mut world = World::new();
    world.must(PORTS, Operation::Derive, &[0x3f8, 8, 0xff, 100, 0]);
    for words in [[8, 1], [7, 2], [5, 4], [0, 3], [0, 0], [0, 8], [u64::MAX, 1], [u64::MAX - 1, 4]] {
        assert_eq!(world.ask(100, Operation::PortIn, &words), Err(Error::InvalidArgument), "{words:x?}");
        assert_eq!(world.ask(100, Operation::PortOut, &words), Err(Error::InvalidArgument), "{words:x?}");
    }
    refused(
        &mut world,
        100,
        Operation::PortOutBytes,
        &[(&[8, 1], Error::InvalidArgument), (&[0, 3585], Error::InvalidArgument), (&[0, u64::MAX], Error::InvalidArgument)],
    );
    world.must(PORTS, Operation::PortOut, &[0xffff, 1, 1]);
    assert_eq!(world.ask(PORTS, Operation::PortOut, &[0xffff, 2, 1]), Err(Error::InvalidArgument));
}

#[test]
fn record_of_accesses_stays_with_the_capability_that_made_them() {
    let mut world = World::new();
    let record = |world: &mut World, handle: u32| world.ask(handle, Operation::PortRecord, &[]).map(|words| [words[0], words[1], words[2]]);
    world.kernel.machine.inputs.insert(0x3f8, 0x41);
    world.must(PORTS, Operation::Derive, &[0x3f8, 8, 0xff, 100, 0]);
    assert_eq!(record(&mut world, 100), Ok([0, 0, 0]));
    world.must(100, Operation::PortIn, &[0, 1]);
    world.must(100, Operation::PortOut, &[0, 1, 9]);
    let root = world.root.thread;
    world.message_page(root)[..3].copy_from_slice(b"abc");
    world.must(100, Operation::PortOutBytes, &[1, 3]);
    assert_eq!(record(&mut world, 100), Ok([1, 4, 0x41]), "a refused access counts nothing");
    refused(&mut world, 100, Operation::PortIn, &[(&[8, 1], Error::InvalidArgument)]);
    refused(&mut world, 100, Operation::PortOut, &[(&[8, 1, 1], Error::InvalidArgument)]);
    refused(&mut world, 100, Operation::PortOutBytes, &[(&[8, 1], Error::InvalidArgument)]);
    assert_eq!(record(&mut world, 100), Ok([1, 4, 0x41]));
    assert_eq!(record(&mut world, PORTS), Ok([0, 0, 0]), "not with what it was derived from");

    world.must(0, Operation::Copy, &[101, 100, 0xff, 0, 0, 0]);
    world.must(100, Operation::Derive, &[0, 8, 0xff, 102, 0]);
    for child in [101, 102] {
        assert_eq!(record(&mut world, child), Ok([0, 0, 0]), "a child begins anew");
    }
    let driver = world.spawn();
    world.must(driver.table, Operation::Copy, &[10, 100, 0xff, 0, 2, 0]);
    world.run(driver.thread, 10, Operation::PortIn, &[0, 1]).unwrap();
    world.must(0, Operation::Copy, &[103, 10, 0xff, 0, 2, u64::from(driver.table)]);
    assert_eq!(record(&mut world, 103), Ok([2, 4, 0x41]), "it comes back with what its driver did");
    assert_eq!(world.ask(0, Operation::Copy, &[104, 103, 0xff, 7, 1, 0]), Err(Error::WrongKind), "a badge would be a record");
    assert_eq!(world.ask(100, Operation::PortRecord, &[]), Err(Error::InvalidHandle));
    let described = world.ask(0, Operation::Describe, &[103]).unwrap();
    assert_eq!(described[2], 0, "a record is no badge");
}
