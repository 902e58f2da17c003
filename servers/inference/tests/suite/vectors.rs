//! Where the reference vectors are, and reading of what they come in. They are no part of the project; without them a test says so and ends.

use std::path::PathBuf;

/// A file of the reference data, or none where the data is missing.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/llm");
    if !root.is_dir() {
        eprintln!("SKIPPED: there is no reference data in ../shared/llm");
        return None;
    }
    Some(root.join(name))
}

/// The bytes of a file of the reference data, which must be there when the data is.
pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    path(name).map(|path| std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Little-endian numbers.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// What another engine made of a prompt.
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) greedy: Vec<u32>,
    pub(crate) gaps: Vec<f32>,
}

impl Prompt {
    /// The prompts of the model `name`, which must be there.
    pub(crate) fn all(name: &str) -> Vec<Self> {
        let bytes = bytes(&format!("vectors/out/{name}.json")).expect("the reference data");
        let text = String::from_utf8(bytes).expect("text");
        let texts = String::from_utf8(self::bytes("vectors/prompts.txt").expect("the reference data")).expect("text");
        let prompts = text.split("\"prompt\"").skip(1);
        prompts.zip(texts.lines()).map(|(part, text)| Self::of(part, text)).collect()
    }

    fn of(part: &str, text: &str) -> Self {
        let integers = |name: &str| numbers(part, name).into_iter().map(|number| number as u32).collect();
        let gaps = numbers(part, "top1_minus_top2").into_iter().map(|gap| gap as f32).collect();
        Self { text: text.into(), tokens: integers("tokens"), greedy: integers("greedy"), gaps }
    }
}

/// The list called `name` in a piece of JSON.
fn numbers(json: &str, name: &str) -> Vec<f64> {
    let list = json.split_once(&format!("\"{name}\":")).and_then(|(_, rest)| rest.split_once(']')).expect("a list").0;
    list.trim_start_matches([' ', '[']).split(',').map(|number| number.trim().parse().expect("a number")).collect()
}

/// Exact logits of all tokens of prompt number `prompt` of the model `name`.
pub(crate) fn exact(name: &str, prompt: usize) -> Option<Vec<f32>> {
    bytes(&format!("vectors/out/{name}.exact.npz")).map(|archive| super::inflate::array(&archive, &format!("logits{prompt}")))
}

/// The tokens of the text for perplexity.
pub(crate) fn story() -> Vec<u32> {
    let text = String::from_utf8(bytes("vectors/ppl.tokens.json").expect("the reference data")).expect("text");
    text.trim_matches(['[', ']', '\n']).split(',').map(|number| number.trim().parse().expect("a number")).collect()
}
