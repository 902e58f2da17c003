use crate::fake::harness::{DATA, System};

pub(super) const STREAM: u64 = 1;
pub(super) const DATAGRAM: u64 = 2;
pub(super) const PACKETS: u64 = 5;
const NONBLOCK: u64 = 0o4000;
const DONT_WAIT: u64 = 0x40;
const NO_SIGNAL: u64 = 0x4000;

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

pub(super) fn pair(system: &mut System, lane: usize, kind: u64) -> (u64, u64) {
    assert_eq!(system.call(lane, 53, [1, kind, 0, DATA + 0x1000, 0, 0]), Some(0));
    let ends = system.peek(lane, DATA + 0x1000, 8);
    let end = |at: usize| u64::from(u32::from_le_bytes(ends[at..at + 4].try_into().unwrap()));
    (end(0), end(4))
}

pub(super) fn send(system: &mut System, lane: usize, socket: u64, text: &str) -> Option<u64> {
    system.poke(lane, DATA, text.as_bytes());
    system.call(lane, 44, [socket, DATA, text.len() as u64, DONT_WAIT | NO_SIGNAL, 0, 0])
}

pub(super) fn receive(system: &mut System, lane: usize, socket: u64, length: u64, flags: u64) -> Result<String, u64> {
    let count = system.call(lane, 45, [socket, DATA + 0x2000, length, DONT_WAIT | flags, 0, 0]).unwrap();
    if (count as i64) < 0 {
        return Err(count.wrapping_neg());
    }
    let bytes = system.peek(lane, DATA + 0x2000, count.min(length) as usize);
    Ok(String::from_utf8(bytes).unwrap())
}

/// Writes a `sockaddr_un` and returns its length.
fn name(system: &mut System, lane: usize, path: &str) -> u64 {
    let bytes = [&1u16.to_le_bytes(), path.as_bytes()].concat();
    system.poke(lane, DATA + 0x800, &bytes);
    bytes.len() as u64
}

/// `msghdr` at `DATA + 0x3000` over one buffer, with control bytes at `DATA + 0x4000`.
fn message(system: &mut System, lane: usize, length: u64, control: u64) {
    let words = [0, 0, DATA + 0x3800, 1, DATA + 0x4000, control, 0];
    system.poke(lane, DATA + 0x3000, &words.map(u64::to_le_bytes).concat());
    system.poke(lane, DATA + 0x3800, &[DATA + 0x2000, length].map(u64::to_le_bytes).concat());
}

pub(super) fn send_descriptor(system: &mut System, lane: usize, socket: u64, descriptor: u64) -> Option<u64> {
    message(system, lane, 1, 24);
    let control = [&20u64.to_le_bytes()[..], &1u32.to_le_bytes(), &1u32.to_le_bytes(), &(descriptor as u32).to_le_bytes(), &[0; 4]].concat();
    system.poke(lane, DATA + 0x4000, &control);
    system.call(lane, 46, [socket, DATA + 0x3000, DONT_WAIT, 0, 0, 0])
}

pub(super) fn receive_descriptor(system: &mut System, lane: usize, socket: u64) -> Option<u64> {
    message(system, lane, 1, 24);
    let count = system.call(lane, 47, [socket, DATA + 0x3000, DONT_WAIT, 0, 0, 0]).unwrap();
    assert_eq!(count, 1);
    let length = u64::from_le_bytes(system.peek(lane, DATA + 0x3028, 8).try_into().unwrap());
    let control = system.peek(lane, DATA + 0x4000, 24);
    (length >= 20).then(|| u64::from(u32::from_le_bytes(control[16..20].try_into().unwrap())))
}

fn records(system: &mut System) -> (usize, usize, usize) {
    let store = &system.posix().store;
    let sockets = (0..crate::saved::SOCKETS).filter(|index| store.socket(*index).state != 0).count();
    let queues = (0..crate::saved::PIPES).filter(|index| store.pipe(*index).used != 0).count();
    let rights = (0..crate::saved::RIGHTS).filter(|index| store.right(*index).file != 0).count();
    (sockets, queues, rights)
}

#[test]
fn stream_has_no_boundaries_and_packets_do() {
    for (kind, first, second) in [(STREAM, "onetw", "o"), (DATAGRAM, "one", "two"), (PACKETS, "one", "two")] {
        let (mut system, lane) = System::start();
        let (left, right) = pair(&mut system, lane, kind);
        assert_eq!(send(&mut system, lane, left, "one"), Some(3));
        assert_eq!(send(&mut system, lane, left, "two"), Some(3));
        assert_eq!(receive(&mut system, lane, right, 5, 2).unwrap(), first, "peek");
        assert_eq!(receive(&mut system, lane, right, 5, 0).unwrap(), first);
        assert_eq!(receive(&mut system, lane, right, 5, 0).unwrap(), second);
        assert_eq!(receive(&mut system, lane, right, 5, 0), Err(11));
    }
}

#[test]
fn packet_is_cut_and_says_how_long_it_was() {
    let (mut system, lane) = System::start();
    let (left, right) = pair(&mut system, lane, PACKETS);
    send(&mut system, lane, left, "123456");
    assert_eq!(system.call(lane, 45, [right, DATA + 0x2000, 2, 0x22 | DONT_WAIT, 0, 0]), Some(6), "MSG_TRUNC of a peek");
    assert_eq!(receive(&mut system, lane, right, 2, 0).unwrap(), "12");
    assert_eq!(receive(&mut system, lane, right, 2, 0), Err(11), "the rest is lost");
    assert_eq!(system.call(lane, 44, [left, DATA, 0x20000, DONT_WAIT, 0, 0]), error(90), "EMSGSIZE");
}

#[test]
fn reader_waits_for_bytes_and_hears_of_the_end() {
    let (mut system, lane) = System::start();
    let (left, right) = pair(&mut system, lane, STREAM);
    let child = system.fork(lane);
    system.call(child, 3, [left, 0, 0, 0, 0, 0]);
    assert_eq!(system.call(child, 0, [right, DATA + 0x100, 100, 0, 0, 0]), None);
    send(&mut system, lane, left, "there");
    assert_eq!(system.result(child), Some(5));
    assert_eq!(system.call(child, 0, [right, DATA + 0x100, 100, 0, 0, 0]), None);
    system.call(lane, 3, [right, 0, 0, 0, 0, 0]);
    system.call(lane, 48, [left, 1, 0, 0, 0, 0]);
    assert_eq!(system.result(child), Some(0), "end of file");
    assert_eq!(system.call(child, 44, [right, DATA, 1, NO_SIGNAL, 0, 0]), Some(1), "the other direction is open");
}

#[test]
fn writer_without_reader_is_told_by_signal_and_errno() {
    let (mut system, lane) = System::start();
    let (left, right) = pair(&mut system, lane, STREAM);
    system.call(lane, 3, [right, 0, 0, 0, 0, 0]);
    assert_eq!(send(&mut system, lane, left, "x"), error(32), "EPIPE");
    let child = system.fork(lane);
    assert_eq!(system.call(child, 1, [left, DATA, 1, 0, 0, 0]), None, "killed");
    assert!(system.call(lane, 61, [u64::MAX, DATA, 0, 0, 0, 0]).is_some());
    assert_eq!(system.peek(lane, DATA, 4), 13u32.to_le_bytes());
}

#[test]
fn full_stream_makes_its_writer_wait_and_loses_nothing() {
    let (mut system, lane) = System::start();
    let (left, right) = pair(&mut system, lane, STREAM);
    let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
    system.poke(lane, DATA + 0x10000, &bytes);
    let child = system.fork(lane);
    assert_eq!(system.call(lane, 1, [left, DATA + 0x10000, 200_000, 0, 0, 0]), None);
    let mut seen = Vec::new();
    while seen.len() < bytes.len() {
        let count = system.call(child, 0, [right, DATA + 0x80000, 7_777, 0, 0, 0]).unwrap() as usize;
        seen.extend(system.peek(child, DATA + 0x80000, count));
        if seen.len() % 3 == 0 {
            system.restart();
        }
    }
    assert_eq!(system.posix().store.thread(lane).done.result, 200_000);
    assert!(seen == bytes);
}

#[test]
fn descriptor_travels_and_outlives_its_sender() {
    let (mut system, lane) = System::start();
    let before = records(&mut system);
    let (left, right) = pair(&mut system, lane, STREAM);
    assert_eq!(system.call(lane, 22, [DATA + 0x1000, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(send_descriptor(&mut system, lane, left, 6), Some(1));
    system.call(lane, 3, [6, 0, 0, 0, 0, 0]);
    system.restart();
    let writer = receive_descriptor(&mut system, lane, right).unwrap();
    assert_eq!(writer, 6, "the lowest that is free");
    system.poke(lane, DATA, b"!");
    assert_eq!(system.call(lane, 1, [writer, DATA, 1, 0, 0, 0]), Some(1));
    for descriptor in [left, right, 5, 6] {
        assert_eq!(system.call(lane, 3, [descriptor, 0, 0, 0, 0, 0]), Some(0));
    }
    assert_eq!(records(&mut system), before, "nothing is left");
}

#[test]
fn sockets_that_only_hold_each_other_are_closed() {
    let (mut system, lane) = System::start();
    let before = records(&mut system);
    let (left, right) = pair(&mut system, lane, DATAGRAM);
    assert_eq!(send_descriptor(&mut system, lane, left, left), Some(1));
    assert_eq!(send_descriptor(&mut system, lane, right, right), Some(1));
    system.call(lane, 3, [left, 0, 0, 0, 0, 0]);
    assert_eq!(records(&mut system).2, before.2 + 2, "it can still be had from the other");
    system.call(lane, 3, [right, 0, 0, 0, 0, 0]);
    assert_eq!(records(&mut system), before);
}

#[test]
fn messages_with_descriptors_are_bounded() {
    let (mut system, lane) = System::start();
    let (left, right) = pair(&mut system, lane, PACKETS);
    let mut sent = 0;
    while send_descriptor(&mut system, lane, left, 0) == Some(1) {
        sent += 1;
    }
    // A packet takes its header and what a sender's name could.
    assert!(sent > 200 && sent <= crate::saved::RIGHTS, "{sent}");
    system.call(lane, 3, [left, 0, 0, 0, 0, 0]);
    system.call(lane, 3, [right, 0, 0, 0, 0, 0]);
    assert_eq!(records(&mut system).2, 0);
}

fn listener(system: &mut System, lane: usize, path: &str) -> u64 {
    let socket = system.call(lane, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
    let length = name(system, lane, path);
    assert_eq!(system.call(lane, 49, [socket, DATA + 0x800, length, 0, 0, 0]), Some(0), "bind {path:?}");
    assert_eq!(system.call(lane, 50, [socket, 1, 0, 0, 0, 0]), Some(0));
    socket
}

#[test]
fn connection_by_name() {
    for path in ["/sock", "\0abstract"] {
        let (mut system, lane) = System::start();
        let before = records(&mut system);
        let server = listener(&mut system, lane, path);
        let other = system.call(lane, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
        let length = name(&mut system, lane, path);
        assert_eq!(system.call(lane, 49, [other, DATA + 0x800, length, 0, 0, 0]), error(98), "EADDRINUSE");
        let child = system.fork(lane);
        assert_eq!(system.call(child, 43, [server, 0, 0, 0, 0, 0]), None, "it waits");
        system.restart();
        assert_eq!(system.call(lane, 42, [other, DATA + 0x800, length, 0, 0, 0]), Some(0));
        let accepted = system.result(child).unwrap();
        assert_eq!(send(&mut system, lane, other, "hello"), Some(5));
        assert_eq!(receive(&mut system, child, accepted, 10, 0).unwrap(), "hello");
        assert_eq!(system.call(lane, 42, [other, DATA + 0x800, length, 0, 0, 0]), error(106), "EISCONN");
        system.poke(lane, DATA + 0x900, &100u32.to_le_bytes());
        assert_eq!(system.call(lane, 52, [other, DATA + 0x908, DATA + 0x900, 0, 0, 0]), Some(0), "getpeername");
        assert_eq!(&system.peek(lane, DATA + 0x90a, path.len()), path.as_bytes());
        system.poke(lane, DATA + 0x900, &12u32.to_le_bytes());
        assert_eq!(system.call(lane, 55, [other, 1, 17, DATA + 0x908, DATA + 0x900, 0]), Some(0), "SO_PEERCRED");
        let pid = system.pid(lane);
        assert_eq!(system.peek(lane, DATA + 0x908, 4), pid.to_le_bytes());
        system.call(child, 231, [0; 6]);
        for descriptor in [server, other] {
            system.call(lane, 3, [descriptor, 0, 0, 0, 0, 0]);
        }
        assert_eq!(records(&mut system), before);
        let late = system.call(lane, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
        let length = name(&mut system, lane, path);
        assert_eq!(system.call(lane, 42, [late, DATA + 0x800, length, 0, 0, 0]), error(111), "ECONNREFUSED");
    }
}

#[test]
fn full_list_of_connections_makes_the_next_one_wait() {
    let (mut system, lane) = System::start();
    let server = listener(&mut system, lane, "/sock");
    let length = name(&mut system, lane, "/sock");
    for _ in 0..2 {
        let client = system.call(lane, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
        assert_eq!(system.call(lane, 42, [client, DATA + 0x800, length, 0, 0, 0]), Some(0));
    }
    let client = system.call(lane, 41, [1, STREAM | NONBLOCK, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, 42, [client, DATA + 0x800, length, 0, 0, 0]), error(11));
    let child = system.fork(lane);
    let waits = system.call(child, 41, [1, STREAM, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(child, 42, [waits, DATA + 0x800, length, 0, 0, 0]), None);
    assert!(system.call(lane, 43, [server, 0, 0, 0, 0, 0]).is_some());
    assert_eq!(system.result(child), Some(0));
    system.call(child, 3, [server, 0, 0, 0, 0, 0]);
    system.call(lane, 3, [server, 0, 0, 0, 0, 0]);
    assert_eq!(receive(&mut system, child, waits, 10, 0), Err(104), "nobody accepted it: ECONNRESET");
}

#[test]
fn datagrams_go_to_names_and_say_from_whom() {
    let (mut system, lane) = System::start();
    let receiver = system.call(lane, 41, [1, DATAGRAM, 0, 0, 0, 0]).unwrap();
    let length = name(&mut system, lane, "/in");
    assert_eq!(system.call(lane, 49, [receiver, DATA + 0x800, length, 0, 0, 0]), Some(0));
    let sender = system.call(lane, 41, [1, DATAGRAM, 0, 0, 0, 0]).unwrap();
    assert_eq!(send(&mut system, lane, sender, "x"), error(107), "ENOTCONN");
    system.poke(lane, DATA, b"mail");
    assert_eq!(system.call(lane, 44, [sender, DATA, 4, 0, DATA + 0x800, length]), Some(4));
    let own = name(&mut system, lane, "/out");
    assert_eq!(system.call(lane, 49, [sender, DATA + 0x800, own, 0, 0, 0]), Some(0));
    let length = name(&mut system, lane, "/in");
    assert_eq!(system.call(lane, 42, [sender, DATA + 0x800, length, 0, 0, 0]), Some(0));
    assert_eq!(send(&mut system, lane, sender, "more"), Some(4));
    assert_eq!(receive(&mut system, lane, receiver, 10, 0).unwrap(), "mail");
    system.poke(lane, DATA + 0x900, &100u32.to_le_bytes());
    assert_eq!(system.call(lane, 45, [receiver, DATA + 0x2000, 10, 0, DATA + 0x908, DATA + 0x900]), Some(4));
    assert_eq!(system.peek(lane, DATA + 0x90a, 5), b"/out\0");
    system.call(lane, 3, [receiver, 0, 0, 0, 0, 0]);
    assert_eq!(send(&mut system, lane, sender, "x"), error(111));
    assert_eq!(send(&mut system, lane, sender, "x"), error(107));
}

#[test]
fn other_families_and_kinds_are_refused_by_name() {
    let (mut system, lane) = System::start();
    for (arguments, errno) in [([2, 1, 0], 97), ([10, 2, 0], 97), ([1, 4, 0], 94), ([1, 1, 6], 93), ([1, 11, 0], 22), ([99, 1, 0], 97)] {
        let [family, kind, protocol] = arguments;
        assert_eq!(system.call(lane, 41, [family, kind, protocol, 0, 0, 0]), error(errno), "{arguments:?}");
    }
    assert_eq!(system.call(lane, 48, [0, 0, 0, 0, 0, 0]), error(88), "ENOTSOCK");
}

#[test]
fn sockets_run_out_with_enfile_and_leave_nothing_behind() {
    let (mut system, lane) = System::start();
    let before = records(&mut system);
    let mut lanes = vec![lane];
    let mut made = 0;
    loop {
        match system.call(*lanes.last().unwrap(), 53, [1, STREAM, 0, DATA + 0x1000, 0, 0]) {
            Some(0) => made += 2,
            result if result == error(24) => {
                let child = system.fork(lane);
                system.call(child, 436, [3, u64::from(u32::MAX), 0, 0, 0, 0]);
                lanes.push(child);
            }
            result => {
                assert_eq!(result, error(23), "ENFILE");
                break;
            }
        }
    }
    assert_eq!(made, crate::saved::SOCKETS / 8 * 7, "the rest is for who has few");
    let other = system.fork(lane);
    system.call(other, 436, [3, u64::from(u32::MAX), 0, 0, 0, 0]);
    assert_eq!(system.call(other, 53, [1, STREAM, 0, DATA + 0x1000, 0, 0]), Some(0));
    lanes.push(other);
    for child in &lanes[1..] {
        system.call(*child, 231, [0; 6]);
    }
    system.call(lane, 436, [3, u64::from(u32::MAX), 0, 0, 0, 0]);
    assert_eq!(records(&mut system), before);
}
