use super::super::{Patience, Wait};
use super::{bytes, line, line_with, read, read_some, screen, type_in};
use protocols::console::Queue;
use protocols::console::termios::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHOPRT, ICANON, ICRNL, IGNCR, INLCR, ISIG, ISTRIP, IUTF8, IXANY, NOFLSH, VEOL,
};

#[test]
fn a_line_is_readable_when_it_is_finished() {
    let mut line = line();
    type_in(&mut line, b"ls");
    assert_eq!(line.find_input(10, Patience::Wait), Err(Wait { timer_ms: 0 }));
    assert!(!line.status().readable);
    type_in(&mut line, b"\r");
    assert!(line.status().readable);
    assert_eq!(line.status().input_bytes, 3);
    assert_eq!(read(&mut line), bytes("ls\n"));
    assert_eq!(read(&mut line), None);
}

#[test]
fn a_read_gets_one_line_at_most() {
    let mut line = line();
    type_in(&mut line, b"one\ntwo\n");
    assert_eq!(read(&mut line), bytes("one\n"));
    assert_eq!(read(&mut line), bytes("two\n"));
}

#[test]
fn a_short_read_leaves_the_rest_of_the_line() {
    let mut line = line();
    type_in(&mut line, b"hello\n");
    assert_eq!(read_some(&mut line, 2, Patience::Wait), bytes("he"));
    assert_eq!(read(&mut line), bytes("llo\n"));
}

#[test]
fn typing_is_echoed_and_newline_is_sent_as_two() {
    let mut line = line();
    type_in(&mut line, b"hi\r");
    assert_eq!(screen(&mut line), b"hi\r\n");
}

#[test]
fn without_echo_nothing_shows() {
    let mut line = line_with(|modes| modes.local &= !ECHO);
    type_in(&mut line, b"secret\x15again\r");
    assert_eq!(screen(&mut line), b"");
    assert_eq!(read(&mut line), bytes("again\n"));
}

#[test]
fn control_characters_are_echoed_with_a_caret() {
    let mut line = line();
    type_in(&mut line, b"\x01\x1b");
    assert_eq!(screen(&mut line), b"^A^[");
    let mut plain = line_with(|modes| modes.local &= !ECHOCTL);
    type_in(&mut plain, b"\x01");
    assert_eq!(screen(&mut plain), b"\x01");
}

#[test]
fn erase_removes_one_character_and_wipes_it() {
    let mut line = line();
    type_in(&mut line, b"cap\x7ft\n");
    assert_eq!(screen(&mut line), b"cap\x08 \x08t\r\n");
    assert_eq!(read(&mut line), bytes("cat\n"));
}

#[test]
fn erase_wipes_both_columns_of_a_control_character() {
    let mut line = line();
    type_in(&mut line, b"\x01\x7f");
    assert_eq!(screen(&mut line), b"^A\x08 \x08\x08 \x08");
}

#[test]
fn erase_stops_at_the_start_of_the_line() {
    let mut line = line();
    type_in(&mut line, b"done\n");
    let _ = screen(&mut line);
    type_in(&mut line, b"\x7f\x17\x15");
    assert_eq!(screen(&mut line), b"");
    assert_eq!(read(&mut line), bytes("done\n"));
}

#[test]
fn erase_takes_a_whole_utf8_character() {
    let mut line = line_with(|modes| modes.input |= IUTF8);
    type_in(&mut line, "aé\x7fb\n".as_bytes());
    assert_eq!(screen(&mut line), "aé\x08 \x08b\r\n".as_bytes());
    assert_eq!(read(&mut line), bytes("ab\n"));
}

#[test]
fn erase_moves_back_over_a_tab() {
    let mut line = line();
    assert_eq!(line.write(b"$ "), 2);
    type_in(&mut line, b"ab\t\x7f");
    assert_eq!(screen(&mut line), b"$ ab\t\x08\x08\x08\x08");
    type_in(&mut line, b"\t\t\x7f");
    assert_eq!(screen(&mut line), b"\t\t\x08\x08\x08\x08\x08\x08\x08\x08");
}

#[test]
fn erase_without_echoe_prints_the_character() {
    let mut line = line_with(|modes| modes.local &= !ECHOE);
    type_in(&mut line, b"a\x7f");
    assert_eq!(screen(&mut line), b"a^?");
}

#[test]
fn echoprt_prints_what_is_erased() {
    let mut line = line_with(|modes| modes.local |= ECHOPRT);
    type_in(&mut line, b"abc\x7f\x7fd\n");
    assert_eq!(screen(&mut line), b"abc\\cb/d\r\n");
    assert_eq!(read(&mut line), bytes("ad\n"));
}

#[test]
fn kill_wipes_the_line() {
    let mut line = line();
    type_in(&mut line, b"abc\x15ok\n");
    assert_eq!(screen(&mut line), b"abc\x08 \x08\x08 \x08\x08 \x08ok\r\n");
    assert_eq!(read(&mut line), bytes("ok\n"));
}

#[test]
fn kill_without_echoke_starts_a_new_line() {
    let mut line = line_with(|modes| modes.local &= !ECHOKE);
    type_in(&mut line, b"abc\x15");
    assert_eq!(screen(&mut line), b"abc^U\r\n");
    let mut bare = line_with(|modes| modes.local &= !(ECHOKE | ECHOK));
    type_in(&mut bare, b"abc\x15");
    assert_eq!(screen(&mut bare), b"abc^U");
}

#[test]
fn word_erase_takes_blanks_and_the_word_before_them() {
    let mut line = line_with(|modes| modes.local &= !ECHO);
    type_in(&mut line, b"rm old_1 file2  \x17\x17x\n");
    assert_eq!(read(&mut line), bytes("rm x\n"));
}

#[test]
fn literal_next_takes_the_character_as_it_is() {
    let mut line = line();
    type_in(&mut line, b"\x16\x03\x16\x7f\x16\n\n");
    assert_eq!(screen(&mut line), b"^\x08^C^\x08^?^\x08^J\r\n");
    assert_eq!(read(&mut line), bytes("\x03\x7f\n\n"));
    assert_eq!(line.signals().interrupt, 0);
}

#[test]
fn reprint_shows_the_line_again() {
    let mut line = line();
    type_in(&mut line, b"ab\x12c\n");
    assert_eq!(screen(&mut line), b"ab^R\r\nabc\r\n");
    assert_eq!(read(&mut line), bytes("abc\n"));
}

#[test]
fn end_of_file_at_the_start_of_a_line_reads_nothing() {
    let mut line = line();
    type_in(&mut line, b"\x04");
    assert!(line.status().readable);
    assert_eq!(line.status().input_bytes, 0);
    assert_eq!(read(&mut line), bytes(""));
    assert_eq!(read(&mut line), None, "it is read once");
}

#[test]
fn end_of_file_within_a_line_gives_the_line_so_far() {
    let mut line = line();
    type_in(&mut line, b"abc\x04");
    assert_eq!(screen(&mut line), b"abc");
    assert_eq!(read_some(&mut line, 3, Patience::Wait), bytes("abc"));
    assert_eq!(read(&mut line), None, "no second, empty read");
}

#[test]
fn further_line_ends_end_a_line() {
    let mut line = line_with(|modes| modes.characters[VEOL] = b';');
    type_in(&mut line, b"a;b\n");
    assert_eq!(read(&mut line), bytes("a;"));
    assert_eq!(read(&mut line), bytes("b\n"));
}

#[test]
fn a_nul_is_an_ordinary_character() {
    let mut line = line();
    type_in(&mut line, b"a\0b\n");
    assert_eq!(read(&mut line), bytes("a\0b\n"));
}

#[test]
fn interrupt_quit_and_suspend_are_counted_and_flush_both_queues() {
    let mut line = line();
    assert_eq!(line.write(b"output"), 6);
    type_in(&mut line, b"unread\nhalf\x03");
    assert_eq!(screen(&mut line), b"^C");
    assert_eq!(read(&mut line), None);
    type_in(&mut line, b"\x1a\x1c\x03");
    assert_eq!(screen(&mut line), b"^C", "each flushes what the one before echoed");
    let signals = line.signals();
    assert_eq!((signals.interrupt, signals.suspend, signals.quit), (2, 1, 1));
}

#[test]
fn noflsh_keeps_the_queues() {
    let mut line = line_with(|modes| modes.local |= NOFLSH);
    type_in(&mut line, b"kept\nha\x03lf\n");
    assert_eq!(screen(&mut line), b"kept\r\nha^Clf\r\n");
    assert_eq!(read(&mut line), bytes("kept\n"));
    assert_eq!(read(&mut line), bytes("half\n"));
}

#[test]
fn without_isig_signal_characters_are_input() {
    let mut line = line_with(|modes| modes.local &= !ISIG);
    type_in(&mut line, b"\x03\n");
    assert_eq!(read(&mut line), bytes("\x03\n"));
    assert_eq!(line.signals(), Default::default());
}

#[test]
fn carriage_return_and_newline_are_mapped_as_asked() {
    let read_with = |input: u32| {
        let mut line = line_with(|modes| {
            modes.input = input;
            modes.local = 0;
            modes.characters[protocols::console::termios::VMIN] = 0;
        });
        type_in(&mut line, b"a\rb\nc");
        read(&mut line)
    };
    assert_eq!(read_with(0), bytes("a\rb\nc"));
    assert_eq!(read_with(ICRNL), bytes("a\nb\nc"));
    assert_eq!(read_with(IGNCR), bytes("ab\nc"));
    assert_eq!(read_with(IGNCR | ICRNL), bytes("ab\nc"));
    assert_eq!(read_with(INLCR), bytes("a\rb\rc"));
}

#[test]
fn istrip_takes_the_eighth_bit() {
    let mut line = line_with(|modes| modes.input |= ISTRIP);
    type_in(&mut line, b"\xe1\n");
    assert_eq!(read(&mut line), bytes("a\n"));
}

#[test]
fn stop_and_start_hold_output_back() {
    let mut line = line();
    type_in(&mut line, b"\x13");
    assert_eq!(line.write(b"x"), 1);
    assert!(line.stopped());
    assert_eq!(screen(&mut line), b"");
    type_in(&mut line, b"\x11");
    assert_eq!(screen(&mut line), b"x");
    assert_eq!(line.status().input_bytes, 0, "neither is input");
}

#[test]
fn any_character_starts_output_with_ixany() {
    let mut line = line_with(|modes| modes.input |= IXANY);
    type_in(&mut line, b"\x13a");
    assert_eq!(screen(&mut line), b"a");
    let mut strict = self::line();
    type_in(&mut strict, b"\x13a");
    assert_eq!(screen(&mut strict), b"");
}

#[test]
fn an_interrupt_starts_output_again() {
    let mut line = line();
    type_in(&mut line, b"\x13\x03");
    assert_eq!(screen(&mut line), b"^C");
}

#[test]
fn a_full_queue_keeps_a_place_for_the_newline() {
    let mut line = line();
    type_in(&mut line, &[b'x'; 100]);
    assert!(line.accepts(), "or nothing could finish the line");
    type_in(&mut line, b"\n");
    let expected: Vec<u8> = [[b'x'; 31].as_slice(), b"\n"].concat();
    assert!(!line.accepts());
    type_in(&mut line, b"dropped\n");
    assert_eq!(read(&mut line), Some(expected));
    assert!(line.accepts());
    assert_eq!(read(&mut line), None);
}

#[test]
fn unread_bytes_become_a_line_when_lines_are_switched_on() {
    let mut line = line_with(|modes| modes.local &= !ICANON);
    type_in(&mut line, b"ab\ncd");
    let mut modes = line.modes();
    modes.local |= ICANON;
    line.set_modes(modes);
    type_in(&mut line, b"\x7fef\n");
    assert_eq!(read(&mut line), bytes("ab\ncd"), "what came raw cannot be edited");
    assert_eq!(read(&mut line), bytes("ef\n"));
}

#[test]
fn a_half_line_is_readable_when_lines_are_switched_off() {
    let mut line = line();
    type_in(&mut line, b"ab\x04cd");
    let mut modes = line.modes();
    modes.local &= !ICANON;
    line.set_modes(modes);
    assert_eq!(read(&mut line), bytes("ab\0cd"), "an end of file reads as NUL, as on Linux");
}

#[test]
fn flush_throws_away_what_it_names() {
    let mut line = line();
    type_in(&mut line, b"in\nput");
    line.flush(Queue::Output);
    assert_eq!(screen(&mut line), b"");
    assert_eq!(line.status().input_bytes, 3);
    line.flush(Queue::Input);
    type_in(&mut line, b"\n");
    assert_eq!(read(&mut line), bytes("\n"));
    assert_eq!(screen(&mut line), b"\r\n");
}

#[test]
fn a_span_that_was_taken_can_be_copied_again() {
    let mut line = line();
    type_in(&mut line, b"again\n");
    let span = line.find_input(100, Patience::Wait).expect("a line");
    line.take_input(span);
    for _ in 0..5 {
        type_in(&mut line, b"abcde\n");
    }
    let mut copy = [0; 6];
    assert_eq!(line.copy_input(span, 0, &mut copy), Some(6));
    assert_eq!(&copy, b"again\n");
    while read(&mut line).is_some() {}
    type_in(&mut line, b"more\n");
    assert!(read(&mut line).is_some());
    assert_eq!(line.copy_input(span, 0, &mut copy), None, "more than UNREAD bytes ago");
}
