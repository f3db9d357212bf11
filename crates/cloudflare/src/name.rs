//! Names and ids, parsed once: DNS names as the API keeps them, ids of zones and records.

use std::fmt;
use std::str::FromStr;

/// The longest name and the longest label, in bytes.
const NAME: usize = 253;
const LABEL: usize = 63;
/// The length of an id.
const ID: usize = 32;

/// Why a text is no name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a DNS name.
    #[error(
        "{given:?} is not a DNS name: labels of letters, digits, - and _ (the first may be *), 253 bytes in all"
    )]
    Name {
        /// What was given.
        given: String,
    },
    /// Not an id.
    #[error("{given:?} is not a Cloudflare id: 32 hex digits")]
    Id {
        /// What was given.
        given: String,
    },
}

/// A whole DNS name: lower case, without the last dot. The first label may be `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is another name or below it.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.ends_with('.');
        self.0.strip_suffix(other.as_str()).is_some_and(below)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |(place, label): (usize, &str)| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let wild = place == 0 && label == "*";
            wild || (!label.is_empty() && label.len() <= LABEL && label.chars().all(good))
        };
        let good = name.len() <= NAME && name != "*" && name.split('.').enumerate().all(label);
        if good {
            Ok(Self(name))
        } else {
            Err(NameError::Name {
                given: text.chars().take(NAME).collect(),
            })
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
                if text.len() == ID && text.bytes().all(digit) {
                    return Ok(Self(text.to_owned()));
                }
                Err(NameError::Id {
                    given: text.chars().take(ID).collect(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The id of a zone.
    ZoneId
);
id!(
    /// The id of a record.
    RecordId
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("A.Example.ORG.", "a.example.org")]
    #[case("*.gw.example.org", "*.gw.example.org")]
    #[case("_acme-challenge.gw.example.org", "_acme-challenge.gw.example.org")]
    fn names_are_whole_and_lower_case(#[case] given: &str, #[case] kept: &str) {
        assert_eq!(given.parse::<Name>().unwrap().as_str(), kept);
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("*")]
    #[case("a..b")]
    #[case("a.*.b")]
    #[case("a b")]
    #[case("ü.org")]
    #[case("a/../b")]
    #[case(&"a".repeat(64))]
    #[case(&"a.".repeat(128))]
    fn what_is_no_name_is_refused(#[case] given: &str) {
        assert!(given.parse::<Name>().is_err());
    }

    #[test]
    fn a_name_is_within_itself_and_what_it_is_below() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        assert!(name("*.gw.example.org").within(&name("gw.example.org")));
        assert!(name("gw.example.org").within(&name("gw.example.org")));
        assert!(!name("xgw.example.org").within(&name("gw.example.org")));
        assert!(!name("example.org").within(&name("gw.example.org")));
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*") {
            let _ = text.parse::<Name>();
            let _ = text.parse::<ZoneId>();
        }
    }
}
