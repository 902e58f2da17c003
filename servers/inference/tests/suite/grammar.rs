//! Grammars: what they match, which tokens they leave, and what becomes of hostile ones.

use std::collections::BTreeSet;

use inference::Error;
use inference::grammar::{Grammar, Matcher, Vocabulary};
use proptest::prelude::*;

fn parsed(text: &str) -> Grammar {
    Grammar::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether `text` is one of the grammar's, and whether it is the beginning of one.
pub(crate) fn matches(grammar: &Grammar, text: &str) -> (bool, bool) {
    let mut matcher = Matcher::new(grammar).expect("a start");
    let begins = matcher.advance(text.as_bytes()).expect("within bounds");
    (begins && matcher.is_finished(), begins)
}

fn check(grammar: &str, good: &[&str], bad: &[&str]) {
    let parsed = parsed(grammar);
    good.iter().for_each(|text| assert!(matches(&parsed, text).0, "{grammar} has {text}"));
    bad.iter().for_each(|text| assert!(!matches(&parsed, text).0, "{grammar} has not {text}"));
}

#[test]
fn each_part_of_the_notation_matches_what_it_says() {
    check(r#"root ::= "a\n\"\\\x41\u00e9\U0001F600""#, &["a\n\"\\A\u{e9}\u{1f600}"], &["", "a", "a\n\"\\A\u{e9}\u{1f600}x"]);
    check("root ::= [a-cx\\-\\]\u{e9}-\u{eb}]", &["b", "x", "-", "]", "\u{ea}"], &["d", "\u{ec}", "", "ab"]);
    check("root ::= [^a-c\\n]", &["d", "\u{e9}", "\u{1f600}", "\0"], &["a", "c", "\n", "dd"]);
    check("root ::= . [a-]", &["\u{1f600}-", "\na"], &["a", "\u{1f600}"]);
    check("root ::= \"ab\"* [c]+ \"d\"?", &["c", "ababccd"], &["", "abd", "aabc", "cdd"]);
    check("root ::= \"a\"{2} \"b\"{1,} \"c\"{,2} \"d\"{ 0, 1 }", &["aab", "aabbccd"], &["ab", "aac", "aabccc", "aabdd"]);
    check("# first\nroot ::= ( # in a group\n \"a\" |\n b)+ # end\n\nb ::=\n  \"b\" | \"\"", &["", "abba"], &["c"]);
    check("root ::= []", &[], &["", "a"]);
    check("root ::= | \"a\"\r\n", &["", "a"], &["aa"]);
}

#[test]
fn rules_call_each_other() {
    check("root ::= \"(\" root \")\" root | \"\"", &["", "()", "(()())()"], &["(", ")(", "(()"]);
    let sum = "root ::= term ([-+] term)*\nterm ::= factor ([*/] factor)*\nfactor ::= [0-9]+ | \"(\" root \")\"";
    check(sum, &["1", "12+3*(4-5)", "((7))"], &["1+", "(1", "+1", "1 2"]);
    check("root ::= ((\"a\"?)* (\"b\"*)+)* \"c\"", &["c", "abbac"], &["ab"]);
}

fn refusal(text: &str) -> String {
    match Grammar::parse(text) {
        Err(Error::Grammar(why)) => why,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_wrong_notation_is_refused_with_its_line() {
    for (text, why) in [
        ("", "there is no rule root"),
        ("a ::= \"a\"", "there is no rule root"),
        ("root ::= a", "there is no rule a"),
        ("root ::= \"a\"\n\nroot ::= \"b\"", "line 3: rule root is there twice"),
        ("root = \"a\"", "line 1: ::= is missing"),
        ("root ::= \"a", "line 1: a text or class has no end"),
        ("root ::= [a\n]", "line 2: a text or class has no end"),
        ("root ::= (\"a\"", "line 1: ) is missing"),
        ("root ::= \"a\"\n)", "line 2: no name of a rule"),
        ("root ::= \"a\" <b>", "line 1: nothing that a rule is made of"),
        ("root ::= [z-a]", "line 1: a range of characters runs backwards"),
        ("root ::= \"\\uD800\"", "line 1: no number of a character"),
        ("root ::= \"\\q\"", "line 1: nothing that can follow a backslash"),
        ("root ::= \"a\"{3,2}", "line 1: a repetition runs backwards"),
        ("root ::= \"a\"{99999999999}", "line 1: a repetition is too long"),
        ("root ::= \"a\"**", "line 1: a repetition of a repetition wants a group"),
    ] {
        assert_eq!(refusal(text), why, "{text}");
    }
}

#[test]
fn hostile_grammars_are_refused() {
    for (text, rule) in [
        ("root ::= root \"a\" | \"b\"", "root"),
        ("root ::= root", "root"),
        ("root ::= \"x\" a\na ::= \"\" b\nb ::= (\"c\"* a)?", "a"),
        ("root ::= empty* root \"x\"\nempty ::= \"\" | \" \"", "root"),
    ] {
        let why = refusal(text);
        assert!(why.ends_with(" begins with itself"), "{text}: {why}");
        assert!(why == format!("rule {rule} begins with itself") || rule == "a" && why.contains("rule b"), "{text}: {why}");
    }
    assert!(refusal(&format!("root ::= {}", "(".repeat(100_000))).contains("nested too deep"));
    assert!(refusal("root ::= \"a\"{4000000000}").contains("too large"));
    assert!(refusal("root ::= (((((\"a\"){99}){99}){99}){99}){99}").contains("too large"));
    assert!(refusal("root ::= \"\"{4000000000}").contains("repeats too much"));
    assert!(refusal("root ::= ((((){9999}){9999}){9999}){9999}").contains("repeats too much"));
    let many: String = (0..100_000).map(|rule| format!("r{rule} ::= r{} r{}\n", rule + 1, rule + 1)).collect();
    assert!(refusal(&format!("root ::= r0\n{many}r100000 ::= \"\"")).contains("too large"));
    let chain: String = (0..20_000).map(|rule| format!("r{rule} ::= r{} | \"\"\n", rule + 1)).collect();
    assert!(matches(&parsed(&format!("root ::= \"a\" | \"b\" r0\n{chain}r20000 ::= \"c\"")), "a").0, "long chains take no time");
}

#[test]
fn ambiguity_and_nesting_have_bounds() {
    let grammar = parsed("root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"\"");
    let mut matcher = Matcher::new(&grammar).expect("a start");
    assert_eq!(matcher.advance(&[b'a'; 100]), Err(Error::Grammar("the grammar is too ambiguous".into())));
    let grammar = parsed("root ::= \"(\" root \")\" | \"\"");
    let mut matcher = Matcher::new(&grammar).expect("a start");
    let (open, close) = (vec![b'('; 20_000], vec![b')'; 20_000]);
    assert_eq!(matcher.advance(&open), Ok(true));
    assert_eq!((matcher.clone().advance(&close), matcher.is_finished()), (Ok(true), false));
    let mut deeper = matcher.clone();
    assert!((0..4).any(|_| deeper.advance(&open) == Err(Error::Grammar("the text is nested too deep for its grammar".into()))));
    assert_eq!(matcher.advance(&close), Ok(true));
    assert!(matcher.is_finished());
}

#[test]
fn a_text_that_does_not_fit_changes_nothing() {
    let grammar = parsed("root ::= \"ab\"");
    let mut matcher = Matcher::new(&grammar).expect("a start");
    assert_eq!([matcher.advance(b"ac"), matcher.advance(b"a"), matcher.advance(b"c"), matcher.advance(b"b")], [false, true, false, true].map(Ok));
    assert!(matcher.is_finished());
}

fn allowed(matcher: &mut Matcher<&Grammar>, vocabulary: &Vocabulary, tokens: usize) -> Vec<usize> {
    let mut logits = vec![1.0; tokens];
    matcher.mask(vocabulary, &mut logits).expect("within bounds");
    assert!(logits.iter().all(|logit| *logit == 1.0 || *logit == f32::NEG_INFINITY));
    (0..tokens).filter(|token| logits[*token] == 1.0).collect()
}

#[test]
fn tokens_that_do_not_fit_are_forbidden() {
    let tokens: [&[u8]; 9] = [b"", b"a", b"ab", b"abc", b"b", b"\xc3", b"\xa9", b"a\xc3", b"</s>"];
    let vocabulary = Vocabulary::of(tokens.iter().map(|token| token.to_vec()), Some(8));
    let grammar = parsed("root ::= \"ab\"? \"\u{e9}\"");
    let mut matcher = Matcher::new(&grammar).expect("a start");
    assert_eq!(allowed(&mut matcher, &vocabulary, 11), [1, 2, 5], "rows beyond the vocabulary are forbidden too");
    assert_eq!(matcher.advance(b"ab\xc3"), Ok(true));
    assert_eq!(allowed(&mut matcher, &vocabulary, 9), [6], "the other half of a character");
    assert_eq!(matcher.advance(b"\xa9"), Ok(true));
    assert_eq!(allowed(&mut matcher, &vocabulary, 9), [8], "only the end");
}

/// More sets of ways than are remembered: what is forgotten on the way changes nothing.
#[test]
fn forgetting_changes_nothing() {
    let vocabulary = Vocabulary::of([1, 700, 1500, 2600, 3000, 3001].iter().map(|length| vec![b'a'; *length]), None);
    let grammar = parsed("root ::= \"a\"{1000,4000}");
    let mut matcher = Matcher::new(&grammar).expect("a start");
    assert_eq!(allowed(&mut matcher, &vocabulary, 6), [0, 1, 2, 3, 4, 5]);
    assert_eq!((matcher.advance(&[b'a'; 1000]), matcher.is_finished()), (Ok(true), true));
    assert_eq!(allowed(&mut matcher, &vocabulary, 6), [0, 1, 2, 3, 4]);
    assert_eq!((matcher.advance(&[b'a'; 3000]), matcher.is_finished()), (Ok(true), true));
    assert_eq!(allowed(&mut matcher, &vocabulary, 6), []);
}

/// A grammar without recursion, as the slow way that follows it understands it.
#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Class(bool, Vec<char>),
    Either(Vec<Part>),
    Both(Vec<Part>),
    Times(Box<Part>, u8, Option<u8>),
}

const LETTERS: [char; 5] = ['a', 'b', '\u{e9}', '\u{ea}', '\u{1f600}'];

impl Part {
    fn written(&self) -> String {
        let join = |parts: &[Self], by: &str| parts.iter().map(Self::written).collect::<Vec<_>>().join(by);
        match self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Class(negated, letters) => format!("[{}{}]", if *negated { "^" } else { "" }, letters.iter().collect::<String>()),
            Self::Either(parts) => format!("({})", join(parts, " | ")),
            Self::Both(parts) => format!("({})", join(parts, " ")),
            Self::Times(part, least, None) => format!("{}{{{least},}}", part.written()),
            Self::Times(part, least, Some(more)) => format!("({}){{{least},{}}}", part.written(), least + more),
        }
    }

    /// Where the part may end when it begins at `from`.
    fn ends(&self, text: &[char], from: usize) -> BTreeSet<usize> {
        let then = |ends: BTreeSet<usize>, part: &Self| ends.into_iter().flat_map(|end| part.ends(text, end)).collect::<BTreeSet<_>>();
        match self {
            Self::Text(part) => {
                let part: Vec<char> = part.chars().collect();
                text[from..].starts_with(&part).then_some(from + part.len()).into_iter().collect()
            }
            Self::Class(negated, letters) => {
                text.get(from).filter(|letter| letters.contains(letter) != *negated).map(|_| from + 1).into_iter().collect()
            }
            Self::Either(parts) => parts.iter().flat_map(|part| part.ends(text, from)).collect(),
            Self::Both(parts) => parts.iter().fold([from].into(), then),
            Self::Times(part, least, more) => {
                let mut ends = (0..*least).fold([from].into(), |ends, _| then(ends, part));
                for _ in 0..more.map_or(text.len(), usize::from) {
                    let again = then(ends.clone(), part);
                    ends.extend(again);
                }
                ends
            }
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    let letters = || prop::collection::vec(prop::sample::select(&LETTERS[..]), 0..3);
    let leaf = prop_oneof![
        letters().prop_map(|letters| Part::Text(letters.into_iter().collect())),
        (any::<bool>(), letters()).prop_map(|(negated, letters)| Part::Class(negated, letters)),
    ];
    leaf.prop_recursive(4, 24, 3, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 1..4).prop_map(Part::Either),
            prop::collection::vec(part.clone(), 1..4).prop_map(Part::Both),
            (part, 0_u8..3, prop::option::of(0_u8..3)).prop_map(|(part, least, more)| match (part, more) {
                (part @ Part::Times(..), None) => Part::Times(Box::new(Part::Both(vec![part])), least, None),
                (part, more) => Part::Times(Box::new(part), least, more),
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_slow_way_finds_the_same_texts(part in part(), texts in prop::collection::vec(prop::collection::vec(prop::sample::select(&LETTERS[..]), 0..7), 8)) {
        let grammar = parsed(&format!("root ::= {}", part.written()));
        for text in texts {
            let expected = part.ends(&text, 0).contains(&text.len());
            let text: String = text.into_iter().collect();
            prop_assert_eq!(matches(&grammar, &text).0, expected, "{} and {}", part.written(), text);
        }
    }

    /// Tokens that begin alike are followed together, and each is allowed exactly when following it alone succeeds.
    #[test]
    fn masks_are_what_single_tokens_say(
        part in part(),
        texts in prop::collection::vec("[ab\u{e9}\u{ea}\u{1f600}]{0,4}", 1..40),
        cuts in prop::collection::vec(0_usize..9, 40),
    ) {
        let tokens: Vec<Vec<u8>> = texts.iter().zip(cuts).map(|(text, cut)| text.as_bytes()[cut.min(text.len())..].to_vec()).collect();
        let grammar = parsed(&format!("root ::= {}", part.written()));
        let vocabulary = Vocabulary::of(tokens.iter().cloned(), None);
        let mut matcher = Matcher::new(&grammar).expect("a start");
        for token in &tokens {
            let allowed = allowed(&mut matcher, &vocabulary, tokens.len());
            for (number, token) in tokens.iter().enumerate() {
                let alone = !token.is_empty() && matcher.clone().advance(token) == Ok(true);
                prop_assert_eq!(allowed.contains(&number), alone);
            }
            matcher.advance(token).expect("within bounds");
        }
    }
}
