//! JSON schemas: the texts that their grammars allow, and what is refused rather than passed over.

use inference::Error;
use inference::grammar::{Grammar, Matcher, Vocabulary, schema};
use proptest::prelude::*;

use super::dice::Dice;
use super::grammar::matches;

fn grammar(schema: &str) -> Grammar {
    let text = schema::grammar(schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
    Grammar::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(schema: &str, good: &[&str], bad: &[&str]) {
    let grammar = grammar(schema);
    good.iter().for_each(|text| assert!(matches(&grammar, text).0, "{schema} allows {text}"));
    bad.iter().for_each(|text| assert!(!matches(&grammar, text).0, "{schema} forbids {text}"));
}

#[test]
fn types_allow_their_values() {
    check(r#"{"type":"integer"}"#, &["0", "-12"], &["01", "1.5", "-", "\"1\""]);
    check(r#"{"type":"number"}"#, &["0.5", "-1e9", "3"], &["1.", ".5", "1e"]);
    check(r#"{"type":["boolean","null"]}"#, &["true", "false", "null"], &["0", "True"]);
    check(r#"{"type":"string"}"#, &["\"\"", r#""a\n\u00e9\"""#, "\"\u{1f600}\""], &["\"", "\"\n\"", r#""\x""#, r#""\ud800""#]);
    check(r#"{"type":"string","minLength":2,"maxLength":3}"#, &["\"ab\"", r#""\n\n\n""#], &["\"a\"", "\"abcd\""]);
    check(r#"{"const":{"a":[1,"\n"]}}"#, &[r#"{"a":[1,"\n"]}"#], &["{}"]);
    check(r#"{"enum":["a\"b",1,null]}"#, &[r#""a\"b""#, "1", "null"], &["2"]);
    check("{}", &["[1, {\"a\": [true, \"x\"]}]", "{}", "null", "[[], {}]"], &["[1,]", "{\"a\"}", "nul"]);
    check("true", &["1"], &[""]);
}

#[test]
fn arrays_count_their_items() {
    let schema = |bounds: &str| format!(r#"{{"type":"array","items":{{"type":"integer"}}{bounds}}}"#);
    check(&schema(""), &["[]", "[1]", "[1, 2,3]"], &["[\"a\"]", "[1,]", "[,1]"]);
    check(&schema(r#","minItems":2,"maxItems":3"#), &["[1,2]", "[1,2,3]"], &["[]", "[1]", "[1,2,3,4]"]);
    check(&schema(r#","minItems":1"#), &["[1]", "[1,2]"], &["[]"]);
    check(&schema(r#","maxItems":1"#), &["[]", "[1]"], &["[1,2]"]);
    check(&schema(r#","maxItems":0"#), &["[]", "[ ]"], &["[1]"]);
}

#[test]
fn objects_have_their_members_in_order() {
    let schema = |required: &str| {
        format!(r#"{{"type":"object","properties":{{"a":{{"type":"integer"}},"b":{{"type":"null"}},"c":true}},"required":{required}}}"#)
    };
    check(&schema("[]"), &["{}", r#"{"a":1}"#, r#"{"b": null, "c": []}"#, r#"{"a":1,"c":2}"#], &[r#"{"b":1}"#, r#"{"d":1}"#, r#"{"a":1,}"#]);
    check(&schema(r#"["b"]"#), &[r#"{"b":null}"#, r#"{"a":1,"b":null,"c":""}"#], &["{}", r#"{"a":1}"#, r#"{"a":1 "b":null}"#, r#"{,"b":null}"#]);
    check(&schema(r#"["a","c"]"#), &[r#"{"a":1,"c":0}"#, r#"{"a":1,"b":null,"c":0}"#], &[r#"{"a":1,"b":null}"#, r#"{"c":0}"#]);
    check(r#"{"type":"object","additionalProperties":false}"#, &["{}"], &[r#"{"a":1}"#]);
    check(r#"{"type":"object"}"#, &["{}", r#"{"a":1, "b":{}}"#], &["[]"]);
    check("{\"properties\":{\"\u{e9}\\\"\\\\\":{\"type\":\"null\"}},\"required\":[\"\u{e9}\\\"\\\\\"]}", &["{\"\u{e9}\\\"\\\\\":null}"], &["{}"]);
}

#[test]
fn schemas_refer_to_each_other() {
    let tree = r##"{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"of":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["of"]}}}"##;
    check(tree, &[r#"{"of":[]}"#, r#"{"of":[{"of":[]},{"of":[{"of":[]}]}]}"#], &["{}", r#"{"of":[1]}"#]);
    check(r##"{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#"}}]}"##, &["null", "[[null],[]]"], &["1"]);
    check(r##"{"$ref":"#/$defs/a~1b~0","$defs":{"a/b~":{"const":1}}}"##, &["1"], &["2"]);
    let text = schema::grammar(r##"{"$ref":"#"}"##).expect("a grammar");
    assert!(matches!(Grammar::parse(&text), Err(Error::Grammar(why)) if why.ends_with("begins with itself")));
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    for (schema, why) in [
        (r#"{"type":"string","pattern":"a"}"#, "schema: pattern is not supported here"),
        (r#"{"type":"integer","minimum":1}"#, "schema: minimum is not supported here"),
        (r#"{"oneOf":[true]}"#, "schema: oneOf is not supported here"),
        (r#"{"const":1,"type":"integer"}"#, "schema: type is not supported here"),
        (r#"{"type":"integer","items":true}"#, "schema: items is not supported here"),
        (r#"{"type":"int"}"#, "schema: int is no type"),
        (r#"{"type":[]}"#, "schema: type is no name of a type"),
        (r#"{"enum":[]}"#, "schema: enum is no list of something"),
        ("false", "schema: a schema is neither an object nor true"),
        (r##"{"$ref":"#/a"}"##, "schema: #/a points to nothing"),
        (r#"{"$ref":"other.json"}"#, "schema: other.json is outside of the schema"),
        (r#"{"type":"array","minItems":2,"maxItems":1}"#, "schema: maxItems is below the least"),
        (r#"{"type":"array","minItems":-1}"#, "schema: minItems is no number of things"),
        (r#"{"type":"object","required":["a"]}"#, "schema: required names something that is not among the properties"),
        (r#"{"properties":{"a":true},"additionalProperties":true}"#, "schema: additionalProperties is neither false nor true without properties"),
        ("{", "the schema is not JSON: no name of a member at ''"),
    ] {
        assert_eq!(schema::grammar(schema), Err(Error::Grammar(why.into())), "{schema}");
    }
    let deep = format!("{}true{}", r#"{"items":"#.repeat(1000), "}".repeat(1000));
    assert!(matches!(schema::grammar(&deep), Err(Error::Grammar(why)) if why.contains("nested too deep")));
    let long = schema::grammar(r#"{"type":"string","minLength":4000000000}"#).expect("a grammar");
    assert_eq!(Grammar::parse(&long).err(), Some(Error::Grammar("the grammar is too large".into())));
}

/// A text that follows `grammar`, its bytes chosen at random among those that are allowed; bytes that close are preferred after a while.
fn any_text(grammar: &Grammar, dice: &mut Dice) -> String {
    let vocabulary = Vocabulary::of((0..=u8::MAX).map(|byte| vec![byte]), None);
    let (mut matcher, mut text) = (Matcher::new(grammar).expect("a start"), Vec::new());
    while !matcher.is_finished() || dice.next().is_multiple_of(2) {
        let mut logits = vec![0.0; 256];
        matcher.mask(&vocabulary, &mut logits).expect("within bounds");
        let allowed: Vec<u8> = (0..=u8::MAX).filter(|byte| logits[usize::from(*byte)] == 0.0).collect();
        let closing: Vec<u8> = allowed.iter().copied().filter(|byte| b"\"]}".contains(byte)).collect();
        let choices = if text.len() > 30 && !closing.is_empty() { &closing } else { &allowed };
        let Some(byte) = choices.get(dice.next() as usize % choices.len().max(1)) else { break };
        assert_eq!(matcher.advance(&[*byte]), Ok(true));
        text.push(*byte);
    }
    String::from_utf8(text).expect("whole characters")
}

proptest! {
    /// The reader of schemas is the judge: it says that a text is no JSON before it says anything else.
    #[test]
    fn whatever_is_generated_is_json(seed: u64) {
        let mut dice = Dice::new(seed);
        for schema in ["{}", r#"{"properties":{"a":{"type":"string","maxLength":3},"b":{"type":"number"},"c":{}}}"#, r#"{"items":{"enum":["\u0000",1]}}"#] {
            let text = any_text(&grammar(schema), &mut dice);
            if let Err(Error::Grammar(why)) = schema::grammar(&text) {
                prop_assert!(!why.contains("is not JSON") || why.contains("a name is there twice"), "{}: {}", text, why);
            }
        }
    }
}
