//! Pseudo terminals, from the side of the master: what it writes is typed, what it reads is shown.
//!
//! Absent: packet mode, `TIOCSIG`, and BSD's names.

use super::pty::{TAKEN, pty_of};
use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fail::Point;
use crate::fd::kind;
use crate::io::Data;
use crate::poll::{ERROR, HANG_UP, IN, OUT};
use crate::saved::File;
use crate::server::BUFFER_BYTES;
use crate::wait::{Event, Wait};

/// Bytes that are typed in one transaction. Each may become several of echo, and has a record of its own in the undo log.
const PIECE: usize = 1024;

impl Call<'_, '_> {
    /// The file of a new pseudo terminal's master.
    ///
    /// # Errors
    /// `ENFILE`, `ENOSPC`.
    pub fn open_master(&mut self, flags: u32, node: usize) -> Result<File, Errno> {
        // Whoever makes a terminal that no file names would leave it behind.
        self.posix.check_room_for_files(self.process, 1)?;
        let uid = self.me().uid[3];
        let object = self.posix.make_pty(uid)?;
        Ok(File { kind: kind::MASTER, flags, object, node: node as u32, ..File::default() })
    }

    /// Reads what the terminal shows.
    ///
    /// # Errors
    /// `EIO` after the last slave has closed, `EAGAIN`, `EFAULT`, or a wait.
    pub fn read_master(&mut self, file: &File, address: u64, length: usize) -> SysResult {
        let pty = pty_of(file.object).ok_or(Errno::EIO)?;
        if length == 0 {
            return Ok(0);
        }
        let line = self.posix.store.line(pty).ok_or(Errno::EIO)?;
        let count = self.with_buffer(length.min(BUFFER_BYTES), |call, buffer| {
            let count = line.look(|line| line.peek_output(buffer));
            call.write(address, buffer.get(..count).unwrap_or_default())?;
            Ok(count)
        })?;
        if count == 0 {
            if self.posix.store.terminal(file.object as usize).deserted != 0 {
                return Err(Errno::EIO.into());
            }
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait(Wait::on(Event::Terminal(file.object)), true);
        }
        libsys::fail::hit(Point::QueueEmptied);
        self.posix.store.edit_line(pty, |line, transaction| line.change::<TAKEN, _>(transaction, |line| line.sent(count)));
        self.posix.wake(Event::Terminal(file.object));
        Ok(count as u64)
    }

    /// Types.
    ///
    /// # Errors
    /// `EAGAIN`, `EFAULT`, or a wait.
    pub fn write_master(&mut self, file: &File, from: Data<'_>) -> SysResult {
        let pty = pty_of(file.object).ok_or(Errno::EIO)?;
        self.in_pieces(file, from, PIECE, |call, bytes| {
            let typed = call.posix.store.edit_line(pty, |line, transaction| {
                line.change::<TAKEN, _>(transaction, |line| {
                    let before = line.signals();
                    let taken = bytes.iter().take_while(|byte| {
                        let accepts = line.accepts();
                        if accepts {
                            line.receive(**byte);
                        }
                        accepts
                    });
                    (taken.count(), before, line.signals())
                })
            });
            let (taken, before, after) = typed.ok_or(Errno::EIO)?;
            call.posix.raise_typed(file.object, before, after);
            Ok(taken)
        })
    }

    /// What poll finds at a master.
    #[must_use]
    pub fn ready_master(&self, file: &File) -> u32 {
        let Some(line) = pty_of(file.object).and_then(|pty| self.posix.store.line(pty)) else { return ERROR };
        let (shows, accepts) = line.look(|line| (line.peek_output(&mut [0]) > 0, line.accepts()));
        let deserted = self.posix.store.terminal(file.object as usize).deserted != 0;
        (if shows { IN } else { 0 }) | (if accepts { OUT } else { 0 }) | if deserted { HANG_UP } else { 0 }
    }
}
