//! Who pays: time that a server spends on a request is its caller's.

use abi::{Error, Operation, ThreadSetting};
use microkernel::fake::{Message, Process, World};
use microkernel::machine::Machine;
use microkernel::thread::DEFAULT_SLICE;

/// Ticks that a thread ran itself, and that others ran for it.
fn ticks(world: &mut World, process: &Process) -> (u64, u64) {
    let words = world.ask(process.handle, Operation::Counters, &[]).unwrap();
    (words[0], words[1])
}

/// Ticks since `before`.
fn since(world: &mut World, process: &Process, before: (u64, u64)) -> (u64, u64) {
    let now = ticks(world, process);
    (now.0 - before.0, now.1 - before.1)
}

#[test]
fn own_time_is_charged_to_the_thread() {
    let mut world = World::new();
    let process = world.spawn();
    let before = ticks(&mut world, &process);
    world.switch_to(process.thread);
    world.advance(70);
    assert_eq!(since(&mut world, &process, before), (70, 0));
}

#[test]
fn server_works_on_its_callers_account() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let before = [server, client].map(|process| ticks(&mut world, &process));
    world.receive(server.thread, 10);
    world.switch_to(client.thread);
    world.advance(10);
    world.call(client.thread, 10, &Message::words(&[]));
    world.advance(300);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    world.advance(20);
    assert_eq!(since(&mut world, &client, before[1]), (30, 300));
    assert_eq!(since(&mut world, &server, before[0]), (0, 0));
}

#[test]
fn chain_of_servers_works_on_the_first_callers_account() {
    let mut world = World::new();
    let (middle, client, _) = world.pair(1);
    let (last, _, endpoint) = world.pair(1);
    world.give(&middle, 12, endpoint, 0xff);
    world.receive(middle.thread, 10);
    world.receive(last.thread, 10);
    let before = ticks(&mut world, &client);
    world.call(client.thread, 10, &Message::words(&[]));
    world.advance(5);
    world.call(middle.thread, 12, &Message::words(&[]));
    world.advance(600);
    world.reply_receive(last.thread, 10, &Message::words(&[]));
    world.advance(7);
    assert_eq!(since(&mut world, &client, before), (0, 612));
}

#[test]
fn next_caller_from_the_queue_pays_for_its_own_request() {
    let mut world = World::new();
    let (server, first, _) = world.pair(1);
    let second = world.spawn_thread(&first);
    world.receive(server.thread, 10);
    world.call(first.thread, 10, &Message::words(&[]));
    world.call(second.thread, 10, &Message::words(&[]));
    let before = [first, second].map(|process| ticks(&mut world, &process));
    world.switch_to(server.thread);
    world.advance(100);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.kernel.current(), Some(server.thread), "it has the next message at once");
    world.advance(1000);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    world.switch_to(second.thread);
    world.advance(7);
    assert_eq!(since(&mut world, &first, before[0]), (0, 100));
    assert_eq!(since(&mut world, &second, before[1]), (7, 1000));
}

#[test]
fn after_a_plain_reply_the_server_pays_for_itself() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]));
    let before = [server, client].map(|process| ticks(&mut world, &process));
    world.switch_to(server.thread);
    world.reply(server.thread, 11, &Message::words(&[])).unwrap();
    assert_eq!(world.kernel.current(), Some(server.thread));
    world.advance(50);
    assert_eq!(since(&mut world, &server, before[0]), (50, 0));
    assert_eq!(since(&mut world, &client, before[1]), (0, 0));
}

#[test]
fn work_for_a_caller_that_died_is_the_servers_own() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]));
    let root = world.root.thread;
    world.switch_to(root);
    world.must(client.handle, Operation::ThreadStop, &[]);
    let before = ticks(&mut world, &server);
    world.switch_to(server.thread);
    world.advance(40);
    assert_eq!(since(&mut world, &server, before), (40, 0));
}

#[test]
fn payer_that_is_destroyed_is_charged_no_more() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let caller = world.spawn();
    let made = world.make(abi::ObjectKind::Thread, 1);
    world.configure(made.handle, ThreadSetting::Space, u64::from(caller.space));
    world.configure(made.handle, ThreadSetting::Table, u64::from(caller.table));
    world.configure(made.handle, ThreadSetting::Priority, 10);
    world.give(&caller, 10, endpoint, 0xff);
    world.must(made.handle, Operation::ThreadStart, &[]);
    let thread = world.object(made.handle);
    world.receive(server.thread, 10);
    // The server is more important than root and destroys its own caller while it works for it.
    world.must(server.table, Operation::Copy, &[30, u64::from(made.memory), 0, 0, 2, 0]);
    world.call(thread, 10, &Message::words(&[]));
    world.run(server.thread, 30, Operation::Reclaim, &[0, 1]).unwrap();
    world.advance(10);
    assert_eq!(world.reply(server.thread, 11, &Message::words(&[])), Err(Error::ReplyGone));
}

#[test]
fn callers_slice_ends_while_its_server_works_and_it_goes_to_the_back() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let rival = world.spawn_thread(&client);
    world.receive(server.thread, 10);
    world.configure(server.handle, ThreadSetting::Priority, 20);
    let root = world.root.thread;
    let notification = world.notification();
    world.begin(root, notification, Operation::Wait, &[]);
    world.call(client.thread, 10, &Message::words(&[]));
    world.advance(DEFAULT_SLICE + 1);
    assert_eq!(world.kernel.current(), Some(server.thread), "the server is not interrupted");
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.kernel.current(), Some(rival.thread), "but its caller had its turn");
}

#[test]
fn counters_tell_calls_state_and_the_request_in_hand() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message { number: 0x1234, ..Message::words(&[]) });
    let received_at = world.kernel.machine.now();
    world.advance(25);
    let words = world.ask(server.handle, Operation::Counters, &[]).unwrap();
    assert_eq!(words[3..6], [1, 0x1234, received_at]);
    let words = world.ask(client.handle, Operation::Counters, &[]).unwrap();
    assert_eq!(words[2..4], [1, 3]);
}
