//! Calls, replies, and what travels with them.

use abi::{Control, Error, Label, MAX_MESSAGE, MessageKind, ObjectKind, Operation, RequestNumber, Rights, ThreadSetting};
use microkernel::fake::{Message, Process, World};
use microkernel::thread::State;

/// A thread of a process that has no message page.
fn without_page(world: &mut World, process: &Process) -> Process {
    let handle = world.make(ObjectKind::Thread, 1).handle;
    world.configure(handle, ThreadSetting::Space, u64::from(process.space));
    world.configure(handle, ThreadSetting::Table, u64::from(process.table));
    world.configure(handle, ThreadSetting::Priority, 10);
    world.must(handle, Operation::ThreadStart, &[]);
    Process { handle, thread: world.object(handle), ..*process }
}

#[test]
fn call_passes_words_badge_and_number_straight_to_the_waiting_receiver() {
    let mut world = World::new();
    let (server, client, _) = world.pair(77);
    let number = RequestNumber::new(3, 9, 5, 1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1, 2, 3, 4, 5, 6, 7, 8]).numbered(number));
    assert_eq!(world.kernel.current(), Some(server.thread), "the receiver runs at once");
    assert_eq!(world.state(client.thread), State::AwaitingReply);
    let message = world.received(server.thread);
    assert_eq!((message.words, message.badge, message.number), ([1, 2, 3, 4, 5, 6, 7, 8], 77, number.0));
    assert_eq!((message.kind, message.label.bytes()), (Some(MessageKind::Call), 64));

    world.reply_receive(server.thread, 10, &Message::words(&[9, 8]));
    assert_eq!(world.kernel.current(), Some(client.thread), "and the caller at once after the answer");
    let answer = world.received(client.thread);
    assert_eq!((answer.words[..2].to_vec(), answer.label.bytes()), (vec![9, 8], 16));
    assert_eq!(world.state(server.thread), State::Receiving);
}

#[test]
fn call_without_receiver_waits_and_is_taken_first_come_first_served() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let second = world.spawn();
    world.give_badged(&second, 10, endpoint, Rights::CALL, 2);
    world.call(client.thread, 10, &Message::words(&[11]));
    world.call(second.thread, 10, &Message::words(&[22]));
    assert_eq!(world.state(client.thread), State::Calling);
    world.receive(server.thread, 10);
    assert_eq!(world.received(server.thread).words[0], 11);
    assert_eq!(world.kernel.current(), Some(server.thread));
    world.reply_receive(server.thread, 10, &Message::words(&[1]));
    assert_eq!((world.received(server.thread).words[0], world.received(server.thread).badge), (22, 2));
    assert_eq!(world.received(client.thread).words[0], 1);
    world.reply_receive(server.thread, 10, &Message::words(&[2]));
    assert_eq!(world.received(second.thread).words[0], 2);
}

#[test]
fn caller_out_of_the_middle_of_the_queue_leaves_it_whole() {
    let mut world = World::new();
    let (server, first, _) = world.pair(1);
    let [second, third] = [0; 2].map(|_| world.spawn_thread(&first));
    for (client, word) in [(first, 1), (second, 2), (third, 3)] {
        world.call(client.thread, 10, &Message::words(&[word]));
    }
    assert_eq!(world.must(second.handle, Operation::ThreadStop, &[]), 2);
    for expected in [1, 3] {
        world.reply_receive(server.thread, 10, &Message::words(&[0]));
        assert_eq!(world.received(server.thread).words[0], expected);
    }
}

#[test]
fn long_message_travels_in_the_page_both_ways() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let text: Vec<u8> = (0..MAX_MESSAGE).map(|index| (index * 7) as u8).collect();
    for length in [65, 100, 2000, MAX_MESSAGE] {
        let long = Message { label: Label::new(length), ..Message::default() };
        world.message_page(client.thread)[..length].copy_from_slice(&text[..length]);
        world.message_page(server.thread).fill(0);
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &long);
        assert_eq!(world.received(server.thread).label.bytes(), length);
        assert_eq!(world.message_page(server.thread)[..length], text[..length]);
        world.message_page(server.thread)[..length].fill(3);
        world.reply(server.thread, 11, &long).unwrap();
        assert!(world.message_page(client.thread)[..length].iter().all(|byte| *byte == 3));
    }
}

#[test]
fn message_from_the_queue_is_read_when_it_is_delivered_not_when_it_was_sent() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.call(client.thread, 10, &Message { label: Label::new(100), ..Message::default() });
    world.message_page(client.thread)[..100].fill(5);
    world.receive(server.thread, 10);
    assert_eq!(world.message_page(server.thread)[..100], [5; 100]);
}

#[test]
fn label_beyond_the_limits_is_refused_for_calls_and_replies() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let wrong = [Label::new(MAX_MESSAGE + 1), Label::new(0xfff), Label::new(0).with_caps(5), Label::new(0).with_leases(5)];
    for label in wrong {
        world.enter(client.thread, Control::new(Operation::Call, 10), label, &[], 0);
        assert_eq!(world.outcome(client.thread), Err(Error::InvalidArgument));
    }
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    for label in wrong {
        for operation in [Control::new(Operation::Reply, 11), Control::new(Operation::ReplyReceive, 10)] {
            world.enter(server.thread, operation, label, &[], 0);
            assert_eq!(world.outcome(server.thread), Err(Error::InvalidArgument));
        }
    }
    world.reply(server.thread, 11, &Message::words(&[2])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 2, "the Reply was not used up");
}

#[test]
fn what_needs_a_message_page_is_refused_without_one() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let bare = without_page(&mut world, &client);
    for label in [Label::new(65), Label::new(8).with_caps(1), Label::new(8).with_leases(1)] {
        world.enter(bare.thread, Control::new(Operation::Call, 10), label, &[], 0);
        assert_eq!(world.outcome(bare.thread), Err(Error::WrongState));
    }
    let receiver = without_page(&mut world, &server);
    world.run(receiver.thread, 0, Operation::SetReplySlot, &[12]).unwrap();
    world.receive(receiver.thread, 10);
    assert_eq!(world.outcome(receiver.thread), Err(Error::WrongState));
}

#[test]
fn long_answer_to_a_caller_without_page_is_its_own_error() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let bare = without_page(&mut world, &client);
    world.receive(server.thread, 10);
    world.call(bare.thread, 10, &Message::words(&[1]));
    world.reply(server.thread, 11, &Message { label: Label::new(100), ..Message::default() }).expect("the server did nothing wrong");
    assert_eq!(world.outcome(bare.thread), Err(Error::WrongState));
}

#[test]
fn capabilities_go_to_the_slots_that_the_receiver_named() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let notification = world.notification();
    world.give_badged(&client, 20, notification, Rights::SIGNAL, 5);
    world.accept_caps(server.thread, &[40, 41, 0, 0]);
    world.accept_caps(client.thread, &[50, 0, 0, 0]);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]).with_caps(&[20, 10]));
    assert_eq!(world.received(server.thread).label.caps(), 2);
    let (sent, got) = (world.slot(&client, 20), world.slot(&server, 40));
    assert_eq!(got, sent, "copied with rights, badge and epoch, and the sender keeps it");
    assert_eq!(world.slot(&server, 41).kind(), ObjectKind::Endpoint);
    world.reply(server.thread, 11, &Message::words(&[]).with_caps(&[40])).unwrap();
    assert_eq!(world.received(client.thread).label.caps(), 1);
    assert_eq!(world.slot(&client, 50), sent);
}

#[test]
fn capabilities_stop_at_the_first_that_cannot_be_copied() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let (notification, dead) = (world.notification(), world.make(ObjectKind::Endpoint, 1));
    world.give(&client, 20, notification, 0xff);
    world.give(&client, 22, dead.handle, 0xff);
    world.must(dead.memory, Operation::Reclaim, &[0, 1]);
    let owned = u64::from(world.pages(1));
    world.must(client.table, Operation::Copy, &[21, owned, 0, 0, 2, 0]);
    // Owned memory, a dead capability, an empty slot, the header, a slot that is full, one beyond the table.
    let cases: [(&[u32], [u32; 4], usize); 7] = [
        (&[20, 21, 20], [40, 41, 42, 43], 1),
        (&[20, 22, 20], [40, 41, 42, 43], 1),
        (&[99, 20, 20], [40, 41, 42, 43], 0),
        (&[20, 20, 20], [40, 2, 42, 43], 1),
        (&[20, 20, 20], [40, 10, 42, 43], 1),
        (&[20, 20, 20], [40, 41, 128, 43], 2),
        (&[20, 20, 20, 20], [0, 41, 42, 43], 0),
    ];
    for (send, receive, arrive) in cases {
        world.accept_caps(server.thread, &receive);
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &Message::words(&[]).with_caps(send));
        assert_eq!(world.received(server.thread).label.caps(), arrive, "{send:?} to {receive:?}");
        for slot in 40..44 {
            let expected = receive.iter().take(arrive).any(|named| *named == slot);
            assert_eq!(!world.slot(&server, slot).is_empty(), expected, "slot {slot}");
            world.run(server.thread, 0, Operation::Delete, &[u64::from(slot)]).unwrap();
        }
        world.reply(server.thread, 11, &Message::words(&[])).unwrap();
    }
    assert!(world.slot(&client, 21).is_owned_memory(), "owned memory never travels in a message");
}

#[test]
fn reply_does_not_travel_in_a_message() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    world.give(&server, 20, endpoint, Rights::CALL);
    let other = world.spawn();
    world.give(&other, 10, endpoint, Rights::RECEIVE);
    world.run(other.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]));
    world.accept_caps(other.thread, &[40, 0, 0, 0]);
    world.receive(other.thread, 10);
    world.call(server.thread, 20, &Message::words(&[]).with_caps(&[11]));
    assert_eq!(world.received(other.thread).label.caps(), 0);
}

#[test]
fn reply_is_good_for_one_answer() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]));
    world.reply(server.thread, 11, &Message::words(&[1])).unwrap();
    assert_eq!(world.reply(server.thread, 11, &Message::words(&[2])), Err(Error::InvalidHandle));
    assert_eq!(world.received(client.thread).words[0], 1);
}

#[test]
fn server_keeps_several_replies_and_answers_in_any_order() {
    let mut world = World::new();
    let (server, first, _) = world.pair(1);
    let clients = [first, world.spawn_thread(&first), world.spawn_thread(&first)];
    for (client, slot) in clients.iter().zip(11..) {
        world.run(server.thread, 0, Operation::SetReplySlot, &[slot]).unwrap();
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &Message::words(&[slot]));
    }
    for index in [1, 2, 0] {
        world.reply(server.thread, 11 + index as u32, &Message::words(&[index])).unwrap();
        assert_eq!(world.received(clients[index as usize].thread).words[0], index);
    }
}

#[test]
fn receive_wants_an_empty_reply_slot() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]));
    world.receive(server.thread, 10);
    assert_eq!(world.outcome(server.thread), Err(Error::SlotFull), "it holds an unanswered Reply");
    let fresh = world.spawn_thread(&server);
    world.receive(fresh.thread, 10);
    assert_eq!(world.outcome(fresh.thread), Err(Error::InvalidHandle), "none was named");
    for slot in [0, 3, 128, 1 << 24, 1 << 32] {
        let error = if slot == 1 << 32 { Error::InvalidArgument } else { Error::InvalidHandle };
        assert_eq!(world.run(fresh.thread, 0, Operation::SetReplySlot, &[slot]), Err(error));
    }
    world.run(fresh.thread, 0, Operation::SetReplySlot, &[10]).unwrap();
    world.receive(fresh.thread, 10);
    assert_eq!(world.outcome(fresh.thread), Err(Error::SlotFull));
    world.reply_receive(fresh.thread, 10, &Message::words(&[]));
    assert_eq!(world.outcome(fresh.thread), Err(Error::WrongKind));
}

#[test]
fn reply_slot_that_was_filled_meanwhile_is_not_overwritten() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let second = world.spawn_thread(&server);
    world.run(second.thread, 0, Operation::SetReplySlot, &[12]).unwrap();
    world.receive(second.thread, 10);
    world.receive(server.thread, 10);
    // Root puts owned memory where the first receiver wants its Reply.
    let owned = world.pages(1);
    world.must(server.table, Operation::Copy, &[11, u64::from(owned), 0, 0, 2, 0]);
    world.call(client.thread, 10, &Message::words(&[4]));
    assert_eq!(world.outcome(server.thread), Err(Error::SlotFull));
    assert_eq!(world.received(second.thread).words[0], 4, "the next receiver has the message");
    assert!(world.slot(&server, 11).is_owned_memory());
}

#[test]
fn two_receivers_with_one_reply_slot_do_not_lose_a_caller() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let (second, other) = (world.spawn_thread(&server), world.spawn_thread(&client));
    world.run(second.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(server.thread, 10);
    world.receive(second.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    world.call(other.thread, 10, &Message::words(&[2]));
    assert_eq!(world.outcome(server.thread), Err(Error::SlotFull));
    assert_eq!(world.state(other.thread), State::Calling);
    world.reply_receive(second.thread, 10, &Message::words(&[5]));
    assert_eq!(world.received(client.thread).words[0], 5);
    assert_eq!(world.received(second.thread).words[0], 2);
    // The same when an endpoint opens.
    world.reply(second.thread, 11, &Message::words(&[6])).unwrap();
    world.must(endpoint, Operation::SetState, &[1, 0]);
    world.call(client.thread, 10, &Message::words(&[1]));
    world.call(other.thread, 10, &Message::words(&[2]));
    world.receive(server.thread, 10);
    world.receive(second.thread, 10);
    world.must(endpoint, Operation::SetState, &[0, 0]);
    assert_eq!(world.state(client.thread), State::AwaitingReply);
    assert_eq!(world.state(other.thread), State::Calling);
}

#[test]
fn reply_receive_without_a_reply_only_receives() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.state(server.thread), State::Receiving);
    world.call(client.thread, 10, &Message::words(&[6]));
    assert_eq!(world.received(server.thread).words[0], 6);
}

#[test]
fn reply_receive_at_a_bad_endpoint_answers_nobody() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[6]));
    for (handle, error) in [(99, Error::InvalidHandle), (11, Error::WrongKind)] {
        world.reply_receive(server.thread, handle, &Message::words(&[7]));
        assert_eq!(world.outcome(server.thread), Err(error));
        assert_eq!(world.state(client.thread), State::AwaitingReply);
    }
    world.reply(server.thread, 11, &Message::words(&[8])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 8);
}

#[test]
fn error_leaves_the_message_words_alone() {
    let mut world = World::new();
    let (_, client, _) = world.pair(1);
    world.call(client.thread, 99, &Message::words(&[1, 2, 3]));
    assert_eq!(world.outcome(client.thread), Err(Error::InvalidHandle));
    assert_eq!(world.words(client.thread)[..3], [1, 2, 3]);
}

#[test]
fn receiver_that_waits_longest_is_used_last() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let second = world.spawn_thread(&server);
    world.run(second.thread, 0, Operation::SetReplySlot, &[12]).unwrap();
    world.receive(server.thread, 10);
    world.receive(second.thread, 10);
    world.call(client.thread, 10, &Message::words(&[4]));
    assert_eq!(world.received(second.thread).words[0], 4);
    assert_eq!(world.state(server.thread), State::Receiving);
}

#[test]
fn receiver_in_the_middle_of_the_list_leaves_it_whole() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let servers = [server, world.spawn_thread(&server), world.spawn_thread(&server)];
    for (thread, slot) in servers.iter().zip(11..) {
        world.run(thread.thread, 0, Operation::SetReplySlot, &[slot]).unwrap();
        world.receive(thread.thread, 10);
    }
    assert_eq!(world.must(servers[1].handle, Operation::ThreadStop, &[]), 3);
    for expected in [2, 0] {
        let caller = world.spawn_thread(&client);
        world.call(caller.thread, 10, &Message::words(&[4]));
        assert_eq!(world.received(servers[expected].thread).words[0], 4);
    }
}

#[test]
fn receiver_of_lower_priority_takes_over_only_when_the_processor_is_free() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.configure(server.handle, ThreadSetting::Priority, 5);
    world.call(client.thread, 10, &Message::words(&[4]));
    assert_eq!(world.state(client.thread), State::AwaitingReply);
    assert_eq!(world.kernel.current(), Some(world.root.thread), "root is more important");
    assert_eq!(world.received(server.thread).words[0], 4);
}

#[test]
fn log_takes_bytes_of_the_message_page() {
    let mut world = World::new();
    let root = world.root.thread;
    world.message_page(root)[..5].copy_from_slice(b"hello");
    world.must(0, Operation::Log, &[5]);
    assert_eq!(world.kernel.machine.log, b"hello");
    super::refused(&mut world, 0, Operation::Log, &[(&[3585], Error::InvalidArgument), (&[u64::MAX], Error::InvalidArgument)]);
}
