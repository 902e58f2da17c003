//! Cuts text into words, inside which bytes are joined: what the vocabularies' authors wrote as regular expressions, by hand.
//!
//! All three have the same alternatives in the same order: an English contraction; letters, with one other character before them; digits; other characters, with one space
//! before them; white space. They differ in how many digits go together and which character may stand before letters.
//! White space before a word leaves its last character to that word.

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Llama3,
    /// The same with single digits.
    Qwen2,
}

impl Words {
    /// The rules that a file calls `name`.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "gpt-2" | "default" => Some(Self::Gpt2),
            "llama-bpe" | "llama3" | "llama-v3" => Some(Self::Llama3),
            "qwen2" => Some(Self::Qwen2),
            _ => None,
        }
    }
}

/// The words of `text` in order; together they are the text.
pub(super) fn words(rules: Words, text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let (word, after) = rest.split_at(first(rules, rest));
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

fn is_number(letter: char) -> bool {
    letter.is_numeric()
}

/// Letters in the sense of `\p{L}`: what the library calls alphabetic counts marks too, of which those that vowel signs use are taken out.
fn is_letter(letter: char) -> bool {
    letter.is_alphabetic() && !letter.is_numeric() && !is_mark(letter)
}

/// Marks (`\p{M}`) that the library counts as alphabetic, in the scripts of South and South-East Asia, Hebrew and Arabic.
fn is_mark(letter: char) -> bool {
    const MARKS: [(u32, u32); 24] = [
        (0x0345, 0x0345),
        (0x05b0, 0x05c7),
        (0x0610, 0x061a),
        (0x064b, 0x065f),
        (0x0670, 0x0670),
        (0x06d6, 0x06dc),
        (0x06e1, 0x06e4),
        (0x06e7, 0x06ed),
        (0x0730, 0x073f),
        (0x0900, 0x0903),
        (0x093a, 0x093b),
        (0x093e, 0x094f),
        (0x0955, 0x0957),
        (0x0962, 0x0963),
        (0x0981, 0x0983),
        (0x09be, 0x09cc),
        (0x0a01, 0x0a03),
        (0x0a3e, 0x0a4c),
        (0x0b82, 0x0b82),
        (0x0bbe, 0x0bcc),
        (0x0e31, 0x0e31),
        (0x0e34, 0x0e3a),
        (0x102b, 0x103e),
        (0x17b6, 0x17c8),
    ];
    MARKS.iter().any(|(first, last)| (*first..=*last).contains(&(letter as u32)))
}

/// Bytes of the leading characters that `belongs` takes, at most `most` of them.
fn run(text: &str, most: usize, belongs: impl Fn(char) -> bool) -> usize {
    text.chars().take(most).take_while(|letter| belongs(*letter)).map(char::len_utf8).sum()
}

/// Bytes of the first word.
fn first(rules: Words, text: &str) -> usize {
    let Some(letter) = text.chars().next() else { return 0 };
    contraction(rules, text)
        .or_else(|| letters(rules, text, letter))
        .or_else(|| digits(rules, text))
        .or_else(|| others(rules, text))
        .unwrap_or_else(|| space(rules, text))
}

fn contraction(rules: Words, text: &str) -> Option<usize> {
    let after = text.strip_prefix('\'')?.as_bytes();
    let matches = |ending: &&str| {
        let start = after.get(..ending.len());
        start.is_some_and(|start| start == ending.as_bytes() || rules != Words::Gpt2 && start.eq_ignore_ascii_case(ending.as_bytes()))
    };
    ["s", "t", "re", "ve", "m", "ll", "d"].iter().find(|ending| matches(ending)).map(|ending| ending.len() + 1)
}

fn letters(rules: Words, text: &str, first: char) -> Option<usize> {
    let leads = match rules {
        Words::Gpt2 => first == ' ',
        _ => !is_letter(first) && !is_number(first) && !matches!(first, '\r' | '\n'),
    };
    let lead = if leads { first.len_utf8() } else { 0 };
    let length = run(&text[lead..], usize::MAX, is_letter);
    (length > 0).then_some(lead + length)
}

fn digits(rules: Words, text: &str) -> Option<usize> {
    let (lead, most) = match rules {
        Words::Gpt2 => (usize::from(text.starts_with(' ')), usize::MAX),
        Words::Llama3 => (0, 3),
        Words::Qwen2 => (0, 1),
    };
    let length = run(&text[lead..], most, is_number);
    (length > 0).then_some(lead + length)
}

fn others(rules: Words, text: &str) -> Option<usize> {
    let lead = usize::from(text.starts_with(' '));
    let length = run(&text[lead..], usize::MAX, |letter| !letter.is_whitespace() && !is_letter(letter) && !is_number(letter));
    if length == 0 {
        return None;
    }
    let end = lead + length;
    let breaks = if rules == Words::Gpt2 { 0 } else { run(&text[end..], usize::MAX, |letter| matches!(letter, '\r' | '\n')) };
    Some(end + breaks)
}

fn space(rules: Words, text: &str) -> usize {
    let length = run(text, usize::MAX, char::is_whitespace);
    let spaces = &text[..length];
    if let (true, Some(last)) = (rules != Words::Gpt2, spaces.rfind(['\r', '\n'])) {
        return last + 1;
    }
    let last = spaces.chars().next_back().map_or(0, char::len_utf8);
    // Followed by a word, it leaves that one its last character, unless it is the only one.
    if length < text.len() && length > last { length - last } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn cut(rules: Words, text: &str) -> Vec<&str> {
        words(rules, text).collect()
    }

    #[test]
    fn words_keep_the_space_before_them() {
        for rules in [Words::Gpt2, Words::Llama3, Words::Qwen2] {
            assert_eq!(cut(rules, "Hello  world! it's"), ["Hello", " ", " world", "!", " it", "'s"]);
        }
    }

    #[test]
    fn digits_go_together_as_the_rules_say() {
        assert_eq!(cut(Words::Gpt2, "a 12345"), ["a", " 12345"]);
        assert_eq!(cut(Words::Llama3, "a 12345"), ["a", " ", "123", "45"]);
        assert_eq!(cut(Words::Qwen2, "a 123"), ["a", " ", "1", "2", "3"]);
    }

    #[test]
    fn line_breaks_end_what_they_follow() {
        assert_eq!(cut(Words::Gpt2, "a!\n\n  b"), ["a", "!", "\n\n ", " b"]);
        assert_eq!(cut(Words::Llama3, "a!\n\n  b\n"), ["a", "!\n\n", " ", " b", "\n"]);
        assert_eq!(cut(Words::Llama3, " \n =  "), [" \n", " =", "  "]);
    }

    #[test]
    fn only_gpt_2_minds_the_case_of_contractions() {
        assert_eq!(cut(Words::Gpt2, "I'LL"), ["I", "'", "LL"]);
        assert_eq!(cut(Words::Llama3, "I'LL"), ["I", "'LL"]);
    }
}
