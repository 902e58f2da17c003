use crate::fake::Runs;
use crate::fake::harness::{DATA, System, program};

const SIGCHLD_STATUS: u64 = DATA + 0x100;

#[test]
pub(super) fn first_call_of_the_session_is_answered() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 39, [0; 6]), Some(2), "getpid");
    assert_eq!(system.call(lane, 110, [0; 6]), Some(1), "getppid: posix is init");
}

#[test]
pub(super) fn session_starts_with_arguments_environment_and_entry() {
    let (mut system, lane) = System::start();
    let (entry, stack) = {
        let machine = system.machine.0.borrow();
        let frame = machine.threads.values().next().unwrap().frame;
        (frame.rip, frame.rsp)
    };
    assert_eq!(entry, 0x40_1000 + 2, "one call was made");
    let word = |system: &mut System, at: u64| u64::from_le_bytes(system.peek(lane, at, 8).try_into().unwrap());
    assert_eq!(word(&mut system, stack), 2);
    let argument = word(&mut system, stack + 16);
    assert_eq!(system.peek(lane, argument, 12), b"/run/script\0");
}

#[test]
pub(super) fn unknown_call_is_refused_and_counted() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 400, [0; 6]), Some((-38i64) as u64));
    assert_eq!(system.call(lane, u64::MAX, [0; 6]), Some((-38i64) as u64));
    for _ in 0..2 {
        assert_eq!(system.call(lane, 401, [0; 6]), Some((-38i64) as u64));
    }
    let path = system.text(lane, 0, "/proc/synos/unimplemented");
    let file = system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
    let count = system.call(lane, 0, [file, DATA + 0x1000, 4096, 0, 0, 0]).unwrap() as usize;
    // Numbers beyond all calls are counted as the last one.
    assert_eq!(system.peek(lane, DATA + 0x1000, count), b"400 1\n401 2\n511 1\n");
}

#[test]
pub(super) fn child_has_its_own_memory_from_the_fork_on() {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA, b"before");
    let child = system.fork(lane);
    assert_eq!(system.runs(child), Some(Runs::Running));
    assert_eq!(system.peek(child, DATA, 6), b"before");
    system.poke(child, DATA, b"child!");
    system.poke(lane, DATA, b"parent");
    assert_eq!(system.peek(child, DATA, 6), b"child!");
    assert_eq!(system.peek(lane, DATA, 6), b"parent");
}

#[test]
pub(super) fn parent_waits_for_its_child_and_hears_its_status() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    let pid = system.pid(child);
    assert_eq!(system.call(lane, 61, [u64::from(pid), SIGCHLD_STATUS, 0, 0, 0, 0]), None);
    assert_eq!(system.call(child, 231, [7, 0, 0, 0, 0, 0]), None);
    assert_eq!(system.result(lane), Some(u64::from(pid)));
    assert_eq!(system.peek(lane, SIGCHLD_STATUS, 4), (7u32 << 8).to_le_bytes());
    assert_eq!(system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]), Some((-10i64) as u64), "ECHILD");
}

#[test]
pub(super) fn nothing_of_a_dead_process_stays() {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA, &[1; 100_000]);
    let before = (system.machine.0.borrow().used_pages(), system.machine.0.borrow().objects());
    for _ in 0..5 {
        let child = system.fork(lane);
        system.poke(child, DATA, &[2; 100_000]);
        system.call(child, 231, [0; 6]);
        assert!(system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]).is_some());
        system.poke(lane, DATA, &[3; 100_000]);
    }
    let machine = system.machine.0.borrow();
    assert_eq!((machine.used_pages(), machine.objects()), before);
}

#[test]
pub(super) fn vfork_parent_waits_until_its_child_executes() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 58, [0; 6]), None);
    let child = *system.posix().lanes.last().unwrap();
    system.poke(child, DATA + 64, b"shared");
    assert_eq!(system.peek(lane, DATA + 64, 6), b"shared");
    let path = system.text(child, 0, "/bin/sh");
    system.call(child, 59, [path, 0, 0, 0, 0, 0]);
    assert!(system.result(lane).is_some());
    assert_ne!(system.map_of(lane), system.map_of(child));
}

#[test]
pub(super) fn executed_program_starts_afresh() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/bin/sh");
    let list = [path, 0].map(u64::to_le_bytes).concat();
    system.poke(lane, DATA + 0x200, &list);
    assert_eq!(system.call(lane, 59, [path, DATA + 0x200, 0, 0, 0, 0]), None);
    assert_eq!(system.runs(lane), Some(Runs::Running));
    let rip = system.machine.0.borrow().threads.values().next().unwrap().frame.rip;
    assert_eq!(rip, 0x40_1000);
    assert_eq!(system.machine.0.borrow().objects(), (1, 1));
    assert_eq!(system.call(lane, 39, [0; 6]), Some(2));
}

#[test]
pub(super) fn script_with_interpreter_is_executed_by_it() {
    let (mut system, lane) = System::start();
    system.install("/bin/tool", b"#!/bin/sh -x\necho\n");
    let path = system.text(lane, 0, "/bin/tool");
    assert_eq!(system.call(lane, 59, [path, 0, 0, 0, 0, 0]), None);
    let map = system.map_of(lane);
    let [start, end] = system.posix().store.map(map).arguments;
    assert_eq!(system.peek(lane, start, (end - start) as usize), b"/bin/sh\0-x\0/bin/tool\0");
    let process = system.posix().store.thread(lane).process as usize;
    assert!(system.posix().store.process(process).name.starts_with(b"tool\0"), "its name is the script's");
}

#[test]
pub(super) fn what_is_no_program_is_refused() {
    let (mut system, lane) = System::start();
    system.install("/bin/text", b"hello");
    system.install("/bin/loop", b"#!/bin/loop\n");
    let mut broken = program();
    broken[16] = 9;
    system.install("/bin/broken", &broken);
    for (path, errno) in [("/bin/text", 8), ("/bin/broken", 8), ("/bin/loop", 40), ("/none", 2), ("/bin", 13)] {
        let path = system.text(lane, 0, path);
        assert_eq!(system.call(lane, 59, [path, 0, 0, 0, 0, 0]), Some((-errno as i64) as u64));
    }
    assert_eq!(system.machine.0.borrow().objects(), (1, 1));
}

#[test]
pub(super) fn stack_is_executable_for_a_program_that_says_so() {
    const HEADERS: usize = 64;
    const HEADER_BYTES: usize = 56;
    const COUNT: usize = 56;
    for executable in [false, true] {
        let (mut system, lane) = System::start();
        let mut bytes = program();
        let at = HEADERS + HEADER_BYTES * usize::from(bytes[COUNT]);
        bytes[COUNT] += 1;
        bytes[at..at + 4].copy_from_slice(&0x6474_e551u32.to_le_bytes());
        bytes[at + 4] = if executable { 7 } else { 6 };
        system.install("/bin/stack", &bytes);
        let path = system.text(lane, 0, "/bin/stack");
        assert_eq!(system.call(lane, 59, [path, 0, 0, 0, 0, 0]), None);
        let map = system.map_of(lane);
        let stack = system.posix().store.area_at(map, crate::vma::STACK_TOP - 1).unwrap();
        assert_eq!(stack.flags & crate::vma::PROTECTION, if executable { 7 } else { 3 });
    }
}

#[test]
pub(super) fn end_of_the_script_turns_the_power_off_after_its_last_byte() {
    let (mut system, lane) = System::start();
    system.text(lane, 0, "bye\n");
    assert_eq!(system.call(lane, 1, [1, DATA, 4, 0, 0, 0]), Some(4));
    system.call(lane, 231, [3, 0, 0, 0, 0, 0]);
    assert_eq!(system.printed(), b"bye\n");
    assert_eq!(system.machine.0.borrow().powered_off, Some(3));
}

#[test]
pub(super) fn orphans_are_reaped_by_init() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    let grandchild = system.fork(child);
    system.call(child, 231, [0; 6]);
    assert_eq!(system.call(grandchild, 110, [0; 6]), Some(1));
    system.call(grandchild, 231, [0; 6]);
    system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]);
    assert_eq!(system.posix().processes.len(), 1);
}

#[test]
pub(super) fn threads_share_memory_and_wake_each_other() {
    let (mut system, lane) = System::start();
    let flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x8_0000 | 0x20_0000;
    let tid = system.call(lane, 56, [flags, DATA + 0x8000, 0, DATA + 0x40, 0x1234, 0]).unwrap() as u32;
    let other = system.lane_of(tid);
    assert_eq!(system.map_of(lane), system.map_of(other));
    system.poke(lane, DATA + 0x40, &5u32.to_le_bytes());
    assert_eq!(system.call(lane, 202, [DATA + 0x40, 0, 5, 0, 0, 0]), None, "futex wait");
    assert_eq!(system.call(other, 60, [0; 6]), None, "exit of the thread");
    assert_eq!(system.result(lane), Some(0), "woken by the cleared word");
    assert_eq!(system.peek(lane, DATA + 0x40, 4), [0; 4]);
}

/// On another processor a thread may end before the one that waits for it has made its call again.
#[test]
fn wake_that_comes_before_the_waiter_is_heard_again_is_not_lost() {
    for moves in [false, true] {
        let (mut system, lane) = System::start();
        let flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x8_0000 | 0x20_0000;
        let tid = system.call(lane, 56, [flags, DATA + 0x8000, 0, DATA + 0x40, 0x1234, 0]).unwrap() as u32;
        let other = system.lane_of(tid);
        let word = if moves { DATA + 0x80 } else { DATA + 0x40 };
        system.poke(lane, word, &5u32.to_le_bytes());
        assert_eq!(system.call(lane, 202, [word, 0, 5, 0, 0, 0]), None, "futex wait");
        system.restart_and(|system| {
            if moves {
                assert_eq!(system.call(other, 202, [word, 3, 0, 9, DATA + 0x40, 0]), Some(0), "whether it still waits nobody knows");
            }
            assert_eq!(system.call(other, 60, [0; 6]), None, "exit of the thread");
        });
        assert_eq!(system.result(lane), Some(0), "woken by the cleared word");
    }
}

/// What another call of the thread achieved is not taken for a place in a queue: here the one byte that went into a full pipe.
#[test]
fn thread_that_writes_is_no_waiter_of_the_futex_it_waited_for_before() {
    const ROOM: u64 = 65_536;
    let (mut system, lane) = System::start();
    let flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x8_0000;
    let tid = system.call(lane, 56, [flags, DATA + 0x8000, 0, 0, 0x1234, 0]).unwrap() as u32;
    let other = system.lane_of(tid);
    assert_eq!(system.call(lane, 22, [DATA, 0, 0, 0, 0, 0]), Some(0), "pipe");
    let [from, to] = [0, 4].map(|at| u64::from(u32::from_le_bytes(system.peek(lane, DATA + at, 4).try_into().unwrap())));
    let buffer = system.call(lane, 9, [0, 2 * ROOM, 3, 0x22, u64::MAX, 0]).unwrap();
    let bytes: Vec<u8> = (0..ROOM + 5000).map(|index| (index % 251) as u8).collect();
    system.poke(lane, buffer, &bytes);
    assert_eq!(system.call(lane, 1, [to, buffer, ROOM - 1, 0, 0, 0]), Some(ROOM - 1));

    system.poke(lane, DATA + 0x40, &5u32.to_le_bytes());
    system.poke(lane, DATA + 0x80, &[0u64.to_le_bytes(), 1000u64.to_le_bytes()].concat());
    assert_eq!(system.call(lane, 202, [DATA + 0x40, 0, 5, DATA + 0x80, 0, 0]), None, "futex wait");
    system.pass(2000);
    assert_eq!(system.call(lane, 1, [to, buffer + ROOM - 1, 5001, 0, 0, 0]), None, "one byte has room");
    assert_eq!(system.call(other, 202, [DATA + 0x40, 1, 1, 0, 0, 0]), Some(0), "nobody waits");

    let mut seen = Vec::new();
    while seen.len() < bytes.len() {
        let count = system.call(other, 0, [from, buffer + ROOM + 0x4000, 5000, 0, 0, 0]).expect("there is more");
        seen.extend(system.peek(lane, buffer + ROOM + 0x4000, count as usize));
    }
    assert!(seen == bytes, "no byte is lost or doubled");
}

/// Another processor changes the word between the look at it and the change: what it put there counts, and nothing of it is lost.
#[test]
fn word_of_a_futex_is_changed_in_one_step() {
    const ADD_3_AND_WAKE_IF_GREATER_THAN_10: u64 = 1 << 28 | 4 << 24 | 3 << 12 | 10;
    let (mut system, lane) = System::start();
    let [word, other] = [DATA + 0x40, DATA + 0x80];
    system.poke(lane, other, &5u32.to_le_bytes());
    system.machine.0.borrow_mut().meanwhile = vec![20, 7];
    assert_eq!(system.call(lane, 202, [word, 5, 1, 1, other, ADD_3_AND_WAKE_IF_GREATER_THAN_10]), Some(0));
    assert_eq!(system.peek(lane, other, 4), 23u32.to_le_bytes());
}

/// The owner of a lock dies while another thread says, on another processor, that it waits for it.
#[test]
fn waiter_that_comes_while_the_owner_of_a_robust_lock_dies_is_not_lost() {
    const WAITERS: u32 = 1 << 31;
    const OWNER_DIED: u32 = 1 << 30;
    let (mut system, lane) = System::start();
    let flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x8_0000;
    let tid = system.call(lane, 56, [flags, DATA + 0x8000, 0, 0, 0x1234, 0]).unwrap() as u32;
    let other = system.lane_of(tid);
    let [head, entry, lock] = [DATA + 0x40, DATA + 0x80, DATA + 0xa0];
    system.poke(lane, head, &[entry, lock - entry, 0].map(u64::to_le_bytes).concat());
    system.poke(lane, entry, &head.to_le_bytes());
    system.poke(lane, lock, &tid.to_le_bytes());
    assert_eq!(system.call(other, 273, [head, 24, 0, 0, 0, 0]), Some(0), "set_robust_list");
    assert_eq!(system.call(lane, 202, [lock, 0, u64::from(tid), 0, 0, 0]), None, "futex wait");
    system.machine.0.borrow_mut().meanwhile = vec![tid | WAITERS];
    assert_eq!(system.call(other, 60, [0; 6]), None, "exit of the thread");
    assert_eq!(system.peek(lane, lock, 4), (WAITERS | OWNER_DIED).to_le_bytes());
    assert_eq!(system.result(lane), Some(0), "woken");
}

#[test]
pub(super) fn thread_whose_futex_wait_ended_by_time_is_no_waiter_any_more() {
    let (mut system, lane) = System::start();
    system.poke(lane, DATA + 0x40, &5u32.to_le_bytes());
    system.poke(lane, DATA + 0x80, &[0u64.to_le_bytes(), 1000u64.to_le_bytes()].concat());
    assert_eq!(system.call(lane, 202, [DATA + 0x40, 0, 5, DATA + 0x80, 0, 0]), None, "futex wait");
    system.pass(2000);
    assert_eq!(system.result(lane).map(|value| value as i64), Some(-110));
    assert_eq!(system.call(lane, 202, [DATA + 0x40, 1, 1, 0, 0, 0]), Some(0), "it would take the wake of one who waits");
}

#[test]
pub(super) fn shell_at_the_console_is_started_again_when_it_ends() {
    let (mut system, lane) = System::start_with("term=vt100");
    system.text(lane, 0, "$ ");
    assert_eq!(system.call(lane, 1, [1, DATA, 2, 0, 0, 0]), Some(2));
    assert_eq!(system.machine.0.borrow().console.output, b"$ ");
    system.call(lane, 231, [0; 6]);
    assert_eq!(system.posix().processes.len(), 1);
    let next = system.posix().lanes[0];
    assert_eq!(system.runs(next), Some(Runs::Running));
}

#[test]
pub(super) fn a_fork_bomb_meets_its_limit_and_can_be_killed() {
    let (mut system, lane) = System::start();
    let mut children = Vec::new();
    loop {
        match system.call(lane, 57, [0; 6]).unwrap() as i64 {
            -11 => break,
            pid => children.push(pid as u32),
        }
        assert!(children.len() < 300);
    }
    assert!(children.len() > 100);
    for pid in &children {
        assert_eq!(system.call(lane, 62, [u64::from(*pid), 9, 0, 0, 0, 0]), Some(0));
    }
    for _ in &children {
        assert!((system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]).unwrap() as i64) > 0);
    }
    assert_eq!(system.machine.0.borrow().objects(), (1, 1));
}

/// Nobody set a limit, and one user is everybody.
#[test]
fn a_bomb_of_processes_or_threads_leaves_room_for_other_groups() {
    const THREAD: u64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000;
    for threads in [false, true] {
        let (mut system, shell) = System::start();
        let bomb = system.fork(shell);
        assert_eq!(system.call(bomb, 109, [0; 6]), Some(0), "setpgid");
        let mut others = vec![bomb];
        let refused = loop {
            // Threads of several processes: none of these has many.
            let (from, flags) = if threads && others.len() % 40 > 0 { (others[others.len() / 40 * 40], THREAD) } else { (bomb, 17) };
            let result = system.call(from, 56, [flags, 0, 0, 0, 0, 0]).unwrap() as i64;
            if result < 0 {
                break result;
            }
            others.push(system.lane_of(result as u32));
        };
        assert_eq!(refused, -11);
        assert!(others.len() > 200, "{}", others.len());
        for _ in 0..10 {
            let command = system.fork(shell);
            assert_eq!(system.call(command, 109, [0; 6]), Some(0));
            system.fork(command);
        }
        assert_eq!(system.call(bomb, 56, [17, 0, 0, 0, 0, 0]), Some(-11i64 as u64));
    }
}

#[test]
fn random_bytes_are_new_in_every_instance_and_the_log_says_when_they_are_weak() {
    let (mut system, lane) = System::start();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..6 {
        assert_eq!(system.call(lane, 318, [DATA, 64, 0, 0, 0, 0]), Some(64));
        assert!(seen.insert(system.peek(lane, DATA, 64)), "round {round}");
        if round % 2 == 1 {
            system.machine.0.borrow_mut().has_random = false;
            system.restart();
        }
    }
    let machine = system.machine.0.borrow();
    assert_eq!(machine.log.iter().filter(|line| line.contains("no random bits")).count(), 2, "{:?}", machine.log);
}

const SETSCHEDULER: u64 = 144;
const FIFO: u64 = 1;
const RESET_ON_FORK: u64 = 0x4000_0000;

fn level(system: &System, lane: usize) -> u64 {
    system.machine.0.borrow().threads.values().find(|thread| thread.lane == lane).expect("a thread").level
}

#[test]
fn policy_and_properties_survive_a_restart_and_are_inherited() {
    const ROUND_ROBIN: u64 = 2;
    const GETSCHEDULER: u64 = 145;
    const GETPARAM: u64 = 143;
    const PRCTL: u64 = 157;
    const SET_SLACK: u64 = 29;
    const GET_SLACK: u64 = 30;
    let (mut system, lane) = System::start();
    system.poke(lane, DATA, &7u32.to_le_bytes());
    assert_eq!(system.call(lane, SETSCHEDULER, [0, ROUND_ROBIN, DATA, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, PRCTL, [SET_SLACK, 1234, 0, 0, 0, 0]), Some(0));
    system.restart();
    let child = system.fork(lane);
    for lane in [lane, child] {
        assert_eq!(system.call(lane, GETSCHEDULER, [0; 6]), Some(ROUND_ROBIN));
        assert_eq!(system.call(lane, GETPARAM, [0, DATA + 8, 0, 0, 0, 0]), Some(0));
        assert_eq!(system.peek(lane, DATA + 8, 4), 7u32.to_le_bytes());
        assert_eq!(system.call(lane, PRCTL, [GET_SLACK, 0, 0, 0, 0, 0]), Some(1234));
        assert_eq!(level(&system, lane), 9);
    }
    for (lane, slack) in [(lane, 50_000), (child, 1234)] {
        assert_eq!(system.call(lane, PRCTL, [SET_SLACK, 0, 0, 0, 0, 0]), Some(0));
        assert_eq!(system.call(lane, PRCTL, [GET_SLACK, 0, 0, 0, 0, 0]), Some(slack), "what it began with");
    }
}

#[test]
fn thread_runs_on_the_level_of_its_policy_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        system.poke(lane, DATA, &99u32.to_le_bytes());
        let (died, result) = system.call_crashing_at_store(lane, SETSCHEDULER, [0, FIFO | RESET_ON_FORK, DATA, 0, 0, 0], nth);
        assert_eq!((result, level(&system, lane)), (Some(0), 15), "store {nth}");
        let child = system.fork(lane);
        assert_eq!(level(&system, child), 0, "it was told no other level than everybody's");
        if !died {
            assert!(nth > 0);
            break;
        }
    }
}
