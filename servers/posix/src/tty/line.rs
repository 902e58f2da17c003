//! What programs ask of a terminal's line, whoever has it: modes, window size, queues.

use protocols::console::termios::{CREAD, CS8};
use protocols::console::{Flow, Queue, Status, Termios, When, WindowSize};

use super::console::console_stop;
use super::from_kernel;
use super::pty::{TAKEN, pty_of};
use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::signal::SIGWINCH;
use crate::wait::Event;

/// `CSIZE | PARENB`.
const FRAMING: u32 = 0o60 | 0o400;

impl Call<'_, '_> {
    /// The modes.
    ///
    /// # Errors
    /// `EIO`.
    pub fn modes(&mut self, terminal: u32) -> Result<Termios, Stop> {
        if let Some(pty) = pty_of(terminal) {
            let line = self.posix.store.line(pty).ok_or(Errno::EIO)?;
            return Ok(line.look(|line| line.modes()));
        }
        let number = self.ask();
        self.posix.console().termios(number).map_err(console_stop)
    }

    /// Sets the modes.
    ///
    /// # Errors
    /// `EIO`, or a wait for output to drain: a pty's never waits, for it has no line to be drained to.
    pub fn set_modes(&mut self, terminal: u32, modes: Termios, when: When) -> SysResult {
        if let Some(pty) = pty_of(terminal) {
            // `pty_set_termios` of `drivers/tty/pty.c`.
            let modes = Termios { control: modes.control & !FRAMING | CS8 | CREAD, ..modes };
            self.posix.store.edit_line(pty, |line, transaction| {
                line.change::<TAKEN, _>(transaction, |line| {
                    if when == When::Flushed {
                        line.flush(Queue::Input);
                    }
                    line.set_modes(modes);
                });
            });
            self.posix.wake(Event::Terminal(terminal));
            return Ok(0);
        }
        let number = self.effect();
        match self.posix.console().set_termios(number, modes, when) {
            Ok(()) => Ok(0),
            Err(error) => match console_stop(error) {
                Stop::Wait(wait) => self.wait(wait, true),
                stop => Err(stop),
            },
        }
    }

    /// The window's size.
    ///
    /// # Errors
    /// `EIO`.
    pub fn window_size(&mut self, terminal: u32) -> Result<WindowSize, Stop> {
        if let Some(pty) = pty_of(terminal) {
            return Ok(self.posix.store.line(pty).ok_or(Errno::EIO)?.window_size());
        }
        let number = self.ask();
        self.posix.console().window_size(number).map_err(console_stop)
    }

    /// Sets the window's size; the foreground group hears of a change.
    ///
    /// # Errors
    /// `EIO`.
    pub fn set_window_size(&mut self, terminal: u32, size: WindowSize) -> SysResult {
        if self.window_size(terminal)? == size {
            return Ok(0);
        }
        if let Some(pty) = pty_of(terminal) {
            self.posix.store.edit_line(pty, |line, transaction| line.set_window_size(transaction, size));
        } else {
            let number = self.ask();
            self.posix.console().set_window_size(number, size).map_err(console_stop)?;
        }
        let foreground = self.posix.store.terminal(terminal as usize).foreground;
        if foreground != 0 {
            self.posix.send_group(foreground, SIGWINCH, from_kernel());
        }
        Ok(0)
    }

    /// What is queued. Nothing waits to be sent at a pty: what its master has not read counts as sent.
    ///
    /// # Errors
    /// `EIO`.
    pub fn queued(&mut self, terminal: u32) -> Result<Status, Stop> {
        if let Some(pty) = pty_of(terminal) {
            let status = self.posix.store.line(pty).ok_or(Errno::EIO)?.look(|line| line.status());
            return Ok(Status { output_bytes: 0, ..status });
        }
        let number = self.ask();
        self.posix.console().status(number).map_err(console_stop)
    }

    /// Waits until all output has left the line.
    ///
    /// # Errors
    /// `EIO`, or a wait.
    pub fn drain(&mut self, terminal: u32) -> SysResult {
        if pty_of(terminal).is_none() {
            let number = self.ask();
            self.posix.console().drain(number).map_err(console_stop)?;
        }
        Ok(0)
    }

    /// Throws away what is queued.
    ///
    /// # Errors
    /// `EIO`.
    pub fn flush_queue(&mut self, terminal: u32, queue: Queue) -> SysResult {
        if let Some(pty) = pty_of(terminal) {
            self.posix.store.edit_line(pty, |line, transaction| line.change::<TAKEN, _>(transaction, |line| line.flush(queue)));
            self.posix.wake(Event::Terminal(terminal));
        } else {
            let number = self.effect();
            self.posix.console().flush(number, queue).map_err(console_stop)?;
        }
        Ok(0)
    }

    /// Flow control by hand.
    ///
    /// # Errors
    /// `EIO`.
    pub fn control_flow(&mut self, terminal: u32, flow: Flow) -> SysResult {
        if let Some(pty) = pty_of(terminal) {
            self.posix.store.edit_line(pty, |line, transaction| line.change::<TAKEN, _>(transaction, |line| line.flow(flow)));
            self.posix.wake(Event::Terminal(terminal));
        } else {
            let number = self.ask();
            self.posix.console().flow(number, flow).map_err(console_stop)?;
        }
        Ok(0)
    }
}
