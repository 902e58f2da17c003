//! Every case must leave behind on SynOS what it left behind on Linux: standard output, standard error and status.
//!
//! One test for each case of [`tests::compare::cases`]. Scripts share a boot, which the first of them starts; programs boot alone. A
//! case counts as skipped, never as passed, where this machine has another busybox than its expected file was made with; a file
//! that is missing, has no header, or was made from another source of the case, fails.
//!
//! Each case runs twice: once as it is, and once, as `NAME_pending`, where vfs answers `Pending` at random and dies at failpoints. The seed
//! is printed; `SYNOS_PENDING_SEED` sets it.

use std::collections::BTreeSet;
use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use libtest_mimic::{Arguments, Failed, Trial};
use tests::compare::cases::{self, Case};
use tests::compare::expected::Expected;
use tests::compare::staged::{Facts, Staged};
use tests::compare::synos::{self, Adversity, Results};
use tests::compare::{Stream, difference};
use tests::normalise::Rules;
use tests::root;

const EXPECTED: &str = "tests/expected";
const RULES: &str = "tests/normalise.toml";
/// What the name of a case under [`Adversity::Pending`] ends with.
const PENDING: &str = "_pending";
/// Results of the boot that scripts share; it happens when they are first looked at.
type Shared = LazyLock<Results, Box<dyn FnOnce() -> Results + Send>>;

/// A case, and what it must leave behind.
#[derive(Clone)]
struct Comparison {
    case: Case,
    /// The contents of its expected file, or why they cannot be used.
    expected: Result<Expected, String>,
    /// Why this machine cannot tell.
    skipped: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials(&arguments) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(why) => {
            eprintln!("scripts: {why}");
            ExitCode::FAILURE
        }
    }
}

fn trials(arguments: &Arguments) -> Result<Vec<Trial>, String> {
    let cases = cases::all(&root()).map_err(|error| format!("looking for cases: {error}"))?;
    let rules = Arc::new(rules()?);
    let names = cases.iter().map(|case| case.name.clone());
    let selected: Vec<String> = names.filter(|name| is_selected(arguments, name) || is_selected(arguments, &format!("{name}{PENDING}"))).collect();
    let facts = if selected.is_empty() { None } else { Some(facts(&selected)?) };
    let comparisons: Vec<_> = cases.iter().map(|case| Comparison::new(case, facts.as_ref())).collect();

    let mut trials = Vec::new();
    for (suffix, adversity) in [("", Adversity::None), (PENDING, Adversity::Pending(pending_seed()))] {
        let is_wanted =
            |each: &&Comparison| each.can_run() && !each.case.is_alone() && is_selected(arguments, &format!("{}{suffix}", each.case.name));
        let shared: Vec<String> = comparisons.iter().filter(is_wanted).map(|each| each.case.name.clone()).collect();
        let shared: Arc<Shared> = Arc::new(LazyLock::new(Box::new(move || synos::run(&shared, adversity))));
        trials.extend(comparisons.iter().map(|each| each.trial(suffix, adversity, Arc::clone(&shared), Arc::clone(&rules))));
    }
    trials.push(Trial::test("every_expected_file_has_a_case_and_every_rule_a_use", move || bookkeeping(&cases, &rules)));
    Ok(trials)
}

/// Another one each day, so that many are tried and a failure is found again.
fn pending_seed() -> u64 {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    let today = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() / DAY_SECONDS);
    let seed = std::env::var("SYNOS_PENDING_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(today);
    println!("SYNOS_PENDING_SEED={seed}");
    seed
}

fn rules() -> Result<Rules, String> {
    let text = fs::read_to_string(root().join(RULES)).map_err(|error| format!("{RULES}: {error}"))?;
    Rules::parse(&text).map_err(|why| format!("{RULES}: {why}"))
}

/// Whether the harness will run the test `name`.
fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &str| if arguments.exact { name == filter } else { name.contains(filter) };
    !arguments.list && arguments.filter.as_deref().is_none_or(matches) && !arguments.skip.iter().any(|skip| matches(skip))
}

/// What this machine has for the cases `names`.
fn facts(names: &[String]) -> Result<Facts, String> {
    Staged::lay_out(names)?.facts()
}

fn expected(name: &str) -> Result<Expected, String> {
    let path = format!("{EXPECTED}/{name}.txt");
    let text = fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}; try: cargo xtask expect {name}"))?;
    Expected::decode(&text).map_err(|why| format!("{path}: {why}"))
}

impl Comparison {
    /// `facts` tells only of cases that will run.
    fn new(case: &Case, facts: Option<&Facts>) -> Self {
        let name = &case.name;
        let mut comparison = Self { case: case.clone(), expected: expected(name), skipped: None };
        let known = facts.and_then(|facts| Some((&facts.busybox, facts.sources.get(name)?)));
        if let (Ok(Expected { header, .. }), Some((busybox, source))) = (&comparison.expected, known) {
            if *busybox != header.busybox {
                comparison.skipped = Some(format!("its expected file was made with another busybox; try: cargo xtask expect {name}"));
            } else if *source != header.source {
                comparison.expected = Err(format!("its expected file was made from another source of it; try: cargo xtask expect {name}"));
            }
        }
        comparison
    }

    fn can_run(&self) -> bool {
        self.expected.is_ok() && self.skipped.is_none()
    }

    fn trial(&self, suffix: &str, adversity: Adversity, shared: Arc<Shared>, rules: Arc<Rules>) -> Trial {
        let name = format!("{}{suffix}", self.case.name);
        let skipped = self.skipped.is_some();
        if let Some(why) = &self.skipped {
            println!("skipped: {name} {why}");
        }
        let comparison = self.clone();
        Trial::test(name, move || comparison.judge(adversity, &shared, &rules).map_err(Failed::from)).with_ignored_flag(skipped)
    }

    fn judge(self, adversity: Adversity, shared: &Shared, rules: &Rules) -> Result<(), String> {
        let name = &self.case.name;
        let expected = self.expected?;
        let alone = if self.case.is_alone() { synos::run(std::slice::from_ref(name), adversity) } else { Results::new() };
        let result = alone.get(name).or_else(|| shared.get(name)).ok_or("it was not run")?;
        match result.as_ref().map(|actual| difference(rules, name, &expected.output, actual)) {
            Ok(None) => Ok(()),
            Ok(Some(differs)) => Err(differs),
            Err(why) => Err(why.clone()),
        }
    }
}

/// What no single comparison would notice.
fn bookkeeping(cases: &[Case], rules: &Rules) -> Result<(), Failed> {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let files = fs::read_dir(root().join(EXPECTED))?;
    let known = files.flatten().filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()));
    let orphans = known.filter(|name| !names.contains(name.as_str())).map(|name| format!("{EXPECTED}/{name}.txt: there is no such case"));
    let written = |name: &str, stream: Stream| expected(name).ok().map(|expected| expected.output.stream(stream).to_owned());
    let idle = rules.idle(written).into_iter().map(|rule| format!("{RULES}: {rule} matches nothing"));
    // Programs that check themselves say so when a check fails: on Linux that is a mistake of the check, and nothing to compare with.
    let says_failed = |name: &&&str| written(name, Stream::Stdout).is_some_and(|text| text.contains(" FAILED: "));
    let failed = names.iter().filter(says_failed).map(|name| format!("{EXPECTED}/{name}.txt: a check failed on Linux"));
    let problems: Vec<String> = orphans.chain(idle).chain(failed).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}
