//! What became of each fault of a machine.
//!
//! A machine whose output was wrong once is worth nothing from then on: the fault that did it is blamed, and those that came later are not judged.

use super::output::Wrong;
use super::record::{Record, Strike};

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody died, and all output is right.
    Unseen,
    /// Somebody died, and all output is right.
    Recovered,
    /// Somebody died, and programs could tell.
    Failed,
    /// Nobody died of it as long as it was there, and programs could tell.
    Silent,
}

/// A fault with what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) strike: &'a Strike,
    pub(crate) fate: Fate,
    /// It was certainly met: a thread went on with it, its place was written to, or it showed.
    pub(crate) activated: bool,
}

/// All faults that can be judged, when `wrong` is the first thing that was wrong with the output.
pub(crate) fn judge<'a>(record: &'a Record, wrong: Option<&Wrong>) -> Vec<Judged<'a>> {
    let blamed = wrong.and_then(|wrong| blamed(record, wrong));
    let last = blamed.map_or(record.strikes.len(), |blamed| blamed + 1);
    let judged = record.strikes.iter().enumerate().take(last).map(|(index, strike)| {
        let end_us = match wrong.filter(|_| blamed == Some(index)) {
            // What is found before the fault's window ends was found, if not in time.
            Some(wrong) => strike.over.as_ref().map_or(0, |(over_us, _)| *over_us).max(wrong.before_us),
            None => record.strikes.get(index + 1).map_or(u64::MAX, |next| next.at_us),
        };
        let died = record.deaths.iter().any(|death| (strike.at_us..end_us).contains(&death.at_us));
        let fate = match (blamed == Some(index), died) {
            (false, false) => Fate::Unseen,
            (false, true) => Fate::Recovered,
            (true, true) => Fate::Failed,
            (true, false) => Fate::Silent,
        };
        Judged { strike, fate, activated: fate != Fate::Unseen || is_met(strike) }
    });
    judged.collect()
}

/// Whether the fault was met for certain although nothing came of it. A place in memory that is as the fault left it may have been read.
fn is_met(strike: &Strike) -> bool {
    strike.over.as_ref().is_some_and(|(_, came)| came != "undone")
}

/// The fault that something wrong is laid to: the last before a program's exception, if there was one; or else the first that struck in that time; or else
/// the last one before.
fn blamed(record: &Record, wrong: &Wrong) -> Option<usize> {
    let signal_us = record.signals_us.iter().find(|at_us| (wrong.after_us..wrong.before_us).contains(at_us));
    if let Some(signal_us) = signal_us {
        return record.strikes.iter().rposition(|strike| strike.at_us <= *signal_us);
    }
    let within = record.strikes.iter().position(|strike| (wrong.after_us..wrong.before_us).contains(&strike.at_us));
    let before = record.strikes.iter().rposition(|strike| strike.at_us < wrong.after_us);
    // What struck before may still have been under way: a hang takes its time to be found.
    let under_way = before.filter(|index| record.strikes.get(*index).is_some_and(|strike| is_under_way(record, strike, wrong.after_us)));
    under_way.or(within).or(before)
}

/// Whether a server had still to die of a fault at a time.
fn is_under_way(record: &Record, strike: &Strike, at_us: u64) -> bool {
    let end_us = strike.over.as_ref().map_or(u64::MAX, |(end_us, _)| *end_us);
    let lasting = |death_us: u64, down_us: Option<u64>| death_us + down_us.unwrap_or(u64::MAX - death_us) > at_us;
    record.deaths.iter().any(|death| (strike.at_us..end_us).contains(&death.at_us) && lasting(death.at_us, death.down_us))
}

#[cfg(test)]
mod tests {
    use super::super::output::Wrong;
    use super::super::record::{Death, Record, Strike};
    use super::{Fate, judge};
    use supervisor::inject::plan::Kind;

    fn strike(number: u32, at_us: u64, came: &str) -> Strike {
        Strike { number, kind: Kind::Data, services: vec!["vfs".into()], at_us, over: Some((at_us + 90, came.into())) }
    }

    /// Faults at 100, 200 and 300, the second of which vfs dies at `death_us` and is up 20 later.
    fn record(death_us: u64) -> Record {
        let deaths = vec![Death { service: "vfs".into(), at_us: death_us, down_us: Some(20) }];
        let strikes = vec![strike(1, 100, "undone"), strike(2, 200, "died"), strike(3, 300, "overwritten")];
        Record { strikes, deaths, signals_us: Vec::new(), end_us: 400, complete: true }
    }

    fn fates(record: &Record, wrong: Option<(u64, u64)>) -> Vec<Fate> {
        let wrong = wrong.map(|(after_us, before_us)| Wrong { why: String::new(), after_us, before_us });
        judge(record, wrong.as_ref()).iter().map(|judged| judged.fate).collect()
    }

    #[test]
    fn deaths_count_for_the_fault_before_them() {
        assert_eq!(fates(&record(220), None), [Fate::Unseen, Fate::Recovered, Fate::Unseen]);
    }

    #[test]
    fn wrong_output_ends_what_is_judged() {
        assert_eq!(fates(&record(220), Some((190, 260))), [Fate::Unseen, Fate::Failed]);
        assert_eq!(fates(&record(220), Some((90, 150))), [Fate::Silent]);
        assert_eq!(fates(&record(220), Some((310, 340))), [Fate::Unseen, Fate::Recovered, Fate::Silent], "the last one before");
    }

    #[test]
    fn fault_that_is_found_after_the_wrong_output_is_not_silent() {
        assert_eq!(fates(&record(260), Some((190, 230))), [Fate::Unseen, Fate::Failed]);
        assert_eq!(fates(&record(295), Some((190, 230))), [Fate::Unseen, Fate::Silent], "it was gone by then");
    }

    #[test]
    fn fault_that_is_under_way_is_blamed_before_the_next_one() {
        assert_eq!(fates(&record(270), Some((250, 350))), [Fate::Unseen, Fate::Failed]);
        assert_eq!(fates(&record(210), Some((250, 350))), [Fate::Unseen, Fate::Recovered, Fate::Silent], "it was over");
    }

    #[test]
    fn exception_of_a_program_is_laid_to_the_last_fault_before_it() {
        let mut record = record(270);
        record.signals_us = vec![300];
        assert_eq!(fates(&record, Some((250, 350))), [Fate::Unseen, Fate::Recovered, Fate::Silent]);
    }

    #[test]
    fn fault_is_activated_when_it_was_met_for_certain() {
        let record = record(220);
        let activated: Vec<_> = judge(&record, None).iter().map(|judged| judged.activated).collect();
        assert_eq!(activated, [false, true, true]);
    }
}
