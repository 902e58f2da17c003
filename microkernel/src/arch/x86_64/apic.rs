//! Interrupt controllers: the local APIC with its one-shot timer, and the I/O APIC's lines.
//!
//! Lines are edge triggered and delivered to this processor; each starts masked. The legacy controllers are silenced.

use x86_64::instructions::port::Port;

/// Vector of the timer.
pub const TIMER_VECTOR: u64 = 64;
/// Vector of spurious interrupts: no end of interrupt.
pub const SPURIOUS_VECTOR: u64 = 72;
/// Vector of the first line.
pub const FIRST_LINE_VECTOR: u64 = 32;
/// Lines of the I/O APIC.
pub const LINES: u32 = 24;

/// Physical addresses that the PC architecture gives them until firmware moves them, which QEMU's does not.
const LOCAL_APIC: u64 = 0xfee0_0000;
const IO_APIC: u64 = 0xfec0_0000;

const REGISTER_END_OF_INTERRUPT: u64 = 0xb0;
const REGISTER_SPURIOUS: u64 = 0xf0;
const REGISTER_TIMER: u64 = 0x320;
const REGISTER_INITIAL_COUNT: u64 = 0x380;
const REGISTER_CURRENT_COUNT: u64 = 0x390;
const REGISTER_DIVIDE: u64 = 0x3e0;
const DIVIDE_BY_1: u32 = 0xb;
const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;

/// Both controllers, reached through the direct map.
#[derive(Clone, Copy, Debug)]
pub struct Apic {
    local: u64,
    io: u64,
    /// Timer counts in a second.
    pub timer_hz: u64,
}

impl Apic {
    /// Enables the local APIC and masks everything.
    pub fn init(direct_map: u64) -> Self {
        for port in [0x21, 0xa1] {
            // SAFETY: the mask registers of the two legacy controllers; all ones masks every line.
            unsafe { Port::<u8>::new(port).write(0xff) }
        }
        let apic = Self { local: direct_map + LOCAL_APIC, io: direct_map + IO_APIC, timer_hz: 0 };
        apic.write(REGISTER_SPURIOUS, SOFTWARE_ENABLE | SPURIOUS_VECTOR as u32);
        apic.write(REGISTER_DIVIDE, DIVIDE_BY_1);
        apic.write(REGISTER_TIMER, MASKED | TIMER_VECTOR as u32);
        for line in 0..LINES {
            apic.write_io(0x11 + 2 * line, 0);
            apic.set_line(line, false);
        }
        apic
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

    /// Masks or unmasks a line: edge triggered, active high, fixed delivery to the first processor.
    pub fn set_line(self, line: u32, enabled: bool) {
        let mask = if enabled { 0 } else { MASKED };
        self.write_io(0x10 + 2 * line, (FIRST_LINE_VECTOR as u32 + line) | mask);
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
