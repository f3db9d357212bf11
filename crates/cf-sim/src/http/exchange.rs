//! One request and its answer: faults that were asked for, the call, the form of the answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;

use crate::api::{self, Answer, Call, Caller, PREFIX};
use crate::control::faults::{Ending, Facts, Taken, When};
use crate::control::requests::{Entry, Outcome};
use crate::model::moment::Moment;
use crate::model::refusal::Refusal;
use crate::sim::Shared;

/// The largest body that is read.
const LARGEST: usize = 128 * 1024;

/// The connection is cut on purpose.
#[derive(Debug, Error)]
#[error("connection cut on request")]
pub struct Cut;

/// Answers a request, or cuts the connection.
pub async fn exchange(
    shared: &Arc<Shared>,
    from: IpAddr,
    request: Request<Body>,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let caller = caller(&head.headers, from);
    let query = head.uri.query().unwrap_or_default().to_owned();
    let body = read(&head.method, &head.headers, body).await;
    let whole = head.uri.path();
    let path = whole.strip_prefix(PREFIX).unwrap_or(whole).to_owned();
    let call = Call {
        method: head.method.as_str().to_owned(),
        path,
        query,
        body,
    };
    let at = shared.clock.now();
    let facts = Facts::new(&shared.world(), &call);
    let taken = shared.faults().take(&facts);
    if !taken.plan.delay.is_zero() {
        shared.clock.sleep(taken.plan.delay).await;
    }
    act(shared, &taken, When::Before, &facts).await;
    let answer = if taken.plan.effect() {
        let now = shared.clock.now();
        Some(api::answer(&mut shared.world(), &caller, &call, now))
    } else {
        instead(shared, &taken)
    };
    act(shared, &taken, When::After, &facts.after(answer.as_ref())).await;
    let outcome = Outcome::of(answer.as_ref(), taken.plan.ending.as_ref());
    shared.requests().push(Entry::new(at, &facts, &call, outcome));
    finish(shared, &taken, answer).await
}

/// What is sent, or the end of the connection.
async fn finish(shared: &Shared, taken: &Taken, answer: Option<Answer>) -> Result<Response<Body>, Cut> {
    match &taken.plan.ending {
        Some(Ending::Blackhole) => std::future::pending().await,
        Some(Ending::DropBefore | Ending::DropAfter) => Err(Cut),
        Some(Ending::Answer {
            status,
            body,
            content_type,
        }) => Ok(bytes(*status, body.clone(), content_type)),
        Some(Ending::Refuse { .. }) | None => {
            let answer = answer.ok_or(Cut)?;
            let ray = shared.world().dice.ray();
            Ok(render(&answer, &ray, shared.clock.now()))
        }
    }
}

/// The answer of a request that has no effect.
fn instead(shared: &Shared, taken: &Taken) -> Option<Answer> {
    let Some(Ending::Refuse {
        status,
        code,
        message,
        retry_after,
    }) = &taken.plan.ending
    else {
        return None;
    };
    let refusal = Refusal::stated(*status, *code, message, *retry_after);
    Some(api::refused(&refusal, shared.world().error_chain))
}

async fn act(shared: &Arc<Shared>, taken: &Taken, when: When, facts: &Facts) {
    for hand in taken.plan.hands(when) {
        if let Err(why) = hand.act(shared, facts).await {
            shared.faults().complain(taken.rule, why);
        }
    }
}

fn caller(headers: &HeaderMap, from: IpAddr) -> Caller {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    Caller {
        from,
        authorization: text(AUTHORIZATION),
        old_key: headers.contains_key("x-auth-key") || headers.contains_key("x-auth-email"),
    }
}

async fn read(method: &Method, headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    if !matches!(*method, Method::PUT | Method::POST | Method::PATCH) {
        return Ok(Value::Null);
    }
    let bytes = to_bytes(body, LARGEST).await.map_err(|_| Refusal::too_large())?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let json = kind.is_some_and(|kind| kind.trim_start().starts_with("application/json"));
    if !json {
        return Err(Refusal::content_type());
    }
    serde_json::from_slice(&bytes).map_err(|_| Refusal::malformed_json())
}

fn bytes(status: u16, body: String, kind: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

fn render(answer: &Answer, ray: &str, now: Moment) -> Response<Body> {
    let mut response = bytes(answer.status, answer.body.to_string(), "application/json");
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    put(HeaderName::from_static("cf-ray"), ray.to_owned());
    if let Some(wait) = answer.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        put(RETRY_AFTER, seconds.to_string());
        let reset = HeaderName::from_static("x-ratelimit-reset");
        put(reset, now.plus(wait).http());
    }
    if let Some(left) = answer.left {
        let (calls, limit) = (left.calls, left.limit);
        let window = left.window.as_secs();
        put(
            HeaderName::from_static("ratelimit"),
            format!("\"default\";r={calls};t={window}"),
        );
        put(HeaderName::from_static("x-ratelimit-limit"), limit.to_string());
        put(
            HeaderName::from_static("x-ratelimit-remaining"),
            calls.to_string(),
        );
    }
    response
}
