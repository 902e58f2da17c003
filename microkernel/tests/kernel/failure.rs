//! What an operation that fails leaves behind: nothing. Each kind of thing that it may lack is taken from it in turn.
//!
//! `tests/random` has every operation fail in whatever way; here is what programs at random hardly ever meet.

use abi::{Error, MapFlags, ObjectKind, Operation, Rights};
use microkernel::fake::World;

/// Where nothing has a table yet.
const ADDRESS: u64 = 0x4000_0000;
const HUGE: u64 = 0x20_0000;

/// Root asks for an operation. If it fails, nothing may have changed.
fn ask(world: &mut World, handle: u32, operation: Operation, words: &[u64]) -> Result<u64, Error> {
    let root = world.root.thread;
    let mut before = world.clone();
    before.prepare_syscall(root, abi::Control::new(operation, handle), abi::Label::default(), words, 0);
    let result = world.ask(handle, operation, words);
    if let Err(error) = result {
        // It jumped back already, as the thread of a test does.
        let mut after = world.clone();
        after.frame(root).rip = after.frame(root).rip.wrapping_add(2);
        let changed = after.compare_failure(&before, root);
        assert_eq!(changed, Ok(()), "{operation:?} {words:x?} failed ({error:?})");
    }
    result.map(|[value, ..]| value)
}

/// A space with so many pages for tables.
fn space_with(world: &mut World, tables: u64) -> u32 {
    let space = world.make(ObjectKind::AddressSpace, 1).handle;
    if tables != 0 {
        let pages = world.pages(tables);
        world.must(space, Operation::AddTables, &[u64::from(pages), 0, tables]);
    }
    space
}

/// How many pages for tables an operation on an empty space wants: it fails with fewer, and changes nothing.
fn tables_wanted(world: &World, operation: Operation, words: &[u64]) -> u64 {
    for tables in 0..8 {
        let mut world = world.clone();
        let space = space_with(&mut world, tables);
        match ask(&mut world, space, operation, words) {
            Ok(_) => return tables,
            Err(error) => assert_eq!(error, Error::NeedsTable, "{operation:?} with {tables}"),
        }
    }
    panic!("{operation:?} wants more tables than there are levels");
}

#[test]
fn operation_without_enough_pages_for_tables_takes_none() {
    let mut world = World::new();
    let memory = u64::from(world.pages(4));
    let source = world.spawn();
    world.map(&source, 0x10_0000, 3, MapFlags::WRITE);
    let from = u64::from(source.space);
    let bits = MapFlags::READ | MapFlags::WRITE;
    // The root, and one for each level above the pages.
    assert_eq!(tables_wanted(&world, Operation::Map, &[ADDRESS, memory, 0, 1, bits]), 4);
    assert_eq!(tables_wanted(&world, Operation::Map, &[ADDRESS, memory, 0, 4, bits]), 4);
    assert_eq!(tables_wanted(&world, Operation::Share, &[ADDRESS, from, 0x10_0000, 3, bits]), 4);
    assert_eq!(tables_wanted(&world, Operation::Clone, &[ADDRESS, from, 0x10_0000, 3, bits]), 4);
    let huge = u64::from(world.huge_pages());
    assert_eq!(tables_wanted(&world, Operation::Map, &[ADDRESS, huge, 0, 512, bits | MapFlags::HUGE]), 3);
    assert_eq!(ADDRESS % HUGE, 0);
}

#[test]
fn operation_that_has_nothing_to_map_takes_no_page_for_a_table() {
    let mut world = World::new();
    let memory = world.pages(4);
    let space = space_with(&mut world, 6);
    let dead = world.lend(memory, 0, 2, Rights::ALL);
    world.must(memory, Operation::Revoke, &[0, 4]);
    for pages in [1, 2] {
        assert_eq!(ask(&mut world, space, Operation::Map, &[ADDRESS, u64::from(dead), 0, pages, MapFlags::READ]), Err(Error::InvalidHandle));
    }
    let source = world.spawn();
    world.map(&source, 0x10_0000, 1, 0);
    let bits = MapFlags::READ | MapFlags::WRITE;
    let share = [ADDRESS, u64::from(source.space), 0x10_0000, 1, bits];
    assert_eq!(ask(&mut world, space, Operation::Share, &share), Err(Error::MissingRight));
}

/// A page that something maps is not zeroed for another.
#[test]
fn page_in_use_is_not_zeroed_and_takes_no_page_for_a_table() {
    let mut world = World::new();
    let source = world.spawn();
    let memory = world.map(&source, 0x10_0000, 1, MapFlags::WRITE);
    let space = space_with(&mut world, 6);
    let map = [ADDRESS, u64::from(memory), 0, 1, MapFlags::READ | MapFlags::WRITE | MapFlags::ZERO];
    assert_eq!(ask(&mut world, space, Operation::Map, &map), Err(Error::Busy));
}

#[test]
fn operation_whose_slot_is_full_or_not_there_makes_nothing() {
    let mut world = World::new();
    let memory = world.pages(8);
    let (endpoint, table) = (world.endpoint(), world.make(ObjectKind::CapTable, 1).handle);
    let (ports, all) = (abi::boot_slot::PORTS, u64::from(Rights::ALL));
    let source = u64::from(endpoint);
    world.must(table, Operation::Copy, &[10, source, all, 0, 0, 0]);
    let into = u64::from(table);
    for (slot, error) in [(10, Error::SlotFull), (3, Error::InvalidHandle), (5000, Error::InvalidHandle), (1 << 40, Error::InvalidArgument)] {
        for (handle, operation, words) in [
            (table, Operation::Copy, [slot, source, all, 0, 0, 0]),
            (table, Operation::Copy, [slot, source, all, 7, 1, 0]),
            (table, Operation::Copy, [slot, source, all, 0, 2, 0]),
            (memory, Operation::Retype, [0, ObjectKind::Thread as u64, 1, slot, into, 0]),
            (memory, Operation::Retype, [0, ObjectKind::CapTable as u64, 3, slot, into, 0]),
            (memory, Operation::Split, [4, slot, into, 0, 0, 0]),
            (memory, Operation::Derive, [0, 2, all, slot, into, 0]),
            (ports, Operation::Derive, [0, 2, all, slot, into, 0]),
        ] {
            let refused = ask(&mut world, handle, operation, &words);
            assert!(refused.is_err_and(|why| why == error || why.is_callers_own() && slot != 10), "{operation:?} {words:x?}: {refused:?}");
        }
    }
}

/// One deadline after the other, until there is no place for one more.
#[test]
fn deadline_without_a_place_changes_nothing() {
    let mut world = World::new();
    for number in 1..1000 {
        let notification = world.notification();
        if let Err(error) = ask(&mut world, notification, Operation::Deadline, &[1 << 40]) {
            assert!(error == Error::KernelLimit && number > 16, "{error:?} at {number}");
            return;
        }
    }
    panic!("there is no limit");
}
