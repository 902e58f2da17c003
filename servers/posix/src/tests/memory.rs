use std::panic::{AssertUnwindSafe, catch_unwind};

use abi::FaultAccess;

use crate::fake::Runs;
use crate::fake::harness::{DATA, DATA_BYTES, System};
use crate::frames::Frames;
use crate::saved::slot;
use crate::server::Incoming;
use crate::table::{CALLS, Kind};

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

pub(super) fn fault(system: &mut System, lane: usize, address: u64, access: u64) {
    let number = system.begin_fault(lane);
    system.receive(lane, number, Incoming::PageFault { address, access });
    system.hear_vfs();
}

/// A fault that posix refuses: the instruction is tried again, and faults again.
fn refused_fault(system: &mut System, lane: usize, address: u64, access: u64) {
    fault(system, lane, address, access);
    assert_eq!(system.runs(lane), Some(Runs::Running), "a fault is believed when it comes twice");
    fault(system, lane, address, access);
}

#[test]
pub(super) fn break_moves_and_its_memory_is_zero() {
    let (mut system, lane) = System::start();
    let start = system.call(lane, 12, [0; 6]).unwrap();
    assert_eq!(start, 0x40_5000);
    assert_eq!(system.call(lane, 12, [start + 0x3000, 0, 0, 0, 0, 0]), Some(start + 0x3000));
    assert_eq!(system.peek(lane, start, 4), [0; 4]);
    system.poke(lane, start, b"heap");
    assert_eq!(system.call(lane, 12, [start, 0, 0, 0, 0, 0]), Some(start));
    assert_eq!(system.call(lane, 12, [start + 0x1000, 0, 0, 0, 0, 0]), Some(start + 0x1000));
    assert_eq!(system.peek(lane, start, 4), [0; 4]);
}

#[test]
pub(super) fn program_has_its_file_bytes_and_zeros_behind_them() {
    let (mut system, lane) = System::start();
    assert_eq!(system.peek(lane, 0x40_1000, 4), [0x90; 4]);
    assert_eq!(system.peek(lane, 0x40_3010, 4), [0x90; 4]);
    assert_eq!(system.peek(lane, 0x40_3110, 4), [0; 4], "the tail of the file's last page");
    assert_eq!(system.peek(lane, 0x40_4000, 4), [0; 4]);
    system.poke(lane, 0x40_3010, b"mine");
    let path = system.text(lane, 0, "/bin/sh");
    let file = system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
    system.call(lane, 17, [file, DATA, 4, 0x2010, 0, 0]);
    assert_eq!(system.peek(lane, DATA, 4), [0x90; 4], "the file did not change");
}

#[test]
pub(super) fn faults_are_answered_or_kill() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    fault(&mut system, child, DATA + 0x5000, FaultAccess::WRITE);
    assert_eq!(system.runs(child), Some(Runs::Running));
    refused_fault(&mut system, child, 0x40_1000, FaultAccess::WRITE | FaultAccess::PRESENT);
    assert_eq!(system.runs(child), None, "SIGSEGV");
    assert!(system.call(lane, 61, [u64::MAX, DATA, 0, 0, 0, 0]).is_some());
    assert_eq!(system.peek(lane, DATA, 4), 11u32.to_le_bytes());
}

#[test]
fn another_fault_is_not_the_refused_one() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    for nth in 0..3 {
        fault(&mut system, child, 0x40_1000 + nth * 8, FaultAccess::WRITE | FaultAccess::PRESENT);
        assert_eq!(system.runs(child), Some(Runs::Running), "fault {nth} is another one");
    }
}

#[test]
pub(super) fn mappings_are_cut_protected_and_moved() {
    let (mut system, lane) = System::start();
    let at = system.call(lane, 9, [0, 0x4000, 3, 0x22, u64::MAX, 0]).unwrap();
    system.poke(lane, at, &[7; 0x4000]);
    assert_eq!(system.call(lane, 11, [at + 0x1000, 0x1000, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 0, [0, at + 0x1000, 1, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 10, [at, 0x1000, 1, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 63, [at, 0, 0, 0, 0, 0]), error(14), "uname into what is read only");
    assert_eq!(system.call(lane, 10, [at, 0x1000, 3, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 63, [at, 0, 0, 0, 0, 0]), Some(0));
    let moved = system.call(lane, 25, [at + 0x2000, 0x2000, 0x8000, 1, 0, 0]).unwrap();
    assert_eq!(system.peek(lane, moved, 0x2000), [7; 0x2000]);
    assert_eq!(system.peek(lane, moved + 0x2000, 16), [0; 16]);
    system.poke(lane, moved, b"writable");
}

#[test]
pub(super) fn pages_without_access_fault_and_keep_their_content() {
    let (mut system, lane) = System::start();
    let at = system.call(lane, 9, [0, 0x4000, 3, 0x22, u64::MAX, 0]).unwrap();
    system.poke(lane, at, &[7; 0x4000]);
    let protect = |system: &mut System, lane, protection| system.call(lane, 10, [at, 0x2000, protection, 0, 0, 0]);
    assert_eq!(protect(&mut system, lane, 0), Some(0));
    assert_eq!(system.call(lane, 63, [at, 0, 0, 0, 0, 0]), error(14), "uname into a page without access");
    assert_eq!(system.call(lane, 201, [at + 0x2000, 0, 0, 0, 0, 0]), Some(1_700_000_000), "the page behind is open");
    let child = system.fork(lane);
    assert_eq!(protect(&mut system, child, 1), Some(0));
    assert_eq!(system.peek(child, at, 0x2000), [7; 0x2000]);
    assert_eq!(protect(&mut system, child, 3), Some(0));
    system.poke(child, at, b"child");
    fault(&mut system, child, at, FaultAccess::WRITE);
    assert_eq!(protect(&mut system, child, 0), Some(0));
    refused_fault(&mut system, child, at, FaultAccess::PRESENT);
    assert_eq!(system.runs(child), None, "SIGSEGV");
    assert_eq!(protect(&mut system, lane, 3), Some(0));
    assert_eq!(system.peek(lane, at, 0x2000), [7; 0x2000], "the parent's page is not the child's");
    system.poke(lane, at, b"parent");
}

#[test]
pub(super) fn page_closed_by_a_call_that_was_taken_back_opens_at_the_next_fault() {
    let (mut system, lane) = System::start();
    let at = system.call(lane, 9, [0, 0x1000, 3, 0x22, u64::MAX, 0]).unwrap();
    system.poke(lane, at, b"kept");
    let map = system.map_of(lane);
    system.posix().protect(map, at, at + 0x1000, abi::MapFlags::NONE).unwrap();
    fault(&mut system, lane, at, FaultAccess::WRITE | FaultAccess::PRESENT);
    assert_eq!(system.runs(lane), Some(Runs::Running));
    system.poke(lane, at + 4, b" and written");
    assert_eq!(system.peek(lane, at, 8), b"kept and");
}

#[test]
pub(super) fn shared_memory_is_seen_by_both_sides_of_a_fork() {
    let (mut system, lane) = System::start();
    let at = system.call(lane, 9, [0, 0x2000, 3, 0x21, u64::MAX, 0]).unwrap();
    assert!((at as i64) > 0);
    let child = system.fork(lane);
    system.poke(child, at + 0x1000, b"from the child");
    assert_eq!(system.peek(lane, at + 0x1000, 14), b"from the child");
}

#[test]
pub(super) fn shared_file_mapping_is_the_file() {
    let (mut system, lane) = System::start();
    system.install("/data", &[b'x'; 5000]);
    let path = system.text(lane, 0, "/data");
    let file = system.call(lane, 2, [path, 2, 0, 0, 0, 0]).unwrap();
    let shared = system.call(lane, 9, [0, 0x3000, 3, 1, file, 0]).unwrap();
    let private = system.call(lane, 9, [0, 0x2000, 3, 2, file, 0]).unwrap();
    system.poke(lane, private, b"private");
    system.poke(lane, shared + 10, b"shared");
    system.call(lane, 17, [file, DATA, 16, 0, 0, 0]);
    assert_eq!(system.peek(lane, DATA, 16), b"xxxxxxxxxxshared");
    assert_eq!(system.call(lane, 63, [shared + 0x2000, 0, 0, 0, 0, 0]), error(14), "beyond the end");
}

#[test]
pub(super) fn a_memory_hog_is_stopped_and_others_live() {
    let (mut system, lane) = System::start();
    system.machine.0.borrow_mut().for_sale = 64;
    let child = system.fork(lane);
    let bytes = 0x1000_0000u64;
    let at = system.call(child, 9, [0, bytes, 3, 0x22, u64::MAX, 0]).unwrap();
    let mut page = at;
    while system.runs(child).is_some() && page < at + bytes {
        fault(&mut system, child, page, FaultAccess::WRITE);
        page += 0x1000;
    }
    assert_eq!(system.runs(child), None, "killed");
    assert_eq!(system.call(lane, 39, [0; 6]), Some(2));
    let other = system.fork(lane);
    assert_eq!(system.runs(other), Some(Runs::Running));
}

/// Pages that a new hog touches, all of them.
const HOG_PAGES: u64 = 8192;

fn run_hog(system: &mut System, lane: usize) -> usize {
    let hog = system.fork(lane);
    let at = system.call(hog, 9, [0, HOG_PAGES * 0x1000, 3, 0x22, u64::MAX, 0]).unwrap();
    for page in 0..HOG_PAGES {
        fault(system, hog, at + page * 0x1000, FaultAccess::WRITE);
    }
    hog
}

#[test]
fn what_a_hog_had_can_be_bought_by_others_when_it_ends_and_a_little_stays() {
    let (mut system, lane) = System::start();
    let before = system.machine.0.borrow().for_sale;
    let hog = run_hog(&mut system, lane);
    let meanwhile = system.machine.0.borrow().for_sale;
    assert!(before - meanwhile >= HOG_PAGES as usize - 2048, "{before} {meanwhile}");
    system.call(hog, 231, [0; 6]);
    let after = system.machine.0.borrow().for_sale;
    assert!(before - after <= 3 * 1024, "before {before}, meanwhile {meanwhile}, after {after}");
    assert!(after < before, "something stays for the next program");
    // What stays suffices for small programs: nothing goes to and fro.
    for _ in 0..100 {
        let child = system.fork(lane);
        system.call(child, 231, [0; 6]);
        system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]);
        assert_eq!(system.machine.0.borrow().for_sale, after);
    }
}

#[test]
fn what_a_hog_had_goes_back_when_it_outlived_posix() {
    let (mut system, lane) = System::start();
    let before = system.machine.0.borrow().for_sale;
    let hog = run_hog(&mut system, lane);
    system.restart();
    system.call(hog, 231, [0; 6]);
    let after = system.machine.0.borrow().for_sale;
    assert!(before - after <= 3 * 1024, "before {before}, after {after}");
}

#[test]
fn chunks_go_back_once_whichever_failpoint_kills() {
    for point in ["chunk.return", "chunk.returned"] {
        let (mut system, lane) = System::start();
        let before = system.machine.0.borrow().for_sale;
        let hog = run_hog(&mut system, lane);
        system.call_crashing(hog, 231, [0; 6], point);
        assert_eq!(system.runs(hog), None, "{point}");
        assert_eq!(system.call(lane, 61, [u64::MAX, 0, 0, 0, 0, 0]), Some(3), "{point}");
        let after = system.machine.0.borrow().for_sale;
        assert!(before - after <= 3 * 1024 && after < before, "{point}: before {before}, after {after}");
        let other = system.fork(lane);
        assert_eq!(system.runs(other), Some(Runs::Running), "{point}");
    }
}

#[test]
fn purchase_is_made_once_whichever_failpoint_kills() {
    for point in ["chunk.buy", "chunk.bought"] {
        let (mut system, lane) = System::start();
        let at = system.call(lane, 9, [0, HOG_PAGES * 0x1000, 3, 0x22, u64::MAX, 0]).unwrap();
        let mut deaths = 0;
        for page in 0..HOG_PAGES / 8 {
            // Posix itself writes there, so it brings the page.
            let (died, result) = system.call_crashing_if(lane, 201, [at + page * 0x8000, 0, 0, 0, 0, 0], (point, 1));
            assert_eq!(result, Some(1_700_000_000), "{point} at {page}");
            deaths += u32::from(died);
        }
        assert!(deaths > 0, "{point} was not reached");
        let used = system.machine.0.borrow().used_pages();
        let bought = (1 << 14) - system.machine.0.borrow().for_sale;
        assert!(used <= bought && bought < used + 2048, "{point}: {used} used, {bought} bought");
    }
}

#[test]
fn hundred_deaths_leave_no_page_behind_of_moved_memory() {
    const MAY_MOVE_TO: u64 = 3;
    let (mut system, lane) = System::start();
    let length = 1500 * 0x1000;
    let places = [0x5000_0000, 0x6000_0000];
    assert_eq!(system.call(lane, 9, [places[0], length, 3, 0x32, u64::MAX, 0]), Some(places[0]));
    for page in [0, 511, 512, 1499] {
        fault(&mut system, lane, places[0] + page * 0x1000, FaultAccess::WRITE);
    }
    system.poke(lane, places[0] + 512 * 0x1000, b"here");
    let mut used = None;
    for death in 0..100 {
        let (from, to) = (places[death % 2], places[(death + 1) % 2]);
        assert_eq!(system.call(lane, 25, [from, length, length, MAY_MOVE_TO, to, 0]), Some(to));
        assert_eq!(system.peek(lane, to + 512 * 0x1000, 4), b"here");
        system.restart();
        let now = system.machine.0.borrow().used_pages();
        // The first moves make the tables that all use.
        let before = if death < 2 { now } else { *used.get_or_insert(now) };
        assert_eq!(now, before, "death {death}");
    }
}

/// A child that has taken all pages but the last few, and one that has hardly any.
fn hog_and_other(system: &mut System, lane: usize) -> (usize, usize) {
    system.machine.0.borrow_mut().for_sale = 0;
    let (hog, other) = (system.fork(lane), system.fork(lane));
    let at = system.call(hog, 9, [0, 0x1000_0000, 3, 0x22, u64::MAX, 0]).unwrap();
    let mut page = at;
    while system.posix().memory_left() > 16 {
        fault(system, hog, page, FaultAccess::WRITE);
        page += 0x8000;
    }
    (hog, other)
}

#[test]
fn whoever_is_largest_goes_and_whoever_asked_gets_its_page() {
    let (mut system, lane) = System::start();
    let (hog, other) = hog_and_other(&mut system, lane);
    let at = system.call(other, 9, [0, 0x8_0000, 3, 0x22, u64::MAX, 0]).unwrap();
    for page in 0..0x80 {
        fault(&mut system, other, at + page * 0x1000, FaultAccess::WRITE);
        assert_eq!(system.runs(other), Some(Runs::Running), "page {page}");
    }
    assert_eq!(system.runs(hog), None, "killed");
    assert_eq!(system.call(lane, 61, [u64::MAX, DATA, 0, 0, 0, 0]).map(|pid| pid as i64), Some(3));
    assert_eq!(system.peek(lane, DATA, 4), 9u32.to_le_bytes());
    let machine = system.machine.0.borrow();
    let said: Vec<_> = machine.log.iter().filter(|line| line.contains("out of memory")).collect();
    assert!(said.len() == 1 && said[0].contains("process 3 (sh) is killed for its "), "{said:?}");
}

#[test]
fn call_that_needs_memory_waits_for_the_largest_to_go_wherever_posix_dies() {
    for nth in 1.. {
        let (mut system, lane) = System::start();
        let (hog, other) = hog_and_other(&mut system, lane);
        let at = system.call(other, 9, [0, 0x20_0000, 3, 0x22, u64::MAX, 0]).unwrap();
        let (mut died, mut page) = (false, at);
        while system.runs(hog).is_some() {
            let (dies, _) = system.call_crashing_at_store(other, 201, [page, 0, 0, 0, 0, 0], nth);
            assert_eq!(system.runs(other), Some(Runs::Running), "store {nth}");
            assert_eq!(system.machine.0.borrow().threads[&slot::thread(other)].frame.rax, 1_700_000_000, "store {nth}");
            died |= dies;
            page += 0x8000;
        }
        assert_eq!(system.peek(other, page - 0x8000, 8), 1_700_000_000u64.to_le_bytes());
        assert_eq!(system.runs(lane), Some(Runs::Running), "nobody else went");
        if !died {
            assert!(nth > 4, "the kill is saved");
            return;
        }
    }
}

#[test]
pub(super) fn child_finds_of_memory_what_its_parent_has_said() {
    const NOT_FORKED: u64 = 10;
    const WIPED: u64 = 18;
    let (mut system, lane) = System::start();
    let at = system.call(lane, 9, [0, 0x3000, 3, 0x22, u64::MAX, 0]).unwrap();
    system.poke(lane, at, &[7; 0x3000]);
    assert_eq!(system.call(lane, 28, [at, 0x1000, WIPED, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 28, [at + 0x1000, 0x1000, NOT_FORKED, 0, 0, 0]), Some(0));
    let child = system.fork(lane);
    assert_eq!(system.peek(child, at, 4), [0; 4]);
    assert_eq!(system.peek(child, at + 0x2000, 4), [7; 4]);
    assert_eq!(system.call(child, 63, [at + 0x1000, 0, 0, 0, 0, 0]), error(14), "nothing is there");
    assert_eq!(system.peek(lane, at, 0x3000), [7; 0x3000]);
    let grandchild = system.fork(child);
    system.poke(child, at, b"mine");
    assert_eq!(system.peek(grandchild, at, 4), [0; 4], "the advice is inherited");
}

/// Every pointer argument of every call, with every kind of bad address: an errno, never a crash of the server.
#[test]
pub(super) fn bad_addresses_in_every_pointer_of_every_call() {
    let (mut system, lane) = System::start();
    let bad = [0, 1, 0x1000, DATA + DATA_BYTES - 1, abi::USER_END - 1, abi::USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 7, u64::MAX];
    for entry in CALLS {
        for argument in 0..entry.kinds.len() {
            let pointer = matches!(entry.kinds[argument], Kind::Path | Kind::Input | Kind::Output | Kind::Both | Kind::Address | Kind::Length);
            for value in bad.into_iter().filter(|_| pointer) {
                try_call(&mut system, lane, entry.number, entry.kinds, argument, value);
            }
        }
    }
    assert_eq!(system.call(lane, 39, [0; 6]), Some(2), "the session still runs");
}

/// In a child of its own, because a call may end or stop it.
fn try_call(system: &mut System, lane: usize, number: u16, kinds: &[Kind], bad: usize, value: u64) {
    let child = system.fork(lane);
    let mut arguments = [0; 6];
    for (index, kind) in kinds.iter().enumerate() {
        arguments[index] = match kind {
            _ if index == bad => value,
            Kind::Descriptor | Kind::Signal => 0,
            Kind::Directory => -100i64 as u64,
            Kind::Path => {
                system.text(child, 0, "/tmpfile");
                DATA
            }
            Kind::Input | Kind::Output | Kind::Both => DATA + 0x100,
            Kind::Address | Kind::Flags | Kind::Value | Kind::Long | Kind::Process => 0,
            Kind::Length => 16,
            Kind::Size => 8,
        };
    }
    system.call(child, u64::from(number), arguments);
    for pid in system.posix().processes.clone() {
        let record = system.posix().store.process(pid);
        if record.pid != 2 && record.state == crate::saved::state::LIVE {
            system.call(lane, 62, [u64::from(record.pid), 9, 0, 0, 0, 0]);
        }
    }
    while system.call(lane, 61, [u64::MAX, 0, 1, 0, 0, 0]).is_some_and(|pid| (pid as i64) > 0) {}
    assert_eq!(system.posix().processes.len(), 1, "call {number}");
}

/// What was written after one fork is copied at once at the next, unless it is not there any more, closed, or not for children.
#[test]
fn forks_pass_over_hot_pages_that_were_given_up_closed_or_kept_back() {
    const DONTNEED: u64 = 4;
    const DONTFORK: u64 = 10;
    let (mut system, lane) = System::start();
    let page = DATA + 0x5000;
    let write_after_a_fork = |system: &mut System| {
        system.poke(lane, page, b"hot");
        let child = system.fork(lane);
        fault(system, lane, page, FaultAccess::WRITE | FaultAccess::PRESENT);
        child
    };
    let _first = write_after_a_fork(&mut system);
    assert_eq!(system.call(lane, 28, [page, 0x1000, DONTNEED, 0, 0, 0]), Some(0));
    let child = system.fork(lane);
    assert_eq!(system.peek(child, page, 3), [0; 3]);

    let _second = write_after_a_fork(&mut system);
    assert_eq!(system.call(lane, 10, [page, 0x1000, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 10, [page, 0x1000, 3, 0, 0, 0]), Some(0));
    let child = system.fork(lane);
    assert_eq!(system.peek(child, page, 3), *b"hot");

    let _third = write_after_a_fork(&mut system);
    assert_eq!(system.call(lane, 28, [page, 0x1000, DONTFORK, 0, 0, 0]), Some(0));
    let _child = system.fork(lane);
    assert_eq!(system.peek(lane, page, 3), *b"hot");
}

/// As when a bit of what it knows has flipped: before, everybody was killed in turn.
#[test]
fn lack_of_pages_that_the_kernel_does_not_confirm_ends_the_instance_and_no_process() {
    let (mut system, lane) = System::start();
    let at = system.call(lane, 9, [0, 16 * 4096, 3, 0x22, u64::MAX, 0]).expect("mmap");
    system.machine.0.borrow_mut().for_sale = 0;
    system.posix().frames = Frames::default();
    let relieved = catch_unwind(AssertUnwindSafe(|| system.posix().relieve_memory()));
    assert!(relieved.is_err(), "it knows of no chunk, and the kernel does");
    system.restart();
    system.poke(lane, at, b"there");
    assert_eq!(system.peek(lane, at, 5), b"there");
    assert!(!system.machine.0.borrow().log.iter().any(|line| line.contains("out of memory")));
}
