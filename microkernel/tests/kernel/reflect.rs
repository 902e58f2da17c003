//! Linux programs: `syscall` as a call with raw registers.

use abi::{Error, MessageKind, Operation, ReplyKind, RequestNumber};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

const RIP: u64 = 0x40_0000;
const EIO: u64 = -5i64 as u64;
const LANE: RequestNumber = RequestNumber::new(5, 3, 10, 0);

fn program(world: &mut World) -> (Process, Process, u32) {
    let (server, _, personality) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality, badge: 6, lane: LANE.0, ..Linux::default() });
    (server, program, personality)
}

#[test]
fn registers_arrive_as_they_were() {
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 9, [1, 2, 3, 4, 5, 6], RIP);
    assert_eq!(world.kernel.current(), Some(server.thread));
    let message = world.received(server.thread);
    // rdi rsi rdx r8 r9 r10 rax rip; Linux' fourth argument is r10.
    assert_eq!(message.words, [1, 2, 3, 5, 6, 4, 9, RIP + 2]);
    assert_eq!((message.kind, message.badge, message.number), (Some(MessageKind::Reflected), 6, LANE.next().0));
    assert_eq!(message.sum, LANE.next().0 ^ 14, "all eight, exclusively ored: what a wrong bit would show in");
    assert_eq!((message.label.bytes(), message.label.caps(), message.label.leases()), (64, 0, 0));
}

#[test]
fn answer_sets_rax_and_nothing_else() {
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 9, [1, 2, 3, 4, 5, 6], RIP);
    let before = *world.frame(program.thread);
    world.reply_receive(server.thread, 10, &Message { words: vec![77, !77, 8, 8, 8, 8, 8, 8], ..Message::answer(ReplyKind::Resume, 0) });
    assert_eq!(world.kernel.current(), Some(program.thread));
    assert_eq!(*world.frame(program.thread), abi::Frame { rax: 77, ..before });
}

#[test]
fn answer_with_a_wrong_bit_is_refused_and_the_call_waits_for_another() {
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 9, [0; 6], RIP);
    for word in 0..2 {
        let mut answer = Message::answer(ReplyKind::Resume, 77);
        answer.words[word] ^= 1 << 40;
        assert_eq!(world.reply(server.thread, 11, &answer), Err(Error::InvalidArgument));
        assert_eq!(world.thread(program.thread).state(), State::AwaitingReply);
    }
    world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 77)).unwrap();
    assert_eq!(world.frame(program.thread).rax, 77);
}

#[test]
fn answer_that_set_the_frame_leaves_rax_too() {
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 9, [0; 6], RIP);
    world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Frame, 77));
    assert_eq!(world.frame(program.thread).rax, 9);
}

#[test]
fn each_call_has_the_next_number_of_its_lane() {
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    let mut number = LANE;
    for _ in 0..3 {
        world.receive(server.thread, 10);
        world.linux_call(program.thread, 9, [0; 6], RIP);
        number = number.next();
        assert_eq!(world.received(server.thread).number, number.0);
        world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 0)).unwrap();
    }
}

#[test]
fn program_names_no_capability() {
    // What would be a system call of a native thread is a message like any other.
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    for operation in Operation::SLOW.into_iter().chain([Operation::Call, Operation::ReplyReceive]) {
        world.receive(server.thread, 10);
        let rax = u64::from(abi::Control::new(operation, 4).0);
        world.linux_call(program.thread, rax, [4; 6], RIP);
        let message = world.received(server.thread);
        assert_eq!((message.kind, message.words[6]), (Some(MessageKind::Reflected), rax));
        world.reply(server.thread, 11, &Message::answer(ReplyKind::Resume, 0)).unwrap();
    }
}

#[test]
fn without_personality_the_program_stops_at_its_first_call() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    world.linux_call(program.thread, 9, [0; 6], RIP);
    assert_eq!(world.state(program.thread), State::Stopped);
}

#[test]
fn closed_personality_answers_eio() {
    let mut world = World::new();
    let (_, program, personality) = program(&mut world);
    let second = world.spawn_linux(&Linux { personality, ..Linux::default() });
    world.linux_call(second.thread, 9, [0; 6], RIP);
    world.must(personality, Operation::SetState, &[2, 0]);
    world.linux_call(program.thread, 9, [0; 6], RIP);
    for thread in [program.thread, second.thread] {
        assert_eq!((world.state(thread), world.frame(thread).rax, world.frame(thread).rip), (State::Runnable, EIO, RIP + 2));
    }
}

#[test]
fn personality_moves_its_program_to_another_space_in_the_middle_of_a_call() {
    // exec: the new space is built aside, and setting it is the commit.
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    let fresh = world.space();
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 59, [0; 6], RIP);
    world.configure(program.handle, abi::ThreadSetting::Space, u64::from(fresh));
    world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Frame, 0));
    assert_eq!(world.kernel.current(), Some(program.thread));
    while world.must(program.space, Operation::Dismantle, &[]) != 0 {}
}

#[test]
fn long_answer_to_a_program_is_only_its_first_word() {
    let mut world = World::new();
    let (server, program, _) = program(&mut world);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 9, [0; 6], RIP);
    let before = world.message_page(program.thread).to_vec();
    world.message_page(server.thread).fill(7);
    world.reply(server.thread, 11, &Message { label: abi::Label::new(2000), words: vec![3, !3], ..Message::default() }).unwrap();
    assert_eq!(world.frame(program.thread).rax, 3);
    assert_eq!(world.message_page(program.thread)[..], before[..]);
}
