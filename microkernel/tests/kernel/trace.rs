//! The trace ring: what is recorded, who may see it, and that it costs nobody anything afterwards.

use abi::{Error, Operation, Rights, TraceKind, TraceRecord, boot_slot};
use microkernel::fake::{Linux, Message, World};

/// Records that the fake machine keeps.
const KEPT: u64 = 16;

fn trace(world: &mut World, on: bool, from: u64) -> (u64, u64) {
    let [first, count, ..] = world.ask(boot_slot::PORTS, Operation::Trace, &[u64::from(on), from]).unwrap();
    (first, count)
}

/// All records that are kept.
fn records(world: &mut World) -> Vec<TraceRecord> {
    world.kernel.last_traced(KEPT).collect()
}

/// A line that is bound to a notification is raised.
fn interrupt(world: &mut World, line: u32) {
    let notification = u64::from(world.notification());
    world.must(boot_slot::IRQS, Operation::IrqBind, &[u64::from(line), notification, 1]);
    world.must(boot_slot::IRQS, Operation::IrqAck, &[u64::from(line)]);
    world.raise(line);
}

fn kinds(world: &mut World) -> Vec<Option<TraceKind>> {
    records(world).iter().map(TraceRecord::kind).collect()
}

#[test]
fn nothing_is_recorded_while_it_is_off() {
    let mut world = World::new();
    let (server, client, _) = world.pair(7);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    interrupt(&mut world, 2);
    assert_eq!(records(&mut world), []);
    assert_eq!(trace(&mut world, false, 0), (0, 0));
}

#[test]
fn call_is_told_with_its_operation_and_who_runs_then() {
    let mut world = World::new();
    let (server, client, _) = world.pair(7);
    world.receive(server.thread, 10);
    trace(&mut world, true, 0);
    world.call(client.thread, 10, &Message::words(&[3]));
    let found = records(&mut world);
    let call = found.iter().find(|record| record.kind() == Some(TraceKind::Operation) && record.detail() >> 24 == 0).expect("a call");
    assert_eq!((call.detail() & 0xff_ffff, call.word), (10, 3));
    assert!(found.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert_eq!(found.last().map(|record| record.kind()), Some(Some(TraceKind::Runs)), "the server runs");
}

#[test]
fn programs_faults_and_devices_are_told() {
    let mut world = World::new();
    let program = world.spawn_linux(&Linux::default());
    trace(&mut world, true, 0);
    interrupt(&mut world, 2);
    world.linux_call(program.thread, 39, [5; 6], 0x40_0000);
    let found = records(&mut world);
    let told = |kind, detail, word| found.iter().any(|record| (record.kind(), record.detail(), record.word) == (Some(kind), detail, word));
    assert!(told(TraceKind::Line, 2, 0), "{found:?}");
    assert!(told(TraceKind::LinuxCall, 39, 5), "{found:?}");
    let other = world.spawn_linux(&Linux::default());
    world.exception(other.thread, 14, 6, 0x1234);
    let found = records(&mut world);
    let told = |kind, detail, word| found.iter().any(|record| (record.kind(), record.detail(), record.word) == (Some(kind), detail, word));
    assert!(told(TraceKind::Exception, 14 | 6 << 8, 0x1234), "{found:?}");
}

#[test]
fn who_runs_on_another_processor_is_traced_from_the_moment_it_is_turned_on() {
    let mut world = World::with_processors(2);
    let elsewhere = world.spawn();
    world.place(elsewhere.handle, 1);
    trace(&mut world, true, 0);
    assert!(world.is_traced(elsewhere.thread), "its next trap may be one that the fast path takes");
}

#[test]
fn ring_keeps_the_newest_and_says_what_is_lost() {
    let mut world = World::new();
    trace(&mut world, true, 0);
    for line in 0..40 {
        interrupt(&mut world, line % 4);
    }
    let (first, count) = trace(&mut world, false, 0);
    assert!(first > 0 && count == KEPT, "{first} {count}");
    assert_eq!(trace(&mut world, false, first + count - 2), (first + count - 2, 2));
    assert_eq!(trace(&mut world, false, first + count + 9), (first + count + 9, 0), "what is not there yet");
    assert_eq!(records(&mut world).len() as u64, KEPT);
}

#[test]
fn records_come_in_the_message_page() {
    let mut world = World::new();
    trace(&mut world, true, 0);
    interrupt(&mut world, 3);
    let (first, count) = trace(&mut world, false, 0);
    let kept = records(&mut world);
    let root = world.root.thread;
    let (words, _) = world.message_page(root).as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let copied: Vec<TraceRecord> = words.as_chunks::<4>().0.iter().take(count as usize).map(|words| TraceRecord::from(*words)).collect();
    assert_eq!((first, &copied[..]), (0, &kept[..count as usize]));
    assert!(kinds(&mut world).contains(&Some(TraceKind::Line)));
}

#[test]
fn only_who_has_all_ports_may_trace() {
    let mut world = World::new();
    let some = u64::from(world.free_slot());
    world.must(boot_slot::PORTS, Operation::Derive, &[0, 0xffff, u64::from(Rights::ALL), some, 0]);
    assert_eq!(world.ask(some as u32, Operation::Trace, &[1, 0]), Err(Error::MissingRight));
    let later = u64::from(world.free_slot());
    world.must(boot_slot::PORTS, Operation::Derive, &[1, 0xffff, u64::from(Rights::ALL), later, 0]);
    assert_eq!(world.ask(later as u32, Operation::Trace, &[1, 0]), Err(Error::MissingRight));
    interrupt(&mut world, 1);
    assert_eq!(records(&mut world), [], "a refusal turns nothing on");
}

#[test]
fn threads_are_ordinary_again_after_their_next_trap() {
    let mut world = World::new();
    let (server, client, _) = world.pair(7);
    trace(&mut world, true, 0);
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &Message::words(&[3]));
    assert!(world.is_traced(server.thread), "it was chosen to run");
    trace(&mut world, false, 0);
    let before = records(&mut world);
    world.reply(server.thread, 11, &Message::words(&[4])).unwrap();
    world.call(client.thread, 10, &Message::words(&[3]));
    assert!(!world.is_traced(client.thread));
    assert_eq!(records(&mut world), before);
}
