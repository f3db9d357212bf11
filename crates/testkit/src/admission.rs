//! Assertions about what the API server lets in, so that a test reads like a spec:
//!
//! ```text
//! accepts(&ns, &contract()).await;
//! rejects(&ns, &contract_of(0)).await.at("spec.hours").saying("at least 1");
//! rejects_change(&ns, &old, &new).await.at("spec.offeringRef");
//! ```
//!
//! Objects are sent as they serialise, with strict field validation; a `json!` value states what no type can.
//! Only a verdict counts: a server that can't be reached or doesn't know the kind fails the test either way.
//! Owns no rules: those are in the manifests.
#![expect(clippy::panic, reason = "assertions for tests")]

use anyhow::{Context, Result, bail};
use http::{Method, Request};
use kube::Error;
use kube::api::DynamicObject;
use kube::core::Status;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{TestNamespace, manifests};

/// What the API server answered instead of accepting.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The whole answer.
    pub status: Box<Status>,
}

impl Refusal {
    /// Asserts that the refusal names this field.
    ///
    /// # Panics
    /// When it doesn't.
    #[expect(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "a chain of assertions"
    )]
    pub fn at(self, field: &str) -> Self {
        let details = self.status.details.iter().flat_map(|details| &details.causes);
        let named = details.map(|cause| &cause.field).any(|named| named == field);
        assert!(
            named || self.status.message.contains(field),
            "no word of {field}: {}",
            self.status.message
        );
        self
    }

    /// Asserts that the refusal contains this text.
    ///
    /// # Panics
    /// When it doesn't.
    #[expect(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "a chain of assertions"
    )]
    pub fn saying(self, text: &str) -> Self {
        assert!(
            self.status.message.contains(text),
            "no word of {text:?}: {}",
            self.status.message
        );
        self
    }
}

/// The object may be created (tried without storing it).
///
/// # Panics
/// When the API server refuses it.
pub async fn accepts(ns: &TestNamespace, object: &impl Serialize) {
    let object = placed(ns, object);
    accepted(&object, create(ns, &object, true).await);
}

/// The object may not be created.
///
/// # Panics
/// When the API server accepts it.
pub async fn rejects(ns: &TestNamespace, object: &impl Serialize) -> Refusal {
    let object = placed(ns, object);
    refused(&object, create(ns, &object, true).await)
}

/// `old` may become `new`. Stores `old`, unless an object of its name is there already.
///
/// # Panics
/// When the API server refuses the change.
pub async fn accepts_change(ns: &TestNamespace, old: &impl Serialize, new: &impl Serialize) {
    let new = placed(ns, new);
    accepted(&new, change(ns, &placed(ns, old), &new).await);
}

/// `old` may not become `new`. Stores `old`, unless an object of its name is there already.
///
/// # Panics
/// When the API server accepts the change.
pub async fn rejects_change(ns: &TestNamespace, old: &impl Serialize, new: &impl Serialize) -> Refusal {
    let new = placed(ns, new);
    refused(&new, change(ns, &placed(ns, old), &new).await)
}

/// The API server's word; the outer error says that there was none.
type Verdict = Result<Result<Value, Refusal>>;

fn accepted(object: &Value, verdict: Verdict) {
    match verdict {
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => panic!("must be accepted, but: {}\n{object:#}", refusal.status.message),
        Err(error) => panic!("no verdict: {error:#}\n{object:#}"),
    }
}

fn refused(object: &Value, verdict: Verdict) -> Refusal {
    match verdict {
        Ok(Err(refusal)) => refusal,
        Ok(Ok(_)) => panic!("must be refused, but was accepted:\n{object:#}"),
        Err(error) => panic!("no verdict: {error:#}\n{object:#}"),
    }
}

/// The object as JSON, in the test's namespace unless it names one.
fn placed(ns: &TestNamespace, object: &impl Serialize) -> Value {
    let mut object = serde_json::to_value(object).unwrap_or_else(|error| panic!("no JSON: {error}"));
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| json!(ns.name));
    }
    object
}

async fn create(ns: &TestNamespace, object: &Value, dry: bool) -> Verdict {
    let (collection, _) = paths(ns, object).await?;
    send(ns, Method::POST, &collection, object, dry).await
}

async fn change(ns: &TestNamespace, old: &Value, new: &Value) -> Verdict {
    let stored = stored(ns, old).await?;
    let (_, path) = paths(ns, old).await?;
    send(ns, Method::PUT, &path, &at_version(new, &stored), true).await
}

/// The stored object of this name; stored now if there is none.
async fn stored(ns: &TestNamespace, object: &Value) -> Result<Value> {
    let (_, path) = paths(ns, object).await?;
    let request = Request::get(path)
        .body(Vec::new())
        .context("failed to build a request")?;
    match ns.shared.client.request(request).await {
        Ok(found) => Ok(found),
        Err(Error::Api(status)) if status.code == 404 => {
            let made = create(ns, object, false).await?;
            made.map_err(|refusal| anyhow::anyhow!("the old object is refused: {}", refusal.status.message))
        }
        Err(error) => Err(error).context("failed to read the old object"),
    }
}

fn at_version(new: &Value, stored: &Value) -> Value {
    let mut new = new.clone();
    new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
    new
}

/// Addresses of the object's collection and of the object itself.
async fn paths(ns: &TestNamespace, object: &Value) -> Result<(String, String)> {
    let typed: DynamicObject = serde_json::from_value(object.clone()).context("no Kubernetes object")?;
    let api = manifests::api_for(&ns.shared.client, &typed).await?;
    let collection = api.resource_url().to_owned();
    let name = typed.metadata.name.context("the object needs a name")?;
    Ok((collection.clone(), format!("{collection}/{name}")))
}

async fn send(ns: &TestNamespace, method: Method, path: &str, object: &Value, dry: bool) -> Verdict {
    let dry = if dry { "&dryRun=All" } else { "" };
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?fieldValidation=Strict{dry}"))
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object)?)
        .context("failed to build a request")?;
    match ns.shared.client.request(request).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => Ok(Err(Refusal { status })),
        Err(Error::Api(status)) => bail!("{} {}: {}", status.code, status.reason, status.message),
        Err(error) => Err(error).context("failed to reach the API server"),
    }
}
