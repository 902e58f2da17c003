//! The kernels for AVX2, FMA and F16C.
//!
//! One vector has the same four columns of eight rows; `vpmaddubsw` multiplies it by the same four columns of the input in every lane. Sums stay in 16 bits as
//! long as they fit: eight products of pairs of 4-bit codes with 127 (8 * 2 * 15 * 127 = 30480), four of 5 bits (31496), two of 6 bits (32004).
//! For signed codes the sign goes to the input (`vpsignb`): codes of the input never reach -128, so a pair is at most 2 * 128 * 127 = 32512.
#![allow(unsafe_code, reason = "vector instructions that a processor may lack, and loads by pointer")]

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_abs_epi8, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_castps256_ps128, _mm256_cvtepi8_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_slli_epi16, _mm256_slli_epi32,
    _mm256_srli_epi16, _mm256_storeu_ps,
};

use crate::attention::{Queries, Seen, attend_with};
use crate::half::from_f16;
use crate::input::{Block, Inputs};
use crate::packed::{HEAD_BYTES, Layout, PANEL, Packed};

/// That the processor has the instructions: only [`Proof::find`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(());

impl Proof {
    /// Looks whether the processor has AVX2, FMA and F16C, and the system saves their registers (SDM volume 1, 14.3).
    #[must_use]
    pub fn find() -> Option<Self> {
        use core::arch::x86_64::{__cpuid, __cpuid_count};
        const FMA_XSAVE_AVX_F16C: u32 = 1 << 12 | 1 << 27 | 1 << 28 | 1 << 29;
        if __cpuid(0).eax < 7 || __cpuid(1).ecx & FMA_XSAVE_AVX_F16C != FMA_XSAVE_AVX_F16C || __cpuid_count(7, 0).ebx & 1 << 5 == 0 {
            return None;
        }
        let saved: u32;
        // SAFETY: OSXSAVE is set, so XGETBV exists; it reads one register.
        unsafe { core::arch::asm!("xgetbv", in("ecx") 0, out("eax") saved, out("edx") _, options(nomem, nostack)) };
        (saved & 6 == 6).then_some(Self(()))
    }
}

/// See [`super::Processor::panel`].
pub(super) fn panel(_: Proof, matrix: &Packed, panel: usize, inputs: &Inputs, first: usize, out: &mut [[f32; PANEL]]) {
    let bytes = matrix.panel(panel);
    // SAFETY: the proof says that the instructions are there.
    unsafe {
        match out.len() {
            1 => columns::<1>(matrix.layout, bytes, inputs, first, out),
            2 => columns::<2>(matrix.layout, bytes, inputs, first, out),
            3 => columns::<3>(matrix.layout, bytes, inputs, first, out),
            _ => columns::<4>(matrix.layout, bytes, inputs, first, out),
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn columns<const COLUMNS: usize>(layout: Layout, bytes: &[u8], inputs: &Inputs, first: usize, out: &mut [[f32; PANEL]]) {
    let numbers: [&[f32]; COLUMNS] = core::array::from_fn(|index| inputs.column(first + index));
    let blocks: [&[Block]; COLUMNS] = core::array::from_fn(|index| inputs.column_blocks(first + index));
    let sums = match (layout.bits, layout.parts) {
        (4, 1) => quantised::<4, 1, COLUMNS>(bytes, blocks),
        (4, _) => quantised::<4, 8, COLUMNS>(bytes, blocks),
        (5, 1) => quantised::<5, 1, COLUMNS>(bytes, blocks),
        (5, _) => quantised::<5, 8, COLUMNS>(bytes, blocks),
        (6, _) => quantised::<6, 8, COLUMNS>(bytes, blocks),
        (8, _) => quantised::<8, 1, COLUMNS>(bytes, blocks),
        (16, _) => plain::<16, COLUMNS>(bytes, numbers),
        _ => plain::<32, COLUMNS>(bytes, numbers),
    };
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: eight numbers have room for eight numbers.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
    }
}

/// The 32 bytes at `at`.
#[inline]
#[target_feature(enable = "avx2")]
fn vector(bytes: &[u8], at: usize) -> __m256i {
    let bytes = &bytes[at..at + 32];
    // SAFETY: they are 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn halves(bytes: &[u8], at: usize) -> __m256 {
    let bytes = &bytes[at..at + 16];
    // SAFETY: they are 16 bytes.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn eight(bytes: &[u8], at: usize) -> __m128i {
    let bytes = &bytes[at..at + 8];
    // SAFETY: they are 8 bytes.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

/// Four codes of the input, in every lane.
#[inline]
#[target_feature(enable = "avx2")]
fn quad(block: &Block, index: usize) -> __m256i {
    let codes = &block.codes[4 * index..4 * index + 4];
    // SAFETY: they are four bytes, and a byte may be read as a part of anything.
    _mm256_set1_epi32(unsafe { codes.as_ptr().cast::<i32>().read_unaligned() })
}

/// Even and odd columns are summed apart, so that two additions are under way at once.
#[target_feature(enable = "avx2,fma,f16c")]
fn plain<const BITS: usize, const COLUMNS: usize>(bytes: &[u8], inputs: [&[f32]; COLUMNS]) -> [__m256; COLUMNS] {
    let mut sums = [[_mm256_setzero_ps(); 2]; COLUMNS];
    let length = bytes.len() / BITS;
    let inputs = inputs.map(|input| &input[..length]);
    for column in (0..length - length % 2).step_by(2) {
        let (even, odd) = (eight_weights::<BITS>(bytes, column), eight_weights::<BITS>(bytes, column + 1));
        for index in 0..COLUMNS {
            sums[index][0] = _mm256_fmadd_ps(even, _mm256_set1_ps(inputs[index][column]), sums[index][0]);
            sums[index][1] = _mm256_fmadd_ps(odd, _mm256_set1_ps(inputs[index][column + 1]), sums[index][1]);
        }
    }
    if !length.is_multiple_of(2) {
        let last = eight_weights::<BITS>(bytes, length - 1);
        for index in 0..COLUMNS {
            sums[index][0] = _mm256_fmadd_ps(last, _mm256_set1_ps(inputs[index][length - 1]), sums[index][0]);
        }
    }
    let mut totals = [_mm256_setzero_ps(); COLUMNS];
    for index in 0..COLUMNS {
        totals[index] = _mm256_add_ps(sums[index][0], sums[index][1]);
    }
    totals
}

/// Column `column` of eight rows.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn eight_weights<const BITS: usize>(bytes: &[u8], column: usize) -> __m256 {
    if BITS == 16 {
        return halves(bytes, column * 16);
    }
    let bytes = &bytes[column * 32..column * 32 + 32];
    // SAFETY: 32 bytes are eight numbers.
    unsafe { _mm256_loadu_ps(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn quantised<const BITS: usize, const PARTS: usize, const COLUMNS: usize>(bytes: &[u8], inputs: [&[Block]; COLUMNS]) -> [__m256; COLUMNS] {
    let layout = const { Layout { bits: BITS, parts: PARTS } };
    let mut sums = [_mm256_setzero_ps(); COLUMNS];
    for (index, group) in bytes.chunks_exact(HEAD_BYTES + PARTS * layout.part_bytes()).enumerate() {
        let (head, parts) = group.split_at(HEAD_BYTES);
        let (scale, minimum) = (halves(head, 0), halves(head, 16));
        if PARTS == 1 {
            let blocks = at(inputs, index);
            let products = if BITS == 8 { signed(parts, blocks) } else { unsigned::<BITS, COLUMNS>(parts, [_mm256_set1_epi16(1); 2], blocks) };
            for column in 0..COLUMNS {
                let both = _mm256_mul_ps(scale, _mm256_set1_ps(blocks[column].scale));
                sums[column] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[column]), both, sums[column]);
                if BITS != 8 {
                    sums[column] = _mm256_fnmadd_ps(minimum, _mm256_set1_ps(blocks[column].sum), sums[column]);
                }
            }
            continue;
        }
        let below = if BITS == 6 { _mm256_mul_ps(scale, _mm256_set1_ps(32.0)) } else { minimum };
        let (mut products, mut offsets) = ([_mm256_setzero_ps(); COLUMNS], [_mm256_setzero_ps(); COLUMNS]);
        for (part, bytes) in parts.chunks_exact(layout.part_bytes()).enumerate() {
            let (small, codes) = bytes.split_at(layout.small_bytes());
            add_part::<BITS, COLUMNS>(small, codes, at(inputs, index * PARTS + part), &mut products, &mut offsets);
        }
        for column in 0..COLUMNS {
            let sum = _mm256_fmadd_ps(scale, products[column], sums[column]);
            sums[column] = _mm256_fnmadd_ps(below, offsets[column], sum);
        }
    }
    sums
}

/// Adds a part of a group, without the group's scale: the small scales are factors of the integers, so that nothing but the input's scale is left to multiply by.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_part<const BITS: usize, const COLUMNS: usize>(
    small: &[u8],
    codes: &[u8],
    blocks: [&Block; COLUMNS],
    products: &mut [__m256; COLUMNS],
    offsets: &mut [__m256; COLUMNS],
) {
    let scales = if BITS == 6 {
        [_mm256_cvtepi8_epi32(eight(small, 0)), _mm256_cvtepi8_epi32(eight(small, 8))]
    } else {
        [_mm256_cvtepu8_epi32(eight(small, 0)), _mm256_cvtepu8_epi32(eight(small, 8))]
    };
    let second = twice(if BITS == 6 { scales[1] } else { scales[0] });
    let integers = unsigned::<BITS, COLUMNS>(codes, [twice(scales[0]), second], blocks);
    for column in 0..COLUMNS {
        let block = blocks[column];
        products[column] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers[column]), _mm256_set1_ps(block.scale), products[column]);
        if BITS == 6 {
            let half = _mm256_fmadd_ps(_mm256_cvtepi32_ps(scales[0]), _mm256_set1_ps(block.halves[0]), offsets[column]);
            offsets[column] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(scales[1]), _mm256_set1_ps(block.halves[1]), half);
        } else {
            offsets[column] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(scales[1]), _mm256_set1_ps(block.sum), offsets[column]);
        }
    }
}

/// Block `index` of each column. A loop and no `map`: a closure with these instructions is not inlined into a function without them.
#[inline]
fn at<const COLUMNS: usize>(inputs: [&[Block]; COLUMNS], index: usize) -> [&Block; COLUMNS] {
    let mut blocks = [&inputs[0][index]; COLUMNS];
    for (block, input) in blocks.iter_mut().zip(inputs) {
        *block = &input[index];
    }
    blocks
}

/// Small numbers, each in both halves of its 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn twice(numbers: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(numbers, _mm256_set1_epi32(0xffff)), _mm256_slli_epi32::<16>(numbers))
}

/// Sums of products of 32 columns; those of each half are multiplied by that half's factor, which stands in every 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn unsigned<const BITS: usize, const COLUMNS: usize>(codes: &[u8], factors: [__m256i; 2], blocks: [&Block; COLUMNS]) -> [__m256i; COLUMNS] {
    assert!(codes.len() == 32 * BITS, "the codes of a part");
    let mut sums = [_mm256_setzero_si256(); COLUMNS];
    let mut narrow = sums;
    add_pair::<BITS, COLUMNS, 0>(codes, factors[0], blocks, &mut narrow, &mut sums);
    add_pair::<BITS, COLUMNS, 1>(codes, factors[0], blocks, &mut narrow, &mut sums);
    add_pair::<BITS, COLUMNS, 2>(codes, factors[1], blocks, &mut narrow, &mut sums);
    add_pair::<BITS, COLUMNS, 3>(codes, factors[1], blocks, &mut narrow, &mut sums);
    sums
}

/// Adds the products of two quads. The narrow sums are widened after as many pairs as they can hold.
#[inline]
#[target_feature(enable = "avx2")]
fn add_pair<const BITS: usize, const COLUMNS: usize, const PAIR: usize>(
    codes: &[u8],
    factor: __m256i,
    blocks: [&Block; COLUMNS],
    narrow: &mut [__m256i; COLUMNS],
    sums: &mut [__m256i; COLUMNS],
) {
    let held = const {
        if BITS == 4 {
            4
        } else if BITS == 5 {
            2
        } else {
            1
        }
    };
    let nibble = _mm256_set1_epi8(15);
    let both = vector(codes, PAIR * 32);
    let mut low = _mm256_and_si256(both, nibble);
    let mut high = _mm256_and_si256(_mm256_srli_epi16::<4>(both), nibble);
    if BITS > 4 {
        low = _mm256_or_si256(low, upper::<BITS>(codes, 2 * PAIR));
        high = _mm256_or_si256(high, upper::<BITS>(codes, 2 * PAIR + 1));
    }
    for column in 0..COLUMNS {
        let block = blocks[column];
        let first = _mm256_maddubs_epi16(low, quad(block, 2 * PAIR));
        let second = _mm256_maddubs_epi16(high, quad(block, 2 * PAIR + 1));
        let product = _mm256_add_epi16(first, second);
        narrow[column] = if PAIR.is_multiple_of(held) { product } else { _mm256_add_epi16(narrow[column], product) };
        if PAIR % held == held - 1 {
            sums[column] = _mm256_add_epi32(sums[column], _mm256_madd_epi16(narrow[column], factor));
        }
    }
}

/// The bits above the fourth of quad `index`, at their place.
#[inline]
#[target_feature(enable = "avx2")]
fn upper<const BITS: usize>(codes: &[u8], index: usize) -> __m256i {
    let (at, shift, mask) = if BITS == 5 { (128, index, 0x10) } else { (128 + index / 4 * 32, index % 4 * 2, 0x30) };
    let bits = vector(codes, at);
    let shifted = match shift {
        0 => _mm256_slli_epi16::<4>(bits),
        1 => _mm256_slli_epi16::<3>(bits),
        2 => _mm256_slli_epi16::<2>(bits),
        3 => _mm256_slli_epi16::<1>(bits),
        4 => bits,
        5 => _mm256_srli_epi16::<1>(bits),
        6 => _mm256_srli_epi16::<2>(bits),
        _ => _mm256_srli_epi16::<3>(bits),
    };
    _mm256_and_si256(shifted, _mm256_set1_epi8(mask))
}

/// Sums of products of 32 columns of signed codes.
#[inline]
#[target_feature(enable = "avx2")]
fn signed<const COLUMNS: usize>(codes: &[u8], blocks: [&Block; COLUMNS]) -> [__m256i; COLUMNS] {
    assert!(codes.len() == 256, "the codes of a part");
    let mut sums = [_mm256_setzero_si256(); COLUMNS];
    add_signed::<COLUMNS, 0>(codes, blocks, &mut sums);
    add_signed::<COLUMNS, 2>(codes, blocks, &mut sums);
    add_signed::<COLUMNS, 4>(codes, blocks, &mut sums);
    add_signed::<COLUMNS, 6>(codes, blocks, &mut sums);
    sums
}

/// Adds the products of quad `FIRST` and the next.
#[inline]
#[target_feature(enable = "avx2")]
fn add_signed<const COLUMNS: usize, const FIRST: usize>(codes: &[u8], blocks: [&Block; COLUMNS], sums: &mut [__m256i; COLUMNS]) {
    let ones = _mm256_set1_epi16(1);
    let (one, other) = (vector(codes, FIRST * 32), vector(codes, FIRST * 32 + 32));
    let (one_size, other_size) = (_mm256_abs_epi8(one), _mm256_abs_epi8(other));
    for column in 0..COLUMNS {
        let block = blocks[column];
        let first = _mm256_maddubs_epi16(one_size, _mm256_sign_epi8(quad(block, FIRST), one));
        let second = _mm256_maddubs_epi16(other_size, _mm256_sign_epi8(quad(block, FIRST + 1), other));
        let both = _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
        sums[column] = _mm256_add_epi32(sums[column], both);
    }
}

/// See [`crate::attention::attend`].
pub(crate) fn attend(_: Proof, queries: &mut Queries<'_>, seen: &mut Seen<'_>) {
    // SAFETY: the proof says that the instructions are there.
    unsafe { attend_wide(queries, seen) };
}

/// The portable code, compiled for these instructions.
#[target_feature(enable = "avx2,fma,f16c")]
fn attend_wide(queries: &mut Queries<'_>, seen: &mut Seen<'_>) {
    attend_with(
        queries,
        seen,
        |from, to| {
            let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
            for (from, to) in from.iter().zip(to) {
                // SAFETY: eight halves are read and eight numbers written; the closure is a part of a function that has the instructions.
                unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) };
            }
            from_rest.iter().zip(to_rest).for_each(|(from, to)| *to = from_f16(*from));
        },
        |left, right| dot(left, right),
    );
}

/// The bits of [`crate::elementwise::dot`], which the compiler makes of vectors of two.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    let mut sums = _mm256_setzero_ps();
    for (left, right) in left.iter().zip(right) {
        // SAFETY: both are eight numbers.
        let (left, right) = unsafe { (_mm256_loadu_ps(left.as_ptr()), _mm256_loadu_ps(right.as_ptr())) };
        sums = _mm256_add_ps(sums, _mm256_mul_ps(left, right));
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    let halves = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
    let pair = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair))) + rest
}
