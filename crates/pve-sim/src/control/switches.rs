//! Control routes that turn a state of the whole cluster: the log, faults, doors, quorum, times.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{self, BadRule, NewRule};
use crate::model::pace::{BadSpan, Span};
use crate::sim::Shared;

/// An error of the control port.
pub type Problem = (StatusCode, Json<Value>);

/// A text as an error.
pub fn problem(status: StatusCode, text: impl Into<String>) -> Problem {
    (status, Json(json!({"error": text.into()})))
}

/// A switch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct On {
    on: bool,
}

/// Which requests.
#[derive(Deserialize)]
pub struct Since {
    #[serde(default)]
    since: u64,
    mutating: Option<bool>,
}

/// GET /requests
pub async fn requests(State(shared): State<Arc<Shared>>, Query(query): Query<Since>) -> Json<Value> {
    let log = shared.requests();
    let wanted = log
        .since(query.since)
        .filter(|entry| query.mutating.is_none_or(|wanted| wanted == entry.mutating));
    Json(json!({"last": log.last(), "requests": wanted.collect::<Vec<_>>()}))
}

/// DELETE /requests: forgets them; numbers go on.
pub async fn clear_requests(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.requests().clear();
    StatusCode::NO_CONTENT
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
    let bad = |error: BadRule| problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    let read = faults::read(rule).map_err(bad)?;
    read.check_hands(&shared).await.map_err(bad)?;
    let now = shared.clock.now();
    let id = shared.faults().add(read, now).map_err(bad)?;
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

/// POST /refuse-connections
pub async fn refuse_connections(State(shared): State<Arc<Shared>>, Json(on): Json<On>) -> StatusCode {
    shared.door.send_replace(!on.on);
    StatusCode::NO_CONTENT
}

/// POST /quorum
pub async fn quorum(
    State(shared): State<Arc<Shared>>,
    Json(on): Json<On>,
) -> Result<StatusCode, (StatusCode, String)> {
    let mut world = shared.world();
    if world.nodes.len() < 2 {
        return Err((
            StatusCode::CONFLICT,
            "a single node has no quorum to lose".to_owned(),
        ));
    }
    world.datacenter.parted = !on.on;
    Ok(StatusCode::NO_CONTENT)
}

/// A time: seconds, or a span of them as in "0.2..0.6".
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Exactly(f64),
    Between(String),
}

impl Time {
    fn span(&self) -> Result<Span, Problem> {
        let text = match self {
            Self::Exactly(seconds) => seconds.to_string(),
            Self::Between(text) => text.clone(),
        };
        let bad = |error: BadSpan| problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        text.parse().map_err(bad)
    }
}

/// Durations; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct NewDurations {
    clone: Option<Time>,
    full_clone: Option<Time>,
    start: Option<Time>,
    stop: Option<Time>,
    shutdown: Option<Time>,
    destroy: Option<Time>,
    resize: Option<Time>,
    cleanup: Option<Time>,
    stats_lag: Option<Time>,
}

/// PUT /durations
pub async fn durations(
    State(shared): State<Arc<Shared>>,
    Json(new): Json<NewDurations>,
) -> Result<StatusCode, Problem> {
    let NewDurations {
        clone,
        full_clone,
        start,
        stop,
        shutdown,
        destroy,
        resize,
        cleanup,
        stats_lag,
    } = new;
    let mut world = shared.world();
    let mut changed = world.durations;
    let pairs = [
        (clone, &mut changed.clone),
        (full_clone, &mut changed.full_clone),
        (start, &mut changed.start),
        (stop, &mut changed.stop),
        (shutdown, &mut changed.shutdown),
        (destroy, &mut changed.destroy),
        (resize, &mut changed.resize),
        (cleanup, &mut changed.cleanup),
    ];
    for (time, place) in pairs {
        if let Some(time) = time {
            *place = time.span()?;
        }
    }
    let lag = stats_lag.map(|lag| lag.span()).transpose()?;
    world.durations = changed;
    if let Some(lag) = lag {
        world.set_stats_lag(lag.most());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the datacenter firewall is on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enable {
    enable: bool,
}

/// PUT /firewall
pub async fn firewall(State(shared): State<Arc<Shared>>, Json(enable): Json<Enable>) -> StatusCode {
    let value = Value::from(u8::from(enable.enable));
    shared
        .world()
        .datacenter
        .firewall
        .insert("enable".to_owned(), value);
    StatusCode::NO_CONTENT
}

/// POST /reset
pub async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}
