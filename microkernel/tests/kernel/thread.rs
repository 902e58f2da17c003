//! Threads: configuring, starting, stopping, kicking, their frames.

use abi::{Error, ObjectKind, Operation, ThreadSetting, USER_END, thread_flags};
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::thread::State;

use super::refused;

fn set(world: &mut World, process: &Process, setting: ThreadSetting, value: u64) -> Result<(), Error> {
    world.ask(process.handle, Operation::ThreadConfigure, &[setting as u64, value, 0]).map(|_| ())
}

/// Puts a word into root's message page, at the index that it has in a frame.
fn put(world: &mut World, index: usize, value: u64) {
    let root = world.root.thread;
    world.message_page(root)[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn settings_refuse_bad_values() {
    let mut world = World::new();
    let process = world.spawn();
    world.must(process.handle, Operation::ThreadStop, &[]);
    let memory = world.pages(1);
    let read_only = u64::from(world.lend(memory, 0, 1, abi::Rights::READ));
    let cases = [
        (ThreadSetting::Space, u64::from(process.table), Error::WrongKind),
        (ThreadSetting::Space, 2999, Error::InvalidHandle),
        (ThreadSetting::Space, 1 << 32, Error::InvalidArgument),
        (ThreadSetting::Table, u64::from(process.space), Error::WrongKind),
        (ThreadSetting::Table, 1 << 32, Error::InvalidArgument),
        (ThreadSetting::Vault, u64::from(process.space), Error::WrongKind),
        (ThreadSetting::MessagePage, read_only, Error::MissingRight),
        (ThreadSetting::MessagePage, u64::from(process.space), Error::WrongKind),
        (ThreadSetting::MessagePage, 1 << 32, Error::InvalidArgument),
        (ThreadSetting::Priority, 32, Error::InvalidArgument),
        (ThreadSetting::Priority, 256, Error::InvalidArgument),
        (ThreadSetting::Flags, 4, Error::InvalidArgument),
        (ThreadSetting::Flags, 256, Error::InvalidArgument),
        (ThreadSetting::Slice, 0, Error::InvalidArgument),
    ];
    for (setting, value, error) in cases {
        assert_eq!(set(&mut world, &process, setting, value), Err(error), "{setting:?} {value:#x}");
    }
    refused(
        &mut world,
        process.handle,
        Operation::ThreadConfigure,
        &[
            (&[11, 1], Error::InvalidArgument),
            (&[12, 0], Error::InvalidArgument),
            (&[u64::MAX, 0], Error::InvalidArgument),
            (&[ThreadSetting::MessagePage as u64, u64::from(memory), 1], Error::InvalidArgument),
        ],
    );
}

#[test]
fn what_a_running_thread_stands_on_is_not_changed() {
    let mut world = World::new();
    let process = world.spawn();
    let (table, space, memory) = (world.make(ObjectKind::CapTable, 1).handle, world.space(), world.pages(1));
    for (setting, value) in [
        (ThreadSetting::Space, space),
        (ThreadSetting::Table, table),
        (ThreadSetting::Vault, table),
        (ThreadSetting::MessagePage, memory),
        (ThreadSetting::Flags, 1),
    ] {
        assert_eq!(set(&mut world, &process, setting, u64::from(value)), Err(Error::WrongState), "{setting:?}");
    }
    for (setting, value) in [(ThreadSetting::Badge, 9), (ThreadSetting::Lane, 9), (ThreadSetting::Slice, 9)] {
        set(&mut world, &process, setting, value).unwrap();
    }
}

#[test]
fn start_needs_a_space_and_a_table() {
    let mut world = World::new();
    let thread = world.make(ObjectKind::Thread, 1).handle;
    let (table, space) = (world.make(ObjectKind::CapTable, 1).handle, world.space());
    assert_eq!(world.ask(thread, Operation::ThreadStart, &[]), Err(Error::WrongState));
    world.configure(thread, ThreadSetting::Space, u64::from(space));
    assert_eq!(world.ask(thread, Operation::ThreadStart, &[]), Err(Error::WrongState));
    world.configure(thread, ThreadSetting::Flags, thread_flags::REFLECT);
    world.must(thread, Operation::ThreadStart, &[]);
    world.must(thread, Operation::ThreadStop, &[]);
    world.configure(thread, ThreadSetting::Flags, 0);
    assert_eq!(world.ask(thread, Operation::ThreadStart, &[]), Err(Error::WrongState), "a program's thread has no table");
    world.configure(thread, ThreadSetting::Table, u64::from(table));
    world.must(thread, Operation::ThreadStart, &[]);
    assert_eq!(world.ask(thread, Operation::ThreadStart, &[]), Err(Error::WrongState), "it runs already");
}

#[test]
fn stop_tells_what_the_thread_did() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let notification = world.notification();
    world.give(&client, 20, notification, 0xff);
    let stop = |world: &mut World, process: &Process| world.must(process.handle, Operation::ThreadStop, &[]);
    assert_eq!(stop(&mut world, &client), 1);
    assert_eq!(stop(&mut world, &client), 0);
    world.must(client.handle, Operation::ThreadStart, &[]);
    world.begin(client.thread, 20, Operation::Wait, &[]);
    assert_eq!(stop(&mut world, &client), 3);
    world.must(client.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked));
    world.must(notification, Operation::Signal, &[1]);
    assert_eq!(world.run(client.thread, 20, Operation::Poll, &[]).unwrap()[0], 1, "the bits are not lost on a thread that waits no more");
    world.receive(server.thread, 10);
    assert_eq!(stop(&mut world, &server), 3);
    world.call(client.thread, 10, &Message::words(&[]));
    assert_eq!(stop(&mut world, &client), 2);
    world.must(client.handle, Operation::ThreadStart, &[]);
    assert_eq!(world.outcome(client.thread), Err(Error::Kicked), "a call that was given up is an error");
}

#[test]
fn stopped_program_keeps_its_registers_and_goes_back_to_its_call() {
    let mut world = World::new();
    let (server, _, personality) = world.pair(1);
    let program = world.spawn_linux(&Linux { personality, ..Linux::default() });
    world.receive(server.thread, 10);
    world.linux_call(program.thread, 35, [7; 6], 0x40_0000);
    let before = *world.frame(program.thread);
    assert_eq!(world.must(program.handle, Operation::ThreadStop, &[]), 2);
    assert_eq!(*world.frame(program.thread), abi::Frame { rip: 0x40_0000, ..before });
}

#[test]
fn thread_stops_itself_and_finds_success_when_started() {
    let mut world = World::new();
    let process = world.spawn();
    world.give(&process, 20, process.handle, 0xff);
    world.begin(process.thread, 20, Operation::ThreadStop, &[]);
    assert_eq!(world.state(process.thread), State::Stopped);
    world.must(process.handle, Operation::ThreadStart, &[]);
    world.outcome(process.thread).unwrap();
}

#[test]
fn frame_is_read_and_set_as_a_whole() {
    let mut world = World::new();
    let process = world.spawn();
    let root = world.root.thread;
    world.must(process.handle, Operation::ThreadStop, &[]);
    for index in 0..16 {
        put(&mut world, index, 0x100 + index as u64);
    }
    put(&mut world, 16, USER_END - 1);
    put(&mut world, 17, u64::MAX);
    put(&mut world, 18, 0x7fff_ffff_ffff);
    put(&mut world, 19, 5);
    world.must(process.handle, Operation::SetFrame, &[]);
    let frame = *world.frame(process.thread);
    assert_eq!((frame.rax, frame.rbx, frame.rsp, frame.r15, frame.rip), (0x100, 0x101, 0x107, 0x10f, USER_END - 1));
    assert_eq!(frame.rflags, abi::FLAGS_USER | abi::FLAGS_FIXED, "no I/O privilege, no nested task, interrupts on");
    assert_eq!((frame.fs_base, frame.gs_base), (0x7fff_ffff_ffff, 5));
    world.message_page(root).fill(0);
    world.must(process.handle, Operation::GetFrame, &[]);
    assert_eq!(world.message_page(root)[8 * 7..8 * 7 + 2], [0x07, 0x01]);
}

#[test]
fn frame_with_addresses_that_ring_0_could_not_load_is_refused() {
    let mut world = World::new();
    let process = world.spawn();
    world.must(process.handle, Operation::ThreadStop, &[]);
    world.must(process.handle, Operation::GetFrame, &[]);
    let before = *world.frame(process.thread);
    let wild = [1 << 47, 0x8000_0000_0000_0000, 0xffff_8000_0000_0000, u64::MAX];
    for (index, values) in [(16, &[USER_END, 1 << 47, u64::MAX][..]), (7, &wild), (18, &wild), (19, &wild)] {
        for value in values {
            put(&mut world, index, *value);
            assert_eq!(world.ask(process.handle, Operation::SetFrame, &[]), Err(Error::InvalidArgument), "word {index}: {value:#x}");
            put(&mut world, index, 0);
        }
    }
    assert_eq!(*world.frame(process.thread), before);
}

#[test]
fn frame_is_reached_only_while_the_thread_stands_still() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let root = world.root;
    for operation in [Operation::GetFrame, Operation::SetFrame] {
        assert_eq!(world.ask(client.handle, operation, &[]), Err(Error::WrongState));
        assert_eq!(world.ask(root.handle, operation, &[]), Err(Error::WrongState), "its own least of all");
    }
    world.call(client.thread, 10, &Message::words(&[]));
    assert_eq!(world.ask(client.handle, Operation::GetFrame, &[]), Err(Error::WrongState), "in the queue its registers are its message");
    world.receive(server.thread, 10);
    world.must(client.handle, Operation::GetFrame, &[]);
    world.must(client.handle, Operation::SetFrame, &[]);
    world.receive(server.thread, 10);
    assert_eq!(world.outcome(server.thread), Err(Error::SlotFull));
    world.must(client.handle, Operation::ThreadStop, &[]);
    world.must(client.handle, Operation::GetFrame, &[]);
}

#[test]
fn message_page_is_pinned_while_it_is_one() {
    let mut world = World::new();
    let process = world.spawn();
    world.must(process.handle, Operation::ThreadStop, &[]);
    let (first, second) = (world.pages(1), world.pages(1));
    for memory in [first, first, second] {
        set(&mut world, &process, ThreadSetting::MessagePage, u64::from(memory)).unwrap();
    }
    world.must(first, Operation::Reclaim, &[0, 1]);
    assert_eq!(world.ask(second, Operation::Reclaim, &[0, 1]), Err(Error::Busy));
    let other = world.spawn();
    world.must(other.handle, Operation::ThreadStop, &[]);
    set(&mut world, &other, ThreadSetting::MessagePage, u64::from(second)).unwrap();
    set(&mut world, &process, ThreadSetting::MessagePage, u64::from(first)).unwrap();
    assert_eq!(world.ask(second, Operation::Reclaim, &[0, 1]), Err(Error::Busy), "two threads had it");
}

#[test]
fn table_and_space_count_their_users() {
    let mut world = World::new();
    let process = world.spawn();
    world.must(process.handle, Operation::ThreadStop, &[]);
    let (table, space) = (world.make(ObjectKind::CapTable, 1), world.space());
    for _ in 0..2 {
        set(&mut world, &process, ThreadSetting::Table, u64::from(table.handle)).unwrap();
        set(&mut world, &process, ThreadSetting::Vault, u64::from(table.handle)).unwrap();
        set(&mut world, &process, ThreadSetting::Space, u64::from(space)).unwrap();
    }
    assert_eq!(world.ask(table.memory, Operation::Reclaim, &[0, 1]), Err(Error::Busy));
    set(&mut world, &process, ThreadSetting::Table, u64::from(process.table)).unwrap();
    assert_eq!(world.ask(table.memory, Operation::Reclaim, &[0, 1]), Err(Error::Busy), "it still is the vault");
    set(&mut world, &process, ThreadSetting::Vault, u64::from(process.table)).unwrap();
    world.must(table.memory, Operation::Reclaim, &[0, 1]);
}
