//! The wall clock: the CMOS real-time clock, read once at boot.
//!
//! From then on the time-stamp counter counts. The clock is in UTC, as QEMU starts it. Registers and formats: Motorola MC146818A data sheet;
//! the century lies where ACPI's FADT says on every machine that QEMU models, register 0x32.

/// The clock's index and data ports.
const INDEX_PORT: u16 = 0x70;
const DATA_PORT: u16 = 0x71;
const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const CENTURY: u8 = 0x32;
/// Status A: an update is under way.
const UPDATING: u8 = 0x80;
/// Status B: hours count to 24.
const HOURS_24: u8 = 2;
/// Status B: numbers are binary, not decimal digits.
const BINARY: u8 = 4;
/// Hours: after noon, when they count to 12.
const AFTERNOON: u8 = 0x80;
/// Readings until two agree. An update takes 2 ms of each second, so the third is already unlikely.
const ATTEMPTS: u32 = 1000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// Two ports.
pub trait Ports {
    /// Reads a byte; `None` where there is no port.
    fn read(&mut self, port: u16) -> Option<u8>;
    /// Writes a byte.
    fn write(&mut self, port: u16, value: u8) -> Option<()>;
}

/// What the clock shows, as its registers hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Face {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    format: u8,
}

fn register(ports: &mut impl Ports, index: u8) -> Option<u8> {
    ports.write(INDEX_PORT, index)?;
    ports.read(DATA_PORT)
}

fn face(ports: &mut impl Ports) -> Option<Face> {
    if register(ports, STATUS_A)? & UPDATING != 0 {
        return None;
    }
    Some(Face {
        seconds: register(ports, SECONDS)?,
        minutes: register(ports, MINUTES)?,
        hours: register(ports, HOURS)?,
        day: register(ports, DAY)?,
        month: register(ports, MONTH)?,
        year: register(ports, YEAR)?,
        century: register(ports, CENTURY)?,
        format: register(ports, STATUS_B)?,
    })
}

/// Seconds since the Unix epoch; `None` for a clock that shows nothing sensible.
#[must_use]
pub fn read(ports: &mut impl Ports) -> Option<u64> {
    for _ in 0..ATTEMPTS {
        let first = face(ports);
        if first.is_some() && first == face(ports) {
            return first.and_then(Face::unix_seconds);
        }
    }
    None
}

/// Unix time in nanoseconds at which the time-stamp counter was 0, when the clock shows `seconds` at `ticks`.
#[must_use]
pub fn wall_base_ns(seconds: u64, ticks: u64, tsc_hz: u64) -> u64 {
    let since_ns = libsys::clock::ticks_to_ns(ticks, tsc_hz);
    seconds.saturating_mul(NS_PER_SECOND).saturating_sub(since_ns)
}

impl Face {
    fn number(self, register: u8) -> u64 {
        let digits = u64::from(register >> 4) * 10 + u64::from(register & 0xf);
        if self.format & BINARY != 0 { u64::from(register) } else { digits }
    }

    fn hour(self) -> u64 {
        let hour = self.number(self.hours & !AFTERNOON);
        match (self.format & HOURS_24 != 0, self.hours & AFTERNOON != 0) {
            (true, _) => self.number(self.hours),
            (false, afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
        }
    }

    fn unix_seconds(self) -> Option<u64> {
        let century = match self.number(self.century) {
            century @ 19..=21 => century,
            _ => 20,
        };
        let (year, month, day) = (century * 100 + self.number(self.year), self.number(self.month), self.number(self.day));
        let (hour, minute, second) = (self.hour(), self.number(self.minutes), self.number(self.seconds));
        let sensible = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
        sensible.then(|| ((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March, so that leap days come last.
const fn days_from_epoch(year: u64, month: u64, day: u64) -> u64 {
    const DAYS_TO_EPOCH: u64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before_month = (153 * month + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + days_before_month + day - 1 - DAYS_TO_EPOCH
}

#[cfg(test)]
mod tests {
    use super::{Ports, read, wall_base_ns};
    use std::collections::BTreeMap;

    struct Chip {
        index: u8,
        registers: BTreeMap<u8, u8>,
        updating: u32,
    }

    impl Ports for Chip {
        fn read(&mut self, port: u16) -> Option<u8> {
            assert_eq!(port, 0x71);
            if self.index == 0x0a && self.updating > 0 {
                self.updating -= 1;
                return Some(0x80);
            }
            Some(self.registers.get(&self.index).copied().unwrap_or(0))
        }

        fn write(&mut self, port: u16, value: u8) -> Option<()> {
            assert_eq!(port, 0x70);
            self.index = value;
            Some(())
        }
    }

    fn chip(face: [u8; 7], format: u8) -> Chip {
        let registers = [0, 2, 4, 7, 8, 9, 0x32].into_iter().zip(face).chain([(0x0b, format)]).collect();
        Chip { index: 0, registers, updating: 3 }
    }

    #[test]
    fn digits_and_binary_numbers_read_alike() {
        // 2026-11-21 02:05:09 UTC.
        let expected = Some(1_795_226_709);
        assert_eq!(read(&mut chip([0x09, 0x05, 0x02, 0x21, 0x11, 0x26, 0x20], 2)), expected);
        assert_eq!(read(&mut chip([9, 5, 2, 21, 11, 26, 20], 2 | 4)), expected);
        assert_eq!(read(&mut chip([0x09, 0x05, 0x02, 0x21, 0x11, 0x26, 0x20], 0)), expected);
    }

    #[test]
    fn afternoon_and_leap_day_are_counted() {
        // 2024-02-29 23:59:59 UTC, and the second after it.
        assert_eq!(read(&mut chip([0x59, 0x59, 0x80 | 0x11, 0x29, 0x02, 0x24, 0x20], 0)), Some(1_709_251_199));
        assert_eq!(read(&mut chip([0, 0, 0, 1, 3, 0x24, 0x20], 2)), Some(1_709_251_200));
        assert_eq!(read(&mut chip([0, 0, 0, 1, 1, 0x70, 0x19], 2)), Some(0));
    }

    #[test]
    fn nonsense_is_no_time() {
        assert_eq!(read(&mut chip([0xff; 7], 2)), None);
        assert_eq!(read(&mut chip([0; 7], 2)), None);
    }

    #[test]
    fn base_is_the_time_at_counter_zero() {
        assert_eq!(wall_base_ns(100, 5_000, 1_000), 95_000_000_000);
    }
}
