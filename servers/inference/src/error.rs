//! What can be wrong with a model's file or with a request to the engine.
//!
//! A name that came from the file is kept in the error, because "not supported" without saying what is of no use to whoever brought the file.

use alloc::string::String;
use core::fmt;

/// Why a file or a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end before what they announce.
    Truncated,
    /// The file does not begin with `GGUF`.
    NotGguf,
    /// A version other than 2 and 3, or the other byte order.
    Version(u32),
    /// A length, count or product that no file can have.
    Size,
    /// A key, or the name of a tensor, that is not UTF-8.
    NotText,
    /// A number for the type of a value that the format does not know, or an array of arrays.
    ValueType(u32),
    /// Two values or two tensors have this name.
    Twice(String),
    /// An alignment that is no power of two, or a tensor's place that is not aligned.
    Alignment,
    /// A type of tensors that the engine does not read: the tensor and the type's name, or its number.
    TensorType {
        /// The tensor.
        tensor: String,
        /// Its type.
        kind: String,
    },
    /// An architecture, or a variant of one, that the engine does not run.
    Architecture(String),
    /// The tokenizer is of a kind that the engine does not know.
    Tokenizer(String),
    /// A value is missing, or of another type than it must be.
    Missing(String),
    /// A value is there and makes no sense.
    Value(String),
    /// A tensor does not have the shape that the model's numbers ask for.
    Shape(String),
    /// An adapter that does not go with the model, and why.
    Adapter(String),
    /// A token that is not in the vocabulary.
    Token(u32),
    /// More tokens than the context holds.
    ContextFull,
    /// As many answers are being made as there is room for.
    Busy,
    /// An option of sampling has an impossible value.
    Option(&'static str),
    /// A row of logits that is not as long as the vocabulary, or holds something that is no number.
    Logits,
    /// No token is left to choose from.
    NoToken,
    /// A grammar or a schema that cannot be followed, and why.
    Grammar(String),
    /// A chat template that is not known.
    Template(String),
    /// Messages in an order that no template can write.
    Conversation,
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => to.write_str("the file is cut off"),
            Self::NotGguf => to.write_str("not a GGUF file"),
            Self::Version(version) => write!(to, "GGUF version {version} is not supported"),
            Self::Size => to.write_str("a size in the file is impossible"),
            Self::NotText => to.write_str("a name in the file is not UTF-8"),
            Self::ValueType(kind) => write!(to, "value type {kind} is not supported"),
            Self::Twice(name) => write!(to, "{name} is there twice"),
            Self::Alignment => to.write_str("the file's tensors are not aligned"),
            Self::TensorType { tensor, kind } => write!(to, "tensor {tensor} has type {kind}, which is not supported"),
            Self::Architecture(name) => write!(to, "architecture {name} is not supported"),
            Self::Tokenizer(name) => write!(to, "tokenizer {name} is not supported"),
            Self::Missing(name) => write!(to, "{name} is missing or of the wrong type"),
            Self::Value(name) => write!(to, "{name} has an impossible value"),
            Self::Shape(name) => write!(to, "tensor {name} has the wrong shape"),
            Self::Adapter(why) => write!(to, "adapter: {why}"),
            Self::Token(token) => write!(to, "token {token} is not in the vocabulary"),
            Self::ContextFull => to.write_str("the context is full"),
            Self::Busy => to.write_str("as many answers are being made as there is room for"),
            Self::Option(name) => write!(to, "{name} has an impossible value"),
            Self::Logits => to.write_str("the logits are not numbers to choose by"),
            Self::Grammar(why) => write!(to, "grammar: {why}"),
            Self::Template(name) => write!(to, "chat template {name} is not supported"),
            Self::Conversation => to.write_str("a conversation is a system message at most, then user and assistant in turn, and ends with the user"),
            Self::NoToken => to.write_str("no token is left to choose from"),
        }
    }
}

impl core::error::Error for Error {}
