//! A vocabulary's tokens as a grammar sees them: bytes, in an order in which tokens that begin alike are neighbours.

use alloc::vec::Vec;

use crate::tokenizer::Tokenizer;

/// All tokens' bytes.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    pub(super) tokens: Vec<Token>,
    bytes: Vec<u8>,
    pub(super) end: Option<u32>,
}

/// A token that stands for some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) number: u32,
    /// Bytes that it has in common with the one before.
    pub(super) shared: usize,
    start: usize,
    length: usize,
}

impl Vocabulary {
    /// The tokens of a tokenizer.
    #[must_use]
    pub fn new(tokenizer: &Tokenizer<'_>) -> Self {
        let text = |token: u32| {
            let mut bytes = Vec::new();
            tokenizer.append(token, false, &mut bytes);
            bytes
        };
        Self::of((0..tokenizer.count()).map(text), tokenizer.end())
    }

    /// Tokens by their bytes, and the one that ends a text. Tokens without bytes are never allowed by a grammar.
    #[must_use]
    pub fn of(texts: impl Iterator<Item = Vec<u8>>, end: Option<u32>) -> Self {
        let mut sorted: Vec<(Vec<u8>, u32)> = texts.zip(0..).filter(|(text, token)| !text.is_empty() && Some(*token) != end).collect();
        sorted.sort_unstable();
        let (mut tokens, mut bytes, mut before): (Vec<Token>, Vec<u8>, &[u8]) = (Vec::new(), Vec::new(), &[]);
        for (text, number) in &sorted {
            let shared = before.iter().zip(text).take_while(|(one, other)| one == other).count();
            tokens.push(Token { number: *number, shared, start: bytes.len(), length: text.len() });
            bytes.extend_from_slice(text);
            before = text;
        }
        Self { tokens, bytes, end }
    }

    /// The bytes of the token `number`; none of one that a grammar never allows.
    #[must_use]
    pub fn bytes_of(&self, number: u32) -> &[u8] {
        self.tokens.iter().find(|token| token.number == number).map_or(&[], |token| self.text(token))
    }

    /// The bytes of `token`.
    pub(super) fn text(&self, token: &Token) -> &[u8] {
        &self.bytes[token.start..token.start + token.length]
    }
}
