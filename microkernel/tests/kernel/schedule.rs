//! Who runs: priorities, slices, the timer.

use abi::{Operation, ThreadSetting};
use microkernel::fake::{Message, Process, World};
use microkernel::page::Ref;
use microkernel::thread::{DEFAULT_SLICE, State, Thread};

/// Root waits from here on, so that only the test's threads run; the notification that wakes it.
fn without_root(world: &mut World) -> u32 {
    let notification = world.notification();
    let root = world.root.thread;
    world.begin(root, notification, Operation::Wait, &[]);
    notification
}

fn threads<const N: usize>(world: &mut World) -> [Process; N] {
    let first = world.spawn();
    let mut all = [first; N];
    for process in all.iter_mut().skip(1) {
        *process = world.spawn_thread(&first);
    }
    all
}

/// Whose turn it is while each in turn yields.
fn turns(world: &mut World, count: usize) -> Vec<Ref<Thread>> {
    (0..count)
        .map(|_| {
            let current = world.kernel.current().unwrap();
            world.begin(current, 0, Operation::Yield, &[]);
            current
        })
        .collect()
}

#[test]
fn equal_threads_take_turns_in_the_order_they_came() {
    let mut world = World::new();
    let [a, b, c] = threads(&mut world).map(|process: Process| process.thread);
    without_root(&mut world);
    let order = turns(&mut world, 6);
    assert_eq!(order[..3], order[3..]);
    assert!([a, b, c].iter().all(|thread| order.contains(thread)));
}

#[test]
fn yield_returns_success_and_keeps_a_lonely_thread() {
    let mut world = World::new();
    world.must(0, Operation::Yield, &[]);
    assert_eq!(world.kernel.current(), Some(world.root.thread));
}

#[test]
fn more_important_thread_takes_over_when_it_becomes_runnable() {
    let mut world = World::new();
    let [important] = threads(&mut world);
    let notification = world.notification();
    world.give(&important, 20, notification, 0xff);
    world.begin(important.thread, 20, Operation::Wait, &[]);
    world.configure(important.handle, ThreadSetting::Priority, 20);
    world.must(notification, Operation::Signal, &[1]);
    assert_eq!(world.kernel.current(), Some(important.thread));
    world.begin(important.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.kernel.current(), Some(world.root.thread), "the preempted thread goes on");
}

#[test]
fn preempted_thread_keeps_its_turn_and_the_rest_of_its_slice() {
    let mut world = World::new();
    let [important, equal] = threads(&mut world);
    let notification = world.notification();
    world.give(&important, 20, notification, 0xff);
    world.begin(important.thread, 20, Operation::Wait, &[]);
    world.configure(important.handle, ThreadSetting::Priority, 20);
    let root = world.root.thread;
    world.switch_to(equal.thread);
    world.switch_to(root);
    let end = world.kernel.machine.core().timer.expect("an equal thread waits");
    world.advance(DEFAULT_SLICE / 4);
    world.must(notification, Operation::Signal, &[1]);
    world.advance(1000);
    world.begin(important.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.kernel.current(), Some(root), "not the equal thread");
    assert_eq!(world.kernel.machine.core().timer, Some(end + 1000), "three quarters of the slice are left");
}

/// A server in the middle of a client's call, while a thread as important as the client is runnable and root sleeps. The server may signal
/// two notifications: in slot 20 its own, bound to its endpoint, and in slot 21 one that a thread waits for which ranks between the two.
struct Serving {
    server: Process,
    client: Process,
    between: Process,
}

fn serving(world: &mut World) -> Serving {
    let (server, client, endpoint) = world.pair(1);
    let between = world.spawn();
    let [bound, wanted] = [world.notification(), world.notification()];
    world.must(bound, Operation::Bind, &[u64::from(endpoint)]);
    world.give(&server, 20, bound, 0xff);
    world.give(&server, 21, wanted, 0xff);
    world.give(&between, 20, wanted, 0xff);
    world.begin(between.thread, 20, Operation::Wait, &[]);
    world.receive(server.thread, 10);
    world.configure(server.handle, ThreadSetting::Priority, 20);
    world.configure(between.handle, ThreadSetting::Priority, 15);
    world.spawn_thread(&client);
    without_root(world);
    world.switch_to(client.thread);
    world.call(client.thread, 10, &Message::words(&[]));
    assert_eq!(world.kernel.current(), Some(server.thread));
    Serving { server, client, between }
}

#[test]
fn answered_caller_keeps_its_turn_while_its_server_goes_on_with_the_next_message() {
    let mut world = World::new();
    let Serving { server, client, .. } = serving(&mut world);
    world.begin(server.thread, 20, Operation::Signal, &[1]);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.kernel.current(), Some(server.thread), "it has the notification's word at once");
    world.receive(server.thread, 10);
    assert_eq!(world.kernel.current(), Some(client.thread), "not the equal thread");
}

#[test]
fn answered_caller_keeps_its_turn_when_somebody_more_important_runs_first() {
    let mut world = World::new();
    let Serving { server, client, between } = serving(&mut world);
    world.begin(server.thread, 21, Operation::Signal, &[1]);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.kernel.current(), Some(between.thread));
    world.begin(between.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.kernel.current(), Some(client.thread), "not the equal thread");
}

#[test]
fn answered_caller_whose_slice_ended_goes_to_the_back() {
    let mut world = World::new();
    let Serving { server, client, .. } = serving(&mut world);
    world.advance(DEFAULT_SLICE + 1);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_ne!(world.kernel.current(), Some(client.thread));
}

#[test]
fn slice_ends_only_when_somebody_of_the_same_priority_waits() {
    let mut world = World::new();
    let [a, b] = threads(&mut world);
    world.configure(b.handle, ThreadSetting::Priority, 5);
    without_root(&mut world);
    assert_eq!(world.kernel.current(), Some(a.thread));
    assert_eq!(world.kernel.machine.core().timer, None, "nobody equal waits");
    world.advance(DEFAULT_SLICE * 3);
    assert_eq!(world.kernel.current(), Some(a.thread));
}

#[test]
fn slices_of_equal_threads_alternate() {
    let mut world = World::new();
    let [a, b] = threads(&mut world);
    world.configure(a.handle, ThreadSetting::Slice, 1000);
    world.configure(b.handle, ThreadSetting::Slice, 3000);
    without_root(&mut world);
    // What is left of the first slice depends on how the world was set up: let both end once.
    for _ in 0..2 {
        let timer = world.kernel.machine.core().timer.unwrap();
        world.advance(timer - world.kernel.machine.time);
    }
    for _ in 0..4 {
        let current = world.kernel.current().unwrap();
        let length = if current == a.thread { 1000 } else { 3000 };
        world.advance(length - 1);
        assert_eq!(world.kernel.current(), Some(current));
        world.advance(1);
        assert_ne!(world.kernel.current(), Some(current));
    }
}

#[test]
fn slice_that_ended_unseen_ends_when_an_equal_comes() {
    let mut world = World::new();
    let [a] = threads(&mut world);
    let notification = world.notification();
    world.give(&a, 20, notification, 0xff);
    world.begin(a.thread, 20, Operation::Wait, &[]);
    world.advance(DEFAULT_SLICE * 2);
    world.must(notification, Operation::Signal, &[1]);
    assert!(world.kernel.machine.core().timer.is_some_and(|at| at <= world.kernel.machine.time));
    world.advance(0);
    assert_eq!(world.kernel.current(), Some(a.thread));
}

#[test]
fn processor_idles_without_timer_when_nobody_is_runnable() {
    let mut world = World::new();
    let notification = without_root(&mut world);
    assert_eq!(world.kernel.current(), None);
    assert_eq!(world.kernel.machine.core().timer, None);
    assert_ne!(notification, 0);
    assert_eq!(world.state(world.root.thread), State::Waiting);
}

#[test]
fn deadline_wakes_the_idle_processor() {
    let mut world = World::new();
    let notification = world.notification();
    let at = world.kernel.machine.time + 70;
    world.must(notification, Operation::Deadline, &[at]);
    let root = world.root.thread;
    world.begin(root, notification, Operation::Wait, &[]);
    assert_eq!((world.kernel.current(), world.kernel.machine.core().timer), (None, Some(at)));
    world.advance(70);
    assert_eq!(world.kernel.current(), Some(root));
}

#[test]
fn lowering_the_own_priority_gives_way_and_raising_takes_over() {
    let mut world = World::new();
    let [other] = threads(&mut world);
    let root = world.root;
    world.give(&other, 20, root.handle, 0xff);
    world.begin(root.thread, root.handle, Operation::ThreadConfigure, &[ThreadSetting::Priority as u64, 9]);
    assert_eq!(world.kernel.current(), Some(other.thread));
    world.begin(other.thread, 20, Operation::ThreadConfigure, &[ThreadSetting::Priority as u64, 11]);
    assert_eq!(world.kernel.current(), Some(root.thread));
}

#[test]
fn priority_of_a_queued_thread_changes_its_queue() {
    let mut world = World::new();
    let [a, b] = threads(&mut world);
    world.configure(a.handle, ThreadSetting::Priority, 3);
    world.configure(b.handle, ThreadSetting::Priority, 4);
    without_root(&mut world);
    assert_eq!(world.kernel.current(), Some(b.thread));
}

#[test]
fn address_space_is_loaded_only_when_it_changes() {
    let mut world = World::new();
    let [a, b] = threads(&mut world);
    without_root(&mut world);
    let loaded = world.kernel.roots_loaded();
    turns(&mut world, 6);
    assert_eq!(world.kernel.roots_loaded(), loaded, "{a:?} and {b:?} share a space");
}

#[test]
fn thread_of_a_space_without_tables_runs_on_the_kernels_own() {
    let mut world = World::new();
    let (table, space) = (world.make(abi::ObjectKind::CapTable, 1).handle, world.make(abi::ObjectKind::AddressSpace, 1).handle);
    let bare = world.idle_thread(table, space);
    world.must(bare.handle, Operation::ThreadStart, &[]);
    world.switch_to(bare.thread);
    assert_eq!(world.kernel.machine.core().root, None);
}
