//! A line whose state outlives its server.
//!
//! [`SavedLine`] is a structure of saved cells, so that a server puts one, or an array of them, into its own saved state. A change is one call of
//! [`SavedLine::change`] in a transaction of the server's: what an answer needs is committed together with what it did to the line.
//!
//! A byte of input or output changes several registers, and echo comes a byte at a time. Stored one by one, the erasing of a long line would not fit an undo
//! log, so [`Line`] keeps the registers and the last run of output bytes beside it while a change is made, and stores them once at its end.

use libsys::saved::{Array, Bytes, Cell as Saved, Transaction};
use protocols::console::{Signals, Termios, WindowSize};

use crate::{Cell, Discipline, Registers, Storage};

/// Most unread input bytes, as on Linux (`N_TTY_BUF_SIZE`).
pub const UNREAD_BYTES: usize = 4096;
/// Bytes of the output ring, as in a Linux pty: four screens.
pub const OUTPUT_BYTES: usize = 8192;

const CELLS: usize = UNREAD_BYTES * 2;
/// Output bytes that are stored together.
const RUN_BYTES: usize = 256;

libsys::plain! {
    /// [`Registers`] as they are saved.
    pub struct SavedRegisters {
        read: u64,
        finished: u64,
        write: u64,
        unmarked: u64,
        output_read: u64,
        output_write: u64,
        column: u32,
        line_column: u32,
        flags: u32,
        interrupt: u32,
        quit: u32,
        suspend: u32,
    }
}

libsys::saved_state! {
    /// A line's state.
    pub struct SavedLine: 1 {
        /// The modes, as Linux lays them out.
        modes: Saved<[u8; 40]>,
        /// Rows, columns, and the size in pixels.
        window: Saved<[u8; 8]>,
        /// Positions, columns, flags, counts.
        registers: Saved<SavedRegisters>,
        /// The input ring.
        input: Array<u16, CELLS>,
        /// The output ring.
        output: Bytes<OUTPUT_BYTES>,
    }
}

impl SavedLine {
    /// Makes it a new line: nothing queued, nothing counted.
    pub fn open(&self, transaction: &Transaction<'_>, modes: Termios, size: WindowSize) {
        self.registers.set(transaction, Registers::default().into());
        self.window.set(transaction, size.to_linux());
        self.change::<0, _>(transaction, |line| line.set_modes(modes));
    }

    /// Empties the rings if the registers cannot be right; whether it did. What a restart checks before it goes on with saved ones.
    pub fn repair(&self, transaction: &Transaction<'_>) -> bool {
        let registers = Registers::from(self.registers.get());
        let valid = registers.are_valid(UNREAD_BYTES as u64, OUTPUT_BYTES as u64);
        if !valid {
            self.registers.set(transaction, Registers { signals: registers.signals, ..Registers::default() }.into());
        }
        !valid
    }

    /// Looks at the line.
    pub fn look<T>(&self, look: impl FnOnce(&Discipline<Line<'_, 0>>) -> T) -> T {
        look(&Discipline::new(Line::new(self, None)))
    }

    /// Changes the line. `TAKEN` is [`Storage::TAKEN`].
    pub fn change<const TAKEN: u64, T>(&self, transaction: &Transaction<'_>, change: impl FnOnce(&mut Discipline<Line<'_, TAKEN>>) -> T) -> T {
        let mut discipline = Discipline::new(Line::new(self, Some(transaction)));
        let result = change(&mut discipline);
        discipline.into_storage().store();
        result
    }

    /// The window's size.
    #[must_use]
    pub fn window_size(&self) -> WindowSize {
        WindowSize::from_linux(self.window.get())
    }

    /// Sets the window's size.
    pub fn set_window_size(&self, transaction: &Transaction<'_>, size: WindowSize) {
        self.window.set(transaction, size.to_linux());
    }

    /// Damages the read position, for tests of [`SavedLine::repair`].
    #[cfg(not(target_os = "none"))]
    pub fn damage(&self, transaction: &Transaction<'_>) {
        self.registers.update(transaction, |registers| SavedRegisters { read: u64::MAX, ..registers });
    }
}

/// The discipline's storage while a [`SavedLine`] is looked at or changed.
#[derive(Debug)]
pub struct Line<'a, const TAKEN: u64> {
    saved: &'a SavedLine,
    /// None: nobody changes anything, because [`SavedLine::look`] gives out no mutable discipline.
    transaction: Option<&'a Transaction<'a>>,
    registers: Registers,
    /// Output bytes from `run_start` on that are not stored yet.
    run: [u8; RUN_BYTES],
    run_start: usize,
    run_length: usize,
}

impl<'a, const TAKEN: u64> Line<'a, TAKEN> {
    fn new(saved: &'a SavedLine, transaction: Option<&'a Transaction<'a>>) -> Self {
        Self { saved, transaction, registers: saved.registers.get().into(), run: [0; RUN_BYTES], run_start: 0, run_length: 0 }
    }

    fn store(mut self) {
        self.store_run();
        if let Some(transaction) = self.transaction {
            self.saved.registers.set(transaction, self.registers.into());
        }
    }

    fn store_run(&mut self) {
        if let (Some(transaction), Some(run)) = (self.transaction, self.run.get(..self.run_length)) {
            let _none_beyond_the_ring = self.saved.output.write(transaction, self.run_start, run);
        }
        self.run_length = 0;
    }
}

impl<const TAKEN: u64> Storage for Line<'_, TAKEN> {
    const UNREAD: u64 = UNREAD_BYTES as u64;
    const OUTPUT: u64 = OUTPUT_BYTES as u64;
    const TAKEN: u64 = TAKEN;

    fn modes(&self) -> Termios {
        self.saved.modes.get().first_chunk().map_or(Termios::INITIAL, Termios::from_linux)
    }

    fn set_modes(&mut self, modes: Termios) {
        let mut saved = [0; 40];
        for (to, from) in saved.iter_mut().zip(modes.to_linux()) {
            *to = from;
        }
        if let Some(transaction) = self.transaction {
            self.saved.modes.set(transaction, saved);
        }
    }

    fn registers(&self) -> Registers {
        self.registers
    }

    fn set_registers(&mut self, registers: Registers) {
        self.registers = registers;
    }

    fn input(&self, index: usize) -> Cell {
        self.saved.input.get(index).map_or(Cell::default(), |cell| Cell(cell.get()))
    }

    fn set_input(&mut self, index: usize, cell: Cell) {
        if let (Some(transaction), Some(place)) = (self.transaction, self.saved.input.get(index)) {
            place.set(transaction, cell.0);
        }
    }

    fn output(&self, index: usize) -> u8 {
        if let Some(byte) = index.checked_sub(self.run_start).filter(|at| *at < self.run_length).and_then(|at| self.run.get(at)) {
            return *byte;
        }
        let mut byte = [0];
        let _none_beyond_the_ring = self.saved.output.read(index, &mut byte);
        byte[0]
    }

    fn set_output(&mut self, index: usize, byte: u8) {
        if self.run_start + self.run_length != index || self.run_length == RUN_BYTES {
            self.store_run();
            self.run_start = index;
        }
        if let Some(place) = self.run.get_mut(self.run_length) {
            *place = byte;
            self.run_length += 1;
        }
    }
}

impl From<SavedRegisters> for Registers {
    fn from(saved: SavedRegisters) -> Self {
        Self {
            read: saved.read,
            finished: saved.finished,
            write: saved.write,
            unmarked: saved.unmarked,
            output_read: saved.output_read,
            output_write: saved.output_write,
            column: saved.column,
            line_column: saved.line_column,
            flags: saved.flags,
            signals: Signals { interrupt: saved.interrupt, quit: saved.quit, suspend: saved.suspend },
        }
    }
}

impl From<Registers> for SavedRegisters {
    fn from(registers: Registers) -> Self {
        let Registers { read, finished, write, unmarked, output_read, output_write, column, line_column, flags, signals } = registers;
        let Signals { interrupt, quit, suspend } = signals;
        Self { read, finished, write, unmarked, output_read, output_write, column, line_column, flags, interrupt, quit, suspend }
    }
}
