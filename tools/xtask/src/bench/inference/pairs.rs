//! Medians and quartiles of a few measurements.

/// The middle of some numbers, and of the halves below and above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quartiles {
    pub(super) lower: f64,
    pub(super) median: f64,
    pub(super) upper: f64,
}

impl Quartiles {
    /// Those of `numbers`, which are then in order; between two numbers by their distances.
    pub(super) fn of(numbers: &mut [f64]) -> Self {
        numbers.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * numbers.len().saturating_sub(1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            match (numbers.get(below), numbers.get(above)) {
                (Some(below), Some(above)) => below + (above - below) * place.fract(),
                _ => f64::NAN,
            }
        };
        Self { lower: at(0.25), median: at(0.5), upper: at(0.75) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_where_they_should() {
        assert_eq!(Quartiles::of(&mut [7.0, 1.0, 3.0, 2.0, 6.0, 5.0, 4.0]), Quartiles { lower: 2.5, median: 4.0, upper: 5.5 });
        assert_eq!(Quartiles::of(&mut [3.0]), Quartiles { lower: 3.0, median: 3.0, upper: 3.0 });
        assert!(Quartiles::of(&mut []).median.is_nan());
    }
}
