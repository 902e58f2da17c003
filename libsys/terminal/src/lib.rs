//! The line discipline: what lies between a line (a UART, the master side of a pty) and the programs that read and write the terminal.
//!
//! It is Linux's `n_tty` (`drivers/tty/n_tty.c`) as a pure function of its [`Storage`]: no clock, no waiting, no hardware, no process groups. Bytes
//! that come from the line go in by [`Discipline::receive`], a program's output by [`Discipline::write`]; both leave through two queues, one
//! read by programs, one drained to the line. All state is in the storage, so the console keeps it in its saved area and a pty's owner in its own
//! ([`saved`]); a discipline is made for one operation and forgotten, and whoever makes it decides what one transaction is.
//!
//! # Invariants
//! Positions are counts since the beginning, and only the end of an unfinished line goes back: `read <= finished <= write <= read + Storage::UNREAD` for
//! input, `output_read <= output_write` for output, of which only what was flushed goes back. The input ring has twice as many cells as can be unread, so the last [`Storage::UNREAD`] cells before
//! `read` are still what was read: an answer can be given again, to a caller whose server died with it, by naming its position.
//!
//! # Timers
//! VTIME needs a clock, which is the waiter's. [`Wait::timer_ms`] tells it to ask again with [`Patience::Expired`] after that time; since every byte makes the
//! waiter ask again, and every answer replaces the timer, the timer between bytes restarts with each byte as POSIX has it (11.1.7, cases A and C).
//!
//! Absent: parity marking, case mapping of output other than OLCUC, delays, EXTPROC, and everything that needs a process (TOSTOP, background reads).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod edit;
mod input;
mod latin1;
mod output;
mod reading;
pub mod saved;
mod storage;
#[cfg(test)]
mod tests;

use protocols::console::termios::ICANON;
use protocols::console::{Flow, Patience, Queue, Signals, Status, Termios};

pub use reading::{Span, Wait};
pub use storage::{Cell, InMemory, Registers, Storage};

/// Part of the output queue that only echo may use, so that typing shows while a program fills the rest.
pub const ECHO_RESERVE: u64 = 256;

/// A line discipline over its storage.
#[derive(Debug)]
pub struct Discipline<S> {
    storage: S,
}

impl<S: Storage> Discipline<S> {
    /// The discipline whose state is in `storage`. Zeroed storage with [`Registers::default`] and modes is a new line.
    pub const fn new(storage: S) -> Self {
        Self { storage }
    }

    /// Its storage back.
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// The modes.
    #[must_use]
    pub fn modes(&self) -> Termios {
        self.storage.modes()
    }

    /// Sets the modes. Unread input becomes one finished line when lines are switched on, and raw bytes when they are switched off.
    pub fn set_modes(&mut self, modes: Termios) {
        let changed = self.storage.modes().local ^ modes.local;
        self.storage.set_modes(modes);
        if changed & ICANON != 0 {
            self.update(|registers| {
                registers.finished = registers.write;
                registers.unmarked = registers.write;
                registers.flags &= !(Registers::LITERAL | Registers::ERASING);
            });
        }
    }

    /// How often each signal character came.
    #[must_use]
    pub fn signals(&self) -> Signals {
        self.storage.registers().signals
    }

    /// What a read or write would find.
    #[must_use]
    pub fn status(&self) -> Status {
        let registers = self.storage.registers();
        Status {
            readable: self.readable(),
            input_bytes: self.input_bytes(),
            output_room: u32::try_from(self.room()).unwrap_or(u32::MAX),
            output_bytes: u32::try_from(registers.queued()).unwrap_or(u32::MAX),
        }
    }

    /// Throws away what is queued.
    pub fn flush(&mut self, queue: Queue) {
        self.update(|registers| {
            if queue != Queue::Output {
                registers.forget_input();
            }
            if queue != Queue::Input {
                registers.forget_output(S::TAKEN);
            }
        });
    }

    /// Flow control by hand.
    pub fn flow(&mut self, flow: Flow) {
        use protocols::console::termios::{VSTART, VSTOP};
        match flow {
            Flow::StopOutput => self.update(|registers| registers.flags |= Registers::STOPPED),
            Flow::StartOutput => self.update(|registers| registers.flags &= !Registers::STOPPED),
            Flow::StopInput => self.send_character(VSTOP),
            Flow::StartInput => self.send_character(VSTART),
        }
    }

    /// Whether output is stopped.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.storage.registers().has(Registers::STOPPED)
    }

    fn update(&mut self, change: impl FnOnce(&mut Registers)) {
        let mut registers = self.storage.registers();
        change(&mut registers);
        self.storage.set_registers(registers);
    }
}
