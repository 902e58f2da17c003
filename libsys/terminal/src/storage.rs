//! Where a line's state lies.
//!
//! The discipline reaches its state only through [`Storage`], field by field, so that a saved area can log each store. [`InMemory`] is the plain one.

use protocols::console::{Signals, Termios};

/// A cell of the input ring: a byte, and what it means in a stream of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cell(pub u16);

impl Cell {
    const LINE_END: u16 = 0x100;
    const END_OF_FILE: u16 = 0x200;

    /// A byte within a line.
    #[must_use]
    pub const fn byte(byte: u8) -> Self {
        Self(byte as u16)
    }

    /// A byte that ends its line.
    #[must_use]
    pub const fn line_end(byte: u8) -> Self {
        Self(byte as u16 | Self::LINE_END)
    }

    /// An end of file: it ends a line and is no byte of it. Read raw, it is a NUL, as on Linux.
    pub const END: Self = Self(Self::LINE_END | Self::END_OF_FILE);

    /// The byte.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0 as u8
    }

    /// Whether it ends a line.
    #[must_use]
    pub const fn ends_line(self) -> bool {
        self.0 & Self::LINE_END != 0
    }

    /// Whether it is an end of file.
    #[must_use]
    pub const fn is_end_of_file(self) -> bool {
        self.0 & Self::END_OF_FILE != 0
    }
}

/// The small part of a line's state: positions, columns, flags, counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Registers {
    /// Position of the next input byte for a reader.
    pub read: u64,
    /// Canonical: end of the finished lines. What follows can still be edited.
    pub finished: u64,
    /// Position of the next input byte from the line.
    pub write: u64,
    /// Cells before this position end no line: they came in raw. The position itself ends one.
    pub unmarked: u64,
    /// Position of the next output byte for the line.
    pub output_read: u64,
    /// Position of the next output byte from programs.
    pub output_write: u64,
    /// Column of the cursor.
    pub column: u32,
    /// Column where the line being typed began.
    pub line_column: u32,
    /// [`Self::STOPPED`] and its like.
    pub flags: u32,
    /// Signal characters seen.
    pub signals: Signals,
}

impl Registers {
    /// Output is stopped (STOP character or `tcflow`).
    pub const STOPPED: u32 = 1;
    /// The next character is taken as it is (LNEXT).
    pub const LITERAL: u32 = 2;
    /// Between the `\` and `/` of ECHOPRT.
    pub const ERASING: u32 = 4;

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Unread input cells, unfinished line included.
    #[must_use]
    pub const fn unread(&self) -> u64 {
        self.write.saturating_sub(self.read)
    }

    /// Output bytes not yet sent.
    #[must_use]
    pub const fn queued(&self) -> u64 {
        self.output_write.saturating_sub(self.output_read)
    }

    /// Throws unread input away.
    pub(super) const fn forget_input(&mut self) {
        self.read = self.write;
        self.finished = self.write;
        self.unmarked = self.write;
        self.flags &= !(Self::LITERAL | Self::ERASING);
    }

    /// Throws output away that was not sent, but for the first `taken` bytes of it.
    pub(super) const fn forget_output(&mut self, taken: u64) {
        if self.queued() > taken {
            self.output_write = self.output_read.saturating_add(taken);
        }
    }

    /// Whether they can be those of a line with so much room: what a restart checks before it goes on with saved ones.
    #[must_use]
    pub const fn are_valid(&self, unread: u64, output: u64) -> bool {
        self.read <= self.finished
            && self.finished <= self.write
            && self.unmarked <= self.write
            && self.unread() <= unread
            && self.output_read <= self.output_write
            && self.queued() <= output
    }
}

/// A line's state. Indices are always below the sizes; a storage may ignore others.
pub trait Storage {
    /// Most unread input bytes; a power of two. The ring has twice as many cells.
    const UNREAD: u64;
    /// Bytes of the output ring; a power of two above [`super::ECHO_RESERVE`].
    const OUTPUT: u64;
    /// Queued output that counts as sent: throwing output away leaves so many bytes of it. A device that takes what it can has none; the reader of a pty's master
    /// has a buffer of its own on Linux, which nobody else can empty.
    const TAKEN: u64 = 0;

    /// The modes.
    fn modes(&self) -> Termios;
    /// Changes the modes.
    fn set_modes(&mut self, modes: Termios);
    /// The registers.
    fn registers(&self) -> Registers;
    /// Changes the registers.
    fn set_registers(&mut self, registers: Registers);
    /// A cell of the input ring.
    fn input(&self, index: usize) -> Cell;
    /// Changes a cell of the input ring.
    fn set_input(&mut self, index: usize, cell: Cell);
    /// A byte of the output ring.
    fn output(&self, index: usize) -> u8;
    /// Changes a byte of the output ring.
    fn set_output(&mut self, index: usize, byte: u8);
}

impl<S: Storage> Storage for &mut S {
    const UNREAD: u64 = S::UNREAD;
    const OUTPUT: u64 = S::OUTPUT;
    const TAKEN: u64 = S::TAKEN;

    fn modes(&self) -> Termios {
        (**self).modes()
    }

    fn set_modes(&mut self, modes: Termios) {
        (**self).set_modes(modes);
    }

    fn registers(&self) -> Registers {
        (**self).registers()
    }

    fn set_registers(&mut self, registers: Registers) {
        (**self).set_registers(registers);
    }

    fn input(&self, index: usize) -> Cell {
        (**self).input(index)
    }

    fn set_input(&mut self, index: usize, cell: Cell) {
        (**self).set_input(index, cell);
    }

    fn output(&self, index: usize) -> u8 {
        (**self).output(index)
    }

    fn set_output(&mut self, index: usize, byte: u8) {
        (**self).set_output(index, byte);
    }
}

/// A line in ordinary memory: `UNREAD` unread bytes in `CELLS` cells, `OUTPUT` bytes of output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InMemory<const CELLS: usize, const OUTPUT: usize> {
    modes: Termios,
    registers: Registers,
    input: [Cell; CELLS],
    output: [u8; OUTPUT],
}

impl<const CELLS: usize, const OUTPUT: usize> InMemory<CELLS, OUTPUT> {
    const SIZES_ARE_POWERS: () = assert!(CELLS.is_power_of_two() && OUTPUT.is_power_of_two() && OUTPUT as u64 > super::ECHO_RESERVE);

    /// A new line with `modes`.
    #[must_use]
    pub fn new(modes: Termios) -> Self {
        let () = Self::SIZES_ARE_POWERS;
        Self { modes, registers: Registers::default(), input: [Cell::default(); CELLS], output: [0; OUTPUT] }
    }
}

impl<const CELLS: usize, const OUTPUT: usize> Storage for InMemory<CELLS, OUTPUT> {
    const UNREAD: u64 = CELLS as u64 / 2;
    const OUTPUT: u64 = OUTPUT as u64;

    fn modes(&self) -> Termios {
        self.modes
    }

    fn set_modes(&mut self, modes: Termios) {
        self.modes = modes;
    }

    fn registers(&self) -> Registers {
        self.registers
    }

    fn set_registers(&mut self, registers: Registers) {
        self.registers = registers;
    }

    fn input(&self, index: usize) -> Cell {
        self.input.get(index).copied().unwrap_or_default()
    }

    fn set_input(&mut self, index: usize, cell: Cell) {
        if let Some(place) = self.input.get_mut(index) {
            *place = cell;
        }
    }

    fn output(&self, index: usize) -> u8 {
        self.output.get(index).copied().unwrap_or_default()
    }

    fn set_output(&mut self, index: usize, byte: u8) {
        if let Some(place) = self.output.get_mut(index) {
            *place = byte;
        }
    }
}
