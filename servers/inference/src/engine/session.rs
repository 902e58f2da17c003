//! What one text has left behind, and the buffers of the pass: all that a [`Session`] will ever need is made with it.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::adapted::{Adapted, Adapters};
use super::{BATCH, Engine};
use crate::attention;
use crate::input::Inputs;
use crate::kept::{Kept, Precision};

/// What one text has left behind: keys and values of all its tokens; and the buffers of the pass.
#[derive(Debug)]
pub struct Session {
    pub(super) position: usize,
    pub(super) capacity: usize,
    /// Where the last token's numbers are among the normed ones.
    pub(super) embedding: usize,
    /// For each layer and head, position by position.
    pub(super) keys: Kept,
    pub(super) values: Kept,
    pub(super) residual: Vec<f32>,
    pub(super) narrow: Inputs,
    pub(super) queries: Vec<f32>,
    pub(super) new_keys: Vec<f32>,
    pub(super) new_values: Vec<f32>,
    pub(super) grouped: Vec<f32>,
    pub(super) attended: Inputs,
    pub(super) heads_out: Vec<f32>,
    pub(super) inner: Inputs,
    pub(super) states: Vec<(f32, f32)>,
    pub(super) tiles: Vec<f32>,
    pub(super) angles: Vec<(f32, f32)>,
    pub(super) adapted: Option<Adapted>,
}

impl Session {
    /// Room for `capacity` tokens, worked on by at most `threads` threads.
    #[must_use]
    pub fn new(engine: &Engine<'_>, capacity: usize, threads: usize) -> Self {
        Self::keeping(Precision::default(), engine, capacity, threads)
    }

    /// The same with another way to keep keys and values.
    #[must_use]
    pub fn keeping(precision: Precision, engine: &Engine<'_>, capacity: usize, threads: usize) -> Self {
        let config = &engine.config;
        let kept = || Kept::new(precision, config.head, config.layers * config.kv_heads * capacity);
        let batch = BATCH.min(capacity.max(1));
        let query_width = config.query_width();
        Self {
            position: 0,
            capacity,
            embedding: 0,
            keys: kept(),
            values: kept(),
            residual: vec![0.0; config.width * batch],
            narrow: Inputs::new(config.width, batch),
            queries: vec![0.0; query_width * batch],
            new_keys: vec![0.0; config.kv_width() * batch],
            new_values: vec![0.0; config.kv_width() * batch],
            grouped: vec![0.0; query_width * batch],
            attended: Inputs::new(query_width, batch),
            heads_out: vec![0.0; query_width * batch],
            inner: Inputs::new(config.inner, batch),
            states: vec![(0.0, 0.0); config.heads * batch],
            tiles: vec![0.0; threads * 2 * attention::TILE * config.head],
            angles: vec![(0.0, 0.0); engine.turns.len() * batch],
            adapted: None,
        }
    }

    /// Goes on with these adapters, or none; it has seen nothing then, since what it saw was seen by other weights. The adapters were read for the engine's model.
    pub fn adapt(&mut self, adapters: Option<Arc<Adapters>>) {
        let batch = BATCH.min(self.capacity.max(1));
        self.adapted = adapters.map(|adapters| Adapted::new(adapters, batch));
        self.position = 0;
    }

    /// Bytes of keys and values for all tokens that there is room for.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }

    /// Tokens seen.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// What the last token became behind the last norm, before the output matrix, of the last call that wanted its logits.
    #[must_use]
    pub fn embedding(&self) -> &[f32] {
        &self.narrow.numbers[self.embedding..self.embedding + self.narrow.length]
    }

    /// Forgets all but the first `position` tokens, so that a text that begins alike need not be seen again.
    pub fn truncate(&mut self, position: usize) {
        self.position = self.position.min(position);
    }
}
