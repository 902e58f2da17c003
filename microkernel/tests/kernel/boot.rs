//! The first process and the capabilities that it starts with.

use abi::boot::{FormatError, SEGMENT_EXECUTE, SEGMENT_WRITE};
use abi::{Error, MapFlags, ObjectKind, Operation, Rights, USER_END, boot_slot};
use microkernel::Kernel;
use microkernel::boot::{BootError, Plan, Region};
use microkernel::fake::{FakeMachine, Segment, World, archive};

use super::space::list;

const ARCHIVE: Region = Region { first: 1, pages: 4 };
const FREE: Region = Region { first: 8, pages: 400 };

fn segment(address: u64, pages: u32, flags: u32) -> Segment {
    Segment { address, bytes: b"bytes".to_vec(), pages, flags }
}

fn try_boot(bytes: &[u8], regions: &[Region]) -> Result<(), BootError> {
    let plan = Plan { regions, archive: ARCHIVE, archive_bytes: bytes, tsc_hz: 1, rsdp: 0 };
    Kernel::new(FakeMachine::new(512)).boot(&plan)
}

#[test]
fn first_process_runs_with_everything_in_its_table() {
    let mut world = World::new();
    assert_eq!(world.kernel.current(), Some(world.root.thread));
    let kinds = [ObjectKind::CapTable, ObjectKind::AddressSpace, ObjectKind::Thread, ObjectKind::IoPorts, ObjectKind::Irq, ObjectKind::Memory];
    for (slot, kind) in (boot_slot::TABLE..).zip(kinds) {
        let described = world.ask(0, Operation::Describe, &[u64::from(slot)]).unwrap();
        assert_eq!((described[0], described[5]), (kind as u64, 1), "slot {slot}");
    }
    let archive = world.ask(0, Operation::Describe, &[u64::from(boot_slot::ARCHIVE)]).unwrap();
    assert_eq!(archive[1], u64::from(Rights::READ));
}

#[test]
fn image_lies_where_its_segments_say() {
    let mut world = World::new();
    let root = world.root;
    assert_eq!(&world.memory(root.thread, 0x40_0000)[..11], b"supervisor\0");
    let flags = |world: &mut World, address: u64| list(world, &root, address, 1)[0] & 0xfff & !MapFlags::DIRTY;
    assert_eq!(flags(&mut world, 0x40_0000), MapFlags::READ | MapFlags::EXECUTE);
    assert_eq!(flags(&mut world, 0x41_1000), MapFlags::READ | MapFlags::WRITE);
    assert_eq!(flags(&mut world, abi::BOOT_STACK_TOP - 0x1000), MapFlags::READ | MapFlags::WRITE);
    let frame = *world.frame(root.thread);
    assert_eq!((frame.rip, frame.rsp), (0x40_0000, abi::BOOT_STACK_TOP - 8));
}

#[test]
fn archive_is_readable_and_never_writable() {
    let mut world = World::new();
    let root = world.root;
    assert_eq!(&world.memory(root.thread, abi::ARCHIVE_ADDRESS)[..8], b"SYNOSRD1");
    let protect = world.ask(root.space, Operation::Protect, &[abi::ARCHIVE_ADDRESS, 1, MapFlags::WRITE]);
    assert_eq!(protect, Err(Error::MissingRight));
    let map = [0x10_0000, u64::from(boot_slot::ARCHIVE), 0, 1, MapFlags::WRITE];
    assert_eq!(world.ask(root.space, Operation::Map, &map), Err(Error::MissingRight));
}

#[test]
fn boot_information_tells_of_all_memory() {
    let mut world = World::new();
    let root = world.root;
    let word = |world: &mut World, index: u64| {
        let bytes = world.memory(root.thread, abi::BOOT_INFO_ADDRESS + index * 8);
        u64::from_le_bytes(bytes[..8].try_into().unwrap())
    };
    assert_eq!([0, 2].map(|index| word(&mut world, index)), [1_000_000_000, 2], "clock and number of memories");
    assert_eq!(word(&mut world, 4), 8, "pages of the second region");
    assert_eq!(word(&mut world, 36), 1536 - 16 + 8, "all pages");
    for (index, slot) in (boot_slot::FIRST_MEMORY..).take(2).enumerate() {
        let described = world.ask(0, Operation::Describe, &[u64::from(slot)]).unwrap();
        assert_eq!(described[4], word(&mut world, 3 + index as u64), "of memory {index}");
        assert_ne!(described[1] & u64::from(Rights::OWNED), 0);
    }
}

#[test]
fn damaged_archive_is_an_error() {
    let good = archive(0x40_0000, &[segment(0x40_0000, 1, SEGMENT_EXECUTE)]);
    assert_eq!(try_boot(&good, &[FREE]), Ok(()));
    assert_eq!(try_boot(b"SYNOSRD0", &[FREE]), Err(BootError::Format(FormatError::Magic)));
    assert_eq!(try_boot(&[], &[FREE]), Err(BootError::Format(FormatError::Magic)));
    assert_eq!(try_boot(&good[..good.len() - 1], &[FREE]), Err(BootError::Format(FormatError::Truncated)));
    let damage = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        try_boot(&bytes, &[FREE])
    };
    assert_eq!(damage(64, b'x'), Err(BootError::Format(FormatError::Missing)), "no supervisor");
    assert_eq!(damage(4096, b'x'), Err(BootError::Format(FormatError::Magic)), "no image");
    assert_eq!(damage(64 + 40, 1), Err(BootError::Format(FormatError::Range)), "entry not aligned");
}

#[test]
fn image_that_cannot_be_loaded_is_an_error() {
    let boot = |entry: u64, segments: &[Segment]| try_boot(&archive(entry, segments), &[FREE]);
    let both = segment(0x40_0000, 1, SEGMENT_EXECUTE | SEGMENT_WRITE);
    assert_eq!(boot(0x40_0000, &[both]), Err(BootError::Format(FormatError::Segment)));
    assert_eq!(boot(0x40_0000, &[segment(USER_END, 1, 0)]), Err(BootError::Format(FormatError::Range)));
    let twice = [segment(0x40_0000, 2, 0), segment(0x40_1000, 1, 0)];
    assert_eq!(boot(0x40_0000, &twice), Err(BootError::Mapping(Error::AlreadyMapped)));
    let stack = segment(abi::BOOT_STACK_TOP - 0x1000, 1, 0);
    assert_eq!(boot(0x40_0000, &[stack]), Err(BootError::Mapping(Error::AlreadyMapped)));
    for entry in [USER_END, 1 << 47, u64::MAX] {
        assert_eq!(boot(entry, &[segment(0x40_0000, 1, 0)]), Err(BootError::Format(FormatError::Range)), "entry {entry:#x}");
    }
}

#[test]
fn too_little_memory_is_an_error() {
    let bytes = archive(0x40_0000, &[segment(0x40_0000, 1, SEGMENT_EXECUTE)]);
    assert_eq!(try_boot(&bytes, &[]), Err(BootError::NoMemory));
    for pages in [1, 31, 33, 100, 129, 140] {
        assert_eq!(try_boot(&bytes, &[Region { first: 8, pages }]), Err(BootError::NoMemory), "{pages} pages");
    }
    let huge = archive(0x40_0000, &[segment(0x40_0000, 100_000, 0)]);
    assert_eq!(try_boot(&huge, &[FREE]), Err(BootError::NoMemory));
}
