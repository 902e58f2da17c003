//! What outlives an instance: the line, and the results kept for each lane.

use libsys::lane::Lanes;
use libsys::saved::{Cell, Transaction};
use protocols::console::{Termios, WindowSize};
use terminal::saved::SavedLine;

/// Results that are kept: two for each of 1024 Linux threads, which is more than posix has lanes that use the console.
pub const LANES: usize = 2048;

libsys::plain! {
    /// What the rings and results stand for, in the counts of the kernel's port records.
    pub struct Progress {
        /// Bytes of the line that are in the ring.
        pub received: u32,
        /// Bytes of the ring that are gone because they were sent.
        pub sent: u32,
        /// Bytes on the streams once the last piece is there.
        pub scripted: u32,
        /// Bytes of that piece.
        pub piece: u32,
        /// Who wrote it.
        pub writer: u64,
        /// How much that write had done before it.
        pub before: u64,
    }
}

libsys::saved_state! {
    /// The console's saved state.
    pub struct State: 3 {
        /// Not 0 once a first instance has set the modes.
        pub prepared: Cell<u64>,
        /// Modes, window size, unread input, unsent output.
        pub line: SavedLine,
        /// Not 0 once the device was set up.
        pub set_up: Cell<u64>,
        /// How far the line and the streams have come, as the ring and the results know it.
        pub progress: Cell<Progress>,
        /// Results kept for lanes.
        pub lanes: Lanes<LANES>,
    }
}

impl State {
    /// Makes the state one that can be gone on with: the first modes, or a predecessor's state with registers that were checked. Returns whether
    /// the rings had to be emptied, because the registers cannot be right.
    pub fn prepare(&self, transaction: &Transaction<'_>) -> bool {
        if self.prepared.get() == 0 {
            self.line.open(transaction, Termios::INITIAL, WindowSize::INITIAL);
            self.prepared.set(transaction, 1);
        }
        self.line.repair(transaction)
    }
}
