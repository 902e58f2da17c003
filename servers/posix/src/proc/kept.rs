//! Texts of /proc that are being read: who reads a file in pieces reads one text, that of its first piece.
//!
//! A field can be longer at the next read, and a shell reads byte by byte: without this it reads a digit twice. As in Linux (`seq_file`), a text is made where a
//! read starts at 0 or not where the last one ended, and kept with the open file for the reads that follow. It is not saved: after a restart the next read
//! makes it anew. What is kept is bounded, and who keeps most files half read loses the oldest text first.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes of all kept texts.
const MOST_BYTES: usize = 256 * 1024;

/// A text, and how far it was read.
#[derive(Debug)]
struct Text {
    /// The open file that reads it.
    file: usize,
    /// Where its last read ended.
    next: u64,
    bytes: Vec<u8>,
}

/// Texts in the order of their last reads.
#[derive(Debug, Default)]
pub struct Kept(VecDeque<Text>);

impl Kept {
    /// The text for a read at `offset`, if the last read of the file ended there.
    pub fn take(&mut self, file: usize, offset: u64) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|text| text.file == file)?;
        self.0.remove(at).filter(|text| offset != 0 && text.next == offset).map(|text| text.bytes)
    }

    /// Keeps the text of a file that was read up to `next`.
    pub fn keep(&mut self, file: usize, next: u64, bytes: Vec<u8>) {
        self.0.push_back(Text { file, next, bytes });
        while self.0.iter().map(|text| text.bytes.len()).sum::<usize>() > MOST_BYTES {
            self.0.pop_front();
        }
    }

    /// The file was closed.
    pub fn forget(&mut self, file: usize) {
        self.0.retain(|text| text.file != file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_for_the_read_that_follows() {
        let mut kept = Kept::default();
        kept.keep(3, 2, b"text".to_vec());
        kept.keep(4, 1, b"other".to_vec());
        assert_eq!(kept.take(3, 2), Some(b"text".to_vec()));
        assert_eq!(kept.take(3, 2), None, "who takes it keeps it again");
        assert_eq!(kept.take(4, 2), None, "another place");
        kept.keep(4, 0, b"other".to_vec());
        assert_eq!(kept.take(4, 0), None, "from the start it is made anew");
        kept.keep(4, 1, b"other".to_vec());
        kept.forget(4);
        assert_eq!(kept.take(4, 1), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        for file in 0..5 {
            kept.keep(file, 1, [0; MOST_BYTES / 4].to_vec());
        }
        assert!(kept.take(0, 1).is_none() && (1..5).all(|file| kept.take(file, 1).is_some()));
        kept.keep(0, 1, [0; MOST_BYTES + 1].to_vec());
        assert!(kept.take(0, 1).is_none());
    }
}
