//! The numbers that describe a model, from its file's metadata, checked once.
//!
//! What a [`Config`] holds divides as it must and lies below `MOST`, so that products of a few of them cannot overflow. An architecture, and a variant
//! of one that would need other arithmetic (experts, YaRN), is refused by name rather than run wrongly.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::error::Error;
use crate::gguf::File;
use crate::value::Value;

/// Most of anything: width, layers, tokens, context.
const MOST: u64 = 1 << 22;
/// Most elements of a head.
pub(crate) const MOST_HEAD: usize = 512;
/// The base of rotary positions where the file names none.
const ROPE_BASE: f64 = 10_000.0;

/// Which two elements of a head a rotary position turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// Neighbours (llama, mistral).
    Neighbours,
    /// One from each half (qwen2).
    Halves,
}

/// The numbers of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The architecture's name, which an adapter must have too.
    pub architecture: String,
    /// Elements of the residual stream.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head: usize,
    /// Elements inside the feed-forward part.
    pub inner: usize,
    /// Tokens that the model was trained to look back on.
    pub context: usize,
    /// What is added to the mean square before its root is taken.
    pub epsilon: f32,
    /// Elements of a head that positions turn.
    pub turned: usize,
    /// How they are paired.
    pub pairs: Pairs,
    /// Base of the angles.
    pub rope_base: f64,
    /// What positions are divided by.
    pub rope_factor: f64,
}

/// Reads keys of one architecture.
struct Keys<'f, 'a> {
    file: &'f File<'a>,
    architecture: &'a str,
}

impl Keys<'_, '_> {
    fn value(&self, key: &str) -> Option<Value<'_>> {
        self.file.value(&format!("{}.{key}", self.architecture))
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let number = value.unsigned().filter(|number| (1..=MOST).contains(number));
        number.map(|number| Some(number as usize)).ok_or_else(|| Error::Value(key.to_owned()))
    }

    fn number(&self, key: &str) -> Result<usize, Error> {
        self.optional(key)?.ok_or_else(|| Error::Missing(key.to_owned()))
    }

    fn float(&self, key: &str, otherwise: f64) -> Result<f64, Error> {
        let Some(value) = self.value(key) else { return Ok(otherwise) };
        value.float().filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| Error::Value(key.to_owned()))
    }
}

impl Config {
    /// Reads the numbers of the model in `file`.
    ///
    /// # Errors
    /// The engine does not run this architecture, or a number is missing or makes no sense.
    pub fn read(file: &File<'_>) -> Result<Self, Error> {
        let architecture = file.text("general.architecture").ok_or_else(|| Error::Missing("general.architecture".to_owned()))?;
        let pairs = match architecture {
            "llama" | "mistral" => Pairs::Neighbours,
            "qwen2" => Pairs::Halves,
            other => return Err(Error::Architecture(other.to_owned())),
        };
        let keys = Keys { file, architecture };
        if keys.value("expert_count").and_then(Value::unsigned).is_some_and(|count| count > 0) {
            return Err(Error::Architecture(format!("{architecture} with experts")));
        }
        let (width, heads) = (keys.number("embedding_length")?, keys.number("attention.head_count")?);
        let head = keys.optional("attention.key_length")?.unwrap_or(width / heads);
        let config = Self {
            architecture: architecture.to_owned(),
            width,
            layers: keys.number("block_count")?,
            heads,
            kv_heads: keys.optional("attention.head_count_kv")?.unwrap_or(heads),
            head,
            inner: keys.number("feed_forward_length")?,
            context: keys.number("context_length")?,
            epsilon: keys.float("attention.layer_norm_rms_epsilon", 1e-5)? as f32,
            turned: keys.optional("rope.dimension_count")?.unwrap_or(head),
            pairs,
            rope_base: keys.float("rope.freq_base", ROPE_BASE)?,
            rope_factor: rope_factor(&keys)?,
        };
        config.check(&keys)?;
        Ok(config)
    }

    fn check(&self, keys: &Keys<'_, '_>) -> Result<(), Error> {
        let wrong = |key: &str| Err(Error::Value(key.to_owned()));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return wrong("attention.head_count_kv");
        }
        if self.head == 0 || self.head > MOST_HEAD || !self.head.is_multiple_of(2) || self.head * self.heads > MOST as usize {
            return wrong("attention.head_count");
        }
        if self.turned > self.head || !self.turned.is_multiple_of(2) {
            return wrong("rope.dimension_count");
        }
        match keys.optional("attention.value_length")? {
            Some(length) if length != self.head => wrong("attention.value_length"),
            _ => Ok(()),
        }
    }

    /// Elements of all query heads.
    #[must_use]
    pub const fn query_width(&self) -> usize {
        self.heads * self.head
    }

    /// Elements of all key heads, and of all value heads.
    #[must_use]
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head
    }
}

fn rope_factor(keys: &Keys<'_, '_>) -> Result<f64, Error> {
    match keys.value("rope.scaling.type") {
        None | Some(Value::String(b"none")) => Ok(1.0),
        Some(Value::String(b"linear")) => keys.float("rope.scaling.factor", 1.0),
        Some(Value::String(name)) => Err(Error::Architecture(format!("rope scaling {}", String::from_utf8_lossy(name)))),
        Some(_) => Err(Error::Value("rope.scaling.type".to_owned())),
    }
}
