//! Sizes in bytes, read from and written as Kubernetes quantities.
//!
//! Owns the syntax; must not know what is measured.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with an optional unit.
    #[error("not a size such as 512Mi or 20G")]
    Syntax,
    /// Not a whole number of bytes.
    #[error("not a whole number of bytes")]
    Fraction,
    /// More than 64 bits hold.
    #[error("the size is too large")]
    TooLarge,
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(u64);

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Largest first, as [`fmt::Display`] tries them.
const BINARY: [(&str, u32); 6] = [
    ("Ei", 60),
    ("Pi", 50),
    ("Ti", 40),
    ("Gi", 30),
    ("Mi", 20),
    ("Ki", 10),
];
const DECIMAL: [(&str, u32); 6] = [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3)];

impl Bytes {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many mebibytes, or the largest size if that is too much.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(MIB))
    }

    /// So many gibibytes, or the largest size if that is too much.
    #[must_use]
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib.saturating_mul(GIB))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In mebibytes, rounded up.
    #[must_use]
    pub const fn mib(self) -> u64 {
        self.0.div_ceil(MIB)
    }

    /// In gibibytes, rounded up.
    #[must_use]
    pub const fn gib_ceil(self) -> u64 {
        self.0.div_ceil(GIB)
    }

    /// The sum, or the largest size if that is too much.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing if `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

fn unit(text: &str) -> (&str, u128) {
    for (suffix, power) in BINARY {
        if let Some(number) = text.strip_suffix(suffix) {
            return (number, 1 << power);
        }
    }
    for (suffix, power) in DECIMAL {
        if let Some(number) = text.strip_suffix(suffix) {
            return (number, 10_u128.pow(power));
        }
    }
    (text, 1)
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (number, unit) = unit(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || digits.len() > 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(QuantityError::Syntax);
        }
        let scaled: u128 = digits.parse().map_err(|_| QuantityError::Syntax)?;
        let places = u32::try_from(fraction.len()).map_err(|_| QuantityError::Syntax)?;
        let scale = 10_u128.pow(places);
        let product = scaled.checked_mul(unit).ok_or(QuantityError::TooLarge)?;
        if product % scale != 0 {
            return Err(QuantityError::Fraction);
        }
        u64::try_from(product / scale)
            .map(Self)
            .map_err(|_| QuantityError::TooLarge)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suffix, power) in BINARY {
            if self.0 > 0 && self.0.is_multiple_of(1 << power) {
                return write!(f, "{}{suffix}", self.0 >> power);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl TryFrom<String> for Bytes {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl From<Bytes> for String {
    fn from(size: Bytes) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", 0)]
    #[case("1024", 1024)]
    #[case("16Gi", 16 << 30)]
    #[case("1.5Gi", 3 << 29)]
    #[case("0.5k", 500)]
    #[case("20G", 20_000_000_000)]
    #[case("2.0Ti", 2 << 40)]
    #[case("15Ei", 15 << 60)]
    fn quantities(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(text.parse(), Ok(Bytes(bytes)));
    }

    #[rstest]
    #[case("", QuantityError::Syntax)]
    #[case("Gi", QuantityError::Syntax)]
    #[case(".5Gi", QuantityError::Syntax)]
    #[case("-1Gi", QuantityError::Syntax)]
    #[case("1 Gi", QuantityError::Syntax)]
    #[case("1GB", QuantityError::Syntax)]
    #[case("1K", QuantityError::Syntax)]
    #[case("100m", QuantityError::Syntax)]
    #[case("1.5", QuantityError::Fraction)]
    #[case("0.1Ki", QuantityError::Fraction)]
    #[case("16Ei", QuantityError::TooLarge)]
    #[case("99999999999999999999Ei", QuantityError::TooLarge)]
    #[case("999999999999999999999", QuantityError::Syntax)]
    fn refused(#[case] text: &str, #[case] error: QuantityError) {
        assert_eq!(text.parse::<Bytes>(), Err(error));
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: u64, shift in 0..60_u32) {
            let size = Bytes(bytes >> shift << shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "[0-9.]{0,30}[kMGTPEi]{0,2}") {
            let _ = text.parse::<Bytes>();
        }

        #[test]
        fn rounding_up_never_takes_away(bytes in 0..u64::MAX / 2) {
            prop_assert!(Bytes(bytes).mib() * MIB >= bytes);
            prop_assert!(Bytes(bytes).gib_ceil() * GIB >= bytes);
        }
    }
}
