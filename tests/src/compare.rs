//! The same case on Linux and on SynOS: what each left behind, and where they first differ.
//!
//! A *case* is a shell script or a program ([`cases`]). The same [`DRIVER`] runs cases on both systems and frames what came of
//! each on its standard output ([`frames`]); `cargo xtask expect` keeps Linux's half in `tests/expected` ([`expected`]). Both
//! halves are normalised by [`crate::normalise`] before they are compared, so nothing that a rule does not name may differ.
//!
//! xtask links this module too: who writes a file and who reads it share its format. Absent: booting Linux, which xtask does.

pub mod cases;
pub mod expected;
pub mod frames;
pub mod staged;
pub mod synos;

use crate::normalise::Rules;

/// Runs the cases that lie in `/run/cases` of the guest, as `--script`.
pub const DRIVER: &str = include_str!("compare/driver.sh");

/// What a case left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit status, 128 + n if a signal ended it.
    pub status: u8,
}

/// Which stream of an [`Output`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// Its name in files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl Output {
    /// One of the streams.
    #[must_use]
    pub fn stream(&self, stream: Stream) -> &str {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

/// Where the `actual` output of the case `name` differs from the `expected` one after normalisation: the first line of each stream that
/// does, and the status, all in one line.
#[must_use]
pub fn difference(rules: &Rules, name: &str, expected: &Output, actual: &Output) -> Option<String> {
    let streams = Stream::ALL.into_iter().filter_map(|stream| {
        let [expected, actual] = [expected, actual].map(|output| rules.apply(name, stream, output.stream(stream)));
        differing_line(&expected, &actual).map(|line| format!("{} {line}", stream.name()))
    });
    let status = (expected.status != actual.status).then(|| format!("status: expected {}, got {}", expected.status, actual.status));
    let all: Vec<String> = streams.chain(status).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn differing_line(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let (mut left, mut right) = (expected.split_inclusive('\n'), actual.split_inclusive('\n'));
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return None,
            (left, right) if left == right => {}
            (left, right) => return Some(format!("line {number}: expected {}, got {}", shown(left), shown(right))),
        }
    }
}

fn shown(line: Option<&str>) -> String {
    line.map_or_else(|| "the end".into(), |line| format!("{line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stdout: &str, status: u8) -> Output {
        Output { stdout: stdout.into(), stderr: String::new(), status }
    }

    fn between(expected: &Output, actual: &Output) -> Option<String> {
        difference(&Rules::default(), "case", expected, actual)
    }

    #[test]
    fn equal_outputs_do_not_differ() {
        assert_eq!(between(&output("a\nb", 1), &output("a\nb", 1)), None);
    }

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(between(&output("a\nb\n", 0), &output("a\nc\n", 0)).as_deref(), Some(r#"stdout line 2: expected "b\n", got "c\n""#));
        assert_eq!(between(&output("a\nb\n", 0), &output("a\n", 0)).as_deref(), Some(r#"stdout line 2: expected "b\n", got the end"#));
        assert_eq!(between(&output("a", 0), &output("a\n", 0)).as_deref(), Some(r#"stdout line 1: expected "a", got "a\n""#));
    }

    #[test]
    fn everything_that_differs_is_named() {
        let actual = Output { stderr: "why\n".into(), ..output("b", 1) };
        let text = r#"stdout line 1: expected "a", got "b"; stderr line 1: expected the end, got "why\n"; status: expected 0, got 1"#;
        assert_eq!(between(&output("a", 0), &actual).as_deref(), Some(text));
    }

    #[test]
    fn a_status_alone_is_a_difference() {
        assert_eq!(between(&output("", 0), &output("", 137)).as_deref(), Some("status: expected 0, got 137"));
    }
}
