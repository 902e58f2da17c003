//! A boot archive for tests: one image, laid out as `abi::boot` says.

use abi::boot::{ARCHIVE_MAGIC, ENTRY_BYTES, HEADER_BYTES, IMAGE_HEADER_BYTES, IMAGE_MAGIC, NAME_BYTES, SEGMENT_BYTES, SUPERVISOR, seal};

use crate::page::PAGE_BYTES;

/// A segment of the supervisor's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies in the program's address space.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many pages it covers.
    pub pages: u32,
    /// Segment flags of `abi::boot`.
    pub flags: u32,
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn image(entry: u64, segments: &[Segment]) -> Vec<u8> {
    let mut image = vec![0; PAGE_BYTES];
    image[..8].copy_from_slice(&IMAGE_MAGIC);
    put(&mut image, 8, entry);
    put(&mut image, 16, segments.len() as u64);
    for (index, segment) in segments.iter().enumerate() {
        let at = IMAGE_HEADER_BYTES + index * SEGMENT_BYTES;
        let offset = image.len() as u64;
        put(&mut image, at, segment.address);
        put(&mut image, at + 8, offset);
        put(&mut image, at + 16, segment.bytes.len() as u64);
        put(&mut image, at + 24, u64::from(segment.pages) | u64::from(segment.flags) << 32);
        image.extend_from_slice(&segment.bytes);
        image.resize(image.len().next_multiple_of(PAGE_BYTES), 0);
    }
    image
}

/// An archive whose only entry is the supervisor's image.
#[must_use]
pub fn archive(entry: u64, segments: &[Segment]) -> Vec<u8> {
    let image = image(entry, segments);
    let mut archive = vec![0; PAGE_BYTES];
    archive[..8].copy_from_slice(&ARCHIVE_MAGIC);
    put(&mut archive, 8, 1);
    put(&mut archive, 16, (PAGE_BYTES + image.len()) as u64);
    let entry = &mut archive[HEADER_BYTES..HEADER_BYTES + ENTRY_BYTES];
    entry[..SUPERVISOR.len()].copy_from_slice(SUPERVISOR.as_bytes());
    put(entry, NAME_BYTES, PAGE_BYTES as u64);
    put(entry, NAME_BYTES + 8, image.len() as u64);
    archive.extend_from_slice(&image);
    seal(&mut archive);
    archive
}
