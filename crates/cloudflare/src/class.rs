//! What a failure means, who must act and how. Owns the table of Cloudflare's codes; sends nothing.

use std::time::Duration;

use crate::act::Act;
use crate::error::{Answer, ApiError};

/// How long a user who made too many calls is blocked, where the answer does not say it.
pub(crate) const BLOCK: Duration = Duration::from_mins(5);

/// What a failure means for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The token is no good, or lacks a right.
    Denied,
    /// The zone or record is not there.
    NotFound,
    /// Something that is not ours is in the way.
    Conflict,
    /// The zone's plan allows no more.
    Quota,
    /// The budget of calls is used up.
    RateLimited {
        /// How long to wait at least.
        retry_after: Duration,
    },
    /// Cloudflare cannot be reached or is in trouble; nothing was changed by this call.
    Unavailable,
    /// The change may have happened or not: look before asking again.
    Ambiguous,
    /// The certificate at that address is not one that we trust.
    Untrusted,
    /// Cloudflare refuses a name or value that we were given.
    Invalid,
    /// We sent what is never right, or do not understand the answer.
    Bug,
}

impl Class {
    /// A word for conditions and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "Denied",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Quota => "Quota",
            Self::RateLimited { .. } => "RateLimited",
            Self::Unavailable => "Unavailable",
            Self::Ambiguous => "Ambiguous",
            Self::Untrusted => "Untrusted",
            Self::Invalid => "Invalid",
            Self::Bug => "Bug",
        }
    }

    /// What a person should do about it, in one sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Denied => {
                "Give the token the permissions Zone:Read and DNS:Edit for this zone, or put a new token into the \
                 Secret."
            }
            Self::NotFound => {
                "Check that the zone id is right and that the zone is still in this Cloudflare account."
            }
            Self::Conflict => {
                "A record that isn't ours is in the way: remove it at Cloudflare, or choose another name."
            }
            Self::Quota => "Remove records from the zone, or raise its plan at Cloudflare.",
            Self::RateLimited { .. } => {
                "Nothing to do: calls go on when Cloudflare takes them again. If it recurs, look what else uses this \
                 Cloudflare user's budget."
            }
            Self::Unavailable => "Nothing to do: it is tried again. Records that exist are not touched.",
            Self::Ambiguous => "Nothing to do: what happened is found out before anything is asked again.",
            Self::Untrusted => {
                "Somebody is in between, or the configured CA bundle is not that of this address: check both."
            }
            Self::Invalid => "Correct the name or value that the message names.",
            Self::Bug => {
                "Report this with the ray id: the request or its answer is not what either side expects."
            }
        }
    }
}

/// What an answer means that is no success.
pub(crate) fn classify(act: Act, answer: &Answer) -> Class {
    let known = answer.errors.iter().flat_map(ApiError::codes).find_map(by_code);
    match (answer.status, known) {
        (429, _) | (_, Some(Class::RateLimited { .. })) => Class::RateLimited {
            retry_after: answer.retry_after.unwrap_or(BLOCK),
        },
        (500.., _) if act.mutates() => Class::Ambiguous,
        (500.., _) => Class::Unavailable,
        (_, Some(class)) => class,
        (401 | 403, None) => Class::Denied,
        (404, None) => Class::NotFound,
        (409, None) => Class::Conflict,
        // Unknown to us, so whoever reads it must see the text.
        (400..500, None) => Class::Invalid,
        _ => Class::Bug,
    }
}

/// What a code means, where it means one thing.
fn by_code(code: u32) -> Option<Class> {
    Some(match code {
        971 | 10100 | 10429 => Class::RateLimited { retry_after: BLOCK },
        1000 | 6003 | 6100..=6112 | 9103 | 9106 | 9107 | 9109 | 10000 | 10001 => Class::Denied,
        7000 | 7003 | 81044 => Class::NotFound,
        81053..=81058 => Class::Conflict,
        81045 | 9300 => Class::Quota,
        6007 | 9101 | 9102 | 9207 | 10405 => Class::Bug,
        9000..=9099 | 9301..=9399 => Class::Invalid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn answer(status: u16, code: u32, chain: &[u32]) -> Answer {
        let error = |code: u32, chain: Vec<ApiError>| ApiError {
            code,
            message: String::new(),
            chain,
        };
        let inner = chain.iter().map(|code| error(*code, Vec::new())).collect();
        Answer {
            status,
            errors: vec![error(code, inner)],
            retry_after: None,
            ray: None,
        }
    }

    #[rstest]
    #[case(403, 10000, &[], Class::Denied)]
    #[case(403, 9109, &[], Class::Denied)]
    #[case(401, 1000, &[], Class::Denied)]
    #[case(400, 6003, &[6111], Class::Denied)]
    #[case(403, 424_242, &[], Class::Denied)]
    #[case(404, 81044, &[], Class::NotFound)]
    #[case(404, 7003, &[], Class::NotFound)]
    #[case(400, 81053, &[], Class::Conflict)]
    #[case(400, 81054, &[], Class::Conflict)]
    #[case(400, 81057, &[], Class::Conflict)]
    #[case(400, 81058, &[], Class::Conflict)]
    #[case(400, 81045, &[], Class::Quota)]
    #[case(400, 1004, &[9300], Class::Quota)]
    #[case(400, 1004, &[9005], Class::Invalid)]
    #[case(400, 9313, &[], Class::Invalid)]
    #[case(400, 4_000_000_000, &[], Class::Invalid)]
    #[case(429, 0, &[], Class::RateLimited { retry_after: BLOCK })]
    #[case(400, 971, &[], Class::RateLimited { retry_after: BLOCK })]
    #[case(503, 10000, &[], Class::Unavailable)]
    #[case(302, 0, &[], Class::Bug)]
    fn every_answer_has_its_class(
        #[case] status: u16,
        #[case] code: u32,
        #[case] chain: &[u32],
        #[case] expected: Class,
    ) {
        assert_eq!(classify(Act::List, &answer(status, code, chain)), expected);
    }

    #[test]
    fn a_server_error_of_a_change_leaves_it_open() {
        assert_eq!(classify(Act::Create, &answer(500, 10000, &[])), Class::Ambiguous);
        assert_eq!(classify(Act::Delete, &answer(524, 0, &[])), Class::Ambiguous);
        assert_eq!(classify(Act::Create, &answer(400, 81058, &[])), Class::Conflict);
    }
}
