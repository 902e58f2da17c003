//! Posix dies at every failpoint, and at every store, of what cannot simply be done again.

use super::sockets::{PACKETS, STREAM, pair, receive, send, send_descriptor};
use crate::fail::Step;
use crate::fake::Runs;
use crate::fake::harness::{DATA, System};
use crate::saved::slot;
use crate::server::Incoming;
use crate::table;
use abi::FaultAccess;
use libsys::host::crash_at_failpoint;

fn pipe(system: &mut System, lane: usize) {
    assert_eq!(system.call(lane, 22, [DATA + 0x1000, 0, 0, 0, 0, 0]), Some(0));
    system.text(lane, 0, "once");
}

fn contents(system: &mut System, lane: usize) -> Vec<u8> {
    system.call(lane, 72, [3, 4, 0o4000, 0, 0, 0]);
    let count = system.call(lane, 0, [3, DATA + 0x2000, 1000, 0, 0, 0]).unwrap();
    if (count as i64) < 0 { Vec::new() } else { system.peek(lane, DATA + 0x2000, count as usize) }
}

#[test]
fn pipe_write_happens_once_whichever_failpoint_kills() {
    for point in ["write.intent", "queue.filled", "write.effect", "write.record", "write.reply"] {
        let (mut system, lane) = System::start();
        pipe(&mut system, lane);
        let result = system.call_crashing(lane, 1, [4, DATA, 4, 0, 0, 0], point);
        assert!(point == "write.reply" || result == Some(4), "{point}: {result:?}");
        assert_eq!(contents(&mut system, lane), b"once", "{point}");
    }
}

#[test]
fn pipe_write_happens_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        pipe(&mut system, lane);
        let (died, _) = system.call_crashing_at_store(lane, 1, [4, DATA, 4, 0, 0, 0], nth);
        assert_eq!(contents(&mut system, lane), b"once", "store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
}

#[test]
fn pipe_read_loses_nothing() {
    for point in ["read.intent", "queue.emptied", "read.effect", "read.record"] {
        let (mut system, lane) = System::start();
        pipe(&mut system, lane);
        system.call(lane, 1, [4, DATA, 4, 0, 0, 0]);
        let result = system.call_crashing(lane, 0, [3, DATA + 0x100, 2, 0, 0, 0], point);
        assert_eq!(result, Some(2), "{point}");
        assert_eq!(system.peek(lane, DATA + 0x100, 2), b"on");
        assert_eq!(contents(&mut system, lane), b"ce", "{point}");
    }
}

/// Onto pages that are there already: those go, and nothing of what is moved.
#[test]
fn moved_pages_are_there_once_whichever_store_is_the_last() {
    const MAY_MOVE: u64 = 1;
    const FIXED: u64 = 2;
    const BYTES: u64 = 0x3000;
    for (flags, bytes) in [(MAY_MOVE, BYTES + 0x1000), (MAY_MOVE | FIXED, BYTES)] {
        let mut nth = 0;
        loop {
            let (mut system, lane) = System::start();
            let map = |system: &mut System, protection| system.call(lane, 9, [0, BYTES, protection, 0x22, u64::MAX, 0]).unwrap();
            let (target, _wall, from) = (map(&mut system, 3), map(&mut system, 1), map(&mut system, 3));
            system.poke(lane, target, b"gone");
            system.poke(lane, from, &[7; BYTES as usize]);
            let (died, result) = system.call_crashing_at_store(lane, 25, [from, BYTES, bytes, flags, target, 0], nth);
            // The wall is in its way: it cannot grow where it is.
            let at = if flags & FIXED != 0 { target } else { result.unwrap() };
            assert_eq!(result, Some(at), "store {nth}");
            assert!(system.peek(lane, at, BYTES as usize) == [7; BYTES as usize], "flags {flags}, store {nth}: the pages are not what they were");
            assert_eq!(system.call(lane, 63, [from, 0, 0, 0, 0, 0]), Some((-14i64) as u64), "store {nth}: the old place is free");
            if !died {
                break;
            }
            nth += 1;
        }
        assert!(nth > 8, "{nth}");
    }
}

/// A thread on another processor goes on writing while posix is away: what it could write is there after the move.
#[test]
fn what_a_sibling_writes_while_a_move_is_begun_again_is_moved_too() {
    const MAY_MOVE: u64 = 1;
    const BYTES: u64 = 0x3000;
    let (mut nth, mut written) = (0, 0);
    loop {
        let (mut system, lane) = System::start();
        let map = |system: &mut System, protection| system.call(lane, 9, [0, BYTES, protection, 0x22, u64::MAX, 0]).unwrap();
        let (_wall, from) = (map(&mut system, 1), map(&mut system, 3));
        system.poke(lane, from, &[7; BYTES as usize]);
        let mut late = None;
        let arguments = [from, BYTES, BYTES + 0x1000, MAY_MOVE, 0, 0];
        let (died, result) = system.call_crashing_while(lane, 25, arguments, nth, |system| late = Some(system.may_write(lane, from, b"late")));
        let first = if late == Some(true) { b"late" } else { &[7; 4] };
        assert_eq!(system.peek(lane, result.unwrap(), 4), first, "store {nth}");
        written += u64::from(late == Some(true));
        if !died {
            break;
        }
        nth += 1;
    }
    assert!(nth > written && written > 4, "{written} of {nth}");
}

fn check_one_child(system: &mut System, lane: usize, what: &str) {
    assert_eq!(system.posix().processes.len(), 2, "{what}: one child");
    assert_eq!(system.machine.0.borrow().objects(), (2, 2), "{what}");
    let child = *system.posix().lanes.iter().find(|other| **other != lane).unwrap();
    assert_eq!(system.runs(child), Some(Runs::Running), "{what}: it runs");
    assert_eq!(system.peek(child, DATA, 4), b"once");
    let pid = u64::from(system.pid(child));
    assert_eq!(system.call(child, 39, [0; 6]), Some(pid));
    assert_eq!(system.call(child, 231, [0; 6]), None);
    assert_eq!(system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]), Some(pid), "{what}");
    assert_eq!(system.machine.0.borrow().objects(), (1, 1), "{what}");
}

#[test]
fn fork_makes_one_child_whichever_failpoint_kills() {
    for point in ["fork.intent", "child.recorded", "child.made", "fork.effect", "fork.record", "fork.reply"] {
        let (mut system, lane) = System::start();
        pipe(&mut system, lane);
        system.call_crashing(lane, 57, [0; 6], point);
        check_one_child(&mut system, lane, point);
    }
}

#[test]
fn fork_makes_one_child_whichever_store_is_the_last() {
    let mut nth = 0;
    loop {
        let (mut system, lane) = System::start();
        pipe(&mut system, lane);
        let (died, _) = system.call_crashing_at_store(lane, 57, [0; 6], nth);
        check_one_child(&mut system, lane, &format!("store {nth}"));
        if !died {
            break;
        }
        // Every store at first, then a sample: the copy of a process is hundreds of alike ones.
        nth += if nth < 40 { 1 } else { 37 };
    }
    assert!(nth > 40);
}

#[test]
fn exec_happens_once() {
    for point in ["execve.intent", "program.recorded", "program.loaded", "execve.effect", "execve.record", "execve.reply"] {
        let (mut system, lane) = System::start();
        let path = system.text(lane, 0, "/bin/sh");
        system.call_crashing(lane, 59, [path, 0, 0, 0, 0, 0], point);
        assert_eq!(system.machine.0.borrow().objects(), (1, 1), "{point}");
        assert_eq!(system.runs(lane), Some(Runs::Running), "{point}");
        let rip = system.machine.0.borrow().threads.values().next().unwrap().frame.rip;
        assert_eq!(rip, 0x40_1000, "{point}");
        assert_eq!(system.call(lane, 39, [0; 6]), Some(2), "{point}");
    }
}

#[test]
fn exit_and_wait_happen_once() {
    for point in ["exit_group.intent", "exit_group.effect", "exit_group.record", "object.reclaimed", "space.gone", "exit_group.reply"] {
        let (mut system, lane) = System::start();
        let child = system.fork(lane);
        let pid = u64::from(system.pid(child));
        system.call_crashing(child, 231, [5, 0, 0, 0, 0, 0], point);
        assert_eq!(system.runs(child), None, "{point}");
        assert_eq!(system.call(lane, 61, [pid, DATA, 0, 0, 0, 0]), Some(pid), "{point}");
        assert_eq!(system.peek(lane, DATA, 4), (5u32 << 8).to_le_bytes());
        assert_eq!(system.machine.0.borrow().objects(), (1, 1));
    }
    for point in ["wait4.intent", "wait4.effect", "wait4.record"] {
        let (mut system, lane) = System::start();
        let child = system.fork(lane);
        let pid = u64::from(system.pid(child));
        system.call(child, 231, [5, 0, 0, 0, 0, 0]);
        assert_eq!(system.call_crashing(lane, 61, [pid, DATA, 0, 0, 0, 0], point), Some(pid), "{point}");
        assert_eq!(system.peek(lane, DATA, 4), (5u32 << 8).to_le_bytes());
        assert_eq!(system.call(lane, 61, [pid, DATA, 0, 0, 0, 0]), Some((-10i64) as u64));
    }
}

/// An object that is destroyed leaves a dead capability, and its slot is full until that is gone too.
#[test]
fn slots_of_what_was_destroyed_can_be_used_again_whenever_posix_died() {
    for nth in 1..=2 {
        let (mut system, lane) = System::start();
        let child = system.fork(lane);
        let pid = u64::from(system.pid(child));
        system.call_crashing_at(child, 231, [5, 0, 0, 0, 0, 0], ("object.reclaimed", nth));
        assert_eq!(system.call(lane, 61, [pid, 0, 0, 0, 0, 0]), Some(pid));
        let result = system.call(lane, 57, [0; 6]).map(|result| result as i64);
        assert!(result.is_some_and(|pid| pid > 0), "the {nth}. object: fork answers {result:?}");
    }
}

/// Registers that are set are the answer for the kernel: the program goes on with them if posix dies before it has answered.
#[test]
fn thread_pointer_is_set_and_the_call_succeeds_whichever_failpoint_kills() {
    const ARCH_SET_FS: u64 = 0x1002;
    for point in ["arch_prctl.intent", "arch_prctl.effect", "arch_prctl.record", "arch_prctl.reply"] {
        let (mut system, lane) = System::start();
        let answered = system.call_crashing(lane, 158, [ARCH_SET_FS, DATA, 0, 0, 0, 0], point);
        let machine = system.machine.0.borrow();
        let thread = machine.threads.values().next().expect("the program's thread");
        let result = answered.unwrap_or(thread.frame.rax);
        assert_eq!((thread.frame.fs_base, result as i64), (DATA, 0), "{point}");
    }
}

#[test]
fn waits_are_made_again_after_a_restart() {
    let (mut system, lane) = System::start();
    pipe(&mut system, lane);
    let (reader, sleeper) = (system.fork(lane), system.fork(lane));
    assert_eq!(system.call(reader, 0, [3, DATA + 0x100, 10, 0, 0, 0]), None);
    system.poke(sleeper, DATA, &[1u64, 0].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(sleeper, 35, [DATA, 0, 0, 0, 0, 0]), None);
    system.pass(600_000_000);
    system.restart();
    assert_eq!(system.call(lane, 1, [4, DATA, 4, 0, 0, 0]), Some(4));
    assert_eq!(system.result(reader), Some(4));
    assert_eq!(system.result(sleeper), None);
    system.pass(400_000_001);
    assert_eq!(system.result(sleeper), Some(0), "it did not sleep again from the start");
}

#[test]
fn appended_bytes_are_there_once() {
    for nth in 0..30 {
        let (mut system, lane) = System::start();
        let path = system.text(lane, 0, "/log");
        let file = system.call(lane, 2, [path, 0o2102, 0o644, 0, 0, 0]).unwrap();
        system.text(lane, 0x100, "line\n");
        let (_, result) = system.call_crashing_at_store(lane, 1, [file, DATA + 0x100, 5, 0, 0, 0], nth);
        assert!(result.is_none_or(|count| count == 5));
        assert_eq!(system.call(lane, 17, [file, DATA + 0x200, 100, 0, 0, 0]), Some(5), "store {nth}");
    }
}

#[test]
fn handler_runs_once() {
    for point in ["signal.effect", "signal.record", "kill.effect", "kill.record", "kill.reply"] {
        let (mut system, lane) = System::start();
        let action = [0x40_1100u64, 0x0400_0000, 0x40_1200, 0].map(u64::to_le_bytes).concat();
        system.poke(lane, DATA + 0x800, &action);
        system.call(lane, 13, [10, DATA + 0x800, 0, 8, 0, 0]);
        let pid = u64::from(system.pid(lane));
        let before = system.machine.0.borrow().threads.values().next().unwrap().frame;
        system.call_crashing(lane, 62, [pid, 10, 0, 0, 0, 0], point);
        let inside = system.machine.0.borrow().threads.values().next().unwrap().frame;
        assert_eq!(inside.rip, 0x40_1100, "{point}");
        system.machine.0.borrow_mut().threads.values_mut().next().unwrap().frame.rsp += 8;
        system.call(lane, 15, [0; 6]);
        let after = system.machine.0.borrow().threads.values().next().unwrap().frame;
        assert_eq!((after.rip, after.rsp, after.rax), (before.rip + 2, before.rsp, 0), "{point}");
        assert_eq!(system.posix().store.process(1).pending, 0);
    }
}

/// The page is there, so the instruction would do its work this time: the program must not go on over its handler's frame, and do again afterwards what it did there.
#[test]
fn program_whose_fault_meets_a_signal_does_not_run_on_when_its_handler_is_due() {
    let (mut system, lane) = System::start();
    let action = [0x40_1100u64, 0x0400_0000, 0x40_1200, 0].map(u64::to_le_bytes).concat();
    system.poke(lane, DATA + 0x800, &action);
    system.call(lane, 13, [10, DATA + 0x800, 0, 8, 0, 0]);
    let at = system.call(lane, 9, [0, 0x1000, 3, 0x22, u64::MAX, 0]).unwrap();
    let (pid, other) = (u64::from(system.pid(lane)), system.fork(lane));
    let number = system.begin_fault(lane);
    assert_eq!(system.call(other, 62, [pid, 10, 0, 0, 0, 0]), Some(0));
    let fault = Incoming::PageFault { address: at, access: FaultAccess::WRITE };
    assert!(crash_at_failpoint("signal.record", 1, || system.receive(lane, number, fault)).is_none());
    assert_eq!(system.runs(lane), Some(Runs::Stopped));
    system.restart();
    assert_eq!((system.runs(lane), system.machine.0.borrow().threads[&slot::thread(lane)].frame.rip), (Some(Runs::Running), 0x40_1100));
}

#[test]
fn socket_write_happens_once_whichever_failpoint_kills() {
    for point in ["sendto.intent", "queue.filled", "sendto.effect", "sendto.record", "sendto.reply"] {
        let (mut system, lane) = System::start();
        let (left, right) = pair(&mut system, lane, PACKETS);
        system.text(lane, 0, "once");
        let result = system.call_crashing(lane, 44, [left, DATA, 4, 0, 0, 0], point);
        assert!(point == "sendto.reply" || result == Some(4), "{point}: {result:?}");
        assert_eq!(receive(&mut system, lane, right, 100, 0).unwrap(), "once", "{point}");
        assert_eq!(receive(&mut system, lane, right, 100, 0), Err(11), "{point}");
    }
}

#[test]
fn descriptor_is_sent_and_received_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        let (left, right) = pair(&mut system, lane, STREAM);
        send_descriptor(&mut system, lane, left, 0);
        let words = [0, 0, DATA + 0x3800, 1, DATA + 0x4000, 24, 0];
        system.poke(lane, DATA + 0x3000, &words.map(u64::to_le_bytes).concat());
        let (died, result) = system.call_crashing_at_store(lane, 47, [right, DATA + 0x3000, 0, 0, 0, 0], nth);
        assert!(result.is_none_or(|count| count == 1));
        assert_eq!(system.peek(lane, DATA + 0x4010, 4), 5u32.to_le_bytes(), "store {nth}");
        let file = system.posix().store.descriptor(1, 5).file as usize - 1;
        assert_eq!(system.posix().store.file(file).references, 2, "store {nth}");
        assert_eq!(receive(&mut system, lane, right, 1, 0), Err(11), "store {nth}");
        if !died {
            assert!(nth > 10);
            break;
        }
    }
}

#[test]
fn connection_is_made_and_accepted_once_whichever_store_is_the_last() {
    for nth in (0..).step_by(3) {
        let (mut system, lane) = System::start();
        system.poke(lane, DATA + 0x800, b"\x01\0\0name");
        let server = system.call(lane, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
        let client = system.call(lane, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
        system.call(lane, 49, [server, DATA + 0x800, 7, 0, 0, 0]);
        system.call(lane, 50, [server, 5, 0, 0, 0, 0]);
        let (died, _) = system.call_crashing_at_store(lane, 42, [client, DATA + 0x800, 7, 0, 0, 0], nth);
        let (died_too, _) = system.call_crashing_at_store(lane, 43, [server, 0, 0, 0, 0, 0], nth);
        assert_eq!(send(&mut system, lane, client, "once"), Some(4), "store {nth}");
        assert_eq!(receive(&mut system, lane, 5, 100, 0).unwrap(), "once", "store {nth}");
        system.call(lane, 72, [server, 4, 0o4000, 0, 0, 0]);
        assert_eq!(system.call(lane, 43, [server, 0, 0, 0, 0, 0]), Some((-11i64) as u64), "store {nth}");
        if !died && !died_too {
            assert!(nth > 20);
            break;
        }
    }
}

/// A call and what shows its effect afterwards: a number that would be another if the call had been made twice, or not at all.
type Case = (u64, fn(&mut System, usize) -> [u64; 6], fn(&mut System, usize) -> u64);

const CASES: [Case; 9] = [
    // dup: the next descriptor is the one after it.
    (32, |_, _| [0, 0, 0, 0, 0, 0], |system, lane| system.call(lane, 32, [0; 6]).unwrap()),
    // brk: the break moved.
    (
        12,
        |system, lane| [system.call(lane, 12, [0; 6]).unwrap() + 0x3000, 0, 0, 0, 0, 0],
        |system, lane| system.call(lane, 12, [0; 6]).unwrap() % 0x10000,
    ),
    // rt_sigprocmask: one more signal is blocked.
    (
        14,
        |system, lane| {
            system.poke(lane, DATA, &0x200u64.to_le_bytes());
            [0, DATA, DATA + 8, 8, 0, 0]
        },
        |system, lane| u64::from_le_bytes(system.peek(lane, DATA + 8, 8).try_into().unwrap()),
    ),
    // kill with no signal.
    (62, |system, lane| [u64::from(system.pid(lane)), 0, 0, 0, 0, 0], |_, _| 0),
    // epoll_ctl: adding twice is EEXIST.
    (
        233,
        |system, lane| {
            pipe(system, lane);
            let epoll = system.call(lane, 291, [0; 6]).unwrap();
            [epoll, 1, 3, DATA, 0, 0]
        },
        |_, _| 0,
    ),
    // alarm: what was left of the one before.
    (37, |_, _| [100, 0, 0, 0, 0, 0], |system, lane| system.call(lane, 37, [0; 6]).unwrap()),
    // umask: the one before.
    (95, |_, _| [0o77, 0, 0, 0, 0, 0], |system, lane| system.call(lane, 95, [0; 6]).unwrap()),
    // mkdir: a second one is EEXIST.
    (83, |system, lane| [system.text(lane, 0, "/made"), 0o755, 0, 0, 0, 0], |_, _| 0),
    // lseek from where it stands.
    (
        8,
        |system, lane| {
            system.install("/data", b"0123456789");
            let path = system.text(lane, 0, "/data");
            [system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap(), 3, 1, 0, 0, 0]
        },
        |_, _| 0,
    ),
];

#[test]
fn call_is_made_once_whichever_of_its_steps_kills() {
    for (number, prepare, look) in CASES {
        let once = {
            let (mut system, lane) = System::start();
            let arguments = prepare(&mut system, lane);
            (system.call(lane, number, arguments), look(&mut system, lane))
        };
        for step in Step::ALL {
            let (mut system, lane) = System::start();
            let arguments = prepare(&mut system, lane);
            let point = format!("{}.{}", table::name(number).unwrap(), step.name());
            let result = system.call_crashing(lane, number, arguments, &point);
            // One that was answered before the crash has its result in its registers, which this harness does not look at.
            assert!(step == Step::Reply || result == once.0, "{point}: {result:?} instead of {:?}", once.0);
            assert_eq!(look(&mut system, lane), once.1, "{point}");
        }
    }
}

#[test]
fn signal_is_queued_once_whichever_store_is_the_last() {
    const SI_QUEUE: u64 = (-1i32) as u32 as u64;
    let values = |system: &mut System, lane| {
        let mut values = Vec::new();
        while system.call(lane, 128, [DATA + 0x980, DATA + 0xa00, DATA + 0x990, 8, 0, 0]) == Some(40) {
            values.push(system.peek(lane, DATA + 0xa00 + 24, 1)[0]);
        }
        values
    };
    let start = || {
        let (mut system, lane) = System::start();
        let pid = u64::from(system.pid(lane));
        system.poke(lane, DATA + 0x980, &u64::MAX.to_le_bytes());
        system.poke(lane, DATA + 0x990, &[0; 16]);
        system.call(lane, 14, [0, DATA + 0x980, 0, 8, 0, 0]);
        for value in 1..=3u64 {
            system.poke(lane, DATA + 0x900 + value * 32, &[40, SI_QUEUE, pid, value].map(u64::to_le_bytes).concat());
        }
        let queue = |value: u64| [pid, 40, DATA + 0x900 + value * 32, 0, 0, 0];
        system.call(lane, 129, queue(1));
        system.call(lane, 129, queue(2));
        (system, lane, queue(3))
    };
    for nth in 0.. {
        let (mut system, lane, third) = start();
        let (died, result) = system.call_crashing_at_store(lane, 129, third, nth);
        assert!(result.is_none_or(|result| result == 0), "store {nth}");
        assert_eq!(values(&mut system, lane), [1, 2, 3], "queued, store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
    for nth in 0.. {
        let (mut system, lane, _) = start();
        let (died, _) = system.call_crashing_at_store(lane, 128, [DATA + 0x980, DATA + 0xa00, DATA + 0x990, 8, 0, 0], nth);
        assert_eq!(system.peek(lane, DATA + 0xa00 + 24, 1)[0], 1, "taken, store {nth}");
        assert_eq!(values(&mut system, lane), [2], "taken, store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
}
