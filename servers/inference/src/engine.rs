//! The forward pass at speed: a fixed sequence of phases over buffers that are made once, each phase done by all threads of a team.
//!
//! A phase's threads write places of their own (rows of a product, heads, tokens), and what a phase reads an earlier phase has written; between two
//! phases [`Team::run`] returns. Work on a single token that is shorter than waking a thread is done by the caller alone.
//! Nothing is allocated after [`Session::new`] but the caller's logits.
//!
//! **The logits of a token have the same bits for any cutting of the prompt and any number of threads.**
#![allow(unsafe_code, reason = "threads write disjoint parts of one buffer")]

use alloc::vec;
use alloc::vec::Vec;

use crate::attention::{self, Queries, Seen};
use crate::config::{Config, MOST_HEAD};
use crate::dequantise::dequantise;
use crate::elementwise::{gated, norm, turn};
use crate::error::Error;
use crate::gguf::Tensor;
use crate::half::to_f16;
use crate::input::{Block, Inputs, quantise};
use crate::kernel::{Processor, TILE};
use crate::model::{Layer, Linear, Model};
use crate::packed::{PANEL, Packed};
use crate::quant::SMALL_BLOCK;
use crate::shared::{Shared, share};
use crate::team::Team;

/// Most tokens that go through the layers at once.
pub const BATCH: usize = 64;

/// A matrix and what is added to its product.
#[derive(Debug)]
struct Product {
    matrix: Packed,
    bias: Option<Vec<f32>>,
}

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
    output: Packed,
    turns: Vec<f64>,
    processor: Processor,
}

/// What one text has left behind: keys and values of all its tokens; and the buffers of the pass.
#[derive(Debug)]
pub struct Session {
    position: usize,
    capacity: usize,
    /// Where the last token's numbers are among the normed ones.
    embedding: usize,
    /// For each layer and head: halves, position by position.
    keys: Vec<u16>,
    values: Vec<u16>,
    residual: Vec<f32>,
    narrow: Inputs,
    queries: Vec<f32>,
    new_keys: Vec<f32>,
    new_values: Vec<f32>,
    grouped: Vec<f32>,
    attended: Inputs,
    heads_out: Vec<f32>,
    inner: Inputs,
    states: Vec<(f32, f32)>,
    tiles: Vec<f32>,
    angles: Vec<(f32, f32)>,
}

/// Which tokens' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Those of all.
    All,
    /// Those of the last.
    Last,
}

fn product(linear: &Linear<'_>) -> Product {
    Product { matrix: Packed::new(&linear.weight), bias: linear.bias.clone() }
}

impl Matrices {
    fn new(layer: &Layer<'_>) -> Self {
        Self {
            query: product(&layer.query),
            key: product(&layer.key),
            value: product(&layer.value),
            output: product(&layer.attention_output),
            gate: product(&layer.gate),
            up: product(&layer.up),
            down: product(&layer.down),
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
            output: Packed::new(&model.output),
            turns: model.turns.clone(),
            processor,
        }
    }

    /// The model's numbers.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Tokens of the vocabulary: numbers of a row of logits.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.embedding.rows
    }

    /// Bytes of weights that each token of a generation reads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.output.bytes() + self.layers.iter().flat_map(Matrices::all).map(|product| product.matrix.bytes()).sum::<usize>()
    }

    /// Lets `session` see `tokens`, and appends the logits that are wanted to `logits`.
    ///
    /// # Errors
    /// A token is not in the vocabulary, or the session has no room for all of them; nothing has been seen then.
    pub fn feed(&self, session: &mut Session, tokens: &[u32], want: Want, team: &dyn Team, logits: &mut Vec<f32>) -> Result<(), Error> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.tokens()) {
            return Err(Error::Token(*token));
        }
        if tokens.len() > session.capacity - session.position {
            return Err(Error::ContextFull);
        }
        let batches = tokens.chunks(BATCH);
        let last = batches.len();
        for (index, batch) in batches.enumerate() {
            Pass { engine: self, session: &mut *session, team, count: batch.len() }.run(batch);
            let wanted = match want {
                Want::All => 0..batch.len(),
                Want::Last if index + 1 == last => batch.len() - 1..batch.len(),
                Want::Last => 0..0,
            };
            Pass { engine: self, session: &mut *session, team, count: batch.len() }.read_out(wanted, logits);
            session.position += batch.len();
        }
        Ok(())
    }
}

impl Session {
    /// Room for `capacity` tokens, worked on by at most `threads` threads.
    #[must_use]
    pub fn new(engine: &Engine<'_>, capacity: usize, threads: usize) -> Self {
        let config = &engine.config;
        let kept = config.layers * config.kv_width() * capacity;
        let batch = BATCH.min(capacity.max(1));
        let query_width = config.query_width();
        Self {
            position: 0,
            capacity,
            embedding: 0,
            keys: vec![0; kept],
            values: vec![0; kept],
            residual: vec![0.0; config.width * batch],
            narrow: Inputs::new(config.width, batch),
            queries: vec![0.0; query_width * batch],
            new_keys: vec![0.0; config.kv_width() * batch],
            new_values: vec![0.0; config.kv_width() * batch],
            grouped: vec![0.0; query_width * batch],
            attended: Inputs::new(query_width, batch),
            heads_out: vec![0.0; query_width * batch],
            inner: Inputs::new(config.inner, batch),
            states: vec![(0.0, 0.0); config.heads * batch],
            tiles: vec![0.0; threads * 2 * attention::TILE * config.head],
            angles: vec![(0.0, 0.0); engine.turns.len() * batch],
        }
    }

    /// Tokens seen.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// What the last token became behind the last norm, before the output matrix, of the last call that wanted its logits.
    #[must_use]
    pub fn embedding(&self) -> &[f32] {
        &self.narrow.numbers[self.embedding..self.embedding + self.narrow.length]
    }

    /// Forgets all but the first `position` tokens, so that a text that begins alike need not be seen again.
    pub fn truncate(&mut self, position: usize) {
        self.position = self.position.min(position);
    }
}

/// One batch on its way through the model.
struct Pass<'p, 'a> {
    engine: &'p Engine<'a>,
    session: &'p mut Session,
    team: &'p dyn Team,
    count: usize,
}

/// Writes to the columns of a phase's inputs.
struct Columns<'a> {
    length: usize,
    numbers: Shared<'a, f32>,
    blocks: Shared<'a, Block>,
}

impl<'a> Columns<'a> {
    fn new(inputs: &'a mut Inputs) -> Self {
        Self { length: inputs.length, numbers: Shared::new(&mut inputs.numbers), blocks: Shared::new(&mut inputs.blocks) }
    }

    /// Fills column `index` and writes it in eight bits. The caller is the only one at this column.
    fn fill(&self, index: usize, fill: impl FnOnce(&mut [f32])) {
        let count = self.length / SMALL_BLOCK;
        // SAFETY: a phase gives each column to one thread.
        let (numbers, blocks) =
            unsafe { (self.numbers.part(index * self.length..(index + 1) * self.length), self.blocks.part(index * count..(index + 1) * count)) };
        fill(numbers);
        quantise(numbers, blocks);
    }
}

impl Pass<'_, '_> {
    fn run(&mut self, tokens: &[u32]) {
        let width = self.engine.config.width;
        for (token, residual) in tokens.iter().zip(self.session.residual.chunks_exact_mut(width)) {
            let embedding = &self.engine.embedding;
            dequantise(embedding.kind, embedding.row(*token as usize), residual);
        }
        let position = self.session.position;
        let angles = self.session.angles.chunks_exact_mut(self.engine.turns.len().max(1));
        for (index, angles) in angles.take(self.count).enumerate() {
            for (angle, turn) in angles.iter_mut().zip(&self.engine.turns) {
                let (sine, cosine) = libm::sincos((position + index) as f64 * turn);
                *angle = (sine as f32, cosine as f32);
            }
        }
        let engine = self.engine;
        for (index, layer) in engine.layers.iter().enumerate() {
            self.norm(&layer.attention_norm);
            self.project(layer);
            self.attend(index);
            self.add(&layer.output, |session| (&session.attended, &mut session.residual));
            self.norm(&layer.feed_norm);
            self.gate(layer);
            self.add(&layer.down, |session| (&session.inner, &mut session.residual));
        }
    }

    /// Has `work` done for each of `count` pieces, by the caller alone when there is but one.
    fn each(team: &dyn Team, count: usize, work: impl Fn(usize) + Sync) {
        if count == 1 {
            return work(0);
        }
        let threads = team.threads();
        team.run(&|thread| share(count, thread, threads).for_each(&work));
    }

    fn norm(&mut self, weights: &[f32]) {
        let (width, epsilon) = (self.engine.config.width, self.engine.config.epsilon);
        let columns = Columns::new(&mut self.session.narrow);
        let residual = &self.session.residual;
        Self::each(self.team, self.count, |index| {
            columns.fill(index, |column| norm(&residual[index * width..(index + 1) * width], weights, epsilon, column));
        });
    }

    fn project(&mut self, layer: &Matrices) {
        let Session { narrow, queries, new_keys, new_values, .. } = &mut *self.session;
        let outputs = [(&layer.query, Shared::new(queries)), (&layer.key, Shared::new(new_keys)), (&layer.value, Shared::new(new_values))];
        let (processor, count, threads) = (self.engine.processor, self.count, self.team.threads());
        self.team.run(&|thread| {
            for (product, output) in &outputs {
                multiply(processor, product, narrow, count, (thread, threads), |range, values| {
                    // SAFETY: a panel's rows are those of one thread.
                    unsafe { output.part(range) }.copy_from_slice(values);
                });
            }
        });
    }

    /// Adds a product to the residual stream.
    fn add(&mut self, product: &Product, of: impl FnOnce(&mut Session) -> (&Inputs, &mut Vec<f32>)) {
        let (processor, count, threads) = (self.engine.processor, self.count, self.team.threads());
        let (inputs, output) = of(self.session);
        let output = Shared::new(output);
        self.team.run(&|thread| {
            multiply(processor, product, inputs, count, (thread, threads), |range, values| {
                // SAFETY: a panel's rows are those of one thread.
                let output = unsafe { output.part(range) };
                output.iter_mut().zip(values).for_each(|(output, value)| *output += value);
            });
        });
    }

    fn gate(&mut self, layer: &Matrices) {
        let (processor, count, threads) = (self.engine.processor, self.count, self.team.threads());
        let Session { narrow, inner, .. } = &mut *self.session;
        let length = inner.length;
        let columns = Columns::new(inner);
        self.team.run(&|thread| {
            for panel in share(layer.gate.matrix.panels(), thread, threads) {
                for first in (0..count).step_by(TILE) {
                    let (mut gates, mut ups) = ([[0.0; PANEL]; TILE], [[0.0; PANEL]; TILE]);
                    let taken = TILE.min(count - first);
                    layer.gate.panel(processor, panel, narrow, first, &mut gates[..taken]);
                    layer.up.panel(processor, panel, narrow, first, &mut ups[..taken]);
                    for index in 0..taken {
                        let start = panel * PANEL;
                        let end = length.min(start + PANEL);
                        let column = (first + index) * length;
                        // SAFETY: a panel's rows are those of one thread.
                        let output = unsafe { columns.numbers.part(column + start..column + end) };
                        output.copy_from_slice(&gated(gates[index], ups[index])[..end - start]);
                    }
                }
            }
        });
        Self::each(self.team, count, |index| columns.fill(index, |_| ()));
    }

    /// Turns, keeps and attends, each head of keys by one thread.
    fn attend(&mut self, layer: usize) {
        let (config, processor, count) = (&self.engine.config, self.engine.processor, self.count);
        let (head, group, kv_width) = (config.head, config.heads / config.kv_heads, config.kv_width());
        let Session { position, capacity, keys, values, queries, new_keys, new_values, grouped, attended, heads_out, states, tiles, angles, .. } =
            &mut *self.session;
        let (position, capacity, threads, pairs) = (*position, *capacity, self.team.threads(), self.engine.turns.len());
        let scale = 1.0 / libm::sqrtf(head as f32);
        let columns = Columns::new(attended);
        let [keys, values] = [keys, values].map(|kept| Shared::new(kept));
        let [grouped, heads_out, tiles] = [grouped, heads_out, tiles].map(|buffer| Shared::new(buffer));
        let states = Shared::new(states);
        self.team.run(&|thread| {
            for kv in share(config.kv_heads, thread, threads) {
                let kept = (layer * config.kv_heads + kv) * capacity * head;
                let own = kv * count * group;
                let tile = thread * 2 * attention::TILE * head;
                // SAFETY: the places of one head of keys are those of one thread, and each thread has a tile of its own.
                let (keys, values, grouped, sums, states, tile) = unsafe {
                    (
                        keys.part(kept..kept + capacity * head),
                        values.part(kept..kept + capacity * head),
                        grouped.part(own * head..(own + count * group) * head),
                        heads_out.part(own * head..(own + count * group) * head),
                        states.part(own..own + count * group),
                        tiles.part(tile..tile + 2 * attention::TILE * head),
                    )
                };
                for token in 0..count {
                    let angles = &angles[token * pairs..(token + 1) * pairs];
                    let mut key = [0.0; MOST_HEAD];
                    let key = &mut key[..head];
                    let place = token * kv_width + kv * head;
                    key.copy_from_slice(&new_keys[place..place + head]);
                    turn(config.pairs, angles, key);
                    let to = (position + token) * head;
                    keys[to..to + head].iter_mut().zip(key).for_each(|(to, from)| *to = to_f16(*from));
                    values[to..to + head].iter_mut().zip(&new_values[place..place + head]).for_each(|(to, from)| *to = to_f16(*from));
                    let from = token * config.query_width() + kv * group * head;
                    let group_queries = &mut grouped[token * group * head..(token + 1) * group * head];
                    group_queries.copy_from_slice(&queries[from..from + group * head]);
                    group_queries.chunks_exact_mut(head).for_each(|query| turn(config.pairs, angles, query));
                    group_queries.iter_mut().for_each(|number| *number *= scale);
                }
                let mut own = Queries { head, group, position, queries: grouped, states, sums };
                attention::attend(processor, &mut own, &mut Seen { keys, values, tile });
                for (token, sums) in sums.chunks_exact(group * head).enumerate() {
                    let to = token * config.query_width() + kv * group * head;
                    // SAFETY: as above.
                    unsafe { columns.numbers.part(to..to + group * head) }.copy_from_slice(sums);
                }
            }
        });
        Self::each(self.team, count, |index| columns.fill(index, |_| ()));
    }

    /// Appends the logits of the `wanted` tokens.
    fn read_out(&mut self, wanted: core::ops::Range<usize>, logits: &mut Vec<f32>) {
        if wanted.is_empty() {
            return;
        }
        let engine = self.engine;
        let (width, count, threads) = (engine.config.width, wanted.len(), self.team.threads());
        let columns = Columns::new(&mut self.session.narrow);
        let residual = &self.session.residual;
        Self::each(self.team, count, |index| {
            let from = (wanted.start + index) * width;
            columns.fill(index, |column| norm(&residual[from..from + width], &engine.output_norm, engine.config.epsilon, column));
        });
        self.session.embedding = (count - 1) * width;
        let start = logits.len();
        logits.resize(start + count * engine.tokens(), 0.0);
        let output = Shared::new(&mut logits[start..]);
        let inputs = &self.session.narrow;
        self.team.run(&|thread| {
            multiply_matrix(engine.processor, &engine.output, inputs, count, (thread, threads), |range, values| {
                // SAFETY: a panel's rows are those of one thread.
                unsafe { output.part(range) }.copy_from_slice(values);
            });
        });
    }
}

impl Product {
    fn panel(&self, processor: Processor, panel: usize, inputs: &Inputs, first: usize, out: &mut [[f32; PANEL]]) {
        processor.panel(&self.matrix, panel, inputs, first, out);
        if let Some(bias) = &self.bias {
            let bias = &bias[panel * PANEL..];
            out.iter_mut().for_each(|out| out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias));
        }
    }
}

/// A thread's part of a product: `write` gets where in the output some rows of one column belong, and their values.
fn multiply(
    processor: Processor,
    product: &Product,
    inputs: &Inputs,
    count: usize,
    (thread, threads): (usize, usize),
    write: impl FnMut(core::ops::Range<usize>, &[f32]),
) {
    each_panel(&product.matrix, count, (thread, threads), |panel, first, out| product.panel(processor, panel, inputs, first, out), write);
}

/// The same of a matrix alone.
fn multiply_matrix(
    processor: Processor,
    matrix: &Packed,
    inputs: &Inputs,
    count: usize,
    (thread, threads): (usize, usize),
    write: impl FnMut(core::ops::Range<usize>, &[f32]),
) {
    each_panel(matrix, count, (thread, threads), |panel, first, out| processor.panel(matrix, panel, inputs, first, out), write);
}

fn each_panel(
    matrix: &Packed,
    count: usize,
    (thread, threads): (usize, usize),
    compute: impl Fn(usize, usize, &mut [[f32; PANEL]]),
    mut write: impl FnMut(core::ops::Range<usize>, &[f32]),
) {
    for panel in share(matrix.panels(), thread, threads) {
        let (start, end) = (panel * PANEL, matrix.rows.min((panel + 1) * PANEL));
        for first in (0..count).step_by(TILE) {
            let mut out = [[0.0; PANEL]; TILE];
            let taken = TILE.min(count - first);
            compute(panel, first, &mut out[..taken]);
            for (index, out) in out[..taken].iter().enumerate() {
                let column = (first + index) * matrix.rows;
                write(column + start..column + end, &out[..end - start]);
            }
        }
    }
}
