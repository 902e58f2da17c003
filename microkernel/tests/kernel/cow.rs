//! Pages that two spaces map: share, clone, unshare.

use abi::{Error, MapFlags, Operation, Rights};
use microkernel::fake::{Process, World};

use super::refused;
use super::space::list;

const BASE: u64 = 0x10_0000;
const WRITE: u64 = MapFlags::WRITE;

fn family(world: &mut World, pages: u64) -> (Process, Process, u32) {
    let (parent, child) = (world.spawn(), world.spawn());
    let memory = world.map(&parent, BASE, pages, WRITE);
    (parent, child, memory)
}

fn over(source: &Process, pages: u64, flags: u64) -> [u64; 5] {
    [BASE, u64::from(source.space), BASE, pages, flags]
}

#[test]
fn share_maps_the_same_pages_and_leaves_holes() {
    let mut world = World::new();
    let (parent, child, _) = family(&mut world, 2);
    world.memory(parent.thread, BASE)[0] = 5;
    assert_eq!(world.must(child.space, Operation::Share, &over(&parent, 4, WRITE)), 4);
    world.memory(child.thread, BASE)[1] = 6;
    assert_eq!(world.memory(parent.thread, BASE)[..2], [5, 6]);
    assert!(!world.touch(child.thread, BASE + 0x2000, false));
}

#[test]
fn share_gives_at_most_what_the_source_has() {
    let mut world = World::new();
    let (parent, child, memory) = family(&mut world, 1);
    world.must(parent.space, Operation::Protect, &[BASE, 1, MapFlags::READ]);
    assert_eq!(world.ask(child.space, Operation::Share, &over(&parent, 1, WRITE)), Err(Error::MissingRight));
    world.must(child.space, Operation::Share, &over(&parent, 1, 0));
    assert_eq!(world.ask(child.space, Operation::Protect, &[BASE, 1, WRITE]), Err(Error::MissingRight), "nor by a detour");
    // A page that may never be executed in the source is not executable in the destination either.
    let data = world.lend(memory, 0, 1, Rights::READ | Rights::WRITE);
    world.must(parent.space, Operation::Map, &[0x20_0000, u64::from(data), 0, 1, WRITE]);
    let words = [0x20_0000, u64::from(parent.space), 0x20_0000, 1, MapFlags::EXECUTE];
    assert_eq!(world.ask(child.space, Operation::Share, &words), Err(Error::MissingRight));
}

#[test]
fn share_and_clone_refuse_bad_arguments() {
    let mut world = World::new();
    let (parent, child, _) = family(&mut world, 1);
    let source = u64::from(parent.space);
    for (operation, right) in [(Operation::Share, Rights::SHARE), (Operation::Clone, Rights::CLONE)] {
        let weak = u64::from(world.free_slot());
        world.must(0, Operation::Copy, &[weak, source, u64::from(!right), 0, 0, 0]);
        refused(
            &mut world,
            child.space,
            operation,
            &[
                (&[BASE, weak, BASE, 1, 0], Error::MissingRight),
                (&[BASE, u64::from(child.space), 0x50_0000, 1, 0], Error::InvalidArgument),
                (&[BASE + 1, source, BASE, 1, 0], Error::InvalidArgument),
                (&[BASE, source, BASE + 1, 1, 0], Error::InvalidArgument),
                (&[BASE, source, BASE, 0, 0], Error::InvalidArgument),
                (&[abi::USER_END - 4096, source, BASE, 2, 0], Error::InvalidArgument),
                (&[BASE, source, abi::USER_END - 4096, 2, 0], Error::InvalidArgument),
                (&[BASE, source, BASE, u64::MAX / 4096, 0], Error::InvalidArgument),
                (&[BASE, 1 << 32, BASE, 1, 0], Error::InvalidArgument),
                (&[BASE, 2999, BASE, 1, 0], Error::InvalidHandle),
                (&[BASE, u64::from(child.table), BASE, 1, 0], Error::WrongKind),
            ],
        );
    }
    assert_eq!(world.ask(child.space, Operation::Share, &over(&parent, 1, WRITE | MapFlags::EXECUTE)), Err(Error::InvalidArgument));
}

#[test]
fn destination_without_tables_asks_for_them() {
    let mut world = World::new();
    let (parent, _, _) = family(&mut world, 1);
    let bare = world.make(abi::ObjectKind::AddressSpace, 1).handle;
    for operation in [Operation::Share, Operation::Clone] {
        assert_eq!(world.ask(bare, operation, &over(&parent, 1, 0)), Err(Error::NeedsTable));
    }
}

#[test]
fn clone_takes_the_right_to_write_from_both_sides() {
    let mut world = World::new();
    let (parent, child, _) = family(&mut world, 2);
    world.memory(parent.thread, BASE)[0] = 5;
    assert_eq!(world.must(child.space, Operation::Clone, &over(&parent, 2, 0)), 2);
    for process in [parent, child] {
        assert_eq!(world.memory(process.thread, BASE)[0], 5);
        let flags: Vec<u64> = list(&mut world, &process, BASE, 2).into_iter().map(|word| word & 0xfff & !MapFlags::DIRTY).collect();
        assert_eq!(flags, [MapFlags::READ | MapFlags::COW | MapFlags::SHARED; 2]);
    }
    assert_eq!(world.must(child.space, Operation::Protect, &[BASE, 1, WRITE]), 1);
    assert!(!world.touch(child.thread, BASE, true), "protect does not end copy-on-write");
}

#[test]
fn page_that_is_read_only_for_the_moment_is_cloned_too() {
    let mut world = World::new();
    let (parent, child, _) = family(&mut world, 1);
    world.must(parent.space, Operation::Protect, &[BASE, 1, MapFlags::READ]);
    world.must(child.space, Operation::Clone, &over(&parent, 1, 0));
    for process in [parent, child] {
        world.must(process.space, Operation::Protect, &[BASE, 1, WRITE]);
        assert_ne!(list(&mut world, &process, BASE, 1)[0] & MapFlags::COW, 0);
    }
    assert!(!world.touch(child.thread, BASE, true), "or both would write to the one page");
}

#[test]
fn clone_done_twice_changes_nothing_more() {
    let mut world = World::new();
    let (parent, child, memory) = family(&mut world, 2);
    world.must(child.space, Operation::Clone, &over(&parent, 2, 0));
    world.must(child.space, Operation::Clone, &over(&parent, 2, 0));
    let first = world.must(memory, Operation::PhysicalAddress, &[0]) / 4096;
    assert_eq!(world.page_info(first as u32).maps, 2);
}

#[test]
fn clone_flushes_the_loaded_source() {
    let mut world = World::new();
    let child = world.spawn();
    let root = world.root;
    world.map(&root, BASE, 1, WRITE);
    world.kernel.machine.core_mut().flushes.clear();
    world.must(child.space, Operation::Clone, &over(&root, 1, 0));
    assert_eq!(world.kernel.machine.core().flushes, [BASE]);
}

#[test]
fn unshare_copies_for_the_first_and_hands_over_to_the_last() {
    let mut world = World::new();
    let (parent, child, _) = family(&mut world, 1);
    world.memory(parent.thread, BASE)[0] = 5;
    world.must(child.space, Operation::Clone, &over(&parent, 1, 0));
    let fresh = world.pages(1);
    assert_eq!(world.must(child.space, Operation::Unshare, &[BASE, u64::from(fresh), 0]), 1, "the page was used");
    assert!(world.touch(child.thread, BASE, true));
    world.memory(child.thread, BASE)[0] = 6;
    assert_eq!(world.memory(parent.thread, BASE)[0], 5);
    assert_eq!(world.must(parent.space, Operation::Unshare, &[BASE, 0, 0]), 0, "the last holder keeps the page");
    assert!(world.touch(parent.thread, BASE, true));
    assert_eq!(list(&mut world, &parent, BASE, 1)[0] & MapFlags::COW, 0);
}

#[test]
fn pinned_page_is_not_handed_over() {
    // A message page of somebody: the kernel writes to it although nothing maps it.
    let mut world = World::new();
    let (parent, child, memory) = family(&mut world, 1);
    world.must(child.space, Operation::Clone, &over(&parent, 1, 0));
    world.must(parent.space, Operation::Unmap, &[BASE, 1]);
    world.must(parent.handle, Operation::ThreadStop, &[]);
    world.must(parent.handle, Operation::ThreadConfigure, &[abi::ThreadSetting::MessagePage as u64, u64::from(memory), 0]);
    assert_eq!(world.ask(child.space, Operation::Unshare, &[BASE, 0, 0]), Err(Error::InvalidHandle), "it needs a page to copy to");
    let fresh = world.pages(1);
    assert_eq!(world.must(child.space, Operation::Unshare, &[BASE, u64::from(fresh), 0]), 1);
}

#[test]
fn page_under_a_two_mebibyte_mapping_is_shared() {
    let mut world = World::new();
    let (parent, child) = (world.spawn(), world.spawn());
    let huge = u64::from(world.huge_pages());
    world.must(parent.space, Operation::Map, &[0x20_0000, huge, 0, 512, MapFlags::HUGE | WRITE]);
    // The same page 3 once more, copy-on-write and with no other 4 KiB mapping.
    let region = world.spawn();
    world.must(region.space, Operation::Map, &[BASE, huge, 3, 1, WRITE]);
    world.must(child.space, Operation::Clone, &over(&region, 1, 0));
    world.must(region.space, Operation::Unmap, &[BASE, 1]);
    assert_ne!(list(&mut world, &child, BASE, 1)[0] & MapFlags::SHARED, 0);
    let fresh = u64::from(world.pages(1));
    assert_eq!(world.must(child.space, Operation::Unshare, &[BASE, fresh, 0]), 1, "the other mapping still sees the old page");
    world.memory(child.thread, BASE)[0] = 9;
    assert_eq!(world.memory(parent.thread, 0x20_3000)[0], 0);
}

#[test]
fn unshare_of_a_read_only_page_needs_a_copy() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.map(&process, BASE, 1, 0);
    let fresh = world.pages(1);
    assert_eq!(world.must(process.space, Operation::Unshare, &[BASE, u64::from(fresh), 0]), 1);
    world.must(memory, Operation::Reclaim, &[0, 1]);
}

#[test]
fn unshare_refuses_bad_arguments() {
    let mut world = World::new();
    let (parent, child, memory) = family(&mut world, 1);
    world.must(child.space, Operation::Clone, &over(&parent, 1, 0));
    let fresh = world.pages(1);
    let read_only = u64::from(world.lend(fresh, 0, 1, Rights::READ));
    let (m, f) = (u64::from(memory), u64::from(fresh));
    refused(
        &mut world,
        child.space,
        Operation::Unshare,
        &[
            (&[0x50_0000, f, 0], Error::InvalidArgument),
            (&[BASE + 8, f, 0], Error::InvalidArgument),
            (&[abi::USER_END, f, 0], Error::InvalidArgument),
            (&[BASE, m, 0], Error::Busy),
            (&[BASE, f, 1], Error::InvalidArgument),
            (&[BASE, read_only, 0], Error::MissingRight),
            (&[BASE, 1 << 32, 0], Error::InvalidArgument),
            (&[BASE, u64::from(child.table), 0], Error::WrongKind),
        ],
    );
    let huge = u64::from(world.huge_pages());
    world.must(child.space, Operation::Map, &[0x20_0000, huge, 0, 512, MapFlags::HUGE]);
    assert_eq!(world.ask(child.space, Operation::Unshare, &[0x20_0000, f, 0]), Err(Error::InvalidArgument));
    assert_eq!(world.ask(parent.space, Operation::Clone, &[0x20_0000, u64::from(child.space), 0x20_0000, 1, 0]), Err(Error::InvalidArgument));
}

#[test]
fn two_mebibyte_page_is_shared_whole_or_in_parts() {
    const HUGE_AT: u64 = 0x40_0000;
    let mut world = World::new();
    let (source, whole, part) = (world.spawn(), world.spawn(), world.spawn());
    let huge = world.huge_pages();
    world.must(source.space, Operation::Map, &[HUGE_AT, u64::from(huge), 0, 512, MapFlags::HUGE | WRITE]);
    world.memory(source.thread, HUGE_AT + 0x5000)[0] = 7;
    let from = u64::from(source.space);
    // Whole, twice, which is once.
    for _ in 0..2 {
        assert_eq!(world.must(whole.space, Operation::Share, &[HUGE_AT * 2, from, HUGE_AT, 600, 0]), 512);
    }
    assert_eq!(world.memory(whole.thread, HUGE_AT * 2 + 0x5000)[0], 7);
    assert!(!world.touch(whole.thread, HUGE_AT * 2, true), "with fewer rights");
    assert_ne!(list(&mut world, &whole, HUGE_AT * 2, 1)[0] & MapFlags::HUGE, 0);
    // From the middle, up to its end; at an address that is not aligned alike; and over the range's end.
    assert_eq!(world.must(part.space, Operation::Share, &[BASE, from, HUGE_AT + 5 * 4096, 600, WRITE]), 507);
    assert_eq!(world.memory(part.thread, BASE)[0], 7);
    assert_eq!(list(&mut world, &part, BASE, 1)[0] & MapFlags::HUGE, 0);
    world.memory(part.thread, BASE)[0] = 8;
    assert_eq!(world.memory(source.thread, HUGE_AT + 0x5000)[0], 8);
    // A whole one does not replace small pages that are there.
    assert_eq!(world.must(part.space, Operation::Share, &[HUGE_AT, from, HUGE_AT, 2, 0]), 2);
    assert_eq!(world.must(part.space, Operation::Share, &[HUGE_AT, from, HUGE_AT, 512, 0]), 512);
    assert_eq!(list(&mut world, &part, HUGE_AT, 1)[0] & MapFlags::HUGE, 0);
    // All of them hold the page.
    world.must(source.space, Operation::Unmap, &[HUGE_AT, 512]);
    world.must(part.space, Operation::Unmap, &[HUGE_AT, 512]);
    assert_eq!(world.ask(huge, Operation::Reclaim, &[3, 1]), Err(Error::Busy), "mapped whole");
    world.must(whole.space, Operation::Unmap, &[HUGE_AT * 2, 512]);
    assert_eq!(world.must(huge, Operation::Reclaim, &[3, 1]), 1, "not mapped by the part from page 5 on");
    assert_eq!(world.ask(huge, Operation::Reclaim, &[5, 1]), Err(Error::Busy));
    world.must(part.space, Operation::Unmap, &[BASE, 507]);
    assert_eq!(world.must(huge, Operation::Reclaim, &[5, 1]), 1);
}

#[test]
fn share_stops_before_a_two_mebibyte_page_and_goes_on_with_it() {
    let mut world = World::new();
    let (source, to) = (world.spawn(), world.spawn());
    let _before = world.map(&source, 0x3f_e000, 2, 0);
    let huge = world.huge_pages();
    world.must(source.space, Operation::Map, &[0x40_0000, u64::from(huge), 0, 512, MapFlags::HUGE]);
    let from = u64::from(source.space);
    assert_eq!(world.must(to.space, Operation::Share, &[0x3f_e000, from, 0x3f_e000, 514, 0]), 2);
    assert_eq!(world.must(to.space, Operation::Share, &[0x40_0000, from, 0x40_0000, 512, 0]), 512);
    assert_eq!(world.ask(to.space, Operation::Share, &[0x80_0000, from, 0x40_0000, 512, WRITE]), Err(Error::MissingRight));
}

#[test]
fn mapping_outlives_the_capability_but_not_the_count() {
    let mut world = World::new();
    let (parent, child, memory) = family(&mut world, 1);
    world.must(child.space, Operation::Clone, &over(&parent, 1, 0));
    world.must(parent.space, Operation::Unmap, &[BASE, 1]);
    assert_eq!(world.ask(memory, Operation::Reclaim, &[0, 1]), Err(Error::Busy), "the child still maps it");
    world.must(child.space, Operation::Unmap, &[BASE, 1]);
    assert_eq!(world.must(memory, Operation::Reclaim, &[0, 1]), 1);
}
