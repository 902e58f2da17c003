//! A death at every store and at every failpoint: the caller's second attempt ends as if there had been none.

use abi::RequestNumber;
use libsys::host::{crash_at_failpoint, crash_at_store};
use protocols::console::termios::ECHO;
use protocols::console::{Error, Patience, Queue, Reply, Request, Stream, When};

use super::device::{Device, Program, Setup, ask};
use crate::machine::PortRecord;
use crate::point::Point;

/// What can be asked, with what was typed before it.
struct Case {
    name: &'static str,
    request: Request<'static>,
}

const TEXT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz\n";

fn cases() -> Vec<Case> {
    let mut quiet = protocols::console::Termios::INITIAL;
    quiet.local &= !ECHO;
    let patience = Patience::Wait;
    vec![
        Case { name: "read", request: Request::Read { length: 100, patience } },
        Case { name: "read inline", request: Request::ReadInline { length: 100, patience } },
        Case { name: "write", request: Request::Write { length: 700, patience } },
        Case { name: "write inline", request: Request::WriteInline { bytes: TEXT, patience } },
        Case { name: "modes", request: Request::SetTermios { modes: quiet, when: When::Now } },
        Case { name: "flush", request: Request::Flush(Queue::Both) },
        Case { name: "script", request: Request::ScriptWrite { stream: Stream::Output, length: 700 } },
    ]
}

/// A console with input and, held back by the device, output.
fn before() -> (Setup, Program) {
    let mut setup = Setup::new();
    setup.type_in(b"first\nsecond\nhalf");
    setup.block(true);
    assert_eq!(setup.ask(&Request::WriteInline { bytes: b"queued ", patience: Patience::Wait }), Ok(Reply::Count(7)));
    let memory: Vec<u8> = TEXT.iter().copied().cycle().take(700).collect();
    let program = Program::new(setup.next_number()).with_memory(memory);
    (setup, program)
}

/// All that can be seen from outside once the case is through.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    reply: Result<Reply, Error>,
    memory: Vec<u8>,
    input: Vec<Vec<u8>>,
    screen: Vec<u8>,
    modes: Result<Reply, Error>,
    script: Vec<u8>,
}

fn look(mut setup: Setup, program: Program, reply: Result<Reply, Error>) -> Seen {
    let modes = setup.ask(&Request::Termios);
    setup.type_in(b" line\n");
    let mut input = Vec::new();
    while let Ok(Reply::Data(bytes)) = setup.ask(&Request::ReadInline { length: 100, patience: Patience::Wait }) {
        input.push(bytes.to_vec());
    }
    setup.block(false);
    let script = setup.device.borrow().script.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    Seen { reply, memory: program.memory, input, screen: setup.screen(), modes, script }
}

/// Runs a case in an instance that dies as `crash` says, and again in the next one. Returns what is seen, and whether it died.
fn run(case: &Case, crash: impl FnOnce(&mut dyn FnMut()) -> bool) -> (Seen, bool) {
    let (mut setup, mut program) = before();
    let mut reply = Err(Error::Malformed);
    let finished = crash(&mut || reply = ask(&mut setup.console, &mut program, &case.request));
    if !finished {
        setup.restart();
        reply = ask(&mut setup.console, &mut program, &case.request);
    }
    (look(setup, program, reply), !finished)
}

fn undisturbed(case: &Case) -> Seen {
    let (seen, _) = run(case, |body| {
        body();
        true
    });
    seen
}

#[test]
fn a_death_at_any_store_is_not_seen() {
    for case in cases() {
        let expected = undisturbed(&case);
        for nth in 0.. {
            let (seen, died) = run(&case, |body| crash_at_store(nth, body).is_some());
            assert_eq!(seen, expected, "{} at store {nth}", case.name);
            if !died {
                assert!(nth > 5, "{} stores nothing", case.name);
                break;
            }
        }
    }
}

#[test]
fn a_death_at_any_failpoint_is_not_seen() {
    let mut fired = std::collections::BTreeSet::new();
    for case in cases() {
        let expected = undisturbed(&case);
        for point in Point::ALL {
            for nth in 1..=2 {
                let (seen, died) = run(&case, |body| crash_at_failpoint(point.name(), nth, body).is_some());
                assert_eq!(seen, expected, "{} at {}", case.name, point.name());
                if died {
                    fired.insert(point.name());
                }
            }
        }
    }
    let of_the_line = OF_THE_LINE.map(Point::name);
    let silent: Vec<_> = Point::ALL.iter().map(|point| point.name()).filter(|name| !fired.contains(name) && !of_the_line.contains(name)).collect();
    assert_eq!(silent, [""; 0], "no case passes these");
}

/// Points that no request passes.
const OF_THE_LINE: [Point; 5] = [Point::Receiving, Point::Received, Point::Sending, Point::Transmitted, Point::Sent];

/// Runs what sees that its own code is damaged, and dies of it.
fn dies_of(body: impl FnOnce()) {
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err();
    assert!(died, "bytes were lost, and nobody noticed");
}

#[test]
fn script_output_that_did_not_reach_the_stream_is_noticed_and_written_by_the_successor() {
    for cut in [0, 1, 511] {
        let mut setup = Setup::new();
        let memory: Vec<u8> = TEXT.iter().copied().cycle().take(700).collect();
        let mut program = Program::new(setup.next_number()).with_memory(memory.clone());
        setup.device.borrow_mut().cut = Some(cut);
        let request = Request::ScriptWrite { stream: Stream::Output, length: 700 };
        dies_of(|| drop(ask(&mut setup.console, &mut program, &request)));
        setup.restart();
        assert_eq!(ask(&mut setup.console, &mut program, &request), Ok(Reply::Count(700)));
        let script: Vec<u8> = setup.device.borrow().script.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!(script, memory, "after {cut} bytes");
    }
}

#[test]
fn output_that_did_not_reach_the_line_is_noticed_and_sent_by_the_successor() {
    for cut in [0, 1, 15] {
        let mut setup = Setup::new();
        let number = setup.next_number();
        setup.device.borrow_mut().cut = Some(cut);
        let request = Request::WriteInline { bytes: TEXT, patience: Patience::Wait };
        dies_of(|| drop(ask(&mut setup.console, &mut Program::new(number), &request)));
        setup.restart();
        assert_eq!(ask(&mut setup.console, &mut Program::new(number), &request), Ok(Reply::Count(TEXT.len() as u32)));
        assert_eq!(setup.screen(), [TEXT.strip_suffix(b"\n").expect("a line"), b"\r\n"].concat(), "after {cut} bytes");
    }
}

#[test]
fn typing_survives_a_death_at_the_failpoints_of_the_line() {
    for point in OF_THE_LINE {
        let mut setup = Setup::new();
        let died = crash_at_failpoint(point.name(), 1, || setup.type_in(b"echo hello\n")).is_none();
        assert!(died, "{}", point.name());
        setup.restart();
        setup.interrupt();
        assert_eq!(setup.screen(), b"echo hello\r\n", "{}", point.name());
        let read = setup.ask(&Request::ReadInline { length: 100, patience: Patience::Wait });
        assert!(matches!(read, Ok(Reply::Data(bytes)) if bytes == b"echo hello\n"), "{}", point.name());
    }
}

/// Types in an instance that dies as `crash` says, and, unless `again` says otherwise, in the next one too. What is read and shown; whether all ended well.
fn typed(text: &[u8], crash: impl FnOnce(&mut dyn FnMut()) -> bool, again: impl FnOnce(&mut dyn FnMut()) -> bool) -> (Vec<u8>, Vec<u8>, bool) {
    let mut setup = Setup::new();
    let finished = crash(&mut || setup.type_in(text));
    if !finished {
        let survived = again(&mut || setup.restart());
        if !survived {
            setup.restart();
        }
        setup.interrupt();
    }
    let read = match setup.ask(&Request::ReadInline { length: 100, patience: Patience::Wait }) {
        Ok(Reply::Data(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    };
    (read, setup.screen(), finished)
}

fn undying(body: &mut dyn FnMut()) -> bool {
    body();
    true
}

#[test]
fn a_death_at_any_store_of_typing_neither_loses_nor_repeats_a_byte() {
    for nth in 0.. {
        let (read, screen, finished) = typed(b"cat file\n", |body| crash_at_store(nth, body).is_some(), undying);
        assert_eq!((&read[..], &screen[..]), (&b"cat file\n"[..], &b"cat file\r\n"[..]), "store {nth}");
        if finished {
            assert!(nth > 100, "typing stores nothing");
            return;
        }
    }
}

#[test]
fn a_death_at_any_store_of_catching_up_changes_nothing() {
    for (point, passage) in [(Point::Receiving, 3), (Point::Transmitted, 1)] {
        for nth in 0.. {
            let mut again = false;
            let killed = |body: &mut dyn FnMut()| {
                again = crash_at_store(nth, body).is_none();
                !again
            };
            let (read, screen, _) = typed(b"cat file\n", |body| crash_at_failpoint(point.name(), passage, body).is_some(), killed);
            assert_eq!((&read[..], &screen[..]), (&b"cat file\n"[..], &b"cat file\r\n"[..]), "{} store {nth}", point.name());
            if !again {
                assert!(nth > 3, "{} stores {nth} times only", point.name());
                break;
            }
        }
    }
}

#[test]
fn counts_of_the_kernel_may_wrap() {
    let mut device = Device::default();
    device.data = PortRecord { reads: u32::MAX - 1, writes: u32::MAX - 3, last: 0 };
    let mut setup = Setup::on(device);
    for (text, point) in [(&b"one\n"[..], Point::Receiving), (b"two\n", Point::Transmitted)] {
        let died = crash_at_failpoint(point.name(), 1, || setup.type_in(text)).is_none();
        assert!(died);
        setup.restart();
        setup.interrupt();
        let read = setup.ask(&Request::ReadInline { length: 100, patience: Patience::Wait });
        assert!(matches!(read, Ok(Reply::Data(bytes)) if bytes == text));
    }
    assert_eq!(setup.screen(), b"one\r\ntwo\r\n");
}

#[test]
fn a_death_while_the_first_instance_starts_leaves_a_fresh_console() {
    use libsys::saved::Area;
    for nth in 0.. {
        let area = Area::<crate::saved::State>::on_host();
        let finished = crash_at_store(nth, || {
            let transaction = area.begin();
            let emptied = area.state().prepare(&transaction);
            transaction.commit();
            emptied
        });
        if finished.is_some() {
            return;
        }
        let _how = area.recover();
        let transaction = area.begin();
        assert!(!area.state().prepare(&transaction));
        assert_eq!(area.state().line.look(|line| line.modes()), protocols::console::Termios::INITIAL);
    }
}

#[test]
fn lanes_do_not_meet() {
    let mut setup = Setup::new();
    setup.type_in(b"one\ntwo\n");
    let request = Request::ReadInline { length: 9, patience: Patience::Wait };
    let mut read = |lane| ask(&mut setup.console, &mut Program::new(RequestNumber::new(11, lane, 1, 1)), &request);
    let first = read(1);
    let second = read(2);
    assert_ne!(first, second);
    assert_eq!((read(1), read(2)), (first, second), "each gets its own again");
}
