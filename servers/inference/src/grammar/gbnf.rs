//! The notation: `name ::= alternatives`, of sequences of `"text"`, `[class]`, `.`, names and groups, each with `*`, `+`, `?` or `{m,n}` behind it.
//!
//! A rule ends with its line, unless the line ends in `::=` or `|` or inside of a group. `#` begins a comment. Absent: llama.cpp's `<[token]>`.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::utf8;
use crate::error::Error;

/// How deep groups may be nested: reading and compiling recurse as deep.
const MOST_NESTED: usize = 64;
/// The rule that is the whole text.
const ROOT: &str = "root";

/// Sequences, of which one matches.
pub(super) type Alternatives = Vec<Vec<Item>>;

/// A part of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Text(Vec<u8>),
    Class(Vec<(u32, u32)>),
    Rule(usize),
    Group(Alternatives),
    Repeat { item: Box<Item>, least: u32, most: Option<u32> },
}

/// All rules; the first one is the whole text.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) names: Vec<String>,
    pub(super) rules: Vec<Alternatives>,
}

/// Reads a grammar.
pub(super) fn parse(text: &str) -> Result<Rules, Error> {
    let mut parser = Parser { rest: text, line: 1, numbers: BTreeMap::new(), names: Vec::new(), rules: Vec::new() };
    parser.number(ROOT);
    parser.space(true);
    while !parser.rest.is_empty() {
        parser.rule()?;
    }
    let Parser { names, rules, .. } = parser;
    match rules.iter().zip(&names).find(|(rule, _)| rule.is_none()) {
        Some((_, name)) => Err(Error::Grammar(format!("there is no rule {name}"))),
        None => Ok(Rules { names, rules: rules.into_iter().flatten().collect() }),
    }
}

struct Parser<'t> {
    rest: &'t str,
    line: usize,
    numbers: BTreeMap<String, usize>,
    names: Vec<String>,
    rules: Vec<Option<Alternatives>>,
}

impl<'t> Parser<'t> {
    fn error(&self, what: &str) -> Error {
        Error::Grammar(format!("line {}: {what}", self.line))
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += usize::from(next == '\n');
        Some(next)
    }

    /// Passes over `mark` if it comes next.
    fn takes(&mut self, mark: &str) -> bool {
        self.rest.strip_prefix(mark).map(|rest| self.rest = rest).is_some()
    }

    fn wants(&mut self, mark: &str) -> Result<(), Error> {
        if self.takes(mark) { Ok(()) } else { Err(self.error(&format!("{mark} is missing"))) }
    }

    /// Passes over blanks and comments, and the ends of lines where they mean nothing.
    fn space(&mut self, lines: bool) {
        loop {
            match self.rest.chars().next() {
                Some('#') => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
                Some('\n') if lines => {
                    self.next();
                }
                Some(' ' | '\t' | '\r') => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    fn while_in(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|letter| !belongs(letter)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn name(&mut self) -> &'t str {
        self.while_in(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
    }

    /// The number of the rule called `name`, which may come later.
    fn number(&mut self, name: &str) -> usize {
        *self.numbers.entry(name.to_owned()).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.rules.push(None);
            self.names.len() - 1
        })
    }

    fn rule(&mut self) -> Result<(), Error> {
        let name = self.name();
        if name.is_empty() {
            return Err(self.error("no name of a rule"));
        }
        let number = self.number(name);
        self.space(false);
        self.wants("::=")?;
        self.space(true);
        let alternatives = self.alternatives(0)?;
        if !self.rest.is_empty() && !self.takes("\n") {
            return Err(self.error("nothing that a rule is made of"));
        }
        if self.rules[number].replace(alternatives).is_some() {
            return Err(self.error(&format!("rule {name} is there twice")));
        }
        self.line += 1;
        self.space(true);
        Ok(())
    }

    fn alternatives(&mut self, depth: usize) -> Result<Alternatives, Error> {
        if depth > MOST_NESTED {
            return Err(self.error("groups are nested too deep"));
        }
        let mut all = alloc::vec![self.sequence(depth)?];
        while self.takes("|") {
            self.space(true);
            all.push(self.sequence(depth)?);
        }
        Ok(all)
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        while let Some(item) = self.item(depth)? {
            items.push(self.repeated(item)?);
            self.space(depth > 0);
        }
        Ok(items)
    }

    fn item(&mut self, depth: usize) -> Result<Option<Item>, Error> {
        Ok(Some(if self.takes("\"") {
            self.text()?
        } else if self.takes("[") {
            self.class()?
        } else if self.takes(".") {
            Item::Class(utf8::normal(&[], true))
        } else if self.takes("(") {
            self.space(true);
            let group = self.alternatives(depth + 1)?;
            self.wants(")")?;
            Item::Group(group)
        } else {
            match self.name() {
                "" => return Ok(None),
                name => Item::Rule(self.number(name)),
            }
        }))
    }

    fn text(&mut self) -> Result<Item, Error> {
        let mut bytes = Vec::new();
        while !self.takes("\"") {
            let letter = self.letter()?;
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(Item::Text(bytes))
    }

    fn class(&mut self) -> Result<Item, Error> {
        let (negated, mut ranges) = (self.takes("^"), Vec::new());
        while !self.takes("]") {
            let low = self.letter()?;
            let ends = self.rest.starts_with("-]");
            let high = if !ends && self.takes("-") { self.letter()? } else { low };
            if high < low {
                return Err(self.error("a range of characters runs backwards"));
            }
            ranges.push((low.into(), high.into()));
        }
        Ok(Item::Class(utf8::normal(&ranges, negated)))
    }

    /// A character of a text or class.
    fn letter(&mut self) -> Result<char, Error> {
        match self.next() {
            Some('\\') => self.escaped(),
            Some('\n') | None => Err(self.error("a text or class has no end")),
            Some(letter) => Ok(letter),
        }
    }

    fn escaped(&mut self) -> Result<char, Error> {
        let digits = match self.next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some('n') => return Ok('\n'),
            Some('r') => return Ok('\r'),
            Some('t') => return Ok('\t'),
            Some(letter @ ('\\' | '"' | '[' | ']' | '-' | '^')) => return Ok(letter),
            _ => return Err(self.error("nothing that can follow a backslash")),
        };
        let code = self.rest.get(..digits).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let letter = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        let letter = letter.ok_or_else(|| self.error("no number of a character"))?;
        self.rest = &self.rest[digits..];
        Ok(letter)
    }

    /// `item` with what stands behind it.
    fn repeated(&mut self, item: Item) -> Result<Item, Error> {
        let (least, most) = if self.takes("*") {
            (0, None)
        } else if self.takes("+") {
            (1, None)
        } else if self.takes("?") {
            (0, Some(1))
        } else if self.takes("{") {
            self.counts()?
        } else {
            return Ok(item);
        };
        if self.rest.starts_with(['*', '+', '?', '{']) {
            return Err(self.error("a repetition of a repetition wants a group"));
        }
        Ok(Item::Repeat { item: Box::new(item), least, most })
    }

    fn counts(&mut self) -> Result<(u32, Option<u32>), Error> {
        self.space(false);
        let least = self.count()?.unwrap_or(0);
        self.space(false);
        let most = if self.takes(",") {
            self.space(false);
            self.count()?
        } else {
            Some(least)
        };
        self.space(false);
        self.wants("}")?;
        if most.is_some_and(|most| most < least) { Err(self.error("a repetition runs backwards")) } else { Ok((least, most)) }
    }

    fn count(&mut self) -> Result<Option<u32>, Error> {
        match self.while_in(|letter| letter.is_ascii_digit()) {
            "" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| self.error("a repetition is too long")),
        }
    }
}
