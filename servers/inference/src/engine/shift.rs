//! Room in a session that is full: the first tokens stay, of the others the older half is forgotten, and the rest moves to where that was.
//!
//! Positions are part of the keys, so that a key that moves is turned back by as many positions as were dropped, by an angle that is computed in `f64`. It is rounded once
//! more by that, and only once: at the next shift it is among the older half. The first tokens do not move. What values hold has no position.
//!
//! What stays was made in sight of what is gone, so a text that goes on is not the text that a fresh session would make of the same tokens; whoever wants that feeds again.
#![allow(unsafe_code, reason = "threads move slots of their own")]

use core::ops::Range;

use super::{Engine, Session};
use crate::config::MOST_HEAD;
use crate::elementwise::turn;
use crate::error::Error;
use crate::half::from_f16;
use crate::kept::{Kept, Slots};
use crate::shared::share;
use crate::team::Team;

impl Engine<'_> {
    /// Keeps the first `keep` tokens of `session` and the younger half of the others, and returns the positions that it forgot.
    ///
    /// # Errors
    /// It has seen no more than `keep` tokens.
    ///
    /// # Panics
    /// The session was made for another engine.
    pub fn shift(&self, session: &mut Session, keep: usize, team: &dyn Team) -> Result<Range<usize>, Error> {
        let end = session.position();
        if keep >= end {
            return Err(Error::ContextFull);
        }
        let dropped = keep..keep + (end - keep).div_ceil(2);
        let moved = dropped.end..end;
        let angles = &mut session.angles[..self.turns.len()];
        for (angle, turn) in angles.iter_mut().zip(&self.turns) {
            let (sine, cosine) = libm::sincos(-(dropped.len() as f64 * turn));
            *angle = (sine as f32, cosine as f32);
        }
        let Session { keys, values, angles, capacity, .. } = &mut *session;
        let (config, angles, capacity) = (&self.config, &angles[..self.turns.len()], *capacity);
        let [keys, values] = [keys, values].map(Kept::share);
        let (heads, threads) = (config.layers * config.kv_heads, team.threads());
        team.run(&|thread| {
            for head in share(heads, thread, threads) {
                let slots = head * capacity..(head + 1) * capacity;
                // SAFETY: the slots of one head of one layer are those of one thread.
                let (mut keys, mut values) = unsafe { (keys.part(&slots), values.part(&slots)) };
                values.shift(&moved, keep);
                for slot in moved.clone() {
                    let mut key = [0.0; MOST_HEAD];
                    let key = &mut key[..config.head];
                    read(&keys, slot, key);
                    turn(config.pairs, angles, key);
                    keys.keep(slot - dropped.len(), key);
                }
            }
        });
        session.tokens.drain(dropped.clone());
        session.unshifted = session.unshifted.min(keep);
        Ok(dropped)
    }
}

fn read(keys: &Slots<'_>, slot: usize, key: &mut [f32]) {
    keys.read(&(slot..slot + 1), key, |from, to| from.iter().zip(to).for_each(|(from, to)| *to = from_f16(*from)));
}
