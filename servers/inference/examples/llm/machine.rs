//! What this machine can do at most, which the engine's speed is a share of: bytes read from memory in a second, and products of bytes.
#![allow(unsafe_code, reason = "vector instructions, which are looked for first")]

use std::arch::asm;
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_extract_epi64, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_xor_si256,
};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use crate::Failure;

/// Bytes that are read: far more than caches hold.
const BYTES: usize = 1 << 30;
/// How often each is measured; the best counts, since a limit is asked for.
const TIMES: usize = 8;
/// Sums that are under way at once.
const SUMS: usize = 6;
/// Rounds of the sums.
const ROUNDS: usize = 20_000_000;

/// Prints both for each number of threads.
pub(crate) fn measure(threads: &[usize]) -> Result<(), Failure> {
    if !is_x86_feature_detected!("avx2") {
        return Err("the processor has no AVX2".into());
    }
    let memory = vec![1_u8; BYTES];
    let vectors = memory.len() / size_of::<[__m256i; 8]>();
    // SAFETY: any bytes are vectors, the buffer begins on a page, and so many groups of eight lie in it.
    let memory = unsafe { std::slice::from_raw_parts(memory.as_ptr().cast::<[__m256i; 8]>(), vectors) };
    for threads in threads.iter().map(|threads| (*threads).max(1)) {
        let seconds = best(threads, |thread| {
            let part = &memory[vectors * thread / threads..vectors * (thread + 1) / threads];
            // SAFETY: the processor has the instructions.
            black_box(unsafe { read(part) });
        });
        println!("bandwidth {threads}: {:.1} GB/s", BYTES as f64 / seconds / 1e9);
        let seconds = best(threads, |_| {
            // SAFETY: as above.
            black_box(unsafe { multiply() });
        });
        println!("int8 {threads}: {:.1} Gop/s", (threads * ROUNDS * SUMS * 64) as f64 / seconds / 1e9);
    }
    Ok(())
}

/// The least of the times that all threads together take for `work`.
fn best(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let one = |thread: usize| {
        let times = (0..TIMES).map(|_| {
            barrier.wait();
            let started = Instant::now();
            work(thread);
            barrier.wait();
            started.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        let own = one(0);
        others.into_iter().for_each(|thread| drop(thread.join()));
        own
    })
}

#[target_feature(enable = "avx2")]
fn read(memory: &[[__m256i; 8]]) -> i64 {
    let mut sums = [_mm256_setzero_si256(); 8];
    for vectors in memory {
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            *sum = _mm256_xor_si256(*sum, *vector);
        }
    }
    _mm256_extract_epi64::<0>(sums.into_iter().fold(_mm256_setzero_si256(), |all, sum| _mm256_xor_si256(all, sum)))
}

/// 32 products of bytes at a time, widened and summed: what a product of bytes takes that may be as large as bytes are.
#[target_feature(enable = "avx2")]
fn multiply() -> i64 {
    let (left, mut right, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi8(5), _mm256_set1_epi16(1));
    let mut sums = [_mm256_setzero_si256(); SUMS];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            // SAFETY: nothing is done; the compiler may not know that every round is the same.
            unsafe { asm!("/* {0} */", inout(ymm_reg) right, options(nomem, nostack, preserves_flags)) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(left, right), ones));
        }
    }
    _mm256_extract_epi64::<0>(sums.into_iter().fold(_mm256_setzero_si256(), |all, sum| _mm256_add_epi32(all, sum)))
}
