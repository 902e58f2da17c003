//! The forward pass at speed: a fixed sequence of phases over buffers that are made once, each phase done by all threads of a team.
//!
//! A phase's threads write places of their own (rows of a product, heads, tokens), and what a phase reads an earlier phase has written; between two
//! phases [`Team::run`] returns. Work on a single token that is shorter than waking a thread is done by the caller alone.
//! Nothing is allocated after [`Session::new`] but the caller's logits.
//!
//! **The logits of a token have the same bits for any cutting of the prompt and any number of threads.**
mod adapted;
mod pass;
mod product;
mod session;
mod shift;

use alloc::vec;
use alloc::vec::Vec;

use crate::config::Config;
use crate::elementwise::dot;
use crate::error::Error;
use crate::gguf::Tensor;
pub use crate::kept::Precision;
use crate::kernel::Processor;
use crate::model::{Layer, Model};
use crate::packed::Packed;
use crate::team::Team;
pub use adapted::Adapters;
use pass::Pass;
use product::Product;
pub use session::Session;

/// Most tokens that go through the layers at once.
pub const BATCH: usize = 64;

/// The matrices of a layer, packed.
#[derive(Debug)]
struct Matrices {
    query: Product,
    key: Product,
    value: Product,
    output: Product,
    gate: Product,
    up: Product,
    down: Product,
    attention_norm: Vec<f32>,
    feed_norm: Vec<f32>,
}

/// A model that is ready to run.
#[derive(Debug)]
pub struct Engine<'a> {
    config: Config,
    embedding: Tensor<'a>,
    layers: Vec<Matrices>,
    output_norm: Vec<f32>,
    output: Product,
    turns: Vec<f64>,
    processor: Processor,
}

/// Which tokens' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Those of all.
    All,
    /// Those of the last.
    Last,
}

/// Which tokens an embedding comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all.
    #[default]
    Mean,
    /// The last, which has seen all others.
    Last,
}

impl Matrices {
    fn new(layer: &Layer<'_>) -> Self {
        Self {
            query: (&layer.query).into(),
            key: (&layer.key).into(),
            value: (&layer.value).into(),
            output: (&layer.attention_output).into(),
            gate: (&layer.gate).into(),
            up: (&layer.up).into(),
            down: (&layer.down).into(),
            attention_norm: layer.attention_norm.clone(),
            feed_norm: layer.feed_norm.clone(),
        }
    }

    fn all(&self) -> [&Product; 7] {
        [&self.query, &self.key, &self.value, &self.output, &self.gate, &self.up, &self.down]
    }
}

impl<'a> Engine<'a> {
    /// Packs the matrices of `model`. `progress` hears of each layer: how many are done, of how many.
    pub fn new(model: &Model<'a>, processor: Processor, mut progress: impl FnMut(usize, usize)) -> Self {
        let mut layers = Vec::with_capacity(model.layers.len());
        for layer in &model.layers {
            layers.push(Matrices::new(layer));
            progress(layers.len(), model.layers.len());
        }
        Self {
            config: model.config.clone(),
            embedding: model.embedding,
            layers,
            output_norm: model.output_norm.clone(),
            output: Packed::new(&model.output).into(),
            turns: model.turns.clone(),
            processor,
        }
    }

    /// The model's numbers.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The instructions that it uses.
    #[must_use]
    pub const fn processor(&self) -> Processor {
        self.processor
    }

    /// Tokens of the vocabulary: numbers of a row of logits.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.embedding.rows
    }

    /// Bytes of weights that each token of a generation reads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.output.matrix.bytes() + self.layers.iter().flat_map(Matrices::all).map(|product| product.matrix.bytes()).sum::<usize>()
    }

    /// Weights that each token of a prompt is multiplied by: all but those of the output, which only the last needs.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.layers.iter().flat_map(Matrices::all).map(|product| product.matrix.rows * product.matrix.columns).sum()
    }

    /// Lets `session` see `tokens`, and appends the logits that are wanted to `logits`.
    ///
    /// # Errors
    /// A token is not in the vocabulary, or the session has no room for all of them; nothing has been seen then.
    ///
    /// # Panics
    /// The session was made for another engine, or for fewer threads than `team` has.
    pub fn feed(&self, session: &mut Session, tokens: &[u32], want: Want, team: &dyn Team, logits: &mut Vec<f32>) -> Result<(), Error> {
        self.pass(session, tokens, team, |pass, is_last| {
            let wanted = match want {
                Want::All => 0..pass.count,
                Want::Last if is_last => pass.count - 1..pass.count,
                Want::Last => 0..0,
            };
            if !wanted.is_empty() {
                pass.norm_out(wanted.clone());
                pass.read_out(wanted.len(), logits);
            }
        })
    }

    /// Lets `session` see `tokens`, and returns what they became behind the last norm, as one column of length 1 (or of zeros): a text's place among others.
    ///
    /// # Errors
    /// As [`Engine::feed`]'s.
    ///
    /// # Panics
    /// As [`Engine::feed`]'s.
    pub fn embed(&self, session: &mut Session, tokens: &[u32], pooling: Pooling, team: &dyn Team) -> Result<Vec<f32>, Error> {
        let mut sum = vec![0.0_f32; self.config.width];
        self.pass(session, tokens, team, |pass, is_last| {
            let wanted = match pooling {
                Pooling::Mean => 0..pass.count,
                Pooling::Last if is_last => pass.count - 1..pass.count,
                Pooling::Last => 0..0,
            };
            for column in pass.norm_out(wanted).chunks_exact(self.config.width) {
                sum.iter_mut().zip(column).for_each(|(sum, number)| *sum += number);
            }
        })?;
        let length = libm::sqrtf(dot(&sum, &sum));
        if length > 0.0 {
            sum.iter_mut().for_each(|number| *number /= length);
        }
        Ok(sum)
    }

    /// Takes `tokens` through the layers, batch by batch; `after` sees each, and whether it is the last.
    fn pass(&self, session: &mut Session, tokens: &[u32], team: &dyn Team, mut after: impl FnMut(&mut Pass<'_, '_>, bool)) -> Result<(), Error> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.tokens()) {
            return Err(Error::Token(*token));
        }
        if tokens.len() > session.room() {
            return Err(Error::ContextFull);
        }
        let batches = tokens.chunks(BATCH);
        let last = batches.len();
        for (index, batch) in batches.enumerate() {
            let mut pass = Pass { engine: self, session: &mut *session, team, count: batch.len() };
            pass.run(batch);
            after(&mut pass, index + 1 == last);
            session.see(batch);
        }
        Ok(())
    }
}
