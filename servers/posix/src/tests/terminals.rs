//! Pseudo terminals by the calls that programs make, and posix dying in them.

use crate::fake::harness::{DATA, System};

const READ: u64 = 0;
const WRITE: u64 = 1;
const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const IOCTL: u64 = 16;
const SETPGID: u64 = 109;
const SETSID: u64 = 112;

const TIOCSCTTY: u64 = 0x540e;
const TIOCGPGRP: u64 = 0x540f;
const TIOCSPGRP: u64 = 0x5410;
const TIOCGWINSZ: u64 = 0x5413;
const TIOCSWINSZ: u64 = 0x5414;
const FIONREAD: u64 = 0x541b;
const TIOCGPTPEER: u64 = 0x5441;
const TIOCSPTLCK: u64 = 0x4004_5431;
const TIOCGPTN: u64 = 0x8004_5430;

const O_RDWR: u64 = 2;
const O_NOCTTY: u64 = 0o400;
const O_NONBLOCK: u64 = 0o4000;

const EIO: i64 = -5;
const EAGAIN: i64 = -11;
const ENOENT: i64 = -2;
const ENOTTY: i64 = -25;

/// A pair: descriptors of master and slave.
struct Pair {
    master: u64,
    slave: u64,
}

fn open(system: &mut System, lane: usize, path: &str, flags: u64) -> i64 {
    let path = system.text(lane, 0x8000, path);
    system.call(lane, OPEN, [path, flags, 0, 0, 0, 0]).expect("no wait") as i64
}

fn ioctl(system: &mut System, lane: usize, file: u64, request: u64, argument: u64) -> i64 {
    system.call(lane, IOCTL, [file, request, argument, 0, 0, 0]).expect("no wait") as i64
}

fn open_master(system: &mut System, lane: usize) -> u64 {
    let master = open(system, lane, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK) as u64;
    system.poke(lane, DATA + 0x7000, &[0; 4]);
    assert_eq!(ioctl(system, lane, master, TIOCSPTLCK, DATA + 0x7000), 0);
    master
}

fn open_pair(system: &mut System, lane: usize) -> Pair {
    let master = open_master(system, lane);
    let slave = open(system, lane, "/dev/pts/0", O_RDWR | O_NOCTTY);
    Pair { master, slave: slave as u64 }
}

fn write(system: &mut System, lane: usize, file: u64, text: &str) -> i64 {
    let from = system.text(lane, 0x6000, text);
    system.call(lane, WRITE, [file, from, text.len() as u64, 0, 0, 0]).expect("no wait") as i64
}

/// What a read that does not wait gets: bytes, or an error.
fn read(system: &mut System, lane: usize, file: u64) -> Result<String, i64> {
    let count = system.call(lane, READ, [file, DATA + 0x4000, 0x1000, 0, 0, 0]).expect("no wait") as i64;
    if count < 0 {
        return Err(count);
    }
    Ok(String::from_utf8(system.peek(lane, DATA + 0x4000, count as usize)).expect("text"))
}

#[test]
fn what_is_typed_at_the_master_is_read_and_echoed() {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    assert_eq!(write(&mut system, lane, pair.master, "lime\x7fne\n"), 8);
    assert_eq!(read(&mut system, lane, pair.slave).as_deref(), Ok("limne\n"));
    assert_eq!(read(&mut system, lane, pair.master).as_deref(), Ok("lime\x08 \x08ne\r\n"));
    assert_eq!(write(&mut system, lane, pair.slave, "shown\n"), 6);
    assert_eq!(ioctl(&mut system, lane, pair.master, FIONREAD, DATA), 0);
    assert_eq!(system.peek(lane, DATA, 4), 7u32.to_le_bytes());
    assert_eq!(read(&mut system, lane, pair.master).as_deref(), Ok("shown\r\n"));
    assert_eq!(read(&mut system, lane, pair.master), Err(EAGAIN));
}

#[test]
fn a_slave_is_locked_until_its_master_says_otherwise() {
    let (mut system, lane) = System::start();
    assert_eq!(open(&mut system, lane, "/dev/pts/0", O_RDWR), ENOENT);
    let master = open(&mut system, lane, "/dev/ptmx", O_RDWR) as u64;
    assert_eq!(ioctl(&mut system, lane, master, TIOCGPTN, DATA), 0);
    assert_eq!(system.peek(lane, DATA, 4), [0; 4]);
    assert_eq!(open(&mut system, lane, "/dev/pts/0", O_RDWR), EIO);
    system.poke(lane, DATA, &[0; 4]);
    assert_eq!(ioctl(&mut system, lane, master, TIOCSPTLCK, DATA), 0);
    assert!(ioctl(&mut system, lane, master, TIOCGPTPEER, O_RDWR | O_NOCTTY) > 0);
    assert!(open(&mut system, lane, "/dev/pts/0", O_RDWR) > 0);
    let second = open(&mut system, lane, "/dev/pts/ptmx", O_RDWR) as u64;
    ioctl(&mut system, lane, second, TIOCGPTN, DATA);
    assert_eq!(system.peek(lane, DATA, 4), 1u32.to_le_bytes());
}

#[test]
fn hang_up_ends_both_sides_and_frees_the_number() {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    assert_eq!(write(&mut system, lane, pair.slave, "last words"), 10);
    assert_eq!(system.call(lane, CLOSE, [pair.slave, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(read(&mut system, lane, pair.master).as_deref(), Ok("last words"));
    assert_eq!(read(&mut system, lane, pair.master), Err(EIO));
    let slave = open(&mut system, lane, "/dev/pts/0", O_RDWR | O_NOCTTY) as u64;
    assert_eq!(read(&mut system, lane, pair.master), Err(EAGAIN));
    assert_eq!(system.call(lane, CLOSE, [pair.master, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(read(&mut system, lane, slave).as_deref(), Ok(""));
    assert_eq!(write(&mut system, lane, slave, "x"), EIO);
    assert_eq!(ioctl(&mut system, lane, slave, TIOCGWINSZ, DATA), EIO);
    assert_eq!(ioctl(&mut system, lane, slave, TIOCSPGRP, DATA), ENOTTY);
    assert_eq!(open(&mut system, lane, "/dev/pts/0", O_RDWR), ENOENT);
    // The number is in use as long as the slave is.
    let other = open_master(&mut system, lane);
    ioctl(&mut system, lane, other, TIOCGPTN, DATA);
    assert_eq!(system.peek(lane, DATA, 4), 1u32.to_le_bytes());
    assert_eq!(system.call(lane, CLOSE, [slave, 0, 0, 0, 0, 0]), Some(0));
    let other = open_master(&mut system, lane);
    ioctl(&mut system, lane, other, TIOCGPTN, DATA);
    assert_eq!(system.peek(lane, DATA, 4), [0; 4]);
}

#[test]
fn a_reader_is_woken_by_bytes_and_by_a_hang_up() {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    let reader = system.fork(lane);
    assert_eq!(system.call(reader, CLOSE, [pair.master, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(reader, READ, [pair.slave, DATA, 10, 0, 0, 0]), None);
    write(&mut system, lane, pair.master, "yes\n");
    assert_eq!(system.result(reader), Some(4));
    assert_eq!(system.call(reader, READ, [pair.slave, DATA, 10, 0, 0, 0]), None);
    assert_eq!(system.call(lane, CLOSE, [pair.master, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.result(reader), Some(0));
}

#[test]
fn a_writer_waits_for_the_masters_reader() {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    let writer = system.fork(lane);
    system.poke(writer, DATA + 0x1_0000, &[b'x'; 20_000]);
    assert_eq!(system.call(writer, WRITE, [pair.slave, DATA + 0x1_0000, 20_000, 0, 0, 0]), None);
    let (mut shown, mut result) = (0, None);
    while let Ok(text) = read(&mut system, lane, pair.master) {
        assert!(text.bytes().all(|byte| byte == b'x'));
        shown += text.len();
        result = result.or(system.result(writer));
    }
    assert_eq!((shown, result), (20_000, Some(20_000)));
}

#[test]
fn the_timer_of_a_read_runs_from_the_read_or_the_last_byte() {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    assert_eq!(ioctl(&mut system, lane, pair.slave, 0x5401, DATA + 0x100), 0);
    // Raw, and half a second.
    for (offset, bytes) in [(12, [0; 4]), (22, [5, 0, 0, 0])] {
        system.poke(lane, DATA + 0x100 + offset, &bytes);
    }
    for (least, bytes) in [(0u8, ""), (5, "ab")] {
        system.poke(lane, DATA + 0x100 + 23, &[least]);
        assert_eq!(ioctl(&mut system, lane, pair.slave, 0x5402, DATA + 0x100), 0);
        let reader = system.fork(lane);
        assert_eq!(system.call(reader, READ, [pair.slave, DATA, 10, 0, 0, 0]), None);
        for byte in bytes.chars() {
            system.pass(400_000_000);
            assert_eq!(write(&mut system, lane, pair.master, &byte.to_string()), 1);
        }
        system.pass(300_000_000);
        // This wakes the reader, and is none of its bytes.
        assert_eq!(write(&mut system, lane, pair.slave, "output"), 6);
        assert_eq!(system.result(reader), None);
        system.pass(200_000_001);
        assert_eq!(system.result(reader), Some(bytes.len() as u64), "at least {least}");
        assert_eq!(system.call(reader, 231, [0; 6]), None);
    }
}

/// A child that leads a session with the slave as its terminal, and its own child in a group of its own.
fn session(system: &mut System, lane: usize) -> (Pair, usize, usize) {
    let pair = open_pair(system, lane);
    let leader = system.fork(lane);
    let pid = u64::from(system.pid(leader));
    assert_eq!(system.call(leader, SETSID, [0; 6]), Some(pid));
    assert_eq!(ioctl(system, leader, pair.slave, TIOCSCTTY, 0), 0);
    system.call(leader, CLOSE, [pair.master, 0, 0, 0, 0, 0]);
    let job = system.fork(leader);
    assert_eq!(system.call(job, SETPGID, [0, 0, 0, 0, 0, 0]), Some(0));
    (pair, leader, job)
}

#[test]
fn the_interrupt_key_reaches_the_foreground_group_only() {
    let (mut system, lane) = System::start();
    let (pair, leader, job) = session(&mut system, lane);
    let group = system.pid(job);
    system.poke(leader, DATA, &group.to_le_bytes());
    assert_eq!(ioctl(&mut system, leader, pair.slave, TIOCSPGRP, DATA), 0);
    assert_eq!(ioctl(&mut system, lane, pair.master, TIOCGPGRP, DATA), 0);
    assert_eq!(system.peek(lane, DATA, 4), group.to_le_bytes());
    assert_eq!(system.call(job, READ, [pair.slave, DATA, 10, 0, 0, 0]), None);
    write(&mut system, lane, pair.master, "half\x03");
    assert_eq!(read(&mut system, lane, pair.master).as_deref(), Ok("half^C"));
    assert_eq!(system.runs(job), None, "killed by SIGINT");
    assert!(system.runs(leader).is_some());
}

#[test]
fn a_background_reader_is_stopped_and_an_orphan_gets_an_error() {
    let (mut system, lane) = System::start();
    let (pair, leader, job) = session(&mut system, lane);
    assert_eq!(system.call(job, READ, [pair.slave, DATA, 10, 0, 0, 0]), None);
    let process = system.posix().store.thread(job).process as usize;
    assert_eq!(system.posix().store.process(process).stop_signal, 21, "SIGTTIN");
    let pid = u64::from(system.pid(job));
    assert_eq!(system.call(leader, 62, [pid, 9, 0, 0, 0, 0]), Some(0));
    let orphan = system.fork(leader);
    assert_eq!(system.call(orphan, SETPGID, [0, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(leader, 231, [0; 6]), None);
    // Its terminal went with the leader: nobody is in the background of a terminal that is not his.
    assert_eq!(read(&mut system, lane, pair.master), Err(EAGAIN));
    assert_eq!(system.posix().store.terminal(2).session, 0);
}

#[test]
fn a_hang_up_reaches_the_leader_and_with_its_end_the_foreground_group() {
    let (mut system, lane) = System::start();
    let (pair, leader, job) = session(&mut system, lane);
    let group = system.pid(job);
    system.poke(leader, DATA, &group.to_le_bytes());
    assert_eq!(ioctl(&mut system, leader, pair.slave, TIOCSPGRP, DATA), 0);
    // They wait for something else than the terminal.
    for waiter in [leader, job] {
        assert_eq!(system.call(waiter, 34, [0; 6]), None, "pause");
    }
    assert_eq!(system.call(lane, CLOSE, [pair.master, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(leader), None, "SIGHUP");
    assert_eq!(system.runs(job), None, "SIGHUP at the leader's end");
}

#[test]
fn a_new_size_is_told_to_the_foreground_group() {
    let (mut system, lane) = System::start();
    let (pair, leader, _) = session(&mut system, lane);
    let action = [0x40_1100u64, 0x0400_0000, 0x40_1200, 0].map(u64::to_le_bytes).concat();
    system.poke(leader, DATA + 0x800, &action);
    assert_eq!(system.call(leader, 13, [28, DATA + 0x800, 0, 8, 0, 0]), Some(0));
    assert_eq!(system.call(leader, 34, [0; 6]), None);
    let size = [50u16, 132, 0, 0].map(u16::to_le_bytes).concat();
    system.poke(lane, DATA, &size);
    assert_eq!(ioctl(&mut system, lane, pair.master, TIOCSWINSZ, DATA), 0);
    let thread = system.posix().store.frame(leader);
    assert!(thread.words.contains(&0x40_1100), "it is in its handler");
    assert_eq!(ioctl(&mut system, lane, pair.slave, TIOCGWINSZ, DATA + 16), 0);
    assert_eq!(system.peek(lane, DATA + 16, 8), size);
}

#[test]
fn names_lead_to_the_terminal_and_back() {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    let link = system.text(lane, 0, &format!("/proc/self/fd/{}", pair.slave));
    let count = system.call(lane, 89, [link, DATA + 0x100, 100, 0, 0, 0]).unwrap();
    assert_eq!(system.peek(lane, DATA + 0x100, count as usize), b"/dev/pts/0");
    let path = system.text(lane, 0, "/dev/pts/0");
    assert_eq!(system.call(lane, 4, [path, DATA + 0x200, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 5, [pair.slave, DATA + 0x300, 0, 0, 0, 0]), Some(0));
    let by_name = system.peek(lane, DATA + 0x200, 144);
    assert_eq!(by_name, system.peek(lane, DATA + 0x300, 144));
    assert_eq!(by_name[24..28], 0o20_620u32.to_le_bytes());
    assert_eq!(by_name[40..48], (136u64 << 8).to_le_bytes());
    let folder = open(&mut system, lane, "/dev/pts/../pts", 0) as u64;
    let count = system.call(lane, 217, [folder, DATA + 0x1000, 0x1000, 0, 0, 0]).unwrap();
    let listed = system.peek(lane, DATA + 0x1000, count as usize);
    for name in [b".\0".as_slice(), b"..\0", b"ptmx\0", b"0\0"] {
        assert!(listed.windows(name.len()).any(|window| window == name), "{name:?}");
    }
}

/// Types a line, dying as `die` says, and reads it: it is there once, and echoed once.
fn check_typed_once(what: &str, die: impl Fn(&mut System, usize, [u64; 6]) -> Option<u64>) {
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    let from = system.text(lane, 0x6000, "once\n");
    let result = die(&mut system, lane, [pair.master, from, 5, 0, 0, 0]);
    assert!(result.is_none_or(|count| count == 5), "{what}: {result:?}");
    assert_eq!(read(&mut system, lane, pair.slave).as_deref(), Ok("once\n"), "{what}");
    assert_eq!(read(&mut system, lane, pair.master).as_deref(), Ok("once\r\n"), "{what}");
    assert_eq!(read(&mut system, lane, pair.master), Err(EAGAIN), "{what}");
}

#[test]
fn a_line_is_typed_once_whatever_kills() {
    for point in ["write.intent", "queue.filled", "write.effect", "write.record", "write.reply"] {
        check_typed_once(point, |system, lane, arguments| system.call_crashing(lane, WRITE, arguments, point));
    }
    let died = std::cell::Cell::new(true);
    for nth in 0.. {
        check_typed_once(&format!("store {nth}"), |system, lane, arguments| {
            let (dead, result) = system.call_crashing_at_store(lane, WRITE, arguments, nth);
            died.set(dead);
            result
        });
        if !died.get() {
            assert!(nth > 10);
            break;
        }
    }
}

#[test]
fn a_long_write_goes_on_where_it_was_when_posix_died() {
    for (point, at_point) in [("queue.filled", true), ("restart", false)] {
        let (mut system, lane) = System::start();
        let pair = open_pair(&mut system, lane);
        let writer = system.fork(lane);
        let text: Vec<u8> = (0..20_000u32).map(|index| b'a' + (index % 23) as u8).collect();
        system.poke(writer, DATA + 0x1_0000, &text);
        if at_point {
            let result = system.call_crashing(writer, WRITE, [pair.slave, DATA + 0x1_0000, 20_000, 0, 0, 0], point);
            assert_eq!(result, None, "{point}");
        } else {
            assert_eq!(system.call(writer, WRITE, [pair.slave, DATA + 0x1_0000, 20_000, 0, 0, 0]), None);
            system.restart();
        }
        let (mut shown, mut result) = (String::new(), None);
        while let Ok(part) = read(&mut system, lane, pair.master) {
            shown += &part;
            result = result.or(system.result(writer));
            system.restart();
        }
        assert!(shown.as_bytes() == text, "{point}: {} bytes", shown.len());
        assert_eq!(result, Some(20_000), "{point}");
    }
}

#[test]
fn a_read_loses_nothing_whichever_side_it_is_on() {
    for point in ["read.intent", "queue.emptied", "read.effect", "read.record"] {
        let (mut system, lane) = System::start();
        let pair = open_pair(&mut system, lane);
        write(&mut system, lane, pair.master, "two\nlines\n");
        assert_eq!(system.call_crashing(lane, READ, [pair.slave, DATA, 100, 0, 0, 0], point), Some(4), "{point}");
        assert_eq!(system.peek(lane, DATA, 4), b"two\n");
        assert_eq!(read(&mut system, lane, pair.slave).as_deref(), Ok("lines\n"), "{point}");
        assert_eq!(system.call_crashing(lane, READ, [pair.master, DATA, 5, 0, 0, 0], point), Some(5), "{point}");
        assert_eq!(system.peek(lane, DATA, 5), b"two\r\n");
        assert_eq!(read(&mut system, lane, pair.master).as_deref(), Ok("lines\r\n"), "{point}");
    }
}

#[test]
fn a_terminal_is_made_once_and_outlives_posix() {
    for nth in 0.. {
        let (mut system, lane) = System::start();
        let path = system.text(lane, 0x8000, "/dev/ptmx");
        let (died, _) = system.call_crashing_at_store(lane, OPEN, [path, O_RDWR, 0, 0, 0, 0], nth);
        let used = (2..34).filter(|terminal| system.posix().store.terminal(*terminal).used != 0).count();
        assert_eq!(used, 1, "store {nth}");
        if !died {
            break;
        }
    }
    let (mut system, lane) = System::start();
    let pair = open_pair(&mut system, lane);
    write(&mut system, lane, pair.master, "kept\n");
    system.restart();
    assert_eq!(read(&mut system, lane, pair.slave).as_deref(), Ok("kept\n"));
    assert_eq!(open(&mut system, lane, "/dev/pts/0", O_RDWR), i64::try_from(pair.slave).unwrap() + 1);
}

#[test]
fn a_hang_up_happens_whichever_store_is_the_last() {
    let mut nth = 0;
    loop {
        let (mut system, lane) = System::start();
        let (pair, leader, job) = session(&mut system, lane);
        let group = system.pid(job);
        system.poke(leader, DATA, &group.to_le_bytes());
        assert_eq!(ioctl(&mut system, leader, pair.slave, TIOCSPGRP, DATA), 0);
        system.call(job, CLOSE, [pair.master, 0, 0, 0, 0, 0]);
        for waiter in [leader, job] {
            assert_eq!(system.call(waiter, 34, [0; 6]), None, "pause");
        }
        let (died, _) = system.call_crashing_at_store(lane, CLOSE, [pair.master, 0, 0, 0, 0, 0], nth);
        assert_eq!((system.runs(leader), system.runs(job)), (None, None), "store {nth}");
        assert_eq!(system.call(lane, CLOSE, [pair.slave, 0, 0, 0, 0, 0]), Some(0), "store {nth}");
        assert_eq!(system.posix().store.terminal(2), crate::saved::Terminal::default(), "store {nth}");
        if !died {
            assert!(nth > 10);
            break;
        }
        // Every store of the hang-up itself, then a sample of the ends that follow from it.
        nth += if nth < 40 { 1 } else { 23 };
    }
}
