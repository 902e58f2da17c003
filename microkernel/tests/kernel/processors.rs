//! Several processors: where threads run, how they meet across, and what one does for another.

use abi::{EndpointState, Error, MapFlags, Operation, ReplyKind, Rights, ThreadSetting};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::fault::PAGE_FAULT;
use microkernel::thread::{DEFAULT_SLICE, State};

use crate::fpu::compute;

const BASE: u64 = 0x10_0000;

/// A server and a client, each on the processor that is named.
fn pair_on(world: &mut World, server: u64, client: u64) -> (Process, Process, u32) {
    let (first, second, endpoint) = world.pair(7);
    world.place(first.handle, server);
    world.place(second.handle, client);
    (first, second, endpoint)
}

/// A process whose thread runs on the second processor, in a space that has tables.
fn elsewhere(world: &mut World) -> Process {
    let process = world.spawn();
    world.map(&process, 0x40_0000, 1, 0);
    world.place(process.handle, 1);
    assert_eq!(world.kernel.current_at(1), Some(process.thread));
    process
}

/// The same at another priority.
fn elsewhere_at(world: &mut World, priority: u64) -> Process {
    let process = world.spawn();
    world.configure(process.handle, ThreadSetting::Priority, priority);
    world.place(process.handle, 1);
    process
}

/// Nobody runs on a processor but who is placed there afterwards.
fn root_waits(world: &mut World) -> u32 {
    let notification = world.notification();
    let root = world.root.thread;
    world.begin(root, notification, Operation::Wait, &[]);
    notification
}

#[test]
fn threads_run_where_they_are_placed_at_the_same_time() {
    let mut world = World::with_processors(3);
    let processes = [0, 1, 2].map(|processor| {
        let process = world.spawn();
        world.place(process.handle, processor as u64);
        process
    });
    let root = world.root.thread;
    world.switch_to(root);
    root_waits(&mut world);
    for (index, process) in processes.iter().enumerate() {
        assert_eq!(world.kernel.current_at(index), Some(process.thread));
    }
}

#[test]
fn thread_is_placed_only_while_it_is_stopped_or_awaits_a_reply_and_only_where_there_is_a_processor() {
    let mut world = World::with_processors(2);
    let (server, client, _) = world.pair(7);
    let place = |world: &mut World, process: &Process, processor: u64| {
        world.ask(process.handle, Operation::ThreadConfigure, &[ThreadSetting::Processor as u64, processor]).map(|_| ())
    };
    assert_eq!(place(&mut world, &client, 1), Err(Error::WrongState));
    world.receive(server.thread, 10);
    assert_eq!(place(&mut world, &server, 1), Err(Error::WrongState), "it is on an endpoint's list");
    world.call(client.thread, 10, &Message::words(&[1]));
    assert_eq!(place(&mut world, &client, 1), Ok(()));
    world.must(server.handle, Operation::ThreadStop, &[]);
    for wrong in [2, 7, 255, 256, 1 << 63] {
        assert_eq!(place(&mut world, &server, wrong), Err(Error::InvalidArgument), "{wrong}");
    }
    assert_eq!(place(&mut world, &server, 1), Ok(()));
}

#[test]
fn call_goes_across_and_the_answer_comes_back() {
    for (serves, calls) in [(0, 1), (1, 0), (1, 1), (1, 2)] {
        let mut world = World::with_processors(3);
        let (server, client, _) = pair_on(&mut world, serves, calls);
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &Message::words(&[11, 22]));
        let message = world.received(server.thread);
        assert_eq!((message.words[..2].to_vec(), message.badge), (vec![11, 22], 7));
        assert_eq!(world.state(client.thread), State::AwaitingReply);
        world.reply_receive(server.thread, 10, &Message::words(&[33]));
        assert_eq!(world.outcome(client.thread).unwrap()[0], 33);
        world.switch_to(client.thread);
        assert_eq!(world.processor() as u64, calls, "each stays where it belongs");
    }
}

#[test]
fn caller_that_waits_in_the_queue_is_taken_by_a_receiver_of_another_processor() {
    let mut world = World::with_processors(2);
    let (server, client, _) = pair_on(&mut world, 0, 1);
    world.call(client.thread, 10, &Message::words(&[5]));
    assert_eq!((world.state(client.thread), world.kernel.current_at(1)), (State::Calling, None));
    world.receive(server.thread, 10);
    assert_eq!(world.received(server.thread).words[0], 5);
}

#[test]
fn receiver_of_the_callers_own_processor_is_preferred() {
    let mut world = World::with_processors(2);
    let (server, client, _) = pair_on(&mut world, 0, 1);
    let other = world.spawn_thread(&server);
    world.run(other.thread, 0, Operation::SetReplySlot, &[12]).unwrap();
    world.place(other.handle, 1);
    world.receive(other.thread, 10);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[5]));
    assert_eq!((world.state(server.thread), world.kernel.current_at(1)), (State::Receiving, Some(other.thread)));
    world.reply_receive(other.thread, 10, &Message::words(&[6]));
    assert_eq!(world.kernel.current_at(1), Some(client.thread));
}

#[test]
fn receiver_that_follows_comes_to_its_caller_and_the_next_one() {
    let mut world = World::with_processors(3);
    let (server, client, endpoint) = pair_on(&mut world, 0, 1);
    let other = world.spawn();
    world.give(&other, 10, endpoint, Rights::CALL);
    world.place(other.handle, 2);
    world.place(server.handle, abi::ANY_PROCESSOR);
    world.receive(server.thread, 10);
    for caller in [client, other, other, client] {
        world.call(caller.thread, 10, &Message::words(&[1]));
        let processor = world.processor();
        assert_eq!(world.kernel.current_at(processor), Some(server.thread), "nobody else was interrupted");
        world.reply_receive(server.thread, 10, &Message::words(&[2]));
        assert_eq!(world.kernel.current_at(processor), Some(caller.thread));
        assert_eq!(world.outcome(caller.thread).unwrap()[0], 2);
    }
}

#[test]
fn receiver_follows_only_while_it_is_said_to_and_never_with_registers_in_the_fpu() {
    let mut world = World::with_processors(2);
    let (server, client, _) = pair_on(&mut world, 0, 1);
    for (setting, flags, home) in [(abi::ANY_PROCESSOR, abi::thread_flags::FPU, true), (abi::ANY_PROCESSOR, 0, false), (0, 0, true)] {
        world.must(server.handle, Operation::ThreadStop, &[]);
        world.configure(server.handle, ThreadSetting::Flags, flags);
        world.configure(server.handle, ThreadSetting::Processor, setting);
        world.must(server.handle, Operation::ThreadStart, &[]);
        world.receive(server.thread, 10);
        world.call(client.thread, 10, &Message::words(&[1]));
        assert_eq!(world.thread(server.thread).cpu == 0, home);
        world.reply_receive(server.thread, 10, &Message::words(&[2]));
        assert_eq!(world.outcome(client.thread).unwrap()[0], 2);
    }
}

#[test]
fn tickets_of_two_processors_are_never_the_same() {
    let mut world = World::with_processors(2);
    let (server, client, _) = pair_on(&mut world, 0, 0);
    let ticket = |world: &mut World| world.slot(&server, 11).epoch;
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    let first = ticket(&mut world);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    world.place(client.handle, 1);
    world.call(client.thread, 10, &Message::words(&[1]));
    assert!(ticket(&mut world) >> 56 == 1 && first >> 56 == 0);
}

#[test]
fn callers_on_other_processors_are_told_when_the_instance_dies() {
    let mut world = World::with_processors(2);
    let (server, client, endpoint) = pair_on(&mut world, 0, 1);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    world.must(endpoint, Operation::SetState, &[EndpointState::Held as u64, 0]);
    world.must(server.handle, Operation::ThreadStop, &[]);
    world.must(server.table, Operation::Kill, &[]);
    assert_eq!(world.outcome(client.thread), Err(Error::PeerDied));
    assert_eq!(world.kernel.current_at(1), Some(client.thread));
}

#[test]
fn linux_call_and_fault_go_across() {
    let mut world = World::with_processors(2);
    let (server, _, endpoint) = world.pair(7);
    let program = world.spawn_linux(&Linux { personality: endpoint, pager: endpoint, badge: 9, ..Linux::default() });
    world.place(program.handle, 1);
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 39, [0; 6], 0x40_0000);
    assert_eq!(world.received(server.thread).badge, 9);
    world.reply_receive(server.thread, 10, &Message::answer(ReplyKind::Resume, 1234));
    assert_eq!(world.frame(program.thread).rax, 1234);
    world.exception(program.thread, PAGE_FAULT, 4, BASE);
    assert_eq!(world.received(server.thread).words[0], BASE);
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.kernel.current_at(1), Some(program.thread));
}

#[test]
fn thread_that_runs_on_another_processor_is_stopped_there() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    assert_eq!(world.must(process.handle, Operation::ThreadStop, &[]), 1, "it was running");
    assert_eq!((world.state(process.thread), world.kernel.current_at(1)), (State::Stopped, None));
    assert_eq!(world.must(process.handle, Operation::ThreadStop, &[]), 0, "that is told once");
    world.must(process.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.kernel.current_at(1), Some(process.thread));
}

#[test]
fn stop_waits_for_what_the_thread_has_begun() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let notification = world.notification();
    world.give(&process, 20, notification, Rights::ALL);
    world.late = true;
    let root = world.root.thread;
    world.prepare_syscall(root, abi::Control::new(Operation::ThreadStop, process.handle), abi::Label::default(), &[], 0);
    assert!(world.execute_syscall(root), "root comes again");
    // The other processor was on its way into the kernel when it was interrupted.
    world.begin(process.thread, 20, Operation::Wait, &[]);
    assert_eq!(world.state(process.thread), State::Waiting, "it does what it had begun");
    world.play_on(0);
    assert!(!world.execute_syscall(root));
    assert_eq!(world.outcome(root).unwrap()[0], 3, "it was waiting");
    assert_eq!(world.state(process.thread), State::Stopped);
}

#[test]
fn thread_that_runs_on_another_processor_can_be_reclaimed() {
    let mut world = World::with_processors(2);
    let (table, space) = (world.make(abi::ObjectKind::CapTable, 1).handle, world.space());
    let made = world.make(abi::ObjectKind::Thread, 1);
    for (setting, value) in [(ThreadSetting::Space, space), (ThreadSetting::Table, table), (ThreadSetting::Processor, 1)] {
        world.configure(made.handle, setting, u64::from(value));
    }
    world.must(made.handle, Operation::ThreadStart, &[]);
    assert!(world.kernel.current_at(1).is_some());
    assert_eq!(world.must(made.memory, Operation::Reclaim, &[0, 1]), 1);
    assert_eq!(world.kernel.current_at(1), None);
}

#[test]
fn payer_that_goes_is_replaced_where_somebody_worked_for_it() {
    let mut world = World::with_processors(2);
    let (server, _, endpoint) = pair_on(&mut world, 1, 0);
    let (table, space) = (world.make(abi::ObjectKind::CapTable, 1).handle, world.space());
    let made = world.make(abi::ObjectKind::Thread, 1);
    for (setting, value) in [(ThreadSetting::Space, space), (ThreadSetting::Table, table)] {
        world.configure(made.handle, setting, u64::from(value));
    }
    world.configure(made.handle, ThreadSetting::Priority, 10);
    let caller = Process { table, space, handle: made.handle, thread: world.object(made.handle) };
    world.give(&caller, 10, endpoint, Rights::CALL);
    world.must(made.handle, Operation::ThreadStart, &[]);
    world.receive(server.thread, 10);
    world.call(caller.thread, 10, &Message::words(&[1]));
    assert_eq!(world.kernel.current_at(1), Some(server.thread));
    let equal = world.spawn();
    world.place(equal.handle, 1);
    // The caller's slice ends while the server works for it, and then the caller goes.
    world.advance(DEFAULT_SLICE * 2);
    assert_eq!(world.kernel.current_at(1), Some(server.thread));
    assert_eq!(world.must(made.memory, Operation::Reclaim, &[0, 1]), 1);
    world.advance(DEFAULT_SLICE * 2);
    assert_eq!(world.kernel.current_at(1), Some(equal.thread), "the server's own slice ends");
    world.reply_receive(server.thread, 10, &Message::words(&[]));
    assert_eq!(world.state(server.thread), State::Receiving);
}

#[test]
fn registers_of_the_fpu_follow_a_thread_to_another_processor() {
    let mut world = World::with_processors(2);
    let [a, b] = [0; 2].map(|_| world.spawn_linux(&Linux::default()));
    assert_eq!(compute(&mut world, a.thread, 11), 0);
    world.place(a.handle, 1);
    assert_eq!(compute(&mut world, a.thread, 12), 11);
    world.place(b.handle, 1);
    assert_eq!(compute(&mut world, b.thread, 21), 0);
    assert_eq!(compute(&mut world, a.thread, 13), 12);
    world.place(a.handle, 0);
    assert_eq!(compute(&mut world, a.thread, 14), 13, "stored by the processor that had them");
}

#[test]
fn frame_has_what_another_processors_fpu_holds() {
    let mut world = World::with_processors(2);
    let program = world.spawn_linux(&Linux::default());
    world.place(program.handle, 1);
    compute(&mut world, program.thread, 0x1234);
    let root = world.root.thread;
    world.must(program.handle, Operation::ThreadStop, &[]);
    world.must(program.handle, Operation::GetFrame, &[]);
    let page = world.message_page(root);
    assert_eq!((page[160], page[192..194].to_vec()), (1, vec![0x34, 0x12]));
}

#[test]
fn other_processor_forgets_what_was_unmapped() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let memory = world.map(&process, BASE, 2, MapFlags::WRITE);
    assert!(world.touch(process.thread, BASE, true) && world.touch(process.thread, BASE + 0x1000, false));
    assert_eq!(world.must(process.space, Operation::Unmap, &[BASE, 1]), 1);
    assert!(world.touch(process.thread, BASE + 0x1000, false), "what is still mapped is walked to again");
    assert_eq!(world.must(memory, Operation::Reclaim, &[0, 1]), 1);
    assert!(!world.touch(process.thread, BASE, false));
}

#[test]
fn other_processor_writes_no_more_where_that_was_taken_away() {
    let mut world = World::with_processors(2);
    let (process, child) = (elsewhere(&mut world), world.space());
    world.map(&process, BASE, 2, MapFlags::WRITE);
    for page in [BASE, BASE + 0x1000] {
        assert!(world.touch(process.thread, page, true));
    }
    world.must(process.space, Operation::Protect, &[BASE, 1, MapFlags::READ]);
    assert!(world.touch(process.thread, BASE, false) && !world.touch(process.thread, BASE, true));
    world.must(process.handle, Operation::ThreadStop, &[]);
    world.must(process.handle, Operation::ThreadStart, &[]);
    assert!(world.touch(process.thread, BASE + 0x1000, true));
    world.must(child, Operation::Clone, &[BASE, u64::from(process.space), BASE, 2, 0]);
    assert!(!world.touch(process.thread, BASE + 0x1000, true), "copy-on-write");
}

#[test]
fn idle_processor_leaves_the_space_that_it_has_loaded_when_that_is_taken_apart() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    world.map(&process, BASE, 1, 0);
    assert!(world.touch(process.thread, BASE, false));
    world.must(process.handle, Operation::ThreadStop, &[]);
    world.play_on(1);
    assert!(world.kernel.machine.core().root.is_some(), "nobody else needed the processor");
    let other = world.space();
    world.configure(process.handle, ThreadSetting::Space, u64::from(other));
    while world.must(process.space, Operation::Dismantle, &[]) != 0 {}
    world.play_on(1);
    assert_eq!(world.kernel.machine.core().root, None);
}

#[test]
fn deadline_wakes_on_the_processor_that_set_it_and_can_be_cancelled_from_another() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let notification = world.notification();
    world.give(&process, 20, notification, Rights::ALL);
    let at = world.kernel.machine.time + 70;
    world.run(process.thread, 20, Operation::Deadline, &[at]).unwrap();
    world.begin(process.thread, 20, Operation::Wait, &[]);
    assert_eq!((world.kernel.current_at(1), world.kernel.machine.core().timer), (None, Some(at)));
    world.advance(70);
    assert_eq!(world.kernel.current_at(1), Some(process.thread));
    world.run(process.thread, 20, Operation::Deadline, &[at + 1000]).unwrap();
    world.begin(process.thread, 20, Operation::Wait, &[]);
    world.must(notification, Operation::Deadline, &[0]);
    world.advance(5000);
    assert_eq!(world.kernel.current_at(1), None, "nobody waits for that time any more");
}

#[test]
fn signal_and_interrupt_wake_a_thread_of_another_processor() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let notification = world.notification();
    world.give(&process, 20, notification, Rights::ALL);
    world.begin(process.thread, 20, Operation::Wait, &[]);
    world.must(notification, Operation::Signal, &[4]);
    assert_eq!((world.kernel.current_at(1), world.words(process.thread)[0]), (Some(process.thread), 4));
    world.must(abi::boot_slot::IRQS, Operation::IrqBind, &[3, u64::from(notification), 8]);
    world.begin(process.thread, 20, Operation::Wait, &[]);
    world.raise(3);
    assert_eq!((world.kernel.current_at(1), world.words(process.thread)[0]), (Some(process.thread), 8));
}

#[test]
fn more_important_thread_takes_another_processor_over_and_a_less_important_one_does_not() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let other = world.spawn_thread(&process);
    world.must(other.handle, Operation::ThreadStop, &[]);
    for (priority, runs, interrupts) in [(9, process.thread, 0), (11, other.thread, 1)] {
        world.configure(other.handle, ThreadSetting::Processor, 1);
        world.configure(other.handle, ThreadSetting::Priority, priority);
        let before = world.kernel.machine.meter.ipis;
        world.must(other.handle, Operation::ThreadStart, &[]);
        assert_eq!(world.kernel.current_at(1), Some(runs));
        assert_eq!(world.kernel.machine.meter.ipis - before, interrupts, "who does not take over interrupts nobody");
        world.must(other.handle, Operation::ThreadStop, &[]);
    }
    world.must(other.handle, Operation::ThreadStart, &[]);
    world.configure(other.handle, ThreadSetting::Priority, 9);
    assert_eq!(world.kernel.current_at(1), Some(process.thread), "it was made less important where it ran");
}

#[test]
fn slice_of_a_thread_ends_when_an_equal_one_comes_from_another_processor() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let other = world.spawn_thread(&process);
    world.play_on(1);
    assert_eq!(world.kernel.machine.core().timer, None, "alone, it runs without a timer");
    world.place(other.handle, 1);
    world.play_on(1);
    let end = world.kernel.machine.core().timer.expect("an equal thread waits");
    world.advance(end.saturating_sub(world.kernel.machine.time));
    assert_eq!(world.kernel.current_at(1), Some(other.thread));
}

#[test]
fn priority_of_a_payer_counts_where_somebody_works_for_it() {
    let mut world = World::with_processors(2);
    let (server, client, _) = pair_on(&mut world, 1, 0);
    let other = elsewhere_at(&mut world, 9);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[1]));
    world.play_on(1);
    assert_eq!((world.kernel.current_at(1), world.kernel.machine.core().timer), (Some(server.thread), None));
    world.configure(client.handle, ThreadSetting::Priority, 9);
    world.play_on(1);
    assert!(world.kernel.machine.core().timer.is_some(), "{other:?} is as important as who pays");
}

#[test]
fn counters_have_what_a_thread_consumes_on_another_processor() {
    let mut world = World::with_processors(2);
    let process = elsewhere(&mut world);
    let before = world.must(process.handle, Operation::Counters, &[]);
    world.advance(1_000);
    assert_eq!(world.must(process.handle, Operation::Counters, &[]) - before, 1_000);
}
