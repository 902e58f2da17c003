//! What is left of the candidates, and the draw among them.
//!
//! Candidates are in the order of their likelihood once [`top_k`] has seen them, equals by their number, so that nothing depends on how a sort treats
//! equals. Weights are relative to the best one's, which is 1: no exponential overflows, whatever the logits and the temperature are. Each step leaves at
//! least one candidate where there was one.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// A token that may come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    pub(super) logit: f32,
    /// Its likelihood, relative to the best one's.
    pub(super) weight: f64,
}

/// The more likely one first; logits that are no numbers have been refused.
fn order(one: &Candidate, other: &Candidate) -> Ordering {
    other.logit.partial_cmp(&one.logit).unwrap_or(Ordering::Equal).then(one.token.cmp(&other.token))
}

/// The most likely one.
pub(super) fn best(candidates: &[Candidate]) -> Option<&Candidate> {
    candidates.iter().min_by(|one, other| order(one, other))
}

/// Keeps the `count` most likely ones, all for 0, and puts them in order.
pub(super) fn top_k(candidates: &mut Vec<Candidate>, count: usize) {
    if 0 < count && count < candidates.len() {
        candidates.select_nth_unstable_by(count - 1, order);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(order);
}

/// Weighs candidates that are in order.
pub(super) fn weigh(candidates: &mut [Candidate], temperature: f32) {
    let Some(best) = candidates.first().map(|best| f64::from(best.logit)) else { return };
    for candidate in candidates {
        candidate.weight = libm::exp((f64::from(candidate.logit) - best) / f64::from(temperature));
    }
}

/// Keeps the fewest candidates that together have the `share` of all weight.
pub(super) fn top_p(candidates: &mut Vec<Candidate>, share: f32) {
    if share >= 1.0 {
        return;
    }
    let enough = candidates.iter().map(|candidate| candidate.weight).sum::<f64>() * f64::from(share);
    let mut sum = 0.0;
    let last = candidates.iter().position(|candidate| {
        sum += candidate.weight;
        sum >= enough
    });
    candidates.truncate(last.map_or(candidates.len(), |last| last + 1));
}

/// Keeps the candidates that have at least the `share` of the best one's weight.
pub(super) fn min_p(candidates: &mut Vec<Candidate>, share: f32) {
    let kept = candidates.partition_point(|candidate| candidate.weight >= f64::from(share));
    candidates.truncate(kept);
}

/// The token at `point` of 0..1 of the weight.
pub(super) fn draw(candidates: &[Candidate], point: f64) -> Option<u32> {
    let mut left = candidates.iter().map(|candidate| candidate.weight).sum::<f64>() * point;
    let drawn = candidates.iter().find(|candidate| {
        left -= candidate.weight;
        left < 0.0
    });
    // Rounding may leave the last one's end a little short of the sum.
    drawn.or(candidates.iter().rfind(|candidate| candidate.weight > 0.0)).map(|candidate| candidate.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates whose likelihoods relate as `weights` do.
    fn weighed(weights: &[f64]) -> Vec<Candidate> {
        let candidate = |(token, weight): (u32, &f64)| Candidate { token, logit: weight.ln() as f32, weight: 0.0 };
        let mut candidates: Vec<Candidate> = (0..).zip(weights).map(candidate).collect();
        top_k(&mut candidates, 0);
        weigh(&mut candidates, 1.0);
        candidates
    }

    fn tokens(candidates: &[Candidate]) -> Vec<u32> {
        candidates.iter().map(|candidate| candidate.token).collect()
    }

    #[test]
    fn the_most_likely_come_first_and_equals_by_number() {
        let mut candidates = weighed(&[1.0, 3.0, 2.0, 3.0, 1.0]);
        assert_eq!(tokens(&candidates), [1, 3, 2, 0, 4]);
        assert_eq!(best(&candidates).map(|best| best.token), Some(1));
        top_k(&mut candidates, 4);
        assert_eq!(tokens(&candidates), [1, 3, 2, 0]);
        top_k(&mut candidates, 9);
        assert_eq!(candidates.len(), 4);
        top_k(&mut candidates, 1);
        assert_eq!(tokens(&candidates), [1]);
    }

    /// Of 1, 2, 3 and 4 tenths the best two have 0.7.
    #[test]
    fn as_many_stay_as_reach_the_share() {
        for (share, kept) in [(0.0, 1), (0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.89, 3), (0.91, 4), (1.0, 4)] {
            let mut candidates = weighed(&[0.1, 0.2, 0.3, 0.4]);
            top_p(&mut candidates, share);
            assert_eq!(tokens(&candidates), [3, 2, 1, 0][..kept], "{share}");
        }
    }

    /// Beside 0.4, 0.3 has 0.75, 0.2 has 0.5 and 0.1 has 0.25.
    #[test]
    fn those_stay_that_have_a_share_of_the_best() {
        for (share, kept) in [(0.0, 4), (0.24, 4), (0.26, 3), (0.49, 3), (0.51, 2), (0.76, 1), (1.0, 1)] {
            let mut candidates = weighed(&[0.1, 0.2, 0.3, 0.4]);
            min_p(&mut candidates, share);
            assert_eq!(tokens(&candidates), [3, 2, 1, 0][..kept], "{share}");
        }
    }

    /// A temperature of one half squares the likelihoods: 1, 4, 9 and 16 of 30.
    #[test]
    fn a_draw_falls_where_the_weights_say() {
        let mut candidates = weighed(&[0.1, 0.2, 0.3, 0.4]);
        weigh(&mut candidates, 0.5);
        for (point, token) in [(0.0, 3), (15.9, 3), (16.1, 2), (24.9, 2), (25.1, 1), (28.9, 1), (29.1, 0), (29.99, 0)] {
            assert_eq!(draw(&candidates, point / 30.0), Some(token), "{point}");
        }
        assert_eq!(draw(&[], 0.5), None);
    }

    #[test]
    fn a_temperature_next_to_nothing_leaves_the_best() {
        let mut candidates = weighed(&[0.1, 0.4, 0.399]);
        weigh(&mut candidates, f32::MIN_POSITIVE);
        assert_eq!(candidates.iter().map(|candidate| candidate.weight).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
        assert_eq!(draw(&candidates, 0.999_999), Some(1));
    }
}
