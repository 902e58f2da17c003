//! Pseudo terminals, from the side of the programs that have one as their terminal.
//!
//! The bytes, modes and positions of a pty are saved state, changed with the result of the call that changed them, so a byte is read once and written once
//! whatever dies in between. A write that does not fit remembers how far it came.
//!
//! A pty lives while its master or a slave is open. When the master closes, the slaves that are open are *hung up*: for them there is only an end of file.

use protocols::console::{Termios, WindowSize, termios::HUPCL};

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fail::Point;
use crate::fd::kind;
use crate::io::Data;
use crate::poll::{ERROR, HANG_UP, IN, OUT};
use crate::saved::{File, PTYS, Terminal};
use crate::server::Posix;
use crate::signal::SIGTTIN;
use crate::wait::{Event, Wait};

/// Index of the first pseudo terminal.
const FIRST: u32 = 2;
/// Unread output that no flush takes back: what Linux has moved to the master's own read buffer by then (`N_TTY_BUF_SIZE`).
pub(super) const TAKEN: u64 = 4096;
/// Bytes that are written in one transaction: as many as can be, so that the undo log has room for them.
const PIECE: usize = 4096;
/// Group `tty`, and permissions of a new terminal: the options of a usual devpts (`gid=5,mode=620`).
const TTY_GROUP: u32 = 5;
const NEW_PERMISSIONS: u32 = 0o620;

/// The number of a pseudo terminal, by which `/dev/pts` names it.
#[must_use]
pub fn pty_of(terminal: u32) -> Option<usize> {
    terminal.checked_sub(FIRST).map(|pty| pty as usize).filter(|pty| *pty < PTYS)
}

/// The index of the pseudo terminal with a number.
#[must_use]
pub const fn terminal_of(pty: usize) -> u32 {
    pty as u32 + FIRST
}

impl Posix<'_> {
    /// Makes a pseudo terminal for a master that is about to be opened.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn make_pty(&mut self, uid: u32) -> Result<u32, Errno> {
        let pty = (0..PTYS).find(|pty| self.store.terminal(terminal_of(*pty) as usize).used == 0).ok_or(Errno::ENOSPC)?;
        let terminal = terminal_of(pty);
        let opened_ns = self.kernel.wall_base_ns() + self.kernel.now_ns();
        let owned = Terminal { uid, gid: TTY_GROUP, permissions: NEW_PERMISSIONS, opened_ns, ..Terminal::default() };
        self.store.set_terminal(terminal as usize, Terminal { used: 1, locked: 1, masters: 1, ..owned });
        let modes = Termios { control: Termios::INITIAL.control & !HUPCL, ..Termios::INITIAL };
        let size = WindowSize { rows: 0, columns: 0, width: 0, height: 0 };
        self.store.edit_line(pty, |line, transaction| line.open(transaction, modes, size));
        Ok(terminal)
    }

    /// A file was made: a terminal's slaves are counted.
    pub fn terminal_opened(&mut self, file: &File) {
        if file.kind == kind::TERMINAL && pty_of(file.object).is_some() {
            self.store.edit_terminal(file.object as usize, |terminal| (terminal.slaves, terminal.deserted) = (terminal.slaves + 1, 0));
        }
    }

    /// The last descriptor of a file was closed.
    pub fn terminal_closed(&mut self, file: &File) {
        let terminal = file.object;
        if pty_of(terminal).is_none() {
            return;
        }
        if file.kind == kind::MASTER {
            self.store.edit_terminal(terminal as usize, |terminal| terminal.masters = 0);
            self.hang_up(terminal);
        } else {
            self.store.edit_terminal(terminal as usize, |terminal| {
                terminal.slaves = terminal.slaves.saturating_sub(1);
                terminal.deserted = u32::from(terminal.slaves == 0);
            });
            self.wake(Event::Terminal(terminal));
        }
        let record = self.store.terminal(terminal as usize);
        if record.masters == 0 && record.slaves == 0 {
            self.store.set_terminal(terminal as usize, Terminal::default());
        }
    }

    /// Whether a terminal's line is gone.
    #[must_use]
    pub fn is_hung_up(&self, terminal: u32) -> bool {
        pty_of(terminal).is_some() && self.store.terminal(terminal as usize).masters == 0
    }

    pub(super) fn poll_pty(&self, terminal: u32, pty: usize) -> u32 {
        if self.is_hung_up(terminal) {
            return IN | OUT | ERROR | HANG_UP;
        }
        let Some(status) = self.store.line(pty).map(|line| line.look(|line| line.status())) else { return ERROR };
        (if status.readable { IN } else { 0 }) | if status.output_room > 0 { OUT } else { 0 }
    }
}

impl Call<'_, '_> {
    /// The file of a pseudo terminal that is opened by name.
    ///
    /// # Errors
    /// `EIO` while it is locked or after its master has closed.
    pub fn pty_file(&self, pty: usize, flags: u32) -> Result<File, Errno> {
        let terminal = terminal_of(pty);
        let record = self.posix.store.terminal(terminal as usize);
        if record.masters == 0 || record.locked != 0 {
            return Err(Errno::EIO);
        }
        Ok(File { kind: kind::TERMINAL, flags, object: terminal, ..File::default() })
    }

    pub(super) fn read_pty(&mut self, file: &File, pty: usize, address: u64, length: usize) -> SysResult {
        if self.posix.is_hung_up(file.object) {
            return Ok(0);
        }
        self.check_foreground(file.object, SIGTTIN)?;
        let patience = self.patience(file);
        let line = self.posix.store.line(pty).ok_or(Errno::EIO)?;
        let wanted = u32::try_from(length).unwrap_or(u32::MAX);
        let span = match line.look(|line| line.find_input(wanted, patience)) {
            Ok(span) => span,
            Err(wait) => return self.wait_for_input(file, wait.timer_ms),
        };
        self.with_buffer(span.count as usize, |call, buffer| {
            // A span that was just found is kept.
            let _all = line.look(|line| line.copy_input(span, 0, buffer));
            call.write(address, buffer)
        })?;
        libsys::fail::hit(Point::QueueEmptied);
        self.posix.store.edit_line(pty, |line, transaction| line.change::<TAKEN, _>(transaction, |line| line.take_input(span)));
        self.posix.wake(Event::Terminal(file.object));
        Ok(u64::from(span.count))
    }

    pub(super) fn write_pty(&mut self, file: &File, pty: usize, from: Data<'_>) -> SysResult {
        self.in_pieces(file, from, PIECE, |call, bytes| {
            if call.posix.is_hung_up(file.object) {
                return Err(Errno::EIO.into());
            }
            let taken = call.posix.store.edit_line(pty, |line, transaction| line.change::<TAKEN, _>(transaction, |line| line.write(bytes)));
            Ok(taken.unwrap_or_default())
        })
    }

    /// Writes to either side of a pty: piece by piece, each in one transaction with the progress of the call. `put` says how many bytes it took.
    ///
    /// # Errors
    /// `EAGAIN`, `EFAULT`, that of `put`, or a wait.
    pub(super) fn in_pieces(
        &mut self,
        file: &File,
        from: Data<'_>,
        piece: usize,
        mut put: impl FnMut(&mut Self, &[u8]) -> Result<usize, Stop>,
    ) -> SysResult {
        let length = from.length();
        let mut done = self.progress() as usize;
        while done < length {
            let step = self.with_buffer(piece.min(length - done), |call, buffer| {
                let fetched = call.fetch_some(from, done, buffer)?;
                let taken = put(call, buffer.get(..fetched).unwrap_or_default())?;
                Ok((taken, fetched == buffer.len()))
            });
            let (taken, whole) = match step {
                Err(Stop::Errno(_)) if done > 0 => return Ok(done as u64),
                other => other?,
            };
            libsys::fail::hit(Point::QueueFilled);
            done += taken;
            if taken > 0 {
                self.posix.wake(Event::Terminal(file.object));
            }
            if done == length || !whole {
                break;
            }
            if taken == 0 {
                return self.wait_to_write(file, done);
            }
            self.set_progress(done as u64);
            self.posix.store.commit();
        }
        Ok(done as u64)
    }

    fn wait_to_write(&mut self, file: &File, done: usize) -> SysResult {
        if done > 0 && (file.is_nonblocking() || self.posix.has_deliverable(self.lane)) {
            return Ok(done as u64);
        }
        if file.is_nonblocking() {
            return Err(Errno::EAGAIN.into());
        }
        self.wait(Wait::on(Event::Terminal(file.object)), true)
    }
}
