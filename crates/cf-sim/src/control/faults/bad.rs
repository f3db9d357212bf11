//! Why a rule is not armed.

use thiserror::Error;

/// A rule that cannot be armed.
#[derive(Debug, Error)]
pub enum BadRule {
    /// A field has a value that means nothing.
    #[error("{field}: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// An act that cannot be read.
    #[error("act: {0}")]
    Act(serde_json::Error),
    /// A path pattern that cannot be read.
    #[error("match.path: failed to read the pattern {pattern:?}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        #[source]
        source: regex::Error,
    },
    /// Too many rules.
    #[error("{0} rules are armed, which is the most there can be")]
    Full(usize),
}

impl BadRule {
    /// A field has a value that means nothing.
    pub fn field(field: &'static str, why: impl Into<String>) -> Self {
        Self::Field {
            field,
            why: why.into(),
        }
    }
}
