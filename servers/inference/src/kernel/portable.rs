//! The kernels in plain Rust, one element after the other.

use crate::half::from_f16;
use crate::input::{Block, Inputs};
use crate::packed::{HEAD_BYTES, Layout, PANEL, Packed};
use crate::quant::SMALL_BLOCK;

/// See [`super::Processor::panel`].
pub(super) fn panel(matrix: &Packed, panel: usize, inputs: &Inputs, first: usize, out: &mut [[f32; PANEL]]) {
    let bytes = matrix.panel(panel);
    for (index, out) in out.iter_mut().enumerate() {
        *out = core::array::from_fn(|lane| match matrix.layout.parts {
            0 => plain(matrix.layout, bytes, lane, inputs.column(first + index)),
            _ => quantised(matrix.layout, bytes, lane, inputs.column_blocks(first + index)),
        });
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    from_f16(u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]))
}

/// Even and odd columns are summed apart.
fn plain(layout: Layout, bytes: &[u8], lane: usize, input: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 2];
    for (column, number) in input.iter().enumerate() {
        let at = column * PANEL + lane;
        let weight = if layout.bits == 16 { half(bytes, at) } else { f32::from_le_bytes(core::array::from_fn(|byte| bytes[4 * at + byte])) };
        sums[column % 2] = libm::fmaf(weight, *number, sums[column % 2]);
    }
    sums[0] + sums[1]
}

fn quantised(layout: Layout, bytes: &[u8], lane: usize, input: &[Block]) -> f32 {
    let mut sum = 0.0;
    let groups = bytes.chunks_exact(HEAD_BYTES + layout.parts * layout.part_bytes());
    for (group, blocks) in groups.zip(input.chunks_exact(layout.parts)) {
        let (head, parts) = group.split_at(HEAD_BYTES);
        let (scale, minimum) = (half(head, lane), half(head, PANEL + lane));
        let products = |codes: &[u8], block: &Block| {
            let product = |column: usize| code(layout.bits, codes, lane, column) * i32::from(block.codes[column]);
            [(0..16).map(product).sum::<i32>(), (16..SMALL_BLOCK).map(product).sum()]
        };
        if layout.parts == 1 {
            let [first, second] = products(parts, &blocks[0]);
            sum = libm::fmaf((first + second) as f32, scale * blocks[0].scale, sum);
            sum = if layout.bits == 8 { sum } else { libm::fmaf(-minimum, blocks[0].sum, sum) };
            continue;
        }
        let (mut product, mut offset) = (0.0, 0.0);
        for (part, block) in parts.chunks_exact(layout.part_bytes()).zip(blocks) {
            let (small, codes) = part.split_at(layout.small_bytes());
            let [first, second] = products(codes, block);
            let small = [small[lane], small[PANEL + lane]];
            if layout.bits == 6 {
                let scales = small.map(|scale| i32::from(scale.cast_signed()));
                product = libm::fmaf((first * scales[0] + second * scales[1]) as f32, block.scale, product);
                offset = libm::fmaf(scales[0] as f32, block.halves[0], offset);
                offset = libm::fmaf(scales[1] as f32, block.halves[1], offset);
            } else {
                product = libm::fmaf(((first + second) * i32::from(small[0])) as f32, block.scale, product);
                offset = libm::fmaf(f32::from(small[1]), block.sum, offset);
            }
        }
        let below = if layout.bits == 6 { scale * 32.0 } else { minimum };
        sum = libm::fmaf(-below, offset, libm::fmaf(scale, product, sum));
    }
    sum
}

/// The code of a row at a column of its part.
fn code(bits: usize, codes: &[u8], lane: usize, column: usize) -> i32 {
    let (quad, at) = (column / 4, lane * 4 + column % 4);
    if bits == 8 {
        return codes[quad * 32 + at].cast_signed().into();
    }
    let low = codes[quad / 2 * 32 + at] >> (quad % 2 * 4) & 15;
    let high = match bits {
        5 => codes[128 + at] >> quad & 1,
        6 => codes[128 + quad / 4 * 32 + at] >> (quad % 4 * 2) & 3,
        _ => 0,
    };
    i32::from(low | high << 4)
}
