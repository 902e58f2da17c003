//! Terminals: whose they are, and what reading and writing them means for the process that does it.
//!
//! A terminal is named by its index. Terminal 1 is the console, whose line discipline is the console server's ([`console`]); from 2 on come the pseudo
//! terminals, whose lines lie in posix's own saved state ([`pty`], [`master`]). Sessions, foreground groups and waits are posix's for both: this file.
//! What can be asked of either is in `line`.

pub mod console;
pub mod line;
pub mod master;
pub mod pty;

use protocols::console::Patience;
use protocols::console::termios::TOSTOP;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::io::Data;
use crate::saved::{File, Origin, Process, ProcessIndex, Terminal};
use crate::server::Posix;
use crate::signal::{IGNORE, SI_KERNEL, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, bit};
use crate::wait::{Event, Wait};
use protocols::console::Signals;

/// The console's index.
pub const CONSOLE: u32 = 1;

/// What the terminal itself sends.
pub(crate) fn from_kernel() -> Origin {
    Origin { code: SI_KERNEL, ..Origin::default() }
}

/// Linux's device number of a terminal: `/dev/ttyS0` or `/dev/pts/N`.
#[must_use]
pub fn device_of(terminal: u32) -> u32 {
    match pty::pty_of(terminal) {
        None => 4 << 8 | 64,
        Some(pty) => 136 << 8 | pty as u32,
    }
}

impl Posix<'_> {
    /// A terminal becomes the controlling one of a session's leader.
    pub fn give_terminal(&mut self, process: ProcessIndex, terminal: u32) {
        let record = self.store.process(process);
        self.store.edit_process(process, |process| process.terminal = terminal);
        self.store.edit_terminal(terminal as usize, |terminal| {
            terminal.used = 1;
            terminal.session = record.session;
            terminal.foreground = record.group;
        });
    }

    /// A session has no terminal any more, whoever of it asks.
    fn forget_terminal(&mut self, session: u32) {
        for member in self.processes.clone() {
            if self.store.process(member).session == session {
                self.store.edit_process(member, |process| process.terminal = 0);
            }
        }
    }

    /// A session's leader ends, or gives its terminal up: the foreground group hears of it, and the terminal is free (`disassociate_ctty` of
    /// `drivers/tty/tty_jobctrl.c`).
    pub fn leave_terminal(&mut self, leader: &Process, at_exit: bool) {
        let terminal = leader.terminal;
        if terminal == 0 {
            if at_exit && leader.hung_up_group != 0 {
                self.send_group(leader.hung_up_group, SIGHUP, from_kernel());
                self.send_group(leader.hung_up_group, SIGCONT, from_kernel());
            }
            return;
        }
        let foreground = self.store.terminal(terminal as usize).foreground;
        self.store.edit_terminal(terminal as usize, |terminal: &mut Terminal| (terminal.session, terminal.foreground) = (0, 0));
        self.forget_terminal(leader.session);
        if foreground != 0 {
            self.send_group(foreground, SIGHUP, from_kernel());
            // The end of a pty's leader continues nobody: whom it stopped is hung up as an orphan.
            if !at_exit || terminal == CONSOLE {
                self.send_group(foreground, SIGCONT, from_kernel());
            }
        }
    }

    /// A terminal's line is gone: its session loses it, and the leader hears of it (`__tty_hangup` of `drivers/tty/tty_io.c`).
    pub fn hang_up(&mut self, terminal: u32) {
        let record = self.store.terminal(terminal as usize);
        if record.session != 0 {
            self.forget_terminal(record.session);
            if let Some(leader) = self.find_pid(record.session) {
                self.store.edit_process(leader, |process| process.hung_up_group = record.foreground);
                self.send(leader, SIGHUP, from_kernel());
                self.send(leader, SIGCONT, from_kernel());
            }
            self.store.edit_terminal(terminal as usize, |terminal| (terminal.session, terminal.foreground) = (0, 0));
        }
        self.wake(Event::Terminal(terminal));
    }

    /// Sends the foreground group what was typed between two counts.
    fn raise_typed(&mut self, terminal: u32, before: Signals, after: Signals) {
        let foreground = self.store.terminal(terminal as usize).foreground;
        let counts = [(before.interrupt, after.interrupt), (before.quit, after.quit), (before.suspend, after.suspend)];
        for ((before, after), signal) in counts.into_iter().zip([SIGINT, SIGQUIT, SIGTSTP]) {
            if before != after && foreground != 0 {
                self.send_group(foreground, signal, from_kernel());
            }
        }
    }

    /// What poll finds at a terminal.
    pub fn poll_terminal(&mut self, number: abi::RequestNumber, terminal: u32) -> u32 {
        match pty::pty_of(terminal) {
            None => self.poll_console(number),
            Some(pty) => self.poll_pty(terminal, pty),
        }
    }
}

impl Call<'_, '_> {
    fn is_background(&self, terminal: u32) -> bool {
        let me = self.me();
        let foreground = self.posix.store.terminal(terminal as usize).foreground;
        me.terminal == terminal && foreground != 0 && foreground != me.group
    }

    /// A process in the background must not read, nor change modes: its group is stopped (POSIX, 11.1.4).
    ///
    /// # Errors
    /// `EIO` if it cannot be stopped, or nobody could continue it; an interruption that makes the call again once it goes on.
    pub fn check_foreground(&mut self, terminal: u32, signal: usize) -> Result<(), Stop> {
        if !self.is_background(terminal) {
            return Ok(());
        }
        let thread = self.posix.store.thread(self.lane);
        let ignored = self.posix.store.action(self.process, signal).handler == IGNORE;
        if thread.mask & bit(signal) != 0 || ignored {
            return if signal == SIGTTIN { Err(Errno::EIO.into()) } else { Ok(()) };
        }
        if self.posix.is_orphaned(self.process) {
            return Err(Errno::EIO.into());
        }
        let group = self.me().group;
        self.posix.send_group(group, signal, from_kernel());
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
        match pty::pty_of(file.object) {
            Some(pty) => self.read_pty(file, pty, address, length),
            None => {
                self.check_foreground(file.object, SIGTTIN)?;
                self.read_console(file, address, length)
            }
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
        if self.is_background(file.object) && self.modes(file.object)?.has_local(TOSTOP) {
            self.check_foreground(file.object, SIGTTOU)?;
        }
        match pty::pty_of(file.object) {
            Some(pty) => self.write_pty(file, pty, from),
            None => self.write_console(file, from),
        }
    }

    /// How long a read of a terminal is willing to wait, when it is made again.
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

    /// A read found nothing: it waits, for VTIME if that was asked for. The timer runs from the read or from the last byte, whatever else wakes the reader.
    fn wait_for_input(&mut self, file: &File, timer_ms: u32) -> SysResult {
        if file.is_nonblocking() {
            return Err(Errno::EAGAIN.into());
        }
        let wait = Wait::on(Event::Terminal(file.object));
        if timer_ms == 0 {
            return self.wait(wait, true);
        }
        let unread = u64::from(self.queued(file.object)?.input_bytes);
        let (thread, number) = (self.posix.store.thread(self.lane), self.number.0);
        let runs = thread.wait_number == number && thread.deadline != 0 && thread.progress == unread;
        let deadline = if runs { thread.deadline } else { self.posix.kernel.now_ns() + u64::from(timer_ms) * 1_000_000 };
        self.posix.store.edit_thread(self.lane, |thread| {
            (thread.wait_number, thread.deadline, thread.progress, thread.futex) = (number, deadline, unread, [0; 2]);
        });
        self.wait(wait.until(deadline), true)
    }

    /// Makes a terminal the controlling one of the caller's session; `steal` takes it from another session if there is one, which is root's right.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn take_terminal(&mut self, terminal: u32, steal: bool) -> Result<(), Errno> {
        let me: Process = self.me();
        let record = self.posix.store.terminal(terminal as usize);
        if me.pid == me.session && record.session == me.session {
            return Ok(());
        }
        if me.pid != me.session || me.terminal != 0 {
            return Err(Errno::EPERM);
        }
        if record.session != 0 {
            if !steal || me.uid[1] != 0 {
                return Err(Errno::EPERM);
            }
            self.posix.forget_terminal(record.session);
        }
        self.posix.give_terminal(self.process, terminal);
        Ok(())
    }

    /// The caller gives its terminal up; if it leads the session, for all of it.
    ///
    /// # Errors
    /// `ENOTTY` if it is not the caller's.
    pub fn give_up_terminal(&mut self, terminal: u32) -> SysResult {
        let me = self.me();
        if me.terminal != terminal {
            return Err(Errno::ENOTTY.into());
        }
        if me.pid == me.session {
            self.posix.leave_terminal(&me, false);
        } else {
            self.posix.store.edit_process(self.process, |process| process.terminal = 0);
        }
        Ok(0)
    }

    /// The foreground group may be set by its session only, to a group of it.
    ///
    /// # Errors
    /// `ENOTTY`, `EINVAL`, `ESRCH`, `EPERM`, or the stop of a background group.
    pub fn set_foreground(&mut self, terminal: u32, group: u32) -> SysResult {
        match self.check_foreground(terminal, SIGTTOU) {
            Err(Stop::Errno(_)) => return Err(Errno::ENOTTY.into()),
            other => other?,
        }
        let me = self.me();
        if me.terminal != terminal || self.posix.store.terminal(terminal as usize).session != me.session {
            return Err(Errno::ENOTTY.into());
        }
        if (group as i32) < 0 {
            return Err(Errno::EINVAL.into());
        }
        let records = self.posix.processes.iter().map(|process| self.posix.store.process(*process));
        match records.filter(|process| process.group == group).map(|process| process.session).next() {
            None => return Err(Errno::ESRCH.into()),
            Some(session) if session != me.session => return Err(Errno::EPERM.into()),
            Some(_) => {}
        }
        self.posix.store.edit_terminal(terminal as usize, |terminal| terminal.foreground = group);
        Ok(0)
    }
}
