//! The boot archive: what the boot loader hands the kernel as its RAM disk.
//!
//! The image builder writes it, the kernel reads one entry of it (the supervisor's image), the supervisor reads the rest.
//! Everything is page aligned and little endian, so that entries can be mapped or copied by pages. It is deliberately not a
//! general archive: no paths, no compression, no permissions. The root file system travels inside as a cpio archive.
//!
//! An *image* is a program laid out ahead of time: the host has parsed the ELF file, so no server needs an ELF parser to start another.

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// First eight bytes of an archive.
pub const ARCHIVE_MAGIC: [u8; 8] = *b"SYNOSRD1";
/// First eight bytes of an image.
pub const IMAGE_MAGIC: [u8; 8] = *b"SYNOSIM1";
/// Most segments an image may have.
pub const MAX_SEGMENTS: usize = 8;
/// Bytes of an entry's name, padded with zeros.
pub const NAME_BYTES: usize = 40;
/// Size of an encoded [`Entry`].
pub const ENTRY_BYTES: usize = 64;
/// Size of the archive's header, before the first [`Entry`].
pub const HEADER_BYTES: usize = 64;
/// Where the header has the archive's checksum.
const CHECKSUM_AT: usize = 24;
/// Size of an encoded [`Segment`].
pub const SEGMENT_BYTES: usize = 32;
/// Offset of the first segment in an image.
pub const IMAGE_HEADER_BYTES: usize = 32;

/// Name of the entry that the kernel starts.
pub const SUPERVISOR: &str = "supervisor";
/// Name of the encoded manifest (`services.toml` after validation).
pub const SERVICES: &str = "services";
/// Name of the root file system, a cpio archive in `newc` form.
pub const ROOT_FILE_SYSTEM: &str = "rootfs.cpio";
/// Name of the text of this run's options, one `key=value` a line (`script=/path`, `slowpath`, `fail=vfs:write.effect:1`).
pub const OPTIONS: &str = "options";
/// Prefix of the entries that hold servers' images: `server/vfs`.
pub const SERVER_PREFIX: &str = "server/";

/// I/O port of QEMU's debug console: the system's log.
pub const LOG_PORT: u16 = 0xe9;
/// I/O port that carries a script's standard output to the host.
pub const SCRIPT_STDOUT_PORT: u16 = 0xea;
/// I/O port that carries a script's standard error to the host.
pub const SCRIPT_STDERR_PORT: u16 = 0xeb;
/// I/O port that carries a script's exit status to the host: one byte, written once before the power goes off.
pub const SCRIPT_STATUS_PORT: u16 = 0xec;
/// I/O port of QEMU's `isa-debug-exit`; QEMU exits with `(value << 1) | 1`.
pub const EXIT_PORT: u16 = 0xf4;
/// What a panicking kernel writes to [`EXIT_PORT`].
pub const EXIT_PANIC: u32 = 0x3f;

/// Segment may be written.
pub const SEGMENT_WRITE: u32 = 1;
/// Segment may be executed.
pub const SEGMENT_EXECUTE: u32 = 2;

/// Why an archive or an image was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It does not start with the magic bytes.
    Magic,
    /// It is shorter than its own header says.
    Truncated,
    /// An offset or length leaves the archive, is not page aligned, or overflows.
    Range,
    /// The checksum over the whole archive is wrong.
    Checksum,
    /// No entry has this name.
    Missing,
    /// A segment is both writable and executable, or an image has too many.
    Segment,
}

/// FNV-1a over 64-bit little-endian words (the tail padded with zeros): cheap enough to check a few MiB under emulation.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    checksum_after(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on where a checksum over whole words ended.
fn checksum_after(mut hash: u64, bytes: &[u8]) -> u64 {
    for chunk in bytes.chunks(8) {
        let mut word = [0u8; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// The checksum of an archive: over all of it but the word where the checksum stands.
fn archive_checksum(archive: &[u8]) -> u64 {
    let before = checksum(archive.get(..CHECKSUM_AT).unwrap_or_default());
    checksum_after(before, archive.get(CHECKSUM_AT + 8..).unwrap_or_default())
}

/// Writes the checksum into an archive that is otherwise complete: the last step of whoever makes one.
pub fn seal(archive: &mut [u8]) {
    let sum = archive_checksum(archive);
    if let Some(place) = archive.get_mut(CHECKSUM_AT..CHECKSUM_AT + 8) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u64, FormatError> {
    let end = at.checked_add(8).ok_or(FormatError::Range)?;
    let slice = bytes.get(at..end).ok_or(FormatError::Truncated)?;
    slice.try_into().map(u64::from_le_bytes).map_err(|_| FormatError::Truncated)
}

fn half(bytes: &[u8], at: usize) -> Result<u32, FormatError> {
    let end = at.checked_add(4).ok_or(FormatError::Range)?;
    let slice = bytes.get(at..end).ok_or(FormatError::Truncated)?;
    slice.try_into().map(u32::from_le_bytes).map_err(|_| FormatError::Truncated)
}

/// A boot archive whose header has been checked.
///
/// Header: magic (8), entry count u64, total length in bytes u64, checksum u64 of all other bytes
/// of the archive (see [`seal`]); then the entries of [`ENTRY_BYTES`] each, starting at [`HEADER_BYTES`], all within the first page.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: usize,
}

/// One named part of an archive. Encoded: name ([`NAME_BYTES`]), offset u64, length u64, reserved u64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a str,
    /// Byte offset in the archive, page aligned.
    pub offset: usize,
    /// Length in bytes.
    pub length: usize,
}

impl<'a> Archive<'a> {
    /// Checks the header and, when `verify` is set, the checksum over all contents.
    ///
    /// # Errors
    /// [`FormatError::Magic`], [`FormatError::Truncated`], [`FormatError::Range`] or [`FormatError::Checksum`].
    pub fn open(bytes: &'a [u8], verify: bool) -> Result<Self, FormatError> {
        if bytes.get(..8) != Some(&ARCHIVE_MAGIC) {
            return Err(FormatError::Magic);
        }
        let entries = usize::try_from(word(bytes, 8)?).map_err(|_| FormatError::Range)?;
        let total = usize::try_from(word(bytes, 16)?).map_err(|_| FormatError::Range)?;
        if entries > (PAGE_SIZE as usize - HEADER_BYTES) / ENTRY_BYTES || total < PAGE_SIZE as usize {
            return Err(FormatError::Range);
        }
        let bytes = bytes.get(..total).ok_or(FormatError::Truncated)?;
        if verify && archive_checksum(bytes) != word(bytes, CHECKSUM_AT)? {
            return Err(FormatError::Checksum);
        }
        Ok(Self { bytes, entries })
    }

    /// The entries in the order of the archive; one that lies outside the archive ends the iteration with its error.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>, FormatError>> + use<'a> {
        let archive = *self;
        (0..archive.entries).map(move |index| archive.entry(index))
    }

    fn entry(&self, index: usize) -> Result<Entry<'a>, FormatError> {
        let at = index.checked_mul(ENTRY_BYTES).and_then(|at| at.checked_add(HEADER_BYTES)).ok_or(FormatError::Range)?;
        let raw = self.bytes.get(at..at.saturating_add(ENTRY_BYTES)).ok_or(FormatError::Truncated)?;
        let name = raw.get(..NAME_BYTES).ok_or(FormatError::Truncated)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        let name = name.get(..end).and_then(|name| core::str::from_utf8(name).ok()).ok_or(FormatError::Range)?;
        let offset = usize::try_from(word(raw, NAME_BYTES)?).map_err(|_| FormatError::Range)?;
        let length = usize::try_from(word(raw, NAME_BYTES + 8)?).map_err(|_| FormatError::Range)?;
        let end = offset.checked_add(length).ok_or(FormatError::Range)?;
        if !offset.is_multiple_of(PAGE_SIZE as usize) || end > self.bytes.len() {
            return Err(FormatError::Range);
        }
        Ok(Entry { name, offset, length })
    }

    /// The entry called `name`.
    ///
    /// # Errors
    /// [`FormatError::Missing`], or the error of a damaged entry before it.
    pub fn find(&self, name: &str) -> Result<Entry<'a>, FormatError> {
        for entry in self.entries() {
            let entry = entry?;
            if entry.name == name {
                return Ok(entry);
            }
        }
        Err(FormatError::Missing)
    }

    /// The bytes of `entry`.
    ///
    /// # Errors
    /// [`FormatError::Range`] for an entry of another archive.
    pub fn bytes(&self, entry: &Entry<'_>) -> Result<&'a [u8], FormatError> {
        let end = entry.offset.checked_add(entry.length).ok_or(FormatError::Range)?;
        self.bytes.get(entry.offset..end).ok_or(FormatError::Range)
    }
}

/// One run of pages of an image. Encoded: virtual address u64, file offset u64, file bytes u64, pages in memory u32, flags u32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts in the program's address space, page aligned.
    pub address: u64,
    /// Where its bytes start in the image, page aligned.
    pub offset: u64,
    /// How many bytes the image has for it; the rest of its pages is zero.
    pub file_bytes: u64,
    /// How many pages it covers in memory.
    pub pages: u32,
    /// [`SEGMENT_WRITE`], [`SEGMENT_EXECUTE`].
    pub flags: u32,
}

/// A program image whose header has been checked. Encoded: magic (8), entry address u64, segment count u64, reserved u64, then the segments.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    /// Address of the first instruction.
    pub entry: u64,
    segments: usize,
}

impl<'a> Image<'a> {
    /// Checks the header and every segment: page aligned, inside the file, in the lower half, never writable and executable.
    ///
    /// # Errors
    /// [`FormatError`] with what was wrong first.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FormatError> {
        if bytes.get(..8) != Some(&IMAGE_MAGIC) {
            return Err(FormatError::Magic);
        }
        let segments = usize::try_from(word(bytes, 16)?).map_err(|_| FormatError::Range)?;
        if segments > MAX_SEGMENTS {
            return Err(FormatError::Segment);
        }
        let image = Self { bytes, entry: word(bytes, 8)?, segments };
        for index in 0..segments {
            image.check(&image.segment(index)?)?;
        }
        Ok(image)
    }

    fn check(&self, segment: &Segment) -> Result<(), FormatError> {
        let file_end = segment.offset.checked_add(segment.file_bytes).ok_or(FormatError::Range)?;
        let memory_bytes = u64::from(segment.pages) * PAGE_SIZE;
        let end = segment.address.checked_add(memory_bytes).ok_or(FormatError::Range)?;
        if file_end > self.bytes.len() as u64 || segment.file_bytes > memory_bytes || end > crate::USER_END {
            return Err(FormatError::Range);
        }
        if !segment.address.is_multiple_of(PAGE_SIZE) || !segment.offset.is_multiple_of(PAGE_SIZE) {
            return Err(FormatError::Range);
        }
        if segment.flags & SEGMENT_WRITE != 0 && segment.flags & SEGMENT_EXECUTE != 0 {
            return Err(FormatError::Segment);
        }
        Ok(())
    }

    fn segment(&self, index: usize) -> Result<Segment, FormatError> {
        let at = IMAGE_HEADER_BYTES + index * SEGMENT_BYTES;
        Ok(Segment {
            address: word(self.bytes, at)?,
            offset: word(self.bytes, at + 8)?,
            file_bytes: word(self.bytes, at + 16)?,
            pages: half(self.bytes, at + 24)?,
            flags: half(self.bytes, at + 28)?,
        })
    }

    /// The segments in file order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<'a> {
        let image = *self;
        (0..image.segments).filter_map(move |index| image.segment(index).ok())
    }

    /// The bytes of `segment`.
    #[must_use]
    pub fn bytes(&self, segment: &Segment) -> &'a [u8] {
        let start = segment.offset as usize;
        self.bytes.get(start..start.saturating_add(segment.file_bytes as usize)).unwrap_or(&[])
    }
}
