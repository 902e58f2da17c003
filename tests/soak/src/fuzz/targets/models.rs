//! Language models from strangers: whatever the bytes of a file, its reader refuses it or finds what is whole.

use inference::gguf::File;
use inference::model::Model;
use inference::quant::Kind;
use inference::tokenizer::Tokenizer;
use inference::value::Value;

use crate::writer::Writer;

/// For whatever vocabulary is found.
const TEXT: &str = "He'll eat 123 <s>\n\u{e9}\u{1f600}  ll";

/// Every value and every tensor of a file that is read is there in full; a model or a vocabulary in it is refused, or can be used.
pub(super) fn gguf(bytes: &[u8]) {
    let Ok(file) = File::read(bytes) else { return };
    for (_, value) in file.values() {
        if let Value::Array(array) = value {
            assert_eq!(array.values().count(), array.count());
        }
    }
    for (_, tensor) in file.tensors() {
        assert_eq!(tensor.data.len(), tensor.kind.bytes(tensor.columns) * tensor.rows);
    }
    if let Ok(model) = Model::read(&file) {
        assert!(model.config.heads.is_multiple_of(model.config.kv_heads) && model.turns.len() * 2 == model.config.turned);
    }
    if let Ok(tokenizer) = Tokenizer::read(&file) {
        let _shown = tokenizer.text(&tokenizer.tokens(TEXT, true));
    }
}

/// A vocabulary of a few pieces, by score or by rank.
fn vocabulary(kind: &str, pieces: &[&str]) -> Vec<u8> {
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut values = Writer::default();
    values.text("tokenizer.ggml.model", kind);
    values.texts("tokenizer.ggml.tokens", &bytes(pieces));
    values.floats("tokenizer.ggml.scores", &vec![-1.0; pieces.len()]);
    values.numbers("tokenizer.ggml.token_type", &[3, 6, 1, 1, 1, 1]);
    values.texts("tokenizer.ggml.merges", &bytes(&["l l", "H e"]));
    values.finish()
}

/// The numbers of a model, whose tensors are not there.
fn numbers() -> Vec<u8> {
    let mut values = Writer::default();
    values.text("general.architecture", "llama");
    for key in ["embedding_length", "attention.head_count", "block_count", "feed_forward_length", "context_length"] {
        values.number(&format!("llama.{key}"), if key == "embedding_length" { 4 } else { 2 });
    }
    for name in ["token_embd.weight", "rope_freqs.weight"] {
        values.tensor(name, &[4, 1], Kind::F32.number(), vec![0; 16]);
    }
    values.finish()
}

pub(super) fn gguf_seeds() -> Vec<Vec<u8>> {
    let mut values = Writer::default();
    values.text("general.architecture", "llama");
    values.number("a.number", 7);
    values.flag("a.flag", true);
    values.texts("some.texts", &[b"one".to_vec(), vec![0xff]]);
    let mut tensors = Writer::default();
    tensors.floats("some.floats", &[1.0, -1.0]);
    tensors.numbers("some.numbers", &[-1, 2]);
    tensors.float("a.float", 0.5);
    tensors.tensor("first", &[2, 3], Kind::F32.number(), vec![1; 24]);
    tensors.tensor("second", &[32, 2, 2], Kind::Q4_0.number(), vec![9; 72]);
    let scored = vocabulary("llama", &["<s>", "<0x0A>", "l", "ll", "H", "He"]);
    let ranked = vocabulary("gpt2", &["<s>", "\u{10a}", "l", "ll", "H", "He"]);
    vec![values.finish(), tensors.finish(), scored, ranked, numbers()]
}
