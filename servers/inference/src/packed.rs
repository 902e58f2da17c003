//! Matrices laid out for the kernels: eight rows abreast, so that one vector holds the same columns of eight rows and sums need no folding.
//!
//! A *panel* is eight rows (zeros beyond the last). Plain numbers stand column by column, eight to a column. Quantised ones come in groups of
//! [`Layout::parts`] times 32 columns: first the eight scales and eight minima as halves; then for each part what the type has of
//! small scales, then four bits of each code, then the fifth, or fifth and sixth, bits.
//!
//! - Codes of columns `4g..4g+4` of the eight rows are the 32 bytes of *quad* `g`. Four-bit halves: vector `v` has quad `2v` below and `2v+1` above.
//! - The fifth bit of quad `g` is bit `g` of a 32-byte vector; the upper two of six lie in two vectors, four quads each.
//!
//! No bit is added to what the file has but the padding of scales to bytes: generation runs at the speed of memory.

use alloc::vec;
use alloc::vec::Vec;

use crate::dequantise::{codes, dequantise, k_scale};
use crate::gguf::Tensor;
use crate::half::{from_f16, to_f16};
use crate::quant::{Kind, SMALL_BLOCK};

/// Rows of a panel.
pub const PANEL: usize = 8;
/// Bytes of a group's scales and minima.
pub(crate) const HEAD_BYTES: usize = 4 * PANEL;

/// How a matrix is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bits of a code; 32 for `f32`, 16 for halves.
    pub bits: usize,
    /// Parts of 32 columns that share a group's head; 0 for plain numbers.
    pub parts: usize,
}

/// A matrix in panels.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(crate) layout: Layout,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    data: Vec<u8>,
}

impl Layout {
    fn of(kind: Kind) -> Self {
        let (bits, parts) = match kind {
            Kind::F32 | Kind::BF16 => (32, 0),
            Kind::F16 => (16, 0),
            Kind::Q8_0 => (8, 1),
            Kind::Q4_0 | Kind::Q4_1 => (4, 1),
            Kind::Q5_0 | Kind::Q5_1 => (5, 1),
            Kind::Q4_K => (4, 8),
            Kind::Q5_K => (5, 8),
            Kind::Q6_K => (6, 8),
        };
        Self { bits, parts }
    }

    /// Bytes of the small scales of a part.
    pub(crate) const fn small_bytes(self) -> usize {
        if self.parts > 1 { 2 * PANEL } else { 0 }
    }

    /// Bytes of a part.
    pub(crate) const fn part_bytes(self) -> usize {
        self.small_bytes() + SMALL_BLOCK * PANEL * self.bits / 8
    }

    /// Bytes of a panel of `columns` columns.
    pub(crate) const fn panel_bytes(self, columns: usize) -> usize {
        if self.parts == 0 {
            return columns * PANEL * self.bits / 8;
        }
        columns / (SMALL_BLOCK * self.parts) * (HEAD_BYTES + self.parts * self.part_bytes())
    }
}

impl Packed {
    /// Lays out `tensor`.
    #[must_use]
    pub fn new(tensor: &Tensor<'_>) -> Self {
        let mut layout = Layout::of(tensor.kind);
        // Eight times such a scale is no half: the weights are taken as numbers.
        let is_large = |block: &[u8]| from_f16(u16::from_le_bytes([block[0], block[1]])).abs() > 4000.0;
        if matches!(tensor.kind, Kind::Q4_0 | Kind::Q5_0) && tensor.data.chunks_exact(tensor.kind.block_bytes()).any(is_large) {
            layout = Layout::of(Kind::F32);
        }
        let mut packed = Self { layout, rows: tensor.rows, columns: tensor.columns, data: Vec::new() };
        let bytes = layout.panel_bytes(tensor.columns);
        packed.data = vec![0; bytes * packed.panels()];
        for (index, panel) in packed.data.chunks_exact_mut(bytes.max(1)).enumerate() {
            for lane in 0..PANEL.min(tensor.rows - index * PANEL) {
                let row = tensor.row(index * PANEL + lane);
                if layout.parts == 0 { plain(layout, tensor, row, lane, panel) } else { quantised(layout, tensor.kind, row, lane, panel) }
            }
        }
        packed
    }

    /// Panels, the last of which may not be full.
    #[must_use]
    pub const fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    /// Bytes that a product reads.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn panel(&self, index: usize) -> &[u8] {
        let bytes = self.layout.panel_bytes(self.columns);
        &self.data[index * bytes..(index + 1) * bytes]
    }
}

fn plain(layout: Layout, tensor: &Tensor<'_>, row: &[u8], lane: usize, panel: &mut [u8]) {
    let width = layout.bits / 8;
    if tensor.kind == Kind::F16 {
        for (column, bytes) in row.chunks_exact(width).enumerate() {
            panel[(column * PANEL + lane) * width..][..width].copy_from_slice(bytes);
        }
        return;
    }
    let mut weights = vec![0.0; tensor.columns];
    dequantise(tensor.kind, row, &mut weights);
    for (column, weight) in weights.iter().enumerate() {
        panel[(column * PANEL + lane) * width..][..width].copy_from_slice(&weight.to_le_bytes());
    }
}

fn quantised(layout: Layout, kind: Kind, row: &[u8], lane: usize, panel: &mut [u8]) {
    let group_bytes = HEAD_BYTES + layout.parts * layout.part_bytes();
    for (block, group) in row.chunks_exact(kind.block_bytes()).zip(panel.chunks_exact_mut(group_bytes)) {
        let (head, parts) = group.split_at_mut(HEAD_BYTES);
        let (scale, minimum) = head_of(kind, block);
        head[lane * 2..][..2].copy_from_slice(&scale.to_le_bytes());
        head[2 * PANEL + lane * 2..][..2].copy_from_slice(&minimum.to_le_bytes());
        for (part, to) in parts.chunks_exact_mut(layout.part_bytes()).enumerate() {
            let (small, to) = to.split_at_mut(layout.small_bytes());
            match kind {
                Kind::Q4_K | Kind::Q5_K => (small[lane], small[PANEL + lane]) = k_scale(&block[4..16], part),
                Kind::Q6_K => (small[lane], small[PANEL + lane]) = (block[192 + 2 * part], block[192 + 2 * part + 1]),
                _ => {}
            }
            place(layout.bits, &codes(kind, block, part), lane, to);
        }
    }
}

/// A group's scale and what is taken off for each unit of the input, as halves.
fn head_of(kind: Kind, block: &[u8]) -> (u16, u16) {
    let half = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
    let times = |factor: f32| to_f16(from_f16(half(0)) * factor);
    match kind {
        Kind::Q4_0 => (half(0), times(8.0)),
        Kind::Q5_0 => (half(0), times(16.0)),
        Kind::Q4_1 | Kind::Q5_1 => (half(0), half(2) ^ 0x8000),
        Kind::Q4_K | Kind::Q5_K => (half(0), half(2)),
        Kind::Q6_K => (half(208), 0),
        _ => (half(0), 0),
    }
}

fn place(bits: usize, codes: &[u8; SMALL_BLOCK], lane: usize, to: &mut [u8]) {
    for (column, code) in codes.iter().enumerate() {
        let (quad, at) = (column / 4, lane * 4 + column % 4);
        match bits {
            8 => to[quad * 32 + at] = *code,
            _ => to[quad / 2 * 32 + at] |= (code & 15) << (quad % 2 * 4),
        }
        match bits {
            5 => to[128 + at] |= (code >> 4) << quad,
            6 => to[128 + quad / 4 * 32 + at] |= (code >> 4) << (quad % 4 * 2),
            _ => {}
        }
    }
}
