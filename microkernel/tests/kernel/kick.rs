//! Kick: what becomes of each kind of wait, and of whoever had the message.

use abi::{Error, Lease, MapFlags, Operation, ReplyKind, RequestNumber, Rights};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

const LANE: RequestNumber = RequestNumber::new(5, 3, 10, 0);
const RIP: u64 = 0x40_0000;
const STOPPED: u64 = 0;
const RUNNING: u64 = 1;
const CALLING: u64 = 2;
const WAITING: u64 = 3;

fn kick(world: &mut World, process: &Process) -> u64 {
    world.must(process.handle, Operation::ThreadKick, &[])
}

/// A Linux program whose system calls, page faults and exceptions go to one server.
fn program(world: &mut World) -> (Process, Process) {
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality: endpoint, pager: endpoint, faults: endpoint, badge: 6, lane: LANE.0 });
    (server, program)
}

#[test]
fn wait_on_a_notification_or_an_endpoint_ends() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let notification = world.notification();
    world.give(&server, 20, notification, 0xff);
    world.receive(server.thread, 10);
    assert_eq!(kick(&mut world, &server), WAITING);
    assert_eq!(world.outcome(server.thread), Err(Error::Kicked));
    world.call(client.thread, 10, &Message::words(&[1]));
    assert_eq!(world.state(client.thread), State::Calling, "nobody receives any more");
    world.begin(server.thread, 20, Operation::Wait, &[]);
    assert_eq!(kick(&mut world, &server), WAITING);
    assert_eq!(world.outcome(server.thread), Err(Error::Kicked));
    world.must(notification, Operation::Signal, &[4]);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 4, "nobody waits any more");
}

#[test]
fn thread_that_runs_or_is_stopped_goes_on_as_if_nothing_had_been() {
    let mut world = World::new();
    let (server, _, _) = world.pair(1);
    let before = *world.frame(server.thread);
    assert_eq!(kick(&mut world, &server), RUNNING);
    assert_eq!(*world.frame(server.thread), before);
    world.receive(server.thread, 10);
    assert_eq!(world.state(server.thread), State::Receiving, "the kick is not kept for the next wait");
    world.must(server.handle, Operation::ThreadStop, &[]);
    assert_eq!(kick(&mut world, &server), STOPPED);
    assert_eq!(world.state(server.thread), State::Stopped);
    let root = world.root;
    assert_eq!(kick(&mut world, &root), RUNNING, "itself");
}

#[test]
fn queued_native_call_ends_and_is_never_received() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let other = world.spawn_thread(&client);
    for (client, word) in [(client, 1), (other, 2)] {
        world.call(client.thread, 10, &Message::words(&[word]).numbered(LANE));
    }
    assert_eq!(kick(&mut world, &client), CALLING);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked));
    world.receive(server.thread, 10);
    assert_eq!(world.received(server.thread).words[0], 2, "the other one's");
    world.call(client.thread, 10, &Message::words(&[3]).numbered(LANE));
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!((world.received(server.thread).words[0], world.received(server.thread).number), (3, LANE.0));
}

#[test]
fn received_native_call_ends_and_its_server_finds_the_reply_gone() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    assert_eq!(kick(&mut world, &client), CALLING);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked));
    assert_eq!(world.thread(server.thread).state(), State::Runnable);
    assert_eq!(world.reply(server.thread, 11, &Message::words(&[9])), Err(Error::ReplyGone));
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked), "a late answer changes nothing");
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[2]));
    assert_eq!(world.received(server.thread).words[0], 2);
}

#[test]
fn kick_in_the_middle_of_a_chain_leaves_both_its_ends_alone() {
    let mut world = World::new();
    let (middle, first, _) = world.pair(1);
    let (last, _, endpoint) = world.pair(2);
    world.give(&middle, 20, endpoint, Rights::CALL);
    world.receive(middle.thread, 10);
    world.receive(last.thread, 10);
    world.call(first.thread, 10, &Message::words(&[1]));
    world.call(middle.thread, 20, &Message::words(&[2]));
    assert_eq!(kick(&mut world, &middle), CALLING);
    assert_eq!(world.outcome(middle.thread), Err(Error::Kicked));
    assert_eq!(world.state(first.thread), State::AwaitingReply, "its server still has its Reply");
    assert_eq!(world.reply(last.thread, 11, &Message::words(&[])), Err(Error::ReplyGone));
    world.reply(middle.thread, 11, &Message::words(&[3])).unwrap();
    assert_eq!(world.received(first.thread).words[0], 3);
}

#[test]
fn kick_at_the_head_of_a_chain_ends_what_was_lent_on_and_lets_the_calls_go_on() {
    let mut world = World::new();
    let (middle, first, _) = world.pair(1);
    let (last, _, endpoint) = world.pair(2);
    world.give(&middle, 20, endpoint, Rights::CALL);
    world.map(&first, 0x10_0000, 1, MapFlags::WRITE);
    world.map(&last, 0x20_0000, 1, MapFlags::WRITE);
    world.receive(middle.thread, 10);
    world.receive(last.thread, 10);
    let lent = Lease { address: 0x10_0000, length: 64, rights: Lease::READ, ..Lease::default() };
    world.call(first.thread, 10, &Message::words(&[1]).lending(&[lent]));
    let on = Lease { length: 64, reply: 11, rights: Lease::READ, ..Lease::default() };
    world.call(middle.thread, 20, &Message::words(&[2]).lending(&[on]));
    world.run(last.thread, 11, Operation::LeaseRead, &[0, 0, 0x20_0000, 8]).unwrap();
    assert_eq!(kick(&mut world, &first), CALLING);
    assert_eq!(world.run(last.thread, 11, Operation::LeaseRead, &[0, 0, 0x20_0000, 8]), Err(Error::InvalidLease));
    world.reply(last.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(world.received(middle.thread).words[0], 4, "its own call was not ended");
    assert_eq!(world.reply(middle.thread, 11, &Message::words(&[])), Err(Error::ReplyGone));
}

/// Its personality cannot know whether it called or faulted right before it was stopped, so both are done again.
#[test]
fn program_stopped_in_a_call_makes_it_again_when_started() {
    for received in [false, true] {
        let mut world = World::new();
        let (server, program) = program(&mut world);
        if received {
            world.receive(server.thread, 10);
        }
        world.linux_call(program.thread, 35, [7; 6], RIP);
        assert_eq!(world.must(program.handle, Operation::ThreadStop, &[]), CALLING);
        world.must(program.handle, Operation::ThreadStart, &[]);
        let frame = *world.frame(program.thread);
        assert_eq!((world.state(program.thread), frame.rip, frame.rax, frame.rdi), (State::Runnable, RIP, 35, 7));
    }
}

#[test]
fn reflected_call_traps_again_under_its_number_wherever_it_was() {
    for received in [false, true] {
        let mut world = World::new();
        let (server, program) = program(&mut world);
        if received {
            world.receive(server.thread, 10);
        }
        world.linux_call(program.thread, 35, [7; 6], RIP);
        assert_eq!(kick(&mut world, &program), CALLING);
        let frame = *world.frame(program.thread);
        assert_eq!((world.state(program.thread), frame.rip, frame.rax, frame.rdi), (State::Runnable, RIP, 35, 7));
        if received {
            assert_eq!(world.reply(server.thread, 11, &Message::words(&[])), Err(Error::ReplyGone));
        }
        world.linux_call(program.thread, 35, [7; 6], RIP);
        world.receive(server.thread, 10);
        assert_eq!(world.received(server.thread).number, LANE.next().0);
    }
}

#[test]
fn registers_that_were_set_are_the_answer_to_the_call_they_were_set_in_alone() {
    let mut world = World::new();
    let (server, program) = program(&mut world);
    let root = world.root.thread;
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 59, [0; 6], RIP);
    world.must(program.handle, Operation::GetFrame, &[]);
    world.message_page(root)[128..136].copy_from_slice(&0x50_0000u64.to_le_bytes());
    world.must(program.handle, Operation::SetFrame, &[]);
    assert_eq!(kick(&mut world, &program), CALLING);
    assert_eq!(world.frame(program.thread).rip, 0x50_0000, "not before it");
    // The mark of an answered call stays until the next delivery; a call that is still in the queue has none.
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 59, [0; 6], RIP);
    world.must(program.handle, Operation::SetFrame, &[]);
    world.reply(server.thread, 11, &Message::answer(ReplyKind::Frame, 0)).unwrap();
    world.linux_call(program.thread, 1, [0; 6], RIP);
    assert_eq!((kick(&mut world, &program), world.frame(program.thread).rip), (CALLING, RIP));
}

#[test]
fn fault_is_met_again_wherever_it_was() {
    for received in [false, true] {
        for exception in [false, true] {
            let mut world = World::new();
            let (server, program) = program(&mut world);
            world.frame(program.thread).rip = RIP;
            if received {
                world.receive(server.thread, 10);
            }
            let vector = if exception { 6 } else { 14 };
            world.exception(program.thread, vector, 6, 0x77_0000);
            assert_eq!(kick(&mut world, &program), CALLING);
            assert_eq!((world.state(program.thread), world.frame(program.thread).rip), (State::Runnable, RIP));
            if received {
                assert_eq!(world.reply(server.thread, 11, &Message::answer(ReplyKind::Decline, 0)), Err(Error::ReplyGone));
            }
            assert_eq!(world.state(program.thread), State::Runnable, "no exception was raised");
        }
    }
}

#[test]
fn kick_needs_control_of_the_thread() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.give(&client, 20, server.handle, Rights::ALL & !Rights::CONTROL);
    world.receive(server.thread, 10);
    assert_eq!(world.run(client.thread, 20, Operation::ThreadKick, &[]), Err(Error::MissingRight));
    assert_eq!(world.run(client.thread, 10, Operation::ThreadKick, &[]), Err(Error::WrongKind));
    assert_eq!(world.run(client.thread, 21, Operation::ThreadKick, &[]), Err(Error::InvalidHandle));
    assert_eq!(world.state(server.thread), State::Receiving);
}
