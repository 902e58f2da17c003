//! Memory: retype, split, merge, reclaim, revoke, derive.

use abi::{Error, MapFlags, ObjectKind, Operation, Rights, ThreadSetting, boot_slot};
use microkernel::fake::World;

use super::refused;

const CREATABLE: [ObjectKind; 5] =
    [ObjectKind::Endpoint, ObjectKind::Notification, ObjectKind::Thread, ObjectKind::AddressSpace, ObjectKind::CapTable];

fn first_page(world: &mut World, memory: u32) -> u32 {
    let root = world.root;
    world.slot(&root, memory).first
}

#[test]
fn every_kind_of_object_is_made_and_becomes_zeroed_memory_again() {
    let mut world = World::new();
    for kind in CREATABLE {
        let memory = world.pages(1);
        let page = first_page(&mut world, memory);
        world.page(page).fill(0xaa);
        let slot = u64::from(world.free_slot());
        world.must(memory, Operation::Retype, &[0, kind as u64, 1, slot, 0]);
        assert_eq!(world.page_info(page).kind(), kind);
        assert_eq!(world.page(page)[2048], 0, "nothing of the old content is in a {kind:?}");
        assert_eq!(world.must(memory, Operation::Reclaim, &[0, 1]), 1);
        assert_eq!(world.page_info(page).kind(), ObjectKind::Memory);
        assert!(world.page(page).iter().all(|byte| *byte == 0), "{kind:?} leaves its page zeroed");
    }
}

#[test]
fn retype_refuses_bad_arguments() {
    let mut world = World::new();
    let memory = world.pages(4);
    let (endpoint, table) = (ObjectKind::Endpoint as u64, ObjectKind::CapTable as u64);
    let full = u64::from(memory);
    refused(
        &mut world,
        memory,
        Operation::Retype,
        &[
            (&[4, endpoint, 1, 100, 0], Error::InvalidArgument),
            (&[u64::MAX, endpoint, 1, 100, 0], Error::InvalidArgument),
            (&[0, table, 5, 100, 0], Error::InvalidArgument),
            (&[0, endpoint, 0, 100, 0], Error::InvalidArgument),
            (&[0, endpoint, 2, 100, 0], Error::InvalidArgument),
            (&[0, table, u64::MAX, 100, 0], Error::InvalidArgument),
            (&[0, 99, 1, 100, 0], Error::InvalidArgument),
            (&[0, 0x102, 1, 100, 0], Error::InvalidArgument),
            (&[0, endpoint, 1, full, 0], Error::SlotFull),
            (&[0, endpoint, 1, 4096, 0], Error::InvalidHandle),
            (&[0, endpoint, 1, 1 << 32, 0], Error::InvalidArgument),
            (&[0, endpoint, 1, 100, full], Error::WrongKind),
            (&[0, endpoint, 1, 100, 2999], Error::InvalidHandle),
        ],
    );
    let none = [ObjectKind::Empty, ObjectKind::Memory, ObjectKind::Reply, ObjectKind::Irq, ObjectKind::IoPorts, ObjectKind::PageTable];
    for kind in none.into_iter().chain([ObjectKind::Device]) {
        assert_eq!(world.ask(memory, Operation::Retype, &[0, kind as u64, 1, 100, 0]), Err(Error::InvalidArgument), "{kind:?}");
    }
    let large = world.pages(65);
    assert_eq!(world.ask(large, Operation::Retype, &[0, table, 65, 100, 0]), Err(Error::InvalidArgument));
}

#[test]
fn page_in_use_does_not_become_an_object() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(4);
    let retype = |page: u64| [page, ObjectKind::Endpoint as u64, 1, 100, 0];
    world.must(process.space, Operation::Map, &[0x10_0000, u64::from(memory), 0, 1, 0]);
    world.must(process.handle, Operation::ThreadStop, &[]);
    world.must(process.handle, Operation::ThreadConfigure, &[ThreadSetting::MessagePage as u64, u64::from(memory), 1]);
    world.must(memory, Operation::Retype, &[2, ObjectKind::Endpoint as u64, 1, 101, 0]);
    refused(&mut world, memory, Operation::Retype, &[(&retype(0), Error::Busy), (&retype(1), Error::Busy), (&retype(2), Error::Busy)]);
    assert_eq!(world.ask(memory, Operation::Retype, &[0, ObjectKind::CapTable as u64, 4, 100, 0]), Err(Error::Busy), "any page of a table counts");
    world.must(memory, Operation::Retype, &retype(3));
}

#[test]
fn two_mebibyte_mapping_protects_all_its_pages() {
    let mut world = World::new();
    let huge = world.huge_pages();
    let process = world.spawn();
    let mapped = world.ask(process.space, Operation::Map, &[0x20_0000, u64::from(huge), 0, 512, MapFlags::HUGE | MapFlags::WRITE]);
    assert_eq!(mapped.unwrap()[0], 512);
    for page in [0, 1, 300, 511] {
        assert_eq!(world.ask(huge, Operation::Retype, &[page, ObjectKind::Endpoint as u64, 1, 100, 0]), Err(Error::Busy), "page {page}");
        assert_eq!(world.ask(huge, Operation::Reclaim, &[page, 1]), Err(Error::Busy), "page {page}");
    }
    assert_eq!(world.must(huge, Operation::FreePages, &[448]), 0);
    assert_eq!(world.must(process.space, Operation::Unmap, &[0x20_0000, 512]), 512);
    world.must(huge, Operation::Retype, &[300, ObjectKind::Endpoint as u64, 1, 100, 0]);
}

/// Owned Memory of 512 pages that begin at a multiple of 512.
#[test]
fn split_and_merge_are_inverse() {
    let mut world = World::new();
    let root = world.root;
    let memory = world.pages(10);
    let whole = world.slot(&root, memory);
    world.must(memory, Operation::Split, &[4, 100, 0]);
    assert_eq!((world.slot(&root, memory).count(), world.slot(&root, 100).count()), (4, 6));
    assert_eq!(world.slot(&root, 100).first, whole.first + 4);
    refused(&mut world, 100, Operation::Merge, &[(&[u64::from(memory)], Error::InvalidArgument), (&[100], Error::InvalidArgument)]);
    world.must(memory, Operation::Merge, &[100]);
    assert_eq!(world.slot(&root, memory), whole);
    assert!(world.slot(&root, 100).is_empty());
}

#[test]
fn split_refuses_bad_arguments() {
    let mut world = World::new();
    let memory = world.pages(3);
    let full = u64::from(memory);
    refused(
        &mut world,
        memory,
        Operation::Split,
        &[
            (&[0, 100, 0], Error::InvalidArgument),
            (&[3, 100, 0], Error::InvalidArgument),
            (&[u64::MAX, 100, 0], Error::InvalidArgument),
            (&[1, full, 0], Error::SlotFull),
            (&[1, 2, 0], Error::InvalidHandle),
            (&[1, 100, full], Error::WrongKind),
        ],
    );
}

#[test]
fn merge_refuses_what_does_not_fit() {
    let mut world = World::new();
    let (memory, next) = (world.pages(2), world.pages(2));
    let far = world.pages(2);
    let lent = world.lend(next, 0, 2, 0xff);
    let endpoint = world.endpoint();
    refused(
        &mut world,
        memory,
        Operation::Merge,
        &[
            (&[u64::from(far)], Error::InvalidArgument),
            (&[u64::from(lent)], Error::MissingRight),
            (&[u64::from(endpoint)], Error::WrongKind),
            (&[2999], Error::InvalidHandle),
            (&[1 << 32], Error::InvalidArgument),
        ],
    );
    world.must(memory, Operation::Merge, &[u64::from(next)]);
}

#[test]
fn reclaim_stops_at_what_is_in_use() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(5);
    world.must(process.space, Operation::Map, &[0x10_0000, u64::from(memory), 3, 1, 0]);
    assert_eq!(world.must(memory, Operation::Reclaim, &[0, 5]), 3, "as far as it came");
    refused(
        &mut world,
        memory,
        Operation::Reclaim,
        &[
            (&[3, 2], Error::Busy),
            (&[4, 2], Error::InvalidArgument),
            (&[u64::MAX, 2], Error::InvalidArgument),
            (&[0, u64::MAX], Error::InvalidArgument),
        ],
    );
    assert_eq!(world.must(memory, Operation::Reclaim, &[0, 0]), 0);
}

#[test]
fn reclaim_and_revoke_do_a_budget_at_a_time() {
    let mut world = World::new();
    let huge = world.huge_pages();
    assert_eq!(world.must(huge, Operation::Reclaim, &[0, 512]), 512);
    world.kernel.machine.meter.interrupt_at = 3;
    assert_eq!(world.must(huge, Operation::Reclaim, &[0, 512]), 3, "up to where an interrupt waits");
    assert_eq!(world.must(huge, Operation::Revoke, &[0, 512]), 512);
}

#[test]
fn page_table_is_not_reclaimed() {
    let mut world = World::new();
    let space = world.make(ObjectKind::AddressSpace, 1);
    let tables = world.pages(2);
    world.must(space.handle, Operation::AddTables, &[u64::from(tables), 0, 2]);
    assert_eq!(world.ask(tables, Operation::Reclaim, &[0, 2]), Err(Error::Busy));
    assert_eq!(world.ask(space.memory, Operation::Reclaim, &[0, 1]), Err(Error::Busy), "the space still has them");
}

#[test]
fn current_thread_does_not_reclaim_itself() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Thread, 1);
    let (table, space) = (world.make(ObjectKind::CapTable, 1).handle, world.space());
    world.must(table, Operation::Copy, &[20, u64::from(made.memory), 0, 0, 2, 0]);
    world.configure(made.handle, ThreadSetting::Space, u64::from(space));
    world.configure(made.handle, ThreadSetting::Table, u64::from(table));
    world.configure(made.handle, ThreadSetting::Priority, 10);
    world.must(made.handle, Operation::ThreadStart, &[]);
    let thread = world.object(made.handle);
    assert_eq!(world.run(thread, 20, Operation::Reclaim, &[0, 1]), Err(Error::Busy));
}

#[test]
fn revoke_kills_what_is_lent_and_not_the_owner() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(3);
    let lent = world.lend(memory, 0, 3, Rights::READ | Rights::WRITE);
    let narrower = world.lend(lent, 1, 2, Rights::READ);
    assert_eq!(world.must(memory, Operation::Revoke, &[1, 1]), 1);
    let map = |memory: u32, page: u64| [0x10_0000 + page * 4096, u64::from(memory), page, 1, 0];
    assert_eq!(world.must(process.space, Operation::Map, &map(lent, 0)), 1, "the other pages are still lent");
    assert_eq!(world.ask(process.space, Operation::Map, &map(lent, 1)), Err(Error::InvalidHandle));
    assert_eq!(world.ask(process.space, Operation::Map, &[0x20_0000, u64::from(narrower), 0, 1, 0]), Err(Error::InvalidHandle));
    assert_eq!(world.must(process.space, Operation::Map, &[0x30_0000, u64::from(narrower), 1, 1, 0]), 1);
    assert_eq!(world.must(process.space, Operation::Map, &map(memory, 1)), 1, "the owner's own handle lives");
}

#[test]
fn revoke_refuses_ranges_outside() {
    let mut world = World::new();
    let memory = world.pages(3);
    refused(&mut world, memory, Operation::Revoke, &[(&[3, 1], Error::InvalidArgument), (&[1, u64::MAX], Error::InvalidArgument)]);
}

#[test]
fn what_is_lent_after_a_revoke_is_valid_and_what_is_derived_from_the_dead_is_not() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(1);
    let old = world.lend(memory, 0, 1, 0xff);
    world.must(memory, Operation::Revoke, &[0, 1]);
    let child = world.lend(old, 0, 1, 0xff);
    let fresh = world.lend(memory, 0, 1, 0xff);
    for dead in [old, child] {
        assert_eq!(world.ask(process.space, Operation::Map, &[0x10_0000, u64::from(dead), 0, 1, 0]), Err(Error::InvalidHandle));
    }
    world.must(process.space, Operation::Map, &[0x10_0000, u64::from(fresh), 0, 1, 0]);
}

#[test]
fn lent_memory_dies_when_its_page_becomes_an_object_and_stays_dead() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(1);
    let lent = u64::from(world.lend(memory, 0, 1, 0xff));
    world.must(memory, Operation::Retype, &[0, ObjectKind::Endpoint as u64, 1, 100, 0]);
    assert_eq!(world.ask(process.space, Operation::Map, &[0x10_0000, lent, 0, 1, 0]), Err(Error::InvalidHandle));
    world.must(memory, Operation::Reclaim, &[0, 1]);
    assert_eq!(world.ask(process.space, Operation::Map, &[0x10_0000, lent, 0, 1, 0]), Err(Error::InvalidHandle));
}

#[test]
fn derive_narrows_every_range() {
    let mut world = World::new();
    let root = world.root;
    let memory = world.pages(4);
    let lent = world.lend(memory, 1, 2, Rights::READ | Rights::OWNED);
    let slot = world.slot(&root, lent);
    assert_eq!((slot.count(), slot.rights), (2, Rights::READ), "what is derived owns nothing");
    world.must(boot_slot::PORTS, Operation::Derive, &[0x3f8, 8, 0xff, 100, 0]);
    let ports = world.slot(&root, 100);
    assert_eq!((ports.first, ports.count()), (0x3f8, 8));
    world.must(boot_slot::IRQS, Operation::Derive, &[4, 1, u64::from(Rights::USE), 101, 0]);
    assert_eq!(world.slot(&root, 101).first, 4);
}

#[test]
fn derive_refuses_bad_arguments() {
    let mut world = World::new();
    let memory = world.pages(4);
    let full = u64::from(memory);
    refused(
        &mut world,
        memory,
        Operation::Derive,
        &[
            (&[0, 0, 0xff, 100, 0], Error::InvalidArgument),
            (&[3, 2, 0xff, 100, 0], Error::InvalidArgument),
            (&[u64::MAX, 2, 0xff, 100, 0], Error::InvalidArgument),
            (&[0, 1, 0x100, 100, 0], Error::InvalidArgument),
            (&[0, 1, 0xff, full, 0], Error::SlotFull),
            (&[0, 1, 0xff, 0, 0], Error::InvalidHandle),
            (&[0, 1, 0xff, 100, full], Error::WrongKind),
        ],
    );
}

#[test]
fn free_pages_shows_what_nothing_uses() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(70);
    world.must(process.space, Operation::Map, &[0x10_0000, u64::from(memory), 1, 1, 0]);
    world.must(memory, Operation::Retype, &[3, ObjectKind::Endpoint as u64, 1, 100, 0]);
    assert_eq!(world.must(memory, Operation::FreePages, &[0]), !0b1010);
    assert_eq!(world.must(memory, Operation::FreePages, &[66]), 0b1111);
    refused(&mut world, memory, Operation::FreePages, &[(&[70], Error::InvalidArgument), (&[u64::MAX], Error::InvalidArgument)]);
}

#[test]
fn physical_address_is_told_for_plain_pages_of_the_range() {
    let mut world = World::new();
    let memory = world.pages(2);
    let page = u64::from(first_page(&mut world, memory));
    assert_eq!(world.must(memory, Operation::PhysicalAddress, &[1]), (page + 1) * 4096);
    let lent = world.lend(memory, 0, 2, 0xff);
    world.must(memory, Operation::Retype, &[0, ObjectKind::Endpoint as u64, 1, 100, 0]);
    refused(&mut world, memory, Operation::PhysicalAddress, &[(&[2], Error::InvalidArgument), (&[0], Error::InvalidHandle)]);
    world.must(memory, Operation::Revoke, &[1, 1]);
    assert_eq!(world.ask(lent, Operation::PhysicalAddress, &[1]), Err(Error::InvalidHandle));
}

#[test]
fn revoked_capability_makes_no_message_page() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(1);
    let lent = world.lend(memory, 0, 1, 0xff);
    world.must(memory, Operation::Revoke, &[0, 1]);
    world.must(process.handle, Operation::ThreadStop, &[]);
    let set = world.ask(process.handle, Operation::ThreadConfigure, &[ThreadSetting::MessagePage as u64, u64::from(lent), 0]);
    assert_eq!(set, Err(Error::InvalidHandle));
}
