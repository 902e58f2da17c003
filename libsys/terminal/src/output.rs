//! Output: from a program's bytes, or an echo, to the queue that is drained to the line.
//!
//! OPOST processing follows each byte's effect on the cursor's column, because tabs and the wiping of tabs depend on it. A byte
//! is queued as a whole (a newline never loses half of its CR LF), and echo that finds no room is dropped: the line is then hopelessly behind anyway.

use protocols::console::termios::{ECHOCTL, IUTF8, OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, Termios, XTABS};

use super::{Discipline, ECHO_RESERVE, Registers, Storage, latin1};

/// Most bytes that one byte becomes: a tab sent as spaces.
const WIDEST: u64 = 8;

/// What the line gets for one byte.
enum Processed {
    /// Nothing.
    Dropped,
    /// This byte.
    Byte(u8),
    /// Carriage return and newline.
    NewLine,
    /// So many spaces.
    Spaces(u32),
}

impl<S: Storage> Discipline<S> {
    /// Bytes of output that [`Self::write`] is sure to accept.
    #[must_use]
    pub fn room(&self) -> u64 {
        let free = (S::OUTPUT - ECHO_RESERVE).saturating_sub(self.storage.registers().queued());
        let modes = self.storage.modes();
        let widest = match (modes.has_output(OPOST), modes.output & TABDLY == XTABS) {
            (false, _) => 1,
            (true, false) => 2,
            (true, true) => WIDEST,
        };
        free / widest
    }

    /// Takes as many of a program's bytes as there is room for; returns how many.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let modes = self.storage.modes();
        let mut registers = self.storage.registers();
        let taken = bytes.iter().take_while(|byte| {
            let limit = S::OUTPUT - ECHO_RESERVE;
            self.put_processed(&modes, &mut registers, **byte, limit)
        });
        let count = taken.count();
        self.storage.set_registers(registers);
        count
    }

    /// Copies the next bytes for the line into `to`, without taking them; none while output is stopped.
    #[must_use]
    pub fn peek_output(&self, to: &mut [u8]) -> usize {
        let registers = self.storage.registers();
        if registers.has(Registers::STOPPED) {
            return 0;
        }
        let mut copied = 0;
        for (place, position) in to.iter_mut().zip(registers.output_read..registers.output_write) {
            *place = self.storage.output(output_index::<S>(position));
            copied += 1;
        }
        copied
    }

    /// The line took `count` of the bytes that [`Self::peek_output`] gave.
    pub fn sent(&mut self, count: usize) {
        self.update(|registers| registers.output_read = registers.output_read.saturating_add(count as u64).min(registers.output_write));
    }

    /// Sends a control character past all processing, unless it is switched off.
    pub(super) fn send_character(&mut self, index: usize) {
        let character = self.storage.modes().character(index);
        if character != protocols::console::termios::DISABLED {
            self.update_with(|discipline, registers| discipline.put_raw(registers, character));
        }
    }

    /// Echoes a typed character: control characters as `^X` with ECHOCTL, all else as output.
    pub(super) fn echo(&mut self, modes: &Termios, registers: &mut Registers, byte: u8) {
        if modes.has_local(ECHOCTL) && is_control(byte) && byte != b'\t' {
            self.put_raw(registers, b'^');
            self.put_raw(registers, byte ^ 0o100);
            registers.column = registers.column.saturating_add(2);
        } else {
            self.echo_plain(modes, registers, byte);
        }
    }

    /// Echoes a byte as output.
    pub(super) fn echo_plain(&mut self, modes: &Termios, registers: &mut Registers, byte: u8) {
        let _dropped_when_full = self.put_processed(modes, registers, byte, S::OUTPUT);
    }

    /// Queues a byte as it is, if there is room.
    pub(super) fn put_raw(&mut self, registers: &mut Registers, byte: u8) {
        if registers.queued() < S::OUTPUT {
            self.storage.set_output(output_index::<S>(registers.output_write), byte);
            registers.output_write = registers.output_write.wrapping_add(1);
        }
    }

    /// Queues what `byte` becomes, if all of it stays within `limit`; whether it did.
    fn put_processed(&mut self, modes: &Termios, registers: &mut Registers, byte: u8, limit: u64) -> bool {
        let room = limit.saturating_sub(registers.queued());
        let mut after = *registers;
        let (processed, width) = match process(modes, &mut after, byte) {
            Processed::Dropped => return true,
            Processed::Byte(byte) => (Processed::Byte(byte), 1),
            Processed::NewLine => (Processed::NewLine, 2),
            Processed::Spaces(count) => (Processed::Spaces(count), u64::from(count)),
        };
        if width > room {
            return false;
        }
        *registers = after;
        match processed {
            Processed::Dropped => {}
            Processed::Byte(byte) => self.put_raw(registers, byte),
            Processed::NewLine => b"\r\n".iter().for_each(|byte| self.put_raw(registers, *byte)),
            Processed::Spaces(count) => (0..count).for_each(|_| self.put_raw(registers, b' ')),
        }
        true
    }

    /// As `update`, for a change that also stores into the rings.
    pub(super) fn update_with(&mut self, change: impl FnOnce(&mut Self, &mut Registers)) {
        let mut registers = self.storage.registers();
        change(self, &mut registers);
        self.storage.set_registers(registers);
    }
}

/// What OPOST makes of a byte (`do_output_char`), and where the cursor is then.
fn process(modes: &Termios, registers: &mut Registers, byte: u8) -> Processed {
    if !modes.has_output(OPOST) {
        return Processed::Byte(byte);
    }
    match byte {
        b'\n' if modes.has_output(ONLCR) => {
            (registers.column, registers.line_column) = (0, 0);
            Processed::NewLine
        }
        b'\n' => {
            if modes.has_output(ONLRET) {
                registers.column = 0;
            }
            registers.line_column = registers.column;
            Processed::Byte(b'\n')
        }
        b'\r' if modes.has_output(ONOCR) && registers.column == 0 => Processed::Dropped,
        b'\r' if modes.has_output(OCRNL) => {
            if modes.has_output(ONLRET) {
                (registers.column, registers.line_column) = (0, 0);
            }
            Processed::Byte(b'\n')
        }
        b'\r' => {
            (registers.column, registers.line_column) = (0, 0);
            Processed::Byte(b'\r')
        }
        b'\t' => {
            let spaces = 8 - registers.column % 8;
            registers.column = registers.column.saturating_add(spaces);
            if modes.output & TABDLY == XTABS { Processed::Spaces(spaces) } else { Processed::Byte(b'\t') }
        }
        0x08 => {
            registers.column = registers.column.saturating_sub(1);
            Processed::Byte(byte)
        }
        _ => {
            if !is_control(byte) && !is_continuation(modes, byte) {
                registers.column = registers.column.saturating_add(1);
            }
            Processed::Byte(if modes.has_output(OLCUC) { latin1::upper(byte) } else { byte })
        }
    }
}

/// Whether it is a control character.
pub(super) const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control()
}

/// Whether it continues a UTF-8 character.
pub(super) const fn is_continuation(modes: &Termios, byte: u8) -> bool {
    modes.has_input(IUTF8) && byte & 0xc0 == 0x80
}

const fn output_index<S: Storage>(position: u64) -> usize {
    (position & (S::OUTPUT - 1)) as usize
}
