//! The tables of firmware: what is right is understood, and what is not is an error.

use microkernel::acpi::{AcpiError, Physical, Route, Topology};
use proptest::prelude::*;

const BASE: u64 = 0xf_0000;
const RSDP: u64 = BASE + 0x40;
const ROOTS: u64 = BASE + 0x100;
const OTHER: u64 = BASE + 0x200;
const MADT: u64 = BASE + 0x300;
const BYTES: usize = 0x500;

/// Memory with tables in it.
#[derive(Clone)]
struct Rom(Vec<u8>);

impl Physical for Rom {
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(BASE)?).ok()?;
        self.0.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }
}

impl Rom {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let start = (at - BASE) as usize;
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Makes the bytes add up to zero by the one at `at`.
    fn sum(&mut self, from: u64, length: u64, at: u64) {
        let (start, place) = ((from - BASE) as usize, (at - BASE) as usize);
        self.0[place] = 0;
        let sum = self.0[start..start + length as usize].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        self.0[place] = sum.wrapping_neg();
    }

    fn table(&mut self, at: u64, signature: &[u8; 4], body: &[u8]) {
        let length = 36 + body.len() as u64;
        self.put(at, signature);
        self.put(at + 4, &(length as u32).to_le_bytes());
        self.put(at + 36, body);
        self.sum(at, length, at + 9);
    }

    fn root(&mut self, revision: u8) {
        self.put(RSDP, b"RSD PTR ");
        self.put(RSDP + 15, &[revision]);
        self.put(RSDP + 16, &(ROOTS as u32).to_le_bytes());
        self.put(RSDP + 20, &36_u32.to_le_bytes());
        self.put(RSDP + 24, &(if revision < 2 { 0 } else { ROOTS }).to_le_bytes());
        self.sum(RSDP, 20, RSDP + 8);
        self.sum(RSDP, 36, RSDP + 32);
    }

    fn read(&self) -> Result<Topology, AcpiError> {
        Topology::read(self, RSDP)
    }
}

/// A PC as QEMU describes one: three processors of which one is off, the timer at pin 2, and line 9 as PCI signals.
fn madt() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0xfee0_0000_u32.to_le_bytes());
    body.extend(1_u32.to_le_bytes());
    for (id, enabled) in [(0, 1), (1, 0), (4, 1)] {
        body.extend([0, 8, id, id, enabled, 0, 0, 0]);
    }
    body.extend([1, 12, 0, 0]);
    body.extend(0xfec0_1000_u32.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 9, 9, 0, 0, 0, 0xf, 0]);
    body.extend([4, 6, 0xff, 0, 0, 1]);
    body
}

fn rom(revision: u8) -> Rom {
    let mut rom = Rom(vec![0; BYTES]);
    rom.root(revision);
    let entries = [OTHER, MADT];
    if revision < 2 {
        let body: Vec<u8> = entries.iter().flat_map(|entry| (*entry as u32).to_le_bytes()).collect();
        rom.table(ROOTS, b"RSDT", &body);
    } else {
        let body: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        rom.table(ROOTS, b"XSDT", &body);
    }
    rom.table(OTHER, b"FACP", &[0; 8]);
    rom.table(MADT, b"APIC", &madt());
    rom
}

#[test]
fn processors_controllers_and_moved_lines_are_found_in_either_form() {
    for revision in [0, 2] {
        let found = rom(revision).read().expect("good tables");
        assert_eq!((found.local_apic, found.io_apic, found.processors()), (0xfee0_0000, 0xfec0_1000, &[0, 4][..]));
        assert_eq!(found.route(0), Some(Route { pin: 2, active_low: false, level: false }));
        assert_eq!(found.route(2), None, "its pin is the timer's");
        assert_eq!(found.route(4), Some(Route { pin: 4, active_low: false, level: false }));
        assert_eq!(found.route(9), Some(Route { pin: 9, active_low: true, level: true }));
        assert_eq!(found.route(20), Some(Route { pin: 20, active_low: true, level: true }));
    }
}

#[test]
fn local_apic_may_lie_where_a_second_entry_says() {
    let mut rom = rom(2);
    let mut body = madt();
    body.extend([5, 12, 0, 0]);
    body.extend(0x1_fee0_0000_u64.to_le_bytes());
    body.extend([9, 16, 0, 0, 77, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    rom.table(MADT, b"APIC", &body);
    let found = rom.read().expect("good tables");
    assert_eq!((found.local_apic, found.processors()), (0x1_fee0_0000, &[0, 4, 333][..]));
}

#[test]
fn more_processors_than_there_is_room_for_are_left_out() {
    let mut rom = Rom(vec![0; 0x1000]);
    rom.0[..BYTES].copy_from_slice(&self::rom(2).0);
    let mut body = madt();
    for id in 0..100 {
        body.extend([0, 8, id, id, 1, 0, 0, 0]);
    }
    rom.table(MADT, b"APIC", &body);
    assert_eq!(rom.read().expect("good tables").processors().len(), microkernel::acpi::MAX_PROCESSORS);
}

#[test]
fn plain_pc_has_every_line_at_its_own_pin() {
    assert_eq!(Topology::PC.processors(), [0]);
    assert!((0..16).all(|line| Topology::PC.route(line) == Some(Route { pin: line, ..Route::default() })));
}

#[test]
fn each_damage_has_its_error() {
    use AcpiError::{Address, Checksum, Length, Missing, Pin, Signature};
    assert_eq!(Topology::read(&rom(2), 0), Err(Missing));
    assert_eq!(Topology::read(&rom(2), BASE + BYTES as u64 - 8), Err(Address));
    assert_eq!(Topology::read(&rom(2), u64::MAX), Err(Address));
    let damaged = |damage: &dyn Fn(&mut Rom)| {
        let mut rom = rom(2);
        damage(&mut rom);
        rom.read()
    };
    assert_eq!(damaged(&|rom| rom.put(RSDP, b"X")), Err(Signature));
    assert_eq!(damaged(&|rom| rom.put(RSDP + 9, &[1])), Err(Checksum));
    assert_eq!(damaged(&|rom| rom.put(RSDP + 33, &[1])), Err(Checksum), "of the extended part");
    let root_length = |length: u32| damaged(&|rom| rom.put(RSDP + 20, &length.to_le_bytes()));
    assert_eq!((root_length(35), root_length(65 << 10), root_length(60 << 10)), (Err(Length), Err(Length), Err(Address)));
    for at in [ROOTS, MADT] {
        let length = |length: u32| damaged(&|rom| rom.put(at + 4, &length.to_le_bytes()));
        assert_eq!((length(35), length(65 << 10), length(60 << 10)), (Err(Length), Err(Length), Err(Address)));
        assert_eq!(damaged(&|rom| rom.put(at + 10, &[1])), Err(Checksum));
    }
    assert_eq!(damaged(&|rom| rom.put(ROOTS, b"RSDT")), Err(Signature));
    assert_eq!(damaged(&|rom| rom.table(ROOTS, b"XSDT", &0x7fff_0000_u64.to_le_bytes())), Err(Address));
    assert_eq!(damaged(&|rom| rom.table(ROOTS, b"XSDT", &OTHER.to_le_bytes())), Err(Missing), "no such table");
    let body = |change: &dyn Fn(&mut Vec<u8>)| {
        damaged(&|rom| {
            let mut body = madt();
            change(&mut body);
            rom.table(MADT, b"APIC", &body);
        })
    };
    assert_eq!(body(&|body| body.truncate(7)), Err(Length));
    assert_eq!(body(&|body| body.truncate(8 + 24)), Err(Missing), "no I/O APIC");
    assert_eq!(body(&|body| body[9] = 0), Err(Length), "an entry without length would be read for ever");
    assert_eq!(body(&|body| body[9] = 5), Err(Length), "an entry too short for its kind");
    assert_eq!(body(&|body| body.push(0)), Err(Length), "half an entry");
    assert_eq!(body(&|body| body.extend([0, 200])), Err(Length), "an entry beyond the end");
    assert_eq!(body(&|body| body.extend([2, 10, 0, 16, 3, 0, 0, 0, 0, 0])), Err(Pin), "no line of the ISA bus");
    assert_eq!(body(&|body| body.extend([2, 10, 0, 3, 24, 0, 0, 0, 0, 0])), Err(Pin), "no such pin");
    assert_eq!(body(&|body| body.extend([2, 10, 0, 3, 9, 0, 0, 0, 0, 0])), Err(Pin), "two lines at one pin");
}

proptest! {
    /// Whatever the bytes are, there is an answer, and it is in its bounds.
    #[test]
    fn random_tables_never_panic(damage in prop::collection::vec((0..BYTES, any::<u8>()), 0..12), mended in any::<bool>(), revision in 0..3_u8) {
        let mut rom = rom(revision);
        for (at, byte) in damage {
            rom.0[at] = byte;
        }
        if mended {
            // Damage that the checksums do not show.
            let length = rom.bytes(MADT + 4, 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
            rom.sum(MADT, u64::from(length).clamp(36, 0x200), MADT + 9);
            rom.sum(ROOTS, if revision < 2 { 44 } else { 52 }, ROOTS + 9);
            rom.sum(RSDP, 20, RSDP + 8);
            rom.sum(RSDP, 36, RSDP + 32);
        }
        if let Ok(found) = rom.read() {
            prop_assert!(found.io_apic != 0 && found.processors().len() <= microkernel::acpi::MAX_PROCESSORS);
            let pins: Vec<_> = (0..24).filter_map(|line| found.route(line)).map(|route| route.pin).collect();
            prop_assert!(pins.iter().all(|pin| *pin < 24));
            prop_assert_eq!(pins.iter().collect::<std::collections::BTreeSet<_>>().len(), pins.len());
        }
    }
}
