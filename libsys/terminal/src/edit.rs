//! Editing the unfinished line: erase a character, a word, the line; print it again.
//!
//! The screen is wiped in place with backspaces, so what is removed must be as wide as it was echoed: two columns for `^X`, none for the rest of
//! a UTF-8 character, and for a tab the columns that it skipped, found again from the characters before it (`eraser` of `n_tty.c`).

use protocols::console::termios::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHOPRT, Termios, VERASE, VKILL, VREPRINT};

use super::input::input_index;
use super::output::{is_continuation, is_control};
use super::{Discipline, Registers, Storage, latin1};

/// How much to erase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Erase {
    /// One character.
    Character,
    /// Back to the start of a word.
    Word,
    /// The whole line.
    Line,
}

impl<S: Storage> Discipline<S> {
    pub(super) fn erase(&mut self, modes: &Termios, registers: &mut Registers, what: Erase) {
        if registers.write == registers.finished {
            return;
        }
        if what == Erase::Line && !modes.has_local(ECHO | ECHOK | ECHOKE | ECHOE) {
            return self.kill_without_wiping(modes, registers);
        }
        let mut in_word = false;
        while let Some(start) = self.last_character(modes, registers) {
            let first = self.at(start);
            if what == Erase::Word {
                let of_word = latin1::is_alphanumeric(first) || first == b'_';
                if in_word && !of_word {
                    break;
                }
                in_word |= of_word;
            }
            let end = registers.write;
            registers.write = start;
            if modes.has_local(ECHO) {
                self.show_erased(modes, registers, what, start..end);
            }
            if what == Erase::Character {
                break;
            }
        }
        if registers.write == registers.finished && modes.has_local(ECHO) {
            self.finish_erasing(modes, registers);
        }
    }

    /// Prints the unfinished line again.
    pub(super) fn reprint(&mut self, modes: &Termios, registers: &mut Registers) {
        self.finish_erasing(modes, registers);
        self.echo(modes, registers, modes.character(VREPRINT));
        self.echo_plain(modes, registers, b'\n');
        for position in registers.finished..registers.write {
            let byte = self.at(position);
            self.echo(modes, registers, byte);
        }
    }

    /// Closes an ECHOPRT passage.
    pub(super) fn finish_erasing(&mut self, modes: &Termios, registers: &mut Registers) {
        if registers.has(Registers::ERASING) {
            registers.flags &= !Registers::ERASING;
            self.echo_plain(modes, registers, b'/');
        }
    }

    fn kill_without_wiping(&mut self, modes: &Termios, registers: &mut Registers) {
        registers.write = registers.finished;
        if modes.has_local(ECHO) {
            self.finish_erasing(modes, registers);
            self.echo(modes, registers, modes.character(VKILL));
            if modes.has_local(ECHOK) {
                self.echo_plain(modes, registers, b'\n');
            }
        }
    }

    /// Where the last character of the unfinished line starts; `None` if there is none, or only the rest of one.
    fn last_character(&self, modes: &Termios, registers: &Registers) -> Option<u64> {
        (registers.finished..registers.write).rev().find(|position| !is_continuation(modes, self.at(*position)))
    }

    fn show_erased(&mut self, modes: &Termios, registers: &mut Registers, what: Erase, erased: core::ops::Range<u64>) {
        let first = self.at(erased.start);
        if modes.has_local(ECHOPRT) {
            if !registers.has(Registers::ERASING) {
                registers.flags |= Registers::ERASING;
                self.echo_plain(modes, registers, b'\\');
            }
            self.echo(modes, registers, first);
            for position in erased.skip(1) {
                let byte = self.at(position);
                self.echo_plain(modes, registers, byte);
            }
        } else if what == Erase::Character && !modes.has_local(ECHOE) {
            self.echo(modes, registers, modes.character(VERASE));
        } else if first == b'\t' {
            self.wipe_tab(modes, registers);
        } else if !is_control(first) {
            self.wipe(modes, registers, 1);
        } else if modes.has_local(ECHOCTL) {
            self.wipe(modes, registers, 2);
        }
    }

    fn wipe(&mut self, modes: &Termios, registers: &mut Registers, columns: u32) {
        for _ in 0..columns {
            b"\x08 \x08".iter().for_each(|byte| self.echo_plain(modes, registers, *byte));
        }
    }

    /// Moves back over a tab: to the end of what stands before it.
    fn wipe_tab(&mut self, modes: &Termios, registers: &mut Registers) {
        let mut columns = 0u32;
        let mut after_tab = false;
        for position in (registers.finished..registers.write).rev() {
            let byte = self.at(position);
            if byte == b'\t' {
                after_tab = true;
                break;
            }
            columns = columns.saturating_add(match () {
                () if is_control(byte) => {
                    if modes.has_local(ECHOCTL) {
                        2
                    } else {
                        0
                    }
                }
                () if is_continuation(modes, byte) => 0,
                () => 1,
            });
        }
        if !after_tab {
            columns = columns.saturating_add(registers.line_column);
        }
        for _ in 0..8 - columns % 8 {
            self.put_raw(registers, 0x08);
            registers.column = registers.column.saturating_sub(1);
        }
    }

    fn at(&self, position: u64) -> u8 {
        self.storage.input(input_index::<S>(position)).value()
    }
}
