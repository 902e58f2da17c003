use super::super::ECHO_RESERVE;
use super::{Line, line, line_with, screen, type_in};
use protocols::console::Flow;
use protocols::console::termios::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, XTABS};

fn shows(mut line: Line, output: &[u8]) -> Vec<u8> {
    assert_eq!(line.write(output), output.len());
    screen(&mut line)
}

#[test]
fn newline_becomes_two_bytes() {
    assert_eq!(shows(line(), b"a\nb"), b"a\r\nb");
    assert_eq!(shows(line_with(|modes| modes.output = ONLCR), b"a\nb"), b"a\nb", "not without OPOST");
    assert_eq!(shows(line_with(|modes| modes.output = OPOST), b"a\nb"), b"a\nb");
}

#[test]
fn carriage_return_is_mapped_as_asked() {
    assert_eq!(shows(line_with(|modes| modes.output = OPOST | OCRNL), b"a\r"), b"a\n");
    assert_eq!(shows(line_with(|modes| modes.output = OPOST | ONOCR), b"\ra\r\r"), b"a\r");
}

#[test]
fn tabs_are_spaces_with_xtabs() {
    let with = |more: u32| line_with(|modes| modes.output = OPOST | XTABS | more);
    assert_eq!(shows(with(0), b"ab\tc"), b"ab      c");
    assert_eq!(shows(with(0), b"abc\x08\tc"), b"abc\x08      c", "a backspace moves back");
    assert_eq!(shows(with(ONLRET), b"abc\n\t."), b"abc\n        .");
    assert_eq!(shows(with(0), b"abc\n\t."), b"abc\n     .", "a bare newline keeps the column");
    assert_eq!(shows(with(OCRNL | ONLRET), b"abc\r\t."), b"abc\n        .");
    assert_eq!(shows(with(0), b"\x1b\t."), b"\x1b        .", "a control character has no width");
}

#[test]
fn olcuc_raises_letters() {
    assert_eq!(shows(line_with(|modes| modes.output = OPOST | OLCUC), b"aB1"), b"AB1");
}

#[test]
fn a_full_queue_takes_whole_bytes_only() {
    let mut line = line();
    let fits = 512 - ECHO_RESERVE as usize;
    assert_eq!(line.room(), fits as u64 / 2);
    assert_eq!(line.write(&vec![b'x'; fits - 1]), fits - 1);
    assert_eq!(line.write(b"\n"), 0, "its second byte would not fit");
    assert_eq!(line.write(b"yz"), 1);
    assert_eq!(line.room(), 0);
    assert_eq!(screen(&mut line).len(), fits);
    assert_eq!(line.write(b"\n"), 1);
}

#[test]
fn room_is_what_write_takes_whatever_the_bytes() {
    for (output, byte) in [(OPOST | ONLCR, b'\n'), (OPOST | XTABS, b'\t'), (0, b'\n')] {
        let mut line = line_with(|modes| modes.output = output);
        let room = line.room() as usize;
        assert_eq!(line.write(&vec![byte; room]), room);
    }
}

#[test]
fn echo_has_room_when_output_is_full() {
    let mut line = line();
    while line.write(b"x") == 1 {}
    type_in(&mut line, b"e");
    assert_eq!(screen(&mut line).last(), Some(&b'e'));
}

#[test]
fn echo_that_finds_no_room_is_dropped() {
    let mut line = line();
    for _ in 0..200 {
        type_in(&mut line, b"abc\x15");
    }
    assert_eq!(screen(&mut line).len(), 512);
}

#[test]
fn what_was_not_sent_is_given_again() {
    let mut line = line();
    assert_eq!(line.write(b"abcdef"), 6);
    let mut four = [0; 4];
    assert_eq!(line.peek_output(&mut four), 4);
    line.sent(3);
    assert_eq!(line.status().output_bytes, 3);
    assert_eq!(line.peek_output(&mut four), 3);
    assert_eq!(&four[..3], b"def");
}

#[test]
fn flow_control_by_hand() {
    let mut line = line();
    assert_eq!(line.write(b"x"), 1);
    line.flow(Flow::StopOutput);
    assert_eq!(screen(&mut line), b"");
    line.flow(Flow::StartOutput);
    assert_eq!(screen(&mut line), b"x");
    line.flow(Flow::StopInput);
    line.flow(Flow::StartInput);
    assert_eq!(screen(&mut line), b"\x13\x11");
}
