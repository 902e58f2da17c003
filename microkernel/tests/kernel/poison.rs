//! Poison: the request that a server's threads die of is found, counted and refused, and no other.

use abi::{Error, MessageKind, Operation, ReplyKind, RequestNumber, Rights};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

const LANE: RequestNumber = RequestNumber::new(5, 3, 0, 0);
const RIP: u64 = 0x40_0000;
/// Words of `Blame`'s answer.
const IN_HAND: usize = 0;
const ATTEMPTS: usize = 4;
const REFUSED: usize = 5;

fn blame(world: &mut World, server: &Process, limit: u64) -> [u64; 6] {
    let [a, b, c, d, e, f, ..] = world.ask(server.handle, Operation::Blame, &[limit]).unwrap();
    [a, b, c, d, e, f]
}

/// What the supervisor does to an instance that died in a thread: blame, stop, tell; then a successor that receives.
fn crash(world: &mut World, server: &mut Process, endpoint: u32, limit: u64) -> [u64; 6] {
    let blamed = blame(world, server, limit);
    world.must(server.handle, Operation::ThreadStop, &[]);
    while world.must(server.table, Operation::Kill, &[]) != 0 {}
    *server = world.spawn();
    world.give(server, 10, endpoint, Rights::RECEIVE);
    world.run(server.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(server.thread, 10);
    blamed
}

#[test]
fn thread_without_a_request_in_hand_blames_nobody() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    assert_eq!(blame(&mut world, &server, 2), [0; 6], "it never received");
    world.receive(server.thread, 10);
    assert_eq!(blame(&mut world, &server, 2), [0; 6], "it waits");
    world.call(client.thread, 10, &Message::words(&[3]).numbered(LANE));
    world.reply(server.thread, 11, &Message::words(&[4])).unwrap();
    assert_eq!(blame(&mut world, &server, 2), [0; 6], "it answered");
}

#[test]
fn request_in_hand_is_told_without_being_counted() {
    let mut world = World::new();
    let (server, client, _) = world.pair(7);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]).numbered(LANE));
    for _ in 0..3 {
        let told = blame(&mut world, &server, 0);
        assert_eq!(told, [1, LANE.0, MessageKind::Call as u64, 7, 0, 0]);
    }
    assert_eq!(world.state(client.thread), State::AwaitingReply);
}

#[test]
fn native_request_is_refused_at_the_limit_and_not_before() {
    let mut world = World::new();
    let (mut server, client, endpoint) = world.pair(1);
    let message = Message::words(&[3]).numbered(LANE);
    world.receive(server.thread, 10);
    for attempt in 1..=2 {
        world.call(client.thread, 10, &message);
        let blamed = crash(&mut world, &mut server, endpoint, 3);
        assert_eq!((blamed[IN_HAND], blamed[ATTEMPTS], blamed[REFUSED]), (1, attempt, 0));
        assert_eq!(world.outcome(client.thread), Err(Error::PeerDied));
    }
    world.call(client.thread, 10, &message);
    assert_eq!(crash(&mut world, &mut server, endpoint, 3)[REFUSED], 1);
    assert_eq!(world.outcome(client.thread), Err(Error::Poisoned));
    world.call(client.thread, 10, &Message::words(&[5]).numbered(LANE.next()));
    assert_eq!(world.received(server.thread).words[0], 5, "the next request is served");
    assert_eq!(crash(&mut world, &mut server, endpoint, 3)[ATTEMPTS], 1, "and counts from the start");
}

#[test]
fn answer_between_two_deaths_starts_the_count_anew() {
    // A page was missing, or the result was Pending: the same number runs again, and it is another attempt.
    let mut world = World::new();
    let (mut server, client, endpoint) = world.pair(1);
    let message = Message::words(&[3]).numbered(LANE);
    world.receive(server.thread, 10);
    for _ in 0..4 {
        world.call(client.thread, 10, &message);
        assert_eq!(crash(&mut world, &mut server, endpoint, 2)[ATTEMPTS], 1);
        world.call(client.thread, 10, &message);
        world.reply_receive(server.thread, 10, &Message::words(&[4]));
    }
}

#[test]
fn kept_wait_is_innocent_however_often_its_server_dies() {
    // A shell asleep in read(tty): its Reply is kept, and the request of another kills the server again and again.
    let mut world = World::new();
    let (mut server, client, endpoint) = world.pair(1);
    let sleeper = world.spawn_linux(&Linux { personality: endpoint, lane: LANE.0, ..Linux::default() });
    world.receive(server.thread, 10);
    for round in 0..6 {
        world.linux_call(sleeper.thread, 0, [0; 6], RIP);
        assert_eq!(world.received(server.thread).number, LANE.next().0, "the sleeper's, every time");
        world.run(server.thread, 0, Operation::SetReplySlot, &[12]).unwrap();
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &Message::words(&[round]).numbered(RequestNumber(round << 8)));
        let blamed = crash(&mut world, &mut server, endpoint, 2);
        assert_eq!((blamed[1], blamed[ATTEMPTS]), (round << 8, 1));
        assert_eq!((world.state(sleeper.thread), world.frame(sleeper.thread).rip), (State::Runnable, RIP), "traps again");
    }
}

#[test]
fn kept_request_that_is_taken_up_is_the_one_in_hand() {
    let mut world = World::new();
    let (mut server, client, endpoint) = world.pair(1);
    let sleeper = world.spawn_linux(&Linux { personality: endpoint, badge: 9, lane: LANE.0, ..Linux::default() });
    world.receive(server.thread, 10);
    world.linux_call(sleeper.thread, 0, [0; 6], RIP);
    world.run(server.thread, 0, Operation::SetReplySlot, &[12]).unwrap();
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]).numbered(LANE.with_step(5)));
    assert_eq!(blame(&mut world, &server, 0)[1], LANE.with_step(5).0);
    world.run(server.thread, 11, Operation::TakeUp, &[]).unwrap();
    assert_eq!(blame(&mut world, &server, 0)[1..4], [LANE.next().0, MessageKind::Reflected as u64, 9]);
    world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 0)).unwrap();
    assert_eq!(blame(&mut world, &server, 0), [0; 6], "what was put aside for it is not in hand by itself");
    assert_eq!(world.run(server.thread, 11, Operation::TakeUp, &[]), Err(Error::InvalidHandle));
    assert_eq!(world.run(server.thread, 10, Operation::TakeUp, &[]), Err(Error::WrongKind));
    world.run(server.thread, 12, Operation::TakeUp, &[]).unwrap();
    crash(&mut world, &mut server, endpoint, 2);
    assert_eq!(world.outcome(client.thread), Err(Error::PeerDied));
}

#[test]
fn request_is_in_the_hand_of_one_thread_at_a_time() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let helper = world.spawn_thread(&server);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]).numbered(LANE));
    world.run(helper.thread, 11, Operation::TakeUp, &[]).unwrap();
    assert_eq!((blame(&mut world, &server, 0), blame(&mut world, &helper, 0)[IN_HAND]), ([0; 6], 1));
}

#[test]
fn reflected_request_ends_with_an_error_of_its_own() {
    let mut world = World::new();
    let (mut server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality: endpoint, badge: 9, lane: LANE.0, ..Linux::default() });
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 1, [0; 6], RIP);
    let blamed = crash(&mut world, &mut server, endpoint, 2);
    assert_eq!(blamed, [1, LANE.next().0, MessageKind::Reflected as u64, 9, 1, 0]);
    world.linux_call(program.thread, 1, [0; 6], RIP);
    let blamed = crash(&mut world, &mut server, endpoint, 2);
    assert_eq!((blamed[ATTEMPTS], blamed[REFUSED]), (2, 1));
    let frame = world.frame(program.thread);
    assert_eq!((frame.rax, frame.rip), (-5i64 as u64, RIP + 2), "EIO, behind the instruction");
    world.linux_call(program.thread, 1, [0; 6], RIP + 2);
    assert_eq!(world.received(server.thread).number, LANE.next().next().0);
    assert_eq!(crash(&mut world, &mut server, endpoint, 2)[ATTEMPTS], 1, "the next call counts from the start");
}

#[test]
fn page_fault_that_kills_its_pager_becomes_an_exception() {
    let mut world = World::new();
    let (mut server, _, endpoint) = world.pair(1);
    let faults = world.endpoint();
    let program = world.spawn_linux(&Linux { pager: endpoint, faults, lane: LANE.0, ..Linux::default() });
    world.frame(program.thread).rip = RIP;
    world.receive(server.thread, 10);
    assert!(!world.touch(program.thread, 0x77_0000, true));
    let blamed = crash(&mut world, &mut server, endpoint, 2);
    assert_eq!(blamed[1..5], [LANE.with_step(RequestNumber::FAULT_STEP).0, MessageKind::PageFault as u64, 0, 1]);
    assert!(!world.touch(program.thread, 0x77_0000, true));
    assert_eq!(crash(&mut world, &mut server, endpoint, 2)[REFUSED], 1);
    let handler = world.spawn();
    world.give(&handler, 10, faults, Rights::RECEIVE);
    world.run(handler.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(handler.thread, 10);
    let exception = world.received(handler.thread);
    assert_eq!((exception.kind, exception.words[2]), (Some(MessageKind::Exception), 0x77_0000));
}

#[test]
fn faults_at_different_places_do_not_add_up() {
    let mut world = World::new();
    let (mut server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { pager: endpoint, ..Linux::default() });
    world.receive(server.thread, 10);
    for page in 0..4 {
        assert!(!world.touch(program.thread, 0x77_0000 + page * 0x1000, false));
        assert_eq!(crash(&mut world, &mut server, endpoint, 2)[ATTEMPTS], 1);
    }
}

#[test]
fn exception_that_kills_its_handler_leaves_the_thread_stopped() {
    // The pager declines each time, so the call is a page fault and an exception in turn: still one thing that goes wrong.
    let mut world = World::new();
    let (mut server, _, endpoint) = world.pair(1);
    let program = world.spawn_linux(&Linux { pager: endpoint, faults: endpoint, ..Linux::default() });
    world.receive(server.thread, 10);
    for attempt in 1..=2 {
        assert!(!world.touch(program.thread, 0x77_0000, true));
        world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Decline, 0));
        assert_eq!(world.received(server.thread).kind, Some(MessageKind::Exception));
        assert_eq!(crash(&mut world, &mut server, endpoint, 2)[ATTEMPTS], attempt);
    }
    assert_eq!(world.state(program.thread), State::Stopped);
}

/// A breakpoint's thread stands behind it, and one that steps behind the instruction: neither would raise it again.
#[test]
fn exception_that_came_after_its_instruction_is_told_again_when_its_handler_died() {
    const TRAPS: [u64; 2] = [1, 3];
    for vector in TRAPS {
        let mut world = World::new();
        let (mut server, _, endpoint) = world.pair(1);
        let program = world.spawn_linux(&Linux { pager: endpoint, faults: endpoint, ..Linux::default() });
        world.frame(program.thread).rip = RIP;
        world.receive(server.thread, 10);
        world.exception(program.thread, vector, 0, 0);
        assert_eq!(crash(&mut world, &mut server, endpoint, 2)[ATTEMPTS], 1);
        let message = world.received(server.thread);
        assert_eq!((message.kind, &message.words[..4]), (Some(MessageKind::Exception), &[vector, 0, 0, RIP][..]));
        world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Resume, 0));
        assert_eq!((world.state(program.thread), world.frame(program.thread).rip), (State::Runnable, RIP));
        world.exception(program.thread, 6, 0, 0);
        crash(&mut world, &mut server, endpoint, 2);
        assert_eq!(world.state(program.thread), State::Runnable, "any other one comes again by itself");
    }
}

#[test]
fn endpoint_says_who_waits_at_it() {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    let waits = |world: &mut World| world.ask(0, Operation::Describe, &[u64::from(endpoint)]).unwrap()[3..5].to_vec();
    assert_eq!(waits(&mut world), [0, 0]);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert_eq!(waits(&mut world), [1, 0]);
    world.receive(server.thread, 10);
    assert_eq!(waits(&mut world), [0, 0]);
    world.reply_receive(server.thread, 10, &Message::words(&[4]));
    assert_eq!(waits(&mut world), [0, 1]);
}
