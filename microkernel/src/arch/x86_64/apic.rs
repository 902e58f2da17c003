//! Interrupt controllers: the local APIC with its one-shot timer, and the I/O APIC's lines.
//!
//! Lines arrive where and as [`crate::acpi`] found, and are delivered to the first processor; each starts masked. The legacy controllers are silenced.

use x86_64::instructions::port::Port;

use crate::acpi::Topology;
use crate::kernel::MAX_LINES;

/// Vector of the timer.
pub const TIMER_VECTOR: u64 = 64;
/// Vector of interrupts by other processors.
pub const IPI_VECTOR: u64 = 65;
/// Vector of spurious interrupts: no end of interrupt.
pub const SPURIOUS_VECTOR: u64 = 72;
/// Vector of the first line.
pub const FIRST_LINE_VECTOR: u64 = 32;
/// Lines that have a vector.
pub const LINES: u32 = MAX_LINES as u32;

const REGISTER_ID: u64 = 0x20;
const REGISTER_END_OF_INTERRUPT: u64 = 0xb0;
const REGISTER_SPURIOUS: u64 = 0xf0;
/// Which vectors wait to be taken, 32 in each register, 16 bytes apart (SDM vol. 3, 11.8.4): those of the lines, of the timer and of other processors.
const REGISTERS_REQUESTED: [u64; 2] = [0x210, 0x220];
/// The interrupt command register's halves (SDM vol. 3, 11.6.1), and in it: a vector, INIT and start-up, all asserted, and that the last was not sent yet.
const REGISTER_COMMAND: u64 = 0x300;
const REGISTER_DESTINATION: u64 = 0x310;
const FIXED: u32 = 0x4000;
const INIT: u32 = 0x4500;
const START_UP: u32 = 0x4600;
const PENDING: u32 = 1 << 12;
const REGISTER_TIMER: u64 = 0x320;
/// Where the board's non-maskable interrupts arrive, and how they are passed on (SDM vol. 3, 11.5.1).
const REGISTER_LINT1: u64 = 0x360;
const AS_NMI: u32 = 4 << 8;
const REGISTER_INITIAL_COUNT: u64 = 0x380;
const REGISTER_CURRENT_COUNT: u64 = 0x390;
const REGISTER_DIVIDE: u64 = 0x3e0;
const DIVIDE_BY_1: u32 = 0xb;
const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// Bits of an I/O APIC's redirection entry, and its version register, which says how many there are (82093AA, 3.2).
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const IO_VERSION: u32 = 1;
const IO_TABLE: u32 = 0x10;

/// Both controllers, reached through the direct map.
#[derive(Clone, Copy, Debug)]
pub struct Apic {
    local: u64,
    io: u64,
    pins: u32,
    topology: Topology,
    /// Timer counts in a second.
    pub timer_hz: u64,
}

impl Apic {
    /// Enables the local APIC and masks everything.
    pub fn init(direct_map: u64, topology: Topology) -> Self {
        for port in [0x21, 0xa1] {
            // SAFETY: the mask registers of the two legacy controllers; all ones masks every line.
            unsafe { Port::<u8>::new(port).write(0xff) }
        }
        let mut apic = Self { local: direct_map + topology.local_apic, io: direct_map + topology.io_apic, pins: 0, topology, timer_hz: 0 };
        apic.enable();
        apic.pins = (apic.read_io(IO_VERSION) >> 16 & 0xff) + 1;
        let own = apic.read(REGISTER_ID) & 0xff00_0000;
        for pin in 0..apic.pins {
            apic.write_io(IO_TABLE + 2 * pin, MASKED);
            apic.write_io(IO_TABLE + 2 * pin + 1, own);
        }
        apic
    }

    /// Enables this processor's local APIC, with its timer stopped. Non-maskable interrupts end the machine with a report.
    pub fn enable(self) {
        self.write(REGISTER_SPURIOUS, SOFTWARE_ENABLE | SPURIOUS_VECTOR as u32);
        self.write(REGISTER_DIVIDE, DIVIDE_BY_1);
        self.write(REGISTER_TIMER, MASKED | TIMER_VECTOR as u32);
        self.write(REGISTER_LINT1, AS_NMI);
    }

    fn write(self, register: u64, value: u32) {
        // SAFETY: a register of the local APIC, mapped by the direct map and uncached by the MTRRs.
        unsafe { ((self.local + register) as *mut u32).write_volatile(value) }
    }

    fn read(self, register: u64) -> u32 {
        // SAFETY: as in `write`.
        unsafe { ((self.local + register) as *const u32).read_volatile() }
    }

    fn write_io(self, register: u32, value: u32) {
        // SAFETY: the I/O APIC's index and data registers.
        unsafe {
            (self.io as *mut u32).write_volatile(register);
            ((self.io + 0x10) as *mut u32).write_volatile(value);
        }
    }

    fn read_io(self, register: u32) -> u32 {
        // SAFETY: as in `write_io`.
        unsafe {
            (self.io as *mut u32).write_volatile(register);
            ((self.io + 0x10) as *const u32).read_volatile()
        }
    }

    /// Masks or unmasks a line. One that arrives nowhere stays silent.
    pub fn set_line(self, line: u32, enabled: bool) {
        let Some(route) = self.topology.route(line).filter(|route| route.pin < self.pins) else { return };
        let mut entry = FIRST_LINE_VECTOR as u32 + line;
        for (set, bit) in [(!enabled, MASKED), (route.active_low, ACTIVE_LOW), (route.level, LEVEL)] {
            if set {
                entry |= bit;
            }
        }
        self.write_io(IO_TABLE + 2 * route.pin, entry);
    }

    /// This processor's number among the local APICs.
    pub fn id(self) -> u32 {
        self.read(REGISTER_ID) >> 24
    }

    /// Resets another processor; it waits for a start afterwards.
    pub fn send_init(self, id: u32) {
        self.send(id, INIT);
    }

    /// Starts a processor that was reset, in real mode at the beginning of a page of the first MiB.
    pub fn send_start(self, id: u32, page: u32) {
        self.send(id, START_UP | page & 0xff);
    }

    /// Interrupts another processor.
    pub fn send_ipi(self, id: u32) {
        self.send(id, FIXED | IPI_VECTOR as u32);
    }

    fn send(self, id: u32, command: u32) {
        self.write(REGISTER_DESTINATION, id << 24);
        self.write(REGISTER_COMMAND, command);
        while self.read(REGISTER_COMMAND) & PENDING != 0 {
            core::hint::spin_loop();
        }
    }

    /// Whether an interrupt waits to be taken.
    pub fn is_requested(self) -> bool {
        REGISTERS_REQUESTED.iter().any(|register| self.read(*register) != 0)
    }

    /// Tells the local APIC that an interrupt was taken.
    pub fn end_of_interrupt(self) {
        self.write(REGISTER_END_OF_INTERRUPT, 0);
    }

    /// Starts the timer, to fire once after `count`, or stops it.
    pub fn start_timer(self, count: Option<u32>) {
        match count {
            Some(count) => {
                self.write(REGISTER_TIMER, TIMER_VECTOR as u32);
                self.write(REGISTER_INITIAL_COUNT, count.max(1));
            }
            None => self.write(REGISTER_INITIAL_COUNT, 0),
        }
    }

    /// Lets the timer run down from its maximum, without an interrupt.
    pub fn start_free_run(self) {
        self.write(REGISTER_TIMER, MASKED | TIMER_VECTOR as u32);
        self.write(REGISTER_INITIAL_COUNT, u32::MAX);
    }

    /// How far it has run down.
    pub fn free_run_elapsed(self) -> u32 {
        u32::MAX - self.read(REGISTER_CURRENT_COUNT)
    }
}
