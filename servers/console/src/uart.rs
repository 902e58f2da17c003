//! The 16550 UART (National Semiconductor PC16550D, June 1995; section numbers are its).
//!
//! Only the registers' meaning is here. The line is virtual: speed and framing are set once, because the device asks for them, and change nothing.

use crate::machine::Machine;

/// Bytes of either FIFO (8.4).
pub const FIFO_BYTES: usize = 16;

/// Receiver buffer and transmitter holding register.
const DATA: u8 = 0;
/// Interrupt enable register (8.7).
const INTERRUPTS: u8 = 1;
const ON_RECEIVED: u8 = 1;
const ON_TRANSMITTED: u8 = 2;
/// FIFO control register (8.4).
const FIFOS: u8 = 2;
const FIFO_ENABLE: u8 = 1;
const FIFO_CLEAR: u8 = 2 | 4;
/// Line control register (8.1).
const LINE: u8 = 3;
const EIGHT_BITS: u8 = 3;
const DIVISOR_ACCESS: u8 = 0x80;
/// Modem control register (8.8): DTR, RTS, and OUT2, which lets interrupts through on a PC.
const MODEM: u8 = 4;
const MODEM_READY: u8 = 1 | 2 | 8;
/// Line status register (8.3).
const STATUS: u8 = 5;
const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 0x20;
/// Scratch register (8.9).
const SCRATCH: u8 = 7;
/// 115200 baud (8.2, with the PC's 1.8432 MHz clock).
const DIVISOR: u8 = 1;

/// A UART, if there is one.
#[derive(Debug)]
pub struct Uart {
    present: bool,
    interrupts: u8,
}

impl Uart {
    /// Sets the device up, or takes it over from a predecessor that had (`keep`): then bytes that were typed while it died, and bytes on their way out,
    /// stay in the FIFOs, and the data register, whose accesses are counted, is not touched.
    pub fn new(machine: &mut impl Machine, keep: bool) -> Self {
        machine.write(SCRATCH, 0x5a);
        let present = machine.read(SCRATCH) == 0x5a;
        if present {
            machine.write(INTERRUPTS, 0);
        }
        if present && !keep {
            machine.write(LINE, EIGHT_BITS | DIVISOR_ACCESS);
            machine.write(DATA, DIVISOR);
            machine.write(INTERRUPTS, 0);
            machine.write(LINE, EIGHT_BITS);
            machine.write(FIFOS, FIFO_ENABLE | FIFO_CLEAR);
            machine.write(MODEM, MODEM_READY);
        }
        Self { present, interrupts: 0 }
    }

    /// Whether a byte was received.
    pub fn has_received(&self, machine: &mut impl Machine) -> bool {
        self.present && machine.read(STATUS) & DATA_READY != 0
    }

    /// A byte that was received. Only after [`Self::has_received`].
    pub fn receive(&self, machine: &mut impl Machine) -> u8 {
        machine.read(DATA)
    }

    /// Whether the transmitter takes [`FIFO_BYTES`] bytes. A machine without a UART takes everything and sends it nowhere.
    pub fn can_send(&self, machine: &mut impl Machine) -> bool {
        !self.present || machine.read(STATUS) & TRANSMITTER_EMPTY != 0
    }

    /// Sends up to [`FIFO_BYTES`] bytes. Only after [`Self::can_send`]. Returns how many the device was given: none where there is no device.
    pub fn send(&self, machine: &mut impl Machine, bytes: &[u8]) -> u32 {
        if !self.present {
            return 0;
        }
        machine.write_all(DATA, bytes);
        u32::try_from(bytes.len()).unwrap_or(u32::MAX)
    }

    /// Chooses what raises an interrupt.
    pub fn listen(&mut self, machine: &mut impl Machine, received: bool, transmitted: bool) {
        let interrupts = if received { ON_RECEIVED } else { 0 } | if transmitted { ON_TRANSMITTED } else { 0 };
        if self.present && interrupts != self.interrupts {
            machine.write(INTERRUPTS, interrupts);
            self.interrupts = interrupts;
        }
    }
}
