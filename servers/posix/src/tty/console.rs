//! The console as a terminal: its bytes are the console server's.
//!
//! A request that the console cannot do now is asked again under the same number when the console signals, so no byte is read twice or written twice.

use abi::RequestNumber;
use protocols::call::CallError;
use protocols::console::{self, Patience, Signals};
use protocols::inference;

use super::CONSOLE;
use crate::call::{ASK, Call, Stop, SysResult};
use crate::errno::Errno;
use crate::io::{Data, possible};
use crate::poll::{IN, OUT};
use crate::saved::File;
use crate::server::Posix;
use crate::wait::{Event, Wait};

/// Ends this instance for a refusal that no program can cause, as in [`crate::call::vfs_stop`].
///
/// # Panics
/// That is how.
pub(crate) fn check_refusal(error: &CallError<console::Error>) {
    use console::Error::{CallerGone, InvalidLease, Malformed, NeedsPage, Stale};
    // All that posix lends is its own and present, and who is gone hears nothing.
    let is_corrupt = error.is_corruption() || matches!(error, CallError::Service(Malformed | Stale | InvalidLease | NeedsPage { .. } | CallerGone));
    assert!(!is_corrupt, "the console answers with what only posix can have got wrong: {error:?}");
}

/// What an answer of the console means.
///
/// # Panics
/// As [`check_refusal`].
pub(crate) fn console_stop(error: CallError<console::Error>) -> Stop {
    check_refusal(&error);
    match error {
        CallError::Service(console::Error::Pending(_)) => Stop::Wait(Wait::on(Event::Terminal(CONSOLE))),
        _ => Errno::EIO.into(),
    }
}

impl Posix<'_> {
    /// Something happened at the console, in vfs or in inference.
    pub fn events(&mut self, bits: u64) {
        if bits & protocols::posix::event::VFS_READY != 0 {
            self.wake(Event::Vfs);
            self.poke_due();
            if self.mount_due || self.session_due {
                self.begin();
            }
        }
        if bits & inference::event::READABLE != 0 {
            self.answers.was_read();
            self.wake(Event::Inference);
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
        let counts = match self.console().signals(number) {
            Ok(counts) => counts,
            Err(error) => return check_refusal(&error),
        };
        let [interrupt, quit, suspend] = self.store.globals().console_signals;
        let seen = Signals { interrupt, quit, suspend };
        if counts == seen {
            return;
        }
        self.raise_typed(CONSOLE, seen, counts);
        self.store.edit_globals(|globals| globals.console_signals = [counts.interrupt, counts.quit, counts.suspend]);
        self.store.commit();
    }

    /// What poll finds at the console.
    pub(super) fn poll_console(&mut self, number: RequestNumber) -> u32 {
        match self.console().status(number.with_step(ASK)) {
            Ok(status) => {
                let input = if status.readable { IN } else { 0 };
                input | if status.output_room > 0 { OUT } else { 0 }
            }
            Err(_) => 0,
        }
    }
}

impl Call<'_, '_> {
    pub(super) fn read_console(&mut self, file: &File, address: u64, length: usize) -> SysResult {
        let patience = self.patience(file);
        let number = self.effect();
        let answer = self.with_buffer(length.min(4096), |call, buffer| {
            let lease = call.posix.kernel.lend_mut(buffer);
            let count = match call.posix.console().read(number, lease, patience) {
                Ok(count) => possible(count, buffer.len()),
                Err(error) => return Ok(Err(error)),
            };
            call.write(address, buffer.get(..count).unwrap_or_default())?;
            Ok(Ok(count as u64))
        })?;
        match answer {
            Ok(count) => Ok(count),
            Err(CallError::Service(console::Error::Pending(pending))) => self.wait_for_input(file, pending.timer_ms),
            Err(error) => Err(console_stop(error)),
        }
    }

    pub(super) fn write_console(&mut self, file: &File, from: Data<'_>) -> SysResult {
        let number = self.effect();
        let patience = if file.is_nonblocking() { Patience::Never } else { Patience::Wait };
        let answer = self.with_buffer(from.length(), |call, buffer| {
            call.fetch(from, 0, buffer)?;
            let lease = call.posix.kernel.lend(buffer);
            Ok(call.posix.console().write(number, lease, patience).inspect(|count| {
                let _asked = possible(*count, buffer.len());
            }))
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
}
