//! Endpoints that are held, closed, destroyed.

use abi::{EndpointState, Error, ObjectKind, Operation, Rights};
use microkernel::fake::{Message, Process, World};
use microkernel::thread::State;

fn set(world: &mut World, endpoint: u32, state: EndpointState) {
    world.must(endpoint, Operation::SetState, &[state as u64, 42]);
}

#[test]
fn held_endpoint_lets_callers_and_receivers_wait_until_it_opens() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    set(&mut world, endpoint, EndpointState::Held);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!([server, client].map(|process| world.state(process.thread)), [State::Receiving, State::Calling]);
    set(&mut world, endpoint, EndpointState::Open);
    assert_eq!(world.received(server.thread).words[0], 3);
}

#[test]
fn opening_matches_as_many_as_there_are() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let second = world.spawn_thread(&client);
    set(&mut world, endpoint, EndpointState::Held);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    world.call(second.thread, 10, &Message::words(&[4]));
    set(&mut world, endpoint, EndpointState::Open);
    assert_eq!([client, second].map(|process| world.state(process.thread)), [State::AwaitingReply, State::Calling]);
}

#[test]
fn closed_endpoint_refuses_with_the_code_given() {
    let mut world = World::new();
    let (_, client, endpoint) = world.pair(1);
    set(&mut world, endpoint, EndpointState::Closed);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(world.outcome(client.thread), Err(Error::Closed));
    assert_eq!(world.words(client.thread)[0], 42);
}

#[test]
fn closing_tells_every_caller_that_waits() {
    let mut world = World::new();
    let (_, client, endpoint) = world.pair(1);
    let clients: Vec<Process> = (0..100).map(|_| world.spawn_thread(&client)).collect();
    for client in &clients {
        world.call(client.thread, 10, &Message::words(&[3]));
    }
    set(&mut world, endpoint, EndpointState::Closed);
    for client in &clients {
        assert_eq!(world.outcome(client.thread), Err(Error::Closed));
        assert_eq!(world.words(client.thread)[0], 42);
    }
}

#[test]
fn closing_leaves_those_whose_message_was_received() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    set(&mut world, endpoint, EndpointState::Closed);
    assert_eq!(world.state(client.thread), State::AwaitingReply);
    world.reply(server.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 4);
}

#[test]
fn receivers_may_wait_at_a_closed_endpoint_that_opens_again() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    set(&mut world, endpoint, EndpointState::Closed);
    world.receive(server.thread, 10);
    set(&mut world, endpoint, EndpointState::Open);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(world.received(server.thread).words[0], 3);
}

#[test]
fn unknown_state_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    for state in [3, u64::MAX] {
        assert_eq!(world.ask(endpoint, Operation::SetState, &[state, 0]), Err(Error::InvalidArgument));
    }
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(world.received(server.thread).words[0], 3);
}

#[test]
fn destroyed_endpoint_kicks_receivers_and_refuses_callers() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Endpoint, 1);
    let (server, client) = (world.spawn(), world.spawn());
    world.give(&server, 10, made.handle, Rights::RECEIVE);
    world.give(&client, 10, made.handle, Rights::CALL);
    world.run(server.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(server.thread, 10);
    let notification = world.notification();
    world.must(notification, Operation::Bind, &[u64::from(made.handle)]);
    assert_eq!(world.must(made.memory, Operation::Reclaim, &[0, 1]), 1);
    assert_eq!(world.outcome(server.thread), Err(Error::Kicked));
    world.must(notification, Operation::Signal, &[1]);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 1, "it is bound to nothing any more");
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(world.outcome(client.thread), Err(Error::InvalidHandle));
}

#[test]
fn reply_outlives_the_endpoint() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Endpoint, 1);
    let (server, client) = (world.spawn(), world.spawn());
    world.give(&server, 10, made.handle, Rights::RECEIVE);
    world.give(&client, 10, made.handle, Rights::CALL);
    world.run(server.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    world.reply(server.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 4);
}
