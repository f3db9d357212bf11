//! An act that is a call of the control port, so that every switch there can be an act of a rule.

use std::sync::Arc;

use axum::body::Body;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::Service as _;
use hyper::{Request, Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bad::BadRule;
use super::facts::{Facts, WORDS};
use crate::control::routes;
use crate::sim::Shared;

/// The longest answer that is read.
const KEPT: usize = 64 << 20;
/// What a rule may not do: change the rules, or end all of them.
const FORBIDDEN: [&str; 2] = ["/faults", "/reset"];
/// A word's place when only the route is looked for.
const ANY: &str = "1";

/// A call of the control port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hand {
    /// The method.
    pub method: String,
    /// The path; `{zone}`, `{record}`, `{name}` and `{type}` are those of the request.
    pub path: String,
    /// The body, with the same words.
    #[serde(default)]
    pub body: Value,
    /// Before the effect of the request or after it.
    #[serde(default)]
    pub when: When,
}

/// When a hand acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the effect of the request.
    #[default]
    Before,
    /// After it.
    After,
}

impl Hand {
    /// Checks what can be checked without the routes.
    pub fn check(&self) -> Result<(), BadRule> {
        let path = &self.path;
        let forbidden = |start: &&str| path == start || path.starts_with(&format!("{start}/"));
        if !path.starts_with('/') || path.contains(['?', '#']) {
            let why = "a path begins with / and has no query";
            return Err(BadRule::field("act.control.path", why));
        }
        if FORBIDDEN.iter().any(forbidden) {
            return Err(BadRule::field(
                "act.control.path",
                "a rule does not change the rules",
            ));
        }
        Ok(())
    }

    /// Checks that the control port has this route: asked for its methods, a path that it does not know is not found.
    pub async fn known(&self, shared: &Arc<Shared>) -> Result<(), BadRule> {
        let filled = |path: String, word: &&str| path.replace(&format!("{{{word}}}"), ANY);
        let path = WORDS.iter().fold(self.path.clone(), filled);
        let bad = |why: String| BadRule::field("act.control", why);
        let answer = send(shared, ("OPTIONS", &path), &Value::Null)
            .await
            .map_err(bad)?;
        let allowed = answer.headers().get(ALLOW).and_then(|value| value.to_str().ok());
        let Some(allowed) = allowed.filter(|_| answer.status() == StatusCode::METHOD_NOT_ALLOWED) else {
            return Err(bad(format!("the control port has no {path}")));
        };
        let method = &self.method;
        let takes = allowed.split(',').any(|one| one.eq_ignore_ascii_case(method));
        if method.eq_ignore_ascii_case("GET") || !takes {
            return Err(bad(format!("{path} of the control port takes {allowed}")));
        }
        Ok(())
    }

    /// Does it; the error says why it could not be done.
    pub async fn act(&self, shared: &Arc<Shared>, facts: &Facts) -> Result<(), String> {
        let missing = |word| format!("the request has no {{{word}}}");
        let path = facts.text(&self.path).map_err(missing)?;
        let body = facts.value(&self.body).map_err(missing)?;
        call(shared, &self.method, &path, &body).await.map(drop)
    }
}

/// A call of the control port from within; the error says why it was refused.
pub async fn call(shared: &Arc<Shared>, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let method = method.to_uppercase();
    let answer = send(shared, (&method, path), body).await?;
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), KEPT).await;
    let bytes = bytes.map_err(|error| format!("{method} {path}: {error}"))?;
    if !status.is_success() {
        let text = String::from_utf8_lossy(&bytes);
        return Err(format!("{method} {path}: {status} {text}"));
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("{method} {path}: {error}"))
}

async fn send(
    shared: &Arc<Shared>,
    (method, path): (&str, &str),
    body: &Value,
) -> Result<Response<Body>, String> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, "application/json");
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let request = request.body(body).map_err(|error| error.to_string())?;
    let service = TowerToHyperService::new(routes::router(Arc::clone(shared)));
    match service.call(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
