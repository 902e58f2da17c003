//! The vDSO's own bytes, run by the host's processor: looked up as a program would, and compared with the counter.
#![allow(unsafe_code, reason = "runs machine code from a buffer")]

use core::arch::asm;
use core::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object::{Object, ObjectSymbol};

use crate::vdso::clock::{BODY_OFFSET, ClockPage, Rate, SEQUENCE};
use crate::vdso::{code, image};

const PAGE: usize = 4096;
const HZ: u64 = 2_345_678_901;
const WALL: u64 = 1_700_000_000_123_456_789;

/// Pages of the test's own: the clock's, then the image, executable. They stay for the test's life.
struct Loaded {
    start: *mut u8,
}

impl Loaded {
    fn new(page: &ClockPage) -> Self {
        const MMAP: usize = 9;
        const READ_WRITE_EXECUTE: usize = 7;
        const PRIVATE_ANONYMOUS: usize = 0x22;
        let mut address = MMAP;
        // SAFETY: Linux's mmap of fresh memory; it changes rcx and r11 and no memory that exists.
        unsafe {
            asm!("syscall", inlateout("rax") address, in("rdi") 0, in("rsi") 2 * PAGE, in("rdx") READ_WRITE_EXECUTE, in("r10") PRIVATE_ANONYMOUS,
                 in("r8") -1, in("r9") 0, lateout("rcx") _, lateout("r11") _);
        }
        let start = core::ptr::without_provenance_mut::<u8>(address);
        assert!((address as isize) > 0, "no memory");
        let loaded = Self { start };
        let image = image::build(code::code(), code::entries());
        // SAFETY: the second of the two pages, which is as long as the image.
        unsafe { start.add(PAGE).copy_from_nonoverlapping(image.as_ptr(), image.len()) };
        loaded.set(page);
        loaded
    }

    fn set(&self, page: &ClockPage) {
        let body = page.body();
        // SAFETY: within the first page.
        unsafe { self.start.add(BODY_OFFSET as usize).copy_from_nonoverlapping(body.as_ptr(), body.len()) };
    }

    fn set_sequence(&self, sequence: u32) {
        // SAFETY: within the first page, and aligned.
        unsafe { self.start.add(SEQUENCE as usize).cast::<u32>().write_volatile(sequence) };
    }

    fn function(&self, name: &str) -> *const u8 {
        let image = image::build(code::code(), code::entries());
        let file = object::File::parse(&*image).expect("an ELF file");
        let symbol = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(name)).expect("a symbol");
        self.start.wrapping_add(PAGE + symbol.address() as usize)
    }

    /// Calls a function of two arguments of 64 bits.
    fn call(&self, name: &str, first: u64, second: u64) -> i64 {
        // SAFETY: the functions have the C calling convention, take up to two integers or pointers, and return an integer.
        let function: extern "C" fn(u64, u64) -> i64 = unsafe { core::mem::transmute(self.function(name)) };
        function(first, second)
    }

    fn clock(&self, clock: u64) -> u64 {
        let mut time = [0u64; 2];
        assert_eq!(self.call("__vdso_clock_gettime", clock, time.as_mut_ptr() as u64), 0);
        assert!(time[1] < 1_000_000_000);
        time[0] * 1_000_000_000 + time[1]
    }
}

fn page() -> ClockPage {
    ClockPage { counter: true, processor: true, rate: Rate::new(HZ), wall_offset_ns: WALL }
}

/// What the counter says now, by the same rate.
fn now() -> u64 {
    // SAFETY: every x86_64 processor has both.
    let ticks = unsafe {
        _mm_lfence();
        _rdtsc()
    };
    Rate::new(HZ).ns(ticks)
}

#[test]
fn every_clock_is_the_counter() {
    let loaded = Loaded::new(&page());
    for (clocks, offset) in [([1, 4, 6, 7].as_slice(), 0), (&[0, 5, 11], WALL)] {
        for clock in clocks {
            let (before, shown, after) = (now(), loaded.clock(*clock) - offset, now());
            assert!(before <= shown && shown <= after, "clock {clock}: {before} {shown} {after}");
        }
    }
}

#[test]
fn time_of_day_is_cut_to_its_unit() {
    let loaded = Loaded::new(&page());
    let mut time = [1u64; 3];
    let before = now();
    assert_eq!(loaded.call("gettimeofday", time.as_mut_ptr() as u64, time[2..].as_mut_ptr() as u64), 0);
    let shown = time[0] * 1_000_000 + time[1];
    assert!((before + WALL) / 1000 <= shown && shown <= (now() + WALL) / 1000 && time[1] < 1_000_000);
    assert_eq!(time[2], 0, "the zone");
    let mut kept = 1u64;
    let seconds = loaded.call("time", (&raw mut kept) as u64, 0);
    assert_eq!((seconds as u64, kept), ((now() + WALL) / 1_000_000_000, seconds as u64));
    assert_eq!(loaded.call("time", 0, 0), seconds);
    assert_eq!(loaded.call("gettimeofday", 0, 0), 0);
}

#[test]
fn resolution_is_a_nanosecond_and_nowhere_is_allowed() {
    let loaded = Loaded::new(&page());
    let mut resolution = [7u64; 2];
    assert_eq!(loaded.call("clock_getres", 1, resolution.as_mut_ptr() as u64), 0);
    assert_eq!(resolution, [0, 1]);
    assert_eq!(loaded.call("clock_getres", 1, 0), 0);
}

/// The calls that the host's Linux answers: what the counter does not show, and everything when it may not be used.
#[test]
fn what_it_does_not_know_is_linux_call() {
    let loaded = Loaded::new(&page());
    let mut time = [0u64; 2];
    assert_eq!(loaded.call("clock_gettime", 2, time.as_mut_ptr() as u64), 0, "CLOCK_PROCESS_CPUTIME_ID");
    for clock in [10, 31, 32, u64::from(u32::MAX) - 100] {
        assert_eq!(loaded.call("clock_gettime", clock, time.as_mut_ptr() as u64), -22, "clock {clock}");
    }
    loaded.set(&ClockPage { counter: false, processor: false, ..page() });
    let near = |seconds: u64| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().abs_diff(Duration::from_secs(seconds)).as_secs() < 5;
    assert!(near(loaded.clock(0) / 1_000_000_000));
    assert!(near(loaded.call("time", 0, 0) as u64));
    assert_eq!(loaded.call("gettimeofday", time.as_mut_ptr() as u64, 0), 0);
    assert!(near(time[0]));
    let mut processor = [u32::MAX; 2];
    let [first, second] = [0, 1].map(|index| (&raw mut processor[index]) as u64);
    assert_eq!(loaded.call("getcpu", first, second), 0);
    assert!(processor[0] < 4096 && processor[1] < 4096, "{processor:?}");
}

#[test]
fn processor_names_itself() {
    let loaded = Loaded::new(&page());
    let mut told = [u32::MAX; 2];
    let [first, second] = [0, 1].map(|index| (&raw mut told[index]) as u64);
    for _ in 0..100 {
        let mut name = [0; 2];
        // SAFETY: every processor that runs these tests has RDTSCP, and Linux sets what it tells.
        unsafe { __rdtscp(&raw mut name[0]) };
        assert_eq!(loaded.call("getcpu", first, second), 0);
        // SAFETY: as above.
        unsafe { __rdtscp(&raw mut name[1]) };
        // Between two equal answers the thread has most likely not moved.
        if name[0] == name[1] && told == [name[0] & 0xfff, name[0] >> 12] {
            assert_eq!(loaded.call("getcpu", 0, 0), 0);
            return;
        }
    }
    panic!("a hundred times another processor than RDTSCP says: {told:?}");
}

#[test]
fn reader_waits_while_the_page_is_changed() {
    let loaded = Loaded::new(&page());
    loaded.set_sequence(1);
    let start = loaded.start.expose_provenance();
    let reader = std::thread::spawn(move || {
        let loaded = Loaded { start: core::ptr::with_exposed_provenance_mut(start) };
        loaded.clock(0)
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!reader.is_finished());
    loaded.set(&ClockPage { wall_offset_ns: 5 * WALL, ..page() });
    loaded.set_sequence(2);
    assert!(reader.join().unwrap() > 5 * WALL, "the new offset");
}

#[test]
fn code_stays_within_its_page_and_touches_no_vector_register() {
    let code = code::code();
    assert!(image::TEXT_OFFSET + code.len() < PAGE);
    for entry in code::entries() {
        assert!(entry.bytes > 0 && (entry.offset + entry.bytes) as usize <= code.len() && entry.offset.is_multiple_of(16));
    }
}
