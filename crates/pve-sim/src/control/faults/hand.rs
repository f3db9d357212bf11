//! An act that is a call of the control port, so that every switch there can be an act of a rule.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::Service as _;
use hyper::{Request, Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bad::BadRule;
use super::facts::{WORDS, Words};
use crate::control::routes;
use crate::sim::Shared;

/// The longest time until something is undone.
const UNDO: u64 = 3_600_000;
/// The longest text of an answer that is kept.
const KEPT: usize = 2_000;
/// What a rule may not do: change the rules, or end all of them.
const FORBIDDEN: [&str; 2] = ["/faults", "/reset"];
/// A word's place when only the route is looked for.
const ANY: &str = "1";

/// A call of the control port, and what takes it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hand {
    /// The method.
    pub method: String,
    /// The path; `{vmid}`, `{newid}`, `{node}` and, after the effect, `{upid}` are those of the request.
    pub path: String,
    /// The body, with the same words.
    #[serde(default)]
    pub body: Value,
    /// Before the effect of the request or after it.
    #[serde(default)]
    pub when: When,
    /// What takes it back.
    #[serde(default)]
    pub undo: Option<Undo>,
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

/// A later call of the control port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// How much later, in milliseconds.
    pub after_ms: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The body.
    #[serde(default)]
    pub body: Value,
}

/// One call with its words filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    method: String,
    path: String,
    body: Value,
}

impl Hand {
    /// Checks what can be checked without the routes.
    pub fn check(&self) -> Result<(), BadRule> {
        check("act.control.path", &self.path)?;
        if let Some(undo) = &self.undo {
            check("act.control.undo.path", &undo.path)?;
            if undo.after_ms > UNDO {
                return Err(BadRule::field(
                    "act.control.undo.after_ms",
                    "undone within an hour",
                ));
            }
        }
        Ok(())
    }

    /// Checks that the control port has these routes.
    pub async fn known(&self, shared: &Arc<Shared>) -> Result<(), BadRule> {
        route("act.control", shared, &self.method, &self.path).await?;
        match &self.undo {
            Some(undo) => route("act.control.undo", shared, &undo.method, &undo.path).await,
            None => Ok(()),
        }
    }

    /// Does it, and sees to it that it is taken back; the error says why it could not be done.
    pub async fn act(&self, shared: &Arc<Shared>, words: &Words) -> Result<(), String> {
        asked(words, &self.method, &self.path, &self.body)?
            .send(shared)
            .await?;
        let Some(undo) = &self.undo else { return Ok(()) };
        let back = asked(words, &undo.method, &undo.path, &undo.body)?;
        let (shared, span) = (Arc::clone(shared), Duration::from_millis(undo.after_ms));
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let tracker = shared.later.clone();
        tracker.spawn_on(later(shared, span, back), &runtime);
        Ok(())
    }
}

/// Takes an act back, unless all ends before.
async fn later(shared: Arc<Shared>, span: Duration, back: Asked) {
    tokio::select! {
        () = shared.stop.cancelled() => {}
        () = shared.clock.sleep(span) => if let Err(error) = back.send(&shared).await {
            tracing::warn!(error, "failed to take an act of a rule back");
        }
    }
}

fn check(field: &'static str, path: &str) -> Result<(), BadRule> {
    let forbidden = |start: &str| path == start || path.starts_with(&format!("{start}/"));
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return Err(BadRule::field(field, "a path begins with / and has no query"));
    }
    if FORBIDDEN.iter().any(|start| forbidden(start)) {
        return Err(BadRule::field(field, "a rule does not change the rules"));
    }
    Ok(())
}

fn asked(words: &Words, method: &str, path: &str, body: &Value) -> Result<Asked, String> {
    let missing = |word| format!("the request has no {{{word}}}");
    Ok(Asked {
        method: method.to_uppercase(),
        path: words.text(path).map_err(missing)?,
        body: words.value(body).map_err(missing)?,
    })
}

/// Whether the control port has a route: asked for its methods, a path that it does not know is not found.
async fn route(field: &'static str, shared: &Arc<Shared>, method: &str, path: &str) -> Result<(), BadRule> {
    let path = WORDS.iter().fold(path.to_owned(), |path, word| {
        path.replace(&format!("{{{word}}}"), ANY)
    });
    let bad = |why: String| BadRule::field(field, why);
    let options = Asked {
        method: "OPTIONS".to_owned(),
        path: path.clone(),
        body: Value::Null,
    };
    let answer = options.answer(shared).await.map_err(bad)?;
    let allowed = answer.headers().get(ALLOW).and_then(|value| value.to_str().ok());
    let Some(allowed) = allowed.filter(|_| answer.status() == StatusCode::METHOD_NOT_ALLOWED) else {
        return Err(bad(format!("the control port has no {path}")));
    };
    if method.eq_ignore_ascii_case("GET") || !allowed.split(',').any(|one| one.eq_ignore_ascii_case(method)) {
        return Err(bad(format!("{path} of the control port takes {allowed}")));
    }
    Ok(())
}

/// A call of the control port from within; the error says why it was refused.
pub async fn call(shared: &Arc<Shared>, method: &str, path: &str, body: &Value) -> Result<(), String> {
    let asked = Asked {
        method: method.to_owned(),
        path: path.to_owned(),
        body: body.clone(),
    };
    asked.send(shared).await
}

impl Asked {
    async fn answer(&self, shared: &Arc<Shared>) -> Result<Response<Body>, String> {
        let request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path)
            .header(CONTENT_TYPE, "application/json");
        let body = match &self.body {
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

    async fn send(&self, shared: &Arc<Shared>) -> Result<(), String> {
        let answer = self.answer(shared).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let text = axum::body::to_bytes(answer.into_body(), KEPT)
            .await
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        Err(format!("{} {}: {status} {text}", self.method, self.path))
    }
}
