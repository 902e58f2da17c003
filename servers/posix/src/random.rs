//! Random bytes for programs: ChaCha20 under a key from the processor, with a new key every so often.
//!
//! The stream lives in this instance's memory alone and is never saved: a successor begins its own, and two instances never give out the same bytes. A new key
//! is drawn from the old stream and fresh bits together, so that neither alone decides it. Without RDRAND the key comes from the time-stamp counter, which
//! somebody who knows the machine well could guess: the log says so once.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::kernel::Kernel;
use crate::server::Posix;

/// Bytes that one key gives at most.
const BYTES_PER_KEY: usize = 1 << 20;
/// Rounds of weak bits in each word of a key.
const WEAK_ROUNDS: u32 = 64;

/// The generator.
#[derive(Debug, Default)]
pub struct Random {
    stream: Option<ChaCha20Rng>,
    /// Bytes that the key still gives.
    left: usize,
}

impl Random {
    /// Fills a buffer.
    pub fn fill(&mut self, kernel: &mut dyn Kernel, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(BYTES_PER_KEY) {
            if self.left < part.len() {
                self.renew(kernel);
            }
            self.left = self.left.saturating_sub(part.len());
            if let Some(stream) = &mut self.stream {
                stream.fill_bytes(part);
            }
        }
    }

    fn renew(&mut self, kernel: &mut dyn Kernel) {
        let is_first = self.stream.is_none();
        let mut key = [0; 32];
        if let Some(stream) = &mut self.stream {
            stream.fill_bytes(&mut key);
        }
        let mut is_weak = false;
        for word in key.chunks_mut(8) {
            let strong = kernel.hardware_random();
            is_weak |= strong.is_none();
            let fresh = strong.unwrap_or(0) ^ weak(kernel);
            for (byte, fresh) in word.iter_mut().zip(fresh.to_le_bytes()) {
                *byte ^= fresh;
            }
        }
        if is_weak && is_first {
            kernel.log("posix: the processor gives no random bits: what programs get is made of the time alone");
        }
        self.stream = Some(ChaCha20Rng::from_seed(key));
        self.left = BYTES_PER_KEY;
    }
}

/// A word of the counter's low bits at many moments, each spread over all (splitmix64).
fn weak(kernel: &mut dyn Kernel) -> u64 {
    (0..WEAK_ROUNDS).fold(0, |word, _| {
        let mut mixed: u64 = word ^ kernel.entropy();
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

impl Posix<'_> {
    /// Fills a buffer with random bytes.
    pub fn fill_random(&mut self, bytes: &mut [u8]) {
        self.random.fill(self.kernel, bytes);
    }
}
