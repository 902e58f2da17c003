//! What root may ask for through posix, and what is on record of a death.

use std::collections::BTreeSet;

use abi::{EndpointState, Frame, RequestNumber, ThreadSetting};
use libsys::{death, layout};
use protocols::crash::Cause;
use protocols::manifest::Restart;
use protocols::service::{Badge, Service};
use protocols::supervisor::{Error, Service as _};
use protocols::victim::How;

use super::{ENTRY, HZ, booted, endpoint, facts, kill, records, setting, specs, start_info, up};
use crate::fake::Fake;
use crate::kernel::{Counters, Doing};
use crate::life::Supervisor;

const POSIX: Badge = Badge::new(Service::Posix, 1);

fn number(request: u32) -> RequestNumber {
    RequestNumber::new(Service::Posix.id(), 3, request, 1)
}

/// A booted supervisor whose vfs is given up at its first death.
fn booted_without_restart() -> Supervisor<'static, Fake> {
    let mut specs = specs();
    specs[1].policy.restart = Restart::Never;
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        up(&mut supervisor, service, 1);
    }
    supervisor
}

#[test]
fn restart_by_command_ends_the_instance_once_for_its_request() {
    let mut supervisor = booted("");
    assert_eq!(supervisor.restart(POSIX, number(1), Service::Vfs.id()), Ok(()));
    up(&mut supervisor, Service::Vfs, 2);
    assert_eq!(supervisor.restart(POSIX, number(1), Service::Vfs.id()), Ok(()), "delivered again");
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2);
    while supervisor.reap() {}
    assert_eq!(supervisor.restart(POSIX, number(2), Service::Vfs.id()), Ok(()));
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 3);
    assert_eq!(supervisor.next_start(), None, "a restart that was asked for is never put off");
}

#[test]
fn only_posix_may_end_others_and_only_those_that_there_are() {
    let mut supervisor = booted("");
    let vfs = Badge::new(Service::Vfs, 1);
    assert_eq!(supervisor.restart(vfs, number(1), Service::Posix.id()), Err(Error::NotAllowed));
    assert_eq!(supervisor.crash(vfs, number(1), Service::Posix.id(), How::Wild), Err(Error::NotAllowed));
    assert_eq!(supervisor.restart(POSIX, number(1), Service::Web.id()), Err(Error::UnknownService));
    assert_eq!(supervisor.crash(POSIX, number(2), 200, How::Wild), Err(Error::UnknownService));
    assert_eq!(start_info(&mut supervisor, Service::Posix).instance, 1);
}

/// How vfs's thread is made to die, if it is.
fn doom(supervisor: &mut Supervisor<'_, Fake>) -> Option<u64> {
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    supervisor.kernel().threads[&thread].frame.map(|frame| frame.rdi).filter(|rdi| *rdi != 0)
}

/// The kernel says that vfs's thread trapped after an instruction. Whether it was asked for.
fn trap(supervisor: &mut Supervisor<'_, Fake>, instance: u32) -> bool {
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    supervisor.kernel().threads.get_mut(&thread).expect("it lives").running = false;
    let asked = supervisor.stepped(Badge::new(Service::Vfs, instance), 0, Cause::Exception { vector: 1, code: 0, address: 0, instruction: 0 });
    supervisor.kernel().threads.get_mut(&thread).expect("it lives").running = true;
    asked
}

#[test]
fn crash_by_command_comes_after_instructions_of_work_and_blames_no_request() {
    let mut supervisor = booted("");
    let mut counts = BTreeSet::new();
    for instance in 1..=3 {
        let thread = supervisor.kernel().running(Service::Vfs)[0];
        let frame = Frame { rip: 0x40_1234, rsp: layout::stack_top(0) - 0x128, ..Frame::new() };
        supervisor.kernel().threads.get_mut(&thread).expect("it runs").frame = Some(frame);
        assert_eq!(supervisor.crash(POSIX, number(instance), Service::Vfs.id(), How::Overflow), Ok(()));
        assert_eq!(supervisor.crash(POSIX, number(instance), Service::Vfs.id(), How::Overflow), Ok(()), "delivered again");
        let due = supervisor.fulfil_dooms().expect("it is to come");
        assert!(due >= supervisor.kernel().ticks && due <= supervisor.kernel().ticks + HZ / 100, "{due}");
        supervisor.kernel().ticks = due;
        assert!(supervisor.fulfil_dooms().is_some_and(|until| until > due + HZ / 100), "it may be without work");
        supervisor.kernel().in_hand.insert(thread, 0x77);
        supervisor.kernel().counters.insert(thread, Counters { in_hand: true, ..Counters::default() });
        let mut traps = 0;
        while doom(&mut supervisor).is_none() {
            assert!(trap(&mut supervisor, instance) && traps < 1 << 13, "{traps}");
            traps += 1;
        }
        counts.insert(traps);
        let died_at = supervisor.kernel().threads[&thread].frame.expect("a frame");
        assert_eq!((died_at.rip, died_at.rdi, died_at.rsp), (ENTRY, death::argument(How::Overflow), layout::stack_top(0) - 0x138), "on its stack");
        assert_eq!(supervisor.fulfil_dooms(), None, "it was one death");
        supervisor.died(Badge::new(Service::Vfs, instance), Some(0), Cause::Hung);
        up(&mut supervisor, Service::Vfs, instance + 1);
        while supervisor.reap() {}
    }
    assert!(counts.len() > 1, "not always the same instruction: {counts:?}");
    assert!(supervisor.kernel().log.iter().any(|line| line.contains("vfs, instance 3, is made to die: Overflow at work, at 0x401234")));
    assert!(supervisor.kernel().refused.is_empty(), "the request that it happened to have in hand is innocent");
    assert_eq!(supervisor.record(0).expect("on record").request.map(|request| request.number), Some(0x77), "and on record");
    assert!(!trap(&mut supervisor, 4), "nobody is to trap any more");
}

#[test]
fn server_without_work_dies_idle_and_each_command_is_a_death() {
    let mut supervisor = booted("");
    assert_eq!(supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Panic), Ok(()));
    assert_eq!(supervisor.crash(POSIX, number(2), Service::Vfs.id(), How::Hang), Ok(()));
    assert_eq!(doom(&mut supervisor), Some(death::argument(How::Panic)), "the first comes when the second is asked for");
    kill(&mut supervisor, Service::Vfs, 1);
    up(&mut supervisor, Service::Vfs, 2);
    let mut looks = 0;
    while let Some(next) = supervisor.fulfil_dooms() {
        assert!(next > supervisor.kernel().ticks && looks < 3 && doom(&mut supervisor).is_none(), "{looks}");
        supervisor.kernel().ticks = next;
        looks += 1;
    }
    assert_eq!((doom(&mut supervisor), looks), (Some(death::argument(How::Hang)), 2));
    assert!(supervisor.kernel().log.iter().any(|line| line.contains("vfs, instance 2, is made to die: Hang without a request")));
}

#[test]
fn crash_by_command_waits_for_work_while_instructions_come_however_slowly() {
    let mut supervisor = booted("");
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    assert_eq!(supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Wild), Ok(()));
    supervisor.kernel().ticks += HZ / 100;
    let slow = |supervisor: &mut Supervisor<'_, Fake>| {
        supervisor.kernel().ticks += HZ / 10;
        assert!(supervisor.fulfil_dooms().is_some() && trap(supervisor, 1));
    };
    for _ in 0..20 {
        slow(&mut supervisor);
    }
    assert_eq!(doom(&mut supervisor), None, "it was given no work");
    supervisor.kernel().counters.insert(thread, Counters { in_hand: true, ..Counters::default() });
    while doom(&mut supervisor).is_none() {
        slow(&mut supervisor);
    }
    assert!(supervisor.kernel().log.iter().any(|line| line.contains("vfs, instance 1, is made to die: Wild at work")));
}

#[test]
fn watchdog_leaves_alone_who_traps_after_each_instruction() {
    let mut supervisor = booted("");
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    assert_eq!(supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Wild), Ok(()));
    supervisor.kernel().ticks += HZ / 100;
    supervisor.kernel().counters.insert(thread, Counters { doing: Doing::Running, in_hand: false, received_at: 1, calls: 0, own_ticks: 0, beats: 0 });
    assert!(supervisor.fulfil_dooms().is_some());
    for _ in 0..100 {
        supervisor.kernel().ticks += HZ / 10;
        supervisor.watch();
        assert!(trap(&mut supervisor, 1) && doom(&mut supervisor).is_none());
    }
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 1, "ten seconds between two requests, for the supervisor's sake");
}

#[test]
fn server_that_does_much_without_a_request_dies_all_the_same() {
    let mut supervisor = booted("");
    assert_eq!(supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Wild), Ok(()));
    supervisor.kernel().ticks += HZ / 100;
    assert!(supervisor.fulfil_dooms().is_some());
    let mut traps = 0;
    while doom(&mut supervisor).is_none() {
        assert!(trap(&mut supervisor, 1));
        traps += 1;
    }
    assert!((1 << 12..1 << 14).contains(&traps), "{traps}");
}

#[test]
fn crash_by_command_waits_for_a_successor_that_is_met_while_it_starts() {
    let mut supervisor = booted("");
    assert_eq!(supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Wild), Ok(()));
    supervisor.kernel().ticks += HZ / 100;
    assert!(supervisor.fulfil_dooms().is_some() && trap(&mut supervisor, 1), "it traps");
    kill(&mut supervisor, Service::Vfs, 1);
    assert!(!trap(&mut supervisor, 2), "its successor does not");
    supervisor.kernel().ticks += HZ;
    assert_eq!(supervisor.fulfil_dooms(), None);
    assert_eq!(doom(&mut supervisor), Some(death::argument(How::Wild)));
}

#[test]
fn crash_by_command_ends_with_the_service() {
    let mut supervisor = booted_without_restart();
    assert_eq!(supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Wild), Ok(()));
    kill(&mut supervisor, Service::Vfs, 1);
    supervisor.kernel().ticks += HZ;
    assert_eq!(supervisor.fulfil_dooms(), None);
}

#[test]
fn given_up_service_is_revived_by_command_and_its_deaths_are_forgiven() {
    let mut supervisor = booted_without_restart();
    kill(&mut supervisor, Service::Vfs, 1);
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Closed);
    let refused = [(); 2].map(|()| supervisor.crash(POSIX, number(1), Service::Vfs.id(), How::Wild));
    assert_eq!(refused, [Err(Error::NotRunning); 2], "what failed was not done, and fails again");
    assert_eq!(supervisor.restart(POSIX, number(2), Service::Vfs.id()), Ok(()));
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Held);
    up(&mut supervisor, Service::Vfs, 2);
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Open);
    assert_eq!(supervisor.health(1).map(|health| (health.status.instance, health.deaths)), Ok((2, 1)));
    assert_eq!(supervisor.health(3), Err(Error::UnknownService));
}

#[test]
fn death_is_on_record_with_what_the_instance_left() {
    let mut supervisor = booted("");
    let thread = supervisor.kernel().running(Service::Vfs)[0];
    let space = setting(&mut supervisor, thread, ThreadSetting::Space).0 as u32;
    let top = layout::stack_top(0);
    let frame = Frame { rip: 0x40_1234, rbp: top - 64, rax: 7, ..Frame::new() };
    supervisor.kernel().threads.get_mut(&thread).expect("it runs").frame = Some(frame);
    let log = b"[vfs] hello\n";
    let words = [
        (top - 64, top - 32),
        (top - 56, 0x40_0111),
        (top - 32, top - 16),
        (top - 24, 0x5_4000_0004),
        (top - 16, 0x6666),
        (top - 8, 0x40_0222),
        (layout::LOG, log.len() as u64),
    ];
    for (address, word) in words {
        for (address, byte) in (address..).zip(word.to_le_bytes()) {
            supervisor.kernel().memory.insert((space, address), byte);
        }
    }
    for (address, byte) in (layout::LOG + 8..).zip(log) {
        supervisor.kernel().memory.insert((space, address), *byte);
    }
    assert_eq!(supervisor.log(Service::Vfs.id(), 6).map(|part| (part.instance, part.next, part.bytes.to_vec())), Ok((1, 12, b"hello\n".to_vec())));
    assert_eq!(supervisor.crash_report(Badge::new(Service::Vfs, 1), "oh no"), Ok(()));
    supervisor.kernel().in_hand.insert(thread, 0x77);
    supervisor.died(Badge::new(Service::Vfs, 1), Some(0), Cause::Hung);
    let crash = supervisor.record(0).expect("on record");
    assert_eq!((crash.service, crash.instance, crash.cause, crash.down_us), (Service::Vfs.id(), 1, Cause::Hung, None));
    assert_eq!(crash.backtrace, [0x40_1234, 0x40_0111, 0x40_0222], "up to a pointer that leaves the stack, and nothing but code");
    assert_eq!(crash.registers.map(|registers| (registers.rip, registers.general[0])), Some((0x40_1234, 7)));
    assert_eq!((crash.words.as_str(), crash.log.as_str()), ("oh no", "[vfs] hello\n"));
    assert_eq!(crash.request.map(|request| (request.number, request.attempts)), Some((0x77, 1)));
    supervisor.kernel().ticks += HZ;
    up(&mut supervisor, Service::Vfs, 2);
    assert!(supervisor.record(0).expect("on record").down_us.is_some_and(|down| down >= 1_000_000));
    assert_eq!(supervisor.record(1), Err(Error::NoRecord));
    kill(&mut supervisor, Service::Vfs, 2);
    assert_eq!(supervisor.record(0).expect("on record").words, "", "last words are of their own instance");
}
