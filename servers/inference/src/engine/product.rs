//! A packed matrix, and what is added to its product: by panels of eight rows, of which each thread has its own.

use alloc::vec::Vec;
use core::ops::Range;

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
    pub(super) fn panel(&self, processor: Processor, panel: usize, inputs: &Inputs, first: usize, out: &mut [[f32; PANEL]]) {
        processor.panel(&self.matrix, panel, inputs, first, out);
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
        (thread, threads): (usize, usize),
        mut write: impl FnMut(Range<usize>, &[f32]),
    ) {
        let rows = self.matrix.rows;
        for panel in share(self.matrix.panels(), thread, threads) {
            let (start, end) = (panel * PANEL, rows.min((panel + 1) * PANEL));
            for first in (0..count).step_by(TILE) {
                let mut out = [[0.0; PANEL]; TILE];
                let taken = TILE.min(count - first);
                self.panel(processor, panel, inputs, first, &mut out[..taken]);
                for (index, out) in out[..taken].iter().enumerate() {
                    let column = (first + index) * rows;
                    write(column + start..column + end, &out[..end - start]);
                }
            }
        }
    }
}
