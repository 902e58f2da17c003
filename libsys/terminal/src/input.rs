//! Input: from the line's bytes to the queue that programs read.
//!
//! One byte is one step. The order of the tests in [`Discipline::receive`] is that of `n_tty_receive_char_special`: flow control, signals, CR and NL, and only then
//! the characters of canonical mode. Byte 0 is never special, since a control character of that value is switched off.

use protocols::console::termios::{
    ECHO, ECHOCTL, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, IMAXBEL, INLCR, ISIG, ISTRIP, IUCLC, IXANY, IXON, NOFLSH, Termios, VEOF, VEOL, VEOL2,
    VERASE, VINTR, VKILL, VLNEXT, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VWERASE,
};

use super::edit::Erase;
use super::latin1;
use super::{Cell, Discipline, Registers, Storage};

/// A signal character.
#[derive(Clone, Copy)]
enum Signal {
    Interrupt,
    Quit,
    Suspend,
}

impl<S: Storage> Discipline<S> {
    /// Whether the line should give more bytes now. While it should not, they are best left where they are; [`Self::receive`] drops what does not fit.
    ///
    /// An unfinished line that fills the queue is taken on, or nothing would ever finish it.
    #[must_use]
    pub fn accepts(&self) -> bool {
        let registers = self.storage.registers();
        let overlong = self.storage.modes().has_local(ICANON) && registers.finished == registers.read;
        registers.unread().saturating_add(1) < S::UNREAD || overlong
    }

    /// A byte came from the line.
    pub fn receive(&mut self, byte: u8) {
        let modes = self.storage.modes();
        let mut registers = self.storage.registers();
        self.receive_one(&modes, &mut registers, strip(&modes, byte));
        self.storage.set_registers(registers);
    }

    fn receive_one(&mut self, modes: &Termios, registers: &mut Registers, typed: u8) {
        let byte = typed;
        if registers.has(Registers::LITERAL) {
            registers.flags &= !Registers::LITERAL;
            return self.receive_ordinary(modes, registers, byte, Self::echo);
        }
        if flow_control(modes, registers, byte) {
            return;
        }
        if let Some(signal) = signal_of(modes, byte) {
            return self.receive_signal(modes, registers, signal, byte);
        }
        if modes.has_input(IXON | IXANY) {
            registers.flags &= !Registers::STOPPED;
        }
        let byte = match byte {
            b'\r' if modes.has_input(IGNCR) => return,
            b'\r' if modes.has_input(ICRNL) => b'\n',
            b'\n' if modes.has_input(INLCR) => b'\r',
            byte => byte,
        };
        if modes.has_local(ICANON) && self.receive_canonical(modes, registers, byte) {
            return;
        }
        // Raw, a newline that a carriage return became is echoed as it is, one that was typed as `^J`.
        let shown = if byte == b'\n' && typed == b'\r' { Self::echo_plain } else { Self::echo };
        self.receive_ordinary(modes, registers, byte, shown);
    }

    /// A byte without meaning: echoed and queued.
    fn receive_ordinary(&mut self, modes: &Termios, registers: &mut Registers, byte: u8, echo: fn(&mut Self, &Termios, &mut Registers, u8)) {
        if !self.has_cell_for(registers, false) {
            if modes.has_input(IMAXBEL) {
                self.put_raw(registers, 0x07);
            }
            return;
        }
        if modes.has_local(ECHO) {
            self.finish_erasing(modes, registers);
            self.mark_line_column(registers);
            echo(self, modes, registers, byte);
        }
        self.put_cell(registers, Cell::byte(byte));
        if !modes.has_local(ICANON) {
            registers.finished = registers.write;
            registers.unmarked = registers.write;
        }
    }

    /// A signal character: counted, and unless NOFLSH says otherwise both queues are emptied before its echo.
    fn receive_signal(&mut self, modes: &Termios, registers: &mut Registers, signal: Signal, byte: u8) {
        let counts = &mut registers.signals;
        let count = match signal {
            Signal::Interrupt => &mut counts.interrupt,
            Signal::Quit => &mut counts.quit,
            Signal::Suspend => &mut counts.suspend,
        };
        *count = count.wrapping_add(1);
        if !modes.has_local(NOFLSH) {
            registers.forget_input();
            registers.forget_output(S::TAKEN);
        }
        if modes.has_input(IXON) {
            registers.flags &= !Registers::STOPPED;
        }
        if modes.has_local(ECHO) {
            self.echo(modes, registers, byte);
        }
    }

    /// The characters that mean something while a line is edited; whether this was one.
    fn receive_canonical(&mut self, modes: &Termios, registers: &mut Registers, byte: u8) -> bool {
        let is = |index: usize| byte != 0 && modes.character(index) == byte;
        let is_extended = |index: usize| modes.has_local(IEXTEN) && is(index);
        if is(VERASE) {
            self.erase(modes, registers, Erase::Character);
        } else if is(VKILL) {
            self.erase(modes, registers, Erase::Line);
        } else if is_extended(VWERASE) {
            self.erase(modes, registers, Erase::Word);
        } else if is_extended(VLNEXT) {
            self.expect_literal(modes, registers);
        } else if is_extended(VREPRINT) && modes.has_local(ECHO) {
            self.reprint(modes, registers);
        } else if byte == b'\n' {
            if modes.has_local(ECHO) || modes.has_local(ECHONL) {
                self.echo_plain(modes, registers, b'\n');
            }
            self.finish_line(registers, Cell::line_end(b'\n'));
        } else if is(VEOF) {
            self.finish_line(registers, Cell::END);
        } else if is(VEOL) || is_extended(VEOL2) {
            if modes.has_local(ECHO) {
                self.mark_line_column(registers);
                self.echo(modes, registers, byte);
            }
            self.finish_line(registers, Cell::line_end(byte));
        } else {
            return false;
        }
        true
    }

    fn expect_literal(&mut self, modes: &Termios, registers: &mut Registers) {
        registers.flags |= Registers::LITERAL;
        if modes.has_local(ECHO) {
            self.finish_erasing(modes, registers);
            if modes.has_local(ECHOCTL) {
                self.echo_plain(modes, registers, b'^');
                self.echo_plain(modes, registers, 0x08);
            }
        }
    }

    fn finish_line(&mut self, registers: &mut Registers, end: Cell) {
        if self.has_cell_for(registers, true) {
            self.put_cell(registers, end);
            registers.finished = registers.write;
        }
    }

    /// The last free cell is kept for the end of a line.
    fn has_cell_for(&self, registers: &Registers, end: bool) -> bool {
        let kept = if self.storage.modes().has_local(ICANON) && !end { 1 } else { 0 };
        registers.unread() + kept < S::UNREAD
    }

    fn put_cell(&mut self, registers: &mut Registers, cell: Cell) {
        self.storage.set_input(input_index::<S>(registers.write), cell);
        registers.write = registers.write.wrapping_add(1);
    }

    /// The first character of a line: remembers where on the screen it starts.
    fn mark_line_column(&self, registers: &mut Registers) {
        if registers.finished == registers.write {
            registers.line_column = registers.column;
        }
    }
}

/// Index of a position in the input ring.
pub(super) const fn input_index<S: Storage>(position: u64) -> usize {
    (position & (S::UNREAD * 2 - 1)) as usize
}

fn strip(modes: &Termios, byte: u8) -> u8 {
    let byte = if modes.has_input(ISTRIP) { byte & 0x7f } else { byte };
    if modes.has_input(IUCLC) && modes.has_local(IEXTEN) { latin1::lower(byte) } else { byte }
}

/// Whether the byte is START or STOP, which are never queued.
fn flow_control(modes: &Termios, registers: &mut Registers, byte: u8) -> bool {
    if !modes.has_input(IXON) || byte == 0 {
        return false;
    }
    if byte == modes.character(VSTART) {
        registers.flags &= !Registers::STOPPED;
    } else if byte == modes.character(VSTOP) {
        registers.flags |= Registers::STOPPED;
    } else {
        return false;
    }
    true
}

fn signal_of(modes: &Termios, byte: u8) -> Option<Signal> {
    if !modes.has_local(ISIG) || byte == 0 {
        return None;
    }
    [(VINTR, Signal::Interrupt), (VQUIT, Signal::Quit), (VSUSP, Signal::Suspend)]
        .into_iter()
        .find_map(|(index, signal)| (modes.character(index) == byte).then_some(signal))
}
