//! How fast a model is: the same request some times, and the median of what it took.

use crate::status::{Status, figure, mebibytes, seconds};

/// How often it is asked, unless said otherwise.
pub(crate) const TIMES: usize = 3;
/// How many tokens are made, unless said otherwise.
pub(crate) const TOKENS: &str = "64";
const SENTENCE: &str = "The quick brown fox jumps over the lazy dog, and the dog sleeps on. ";
/// Some hundred tokens.
const SENTENCES: usize = 8;

/// What is asked in a round. What a text has in common with the one before is not read again, so each begins otherwise.
pub(crate) fn prompt(round: usize) -> String {
    format!("{round}. {}", SENTENCE.repeat(SENTENCES))
}

/// What the rounds took.
pub(crate) fn report(rounds: &[Status]) -> String {
    let loaded = rounds.iter().map(|status| status.load_ns).max().unwrap_or(0);
    let mut text = String::new();
    if loaded > 0 {
        text.push_str(&format!("load    {}\n", seconds(loaded)));
    }
    text.push_str(&row("prompt", rounds.iter().map(|status| (status.prompt_tokens, status.prompt_rate()))));
    text.push_str(&row("answer", rounds.iter().map(|status| (status.tokens, status.rate()))));
    if let Some(worst) = rounds.iter().max_by_key(|status| status.p99_ns) {
        text.push_str(&format!("worst  {}\nmemory {:>6} MiB\n", worst.percentiles(), mebibytes(worst.memory)));
    }
    text
}

/// The most tokens of a round, and the median of their rates.
fn row(name: &str, rounds: impl Iterator<Item = (u32, f64)>) -> String {
    let (tokens, rates): (Vec<u32>, Vec<f64>) = rounds.unzip();
    let tokens = tokens.into_iter().max().unwrap_or(0);
    format!("{name:<8}{tokens:>5} tokens {:>8} tokens/s\n", figure(median(rates)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => f64::midpoint(*upper, *lower),
        (Some(upper), _) => *upper,
        (None, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{median, prompt, report};
    use crate::status::Status;

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn prompts_differ_from_their_first_word_on() {
        assert_ne!(prompt(0).chars().next(), prompt(1).chars().next());
        assert!(prompt(0).len() > 400);
    }

    #[test]
    fn report_has_the_load_once_and_medians() {
        let status = |load_ns: u64, tokens_ns: u64| Status {
            prompt_tokens: 128,
            tokens: 64,
            load_ns,
            prompt_ns: 2_000_000_000,
            tokens_ns,
            p50_ns: tokens_ns / 80,
            p99_ns: tokens_ns / 20,
            memory: 5 << 20,
            ..Status::default()
        };
        let rounds = [status(1_500_000_000, 8_000_000_000), status(0, 4_000_000_000), status(0, 2_000_000_000)];
        let rows = "prompt    128 tokens     64.0 tokens/s\nanswer     64 tokens     16.0 tokens/s\n";
        let worst = |figures| format!("worst   ({figures})\nmemory      5 MiB\n");
        assert_eq!(report(&rounds), format!("load    1.50 s\n{rows}{}", worst("p50 100 ms, p99 400 ms")));
        assert_eq!(report(&rounds[1..2]), format!("{rows}{}", worst("p50 50.0 ms, p99 200 ms")));
    }
}
