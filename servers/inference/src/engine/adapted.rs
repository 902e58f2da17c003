//! Adapters at speed: those of a matrix are stacked to one thin pair, and the products of the second go to the matrix's own, panel by panel.
//!
//! The scales are in the second matrices, and both are plain `f32`: a product has the same bits in any batch as those of the model's own matrices have. The first
//! matrices are a phase of their own ([`Adapted::narrow`]), which a session without adapters does not have.
#![allow(unsafe_code, reason = "threads write disjoint parts of one buffer")]

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::product::Product;
use crate::adapter::{Adapter, Delta};
use crate::dequantise::dequantise;
use crate::error::Error;
use crate::gguf::Tensor;
use crate::input::Inputs;
use crate::kernel::Processor;
use crate::model::Place;
use crate::packed::Packed;
use crate::quant::Kind;
use crate::shared::Shared;
use crate::team::Team;

/// Most matrices whose adapters one phase needs at once: queries, keys and values.
const ABREAST: usize = 3;

/// Some adapters, each with its scale, ready for sessions.
#[derive(Debug)]
pub struct Adapters {
    embedding: Option<Rows>,
    low: BTreeMap<Place, Low>,
    most_ranks: usize,
}

/// The thin pair of one matrix.
#[derive(Debug)]
struct Low {
    narrow: Product,
    expand: Packed,
}

/// That of the embedding, whose first matrix is not multiplied: each token has its row.
#[derive(Debug)]
struct Rows {
    rows: Vec<f32>,
    expand: Packed,
}

/// What one adapter adds to a matrix, and times what.
type Scaled<'d, 'a> = (&'d Delta<'a>, f32);

fn numbers(tensor: &Tensor<'_>, row: usize, to: &mut Vec<f32>) {
    let start = to.len();
    to.resize(start + tensor.columns, 0.0);
    dequantise(tensor.kind, tensor.row(row), &mut to[start..]);
}

fn packed(columns: usize, numbers: &[f32]) -> Packed {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Packed::new(&Tensor { kind: Kind::F32, columns, rows: numbers.len() / columns, data: &data })
}

/// How many ranks they have together.
fn ranks(deltas: &[Scaled<'_, '_>]) -> usize {
    deltas.iter().map(|(delta, _)| delta.rank()).sum()
}

/// All second matrices side by side, with their scales.
fn expand(deltas: &[Scaled<'_, '_>]) -> Packed {
    let mut all = Vec::new();
    for row in 0..deltas.first().map_or(0, |(delta, _)| delta.expand.rows) {
        for (delta, scale) in deltas {
            let start = all.len();
            numbers(&delta.expand, row, &mut all);
            all[start..].iter_mut().for_each(|number| *number *= scale);
        }
    }
    packed(ranks(deltas), &all)
}

/// All first matrices, one below the other.
fn low(deltas: &[Scaled<'_, '_>]) -> Low {
    let mut all = Vec::new();
    for (delta, _) in deltas {
        (0..delta.narrow.rows).for_each(|row| numbers(&delta.narrow, row, &mut all));
    }
    Low { narrow: packed(all.len() / ranks(deltas), &all).into(), expand: expand(deltas) }
}

/// For each token the rows of all.
fn rows(deltas: &[Scaled<'_, '_>]) -> Rows {
    let mut all = Vec::new();
    for token in 0..deltas.first().map_or(0, |(delta, _)| delta.narrow.rows) {
        deltas.iter().for_each(|(delta, _)| numbers(&delta.narrow, token, &mut all));
    }
    Rows { rows: all, expand: expand(deltas) }
}

impl Adapters {
    /// Stacks `adapters`, which were read for the same model, each times its scale.
    ///
    /// # Errors
    /// A scale is no number, or too large with the adapter's own.
    pub fn new(adapters: &[(&Adapter<'_>, f32)]) -> Result<Self, Error> {
        let mut deltas: BTreeMap<Place, Vec<Scaled<'_, '_>>> = BTreeMap::new();
        for (adapter, scale) in adapters {
            for (place, (delta, scale)) in adapter.places().filter_map(|place| Some((place, adapter.at(place, *scale)?))) {
                let scale = scale as f32;
                if !scale.is_finite() {
                    return Err(Error::Adapter("the scale is no number, or too large".to_owned()));
                }
                deltas.entry(place).or_default().push((delta, scale));
            }
        }
        let most_ranks = deltas.values().map(|deltas| ranks(deltas)).max().unwrap_or(0);
        let embedding = deltas.remove(&Place::Embedding).map(|deltas| rows(&deltas));
        Ok(Self { embedding, low: deltas.iter().map(|(place, deltas)| (*place, low(deltas))).collect(), most_ranks })
    }

    /// Bytes that a token reads at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.low.values().map(|low| low.narrow.matrix.bytes() + low.expand.bytes()).sum()
    }
}

/// The adapters of a session, and room for what their first matrices make.
#[derive(Debug)]
pub(super) struct Adapted {
    adapters: Arc<Adapters>,
    sums: [Inputs; ABREAST],
}

/// What is added to a product: this matrix times these columns.
#[derive(Clone, Copy)]
pub(super) struct Added<'a> {
    pub(super) matrix: &'a Packed,
    pub(super) inputs: &'a Inputs,
}

/// What is multiplied by whom.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) processor: Processor,
    pub(super) team: &'a dyn Team,
    pub(super) count: usize,
}

impl Adapted {
    pub(super) fn new(adapters: Arc<Adapters>, batch: usize) -> Self {
        let sums = core::array::from_fn(|_| Inputs::new(adapters.most_ranks, batch));
        Self { adapters, sums }
    }

    /// What is added to the rows of `tokens`.
    pub(super) fn embed(&mut self, tokens: &[u32]) -> Option<Added<'_>> {
        let Rows { rows, expand } = self.adapters.embedding.as_ref()?;
        let [sums, ..] = &mut self.sums;
        let ranks = expand.columns;
        sums.reshape(ranks);
        for (token, column) in tokens.iter().zip(sums.numbers.chunks_exact_mut(ranks)) {
            column.copy_from_slice(&rows[*token as usize * ranks..][..ranks]);
        }
        Some(Added { matrix: expand, inputs: sums })
    }

    /// Multiplies `inputs` by the first matrices at `places`, if there are any; what is then to be added to the products with the model's own.
    pub(super) fn narrow_if<'s, const PLACES: usize>(
        adapted: &'s mut Option<Self>,
        places: [Place; PLACES],
        inputs: &Inputs,
        work: Work<'_>,
    ) -> [Option<Added<'s>>; PLACES] {
        adapted.as_mut().map_or([None; PLACES], |adapted| adapted.narrow(places, inputs, work))
    }

    fn narrow<const PLACES: usize>(&mut self, places: [Place; PLACES], inputs: &Inputs, work: Work<'_>) -> [Option<Added<'_>>; PLACES] {
        let low = places.map(|place| self.adapters.low.get(&place));
        if low.iter().all(Option::is_none) {
            return [None; PLACES];
        }
        for (low, sums) in low.iter().zip(&mut self.sums) {
            low.iter().for_each(|low| sums.reshape(low.expand.columns));
        }
        let threads = work.team.threads();
        let outputs = self.sums.each_mut().map(|sums| Shared::new(&mut sums.numbers));
        work.team.run(&|thread| {
            for (low, output) in low.iter().zip(&outputs) {
                let Some(low) = low else { continue };
                low.narrow.multiply(work.processor, inputs, work.count, (thread, threads), None, |range, values| {
                    // SAFETY: a panel's rows are those of one thread.
                    unsafe { output.part(range) }.copy_from_slice(values);
                });
            }
        });
        core::array::from_fn(|index| low[index].map(|low| Added { matrix: &low.expand, inputs: &self.sums[index] }))
    }
}
