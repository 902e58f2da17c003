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
    /// What it has seen and still knows.
    pub(super) tokens: Vec<u32>,
    /// How many of them, from the first on, have left what they would have left without any shift.
    pub(super) unshifted: usize,
    pub(super) capacity: usize,
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
            tokens: Vec::with_capacity(capacity),
            unshifted: 0,
            capacity,
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
        self.truncate(0);
    }

    /// Whether it has adapters.
    #[must_use]
    pub const fn is_adapted(&self) -> bool {
        self.adapted.is_some()
    }

    /// Bytes of keys and values for all tokens that there is room for.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }

    /// How many tokens it has seen and still knows.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.tokens.len()
    }

    /// For how many more there is room.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.capacity - self.tokens.len()
    }

    /// Those that it has seen and still knows.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Forgets all but the first `position` tokens.
    pub fn truncate(&mut self, position: usize) {
        self.tokens.truncate(position);
        self.unshifted = self.unshifted.min(position);
    }

    /// Forgets what differs from `tokens`, and returns how many of these, from the first on, need not be seen again: the logits of the others are then those that
    /// a fresh session would make, bit by bit. The last is always to be seen again, for its logits. What a shift has moved differs, since it
    /// was seen behind tokens that are no longer there.
    pub fn reuse(&mut self, tokens: &[u32]) -> usize {
        let alike = self.tokens.iter().zip(tokens).take_while(|(one, other)| one == other).count();
        self.truncate(alike.min(self.unshifted).min(tokens.len().saturating_sub(1)));
        self.position()
    }

    /// Notes `tokens` as seen.
    pub(super) fn see(&mut self, tokens: &[u32]) {
        if self.unshifted == self.tokens.len() {
            self.unshifted += tokens.len();
        }
        self.tokens.extend_from_slice(tokens);
    }
}
