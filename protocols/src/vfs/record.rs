//! Directory entries as bytes.
//!
//! A record is laid out as Linux's `struct linux_dirent64`: inode u64, cookie of the entry after it u64, length of the record u16, kind u8, the name, a
//! zero, and zeros up to a multiple of 8. It is as good as any other layout, and the lease of a program's own buffer can be lent on for it.

use super::{Kind, MAX_NAME};

/// Bytes before the name.
pub const RECORD_HEADER: usize = 19;

/// One directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Inode number.
    pub inode: u64,
    /// Cookie with which reading goes on after this entry.
    pub next: u64,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'a [u8],
}

/// Bytes of a record with a name of `name` bytes.
#[must_use]
pub const fn record_length(name: usize) -> usize {
    (RECORD_HEADER + name + 1).next_multiple_of(8)
}

/// Encodes `record` at the start of `buffer`; its length, or nothing if there is no room.
#[must_use]
pub fn encode_record(record: &Record<'_>, buffer: &mut [u8]) -> Option<usize> {
    let length = record_length(record.name.len());
    let buffer = buffer.get_mut(..length)?;
    buffer.fill(0);
    buffer.get_mut(..8)?.copy_from_slice(&record.inode.to_le_bytes());
    buffer.get_mut(8..16)?.copy_from_slice(&record.next.to_le_bytes());
    buffer.get_mut(16..18)?.copy_from_slice(&u16::try_from(length).ok()?.to_le_bytes());
    *buffer.get_mut(18)? = record.kind as u8;
    buffer.get_mut(RECORD_HEADER..RECORD_HEADER + record.name.len())?.copy_from_slice(record.name);
    Some(length)
}

/// The records in `bytes`; ends at the first that is none.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Of a buffer that [`super::Request::ReadDirectory`] filled.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn word(&self, at: usize) -> Option<u64> {
        self.bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let inode = self.word(0)?;
        let next = self.word(8)?;
        let length = usize::from(u16::from_le_bytes(self.bytes.get(16..18)?.try_into().ok()?));
        let kind = Kind::from_number(*self.bytes.get(18)?)?;
        let name = self.bytes.get(RECORD_HEADER..length)?;
        let end = name.iter().position(|byte| *byte == 0).filter(|end| *end <= MAX_NAME)?;
        self.bytes = self.bytes.get(length..)?;
        Some(Record { inode, next, kind, name: name.get(..end)? })
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, Records, encode_record};
    use crate::vfs::Kind;

    #[test]
    fn records_round_trip() {
        let records = [
            Record { inode: 7, next: 1 << 40, kind: Kind::Directory, name: b"." },
            Record { inode: u64::MAX, next: 3, kind: Kind::Symlink, name: &[b'x'; 255] },
        ];
        let mut buffer = [0xff; 400];
        let mut used = 0;
        for record in &records {
            used += encode_record(record, &mut buffer[used..]).expect("room");
        }
        assert_eq!(used % 8, 0);
        assert_eq!(Records::new(&buffer[..used]).collect::<Vec<_>>(), records);
    }

    #[test]
    fn record_without_room_is_not_encoded() {
        let record = Record { inode: 7, next: 2, kind: Kind::File, name: b"12345" };
        assert_eq!(encode_record(&record, &mut [0; 31]), None);
        assert_eq!(encode_record(&record, &mut [0; 32]), Some(32));
    }

    #[test]
    fn damaged_records_end_the_iteration() {
        let record = Record { inode: 7, next: 2, kind: Kind::File, name: b"name" };
        let mut buffer = [0; 24];
        assert_eq!(encode_record(&record, &mut buffer), Some(24));
        for length in 0..24 {
            assert_eq!(Records::new(&buffer[..length]).next(), None);
        }
        buffer[16] = 5;
        assert_eq!(Records::new(&buffer).next(), None);
    }
}
