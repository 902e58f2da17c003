//! Sampling: what each option does to a draw, and what holds for whatever logits and options there are.

use inference::Error;
use inference::sampling::{Options, Sampler};
use proptest::prelude::*;

/// Nothing cut off.
fn open() -> Options {
    Options { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Options::default() }
}

fn sampler(options: Options, tokens: usize) -> Sampler {
    Sampler::new(options, tokens).expect("sound options")
}

/// How often each token comes in `draws` draws.
fn counts(options: Options, logits: &[f32], draws: usize) -> Vec<usize> {
    let mut sampler = sampler(options, logits.len());
    let mut counts = vec![0; logits.len()];
    for _ in 0..draws {
        counts[sampler.choose(logits).expect("a token") as usize] += 1;
    }
    counts
}

#[test]
fn no_temperature_takes_the_most_likely_and_the_first_of_equals() {
    let mut sampler = sampler(Options::default(), 5);
    assert_eq!(sampler.choose(&[-1.0, 2.0, -0.0, 2.0, 1.0]), Ok(1));
    assert_eq!(sampler.choose(&[-0.0, 0.0, 0.0, 0.0, 0.0]), Ok(0), "both zeros are equal");
}

/// Likelihoods of 1, 2, 3 and 4 tenths; 20,000 draws have a standard deviation of at most 70.
#[test]
fn tokens_come_as_often_as_they_are_likely() {
    let logits = [0.1_f32, 0.2, 0.3, 0.4].map(f32::ln);
    for (count, expected) in counts(open(), &logits, 20_000).iter().zip([2000_usize, 4000, 6000, 8000]) {
        assert!(count.abs_diff(expected) < 350, "{count} for {expected}");
    }
    let half = counts(Options { temperature: 0.5, ..open() }, &logits, 20_000);
    for (count, expected) in half.iter().zip([667_usize, 2667, 6000, 10_667]) {
        assert!(count.abs_diff(expected) < 350, "{count} for {expected} at half the temperature");
    }
}

/// Of 0.1, 0.2, 0.3, 0.4: the best three share 0.9, of which the best two have 0.78; beside 0.4 the third has 0.5.
#[test]
fn each_step_looks_at_what_the_one_before_left() {
    let logits = [0.1_f32, 0.2, 0.3, 0.4].map(f32::ln);
    let come = |options: Options| counts(options, &logits, 500).iter().map(|count| *count > 0).collect::<Vec<_>>();
    assert_eq!(come(open()), [true; 4]);
    assert_eq!(come(Options { top_k: 3, ..open() }), [false, true, true, true]);
    assert_eq!(come(Options { top_p: 0.75, ..open() }), [false, true, true, true]);
    assert_eq!(come(Options { top_k: 3, top_p: 0.75, ..open() }), [false, false, true, true], "the share is of what was kept");
    assert_eq!(come(Options { min_p: 0.6, ..open() }), [false, false, true, true]);
    let hot = Options { min_p: 0.6, temperature: 100.0, ..open() };
    assert_eq!(come(hot), [false, false, true, true], "the temperature comes after the cuts");
}

#[test]
fn biases_and_penalties_change_what_is_most_likely() {
    let logits = [1.0, 3.0, 2.0];
    let biased = Options { bias: vec![(0, 2.5), (1, f32::NEG_INFINITY)], ..Options::default() };
    assert_eq!(sampler(biased, 3).choose(&logits), Ok(0));
    let after = |options: Options, before: &[u32]| {
        let mut sampler = sampler(options, 3);
        before.iter().for_each(|token| sampler.accept(*token).expect("a token"));
        sampler.choose(&logits)
    };
    let repeat = Options { repeat: 2.0, last: 2, ..Options::default() };
    assert_eq!(after(repeat.clone(), &[1]), Ok(2));
    assert_eq!(after(repeat.clone(), &[1, 2]), Ok(1), "1.5 beside 1 and 1");
    assert_eq!(after(repeat, &[1, 0, 0]), Ok(1), "two tokens ago is the furthest it looks");
    let frequency = Options { frequency: 0.6, ..Options::default() };
    assert_eq!(after(frequency.clone(), &[1]), Ok(1));
    assert_eq!(after(frequency, &[1, 1]), Ok(2));
    assert_eq!(after(Options { presence: 1.1, ..Options::default() }, &[1, 1]), Ok(2));
}

#[test]
fn rows_that_say_nothing_are_errors() {
    for temperature in [0.0, 1.0] {
        let mut sampler = sampler(Options { temperature, ..Options::default() }, 3);
        assert_eq!(sampler.choose(&[0.0, f32::NAN, 1.0]), Err(Error::Logits));
        assert_eq!(sampler.choose(&[0.0, f32::INFINITY, 1.0]), Err(Error::Logits));
        assert_eq!(sampler.choose(&[0.0, 1.0]), Err(Error::Logits), "a row of another length");
        assert_eq!(sampler.choose(&[f32::NEG_INFINITY; 3]), Err(Error::NoToken));
        assert_eq!(sampler.choose(&[f32::NEG_INFINITY, f32::NEG_INFINITY, -1e38]), Ok(2));
    }
    assert_eq!(sampler(Options { temperature: 1.0, ..Options::default() }, 0).choose(&[]), Err(Error::NoToken));
    let overflow = Options { bias: vec![(0, f32::MAX)], ..Options::default() };
    assert_eq!(sampler(overflow, 1).choose(&[f32::MAX]), Err(Error::Logits));
}

prop_compose! {
    fn options()(
        (temperature, top_k, top_p, min_p) in (0.0_f32..3.0, 0_usize..20, 0.0_f32..=1.0, 0.0_f32..=1.0),
        (last, repeat, presence, frequency) in (0_usize..8, 0.1_f32..3.0, -2.0_f32..2.0, -2.0_f32..2.0),
        seed: u64,
    ) -> Options {
        Options { temperature, top_k, top_p, min_p, last, repeat, presence, frequency, bias: Vec::new(), seed }
    }
}

proptest! {
    /// Whatever the bits of the logits are, there is a token that may come, or an error.
    #[test]
    fn any_row_has_a_token_or_an_error(options in options(), logits in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..40)) {
        match sampler(options, logits.len()).choose(&logits) {
            Ok(token) => prop_assert!(logits[token as usize].is_finite()),
            Err(error) => prop_assert!(matches!(error, Error::Logits | Error::NoToken)),
        }
    }

    #[test]
    fn equal_seeds_draw_equal_tokens(options in options(), logits in prop::collection::vec(-9.0_f32..9.0, 1..40)) {
        let mut pair = [sampler(options.clone(), logits.len()), sampler(options, logits.len())];
        for _ in 0..20 {
            let tokens = pair.each_mut().map(|sampler| {
                let token = sampler.choose(&logits).expect("a token");
                sampler.accept(token).expect("a token of the vocabulary");
                token
            });
            prop_assert_eq!(tokens[0], tokens[1]);
        }
    }

    /// A token that is drawn is one of the `top_k` best, and has its share of the best one's likelihood.
    #[test]
    fn nothing_that_was_cut_off_is_drawn(options in options(), logits in prop::collection::vec(-9.0_f32..9.0, 1..40)) {
        let token = sampler(options.clone(), logits.len()).choose(&logits).expect("a token") as usize;
        let better = logits.iter().filter(|logit| **logit > logits[token]).count();
        prop_assert!(options.top_k == 0 || better < options.top_k);
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        prop_assert!((logits[token] - best).exp() >= options.min_p * 0.999_99);
        prop_assert!(options.temperature > 0.0 || better == 0);
    }
}
