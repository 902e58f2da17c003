//! Faults on purpose: whole plans, one fault after the other.

use abi::boot::SCRIPT_STATUS_PORT;
use abi::{Control, Frame, MapFlags, Operation, PAGE_SIZE, ThreadSetting};
use libsys::{death, layout};
use protocols::crash::Cause;
use protocols::service::{Badge, Service};
use protocols::victim::How;

use super::{ENTRY, HZ, booted, setting, start_info, up};
use crate::fake::Fake;
use crate::kernel::{Counters, Doing};
use crate::life::Supervisor;

const TRAP_FLAG: u64 = 1 << 8;
const TRAP: Cause = Cause::Exception { vector: 1, code: 0, address: 0, instruction: 0 };

/// A machine with a plan whose victim, vfs, is made to trap already; and the victim's thread.
fn stepping(options: &str) -> (Supervisor<'_, Fake>, u32) {
    let mut supervisor = booted(options);
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    let frame = Frame { rip: ENTRY + 16, rsp: layout::stack_top(0) - 4000, rbx: 5, ..Frame::new() };
    supervisor.kernel().threads.get_mut(&thread).expect("it runs").frame = Some(frame);
    loop {
        let due = supervisor.inject().expect("a plan");
        if frame_of(&mut supervisor, thread).rflags & TRAP_FLAG != 0 {
            return (supervisor, thread);
        }
        supervisor.kernel().ticks = due;
    }
}

fn frame_of(supervisor: &mut Supervisor<'_, Fake>, thread: u32) -> Frame {
    supervisor.kernel().threads[&thread].frame.expect("a frame")
}

/// Lets the victim trap until it is struck; how often that was.
fn step_to_the_strike(supervisor: &mut Supervisor<'_, Fake>, thread: u32) -> usize {
    for traps in 1.. {
        // It waits for the answer to its trap.
        supervisor.kernel().threads.get_mut(&thread).expect("it lives").running = false;
        assert!(supervisor.stepped(Badge::new(Service::Vfs, 1), 0, TRAP));
        supervisor.kernel().threads.get_mut(&thread).expect("it lives").running = true;
        if supervisor.kernel().log.iter().any(|line| line.contains("inject 1: vfs")) {
            return traps;
        }
    }
    unreachable!("it traps for ever")
}

/// Lets the window of the fault pass.
fn conclude(supervisor: &mut Supervisor<'_, Fake>) {
    while !said(supervisor, "inject 1 over") {
        supervisor.kernel().ticks = supervisor.inject().expect("a plan");
    }
}

/// Microseconds from the strike to the end of its window.
fn window_us(supervisor: &mut Supervisor<'_, Fake>) -> u64 {
    let start = supervisor.kernel().ticks;
    conclude(supervisor);
    let end = supervisor.kernel().ticks;
    supervisor.microseconds(end - start)
}

fn said(supervisor: &mut Supervisor<'_, Fake>, text: &str) -> bool {
    supervisor.kernel().log.iter().any(|line| line.contains(text))
}

#[test]
fn without_the_option_nothing_is_injected_and_every_trap_is_a_death() {
    let mut supervisor = booted("");
    assert_eq!(supervisor.inject(), None);
    assert!(!supervisor.stepped(Badge::new(Service::Vfs, 1), 0, TRAP));
}

#[test]
fn victim_dies_of_a_seeded_instruction_on_the_stack_that_it_has() {
    let counts: Vec<usize> = (1..6)
        .map(|seed| {
            let options = format!("inject={seed}:1:vfs:panic").leak();
            let (mut supervisor, thread) = stepping(options);
            let traps = step_to_the_strike(&mut supervisor, thread);
            let frame = frame_of(&mut supervisor, thread);
            assert_eq!((frame.rip, frame.rdi, frame.rflags & TRAP_FLAG), (ENTRY, death::argument(How::Panic), 0));
            assert!(frame.rsp % 16 == 8 && frame.rsp < layout::stack_top(0) - 4000);
            traps
        })
        .collect();
    assert!(counts.iter().any(|count| *count != counts[0]), "{counts:?}");
}

#[test]
fn only_the_victims_traps_are_the_injectors_and_other_exceptions_are_deaths() {
    let (mut supervisor, _) = stepping("inject=1:1:vfs:jump");
    let other = Cause::Exception { vector: 13, code: 0, address: 0, instruction: 0 };
    assert!(!supervisor.stepped(Badge::new(Service::Vfs, 1), 0, other));
    assert!(!supervisor.stepped(Badge::new(Service::Vfs, 7), 0, TRAP), "of an instance that is gone");
}

#[test]
fn thread_that_waits_in_a_call_is_left_until_it_has_its_answer() {
    let mut supervisor = booted("inject=1:1:vfs:panic");
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    supervisor.kernel().counters.insert(thread, Counters { doing: Doing::Calling, ..Counters::default() });
    let before = frame_of(&mut supervisor, thread);
    for _ in 0..50 {
        supervisor.kernel().ticks = supervisor.inject().expect("a plan");
    }
    assert_eq!(frame_of(&mut supervisor, thread), before);
    supervisor.kernel().counters.remove(&thread);
    supervisor.kernel().ticks = supervisor.inject().expect("a plan");
    assert_ne!(frame_of(&mut supervisor, thread).rflags & TRAP_FLAG, 0);
}

#[test]
fn victim_that_does_not_run_is_struck_as_it_is() {
    let (mut supervisor, thread) = stepping("inject=1:1:vfs:hang");
    supervisor.kernel().ticks = supervisor.inject().expect("a plan");
    supervisor.inject();
    assert_eq!(frame_of(&mut supervisor, thread).rdi, death::argument(How::Hang));
    assert!(said(&mut supervisor, "inject 1: vfs hang as it was"));
}

#[test]
fn flipped_bit_of_text_is_one_and_is_undone_unless_somebody_changed_it() {
    for changed in [false, true] {
        let (mut supervisor, thread) = stepping("inject=3:1:vfs:text");
        let space = setting(&mut supervisor, thread, ThreadSetting::Space).0 as u32;
        let code = ENTRY + 16..ENTRY + 20;
        supervisor.kernel().memory.extend(code.clone().map(|address| ((space, address), 0x90)));
        step_to_the_strike(&mut supervisor, thread);
        let bits: u32 = code.clone().map(|address| (supervisor.kernel().memory[&(space, address)] ^ 0x90).count_ones()).sum();
        assert_eq!(bits, 1);
        let page = ENTRY & !(PAGE_SIZE - 1);
        assert_eq!(supervisor.kernel().mappings(space)[&page].1, MapFlags::READ | MapFlags::EXECUTE);
        if changed {
            supervisor.kernel().memory.extend(code.clone().map(|address| ((space, address), 0xcc)));
        }
        conclude(&mut supervisor);
        let left = if changed { 0xcc } else { 0x90 };
        assert!(code.clone().all(|address| supervisor.kernel().memory[&(space, address)] == left));
        assert!(said(&mut supervisor, if changed { "inject 1 over: overwritten" } else { "inject 1 over: undone" }));
    }
}

#[test]
fn flipped_register_is_one_that_the_kernel_takes_and_never_the_trap_flag() {
    for seed in 0..40 {
        let (mut supervisor, thread) = stepping(format!("inject={seed}:1:vfs:register").leak());
        let before = Frame { rflags: frame_of(&mut supervisor, thread).rflags & !TRAP_FLAG, ..frame_of(&mut supervisor, thread) };
        step_to_the_strike(&mut supervisor, thread);
        let after = frame_of(&mut supervisor, thread);
        let words = |frame: &Frame| {
            let Frame { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, .. } = *frame;
            [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags]
        };
        let bits: u32 = words(&before).into_iter().zip(words(&after)).map(|(before, after)| (before ^ after).count_ones()).sum();
        assert_eq!(bits, 1, "{seed}");
        assert!(
            after.rip < 1 << 47 && after.rsp < 1 << 47 && (after.rflags ^ before.rflags) & !abi::FLAGS_USER == 0 && after.rflags & TRAP_FLAG == 0
        );
    }
}

/// The word that the victim's allocator counts down.
fn allocations_left(supervisor: &mut Supervisor<'_, Fake>, thread: u32) -> u64 {
    let space = setting(supervisor, thread, ThreadSetting::Space).0 as u32;
    let memory = &supervisor.kernel().memory;
    u64::from_le_bytes(core::array::from_fn(|byte| memory.get(&(space, layout::REFUSAL + byte as u64)).copied().unwrap_or(0)))
}

#[test]
fn seeded_allocation_is_refused_by_the_victims_own_heap() {
    let ahead: Vec<u64> = (1..8)
        .map(|seed| {
            let (mut supervisor, thread) = stepping(format!("inject={seed}:1:vfs:allocation").leak());
            let before = frame_of(&mut supervisor, thread);
            assert_eq!(allocations_left(&mut supervisor, thread), 0);
            step_to_the_strike(&mut supervisor, thread);
            let ahead = allocations_left(&mut supervisor, thread);
            assert!(said(&mut supervisor, &format!("inject 1: vfs allocation at work: {ahead} allocations ahead")));
            let after = Frame { rflags: before.rflags & !TRAP_FLAG, ..before };
            assert_eq!(frame_of(&mut supervisor, thread), after, "it goes on as if nothing were");
            ahead
        })
        .collect();
    assert!(ahead.iter().all(|ahead| (1..=256).contains(ahead)) && ahead.iter().any(|other| *other != ahead[0]), "{ahead:?}");
}

#[test]
fn refusal_that_nobody_has_met_is_undone() {
    for (left, came) in [(1, "undone"), (0, "refused")] {
        let (mut supervisor, thread) = stepping("inject=1:1:vfs:allocation");
        step_to_the_strike(&mut supervisor, thread);
        let space = setting(&mut supervisor, thread, ThreadSetting::Space).0 as u32;
        // As many allocations as that.
        supervisor.kernel().memory.extend((layout::REFUSAL..).zip(u64::to_le_bytes(left)).map(|(address, byte)| ((space, address), byte)));
        conclude(&mut supervisor);
        assert_eq!(allocations_left(&mut supervisor, thread), 0);
        assert!(said(&mut supervisor, &format!("inject 1 over: {came}")));
    }
}

#[test]
fn after_the_last_fault_and_the_restart_the_power_goes_off() {
    let (mut supervisor, thread) = stepping("inject=1:1:vfs:jump");
    step_to_the_strike(&mut supervisor, thread);
    supervisor.died(Badge::new(Service::Vfs, 1), Some(0), Cause::Hung);
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2);
    for _ in 0..500 {
        supervisor.kernel().ticks = supervisor.inject().expect("it waits for the successor");
    }
    assert!(!said(&mut supervisor, "inject 1 over"));
    up(&mut supervisor, Service::Vfs, 2);
    conclude(&mut supervisor);
    assert!(said(&mut supervisor, "inject 1 over: died"));
    supervisor.kernel().ticks += 1;
    assert_eq!(supervisor.inject(), None);
    assert_eq!(supervisor.kernel().ports[0], (SCRIPT_STATUS_PORT, 0));
}

#[test]
fn window_of_a_fault_is_short_once_all_that_were_to_die_have_died() {
    let watchdog_us = |supervisor: &Supervisor<'_, Fake>| u64::from(supervisor.services[0].spec.policy.watchdog_ms) * 1000;
    let (mut supervisor, thread) = stepping("inject=1:1:vfs:register");
    step_to_the_strike(&mut supervisor, thread);
    assert!(window_us(&mut supervisor) > watchdog_us(&supervisor), "what lives may hang");

    let (mut supervisor, thread) = stepping("inject=1:1:vfs:jump");
    step_to_the_strike(&mut supervisor, thread);
    supervisor.died(Badge::new(Service::Vfs, 1), Some(0), Cause::Hung);
    up(&mut supervisor, Service::Vfs, 2);
    let window = window_us(&mut supervisor);
    assert!((10_000..200_000).contains(&window), "{window} us");
}

#[test]
fn successor_that_has_answered_its_first_request_is_told_of_once() {
    let (mut supervisor, thread) = stepping("inject=1:1:vfs:jump");
    step_to_the_strike(&mut supervisor, thread);
    supervisor.died(Badge::new(Service::Vfs, 1), Some(0), Cause::Hung);
    up(&mut supervisor, Service::Vfs, 2);
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    let mut told_when = |received_at, in_hand| {
        supervisor.kernel().counters.insert(thread, Counters { received_at, in_hand, ..Counters::default() });
        supervisor.inject().expect("a plan");
        supervisor.kernel().log.iter().filter(|line| line.contains(" served, instance ")).count()
    };
    assert_eq!([told_when(0, false), told_when(5, true), told_when(5, false), told_when(6, false)], [0, 0, 1, 1]);
    assert!(said(&mut supervisor, "vfs served, instance 2"));
}

/// The victim is about to send a message of nine bytes as `operation` says, and traps there until it is struck; its registers before and after.
fn sends(kind: &str, operation: Operation) -> (Supervisor<'static, Fake>, u32, Frame) {
    let (mut supervisor, thread) = stepping(format!("inject=1:1:vfs:{kind}").leak());
    let space = setting(&mut supervisor, thread, ThreadSetting::Space).0 as u32;
    let sent = Frame { rax: u64::from(Control::new(operation, 9).0) | 9 << 32, rdi: 5, rsi: 6, r15: 77, ..frame_of(&mut supervisor, thread) };
    for traps in 0.. {
        // Before as many instructions as the seed says a message goes by.
        if said(&mut supervisor, "inject 1: vfs") || traps == 10_000 {
            break;
        }
        trap(&mut supervisor, thread, sent);
        for (address, byte) in (sent.rip..).zip([0x0f, 0x05]) {
            supervisor.kernel().memory.insert((space, address), byte);
        }
        if kind == "doubled" && traps % 2 == 1 {
            // It was answered.
            trap(&mut supervisor, thread, Frame { rip: sent.rip + 7, rax: 0, rdi: 8, ..sent });
        }
    }
    (supervisor, thread, sent)
}

/// The victim traps with these registers.
fn trap(supervisor: &mut Supervisor<'_, Fake>, thread: u32, frame: Frame) {
    let held = supervisor.kernel().threads.get_mut(&thread).expect("it lives");
    (held.running, held.frame) = (false, Some(frame));
    assert!(supervisor.stepped(Badge::new(Service::Vfs, 1), 0, TRAP));
    supervisor.kernel().threads.get_mut(&thread).expect("it lives").running = true;
}

#[test]
fn dropped_message_is_not_sent_and_its_sender_hears_of_a_death() {
    let (mut supervisor, thread, sent) = sends("dropped", Operation::Call);
    let expected = Frame { rip: sent.rip + 2, rax: u64::from(abi::Error::PeerDied.to_status()), rflags: sent.rflags & !TRAP_FLAG, ..sent };
    assert_eq!(frame_of(&mut supervisor, thread), expected);
}

#[test]
fn doubled_message_is_sent_again_under_its_number_once_it_was_answered() {
    let (mut supervisor, thread, sent) = sends("doubled", Operation::Call);
    assert_eq!(frame_of(&mut supervisor, thread), Frame { rflags: sent.rflags & !TRAP_FLAG, ..sent });
}

#[test]
fn corrupted_message_has_one_wrong_bit_among_its_bytes() {
    for operation in [Operation::Call, Operation::Reply, Operation::ReplyReceive] {
        let (mut supervisor, thread, sent) = sends("corrupted", operation);
        let frame = frame_of(&mut supervisor, thread);
        assert_eq!((frame.rdi ^ sent.rdi).count_ones() + ((frame.rsi ^ sent.rsi) & 0xff).count_ones(), 1, "{operation:?}");
        assert_eq!(frame, Frame { rdi: frame.rdi, rsi: frame.rsi, rflags: sent.rflags & !TRAP_FLAG, ..sent });
    }
}

#[test]
fn only_calls_get_lost_or_come_twice_and_what_is_no_message_is_let_be() {
    for (kind, operation) in [("dropped", Operation::ReplyReceive), ("doubled", Operation::Reply), ("corrupted", Operation::Yield)] {
        let (mut supervisor, thread, sent) = sends(kind, operation);
        assert!(!said(&mut supervisor, "inject 1: vfs"), "{kind}");
        supervisor.kernel().ticks += HZ;
        trap(&mut supervisor, thread, sent);
        assert!(said(&mut supervisor, "is not possible"), "{kind}");
        assert_eq!(frame_of(&mut supervisor, thread), Frame { rflags: sent.rflags & !TRAP_FLAG, ..sent });
    }
}
