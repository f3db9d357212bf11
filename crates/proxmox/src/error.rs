//! The client's error: what was being done, how it failed, what that means.
//!
//! Owns the sentence and the class of a failure; the texts' meaning is in [`crate::classify`].

use domain::pve::Class;

use crate::classify::{Answer, classify};
use crate::config::Fingerprint;
use crate::transport::Failure;

/// How a call went without a usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    /// Nothing listens at the endpoint.
    Refused,
    /// No answer within the deadline.
    Timeout,
    /// The certificate is not the one that we trust.
    Tls {
        /// What was presented.
        presented: Option<Fingerprint>,
    },
    /// The TLS handshake failed for another reason than the certificate.
    Handshake,
    /// The host cannot be found or reached.
    Unreachable,
    /// The connection ended before the answer did.
    Reset,
}

impl std::fmt::Display for TransportKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("the connection was refused"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Tls {
                presented: Some(seen),
            } => write!(f, "its certificate is not trusted (presented {seen})"),
            Self::Tls { presented: None } => f.write_str("its certificate is not trusted"),
            Self::Handshake => f.write_str("the TLS handshake failed"),
            Self::Unreachable => f.write_str("the host cannot be reached"),
            Self::Reset => f.write_str("the connection ended before the answer"),
        }
    }
}

/// A call that did not do what was asked, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Proxmox said no.
    #[error("failed to {act}: {answer}")]
    Answer {
        /// What was being done.
        act: String,
        /// What Proxmox said.
        answer: Box<Answer>,
    },
    /// There was no usable answer.
    #[error("failed to {act}: {kind}")]
    Transport {
        /// What was being done.
        act: String,
        /// How the exchange ended.
        kind: TransportKind,
        /// Whether the request may have reached Proxmox.
        sent: bool,
        /// What the HTTP library says.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The answer is not what the call should return.
    #[error("failed to {act}: the answer is not understood")]
    Unreadable {
        /// What was being done.
        act: String,
        /// Whether the request may have had an effect.
        sent: bool,
        /// What the decoder says.
        #[source]
        source: serde_json::Error,
    },
    /// The answer holds no task id where one belongs.
    #[error("failed to {act}: the answer names no task")]
    NoTask {
        /// What was being done.
        act: String,
    },
    /// A name that would change the request's path.
    #[error("failed to {act}: {path} is not a safe path")]
    Path {
        /// What was being done.
        act: String,
        /// What would have been sent.
        path: String,
    },
    /// Parameters that cannot be encoded.
    #[error("failed to {act}: the parameters cannot be encoded")]
    Encode {
        /// What was being done.
        act: String,
        /// What the encoder says.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    pub(crate) fn during(failure: Failure, act: String) -> Self {
        match failure {
            Failure::Answer(answer) => Self::Answer { act, answer },
            Failure::Transport { kind, sent, source } => Self::Transport {
                act,
                kind,
                sent,
                source,
            },
            Failure::Unreadable { sent, source } => Self::Unreadable { act, sent, source },
            Failure::Path { path } => Self::Path { act, path },
            Failure::Encode { source } => Self::Encode { act, source },
        }
    }

    /// What this means for the next step.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Answer { answer, .. } => answer.class(),
            Self::Transport {
                kind: TransportKind::Tls { .. },
                ..
            }
            | Self::Unreadable { .. }
            | Self::NoTask { .. } => Class::Provider,
            Self::Transport { .. } => Class::Retryable { after: None },
            Self::Path { .. } | Self::Encode { .. } => Class::Bug,
        }
    }

    /// Whether the request may have reached Proxmox without our knowing what came of it. Never resend such a one.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::Answer { answer, .. } => matches!(answer.status, 502 | 504 | 596..=599),
            Self::Transport { sent, .. } | Self::Unreadable { sent, .. } => *sent,
            Self::NoTask { .. } => true,
            Self::Path { .. } | Self::Encode { .. } => false,
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

    /// What Proxmox said, if it did.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// The class of a task that ended badly.
#[must_use]
pub(crate) fn task_class(exitstatus: &str) -> Class {
    classify(200, "OK", &std::collections::BTreeMap::new(), Some(exitstatus))
}
