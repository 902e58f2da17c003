//! The interrupt controllers and processors that firmware describes: the one table of ACPI that ring 0 reads, the MADT.
//!
//! Every byte comes from outside: nothing is followed, counted or added up before it was checked, a table counts only as a whole (length and
//! checksum), and a damaged one is an error, never a guess. Section numbers are those of the ACPI specification, version 6.5. What else firmware
//! describes is the business of a server.

/// Lines that keep their number from the days of the ISA bus; each may lead to another pin.
pub const ISA_LINES: usize = 16;
/// Processors that are noted.
pub const MAX_PROCESSORS: usize = 64;

/// A table is not larger than this: it bounds the time that a checksum takes.
const MAX_TABLE: u64 = 64 * 1024;
const HEADER: usize = 36;
const ROOT_BYTES: u64 = 20;
const ROOT_BYTES_V2: u64 = 36;

/// Physical memory, as far as it can be read.
pub trait Physical {
    /// `length` bytes from `address` on; `None` if not all of them can be read.
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]>;
}

/// What is wrong with the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiError {
    /// There is no root pointer, or no table that describes the interrupt controllers.
    Missing,
    /// A table lies where there is no memory.
    Address,
    /// A table's signature is not what it was found as.
    Signature,
    /// A length is too small or too large for what it counts.
    Length,
    /// The bytes of a table do not add up to zero.
    Checksum,
    /// An interrupt leads to a pin that the controller does not have, or two lead to one.
    Pin,
}

/// Where an interrupt line arrives, and how it is signalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Pin of the I/O APIC that begins with global interrupt 0.
    pub pin: u32,
    /// The line is low while the device asks.
    pub active_low: bool,
    /// The line stays as it is until the device was served.
    pub level: bool,
}

/// The interrupt controllers and processors of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Physical address of the local APICs.
    pub local_apic: u64,
    /// Physical address of the I/O APIC that begins with global interrupt 0.
    pub io_apic: u64,
    isa: [Option<Route>; ISA_LINES],
    processors: [u32; MAX_PROCESSORS],
    count: usize,
}

impl Topology {
    /// What the PC architecture has where firmware says nothing: one processor, both controllers at their first addresses.
    pub const PC: Self = Self { local_apic: 0xfee0_0000, io_apic: 0xfec0_0000, isa: [None; ISA_LINES], processors: [0; MAX_PROCESSORS], count: 1 };

    /// Local APIC ids of the processors that can be used.
    #[must_use]
    pub fn processors(&self) -> &[u32] {
        self.processors.get(..self.count).unwrap_or(&[])
    }

    /// How `line` arrives: those of the ISA bus as firmware says, else at the pin of their number, edge triggered and active high; lines above them
    /// as PCI signals. `None` for a line whose pin belongs to another.
    #[must_use]
    pub fn route(&self, line: u32) -> Option<Route> {
        let Some(own) = self.isa.get(line as usize) else { return Some(Route { pin: line, active_low: true, level: true }) };
        let plain = Route { pin: line, ..Route::default() };
        let taken = self.isa.iter().flatten().any(|route| route.pin == line);
        own.or((!taken).then_some(plain))
    }

    /// Reads what the root pointer at `rsdp` leads to.
    ///
    /// # Errors
    /// [`AcpiError`] for the first thing that is wrong.
    pub fn read(memory: &impl Physical, rsdp: u64) -> Result<Self, AcpiError> {
        let (roots, entry_bytes) = root_table(memory, rsdp)?;
        let entries = roots.get(HEADER..).unwrap_or(&[]);
        for entry in entries.chunks_exact(entry_bytes) {
            let address = if entry_bytes == 8 { word(entry, 0) } else { half(entry, 0).map(u64::from) };
            let address = address.ok_or(AcpiError::Length)?;
            if memory.bytes(address, 4).ok_or(AcpiError::Address)? == b"APIC" {
                return Self::of_madt(table(memory, address, *b"APIC")?);
            }
        }
        Err(AcpiError::Missing)
    }

    /// 5.2.12: the multiple APIC description table.
    fn of_madt(madt: &[u8]) -> Result<Self, AcpiError> {
        let mut found = Self { local_apic: u64::from(half(madt, 36).ok_or(AcpiError::Length)?), io_apic: 0, count: 0, ..Self::PC };
        let mut rest = madt.get(44..).ok_or(AcpiError::Length)?;
        while let [kind, length, ..] = *rest {
            let (entry, next) = rest.split_at_checked(usize::from(length)).filter(|_| length >= 2).ok_or(AcpiError::Length)?;
            found.add(kind, entry)?;
            rest = next;
        }
        if !rest.is_empty() {
            return Err(AcpiError::Length);
        }
        let mut pins = 0_u32;
        for route in found.isa.iter().flatten() {
            let bit = 1_u32.checked_shl(route.pin).ok_or(AcpiError::Pin)?;
            if pins & bit != 0 {
                return Err(AcpiError::Pin);
            }
            pins |= bit;
        }
        if found.io_apic == 0 || found.local_apic == 0 { Err(AcpiError::Missing) } else { Ok(found) }
    }

    fn add(&mut self, kind: u8, entry: &[u8]) -> Result<(), AcpiError> {
        const ENABLED: u32 = 1;
        let half = |at| half(entry, at).ok_or(AcpiError::Length);
        match kind {
            0 if half(4)? & ENABLED != 0 => self.add_processor(half(0)? >> 24),
            1 if half(8)? == 0 => self.io_apic = u64::from(half(4)?),
            2 => return self.add_override(half(0)? >> 24, half(4)?, (self::half(entry, 6).ok_or(AcpiError::Length)? >> 16) as u16),
            5 => self.local_apic = word(entry, 4).ok_or(AcpiError::Length)?,
            9 if half(8)? & ENABLED != 0 => self.add_processor(half(4)?),
            _ => {}
        }
        Ok(())
    }

    /// More than there is room for are not used: no error.
    fn add_processor(&mut self, id: u32) {
        if let Some(slot) = self.processors.get_mut(self.count) {
            *slot = id;
            self.count += 1;
        }
    }

    /// 5.2.12.5: a line of the ISA bus arrives elsewhere, or otherwise, than it did on a PC/AT.
    fn add_override(&mut self, line: u32, pin: u32, flags: u16) -> Result<(), AcpiError> {
        const ACTIVE_LOW: u16 = 3;
        const LEVEL: u16 = 3;
        if pin >= crate::kernel::MAX_LINES as u32 {
            return Err(AcpiError::Pin);
        }
        let route = Route { pin, active_low: flags & 3 == ACTIVE_LOW, level: flags >> 2 & 3 == LEVEL };
        *self.isa.get_mut(line as usize).ok_or(AcpiError::Pin)? = Some(route);
        Ok(())
    }
}

/// 5.2.5.3: the root pointer. Returns the table of tables and how long its entries are.
fn root_table(memory: &impl Physical, rsdp: u64) -> Result<(&[u8], usize), AcpiError> {
    if rsdp == 0 {
        return Err(AcpiError::Missing);
    }
    let root = memory.bytes(rsdp, ROOT_BYTES).ok_or(AcpiError::Address)?;
    if !root.starts_with(b"RSD PTR ") {
        return Err(AcpiError::Signature);
    }
    check_sum(root)?;
    if root.get(15).is_some_and(|revision| *revision >= 2) {
        let length = memory.bytes(rsdp, ROOT_BYTES_V2).and_then(|root| half(root, 20)).ok_or(AcpiError::Address)?;
        if !(ROOT_BYTES_V2..=MAX_TABLE).contains(&u64::from(length)) {
            return Err(AcpiError::Length);
        }
        let root = memory.bytes(rsdp, u64::from(length)).ok_or(AcpiError::Address)?;
        check_sum(root)?;
        let extended = word(root, 24).ok_or(AcpiError::Length)?;
        if extended != 0 {
            return Ok((table(memory, extended, *b"XSDT")?, 8));
        }
    }
    let address = half(root, 16).ok_or(AcpiError::Length)?;
    Ok((table(memory, u64::from(address), *b"RSDT")?, 4))
}

/// 5.2.6: a whole table behind its header.
fn table(memory: &impl Physical, address: u64, signature: [u8; 4]) -> Result<&[u8], AcpiError> {
    let header = memory.bytes(address, HEADER as u64).ok_or(AcpiError::Address)?;
    if !header.starts_with(&signature) {
        return Err(AcpiError::Signature);
    }
    let length = u64::from(half(header, 4).ok_or(AcpiError::Length)?);
    if !(HEADER as u64..=MAX_TABLE).contains(&length) {
        return Err(AcpiError::Length);
    }
    let table = memory.bytes(address, length).ok_or(AcpiError::Address)?;
    check_sum(table)?;
    Ok(table)
}

fn check_sum(bytes: &[u8]) -> Result<(), AcpiError> {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    if sum == 0 { Ok(()) } else { Err(AcpiError::Checksum) }
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
