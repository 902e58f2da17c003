//! Moving bytes between the rings and the line, and saying so to those who wait.
//!
//! The pump runs after each request and each interrupt, and does as much as the device takes. It leaves bytes in the device while the input ring has no
//! room, which stops the sender, and asks for an interrupt only where one would help, so a full ring is not a storm.
//!
//! # What a death can cost
//! Rings and results are transactions; the device is not. A byte is in the ring as soon as the transaction after its reading commits, and it leaves the ring in the
//! transaction after its sending. An instance that dies on the few instructions in between loses the one byte just read, or sends up to
//! [`FIFO_BYTES`] bytes again. It takes a count of completed accesses in the kernel's port capability to close that gap.

use protocols::console::{Signals, event};

use crate::machine::Machine;
use crate::point::Point;
use crate::service::Console;
use crate::uart::FIFO_BYTES;

/// Most bytes received before requests get their turn.
const MOST_RECEIVED: usize = 256;

/// What was new on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Received {
    any: bool,
    signals: Signals,
}

impl<M: Machine> Console<M> {
    /// Moves what can be moved and tells who waits.
    pub(crate) fn pump(&mut self) {
        let before = self.with_line(|line| line.signals());
        let any = self.receive_bytes();
        self.send_bytes();
        self.tell(Received { any, signals: before });
        self.listen();
    }

    fn receive_bytes(&mut self) -> bool {
        let mut count = 0;
        while count < MOST_RECEIVED && self.with_line(|line| line.accepts()) && self.uart.has_received(&mut self.machine) {
            let byte = self.uart.receive(&mut self.machine);
            self.change_line(|line| line.receive(byte));
            count += 1;
        }
        if count > 0 {
            Point::Received.hit();
        }
        if count == MOST_RECEIVED {
            self.machine.come_back();
        }
        count > 0
    }

    fn send_bytes(&mut self) {
        let mut bytes = [0; FIFO_BYTES];
        loop {
            let count = self.with_line(|line| line.peek_output(&mut bytes));
            let Some(next) = bytes.get(..count).filter(|next| !next.is_empty()) else {
                return;
            };
            if !self.uart.can_send(&mut self.machine) {
                return;
            }
            Point::Sending.hit();
            self.uart.send(&mut self.machine, next);
            self.change_line(|line| line.sent(count));
            Point::Sent.hit();
        }
    }

    fn tell(&mut self, received: Received) {
        let (status, signals, lines) = self.with_line(|line| {
            let lines = line.modes().has_local(protocols::console::termios::ICANON);
            (line.status(), line.signals(), lines)
        });
        let mut events = 0;
        // Raw, each byte is news, because it restarts the timer between bytes.
        if received.any && (status.readable || !lines) {
            events |= event::READABLE;
        }
        if signals != received.signals {
            events |= event::SIGNAL;
        }
        if self.awaited & event::WRITABLE != 0 && status.output_room > 0 {
            events |= event::WRITABLE;
        }
        if self.awaited & event::DRAINED != 0 && self.drained() {
            events |= event::DRAINED;
        }
        if events != 0 {
            self.awaited &= !events;
            self.machine.notify(events);
        }
    }

    /// Asks for the interrupts that would let the next pump do something.
    fn listen(&mut self) {
        let (accepts, waits_to_send) = self.with_line(|line| (line.accepts(), line.status().output_bytes > 0 && !line.stopped()));
        let transmitted = waits_to_send || self.awaited & event::DRAINED != 0;
        self.uart.listen(&mut self.machine, accepts, transmitted);
    }

    /// Whether nothing is left in ring and transmitter.
    pub(crate) fn drained(&mut self) -> bool {
        self.with_line(|line| line.status().output_bytes) == 0 && self.uart.can_send(&mut self.machine)
    }
}
