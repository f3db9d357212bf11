//! Sample objects, walks over the schemas, and cases that are put to the API server many at once.

pub mod samples;
pub mod statuses;
pub mod walk;

use anyhow::{Context, Result};
use futures::{StreamExt, stream};
use http::Request;
use serde_json::{Value, json};
use testkit::TestNamespace;

const PARALLEL: usize = 8;

/// A change that is put to the API server, and what it must answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// Stored first, with its status if it has one.
    pub old: Option<Value>,
    /// Tried.
    pub new: Value,
    /// Tried as a change of the status.
    pub status: bool,
    /// The refusal's field and a part of its sentence; none if it is to be accepted.
    pub refusal: Option<(String, String)>,
}

impl Case {
    /// This object is refused with this field and sentence.
    pub fn refused(new: Value, path: impl Into<String>, says: impl Into<String>) -> Self {
        Self {
            old: None,
            new,
            status: false,
            refusal: Some((path.into(), says.into())),
        }
    }

    /// This object is accepted.
    pub const fn accepted(new: Value) -> Self {
        Self {
            old: None,
            new,
            status: false,
            refusal: None,
        }
    }

    /// The same as a change of this object.
    pub fn from(self, old: Value) -> Self {
        Self {
            old: Some(old),
            ..self
        }
    }

    /// The same as a change of the status.
    pub fn in_status(self) -> Self {
        Self { status: true, ..self }
    }

    /// The kind it is about.
    pub fn kind(&self) -> &str {
        self.new["kind"].as_str().unwrap_or_default()
    }
}

/// Puts all cases to the API server and fails with all answers that differ.
pub async fn check(ns: &TestNamespace, cases: Vec<Case>) -> Result<()> {
    assert!(!cases.is_empty(), "no cases");
    let answers = stream::iter(cases.into_iter().enumerate()).map(|(n, case)| one(ns, n, case));
    let answers: Vec<Result<()>> = answers.buffer_unordered(PARALLEL).collect().await;
    let wrong: Vec<String> = answers
        .into_iter()
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

async fn one(ns: &TestNamespace, n: usize, case: Case) -> Result<()> {
    let answer = tried(ns, n, &case).await?;
    let ask = case.new[if case.status { "status" } else { "spec" }].to_string();
    let shown = format!("{} {}", case.kind(), ask.get(..300).unwrap_or(&ask));
    match (answer, &case.refusal) {
        (Ok(_), None) => Ok(()),
        (Ok(_), Some((path, says))) => anyhow::bail!("accepted, but {path}: {says:?} was due: {shown}"),
        (Err(status), None) => anyhow::bail!("refused: {}: {shown}", status.message),
        (Err(status), Some((path, says))) => {
            let causes: Vec<_> = status
                .details
                .iter()
                .flat_map(|details| details.causes.clone())
                .collect();
            let right = causes
                .iter()
                .any(|cause| cause.field == *path && cause.message.contains(says));
            anyhow::ensure!(
                right,
                "due was {path}: {says:?}, but: {}: {shown}",
                status.message
            );
            Ok(())
        }
    }
}

type Answer = Result<Value, Box<kube::core::Status>>;

async fn tried(ns: &TestNamespace, n: usize, case: &Case) -> Result<Answer> {
    let Some(old) = &case.old else {
        let path = collection(ns, case.kind());
        return send(ns, "POST", &format!("{path}?dryRun=All"), &case.new).await;
    };
    let (old, mut new) = (numbered(ns, old, n), numbered(ns, &case.new, n));
    let stored = store(ns, &old).await?;
    new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
    let path = format!(
        "{}/{}",
        collection(ns, case.kind()),
        new["metadata"]["name"].as_str().unwrap_or_default()
    );
    let path = if case.status {
        format!("{path}/status")
    } else {
        path
    };
    send(ns, "PUT", &format!("{path}?dryRun=All"), &new).await
}

async fn found(ns: &TestNamespace, object: &Value) -> Result<Value> {
    let path = collection(ns, object["kind"].as_str().unwrap_or_default());
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Ok(ns
        .shared
        .client
        .request(Request::get(format!("{path}/{name}")).body(Vec::new())?)
        .await?)
}

/// Stores an object and its status; one that is there already stays as it is.
pub async fn store(ns: &TestNamespace, object: &Value) -> Result<Value> {
    let path = collection(ns, object["kind"].as_str().unwrap_or_default());
    let refused = |status: Box<kube::core::Status>| anyhow::anyhow!("not even stored: {}", status.message);
    let mut stored = match send(ns, "POST", &path, object).await? {
        Err(taken) if taken.code == 409 => return found(ns, object).await,
        made => made.map_err(refused)?,
    };
    if object["status"].is_object() {
        stored["status"] = object["status"].clone();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        stored = send(ns, "PUT", &format!("{path}/{name}/status"), &stored)
            .await?
            .map_err(refused)?;
    }
    Ok(stored)
}

/// A copy with a name of its own.
fn numbered(ns: &TestNamespace, object: &Value, n: usize) -> Value {
    let mut copy = object.clone();
    if copy["kind"] == "Slot" {
        copy["spec"]["index"] = json!(n);
        copy["metadata"]["name"] = json!(format!("ams1-{n}"));
    } else if copy["kind"] == "Provider" {
        // There is one name only, and one object does for changes that are only tried.
    } else if copy["kind"] == "Account" {
        copy["metadata"]["name"] = json!(format!("{}-{n}", ns.name));
    } else {
        copy["metadata"]["name"] = json!(format!("case-{n}"));
    }
    copy
}

/// Address of a kind's objects.
pub fn collection(ns: &TestNamespace, kind: &str) -> String {
    let plural = if kind == "Policy" {
        "policies".into()
    } else {
        format!("{}s", kind.to_lowercase())
    };
    if kind == "Account" {
        format!("/apis/decent-cloud.org/v1alpha1/{plural}")
    } else {
        format!("/apis/decent-cloud.org/v1alpha1/namespaces/{}/{plural}", ns.name)
    }
}

/// One request; the outer error says that there was no verdict.
pub async fn send(ns: &TestNamespace, method: &str, path: &str, body: &Value) -> Result<Answer> {
    let join = if path.contains('?') { '&' } else { '?' };
    let content = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}{join}fieldValidation=Strict"))
        .header("content-type", content)
        .body(serde_json::to_vec(body)?)?;
    match ns.shared.client.request(request).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 409 | 422) => Ok(Err(status)),
        Err(error) => Err(error).context("no verdict"),
    }
}

/// A copy with a change, as a merge patch does it: null removes, lists are replaced.
pub fn merged(base: &Value, change: &Value) -> Value {
    let (Value::Object(base), Value::Object(change)) = (base, change) else {
        return change.clone();
    };
    let mut result = base.clone();
    for (key, value) in change {
        if value.is_null() {
            result.remove(key);
        } else {
            let before = base.get(key).cloned().unwrap_or_else(|| json!({}));
            result.insert(key.clone(), merged(&before, value));
        }
    }
    Value::Object(result)
}

/// The full sample with a change of its spec.
pub fn sample(kind: &str, change: &Value) -> Value {
    merged(&samples::full(kind), &json!({ "spec": change }))
}

/// The rows of a text table: cells between `|`, trimmed.
pub fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().filter(|line| !line.is_empty()).map(|line| {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("not {N} cells: {line}"))
    })
}
