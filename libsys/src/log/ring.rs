//! The last of an instance's log, kept in a page of its own, where the supervisor finds it when the instance is dead.
//!
//! The page is a count of all bytes ever written, and a ring of the last [`ROOM`] of them. Writers reserve their place with one addition, so two threads do
//! not write over each other; a reader beside them may see a line that is not finished, never a wrong length.
#![allow(unsafe_code, reason = "writes a page that the supervisor mapped")]

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use abi::PAGE_SIZE;

use crate::layout;

const COUNT_BYTES: usize = size_of::<u64>();
/// Bytes that are kept.
pub const ROOM: usize = layout::LOG_BYTES as usize - COUNT_BYTES;

/// The page, without its last words, which are not the log's.
#[derive(Debug)]
#[repr(C)]
struct Ring {
    count: AtomicU64,
    bytes: [AtomicU8; ROOM],
}

const _: () = assert!(size_of::<Ring>() == layout::LOG_BYTES as usize);

impl Ring {
    fn append(&self, bytes: &[u8]) {
        let start = self.count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        for (position, byte) in (start..).zip(bytes) {
            if let Some(place) = self.bytes.get((position % ROOM as u64) as usize) {
                place.store(*byte, Ordering::Relaxed);
            }
        }
    }
}

/// Appends to this instance's page. Only for an instance that the supervisor started.
#[cfg(target_os = "none")]
pub(super) fn append(bytes: &[u8]) {
    // SAFETY: the supervisor maps this page, zeroed and writable, for the life of every instance that it starts; all access is atomic.
    let ring = unsafe { &*core::ptr::with_exposed_provenance::<Ring>(layout::LOG as usize) };
    ring.append(bytes);
}

#[cfg(not(target_os = "none"))]
pub(super) fn append(_bytes: &[u8]) {
    let _there_is_no_page = (layout::LOG, Ring::append);
}

/// What a copy of such a page has from byte `from` on: at most `room` bytes are put out, the last ones if `from` is [`u64::MAX`]. Returns where the
/// next ones begin.
pub fn read(page: &[u8; PAGE_SIZE as usize], from: u64, room: usize, mut put: impl FnMut(u8)) -> u64 {
    let (count, bytes) = page.split_at(COUNT_BYTES);
    let count = count.try_into().map_or(0, u64::from_le_bytes);
    let oldest = count.saturating_sub(ROOM as u64);
    let start = if from == u64::MAX { count.saturating_sub(room as u64) } else { from.min(count) }.max(oldest);
    let end = count.min(start.saturating_add(room as u64));
    (start..end).filter_map(|position| bytes.get((position % ROOM as u64) as usize)).for_each(|byte| put(*byte));
    end
}

#[cfg(test)]
mod tests {
    use super::{ROOM, Ring, read};
    use abi::PAGE_SIZE;
    use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
    use std::vec::Vec;

    fn ring() -> Ring {
        Ring { count: AtomicU64::new(0), bytes: [const { AtomicU8::new(0) }; ROOM] }
    }

    fn copy(ring: &Ring) -> [u8; PAGE_SIZE as usize] {
        let mut page = [0; PAGE_SIZE as usize];
        page[..8].copy_from_slice(&ring.count.load(Ordering::Relaxed).to_le_bytes());
        page[8..].iter_mut().zip(&ring.bytes).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
        page
    }

    fn got(ring: &Ring, from: u64, room: usize) -> (Vec<u8>, u64) {
        let mut bytes = Vec::new();
        let next = read(&copy(ring), from, room, |byte| bytes.push(byte));
        (bytes, next)
    }

    #[test]
    fn what_was_written_is_read_in_parts_and_from_the_end() {
        let ring = ring();
        assert_eq!(got(&ring, 0, 10), (Vec::new(), 0));
        ring.append(b"one\ntwo\n");
        assert_eq!(got(&ring, 0, 5), (b"one\nt".to_vec(), 5));
        assert_eq!(got(&ring, 5, 99), (b"wo\n".to_vec(), 8));
        assert_eq!(got(&ring, u64::MAX, 4), (b"two\n".to_vec(), 8));
        assert_eq!(got(&ring, 700, 4), (Vec::new(), 8), "a successor's log begins anew");
    }

    #[test]
    fn only_the_last_bytes_are_kept() {
        let ring = ring();
        (0..3000u32).for_each(|line| ring.append(std::format!("{line}\n").as_bytes()));
        let (bytes, next) = got(&ring, 0, usize::MAX);
        assert_eq!((bytes.len(), next), (ROOM, ring.count.load(Ordering::Relaxed)));
        assert!(bytes.ends_with(b"2998\n2999\n"));
    }
}
