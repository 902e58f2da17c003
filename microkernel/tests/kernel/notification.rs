//! Notifications: signals, waiting, binding, deadlines.

use abi::{DEADLINE_BIT, Error, MessageKind, ObjectKind, Operation, Rights};
use microkernel::fake::{Message, Process, World};
use microkernel::notification::MAX_DEADLINES;
use microkernel::thread::State;

use super::refused;

/// A process that holds a notification in slot 20, and root's handle of it.
fn waiter(world: &mut World) -> (Process, u32) {
    let (process, notification) = (world.spawn(), world.notification());
    world.give(&process, 20, notification, 0xff);
    (process, notification)
}

#[test]
fn wait_returns_at_once_what_was_signalled_and_clears_it() {
    let mut world = World::new();
    let (process, notification) = waiter(&mut world);
    for bits in [1, 4, 4] {
        world.must(notification, Operation::Signal, &[bits]);
    }
    assert_eq!(world.run(process.thread, 20, Operation::Wait, &[]).unwrap()[0], 5);
    assert_eq!(world.run(process.thread, 20, Operation::Poll, &[]).unwrap()[0], 0);
}

#[test]
fn wait_without_bits_waits_for_the_first_signal() {
    let mut world = World::new();
    let (process, notification) = waiter(&mut world);
    world.begin(process.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.state(process.thread), State::Waiting);
    world.must(notification, Operation::Signal, &[0]);
    assert_eq!(world.state(process.thread), State::Waiting, "no bits are no signal");
    world.must(notification, Operation::Signal, &[6]);
    assert_eq!(world.outcome(process.thread).unwrap()[0], 6);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0);
}

#[test]
fn poll_takes_bits_without_waiting() {
    let mut world = World::new();
    let notification = world.notification();
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0);
    world.must(notification, Operation::Signal, &[3]);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 3);
}

#[test]
fn second_waiter_is_refused() {
    let mut world = World::new();
    let (process, notification) = waiter(&mut world);
    world.begin(process.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.ask(notification, Operation::Wait, &[]), Err(Error::Busy));
}

#[test]
fn bound_notification_arrives_as_a_message_without_reply() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let notification = world.notification();
    world.must(notification, Operation::Bind, &[u64::from(endpoint)]);
    world.receive(server.thread, 10);
    world.must(notification, Operation::Signal, &[8]);
    let message = world.received(server.thread);
    assert_eq!((message.kind, message.words, message.badge, message.number), (Some(MessageKind::Notification), [8, 0, 0, 0, 0, 0, 0, 0], 0, 0));
    assert!(world.slot(&server, 11).is_empty());
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[2]));
    assert_eq!(world.received(server.thread).kind, Some(MessageKind::Call));
}

#[test]
fn bits_that_came_before_are_received_before_any_call() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let notification = world.notification();
    world.must(notification, Operation::Signal, &[8]);
    world.must(notification, Operation::Bind, &[u64::from(endpoint)]);
    world.call(client.thread, 10, &Message::words(&[2]));
    world.receive(server.thread, 10);
    assert_eq!(world.received(server.thread).kind, Some(MessageKind::Notification));
    world.receive(server.thread, 10);
    assert_eq!(world.received(server.thread).kind, Some(MessageKind::Call));
}

#[test]
fn binding_hands_pending_bits_to_a_receiver_that_waits() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let notification = world.notification();
    world.receive(server.thread, 10);
    world.must(notification, Operation::Signal, &[8]);
    world.must(notification, Operation::Bind, &[u64::from(endpoint)]);
    assert_eq!(world.received(server.thread).words[0], 8);
}

#[test]
fn waiter_comes_before_the_bound_endpoint() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let (process, notification) = waiter(&mut world);
    world.must(notification, Operation::Bind, &[u64::from(endpoint)]);
    world.receive(server.thread, 10);
    world.begin(process.thread, 20, Operation::Wait, &[]);
    world.must(notification, Operation::Signal, &[8]);
    assert_eq!(world.outcome(process.thread).unwrap()[0], 8);
    assert_eq!(world.state(server.thread), State::Receiving);
}

#[test]
fn binding_moves_and_ends() {
    let mut world = World::new();
    let (first, second, notification) = (world.endpoint(), world.endpoint(), world.notification());
    let bind = |world: &mut World, endpoint: u32| world.must(notification, Operation::Bind, &[u64::from(endpoint)]);
    bind(&mut world, first);
    bind(&mut world, first);
    bind(&mut world, second);
    let other = world.notification();
    assert_eq!(world.ask(other, Operation::Bind, &[u64::from(second)]), Err(Error::Busy));
    world.must(other, Operation::Bind, &[u64::from(first)]);
    bind(&mut world, 0);
    bind(&mut world, 0);
    world.must(other, Operation::Bind, &[u64::from(second)]);
}

#[test]
fn bind_refuses_bad_arguments() {
    let mut world = World::new();
    let (notification, endpoint) = (world.notification(), world.endpoint());
    let weak = u64::from(world.free_slot());
    world.must(0, Operation::Copy, &[weak, u64::from(endpoint), u64::from(Rights::CALL), 0, 0, 0]);
    refused(
        &mut world,
        notification,
        Operation::Bind,
        &[
            (&[weak], Error::MissingRight),
            (&[u64::from(notification)], Error::WrongKind),
            (&[2999], Error::InvalidHandle),
            (&[1 << 32], Error::InvalidArgument),
        ],
    );
}

#[test]
fn deadline_sets_the_timer_and_signals_when_it_has_passed() {
    let mut world = World::new();
    let (process, notification) = waiter(&mut world);
    let at = world.kernel.machine.time + 500;
    world.must(notification, Operation::Deadline, &[at]);
    assert_eq!(world.kernel.machine.core().timer, Some(at));
    world.begin(process.thread, 20, Operation::Wait, &[]);
    world.advance(499);
    assert_eq!(world.state(process.thread), State::Waiting);
    world.advance(1);
    assert_eq!(world.outcome(process.thread).unwrap()[0], DEADLINE_BIT);
}

#[test]
fn deadlines_pass_in_order_and_the_timer_is_set_for_the_first() {
    let mut world = World::new();
    let now = world.kernel.machine.time;
    let notifications = [300, 100, 200].map(|after| (world.notification(), after));
    for (notification, after) in notifications {
        world.must(notification, Operation::Deadline, &[now + after]);
    }
    for after in [100, 200, 300] {
        assert_eq!(world.kernel.machine.core().timer, Some(now + after));
        world.kernel.machine.time = now + after;
        world.advance(0);
        for (notification, own) in notifications {
            let expected = if own == after { DEADLINE_BIT } else { 0 };
            assert_eq!(world.must(notification, Operation::Poll, &[]), expected, "{own} at {after}");
        }
    }
}

#[test]
fn deadlines_that_passed_together_are_all_signalled() {
    let mut world = World::new();
    let now = world.kernel.machine.time;
    let notifications = [10, 20, 30].map(|after| (world.notification(), after));
    for (notification, after) in notifications {
        world.must(notification, Operation::Deadline, &[now + after]);
    }
    world.advance(25);
    let signalled = notifications.map(|(notification, _)| world.must(notification, Operation::Poll, &[]) != 0);
    assert_eq!(signalled, [true, true, false]);
}

#[test]
fn deadline_is_moved_and_cancelled() {
    let mut world = World::new();
    let notification = world.notification();
    let now = world.kernel.machine.time;
    for at in [now + 100, now + 50, now + 70] {
        world.must(notification, Operation::Deadline, &[at]);
        assert_eq!(world.kernel.machine.core().timer, Some(at));
    }
    world.must(notification, Operation::Deadline, &[0]);
    assert_eq!(world.kernel.machine.core().timer, None);
    world.advance(1000);
    assert_eq!(world.must(notification, Operation::Poll, &[]), 0);
}

#[test]
fn deadline_in_the_past_is_signalled_at_the_next_interrupt() {
    let mut world = World::new();
    let notification = world.notification();
    world.must(notification, Operation::Deadline, &[1]);
    world.advance(0);
    assert_eq!(world.must(notification, Operation::Poll, &[]), DEADLINE_BIT);
}

#[test]
fn deadlines_have_a_limit_and_a_moved_one_needs_no_second_place() {
    let mut world = World::new();
    let all: Vec<u32> = (0..MAX_DEADLINES).map(|_| world.notification()).collect();
    for notification in &all {
        world.must(*notification, Operation::Deadline, &[1 << 40]);
    }
    let extra = world.notification();
    assert_eq!(world.ask(extra, Operation::Deadline, &[1 << 40]), Err(Error::KernelLimit));
    world.must(all[5], Operation::Deadline, &[1 << 41]);
    world.must(all[6], Operation::Deadline, &[0]);
    world.must(extra, Operation::Deadline, &[u64::MAX]);
}

#[test]
fn destroyed_notification_leaves_no_deadline_binding_or_waiter() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let made = world.make(ObjectKind::Notification, 1);
    world.give(&client, 20, made.handle, 0xff);
    world.must(made.handle, Operation::Bind, &[u64::from(endpoint)]);
    world.must(made.handle, Operation::Deadline, &[1 << 40]);
    world.begin(client.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.must(made.memory, Operation::Reclaim, &[0, 1]), 1);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked));
    world.advance(1 << 41);
    world.receive(server.thread, 10);
    assert_eq!(world.state(server.thread), State::Receiving);
}

#[test]
fn notification_reaches_receivers_of_a_held_endpoint() {
    // A server that restarts is told of things before its callers may come.
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let notification = world.notification();
    world.must(notification, Operation::Bind, &[u64::from(endpoint)]);
    world.must(endpoint, Operation::SetState, &[1, 0]);
    world.receive(server.thread, 10);
    world.must(notification, Operation::Signal, &[2]);
    assert_eq!(world.received(server.thread).words[0], 2);
}
