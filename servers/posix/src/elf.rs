//! ELF files: what `execve` must know of one, read from its first page.
//!
//! Only the header and the program headers are looked at, each field once, from a copy. Whatever is odd about them is `ENOEXEC`; nothing here
//! trusts a length, and every sum is checked. It maps nothing: the result says what `exec` has to map (System V ABI, chapter 5; Linux
//! `fs/binfmt_elf.c` for what counts as valid).

use heapless::Vec;

use crate::errno::Errno;
use crate::vma::{EXEC, READ, WRITE};

/// Bytes of the file that the parser needs: header and program headers must lie within them.
pub const HEAD_BYTES: usize = 4096;
/// Most loadable segments: toolchains make four to six.
pub const MAX_SEGMENTS: usize = 16;
/// Where a position-independent program is put (Linux: `ELF_ET_DYN_BASE` without randomisation).
pub const PIE_BASE: u64 = 0x5555_5555_4000;
/// Where the interpreter of a dynamic program is put.
pub const INTERPRETER_BASE: u64 = 0x7fff_f7fc_0000;

const PAGE: u64 = 4096;
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const PT_GNU_STACK: u32 = 0x6474_e551;

/// One `PT_LOAD`, as the file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first byte.
    pub address: u64,
    /// Offset of that byte in the file; congruent to the address modulo the page size.
    pub offset: u64,
    /// Bytes that come from the file.
    pub file_bytes: u64,
    /// Bytes in memory; the rest is zero.
    pub memory_bytes: u64,
    /// Protection bits of [`crate::vma`].
    pub protection: u64,
}

/// A program that can be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it starts, before relocation.
    pub entry: u64,
    /// Its segments, in rising order, not overlapping.
    pub segments: Vec<Segment, MAX_SEGMENTS>,
    /// Address of the program headers in memory, before relocation; 0 if no segment holds them.
    pub headers: u64,
    /// How many program headers.
    pub header_count: u64,
    /// Offset and length in the file of the interpreter's path, without its final zero.
    pub interpreter: Option<(u64, usize)>,
    /// It may be put anywhere.
    pub relocatable: bool,
    /// Its stack must be executable.
    pub executable_stack: bool,
}

fn half(bytes: &[u8], at: usize) -> Result<u16, Errno> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|raw| u16::from_le_bytes(*raw)).ok_or(Errno::ENOEXEC)
}

fn word(bytes: &[u8], at: usize) -> Result<u32, Errno> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|raw| u32::from_le_bytes(*raw)).ok_or(Errno::ENOEXEC)
}

fn long(bytes: &[u8], at: usize) -> Result<u64, Errno> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|raw| u64::from_le_bytes(*raw)).ok_or(Errno::ENOEXEC)
}

/// Reads the start of a file (up to [`HEAD_BYTES`]) as a program.
///
/// # Errors
/// `ENOEXEC` for anything but a well-formed 64-bit x86 executable.
pub fn parse(head: &[u8]) -> Result<Program, Errno> {
    let identity = head.get(..HEADER_BYTES).ok_or(Errno::ENOEXEC)?;
    if !identity.starts_with(b"\x7fELF\x02\x01\x01") || half(head, 18)? != 62 {
        return Err(Errno::ENOEXEC);
    }
    let relocatable = match half(head, 16)? {
        2 => false,
        3 => true,
        _ => return Err(Errno::ENOEXEC),
    };
    let table = usize::try_from(long(head, 32)?).map_err(|_| Errno::ENOEXEC)?;
    let count = usize::from(half(head, 56)?);
    let bytes = count.checked_mul(PROGRAM_HEADER_BYTES).ok_or(Errno::ENOEXEC)?;
    let end = table.checked_add(bytes).ok_or(Errno::ENOEXEC)?;
    if usize::from(half(head, 54)?) != PROGRAM_HEADER_BYTES || count == 0 || end > head.len() {
        return Err(Errno::ENOEXEC);
    }
    let mut program = Program {
        entry: long(head, 24)?,
        segments: Vec::new(),
        headers: 0,
        header_count: count as u64,
        interpreter: None,
        relocatable,
        executable_stack: false,
    };
    for header in head[table..end].chunks_exact(PROGRAM_HEADER_BYTES) {
        program.add(header)?;
    }
    program.check(table as u64, bytes as u64)?;
    Ok(program)
}

impl Program {
    fn add(&mut self, header: &[u8]) -> Result<(), Errno> {
        let offset = long(header, 8)?;
        let address = long(header, 16)?;
        let file_bytes = long(header, 32)?;
        match word(header, 0)? {
            PT_LOAD => {
                let segment = Segment { address, offset, file_bytes, memory_bytes: long(header, 40)?, protection: protection(word(header, 4)?) };
                if segment.memory_bytes != 0 {
                    self.segments.push(segment).map_err(|_| Errno::ENOEXEC)?;
                }
            }
            PT_INTERP => {
                if !(2..=4096).contains(&file_bytes) {
                    return Err(Errno::ENOEXEC);
                }
                self.interpreter = Some((offset, file_bytes as usize - 1));
            }
            PT_PHDR => self.headers = address,
            PT_GNU_STACK => self.executable_stack = protection(word(header, 4)?) & EXEC != 0,
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self, table: u64, table_bytes: u64) -> Result<(), Errno> {
        let mut last_end = 0;
        for segment in &self.segments {
            let end = segment.address.checked_add(segment.memory_bytes).ok_or(Errno::ENOEXEC)?;
            let file_end = segment.offset.checked_add(segment.file_bytes).ok_or(Errno::ENOEXEC)?;
            let inside = end <= abi::USER_END && file_end <= i64::MAX as u64 && segment.file_bytes <= segment.memory_bytes;
            let congruent = segment.address % PAGE == segment.offset % PAGE;
            if !inside || !congruent || segment.address & !(PAGE - 1) < last_end {
                return Err(Errno::ENOEXEC);
            }
            last_end = end.next_multiple_of(PAGE);
            let holds_table = segment.offset <= table && table.saturating_add(table_bytes) <= file_end;
            if self.headers == 0 && holds_table {
                self.headers = segment.address + (table - segment.offset);
            }
        }
        if self.segments.is_empty() { Err(Errno::ENOEXEC) } else { Ok(()) }
    }

    /// The program, if a file of `size` bytes has all pages of its segments.
    ///
    /// # Errors
    /// `ENOEXEC`: the file was cut. Linux maps what there is, and kills the program when it uses the rest.
    pub fn whole_in(self, size: u64) -> Result<Self, Errno> {
        let is_there = |end: u64| end <= size.next_multiple_of(PAGE);
        let is_whole = |segment: &Segment| segment.file_bytes == 0 || segment.offset.checked_add(segment.file_bytes).is_some_and(is_there);
        if self.segments.iter().all(is_whole) { Ok(self) } else { Err(Errno::ENOEXEC) }
    }

    /// Lowest and highest address, rounded to pages, before relocation.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        let low = self.segments.first().map_or(0, |segment| segment.address & !(PAGE - 1));
        let high = self.segments.last().map_or(0, |segment| (segment.address + segment.memory_bytes).next_multiple_of(PAGE));
        (low, high)
    }

    /// What to add to each address when its lowest page goes to `base`; 0 for a program with fixed addresses.
    #[must_use]
    pub fn bias(&self, base: u64) -> u64 {
        if self.relocatable { base.wrapping_sub(self.extent().0) } else { 0 }
    }
}

fn protection(flags: u32) -> u64 {
    let mut bits = 0;
    if flags & 4 != 0 {
        bits |= READ;
    }
    if flags & 2 != 0 {
        bits |= WRITE;
    }
    if flags & 1 != 0 {
        bits |= EXEC;
    }
    bits
}

/// What the first line of a script names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shebang<'a> {
    /// The interpreter's path.
    pub interpreter: &'a [u8],
    /// Its one argument: the rest of the line.
    pub argument: Option<&'a [u8]>,
}

/// Bytes of the first line that count (Linux: `BINPRM_BUF_SIZE`).
const SHEBANG_BYTES: usize = 256;

/// Reads a `#!` line; `None` if the file does not start with one.
///
/// # Errors
/// `ENOEXEC` if the line is too long or names nothing.
pub fn shebang(head: &[u8]) -> Result<Option<Shebang<'_>>, Errno> {
    let Some(rest) = head.strip_prefix(b"#!") else { return Ok(None) };
    let rest = rest.get(..SHEBANG_BYTES - 2).unwrap_or(rest);
    let end = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => end,
        None if rest.len() < SHEBANG_BYTES - 2 => rest.len(),
        None => return Err(Errno::ENOEXEC),
    };
    let line = rest[..end].trim_ascii();
    if line.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let cut = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let argument = line[cut..].trim_ascii();
    Ok(Some(Shebang { interpreter: &line[..cut], argument: (!argument.is_empty()).then_some(argument) }))
}

#[cfg(test)]
pub(crate) fn small_program() -> alloc::vec::Vec<u8> {
    tests::small(2)
}

#[cfg(test)]
mod tests;
