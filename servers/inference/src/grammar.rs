//! Grammars that a text must follow, in llama.cpp's notation (GBNF), and which tokens may come next.
//!
//! [`Grammar::parse`] reads the notation (`gbnf`) and turns it into a network of byte ranges, branches and calls (`network`); characters are cut into
//! their UTF-8 bytes there, so that a token that holds a part of a character is nothing special. A [`Matcher`] follows the network with a stack for
//! the calls, all ways at once, and [`Matcher::mask`] forbids the tokens of a [`Vocabulary`] by which no way goes on. [`schema`] writes the
//! grammar of a JSON schema.
//!
//! A grammar may come from anybody. Left recursion, nesting, repetition counts, ambiguity and stacks have bounds, each with an error in words;
//! nothing here recurses deeper than the groups of the notation may be nested.

mod gbnf;
mod json;
mod matcher;
mod network;
pub mod schema;
mod utf8;
mod vocabulary;

pub use matcher::Matcher;
pub use vocabulary::Vocabulary;

use crate::error::Error;
use network::Network;

/// A grammar, ready to be followed.
#[derive(Clone, Debug)]
pub struct Grammar {
    network: Network,
}

impl Grammar {
    /// Reads a grammar, whose rule `root` is the whole text.
    ///
    /// # Errors
    /// The notation is wrong, a rule is missing or begins with itself, or the grammar is too large.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rules = gbnf::parse(text)?;
        Ok(Self { network: Network::new(&rules)? })
    }
}
