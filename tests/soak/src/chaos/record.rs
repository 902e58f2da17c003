//! What the system's log says of a run under the injector: each strike, each death, and for how long nobody served.

use supervisor::inject::plan::Kind;

/// A fault, as it was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// Whom it struck: one service, or two at once.
    pub(crate) services: Vec<String>,
    /// Guest time.
    pub(crate) at_us: u64,
    /// When its window ended, and what had become of it by then.
    pub(crate) over: Option<(u64, String)>,
}

/// A server's death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) service: String,
    pub(crate) at_us: u64,
    /// How long nobody served; `None` if nobody ever did again.
    pub(crate) down_us: Option<u64>,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) strikes: Vec<Strike>,
    pub(crate) deaths: Vec<Death>,
    /// When programs did what none of them does of its own, as posix says: about, since only the supervisor's lines have times.
    pub(crate) signals_us: Vec<u64>,
    /// Time of the last line.
    pub(crate) end_us: u64,
    /// All faults were injected, and only then the power went off.
    pub(crate) complete: bool,
}

impl Record {
    pub(crate) fn read(log: &str) -> Self {
        let mut record = Self::default();
        for line in log.lines() {
            let Some((at_us, text)) = timed(line) else {
                record.signals_us.extend(is_signal(line).then_some(record.end_us));
                continue;
            };
            record.end_us = at_us;
            record.complete |= text.starts_with("inject: all ");
            if let Some(told) = text.strip_prefix("inject ") {
                record.read_injection(at_us, told);
            } else if let Some((service, _)) = text.split_once(" died, instance ") {
                record.deaths.push(Death { service: service.into(), at_us, down_us: None });
            } else if let Some((service, _)) = text.split_once(" up, instance ")
                && let Some(death) = record.deaths.iter_mut().rev().find(|death| death.service == service)
            {
                death.down_us.get_or_insert(at_us - death.at_us);
            }
        }
        record
    }

    /// `4: posix jump at work: at 0x493c58`, where the kind may be impossible there and then; or `4 over: died`.
    fn read_injection(&mut self, at_us: u64, told: &str) {
        let Some((head, rest)) = told.split_once(": ") else { return };
        if let Some(number) = head.strip_suffix(" over") {
            let strike = self.strikes.iter_mut().find(|strike| number.parse() == Ok(strike.number));
            strike.into_iter().for_each(|strike| strike.over = Some((at_us, rest.into())));
            return;
        }
        let mut words = rest.split(' ');
        let (Ok(number), Some(service), Some(name)) = (head.parse(), words.next(), words.next()) else { return };
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else { return };
        if rest.contains(" is not possible") {
            return;
        }
        match self.strikes.iter_mut().find(|strike| strike.number == number) {
            Some(strike) => strike.services.push(service.into()),
            None => self.strikes.push(Strike { number, kind, services: vec![service.into()], at_us, over: None }),
        }
    }
}

/// Whether posix says that an exception became a program's signal.
fn is_signal(line: &str) -> bool {
    line.starts_with("[posix] process ") && line.contains(" gets signal ")
}

/// The time of a line of the supervisor's, in microseconds, and its text.
fn timed(line: &str) -> Option<(u64, &str)> {
    let (time, text) = line.strip_prefix("[supervisor]")?.trim_start().split_once(" ms: ")?;
    let (ms, us) = time.split_once('.')?;
    Some((ms.parse::<u64>().ok()? * 1000 + us.parse::<u64>().ok()?, text))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Record};

    const LOG: &str = "\
[kernel] something else
[supervisor]   1008.426 ms: inject 4: posix overflow at work: at 0x493c58
[supervisor]   1008.453 ms: posix died, instance 1: page fault (vector 14, code 0x6, address 0x7100000dfe98) at 0x4bad82
[supervisor]   1013.625 ms: posix up, instance 2, 5129 us after its start
[supervisor]   1038.432 ms: inject 4 over: died
[supervisor]   1051.122 ms: inject 5: memory text at work: 0x4124ca was 6d is 7d
[supervisor]   1101.132 ms: inject 5 over: undone
[supervisor]   1110.000 ms: inject 6: memory text is not possible: WrongState
[supervisor]   1110.001 ms: inject 6 over: passed
[supervisor]   1133.443 ms: inject 7: console hang at work: at 0x4134c7
[supervisor]   1133.452 ms: inject 7: memory hang as it was: at 0x41263d
[supervisor]   1241.780 ms: memory died, instance 2: hung
[supervisor]   1241.819 ms: console died, instance 3: hung
[supervisor]   1243.027 ms: memory up, instance 3, 212 us after its start
";

    #[test]
    fn strikes_are_read_with_whom_they_struck_and_how_they_ended() {
        let record = Record::read(LOG);
        let told: Vec<_> = record.strikes.iter().map(|strike| (strike.number, strike.kind, strike.services.join("+"))).collect();
        let expected = [(4, Kind::Overflow, "posix".to_owned()), (5, Kind::Text, "memory".to_owned()), (7, Kind::Hang, "console+memory".to_owned())];
        assert_eq!(told, expected, "the sixth was not possible");
        assert_eq!(record.strikes[0].at_us, 1_008_426);
        assert_eq!(record.strikes[1].over, Some((1_101_132, "undone".into())));
        assert_eq!(record.strikes[2].over, None);
    }

    #[test]
    fn deaths_are_read_with_the_time_without_service() {
        let record = Record::read(LOG);
        let told: Vec<_> = record.deaths.iter().map(|death| (death.service.as_str(), death.down_us)).collect();
        assert_eq!(told, [("posix", Some(5172)), ("memory", Some(1247)), ("console", None)]);
    }

    #[test]
    fn signals_are_as_late_as_the_line_before() {
        let log = format!("{LOG}[posix] process 1099 gets signal 7 at 0x4bdf20, rip 0x4bdf20\n[posix] posix: Recovered\n");
        assert_eq!(Record::read(&log).signals_us, [1_243_027]);
    }

    #[test]
    fn run_is_complete_when_the_injector_says_so() {
        assert_eq!((Record::read(LOG).complete, Record::read(LOG).end_us), (false, 1_243_027));
        let log = format!("{LOG}[supervisor]   1250.000 ms: inject: all 7 faults are over\n");
        assert!(Record::read(&log).complete);
    }
}
