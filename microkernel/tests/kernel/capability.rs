//! Capability tables: copying, minting, moving, deleting, describing.

use abi::{Error, ObjectKind, Operation, Rights, ThreadSetting, VAULT};
use microkernel::fake::{Message, Process, World};
use microkernel::thread::State;

use super::refused;

const MINT: u64 = 1;
const MOVE: u64 = 2;

fn describe(world: &mut World, slot: u32) -> [u64; 6] {
    let words = world.ask(0, Operation::Describe, &[u64::from(slot)]).unwrap();
    words[..6].try_into().unwrap()
}

fn copy(world: &mut World, to: u32, from: u32, rights: u8, badge: u64, how: u64) -> Result<[u64; 8], Error> {
    world.ask(0, Operation::Copy, &[u64::from(to), u64::from(from), u64::from(rights), badge, how, 0])
}

#[test]
fn copy_keeps_what_both_the_source_and_the_argument_allow() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    copy(&mut world, 100, endpoint, Rights::CALL | Rights::CONTROL, 9, 0).unwrap();
    copy(&mut world, 101, 100, Rights::CALL | Rights::RECEIVE, 9, 0).unwrap();
    let [kind, rights, badge, _, _, valid] = describe(&mut world, 101);
    assert_eq!((kind, rights, badge, valid), (ObjectKind::Endpoint as u64, u64::from(Rights::CALL), 0, 1));
}

#[test]
fn mint_sets_the_badge_and_a_copy_keeps_it() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    copy(&mut world, 100, endpoint, Rights::CALL, 77, MINT).unwrap();
    copy(&mut world, 101, 100, Rights::CALL, 0, 0).unwrap();
    assert_eq!(describe(&mut world, 101)[2], 77);
}

#[test]
fn badge_once_given_cannot_be_exchanged() {
    let mut world = World::new();
    let (_, client, _) = world.pair(77);
    let slot = |slot: u64, how: u64, badge: u64| [slot, 10, 0xff, badge, how, 0];
    for (how, badge) in [(MINT, 78), (MINT, 0), (MINT | MOVE, 78)] {
        assert_eq!(world.run(client.thread, 0, Operation::Copy, &slot(20, how, badge)), Err(Error::MissingRight), "badge {badge}");
    }
    world.run(client.thread, 0, Operation::Copy, &slot(20, MINT, 77)).unwrap();
    assert_eq!(world.slot(&client, 20).badge, 77);
}

#[test]
fn move_empties_the_source() {
    let mut world = World::new();
    let memory = world.pages(3);
    copy(&mut world, 100, memory, 0, 0, MOVE).unwrap();
    assert_eq!(describe(&mut world, memory)[0], ObjectKind::Empty as u64);
    assert_eq!(describe(&mut world, 100)[4], 3);
    assert_eq!(world.must(100, Operation::Reclaim, &[0, 3]), 3, "it still owns");
}

#[test]
fn owned_memory_is_never_copied() {
    let mut world = World::new();
    let memory = world.pages(1);
    for how in [0, MINT] {
        assert_eq!(copy(&mut world, 100, memory, 0xff, 5, how), Err(Error::WrongKind));
    }
    assert_eq!(copy(&mut world, 100, memory, Rights::READ, 0, 0), Err(Error::WrongKind), "not even with fewer rights: that is what Derive is for");
    assert_eq!(describe(&mut world, 100)[0], ObjectKind::Empty as u64);
}

#[test]
fn reply_never_leaves_its_table() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    let own = world.make(ObjectKind::CapTable, 1).handle;
    world.give(&server, 20, own, Rights::ALL);
    for (table, how) in [(0, 0), (0, MOVE), (0, MINT), (20, 0), (20, MOVE)] {
        let copied = world.run(server.thread, table, Operation::Copy, &[30, 11, 0xff, 0, how, 0]);
        assert_eq!(copied, Err(Error::WrongKind), "into table {table}, how {how}");
    }
    // Nor may somebody else take it out.
    let taken = world.ask(0, Operation::Copy, &[100, 11, 0xff, 0, MOVE, u64::from(server.table)]);
    assert_eq!(taken, Err(Error::WrongKind));
    world.reply(server.thread, 11, &Message::words(&[2])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 2);
}

#[test]
fn copy_refuses_bad_arguments() {
    let mut world = World::new();
    let endpoint = u64::from(world.endpoint());
    let small = world.make(ObjectKind::CapTable, 1).handle;
    let weak = world.free_slot();
    copy(&mut world, weak, small, 0, 0, 0).unwrap();
    refused(
        &mut world,
        0,
        Operation::Copy,
        &[
            (&[100, 2999, 0xff, 0, 0, 0], Error::InvalidHandle),
            (&[100, 2, 0xff, 0, 0, 0], Error::InvalidHandle),
            (&[100, 1 << 40, 0xff, 0, 0, 0], Error::InvalidArgument),
            (&[1 << 40, endpoint, 0xff, 0, 0, 0], Error::InvalidArgument),
            (&[3, endpoint, 0xff, 0, 0, 0], Error::InvalidHandle),
            (&[4096, endpoint, 0xff, 0, 0, 0], Error::InvalidHandle),
            (&[endpoint, endpoint, 0xff, 0, 0, 0], Error::SlotFull),
            (&[100, endpoint, 0x100, 0, 0, 0], Error::InvalidArgument),
            (&[100, endpoint, 0xff, 0, 4, 0], Error::InvalidArgument),
            (&[100, 4, 0xff, 0, 0, endpoint], Error::WrongKind),
            (&[100, 4, 0xff, 0, 0, u64::from(weak)], Error::MissingRight),
            (&[100, 4, 0xff, 0, 0, 1 << 40], Error::InvalidArgument),
            (&[100, 4, 0xff, 0, 0, u64::from(small)], Error::InvalidHandle),
            (&[100, 128, 0xff, 0, 0, u64::from(small)], Error::InvalidHandle),
        ],
    );
    refused(
        &mut world,
        small,
        Operation::Copy,
        &[(&[128, endpoint, 0xff, 0, 0, 0], Error::InvalidHandle), (&[3, endpoint, 0xff, 0, 0, 0], Error::InvalidHandle)],
    );
}

#[test]
fn capability_is_taken_from_another_table() {
    let mut world = World::new();
    let process = world.spawn();
    let endpoint = world.endpoint();
    world.give(&process, 20, endpoint, Rights::CALL);
    world.must(0, Operation::Copy, &[100, 20, 0xff, 0, MOVE, u64::from(process.table)]);
    assert_eq!(describe(&mut world, 100)[1], u64::from(Rights::CALL));
    assert!(world.slot(&process, 20).is_empty());
}

#[test]
fn every_copy_dies_with_its_object() {
    let mut world = World::new();
    let process = world.spawn();
    let made = world.make(ObjectKind::Notification, 1);
    world.give(&process, 20, made.handle, 0xff);
    copy(&mut world, 100, made.handle, 0xff, 3, MINT).unwrap();
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    assert_eq!(world.run(process.thread, 20, Operation::Signal, &[1]), Err(Error::InvalidHandle));
    for slot in [made.handle, 100] {
        assert_eq!(world.ask(slot, Operation::Signal, &[1]), Err(Error::InvalidHandle));
        assert_eq!(describe(&mut world, slot)[5], 0);
    }
}

#[test]
fn nothing_is_minted_from_a_dead_parent() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Endpoint, 1);
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    for how in [0, MINT, MOVE, MINT | MOVE] {
        assert_eq!(copy(&mut world, 100, made.handle, 0xff, 1, how), Err(Error::InvalidHandle));
    }
    assert_eq!(describe(&mut world, 100)[0], ObjectKind::Empty as u64);
}

#[test]
fn copy_inherits_the_epoch_of_its_source() {
    let mut world = World::new();
    let root = world.root;
    let made = world.make(ObjectKind::Endpoint, 1);
    let epoch = world.slot(&root, made.handle).epoch;
    world.endpoint();
    copy(&mut world, 100, made.handle, 0xff, 1, MINT).unwrap();
    copy(&mut world, 101, made.handle, 0xff, 1, 0).unwrap();
    copy(&mut world, 102, 101, 0xff, 1, MOVE).unwrap();
    assert_eq!([100, 102].map(|slot| world.slot(&root, slot).epoch), [epoch; 2]);
}

#[test]
fn delete_empties_a_slot_even_of_a_dead_capability() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Endpoint, 1);
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    world.must(0, Operation::Delete, &[u64::from(made.handle)]);
    world.must(0, Operation::Delete, &[u64::from(made.handle)]);
    assert_eq!(describe(&mut world, made.handle)[0], ObjectKind::Empty as u64);
}

#[test]
fn delete_refuses_what_would_be_lost() {
    let mut world = World::new();
    let memory = u64::from(world.pages(1));
    refused(
        &mut world,
        0,
        Operation::Delete,
        &[(&[memory], Error::Busy), (&[3], Error::InvalidHandle), (&[4096], Error::InvalidHandle), (&[1 << 32], Error::InvalidArgument)],
    );
    let lent = world.lend(memory as u32, 0, 1, 0xff);
    world.must(0, Operation::Delete, &[u64::from(lent)]);
}

#[test]
fn deleting_a_reply_tells_its_caller() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    world.run(server.thread, 0, Operation::Delete, &[11]).unwrap();
    assert_eq!(world.outcome(client.thread), Err(Error::Dropped));
    assert!(world.slot(&server, 11).is_empty());
}

#[test]
fn describe_tells_ranges_and_nothing_of_objects() {
    let mut world = World::new();
    let process = world.spawn();
    let (memory, endpoint) = (world.pages(5), world.endpoint());
    let [kind, _, _, first, count, valid] = describe(&mut world, memory);
    assert_eq!((kind, count, valid), (ObjectKind::Memory as u64, 5, 1));
    assert_ne!(first, 0);
    assert_eq!(describe(&mut world, endpoint)[3..5], [0, 0]);
    assert_eq!(describe(&mut world, abi::boot_slot::PORTS)[3..5], [0, 0x1_0000]);
    world.give(&process, 20, endpoint, Rights::CALL);
    assert_eq!(world.ask(process.table, Operation::Describe, &[20]).unwrap()[1], u64::from(Rights::CALL));
    refused(
        &mut world,
        process.table,
        Operation::Describe,
        &[(&[3], Error::InvalidHandle), (&[128], Error::InvalidHandle), (&[1 << 32], Error::InvalidArgument)],
    );
}

#[test]
fn vault_is_reached_by_its_own_bit_and_outlives_the_instance() {
    let mut world = World::new();
    let vault = world.make(ObjectKind::CapTable, 1);
    let first = world.spawn();
    world.must(first.handle, Operation::ThreadStop, &[]);
    world.configure(first.handle, ThreadSetting::Vault, u64::from(vault.handle));
    world.must(first.handle, Operation::ThreadStart, &[]);
    let kept = world.notification();
    world.must(vault.handle, Operation::Copy, &[20, u64::from(kept), 0xff, 0, 0, 0]);
    world.run(first.thread, VAULT | 20, Operation::Signal, &[4]).unwrap();
    assert_eq!(world.run(first.thread, 20, Operation::Signal, &[4]), Err(Error::InvalidHandle), "not in the instance's own table");

    // The instance dies; its table goes, the vault stays and serves a successor.
    world.must(first.handle, Operation::ThreadStop, &[]);
    let second = world.idle_thread(world.root.table, first.space);
    world.configure(second.handle, ThreadSetting::Vault, u64::from(vault.handle));
    world.must(second.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.run(second.thread, VAULT | 20, Operation::Poll, &[]).unwrap()[0], 4);
}

#[test]
fn table_in_use_is_not_reclaimed() {
    let mut world = World::new();
    let table = world.make(ObjectKind::CapTable, 2);
    let space = world.space();
    let thread = world.idle_thread(table.handle, space);
    refused(&mut world, table.memory, Operation::Reclaim, &[(&[0, 2], Error::Busy), (&[0, 1], Error::InvalidArgument)]);
    let other = world.make(ObjectKind::CapTable, 1);
    world.configure(thread.handle, ThreadSetting::Table, u64::from(other.handle));
    let owned = world.pages(1);
    world.must(table.handle, Operation::Copy, &[20, u64::from(owned), 0, 0, MOVE, 0]);
    assert_eq!(world.ask(table.memory, Operation::Reclaim, &[0, 2]), Err(Error::Busy), "owned memory would be lost");
    world.must(0, Operation::Copy, &[u64::from(owned), 20, 0, 0, MOVE, u64::from(table.handle)]);
    assert_eq!(world.must(table.memory, Operation::Reclaim, &[0, 2]), 2);
    assert_eq!(world.state(thread.thread), State::Stopped);
}

#[test]
fn table_with_unanswered_replies_is_not_reclaimed() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let instance = world.make(ObjectKind::CapTable, 1);
    world.must(server.handle, Operation::ThreadStop, &[]);
    world.configure(server.handle, ThreadSetting::Table, u64::from(instance.handle));
    world.must(server.handle, Operation::ThreadStart, &[]);
    let server = Process { table: instance.handle, ..server };
    world.give(&server, 10, endpoint, Rights::RECEIVE);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    // The thread is gone, its caller still waits for a Reply in the table.
    let other = world.make(ObjectKind::CapTable, 1);
    world.must(server.handle, Operation::ThreadStop, &[]);
    world.configure(server.handle, ThreadSetting::Table, u64::from(other.handle));
    assert_eq!(world.ask(instance.memory, Operation::Reclaim, &[0, 1]), Err(Error::Busy));
    world.must(instance.handle, Operation::Kill, &[]);
    assert_eq!(world.outcome(client.thread), Err(Error::PeerDied));
    world.must(instance.memory, Operation::Reclaim, &[0, 1]);
}

#[test]
fn later_page_of_a_table_is_not_taken_for_a_table() {
    // Slot 128 of a table begins its second page. Its bytes could pass for a header: rights and kind as the count of slots, the badge as the
    // list of callers.
    let mut world = World::new();
    let table = world.make(ObjectKind::CapTable, 2);
    world.must(table.handle, Operation::Copy, &[128, u64::from(abi::boot_slot::PORTS), 0xff, 0, 0, 0]);
    let beyond = world.pages(30);
    world.must(table.memory, Operation::Merge, &[u64::from(beyond)]);
    let process = world.spawn();
    world.must(process.space, Operation::Map, &[0x10_0000, u64::from(table.memory), 2, 30, abi::MapFlags::WRITE]);
    assert_eq!(world.ask(table.memory, Operation::Reclaim, &[1, 31]), Err(Error::Busy));
}
