//! What the loop does with each kind of message. The kernel's side of it is tested in QEMU.

use super::{Exception, Exchange, Next, Outcome, PageFault, Reflected, Server};
use crate::syscall::{Incoming, seal};
use abi::{MAX_MESSAGE, MessageKind, ReplyKind, RequestNumber};
use protocols::serve::{Answer, Caller, Serve};
use protocols::service::{Badge, Service};
use std::vec::Vec;

#[derive(Default)]
struct Recorder {
    calls: Vec<(u64, Vec<u8>)>,
    bits: Vec<u64>,
    keeps: bool,
}

impl Serve for Recorder {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        self.calls.push((caller.badge(), request.to_vec()));
        reply[..3].copy_from_slice(b"yes");
        Answer::new(3)
    }

    fn notified(&mut self, bits: u64) {
        self.bits.push(bits);
    }
}

impl Server for Recorder {
    fn reflected(&mut self, call: &Reflected) -> Outcome {
        if self.keeps { Outcome::Keep } else { Outcome::Reply(ReplyKind::Resume, call.call + 1) }
    }
}

/// Answers native calls only.
struct Plain;

impl Serve for Plain {
    fn serve(&mut self, _caller: &mut dyn Caller, _request: &[u8], _reply: &mut [u8]) -> Answer {
        Answer::new(0)
    }
}

impl Server for Plain {}

fn exchange() -> Exchange {
    Exchange { endpoint: 4, slot: 80, request: [0; MAX_MESSAGE], reply: [0; MAX_MESSAGE] }
}

const BADGE: u64 = Badge::new(Service::Posix, 1).to_word();

fn incoming(kind: Option<MessageKind>, words: [u64; 8], bytes: usize) -> Incoming {
    Incoming { kind, badge: BADGE, number: RequestNumber(5), words, sum: 5, bytes, caps: 0, leases: 0 }
}

#[test]
fn call_is_served_with_its_bytes_and_badge() {
    let (mut exchange, mut server) = (exchange(), Recorder::default());
    let mut words = [u64::from_le_bytes(*b"abcdefgh"), u64::from_le_bytes(*b"ij\0\0\0\0\0\0"), 0, 0, 0, 0, 0, 0];
    words[7] = seal(&words, 10);
    let next = exchange.handle(&mut server, &incoming(Some(MessageKind::Call), words, 10));
    assert!(matches!(next, Next::Answer(answer) if answer == Answer::new(3)));
    assert_eq!(server.calls, [(BADGE, b"abcdefghij".to_vec())]);
    assert_eq!(&exchange.reply[..3], b"yes");
    words[1] ^= 1 << 50;
    let _next = exchange.handle(&mut server, &incoming(Some(MessageKind::Call), words, 10));
    assert_eq!(server.calls.last(), Some(&(BADGE, Vec::new())), "a bit changed on the way: that is no request");
}

#[test]
#[should_panic(expected = "under two numbers")]
fn nobody_is_served_under_another_number() {
    let message = Incoming { number: RequestNumber(5 | 1 << 34), ..incoming(Some(MessageKind::Call), [0; 8], 0) };
    let _served = exchange().handle(&mut Recorder::default(), &message);
}

#[test]
#[should_panic(expected = "under the badge 0x418355, which is none")]
fn nobody_is_served_under_a_badge_that_is_none() {
    let message = Incoming { badge: 0x41_8355, ..incoming(Some(MessageKind::Reflected), [0; 8], 64) };
    let _served = exchange().handle(&mut Recorder::default(), &message);
}

/// Writes its answer beside the buffer for it after the first one.
struct Stray(bool);

impl Serve for Stray {
    fn serve(&mut self, _caller: &mut dyn Caller, _request: &[u8], reply: &mut [u8]) -> Answer {
        let at = if core::mem::replace(&mut self.0, true) { 256 } else { 0 };
        reply[at..at + 2].copy_from_slice(&[0, 14]);
        Answer::new(2)
    }
}

impl Server for Stray {}

#[test]
fn last_answer_is_not_given_to_the_next_caller() {
    let (mut exchange, mut server) = (exchange(), Stray(false));
    let mut handle = || exchange.handle(&mut server, &incoming(Some(MessageKind::Call), [0; 8], 0));
    assert!(matches!(handle(), Next::Answer(answer) if answer == Answer::new(2)));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(handle)).is_err());
}

#[test]
fn notification_is_told_and_not_answered() {
    let mut server = Recorder::default();
    let message = Incoming { badge: 0, ..incoming(Some(MessageKind::Notification), [6; 8], 8) };
    let next = exchange().handle(&mut server, &message);
    assert!(matches!(next, Next::Nothing));
    assert_eq!(server.bits, [6]);
}

#[test]
fn reflected_call_is_answered_or_kept() {
    let mut server = Recorder::default();
    let message = incoming(Some(MessageKind::Reflected), [0, 0, 0, 0, 0, 0, 39, 0], 64);
    assert!(matches!(exchange().handle(&mut server, &message), Next::Word(ReplyKind::Resume, [40, complement]) if complement == !40));
    server.keeps = true;
    assert!(matches!(exchange().handle(&mut server, &message), Next::Keep));
}

#[test]
fn plain_server_declines_faults_and_knows_no_linux_call() {
    let handle = |kind| exchange().handle(&mut Plain, &incoming(kind, [0; 8], 64));
    for kind in [Some(MessageKind::PageFault), Some(MessageKind::Exception)] {
        assert!(matches!(handle(kind), Next::Word(ReplyKind::Decline, [0, u64::MAX])));
    }
    assert!(matches!(handle(Some(MessageKind::Reflected)), Next::Word(ReplyKind::Resume, [enosys, _]) if enosys as i64 == -38));
}

#[test]
fn server_ends_at_a_kind_that_the_kernel_never_sends() {
    assert!(std::panic::catch_unwind(|| exchange().handle(&mut Plain, &incoming(None, [0; 8], 64))).is_err());
}

#[test]
fn faults_are_told_by_name() {
    let fault = PageFault::new(&incoming(None, [0x1000, 5, 0x40_0000, 0, 0, 0, 0, 0], 24), 80);
    assert_eq!((fault.address, fault.instruction, fault.reply), (0x1000, 0x40_0000, 80));
    assert!(fault.is_write() && fault.is_protection() && !fault.is_execute());
    let exception = Exception::new(&incoming(None, [14, 6, 0x1000, 0x40_0000, 0, 0, 0, 0], 32), 80);
    assert_eq!((exception.vector, exception.code, exception.address, exception.instruction), (14, 6, 0x1000, 0x40_0000));
}

#[test]
fn stack_is_where_it_was_or_the_instance_ends() {
    let stack = crate::opaque::stack_pointer();
    super::check_stack(stack);
    for bit in 0..48 {
        assert!(std::panic::catch_unwind(|| super::check_stack(crate::opaque::stack_pointer() ^ 1 << bit)).is_err(), "bit {bit}");
    }
    super::check_stack(stack);
}
