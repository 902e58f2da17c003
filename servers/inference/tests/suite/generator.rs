//! Makes small random models, as whole GGUF files, from a seed: any architecture, shape and type of tensors, with nothing from outside.
//!
//! Weights are random codes under fixed scales that keep activations near one, so that an error anywhere shows in the logits and nothing overflows.

use super::dice::Dice;
use super::writer::Writer;
use inference::half::to_f16;
use inference::quant::Kind;

/// What a model is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) architecture: &'static str,
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) inner: usize,
    pub(crate) tokens: usize,
    pub(crate) kind: Kind,
    /// Q6_K for the output, and for the values and the feed-forward part's last matrix in half of the layers: what files called `_M` have.
    pub(crate) mixed: bool,
    pub(crate) tied: bool,
    pub(crate) biased: bool,
    pub(crate) context: usize,
    /// Bytes of each piece that is neither a byte nor special; 0 for a few letters.
    pub(crate) piece_bytes: usize,
    pub(crate) seed: u64,
}

impl Plan {
    /// A llama of the `kind`, as small as blocks of 256 allow.
    pub(crate) fn small(kind: Kind, seed: u64) -> Self {
        let width = kind.block().max(64);
        Self {
            architecture: "llama",
            width,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            inner: width,
            tokens: 288,
            kind,
            mixed: false,
            tied: false,
            biased: false,
            context: 1024,
            piece_bytes: 0,
            seed,
        }
    }

    /// The type of a matrix of layer `layer`, or of the output; which layers get more bits is llama.cpp's choice.
    fn kind_of(&self, part: &str, layer: usize) -> Kind {
        let eighth = self.layers / 8;
        let has_more = layer < eighth || layer >= 7 * self.layers / 8 || (layer - eighth) % 3 == 2;
        match part {
            "output.weight" if self.mixed => Kind::Q6_K,
            "v" | "down" if self.mixed && has_more => Kind::Q6_K,
            _ => self.kind,
        }
    }
}

/// Random rows of `kind` whose weights have a standard deviation of about `spread`.
pub(crate) fn random_rows(kind: Kind, rows: usize, columns: usize, spread: f32, dice: &mut Dice) -> Vec<u8> {
    let blocks = rows * columns / kind.block();
    (0..blocks).flat_map(|_| random_block(kind, spread, dice)).collect()
}

fn random_block(kind: Kind, spread: f32, dice: &mut Dice) -> Vec<u8> {
    let half = |value: f32| to_f16(value).to_le_bytes().to_vec();
    let weight = spread * 1.7 * dice.unit();
    let vary = 0.75 + 0.25 * dice.unit();
    let spread = spread * vary;
    let minimum = |steps: f32| half(spread * steps);
    match kind {
        Kind::F32 => weight.to_le_bytes().to_vec(),
        Kind::F16 => half(weight),
        Kind::BF16 => ((weight.to_bits() >> 16) as u16).to_le_bytes().to_vec(),
        Kind::Q8_0 => [half(spread / 73.0), dice.bytes(32)].concat(),
        Kind::Q4_0 => [half(spread / 4.6), dice.bytes(16)].concat(),
        Kind::Q4_1 => [half(spread / 4.6), minimum(-7.5 / 4.6), dice.bytes(16)].concat(),
        Kind::Q5_0 => [half(spread / 9.2), dice.bytes(20)].concat(),
        Kind::Q5_1 => [half(spread / 9.2), minimum(-15.5 / 9.2), dice.bytes(20)].concat(),
        Kind::Q4_K => [half(spread / 250.0), minimum(7.5 / 250.0), dice.bytes(12 + 128)].concat(),
        Kind::Q5_K => [half(spread / 500.0), minimum(15.5 / 500.0), dice.bytes(12 + 32 + 128)].concat(),
        Kind::Q6_K => [dice.bytes(192 + 16), half(spread / 1200.0)].concat(),
    }
}

/// The file of a model.
pub(crate) fn model(plan: &Plan) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut dice = Dice::new(plan.seed);
    describe(plan, &mut writer);
    vocabulary(plan, &mut writer);
    let head = plan.width / plan.heads;
    matrix(&mut writer, "token_embd.weight", plan.tokens, plan.width, plan.kind, &mut dice);
    for layer in 0..plan.layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let (q, kv) = (plan.width, head * plan.kv_heads);
        vector(&mut writer, &name("attn_norm.weight"), plan.width, 1.0, &mut dice);
        for (part, rows, columns) in [("q", q, plan.width), ("k", kv, plan.width), ("v", kv, plan.width), ("output", plan.width, q)] {
            matrix(&mut writer, &name(&format!("attn_{part}.weight")), rows, columns, plan.kind_of(part, layer), &mut dice);
            if plan.biased && part != "output" {
                vector(&mut writer, &name(&format!("attn_{part}.bias")), rows, 0.0, &mut dice);
            }
        }
        vector(&mut writer, &name("ffn_norm.weight"), plan.width, 1.0, &mut dice);
        for (part, rows, columns) in [("gate", plan.inner, plan.width), ("up", plan.inner, plan.width), ("down", plan.width, plan.inner)] {
            matrix(&mut writer, &name(&format!("ffn_{part}.weight")), rows, columns, plan.kind_of(part, layer), &mut dice);
        }
    }
    vector(&mut writer, "output_norm.weight", plan.width, 1.0, &mut dice);
    if !plan.tied {
        matrix(&mut writer, "output.weight", plan.tokens, plan.width, plan.kind_of("output.weight", 0), &mut dice);
    }
    writer.finish()
}

/// What an adapter is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Thin {
    pub(crate) kind: Kind,
    pub(crate) rank: usize,
    /// 0 leaves it out.
    pub(crate) alpha: f32,
    /// Which matrices of a layer, and others by their whole names.
    pub(crate) parts: &'static [&'static str],
    pub(crate) seed: u64,
}

/// All matrices that an adapter can add to.
pub(crate) const PARTS: [&str; 9] =
    ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "token_embd.weight", "output.weight"];

/// An adapter for the model of `plan`, in the making: what it adds is about a third of what is there.
pub(crate) fn adapter(plan: &Plan, thin: &Thin) -> Writer {
    let mut writer = Writer::default();
    let mut dice = Dice::new(thin.seed);
    writer.text("general.type", "adapter");
    writer.text("general.architecture", plan.architecture);
    writer.text("adapter.type", "lora");
    if thin.alpha != 0.0 {
        writer.float("adapter.lora.alpha", thin.alpha);
    }
    let kv = plan.width / plan.heads * plan.kv_heads;
    let mut pair = |name: &str, rows: usize, columns: usize, across: usize| {
        for (half, rows, columns, spread) in [("lora_a", rows, columns, across), ("lora_b", across, thin.rank, 9 * thin.rank)] {
            let data = random_rows(thin.kind, rows, columns, 1.0 / (spread as f32).sqrt(), &mut dice);
            writer.tensor(&format!("{name}.{half}"), &[columns as u64, rows as u64], thin.kind.number(), data);
        }
    };
    for part in thin.parts {
        let (rows, columns) = match *part {
            // The rows of its first half are the tokens', and those of its second the stream's.
            "token_embd.weight" => {
                pair(part, plan.tokens, thin.rank, plan.width);
                continue;
            }
            "output.weight" => (plan.tokens, plan.width),
            "attn_k" | "attn_v" => (kv, plan.width),
            "ffn_gate" | "ffn_up" => (plan.inner, plan.width),
            "ffn_down" => (plan.width, plan.inner),
            _ => (plan.width, plan.width),
        };
        let names =
            if part.contains('.') { vec![(*part).to_owned()] } else { (0..plan.layers).map(|layer| format!("blk.{layer}.{part}.weight")).collect() };
        names.iter().for_each(|name| pair(name, thin.rank, columns, rows));
    }
    writer
}

fn describe(plan: &Plan, writer: &mut Writer) {
    writer.text("general.architecture", plan.architecture);
    let mut number = |key: &str, value: usize| writer.number(&format!("{}.{key}", plan.architecture), value as u32);
    number("context_length", plan.context);
    number("embedding_length", plan.width);
    number("block_count", plan.layers);
    number("feed_forward_length", plan.inner);
    number("attention.head_count", plan.heads);
    number("attention.head_count_kv", plan.kv_heads);
    writer.float(&format!("{}.attention.layer_norm_rms_epsilon", plan.architecture), 1e-5);
}

/// A SentencePiece vocabulary: three special tokens, all bytes, letters and pairs of them, and numbers for the rest.
fn vocabulary(plan: &Plan, writer: &mut Writer) {
    let mut pieces: Vec<Vec<u8>> = ["<unk>", "<s>", "</s>"].iter().map(|piece| piece.as_bytes().to_vec()).collect();
    pieces.extend((0..256).map(|byte| format!("<0x{byte:02X}>").into_bytes()));
    let letters = "\u{2581}etaonihsr";
    let pairs = letters.chars().flat_map(|first| letters.chars().skip(1).map(move |second| format!("{first}{second}")));
    pieces.extend(letters.chars().map(String::from).chain(pairs).map(String::into_bytes));
    pieces.truncate(plan.tokens);
    pieces.extend((pieces.len()..plan.tokens).map(|index| format!("<{index}>").into_bytes()));
    pieces.iter_mut().skip(259).filter(|piece| piece.len() < plan.piece_bytes).for_each(|piece| piece.resize(plan.piece_bytes, b'x'));
    let score = |index: usize| if index < 259 { 0.0 } else { 259.0 - index as f32 };
    let kind = |index: usize| [2, 3, 3].get(index).copied().unwrap_or(if index < 259 { 6 } else { 1 });
    writer.text("tokenizer.ggml.model", "llama");
    writer.texts("tokenizer.ggml.tokens", &pieces);
    writer.floats("tokenizer.ggml.scores", &(0..plan.tokens).map(score).collect::<Vec<_>>());
    writer.numbers("tokenizer.ggml.token_type", &(0..plan.tokens).map(kind).collect::<Vec<_>>());
    writer.number("tokenizer.ggml.bos_token_id", 1);
    writer.number("tokenizer.ggml.eos_token_id", 2);
    writer.flag("tokenizer.ggml.add_bos_token", true);
}

fn matrix(writer: &mut Writer, name: &str, rows: usize, columns: usize, kind: Kind, dice: &mut Dice) {
    // Types whose blocks do not fit a row give way to F16, as they do in the usual converters.
    let kind = if columns.is_multiple_of(kind.block()) { kind } else { Kind::F16 };
    let spread = if name == "token_embd.weight" { 1.0 } else { 1.0 / (columns as f32).sqrt() };
    writer.tensor(name, &[columns as u64, rows as u64], kind.number(), random_rows(kind, rows, columns, spread, dice));
}

fn vector(writer: &mut Writer, name: &str, length: usize, centre: f32, dice: &mut Dice) {
    let data = (0..length).flat_map(|_| (centre + 0.3 * dice.unit()).to_le_bytes()).collect();
    writer.tensor(name, &[length as u64], Kind::F32.number(), data);
}
