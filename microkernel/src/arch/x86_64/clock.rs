//! Calibration: how fast the time-stamp counter and the APIC's timer run, measured once against the PIT.

use core::arch::x86_64::_rdtsc;

use x86_64::instructions::port::Port;

use super::apic::Apic;

/// The PIT's input clock.
const PIT_HZ: u64 = 1_193_182;
/// Length of the measurement: 20 ms.
const PIT_TICKS: u16 = 23_864;

/// The time-stamp counter.
pub fn now() -> u64 {
    // SAFETY: reads a counter that every x86_64 processor has.
    unsafe { _rdtsc() }
}

/// Measures both clocks. Returns the counter's frequency and the APIC with its timer's.
pub fn calibrate(mut apic: Apic) -> (u64, Apic) {
    let mut gate: Port<u8> = Port::new(0x61);
    let mut mode: Port<u8> = Port::new(0x43);
    let mut counter: Port<u8> = Port::new(0x42);
    // SAFETY: channel 2 of the PIT and its gate, speaker off: nothing else uses them.
    let start = unsafe {
        let off = gate.read() & !3;
        gate.write(off);
        mode.write(0xb0);
        counter.write(PIT_TICKS as u8);
        counter.write((PIT_TICKS >> 8) as u8);
        apic.start_free_run();
        gate.write(off | 1);
        now()
    };
    // SAFETY: as above; bit 5 is the channel's output.
    while unsafe { gate.read() } & 0x20 == 0 {}
    let (ticks, counts) = (now() - start, u64::from(apic.free_run_elapsed()));
    apic.start_timer(None);
    let scale = |count: u64| count.saturating_mul(PIT_HZ) / u64::from(PIT_TICKS);
    apic.timer_hz = scale(counts).max(1);
    (scale(ticks).max(1), apic)
}
