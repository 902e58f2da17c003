//! Text to tokens and back, by the vocabulary in a model's file.
//!
//! Two kinds: `spm` joins pieces by score (SentencePiece), `bpe` joins bytes by rank after `split` has cut the text into words. Special tokens (control
//! and user-defined ones) are found in the text first, the longest at each place, when the caller asks for it; text from strangers must not be able to write them.
//!
//! Detokenising yields bytes: a token may hold a part of a character, which only the next one completes.

mod bpe;
mod split;
mod spm;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;
use crate::gguf::File;
use crate::value::{Array, Value};
use bpe::Bpe;
use spm::Spm;

/// What a token is, by the numbers of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Byte,
}

/// How text becomes pieces.
#[derive(Debug)]
enum Rules {
    Spm(Spm),
    Bpe(Bpe),
}

/// A model's vocabulary and the rules that go with it.
#[derive(Debug)]
pub struct Tokenizer<'a> {
    pieces: Vec<&'a [u8]>,
    roles: Vec<Role>,
    by_piece: BTreeMap<&'a [u8], u32>,
    /// Tokens that are found in text as they stand, the longest first.
    special: Vec<u32>,
    rules: Rules,
    begin: Option<u32>,
    end: Option<u32>,
    adds_begin: bool,
}

fn array<'a>(file: &File<'a>, key: &str) -> Result<Array<'a>, Error> {
    if let Some(Value::Array(array)) = file.value(key) { Ok(array) } else { Err(Error::Missing(key.to_owned())) }
}

fn role(value: Value<'_>) -> Role {
    match value.unsigned() {
        Some(2) => Role::Unknown,
        Some(3) => Role::Control,
        Some(4) => Role::UserDefined,
        Some(6) => Role::Byte,
        _ => Role::Normal,
    }
}

impl<'a> Tokenizer<'a> {
    /// Reads the vocabulary of the model in `file`.
    ///
    /// # Errors
    /// The tokenizer is not known, or its vocabulary is not whole.
    pub fn read(file: &File<'a>) -> Result<Self, Error> {
        let pieces: Vec<&[u8]> = array(file, "tokenizer.ggml.tokens")?.strings().collect();
        if u32::try_from(pieces.len()).is_err() {
            return Err(Error::Size);
        }
        let mut roles: Vec<Role> = array(file, "tokenizer.ggml.token_type").map_or_else(|_| Vec::new(), |all| all.values().map(role).collect());
        roles.resize(pieces.len(), Role::Normal);
        // The first of two equal pieces is the one that is meant. Only ordinary ones are joined from text: llama 2's `</` and `s>` would
        // make the token that ends a text.
        let ordinary = pieces.iter().zip(&roles).enumerate().filter(|(_, (_, role))| **role == Role::Normal);
        let by_piece: BTreeMap<&[u8], u32> = ordinary.rev().map(|(token, (piece, _))| (*piece, token as u32)).collect();
        let model = file.text("tokenizer.ggml.model").ok_or_else(|| Error::Missing("tokenizer.ggml.model".to_owned()))?;
        let rules = match model {
            "llama" => Rules::Spm(Spm::read(file, &pieces, &roles)?),
            "gpt2" => Rules::Bpe(Bpe::read(file, &by_piece)?),
            other => return Err(Error::Tokenizer(other.to_owned())),
        };
        let mut special: Vec<u32> =
            (0..).zip(&roles).filter(|(_, role)| matches!(role, Role::Control | Role::UserDefined)).map(|(token, _)| token).collect();
        special.retain(|token| !pieces[*token as usize].is_empty());
        special.sort_by_key(|token| core::cmp::Reverse(pieces[*token as usize].len()));
        let token = |key: &str| {
            file.value(key).and_then(Value::unsigned).and_then(|token| u32::try_from(token).ok()).filter(|token| (*token as usize) < pieces.len())
        };
        let adds_begin = match file.value("tokenizer.ggml.add_bos_token") {
            Some(Value::Bool(adds)) => adds,
            _ => model == "llama" || file.text("tokenizer.ggml.pre") == Some("llama-bpe"),
        };
        let (begin, end) = (token("tokenizer.ggml.bos_token_id"), token("tokenizer.ggml.eos_token_id"));
        Ok(Self { pieces, roles, by_piece, special, rules, begin, end, adds_begin })
    }

    /// The token before every text, where the model wants one.
    #[must_use]
    pub fn begin(&self) -> Option<u32> {
        self.begin.filter(|_| self.adds_begin)
    }

    /// The token that begins a text, whether or not the model wants it before every one.
    pub(crate) const fn begin_token(&self) -> Option<u32> {
        self.begin
    }

    /// How many tokens there are.
    pub(crate) fn count(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// The special token called `name`.
    pub(crate) fn special(&self, name: &str) -> Option<u32> {
        self.special.iter().copied().find(|token| self.pieces[*token as usize] == name.as_bytes())
    }

    /// The token that ends a text.
    #[must_use]
    pub const fn end(&self) -> Option<u32> {
        self.end
    }

    /// Tokens of `text`, without the one that begins. With `special` the names of special tokens in the text mean those tokens.
    #[must_use]
    pub fn tokens(&self, text: &str, special: bool) -> Vec<u32> {
        let mut tokens = Vec::new();
        let (mut from, mut at) = (0, 0);
        while special && at < text.len() {
            let found = self.special.iter().find(|token| text.as_bytes()[at..].starts_with(self.pieces[**token as usize]));
            if let Some(token) = found.filter(|_| text.is_char_boundary(at)) {
                self.plain(&text[from..at], from == 0, &mut tokens);
                tokens.push(*token);
                at += self.pieces[*token as usize].len();
                // A special token that is no text may end inside a character; what is left of that is passed over.
                while !text.is_char_boundary(at) {
                    at += 1;
                }
                from = at;
            } else {
                at += 1;
            }
        }
        self.plain(&text[from..], from == 0, &mut tokens);
        tokens
    }

    fn plain(&self, text: &str, first: bool, tokens: &mut Vec<u32>) {
        match &self.rules {
            _ if text.is_empty() => {}
            Rules::Spm(spm) => spm.tokens(text, first, &self.by_piece, tokens),
            Rules::Bpe(bpe) => bpe.tokens(text, tokens),
        }
    }

    /// Appends what `token` stands for. Control tokens stand for nothing. `first` says that it begins a text, where SentencePiece has put a space.
    pub fn append(&self, token: u32, first: bool, to: &mut Vec<u8>) {
        let (Some(piece), Some(role)) = (self.pieces.get(token as usize), self.roles.get(token as usize)) else { return };
        match (&self.rules, role) {
            (_, Role::Control | Role::Unknown) => {}
            (_, Role::UserDefined) => to.extend_from_slice(piece),
            (Rules::Spm(spm), Role::Byte) => to.extend(spm.byte(token)),
            (Rules::Spm(spm), _) => spm.append(piece, first, to),
            (Rules::Bpe(_), _) => bpe::append(piece, to),
        }
    }

    /// What `tokens` stand for, with what is no character replaced.
    #[must_use]
    pub fn text(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            self.append(*token, index == 0, &mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
