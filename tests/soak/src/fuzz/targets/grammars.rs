//! Grammars and schemas from strangers: they are refused in words, or can be followed.

use inference::Error;
use inference::grammar::{Grammar, Matcher, Vocabulary, schema};

/// Tokens that begin alike, cut characters and end what is open.
const TOKENS: [&[u8]; 14] = [b"", b"a", b"ab", b"abc", b"{", b"{\"", b"\"", b"\"}", b"]", b"\xc3", b"\xa9\"", b" ", b"1", b"</s>"];
/// The token that ends a text.
const END: u32 = 13;

/// A grammar, and after a zero a text. At each byte that fits, a token is allowed exactly when it fits alone; a text that does not fit changes nothing.
pub(super) fn grammar(bytes: &[u8]) {
    let (notation, text) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    match Grammar::parse(&String::from_utf8_lossy(notation)) {
        Ok(grammar) => follow(&grammar, text.get(1..).unwrap_or_default()),
        Err(error) => assert!(matches!(error, Error::Grammar(_))),
    }
}

/// Follows a text as long as it fits and the grammar keeps its bounds.
fn follow(grammar: &Grammar, text: &[u8]) {
    let vocabulary = Vocabulary::of(TOKENS.iter().map(|token| token.to_vec()), Some(END));
    let Ok(mut matcher) = Matcher::new(grammar) else { return };
    for byte in text {
        let mut logits = [0.0_f32; TOKENS.len()];
        if matcher.mask(&vocabulary, &mut logits).is_err() {
            return;
        }
        for ((number, token), logit) in (0_u32..).zip(TOKENS).zip(logits) {
            let fits = if number == END { Ok(matcher.is_finished()) } else { matcher.clone().advance(token).map(|fits| fits && !token.is_empty()) };
            assert!(fits.is_err() || fits == Ok(logit == 0.0), "token {number}");
        }
        let finished = matcher.is_finished();
        match matcher.advance(&[*byte]) {
            Ok(true) => {}
            Ok(false) => return assert_eq!(matcher.is_finished(), finished),
            Err(error) => return assert!(matches!(error, Error::Grammar(_))),
        }
    }
}

pub(super) fn grammar_seeds() -> Vec<Vec<u8>> {
    [
        "root ::= \"(\" root \")\" root | \"\"\0(())",
        "root ::= term ([-+] term)*\nterm ::= [0-9]+ | \"(\" root \")\" # a comment\0",
        "root ::= [^a-c\\n]{2,3} ( a |\n \"b\"? )+\na ::= . \"\\u00e9\\x41\"\0xx\u{e9}A",
        "root ::= root \"a\"\0a",
        "root ::= ((\"a\"{9,99}){9}){0,9}\0aaaaaaaaaaaa",
        "root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"\"\0aaaaaaaaaaaax",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

/// A schema is refused, or its grammar is one, or too large, or begins with itself where the schema does; what can be followed begins like JSON.
pub(super) fn schema(bytes: &[u8]) {
    let Ok(text) = schema::grammar(&String::from_utf8_lossy(bytes)) else { return };
    match Grammar::parse(&text) {
        Ok(grammar) => follow(&grammar, b"{\"a\": [1, \"\xc3\xa9\"]}"),
        Err(Error::Grammar(why)) => assert!(["too large", "too much", "with itself"].iter().any(|known| why.ends_with(known)), "{why}: {text}"),
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn schema_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3},"b":true},"required":["a"]}"#,
        r##"{"$ref":"#/$defs/t","$defs":{"t":{"anyOf":[{"type":["null","string"],"minLength":1,"maxLength":9},{"items":{"$ref":"#"}}]}}}"##,
        r#"{"enum":["a\"\\\u00e9\ud83d\ude00",1,-0.5e3,null,{"x":[]}],"title":"t"}"#,
        r#"{"type":"object","additionalProperties":false,"const":{}}"#,
        r##"{"$ref":"#"}"##,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}
