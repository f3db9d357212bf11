//! Money: exact decimals as integers of 10⁻⁹, never floats.
//!
//! Owns parsing, printing and the price of a duration; must not know currencies or payment methods.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The accepted decimals, as an RE2 pattern for the schemas: at most 9 digits before and 9 after the point.
pub const DECIMAL_PATTERN: &str = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$";

const UNIT: i64 = 1_000_000_000;
const HOURS_A_MONTH: i128 = 720;

/// Why an amount is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal of the accepted form.
    #[error("not a decimal with at most 9 digits before and 9 after the point, such as 12.50")]
    Syntax,
    /// Below zero.
    #[error("an amount must not be negative")]
    Negative,
    /// Too large for 64 bits.
    #[error("the amount is too large")]
    TooLarge,
}

/// An amount in 10⁻⁹ of its currency; never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct E9s(i64);

impl E9s {
    /// Nothing to pay.
    pub const ZERO: Self = Self(0);

    /// The number of 10⁻⁹ units.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] if it does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::TooLarge)
    }
}

impl TryFrom<i64> for E9s {
    type Error = MoneyError;

    fn try_from(value: i64) -> Result<Self, MoneyError> {
        if value < 0 {
            Err(MoneyError::Negative)
        } else {
            Ok(Self(value))
        }
    }
}

impl From<E9s> for i64 {
    fn from(amount: E9s) -> Self {
        amount.0
    }
}

impl FromStr for E9s {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| (1..=9).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        let leading = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole) || !digits(fraction) || leading {
            return Err(MoneyError::Syntax);
        }
        let number = |s: &str| s.parse::<i64>().map_err(|_| MoneyError::Syntax);
        Ok(Self(number(whole)? * UNIT + number(&format!("{fraction:0<9}"))?))
    }
}

impl fmt::Display for E9s {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / UNIT, self.0 % UNIT);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:09}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// The price of some hours at a monthly price: `floor(monthly × hours / 720)`.
///
/// # Errors
/// [`MoneyError::TooLarge`] if the price does not fit.
pub fn price_for(monthly: E9s, hours: u32) -> Result<E9s, MoneyError> {
    let exact = i128::from(monthly.0) * i128::from(hours) / HOURS_A_MONTH;
    i64::try_from(exact).map(E9s).map_err(|_| MoneyError::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", 0)]
    #[case("0.000000001", 1)]
    #[case("12.50", 12_500_000_000)]
    #[case("999999999.999999999", 999_999_999_999_999_999)]
    fn decimals_are_exact(#[case] text: &str, #[case] e9s: i64) {
        assert_eq!(text.parse::<E9s>().map(E9s::get), Ok(e9s));
    }

    #[rstest]
    #[case("")]
    #[case(".5")]
    #[case("5.")]
    #[case("-1")]
    #[case("+1")]
    #[case("1e3")]
    #[case("01")]
    #[case("1,5")]
    #[case(" 1")]
    #[case("1\n")]
    #[case("1.2.3")]
    #[case("0.0000000001")]
    #[case("1000000000")]
    #[case("١")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert_eq!(text.parse::<E9s>(), Err(MoneyError::Syntax));
    }

    #[test]
    fn price_examples_of_the_wire_hold() {
        let ten: E9s = "10".parse().unwrap();
        assert_eq!(price_for(ten, 1).map(E9s::get), Ok(13_888_888));
        assert_eq!(price_for(ten, 720).map(E9s::get), Ok(10_000_000_000));
        assert_eq!(price_for(E9s::ZERO, u32::MAX), Ok(E9s::ZERO));
        assert_eq!(price_for(E9s(i64::MAX), 721), Err(MoneyError::TooLarge));
    }

    #[test]
    fn negative_amounts_cannot_be_built() {
        assert_eq!(E9s::try_from(-1), Err(MoneyError::Negative));
        assert!(serde_json::from_str::<E9s>("-1").is_err());
        assert!(serde_json::from_str::<E9s>("1.0").is_err());
        assert_eq!(E9s(i64::MAX).checked_add(E9s(1)), Err(MoneyError::TooLarge));
    }

    proptest! {
        #[test]
        fn text_round_trips_as_the_shortest_decimal(value in 0..=999_999_999_999_999_999_i64) {
            let text = E9s(value).to_string();
            prop_assert_eq!(text.parse::<E9s>(), Ok(E9s(value)));
            prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']));
        }

        #[test]
        fn the_schema_pattern_and_the_parser_agree(text in "[0-9.+e-]{0,12}") {
            let pattern = regex::Regex::new(DECIMAL_PATTERN).unwrap();
            prop_assert_eq!(pattern.is_match(&text), text.parse::<E9s>().is_ok());
        }

        #[test]
        fn price_grows_with_hours_and_whole_months_are_exact(monthly in 0..=999_999_999_999_i64, hours in 0..100_000_u32, months in 0..100_u32) {
            let price = |h| price_for(E9s(monthly), h).unwrap().get();
            prop_assert!(price(hours) <= price(hours + 1));
            prop_assert_eq!(price(720 * months), monthly * i64::from(months));
        }
    }
}
