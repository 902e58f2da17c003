//! The archive that the root file system comes in: cpio in its `newc` form, as `man 5 cpio` describes it.
//!
//! The archive is foreign bytes. Every field is checked before it is used, nothing is copied, and what is wrong is an error with words for the log.
//! An entry is a header of 110 bytes (magic and thirteen numbers in hexadecimal), its path with a zero, and its data, each padded to four bytes.

use core::fmt;

use protocols::vfs::Kind;

const HEADER: usize = 110;
const FIELDS: usize = 13;
const TRAILER: &[u8] = b"TRAILER!!!";

/// Why an archive cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// An entry does not start with `070701` or `070702`.
    Magic,
    /// It ends within an entry.
    Truncated,
    /// A number is not hexadecimal.
    Number,
    /// A path is empty, has no zero at its end, has one before it, or has a part `..`.
    Path,
    /// An entry is of no known kind.
    Kind,
    /// It ends without its trailer.
    Trailer,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Magic => "an entry does not start with the magic number of cpio's newc form",
            Self::Truncated => "it ends within an entry",
            Self::Number => "a number in a header is not hexadecimal",
            Self::Path => "a path is empty, not ended by a zero, or has a part `..`",
            Self::Kind => "an entry is neither file, directory, link, device, pipe nor socket",
            Self::Trailer => "it ends without its trailer",
        })
    }
}

/// One file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, with whatever slashes and dots it had at its start; no part is `..`.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// The twelve permission bits.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How many names it has in the archive.
    pub links: u32,
    /// Inode and device in the archive: what names of one file have in common.
    pub identity: (u32, u32, u32),
    /// Last change, in seconds since 1970.
    pub modified: u32,
    /// Linux's device number, of a device node.
    pub device: u32,
    /// A file's bytes; what a symbolic link says.
    pub data: &'a [u8],
}

/// Iterates over the entries; ends at the trailer or after the first error.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Archive<'a> {
    /// An archive that starts with the first of `bytes`; what follows its trailer is not looked at.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, ended: false }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ArchiveError> {
        let end = self.at.checked_add(length).ok_or(ArchiveError::Truncated)?;
        let bytes = self.bytes.get(self.at..end).ok_or(ArchiveError::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// Padding at the very end may be missing.
    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4).min(self.bytes.len());
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, ArchiveError> {
        if self.at == self.bytes.len() {
            return Err(ArchiveError::Trailer);
        }
        let header = self.take(HEADER)?;
        let (magic, numbers) = header.split_at(6);
        if magic != b"070701" && magic != b"070702" {
            return Err(ArchiveError::Magic);
        }
        let [inode, mode, uid, gid, links, modified, size, major, minor, device_major, device_minor, name_size, _check] = fields(numbers)?;
        let name = self.take(name_size as usize)?;
        self.align();
        let path = path(name)?;
        let data = self.take(size as usize)?;
        self.align();
        if path == TRAILER {
            return Ok(None);
        }
        let kind = u8::try_from(mode >> 12).ok().and_then(Kind::from_number).ok_or(ArchiveError::Kind)?;
        let permissions = (mode & 0o7777) as u16;
        let device = device_number(device_major, device_minor);
        Ok(Some(Entry { path, kind, permissions, uid, gid, links, identity: (inode, major, minor), modified, device, data }))
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Entry<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

fn fields(bytes: &[u8]) -> Result<[u32; FIELDS], ArchiveError> {
    let mut fields = [0; FIELDS];
    for (field, digits) in fields.iter_mut().zip(bytes.chunks(8)) {
        for digit in digits {
            let value = char::from(*digit).to_digit(16).ok_or(ArchiveError::Number)?;
            *field = *field << 4 | value;
        }
    }
    Ok(fields)
}

fn path(name: &[u8]) -> Result<&[u8], ArchiveError> {
    let (last, path) = name.split_last().ok_or(ArchiveError::Path)?;
    let parent = path.split(|byte| *byte == b'/').any(|part| part == b"..");
    if *last != 0 || path.is_empty() || path.contains(&0) || parent { Err(ArchiveError::Path) } else { Ok(path) }
}

/// Linux's 32-bit encoding of a device number (`new_encode_dev`).
const fn device_number(major: u32, minor: u32) -> u32 {
    minor & 0xff | (major & 0xfff) << 8 | (minor & 0x000f_ff00) << 12
}

#[cfg(test)]
mod tests {
    use super::{Archive, ArchiveError, Entry};
    use proptest::prelude::{Just, any, prop, proptest};
    use protocols::vfs::Kind;

    /// Writes archives for tests.
    fn pack(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let trailer = Entry { path: super::TRAILER, ..file(b"x", b"") };
        for entry in entries.iter().chain([&trailer]) {
            let mode = entry.kind.mode_bits() | u32::from(entry.permissions);
            let (inode, major, minor) = entry.identity;
            let (device_major, device_minor) = (entry.device >> 8 & 0xfff, entry.device & 0xff);
            let fields = [
                inode,
                mode,
                entry.uid,
                entry.gid,
                entry.links,
                entry.modified,
                entry.data.len() as u32,
                major,
                minor,
                device_major,
                device_minor,
                entry.path.len() as u32 + 1,
                0,
            ];
            bytes.extend_from_slice(b"070701");
            for field in fields {
                bytes.extend_from_slice(format!("{field:08X}").as_bytes());
            }
            for part in [&[entry.path, &[0]].concat(), entry.data] {
                bytes.extend_from_slice(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes
    }

    /// A plain file for tests.
    const fn file<'a>(path: &'a [u8], data: &'a [u8]) -> Entry<'a> {
        Entry { path, kind: Kind::File, permissions: 0o644, uid: 0, gid: 0, links: 1, identity: (1, 2, 3), modified: 5, device: 0, data }
    }

    fn entries(bytes: &[u8]) -> Result<Vec<Entry<'_>>, ArchiveError> {
        Archive::new(bytes).collect()
    }

    #[test]
    fn entries_round_trip() {
        let device = Entry { kind: Kind::CharacterDevice, device: 5 << 8 | 1, ..file(b"./dev/console", b"") };
        let all = [file(b"a", b"12345"), device, file(b"dir/b", b"")];
        assert_eq!(entries(&pack(&all)), Ok(all.to_vec()));
    }

    #[test]
    fn every_cut_of_an_archive_is_an_error() {
        let bytes = pack(&[file(b"a", b"12345"), file(b"name", b"x")]);
        let end = bytes.len() - 3;
        for length in 0..end {
            assert!(entries(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn bad_paths_and_numbers_are_errors() {
        assert_eq!(entries(&pack(&[file(b"a/../b", b"")])), Err(ArchiveError::Path));
        assert_eq!(entries(&pack(&[file(b"a\0b", b"")])), Err(ArchiveError::Path));
        assert_eq!(entries(&pack(&[file(b"", b"")])), Err(ArchiveError::Path));
        let mut bytes = pack(&[file(b"a", b"")]);
        bytes[20] = b'g';
        assert_eq!(entries(&bytes), Err(ArchiveError::Number));
        bytes[0] = b'1';
        assert_eq!(entries(&bytes), Err(ArchiveError::Magic));
    }

    #[test]
    fn large_device_numbers_are_encoded_as_linux_does() {
        assert_eq!(super::device_number(0x123, 0xabcde), 0xabc1_23de);
    }

    proptest! {
        #[test]
        fn damaged_archives_never_panic(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            base in Just(pack(&[file(b"a", b"12345"), file(b"dir/b", b"data")])),
        ) {
            let mut bytes = base;
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = entries(&bytes);
            let _ = entries(&bytes[..cut.index(bytes.len())]);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = entries(&bytes);
        }
    }
}
