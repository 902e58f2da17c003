//! Attention of many queries to the keys and values of one head, in tiles of positions, without ever holding all scores (online softmax, Milakov and
//! Gimelshein 2018; the tiling is FlashAttention's).
//!
//! A tile of keys and values is widened once and used by all heads of queries that share it and by all tokens of the batch. Tiles begin at multiples of [`TILE`]
//! whatever the batch, and each query meets them in order, so that its result has the same bits in any batch.

use crate::elementwise::{dot, exp};
use crate::half::from_f16;
use crate::kept::Slots;
use crate::kernel::Processor;

/// Positions of a tile.
pub(crate) const TILE: usize = 32;
/// Elements of a sum that are kept in registers: eight vectors, of sixteen that there are.
const STRIP: usize = 64;

/// What the queries of one head of keys have seen so far.
pub(crate) struct Queries<'q> {
    /// Elements of a head.
    pub(crate) head: usize,
    /// Heads of queries that share the keys.
    pub(crate) group: usize,
    /// The first token's position; the others follow.
    pub(crate) position: usize,
    /// For each token, the queries of the group.
    pub(crate) queries: &'q [f32],
    /// For each query: the largest score and the sum of the powers.
    pub(crate) states: &'q mut [(f32, f32)],
    /// For each query, the weighted sum of values; the result.
    pub(crate) sums: &'q mut [f32],
}

/// Keys and values of one head, position by position; and room for a tile of each.
pub(crate) struct Seen<'s> {
    pub(crate) keys: Slots<'s>,
    pub(crate) values: Slots<'s>,
    pub(crate) tile: &'s mut [f32],
}

/// Lets all queries attend to all positions up to their own.
pub(crate) fn attend(processor: Processor, queries: &mut Queries<'_>, seen: &mut Seen<'_>) {
    match processor {
        Processor::Portable => attend_with(queries, seen, |from, to| from.iter().zip(to).for_each(|(from, to)| *to = from_f16(*from)), dot),
        Processor::Avx2(proof) => crate::kernel::avx2::attend(proof, queries, seen),
    }
}

/// The same with a way to widen halves, and one to make the bits of [`dot`].
#[inline(always)]
pub(crate) fn attend_with(queries: &mut Queries<'_>, seen: &mut Seen<'_>, widen: impl Fn(&[u16], &mut [f32]), dot: impl Fn(&[f32], &[f32]) -> f32) {
    let (head, width) = (queries.head, queries.group * queries.head);
    let tokens = queries.queries.len() / width;
    let end = queries.position + tokens;
    queries.states.fill((f32::NEG_INFINITY, 0.0));
    queries.sums.fill(0.0);
    let (keys, values) = seen.tile.split_at_mut(TILE * head);
    for start in (0..end).step_by(TILE) {
        let positions = start..end.min(start + TILE);
        seen.keys.read(&positions, keys, &widen);
        seen.values.read(&positions, values, &widen);
        for token in start.saturating_sub(queries.position)..tokens {
            let count = TILE.min(queries.position + token + 1 - start);
            for index in token * queries.group..(token + 1) * queries.group {
                let query = &queries.queries[index * head..(index + 1) * head];
                let sum = &mut queries.sums[index * head..(index + 1) * head];
                let mut scores = [f32::NEG_INFINITY; TILE];
                scores.iter_mut().zip(keys[..count * head].chunks_exact(head)).for_each(|(score, key)| *score = dot(query, key));
                add_tile(&mut scores[..], &values[..count * head], &mut queries.states[index], sum);
            }
        }
    }
    for (sum, (_, weight)) in queries.sums.chunks_exact_mut(head).zip(&*queries.states) {
        sum.iter_mut().for_each(|sum| *sum /= weight);
    }
}

/// Adds the values of a tile, each by the power of its score.
#[inline(always)]
fn add_tile(scores: &mut [f32], values: &[f32], (most, weight): &mut (f32, f32), sum: &mut [f32]) {
    let largest = scores.iter().fold(*most, |most, score| most.max(*score));
    if largest > *most {
        let shrink = exp(*most - largest);
        *weight *= shrink;
        sum.iter_mut().for_each(|sum| *sum *= shrink);
        *most = largest;
    }
    let count = values.len() / sum.len();
    for (index, score) in scores.iter_mut().enumerate() {
        *score = if index < count { exp(*score - *most) } else { 0.0 };
    }
    scores[..count].iter().for_each(|power| *weight += power);
    add_values(&scores[..count], values, sum);
}

/// Adds `values`, position by position, each times its power. So many elements at a time stay in registers until all positions have been added.
#[inline(always)]
fn add_values(powers: &[f32], values: &[f32], sum: &mut [f32]) {
    let head = sum.len();
    let (strips, rest) = sum.as_chunks_mut::<STRIP>();
    for (index, strip) in strips.iter_mut().enumerate() {
        let mut sums = *strip;
        for (power, value) in powers.iter().zip(values.chunks_exact(head)) {
            for (sum, value) in sums.iter_mut().zip(&value[index * STRIP..(index + 1) * STRIP]) {
                *sum += power * value;
            }
        }
        *strip = sums;
    }
    for (power, value) in powers.iter().zip(values.chunks_exact(head)) {
        rest.iter_mut().zip(&value[head - head % STRIP..]).for_each(|(sum, value)| *sum += power * value);
    }
}
