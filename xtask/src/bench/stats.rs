//! Percentiles. Owns the arithmetic only.

use serde::Serialize;

/// Percentiles of one quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Half are not above.
    pub p50: f64,
    /// 95 of 100 are not above.
    pub p95: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// How many values there were.
    pub count: usize,
}

impl Spread {
    /// The percentiles of values, by nearest rank: each is a value that was measured.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let nth = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(nth).map_or(0.0, |value| tenth(*value))
        };
        Self {
            p50: rank(50),
            p95: rank(95),
            p99: rank(99),
            max: rank(100),
            count: sorted.len(),
        }
    }
}

/// To one digit behind the point.
pub fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let spread = Spread::of((1..=50).rev().map(f64::from));
        assert_eq!(
            (spread.p50, spread.p95, spread.p99, spread.max),
            (25.0, 48.0, 50.0, 50.0)
        );
        assert_eq!(Spread::of((1..=200).map(f64::from)).p99, 198.0);
        assert_eq!(Spread::of([2.14]).p50, 2.1);
        assert_eq!(Spread::of([]), Spread::default());
    }
}
