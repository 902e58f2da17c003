//! What became of all faults, by server and kind, and for how long nobody served.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use supervisor::inject::plan::Kind;

use super::record::Death;
use super::verdict::{Fate, Judged};

/// Of manifested bit flips and wild writes so many of a hundred must be recovered.
const WILD_PERCENT: usize = 90;
/// Of a thousand bit flips and wild writes so many may be silent.
const SILENT_PER_THOUSAND: usize = 1;
/// Of so many fail-stop faults one may be seen by a program.
const FAIL_STOP_PER_SEEN: usize = 100;
/// A share of so many is taken at its word.
const ENOUGH: usize = 50;
/// Of fewer, what a system that just keeps to its goal comes to this seldom is a failure.
const UNLIKELY: f64 = 0.05;

/// What the kinds of a group have in common.
type Group = (&'static str, fn(Kind) -> bool);
/// Kinds that are held to the same goal. Whoever is refused memory can answer with an error or die; neither is an excuse for a wrong byte, so there none is allowed.
const GROUPS: [Group; 3] = [
    ("all fail-stop", Kind::is_fail_stop),
    ("all allocations", |kind| kind == Kind::Allocation),
    ("all others", |kind| !kind.is_fail_stop() && kind != Kind::Allocation),
];

/// Counts of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) injected: usize,
    pub(crate) activated: usize,
    pub(crate) manifested: usize,
    pub(crate) recovered: usize,
    pub(crate) silent: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.injected += other.injected;
        self.activated += other.activated;
        self.manifested += other.manifested;
        self.recovered += other.recovered;
        self.silent += other.silent;
    }
}

impl Counts {
    fn of(judged: &Judged<'_>) -> Self {
        let count = usize::from;
        Self {
            injected: 1,
            activated: count(judged.activated),
            manifested: count(judged.fate != Fate::Unseen),
            recovered: count(judged.fate == Fate::Recovered),
            silent: count(judged.fate == Fate::Silent),
        }
    }
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// By server, or two at once, and the kind's place in [`Kind::ALL`].
    rows: BTreeMap<(String, usize), Counts>,
    /// Microseconds without service.
    downs: BTreeMap<String, Vec<u64>>,
}

impl Table {
    /// Counts a machine's faults and its deaths.
    pub(crate) fn add(&mut self, judged: &[Judged<'_>], deaths: &[Death]) {
        for judged in judged {
            let servers = match judged.strike.services.as_slice() {
                [one] => one.clone(),
                _ => "two at once".into(),
            };
            let kind = Kind::ALL.iter().position(|kind| *kind == judged.strike.kind).unwrap_or_default();
            *self.rows.entry((servers, kind)).or_default() += Counts::of(judged);
        }
        for death in deaths {
            self.downs.entry(death.service.clone()).or_default().extend(death.down_us);
        }
    }

    /// How many faults were judged.
    pub(crate) fn faults(&self) -> usize {
        self.sum(|_| true).injected
    }

    /// The sum of the kinds that `which` takes.
    fn sum(&self, which: impl Fn(Kind) -> bool) -> Counts {
        let mut sum = Counts::default();
        self.rows.iter().filter(|((_, kind), _)| Kind::ALL.get(*kind).is_some_and(|kind| which(*kind))).for_each(|(_, counts)| sum += *counts);
        sum
    }

    /// What is not as it must be.
    ///
    /// Fail-stop faults that were seen and silent ones are held to their goals however few were injected, so in a small sample to none at all. A system that just
    /// keeps to one silent in a thousand shows one among the 41 of the suite's share with a probability of 4 %, and one of 1.8 in a thousand with 7 %: a
    /// silent one there speaks against the system and not for bad luck. (One seen of the share's 27 fail-stop ones has 24 %. That is more, but each is a
    /// program that noticed a death, and has a seed and a cause of its own.) Of the others that manifested one in ten may be seen, which is common in a small
    /// sample: there the count must be [`UNLIKELY`] too, two of two, three of up to eight, four of up to fourteen.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let [stop, refused, wild] = GROUPS.map(|(_, is_of_it)| self.sum(is_of_it));
        let seen = stop.manifested - stop.recovered;
        if seen * FAIL_STOP_PER_SEEN > stop.manifested {
            complaints.push(format!("{seen} of {} fail-stop faults were seen by programs", stop.manifested));
        }
        if refused.manifested > refused.recovered {
            complaints.push(format!(
                "{} of {} allocations that failed were seen by programs",
                refused.manifested - refused.recovered,
                refused.manifested
            ));
        }
        if are_too_few(wild.recovered, wild.manifested) {
            complaints.push(format!("of {} bit flips and wild writes that manifested only {} were recovered", wild.manifested, wild.recovered));
        }
        if wild.silent * 1000 > wild.injected * SILENT_PER_THOUSAND {
            complaints.push(format!("{} of {} bit flips and wild writes were silent", wild.silent, wild.injected));
        }
        complaints
    }
}

/// Whether so few recoveries say that fewer than [`WILD_PERCENT`] of a hundred are recovered.
fn are_too_few(recovered: usize, manifested: usize) -> bool {
    let lost = manifested - recovered;
    recovered * 100 < manifested * WILD_PERCENT && (manifested >= ENOUGH || at_least(lost, manifested, 1.0 - WILD_PERCENT as f64 / 100.0) < UNLIKELY)
}

/// The probability of at least `least` of `count` independent events of this probability each: the binomial distribution's tail.
fn at_least(least: usize, count: usize, probability: f64) -> f64 {
    let mut exactly = (1.0 - probability).powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut fewer = 0.0;
    for events in 0..least {
        fewer += exactly;
        exactly *= (count - events) as f64 / (events + 1) as f64 * probability / (1.0 - probability);
    }
    1.0 - fewer
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:24} {:>9} {:>9} {:>10} {:>9} {:>9} {:>6}", "", "injected", "activated", "manifested", "recovered", "seen", "silent")?;
        for ((servers, kind), counts) in &self.rows {
            let kind = Kind::ALL.get(*kind).map_or("", |kind| kind.name());
            write_row(out, &format!("{servers} {kind}"), *counts)?;
        }
        GROUPS.iter().try_for_each(|(name, is_of_it)| write_row(out, name, self.sum(is_of_it)))?;
        writeln!(out, "{:24} {:>9} {:>9} {:>10} {:>9}", "without service, us", "deaths", "p50", "p99", "most")?;
        for (service, downs) in &self.downs {
            let mut sorted = downs.clone();
            sorted.sort_unstable();
            let [p50, p99, most] = [50, 99, 100].map(|percent| percentile(&sorted, percent));
            writeln!(out, "{service:24} {:>9} {p50:>9} {p99:>10} {most:>9}", sorted.len())?;
        }
        Ok(())
    }
}

fn write_row(out: &mut fmt::Formatter<'_>, name: &str, counts: Counts) -> fmt::Result {
    let Counts { injected, activated, manifested, recovered, silent } = counts;
    let seen = manifested - recovered - silent;
    writeln!(out, "{name:24} {injected:>9} {activated:>9} {manifested:>10} {recovered:>9} {seen:>9} {silent:>6}")
}

/// The smallest of the sorted values that is not below so many of a hundred of them; 0 when there are none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let nth = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(nth - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Death, Strike};
    use super::super::verdict::{Fate, Judged};
    use super::{Table, at_least, percentile};
    use supervisor::inject::plan::Kind;

    fn table(faults: &[(&[&str], Kind, Fate, usize)]) -> Table {
        let mut table = Table::default();
        for (services, kind, fate, count) in faults {
            let services = services.iter().map(|service| (*service).into()).collect();
            let strike = Strike { number: 1, kind: *kind, services, at_us: 0, over: None };
            for _ in 0..*count {
                table.add(&[Judged { strike: &strike, fate: *fate, activated: true }], &[]);
            }
        }
        table
    }

    #[test]
    fn of_fail_stop_faults_one_in_a_whole_hundred_may_be_seen() {
        let struck = |fate, recovered, others| {
            let faults = [
                (&["vfs"][..], Kind::Jump, Fate::Recovered, recovered),
                (&["posix", "vfs"], Kind::Panic, fate, others),
                (&["vfs"], Kind::Hang, Fate::Unseen, 1),
            ];
            table(&faults).complaints()
        };
        for fate in [Fate::Failed, Fate::Silent] {
            assert_eq!(struck(fate, 19, 0), Vec::<String>::new());
            assert_eq!(struck(fate, 18, 1), ["1 of 19 fail-stop faults were seen by programs"]);
            assert_eq!(struck(fate, 298, 2), Vec::<String>::new());
            assert_eq!(struck(fate, 296, 4), ["4 of 300 fail-stop faults were seen by programs"]);
        }
    }

    #[test]
    fn of_bit_flips_one_in_ten_may_be_seen_and_one_in_a_thousand_be_silent() {
        let flips = |recovered, failed, silent, unseen| {
            let all = [(Fate::Recovered, recovered), (Fate::Failed, failed), (Fate::Silent, silent), (Fate::Unseen, unseen)];
            table(&all.map(|(fate, count)| (&["vfs"][..], Kind::Text, fate, count))).complaints()
        };
        assert_eq!(flips(90, 9, 1, 900), Vec::<String>::new());
        assert_eq!(flips(89, 11, 0, 0), ["of 100 bit flips and wild writes that manifested only 89 were recovered"]);
        assert_eq!(flips(90, 0, 2, 900), ["2 of 992 bit flips and wild writes were silent"]);
    }

    #[test]
    fn of_allocations_that_fail_none_may_be_seen_in_however_many() {
        let refused = |fate, recovered| {
            table(&[(&["posix"], Kind::Allocation, Fate::Recovered, recovered), (&["vfs"], Kind::Allocation, fate, 1)]).complaints()
        };
        assert_eq!(refused(Fate::Unseen, 1), Vec::<String>::new());
        for fate in [Fate::Failed, Fate::Silent] {
            assert_eq!(refused(fate, 999), ["1 of 1000 allocations that failed were seen by programs"]);
        }
    }

    #[test]
    fn few_bit_flips_fail_for_one_silent_and_for_more_seen_than_chance_makes() {
        let flips = |recovered, failed, silent, unseen| {
            let all = [(Fate::Recovered, recovered), (Fate::Failed, failed), (Fate::Silent, silent), (Fate::Unseen, unseen)];
            table(&all.map(|(fate, count)| (&["vfs"][..], Kind::Data, fate, count))).complaints()
        };
        assert_eq!(flips(9, 0, 1, 21), ["1 of 31 bit flips and wild writes were silent"]);
        assert_eq!(flips(1, 1, 0, 29), Vec::<String>::new(), "one of two: 19 %");
        assert_eq!(flips(0, 2, 0, 29), ["of 2 bit flips and wild writes that manifested only 0 were recovered"]);
        assert_eq!(flips(7, 3, 0, 21), Vec::<String>::new(), "three of ten: 7 %");
        assert_eq!(flips(6, 4, 0, 21), ["of 10 bit flips and wild writes that manifested only 6 were recovered"]);
    }

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        let promille = |least, count, probability| (at_least(least, count, probability) * 1000.0).round();
        assert_eq!([promille(0, 41, 0.001), promille(1, 41, 0.001), promille(1, 41, 0.0018), promille(1, 27, 0.01)], [1000.0, 40.0, 71.0, 238.0]);
        assert_eq!([(2, 2), (3, 8), (3, 9), (4, 14), (4, 15)].map(|(least, count)| promille(least, count, 0.1)), [10.0, 38.0, 53.0, 44.0, 56.0]);
    }

    #[test]
    fn rows_are_by_server_and_kind() {
        let mut table = table(&[
            (&["vfs"], Kind::Jump, Fate::Recovered, 3),
            (&["vfs"], Kind::Text, Fate::Silent, 1),
            (&["posix", "vfs"], Kind::Jump, Fate::Failed, 2),
        ]);
        table.add(&[], &[("vfs", Some(7)), ("vfs", None)].map(|(service, down_us)| Death { service: service.into(), at_us: 0, down_us }));
        let told = table.to_string();
        let row = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {told}"));
            line.split_whitespace().map(|number| number.parse().expect("a number")).collect::<Vec<u32>>()
        };
        assert_eq!(row("vfs jump"), [3, 3, 3, 3, 0, 0]);
        assert_eq!(row("vfs text"), [1, 1, 1, 0, 0, 1]);
        assert_eq!(row("two at once jump"), [2, 2, 2, 0, 2, 0]);
        assert_eq!(row("all fail-stop"), [5, 5, 5, 3, 2, 0]);
        assert_eq!([row("all allocations"), row("all others")], [[0; 6], [1, 1, 1, 0, 0, 1]]);
        assert_eq!(row("vfs  "), [1, 7, 7, 7]);
        assert_eq!(table.faults(), 6);
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&values, percent)), [1, 100, 198, 200]);
        assert_eq!(percentile(&[], 50), 0);
    }
}
