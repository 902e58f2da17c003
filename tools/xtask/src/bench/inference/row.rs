//! A row of the table: what is run for it, how what is printed is read, and what it should come to.

use std::path::Path;

use super::{Figure, NAME, round};

/// What is measured with each model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// A prompt of so many tokens.
    Prompt(usize),
    /// So many tokens behind so many.
    Generation(usize, usize),
}

pub(super) const CASES: [Case; 4] = [Case::Prompt(128), Case::Prompt(512), Case::Generation(128, 0), Case::Generation(128, 1024)];

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) model: &'a Path,
    pub(super) kind: &'a str,
    pub(super) case: Case,
    pub(super) threads: usize,
}

impl Row<'_> {
    /// Its name in snake case, which never changes.
    pub(super) fn name(&self) -> String {
        let letters = self.kind.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
        let case = match self.case {
            Case::Prompt(length) => format!("prompt_{length}"),
            Case::Generation(count, 0) => format!("generation_{count}"),
            Case::Generation(count, depth) => format!("generation_{count}_depth_{depth}"),
        };
        format!("{NAME}_{}_{case}_{}t", letters.collect::<String>(), self.threads)
    }

    /// Of our driver.
    pub(super) fn arguments(&self) -> Vec<String> {
        let what = match self.case {
            Case::Prompt(length) => format!("--prompt {length}"),
            Case::Generation(count, depth) => format!("--generate {count} --depth {depth}"),
        };
        self.with_model(&format!("bench --times 1 --threads {} {what} --model", self.threads))
    }

    /// Of llama-bench.
    pub(super) fn peer_arguments(&self) -> Vec<String> {
        let (prompt, count, depth) = match self.case {
            Case::Prompt(length) => (length, 0, 0),
            Case::Generation(count, depth) => (0, count, depth),
        };
        self.with_model(&format!("-r 1 -o json -t {} -p {prompt} -n {count} -d {depth} -m", self.threads))
    }

    fn with_model(&self, words: &str) -> Vec<String> {
        words.split(' ').map(String::from).chain([self.model.to_string_lossy().into_owned()]).collect()
    }

    /// How many times as fast as llama.cpp it should be.
    pub(super) fn goal(&self) -> Option<f64> {
        let one = self.threads == 1;
        match (self.kind, self.case) {
            ("Q4_K_M", Case::Prompt(_)) => Some(1.5),
            ("Q8_0", Case::Prompt(128)) => Some(2.0),
            ("Q4_K_M", Case::Generation(_, 0)) => Some(if one { 1.3 } else { 1.6 }),
            ("Q8_0", Case::Generation(_, 0)) => Some(if one { 1.25 } else { 1.5 }),
            ("Q4_K_M", Case::Generation(..)) => Some(1.8),
            _ => None,
        }
    }
}

/// What our driver says of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Speed {
    pub(super) tokens: f64,
    /// What of the machine that takes, and in which unit.
    taken: (f64, String),
}

impl Speed {
    /// Reads `NAME: X tokens/s (...); Y UNIT`.
    pub(super) fn read(said: &str) -> Option<Self> {
        let line = said.lines().find(|line| line.contains(" tokens/s"))?;
        let (_, rest) = line.split_once(": ")?;
        let (taken, unit) = rest.rsplit_once("; ")?.1.split_once(' ')?;
        Some(Self { tokens: rest.split_once(" tokens/s")?.0.parse().ok()?, taken: (taken.parse().ok()?, unit.to_owned()) })
    }
}

/// Tokens per second, of what llama-bench prints as JSON.
pub(super) fn peer_speed(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("\"avg_ts\":")?;
    rest.split([',', '}']).next()?.trim().parse().ok()
}

/// What the machine can do at most, by threads and unit.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Limits(Vec<(String, usize, f64, &'static str)>);

/// Units that our driver measures limits in.
const UNITS: [&str; 2] = ["GB/s", "Gop/s"];

impl Limits {
    /// Reads lines of `NAME THREADS: X UNIT`.
    pub(super) fn read(said: &str) -> Self {
        let limit = |line: &str| {
            let (name, rest) = line.split_once(": ")?;
            let (name, threads) = name.split_once(' ')?;
            let (value, unit) = rest.split_once(' ')?;
            let unit = UNITS.into_iter().find(|known| *known == unit)?;
            Some((name.to_owned(), threads.parse().ok()?, value.parse().ok()?, unit))
        };
        Self(said.lines().filter_map(limit).collect())
    }

    /// Takes what is higher in `others`, and what was not known.
    pub(super) fn raise(&mut self, others: Self) {
        for other in others.0 {
            match self.0.iter_mut().find(|(name, threads, ..)| *name == other.0 && *threads == other.1) {
                Some(known) => known.2 = known.2.max(other.2),
                None => self.0.push(other),
            }
        }
    }

    /// How much of the machine `speed` is, in percent.
    pub(super) fn share(&self, speed: &Speed, threads: usize) -> Option<f64> {
        let (taken, unit) = &speed.taken;
        let limit = self.0.iter().find(|(_, of, _, known)| *of == threads && known == unit)?;
        Some(taken / limit.2 * 100.0)
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let figure = |(name, threads, value, unit): &(String, usize, f64, &'static str)| {
            let name = format!("{NAME}_limit_{name}_{threads}t").into();
            Figure { name, value: round(*value), unit, goal: None, linux: None }
        };
        self.0.iter().map(figure).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_and_arguments_name_the_model() {
        let row = Row { model: Path::new("m.gguf"), kind: "Q4_K_M", case: Case::Generation(128, 1024), threads: 2 };
        assert_eq!(row.name(), "inference_q4_k_m_generation_128_depth_1024_2t");
        assert_eq!(Row { kind: "My Model-7B", case: Case::Prompt(512), ..row }.name(), "inference_my_model_7b_prompt_512_2t");
        assert_eq!(row.arguments().join(" "), "bench --times 1 --threads 2 --generate 128 --depth 1024 --model m.gguf");
        assert_eq!(row.peer_arguments().join(" "), "-r 1 -o json -t 2 -p 0 -n 128 -d 1024 -m m.gguf");
        assert_eq!((row.goal(), Row { kind: "F16", ..row }.goal()), (Some(1.8), None));
    }

    #[test]
    fn speeds_and_limits_are_read() {
        let said = "2 threads, 644 MB of weights\ngenerate 128 after 0: 29.25 tokens/s (slowest 18.84, fastest 34.74); 18.9 GB/s\n";
        let speed = Speed::read(said).expect("a speed");
        assert_eq!(speed, Speed { tokens: 29.25, taken: (18.9, "GB/s".into()) });
        let mut limits = Limits::read("bandwidth 1: 20.0 GB/s\nint8 1: 235.1 Gop/s\nbandwidth 2: 30.0 GB/s\nnoise\n");
        limits.raise(Limits::read("bandwidth 2: 37.8 GB/s\nint8 1: 100.0 Gop/s\n"));
        assert_eq!((limits.share(&speed, 2), limits.share(&speed, 3)), (Some(50.0), None));
        assert_eq!(limits.figures()[1].name, "inference_limit_int8_1t");
        assert_eq!(Speed::read("nothing"), None);
    }

    #[test]
    fn the_peers_speed_is_read() {
        assert_eq!(peer_speed("[\n {\n \"avg_ts\": 52.912616,\n \"stddev_ts\": 0.0\n }\n]\n"), Some(52.912616));
        assert_eq!(peer_speed("error"), None);
    }
}
