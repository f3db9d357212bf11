//! The API server's audit log: who wrote what. Owns the policy (writes only, no bodies) and the reading.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// Logs each write once, when it is answered.
pub(super) const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
  "rules": [{ "level": "None", "verbs": ["get", "list", "watch"] }, { "level": "Metadata" }]
}"#;

/// One write that the API server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who, as the API server authenticated it.
    pub user: String,
    /// The caller's program and version.
    pub user_agent: String,
    /// `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Plural of the kind.
    pub resource: String,
    /// `status` and the like; empty for the object itself.
    pub subresource: String,
    /// Namespace; empty for cluster-wide kinds.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// When the request came, RFC 3339 with microseconds.
    pub at: String,
}

/// All writes to objects in an audit log, in the order of their answers.
///
/// # Errors
/// When the log can't be read or a complete line can't be decoded.
pub fn writes(log: &Path) -> Result<Vec<Write>> {
    let file = File::open(log).with_context(|| format!("failed to open {}", log.display()))?;
    let mut writes = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.context("failed to read the audit log")?;
        if let Some(write) = decode(&line)? {
            writes.push(write);
        }
    }
    Ok(writes)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Value,
    #[serde(default)]
    response_status: Value,
    request_received_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

fn decode(line: &[u8]) -> Result<Option<Write>> {
    if line.is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_slice(line).context("failed to decode a line of the audit log")?;
    if line.object_ref.is_null() {
        return Ok(None);
    }
    let text = |key: &str| {
        line.object_ref
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let code = line
        .response_status
        .get("code")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    Ok(Some(Write {
        group: text("apiGroup"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        user: line.user.username,
        user_agent: line.user_agent,
        verb: line.verb,
        code: u16::try_from(code).unwrap_or_default(),
        at: line.request_received_timestamp,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_carries_who_what_and_the_answer() {
        let line = br#"{"verb":"patch","user":{"username":"admin"},"userAgent":"decent-operator",
            "objectRef":{"resource":"slots","namespace":"p","name":"ams1-0","apiGroup":"decent-cloud.org","subresource":"status"},
            "responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z"}"#;
        let write = decode(line).expect("decodes").expect("a write");
        assert_eq!(
            (write.resource.as_str(), write.subresource.as_str(), write.code),
            ("slots", "status", 200)
        );
        assert_eq!(write.group, crate::GROUP);
    }

    #[test]
    fn a_review_without_object_is_no_write() {
        let line = br#"{"verb":"create","user":{"username":"x"},"requestReceivedTimestamp":"t"}"#;
        assert_eq!(decode(line).expect("decodes"), None);
    }
}
