use crate::fake::harness::{DATA, System};
use crate::saved::slot;

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

pub(super) fn pipe(system: &mut System, lane: usize) -> (u64, u64) {
    assert_eq!(system.call(lane, 22, [DATA + 0x1000, 0, 0, 0, 0, 0]), Some(0));
    let ends = system.peek(lane, DATA + 0x1000, 8);
    let end = |at: usize| u64::from(u32::from_le_bytes(ends[at..at + 4].try_into().unwrap()));
    (end(0), end(4))
}

#[test]
pub(super) fn file_is_written_and_read_back() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/f");
    let file = system.call(lane, 2, [path, 0o102, 0o644, 0, 0, 0]).unwrap();
    assert_eq!(file, 3);
    system.text(lane, 0x100, "hello");
    assert_eq!(system.call(lane, 1, [file, DATA + 0x100, 5, 0, 0, 0]), Some(5));
    assert_eq!(system.call(lane, 8, [file, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 0, [file, DATA + 0x200, 100, 0, 0, 0]), Some(5));
    assert_eq!(system.peek(lane, DATA + 0x200, 5), b"hello");
    assert_eq!(system.call(lane, 5, [file, DATA + 0x300, 0, 0, 0, 0]), Some(0));
    let stat = system.peek(lane, DATA + 0x300, 144);
    assert_eq!(u64::from_le_bytes(stat[48..56].try_into().unwrap()), 5);
    assert_eq!(system.call(lane, 3, [file, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 3, [file, 0, 0, 0, 0, 0]), error(9));
}

#[test]
pub(super) fn pipe_carries_bytes_and_ends() {
    let (mut system, lane) = System::start();
    let (reader, writer) = pipe(&mut system, lane);
    system.text(lane, 0, "through");
    let child = system.fork(lane);
    assert_eq!(system.call(child, 3, [writer, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(child, 0, [reader, DATA + 0x100, 100, 0, 0, 0]), None, "it waits");
    assert_eq!(system.call(lane, 1, [writer, DATA, 7, 0, 0, 0]), Some(7));
    assert_eq!(system.result(child), Some(7));
    assert_eq!(system.peek(child, DATA + 0x100, 7), b"through");
    assert_eq!(system.call(child, 0, [reader, DATA + 0x100, 100, 0, 0, 0]), None);
    assert_eq!(system.call(lane, 3, [writer, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.result(child), Some(0), "end of file");
}

#[test]
pub(super) fn full_pipe_makes_its_writer_wait_and_loses_nothing() {
    let (mut system, lane) = System::start();
    let (reader, writer) = pipe(&mut system, lane);
    let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
    system.poke(lane, DATA + 0x2000, &bytes);
    let child = system.fork(lane);
    assert_eq!(system.call(lane, 1, [writer, DATA + 0x2000, 100_000, 0, 0, 0]), None);
    let mut seen = Vec::new();
    while seen.len() < bytes.len() {
        let count = system.call(child, 0, [reader, DATA + 0x60000, 30_000, 0, 0, 0]).unwrap() as usize;
        seen.extend(system.peek(child, DATA + 0x60000, count));
    }
    assert_eq!(system.posix().store.thread(lane).done.result, 100_000);
    assert!(seen == bytes);
}

#[test]
pub(super) fn writer_without_reader_gets_sigpipe() {
    let (mut system, lane) = System::start();
    let (reader, writer) = pipe(&mut system, lane);
    system.call(lane, 3, [reader, 0, 0, 0, 0, 0]);
    let child = system.fork(lane);
    assert_eq!(system.call(child, 1, [writer, DATA, 1, 0, 0, 0]), None, "killed");
    let pid = system.call(lane, 61, [u64::MAX, DATA, 0, 0, 0, 0]);
    assert!(pid.is_some());
    assert_eq!(system.peek(lane, DATA, 4), 13u32.to_le_bytes());
}

#[test]
pub(super) fn descriptors_are_the_lowest_and_limited() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 32, [0, 0, 0, 0, 0, 0]), Some(3));
    assert_eq!(system.call(lane, 72, [0, 0, 10, 0, 0, 0]), Some(10), "F_DUPFD");
    assert_eq!(system.call(lane, 33, [0, 200, 0, 0, 0, 0]), Some(200));
    assert_eq!(system.call(lane, 33, [0, 1024, 0, 0, 0, 0]), error(9));
    assert_eq!(system.call(lane, 32, [99, 0, 0, 0, 0, 0]), error(9));
    let mut opened = 0;
    while system.call(lane, 32, [0; 6]) != error(24) {
        opened += 1;
    }
    assert_eq!(opened, 1024 - 6);
    assert_eq!(system.call(lane, 436, [3, u64::from(u32::MAX), 0, 0, 0, 0]), Some(0), "close_range");
    assert_eq!(system.call(lane, 32, [0; 6]), Some(3));
}

#[test]
pub(super) fn descriptors_marked_so_are_closed_by_exec() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 72, [0, 1030, 5, 0, 0, 0]), Some(5));
    assert_eq!(system.call(lane, 32, [0; 6]), Some(3));
    let path = system.text(lane, 0, "/bin/sh");
    system.call(lane, 59, [path, 0, 0, 0, 0, 0]);
    assert_eq!(system.call(lane, 72, [5, 1, 0, 0, 0, 0]), error(9));
    assert_eq!(system.call(lane, 72, [3, 1, 0, 0, 0, 0]), Some(0));
}

#[test]
pub(super) fn devices_play_their_parts() {
    let (mut system, lane) = System::start();
    let open = |system: &mut System, path: &str| {
        let path = system.text(lane, 0, path);
        system.call(lane, 2, [path, 2, 0, 0, 0, 0]).unwrap()
    };
    let (null, zero, full) = (open(&mut system, "/dev/null"), open(&mut system, "/dev/zero"), open(&mut system, "/dev/full"));
    system.poke(lane, DATA + 8, b"12345678");
    assert_eq!(system.call(lane, 0, [null, DATA + 8, 8, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 0, [zero, DATA + 8, 4, 0, 0, 0]), Some(4));
    assert_eq!(system.peek(lane, DATA + 8, 8), b"\0\0\0\x005678");
    assert_eq!(system.call(lane, 1, [full, DATA, 1, 0, 0, 0]), error(28));
    assert_eq!(system.call(lane, 16, [null, 0x5401, DATA, 0, 0, 0]), error(25), "ENOTTY");
}

/// Linux masks them before it looks at any (`build_open_how`): what would be wrong without `O_PATH` is not with it, and nothing is made.
#[test]
fn flags_that_mean_nothing_with_a_path_alone_are_not_looked_at() {
    let (mut system, lane) = System::start();
    let (every, tmpfile, create) = (u64::from(u32::MAX), 0o20_200_000, 0o100);
    let program = system.text(lane, 0, "/bin/sh");
    assert_eq!(system.call(lane, 2, [program, every, 0, 0, 0, 0]), error(20), "ENOTDIR: O_DIRECTORY is looked at");
    assert_eq!(system.call(lane, 2, [program, tmpfile | create, 0, 0, 0, 0]), error(22), "EINVAL without O_PATH");
    let missing = system.text(lane, 0x100, "/missing");
    assert_eq!(system.call(lane, 257, [-100i64 as u64, missing, every, 0o644, 0, 0]), error(2));
    assert_eq!(system.call(lane, 2, [missing, 0o10_000_000 | create, 0o644, 0, 0, 0]), error(2));
    let folder = system.text(lane, 0x200, "/bin");
    assert_eq!(system.call(lane, 2, [folder, every, 0, 0, 0, 0]), Some(3));
}

#[test]
pub(super) fn own_program_is_found_through_proc() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/proc/self/exe");
    assert_eq!(system.call(lane, 89, [path, DATA + 0x100, 100, 0, 0, 0]), Some(7));
    assert_eq!(system.peek(lane, DATA + 0x100, 7), b"/bin/sh");
    assert_eq!(system.call(lane, 59, [path, 0, 0, 0, 0, 0]), None, "it can be executed");
    assert_eq!(system.call(lane, 39, [0; 6]), Some(2));
}

#[test]
pub(super) fn proc_is_listed_and_read() {
    let (mut system, lane) = System::start();
    for (path, start) in [("/proc/self/stat", "2 (sh) "), ("/proc/version", "Linux version"), ("/proc/2/status", "Name:\tsh\n")] {
        let path = system.text(lane, 0, path);
        let file = system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
        let count = system.call(lane, 0, [file, DATA + 0x1000, 4096, 0, 0, 0]).unwrap() as usize;
        let text = String::from_utf8(system.peek(lane, DATA + 0x1000, count)).unwrap();
        assert!(text.starts_with(start), "{text}");
        system.call(lane, 3, [file, 0, 0, 0, 0, 0]);
    }
    for path in ["/proc", "/proc/self/fd", "/proc/2"] {
        let path = system.text(lane, 0, path);
        let directory = system.call(lane, 2, [path, 0o200_000, 0, 0, 0, 0]).unwrap();
        assert!(system.call(lane, 217, [directory, DATA + 0x1000, 4096, 0, 0, 0]).unwrap() as i64 > 48);
        assert_eq!(system.call(lane, 217, [directory, DATA + 0x1000, 4096, 0, 0, 0]), Some(0));
        system.call(lane, 3, [directory, 0, 0, 0, 0, 0]);
    }
}

#[test]
pub(super) fn who_reads_proc_in_pieces_reads_one_text() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/proc/self/stat");
    let ticks = |system: &System, user| system.machine.0.borrow_mut().threads.get_mut(&slot::thread(lane)).unwrap().ticks.user = user;
    let open = |system: &mut System| system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
    let read = |system: &mut System, file, length| {
        let count = system.call(lane, 0, [file, DATA + 0x1000, length, 0, 0, 0]).unwrap() as usize;
        system.peek(lane, DATA + 0x1000, count)
    };
    ticks(&system, 90_000_000);
    let (pieces, whole) = (open(&mut system), open(&mut system));
    let before = read(&mut system, whole, 4096);
    let mut seen = Vec::new();
    loop {
        let byte = read(&mut system, pieces, 1);
        if byte.is_empty() {
            break;
        }
        seen.extend(byte);
        // From one digit to many.
        ticks(&system, 90_000_000 + seen.len() as u64 * 1_000_000_000);
    }
    assert_eq!(String::from_utf8(seen), String::from_utf8(before.clone()));
    assert_eq!(read(&mut system, whole, 4096), b"", "a longer text has no bytes more for who is at its end");
    assert_eq!(system.call(lane, 8, [pieces, 0, 0, 0, 0, 0]), Some(0));
    assert!(read(&mut system, pieces, 4096).len() > before.len(), "from the start it is made anew");
    // Another file takes the place of one that was read up to where it is asked.
    assert_eq!(system.call(lane, 17, [pieces, DATA + 0x1000, 1, 0, 0, 0]), Some(1));
    system.call(lane, 3, [pieces, 0, 0, 0, 0, 0]);
    let path = system.text(lane, 0, "/proc/version");
    let version = system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(version, pieces);
    let count = system.call(lane, 17, [version, DATA + 0x1000, 5, 1, 0, 0]);
    assert_eq!((count, system.peek(lane, DATA + 0x1000, 5)), (Some(5), b"inux ".to_vec()));
}

#[test]
pub(super) fn working_directory_may_lie_in_proc() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/proc/self");
    assert_eq!(system.call(lane, 80, [path, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 79, [DATA + 0x100, 100, 0, 0, 0, 0]), Some(8));
    assert_eq!(system.peek(lane, DATA + 0x100, 8), b"/proc/2\0");
    let name = system.text(lane, 0, "comm");
    assert!((system.call(lane, 2, [name, 0, 0, 0, 0, 0]).unwrap() as i64) > 0);
    let up = system.text(lane, 0, "../../bin");
    assert_eq!(system.call(lane, 80, [up, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 79, [DATA + 0x100, 100, 0, 0, 0, 0]), Some(5));
}

#[test]
pub(super) fn names_are_made_renamed_and_removed() {
    let (mut system, lane) = System::start();
    let (a, b) = (system.text(lane, 0, "/dir"), system.text(lane, 0x40, "/other"));
    assert_eq!(system.call(lane, 83, [a, 0o755, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 83, [a, 0o755, 0, 0, 0, 0]), error(17));
    assert_eq!(system.call(lane, 82, [a, b, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 21, [a, 0, 0, 0, 0, 0]), error(2));
    assert_eq!(system.call(lane, 84, [b, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 88, [a, b, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 89, [b, DATA + 0x100, 99, 0, 0, 0]), Some(4));
    let inside = system.text(lane, 0x80, "/proc/new");
    assert_eq!(system.call(lane, 83, [inside, 0o755, 0, 0, 0, 0]), error(2), "as on Linux");
}

#[test]
pub(super) fn fifo_joins_two_processes() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/fifo");
    assert_eq!(system.call(lane, 133, [path, 0o010_644, 0, 0, 0, 0]), Some(0));
    let child = system.fork(lane);
    assert_eq!(system.call(child, 2, [path, 0, 0, 0, 0, 0]), None, "waits for a writer");
    let writer = system.call(lane, 2, [path, 1, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.result(child), Some(3));
    assert_eq!(system.call(lane, 1, [writer, DATA, 3, 0, 0, 0]), Some(3));
    assert_eq!(system.call(child, 0, [3, DATA + 0x100, 10, 0, 0, 0]), Some(3));
}

#[test]
pub(super) fn poll_wakes_when_a_pipe_has_bytes_and_when_time_is_up() {
    let (mut system, lane) = System::start();
    let (reader, writer) = pipe(&mut system, lane);
    let entry = [(reader as u32).to_le_bytes().as_slice(), &1u16.to_le_bytes(), &[0; 2]].concat();
    let child = system.fork(lane);
    system.poke(child, DATA, &entry);
    assert_eq!(system.call(child, 7, [DATA, 1, 1000, 0, 0, 0]), None);
    assert_eq!(system.call(lane, 1, [writer, DATA, 1, 0, 0, 0]), Some(1));
    assert_eq!(system.result(child), Some(1));
    system.call(child, 0, [reader, DATA + 0x40, 10, 0, 0, 0]);
    assert_eq!(system.call(child, 7, [DATA, 1, 1000, 0, 0, 0]), None);
    system.pass(999_000_000);
    assert_eq!(system.result(child), None);
    system.pass(2_000_000);
    assert_eq!(system.result(child), Some(0));
}

#[test]
fn program_that_runs_is_not_written_to_and_one_that_is_written_to_does_not_run() {
    let (mut system, lane) = System::start();
    let busy = error(26);
    let path = system.text(lane, 0, "/bin/sh");
    assert_eq!(system.call(lane, 2, [path, 1, 0, 0, 0, 0]), busy, "O_WRONLY");
    assert_eq!(system.call(lane, 2, [path, 0o1001, 0, 0, 0, 0]), busy, "O_TRUNC");
    assert_eq!(system.call(lane, 76, [path, 0, 0, 0, 0, 0]), busy, "truncate");
    let file = system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, 17, [file, DATA + 0x100, 4, 0, 0, 0]), Some(4), "nothing was cut");
    assert_eq!(system.peek(lane, DATA + 0x100, 4), b"\x7fELF");
    system.install("/other", &crate::fake::harness::program());
    let other = system.text(lane, 0x40, "/other");
    let writer = system.call(lane, 2, [other, 1, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, 59, [other, 0, 0, 0, 0, 0]), busy, "execve");
    assert_eq!(system.call(lane, 3, [writer, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 59, [other, 0, 0, 0, 0, 0]), None, "it runs");
}

/// What a program reads from a file that was read before is what is there, whatever changed it meanwhile.
#[test]
fn file_that_is_read_again_is_copied_from_where_it_lies_until_it_changes() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/again");
    let file = system.call(lane, 2, [path, 0o102, 0o644, 0, 0, 0]).unwrap();
    let mut content: Vec<u8> = (0..10_000u32).map(|index| (index % 251) as u8).collect();
    system.poke(lane, DATA + 0x4000, &content);
    assert_eq!(system.call(lane, 18, [file, DATA + 0x4000, 10_000, 0, 0, 0]), Some(10_000));
    let read = |system: &mut System, at: u64, wanted: u64, content: &[u8]| {
        system.poke(lane, DATA + 0x8000, &[0xee; 10_000]);
        let count = system.call(lane, 17, [file, DATA + 0x8000, wanted, at, 0, 0]).unwrap() as usize;
        let there = content.get(at as usize..).unwrap_or_default();
        assert_eq!(count, there.len().min(wanted as usize), "from {at}");
        assert_eq!(system.peek(lane, DATA + 0x8000, count), there[..count]);
        assert_eq!(system.peek(lane, DATA + 0x8000 + count as u64, 1), [0xee], "and no more");
    };
    let copies = |system: &System| system.machine.0.borrow().cached_copies;
    let reads = |system: &mut System, content: &[u8]| {
        for round in 0..3 {
            for (at, wanted) in [(0, 9_999), (4000, 200), (9_990, 100), (9_999, 1), (10_000, 5), (20_000, 5)] {
                read(system, at, wanted, content);
            }
            let before = copies(system);
            read(system, 5, 10, content);
            assert!(round == 0 || copies(system) == before + 1, "the second round asks nobody");
        }
    };
    reads(&mut system, &content);
    // Written to.
    system.poke(lane, DATA + 0x4000, b"changed");
    assert_eq!(system.call(lane, 18, [file, DATA + 0x4000, 7, 4093, 0, 0]), Some(7));
    content[4093..4100].copy_from_slice(b"changed");
    reads(&mut system, &content);
    // Cut, by name and by descriptor, and made longer.
    assert_eq!(system.call(lane, 77, [file, 5000, 0, 0, 0, 0]), Some(0));
    content.truncate(5000);
    reads(&mut system, &content);
    let path = system.text(lane, 0, "/again");
    assert_eq!(system.call(lane, 76, [path, 4500, 0, 0, 0, 0]), Some(0));
    content.truncate(4500);
    reads(&mut system, &content);
    assert_eq!(system.call(lane, 77, [file, 9_000, 0, 0, 0, 0]), Some(0));
    content.resize(9_000, 0);
    for (at, wanted) in [(0, 9_999), (4400, 200), (8_990, 100), (0, 9_999), (4400, 200)] {
        read(&mut system, at, wanted, &content);
    }
    // A hole.
    assert_eq!(system.call(lane, 285, [file, 3, 100, 50, 0, 0]), Some(0));
    content[100..150].fill(0);
    for (at, wanted) in [(0, 9_999), (0, 9_999), (0, 9_999)] {
        read(&mut system, at, wanted, &content);
    }
    // Made empty by an open.
    let path = system.text(lane, 0, "/again");
    let other = system.call(lane, 2, [path, 0o1001, 0, 0, 0, 0]).unwrap();
    content.clear();
    read(&mut system, 0, 10, &content);
    // Written by another descriptor, then by a shared mapping, of which nobody is told.
    system.poke(lane, DATA + 0x4000, b"by another");
    assert_eq!(system.call(lane, 1, [other, DATA + 0x4000, 10, 0, 0, 0]), Some(10));
    content = b"by another".to_vec();
    for _ in 0..3 {
        read(&mut system, 0, 10, &content);
    }
    let mapped = system.call(lane, 9, [0, 4096, 3, 1, file, 0]).unwrap();
    super::memory::fault(&mut system, lane, mapped, abi::FaultAccess::WRITE);
    system.poke(lane, mapped + 3, b"mmap");
    content[3..7].copy_from_slice(b"mmap");
    for _ in 0..3 {
        read(&mut system, 0, 10, &content);
    }
}

/// A read from where a file lies ends like any other where the program's memory does, and fetches a page that is not there yet.
#[test]
fn read_of_a_known_file_into_memory_that_is_not_there_yet_or_not_at_all() {
    let (mut system, lane) = System::start();
    let path = system.text(lane, 0, "/again");
    let file = system.call(lane, 2, [path, 0o102, 0o644, 0, 0, 0]).unwrap();
    let content: Vec<u8> = (0..9000u32).map(|index| (index % 251) as u8).collect();
    system.poke(lane, DATA + 0x4000, &content);
    assert_eq!(system.call(lane, 18, [file, DATA + 0x4000, 9000, 0, 0, 0]), Some(9000));
    for _ in 0..2 {
        assert_eq!(system.call(lane, 17, [file, DATA + 0x8000, 9000, 0, 0, 0]), Some(9000));
    }
    let before = system.machine.0.borrow().cached_copies;
    let fresh = system.call(lane, 9, [0, 0x2000, 3, 0x22, u64::MAX, 0]).unwrap();
    assert_eq!(system.call(lane, 17, [file, fresh, 8000, 1000, 0, 0]), Some(8000));
    assert_eq!(system.peek(lane, fresh, 8000), content[1000..]);
    assert_eq!(system.call(lane, 17, [file, fresh + 0x1f00, 8000, 0, 0, 0]), Some(0x100), "up to where the memory ends");
    assert_eq!(system.call(lane, 17, [file, fresh + 0x2000, 10, 0, 0, 0]), Some((-14i64) as u64));
    assert_eq!(system.call(lane, 10, [fresh, 0x1000, 1, 0, 0, 0]), Some(0), "mprotect");
    assert_eq!(system.call(lane, 17, [file, fresh, 10, 0, 0, 0]), Some((-14i64) as u64));
    assert!(system.machine.0.borrow().cached_copies > before);
}

/// What `stat` says is what is there, whatever changed it since it was asked before.
#[test]
fn stat_that_is_asked_again_tells_of_every_change() {
    let (mut system, lane) = System::start();
    let asked = |system: &mut System, path: &str| {
        let path = system.text(lane, 0x3000, path);
        let result = system.call(lane, 4, [path, DATA + 0x3100, 0, 0, 0, 0]).unwrap() as i64;
        if result < 0 { Err(result) } else { Ok(system.peek(lane, DATA + 0x3100, 144)) }
    };
    let word = |stat: &[u8], at: usize| u64::from_le_bytes(stat[at..at + 8].try_into().unwrap());
    let twice = |system: &mut System, path: &str| {
        let first = asked(system, path);
        assert_eq!(asked(system, path), first, "{path}");
        first
    };
    assert_eq!(twice(&mut system, "/new"), Err(-2));
    let path = system.text(lane, 0, "/new");
    let file = system.call(lane, 2, [path, 0o102, 0o644, 0, 0, 0]).unwrap();
    assert_eq!(word(&twice(&mut system, "/new").unwrap(), 48), 0);
    assert_eq!(twice(&mut system, "/new/x"), Err(-20));
    system.text(lane, 0x100, "hello");
    assert_eq!(system.call(lane, 1, [file, DATA + 0x100, 5, 0, 0, 0]), Some(5));
    assert_eq!(word(&twice(&mut system, "/new").unwrap(), 48), 5, "written");
    assert_eq!(system.call(lane, 77, [file, 70, 0, 0, 0, 0]), Some(0));
    assert_eq!(word(&twice(&mut system, "/new").unwrap(), 48), 70, "made longer");
    let path = system.text(lane, 0, "/new");
    assert_eq!(system.call(lane, 90, [path, 0o600, 0, 0, 0, 0]), Some(0));
    assert_eq!(word(&twice(&mut system, "/new").unwrap(), 24) as u32, 0o100_600, "chmod");
    let (path, other) = (system.text(lane, 0, "/new"), system.text(lane, 0x80, "/other"));
    assert_eq!(system.call(lane, 86, [path, other, 0, 0, 0, 0]), Some(0));
    assert_eq!(word(&twice(&mut system, "/new").unwrap(), 16), 2, "linked");
    assert_eq!(twice(&mut system, "/other").map(|stat| word(&stat, 8)), twice(&mut system, "/new").map(|stat| word(&stat, 8)));
    let other = system.text(lane, 0x80, "/other");
    assert_eq!(system.call(lane, 87, [other, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!((twice(&mut system, "/other"), twice(&mut system, "/new").map(|stat| word(&stat, 16))), (Err(-2), Ok(1)));
    let (path, other) = (system.text(lane, 0, "/new"), system.text(lane, 0x80, "/moved"));
    assert_eq!(twice(&mut system, "/moved"), Err(-2));
    assert_eq!(system.call(lane, 82, [path, other, 0, 0, 0, 0]), Some(0));
    assert_eq!((twice(&mut system, "/new"), twice(&mut system, "/moved").is_ok()), (Err(-2), true));
    // A place that is seen by somebody else is asked for anew.
    let directory = system.text(lane, 0, "/closed");
    assert_eq!(system.call(lane, 83, [directory, 0o700, 0, 0, 0, 0]), Some(0));
    let inside = system.text(lane, 0, "/closed/in");
    let inner = system.call(lane, 2, [inside, 0o102, 0o644, 0, 0, 0]).unwrap();
    assert!(twice(&mut system, "/closed/in").is_ok());
    assert_eq!(system.call(lane, 105, [1000, 0, 0, 0, 0, 0]), Some(0), "setuid");
    assert_eq!(twice(&mut system, "/closed/in"), Err(-13));
    assert_eq!(system.call(lane, 3, [inner, 0, 0, 0, 0, 0]), Some(0));
}
