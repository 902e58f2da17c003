//! Programs as their files have them: what bytes lie where, which function that is, and what its author marked there.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSegment};

use super::lines::Lines;
use crate::error::{Error, Result};
use crate::symbols::Symbols;

/// The section of marks: address and eight letters each.
const MARKS: &str = ".marks";
const LETTERS: usize = 8;

/// A program's file.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: String,
    segments: Vec<(u64, Vec<u8>)>,
    symbols: Symbols,
    /// Addresses and what is marked there, sorted.
    marks: Vec<(u64, String)>,
    /// The file, and what it says of lines once that was asked.
    elf: Vec<u8>,
    lines: OnceCell<Lines>,
}

impl Image {
    pub(super) fn read(name: &str, path: &Path) -> Result<Self> {
        let elf = fs::read(path).map_err(Error::io("reading", path))?;
        Self::parsed(name, &elf).ok_or_else(|| Error::Refused(format!("{} is no ELF file", path.display())))
    }

    fn parsed(name: &str, elf: &[u8]) -> Option<Self> {
        let file = object::File::parse(elf).ok()?;
        let segments = file.segments().filter_map(|segment| Some((segment.address(), segment.data().ok()?.to_vec()))).collect();
        let marks = file.section_by_name(MARKS).and_then(|section| section.data().ok()).unwrap_or_default();
        Some(Self { elf: elf.to_vec(), ..Self::new(name, segments, Symbols::read(elf), read_marks(marks)) })
    }

    pub(super) fn new(name: &str, segments: Vec<(u64, Vec<u8>)>, symbols: Symbols, mut marks: Vec<(u64, String)>) -> Self {
        marks.sort();
        Self { name: name.into(), segments, symbols, marks, elf: Vec::new(), lines: OnceCell::new() }
    }

    /// Whether the file has these bytes at this address.
    pub(super) fn has(&self, address: u64, bytes: &[u8]) -> bool {
        let is_here = |(start, data): &(u64, Vec<u8>)| {
            let from = address.checked_sub(*start).and_then(|from| usize::try_from(from).ok());
            from.and_then(|from| data.get(from..)).is_some_and(|data| data.starts_with(bytes))
        };
        !bytes.is_empty() && self.segments.iter().any(is_here)
    }

    /// What is marked at exactly this address.
    pub(super) fn mark_at(&self, address: u64) -> Option<&str> {
        self.mark_before(address).filter(|(marked, _)| *marked == address).map(|(_, mark)| mark)
    }

    /// The last mark up to this address in its function.
    pub(super) fn phase(&self, address: u64) -> Option<&str> {
        let (start, _) = self.symbols.function(address)?;
        self.mark_before(address).filter(|(marked, _)| *marked >= start).map(|(_, mark)| mark)
    }

    fn mark_before(&self, address: u64) -> Option<(u64, &str)> {
        let behind = self.marks.partition_point(|(marked, _)| *marked <= address);
        self.marks.get(behind.checked_sub(1)?).map(|(marked, mark)| (*marked, mark.as_str()))
    }

    /// The module whose text the instruction at this address is; `None` of what has no line tables.
    pub(super) fn module(&self, address: u64) -> Option<&str> {
        self.lines.get_or_init(|| Lines::read(&self.elf, &self.name).unwrap_or_default()).module(address)
    }

    /// The function at this address.
    pub(super) fn function(&self, address: u64) -> Option<&str> {
        self.symbols.function(address).map(|(_, name)| name)
    }
}

fn read_marks(section: &[u8]) -> Vec<(u64, String)> {
    let mark = |record: &[u8]| {
        let (address, letters) = record.split_at_checked(size_of::<u64>())?;
        Some((u64::from_le_bytes(address.try_into().ok()?), String::from_utf8_lossy(letters).trim_end().to_owned()))
    };
    section.chunks_exact(size_of::<u64>() + LETTERS).filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_addresses_and_letters() {
        let section = *b"\x01\x02\0\0\0\0\0\0round   \x03\0\0\0\0\0\0\0transfer";
        assert_eq!(read_marks(&section), [(0x201, "round".into()), (3, "transfer".into())]);
    }

    #[test]
    fn bytes_are_found_where_the_file_has_them() {
        let image = Image::new("a", vec![(0x1000, vec![1, 2, 3])], Symbols::read(&[]), vec![]);
        assert!(image.has(0x1001, &[2, 3]));
        assert!(!image.has(0x1001, &[2, 4]) && !image.has(0x1002, &[3, 0]) && !image.has(0xfff, &[1]) && !image.has(0x1001, &[]));
    }

    /// What the compiler, the linker and this file make of each other.
    #[test]
    fn our_own_marks_are_read_and_hold_to_the_function() {
        #[inline(never)]
        #[allow(unsafe_code, reason = "assembly")]
        fn marked() {
            // SAFETY: nothing is executed but `nop`.
            unsafe { std::arch::asm!("nop", ".pushsection .marks,\"\",@progbits", ".quad 99f", ".ascii \"tested  \"", ".popsection", "99:", "nop") }
        }
        marked();
        let own = std::env::current_exe().and_then(fs::read).expect("our own file");
        let image = Image::parsed("own", &own).expect("it is an ELF file");
        let (address, _) = image.marks.iter().find(|(_, mark)| mark == "tested").expect("it is marked");
        assert_eq!((image.mark_at(*address), image.mark_at(*address + 1), image.phase(*address + 1)), (Some("tested"), None, Some("tested")));
        assert!(image.function(*address).is_some_and(|name| name.ends_with("marked")), "{:?}", image.function(*address));
        assert!(image.has(*address, &[0x90]));
    }
}
