//! Byte-pair encoding by ranks (GPT-2 and its heirs): within a word, the neighbours whose joining the vocabulary ranks first are joined first.
//!
//! Bytes are spelled as characters (GPT-2's table): those that print stand for themselves, the other 68 for U+0100 and on. The ranks are kept by pairs of
//! tokens, not of strings.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::array;
use super::split::{Words, words};
use crate::error::Error;
use crate::gguf::File;
use crate::value::Value;

/// Ranks of joins, and the tokens of single bytes.
#[derive(Debug)]
pub(super) struct Bpe {
    /// For two tokens: the rank of their joining, and the token that they become.
    joins: BTreeMap<(u32, u32), (u32, u32)>,
    bytes: Vec<Option<u32>>,
    /// Words that are tokens as they stand need no joining, where the tokenizer says so (llama-3).
    whole: BTreeMap<String, u32>,
    words: Words,
}

/// Whether GPT-2's table spells this byte as itself.
fn prints(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// The character that spells `byte`.
fn spelled(byte: u8) -> char {
    let shifted = (0..byte).filter(|other| !prints(*other)).count() as u32;
    if prints(byte) { char::from(byte) } else { char::from_u32(0x100 + shifted).unwrap_or(char::REPLACEMENT_CHARACTER) }
}

/// The byte that `letter` spells.
fn byte_of(letter: char) -> Option<u8> {
    match u8::try_from(letter) {
        Ok(byte) if prints(byte) => Some(byte),
        _ => (0..=u8::MAX).filter(|byte| !prints(*byte)).nth((letter as u32).checked_sub(0x100)? as usize),
    }
}

/// Appends the bytes that `piece` spells; what spells none stands for itself.
pub(super) fn append(piece: &[u8], to: &mut Vec<u8>) {
    let Ok(text) = core::str::from_utf8(piece) else { return to.extend_from_slice(piece) };
    for letter in text.chars() {
        match byte_of(letter) {
            Some(byte) => to.push(byte),
            None => to.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

impl Bpe {
    pub(super) fn read(file: &File<'_>, by_piece: &BTreeMap<&[u8], u32>) -> Result<Self, Error> {
        let name = file.text("tokenizer.ggml.pre").unwrap_or("gpt-2");
        let words = Words::of(name).ok_or_else(|| Error::Tokenizer(name.to_owned()))?;
        let mut joins = BTreeMap::new();
        for (rank, join) in (0..).zip(array(file, "tokenizer.ggml.merges")?.strings()) {
            let at = join.iter().skip(1).position(|byte| *byte == b' ').map(|at| at + 1);
            let (left, right) =
                at.and_then(|at| Some((join.get(..at)?, join.get(at + 1..)?))).ok_or_else(|| Error::Value("tokenizer.ggml.merges".to_owned()))?;
            if let (Some(one), Some(two), Some(both)) = (by_piece.get(left), by_piece.get(right), by_piece.get(&[left, right].concat()[..])) {
                joins.entry((*one, *two)).or_insert((rank, *both));
            }
        }
        let bytes = (0..=u8::MAX).map(|byte| by_piece.get(spelled(byte).encode_utf8(&mut [0; 4]).as_bytes()).copied()).collect();
        let takes_whole = words == Words::Llama3 && file.value("tokenizer.ggml.ignore_merges") != Some(Value::Bool(false));
        let whole = if takes_whole {
            by_piece.iter().filter_map(|(piece, token)| Some((core::str::from_utf8(piece).ok()?.to_owned(), *token))).collect()
        } else {
            BTreeMap::new()
        };
        Ok(Self { joins, bytes, whole, words })
    }

    /// Appends the tokens of `text`.
    pub(super) fn tokens(&self, text: &str, tokens: &mut Vec<u32>) {
        for word in words(self.words, text) {
            let spelling: String = word.bytes().map(spelled).collect();
            match self.whole.get(&spelling) {
                Some(token) => tokens.push(*token),
                None => tokens.extend(self.join(word)),
            }
        }
    }

    /// Joins the bytes of one word.
    fn join(&self, word: &str) -> Vec<u32> {
        let mut tokens: Vec<u32> = word.bytes().filter_map(|byte| self.bytes[usize::from(byte)]).collect();
        loop {
            let ranked = tokens.windows(2).enumerate().filter_map(|(at, pair)| Some((self.joins.get(&(pair[0], pair[1]))?, at)));
            let Some(((_, both), at)) = ranked.min_by_key(|((rank, _), at)| (*rank, *at)) else { return tokens };
            tokens[at] = *both;
            tokens.remove(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(spelled(byte)), Some(byte));
        }
        assert_eq!((spelled(b' '), spelled(b'\n'), spelled(0xad)), ('\u{120}', '\u{10a}', '\u{143}'));
    }
}
