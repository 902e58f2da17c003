//! The forward pass as the papers write it: plain loops over dequantised weights, sums in `f64`. It is the oracle for the engine, and slow.
//!
//! One token at a time; keys and values are kept as they are. Nothing here shares code with the engine beyond the reading of the model, so that
//! no mistake can be in both.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::adapter::{Adapter, Delta};
use crate::config::{Config, Pairs};
use crate::dequantise::dequantise;
use crate::error::Error;
use crate::gguf::Tensor;
use crate::model::{Layer, Linear, Model, Part, Place};

/// A model and the tokens that it has seen.
#[derive(Debug)]
pub struct Reference<'m, 'a> {
    model: &'m Model<'a>,
    /// What each layer has kept.
    seen: Vec<Seen>,
    position: usize,
    /// What the last token has become behind the last norm.
    state: Vec<f32>,
    /// What is added to the matrices, and times what.
    adapters: Vec<(&'m Adapter<'m>, f32)>,
}

/// What a layer has kept, position by position.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// As they were before they were turned to their positions.
    plain_keys: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

fn row(tensor: &Tensor<'_>, index: usize) -> Vec<f32> {
    let mut weights = vec![0.0; tensor.columns];
    dequantise(tensor.kind, tensor.row(index), &mut weights);
    weights
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
}

fn multiply(tensor: &Tensor<'_>, input: &[f32]) -> Vec<f32> {
    (0..tensor.rows).map(|index| dot(&row(tensor, index), input) as f32).collect()
}

fn apply(linear: &Linear<'_>, input: &[f32]) -> Vec<f32> {
    let mut output = multiply(&linear.weight, input);
    if let Some(bias) = &linear.bias {
        add(&mut output, bias);
    }
    output
}

/// Adds what the adapters add to the matrix at `place`, `narrow` being what they make of its input.
fn adapt(adapters: &[(&Adapter<'_>, f32)], place: Place, output: &mut [f32], narrow: impl Fn(&Delta<'_>) -> Vec<f32>) {
    for (delta, scale) in adapters.iter().filter_map(|(adapter, scale)| adapter.at(place, *scale)) {
        let input = narrow(delta);
        for (index, output) in output.iter_mut().enumerate() {
            *output += (dot(&row(&delta.expand, index), &input) * scale) as f32;
        }
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

fn norm(input: &[f32], weights: &[f32], epsilon: f32) -> Vec<f32> {
    let mean = dot(input, input) / input.len() as f64;
    let scale = 1.0 / libm::sqrt(mean + f64::from(epsilon));
    input.iter().zip(weights).map(|(input, weight)| (f64::from(*input) * scale * f64::from(*weight)) as f32).collect()
}

/// Turns each head's pairs by their angles at `position`.
fn turn(config: &Config, turns: &[f64], position: usize, heads: &mut [f32]) {
    for head in heads.chunks_exact_mut(config.head) {
        for (pair, turn) in turns.iter().enumerate() {
            let (first, second) = match config.pairs {
                Pairs::Neighbours => (2 * pair, 2 * pair + 1),
                Pairs::Halves => (pair, pair + turns.len()),
            };
            let (sine, cosine) = libm::sincos(position as f64 * turn);
            let (a, b) = (f64::from(head[first]), f64::from(head[second]));
            (head[first], head[second]) = ((a * cosine - b * sine) as f32, (a * sine + b * cosine) as f32);
        }
    }
}

fn softmax(scores: &mut [f64]) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = libm::exp(*score - most));
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn attend(config: &Config, queries: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
    let (head, width) = (config.head, config.kv_width());
    let mut output = Vec::with_capacity(queries.len());
    for (index, query) in queries.chunks_exact(head).enumerate() {
        let start = index / (config.heads / config.kv_heads) * head;
        let of_head = |all: &[f32]| all.chunks_exact(width).map(|kept| kept[start..start + head].to_vec()).collect::<Vec<_>>();
        let mut scores: Vec<f64> = of_head(keys).iter().map(|key| dot(query, key) / libm::sqrt(head as f64)).collect();
        softmax(&mut scores);
        let values = of_head(values);
        let element = |at: usize| scores.iter().zip(&values).map(|(score, value)| score * f64::from(value[at])).sum::<f64>() as f32;
        output.extend((0..head).map(element));
    }
    output
}

impl<'m, 'a> Reference<'m, 'a> {
    /// A model that has seen nothing.
    #[must_use]
    pub fn new(model: &'m Model<'a>) -> Self {
        Self::adapted(model, &[])
    }

    /// The same with adapters, each times its scale.
    #[must_use]
    pub fn adapted(model: &'m Model<'a>, adapters: &[(&'m Adapter<'m>, f32)]) -> Self {
        Self { model, seen: vec![Seen::default(); model.layers.len()], position: 0, state: Vec::new(), adapters: adapters.to_vec() }
    }

    /// The product with a layer's matrix.
    fn apply(&self, (index, layer): (usize, &Layer<'_>), part: Part, input: &[f32]) -> Vec<f32> {
        let mut output = apply(layer.linear(part), input);
        adapt(&self.adapters, Place::Layer(index, part), &mut output, |delta| multiply(&delta.narrow, input));
        output
    }

    fn feed(&self, layer: (usize, &Layer<'_>), input: &[f32]) -> Vec<f32> {
        let (gate, up) = (self.apply(layer, Part::Gate, input), self.apply(layer, Part::Up, input));
        let inner: Vec<f32> = gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + libm::expf(-gate)) * up).collect();
        self.apply(layer, Part::Down, &inner)
    }

    /// Shows it one more token; what it makes of all so far, one number for each token that may come next.
    ///
    /// # Errors
    /// There is no such token.
    pub fn next(&mut self, token: u32) -> Result<Vec<f32>, Error> {
        let (model, config) = (self.model, &self.model.config);
        if token as usize >= model.tokens() {
            return Err(Error::Token(token));
        }
        let mut residual = row(&model.embedding, token as usize);
        adapt(&self.adapters, Place::Embedding, &mut residual, |delta| row(&delta.narrow, token as usize));
        for layer in model.layers.iter().enumerate() {
            let input = norm(&residual, &layer.1.attention_norm, config.epsilon);
            let (mut queries, mut key) = (self.apply(layer, Part::Query, &input), self.apply(layer, Part::Key, &input));
            let value = self.apply(layer, Part::Value, &input);
            let seen = &mut self.seen[layer.0];
            seen.plain_keys.extend(&key);
            turn(config, &model.turns, self.position, &mut queries);
            turn(config, &model.turns, self.position, &mut key);
            seen.keys.extend(key);
            seen.values.extend(value);
            let attended = attend(config, &queries, &seen.keys, &seen.values);
            add(&mut residual, &self.apply(layer, Part::AttentionOutput, &attended));
            let input = norm(&residual, &layer.1.feed_norm, config.epsilon);
            add(&mut residual, &self.feed(layer, &input));
        }
        self.position += 1;
        self.state = norm(&residual, &model.output_norm, config.epsilon);
        let mut logits = multiply(&model.output, &self.state);
        adapt(&self.adapters, Place::Output, &mut logits, |delta| multiply(&delta.narrow, &self.state));
        Ok(logits)
    }

    /// What the last token has become behind the last norm.
    #[must_use]
    pub fn state(&self) -> &[f32] {
        &self.state
    }

    /// Forgets the tokens at `positions`; those behind them stand where these were from now on.
    ///
    /// # Panics
    /// They have not all been seen.
    pub fn forget(&mut self, positions: Range<usize>) {
        let (config, width) = (&self.model.config, self.model.config.kv_width());
        self.position -= positions.len();
        for seen in &mut self.seen {
            let numbers = positions.start * width..positions.end * width;
            drop(seen.plain_keys.drain(numbers.clone()));
            drop(seen.values.drain(numbers));
            seen.keys.clone_from(&seen.plain_keys);
            seen.keys.chunks_exact_mut(width).enumerate().for_each(|(position, key)| turn(config, &self.model.turns, position, key));
        }
    }
}
