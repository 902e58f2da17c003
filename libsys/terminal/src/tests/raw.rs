use super::super::{Patience, Wait};
use super::{Line, bytes, line_with, read, read_some, screen, type_in};
use protocols::console::termios::{ECHO, ICANON, ICRNL, ISIG, VMIN, VTIME};

fn raw(minimum: u8, time: u8) -> Line {
    line_with(|modes| {
        modes.local &= !(ICANON | ISIG | ECHO);
        modes.input = 0;
        modes.characters[VMIN] = minimum;
        modes.characters[VTIME] = time;
    })
}

fn waits(line: &Line, length: u32) -> Option<u32> {
    line.find_input(length, Patience::Wait).err().map(|Wait { timer_ms }| timer_ms)
}

#[test]
fn one_byte_is_enough_with_min_1() {
    let mut line = raw(1, 0);
    assert_eq!(waits(&line, 5), Some(0));
    type_in(&mut line, b"\x03");
    assert_eq!(read(&mut line), bytes("\x03"));
}

#[test]
fn min_is_waited_for_without_a_timer() {
    let mut line = raw(3, 0);
    type_in(&mut line, b"ab");
    assert!(!line.status().readable);
    assert_eq!(waits(&line, 5), Some(0));
    type_in(&mut line, b"c");
    assert!(line.status().readable);
    assert_eq!(read(&mut line), bytes("abc"));
}

#[test]
fn a_read_shorter_than_min_needs_only_its_length() {
    let mut line = raw(3, 0);
    type_in(&mut line, b"ab");
    assert_eq!(read_some(&mut line, 2, Patience::Wait), bytes("ab"));
}

#[test]
fn min_and_time_start_the_timer_with_the_first_byte() {
    let mut line = raw(3, 5);
    assert_eq!(waits(&line, 5), Some(0), "the first byte is waited for without limit");
    type_in(&mut line, b"a");
    assert!(line.status().readable);
    assert_eq!(waits(&line, 5), Some(500));
    assert_eq!(read_some(&mut line, 5, Patience::Expired), bytes("a"));
}

#[test]
fn time_alone_limits_the_whole_read() {
    let mut line = raw(0, 2);
    assert_eq!(waits(&line, 5), Some(200));
    assert_eq!(read_some(&mut line, 5, Patience::Expired), bytes(""));
    type_in(&mut line, b"a");
    assert_eq!(read(&mut line), bytes("a"));
}

#[test]
fn neither_min_nor_time_never_waits() {
    let mut line = raw(0, 0);
    assert_eq!(read(&mut line), bytes(""));
    assert_eq!(read_some(&mut line, 5, Patience::Never), bytes(""));
}

#[test]
fn never_takes_what_is_there_below_min() {
    let mut line = raw(3, 0);
    assert_eq!(read_some(&mut line, 5, Patience::Never), None);
    type_in(&mut line, b"a");
    assert_eq!(read_some(&mut line, 5, Patience::Never), bytes("a"));
}

#[test]
fn newlines_do_not_bound_a_raw_read() {
    let mut line = raw(1, 0);
    type_in(&mut line, b"a\nb\n");
    assert_eq!(read(&mut line), bytes("a\nb\n"));
}

#[test]
fn echo_works_raw_too() {
    let mut line = raw(1, 0);
    let mut modes = line.modes();
    modes.local |= ECHO;
    line.set_modes(modes);
    type_in(&mut line, b"a\n\x01");
    assert_eq!(screen(&mut line), b"a^J^A", "a newline is a control character like others");
    modes.input |= ICRNL;
    line.set_modes(modes);
    type_in(&mut line, b"\r");
    assert_eq!(screen(&mut line), b"\r\n", "but not one that a carriage return became");
}

#[test]
fn a_full_queue_accepts_no_more() {
    let mut line = raw(1, 0);
    type_in(&mut line, &[b'x'; 31]);
    assert!(!line.accepts());
    type_in(&mut line, b"yz");
    assert_eq!(read(&mut line).map(|bytes| bytes.len()), Some(32), "what comes all the same is dropped");
}
