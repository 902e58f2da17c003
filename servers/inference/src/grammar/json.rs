//! JSON (RFC 8259), with the members of an object in their order: a schema's order is the order of what is generated.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;

/// How deep values may be nested: reading recurses as deep.
const MOST_NESTED: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// `null`, `true`, `false` or a number, as written.
    Word(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a value that is the whole `text`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser { rest: text };
        let value = parser.value(0)?;
        parser.space();
        if parser.rest.is_empty() { Ok(value) } else { Err(parser.error("something follows the value")) }
    }

    /// The member called `name`.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Appends the value as text without blanks.
    pub(super) fn write(&self, to: &mut String) {
        match self {
            Self::Word(word) => to.push_str(word),
            Self::Text(text) => write_text(text, to),
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    to.push(if index == 0 { '[' } else { ',' });
                    value.write(to);
                }
                to.push_str(if values.is_empty() { "[]" } else { "]" });
            }
            Self::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    to.push(if index == 0 { '{' } else { ',' });
                    write_text(name, to);
                    to.push(':');
                    value.write(to);
                }
                to.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

fn write_text(text: &str, to: &mut String) {
    to.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => to.extend(['\\', letter]),
            '\n' => to.push_str("\\n"),
            _ if letter.is_ascii_control() => to.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => to.push(letter),
        }
    }
    to.push('"');
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> Error {
        let near: String = self.rest.chars().take(20).collect();
        Error::Grammar(format!("the schema is not JSON: {what} at '{near}'"))
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Passes over blanks and `mark`, if that comes next.
    fn takes(&mut self, mark: &str) -> bool {
        self.space();
        self.rest.strip_prefix(mark).map(|rest| self.rest = rest).is_some()
    }

    fn value(&mut self, depth: usize) -> Result<Json, Error> {
        if depth > MOST_NESTED {
            return Err(self.error("nested too deep"));
        }
        if self.takes("{") {
            self.object(depth)
        } else if self.takes("[") {
            self.list(depth)
        } else if self.takes("\"") {
            self.text().map(Json::Text)
        } else {
            self.word()
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Error> {
        let (mut members, mut names) = (Vec::new(), alloc::collections::BTreeSet::new());
        while !self.takes("}") {
            if !members.is_empty() && !self.takes(",") || !self.takes("\"") {
                return Err(self.error("no name of a member"));
            }
            let name = self.text()?;
            if !self.takes(":") {
                return Err(self.error("no colon"));
            }
            if !names.insert(name.clone()) {
                return Err(self.error("a name is there twice"));
            }
            members.push((name, self.value(depth + 1)?));
        }
        Ok(Json::Object(members))
    }

    fn list(&mut self, depth: usize) -> Result<Json, Error> {
        let mut values = Vec::new();
        while !self.takes("]") {
            if !values.is_empty() && !self.takes(",") {
                return Err(self.error("no comma"));
            }
            values.push(self.value(depth + 1)?);
        }
        Ok(Json::List(values))
    }

    fn word(&mut self) -> Result<Json, Error> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-.".contains(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if !matches!(word, "null" | "true" | "false") && !is_number(word) {
            return Err(self.error("no value"));
        }
        self.rest = rest;
        Ok(Json::Word(word.to_owned()))
    }

    /// A text, after its first quote.
    fn text(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            let Some(letter) = self.rest.chars().next().filter(|letter| *letter >= ' ') else { return Err(self.error("a text has no end")) };
            self.rest = &self.rest[letter.len_utf8()..];
            match letter {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                _ => text.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Error> {
        let letter = self.rest.chars().next();
        self.rest = &self.rest[letter.map_or(0, char::len_utf8)..];
        Ok(match letter {
            Some('"' | '\\' | '/') => letter.unwrap_or_default(),
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.unit()?;
                let units = if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
                    self.rest = &self.rest[2..];
                    [first, self.unit()?]
                } else {
                    [first, 0]
                };
                let decoded = char::decode_utf16(units).next().and_then(Result::ok);
                decoded.ok_or_else(|| self.error("half a character"))?
            }
            _ => return Err(self.error("nothing that can follow a backslash")),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, Error> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).ok_or_else(|| self.error("no number of a character"))?;
        self.rest = &self.rest[4..];
        Ok(unit)
    }
}

/// Whether `word` is a number: an integer without needless zeros, a fraction, an exponent.
fn is_number(word: &str) -> bool {
    let (mantissa, exponent) = word.split_once(['e', 'E']).map_or((word, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> Option<String> {
        let mut to = String::new();
        Json::parse(text).ok()?.write(&mut to);
        Some(to)
    }

    #[test]
    fn values_are_read_and_written() {
        let text = r#" { "b" : [ 1 , -0.5e+3 , true ], "a\u00e9\ud83d\ude00\n" : {"x":null , "y" : [ ]} , "\"": "" } "#;
        assert_eq!(again(text).as_deref(), Some("{\"b\":[1,-0.5e+3,true],\"a\u{e9}\u{1f600}\\n\":{\"x\":null,\"y\":[]},\"\\\"\":\"\"}"));
        assert_eq!(again("\"\\u0000\\u001f\\u007f\"").as_deref(), Some("\"\\u0000\\u001f\\u007f\""));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let twice = r#"{"a":1,"a":2}"#;
        for text in ["", "01", "1.", ".5", "+1", "1e", "nul", "[1,]", "[1 2]", "{\"a\" 1}", "{,}", "\"\\ud800\"", "\"\n\"", "\"", "1 2", "NaN", twice]
        {
            assert_eq!(again(text), None, "{text}");
        }
        assert!(again(&"[".repeat(100_000)).is_none());
    }
}
