use super::device::{Program, Setup, ask};
use protocols::console::termios::{ICANON, VTIME};
use protocols::console::{Error, Flow, Patience, Pending, Queue, Reply, Request, Signals, Stream, When, WindowSize, event};
use protocols::serve::Serve;
use protocols::wire;
use terminal::ECHO_RESERVE;
use terminal::saved::OUTPUT_BYTES;

const WAIT: Patience = Patience::Wait;

fn data(reply: Result<Reply, Error>) -> Vec<u8> {
    match reply {
        Ok(Reply::Data(bytes)) => bytes.to_vec(),
        other => panic!("no data: {other:?}"),
    }
}

fn pending(accepted: u32) -> Result<Reply, Error> {
    Err(Error::Pending(Pending { accepted, timer_ms: 0 }))
}

fn write(setup: &mut Setup, bytes: &[u8]) -> Result<Reply, Error> {
    setup.ask(&Request::WriteInline { bytes, patience: WAIT })
}

#[test]
fn what_is_typed_is_read_and_echoed() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(&Request::ReadInline { length: 100, patience: WAIT }), pending(0));
    setup.events();
    setup.type_in(b"ls\r");
    assert_eq!(setup.events(), event::READABLE);
    assert_eq!(data(setup.ask(&Request::ReadInline { length: 100, patience: WAIT })), b"ls\n");
    assert_eq!(setup.screen(), b"ls\r\n");
}

#[test]
fn an_unfinished_line_is_no_event() {
    let mut setup = Setup::new();
    setup.events();
    setup.type_in(b"ls");
    assert_eq!(setup.events(), 0);
}

#[test]
fn every_raw_byte_is_an_event() {
    let mut setup = Setup::new();
    set_modes(&mut setup, |modes| modes.local &= !ICANON);
    setup.events();
    setup.type_in(b"a");
    assert_eq!(setup.events(), event::READABLE);
    setup.type_in(b"b");
    assert_eq!(setup.events(), event::READABLE);
}

fn set_modes(setup: &mut Setup, change: impl FnOnce(&mut protocols::console::Termios)) {
    let Ok(Reply::Termios(mut modes)) = setup.ask(&Request::Termios) else { panic!("no modes") };
    change(&mut modes);
    assert_eq!(setup.ask(&Request::SetTermios { modes, when: When::Now }), Ok(Reply::Done));
    assert_eq!(setup.ask(&Request::Termios), Ok(Reply::Termios(modes)));
}

#[test]
fn a_read_into_a_missing_page_consumes_nothing() {
    let mut setup = Setup::new();
    setup.type_in(b"hello\n");
    let mut program = Program::new(setup.next_number()).with_memory([0; 8]);
    program.missing = Some(4);
    let request = Request::Read { length: 8, patience: WAIT };
    assert_eq!(ask(&mut setup.console, &mut program, &request), Err(Error::NeedsPage { address: 4, write: true }));
    program.missing = None;
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(6)));
    assert_eq!(&program.memory, b"hello\n\0\0");
}

#[test]
fn a_repeated_read_gets_the_same_bytes() {
    let mut setup = Setup::new();
    setup.type_in(b"one\ntwo\n");
    let number = setup.next_number();
    let request = Request::ReadInline { length: 100, patience: WAIT };
    assert_eq!(data(ask(&mut setup.console, &mut Program::new(number), &request)), b"one\n");
    setup.type_in(b"three\n");
    assert_eq!(data(ask(&mut setup.console, &mut Program::new(number), &request)), b"one\n");
    assert_eq!(data(setup.ask(&request)), b"two\n");
    assert_eq!(ask(&mut setup.console, &mut Program::new(number), &request), Err(Error::Stale));
}

#[test]
fn a_timer_is_asked_for_in_milliseconds() {
    let mut setup = Setup::new();
    set_modes(&mut setup, |modes| {
        modes.local &= !ICANON;
        modes.characters[VTIME] = 3;
        modes.characters[protocols::console::termios::VMIN] = 0;
    });
    let number = setup.next_number();
    let mut read = |patience| ask(&mut setup.console, &mut Program::new(number), &Request::ReadInline { length: 9, patience });
    assert_eq!(read(WAIT), Err(Error::Pending(Pending { accepted: 0, timer_ms: 300 })));
    assert_eq!(data(read(Patience::Expired)), b"");
}

#[test]
fn a_long_write_goes_on_where_it_stopped() {
    let mut setup = Setup::new();
    setup.block(true);
    let text: Vec<u8> = (0..20_000u32).map(|index| b'a' + (index % 26) as u8).collect();
    let request = Request::Write { length: text.len() as u32, patience: WAIT };
    let mut program = Program::new(setup.next_number()).with_memory(text.clone());
    let Err(Error::Pending(Pending { accepted, .. })) = ask(&mut setup.console, &mut program, &request) else { panic!("it fits") };
    assert!(accepted > 0 && u64::from(accepted) <= OUTPUT_BYTES as u64 - ECHO_RESERVE);
    assert_eq!(ask(&mut setup.console, &mut program, &request), pending(accepted), "nothing is taken twice");
    setup.events();
    setup.block(false);
    assert_eq!(setup.events(), event::WRITABLE);
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(20_000)));
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(20_000)), "done is done");
    setup.interrupt();
    assert_eq!(setup.screen(), text);
}

#[test]
fn a_write_from_a_missing_page_goes_on_there() {
    let mut setup = Setup::new();
    let text: Vec<u8> = (0..1000u32).map(|index| b'0' + (index % 10) as u8).collect();
    let request = Request::Write { length: 1000, patience: WAIT };
    let mut program = Program::new(setup.next_number()).with_memory(text.clone());
    program.missing = Some(600);
    assert_eq!(ask(&mut setup.console, &mut program, &request), Err(Error::NeedsPage { address: 600, write: false }));
    program.missing = None;
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(1000)));
    assert_eq!(setup.screen(), text);
}

#[test]
fn a_write_without_patience_takes_what_fits() {
    let mut setup = Setup::new();
    setup.block(true);
    let mut program = Program::new(setup.next_number()).with_memory([b'x'; 20_000]);
    let request = Request::Write { length: 20_000, patience: Patience::Never };
    let Ok(Reply::Count(accepted)) = ask(&mut setup.console, &mut program, &request) else { panic!("nothing fits") };
    setup.block(false);
    assert_eq!(setup.screen().len(), accepted as usize);
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(accepted)), "the same again, although there is room now");
    setup.block(true);
    while write(&mut setup, b"0123456789abcdef").is_ok() {}
    assert_eq!(setup.ask(&Request::WriteInline { bytes: b"y", patience: Patience::Never }), pending(0));
}

#[test]
fn a_lease_that_is_too_short_is_refused() {
    let mut setup = Setup::new();
    let mut program = Program::new(setup.next_number()).with_memory(*b"abc");
    let request = Request::Write { length: 4, patience: WAIT };
    assert_eq!(ask(&mut setup.console, &mut program, &request), Err(Error::InvalidLease));
    setup.type_in(b"hello\n");
    let mut program = Program::new(setup.next_number()).with_memory(*b"abc");
    assert_eq!(ask(&mut setup.console, &mut program, &Request::Read { length: 9, patience: WAIT }), Err(Error::InvalidLease));
    assert_eq!(data(setup.ask(&Request::ReadInline { length: 9, patience: WAIT })), b"hello\n", "nothing was consumed");
}

#[test]
fn an_inline_read_has_a_limit() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(&Request::ReadInline { length: 2049, patience: WAIT }), Err(Error::TooLong));
}

#[test]
fn script_bytes_reach_their_stream_unchanged() {
    let mut setup = Setup::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(1500).collect();
    let mut program = Program::new(setup.next_number()).with_memory(bytes.clone());
    let request = Request::ScriptWrite { stream: Stream::Error, length: 1500 };
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(1500)));
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(1500)), "a repeated request sends nothing");
    let sent = setup.device.borrow().script.clone();
    assert!(sent.iter().all(|(stream, _)| *stream == Stream::Error));
    assert_eq!(sent.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>(), bytes);
}

#[test]
fn a_script_write_is_bounded() {
    let mut setup = Setup::new();
    let mut program = Program::new(setup.next_number()).with_memory(vec![b'x'; 100_000]);
    let request = Request::ScriptWrite { stream: Stream::Output, length: 100_000 };
    assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(65536)));
}

#[test]
fn signals_are_counted() {
    let mut setup = Setup::new();
    setup.events();
    setup.type_in(b"\x03");
    assert_eq!(setup.events() & event::SIGNAL, event::SIGNAL);
    setup.type_in(b"\x1a\x03");
    assert_eq!(setup.ask(&Request::Signals), Ok(Reply::Signals(Signals { interrupt: 2, quit: 0, suspend: 1 })));
}

#[test]
fn modes_that_wait_for_output_wait() {
    let mut setup = Setup::new();
    setup.block(true);
    assert_eq!(write(&mut setup, b"text"), Ok(Reply::Count(4)));
    setup.type_in(b"typed\n");
    let Ok(Reply::Termios(modes)) = setup.ask(&Request::Termios) else { panic!("no modes") };
    let number = setup.next_number();
    let request = Request::SetTermios { modes, when: When::Flushed };
    assert_eq!(ask(&mut setup.console, &mut Program::new(number), &request), pending(0));
    assert_eq!(setup.ask(&Request::Drain), pending(0));
    setup.events();
    setup.block(false);
    assert_eq!(setup.events(), event::DRAINED);
    assert_eq!(setup.ask(&Request::Drain), Ok(Reply::Done));
    let number = setup.next_number();
    assert_eq!(ask(&mut setup.console, &mut Program::new(number), &request), Ok(Reply::Done));
    assert_eq!(setup.ask(&Request::ReadInline { length: 9, patience: WAIT }), pending(0), "input was thrown away");
    setup.type_in(b"new\n");
    assert_eq!(ask(&mut setup.console, &mut Program::new(number), &request), Ok(Reply::Done));
    assert_eq!(data(setup.ask(&Request::ReadInline { length: 9, patience: WAIT })), b"new\n", "but once only");
}

#[test]
fn flush_is_done_once() {
    let mut setup = Setup::new();
    setup.type_in(b"old\n");
    let number = setup.next_number();
    assert_eq!(ask(&mut setup.console, &mut Program::new(number), &Request::Flush(Queue::Both)), Ok(Reply::Done));
    setup.type_in(b"new\n");
    assert_eq!(ask(&mut setup.console, &mut Program::new(number), &Request::Flush(Queue::Both)), Ok(Reply::Done));
    assert_eq!(data(setup.ask(&Request::ReadInline { length: 9, patience: WAIT })), b"new\n");
}

#[test]
fn window_size_is_kept() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(&Request::WindowSize), Ok(Reply::WindowSize(WindowSize::INITIAL)));
    let size = WindowSize { rows: 50, columns: 132, width: 1, height: 2 };
    assert_eq!(setup.ask(&Request::SetWindowSize(size)), Ok(Reply::Done));
    setup.restart();
    assert_eq!(setup.ask(&Request::WindowSize), Ok(Reply::WindowSize(size)));
}

#[test]
fn status_says_what_a_poll_needs() {
    let mut setup = Setup::new();
    setup.type_in(b"ab\n");
    setup.block(true);
    assert_eq!(write(&mut setup, b"xyz"), Ok(Reply::Count(3)));
    let Ok(Reply::Status(status)) = setup.ask(&Request::Status) else { panic!("no status") };
    assert!(status.readable && status.output_room > 0);
    assert_eq!((status.input_bytes, status.output_bytes), (3, 3));
}

#[test]
fn a_poll_that_found_no_room_hears_of_some() {
    let mut setup = Setup::new();
    setup.block(true);
    while write(&mut setup, b"0123456789abcdef").is_ok() {}
    setup.restart();
    setup.events();
    let Ok(Reply::Status(status)) = setup.ask(&Request::Status) else { panic!("no status") };
    assert_eq!(status.output_room, 0);
    setup.block(false);
    assert_eq!(setup.events(), event::WRITABLE);
}

#[test]
fn flow_control_by_hand_holds_output() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(&Request::Flow(Flow::StopOutput)), Ok(Reply::Done));
    assert_eq!(write(&mut setup, b"later"), Ok(Reply::Count(5)));
    assert_eq!(setup.screen(), b"");
    assert_eq!(setup.ask(&Request::Flow(Flow::StartOutput)), Ok(Reply::Done));
    assert_eq!(setup.screen(), b"later");
}

#[test]
fn malformed_bytes_are_an_error() {
    let mut setup = Setup::new();
    for request in [&[][..], &[200], &[0], &[0, 1, 9], &[3, 255, 255, 255, 255, 15], &[5, 0]] {
        let mut reply = [0; 64];
        let number = setup.next_number();
        let answer = setup.console.serve(&mut Program::new(number), request, &mut reply);
        let decoded: Result<Result<Reply, Error>, _> = wire::decode(&reply[..answer.bytes]);
        assert_eq!(decoded, Ok(Err(Error::Malformed)), "{request:?}");
    }
}
