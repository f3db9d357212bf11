//! Control routes that turn a state of the whole: faults, doors, servers, limits, time.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{self, BadRule, NewRule};
use super::{Problem, problem};
use crate::sim::Shared;

/// The longest that a standing clock is moved at once.
const LEAP: u64 = 366 * 24 * 3_600_000;

fn unprocessable(text: impl Into<String>) -> Problem {
    problem(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// GET /faults
pub async fn list_faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.faults().list()))
}

/// POST /faults
pub async fn add_fault(
    State(shared): State<Arc<Shared>>,
    Json(rule): Json<NewRule>,
) -> Result<Json<Value>, Problem> {
    let bad = |error: BadRule| unprocessable(error.to_string());
    let read = faults::read(rule).map_err(bad)?;
    read.check_hands(&shared).await.map_err(bad)?;
    let id = shared.faults().add(read).map_err(bad)?;
    Ok(Json(json!({"id": id})))
}

/// DELETE /faults
pub async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults().remove(None);
    StatusCode::NO_CONTENT
}

/// DELETE /faults/{id}
pub async fn remove_fault(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> StatusCode {
    shared.faults().remove(Some(id));
    StatusCode::NO_CONTENT
}

/// A switch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct On {
    on: bool,
}

/// POST /refuse-connections
pub async fn refuse_connections(State(shared): State<Arc<Shared>>, Json(on): Json<On>) -> StatusCode {
    shared.door.send_replace(!on.on);
    StatusCode::NO_CONTENT
}

/// How the authoritative servers behave; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// 1 or 2; both if it is not given.
    server: Option<usize>,
    delay_ms: Option<u64>,
    stale: Option<bool>,
    servfail: Option<bool>,
    silent: Option<bool>,
    slow_ms: Option<u64>,
    negative_ttl: Option<u32>,
}

/// PUT /dns
pub async fn dns(State(shared): State<Arc<Shared>>, Json(new): Json<Dns>) -> Result<StatusCode, Problem> {
    let Dns {
        server,
        delay_ms,
        stale,
        servfail,
        silent,
        slow_ms,
        negative_ttl,
    } = new;
    if server.is_some_and(|server| !(1..=2).contains(&server)) {
        return Err(unprocessable("server: the servers are 1 and 2"));
    }
    if slow_ms.is_some_and(|slow| slow > 60_000) {
        return Err(unprocessable("slow_ms: a server thinks for a minute at most"));
    }
    let mut world = shared.world();
    let servers = &mut world.servers;
    servers.negative_ttl = negative_ttl.unwrap_or(servers.negative_ttl);
    for (number, one) in (1..).zip(&mut servers.each) {
        if server.is_some_and(|server| server != number) {
            continue;
        }
        one.delay = delay_ms.map_or(one.delay, Duration::from_millis);
        one.stale = stale.unwrap_or(one.stale);
        one.servfail = servfail.unwrap_or(one.servfail);
        one.silent = silent.unwrap_or(one.silent);
        one.slow = slow_ms.map_or(one.slow, Duration::from_millis);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// POST /resolver/flush: the resolver forgets what it knows.
pub async fn flush(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.cache().flush();
    StatusCode::NO_CONTENT
}

/// The limits of calls; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    calls: Option<u32>,
    window_seconds: Option<u64>,
    block_seconds: Option<u64>,
    per_second: Option<u32>,
    retry_after: Option<bool>,
}

/// PUT /rate
pub async fn rate(State(shared): State<Arc<Shared>>, Json(new): Json<Rate>) -> StatusCode {
    let Rate {
        calls,
        window_seconds,
        block_seconds,
        per_second,
        retry_after,
    } = new;
    let mut world = shared.world();
    let limits = &mut world.rates.limits;
    limits.calls = calls.unwrap_or(limits.calls);
    limits.window = window_seconds.map_or(limits.window, Duration::from_secs);
    limits.block = block_seconds.map_or(limits.block, Duration::from_secs);
    limits.per_second = per_second.unwrap_or(limits.per_second);
    limits.retry_after = retry_after.unwrap_or(limits.retry_after);
    StatusCode::NO_CONTENT
}

/// DELETE /rate: nobody has made a call yet.
pub async fn forget_rates(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.world().rates.forget();
    StatusCode::NO_CONTENT
}

/// The form of answers; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    error_chain: Option<bool>,
}

/// PUT /answers
pub async fn answers(State(shared): State<Arc<Shared>>, Json(new): Json<Answers>) -> StatusCode {
    let Answers { error_chain } = new;
    let mut world = shared.world();
    world.error_chain = error_chain.unwrap_or(world.error_chain);
    StatusCode::NO_CONTENT
}

/// How far a standing clock is moved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    pass_ms: u64,
}

/// POST /clock
pub async fn clock(
    State(shared): State<Arc<Shared>>,
    Json(pass): Json<Pass>,
) -> Result<Json<Value>, Problem> {
    if pass.pass_ms > LEAP {
        return Err(unprocessable("pass_ms: a year at most"));
    }
    if !shared.clock.pass(Duration::from_millis(pass.pass_ms)) {
        return Err(problem(
            StatusCode::CONFLICT,
            "this clock passes by itself (--standing-clock)",
        ));
    }
    Ok(Json(json!({"time_ms": shared.clock.now().millis()})))
}

/// POST /reset
pub async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}
