//! What may differ between Linux and SynOS, and why: the rules of `tests/normalise.toml`.
//!
//! The file is data so that a reader sees at one place everything that the comparison closes its eyes to. What a rule may hide is
//! one of the [`Field`]s; anything else in it, or a rule without reason, is an error. Directory order is not here: a script sorts.

use regex_lite::Regex;
use serde::Deserialize;

use crate::compare::Stream;

/// What may differ between two correct systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// Process numbers.
    Pid,
    /// Moments and durations.
    Time,
    /// Inode numbers.
    Inode,
    /// Load figures.
    Load,
    /// Memory figures.
    Memory,
}

/// The rules, in the file's order.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    field: Field,
    why: String,
    case: String,
    stream: Stream,
    #[serde(deserialize_with = "pattern")]
    pattern: Regex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Rule>,
}

fn pattern<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Regex, D::Error> {
    Regex::new(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

impl Rules {
    /// Reads the text of `tests/normalise.toml`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let File { rule: rules } = toml::from_str(text).map_err(|error| error.to_string())?;
        match rules.iter().find(|rule| rule.why.trim().is_empty()) {
            Some(rule) => Err(format!("the rule for {} gives no reason", rule.case)),
            None => Ok(Self(rules)),
        }
    }

    /// `text`, which the case `name` wrote to `stream`, with the name of the field in the place of each match.
    #[must_use]
    pub fn apply(&self, name: &str, stream: Stream, text: &str) -> String {
        let rules = self.0.iter().filter(|rule| rule.case == name && rule.stream == stream);
        rules.fold(text.into(), |text, rule| rule.pattern.replace_all(&text, format!("${{1}}<{:?}>", rule.field)).into_owned())
    }

    /// Rules that change nothing in what their case writes according to `written`, in words.
    pub fn idle(&self, written: impl Fn(&str, Stream) -> Option<String>) -> Vec<String> {
        let is_idle = |rule: &&Rule| !written(&rule.case, rule.stream).is_some_and(|text| rule.pattern.is_match(&text));
        self.0.iter().filter(is_idle).map(|rule| format!("the {:?} rule for {}", rule.field, rule.case)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: &str = "[[rule]]\nfield = 'pid'\nwhy = 'any number'\ncase = 'who'\nstream = 'stdout'\npattern = '(?m)^(parent: )\\d+$'\n";

    #[test]
    fn a_rule_hides_its_field_in_its_case_and_stream_only() {
        let rules = Rules::parse(PID).expect("good rules");
        assert_eq!(rules.apply("who", Stream::Stdout, "parent: 12\nchild: 13\nparent: 4\n"), "parent: <Pid>\nchild: 13\nparent: <Pid>\n");
        assert_eq!(rules.apply("who", Stream::Stderr, "parent: 12\n"), "parent: 12\n");
        assert_eq!(rules.apply("else", Stream::Stdout, "parent: 12\n"), "parent: 12\n");
    }

    #[test]
    fn rules_need_a_reason_a_known_field_and_a_pattern() {
        for (from, to) in [("any number", " "), ("'pid'", "'weather'"), ("(parent", "((parent"), ("case", "place")] {
            assert!(Rules::parse(&PID.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn a_rule_that_matches_nothing_is_idle() {
        let rules = Rules::parse(PID).expect("good rules");
        assert!(rules.idle(|_, _| Some("parent: 1\n".into())).is_empty());
        assert_eq!(rules.idle(|_, _| Some("none\n".into())), ["the Pid rule for who"]);
    }
}
