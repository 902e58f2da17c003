//! Tokenizers against what another program made of the same texts, and by small vocabularies of their own.

use inference::Error;
use inference::gguf::File;
use inference::quant::Kind;
use inference::tokenizer::Tokenizer;
use proptest::prelude::*;

use super::generator::{Plan, model};
use super::vectors::{self, Prompt};
use super::writer::Writer;

#[test]
fn prompts_and_a_story_become_the_same_tokens_as_elsewhere() {
    let Some(bytes) = vectors::bytes("stories260K-F32.gguf") else { return };
    let file = File::read(&bytes).expect("a model's file");
    let tokenizer = Tokenizer::read(&file).expect("a vocabulary");
    let tokens = |text: &str| tokenizer.begin().into_iter().chain(tokenizer.tokens(text, true)).collect::<Vec<_>>();
    for prompt in Prompt::all("stories260K-F32") {
        assert_eq!(tokens(&prompt.text), prompt.tokens, "{}", prompt.text);
        assert_eq!(tokenizer.text(&tokenizer.tokens(&prompt.text, true)), prompt.text);
    }
    let story = String::from_utf8(vectors::bytes("vectors/ppl.txt").expect("a story")).expect("text");
    assert_eq!(tokens(&story), vectors::story());
}

#[test]
fn text_survives_the_way_through_a_generated_vocabulary() {
    let bytes = model(&Plan::small(Kind::F32, 1));
    let file = File::read(&bytes).expect("a model's file");
    let tokenizer = Tokenizer::read(&file).expect("a vocabulary");
    for text in ["tea", " tea and toast", "<s>ate", "\u{1f600} \u{e9}\n"] {
        assert_eq!(tokenizer.text(&tokenizer.tokens(text, false)), text);
    }
    assert_eq!(tokenizer.tokens("x<s>y", true), [259, 120 + 3, 1, 121 + 3], "a special token by its name");
}

/// A vocabulary of all bytes and of some joins; after the bytes come `he`, `ll`, ` w`, `hell`, the special one and `123`.
fn joined(pre: &str) -> Vec<u8> {
    let letter = |byte: u8| match byte {
        b' ' => "\u{120}".to_owned(),
        0x21..=0x7e => char::from(byte).to_string(),
        _ => format!("\u{2581}{byte}"),
    };
    let mut pieces: Vec<Vec<u8>> = (0..=255).map(|byte| letter(byte).into_bytes()).collect();
    pieces.extend(["he", "ll", "\u{120}w", "hell", "<|end|>", "123"].map(|piece| piece.as_bytes().to_vec()));
    let mut writer = Writer::default();
    writer.text("tokenizer.ggml.model", "gpt2");
    writer.text("tokenizer.ggml.pre", pre);
    writer.texts("tokenizer.ggml.tokens", &pieces);
    writer.numbers("tokenizer.ggml.token_type", &(0..pieces.len()).map(|token| if token == 260 { 3 } else { 1 }).collect::<Vec<_>>());
    writer.texts("tokenizer.ggml.merges", &["l l", "h e", "\u{120} w", "he ll"].map(|join| join.as_bytes().to_vec()));
    writer.finish()
}

fn tokens(file: &[u8], text: &str) -> Vec<u32> {
    let file = File::read(file).expect("a file");
    Tokenizer::read(&file).expect("a vocabulary").tokens(text, true)
}

#[test]
fn byte_pairs_are_joined_by_rank_inside_words() {
    let file = joined("gpt-2");
    assert_eq!(tokens(&file, "hello world"), [259, u32::from(b'o'), 258, 111, 114, 108, 100]);
    assert_eq!(tokens(&file, "he<|end|>he"), [256, 260, 256]);
    assert_eq!(tokens(&file, "123"), [49, 50, 51], "no join leads there");
    assert_eq!(tokens(&joined("llama-bpe"), "123"), [261], "a word that is a token needs no join");
    let parsed = File::read(&file).expect("a file");
    let tokenizer = Tokenizer::read(&parsed).expect("a vocabulary");
    assert_eq!(tokenizer.text(&tokenizer.tokens("hello world", true)), "hello world");
}

/// A special piece of a hostile file may end inside a character, before another special one.
#[test]
fn special_piece_that_is_no_text_cuts_no_character() {
    let mut writer = Writer::default();
    writer.text("tokenizer.ggml.model", "llama");
    writer.texts("tokenizer.ggml.tokens", &[vec![0xc3], b"<s>".to_vec(), b"x".to_vec()]);
    writer.numbers("tokenizer.ggml.token_type", &[3, 3, 1]);
    writer.floats("tokenizer.ggml.scores", &[0.0; 3]);
    assert_eq!(tokens(&writer.finish(), "\u{e9}<s>"), [0, 1]);
}

#[test]
fn an_unknown_tokenizer_is_refused_by_name() {
    let file = joined("starcoder");
    assert_eq!(Tokenizer::read(&File::read(&file).expect("a file")).err(), Some(Error::Tokenizer("starcoder".into())));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_loses_a_byte(text: String) {
        let bytes = model(&Plan { layers: 0, ..Plan::small(Kind::F32, 1) });
        let file = File::read(&bytes).expect("a model's file");
        let tokenizer = Tokenizer::read(&file).expect("a vocabulary");
        prop_assert_eq!(tokenizer.text(&tokenizer.tokens(&text, false)), text.clone());
        for pre in ["gpt-2", "llama-bpe", "qwen2"] {
            tokens(&joined(pre), &text);
        }
    }
}
