//! Terminals: reading, writing and asking about them, and whose they are.
//!
//! Terminal 1 is the console, whose line discipline is the console server's; posix adds what the server cannot know: sessions, the foreground group, and the waits.
//! A request that the console cannot do now is asked again under the same number when the console signals, so no byte is read twice or written twice.

use abi::RequestNumber;
use protocols::call::CallError;
use protocols::console::{self, Patience};

use crate::call::{ASK, Call, EFFECT, Stop, SysResult};
use crate::errno::Errno;
use crate::io::Data;
use crate::saved::{File, Origin, Process, Terminal};
use crate::server::{After, Posix};
use crate::signal::{IGNORE, SI_KERNEL, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, bit};
use crate::wait::{Event, Wait};

/// The console's index.
pub const CONSOLE: u32 = 1;
/// `EPOLLIN`, `EPOLLOUT`.
const READABLE: u32 = 1;
const WRITABLE: u32 = 4;

/// What an answer of the console means.
pub(crate) fn console_stop(error: CallError<console::Error>) -> Stop {
    match error {
        CallError::Service(console::Error::Pending(_)) => Stop::Wait(Wait::on(Event::Terminal(CONSOLE))),
        CallError::Service(console::Error::NeedsPage { .. } | console::Error::InvalidLease) => Errno::EFAULT.into(),
        _ => Errno::EIO.into(),
    }
}

impl Posix<'_> {
    /// Something happened at the console.
    pub fn events(&mut self, bits: u64) {
        if bits & protocols::posix::event::VFS_READY != 0 {
            self.wake(Event::Vfs);
            let due = core::mem::take(&mut self.pokes_due);
            self.afterwards.extend(due.into_iter().map(After::Poke));
            if self.mount_due || self.session_due {
                self.begin();
            }
        }
        if bits & console::event::SIGNAL != 0 {
            self.take_console_signals();
        }
        if bits & console::event::ALL != 0 {
            self.wake(Event::Terminal(CONSOLE));
        }
    }

    /// Sends the foreground group what was typed since the last time. The counts acted on are saved with the signals.
    pub fn take_console_signals(&mut self) {
        let number = self.kernel.own_number();
        let Ok(counts) = self.console().signals(number) else { return };
        let seen = self.store.globals().console_signals;
        let now = [counts.interrupt, counts.quit, counts.suspend];
        if now == seen {
            return;
        }
        let foreground = self.store.terminal(CONSOLE as usize).foreground;
        for (index, signal) in [SIGINT, SIGQUIT, SIGTSTP].into_iter().enumerate() {
            if now[index] != seen[index] && foreground != 0 {
                self.send_group(foreground, signal, Origin { code: SI_KERNEL, ..Origin::default() });
            }
        }
        self.store.edit_globals(|globals| globals.console_signals = now);
        self.store.commit();
    }

    /// What poll finds at a terminal.
    pub fn poll_terminal(&mut self, number: RequestNumber) -> u32 {
        match self.console().status(number.with_step(ASK)) {
            Ok(status) => {
                let input = if status.readable { READABLE } else { 0 };
                input | if status.output_room > 0 { WRITABLE } else { 0 }
            }
            Err(_) => 0,
        }
    }
}

impl Call<'_, '_> {
    /// A process in the background must not read, nor change modes: its group is stopped (POSIX, 11.1.4).
    ///
    /// # Errors
    /// `EIO` if it cannot be stopped; an interruption that makes the call again once it goes on.
    pub fn check_foreground(&mut self, terminal: u32, signal: usize) -> Result<(), Stop> {
        let me = self.me();
        let record: Terminal = self.posix.store.terminal(terminal as usize);
        if me.terminal != terminal || record.foreground == 0 || record.foreground == me.group {
            return Ok(());
        }
        let thread = self.posix.store.thread(self.lane);
        let ignored = self.posix.store.action(self.process, signal).handler == IGNORE;
        if thread.mask & bit(signal) != 0 || ignored {
            return if signal == SIGTTIN { Err(Errno::EIO.into()) } else { Ok(()) };
        }
        self.posix.send_group(me.group, signal, Origin { code: SI_KERNEL, ..Origin::default() });
        Err(Stop::Interrupted { restart: true })
    }

    /// Reads from a terminal.
    ///
    /// # Errors
    /// `EAGAIN`, `EIO`, `EFAULT`, or a wait.
    pub fn read_terminal(&mut self, file: &File, address: u64, length: usize) -> SysResult {
        if length == 0 {
            return Ok(0);
        }
        self.check_foreground(file.object, SIGTTIN)?;
        let patience = self.patience(file);
        let number = self.number.with_step(EFFECT);
        let answer = self.with_buffer(length.min(4096), |call, buffer| {
            let lease = call.posix.kernel.lend_mut(buffer);
            let count = match call.posix.console().read(number, lease, patience) {
                Ok(count) => (count as usize).min(buffer.len()),
                Err(error) => return Ok(Err(error)),
            };
            call.write(address, buffer.get(..count).unwrap_or_default())?;
            Ok(Ok(count as u64))
        })?;
        match answer {
            Ok(count) => Ok(count),
            Err(CallError::Service(console::Error::Pending(_))) if file.is_nonblocking() => Err(Errno::EAGAIN.into()),
            Err(CallError::Service(console::Error::Pending(pending))) => {
                let wait = Wait::on(Event::Terminal(file.object));
                if pending.timer_ms == 0 {
                    return self.wait(wait, true);
                }
                let deadline = self.posix.kernel.now_ns() + u64::from(pending.timer_ms) * 1_000_000;
                let number = self.number.0;
                self.posix.store.edit_thread(self.lane, |thread| (thread.wait_number, thread.deadline) = (number, deadline));
                self.wait(wait.until(deadline), true)
            }
            Err(error) => Err(console_stop(error)),
        }
    }

    fn patience(&mut self, file: &File) -> Patience {
        let thread = self.posix.store.thread(self.lane);
        if file.is_nonblocking() {
            Patience::Never
        } else if thread.wait_number == self.number.0 && thread.deadline != 0 && thread.deadline <= self.posix.kernel.now_ns() {
            Patience::Expired
        } else {
            Patience::Wait
        }
    }

    /// Writes to a terminal.
    ///
    /// # Errors
    /// `EAGAIN`, `EIO`, `EFAULT`, or a wait.
    pub fn write_terminal(&mut self, file: &File, from: Data<'_>) -> SysResult {
        if from.length() == 0 {
            return Ok(0);
        }
        let number = self.number.with_step(EFFECT);
        let patience = if file.is_nonblocking() { Patience::Never } else { Patience::Wait };
        let answer = self.with_buffer(from.length(), |call, buffer| {
            call.fetch(from, 0, buffer)?;
            let lease = call.posix.kernel.lend(buffer);
            Ok(call.posix.console().write(number, lease, patience))
        })?;
        match answer {
            Ok(count) => Ok(u64::from(count)),
            Err(CallError::Service(console::Error::Pending(_))) if file.is_nonblocking() => Err(Errno::EAGAIN.into()),
            Err(CallError::Service(console::Error::Pending(pending))) => {
                if pending.accepted > 0 && self.posix.has_deliverable(self.lane) {
                    return Ok(u64::from(pending.accepted));
                }
                self.wait(Wait::on(Event::Terminal(file.object)), true)
            }
            Err(error) => Err(console_stop(error)),
        }
    }

    /// Makes a terminal the controlling one of the caller's session.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn take_terminal(&mut self, terminal: u32) -> Result<(), Errno> {
        let me: Process = self.me();
        let record = self.posix.store.terminal(terminal as usize);
        if me.terminal == terminal && record.session == me.session {
            return Ok(());
        }
        if me.pid != me.session || me.terminal != 0 || record.session != 0 {
            return Err(Errno::EPERM);
        }
        self.posix.give_terminal(self.process, terminal);
        Ok(())
    }

    /// The foreground group may be set by its session only, to a group of it.
    ///
    /// # Errors
    /// `ENOTTY`, `EPERM`, or the stop of a background group.
    pub fn set_foreground(&mut self, terminal: u32, group: u32) -> SysResult {
        let me = self.me();
        if me.terminal != terminal || self.posix.store.terminal(terminal as usize).session != me.session {
            return Err(Errno::ENOTTY.into());
        }
        self.check_foreground(terminal, SIGTTOU)?;
        let known = self.posix.processes.iter().any(|process| {
            let process = self.posix.store.process(*process);
            process.group == group && process.session == me.session
        });
        if !known {
            return Err(Errno::EPERM.into());
        }
        self.posix.store.edit_terminal(terminal as usize, |terminal| terminal.foreground = group);
        Ok(0)
    }
}

impl Posix<'_> {
    /// A terminal becomes the controlling one of a session's leader.
    pub fn give_terminal(&mut self, process: usize, terminal: u32) {
        let record = self.store.process(process);
        self.store.edit_process(process, |process| process.terminal = terminal);
        self.store.edit_terminal(terminal as usize, |terminal| {
            terminal.used = 1;
            terminal.session = record.session;
            terminal.foreground = record.group;
        });
    }
}
