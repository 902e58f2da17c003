//! Pages that stay mapped although nobody may access them.

use abi::{Error, MapFlags, Operation};
use microkernel::fake::{Process, World};

use super::refused;
use super::space::list;

const BASE: u64 = 0x10_0000;
const READ: u64 = MapFlags::READ;
const WRITE: u64 = MapFlags::WRITE;
const NONE: u64 = MapFlags::NONE;

/// A process with a writable page that holds a 5, and that nobody may access any more; and the Memory.
fn closed(world: &mut World) -> (Process, u32) {
    let process = world.spawn();
    let memory = world.map(&process, BASE, 1, WRITE);
    world.memory(process.thread, BASE)[0] = 5;
    assert_eq!(world.must(process.space, Operation::Protect, &[BASE, 1, NONE]), 1);
    (process, memory)
}

fn flags(world: &mut World, process: &Process) -> u64 {
    list(world, process, BASE, 1)[0] & 0xfff & !(MapFlags::DIRTY | MapFlags::SHARED)
}

#[test]
fn page_without_access_faults_and_comes_back_with_its_content() {
    let mut world = World::new();
    let (process, memory) = closed(&mut world);
    assert_eq!(flags(&mut world, &process), NONE);
    assert!(!world.touch(process.thread, BASE, false));
    world.must(process.space, Operation::Protect, &[BASE, 1, WRITE]);
    assert_eq!(flags(&mut world, &process), READ | WRITE);
    assert_eq!(world.memory(process.thread, BASE)[0], 5);
    let page = world.must(memory, Operation::PhysicalAddress, &[0]) / 4096;
    assert_eq!(world.page_info(page as u32).maps, 1);
}

#[test]
fn kernel_copies_nothing_from_or_to_a_page_without_access() {
    let mut world = World::new();
    let (process, _) = closed(&mut world);
    let own = world.root;
    world.map(&own, BASE, 1, WRITE);
    for operation in [Operation::CopyFrom, Operation::CopyTo] {
        assert_eq!(world.ask(process.space, operation, &[BASE, BASE, 8]), Err(Error::NeedsPage), "{operation:?}");
    }
    assert_eq!(world.ask(process.space, Operation::Exchange, &[BASE, 5, 6]), Err(Error::NeedsPage));
    assert_eq!(world.ask(process.space, Operation::CopyAcross, &[BASE, u64::from(own.space), BASE, 8]), Err(Error::NeedsPage));
    assert_eq!(world.ask(own.space, Operation::CopyAcross, &[BASE, u64::from(process.space), BASE, 8]), Err(Error::LocalFault));
}

#[test]
fn page_without_access_is_still_mapped() {
    let mut world = World::new();
    let (process, memory) = closed(&mut world);
    let m = u64::from(memory);
    assert_eq!(world.ask(process.space, Operation::Map, &[BASE, m, 0, 1, 0]), Err(Error::AlreadyMapped));
    let slot = u64::from(world.free_slot());
    assert_eq!(world.ask(memory, Operation::Retype, &[0, abi::ObjectKind::Endpoint as u64, 1, slot, 0]), Err(Error::Busy));
    world.must(process.space, Operation::Unmap, &[BASE, 1]);
    assert_eq!(list(&mut world, &process, BASE, 1), [0]);
    assert_eq!(world.must(memory, Operation::FreePages, &[0]), 1);
}

#[test]
fn share_gives_no_access_that_the_source_has_not() {
    let mut world = World::new();
    let (source, _) = closed(&mut world);
    let process = world.spawn();
    let words = [BASE, u64::from(source.space), BASE, 1, 0];
    assert_eq!(world.ask(process.space, Operation::Share, &words), Err(Error::MissingRight));
}

#[test]
fn clone_of_a_page_without_access_has_none_and_is_copy_on_write() {
    let mut world = World::new();
    let (parent, _) = closed(&mut world);
    let child = world.spawn();
    world.must(child.space, Operation::Clone, &[BASE, u64::from(parent.space), BASE, 1, 0]);
    for process in [&parent, &child] {
        assert_eq!(flags(&mut world, process), NONE | MapFlags::COW);
        assert!(!world.touch(process.thread, BASE, false));
        world.must(process.space, Operation::Protect, &[BASE, 1, WRITE]);
        assert_eq!(flags(&mut world, process), READ | MapFlags::COW, "still one page for two");
        assert_eq!(world.memory(process.thread, BASE)[0], 5);
    }
}

#[test]
fn no_access_is_asked_for_alone_and_only_of_what_is_mapped() {
    let mut world = World::new();
    let (process, memory) = closed(&mut world);
    let fresh = u64::from(world.pages(1));
    for flags in [NONE | READ, NONE | WRITE, NONE | MapFlags::EXECUTE, NONE | MapFlags::ZERO, NONE | MapFlags::COW] {
        let asked = world.ask(process.space, Operation::Protect, &[BASE, 1, flags]);
        assert_eq!(asked, Err(Error::InvalidArgument), "{flags:#x}");
    }
    refused(&mut world, process.space, Operation::Map, &[(&[BASE + 0x1000, fresh, 0, 1, NONE], Error::InvalidArgument)]);
    refused(&mut world, process.space, Operation::Unshare, &[(&[BASE, u64::from(memory), 0], Error::InvalidArgument)]);
}

#[test]
fn space_with_pages_without_access_is_taken_apart() {
    let mut world = World::new();
    let process = world.spawn();
    let space = world.space();
    let memory = world.pages(2);
    world.must(space, Operation::Map, &[BASE, u64::from(memory), 0, 2, WRITE]);
    world.must(space, Operation::Protect, &[BASE, 2, NONE]);
    while world.must(space, Operation::Dismantle, &[]) != 0 {}
    assert_eq!(world.must(memory, Operation::FreePages, &[0]) & 3, 3);
    assert!(world.is_thread(process.thread));
}
