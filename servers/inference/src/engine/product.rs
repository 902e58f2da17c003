//! A packed matrix, and what is added to its product (a bias, and what adapters make): by panels of eight rows, of which each thread has its own.

use alloc::vec::Vec;
use core::ops::Range;

use super::adapted::Added;
use crate::input::Inputs;
use crate::kernel::{Processor, TILE};
use crate::model::Linear;
use crate::packed::{PANEL, Packed};
use crate::shared::share;

/// A matrix and what is added to its product.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) matrix: Packed,
    bias: Option<Vec<f32>>,
}

impl From<&Linear<'_>> for Product {
    fn from(linear: &Linear<'_>) -> Self {
        Self { matrix: Packed::new(&linear.weight), bias: linear.bias.clone() }
    }
}

impl From<Packed> for Product {
    fn from(matrix: Packed) -> Self {
        Self { matrix, bias: None }
    }
}

impl Product {
    /// Panel `panel` times columns `first..first + out.len()` of `inputs`.
    pub(super) fn panel(
        &self,
        processor: Processor,
        panel: usize,
        inputs: &Inputs,
        first: usize,
        added: Option<Added<'_>>,
        out: &mut [[f32; PANEL]],
    ) {
        processor.panel(&self.matrix, panel, inputs, first, out);
        if let Some(added) = added {
            let mut more = [[0.0; PANEL]; TILE];
            let more = &mut more[..out.len()];
            processor.panel(added.matrix, panel, added.inputs, first, more);
            out.as_flattened_mut().iter_mut().zip(more.as_flattened()).for_each(|(out, more)| *out += more);
        }
        if let Some(bias) = &self.bias {
            let bias = &bias[panel * PANEL..];
            out.iter_mut().for_each(|out| out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias));
        }
    }

    /// Thread `thread`'s part of the product with `count` columns: `write` gets where in the output some rows of one column belong, and their values.
    pub(super) fn multiply(
        &self,
        processor: Processor,
        inputs: &Inputs,
        count: usize,
        share: (usize, usize),
        added: Option<Added<'_>>,
        write: impl FnMut(Range<usize>, &[f32]),
    ) {
        each_panel(self.matrix.rows, count, share, |panel, first, out| self.panel(processor, panel, inputs, first, added, out), write);
    }
}

impl Added<'_> {
    /// The same for what adapters add alone.
    pub(super) fn multiply(self, processor: Processor, count: usize, share: (usize, usize), write: impl FnMut(Range<usize>, &[f32])) {
        let Self { matrix, inputs } = self;
        each_panel(matrix.rows, count, share, |panel, first, out| processor.panel(matrix, panel, inputs, first, out), write);
    }
}

/// A thread's panels of a product with `rows` rows, tile by tile of its `count` columns: `make` makes the numbers, `write` gets them row by row.
fn each_panel(
    rows: usize,
    count: usize,
    (thread, threads): (usize, usize),
    mut make: impl FnMut(usize, usize, &mut [[f32; PANEL]]),
    mut write: impl FnMut(Range<usize>, &[f32]),
) {
    for panel in share(rows.div_ceil(PANEL), thread, threads) {
        let (start, end) = (panel * PANEL, rows.min((panel + 1) * PANEL));
        for first in (0..count).step_by(TILE) {
            let mut out = [[0.0; PANEL]; TILE];
            let taken = TILE.min(count - first);
            make(panel, first, &mut out[..taken]);
            for (index, out) in out[..taken].iter().enumerate() {
                let column = (first + index) * rows;
                write(column + start..column + end, &out[..end - start]);
            }
        }
    }
}
