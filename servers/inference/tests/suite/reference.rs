//! The oracle itself: against exact logits from an independent program where they are, and against its own golden numbers everywhere.

use inference::gguf::File;
use inference::model::Model;
use inference::quant::Kind;
use inference::reference::Reference;

use super::generator::{Plan, model};
use super::vectors::{self, Prompt};

/// The logits of all tokens, one after the other.
pub(crate) fn logits(file: &[u8], tokens: &[u32]) -> Vec<f32> {
    let file = File::read(file).expect("a model's file");
    let model = Model::read(&file).expect("a model");
    let mut reference = Reference::new(&model);
    tokens.iter().flat_map(|token| reference.next(*token).expect("a token")).collect()
}

/// Root of the mean square of the differences.
pub(crate) fn rms(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    let sum: f64 = left.iter().zip(right).map(|(left, right)| f64::from(left - right).powi(2)).sum();
    (sum / left.len() as f64).sqrt()
}

#[test]
fn logits_are_the_exact_ones() {
    for name in ["stories260K-F32", "stories260K-Q8_0", "stories260K-Q4_0", "wide512-Q4_0", "wide512-Q4_K_M", "wide512-Q6_K", "wide512-Q8_0"] {
        let Some(file) = vectors::bytes(&format!("{name}.gguf")) else { return };
        // The wide ones are slow for an oracle; one prompt of five shows as much.
        let prompts = if name.starts_with("wide") { &[0][..] } else { &[0, 1, 2, 3, 4] };
        for index in prompts {
            let exact = vectors::exact(name, *index).expect("there with the model");
            let error = rms(&logits(&file, &Prompt::all(name)[*index].tokens), &exact);
            assert!(error < 2e-5, "{name}, prompt {index}: rms {error}");
        }
    }
}

/// What the oracle made of generated models when it was right about the reference data: one number for each type.
#[test]
fn generated_models_keep_their_golden_logits() {
    let golden: Vec<(Kind, f32)> = Kind::ALL.map(|kind| (kind, fingerprint(&Plan::small(kind, 7)))).to_vec();
    for ((kind, seen), expected) in golden.iter().zip(GOLDEN) {
        assert!((seen - expected).abs() < 2e-4, "{kind:?}: {seen}, not {expected}; all: {golden:?}");
    }
}

#[test]
fn variants_keep_their_golden_logits() {
    let small = Plan::small(Kind::F32, 9);
    let qwen = Plan { architecture: "qwen2", biased: true, tied: true, ..small.clone() };
    let mistral = Plan { architecture: "mistral", kv_heads: 1, ..small };
    let seen = [fingerprint(&qwen), fingerprint(&mistral)];
    assert!(seen.iter().zip(VARIANTS).all(|(seen, expected)| (seen - expected).abs() < 2e-4), "{seen:?}, not {VARIANTS:?}");
}

const GOLDEN: [f32; 11] =
    [0.13737902, 0.137608, 0.13877624, 0.35432458, -1.0344294, -1.2958391, 0.80223995, 0.78694856, 1.0237671, 0.15864779, -0.05503248];
const VARIANTS: [f32; 2] = [-2.3968418, -0.03871562];

/// A number to which all logits of a few tokens contribute, each with a weight of its own.
fn fingerprint(plan: &Plan) -> f32 {
    fingerprint_of(&logits(&model(plan), &[1, 260, 270, 3, 280]))
}

/// That of some logits.
pub(crate) fn fingerprint_of(logits: &[f32]) -> f32 {
    let sum: f32 = logits.iter().enumerate().map(|(index, logit)| logit * (index as f32 * 0.7).sin()).sum();
    sum / (logits.len() as f32).sqrt()
}
