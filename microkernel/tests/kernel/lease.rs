//! Leases: what a callee may copy from and to its caller, and for how long.

use abi::{Error, Lease, MapFlags, Operation, Rights, USER_END, copy_sum};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

use super::refused;

const BASE: u64 = 0x10_0000;
const LOCAL: u64 = 0x20_0000;
const BOTH: u64 = Lease::READ | Lease::WRITE;

fn lease(address: u64, length: u64, rights: u64) -> Lease {
    Lease { address, length, reply: 0, index: 0, rights }
}

/// A lease of the Reply in slot 11, lent on.
fn lent_on(address: u64, length: u64, rights: u64) -> Lease {
    Lease { address, length, reply: 11, index: 0, rights }
}

/// A server with a page at `LOCAL` that has a call of a client, which lends from two pages at `BASE`.
fn lending(world: &mut World, leases: &[Lease]) -> (Process, Process) {
    let (server, client, _) = world.pair(1);
    world.map(&client, BASE, 2, MapFlags::WRITE);
    world.map(&server, LOCAL, 2, MapFlags::WRITE);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]).lending(leases));
    assert_eq!(world.received(server.thread).label.leases(), leases.len());
    (server, client)
}

fn read(world: &mut World, server: &Process, words: [u64; 4]) -> Result<u64, Error> {
    world.run(server.thread, 11, Operation::LeaseRead, &words).map(|words| words[0])
}

fn write(world: &mut World, server: &Process, words: [u64; 4]) -> Result<u64, Error> {
    world.run(server.thread, 11, Operation::LeaseWrite, &words).map(|words| words[0])
}

#[test]
fn bytes_are_copied_both_ways_across_pages() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE + 0xff0, 0x20, BOTH)]);
    world.memory(client.thread, BASE + 0xffe)[..2].copy_from_slice(b"ab");
    world.memory(client.thread, BASE + 0x1000)[..2].copy_from_slice(b"cd");
    assert_eq!(read(&mut world, &server, [0, 0xe, LOCAL + 1, 4]), Ok(4));
    assert_eq!(&world.memory(server.thread, LOCAL + 1)[..4], b"abcd");
    assert_eq!(write(&mut world, &server, [0, 0x1c, LOCAL + 1, 4]), Ok(4));
    assert_eq!(&world.memory(client.thread, BASE + 0x100c)[..4], b"abcd");
}

#[test]
fn copy_of_which_a_bit_is_wrong_is_not_made() {
    let mut world = World::new();
    let (server, _) = lending(&mut world, &[lease(BASE, 0x2000, BOTH)]);
    let sum = copy_sum(11, &[0, 8, LOCAL, 16]);
    let right = [0, 8, LOCAL, 16, 0, 0, 0, sum];
    for operation in [Operation::LeaseRead, Operation::LeaseWrite] {
        assert_eq!(world.run(server.thread, 11, operation, &right).map(|words| words[0]), Ok(16));
        for (word, bit) in [0, 1, 2, 3, 7].into_iter().flat_map(|word| (0..64).map(move |bit| (word, bit))) {
            let mut wrong = right;
            wrong[word] ^= 1 << bit;
            assert_eq!(world.run(server.thread, 11, operation, &wrong), Err(Error::InvalidArgument), "bit {bit} of word {word}");
        }
    }
}

#[test]
fn copy_moves_at_most_four_kibibytes() {
    let mut world = World::new();
    let (server, _) = lending(&mut world, &[lease(BASE, 0x2000, BOTH)]);
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 0x2000]), Ok(4096));
    assert_eq!(read(&mut world, &server, [0, 0x1fff, LOCAL, 1]), Ok(1));
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 0]), Ok(0));
}

#[test]
fn lease_is_bounded_and_has_rights() {
    let mut world = World::new();
    let (server, _) = lending(&mut world, &[lease(BASE, 16, Lease::READ), lease(BASE, 16, Lease::WRITE)]);
    for words in [[0, 0, LOCAL, 17], [0, 16, LOCAL, 1], [0, u64::MAX, LOCAL, 2], [2, 0, LOCAL, 1], [u64::MAX, 0, LOCAL, 1], [1, 0, LOCAL, 1]] {
        assert_eq!(read(&mut world, &server, words), Err(Error::InvalidLease), "{words:x?}");
    }
    assert_eq!(write(&mut world, &server, [0, 0, LOCAL, 1]), Err(Error::InvalidLease));
    assert_eq!(read(&mut world, &server, [0, 15, LOCAL, 1]), Ok(1));
    assert_eq!(write(&mut world, &server, [1, 0, LOCAL, 16]), Ok(16));
}

#[test]
fn leases_that_make_no_sense_fail_the_call() {
    let mut world = World::new();
    let (_, client, _) = world.pair(1);
    let wrong = [
        lease(USER_END - 8, 9, BOTH),
        lease(u64::MAX, 1, BOTH),
        lease(0xffff_8000_0000_0000, 8, Lease::READ),
        lease(BASE, 8, 4),
        lease(BASE, 8, 1 << 63),
    ];
    for lease in wrong {
        world.call(client.thread, 10, &Message::words(&[]).lending(&[self::lease(BASE, 8, BOTH), lease]));
        assert_eq!(world.outcome(client.thread), Err(Error::InvalidLease), "{lease:x?}");
    }
}

#[test]
fn caller_does_not_change_its_leases_after_the_call() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE, 16, Lease::READ)]);
    world.message_page(client.thread).fill(0xff);
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 16]), Ok(16));
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 17]), Err(Error::InvalidLease));
}

#[test]
fn lease_ends_with_its_call() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE, 16, BOTH)]);
    world.reply(server.thread, 11, &Message::words(&[])).unwrap();
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 1]), Err(Error::InvalidHandle));
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]));
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 1]), Err(Error::InvalidLease), "the next call lends nothing");
}

#[test]
fn lease_of_a_killed_caller_is_gone() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE, 16, BOTH)]);
    assert_eq!(world.must(client.handle, Operation::ThreadStop, &[]), 2);
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 1]), Err(Error::ReplyGone));
    assert_eq!(world.reply(server.thread, 11, &Message::words(&[])), Err(Error::ReplyGone));
    assert_eq!(world.reply(server.thread, 11, &Message::words(&[])), Err(Error::InvalidHandle), "and the slot is free");
}

#[test]
fn missing_page_of_the_lender_is_named() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE + 0x1ff0, 0x20, BOTH), lease(0x999_9000, 8, BOTH), lease(BASE, 8, BOTH)]);
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 0x20]), Ok(16), "what is there is copied first");
    assert_eq!(read(&mut world, &server, [0, 16, LOCAL, 8]), Err(Error::NeedsPage));
    assert_eq!(world.words(server.thread)[..2], [BASE + 0x2000, 0]);
    assert_eq!(write(&mut world, &server, [1, 4, LOCAL, 4]), Err(Error::NeedsPage));
    assert_eq!(world.words(server.thread)[..2], [0x999_9004, 1]);
    world.must(client.space, Operation::Protect, &[BASE, 1, MapFlags::READ]);
    assert_eq!(write(&mut world, &server, [2, 0, LOCAL, 8]), Err(Error::NeedsPage));
    assert_eq!(read(&mut world, &server, [2, 0, LOCAL, 8]), Ok(8));
}

#[test]
fn own_missing_page_is_a_local_fault() {
    let mut world = World::new();
    let (server, _) = lending(&mut world, &[lease(BASE, 0x2000, BOTH)]);
    for local in [0x999_0000, USER_END, 0xffff_8000_0000_0000, u64::MAX] {
        assert_eq!(read(&mut world, &server, [0, 0, local, 8]), Err(Error::LocalFault), "{local:#x}");
    }
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL + 0x1ff8, 16]), Ok(8));
    world.must(server.space, Operation::Protect, &[LOCAL, 1, MapFlags::READ]);
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL, 8]), Err(Error::LocalFault));
    assert_eq!(write(&mut world, &server, [0, 0, LOCAL, 8]), Ok(8));
}

#[test]
fn copy_on_write_page_is_not_written_through_a_lease() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE, 16, BOTH)]);
    let child = world.spawn();
    world.must(child.space, Operation::Clone, &[BASE, u64::from(client.space), BASE, 1, 0]);
    assert_eq!(write(&mut world, &server, [0, 0, LOCAL, 8]), Err(Error::NeedsPage));
}

#[test]
fn copy_marks_the_page_as_written() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE, 16, BOTH)]);
    write(&mut world, &server, [0, 0, LOCAL, 8]).unwrap();
    let listed = super::space::list(&mut world, &client, BASE, 2);
    assert_eq!(listed.iter().map(|word| word & MapFlags::DIRTY).collect::<Vec<_>>(), [MapFlags::DIRTY, 0]);
}

#[test]
fn linux_program_lends_what_it_could_access_itself() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality: endpoint, ..Linux::default() });
    world.map(&server, LOCAL, 1, MapFlags::WRITE);
    world.map(&program, BASE, 1, MapFlags::READ);
    world.map(&program, BASE + 0x1000, 1, MapFlags::WRITE);
    world.memory(program.thread, BASE)[0] = 5;
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 1, [0; 6], 0x40_0000);
    assert_eq!(read(&mut world, &server, [0, BASE, LOCAL, 1]), Ok(1));
    assert_eq!(world.memory(server.thread, LOCAL)[0], 5);
    assert_eq!(write(&mut world, &server, [0, BASE + 0x1000, LOCAL, 1]), Ok(1));
    assert_eq!(write(&mut world, &server, [0, BASE, LOCAL, 1]), Err(Error::NeedsPage), "read-only for the program, too");
    for wild in [0, USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX] {
        assert_eq!(read(&mut world, &server, [0, wild, LOCAL, 8]), Err(Error::NeedsPage), "{wild:#x}");
    }
    assert_eq!(read(&mut world, &server, [1, BASE, LOCAL, 1]), Err(Error::InvalidLease));
}

#[test]
fn fault_lends_nothing() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { pager: endpoint, faults: endpoint, ..Linux::default() });
    world.map(&server, LOCAL, 1, MapFlags::WRITE);
    world.map(&program, BASE, 1, MapFlags::READ);
    world.receive(server.thread, 10);
    assert!(!world.touch(program.thread, 0x77_0000, false));
    assert_eq!(read(&mut world, &server, [0, BASE, LOCAL, 1]), Err(Error::InvalidLease));
}

/// A chain of processes, each of which calls the next and lends on what it was lent; the last one holds the request.
fn chain(world: &mut World, length: usize) -> Vec<Process> {
    let (first_server, client, _) = world.pair(1);
    world.map(&client, BASE, 1, MapFlags::WRITE);
    world.memory(client.thread, BASE).copy_from_slice(&[7; 4096]);
    let mut processes = vec![client, first_server];
    world.receive(first_server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]).lending(&[lease(BASE, 0x1000, BOTH)]));
    for _ in 2..length {
        let (server, _, endpoint) = world.pair(1);
        let caller = processes[processes.len() - 1];
        world.give(&caller, 12, endpoint, Rights::CALL);
        world.receive(server.thread, 10);
        world.call(caller.thread, 12, &Message::words(&[]).lending(&[lent_on(0x10, 0x100, BOTH)]));
        processes.push(server);
    }
    world.map(processes.last().unwrap(), LOCAL, 1, MapFlags::WRITE);
    processes
}

#[test]
fn lease_is_lent_on_with_smaller_range_and_fewer_rights() {
    let mut world = World::new();
    let processes = chain(&mut world, 3);
    let last = processes[2];
    world.memory(processes[0].thread, BASE + 0x10)[0] = 9;
    assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 0x100]), Ok(0x100));
    assert_eq!(world.memory(last.thread, LOCAL)[0], 9);
    assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 0x101]), Err(Error::InvalidLease));

    // The middle lends more than it has: the bounds and rights of every link count.
    let (middle, endpoint) = (processes[1], world.endpoint());
    world.reply(last.thread, 11, &Message::words(&[])).unwrap();
    world.give(&last, 13, endpoint, Rights::RECEIVE);
    world.give(&middle, 13, endpoint, Rights::CALL);
    world.receive(last.thread, 13);
    world.call(middle.thread, 13, &Message::words(&[]).lending(&[lent_on(0xff8, 0x1000, Lease::READ), lent_on(0, 0x2000, BOTH)]));
    assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 8]), Ok(8));
    assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 9]), Err(Error::InvalidLease));
    assert_eq!(write(&mut world, &last, [0, 0, LOCAL, 8]), Err(Error::InvalidLease));
    assert_eq!(write(&mut world, &last, [1, 0xff8, LOCAL, 8]), Ok(8));
}

#[test]
fn lease_is_lent_on_four_times_and_no_more() {
    for (length, expected) in [(6, Ok(1)), (7, Err(Error::InvalidLease))] {
        let mut world = World::new();
        let processes = chain(&mut world, length);
        let last = *processes.last().unwrap();
        assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 1]), expected, "lent on {} times", length - 2);
    }
}

#[test]
fn lease_is_not_lent_on_from_nothing() {
    let mut world = World::new();
    let (server, client) = lending(&mut world, &[lease(BASE, 16, BOTH)]);
    let endpoint = world.endpoint();
    world.give(&server, 12, endpoint, Rights::CALL);
    for reply in [12, 40, 2, 128, u32::MAX] {
        let wrong = Lease { reply, ..lent_on(0, 8, BOTH) };
        world.call(server.thread, 12, &Message::words(&[]).lending(&[wrong]));
        assert_eq!(world.outcome(server.thread), Err(Error::InvalidLease), "Reply in slot {reply}");
    }
    world.must(client.handle, Operation::ThreadStop, &[]);
    world.call(server.thread, 12, &Message::words(&[]).lending(&[lent_on(0, 8, BOTH)]));
    assert_eq!(world.outcome(server.thread), Err(Error::InvalidLease), "its caller is gone");
}

#[test]
fn death_of_the_first_lender_revokes_every_link() {
    let mut world = World::new();
    let processes = chain(&mut world, 4);
    let last = processes[3];
    world.must(processes[0].handle, Operation::ThreadStop, &[]);
    assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 1]), Err(Error::InvalidLease), "not ReplyGone: the last one's own caller still waits");
    world.reply(last.thread, 11, &Message::words(&[3])).unwrap();
    assert_eq!(world.received(processes[2].thread).words[0], 3);
}

#[test]
fn death_of_the_middle_revokes_the_lease() {
    let mut world = World::new();
    let processes = chain(&mut world, 4);
    world.must(processes[1].handle, Operation::ThreadStop, &[]);
    world.must(processes[1].table, Operation::Kill, &[]);
    assert_eq!(world.outcome(processes[0].thread), Err(Error::PeerDied));
    assert_eq!(read(&mut world, &processes[3], [0, 0, LOCAL, 1]), Err(Error::InvalidLease));
}

#[test]
fn lease_lent_on_does_not_slide_to_the_next_caller_in_the_same_slot() {
    // The middle answers its caller through another thread and takes the next call into the same slot while the last still works.
    let mut world = World::new();
    let processes = chain(&mut world, 3);
    let [client, middle, last] = processes[..] else { panic!("three") };
    let (other, helper) = (world.spawn_thread(&client), world.spawn_thread(&middle));
    world.run(helper.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.reply_receive(helper.thread, 10, &Message::words(&[]));
    world.call(other.thread, 10, &Message::words(&[]).lending(&[lease(BASE, 0x1000, BOTH)]));
    assert_eq!(world.state(other.thread), State::AwaitingReply);
    assert_eq!(read(&mut world, &last, [0, 0, LOCAL, 1]), Err(Error::InvalidLease));
}

#[test]
fn both_sides_may_be_the_same_page() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let memory = world.map(&client, BASE, 1, MapFlags::WRITE);
    world.must(server.space, Operation::Map, &[LOCAL, u64::from(memory), 0, 1, MapFlags::WRITE]);
    world.memory(client.thread, BASE)[..4].copy_from_slice(b"abcd");
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]).lending(&[lease(BASE, 16, BOTH)]));
    assert_eq!(read(&mut world, &server, [0, 0, LOCAL + 1, 4]), Ok(4));
    assert_eq!(&world.memory(client.thread, BASE)[..5], b"aabcd");
}

#[test]
fn wrong_handles_for_a_copy() {
    let mut world = World::new();
    let (server, _) = lending(&mut world, &[lease(BASE, 16, BOTH)]);
    for operation in [Operation::LeaseRead, Operation::LeaseWrite] {
        assert_eq!(world.run(server.thread, 10, operation, &[0, 0, LOCAL, 1]), Err(Error::WrongKind));
        assert_eq!(world.run(server.thread, 40, operation, &[0, 0, LOCAL, 1]), Err(Error::InvalidHandle));
    }
    refused(&mut world, abi::boot_slot::TABLE, Operation::LeaseRead, &[(&[0, 0, LOCAL, 1], Error::WrongKind)]);
}
