//! Address spaces: map, unmap, protect, list, copy, and the tables that they need.

use abi::{Error, MapFlags, ObjectKind, Operation, Rights, USER_END};
use microkernel::fake::{Process, World};

use super::refused;

const BASE: u64 = 0x10_0000;
const READ: u64 = MapFlags::READ;
const WRITE: u64 = MapFlags::WRITE;
const EXECUTE: u64 = MapFlags::EXECUTE;

/// What `List` says of pages of a process.
pub(super) fn list(world: &mut World, process: &Process, address: u64, pages: u64) -> Vec<u64> {
    let done = world.must(process.space, Operation::List, &[address, pages]);
    let root = world.root.thread;
    let page = world.message_page(root);
    page.chunks(8).take(done as usize).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

fn page_of(world: &mut World, memory: u32, index: u64) -> u64 {
    world.must(memory, Operation::PhysicalAddress, &[index])
}

#[test]
fn mapped_page_is_the_one_that_the_capability_names() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.map(&process, BASE, 3, WRITE);
    world.memory(process.thread, BASE + 4096)[0] = 7;
    let page = page_of(&mut world, memory, 1) / 4096;
    assert_eq!(world.page(page as u32)[0], 7);
    assert_eq!(world.page_info(page as u32).maps, 1);
}

#[test]
fn map_refuses_bad_arguments() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(4);
    let m = u64::from(memory);
    let endpoint = u64::from(world.endpoint());
    let read_only = u64::from(world.lend(memory, 0, 4, Rights::READ));
    let unreadable = u64::from(world.lend(memory, 0, 4, Rights::WRITE));
    world.map(&process, 0x50_0000, 1, 0);
    refused(
        &mut world,
        process.space,
        Operation::Map,
        &[
            (&[BASE + 1, m, 0, 1, 0], Error::InvalidArgument),
            (&[BASE, m, 0, 0, 0], Error::InvalidArgument),
            (&[BASE, m, 4, 1, 0], Error::InvalidArgument),
            (&[BASE, m, 0, 5, 0], Error::InvalidArgument),
            (&[BASE, m, u64::MAX, 2, 0], Error::InvalidArgument),
            (&[BASE, m, 0, u64::MAX, 0], Error::InvalidArgument),
            (&[BASE, m, 0, u64::MAX / 4096, 0], Error::InvalidArgument),
            (&[BASE, m, 0, 1, WRITE | EXECUTE], Error::InvalidArgument),
            (&[BASE, m, 0, 1, 1 << 40], Error::InvalidArgument),
            (&[BASE, endpoint, 0, 1, 0], Error::WrongKind),
            (&[BASE, 2999, 0, 1, 0], Error::InvalidHandle),
            (&[BASE, 1 << 32, 0, 1, 0], Error::InvalidArgument),
            (&[BASE, read_only, 0, 1, WRITE], Error::MissingRight),
            (&[BASE, read_only, 0, 1, EXECUTE], Error::MissingRight),
            (&[BASE, read_only, 0, 1, MapFlags::ZERO], Error::MissingRight),
            (&[BASE, unreadable, 0, 1, 0], Error::MissingRight),
            (&[0x50_0000, m, 0, 1, 0], Error::AlreadyMapped),
        ],
    );
}

#[test]
fn nothing_is_mapped_outside_the_lower_half_or_in_its_last_page() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = u64::from(world.pages(2));
    for address in [USER_END, USER_END + 4096, 1 << 47, 1 << 63, 0xffff_8000_0000_0000, u64::MAX - 4095] {
        for operation in [Operation::Map, Operation::Unmap, Operation::Protect, Operation::List] {
            let words = if operation == Operation::Map { vec![address, memory, 0, 1, 0] } else { vec![address, 1, 0] };
            assert_eq!(world.ask(process.space, operation, &words), Err(Error::InvalidArgument), "{operation:?} at {address:#x}");
        }
    }
    assert_eq!(world.ask(process.space, Operation::Map, &[USER_END - 4096, memory, 0, 2, 0]), Err(Error::InvalidArgument));
    assert_eq!(world.must(process.space, Operation::Map, &[USER_END - 4096, memory, 0, 1, 0]), 1);
}

#[test]
fn space_without_tables_asks_for_some_and_goes_on() {
    let mut world = World::new();
    let process = world.spawn();
    let (space, tables) = (world.make(ObjectKind::AddressSpace, 1).handle, world.pages(5));
    let memory = world.pages(4);
    let map = [0x1f_e000, u64::from(memory), 0, 4, 0];
    assert_eq!(world.ask(space, Operation::Map, &map), Err(Error::NeedsTable));
    assert_eq!(world.must(space, Operation::AddTables, &[u64::from(tables), 0, 4]), 4);
    assert_eq!(world.must(space, Operation::Map, &map), 2, "as far as four tables go");
    let rest = [0x20_0000, u64::from(memory), 2, 2, 0];
    assert_eq!(world.ask(space, Operation::Map, &rest), Err(Error::NeedsTable));
    assert_eq!(world.must(space, Operation::AddTables, &[u64::from(tables), 4, 1]), 1);
    assert_eq!(world.must(space, Operation::Map, &rest), 2);
    assert_eq!(world.state(process.thread), microkernel::thread::State::Runnable);
}

#[test]
fn add_tables_takes_only_owned_unused_pages() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.map(&process, BASE, 3, 0);
    let fresh = world.pages(3);
    let lent = u64::from(world.lend(fresh, 0, 3, 0xff));
    let m = u64::from(fresh);
    refused(
        &mut world,
        process.space,
        Operation::AddTables,
        &[
            (&[u64::from(memory), 0, 1], Error::Busy),
            (&[lent, 0, 1], Error::MissingRight),
            (&[m, 3, 1], Error::InvalidArgument),
            (&[m, u64::MAX, 2], Error::InvalidArgument),
            (&[1 << 32, 0, 1], Error::InvalidArgument),
            (&[2999, 0, 1], Error::InvalidHandle),
        ],
    );
    world.must(process.space, Operation::Map, &[0x20_0000, m, 1, 1, 0]);
    assert_eq!(world.must(process.space, Operation::AddTables, &[m, 0, 3]), 1, "as far as pages are unused");
    let many = world.pages(520);
    assert_eq!(world.must(process.space, Operation::AddTables, &[u64::from(many), 0, 520]), 512, "a budget at a time");
    world.kernel.machine.meter.interrupt_at = 2;
    let more = world.pages(5);
    assert_eq!(world.must(process.space, Operation::AddTables, &[u64::from(more), 0, 5]), 2, "up to where an interrupt waits");
}

#[test]
fn donated_page_is_zeroed() {
    let mut world = World::new();
    let process = world.spawn();
    let tables = world.pages(8);
    let first = page_of(&mut world, tables, 0) / 4096;
    for page in first..first + 8 {
        world.page(page as u32).fill(0xff);
    }
    world.must(process.space, Operation::AddTables, &[u64::from(tables), 0, 8]);
    for address in [0x1000_0000_0000, 0x2000_0000_0000] {
        world.map(&process, address, 1, 0);
    }
}

#[test]
fn map_with_zero_clears_pages_that_nothing_else_maps() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(2);
    let page = (page_of(&mut world, memory, 0) / 4096) as u32;
    world.page(page).fill(1);
    world.page(page + 1).fill(1);
    world.must(process.space, Operation::Map, &[BASE, u64::from(memory), 1, 1, 0]);
    assert_eq!(world.ask(process.space, Operation::Map, &[0x20_0000, u64::from(memory), 1, 1, MapFlags::ZERO]), Err(Error::Busy));
    assert_eq!(world.page(page + 1)[5], 1, "a page in use is not wiped");
    world.must(process.space, Operation::Map, &[0x20_0000, u64::from(memory), 0, 1, MapFlags::ZERO | WRITE]);
    assert!(world.page(page).iter().all(|byte| *byte == 0));
}

#[test]
fn map_does_a_budget_and_says_how_far_it_came() {
    let mut world = World::new();
    let process = world.spawn();
    let huge = world.huge_pages();
    let more = world.pages(8);
    world.must(huge, Operation::Merge, &[u64::from(more)]);
    assert_eq!(world.must(process.space, Operation::Map, &[BASE, u64::from(huge), 0, 520, 0]), 512);
    assert_eq!(world.must(process.space, Operation::Map, &[BASE + 512 * 4096, u64::from(huge), 512, 8, 0]), 8);
    assert_eq!(world.must(process.space, Operation::Unmap, &[BASE, 520]), 512);
}

#[test]
fn map_stops_before_a_page_that_it_may_not_map() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(4);
    world.must(memory, Operation::Retype, &[2, ObjectKind::Endpoint as u64, 1, 100, 0]);
    assert_eq!(world.must(process.space, Operation::Map, &[BASE, u64::from(memory), 0, 4, 0]), 2);
    assert_eq!(world.ask(process.space, Operation::Map, &[BASE + 0x2000, u64::from(memory), 2, 2, 0]), Err(Error::InvalidHandle));
}

#[test]
fn unmap_passes_over_holes_and_flushes_what_was_there() {
    let mut world = World::new();
    let root = world.root;
    let memory = u64::from(world.pages(2));
    world.must(root.space, Operation::Map, &[BASE, memory, 0, 1, 0]);
    world.must(root.space, Operation::Map, &[BASE + 0x3000, memory, 1, 1, 0]);
    world.kernel.machine.core_mut().flushes.clear();
    assert_eq!(world.must(root.space, Operation::Unmap, &[BASE - 0x1000, 6]), 6);
    assert_eq!(world.kernel.machine.core().flushes, [BASE, BASE + 0x3000]);
    assert_eq!(world.must(memory as u32, Operation::Reclaim, &[0, 2]), 2, "nothing maps them any more");
}

#[test]
fn unmap_of_a_whole_empty_half_is_one_step() {
    let mut world = World::new();
    let process = world.spawn();
    assert_eq!(world.must(process.space, Operation::Unmap, &[0, USER_END / 4096]), USER_END / 4096);
}

#[test]
fn other_space_is_not_flushed() {
    let mut world = World::new();
    let process = world.spawn();
    world.map(&process, BASE, 1, 0);
    world.kernel.machine.core_mut().flushes.clear();
    world.must(process.space, Operation::Unmap, &[BASE, 1]);
    assert_eq!(world.kernel.machine.core().flushes, []);
}

#[test]
fn protect_takes_and_gives_what_the_capability_allowed() {
    let mut world = World::new();
    let root = world.root;
    let memory = world.map(&root, BASE, 2, WRITE);
    world.kernel.machine.core_mut().flushes.clear();
    world.must(root.space, Operation::Protect, &[BASE, 2, READ]);
    assert_eq!(world.kernel.machine.core().flushes, [BASE, BASE + 0x1000]);
    let page = page_of(&mut world, memory, 0);
    for flags in [READ | WRITE, READ | EXECUTE, READ] {
        assert_eq!(world.must(root.space, Operation::Protect, &[BASE, 1, flags]), 1);
        assert_eq!(list(&mut world, &root, BASE, 1), [page | flags]);
    }
    assert_eq!(world.ask(root.space, Operation::Protect, &[BASE, 1, WRITE | EXECUTE]), Err(Error::InvalidArgument));
    assert_eq!(world.ask(root.space, Operation::Protect, &[BASE + 1, 1, READ]), Err(Error::InvalidArgument));
    assert_eq!(world.ask(root.space, Operation::Protect, &[BASE, 0, READ]), Err(Error::InvalidArgument));
}

#[test]
fn protect_does_not_give_more_than_the_capability_had() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = world.pages(1);
    let lent = u64::from(world.lend(memory, 0, 1, Rights::READ));
    world.must(process.space, Operation::Map, &[BASE, lent, 0, 1, READ]);
    refused(
        &mut world,
        process.space,
        Operation::Protect,
        &[(&[BASE, 1, READ | WRITE], Error::MissingRight), (&[BASE, 1, READ | EXECUTE], Error::MissingRight)],
    );
    world.must(process.space, Operation::Protect, &[BASE, 1, READ]);
}

#[test]
fn two_mebibyte_page_is_changed_only_as_a_whole() {
    let mut world = World::new();
    let process = world.spawn();
    let huge = u64::from(world.huge_pages());
    refused(
        &mut world,
        process.space,
        Operation::Map,
        &[
            (&[0x20_1000, huge, 0, 512, MapFlags::HUGE], Error::InvalidArgument),
            (&[0x20_0000, huge, 0, 511, MapFlags::HUGE], Error::InvalidArgument),
            (&[0x20_0000, huge, 1, 511, MapFlags::HUGE], Error::InvalidArgument),
        ],
    );
    let zero = [0x20_0000, huge, 0, 512, MapFlags::HUGE | MapFlags::ZERO | WRITE];
    assert_eq!(world.ask(process.space, Operation::Map, &zero), Err(Error::InvalidArgument), "too much to zero at once");
    assert_eq!(world.must(process.space, Operation::Map, &[0x20_0000, huge, 0, 512, MapFlags::HUGE | WRITE]), 512);
    let again = [0x20_0000, huge, 0, 512, MapFlags::HUGE];
    assert_eq!(world.ask(process.space, Operation::Map, &again), Err(Error::AlreadyMapped));
    assert_eq!(world.ask(process.space, Operation::Map, &[0x20_3000, huge, 0, 1, 0]), Err(Error::AlreadyMapped));
    assert_eq!(world.ask(process.space, Operation::Map, &[0x40_0000, huge, 0, 1, MapFlags::ZERO]), Err(Error::Busy));
    assert_eq!(world.ask(huge as u32, Operation::Reclaim, &[0, 512]), Err(Error::Busy));
    let partial = [(0x20_0000, 511), (0x20_1000, 511), (0x2f_f000, 1)];
    for (address, pages) in partial {
        assert_eq!(world.ask(process.space, Operation::Unmap, &[address, pages]), Err(Error::InvalidArgument));
        assert_eq!(world.ask(process.space, Operation::Protect, &[address, pages, READ]), Err(Error::InvalidArgument));
    }
    assert_eq!(world.must(process.space, Operation::Protect, &[0x20_0000, 512, READ]), 512);
    assert!(!world.touch(process.thread, 0x25_0000, true));
    assert_eq!(world.must(process.space, Operation::Unmap, &[0x1f_f000, 514]), 514);
    assert_eq!(world.must(huge as u32, Operation::FreePages, &[0]), u64::MAX);
}

#[test]
fn two_mebibyte_page_needs_every_one_of_its_pages() {
    let mut world = World::new();
    let process = world.spawn();
    let huge = world.huge_pages();
    world.must(huge, Operation::Retype, &[300, ObjectKind::Endpoint as u64, 1, 100, 0]);
    let map = [0x20_0000, u64::from(huge), 0, 512, MapFlags::HUGE];
    assert_eq!(world.ask(process.space, Operation::Map, &map), Err(Error::InvalidHandle));
}

#[test]
fn two_mebibyte_page_has_a_limit_of_mappings() {
    let mut world = World::new();
    let process = world.spawn();
    let huge = u64::from(world.huge_pages());
    let map = |index: u64| [0x4000_0000 + index * 0x20_0000, huge, 0, 512, MapFlags::HUGE];
    for index in 0..255 {
        assert_eq!(world.must(process.space, Operation::Map, &map(index)), 512);
    }
    assert_eq!(world.ask(process.space, Operation::Map, &map(255)), Err(Error::KernelLimit));
    assert_eq!(world.must(process.space, Operation::Unmap, &[0x4000_0000, 255 * 512]), 255 * 512);
    assert_eq!(world.must(huge as u32, Operation::FreePages, &[0]), u64::MAX);
}

#[test]
fn list_shows_every_page_with_its_access() {
    let mut world = World::new();
    let (process, other) = (world.spawn(), world.spawn());
    let memory = world.map(&process, BASE, 2, WRITE);
    let code = world.map(&process, BASE + 0x3000, 1, EXECUTE);
    world.must(other.space, Operation::Map, &[BASE, u64::from(memory), 1, 1, READ]);
    assert!(world.touch(process.thread, BASE, true));
    let pages = [page_of(&mut world, memory, 0), page_of(&mut world, memory, 1), page_of(&mut world, code, 0)];
    let listed = list(&mut world, &process, BASE, 4);
    assert_eq!(listed, [pages[0] | READ | WRITE | MapFlags::DIRTY, pages[1] | READ | WRITE | MapFlags::SHARED, 0, pages[2] | READ | EXECUTE,]);
    assert_eq!(list(&mut world, &process, 0, 10_000).len(), 448);
}

#[test]
fn list_needs_a_message_page() {
    let mut world = World::new();
    let process = world.spawn();
    let space = world.space();
    world.give(&process, 20, space, 0xff);
    let plain = world.make(ObjectKind::Thread, 1).handle;
    world.configure(plain, abi::ThreadSetting::Space, u64::from(process.space));
    world.configure(plain, abi::ThreadSetting::Table, u64::from(process.table));
    world.configure(plain, abi::ThreadSetting::Priority, 10);
    world.must(plain, Operation::ThreadStart, &[]);
    let thread = world.object(plain);
    assert_eq!(world.run(thread, 20, Operation::List, &[BASE, 1]), Err(Error::WrongState));
    assert_eq!(world.run(thread, 0, Operation::Log, &[1]), Err(Error::WrongState));
}

#[test]
fn bytes_are_copied_from_and_to_a_space_across_pages() {
    let mut world = World::new();
    let process = world.spawn();
    let root = world.root;
    world.map(&process, BASE, 2, WRITE);
    world.map(&root, BASE, 2, WRITE);
    world.memory(process.thread, BASE + 0xffc)[..4].copy_from_slice(b"abcd");
    world.memory(process.thread, BASE + 0x1000)[..4].copy_from_slice(b"efgh");
    assert_eq!(world.must(process.space, Operation::CopyFrom, &[BASE + 0xffc, BASE + 0x7f9, 8]), 8);
    assert_eq!(&world.memory(root.thread, BASE + 0x7f9)[..8], b"abcdefgh");
    assert_eq!(world.must(process.space, Operation::CopyTo, &[BASE + 0x10, BASE + 0x7f9, 8]), 8);
    assert_eq!(&world.memory(process.thread, BASE + 0x10)[..8], b"abcdefgh");
    assert_eq!(world.must(process.space, Operation::CopyFrom, &[BASE, BASE, 100_000]), 4096, "4 KiB at a time");
    assert_eq!(world.must(process.space, Operation::CopyFrom, &[0x999, 0x999, 0]), 0);
}

#[test]
fn copy_tells_whose_page_is_missing() {
    let mut world = World::new();
    let process = world.spawn();
    let root = world.root;
    world.map(&process, BASE, 1, READ);
    world.map(&root, BASE, 1, READ);
    let needs = |world: &mut World, operation, words: &[u64]| {
        assert_eq!(world.ask(process.space, operation, words), Err(Error::NeedsPage));
        world.words(root.thread)[..2].to_vec()
    };
    assert_eq!(needs(&mut world, Operation::CopyFrom, &[0x66_0000, BASE, 8]), [0x66_0000, 0]);
    assert_eq!(needs(&mut world, Operation::CopyTo, &[BASE + 8, BASE, 8]), [BASE + 8, 1]);
    for address in [USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 4] {
        assert_eq!(needs(&mut world, Operation::CopyFrom, &[address, BASE, 8]), [address, 0]);
        assert_eq!(world.ask(process.space, Operation::CopyFrom, &[BASE, address, 8]), Err(Error::LocalFault));
    }
    assert_eq!(world.ask(process.space, Operation::CopyFrom, &[BASE, BASE, 8]), Err(Error::LocalFault), "root's page is read-only");
    let memory = world.map(&root, BASE + 0x1000, 1, WRITE);
    assert_ne!(memory, 0);
    assert_eq!(world.must(process.space, Operation::CopyFrom, &[BASE + 0xff0, BASE + 0x1000, 100]), 16, "as far as the pages are there");
}

#[test]
fn bytes_are_copied_from_one_space_to_another() {
    let mut world = World::new();
    let (to, from, root) = (world.spawn(), world.spawn(), world.root);
    world.map(&to, BASE, 2, WRITE);
    world.map(&to, BASE + 0x3000, 1, READ);
    world.map(&from, BASE, 2, READ);
    world.memory(from.thread, BASE + 0xff0)[..16].copy_from_slice(b"from one page to");
    world.memory(from.thread, BASE + 0x1000)[..8].copy_from_slice(b" another");
    let copy = |world: &mut World, address: u64, at: u64, bytes: u64| {
        let words = [address, u64::from(from.space), at, bytes];
        world.ask(to.space, Operation::CopyAcross, &words).map(|words| words[0])
    };
    assert_eq!(copy(&mut world, BASE + 0xffc, BASE + 0xff0, 24), Ok(24));
    assert_eq!(&world.memory(to.thread, BASE + 0xffc)[..4], b"from");
    assert_eq!(&world.memory(to.thread, BASE + 0x1000)[..20], b" one page to another");
    assert_eq!(copy(&mut world, BASE, BASE, 0), Ok(0));
    assert_eq!(copy(&mut world, BASE + 0x1ff8, BASE, 100), Ok(8), "as far as the pages are there");
    assert_eq!(copy(&mut world, BASE, BASE + 0x1ffc, 100), Ok(4), "on either side");
    assert_eq!(copy(&mut world, BASE, BASE, u64::MAX), Ok(abi::COPY_BYTES), "no more than one operation copies");
    for address in [BASE + 0x2000, BASE + 0x3000, USER_END, 1 << 47, u64::MAX - 4] {
        assert_eq!(copy(&mut world, address, BASE, 8), Err(Error::NeedsPage), "{address:#x}");
        assert_eq!(world.words(root.thread)[..2], [address, 1], "where, and that it was to be written");
    }
    for address in [BASE + 0x2000, USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 4] {
        assert_eq!(copy(&mut world, BASE, address, 8), Err(Error::LocalFault), "{address:#x}");
    }
}

#[test]
fn copy_across_takes_the_right_to_clone_from_the_other_space() {
    let mut world = World::new();
    let (to, from) = (world.spawn(), world.spawn());
    world.map(&to, BASE, 1, WRITE);
    let memory = world.map(&from, BASE, 1, READ);
    let all = Rights::COPY | Rights::SHARE | Rights::CLONE | Rights::LIST | Rights::MAP | Rights::CONTROL;
    let cases = [(Rights::CLONE, Ok(8)), (all, Ok(8)), (all & !Rights::CLONE, Err(Error::MissingRight)), (0, Err(Error::MissingRight))];
    for (slot, (rights, result)) in (200..).zip(cases) {
        world.must(abi::OWN_TABLE, Operation::Copy, &[slot, u64::from(from.space), u64::from(rights), 0, 0, 0]);
        let copied = world.ask(to.space, Operation::CopyAcross, &[BASE, slot, BASE, 8]).map(|words| words[0]);
        assert_eq!(copied, result, "{rights:#x}");
    }
    for (source, error) in [(u64::from(memory), Error::WrongKind), (210, Error::InvalidHandle), (1 << 32, Error::InvalidArgument)] {
        assert_eq!(world.ask(to.space, Operation::CopyAcross, &[BASE, source, BASE, 8]), Err(error), "{source:#x}");
    }
}

#[test]
fn word_is_exchanged_if_it_is_the_expected_one() {
    let mut world = World::new();
    let process = world.spawn();
    let root = world.root;
    world.map(&process, BASE, 1, WRITE);
    world.map(&process, BASE + 0x1000, 1, READ);
    world.memory(process.thread, BASE + 0xff8)[..8].copy_from_slice(&[1, 0, 0, 0x80, 2, 0, 0, 0]);
    let exchange = |world: &mut World, words: &[u64]| world.ask(process.space, Operation::Exchange, words).map(|words| words[0]);
    assert_eq!(exchange(&mut world, &[BASE + 0xff8, 0x8000_0001, 7]), Ok(0x8000_0001));
    assert_eq!(exchange(&mut world, &[BASE + 0xffc, 3, 9]), Ok(2), "it is told, and stays");
    assert_eq!(&world.memory(process.thread, BASE + 0xff8)[..8], [7, 0, 0, 0, 2, 0, 0, 0]);
    for (address, error) in
        [(BASE + 2, Error::InvalidArgument), (BASE + 0x1000, Error::NeedsPage), (0x66_0000, Error::NeedsPage), (USER_END, Error::NeedsPage)]
    {
        assert_eq!(exchange(&mut world, &[address, 0, 1]), Err(error), "{address:#x}");
    }
    assert_eq!(world.words(root.thread)[..2], [USER_END, 1], "whose page is missing, and that it was to be written");
}

#[test]
fn device_memory_is_mapped_uncached_and_never_copied_or_zeroed() {
    let mut world = World::new();
    let process = world.spawn();
    let root = world.root;
    world.map(&root, BASE, 1, WRITE);
    let device = device_memory(&mut world);
    let flags = WRITE | MapFlags::UNCACHED;
    world.must(process.space, Operation::Map, &[BASE, device, 0, 1, flags]);
    refused(
        &mut world,
        process.space,
        Operation::Map,
        &[(&[0x20_0000, device, 0, 1, MapFlags::ZERO], Error::InvalidArgument), (&[0x20_0000, device, 0, 1, MapFlags::HUGE], Error::InvalidArgument)],
    );
    assert_eq!(world.ask(process.space, Operation::CopyFrom, &[BASE, BASE, 8]), Err(Error::NeedsPage));
    // Not asked for, and still not cached: the kernel itself would read a register through the cache.
    world.must(process.space, Operation::Map, &[0x30_0000, device, 0, 1, WRITE]);
    assert_eq!(world.ask(process.space, Operation::CopyFrom, &[0x30_0000, BASE, 8]), Err(Error::NeedsPage));
    let retyped = world.ask(device as u32, Operation::Retype, &[0, ObjectKind::Endpoint as u64, 1, 100, 0]);
    assert_eq!(retyped, Err(Error::WrongKind));
}

/// A page of device memory, as the boot list would give it.
fn device_memory(world: &mut World) -> u64 {
    use microkernel::capability::Slot;
    use microkernel::machine::Machine;
    let page = 7;
    world.kernel.machine.page_info(page).unwrap().kind = ObjectKind::Device as u8;
    let slot = Slot { rights: 0xff, kind: ObjectKind::Device as u8, first: page, object: 1, ..Slot::default() };
    u64::from(world.grant(slot))
}
