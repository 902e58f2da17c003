//! /dev/llm: what is asked is asked once, and what comes of it is read once, whoever dies.

use std::cell::RefMut;

use protocols::inference::{MAX_READ, MAX_WORDS, State};

use super::events::{control, epoll, report};
use super::signals::{frame, handle, return_from_handler};
use crate::fake::harness::{DATA, System};
use crate::llm::{STATUS, STATUS_BYTES};

const READ: u64 = 0;
const WRITE: u64 = 1;
const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const POLL: u64 = 7;
const LSEEK: u64 = 8;
const IOCTL: u64 = 16;
const PREAD: u64 = 17;
const WRITEV: u64 = 20;
const SELECT: u64 = 23;
const DUP: u64 = 32;
const SENDFILE: u64 = 40;
const KILL: u64 = 62;
const CHDIR: u64 = 80;
const EXIT: u64 = 231;

const NONBLOCK: u64 = 0o4000;
const IN: u32 = 1;
const OUT: u32 = 4;
const ERROR: u32 = 8;
const EDGE: u32 = 1 << 31;
/// Where what is read goes, and what is polled is.
const TEXT: u64 = DATA + 0x2000;
const POLLED: u64 = DATA + 0x700;
/// Where words are that a test asks with.
const WORDS: u64 = DATA + 0x1000;

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

fn open_with(system: &mut System, lane: usize, flags: u64) -> u64 {
    let path = system.text(lane, 0, "/dev/llm");
    system.call(lane, OPEN, [path, 2 | flags, 0, 0, 0, 0]).unwrap()
}

fn open(system: &mut System, lane: usize) -> u64 {
    open_with(system, lane, 0)
}

/// A system whose program has the device open.
fn start() -> (System, usize, u64) {
    let (mut system, lane) = System::start();
    let file = open(&mut system, lane);
    (system, lane, file)
}

fn words(system: &mut System, lane: usize, file: u64, words: &str) -> [u64; 6] {
    system.poke(lane, WORDS, words.as_bytes());
    [file, WORDS, words.len() as u64, 0, 0, 0]
}

fn ask(system: &mut System, lane: usize, file: u64, text: &str) -> Option<u64> {
    let arguments = words(system, lane, file, text);
    system.call(lane, WRITE, arguments)
}

/// The only work there is.
fn work(system: &System) -> RefMut<'_, crate::fake::Work> {
    RefMut::map(system.machine.0.borrow_mut(), |machine| machine.inference.work())
}

/// How many works there are, and how many were ever begun.
fn works(system: &System) -> (usize, usize) {
    let machine = system.machine.0.borrow();
    (machine.inference.works.len(), machine.inference.begun)
}

/// inference makes some more text.
fn say(system: &mut System, text: &str) {
    work(system).text.extend_from_slice(text.as_bytes());
    system.hear_inference();
}

/// It makes no more.
fn end(system: &mut System, state: State) {
    work(system).state = state;
    system.hear_inference();
}

fn failed(reason: &str) -> State {
    State::Failed(reason.try_into().unwrap())
}

fn read(system: &mut System, lane: usize, file: u64, length: u64) -> Option<u64> {
    system.call(lane, READ, [file, TEXT, length, 0, 0, 0])
}

/// What a read gives, which does not wait.
fn text(system: &mut System, lane: usize, file: u64, length: u64) -> String {
    let count = read(system, lane, file, length).unwrap();
    assert!(count <= length, "read: {}", count as i64);
    String::from_utf8(system.peek(lane, TEXT, count as usize)).unwrap()
}

/// What is ready for reading and writing, without a wait.
fn ready(system: &mut System, lane: usize, file: u64) -> u32 {
    system.poke(lane, POLLED, &[&(file as u32).to_le_bytes()[..], &[5, 0, 0, 0]].concat());
    system.call(lane, POLL, [POLLED, 1, 0, 0, 0, 0]).unwrap();
    u32::from(system.peek(lane, POLLED + 6, 1)[0])
}

#[test]
pub(super) fn text_is_read_as_it_is_made_up_to_its_end() {
    let (mut system, lane, file) = start();
    assert_eq!(read(&mut system, lane, file, 100), error(61), "ENODATA: nothing was asked");
    assert_eq!(ask(&mut system, lane, file, "\nhello"), Some(6));
    assert_eq!(work(&system).words, b"\nhello");
    assert_eq!(read(&mut system, lane, file, 3), None);
    system.hear_inference();
    assert_eq!(system.result(lane), None, "it was for nothing");
    say(&mut system, "well");
    assert_eq!((system.result(lane), system.peek(lane, TEXT, 3)), (Some(3), b"wel".to_vec()));
    say(&mut system, " then");
    assert_eq!(text(&mut system, lane, file, 100), "l then");
    assert_eq!(read(&mut system, lane, file, 100), None);
    end(&mut system, State::Whole);
    assert_eq!(system.result(lane), Some(0));
    assert_eq!(read(&mut system, lane, file, 100), Some(0), "and again");
    assert_eq!(read(&mut system, lane, file, 0), Some(0));
}

#[test]
fn long_text_is_read_in_pieces_and_a_short_buffer_is_no_loss() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "more");
    let whole: String = (0..2000).map(|number| format!("{number} ")).collect();
    work(&system).text.extend_from_slice(whole.as_bytes());
    end(&mut system, State::Whole);
    assert_eq!(read(&mut system, lane, file, 0x4000), Some(MAX_READ as u64));
    let mut got = String::from_utf8(system.peek(lane, TEXT, MAX_READ)).unwrap();
    while let piece = text(&mut system, lane, file, 999)
        && !piece.is_empty()
    {
        got += &piece;
    }
    assert!(got == whole);
    assert_eq!(ask(&mut system, lane, file, "again"), Some(5));
    say(&mut system, "once");
    assert_eq!(system.call(lane, READ, [file, 0x1000, 4, 0, 0, 0]), error(14), "EFAULT");
    assert_eq!(text(&mut system, lane, file, 4), "once");
}

#[test]
pub(super) fn work_is_begun_for_who_asks_where_it_is() {
    let (mut system, lane, file) = start();
    let root = {
        ask(&mut system, lane, file, "there");
        work(&system).start
    };
    end(&mut system, State::Whole);
    let path = system.text(lane, 0, "/bin");
    assert_eq!(system.call(lane, CHDIR, [path, 0, 0, 0, 0, 0]), Some(0));
    ask(&mut system, lane, file, "here");
    assert_ne!(work(&system).start, root);
    assert_eq!(work(&system).actor.uid, 0);
    end(&mut system, State::Whole);
    let path = system.text(lane, 0, "/proc/self");
    assert_eq!(system.call(lane, CHDIR, [path, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(ask(&mut system, lane, file, "nowhere in vfs"), Some(14));
    assert_eq!(work(&system).start, protocols::vfs::ROOT);
}

#[test]
fn one_request_at_a_time_and_each_anew() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "one");
    assert_eq!(ask(&mut system, lane, file, "two"), error(16), "EBUSY");
    say(&mut system, "first");
    assert_eq!(text(&mut system, lane, file, 3), "fir");
    end(&mut system, State::Whole);
    assert_eq!(ask(&mut system, lane, file, "two"), Some(3), "though not all was read");
    assert_eq!(work(&system).words, b"two", "the other work has ended");
    say(&mut system, "second");
    assert_eq!(text(&mut system, lane, file, 100), "second", "from its start");
    end(&mut system, failed("it does not fit"));
    assert_eq!(read(&mut system, lane, file, 100), error(5), "EIO");
    assert_eq!(ask(&mut system, lane, file, "three"), Some(5));
    assert_eq!(works(&system), (1, 3));
}

#[test]
fn what_is_no_request_is_refused() {
    let (mut system, lane, file) = start();
    assert_eq!(system.call(lane, WRITE, [file, WORDS, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.call(lane, WRITE, [file, WORDS, MAX_WORDS as u64 + 1, 0, 0, 0]), error(90), "EMSGSIZE");
    assert_eq!(system.call(lane, WRITE, [file, 0x1000, 10, 0, 0, 0]), error(14), "EFAULT");
    assert_eq!(system.call(lane, PREAD, [file, TEXT, 10, 0, 0, 0]), error(29), "ESPIPE");
    assert_eq!(system.call(lane, LSEEK, [file, 0, 0, 0, 0, 0]), error(29));
    assert_eq!(works(&system), (0, 0));
    assert_eq!(system.call(lane, WRITE, [file, WORDS, MAX_WORDS as u64, 0, 0, 0]), Some(MAX_WORDS as u64));
    let path = system.text(lane, 0, "/dev/llm");
    let reader = system.call(lane, OPEN, [path, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(ask(&mut system, lane, reader, "no"), error(9), "EBADF");
    let writer = system.call(lane, OPEN, [path, 1, 0, 0, 0, 0]).unwrap();
    assert_eq!(read(&mut system, lane, writer, 1), error(9));
    system.machine.0.borrow_mut().inference.is_full = true;
    assert_eq!(ask(&mut system, lane, writer, "no"), error(16), "EBUSY");
    system.machine.0.borrow_mut().inference.is_full = false;
    assert_eq!(ask(&mut system, lane, writer, "yes"), Some(3));
}

#[test]
fn several_buffers_are_one_request() {
    let (mut system, lane, file) = start();
    system.poke(lane, WORDS, b"key value\n\nprompt");
    let vectors = |parts: &[[u64; 2]]| parts.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    system.poke(lane, POLLED, &vectors(&[[WORDS, 10], [WORDS + 10, 7]]));
    assert_eq!(system.call(lane, WRITEV, [file, POLLED, 2, 0, 0, 0]), Some(17));
    assert_eq!(work(&system).words, b"key value\n\nprompt");
    end(&mut system, State::Whole);
    for (length, number) in [(MAX_WORDS as u64, 90), (0x1_0000, 90)] {
        system.poke(lane, POLLED, &vectors(&[[WORDS, 1], [WORDS, length]]));
        assert_eq!(system.call(lane, WRITEV, [file, POLLED, 2, 0, 0, 0]), error(number), "EMSGSIZE");
    }
    system.poke(lane, POLLED, &vectors(&[[WORDS, 1], [0x1000, 9]]));
    assert_eq!(system.call(lane, WRITEV, [file, POLLED, 2, 0, 0, 0]), error(14), "EFAULT, and no half request");
    assert_eq!(works(&system), (1, 1));
}

#[test]
pub(super) fn request_may_come_from_a_file() {
    let (mut system, lane, file) = start();
    system.install("/run/asked", b"from a file");
    let path = system.text(lane, 0, "/run/asked");
    let from = system.call(lane, OPEN, [path, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, SENDFILE, [file, from, 0, 100, 0, 0]), Some(11));
    assert_eq!(system.call(lane, SENDFILE, [file, from, 0, 100, 0, 0]), Some(0), "at its end");
    assert_eq!(work(&system).words, b"from a file");
}

#[test]
fn who_does_not_wait_is_told_so() {
    let (mut system, lane) = System::start();
    let file = open_with(&mut system, lane, NONBLOCK);
    ask(&mut system, lane, file, "quick");
    assert_eq!(read(&mut system, lane, file, 10), error(11), "EAGAIN");
    say(&mut system, "so");
    assert_eq!(text(&mut system, lane, file, 10), "so");
}

#[test]
fn signal_ends_a_wait_for_text() {
    for (flags, restarts) in [(0, false), (0x1000_0000, true)] {
        let (mut system, lane, file) = start();
        ask(&mut system, lane, file, "slow");
        let child = system.fork(lane);
        handle(&mut system, child, 10, flags);
        let before = frame(&system, child);
        assert_eq!(read(&mut system, child, file, 10), None);
        let pid = u64::from(system.pid(child));
        system.call(lane, KILL, [pid, 10, 0, 0, 0, 0]);
        return_from_handler(&mut system, child);
        let after = frame(&system, child);
        if restarts {
            assert_eq!((after.rip, after.rax), (before.rip, READ));
        } else {
            assert_eq!((after.rip, Some(after.rax)), (before.rip + 2, error(4)), "EINTR");
        }
        say(&mut system, "there");
        assert_eq!(text(&mut system, lane, file, 10), "there", "nothing of it is lost");
    }
}

#[test]
fn readiness_is_text_or_its_end_and_room_for_a_request() {
    let (mut system, lane, file) = start();
    assert_eq!(ready(&mut system, lane, file), OUT);
    ask(&mut system, lane, file, "words");
    assert_eq!(ready(&mut system, lane, file), 0);
    let child = system.fork(lane);
    system.poke(child, POLLED, &[&(file as u32).to_le_bytes()[..], &[1, 0, 0, 0]].concat());
    assert_eq!(system.call(child, POLL, [POLLED, 1, u64::from(u32::MAX), 0, 0, 0]), None);
    say(&mut system, "x");
    assert_eq!(system.result(child), Some(1));
    assert_eq!(ready(&mut system, lane, file), IN);
    text(&mut system, lane, file, 10);
    assert_eq!(ready(&mut system, lane, file), 0);
    system.poke(child, POLLED, &(1u64 << file).to_le_bytes());
    assert_eq!(system.call(child, SELECT, [file + 1, POLLED, 0, 0, 0, 0]), None);
    end(&mut system, State::Whole);
    assert_eq!(system.result(child), Some(1));
    assert_eq!(ready(&mut system, lane, file), IN | OUT);
    ask(&mut system, lane, file, "others");
    end(&mut system, failed("no"));
    assert_eq!(ready(&mut system, lane, file), IN | OUT);
    system.machine.0.borrow_mut().inference.works.clear();
    assert_eq!(ready(&mut system, lane, file), IN | OUT | ERROR, "it is lost");
}

#[test]
fn epoll_tells_of_each_piece_once_at_an_edge() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "words");
    let (level, edge) = (epoll(&mut system, lane), epoll(&mut system, lane));
    assert_eq!(control(&mut system, lane, level, 1, file, IN), Some(0));
    assert_eq!(control(&mut system, lane, edge, 1, file, IN | EDGE), Some(0));
    assert_eq!(report(&mut system, lane, edge, 4), []);
    for piece in ["one", "two"] {
        say(&mut system, piece);
        assert_eq!(report(&mut system, lane, edge, 4), [(IN, file)], "{piece}");
        assert_eq!(report(&mut system, lane, edge, 4), [], "though it was not read");
    }
    assert_eq!(report(&mut system, lane, level, 4), [(IN, file)]);
    assert_eq!(text(&mut system, lane, file, 10), "onetwo");
    assert_eq!(report(&mut system, lane, level, 4), []);
    end(&mut system, State::Whole);
    assert_eq!(report(&mut system, lane, edge, 4), [(IN, file)], "its end");
}

#[test]
fn status_says_how_far_it_is() {
    let (mut system, lane, file) = start();
    assert_eq!((STATUS, STATUS_BYTES), (0x8110_6c80, 272));
    let status = |system: &mut System| {
        system.poke(lane, TEXT, &[0xff; STATUS_BYTES + 1]);
        assert_eq!(system.call(lane, IOCTL, [file, STATUS, TEXT, 0, 0, 0]), Some(0));
        let bytes = system.peek(lane, TEXT, STATUS_BYTES + 1);
        let short: Vec<u32> = bytes[..16].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let long: Vec<u64> = bytes[16..72].as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        assert_eq!(bytes[STATUS_BYTES], 0xff, "no more than its size");
        let reason = String::from_utf8(bytes[72..STATUS_BYTES].to_vec()).unwrap();
        (short, long, reason.trim_end_matches('\0').to_owned())
    };
    assert_eq!(status(&mut system), (vec![0; 4], vec![0; 7], String::new()));
    ask(&mut system, lane, file, "words");
    say(&mut system, "abc");
    assert_eq!(status(&mut system), (vec![1, 11, 12, 0], vec![3, 13, 14, 15, 16, 17, 18], String::new()));
    end(&mut system, State::Whole);
    assert_eq!(status(&mut system).0[0], 2);
    end(&mut system, failed("the model is no model"));
    assert_eq!(status(&mut system), (vec![3, 11, 12, 0], vec![3, 13, 14, 15, 16, 17, 18], "the model is no model".into()));
    end(&mut system, failed(&"x".repeat(200)));
    assert_eq!(status(&mut system).2.len(), 200);
    assert_eq!(system.call(lane, IOCTL, [file, STATUS, 0x1000, 0, 0, 0]), error(14));
    assert_eq!(system.call(lane, IOCTL, [file, 0x5401, TEXT, 0, 0, 0]), error(25), "ENOTTY");
    let null = system.text(lane, 0, "/dev/null");
    let null = system.call(lane, OPEN, [null, 2, 0, 0, 0, 0]).unwrap();
    assert_eq!(system.call(lane, IOCTL, [null, STATUS, TEXT, 0, 0, 0]), error(25));
}

#[test]
fn descriptors_of_one_file_share_its_text_and_openings_do_not() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "shared");
    say(&mut system, "abcdefgh");
    let copy = system.call(lane, DUP, [file, 0, 0, 0, 0, 0]).unwrap();
    let child = system.fork(lane);
    assert_eq!(text(&mut system, lane, file, 2), "ab");
    assert_eq!(text(&mut system, lane, copy, 2), "cd");
    assert_eq!(text(&mut system, child, file, 2), "ef");
    let other = open(&mut system, lane);
    assert_eq!(read(&mut system, lane, other, 2), error(61));
    assert_eq!(ask(&mut system, lane, other, "own"), Some(3));
    assert_eq!(works(&system), (2, 2));
    system.call(lane, CLOSE, [other, 0, 0, 0, 0, 0]);
    for descriptor in [file, copy] {
        system.call(lane, CLOSE, [descriptor, 0, 0, 0, 0, 0]);
        assert_eq!(works(&system), (1, 2), "the child has it open");
    }
    assert_eq!(text(&mut system, child, file, 9), "gh");
    system.call(child, EXIT, [0; 6]);
    assert_eq!(works(&system), (0, 2));
}

#[test]
fn work_ends_with_a_program_that_is_killed_while_it_waits() {
    let (mut system, lane, file) = start();
    let child = system.fork(lane);
    system.call(lane, CLOSE, [file, 0, 0, 0, 0, 0]);
    ask(&mut system, child, file, "words");
    assert_eq!(read(&mut system, child, file, 10), None);
    let pid = u64::from(system.pid(child));
    system.call(lane, KILL, [pid, 2, 0, 0, 0, 0]);
    assert_eq!(system.runs(child), None);
    assert_eq!(works(&system), (0, 1));
}

#[test]
fn inference_that_is_given_up_is_an_error_and_no_end() {
    use abi::Error::{Closed, Dropped, InvalidHandle, PeerDied, Poisoned};
    for refusal in [Closed, Dropped, Poisoned, PeerDied, InvalidHandle] {
        let (mut system, lane, file) = start();
        ask(&mut system, lane, file, "words");
        say(&mut system, "text");
        system.machine.0.borrow_mut().inference.refused = Some(refusal);
        assert_eq!(read(&mut system, lane, file, 10), error(5), "EIO");
        assert_eq!(ask(&mut system, lane, file, "words"), error(5));
        assert_eq!(system.call(lane, IOCTL, [file, STATUS, TEXT, 0, 0, 0]), error(5));
        assert_eq!(ready(&mut system, lane, file), IN | OUT | ERROR);
        let other = open(&mut system, lane);
        assert_eq!(ask(&mut system, lane, other, "words"), error(5));
        assert_eq!(system.call(lane, CLOSE, [other, 0, 0, 0, 0, 0]), Some(0));
        system.machine.0.borrow_mut().inference.refused = None;
        assert_eq!(text(&mut system, lane, file, 10), "text", "{refusal:?}");
    }
}

#[test]
fn work_that_inference_has_lost_is_an_error_until_another_is_asked_for() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "words");
    system.machine.0.borrow_mut().inference.works.clear();
    assert_eq!(read(&mut system, lane, file, 10), error(5), "EIO");
    assert_eq!(system.call(lane, IOCTL, [file, STATUS, TEXT, 0, 0, 0]), error(5));
    assert_eq!(ask(&mut system, lane, file, "again"), Some(5));
    say(&mut system, "there");
    assert_eq!(text(&mut system, lane, file, 10), "there");
}

/// Asked again, because a failure is believed when it comes twice.
#[test]
fn one_answer_that_is_none_hurts_nobody() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "words");
    say(&mut system, "text");
    system.machine.0.borrow_mut().spoil_answer = Some(|reply, _| {
        reply[0] = 0xff;
        1
    });
    assert_eq!(text(&mut system, lane, file, 2), "te");
    // As many bytes as were not asked for.
    system.machine.0.borrow_mut().spoil_answer = Some(|reply, bytes| {
        let long = Ok::<_, protocols::inference::Error>(protocols::inference::Reply::Text([b'!'; 9].into_iter().collect()));
        protocols::wire::encode(&long, reply).unwrap_or(bytes)
    });
    assert_eq!(text(&mut system, lane, file, 2), "xt");
}

#[test]
fn wait_for_text_survives_restarts() {
    let (mut system, lane, file) = start();
    ask(&mut system, lane, file, "words");
    assert_eq!(read(&mut system, lane, file, 10), None);
    system.restart();
    assert_eq!(system.result(lane), None);
    work(&system).text.extend_from_slice(b"while nobody heard");
    system.restart();
    assert_eq!(system.result(lane), Some(10));
    assert_eq!(text(&mut system, lane, file, 10), "dy heard");
}

#[test]
fn each_byte_is_read_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane, file) = start();
        ask(&mut system, lane, file, "words");
        say(&mut system, "once and no more");
        let (died, first) = system.call_crashing_at_store(lane, READ, [file, TEXT, 5, 0, 0, 0], nth);
        assert!(first == Some(5) || died, "store {nth}: {first:?}");
        assert_eq!(system.peek(lane, TEXT, 5), b"once ", "store {nth}");
        assert_eq!(text(&mut system, lane, file, 100), "and no more", "store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
    for point in ["read.intent", "read.effect", "read.record", "read.reply"] {
        let (mut system, lane, file) = start();
        ask(&mut system, lane, file, "words");
        say(&mut system, "once and no more");
        system.call_crashing(lane, READ, [file, TEXT, 5, 0, 0, 0], point);
        assert_eq!(text(&mut system, lane, file, 100), "and no more", "{point}");
    }
}

#[test]
fn text_that_is_waited_for_is_read_once_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane, file) = start();
        ask(&mut system, lane, file, "words");
        assert_eq!(read(&mut system, lane, file, 5), None);
        work(&system).text.extend_from_slice(b"once and no more");
        let died = libsys::host::crash_at_store(nth, || system.hear_inference()).is_none();
        if died {
            system.restart();
        }
        assert_eq!(system.peek(lane, TEXT, 5), b"once ", "store {nth}");
        assert_eq!(text(&mut system, lane, file, 100), "and no more", "store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
}

/// The first request of a file, and one in place of another.
#[test]
fn request_is_asked_once_whichever_store_is_the_last() {
    for earlier in [false, true] {
        for nth in 0.. {
            let (mut system, lane, file) = start();
            if earlier {
                ask(&mut system, lane, file, "earlier");
                say(&mut system, "old");
                text(&mut system, lane, file, 2);
                end(&mut system, State::Whole);
            }
            let arguments = words(&mut system, lane, file, "words");
            let (died, result) = system.call_crashing_at_store(lane, WRITE, arguments, nth);
            assert!(result == Some(5) || died, "store {nth}: {result:?}");
            assert_eq!(works(&system), (1, 1 + usize::from(earlier)), "store {nth}");
            assert_eq!(work(&system).words, b"words", "store {nth}");
            say(&mut system, "new");
            assert_eq!(text(&mut system, lane, file, 100), "new", "store {nth}");
            if !died {
                assert!(nth > 3);
                break;
            }
        }
    }
}

#[test]
fn request_is_asked_once_whichever_failpoint_kills() {
    for point in ["write.intent", "write.effect", "write.record", "write.reply"] {
        let (mut system, lane, file) = start();
        let arguments = words(&mut system, lane, file, "words");
        system.call_crashing(lane, WRITE, arguments, point);
        assert_eq!(works(&system), (1, 1), "{point}");
        say(&mut system, "new");
        assert_eq!(text(&mut system, lane, file, 100), "new", "{point}");
    }
}

#[test]
fn work_ends_with_its_file_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, lane, file) = start();
        ask(&mut system, lane, file, "words");
        let (died, _) = system.call_crashing_at_store(lane, CLOSE, [file, 0, 0, 0, 0, 0], nth);
        assert_eq!(works(&system), (0, 1), "store {nth}");
        assert_eq!(system.posix().store.globals().ending, 0, "store {nth}");
        if !died {
            assert!(nth > 6);
            break;
        }
    }
}

/// Its program is killed while posix is away, so that nobody makes the call again.
#[test]
fn request_that_nobody_recorded_is_in_nobodys_way_and_ends_with_the_file() {
    let (mut replaced, mut nth) = (0, 0);
    loop {
        let (mut system, lane, file) = start();
        let child = system.fork(lane);
        let pid = u64::from(system.pid(child));
        let arguments = words(&mut system, child, file, "theirs");
        let (died, _) = system.call_crashing_while(child, WRITE, arguments, nth, |system| {
            assert_eq!(system.call(lane, KILL, [pid, 9, 0, 0, 0, 0]), Some(0));
        });
        let before = works(&system);
        if nth % 2 == 0 && ask(&mut system, lane, file, "mine") == Some(4) {
            assert_eq!(work(&system).words, b"mine", "store {nth}");
            replaced += before.0;
        }
        assert_eq!(system.call(lane, CLOSE, [file, 0, 0, 0, 0, 0]), Some(0));
        if !died {
            system.call(child, EXIT, [0; 6]);
        }
        assert_eq!(works(&system).0, 0, "store {nth}");
        if !died {
            break;
        }
        nth += 1;
    }
    assert!(nth > 4 && replaced > 0, "{nth} {replaced}");
}
