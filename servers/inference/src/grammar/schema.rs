//! JSON schemas as grammars: every text that follows [`grammar`]'s grammar is JSON that the schema allows.
//!
//! Not every allowed text follows it: members come in the order of the schema, none but those that it names where it names any, blanks are few, and
//! numbers have at most 16 digits. Understood are `type`, `properties`, `required`, `additionalProperties` (`false`, or `true` where no member is
//! named), `items`, `minItems`, `maxItems`, `minLength`, `maxLength`, `enum`, `const`, `anyOf` and `$ref` inside of the document. Any other keyword
//! that says what is allowed is refused by name, never passed over.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::json::Json;
use crate::error::Error;

/// Keywords that say nothing about what is allowed.
const ANNOTATIONS: [&str; 12] =
    ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment", "$defs", "definitions"];

/// Rules for what has no schema of its own.
const BASE: &str = r#"space ::= | " " | "\n" [ \t]{0,20}
value ::= object | array | string | number | boolean | null
object ::= "{" space (pair ("," space pair)*)? space "}"
pair ::= string ":" space value
array ::= "[" space (value ("," space value)*)? space "]"
string ::= "\"" char* "\""
char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-Ce-fE-F] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?
boolean ::= "true" | "false"
null ::= "null"
"#;

/// The grammar of a schema, in llama.cpp's notation.
///
/// # Errors
/// The text is no JSON, a keyword is not supported or has an impossible value.
pub fn grammar(schema: &str) -> Result<String, Error> {
    let document = Json::parse(schema)?;
    let mut writer = Writer { document: &document, rules: String::from(BASE), count: 0, references: BTreeMap::new(), todo: VecDeque::new() };
    let root = writer.reference("#")?;
    while let Some((rule, schema)) = writer.todo.pop_front() {
        let is = writer.schema(schema)?;
        writer.rules.push_str(&format!("{rule} ::= {is}\n"));
    }
    Ok(format!("root ::= {root}\n{}", writer.rules))
}

fn refused(what: &str, why: &str) -> Error {
    Error::Grammar(format!("schema: {what} {why}"))
}

/// A text of the notation.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value as a text of the notation.
fn constant(value: &Json) -> String {
    let mut text = String::new();
    value.write(&mut text);
    literal(&text)
}

struct Writer<'s> {
    document: &'s Json,
    rules: String,
    count: usize,
    /// Rules of the schemas that are referred to.
    references: BTreeMap<String, String>,
    todo: VecDeque<(String, &'s Json)>,
}

impl<'s> Writer<'s> {
    /// A name that no rule has yet.
    fn name(&mut self) -> String {
        self.count += 1;
        format!("r{}", self.count)
    }

    /// Adds a rule, and returns its name.
    fn rule(&mut self, is: &str) -> String {
        let name = self.name();
        self.rules.push_str(&format!("{name} ::= {is}\n"));
        name
    }

    /// What a schema allows, as the right side of a rule.
    fn schema(&mut self, schema: &'s Json) -> Result<String, Error> {
        let members = match schema {
            Json::Object(members) => members,
            Json::Word(word) if word == "true" => return Ok("value".to_owned()),
            _ => return Err(refused("a schema", "is neither an object nor true")),
        };
        let only = |allowed: &[&str]| {
            let foreign = members.iter().find(|(name, _)| !allowed.contains(&&**name) && !ANNOTATIONS.contains(&&**name));
            foreign.map_or(Ok(()), |(name, _)| Err(refused(name, "is not supported here")))
        };
        if let Some(target) = schema.member("$ref") {
            only(&["$ref"])?;
            let Json::Text(target) = target else { return Err(refused("$ref", "is no text")) };
            return self.reference(target);
        }
        if let Some(value) = schema.member("const") {
            only(&["const"])?;
            return Ok(constant(value));
        }
        if let Some(values) = schema.member("enum") {
            only(&["enum"])?;
            return Ok(some_of("enum", values)?.iter().map(constant).collect::<Vec<_>>().join(" | "));
        }
        if let Some(schemas) = schema.member("anyOf") {
            only(&["anyOf"])?;
            let rules = some_of("anyOf", schemas)?.iter().map(|schema| self.child(schema)).collect::<Result<Vec<_>, _>>()?;
            return Ok(rules.join(" | "));
        }
        let types = types(schema)?;
        only(&types.iter().flat_map(|kind| keywords(kind)).chain(&["type"]).copied().collect::<Vec<_>>())?;
        let ways = types.iter().map(|kind| self.kind(kind, schema)).collect::<Result<Vec<_>, _>>()?;
        Ok(if ways.is_empty() { "value".to_owned() } else { ways.join(" | ") })
    }

    /// The rule of a schema inside of another.
    fn child(&mut self, schema: &'s Json) -> Result<String, Error> {
        let is = self.schema(schema)?;
        Ok(self.rule(&is))
    }

    /// The rule of the schema that `target` points to (RFC 6901, in a fragment).
    fn reference(&mut self, target: &str) -> Result<String, Error> {
        if let Some(rule) = self.references.get(target) {
            return Ok(rule.clone());
        }
        let path = target.strip_prefix('#').ok_or_else(|| refused(target, "is outside of the schema"))?;
        let mut schema = self.document;
        for step in path.split('/').skip(1) {
            let name = step.replace("~1", "/").replace("~0", "~");
            schema = schema.member(&name).ok_or_else(|| refused(target, "points to nothing"))?;
        }
        let rule = self.name();
        self.references.insert(target.to_owned(), rule.clone());
        self.todo.push_back((rule.clone(), schema));
        Ok(rule)
    }

    fn kind(&mut self, kind: &str, schema: &'s Json) -> Result<String, Error> {
        match kind {
            "object" => self.object(schema),
            "array" => self.array(schema),
            "string" => {
                let (least, most) = bounds(schema, "minLength", "maxLength")?;
                Ok(if (least, most) == (0, None) { "string".to_owned() } else { format!("\"\\\"\" char{} \"\\\"\"", times(least, most)) })
            }
            "integer" | "number" | "boolean" | "null" => Ok(kind.to_owned()),
            _ => Err(refused(kind, "is no type")),
        }
    }

    /// Members in order. Two rules for the rest behind each member, because a comma is needed only after another one.
    fn object(&mut self, schema: &'s Json) -> Result<String, Error> {
        let named: &[(String, Json)] = match schema.member("properties") {
            Some(Json::Object(members)) => members,
            Some(_) => return Err(refused("properties", "is no object")),
            None => &[],
        };
        let required = required(schema, named)?;
        match schema.member("additionalProperties") {
            None if named.is_empty() => return Ok("object".to_owned()),
            Some(Json::Word(word)) if word == "true" && named.is_empty() => return Ok("object".to_owned()),
            Some(Json::Word(word)) if word == "false" => {}
            None => {}
            Some(_) => return Err(refused("additionalProperties", "is neither false nor true without properties")),
        }
        let (mut first, mut rest) = (literal(""), literal(""));
        for (name, schema) in named.iter().rev() {
            let value = self.child(schema)?;
            let member = self.rule(&format!("{} \":\" space {value}", constant(&Json::Text(name.clone()))));
            let (with_first, with_rest) = (format!("{member} {rest}"), format!("\",\" space {member} {rest}"));
            if required.contains(&&**name) {
                (first, rest) = (self.rule(&with_first), self.rule(&with_rest));
            } else {
                (first, rest) = (self.rule(&format!("{with_first} | {first}")), self.rule(&format!("{with_rest} | {rest}")));
            }
        }
        Ok(format!("\"{{\" space {first} space \"}}\""))
    }

    fn array(&mut self, schema: &'s Json) -> Result<String, Error> {
        let item = schema.member("items").map_or_else(|| Ok("value".to_owned()), |items| self.child(items))?;
        let (least, most) = bounds(schema, "minItems", "maxItems")?;
        if most == Some(0) {
            return Ok("\"[\" space \"]\"".to_owned());
        }
        let more = times(least.saturating_sub(1), most.map(|most| most - 1));
        let optional = if least == 0 { "?" } else { "" };
        Ok(format!("\"[\" space ({item} (\",\" space {item}){more}){optional} space \"]\""))
    }
}

/// A list that is not empty.
fn some_of<'s>(name: &str, values: &'s Json) -> Result<&'s [Json], Error> {
    if let Json::List(values) = values
        && !values.is_empty()
    {
        Ok(values)
    } else {
        Err(refused(name, "is no list of something"))
    }
}

/// The types that a schema allows; none when it does not say.
fn types(schema: &Json) -> Result<Vec<&str>, Error> {
    let name = |value: &'_ Json| matches!(value, Json::Text(_));
    match schema.member("type") {
        Some(Json::Text(kind)) => Ok(alloc::vec![kind]),
        Some(Json::List(kinds)) if !kinds.is_empty() && kinds.iter().all(name) => {
            Ok(kinds.iter().filter_map(|kind| if let Json::Text(kind) = kind { Some(&**kind) } else { None }).collect())
        }
        Some(_) => Err(refused("type", "is no name of a type")),
        None if schema.member("properties").is_some() => Ok(alloc::vec!["object"]),
        None if schema.member("items").is_some() => Ok(alloc::vec!["array"]),
        None => Ok(Vec::new()),
    }
}

/// What a schema for a type may say.
fn keywords(kind: &str) -> &'static [&'static str] {
    match kind {
        "object" => &["properties", "required", "additionalProperties"],
        "array" => &["items", "minItems", "maxItems"],
        "string" => &["minLength", "maxLength"],
        _ => &[],
    }
}

/// Names that must be there, all among those that are `named`.
fn required<'s>(schema: &'s Json, named: &[(String, Json)]) -> Result<Vec<&'s str>, Error> {
    let Some(names) = schema.member("required") else { return Ok(Vec::new()) };
    let Json::List(names) = names else { return Err(refused("required", "is no list")) };
    let known = |name: &'s Json| match name {
        Json::Text(name) if named.iter().any(|(known, _)| known == name) => Ok(&**name),
        _ => Err(refused("required", "names something that is not among the properties")),
    };
    names.iter().map(known).collect()
}

/// The numbers of two keywords.
fn bounds(schema: &Json, least: &str, most: &str) -> Result<(u32, Option<u32>), Error> {
    let number = |name: &str| match schema.member(name) {
        None => Ok(None),
        Some(Json::Word(word)) => word.parse::<u32>().map(Some).map_err(|_| refused(name, "is no number of things")),
        Some(_) => Err(refused(name, "is no number of things")),
    };
    let bounds = (number(least)?.unwrap_or(0), number(most)?);
    if bounds.1.is_some_and(|most| most < bounds.0) { Err(refused(most, "is below the least")) } else { Ok(bounds) }
}

/// A repetition in the notation.
fn times(least: u32, most: Option<u32>) -> String {
    most.map_or_else(|| format!("{{{least},}}"), |most| format!("{{{least},{most}}}"))
}
