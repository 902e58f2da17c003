//! What a program reads: which bytes an attempt gets, or what it has to wait for.
//!
//! Looking and taking are two steps. [`Discipline::find_input`] changes nothing and names a [`Span`]; its bytes are copied out, to memory that may turn out to be
//! missing, and only then taken. A span taken within the last [`Storage::UNREAD`] bytes can be copied again.

use protocols::console::termios::{ICANON, VMIN, VTIME};

use super::input::input_index;
use super::{Discipline, Patience, Registers, Storage};

/// Bytes of input that one read gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Position of the first byte.
    pub start: u64,
    /// How many bytes.
    pub count: u32,
    /// Cells that go with them: one more if an end of file follows.
    pub cells: u32,
}

/// Nothing to read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// If not 0: so many milliseconds from now, ask with [`Patience::Expired`].
    pub timer_ms: u32,
}

impl<S: Storage> Discipline<S> {
    /// What a read of `length` bytes gets now.
    ///
    /// # Errors
    /// [`Wait`], if its patience is to be tried.
    pub fn find_input(&self, length: u32, patience: Patience) -> Result<Span, Wait> {
        if self.storage.modes().has_local(ICANON) { self.find_line(length) } else { self.find_raw(length, patience) }
    }

    /// Copies a span's bytes from `offset` on into `to`; how many. `None` if the span is no longer kept.
    #[must_use]
    pub fn copy_input(&self, span: Span, offset: u32, to: &mut [u8]) -> Option<usize> {
        let registers = self.storage.registers();
        let kept = registers.read.saturating_sub(S::UNREAD)..=registers.write;
        if !kept.contains(&span.start) || !kept.contains(&span.start.checked_add(u64::from(span.count))?) {
            return None;
        }
        let positions = span.start + u64::from(offset)..span.start + u64::from(span.count);
        let mut copied = 0;
        for (place, position) in to.iter_mut().zip(positions) {
            *place = self.storage.input(input_index::<S>(position)).value();
            copied += 1;
        }
        Some(copied)
    }

    /// Takes a span that [`Self::find_input`] gave.
    pub fn take_input(&mut self, span: Span) {
        self.update(|registers| registers.read = span.start.saturating_add(u64::from(span.cells)).min(registers.finished));
    }

    pub(super) fn readable(&self) -> bool {
        let modes = self.storage.modes();
        let registers = self.storage.registers();
        let needed = match (modes.has_local(ICANON), modes.character(VTIME)) {
            (true, _) => return registers.finished > registers.read,
            (false, 0) => u64::from(modes.character(VMIN)).max(1),
            (false, _) => 1,
        };
        registers.unread() >= needed
    }

    pub(super) fn input_bytes(&self) -> u32 {
        let registers = self.storage.registers();
        if !self.storage.modes().has_local(ICANON) {
            return u32::try_from(registers.unread()).unwrap_or(u32::MAX);
        }
        let bytes = (registers.read..registers.finished).filter(|position| !self.is_end_of_file(&registers, *position));
        u32::try_from(bytes.count()).unwrap_or(u32::MAX)
    }

    /// The first finished line, or as much of it as fits. An end of file goes with the bytes before it, even where they fill the buffer.
    fn find_line(&self, length: u32) -> Result<Span, Wait> {
        let registers = self.storage.registers();
        if registers.finished == registers.read {
            return Err(Wait { timer_ms: 0 });
        }
        let mut count = 0;
        for position in registers.read..registers.finished {
            if self.is_end_of_file(&registers, position) {
                return Ok(Span { start: registers.read, count, cells: count + 1 });
            }
            if count == length {
                break;
            }
            count += 1;
            if self.ends_line(&registers, position) {
                break;
            }
        }
        Ok(Span { start: registers.read, count, cells: count })
    }

    /// POSIX 11.1.7: MIN and TIME.
    fn find_raw(&self, length: u32, patience: Patience) -> Result<Span, Wait> {
        let modes = self.storage.modes();
        let registers = self.storage.registers();
        let unread = u32::try_from(registers.unread()).unwrap_or(u32::MAX);
        let minimum = u32::from(modes.character(VMIN));
        let time_ms = u32::from(modes.character(VTIME)) * 100;
        let count = unread.min(length);
        let satisfied = match patience {
            Patience::Expired => true,
            Patience::Never => count > 0 || minimum == 0 && time_ms == 0,
            Patience::Wait if minimum == 0 => count > 0 || time_ms == 0,
            Patience::Wait => count >= minimum.min(length),
        };
        if satisfied {
            return Ok(Span { start: registers.read, count, cells: count });
        }
        let runs = minimum == 0 || unread > 0;
        Err(Wait { timer_ms: if runs { time_ms } else { 0 } })
    }

    fn is_end_of_file(&self, registers: &Registers, position: u64) -> bool {
        position >= registers.unmarked && self.storage.input(input_index::<S>(position)).is_end_of_file()
    }

    fn ends_line(&self, registers: &Registers, position: u64) -> bool {
        position + 1 == registers.unmarked || position >= registers.unmarked && self.storage.input(input_index::<S>(position)).ends_line()
    }
}
