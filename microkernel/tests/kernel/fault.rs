//! Faults and exceptions as messages.

use abi::{Error, FaultAccess, MapFlags, MessageKind, ObjectKind, Operation, ReplyKind, RequestNumber, Rights, ThreadSetting};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

const ADDRESS: u64 = 0x77_0123;
const RIP: u64 = 0x40_0010;

/// A pager (slot 10) that also handles exceptions (slot 12), a faulting program, and both endpoints.
fn paged(world: &mut World) -> (Process, Process, [u32; 2]) {
    let (server, _, pager) = world.pair(1);
    let faults = world.endpoint();
    world.give(&server, 12, faults, Rights::RECEIVE);
    let program = world.spawn_linux(&Linux { pager, faults, badge: 5, lane: RequestNumber::new(2, 7, 1, 0).0, ..Linux::default() });
    world.frame(program.thread).rip = RIP;
    (server, program, [pager, faults])
}

#[test]
fn page_fault_goes_to_the_pager_with_address_access_and_instruction() {
    let mut world = World::new();
    let (server, program, _) = paged(&mut world);
    world.map(&program, 0x10_0000, 1, MapFlags::READ);
    let cases = [
        (4, ADDRESS, 0),
        (4 | 2, ADDRESS, FaultAccess::WRITE),
        (4 | 16, RIP, FaultAccess::EXECUTE),
        (4 | 2 | 1, 0x10_0000, FaultAccess::WRITE | FaultAccess::PRESENT),
    ];
    for (code, address, access) in cases {
        world.receive(server.thread, 10);
        world.exception(program.thread, 14, code, address);
        assert_eq!(world.kernel.current(), Some(server.thread));
        let message = world.received(server.thread);
        assert_eq!((message.kind, &message.words[..3]), (Some(MessageKind::PageFault), &[address, access, RIP][..]));
        assert_eq!((message.badge, message.number), (5, RequestNumber::new(2, 7, 1, RequestNumber::FAULT_STEP).0));
        world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 0)).unwrap();
        assert_eq!((world.state(program.thread), world.frame(program.thread).rip), (State::Runnable, RIP), "the instruction is tried again");
    }
}

#[test]
fn registers_of_a_faulting_thread_are_untouched_by_the_answer() {
    let mut world = World::new();
    let (server, program, _) = paged(&mut world);
    world.frame(program.thread).rax = 1;
    world.frame(program.thread).rdi = 2;
    let before = *world.frame(program.thread);
    world.receive(server.thread, 10);
    world.exception(program.thread, 14, 4, ADDRESS);
    world.reply(server.thread, 11, &Message::words(&[9, 9, 9])).unwrap();
    assert_eq!(*world.frame(program.thread), before);
}

#[test]
fn fault_of_the_first_process_ends_the_machine_and_that_of_another_does_not() {
    let mut world = World::new();
    let orphan = world.spawn_linux(&Linux::default());
    world.exception(orphan.thread, 14, 4, ADDRESS);
    assert_eq!((world.state(orphan.thread), world.kernel.machine.lost), (State::Stopped, None));
    let root = world.root.thread;
    world.frame(root).rip = RIP;
    world.exception(root, 13, 8, 0);
    assert_eq!((world.state(root), world.kernel.machine.lost), (State::Stopped, Some([13, 8, 0, RIP])));
}

#[test]
fn declined_page_fault_becomes_an_exception() {
    let mut world = World::new();
    let (server, program, _) = paged(&mut world);
    world.receive(server.thread, 10);
    world.exception(program.thread, 14, 6, ADDRESS);
    world.reply(server.thread, 11, &Message::answer(ReplyKind::Decline, 0)).unwrap();
    world.receive(server.thread, 12);
    let message = world.received(server.thread);
    assert_eq!((message.kind, &message.words[..4]), (Some(MessageKind::Exception), &[14, 6, ADDRESS, RIP][..]));
    world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 0)).unwrap();
    assert_eq!(world.state(program.thread), State::Runnable);
}

#[test]
fn declined_fault_is_delivered_to_a_fault_handler_that_waits() {
    let mut world = World::new();
    let (server, program, [_, faults]) = paged(&mut world);
    let handler = world.spawn();
    world.give(&handler, 10, faults, Rights::RECEIVE);
    world.run(handler.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
    world.receive(handler.thread, 10);
    world.receive(server.thread, 10);
    world.exception(program.thread, 14, 6, ADDRESS);
    world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Decline, 0));
    assert_eq!(world.received(handler.thread).kind, Some(MessageKind::Exception));
    assert_eq!(world.state(server.thread), State::Receiving);
}

#[test]
fn other_exceptions_go_straight_to_the_fault_endpoint() {
    let mut world = World::new();
    let (server, program, _) = paged(&mut world);
    for (vector, code) in [(0, 0), (3, 0), (6, 0), (13, 0x18), (17, 0)] {
        world.receive(server.thread, 12);
        world.exception(program.thread, vector, code, 0);
        let message = world.received(server.thread);
        assert_eq!((message.kind, &message.words[..4]), (Some(MessageKind::Exception), &[vector, code, 0, RIP][..]));
        world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 0)).unwrap();
    }
}

#[test]
fn without_pager_the_fault_endpoint_hears_of_it_and_without_that_the_thread_stops() {
    let mut world = World::new();
    let (server, _, faults) = world.pair(1);
    let program = world.spawn_linux(&Linux { faults, ..Linux::default() });
    world.receive(server.thread, 10);
    assert!(!world.touch(program.thread, ADDRESS, true));
    assert_eq!(world.received(server.thread).words[..3], [14, 6, ADDRESS]);
    let lonely = world.spawn_linux(&Linux::default());
    assert!(!world.touch(lonely.thread, ADDRESS, true));
    assert_eq!(world.state(lonely.thread), State::Stopped);
}

#[test]
fn destroyed_pager_or_handler_counts_as_none() {
    let mut world = World::new();
    let (pager, faults) = (world.make(ObjectKind::Endpoint, 1), world.make(ObjectKind::Endpoint, 1));
    let program = world.spawn_linux(&Linux { pager: pager.handle, faults: faults.handle, ..Linux::default() });
    world.must(pager.memory, Operation::Reclaim, &[0, 1]);
    // The page becomes an endpoint again: the old binding stays dead.
    let other = u64::from(world.free_slot());
    world.must(pager.memory, Operation::Retype, &[0, ObjectKind::Endpoint as u64, 1, other, 0]);
    assert!(!world.touch(program.thread, ADDRESS, true));
    assert_eq!(world.state(program.thread), State::Calling, "at the fault endpoint");
    assert_eq!(world.ask(faults.memory, Operation::Reclaim, &[0, 1]).map(|[done, ..]| done), Ok(1));
    assert_eq!(world.state(program.thread), State::Stopped);
    world.must(program.handle, Operation::ThreadStart, &[]);
    assert!(!world.touch(program.thread, ADDRESS, true));
    assert_eq!(world.state(program.thread), State::Stopped);
}

#[test]
fn closed_pager_and_closed_handler_pass_the_fault_on() {
    let mut world = World::new();
    let (_, program, [pager, faults]) = paged(&mut world);
    world.must(pager, Operation::SetState, &[2, 0]);
    assert!(!world.touch(program.thread, ADDRESS, true));
    assert_eq!(world.state(program.thread), State::Calling);
    world.must(faults, Operation::SetState, &[2, 0]);
    assert_eq!(world.state(program.thread), State::Stopped);
}

#[test]
fn held_pager_lets_the_fault_wait() {
    let mut world = World::new();
    let (server, program, [pager, _]) = paged(&mut world);
    world.must(pager, Operation::SetState, &[1, 0]);
    assert!(!world.touch(program.thread, ADDRESS, true));
    world.receive(server.thread, 10);
    assert_eq!([program, server].map(|process| world.state(process.thread)), [State::Calling, State::Receiving]);
    world.must(pager, Operation::SetState, &[0, 0]);
    assert_eq!(world.received(server.thread).kind, Some(MessageKind::PageFault));
}

#[test]
fn stopped_while_faulting_tries_again_when_started() {
    let mut world = World::new();
    let (server, program, _) = paged(&mut world);
    let before = *world.frame(program.thread);
    world.receive(server.thread, 10);
    world.exception(program.thread, 14, 4, ADDRESS);
    assert_eq!(world.must(program.handle, Operation::ThreadStop, &[]), 2);
    world.must(program.handle, Operation::ThreadStart, &[]);
    assert_eq!(*world.frame(program.thread), before);
}

#[test]
fn native_thread_faults_under_its_last_request() {
    let mut world = World::new();
    let (server, client, pager) = world.pair(1);
    world.must(client.space, Operation::SetPager, &[u64::from(pager)]);
    let number = RequestNumber::new(4, 2, 9, 3);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[]).numbered(number));
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert!(!world.touch(client.thread, ADDRESS, false));
    assert_eq!(world.received(server.thread).number, number.with_step(RequestNumber::FAULT_STEP).0);
}

#[test]
fn fault_in_an_idle_processor_is_nobodys() {
    let mut world = World::new();
    let (notification, root) = (world.notification(), world.root.thread);
    world.begin(root, notification, Operation::Wait, &[]);
    world.trap(|kernel| kernel.exception(14, 4, ADDRESS));
    world.trap(microkernel::Kernel::system_call);
    assert_eq!(world.kernel.current(), None);
}

#[test]
fn set_pager_refuses_bad_arguments() {
    let mut world = World::new();
    let process = world.spawn();
    let endpoint = world.endpoint();
    let weak = u64::from(world.free_slot());
    world.must(0, Operation::Copy, &[weak, u64::from(endpoint), u64::from(Rights::RECEIVE), 0, 0, 0]);
    let cases: [(&[u64], Error); 4] =
        [(&[weak], Error::MissingRight), (&[5], Error::WrongKind), (&[2999], Error::InvalidHandle), (&[1 << 32], Error::InvalidArgument)];
    super::refused(&mut world, process.space, Operation::SetPager, &cases);
    let settings = [ThreadSetting::FaultEndpoint, ThreadSetting::Personality];
    for setting in settings {
        for (words, error) in cases {
            let configured = world.ask(process.handle, Operation::ThreadConfigure, &[setting as u64, words[0], 0]);
            assert_eq!(configured, Err(error), "{setting:?} {words:x?}");
        }
    }
}
