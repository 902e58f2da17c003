//! Writes that meet a reader who waits: whatever happens, each byte is read once, in its order.

use super::files::pipe;
use crate::fake::Runs;
use crate::fake::harness::{DATA, System};

const READ: u64 = 0;
const WRITE: u64 = 1;
const READV: u64 = 19;
/// Where readers want their bytes.
const TARGET: u64 = DATA + 0x100;

/// A pipe's ends, the lane that writes, and one that waits in `read` for up to `most` bytes.
fn waiting(most: u64) -> (System, (u64, u64), usize, usize) {
    let (mut system, lane) = System::start();
    let ends = pipe(&mut system, lane);
    let reader = system.fork(lane);
    system.text(lane, 0, "once, and no more");
    // Its own page, which a copy finds in its place.
    system.poke(reader, TARGET, &[0; 32]);
    assert_eq!(system.call(reader, READ, [ends.0, TARGET, most, 0, 0, 0]), None);
    (system, ends, lane, reader)
}

/// How many bytes have gone through the pipe.
fn through_the_pipe(system: &mut System) -> u64 {
    (0..crate::saved::PIPES).map(|index| system.posix().store.pipe(index).tail).sum()
}

/// What is still to be read.
fn rest(system: &mut System, lane: usize, end: u64) -> Vec<u8> {
    system.call(lane, 72, [end, 4, 0o4000, 0, 0, 0]);
    let count = system.call(lane, READ, [end, TARGET, 1000, 0, 0, 0]).unwrap();
    if (count as i64) < 0 { Vec::new() } else { system.peek(lane, TARGET, count as usize) }
}

#[test]
fn bytes_go_to_who_waits_and_not_through_the_pipe() {
    let (mut system, ends, lane, reader) = waiting(10);
    assert_eq!(system.call(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0]), Some(4));
    assert_eq!((system.result(reader), system.peek(reader, TARGET, 5)), (Some(4), b"once\0".to_vec()));
    assert_eq!(through_the_pipe(&mut system), 0);
    assert_eq!(rest(&mut system, lane, ends.0), b"");
}

#[test]
fn both_calls_have_their_result_whichever_store_is_the_last() {
    for nth in 0.. {
        let (mut system, ends, lane, reader) = waiting(10);
        let (died, written) = system.call_crashing_at_store(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0], nth);
        assert_eq!((written, system.runs(reader)), (Some(4), Some(Runs::Running)), "store {nth}");
        assert_eq!((system.peek(reader, TARGET, 5), rest(&mut system, lane, ends.0)), (b"once\0".to_vec(), vec![]), "store {nth}");
        if !died {
            assert!(nth > 3);
            break;
        }
    }
}

#[test]
fn both_calls_have_their_result_whichever_failpoint_kills() {
    for point in ["write.intent", "queue.emptied", "queue.filled", "write.effect", "write.record", "write.reply"] {
        let (mut system, ends, lane, reader) = waiting(10);
        let written = system.call_crashing(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0], point);
        assert!(point == "write.reply" || written == Some(4), "{point}: {written:?}");
        assert_eq!(system.result(reader), Some(4), "{point}");
        assert_eq!((system.peek(reader, TARGET, 5), rest(&mut system, lane, ends.0)), (b"once\0".to_vec(), vec![]), "{point}");
    }
}

#[test]
fn who_waited_the_longest_is_first() {
    let (mut system, ends, lane, first) = waiting(10);
    let second = system.fork(lane);
    system.poke(second, TARGET, &[0; 32]);
    assert_eq!(system.call(second, READ, [ends.0, TARGET, 10, 0, 0, 0]), None);
    assert_eq!(system.call(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0]), Some(4));
    assert_eq!((system.result(first), system.result(second)), (Some(4), None));
    assert_eq!(system.call(lane, WRITE, [ends.1, DATA + 4, 5, 0, 0, 0]), Some(5));
    assert_eq!((system.result(second), system.peek(second, TARGET, 5)), (Some(5), b", and".to_vec()));
}

#[test]
fn more_than_the_reader_takes_goes_through_the_pipe() {
    let (mut system, ends, lane, reader) = waiting(4);
    assert_eq!(system.call(lane, WRITE, [ends.1, DATA, 9, 0, 0, 0]), Some(9));
    assert_eq!((system.result(reader), system.peek(reader, TARGET, 5)), (Some(4), b"once\0".to_vec()));
    assert_eq!((through_the_pipe(&mut system), rest(&mut system, lane, ends.0)), (9, b", and".to_vec()));
}

#[test]
fn pages_that_are_not_there_are_made_as_for_any_call() {
    let (mut system, lane) = System::start();
    let ends = pipe(&mut system, lane);
    let fresh = |system: &mut System, lane| system.call(lane, 9, [0, 0x2000, 3, 0x22, u64::MAX, 0]).unwrap();
    let (source, target) = (fresh(&mut system, lane), fresh(&mut system, lane));
    let reader = system.fork(lane);
    assert_eq!(system.call(reader, READ, [ends.0, target + 0xffe, 4, 0, 0, 0]), None);
    system.poke(lane, source + 0xffe, b"on");
    assert_eq!(system.call(lane, WRITE, [ends.1, source + 0xffe, 4, 0, 0, 0]), Some(4));
    assert_eq!((system.result(reader), system.peek(reader, target + 0xffe, 4)), (Some(4), b"on\0\0".to_vec()));
}

#[test]
fn a_buffer_that_cannot_be_written_fails_its_own_call_only() {
    let (mut system, lane) = System::start();
    let ends = pipe(&mut system, lane);
    let reader = system.fork(lane);
    system.text(lane, 0, "once");
    assert_eq!(system.call(reader, READ, [ends.0, 0x10, 10, 0, 0, 0]), None);
    assert_eq!(system.call(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0]), Some(4));
    assert_eq!(system.result(reader), Some((-14i64) as u64));
    assert_eq!(rest(&mut system, lane, ends.0), b"once");
}

#[test]
fn a_buffer_that_cannot_be_read_fails_the_write_and_the_reader_waits_on() {
    let (mut system, ends, lane, reader) = waiting(10);
    assert_eq!(system.call(lane, WRITE, [ends.1, 0x10, 4, 0, 0, 0]), Some((-14i64) as u64));
    assert_eq!(system.result(reader), None);
    assert_eq!(system.call(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0]), Some(4));
    assert_eq!(system.result(reader), Some(4));
}

#[test]
fn who_waits_in_another_call_gets_the_bytes_from_the_pipe() {
    let (mut system, ends, lane, reader) = waiting(10);
    let other = system.fork(lane);
    system.poke(other, DATA + 0x200, &[TARGET, 4].map(u64::to_le_bytes).concat());
    assert_eq!(system.call(other, READV, [ends.0, DATA + 0x200, 1, 0, 0, 0]), None);
    for (waiting, through_the_pipe_then) in [(reader, 0), (other, 4)] {
        assert_eq!(system.call(lane, WRITE, [ends.1, DATA, 4, 0, 0, 0]), Some(4));
        assert_eq!((system.result(waiting), through_the_pipe(&mut system)), (Some(4), through_the_pipe_then));
    }
}
