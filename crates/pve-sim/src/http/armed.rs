//! What an armed rule makes of an exchange: what happens before and after, what is answered instead.

use std::sync::Arc;

use axum::body::Body;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};

use crate::api::reply::{Fault, Reply};
use crate::control::faults::{Ending, Facts, Plan, Taken, When};
use crate::sim::Shared;

/// Holds the request back and lets the hands act that come before it.
pub async fn before(shared: &Arc<Shared>, taken: &Taken, facts: &Facts) {
    if !taken.plan.delay.is_zero() {
        shared.clock.sleep(taken.plan.delay).await;
    }
    act(shared, taken, When::Before, (facts, None)).await;
}

/// Lets the hands act that come after the effect.
pub async fn after(shared: &Arc<Shared>, taken: &Taken, facts: &Facts, upid: Option<&str>) {
    act(shared, taken, When::After, (facts, upid)).await;
}

async fn act(shared: &Arc<Shared>, taken: &Taken, when: When, (facts, upid): (&Facts, Option<&str>)) {
    for hand in taken.plan.hands(when) {
        if let Err(why) = hand.act(shared, &facts.words(upid)).await {
            shared.faults().complain(taken.rule, why);
        }
    }
}

/// The reply of a request that has no effect.
pub fn instead(plan: &Plan) -> Option<Reply> {
    match plan.ending.as_ref()? {
        Ending::DropBefore | Ending::Blackhole => Some(Err(Fault::bare(0, "cut"))),
        // Answers from before the dispatch have no body.
        Ending::Refuse {
            status: status @ (401 | 595..),
            reason,
        } => Some(Err(Fault::bare(*status, reason.clone()))),
        Ending::Refuse { status, reason } => Some(Err(Fault::new(*status, reason.clone()))),
        Ending::Answer { status, .. } => Some(Err(Fault::bare(*status, "answered by a rule"))),
        Ending::DropAfter | Ending::EmptyBody => None,
    }
}

/// An answer as a rule states it.
pub fn answer(status: u16, body: &str, content_type: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(kind) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    response
}

/// The same answer without its body.
pub fn emptied(mut response: Response<Body>) -> Response<Body> {
    *response.body_mut() = Body::empty();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.remove(TRANSFER_ENCODING);
    response
}
