//! Taking spaces apart, a step at a time.

use abi::{Error, MapFlags, ObjectKind, Operation, ThreadSetting};
use microkernel::fake::{Made, World};

const BASE: u64 = 0x10_0000;

fn region(world: &mut World, tables: u64) -> (Made, u32) {
    let (space, pages) = (world.make(ObjectKind::AddressSpace, 1), world.pages(tables));
    assert_eq!(world.must(space.handle, Operation::AddTables, &[u64::from(pages), 0, tables]), tables);
    (space, pages)
}

/// Steps until nothing is left; how many there were.
fn dismantle(world: &mut World, space: u32) -> u32 {
    (1..10_000).find(|_| world.must(space, Operation::Dismantle, &[]) == 0).expect("an end")
}

#[test]
fn everything_donated_and_mapped_is_plain_memory_again() {
    let mut world = World::new();
    let (space, tables) = region(&mut world, 20);
    let memory = u64::from(world.pages(4));
    for (page, address) in [0x1000, 0x4000_0000, 0x7f00_0000_0000, abi::USER_END - 0x1000].into_iter().enumerate() {
        assert_eq!(world.must(space.handle, Operation::Map, &[address, memory, page as u64, 1, MapFlags::WRITE]), 1);
    }
    assert_eq!(world.ask(space.memory, Operation::Reclaim, &[0, 1]), Err(Error::Busy), "not before it is taken apart");
    dismantle(&mut world, space.handle);
    assert_eq!(world.must(tables, Operation::FreePages, &[0]), (1 << 20) - 1);
    assert_eq!(world.must(memory as u32, Operation::FreePages, &[0]), 0b1111);
    assert_eq!(world.must(space.memory, Operation::Reclaim, &[0, 1]), 1);
}

#[test]
fn it_ends_at_each_preemption_point_and_the_invariants_hold_between_steps() {
    let mut world = World::new();
    let (space, _) = region(&mut world, 20);
    world.kernel.machine.meter.interrupt_at = 1;
    let memory = u64::from(world.pages(100));
    for page in 0..10 {
        assert_eq!(world.must(space.handle, Operation::Map, &[BASE + page * 0x20_0000, memory, page * 10, 10, 0]), 10);
    }
    assert!(dismantle(&mut world, space.handle) >= 10, "each table is a step");
}

#[test]
fn two_mebibyte_mappings_go_too() {
    let mut world = World::new();
    let (space, _) = region(&mut world, 4);
    let huge = world.huge_pages();
    world.must(space.handle, Operation::Map, &[0x4000_0000, u64::from(huge), 0, 512, MapFlags::HUGE]);
    dismantle(&mut world, space.handle);
    assert_eq!(world.must(huge, Operation::FreePages, &[0]), u64::MAX);
}

#[test]
fn space_in_use_is_not_taken_apart() {
    let mut world = World::new();
    let process = world.spawn();
    assert_eq!(world.ask(process.space, Operation::Dismantle, &[]), Err(Error::Busy));
    world.must(process.handle, Operation::ThreadStop, &[]);
    assert_eq!(world.ask(process.space, Operation::Dismantle, &[]), Err(Error::Busy), "a stopped thread can be started again");
    let other = world.space();
    world.configure(process.handle, ThreadSetting::Space, u64::from(other));
    dismantle(&mut world, process.space);
}

#[test]
fn space_that_is_taken_apart_is_never_used_again() {
    let mut world = World::new();
    let (space, _) = region(&mut world, 4);
    let process = world.spawn();
    let fresh = u64::from(world.pages(2));
    world.must(space.handle, Operation::Map, &[BASE, fresh, 0, 1, 0]);
    world.must(space.handle, Operation::Dismantle, &[]);
    let (s, endpoint) = (u64::from(space.handle), u64::from(world.endpoint()));
    let uses: [(u32, Operation, Vec<u64>); 9] = [
        (space.handle, Operation::Map, vec![0x30_0000, fresh, 1, 1, 0]),
        (space.handle, Operation::Unmap, vec![BASE, 1]),
        (space.handle, Operation::Protect, vec![BASE, 1, 0]),
        (space.handle, Operation::List, vec![BASE, 1]),
        (space.handle, Operation::AddTables, vec![fresh, 1, 1]),
        (space.handle, Operation::SetPager, vec![endpoint]),
        (space.handle, Operation::Unshare, vec![BASE, fresh, 1]),
        (process.space, Operation::Share, vec![BASE, s, BASE, 1, 0]),
        (space.handle, Operation::Clone, vec![BASE, u64::from(process.space), BASE, 1, 0]),
    ];
    for (handle, operation, words) in uses {
        assert_eq!(world.ask(handle, operation, &words), Err(Error::WrongState), "{operation:?}");
    }
    world.must(process.handle, Operation::ThreadStop, &[]);
    let set = [ThreadSetting::Space as u64, s];
    assert_eq!(world.ask(process.handle, Operation::ThreadConfigure, &set), Err(Error::WrongState));
}

#[test]
fn kernel_half_is_in_every_root_and_gone_after() {
    let mut world = World::new();
    let (space, tables) = region(&mut world, 5);
    let memory = world.pages(1);
    world.must(space.handle, Operation::Map, &[BASE, u64::from(memory), 0, 1, 0]);
    dismantle(&mut world, space.handle);
    for index in 0..5 {
        let page = world.must(tables, Operation::PhysicalAddress, &[index]) / 4096;
        assert!(world.page(page as u32).iter().all(|byte| *byte == 0));
    }
}
