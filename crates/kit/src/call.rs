//! One call to the API server: a deadline of our own and a typed error that
//! names the act. Must not retry and must not decide what a refusal means.

use std::{future::Future, time::Duration};

use kube::core::Status;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Server-side apply of an object.
    Apply,
    /// Server-side apply of a status.
    ApplyStatus,
    /// Create of an object whose name is the claim.
    CreateClaim,
    /// Replace with a resourceVersion.
    Replace,
    /// Patch that adds a finalizer.
    AddFinalizer,
    /// Patch that removes a finalizer.
    DropFinalizer,
    /// Delete with preconditions.
    Delete,
    /// Read of one object.
    Get,
    /// Read of many objects.
    List,
    /// A token of a ServiceAccount.
    RequestToken,
}

impl Act {
    /// The act as a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::ApplyStatus => "apply_status",
            Self::CreateClaim => "create_claim",
            Self::Replace => "replace",
            Self::AddFinalizer => "add_finalizer",
            Self::DropFinalizer => "drop_finalizer",
            Self::Delete => "delete",
            Self::Get => "get",
            Self::List => "list",
            Self::RequestToken => "request_token",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::ApplyStatus => "apply the status of",
            Self::CreateClaim => "create",
            Self::Replace => "replace",
            Self::AddFinalizer => "add the finalizer of",
            Self::DropFinalizer => "drop the finalizer of",
            Self::Delete => "delete",
            Self::Get => "read",
            Self::List => "list",
            Self::RequestToken => "request a token of",
        }
    }

    const fn patches_finalizers(self) -> bool {
        matches!(self, Self::AddFinalizer | Self::DropFinalizer)
    }
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {} {kind} {name}", act.words())]
pub struct Error {
    /// What was being done.
    pub act: Act,
    /// The object's kind.
    pub kind: String,
    /// The object's name ("objects" for a list).
    pub name: String,
    /// Why it failed.
    #[source]
    pub source: Cause,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Our deadline passed; the effect is unknown.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The API server answered, and refused.
    #[error("the API server refused with {}", .0.code)]
    Refused(#[source] Box<Status>),
    /// No usable answer; the effect is unknown.
    #[error("no usable answer from the API server")]
    Call(#[source] Box<kube::Error>),
    /// The object has no name, or the patch could not be written.
    #[error("the request could not be built")]
    Build,
}

/// What to do about a failed call, coarse enough for an error policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Somebody else wrote meanwhile: read again soon.
    Conflict,
    /// The object (or its kind) does not exist.
    NotFound,
    /// Our rights do not suffice.
    Denied,
    /// The API server says that what we sent is wrong.
    Invalid,
    /// The namespace is going away: nothing can be created in it.
    Terminating,
    /// Worth another try later: overload, no answer, server error.
    Retryable,
}

impl Error {
    /// The fault of this error.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match &self.source {
            Cause::Timeout(_) => Fault::Retryable,
            Cause::Refused(status) => refused(self.act, status),
            Cause::Call(error) => match **error {
                kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Fault::Invalid,
                _ => Fault::Retryable,
            },
            Cause::Build => Fault::Invalid,
        }
    }

    /// The answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match &self.source {
            Cause::Refused(status) => Some(status),
            Cause::Timeout(_) | Cause::Call(_) | Cause::Build => None,
        }
    }
}

fn refused(act: Act, status: &Status) -> Fault {
    let terminating = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| cause.reason == "NamespaceTerminating");
    // A failed "test" of a JSON patch is a 422 that names no field.
    let names_field = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| !cause.field.is_empty());
    if terminating {
        Fault::Terminating
    } else if status.is_conflict()
        || status.is_already_exists()
        || (act.patches_finalizers() && status.is_invalid() && !names_field)
    {
        Fault::Conflict
    } else if status.is_not_found() {
        Fault::NotFound
    } else if status.is_forbidden() || status.code == 401 {
        Fault::Denied
    } else if status.is_invalid() || matches!(status.code, 400 | 405 | 413 | 415) || undeclared(status) {
        Fault::Invalid
    } else {
        Fault::Retryable
    }
}

/// Server-side apply answers 500 for a field that the schema lacks.
fn undeclared(status: &Status) -> bool {
    status.code == 500 && status.message.contains("field not declared in schema")
}

/// Runs one call under a deadline and names its failure.
///
/// # Errors
/// When the deadline passes, the API server refuses, or no usable answer comes.
pub async fn within<T>(
    timeout: Duration,
    act: Act,
    (kind, name): (&str, &str),
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    let source = match tokio::time::timeout(timeout, call).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(kube::Error::Api(status))) => Cause::Refused(status),
        Ok(Err(error)) => Cause::Call(Box::new(error)),
        Err(_) => Cause::Timeout(timeout),
    };
    Err(Error {
        act,
        kind: kind.to_owned(),
        name: name.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn fault(act: Act, status: Status) -> Fault {
        let source = Cause::Refused(status.boxed());
        Error {
            act,
            kind: "Slot".into(),
            name: "a-1".into(),
            source,
        }
        .fault()
    }

    fn with_cause(status: Status, reason: &str, field: &str) -> Status {
        let cause = StatusCause {
            reason: reason.into(),
            message: String::new(),
            field: field.into(),
        };
        status.with_details(StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        })
    }

    #[test]
    fn refusals_have_their_fault() {
        let status = |code, reason| Status::failure("m", reason).with_code(code);
        for (code, reason, want) in [
            (409, "Conflict", Fault::Conflict),
            (409, "AlreadyExists", Fault::Conflict),
            (404, "NotFound", Fault::NotFound),
            (403, "Forbidden", Fault::Denied),
            (401, "Unauthorized", Fault::Denied),
            (422, "Invalid", Fault::Invalid),
            (400, "BadRequest", Fault::Invalid),
            (429, "TooManyRequests", Fault::Retryable),
            (500, "InternalError", Fault::Retryable),
            (503, "ServiceUnavailable", Fault::Retryable),
        ] {
            assert_eq!(fault(Act::Apply, status(code, reason)), want, "{code} {reason}");
        }
        let schema = Status::failure(".spec.x: field not declared in schema", "").with_code(500);
        assert_eq!(fault(Act::Apply, schema), Fault::Invalid);
    }

    #[test]
    fn a_terminating_namespace_is_not_a_missing_right() {
        let status = Status::failure("being terminated", "Forbidden").with_code(403);
        let status = with_cause(status, "NamespaceTerminating", "metadata.namespace");
        assert_eq!(fault(Act::CreateClaim, status), Fault::Terminating);
    }

    #[test]
    fn a_failed_patch_test_is_a_conflict_but_a_refused_field_is_not() {
        let status = || Status::failure("the server rejected our request", "Invalid").with_code(422);
        let test = with_cause(status(), "UnexpectedServerResponse", "");
        assert_eq!(fault(Act::DropFinalizer, test), Fault::Conflict);
        let field = with_cause(status(), "FieldValueInvalid", "spec.price");
        assert_eq!(fault(Act::DropFinalizer, field), Fault::Invalid);
    }

    #[test]
    fn a_refusal_reads_as_one_sentence_chain() {
        let status = Status::failure("slots is forbidden", "Forbidden").with_code(403);
        let source = Cause::Refused(status.boxed());
        let error = Error {
            act: Act::List,
            kind: "Slot".into(),
            name: "a".into(),
            source,
        };
        let want = "failed to list Slot a: the API server refused with 403: slots is forbidden";
        assert_eq!(crate::chain(&error), want);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_ends_at_our_deadline() {
        let call = std::future::pending::<kube::Result<()>>();
        let error = within(Duration::from_secs(10), Act::Get, ("Slot", "a-1"), call)
            .await
            .unwrap_err();
        assert_eq!(
            crate::chain(&error),
            "failed to read Slot a-1: no answer within 10s"
        );
        assert_eq!(error.fault(), Fault::Retryable);
    }
}
