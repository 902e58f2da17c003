//! Moving bytes between the rings and the line, and saying so to those who wait.
//!
//! The pump runs after each request and each interrupt, and does as much as the device takes. It leaves bytes in the device while the input ring has no
//! room, which stops the sender, and asks for an interrupt only where one would help, so a full ring is not a storm.
//!
//! # What a death costs: nothing
//! Rings and results are transactions; the device is not. But the kernel counts what is done through a capability to ports, and each transaction says
//! what it stands for in those counts ([`crate::saved::Progress`]). An instance that dies on the few instructions between an access and its
//! transaction leaves the two apart, and `Console::catch_up` completes the transaction: the byte that was read is in the record, and the bytes that
//! were sent are still the next ones of the ring. A script's piece goes the other way round, recorded first, because only the record names its writer.
//!
//! The same counts show an instance whose own code or data is damaged that bytes which it believes to be out never left. It dies of that on purpose: only
//! its successor, from the image, can be trusted to go on, and it finds the same counts.

use libsys::saved::Transaction;
use protocols::console::{Signals, event};

use crate::machine::{Machine, PortRecord};
use crate::point::Point;
use crate::saved::Progress;
use crate::service::{Console, Written};
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
            Point::Receiving.hit();
            let transaction = self.begin();
            self.has_received(&transaction, byte);
            transaction.commit();
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
            let written = self.uart.send(&mut self.machine, next);
            Self::require(self.machine.data_record().writes, self.state().progress.get().sent.wrapping_add(written));
            Point::Transmitted.hit();
            let transaction = self.begin();
            self.has_sent(&transaction, count, written);
            transaction.commit();
            Point::Sent.hit();
        }
    }

    /// Ends an instance that is not what it was: `counted` bytes have left, and it believes that these are `believed`.
    pub(crate) fn require(counted: u32, believed: u32) {
        assert!(counted == believed, "{counted} bytes have left, and not {believed}: this instance is damaged");
    }

    /// A byte of the line enters the ring.
    fn has_received(&self, transaction: &Transaction<'_>, byte: u8) {
        self.state().line.change::<0, _>(transaction, |line| line.receive(byte));
        self.change_progress(transaction, |progress| progress.received = progress.received.wrapping_add(1));
    }

    /// Bytes leave the ring, `written` of them to the device.
    fn has_sent(&self, transaction: &Transaction<'_>, count: usize, written: u32) {
        self.state().line.change::<0, _>(transaction, |line| line.sent(count));
        self.change_progress(transaction, |progress| progress.sent = progress.sent.wrapping_add(written));
    }

    pub(crate) fn change_progress(&self, transaction: &Transaction<'_>, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.state().progress.get();
        change(&mut progress);
        self.state().progress.set(transaction, progress);
    }

    /// Completes what a predecessor had done to the device and not written down.
    pub(crate) fn catch_up(&mut self) {
        let (data, script) = (self.machine.data_record(), self.machine.script_record());
        let progress = self.state().progress.get();
        let transaction = self.begin();
        if data.reads == progress.received.wrapping_add(1) {
            self.has_received(&transaction, data.last as u8);
        }
        let sent = data.writes.wrapping_sub(progress.sent);
        if (1..=FIFO_BYTES as u32).contains(&sent) {
            self.has_sent(&transaction, sent as usize, sent);
        }
        let missing = progress.scripted.wrapping_sub(script.writes);
        if (1..=progress.piece).contains(&missing) {
            // Recorded, and not written, or not all of it: its writer, who comes again, goes on from there.
            let written = Written::begun((progress.before as u32).wrapping_add(progress.piece - missing));
            self.forget_piece(&transaction, progress.writer, written);
        }
        self.adopt(&transaction, data, script);
        transaction.commit();
    }

    /// From here on the counts are those of the kernel's records.
    pub(crate) fn adopt(&self, transaction: &Transaction<'_>, data: PortRecord, script: PortRecord) {
        self.change_progress(transaction, |progress| {
            *progress = Progress { received: data.reads, sent: data.writes, scripted: script.writes, ..Progress::zeroed() };
        });
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
