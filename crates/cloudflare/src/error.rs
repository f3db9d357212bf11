//! The client's error: what was being done, how it failed, what that means.

use std::fmt;
use std::time::Duration;

use crate::act::Act;
use crate::class::{Class, classify};
use crate::name::{Name, RecordId};

/// The most errors of an answer, and of a chain in it, that are kept.
const KEPT: usize = 8;
/// The most characters of a message that are kept.
const TEXT: usize = 300;

/// One error as Cloudflare states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// Cloudflare's code.
    pub code: u32,
    /// Its text, in one line of bounded length.
    pub message: String,
    /// What is behind it.
    pub chain: Vec<Self>,
}

impl ApiError {
    /// Reads one error; whatever cannot be read of it is left out.
    pub(crate) fn of(value: &serde_json::Value) -> Self {
        Self::deep(value, 2)
    }

    fn deep(value: &serde_json::Value, depth: u8) -> Self {
        let code = value.get("code").and_then(serde_json::Value::as_u64);
        let message = value.get("message").and_then(serde_json::Value::as_str);
        let chain = value.get("error_chain").and_then(serde_json::Value::as_array);
        let inner = |list: &Vec<serde_json::Value>| {
            let some = list.iter().take(KEPT);
            some.map(|one| Self::deep(one, depth - 1)).collect()
        };
        Self {
            code: code.and_then(|code| u32::try_from(code).ok()).unwrap_or_default(),
            message: line(message.unwrap_or_default()),
            chain: chain.filter(|_| depth > 0).map(inner).unwrap_or_default(),
        }
    }

    /// Its code and those behind it: the inner ones first, as they say more.
    pub(crate) fn codes(&self) -> Vec<u32> {
        let inner = self.chain.iter().flat_map(Self::codes);
        inner.chain([self.code]).collect()
    }
}

/// The errors of an answer.
pub(crate) fn errors_of(body: &serde_json::Value) -> Vec<ApiError> {
    let list = body.get("errors").and_then(serde_json::Value::as_array);
    let some = list.into_iter().flatten().take(KEPT);
    some.map(ApiError::of).collect()
}

/// A text from outside, in one line of bounded length.
pub(crate) fn line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(TEXT).collect()
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message.trim_end_matches('.'), self.code)?;
        for inner in &self.chain {
            write!(f, ": {inner}")?;
        }
        Ok(())
    }
}

/// What Cloudflare said, when it was no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The errors.
    pub errors: Vec<ApiError>,
    /// How long to wait, if it says so.
    pub retry_after: Option<Duration>,
    /// What Cloudflare's support asks for.
    pub ray: Option<String>,
}

impl Answer {
    /// Whether one of its errors has this code.
    #[must_use]
    pub fn has(&self, code: u32) -> bool {
        self.errors.iter().any(|error| error.codes().contains(&code))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        for error in &self.errors {
            write!(f, ", {error}")?;
        }
        match &self.ray {
            Some(ray) => write!(f, " [ray {ray}]"),
            None => Ok(()),
        }
    }
}

/// How a call went without a usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    /// Nothing listens there.
    Refused,
    /// No answer within the deadline.
    Timeout,
    /// The certificate is not one that we trust.
    Tls,
    /// The TLS handshake failed for another reason than the certificate.
    Handshake,
    /// The host cannot be found or reached.
    Unreachable,
    /// The connection ended before the answer did.
    Reset,
    /// The answer is longer than any that we ask for.
    TooLong,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the connection was refused",
            Self::Timeout => "no answer in time",
            Self::Tls => "its certificate is not trusted",
            Self::Handshake => "the TLS handshake failed",
            Self::Unreachable => "the host cannot be reached",
            Self::Reset => "the connection ended before the answer",
            Self::TooLong => "the answer is too long",
        })
    }
}

/// A call that did not do what was asked, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cloudflare said no.
    #[error("failed to {act}: {answer}")]
    Answer {
        /// What was being done.
        act: Act,
        /// What Cloudflare said.
        answer: Box<Answer>,
    },
    /// There was no usable answer.
    #[error("failed to {act}: {kind}")]
    Transport {
        /// What was being done.
        act: Act,
        /// How the exchange ended.
        kind: TransportKind,
        /// Whether a change may have reached Cloudflare.
        sent: bool,
        /// What the HTTP library says.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The answer is not what the call should return.
    #[error("failed to {act}: the answer is not understood{}", ray_text(ray.as_deref()))]
    Unreadable {
        /// What was being done.
        act: Act,
        /// Whether a change may have happened.
        sent: bool,
        /// What Cloudflare's support asks for.
        ray: Option<String>,
        /// What the decoder says.
        #[source]
        source: serde_json::Error,
    },
    /// The budget of calls is used up; nothing was sent.
    #[error("failed to {act}: the budget of Cloudflare calls is used up for {} s", wait.as_secs() + 1)]
    Budget {
        /// What was being done.
        act: Act,
        /// How long until a call can be made.
        wait: Duration,
    },
    /// A list changed each time while it was read page by page, or is longer than any zone's.
    #[error("failed to {act}: the list does not hold still, or has no end")]
    Unsettled {
        /// What was being done.
        act: Act,
    },
    /// The record does not carry our comment (any more).
    #[error("failed to {act}: record {id} ({name}) does not carry our comment")]
    NotOurs {
        /// What was being done.
        act: Act,
        /// The record.
        id: RecordId,
        /// Its name.
        name: String,
    },
    /// The same record is there, made by somebody else.
    #[error("failed to {act}: {name} has the same record from somebody else")]
    Theirs {
        /// What was being done.
        act: Act,
        /// The name.
        name: Name,
    },
    /// A request that cannot be built.
    #[error("failed to {act}: the request cannot be built")]
    Build {
        /// What was being done.
        act: Act,
    },
}

fn ray_text(ray: Option<&str>) -> String {
    ray.map(|ray| format!(" [ray {ray}]")).unwrap_or_default()
}

impl Error {
    /// What this means for the next step.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Answer { act, answer } => classify(*act, answer),
            Self::Transport {
                kind: TransportKind::Tls,
                ..
            } => Class::Untrusted,
            Self::Transport { sent: true, .. } | Self::Unreadable { sent: true, .. } => Class::Ambiguous,
            Self::Transport { .. } | Self::Unsettled { .. } => Class::Unavailable,
            Self::Unreadable { .. } | Self::Build { .. } => Class::Bug,
            Self::Budget { wait, .. } => Class::RateLimited { retry_after: *wait },
            Self::NotOurs { .. } | Self::Theirs { .. } => Class::Conflict,
        }
    }

    /// What Cloudflare said, if it did.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// What Cloudflare's support asks for, if there was an answer.
    #[must_use]
    pub fn ray(&self) -> Option<&str> {
        match self {
            Self::Answer { answer, .. } => answer.ray.as_deref(),
            Self::Unreadable { ray, .. } => ray.as_deref(),
            _ => None,
        }
    }

    /// How the exchange ended, if there was no answer.
    #[must_use]
    pub fn transport(&self) -> Option<TransportKind> {
        match self {
            Self::Transport { kind, .. } => Some(*kind),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_reads_as_one_line_with_codes_and_ray() {
        let body = json!({"errors": [{"code": 1004, "message": "DNS Validation Error\n", "error_chain":
            [{"code": 4_294_967_295_u32, "message": "Odd."}]}]});
        let answer = Answer {
            status: 400,
            errors: errors_of(&body),
            retry_after: None,
            ray: Some("8f".to_owned()),
        };
        assert!(answer.has(u32::MAX) && answer.has(1004) && !answer.has(9005));
        let error = Error::Answer {
            act: Act::Create,
            answer: Box::new(answer),
        };
        let expected = "failed to create a DNS record at Cloudflare: HTTP 400, DNS Validation Error  (1004): Odd \
                        (4294967295) [ray 8f]";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn errors_of_any_form_are_read_and_bounded() {
        let many: Vec<_> = (0..100)
            .map(|n| json!({"code": n, "message": "x".repeat(10_000)}))
            .collect();
        let errors = errors_of(&json!({"errors": many}));
        assert_eq!((errors.len(), errors[0].message.len()), (KEPT, TEXT));
        for odd in [
            json!(null),
            json!({"errors": "x"}),
            json!({"errors": [1, {"code": -1}, {"code": "9"}]}),
        ] {
            assert!(errors_of(&odd).iter().all(|error| error.code == 0));
        }
        let mut deep = json!({"code": 1});
        for _ in 0..50 {
            deep = json!({"code": 1, "error_chain": [deep]});
        }
        assert_eq!(errors_of(&json!({"errors": [deep]}))[0].codes().len(), 3);
    }
}
