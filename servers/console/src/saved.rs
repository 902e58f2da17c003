//! What outlives an instance: modes, rings, window size, and the results kept for each lane.

use libsys::lane::Lanes;
use libsys::saved::{Array, Bytes, Cell, Transaction};
use protocols::console::{Signals, Termios, WindowSize};

use crate::discipline::{self, Discipline, Registers, Storage};

/// Most unread input bytes, as on Linux (`N_TTY_BUF_SIZE`).
pub const UNREAD_BYTES: usize = 4096;
/// Bytes of the output ring: four screens.
pub const OUTPUT_BYTES: usize = 8192;
/// Results that are kept: two for each of 1024 Linux threads, which is more than posix has lanes that use the console.
pub const LANES: usize = 2048;

const CELLS: usize = UNREAD_BYTES * 2;

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

#[cfg(test)]
impl SavedRegisters {
    /// With another read position, for tests of damage.
    pub(crate) const fn with_read(self, read: u64) -> Self {
        Self { read, ..self }
    }
}

libsys::saved_state! {
    /// The console's saved state.
    pub struct State: 1 {
        /// Not 0 once a first instance has set the modes.
        pub prepared: Cell<u64>,
        /// The modes, as Linux lays them out.
        pub modes: Cell<[u8; 40]>,
        /// Rows, columns, and the size in pixels.
        pub window: Cell<[u8; 8]>,
        /// Positions, columns, flags, counts.
        pub registers: Cell<SavedRegisters>,
        /// The input ring.
        pub input: Array<u16, CELLS>,
        /// The output ring.
        pub output: Bytes<OUTPUT_BYTES>,
        /// Results kept for lanes.
        pub lanes: Lanes<LANES>,
    }
}

impl State {
    /// Makes the state one that can be gone on with: the first modes, or a predecessor's state with registers that were checked. Returns whether
    /// the rings had to be emptied, because the registers cannot be right.
    pub fn prepare(&self, transaction: &Transaction<'_>) -> bool {
        let mut line = Line { state: self, transaction };
        if self.prepared.get() == 0 {
            line.set_modes(Termios::INITIAL);
            self.set_window_size(transaction, WindowSize::INITIAL);
            self.prepared.set(transaction, 1);
        }
        let registers = line.registers();
        let valid = registers.are_valid(Line::UNREAD, Line::OUTPUT);
        if !valid {
            line.set_registers(Registers { signals: registers.signals, ..Registers::default() });
        }
        !valid
    }

    /// The discipline over this state, in a transaction.
    pub fn line<'a>(&'a self, transaction: &'a Transaction<'a>) -> Discipline<Line<'a>> {
        Discipline::new(Line { state: self, transaction })
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
}

/// The discipline's storage: the saved state, changed in one transaction.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    state: &'a State,
    transaction: &'a Transaction<'a>,
}

impl Storage for Line<'_> {
    const UNREAD: u64 = UNREAD_BYTES as u64;
    const OUTPUT: u64 = OUTPUT_BYTES as u64;

    fn modes(&self) -> Termios {
        let saved = self.state.modes.get();
        saved.first_chunk().map_or(Termios::INITIAL, Termios::from_linux)
    }

    fn set_modes(&mut self, modes: Termios) {
        let mut saved = [0; 40];
        for (to, from) in saved.iter_mut().zip(modes.to_linux()) {
            *to = from;
        }
        self.state.modes.set(self.transaction, saved);
    }

    fn registers(&self) -> Registers {
        let saved = self.state.registers.get();
        Registers {
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

    fn set_registers(&mut self, registers: Registers) {
        let Registers { read, finished, write, unmarked, output_read, output_write, column, line_column, flags, signals } = registers;
        let Signals { interrupt, quit, suspend } = signals;
        let saved =
            SavedRegisters { read, finished, write, unmarked, output_read, output_write, column, line_column, flags, interrupt, quit, suspend };
        self.state.registers.set(self.transaction, saved);
    }

    fn input(&self, index: usize) -> discipline::Cell {
        self.state.input.get(index).map_or(discipline::Cell::default(), |cell| discipline::Cell(cell.get()))
    }

    fn set_input(&mut self, index: usize, cell: discipline::Cell) {
        if let Some(place) = self.state.input.get(index) {
            place.set(self.transaction, cell.0);
        }
    }

    fn output(&self, index: usize) -> u8 {
        let mut byte = [0];
        let _none_beyond_the_ring = self.state.output.read(index, &mut byte);
        byte[0]
    }

    fn set_output(&mut self, index: usize, byte: u8) {
        let _none_beyond_the_ring = self.state.output.write(self.transaction, index, &[byte]);
    }
}
