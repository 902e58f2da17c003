//! `/dev/llm`: what programs ask of inference, and the text that comes of it.
//!
//! A write is a request in words and begins work; reads give what comes of it as it is made. A file has one work at a time, whose name is in its record with the offset
//! up to which its text was read. The offset moves in the transaction of the read's result, and inference gives any part of a text again, so a crash loses no byte and
//! doubles none. A file's works are named one after the other, by the number of the opening and a count. What a predecessor may have begun and not recorded therefore
//! has a name that is known: it is found again by the same call, replaced by the next one, and ended with the file.
//!
//! What inference says is believed by nobody's death: an answer that is none, or a server that is given up, is `EIO`.

use abi::RequestNumber;
use protocols::call::CallError;
use protocols::inference::{self, Error, MAX_READ, MAX_REASON, MAX_WORDS, State, Status};
use protocols::vfs::{FileId, ROOT};

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fd::{FOREIGN, kind};
use crate::io::{Data, Vector};
use crate::poll::{ERROR, IN, OUT};
use crate::saved::{ENDING, File};
use crate::server::Posix;
use crate::wait::{Event, Wait};

const _: () = {
    use protocols::posix::event::{CONSOLE, VFS_READY};
    assert!(inference::event::READABLE & (VFS_READY | CONSOLE | abi::DEADLINE_BIT) == 0, "signallers must not share bits");
};

/// Bytes of what [`STATUS`] tells.
pub const STATUS_BYTES: usize = 4 * 4 + 7 * 8 + MAX_REASON;
/// `ioctl`: how far the file's work is. `_IOR('l', 0x80, struct llm_status)`, which has, without gaps:
///
/// `u32 state` (0 nothing was asked, 1 working, 2 whole, 3 failed), `u32 prompt_tokens`, `u32 tokens`, `u32` zero, `u64 bytes`, `u64 load_ns`, `u64 prompt_ns`,
/// `u64 tokens_ns`, `u64 p50_ns`, `u64 p99_ns`, `u64 memory`, `char reason[200]` (why it failed, zeros behind it).
pub const STATUS: u64 = 2 << 30 | (STATUS_BYTES as u64) << 16 | (b'l' as u64) << 8 | 0x80;

/// What there is of a file's work.
#[allow(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
enum Standing {
    /// Nothing was asked.
    Unasked,
    /// inference does not know it any more.
    Lost,
    /// It is this far.
    At(Status),
}

/// Bits of a name that count the works of one opening.
const COUNT: u64 = u32::MAX as u64;

/// Whether a file that has this name has work.
const fn is_asked(name: u64) -> bool {
    name & COUNT != 0
}

/// The name of a file's next work. Not 0 in its count: that is no work.
const fn next_name(name: u64) -> u64 {
    let count = name & COUNT;
    name & !COUNT | if count == COUNT { 1 } else { count + 1 }
}

/// What a refusal means for a program, where nothing can be waited for.
const fn errno_of(error: &CallError<Error>) -> Errno {
    match error {
        CallError::Service(Error::Busy) => Errno::EBUSY,
        CallError::Service(Error::TooLong) => Errno::EMSGSIZE,
        CallError::Service(_)
        | CallError::Closed
        | CallError::Dropped
        | CallError::Poisoned
        | CallError::Malformed
        | CallError::TooLong
        | CallError::Kernel(_) => Errno::EIO,
    }
}

/// A state as programs are told it.
const fn state_number(state: &State) -> u32 {
    match state {
        State::Working => 1,
        State::Whole => 2,
        State::Failed(_) => 3,
    }
}

/// See [`STATUS`].
fn encode(status: &Status) -> [u8; STATUS_BYTES] {
    let mut bytes = [0; STATUS_BYTES];
    let reason: &[u8] = if let State::Failed(reason) = &status.state { reason.as_bytes() } else { &[] };
    let words = [state_number(&status.state), status.prompt_tokens, status.tokens, 0].into_iter().flat_map(u32::to_le_bytes);
    let Status { bytes: text, load_ns, prompt_ns, tokens_ns, p50_ns, p99_ns, memory, .. } = *status;
    let long = [text, load_ns, prompt_ns, tokens_ns, p50_ns, p99_ns, memory].into_iter().flat_map(u64::to_le_bytes);
    for (to, byte) in bytes.iter_mut().zip(words.chain(long).chain(reason.iter().copied())) {
        *to = byte;
    }
    bytes
}

impl Posix<'_> {
    /// The file for an opening of the device.
    pub fn open_llm(&mut self, file: File) -> File {
        let opening = self.store.globals().works.wrapping_add(1);
        self.store.edit_globals(|globals| globals.works = opening);
        File { kind: kind::LLM, detail: opening << 32, ..file }
    }

    /// The last descriptor of a file was closed: its work ends, and what a predecessor may have begun and not recorded.
    pub fn close_llm(&mut self, file: &File) {
        if is_asked(file.detail) {
            self.end_later(file.detail);
        }
        self.end_later(next_name(file.detail));
    }

    /// Nobody wants a work any more.
    fn end_later(&mut self, name: u64) {
        let globals = self.store.globals();
        if globals.ending as usize >= ENDING {
            self.kernel.log("posix: too many works of inference wait to be ended; one goes on");
            return;
        }
        let at = (globals.ending_first as usize + globals.ending as usize) % ENDING;
        self.store.set_ending(at, name);
        self.store.edit_globals(|globals| globals.ending += 1);
    }

    /// Tells inference of the works that nobody wants any more.
    pub fn drain_ends(&mut self) {
        loop {
            let globals = self.store.globals();
            if globals.ending == 0 {
                return;
            }
            let (number, name) = (self.kernel.own_number(), self.store.ending(globals.ending_first as usize));
            // Where there is no inference any more there is no work either.
            let _gone = self.inference().end(number, name);
            self.store.edit_globals(|globals| {
                globals.ending -= 1;
                globals.ending_first = (globals.ending_first + 1) % ENDING as u32;
            });
            self.store.commit();
        }
    }

    fn standing(&mut self, number: RequestNumber, file: &File) -> Result<Standing, Errno> {
        if !is_asked(file.detail) {
            return Ok(Standing::Unasked);
        }
        match self.inference().status(number, file.detail) {
            Ok(status) => Ok(Standing::At(status)),
            Err(CallError::Service(Error::NoSuchWork)) => Ok(Standing::Lost),
            Err(error) => Err(errno_of(&error)),
        }
    }

    /// How much has ever happened at a file, as [`Posix::activity`] has it: the text grows and ends, and there is room for a request.
    pub fn activity_of_llm(&mut self, file: &File) -> [u64; 2] {
        let number = self.kernel.own_number();
        let (state, bytes) = match self.standing(number, file) {
            Ok(Standing::At(status)) => (u64::from(state_number(&status.state)), status.bytes),
            Ok(Standing::Unasked) => (0, 0),
            Ok(Standing::Lost) | Err(_) => (u64::MAX, 0),
        };
        let ended = file.detail.wrapping_mul(4).wrapping_add(state);
        [bytes.wrapping_add(ended << 40), ended]
    }
}

impl Call<'_, '_> {
    /// Asks for something: the words are all that is written.
    ///
    /// # Errors
    /// `EMSGSIZE`, `EBUSY` while this file's work is not over or inference has no room for more, `EIO`, `EFAULT`.
    pub fn write_llm(&mut self, index: usize, file: &File, words: Data<'_>) -> SysResult {
        let length = words.length();
        if length == 0 {
            return Ok(0);
        }
        if length > MAX_WORDS {
            return Err(Errno::EMSGSIZE.into());
        }
        let number = self.ask();
        if let Standing::At(Status { state: State::Working, .. }) = self.posix.standing(number, file)? {
            return Err(Errno::EBUSY.into());
        }
        let name = next_name(file.detail);
        self.with_buffer(length, |call, buffer| {
            call.fetch(words, 0, buffer)?;
            call.begin_work(name, buffer)
        })?;
        if is_asked(file.detail) {
            self.posix.end_later(file.detail);
        }
        self.posix.store.edit_file(index, |file| (file.detail, file.offset) = (name, 0));
        Ok(length as u64)
    }

    fn begin_work(&mut self, name: u64, words: &[u8]) -> Result<(), Stop> {
        let (actor, start) = (self.actor(), self.working_directory());
        let (effect, ask) = (self.effect(), self.ask());
        let lease = self.posix.kernel.lend(words);
        let mut begun = self.posix.inference().begin(effect, name, (&actor, start), lease);
        if matches!(begun, Err(CallError::Service(Error::Exists))) {
            // By a call that was never recorded, so nobody knows of it.
            self.posix.inference().end(ask, name).map_err(|error| errno_of(&error))?;
            let lease = self.posix.kernel.lend(words);
            begun = self.posix.inference().begin(effect, name, (&actor, start), lease);
        }
        Ok(begun.map_err(|error| errno_of(&error))?)
    }

    /// Where vfs walks from for the caller; from its root where the caller is not in vfs.
    fn working_directory(&self) -> FileId {
        let directory = self.posix.node_id(self.me().directory);
        if directory.inode & FOREIGN != 0 { ROOT } else { directory }
    }

    /// Reads on in the text of a file's work.
    ///
    /// # Errors
    /// `ENODATA` if nothing was asked, `EIO` if the work has failed or is lost, `EAGAIN`, `EFAULT`, or a wait.
    pub fn read_llm(&mut self, index: usize, file: &File, to: Vector) -> SysResult {
        if !is_asked(file.detail) {
            return Err(Errno::ENODATA.into());
        }
        if to.length == 0 {
            return Ok(0);
        }
        let (number, most) = (self.ask(), to.length.min(MAX_READ));
        let text = match self.posix.inference().read(number, file.detail, file.offset, most as u32) {
            Ok(text) if text.len() <= most => text,
            Err(CallError::Service(Error::Pending)) if file.is_nonblocking() => return Err(Errno::EAGAIN.into()),
            Err(CallError::Service(Error::Pending)) => return self.wait(Wait::on(Event::Inference), true),
            Ok(_) => return Err(Errno::EIO.into()),
            Err(error) => return Err(errno_of(&error).into()),
        };
        if text.is_empty() {
            return Ok(0);
        }
        let count = self.write_some(to.address, &text)? as u64;
        self.posix.store.edit_file(index, |file| file.offset += count);
        Ok(count)
    }

    /// What is ready: to be read what would not wait, to be written where no work is in the way.
    pub fn ready_llm(&mut self, file: &File) -> u32 {
        let number = self.ask();
        match self.posix.standing(number, file) {
            Ok(Standing::Unasked) => OUT,
            Ok(Standing::At(Status { state: State::Working, bytes, .. })) => u32::from(bytes > file.offset) * IN,
            Ok(Standing::At(_)) => IN | OUT,
            Ok(Standing::Lost) | Err(_) => IN | OUT | ERROR,
        }
    }

    /// Tells how far the file's work is: see [`STATUS`].
    ///
    /// # Errors
    /// `EIO` if nobody knows, `EFAULT`.
    pub fn tell_llm(&mut self, file: &File, to: u64) -> SysResult {
        let number = self.ask();
        let bytes = match self.posix.standing(number, file)? {
            Standing::Unasked => [0; STATUS_BYTES],
            Standing::Lost => return Err(Errno::EIO.into()),
            Standing::At(status) => encode(&status),
        };
        self.write(to, &bytes)?;
        Ok(0)
    }
}
