//! The death of servers, callers and threads; the scenarios of REASONS.md.

use abi::{Error, MapFlags, MessageKind, ObjectKind, Operation, ReplyKind, RequestNumber, Rights, ThreadSetting};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

const LANE: RequestNumber = RequestNumber::new(5, 3, 0, 0);
const RIP: u64 = 0x40_0000;

/// What the supervisor does to an instance: stop its threads, then tell its callers.
fn die(world: &mut World, server: &Process) {
    world.must(server.handle, Operation::ThreadStop, &[]);
    while world.must(server.table, Operation::Kill, &[]) != 0 {}
}

/// A successor of a dead server, with the same capabilities.
fn successor(world: &mut World, endpoint: u32) -> Process {
    let server = world.spawn();
    world.give(&server, 10, endpoint, Rights::RECEIVE);
    world.run(server.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    server
}

#[test]
fn native_caller_is_told_and_sends_the_same_request_again() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let message = Message::words(&[3]).numbered(LANE);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &message);
    world.must(endpoint, Operation::SetState, &[1, 0]);
    die(&mut world, &server);
    assert_eq!(world.outcome(client.thread), Err(Error::PeerDied));
    world.call(client.thread, 10, &message);
    let again = successor(&mut world, endpoint);
    world.receive(again.thread, 10);
    world.must(endpoint, Operation::SetState, &[0, 0]);
    assert_eq!((world.received(again.thread).number, world.received(again.thread).words[0]), (LANE.0, 3));
    world.reply(again.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 4);
}

#[test]
fn linux_thread_traps_again_at_the_same_instruction_with_its_number_kept() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality: endpoint, badge: 9, lane: LANE.0, ..Linux::default() });
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 1, [1, 2, 3, 4, 5, 6], RIP);
    let first = world.received(server.thread);
    assert_eq!(first.number, LANE.next().0);
    die(&mut world, &server);
    assert_eq!(world.state(program.thread), State::Runnable);
    let frame = world.frame(program.thread);
    assert_eq!((frame.rip, frame.rax, frame.rdi), (RIP, 1, 1), "at the syscall instruction, its registers as they were");

    let again = successor(&mut world, endpoint);
    world.receive(again.thread, 10);
    world.linux_call(program.thread, 1, [1, 2, 3, 4, 5, 6], RIP);
    let second = world.received(again.thread);
    assert_eq!((second.number, second.words), (first.number, first.words));
    world.reply_receive(again.thread, 10, &Message::answer(ReplyKind::Resume, 0));
    world.linux_call(program.thread, 2, [0; 6], RIP + 2);
    assert_eq!(world.received(again.thread).number, LANE.next().next().0, "the next request has the next number");
}

#[test]
fn linux_thread_is_redelivered_at_every_crash_under_one_number() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality: endpoint, lane: LANE.0, ..Linux::default() });
    let mut server = server;
    for _ in 0..3 {
        world.receive(server.thread, 10);
        world.linux_call(program.thread, 0, [0; 6], RIP);
        assert_eq!(world.received(server.thread).number, LANE.next().0);
        die(&mut world, &server);
        server = successor(&mut world, endpoint);
    }
}

#[test]
fn frame_that_was_set_before_the_crash_is_the_answer() {
    // The personality committed its effect by setting the registers (a signal handler, a new program), and died before it replied: going back to
    // the system call would run it with somebody else's registers.
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality: endpoint, lane: LANE.0, ..Linux::default() });
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 59, [0; 6], RIP);
    let root = world.root.thread;
    world.must(program.handle, Operation::GetFrame, &[]);
    world.message_page(root)[128..136].copy_from_slice(&1u64.to_le_bytes());
    world.must(program.handle, Operation::SetFrame, &[]);
    die(&mut world, &server);
    assert_eq!(world.frame(program.thread).rip, 1, "not before address 0");
    let again = successor(&mut world, endpoint);
    world.receive(again.thread, 10);
    world.linux_call(program.thread, 1, [0; 6], RIP);
    assert_eq!(world.received(again.thread).number, LANE.next().next().0);
    // An answer takes the mark away: the next crash is a redelivery again.
    world.reply_receive(again.thread, 10, &Message::answer(ReplyKind::Resume, 0));
    world.linux_call(program.thread, 1, [0; 6], RIP);
    die(&mut world, &again);
    assert_eq!(world.frame(program.thread).rip, RIP);
}

#[test]
fn faulting_thread_tries_its_instruction_again() {
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { pager: endpoint, faults: endpoint, ..Linux::default() });
    world.frame(program.thread).rip = RIP;
    world.receive(server.thread, 10);
    assert!(!world.touch(program.thread, 0x77_0000, true));
    die(&mut world, &server);
    assert_eq!((world.state(program.thread), world.frame(program.thread).rip), (State::Runnable, RIP));
}

#[test]
fn message_not_yet_received_stays_in_the_queue() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    world.call(client.thread, 10, &Message::words(&[3]));
    die(&mut world, &server);
    assert_eq!(world.state(client.thread), State::Calling);
    let again = successor(&mut world, endpoint);
    world.receive(again.thread, 10);
    assert_eq!(world.received(again.thread).words[0], 3);
}

#[test]
fn reply_of_a_dead_instance_does_not_answer_the_redelivered_call() {
    // A second thread of the dying instance still holds the old Reply when the new instance has the same request.
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let helper = world.spawn_thread(&server);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    die(&mut world, &server);
    let again = successor(&mut world, endpoint);
    world.receive(again.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(world.reply(helper.thread, 11, &Message::words(&[0xbad])), Err(Error::ReplyGone));
    assert_eq!(world.state(client.thread), State::AwaitingReply);
    world.reply(again.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(world.received(client.thread).words[0], 4);
}

#[test]
fn kill_tells_callers_in_steps() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let callers: Vec<Process> = (0..70).map(|_| world.spawn_thread(&client)).collect();
    for (caller, slot) in callers.iter().zip(20..) {
        world.run(server.thread, 0, Operation::SetReplySlot, &[slot]).unwrap();
        world.receive(server.thread, 10);
        world.call(caller.thread, 10, &Message::words(&[slot]));
    }
    world.must(server.handle, Operation::ThreadStop, &[]);
    assert_eq!(world.must(server.table, Operation::Kill, &[]), 1);
    assert_eq!(world.must(server.table, Operation::Kill, &[]), 0);
    assert_eq!(world.must(server.table, Operation::Kill, &[]), 0);
    for caller in &callers {
        assert_eq!(world.outcome(caller.thread), Err(Error::PeerDied));
    }
}

#[test]
fn kill_does_not_touch_callers_of_other_instances() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let (other, other_client, _) = world.pair(1);
    for (server, client) in [(&server, &client), (&other, &other_client)] {
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &Message::words(&[3]));
    }
    die(&mut world, &server);
    assert_eq!(world.state(other_client.thread), State::AwaitingReply);
    world.reply(other.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(world.received(other_client.thread).words[0], 4);
}

#[test]
fn answered_caller_is_not_told_of_the_death() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    world.reply(server.thread, 11, &Message::words(&[4])).unwrap();
    die(&mut world, &server);
    assert_eq!(world.received(client.thread).words[0], 4);
}

#[test]
fn killed_caller_shows_at_the_reply_and_nowhere_else() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    world.must(client.handle, Operation::ThreadStop, &[]);
    assert_eq!(world.state(client.thread), State::Stopped);
    world.reply_receive(server.thread, 10, &Message::words(&[4]));
    assert_eq!(world.state(server.thread), State::Receiving, "no error of ReplyReceive");
    world.must(client.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked), "if it ever runs again, its call failed");
    world.call(client.thread, 10, &Message::words(&[5]));
    assert_eq!(world.received(server.thread).words[0], 5);
}

#[test]
fn caller_killed_in_the_queue_is_never_delivered() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(world.must(client.handle, Operation::ThreadStop, &[]), 2);
    world.receive(server.thread, 10);
    assert_eq!(world.state(server.thread), State::Receiving);
    world.must(client.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked));
}

#[test]
fn dropped_reply_is_told_to_each_kind_of_caller() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let faults = world.endpoint();
    let program = world.spawn_linux(&Linux { personality: endpoint, pager: endpoint, faults, ..Linux::default() });
    let drop = |world: &mut World| world.run(server.thread, 0, Operation::Delete, &[11]).unwrap();
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    drop(&mut world);
    assert_eq!(world.outcome(client.thread), Err(Error::Dropped));
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 1, [0; 6], RIP);
    drop(&mut world);
    assert_eq!((world.frame(program.thread).rax, world.frame(program.thread).rip), (-5i64 as u64, RIP + 2), "EIO");
    world.receive(server.thread, 10);
    assert!(!world.touch(program.thread, 0x77_0000, true));
    drop(&mut world);
    assert_eq!(world.state(program.thread), State::Calling, "a dropped page fault goes to the fault endpoint");
    world.give(&server, 12, faults, Rights::RECEIVE);
    world.receive(server.thread, 12);
    assert_eq!(world.received(server.thread).kind, Some(MessageKind::Exception));
    drop(&mut world);
    assert_eq!(world.state(program.thread), State::Stopped, "and a dropped exception stops the thread");
}

#[test]
fn threads_are_destroyed_in_every_state() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let notification = world.notification();
    for state in [State::Stopped, State::Runnable, State::Calling, State::AwaitingReply, State::Receiving, State::Waiting] {
        let made = world.make(ObjectKind::Thread, 1);
        let (table, space) = (world.make(ObjectKind::CapTable, 1), world.space());
        let victim = Process { table: table.handle, space, handle: made.handle, thread: world.object(made.handle) };
        world.give_badged(&victim, 10, endpoint, Rights::CALL | Rights::RECEIVE, 4);
        world.give(&victim, 20, notification, 0xff);
        let page = world.pages(1);
        for (setting, value) in [(ThreadSetting::Space, space), (ThreadSetting::Table, table.handle), (ThreadSetting::MessagePage, page)] {
            world.configure(made.handle, setting, u64::from(value));
        }
        world.configure(made.handle, ThreadSetting::Priority, 10);
        if state != State::Stopped {
            world.must(made.handle, Operation::ThreadStart, &[]);
        }
        match state {
            State::Calling => world.call(victim.thread, 10, &Message::words(&[])),
            State::AwaitingReply => {
                world.receive(server.thread, 10);
                world.call(victim.thread, 10, &Message::words(&[]));
            }
            State::Receiving => {
                world.run(victim.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
                world.receive(victim.thread, 10);
            }
            State::Waiting => world.begin(victim.thread, 20, Operation::Wait, &[]),
            State::Stopped | State::Runnable => {}
        }
        assert_eq!(world.state(victim.thread), state);
        assert_eq!(world.must(made.memory, Operation::Reclaim, &[0, 1]), 1, "{state:?}");
        assert_eq!(world.must(table.memory, Operation::Reclaim, &[0, 1]), 1, "nobody uses its table");
        assert_eq!(world.must(page, Operation::FreePages, &[0]), 1, "nor pins its message page");
        while world.must(space, Operation::Dismantle, &[]) != 0 {}
        if state == State::AwaitingReply {
            assert_eq!(world.reply(server.thread, 11, &Message::words(&[])), Err(Error::ReplyGone));
        }
    }
    assert_eq!(world.state(client.thread), State::Runnable);
}

#[test]
fn stale_reply_does_not_reach_the_next_thread_in_the_same_page() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let made = world.make(ObjectKind::Thread, 1);
    let start = |world: &mut World, handle: u32| {
        for (setting, value) in [(ThreadSetting::Space, client.space), (ThreadSetting::Table, client.table), (ThreadSetting::Priority, 10)] {
            world.configure(handle, setting, u64::from(value));
        }
        world.must(handle, Operation::ThreadStart, &[]);
        world.object::<microkernel::thread::Thread>(handle)
    };
    let first = start(&mut world, made.handle);
    world.receive(server.thread, 10);
    world.call(first, 10, &Message::words(&[1]));
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    let again = u64::from(world.free_slot());
    world.must(made.memory, Operation::Retype, &[0, ObjectKind::Thread as u64, 1, again, 0]);
    let second = start(&mut world, again as u32);
    assert_eq!(first, second);
    let other = successor(&mut world, endpoint);
    world.receive(other.thread, 10);
    world.call(second, 10, &Message::words(&[2]));
    assert_eq!(world.reply(server.thread, 11, &Message::words(&[0xbad])), Err(Error::ReplyGone));
    assert_eq!(world.state(second), State::AwaitingReply);
}

#[test]
fn kernel_objects_in_a_vault_survive_the_death_of_their_server() {
    // Posix dies: its Linux programs' threads and spaces lie in its vault, and the successor goes on with them.
    let mut world = World::new();
    let (server, _, endpoint) = world.pair(1);
    let vault = world.make(ObjectKind::CapTable, 1).handle;
    let program = world.spawn_linux(&Linux { personality: endpoint, lane: LANE.0, ..Linux::default() });
    world.map(&program, 0x10_0000, 1, MapFlags::WRITE);
    world.must(vault, Operation::Copy, &[20, u64::from(program.handle), 0xff, 0, 0, 0]);
    world.must(vault, Operation::Copy, &[21, u64::from(program.space), 0xff, 0, 0, 0]);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 39, [0; 6], RIP);
    die(&mut world, &server);
    let again = successor(&mut world, endpoint);
    world.must(again.handle, Operation::ThreadStop, &[]);
    world.configure(again.handle, ThreadSetting::Vault, u64::from(vault));
    world.must(again.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.run(again.thread, abi::VAULT | 21, Operation::List, &[0x10_0000, 1]).unwrap()[0], 1);
    world.receive(again.thread, 10);
    world.linux_call(program.thread, 39, [0; 6], RIP);
    world.reply_receive(again.thread, 10, &Message::answer(ReplyKind::Resume, 77));
    assert_eq!(world.frame(program.thread).rax, 77);
}

#[test]
fn server_thread_that_stops_leaves_its_caller_waiting_for_the_kill() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let helper = world.spawn_thread(&server);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    world.must(server.handle, Operation::ThreadStop, &[]);
    assert_eq!(world.state(client.thread), State::AwaitingReply);
    world.reply(helper.thread, 11, &Message::words(&[6])).expect("the Reply belongs to the instance, not to the thread");
    assert_eq!(world.received(client.thread).words[0], 6);
}
