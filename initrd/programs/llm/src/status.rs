//! How far work is, as the device tells it, and that in words.

/// Bytes of `struct llm_status`.
pub(crate) const BYTES: usize = 272;
/// `_IOR('l', 0x80, struct llm_status)`.
pub(crate) const REQUEST: u32 = 2 << 30 | (BYTES as u32) << 16 | (b'l' as u32) << 8 | 0x80;
/// Value of [`Status::state`]: there will be no more, for a reason.
const FAILED: u32 = 3;
/// Where the reason begins.
const REASON: usize = 72;

/// What the device tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// 0 nothing was asked, 1 working, 2 whole, 3 failed.
    pub(crate) state: u32,
    /// Tokens of the prompt.
    pub(crate) prompt_tokens: u32,
    /// Tokens that were made.
    pub(crate) tokens: u32,
    /// How long loading took (ns).
    pub(crate) load_ns: u64,
    /// How long reading the prompt took (ns).
    pub(crate) prompt_ns: u64,
    /// How long making the tokens took (ns).
    pub(crate) tokens_ns: u64,
    /// Within how long half of the tokens were made (ns).
    pub(crate) p50_ns: u64,
    /// The same for 99 of a hundred.
    pub(crate) p99_ns: u64,
    /// What its model and what is kept of its text take (bytes).
    pub(crate) memory: u64,
    /// Why it failed.
    pub(crate) reason: String,
}

impl Status {
    /// From the structure's bytes: four words, seven long ones, the reason and zeros.
    pub(crate) fn decode(bytes: &[u8; BYTES]) -> Self {
        let (short, long) = (bytes.as_chunks::<4>().0, bytes.as_chunks::<8>().0);
        let short = |index: usize| short.get(index).map_or(0, |word| u32::from_le_bytes(*word));
        let long = |index: usize| long.get(index).map_or(0, |word| u64::from_le_bytes(*word));
        let reason = bytes.get(REASON..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        Self {
            state: short(0),
            prompt_tokens: short(1),
            tokens: short(2),
            load_ns: long(3),
            prompt_ns: long(4),
            tokens_ns: long(5),
            p50_ns: long(6),
            p99_ns: long(7),
            memory: long(8),
            reason: String::from_utf8_lossy(reason).into_owned(),
        }
    }

    /// Why it failed, if it did.
    pub(crate) fn reason(&self) -> Option<&str> {
        (self.state == FAILED).then_some(if self.reason.is_empty() { "it failed, for no reason given" } else { &self.reason })
    }

    /// Tokens a second of the prompt.
    pub(crate) fn prompt_rate(&self) -> f64 {
        rate(self.prompt_tokens, self.prompt_ns)
    }

    /// Tokens a second of the answer.
    pub(crate) fn rate(&self) -> f64 {
        rate(self.tokens, self.tokens_ns)
    }

    /// How long a token took, at the median and at most but for one of a hundred; nothing where there is none to tell of.
    pub(crate) fn percentiles(&self) -> String {
        if self.p99_ns == 0 { String::new() } else { format!(" (p50 {}, p99 {})", milliseconds(self.p50_ns), milliseconds(self.p99_ns)) }
    }

    /// All of it in one line.
    pub(crate) fn line(&self) -> String {
        let loading = if self.load_ns > 0 { format!("; loaded in {}", seconds(self.load_ns)) } else { String::new() };
        let prompt = format!("prompt {} tokens, {}/s", self.prompt_tokens, figure(self.prompt_rate()));
        format!("{prompt}; answer {} tokens, {}/s{}; {} MiB{loading}", self.tokens, figure(self.rate()), self.percentiles(), mebibytes(self.memory))
    }
}

fn rate(tokens: u32, ns: u64) -> f64 {
    if ns == 0 { 0.0 } else { f64::from(tokens) * 1e9 / ns as f64 }
}

/// A rate with as many decimals as mean something; a dash for none.
pub(crate) fn figure(rate: f64) -> String {
    match rate {
        0.0 => "-".into(),
        ..10.0 => format!("{rate:.2}"),
        ..100.0 => format!("{rate:.1}"),
        _ => format!("{rate:.0}"),
    }
}

/// A time of a token.
fn milliseconds(ns: u64) -> String {
    format!("{} ms", figure(ns as f64 / 1e6))
}

/// How many mebibytes, rounded up.
pub(crate) const fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// A time.
pub(crate) fn seconds(ns: u64) -> String {
    format!("{:.2} s", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::{BYTES, REQUEST, Status, figure};

    fn bytes(short: [u32; 4], long: [u64; 7], reason: &str) -> [u8; BYTES] {
        let words = short.iter().flat_map(|word| word.to_le_bytes()).chain(long.iter().flat_map(|word| word.to_le_bytes()));
        let mut all = [0; BYTES];
        all.iter_mut().zip(words.chain(reason.bytes())).for_each(|(to, byte)| *to = byte);
        all
    }

    #[test]
    fn structure_is_that_of_the_device() {
        assert_eq!(REQUEST, 0x8110_6c80);
        let status = Status::decode(&bytes([2, 11, 12, 0], [3, 13, 14, 15, 16, 17, 18], ""));
        let expected = Status {
            state: 2,
            prompt_tokens: 11,
            tokens: 12,
            load_ns: 13,
            prompt_ns: 14,
            tokens_ns: 15,
            p50_ns: 16,
            p99_ns: 17,
            memory: 18,
            reason: String::new(),
        };
        assert_eq!((status.reason(), &status), (None, &expected));
        let failed = Status::decode(&bytes([3, 0, 0, 0], [0; 7], "there is no such model"));
        assert_eq!(failed.reason(), Some("there is no such model"));
        assert_eq!(Status::decode(&bytes([3, 0, 0, 0], [0; 7], &"x".repeat(200))).reason().map(str::len), Some(200));
        assert!(Status::decode(&bytes([3, 0, 0, 0], [0; 7], "")).reason().is_some_and(|reason| !reason.is_empty()));
    }

    #[test]
    fn line_has_tokens_and_rates() {
        let status = Status::decode(&bytes([2, 40, 25, 0], [0, 0, 500_000_000, 2_000_000_000, 75_000_000, 250_000_000, 1 << 20], ""));
        assert_eq!(status.line(), "prompt 40 tokens, 80.0/s; answer 25 tokens, 12.5/s (p50 75.0 ms, p99 250 ms); 1 MiB");
        let loaded = Status::decode(&bytes([2, 40, 1, 0], [0, 1_234_000_000, 0, 2_000_000_000, 0, 0, 0], ""));
        assert_eq!(loaded.line(), "prompt 40 tokens, -/s; answer 1 tokens, 0.50/s; 0 MiB; loaded in 1.23 s");
        assert_eq!([0.123, 9.99, 10.0, 99.94, 100.4].map(figure), ["0.12", "9.99", "10.0", "99.9", "100"]);
    }
}
