//! From an ELF file to a flat [`abi::boot::Image`].
//!
//! The host parses ELF so that no server has to in order to start another. What the supervisor would have to refuse is refused
//! here, with the program's name: a segment both writable and executable, two segments on one page, addresses outside the lower
//! half, anything that wants a loader (relocations, an interpreter).

use abi::boot::{IMAGE_HEADER_BYTES, IMAGE_MAGIC, Image, MAX_SEGMENTS, PAGE_SIZE, SEGMENT_BYTES, SEGMENT_EXECUTE, SEGMENT_WRITE};
use object::elf::{ET_EXEC, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object};

use crate::Error;

const PAGE: usize = PAGE_SIZE as usize;

/// One loadable segment, rounded to whole pages: `bytes` starts at `address`, which is page aligned.
struct Pages {
    address: u64,
    bytes: Vec<u8>,
    pages: u64,
    flags: u32,
}

impl Pages {
    fn end(&self) -> u64 {
        self.address + self.pages * PAGE_SIZE
    }
}

/// Lays the program `name` out.
///
/// # Errors
/// [`Error::Program`] with what is wrong with the file.
pub fn lay_out(name: &str, elf: &[u8]) -> Result<Vec<u8>, Error> {
    let refuse = |why: String| Error::Program(name.into(), why);
    let (entry, segments) = load(elf).map_err(refuse)?;
    let image = encode(entry, &segments);
    Image::open(&image).map_err(|error| refuse(format!("its image is refused: {error:?}")))?;
    Ok(image)
}

fn load(elf: &[u8]) -> Result<(u64, Vec<Pages>), String> {
    let file = ElfFile64::<Endianness>::parse(elf).map_err(|error| error.to_string())?;
    let endian = file.endian();
    if file.elf_header().e_type(endian) != ET_EXEC {
        return Err("not linked at a fixed address".into());
    }
    let mut segments: Vec<Pages> = Vec::new();
    for header in file.elf_program_headers() {
        match header.p_type(endian) {
            PT_INTERP | PT_DYNAMIC => return Err("wants a dynamic loader".into()),
            PT_LOAD if header.p_memsz(endian) > 0 => segments.push(pages_of(header, endian, elf)?),
            _ => {}
        }
    }
    segments.sort_by_key(|segment| segment.address);
    check(&segments, file.entry())?;
    Ok((file.entry(), segments))
}

fn pages_of(header: &<object::elf::FileHeader64<Endianness> as FileHeader>::ProgramHeader, endian: Endianness, elf: &[u8]) -> Result<Pages, String> {
    let (start, size) = (header.p_vaddr(endian), header.p_memsz(endian));
    let data = header.data(endian, elf).map_err(|()| "a segment lies outside the file")?;
    let address = start - start % PAGE_SIZE;
    let end = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    let end = end.filter(|end| *end <= abi::USER_END).ok_or("a segment lies outside the lower half")?;
    let mut flags = 0;
    if header.p_flags(endian) & PF_W != 0 {
        flags |= SEGMENT_WRITE;
    }
    if header.p_flags(endian) & PF_X != 0 {
        flags |= SEGMENT_EXECUTE;
    }
    let before = usize::try_from(start - address).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(data);
    Ok(Pages { address, bytes, pages: (end - address) / PAGE_SIZE, flags })
}

fn check(segments: &[Pages], entry: u64) -> Result<(), String> {
    if segments.len() > MAX_SEGMENTS {
        return Err(format!("{} segments, at most {MAX_SEGMENTS} are possible", segments.len()));
    }
    if let Some(bad) = segments.iter().find(|segment| segment.flags == SEGMENT_WRITE | SEGMENT_EXECUTE) {
        return Err(format!("the segment at {:#x} is both writable and executable", bad.address));
    }
    if let Some([left, _]) = segments.array_windows().find(|[left, right]| left.end() > right.address) {
        return Err(format!("the page before {:#x} belongs to two segments", left.end()));
    }
    let code = |segment: &&Pages| segment.flags & SEGMENT_EXECUTE != 0 && (segment.address..segment.end()).contains(&entry);
    segments.iter().find(code).map(|_| ()).ok_or_else(|| format!("the entry point {entry:#x} is not in executable memory"))
}

fn encode(entry: u64, segments: &[Pages]) -> Vec<u8> {
    let mut image = Vec::new();
    image.extend_from_slice(&IMAGE_MAGIC);
    for word in [entry, segments.len() as u64, 0] {
        image.extend_from_slice(&word.to_le_bytes());
    }
    let mut offset = (IMAGE_HEADER_BYTES + segments.len() * SEGMENT_BYTES).next_multiple_of(PAGE);
    for segment in segments {
        let file_bytes = trimmed(&segment.bytes).len();
        for word in [segment.address, offset as u64, file_bytes as u64] {
            image.extend_from_slice(&word.to_le_bytes());
        }
        // Lower-half addresses bound the number of pages well below 2^35; an image of 2^32 pages does not fit a disk.
        image.extend_from_slice(&u32::try_from(segment.pages).unwrap_or(u32::MAX).to_le_bytes());
        image.extend_from_slice(&segment.flags.to_le_bytes());
        offset += file_bytes.next_multiple_of(PAGE);
    }
    for segment in segments {
        image.resize(image.len().next_multiple_of(PAGE), 0);
        image.extend_from_slice(trimmed(&segment.bytes));
    }
    image.resize(image.len().next_multiple_of(PAGE), 0);
    image
}

/// Without the zeros at its end, which memory has anyway.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..used).unwrap_or_default()
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
