//! Language models and adapters from strangers: whatever the bytes of a file, its reader refuses it or finds what is whole.

use std::sync::Arc;

use inference::adapter::Adapter;
use inference::engine::{Adapters, Engine, Session, Want};
use inference::gguf::File;
use inference::kernel::Processor;
use inference::model::Model;
use inference::quant::Kind;
use inference::team::Alone;
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

/// An adapter that is read fits the model, and can be used.
pub(super) fn adapter(bytes: &[u8]) {
    let model = whole();
    let file = File::read(&model).expect("a file");
    let model = Model::read(&file).expect("a model");
    let Ok(file) = File::read(bytes) else { return };
    let Ok(adapter) = Adapter::read(&file, &model) else { return };
    let Ok(adapters) = Adapters::new(&[(&adapter, 1.0), (&adapter, -0.5)]) else { return };
    let engine = Engine::new(&model, Processor::detect(), |_, _| ());
    let mut session = Session::new(&engine, 2, 1);
    session.adapt(Some(Arc::new(adapters)));
    let mut logits = Vec::new();
    engine.feed(&mut session, &[0, 2], Want::All, &Alone, &mut logits).expect("tokens that there are");
    assert_eq!(logits.len(), 2 * model.tokens());
}

/// The matrices of a model with one layer: name, rows, columns.
const MATRICES: [(&str, u64, u64); 9] = [
    ("token_embd", 3, 4),
    ("blk.0.attn_q", 4, 4),
    ("blk.0.attn_k", 2, 4),
    ("blk.0.attn_v", 2, 4),
    ("blk.0.attn_output", 4, 4),
    ("blk.0.ffn_gate", 6, 4),
    ("blk.0.ffn_up", 6, 4),
    ("blk.0.ffn_down", 4, 6),
    ("output", 3, 4),
];

/// Numbers that differ and are not large.
fn weights(count: u64) -> Vec<u8> {
    (0..count).flat_map(|index| ((index % 7) as f32 * 0.25 - 0.75).to_le_bytes()).collect()
}

/// A model that runs.
fn whole() -> Vec<u8> {
    let mut file = Writer::default();
    file.text("general.architecture", "llama");
    let numbers = [("embedding_length", 4), ("block_count", 1), ("feed_forward_length", 6), ("context_length", 8)];
    let heads = [("attention.head_count", 2), ("attention.head_count_kv", 1)];
    numbers.into_iter().chain(heads).for_each(|(key, value)| file.number(&format!("llama.{key}"), value));
    for (name, rows, columns) in MATRICES {
        file.tensor(&format!("{name}.weight"), &[columns, rows], Kind::F32.number(), weights(rows * columns));
    }
    for name in ["blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"] {
        file.tensor(name, &[4], Kind::F32.number(), weights(4));
    }
    file.finish()
}

pub(super) fn adapter_seeds() -> Vec<Vec<u8>> {
    let of = |matrices: &[(&str, u64, u64)]| {
        let mut file = Writer::default();
        file.text("general.type", "adapter");
        file.text("general.architecture", "llama");
        file.text("adapter.type", "lora");
        file.float("adapter.lora.alpha", 4.0);
        for (name, rows, columns) in matrices {
            let (narrow, expand) = if *name == "token_embd" { ([2, *rows], [2, *columns]) } else { ([*columns, 2], [2, *rows]) };
            for (half, shape) in [("lora_a", narrow), ("lora_b", expand)] {
                file.tensor(&format!("{name}.weight.{half}"), &shape, Kind::F32.number(), weights(shape[0] * shape[1]));
            }
        }
        file.finish()
    };
    vec![of(&MATRICES), of(&MATRICES[..1]), of(&MATRICES[1..2]), of(&[])]
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
