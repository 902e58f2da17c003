//! What was done for whom: the duplicate check of numbered requests.
//!
//! A server that dies after the effect of a request and before its reply gets the request again, under the same number. [`Lanes`] keeps,
//! for each caller's lane, the results of its latest request, one for each step that had an effect; effect and result commit in the same
//! transaction, so there is never one without the other:
//!
//! ```text
//! match state.lanes.check(number) {
//!     Verdict::Done(result) => answer with result,
//!     Verdict::Stale => refuse,
//!     Verdict::Fresh => { let tx = area.begin(); effect(&tx); state.lanes.record(&tx, number, &result)?; tx.commit(); }
//! }
//! ```
//!
//! The table is open addressing by lane, without deletion: a lane's slots are used again for its next request. Why a slot for each step and
//! not one for each lane: a caller that dies in the middle of a request runs it again from its first step, and each step must find what it
//! did.
#![allow(unsafe_code, reason = "the macros of saved state stand for unsafe traits")]

use abi::RequestNumber;

use crate::saved::{Array, Cell, SavedState, Transaction};

/// Most bytes of a kept result; data goes by lease again.
pub const MAX_RESULT: usize = 64;

const LENGTH_BYTES: usize = 8;
/// Step of a result that was forgotten.
const FORGOTTEN: u8 = RequestNumber::FAULT_STEP - 1;

crate::plain! {
    /// One kept result.
    struct Kept {
        /// One more than the bytes of the result; 0 for a slot that was never used.
        length: u64,
        number: u64,
        result: [u8; MAX_RESULT],
    }
}

const _: () = assert!(size_of::<Kept>() == LENGTH_BYTES + size_of::<RequestNumber>() + MAX_RESULT);

/// A kept result's bytes.
pub type Recorded = heapless::Vec<u8, MAX_RESULT>;

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a request must not run before it was checked"]
pub enum Verdict {
    /// It was not done.
    Fresh,
    /// It was done, with this result.
    Done(Recorded),
    /// Its lane has gone on to a later request: nobody waits for it.
    Stale,
}

/// Why a result was not kept. The transaction must then be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// All slots hold results of other lanes.
    Full,
    /// It has more than [`MAX_RESULT`] bytes.
    TooLong,
}

/// `N` slots for results.
#[derive(Debug)]
#[repr(transparent)]
pub struct Lanes<const N: usize>(Array<Kept, N>);

// SAFETY: an array of cells.
unsafe impl<const N: usize> SavedState for Lanes<N> {
    const VERSION: u32 = 1;
}

impl<const N: usize> Lanes<N> {
    /// What is known of the request `number`.
    pub fn check(&self, number: RequestNumber) -> Verdict {
        let mut verdict = Verdict::Fresh;
        for kept in self.slots_from(number).map(Cell::get).take_while(|kept| kept.length != 0) {
            let seen = RequestNumber(kept.number);
            if seen == number {
                return Verdict::Done(result_of(&kept));
            }
            if is_later_request(seen, number) {
                verdict = Verdict::Stale;
            }
        }
        verdict
    }

    /// Keeps the result of the request `number`, in the transaction of its effect.
    ///
    /// # Errors
    /// [`RecordError`]; nothing was changed.
    pub fn record(&self, transaction: &Transaction<'_>, number: RequestNumber, result: &[u8]) -> Result<(), RecordError> {
        let mut kept = Kept { length: result.len() as u64 + 1, number: number.0, result: [0; MAX_RESULT] };
        kept.result.get_mut(..result.len()).ok_or(RecordError::TooLong)?.copy_from_slice(result);
        let slot = self.slots_from(number).find(|slot| may_hold(&slot.get(), number)).ok_or(RecordError::Full)?;
        slot.set(transaction, kept);
        Ok(())
    }

    /// The kept results of the requests that the lane of `after` made after that one.
    pub fn since(&self, after: RequestNumber) -> impl Iterator<Item = (RequestNumber, Recorded)> {
        let used = self.slots_from(after).map(Cell::get).take_while(|kept| kept.length != 0);
        used.filter(move |kept| is_later_request(RequestNumber(kept.number), after)).map(|kept| (RequestNumber(kept.number), result_of(&kept)))
    }

    /// Forgets the result of the request `number`, in the transaction that undoes its effect. The slot stays its lane's, under a step that no request has.
    pub fn forget(&self, transaction: &Transaction<'_>, number: RequestNumber) {
        let used = self.slots_from(number).take_while(|slot| slot.get().length != 0);
        for slot in used.filter(|slot| slot.get().number == number.0) {
            slot.set(transaction, Kept { length: 1, number: number.with_step(FORGOTTEN).0, result: [0; MAX_RESULT] });
        }
    }

    /// All slots, in the order in which a lane looks at them.
    fn slots_from(&self, number: RequestNumber) -> impl Iterator<Item = &Cell<Kept>> {
        // Fibonacci hashing spreads the neighbouring lanes of a service.
        let lane = u64::from(number.service()) << 16 | u64::from(number.lane());
        let start = (lane.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % N.max(1);
        let (before, after) = self.0.split_at(start.min(self.0.len()));
        after.iter().chain(before)
    }
}

/// An unused slot, this very request, or an earlier request of its lane.
fn may_hold(kept: &Kept, number: RequestNumber) -> bool {
    let seen = RequestNumber(kept.number);
    kept.length == 0 || seen == number || is_later_request(number, seen)
}

fn is_later_request(later: RequestNumber, earlier: RequestNumber) -> bool {
    later.with_step(0).is_after(earlier.with_step(0)) == Some(true)
}

fn result_of(kept: &Kept) -> Recorded {
    let length = (kept.length.saturating_sub(1) as usize).min(MAX_RESULT);
    kept.result.iter().copied().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::{Lanes, RecordError, Recorded, Verdict};
    use crate::host::crash_at_store;
    use crate::saved::{Area, Cell, Opened};
    use abi::RequestNumber;

    crate::saved_state! {
        struct State: 1 {
            effects: Cell<u64>,
            lanes: Lanes<8>,
        }
    }

    fn number(lane: u16, request: u32, step: u8) -> RequestNumber {
        RequestNumber::new(11, lane, request, step)
    }

    fn done(bytes: &[u8]) -> Verdict {
        Verdict::Done(Recorded::from_slice(bytes).expect("short"))
    }

    fn record(area: &Area<State>, number: RequestNumber, result: &[u8]) -> Result<(), RecordError> {
        let tx = area.begin();
        area.state().lanes.record(&tx, number, result)?;
        tx.commit();
        Ok(())
    }

    #[test]
    fn recorded_request_is_done_with_its_result() {
        let area = Area::<State>::on_host();
        assert_eq!(area.state().lanes.check(number(1, 1, 0)), Verdict::Fresh);
        record(area, number(1, 1, 0), b"").expect("room");
        record(area, number(2, 1, 0), &[7; 64]).expect("room");
        assert_eq!(area.state().lanes.check(number(1, 1, 0)), done(b""));
        assert_eq!(area.state().lanes.check(number(2, 1, 0)), done(&[7; 64]));
        assert_eq!(area.state().lanes.check(number(1, 2, 0)), Verdict::Fresh);
    }

    #[test]
    fn every_step_of_a_request_keeps_its_result_until_the_next_request() {
        let area = Area::<State>::on_host();
        for step in 1..=3 {
            record(area, number(1, 1, step), &[step]).expect("room");
        }
        for step in 1..=3 {
            assert_eq!(area.state().lanes.check(number(1, 1, step)), done(&[step]));
        }
        record(area, number(1, 2, 1), b"new").expect("room");
        assert_eq!(area.state().lanes.check(number(1, 1, 1)), Verdict::Stale);
        assert_eq!(area.state().lanes.check(number(1, 2, 1)), done(b"new"));
        assert_eq!(area.state().lanes.check(number(1, 2, 2)), Verdict::Fresh);
    }

    #[test]
    fn lane_uses_its_own_slots_again() {
        let area = Area::<State>::on_host();
        for request in 0..100 {
            for lane in 0..4 {
                record(area, number(lane, request, 1), &[request as u8]).expect("room");
                record(area, number(lane, request, 2), &[lane as u8]).expect("room");
            }
        }
        for lane in 0..4 {
            assert_eq!(area.state().lanes.check(number(lane, 99, 1)), done(&[99]));
            assert_eq!(area.state().lanes.check(number(lane, 99, 2)), done(&[lane as u8]));
        }
    }

    #[test]
    fn counts_that_wrap_still_go_on() {
        let area = Area::<State>::on_host();
        record(area, number(1, u32::MAX, 0), b"old").expect("room");
        assert_eq!(area.state().lanes.check(number(1, 0, 0)), Verdict::Fresh);
        record(area, number(1, 0, 0), b"new").expect("room");
        assert_eq!(area.state().lanes.check(number(1, u32::MAX, 0)), Verdict::Stale);
    }

    #[test]
    fn full_table_and_long_results_are_errors_that_change_nothing() {
        let area = Area::<State>::on_host();
        for lane in 0..8 {
            record(area, number(lane, 1, 0), b"x").expect("room");
        }
        assert_eq!(record(area, number(8, 1, 0), b"x"), Err(RecordError::Full));
        assert_eq!(area.state().lanes.check(number(8, 1, 0)), Verdict::Fresh);
        assert_eq!(record(area, number(1, 2, 0), &[0; 65]), Err(RecordError::TooLong));
        assert_eq!(area.state().lanes.check(number(1, 1, 0)), done(b"x"));
    }

    #[test]
    fn effect_and_result_are_never_apart_whatever_store_a_crash_hits() {
        for nth in 0.. {
            let area = Area::<State>::on_host();
            record(area, number(1, 1, 0), b"earlier").expect("room");
            let run = || {
                let tx = area.begin();
                area.state().effects.update(&tx, |count| count + 1);
                area.state().lanes.record(&tx, number(1, 2, 0), b"result").expect("room");
                tx.commit();
            };
            let finished = crash_at_store(nth, run).is_some();
            assert!(matches!(area.recover(), Opened::Recovered { .. }));
            match area.state().lanes.check(number(1, 2, 0)) {
                Verdict::Done(result) => assert_eq!((area.state().effects.get(), result.as_slice()), (1, b"result".as_slice())),
                verdict => assert_eq!((area.state().effects.get(), verdict), (0, Verdict::Fresh)),
            }
            if finished {
                return;
            }
        }
    }
}
