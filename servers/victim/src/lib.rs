//! The victim counts, and dies when asked to. It is the example of a server: libsys' README quotes it.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod work;

use abi::RequestNumber;
use libsys::lane::{Lanes, Verdict};
use libsys::saved::{Area, Cell};
use protocols::serve::{Answer, Caller, Serve};
use protocols::victim::{self, Error, How, Service};

libsys::saved_state! {
    /// What outlives an instance. Zeros are the start; a change of the structure changes the version.
    pub struct State: 2 { count: Cell<u64>, lanes: Lanes<64> }
}
libsys::failpoints! {
    /// Where tests let it die.
    pub enum Point { Intent => "count.intent", Effect => "count.effect", Record => "count.record", Reply => "count.reply" }
}

/// Its saved state is all it has.
pub struct Victim<'s>(pub &'s Area<State>);

impl Service for Victim<'_> {
    fn count(&mut self, number: RequestNumber, amount: u64) -> Result<u64, Error> {
        let state = self.0.state();
        match state.lanes.check(number) {
            Verdict::Done(result) => return result.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| Error::Outdated),
            Verdict::Stale => return Err(Error::Outdated),
            Verdict::Fresh => libsys::fail::hit(Point::Intent),
        }
        let transaction = self.0.begin(); // without a commit, because of an error or a death, it is rolled back
        let count = state.count.get().wrapping_add(amount);
        state.count.set(&transaction, count);
        libsys::fail::hit(Point::Effect);
        state.lanes.record(&transaction, number, &count.to_le_bytes()).map_err(|_| Error::TooManyLanes)?;
        libsys::fail::hit(Point::Record);
        transaction.commit(); // effect and result together, by one store
        libsys::fail::hit(Point::Reply);
        Ok(count)
    }

    fn crash(&mut self, number: RequestNumber, how: How, only_first_time: bool) -> Result<(), Error> {
        let before = self.0.state().count.get();
        if self.count(number, 1)? > before || !only_first_time {
            libsys::death::die(how); // counted first, so that the successor knows
        }
        Ok(())
    }
}

impl Serve for Victim<'_> {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        victim::serve(self, caller, request, reply)
    }
}
impl libsys::serve::Server for Victim<'_> {} // page faults and Linux calls are declined

#[cfg(test)]
mod tests {
    use super::{Point, State, Victim};
    use abi::RequestNumber;
    use libsys::host::crash_at_failpoint;
    use libsys::saved::Area;
    use protocols::victim::{Error, How, Service};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const NUMBER: RequestNumber = RequestNumber::new(14, 0xff00, 1, 0);

    #[test]
    fn request_that_it_died_of_anywhere_counts_once() {
        for point in Point::ALL {
            let area = Area::on_host();
            assert_eq!(Victim(area).count(NUMBER, 5), Ok(5));
            assert!(crash_at_failpoint(point.name(), 1, || Victim(area).count(NUMBER.next(), 2)).is_none(), "{point:?}");
            area.recover();
            assert_eq!(Victim(area).count(NUMBER.next(), 2), Ok(7), "{point:?}");
            assert_eq!(Victim(area).count(NUMBER, 5), Err(Error::Outdated));
        }
    }

    /// Whether an instance dies of a request to.
    fn dies(area: &'static Area<State>, number: RequestNumber, only_first_time: bool) -> bool {
        let lived = catch_unwind(AssertUnwindSafe(|| Victim(area).crash(number, How::Panic, only_first_time)));
        area.recover();
        lived.map(|answer| assert_eq!(answer, Ok(()))).is_err()
    }

    #[test]
    fn victim_dies_once_of_a_number_and_again_of_another() {
        let area = Area::on_host();
        assert!(dies(area, NUMBER, true) && !dies(area, NUMBER, true) && dies(area, NUMBER.next(), true));
        assert_eq!(area.state().count.get(), 2);
    }

    #[test]
    fn victim_lives_on_though_others_counted_before_it_was_asked_again() {
        let (area, other) = (Area::on_host(), RequestNumber::new(14, 0xff01, 1, 0));
        assert!(dies(area, NUMBER, true));
        assert_eq!(Victim(area).count(other, 3), Ok(4));
        assert!(!dies(area, NUMBER, true));
    }

    #[test]
    fn victim_that_may_die_every_time_does() {
        let area = Area::on_host();
        assert!((0..3).all(|_| dies(area, NUMBER, false)));
        assert_eq!(area.state().count.get(), 1);
    }

    #[test]
    fn lane_too_many_is_refused_and_changes_nothing() {
        let area = Area::on_host();
        let counts: Vec<_> = (0..65).map(|lane| Victim(area).count(RequestNumber::new(14, lane, 1, 0), 1)).collect();
        assert_eq!((counts[63], counts[64], area.state().count.get()), (Ok(64), Err(Error::TooManyLanes), 64));
    }

    /// What stands in a file between two texts.
    fn between(source: &'static str, before: &str, after: &str) -> &'static str {
        let (_, rest) = source.split_once(before).expect("the file has it");
        rest.split_once(after).expect("the file has it").0
    }

    #[test]
    fn readme_of_libsys_quotes_the_example_which_has_sixty_lines() {
        let (readme, lib, main) = (include_str!("../../../libsys/README.md"), include_str!("lib.rs"), include_str!("main.rs"));
        let lines = between(lib, "", "\n#[cfg(test)]\n").lines().count();
        assert!(lines <= 60, "{lines} lines");
        let example = between(lib, "pub mod work;\n\n", "\n#[cfg(test)]\n");
        let start = between(main, "mod mirror;\n\n", "\n#[cfg(not(target_os");
        assert!(readme.contains(&format!("\n```rust\n{example}\n{start}\n")), "libsys/README.md is not to the letter what is here");
    }
}
