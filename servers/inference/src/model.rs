//! A model: its numbers and its tensors, each found by name and of exactly the shape that the numbers ask for.
//!
//! Matrices stay in the file's bytes; the short vectors (norms, biases, rotary frequencies) are kept as `f32`. After [`Model::read`] no code has to ask again whether
//! a tensor fits.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use crate::config::Config;
use crate::dequantise::dequantise;
use crate::error::Error;
use crate::gguf::{File, Tensor};

/// A model in its file.
#[derive(Clone, Debug)]
pub struct Model<'a> {
    /// Its numbers.
    pub config: Config,
    /// One row for each token.
    pub embedding: Tensor<'a>,
    /// The layers in order.
    pub layers: Vec<Layer<'a>>,
    /// Weights of the norm before the output.
    pub output_norm: Vec<f32>,
    /// One row for each token; the embedding itself where the file has no other.
    pub output: Tensor<'a>,
    /// Whether that is the embedding.
    pub tied: bool,
    /// By how much each pair of a head turns from one position to the next, in radians.
    pub turns: Vec<f64>,
}

/// The tensors of one layer.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of every description of these models")]
pub struct Layer<'a> {
    pub attention_norm: Vec<f32>,
    pub query: Linear<'a>,
    pub key: Linear<'a>,
    pub value: Linear<'a>,
    pub attention_output: Linear<'a>,
    pub feed_norm: Vec<f32>,
    pub gate: Linear<'a>,
    pub up: Linear<'a>,
    pub down: Linear<'a>,
}

/// A matrix, and what is added to its product.
#[derive(Clone, Debug)]
pub struct Linear<'a> {
    /// The matrix.
    pub weight: Tensor<'a>,
    /// One number for each row.
    pub bias: Option<Vec<f32>>,
}

/// One of a model's matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The rows of the tokens.
    Embedding,
    /// One of a layer's.
    Layer(usize, Part),
    /// What the logits come from.
    Output,
}

/// The matrices of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of the layer's fields")]
pub enum Part {
    Query,
    Key,
    Value,
    AttentionOutput,
    Gate,
    Up,
    Down,
}

impl Part {
    /// All parts, each with its name in a file.
    const NAMES: [(Self, &'static str); 7] = [
        (Self::Query, "attn_q"),
        (Self::Key, "attn_k"),
        (Self::Value, "attn_v"),
        (Self::AttentionOutput, "attn_output"),
        (Self::Gate, "ffn_gate"),
        (Self::Up, "ffn_up"),
        (Self::Down, "ffn_down"),
    ];
}

impl Place {
    /// The matrix whose tensor is called `name` in every model's file.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "token_embd.weight" => return Some(Self::Embedding),
            "output.weight" => return Some(Self::Output),
            _ => {}
        }
        let (layer, part) = name.strip_prefix("blk.")?.strip_suffix(".weight")?.split_once('.')?;
        let (part, _) = Part::NAMES.into_iter().find(|(_, known)| *known == part)?;
        // There is one way to write a number: no sign, no zeros before it.
        let index = layer.parse::<usize>().ok().filter(|index| index.to_string() == layer)?;
        Some(Self::Layer(index, part))
    }
}

fn matrix<'a>(file: &File<'a>, name: &str, rows: usize, columns: usize) -> Result<Tensor<'a>, Error> {
    let tensor = file.tensor(name).ok_or_else(|| Error::Missing(name.to_owned()))?;
    if (tensor.rows, tensor.columns) == (rows, columns) { Ok(tensor) } else { Err(Error::Shape(name.to_owned())) }
}

fn vector(file: &File<'_>, name: &str, length: usize) -> Result<Vec<f32>, Error> {
    let tensor = matrix(file, name, 1, length)?;
    let mut numbers = vec![0.0; length];
    dequantise(tensor.kind, tensor.data, &mut numbers);
    Ok(numbers)
}

fn linear<'a>(file: &File<'a>, name: &str, rows: usize, columns: usize) -> Result<Linear<'a>, Error> {
    let bias = format!("{name}.bias");
    let bias = if file.tensor(&bias).is_some() { Some(vector(file, &bias, rows)?) } else { None };
    Ok(Linear { weight: matrix(file, &format!("{name}.weight"), rows, columns)?, bias })
}

impl<'a> Layer<'a> {
    fn read(file: &File<'a>, config: &Config, index: usize) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (width, inner) = (config.width, config.inner);
        Ok(Self {
            attention_norm: vector(file, &name("attn_norm.weight"), width)?,
            query: linear(file, &name("attn_q"), config.query_width(), width)?,
            key: linear(file, &name("attn_k"), config.kv_width(), width)?,
            value: linear(file, &name("attn_v"), config.kv_width(), width)?,
            attention_output: linear(file, &name("attn_output"), width, config.query_width())?,
            feed_norm: vector(file, &name("ffn_norm.weight"), width)?,
            gate: linear(file, &name("ffn_gate"), inner, width)?,
            up: linear(file, &name("ffn_up"), inner, width)?,
            down: linear(file, &name("ffn_down"), width, inner)?,
        })
    }

    /// The matrix of `part`.
    #[must_use]
    pub const fn linear(&self, part: Part) -> &Linear<'a> {
        match part {
            Part::Query => &self.query,
            Part::Key => &self.key,
            Part::Value => &self.value,
            Part::AttentionOutput => &self.attention_output,
            Part::Gate => &self.gate,
            Part::Up => &self.up,
            Part::Down => &self.down,
        }
    }
}

impl<'a> Model<'a> {
    /// Finds the model in `file`.
    ///
    /// # Errors
    /// The engine does not run this model, or a tensor is missing or of the wrong shape.
    pub fn read(file: &File<'a>) -> Result<Self, Error> {
        let config = Config::read(file)?;
        let embedding = file.tensor("token_embd.weight").ok_or_else(|| Error::Missing("token_embd.weight".to_owned()))?;
        if embedding.columns != config.width || embedding.rows == 0 {
            return Err(Error::Shape("token_embd.weight".to_owned()));
        }
        let tied = file.tensor("output.weight").is_none();
        let output = if tied { embedding } else { matrix(file, "output.weight", embedding.rows, config.width)? };
        let layers = (0..config.layers).map(|index| Layer::read(file, &config, index)).collect::<Result<_, _>>()?;
        let output_norm = vector(file, "output_norm.weight", config.width)?;
        Ok(Self { turns: turns(file, &config)?, config, embedding, layers, output_norm, output, tied })
    }

    /// The matrix at `place`, unless the model has none of its own there.
    #[must_use]
    pub fn matrix(&self, place: Place) -> Option<&Tensor<'a>> {
        match place {
            Place::Embedding => Some(&self.embedding),
            Place::Output => (!self.tied).then_some(&self.output),
            Place::Layer(index, part) => self.layers.get(index).map(|layer| &layer.linear(part).weight),
        }
    }

    /// Tokens of the vocabulary.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.embedding.rows
    }
}

/// Llama 3.1 and later bring a divisor for each pair, which stretches slow turns to a longer context.
fn turns(file: &File<'_>, config: &Config) -> Result<Vec<f64>, Error> {
    let pairs = config.turned / 2;
    let name = "rope_freqs.weight";
    let divisors = if file.tensor(name).is_some() { vector(file, name, pairs)? } else { vec![1.0; pairs] };
    let turn = |pair: usize| libm::pow(config.rope_base, -2.0 * pair as f64 / config.turned as f64) / config.rope_factor;
    Ok(divisors.iter().enumerate().map(|(pair, divisor)| turn(pair) / f64::from(*divisor)).collect())
}
