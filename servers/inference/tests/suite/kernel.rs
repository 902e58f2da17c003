//! Products of packed matrices: against the oracle's weights, the two processors against each other, and the same bits for any number of columns.

use inference::gguf::Tensor;
use inference::input::{Inputs, quantise};
use inference::kernel::{Processor, TILE};
use inference::packed::{PANEL, Packed};
use inference::quant::Kind;

use super::dice::Dice;
use super::generator::random_rows;

const ROWS: usize = 19;
const COLUMNS: usize = 7;

fn inputs(length: usize, dice: &mut Dice) -> (Vec<f32>, Inputs) {
    let numbers: Vec<f32> = (0..length * COLUMNS).map(|_| dice.unit()).collect();
    (numbers.clone(), Inputs::of(length, &numbers))
}

/// All elements of a product, `width` columns at a time.
fn product(processor: Processor, matrix: &Packed, inputs: &Inputs, width: usize) -> Vec<f32> {
    let mut all = vec![0.0; ROWS * COLUMNS];
    for panel in 0..matrix.panels() {
        for first in (0..COLUMNS).step_by(width) {
            let mut out = vec![[0.0; PANEL]; width.min(COLUMNS - first)];
            processor.panel(matrix, panel, inputs, first, &mut out);
            for (column, out) in out.iter().enumerate() {
                for (lane, value) in out.iter().enumerate().take(ROWS - (panel * PANEL).min(ROWS)) {
                    all[(first + column) * ROWS + panel * PANEL + lane] = *value;
                }
            }
        }
    }
    all
}

fn each(mut test: impl FnMut(Kind, Tensor<'_>, &[f32], &Inputs)) {
    for kind in Kind::ALL {
        let mut dice = Dice::new(11);
        let data = random_rows(kind, ROWS, 512, 1.0, &mut dice);
        let (numbers, inputs) = inputs(512, &mut dice);
        test(kind, Tensor { kind, columns: 512, rows: ROWS, data: &data }, &numbers, &inputs);
    }
}

#[test]
fn products_are_those_of_the_oracles_weights() {
    each(|kind, tensor, numbers, inputs| {
        let seen = product(Processor::detect(), &Packed::new(&tensor), inputs, TILE);
        let mut weights = vec![0.0; 512];
        for row in 0..ROWS {
            inference::dequantise::dequantise(kind, tensor.row(row), &mut weights);
            for (column, numbers) in numbers.chunks_exact(512).enumerate() {
                let expected: f64 = weights.iter().zip(numbers).map(|(weight, number)| f64::from(*weight) * f64::from(*number)).sum();
                let error = (f64::from(seen[column * ROWS + row]) - expected).abs();
                let most = if kind.block() == 1 { 1e-4 } else { 0.3 };
                assert!(error < most, "{kind:?}: {error} of {expected}");
            }
        }
    });
}

#[test]
fn both_processors_make_the_same_bits() {
    each(|kind, tensor, _, inputs| {
        let matrix = Packed::new(&tensor);
        let (one, other) = (product(Processor::Portable, &matrix, inputs, 1), product(Processor::detect(), &matrix, inputs, TILE));
        assert!(one.iter().zip(&other).all(|(one, other)| one.to_bits() == other.to_bits()), "{kind:?}");
    });
}

#[test]
fn the_number_of_columns_changes_no_bit() {
    each(|kind, tensor, _, inputs| {
        let matrix = Packed::new(&tensor);
        let all: Vec<_> = (1..=TILE).map(|width| product(Processor::detect(), &matrix, inputs, width)).collect();
        assert!(all.iter().all(|one| one.iter().zip(&all[0]).all(|(one, other)| one.to_bits() == other.to_bits())), "{kind:?}");
    });
}

/// The largest codes on both sides must not overflow the narrow sums.
#[test]
fn extremes_do_not_overflow() {
    for (kind, byte) in Kind::ALL.into_iter().filter(|kind| kind.block() > 1).flat_map(|kind| [(kind, 0xff), (kind, 0x80), (kind, 0x7f)]) {
        let one = inference::half::to_f16(1.0).to_le_bytes();
        let mut block = vec![byte; kind.block_bytes()];
        let at = if kind == Kind::Q6_K { 208 } else { 0 };
        block[at..at + 2].copy_from_slice(&one);
        if matches!(kind, Kind::Q4_1 | Kind::Q5_1 | Kind::Q4_K | Kind::Q5_K) {
            block[2..4].copy_from_slice(&one);
        }
        let columns = kind.block();
        let data = block.repeat(ROWS);
        let tensor = Tensor { kind, columns, rows: ROWS, data: &data };
        for sign in [1.0, -1.0] {
            let inputs = Inputs::of(columns, &vec![sign; columns * COLUMNS]);
            let matrix = Packed::new(&tensor);
            let (one, other) = (product(Processor::Portable, &matrix, &inputs, 1), product(Processor::detect(), &matrix, &inputs, TILE));
            assert_eq!(one, other, "{kind:?}");
        }
    }
}

#[test]
fn quantised_inputs_are_within_half_a_step() {
    let numbers: Vec<f32> = (0..64).map(|index| (index as f32 * 0.37).sin() * if index < 32 { 1.0 } else { 1e-3 }).collect();
    let mut blocks = vec![Default::default(); 2];
    quantise(&numbers, &mut blocks);
    for (numbers, block) in numbers.chunks_exact(32).zip(&blocks) {
        let worst = numbers.iter().zip(block.codes).map(|(number, code)| (number - block.scale * f32::from(code)).abs()).fold(0.0, f32::max);
        assert!(worst <= block.scale * 0.501 && block.codes.iter().any(|code| code.unsigned_abs() == 127));
    }
}
