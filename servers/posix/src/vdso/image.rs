//! The vDSO's ELF file around its code: what a C library or a debugger looks symbols up in.
//!
//! One page, loaded as it lies (System V ABI, chapters 4 and 5; the GNU extensions for versions and the second hash table as the LSB, "Symbol Versioning",
//! and Linux's own vDSO have them). Every function has two names, `__vdso_NAME` and, weak, `NAME`, in version `LINUX_2.6`. Both kinds of hash table, because
//! C libraries know one or the other; sections too, for tools that read those.

use alloc::vec;
use alloc::vec::Vec;

use crate::vma::PAGE;

/// How many functions there are.
pub const FUNCTIONS: usize = 5;
/// Their names.
pub const NAMES: [&str; FUNCTIONS] = ["clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu"];
/// Where the code starts: everything that describes it comes before.
pub const TEXT_OFFSET: usize = 0x680;

/// Name of the object, as of Linux's.
const SONAME: &str = "linux-vdso.so.1";
/// The one version.
const VERSION: &str = "LINUX_2.6";
/// Buckets of both hash tables.
const BUCKETS: u32 = 3;
/// Words of the GNU table's Bloom filter, and its second shift.
const BLOOM_WORDS: usize = 1;
const BLOOM_SHIFT: u32 = 6;
/// Index of the version in `.gnu.version`: 1 is the object itself.
const VERSION_INDEX: u16 = 2;

const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
const SHT_HASH: u32 = 5;
const SHT_DYNAMIC: u32 = 6;
const SHT_DYNSYM: u32 = 11;
const SHT_GNU_HASH: u32 = 0x6fff_fff6;
const SHT_GNU_VERDEF: u32 = 0x6fff_fffd;
const SHT_GNU_VERSYM: u32 = 0x6fff_ffff;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const SYMBOL_BYTES: u64 = 24;
const DYNAMIC_BYTES: u64 = 16;
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const PROGRAM_HEADERS: usize = 3;
/// Index of `.dynstr` in the table of sections, and of `.dynsym`.
const STRINGS_SECTION: u32 = 1;
const SYMBOLS_SECTION: u32 = 2;
/// Index of the code's section.
const TEXT_SECTION: u16 = 8;

/// Where a function is in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    /// Offset of its first byte.
    pub offset: u32,
    /// How many bytes.
    pub bytes: u32,
}

/// The System V hash of a name.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// The GNU hash of a name.
fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

/// A symbol: its name, whether it is weak, and its function.
struct Symbol {
    name: Vec<u8>,
    weak: bool,
    entry: Entry,
}

impl Symbol {
    fn text(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or_default()
    }
}

/// All symbols, in the order that the GNU hash table wants: by bucket.
fn symbols(entries: &[Entry; FUNCTIONS]) -> Vec<Symbol> {
    let both = |(name, entry): (&&str, &Entry)| {
        [true, false].map(|weak| Symbol { name: [if weak { "" } else { "__vdso_" }, name].concat().into_bytes(), weak, entry: *entry })
    };
    let mut symbols: Vec<Symbol> = NAMES.iter().zip(entries).flat_map(both).collect();
    symbols.sort_by_key(|symbol| gnu_hash(symbol.text()) % BUCKETS);
    symbols
}

/// Little-endian bytes in the making.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn half(&mut self, value: u16) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn word(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn long(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }
}

/// A string table.
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend(text.bytes().chain([0]));
        at
    }
}

/// A section: what its header says, and its contents.
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    link: u32,
    info: u32,
    entry_bytes: u64,
    contents: Vec<u8>,
    /// Set when it has its place.
    offset: u64,
}

impl Section {
    fn new(name: &'static str, kind: u32, contents: Vec<u8>) -> Self {
        Self { name, kind, flags: SHF_ALLOC, link: 0, info: 0, entry_bytes: 0, contents, offset: 0 }
    }

    fn linked(mut self, link: u32, info: u32, entry_bytes: u64) -> Self {
        (self.link, self.info, self.entry_bytes) = (link, info, entry_bytes);
        self
    }
}

/// Lays the image out.
///
/// # Panics
/// If the code does not fit, which its tests find out.
#[must_use]
pub fn build(code: &[u8], entries: &[Entry; FUNCTIONS]) -> Vec<u8> {
    let symbols = symbols(entries);
    let mut strings = Strings(vec![0]);
    let table = symbol_table(&symbols, &mut strings);
    let [soname, version] = [SONAME, VERSION].map(|text| strings.add(text));
    let count = symbols.len() as u32;
    let mut sections = vec![
        Section::new(".dynstr", SHT_STRTAB, strings.0),
        Section::new(".dynsym", SHT_DYNSYM, table).linked(STRINGS_SECTION, 1, SYMBOL_BYTES),
        Section::new(".hash", SHT_HASH, hash_table(&symbols)).linked(SYMBOLS_SECTION, 0, 4),
        Section::new(".gnu.hash", SHT_GNU_HASH, gnu_hash_table(&symbols)).linked(SYMBOLS_SECTION, 0, 0),
        Section::new(".gnu.version", SHT_GNU_VERSYM, version_of_symbols(count)).linked(SYMBOLS_SECTION, 0, 2),
        Section::new(".gnu.version_d", SHT_GNU_VERDEF, version_definitions(soname, version)).linked(STRINGS_SECTION, 2, 0),
        Section::new(".dynamic", SHT_DYNAMIC, Vec::new()).linked(STRINGS_SECTION, 0, DYNAMIC_BYTES),
    ];
    let mut at = (HEADER_BYTES + PROGRAM_HEADERS * PROGRAM_HEADER_BYTES) as u64;
    for section in &mut sections {
        section.offset = at.next_multiple_of(8);
        if section.kind == SHT_DYNAMIC {
            break;
        }
        at = section.offset + section.contents.len() as u64;
    }
    if let Some((dynamic, described)) = sections.split_last_mut() {
        dynamic.contents = dynamic_table(described, soname);
        assert!(dynamic.offset as usize + dynamic.contents.len() <= TEXT_OFFSET, "the tables do not fit before the code");
    }
    let text = Section::new(".text", SHT_PROGBITS, code.to_vec());
    sections.push(Section { flags: SHF_ALLOC | SHF_EXECINSTR, offset: TEXT_OFFSET as u64, ..text });
    place(sections)
}

fn symbol_table(symbols: &[Symbol], strings: &mut Strings) -> Vec<u8> {
    const STT_FUNC: u8 = 2;
    const STB_GLOBAL: u8 = 1;
    const STB_WEAK: u8 = 2;
    let mut table = Bytes(vec![0; SYMBOL_BYTES as usize]);
    for symbol in symbols {
        let binding = if symbol.weak { STB_WEAK } else { STB_GLOBAL };
        table.word(strings.add(symbol.text())).half(u16::from(binding << 4 | STT_FUNC)).half(TEXT_SECTION);
        table.long(TEXT_OFFSET as u64 + u64::from(symbol.entry.offset)).long(u64::from(symbol.entry.bytes));
    }
    table.0
}

/// Chains of symbols by bucket (System V ABI, "Hash Table").
fn hash_table(symbols: &[Symbol]) -> Vec<u8> {
    let mut buckets = vec![0; BUCKETS as usize];
    let mut chains = vec![0; symbols.len() + 1];
    for (index, symbol) in (1..).zip(symbols) {
        // The remainder is below the number of buckets.
        let bucket = &mut buckets[(hash(symbol.text()) % BUCKETS) as usize];
        chains[index as usize] = core::mem::replace(bucket, index);
    }
    let mut table = Bytes::default();
    table.word(BUCKETS).word(chains.len() as u32);
    for word in buckets.into_iter().chain(chains) {
        table.word(word);
    }
    table.0
}

/// A Bloom filter, the first symbol of each bucket, and the hashes in a row, the last of a bucket with its lowest bit set.
fn gnu_hash_table(symbols: &[Symbol]) -> Vec<u8> {
    let hashes: Vec<u32> = symbols.iter().map(|symbol| gnu_hash(symbol.text())).collect();
    let bloom = hashes.iter().fold(0u64, |bloom, hash| bloom | 1 << (hash % 64) | 1 << ((hash >> BLOOM_SHIFT) % 64));
    let mut table = Bytes::default();
    table.word(BUCKETS).word(1).word(BLOOM_WORDS as u32).word(BLOOM_SHIFT).long(bloom);
    for bucket in 0..BUCKETS {
        let first = hashes.iter().position(|hash| hash % BUCKETS == bucket);
        table.word(first.map_or(0, |index| index as u32 + 1));
    }
    for (index, hash) in hashes.iter().enumerate() {
        let is_last = hashes.get(index + 1).is_none_or(|next| next % BUCKETS != hash % BUCKETS);
        table.word(hash & !1 | u32::from(is_last));
    }
    table.0
}

fn version_of_symbols(count: u32) -> Vec<u8> {
    let mut table = Bytes::default();
    table.half(0);
    for _ in 0..count {
        table.half(VERSION_INDEX);
    }
    table.0
}

/// The object itself, then the version (`Elfxx_Verdef` and `Elfxx_Verdaux` of each).
fn version_definitions(soname: u32, version: u32) -> Vec<u8> {
    const BASE: u16 = 1;
    const DEFINITION_BYTES: u32 = 20;
    const NAME_BYTES: u32 = 8;
    let mut table = Bytes::default();
    for (name, text, flags, index, next) in [(soname, SONAME, BASE, 1, DEFINITION_BYTES + NAME_BYTES), (version, VERSION, 0, VERSION_INDEX, 0)] {
        table.half(1).half(flags).half(index).half(1).word(hash(text)).word(DEFINITION_BYTES).word(next);
        table.word(name).word(0);
    }
    table.0
}

fn dynamic_table(sections: &[Section], soname: u32) -> Vec<u8> {
    const DT_STRSZ: u64 = 10;
    const DT_SYMENT: u64 = 11;
    const DT_SONAME: u64 = 14;
    const DT_VERDEFNUM: u64 = 0x6fff_fffd;
    let mut table = Bytes::default();
    table.long(DT_SONAME).long(u64::from(soname));
    for section in sections {
        let key = match section.kind {
            SHT_HASH => 4,
            SHT_STRTAB => 5,
            SHT_DYNSYM => 6,
            SHT_GNU_HASH => 0x6fff_fef5,
            SHT_GNU_VERSYM => 0x6fff_fff0,
            _ => 0x6fff_fffc,
        };
        table.long(key).long(section.offset);
        if section.kind == SHT_STRTAB {
            table.long(DT_STRSZ).long(section.contents.len() as u64);
        }
    }
    table.long(DT_SYMENT).long(SYMBOL_BYTES).long(DT_VERDEFNUM).long(2).long(0).long(0);
    table.0
}

/// Headers, sections at their places, and the table of sections behind them.
fn place(mut sections: Vec<Section>) -> Vec<u8> {
    let dynamic =
        sections.iter().find(|section| section.kind == SHT_DYNAMIC).map_or((0, 0), |section| (section.offset, section.contents.len() as u64));
    let mut names = Strings(vec![0]);
    let mut headers = Bytes(vec![0; HEADER_BYTES]);
    let mut image = vec![0; PAGE as usize];
    let mut end = 0;
    sections.push(Section { flags: 0, ..Section::new(".shstrtab", SHT_STRTAB, Vec::new()) });
    for section in &mut sections {
        let name = names.add(section.name);
        if section.flags == 0 {
            (section.offset, section.contents) = (end as u64, names.0.clone());
        }
        let place = section.offset as usize;
        end = (place + section.contents.len()).next_multiple_of(8);
        image[place..place + section.contents.len()].copy_from_slice(&section.contents);
        let address = if section.flags & SHF_ALLOC != 0 { section.offset } else { 0 };
        headers.word(name).word(section.kind).long(section.flags).long(address).long(section.offset).long(section.contents.len() as u64);
        headers.word(section.link).word(section.info).long(8).long(section.entry_bytes);
    }
    let count = (headers.0.len() / HEADER_BYTES) as u16;
    image[end..end + headers.0.len()].copy_from_slice(&headers.0);
    let head = file_header(end as u64, count, dynamic);
    image[..head.len()].copy_from_slice(&head);
    image
}

fn file_header(sections_at: u64, sections: u16, (dynamic, dynamic_bytes): (u64, u64)) -> Vec<u8> {
    const ET_DYN: u16 = 3;
    const EM_X86_64: u16 = 62;
    const PT_LOAD: u32 = 1;
    const PT_DYNAMIC: u32 = 2;
    const PT_GNU_STACK: u32 = 0x6474_e551;
    const READ: u32 = 4;
    const READ_EXECUTE: u32 = 5;
    const READ_WRITE: u32 = 6;
    // 64 bits, little-endian, version 1, no particular system.
    let mut head = Bytes(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec());
    head.half(ET_DYN).half(EM_X86_64).word(1).long(0).long(HEADER_BYTES as u64).long(sections_at).word(0);
    head.half(HEADER_BYTES as u16).half(PROGRAM_HEADER_BYTES as u16).half(PROGRAM_HEADERS as u16);
    head.half(HEADER_BYTES as u16).half(sections).half(sections - 1);
    for (kind, flags, offset, bytes, align) in
        [(PT_LOAD, READ_EXECUTE, 0, PAGE, PAGE), (PT_DYNAMIC, READ, dynamic, dynamic_bytes, 8), (PT_GNU_STACK, READ_WRITE, 0, 0, 16)]
    {
        head.word(kind).word(flags).long(offset).long(offset).long(offset).long(bytes).long(bytes).long(align);
    }
    head.0
}
