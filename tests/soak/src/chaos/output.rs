//! The load's output: whether every byte of it is right, and between which times the first wrong one came.
//!
//! The load does the same steps in every round and says before each which one it is and what time it is. So what a step must write is known
//! from a run in which nobody died, and what is missing is missed, because steps are counted.

/// What a stamp begins with.
const STAMP: &str = "=== ";
/// The guest's uptime is cut to this.
const RESOLUTION_US: u64 = 10_000;
/// No step takes so long, with a server's hang in it.
const MOST_STEP_US: u64 = 2_000_000;

/// What each step of a round writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Right(Vec<String>);

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// In words.
    pub(crate) why: String,
    /// It came after this time,
    pub(crate) after_us: u64,
    /// and before this one.
    pub(crate) before_us: u64,
}

/// What came after a stamp.
struct Step<'a> {
    number: usize,
    at_us: u64,
    text: &'a str,
}

impl Right {
    /// From the output of several rounds.
    ///
    /// # Errors
    /// The rounds are not the same: then nothing can be said of others.
    pub(crate) fn of(output: &str, rounds: usize) -> Result<Self, String> {
        let steps: Vec<String> = steps(output).iter().map(|step| step.text.to_owned()).collect();
        let count = steps.len() / rounds;
        let same = count > 0 && steps.len() == count * rounds && steps.chunks(count).all(|round| round == &steps[..count]);
        if same { Ok(Self(steps[..count].to_vec())) } else { Err(format!("{rounds} rounds without faults differ:\n{output}")) }
    }

    /// The first thing that is wrong in the output of a machine that was turned off at `end_us`, in the middle of whatever it did: of a stamp, too.
    pub(crate) fn first_wrong(&self, output: &str, end_us: u64) -> Option<Wrong> {
        let (output, begun) = split_begun_stamp(output);
        let steps = steps(output);
        let text_before = output.split(STAMP).next().unwrap_or_default();
        if !text_before.is_empty() {
            return Some(Wrong { why: format!("begins with {text_before:?}"), after_us: 0, before_us: end_us });
        }
        let mut before = 0;
        for (index, step) in steps.iter().enumerate() {
            let next_us = steps.get(index + 1).map_or(end_us, |next| next.at_us);
            if step.number != index + 1 {
                let why = format!("step {} instead of {}", step.number, index + 1);
                return Some(Wrong { why, after_us: before, before_us: step.at_us + RESOLUTION_US });
            }
            if let Some(why) = self.wrong_in(step, index, next_us, !begun && index + 1 == steps.len()) {
                return Some(Wrong { why, after_us: step.at_us, before_us: next_us + RESOLUTION_US });
            }
            before = step.at_us;
        }
        let silent = end_us.saturating_sub(before) > MOST_STEP_US;
        silent.then(|| Wrong { why: "nothing came".into(), after_us: before, before_us: end_us })
    }

    fn wrong_in(&self, step: &Step<'_>, index: usize, next_us: u64, last: bool) -> Option<String> {
        let right = self.0.get(index % self.0.len())?;
        let is_right = if last { right.starts_with(step.text) } else { right == step.text };
        if !is_right {
            return Some(format!("step {} wrote {:?} instead of {right:?}", step.number, step.text));
        }
        let took_us = next_us.saturating_sub(step.at_us);
        (took_us > MOST_STEP_US).then(|| format!("step {} took {} ms", step.number, took_us / 1000))
    }
}

/// The steps of an output, by their stamps.
fn steps(output: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut begin = 0;
    let mut at = 0;
    for line in output.split_inclusive('\n') {
        let end = at + line.len();
        if let Some((number, at_us)) = stamp(line) {
            steps.push(Step { number, at_us, text: "" });
            begin = end;
        } else if let Some(step) = steps.last_mut() {
            step.text = &output[begin..end];
        }
        at = end;
    }
    steps
}

/// The output without what there is of a stamp in whose middle the machine was turned off, and whether there is something: what stands before it is whole.
fn split_begun_stamp(output: &str) -> (&str, bool) {
    let (whole, last) = output.split_at(output.rfind('\n').map_or(0, |end| end + 1));
    let next = format!("{STAMP}{} ", steps(whole).len() + 1);
    let is_time = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let begun = !last.is_empty() && (next.starts_with(last) || last.strip_prefix(&next).is_some_and(is_time));
    (if begun { whole } else { output }, begun)
}

/// `=== 12 3.45`: the step's number and the time in microseconds.
fn stamp(line: &str) -> Option<(usize, u64)> {
    let (number, time) = line.strip_prefix(STAMP)?.strip_suffix('\n')?.split_once(' ')?;
    let (seconds, hundredths) = time.split_once('.').filter(|(_, hundredths)| hundredths.len() == 2)?;
    let us = seconds.parse::<u64>().ok()? * 1_000_000 + hundredths.parse::<u64>().ok()? * 10_000;
    Some((number.parse().ok()?, us))
}

#[cfg(test)]
mod tests {
    use super::{Right, Wrong};

    const ROUND: &str = "=== 1 1.00\na\nb\n=== 2 1.05\nc\n";

    fn right() -> Right {
        Right::of("=== 1 1.00\na\nb\n=== 2 1.05\nc\n=== 3 1.10\na\nb\n=== 4 1.20\nc\n", 2).expect("the rounds are the same")
    }

    fn wrong(output: &str) -> Option<(String, u64, u64)> {
        right().first_wrong(output, 1_500_000).map(|Wrong { why, after_us, before_us }| (why, after_us / 1000, before_us / 1000))
    }

    #[test]
    fn rounds_that_differ_are_no_measure() {
        assert!(Right::of("=== 1 1.00\na\n=== 2 1.10\nb\n", 2).is_err());
        assert!(Right::of("", 2).is_err());
        assert!(Right::of("=== 1 1.00\na\n=== 2 1.10\na\n=== 3 1.20\na\n", 2).is_err());
    }

    #[test]
    fn right_output_may_end_anywhere() {
        let output = format!("{ROUND}=== 3 1.10\na\nb\n=== 4 1.20\nc\n=== 5 1.30\na\nb\n");
        for end in ROUND.len()..=output.len() {
            assert_eq!(wrong(&output[..end]), None, "{:?}", &output[..end]);
        }
    }

    #[test]
    fn stamp_that_has_begun_ends_a_step_and_is_the_next_ones() {
        for begun in ["=", "=== 2", "=== 2 1.0"] {
            assert!(wrong(&format!("=== 1 1.00\na\n{begun}")).is_some(), "a line is lost before {begun:?}");
        }
        for other in ["=x", "=== 3", "=== 2 1.0x"] {
            assert!(wrong(&format!("=== 1 1.00\na\nb\n{other}")).is_some(), "{other:?}");
        }
    }

    #[test]
    fn wrong_text_is_found_between_its_stamps() {
        assert_eq!(wrong("=== 1 1.00\na\n=== 2 1.05\nc\n"), Some((r#"step 1 wrote "a\n" instead of "a\nb\n""#.into(), 1000, 1060)), "a line is lost");
        assert!(wrong("=== 1 1.00\na\nb\n=== 2 1.05\nc\nc\n=== 3 1.10\n").is_some(), "a line is doubled");
        assert!(wrong("?=== 1 1.00\n").is_some());
    }

    #[test]
    fn steps_that_are_missing_are_missed() {
        assert_eq!(wrong("=== 1 1.00\na\nb\n=== 3 1.10\na\nb\n"), Some(("step 3 instead of 2".into(), 1000, 1110)));
        assert!(wrong("=== 1 1.00\na\nb\n=== 2 \nc\n=== 3 1.10\n").is_some(), "a stamp is damaged");
    }

    #[test]
    fn silence_is_wrong_when_it_is_long() {
        assert_eq!(right().first_wrong(ROUND, 1_900_000), None);
        assert_eq!(right().first_wrong(ROUND, 4_000_000).map(|wrong| wrong.why), Some("step 2 took 2950 ms".into()));
        assert_eq!(right().first_wrong("", 4_000_000).map(|wrong| wrong.why), Some("nothing came".into()));
    }
}
