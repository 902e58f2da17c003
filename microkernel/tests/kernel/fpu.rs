//! The FPU: one owner, everybody else traps.

use abi::{MessageKind, Operation, ThreadSetting, thread_flags};
use microkernel::fake::{Linux, World};
use microkernel::thread::State;

const DEVICE_NOT_AVAILABLE: u64 = 7;

/// The thread executes an FPU instruction that leaves `value` in the registers.
pub(super) fn compute(world: &mut World, thread: microkernel::page::Ref<microkernel::thread::Thread>, value: u64) -> u64 {
    world.switch_to(thread);
    if world.kernel.machine.core().fpu_trap {
        world.exception(thread, DEVICE_NOT_AVAILABLE, 0, 0);
    }
    assert!(!world.kernel.machine.core().fpu_trap, "the instruction is tried again and works");
    core::mem::replace(&mut world.kernel.machine.core_mut().fpu, value)
}

#[test]
fn first_use_finds_the_initial_state() {
    let mut world = World::new();
    world.kernel.machine.core_mut().fpu = 0xdead;
    let program = world.spawn_linux(&Linux::default());
    assert_eq!(compute(&mut world, program.thread, 1), 0, "nothing that somebody left there");
}

#[test]
fn state_follows_its_thread() {
    let mut world = World::new();
    let (a, b) = (world.spawn_linux(&Linux::default()), world.spawn_linux(&Linux::default()));
    assert_eq!(compute(&mut world, a.thread, 11), 0);
    assert_eq!(compute(&mut world, b.thread, 22), 0);
    assert_eq!(compute(&mut world, a.thread, 33), 11);
    assert_eq!(compute(&mut world, b.thread, 44), 22);
}

#[test]
fn trap_is_set_whenever_the_owner_does_not_run() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    compute(&mut world, program.thread, 1);
    let root = world.root.thread;
    world.switch_to(root);
    assert!(world.kernel.machine.core().fpu_trap, "a soft-float thread could read the registers");
    let moves = world.kernel.machine.core().fpu_moves;
    world.switch_to(program.thread);
    assert!(!world.kernel.machine.core().fpu_trap);
    assert_eq!(world.kernel.machine.core().fpu_moves, moves, "the owner comes back for free");
}

#[test]
fn thread_without_fpu_gets_an_exception() {
    let mut world = World::new();
    let (server, client, faults) = world.pair(1);
    let native = world.idle_thread(client.table, client.space);
    world.configure(native.handle, ThreadSetting::FaultEndpoint, u64::from(faults));
    world.must(native.handle, Operation::ThreadStart, &[]);
    world.receive(server.thread, 10);
    world.exception(native.thread, DEVICE_NOT_AVAILABLE, 0, 0);
    let message = world.received(server.thread);
    assert_eq!((message.kind, message.words[0]), (Some(MessageKind::Exception), DEVICE_NOT_AVAILABLE));
    assert!(world.kernel.machine.core().fpu_trap);
}

#[test]
fn frame_holds_the_state_of_a_thread_that_is_still_the_owner() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    compute(&mut world, program.thread, 0x1234);
    let root = world.root.thread;
    world.must(program.handle, Operation::ThreadStop, &[]);
    world.must(program.handle, Operation::GetFrame, &[]);
    let page = world.message_page(root);
    assert_eq!((page[160], page[192..194].to_vec()), (1, vec![0x34, 0x12]));
}

#[test]
fn frame_of_a_thread_that_never_computed_has_no_state() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    let root = world.root.thread;
    world.must(program.handle, Operation::ThreadStop, &[]);
    world.must(program.handle, Operation::GetFrame, &[]);
    assert_eq!(world.message_page(root)[160], 0);
}

#[test]
fn state_that_is_set_is_what_the_thread_finds() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    compute(&mut world, program.thread, 1);
    let root = world.root.thread;
    world.must(program.handle, Operation::ThreadStop, &[]);
    world.must(program.handle, Operation::GetFrame, &[]);
    world.message_page(root)[192] = 99;
    world.must(program.handle, Operation::SetFrame, &[]);
    world.must(program.handle, Operation::ThreadStart, &[]);
    assert_eq!(compute(&mut world, program.thread, 5), 99);
    // A frame without state leaves what was there.
    world.must(program.handle, Operation::ThreadStop, &[]);
    world.must(program.handle, Operation::GetFrame, &[]);
    world.message_page(root)[160] = 0;
    world.message_page(root)[192] = 77;
    world.must(program.handle, Operation::SetFrame, &[]);
    world.must(program.handle, Operation::ThreadStart, &[]);
    assert_eq!(compute(&mut world, program.thread, 6), 5);
}

#[test]
fn soft_float_thread_cannot_be_given_state() {
    let mut world = World::new();
    let native = world.spawn();
    let root = world.root.thread;
    world.must(native.handle, Operation::ThreadStop, &[]);
    world.must(native.handle, Operation::GetFrame, &[]);
    world.message_page(root)[160] = 1;
    world.message_page(root)[192] = 99;
    world.must(native.handle, Operation::SetFrame, &[]);
    world.must(native.handle, Operation::GetFrame, &[]);
    assert_eq!(world.message_page(root)[160], 0);
}

#[test]
fn thread_that_loses_the_fpu_traps_and_finds_nothing_when_it_gets_it_back() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    compute(&mut world, program.thread, 0x55);
    world.must(program.handle, Operation::ThreadStop, &[]);
    world.configure(program.handle, ThreadSetting::Flags, thread_flags::REFLECT);
    world.must(program.handle, Operation::ThreadStart, &[]);
    world.switch_to(program.thread);
    assert!(world.kernel.machine.core().fpu_trap);
    world.exception(program.thread, DEVICE_NOT_AVAILABLE, 0, 0);
    assert_eq!(world.state(program.thread), State::Stopped);
    world.configure(program.handle, ThreadSetting::Flags, thread_flags::REFLECT | thread_flags::FPU);
    world.must(program.handle, Operation::ThreadStart, &[]);
    assert_eq!(compute(&mut world, program.thread, 1), 0);
}

#[test]
fn destroyed_owner_leaves_nothing_behind() {
    let mut world = World::new();
    let (made, space) = (world.make(abi::ObjectKind::Thread, 1), world.space());
    world.configure(made.handle, ThreadSetting::Space, u64::from(space));
    world.configure(made.handle, ThreadSetting::Flags, thread_flags::REFLECT | thread_flags::FPU);
    world.configure(made.handle, ThreadSetting::Priority, 10);
    world.must(made.handle, Operation::ThreadStart, &[]);
    let thread = world.object(made.handle);
    compute(&mut world, thread, 0x55);
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    let page = world.must(made.memory, Operation::PhysicalAddress, &[0]) / 4096;
    assert!(world.page(page as u32).iter().all(|byte| *byte == 0));
    let other = world.spawn_linux(&Linux::default());
    assert_eq!(compute(&mut world, other.thread, 1), 0);
    assert!(world.page(page as u32).iter().all(|byte| *byte == 0), "nothing was stored into the page that is memory again");
}
