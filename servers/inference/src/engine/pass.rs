//! One batch on its way through the model, phase by phase: see the engine's head for which thread writes what.
#![allow(unsafe_code, reason = "threads write disjoint parts of one buffer")]

use alloc::vec::Vec;
use core::ops::Range;

use super::adapted::{Adapted, Work};
use super::product::Product;
use super::{Engine, Matrices, Session};
use crate::attention::{self, Queries, Seen};
use crate::config::MOST_HEAD;
use crate::dequantise::dequantise;
use crate::elementwise::{gated, norm, turn};
use crate::input::{Block, Inputs, quantise};
use crate::kept::Kept;
use crate::kernel::TILE;
use crate::model::{Part, Place};
use crate::packed::PANEL;
use crate::quant::SMALL_BLOCK;
use crate::shared::{Shared, share};
use crate::team::Team;

/// One batch on its way through the model.
pub(super) struct Pass<'p, 'a> {
    pub(super) engine: &'p Engine<'a>,
    pub(super) session: &'p mut Session,
    pub(super) team: &'p dyn Team,
    pub(super) count: usize,
}

/// What a product is added to the residual stream from: the inputs, the stream, and the adapters.
type Sum<'s> = (&'s Inputs, &'s mut Vec<f32>, &'s mut Option<Adapted>);

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

impl<'p> Pass<'p, '_> {
    /// Takes the tokens through all layers.
    pub(super) fn run(&mut self, tokens: &[u32]) {
        let width = self.engine.config.width;
        for (token, residual) in tokens.iter().zip(self.session.residual.chunks_exact_mut(width)) {
            let embedding = &self.engine.embedding;
            dequantise(embedding.kind, embedding.row(*token as usize), residual);
        }
        self.adapt_embedding(tokens);
        let position = self.session.position();
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
            self.project(index, layer);
            self.attend(index);
            self.add(&layer.output, Place::Layer(index, Part::AttentionOutput), |session| {
                (&session.attended, &mut session.residual, &mut session.adapted)
            });
            self.norm(&layer.feed_norm);
            self.gate(index, layer);
            self.add(&layer.down, Place::Layer(index, Part::Down), |session| (&session.inner, &mut session.residual, &mut session.adapted));
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

    fn work(&self) -> Work<'p> {
        Work { processor: self.engine.processor, team: self.team, count: self.count }
    }

    /// Adds what the adapters have for the tokens to their rows.
    fn adapt_embedding(&mut self, tokens: &[u32]) {
        let Work { processor, team, count } = self.work();
        let Session { adapted, residual, .. } = &mut *self.session;
        let Some(added) = adapted.as_mut().and_then(|adapted| adapted.embed(tokens)) else { return };
        let (output, threads) = (Shared::new(residual), team.threads());
        team.run(&|thread| {
            added.multiply(processor, count, (thread, threads), |range, values| {
                // SAFETY: a panel's rows are those of one thread.
                let output = unsafe { output.part(range) };
                output.iter_mut().zip(values).for_each(|(output, value)| *output += value);
            });
        });
    }

    fn project(&mut self, index: usize, layer: &Matrices) {
        let work = self.work();
        let Work { processor, count, .. } = work;
        let Session { narrow, queries, new_keys, new_values, adapted, .. } = &mut *self.session;
        let added = Adapted::narrow_if(adapted, [Part::Query, Part::Key, Part::Value].map(|part| Place::Layer(index, part)), narrow, work);
        let outputs = [(&layer.query, Shared::new(queries)), (&layer.key, Shared::new(new_keys)), (&layer.value, Shared::new(new_values))];
        let threads = self.team.threads();
        self.team.run(&|thread| {
            for ((product, output), added) in outputs.iter().zip(added) {
                product.multiply(processor, narrow, count, (thread, threads), added, |range, values| {
                    // SAFETY: a panel's rows are those of one thread.
                    unsafe { output.part(range) }.copy_from_slice(values);
                });
            }
        });
    }

    /// Adds a product to the residual stream.
    fn add(&mut self, product: &Product, place: Place, of: impl FnOnce(&mut Session) -> Sum<'_>) {
        let work = self.work();
        let Work { processor, count, .. } = work;
        let (inputs, output, adapted) = of(self.session);
        let [added] = Adapted::narrow_if(adapted, [place], inputs, work);
        let (output, threads) = (Shared::new(output), self.team.threads());
        self.team.run(&|thread| {
            product.multiply(processor, inputs, count, (thread, threads), added, |range, values| {
                // SAFETY: a panel's rows are those of one thread.
                let output = unsafe { output.part(range) };
                output.iter_mut().zip(values).for_each(|(output, value)| *output += value);
            });
        });
    }

    fn gate(&mut self, index: usize, layer: &Matrices) {
        let work = self.work();
        let (Work { processor, count, .. }, threads) = (work, self.team.threads());
        let Session { narrow, inner, adapted, .. } = &mut *self.session;
        let added = Adapted::narrow_if(adapted, [Part::Gate, Part::Up].map(|part| Place::Layer(index, part)), narrow, work);
        let length = inner.length;
        let columns = Columns::new(inner);
        self.team.run(&|thread| {
            for panel in share(layer.gate.matrix.panels(), thread, threads) {
                for first in (0..count).step_by(TILE) {
                    let (mut gates, mut ups) = ([[0.0; PANEL]; TILE], [[0.0; PANEL]; TILE]);
                    let taken = TILE.min(count - first);
                    layer.gate.panel(processor, panel, narrow, first, added[0], &mut gates[..taken]);
                    layer.up.panel(processor, panel, narrow, first, added[1], &mut ups[..taken]);
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
        let position = self.session.position();
        let Session { capacity, keys, values, queries, new_keys, new_values, grouped, attended, heads_out, states, tiles, angles, .. } =
            &mut *self.session;
        let (capacity, threads, pairs) = (*capacity, self.team.threads(), self.engine.turns.len());
        let scale = 1.0 / libm::sqrtf(head as f32);
        let columns = Columns::new(attended);
        let [keys, values] = [keys, values].map(Kept::share);
        let [grouped, heads_out, tiles] = [grouped, heads_out, tiles].map(|buffer| Shared::new(buffer));
        let states = Shared::new(states);
        self.team.run(&|thread| {
            for kv in share(config.kv_heads, thread, threads) {
                let first = (layer * config.kv_heads + kv) * capacity;
                let slots = first..first + capacity;
                let own = kv * count * group;
                let tile = thread * 2 * attention::TILE * head;
                // SAFETY: the places of one head of keys are those of one thread, and each thread has a tile of its own.
                let (mut keys, mut values, grouped, sums, states, tile) = unsafe {
                    (
                        keys.part(&slots),
                        values.part(&slots),
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
                    keys.keep(position + token, key);
                    values.keep(position + token, &new_values[place..place + head]);
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

    /// Norms what the `wanted` tokens have become; those columns, one after the other.
    pub(super) fn norm_out(&mut self, wanted: Range<usize>) -> &[f32] {
        let engine = self.engine;
        let (width, count) = (engine.config.width, wanted.len());
        let columns = Columns::new(&mut self.session.narrow);
        let residual = &self.session.residual;
        Self::each(self.team, count, |index| {
            let from = (wanted.start + index) * width;
            columns.fill(index, |column| norm(&residual[from..from + width], &engine.output_norm, engine.config.epsilon, column));
        });
        &self.session.narrow.numbers[..count * width]
    }

    /// Appends the logits of the first `count` columns that were normed.
    pub(super) fn read_out(&mut self, count: usize, logits: &mut Vec<f32>) {
        let (engine, work, threads) = (self.engine, self.work(), self.team.threads());
        let start = logits.len();
        logits.resize(start + count * engine.tokens(), 0.0);
        let output = Shared::new(&mut logits[start..]);
        let Session { narrow, adapted, .. } = &mut *self.session;
        let [added] = Adapted::narrow_if(adapted, [Place::Output], narrow, Work { count, ..work });
        self.team.run(&|thread| {
            engine.output.multiply(engine.processor, narrow, count, (thread, threads), added, |range, values| {
                // SAFETY: a panel's rows are those of one thread.
                unsafe { output.part(range) }.copy_from_slice(values);
            });
        });
    }
}
