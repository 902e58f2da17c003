//! Which own slot holds the Reply of which lane.
//!
//! The message in hand is answered by the receive loop, together with waiting for the next one, which saves a kernel operation. The Reply of a message that is kept stays in
//! the slot into which it came, which is the lane's until it is answered or stale. Slots come from a pool of one for each lane and one more, so there always is one for
//! the next message.

use alloc::vec::Vec;

use abi::ReplyKind;

use crate::saved::{LANES, Lane};
use crate::sure::Table;

/// First own slot for Replies.
pub const REPLIES: u32 = libsys::slot::FREE + 32;
/// No slot.
pub const NONE: u32 = 0;

/// See the module.
#[derive(Debug)]
pub struct Replies {
    kept: Table<u32, LANES>,
    free: Vec<u32>,
    current: Option<Current>,
}

/// What becomes of the Reply of a message that was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The receive loop answers with this.
    Answer(ReplyKind, u64),
    /// It is answered later: the next message needs another slot.
    Kept,
    /// Its thread was stopped meanwhile: there is nobody to answer.
    Stale,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    lane: Lane,
    slot: u32,
    ending: Ending,
}

impl Replies {
    /// With the slots from `first` on.
    #[must_use]
    pub fn new(first: u32) -> Self {
        Self { kept: Table::default(), free: (first..=first + LANES as u32).rev().collect(), current: None }
    }

    /// A message of a lane came, its Reply into `slot`.
    #[inline]
    pub fn begin(&mut self, lane: Lane, slot: u32) {
        self.current = Some(Current { lane, slot, ending: Ending::Kept });
    }

    /// The message was run.
    #[inline]
    pub fn end(&mut self) -> Ending {
        let Some(current) = self.current.take() else { return Ending::Stale };
        if current.ending == Ending::Kept {
            // An older Reply of this lane is stale: a thread makes one call at a time.
            self.forget(current.lane);
            if let Some(kept) = self.kept.get_mut(current.lane) {
                *kept = current.slot;
            }
        }
        current.ending
    }

    /// Leaves the answer to the receive loop, if the lane's message is in its hand.
    #[inline]
    pub fn is_answered_by_loop(&mut self, lane: Lane, kind: ReplyKind, value: u64) -> bool {
        match &mut self.current {
            Some(current) if current.lane == lane => {
                current.ending = Ending::Answer(kind, value);
                true
            }
            _ => false,
        }
    }

    /// Slot of the lane's Reply.
    #[must_use]
    pub fn slot(&self, lane: Lane) -> u32 {
        match self.current {
            Some(current) if current.lane == lane => current.slot,
            _ => self.kept.get(lane).copied().unwrap_or(NONE),
        }
    }

    /// The lane's Reply is answered, or stale because its thread was stopped: its slot is free for another.
    pub fn forget(&mut self, lane: Lane) {
        if let Some(current) = self.current.as_mut().filter(|current| current.lane == lane) {
            current.ending = Ending::Stale;
        }
        let slot = self.kept.get_mut(lane).map_or(NONE, core::mem::take);
        if slot != NONE {
            self.free.push(slot);
        }
    }

    /// A slot for the next message, whose predecessor was kept.
    pub fn next_slot(&mut self) -> u32 {
        // One more than there are lanes, each of which keeps one at most.
        self.free.pop().unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u32 = 100;

    #[test]
    fn message_in_hand_is_answered_by_the_loop() {
        let mut replies = Replies::new(FIRST);
        let slot = replies.next_slot();
        replies.begin(3, slot);
        assert_eq!(replies.slot(3), slot);
        assert!(!replies.is_answered_by_loop(4, ReplyKind::Resume, 1));
        assert!(replies.is_answered_by_loop(3, ReplyKind::Resume, 7));
        assert_eq!(replies.end(), Ending::Answer(ReplyKind::Resume, 7));
        assert_eq!(replies.slot(3), NONE);
    }

    #[test]
    fn kept_reply_is_its_lanes_until_it_is_forgotten() {
        let mut replies = Replies::new(FIRST);
        let slot = replies.next_slot();
        replies.begin(3, slot);
        assert_eq!(replies.end(), Ending::Kept);
        assert!(!replies.is_answered_by_loop(3, ReplyKind::Resume, 7));
        assert_eq!(replies.slot(3), slot);
        replies.forget(3);
        assert_eq!((replies.slot(3), replies.next_slot()), (NONE, slot));
    }

    #[test]
    fn stopped_threads_message_in_hand_is_not_kept() {
        let mut replies = Replies::new(FIRST);
        let slot = replies.next_slot();
        replies.begin(3, slot);
        replies.forget(3);
        assert_eq!(replies.end(), Ending::Stale);
        assert_eq!(replies.slot(3), NONE);
    }

    #[test]
    fn newer_reply_frees_the_slot_of_the_stale_one() {
        let mut replies = Replies::new(FIRST);
        let (first, second) = (replies.next_slot(), replies.next_slot());
        for slot in [first, second] {
            replies.begin(3, slot);
            assert_eq!(replies.end(), Ending::Kept);
        }
        assert_eq!((replies.slot(3), replies.next_slot()), (second, first));
    }

    #[test]
    fn every_lane_may_keep_one_and_the_next_message_has_a_slot_still() {
        let mut replies = Replies::new(FIRST);
        let mut slot = replies.next_slot();
        for lane in 0..LANES {
            assert_ne!(slot, NONE, "lane {lane}");
            replies.begin(lane, slot);
            assert_eq!(replies.end(), Ending::Kept);
            slot = replies.next_slot();
        }
        assert_ne!(slot, NONE);
    }
}
