//! The device: interrupts, full queues, restarts, absence.

use super::device::{Device, Setup};
use protocols::console::{Patience, Reply, Request, event};
use terminal::saved::UNREAD_BYTES;

#[test]
fn bytes_stay_in_the_device_while_the_queue_is_full() {
    let mut setup = Setup::new();
    let text: Vec<u8> = b"a line of text\n".iter().copied().cycle().take(UNREAD_BYTES * 2).collect();
    setup.type_in(&text);
    assert!(!setup.device.borrow().typed.is_empty(), "what does not fit waits");
    assert_eq!(setup.device.borrow().interrupts_enabled & 1, 0, "and raises no interrupt");
    let mut read = Vec::new();
    while let Ok(Reply::Data(bytes)) = setup.ask(&Request::ReadInline { length: 1000, patience: Patience::Wait }) {
        read.extend_from_slice(&bytes);
        setup.interrupt();
    }
    let whole_lines = text.len() / 15 * 15;
    assert_eq!(read, text[..whole_lines]);
}

#[test]
fn a_quiet_line_asks_for_received_bytes_only() {
    let mut setup = Setup::new();
    assert_eq!(setup.device.borrow().interrupts_enabled, 1);
    setup.block(true);
    assert!(setup.ask(&Request::WriteInline { bytes: b"x", patience: Patience::Wait }).is_ok());
    assert_eq!(setup.device.borrow().interrupts_enabled, 3, "something waits to be sent");
    setup.block(false);
    assert_eq!(setup.device.borrow().interrupts_enabled, 1);
    assert_eq!(setup.screen(), b"x");
}

#[test]
fn each_interrupt_is_acknowledged() {
    let mut setup = Setup::new();
    let before = setup.device.borrow().acknowledged;
    setup.type_in(b"x");
    assert_eq!(setup.device.borrow().acknowledged, before + 1);
}

#[test]
fn a_flood_lets_requests_through() {
    let mut setup = Setup::new();
    setup.device.borrow_mut().typed.extend([b'x'; 2000]);
    setup.console.pump();
    assert!(setup.device.borrow().come_back);
    assert!(setup.device.borrow().typed.len() > 1000);
    setup.interrupt();
    assert!(setup.device.borrow().typed.is_empty());
}

#[test]
fn a_restart_keeps_modes_input_output_and_says_ask_again() {
    let mut setup = Setup::new();
    setup.type_in(b"unread\nhalf");
    setup.screen();
    setup.block(true);
    assert!(setup.ask(&Request::WriteInline { bytes: b"unsent", patience: Patience::Wait }).is_ok());
    setup.device.borrow_mut().typed.extend(b" line\n");
    let clears = setup.device.borrow().fifo_clears;
    setup.restart();
    assert_eq!(setup.device.borrow().fifo_clears, clears, "what waits in the device is not thrown away");
    assert_eq!(setup.events(), event::ALL);
    setup.block(false);
    assert_eq!(setup.screen(), b"unsent line\r\n");
    for expected in [&b"unread\n"[..], b"half line\n"] {
        match setup.ask(&Request::ReadInline { length: 100, patience: Patience::Wait }) {
            Ok(Reply::Data(bytes)) => assert_eq!(bytes, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn damaged_positions_empty_the_rings_and_nothing_else() {
    let mut setup = Setup::new();
    setup.type_in(b"\x03lost\n");
    let tx = setup.area.begin();
    setup.area.state().line.damage(&tx);
    tx.commit();
    setup.restart();
    assert!(setup.ask(&Request::ReadInline { length: 9, patience: Patience::Wait }).is_err());
    setup.type_in(b"new\n");
    assert!(matches!(setup.ask(&Request::ReadInline { length: 9, patience: Patience::Wait }), Ok(Reply::Data(bytes)) if bytes == b"new\n"));
    assert!(matches!(setup.ask(&Request::Signals), Ok(Reply::Signals(signals)) if signals.interrupt == 1));
}

#[test]
fn a_machine_without_uart_swallows_output() {
    let mut setup = Setup::on(Device::none());
    assert_eq!(setup.ask(&Request::WriteInline { bytes: b"hello", patience: Patience::Wait }), Ok(Reply::Count(5)));
    assert_eq!(setup.ask(&Request::Drain), Ok(Reply::Done));
    assert!(setup.screen().is_empty());
}
