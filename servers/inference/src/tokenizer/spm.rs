//! SentencePiece's byte-pair rule: of all neighbours that join to a piece of the vocabulary, those with the best score are joined first, the leftmost
//! of equals; what no piece covers in the end becomes bytes.
//!
//! Spaces are written as U+2581, and one is put before the text. A heap holds the candidates, so that long texts take n log n; a candidate whose
//! sides have changed since it was made is recognised by its length.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Role, array};
use crate::error::Error;
use crate::gguf::File;
use crate::value::Value;

/// How a space is written in pieces.
const SPACE: &str = "\u{2581}";
/// No neighbour.
const NONE: usize = usize::MAX;

/// Scores, and which token stands for which byte.
#[derive(Debug)]
pub(super) struct Spm {
    scores: Vec<f32>,
    bytes: Vec<Option<u32>>,
    unknown: u32,
    adds_space: bool,
}

/// A stretch of the text that is one piece so far, `length` being 0 when it has been joined to the one before.
struct Part {
    start: usize,
    length: usize,
    before: usize,
    after: usize,
}

/// Two neighbours that make a piece.
struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The byte of a piece such as `<0x0A>`.
fn byte_of(piece: &[u8]) -> Option<u8> {
    let digits = piece.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

impl Spm {
    pub(super) fn read(file: &File<'_>, pieces: &[&[u8]], roles: &[Role]) -> Result<Self, Error> {
        let score = |value: Value<'_>| value.float().unwrap_or(0.0) as f32;
        let scores: Vec<f32> = array(file, "tokenizer.ggml.scores")?.values().map(score).collect();
        if scores.len() != pieces.len() {
            return Err(Error::Value("tokenizer.ggml.scores".to_owned()));
        }
        let mut bytes = alloc::vec![None; 256];
        for ((token, piece), role) in (0..).zip(pieces).zip(roles) {
            if let (Role::Byte, Some(byte)) = (role, byte_of(piece)) {
                bytes[usize::from(byte)] = Some(token);
            }
        }
        let unknown = file.value("tokenizer.ggml.unknown_token_id").and_then(Value::unsigned).and_then(|token| u32::try_from(token).ok());
        let adds_space = file.value("tokenizer.ggml.add_space_prefix") != Some(Value::Bool(false));
        Ok(Self { scores, bytes, unknown: unknown.unwrap_or(0), adds_space })
    }

    /// Appends the tokens of `text`, before which a space belongs when it is the `first` of its kind.
    pub(super) fn tokens(&self, text: &str, first: bool, by_piece: &BTreeMap<&[u8], u32>, tokens: &mut Vec<u32>) {
        let mut spelled = if first && self.adds_space { String::from(SPACE) } else { String::new() };
        spelled.push_str(&text.replace(' ', SPACE));
        let bytes = spelled.as_bytes();
        let mut parts = letters(&spelled);
        let mut heap = BinaryHeap::new();
        let candidate = |parts: &[Part], left: usize, right: usize| {
            let (start, length) = (parts.get(left)?.start, parts.get(left)?.length + parts.get(right)?.length);
            let token = by_piece.get(&bytes[start..start + length])?;
            Some(Candidate { score: *self.scores.get(*token as usize)?, left, right, length })
        };
        heap.extend((1..parts.len()).filter_map(|right| candidate(&parts, right - 1, right)));
        while let Some(Candidate { left, right, length, .. }) = heap.pop() {
            if parts[left].length == 0 || parts[right].length == 0 || parts[left].length + parts[right].length != length {
                continue;
            }
            join(&mut parts, left, right);
            heap.extend(candidate(&parts, parts[left].before, left));
            heap.extend(candidate(&parts, left, parts[left].after));
        }
        for part in parts.iter().filter(|part| part.length > 0) {
            self.finish(&bytes[part.start..part.start + part.length], by_piece, tokens);
        }
    }

    fn finish(&self, piece: &[u8], by_piece: &BTreeMap<&[u8], u32>, tokens: &mut Vec<u32>) {
        match by_piece.get(piece) {
            Some(token) => tokens.push(*token),
            None => tokens.extend(piece.iter().map(|byte| self.bytes[usize::from(*byte)].unwrap_or(self.unknown))),
        }
    }

    /// The byte that `token` stands for.
    pub(super) fn byte(&self, token: u32) -> Option<u8> {
        (0..=u8::MAX).find(|byte| self.bytes[usize::from(*byte)] == Some(token))
    }

    /// Appends the text of `piece`, without the space that was put before the text.
    pub(super) fn append(&self, piece: &[u8], first: bool, to: &mut Vec<u8>) {
        let mut rest = piece;
        if first && self.adds_space {
            rest = rest.strip_prefix(SPACE.as_bytes()).unwrap_or(rest);
        }
        while let Some((byte, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(SPACE.as_bytes()) {
                to.push(b' ');
                rest = after;
            } else {
                to.push(*byte);
                rest = after;
            }
        }
    }
}

/// One part for each character.
fn letters(text: &str) -> Vec<Part> {
    let count = text.chars().count();
    let part = |(index, (start, letter)): (usize, (usize, char))| Part {
        start,
        length: letter.len_utf8(),
        before: index.checked_sub(1).unwrap_or(NONE),
        after: if index + 1 < count { index + 1 } else { NONE },
    };
    text.char_indices().enumerate().map(part).collect()
}

fn join(parts: &mut [Part], left: usize, right: usize) {
    let after = parts[right].after;
    parts[left].length += parts[right].length;
    parts[left].after = after;
    parts[right].length = 0;
    if let Some(next) = parts.get_mut(after) {
        next.before = left;
    }
}
