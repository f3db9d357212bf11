//! Control routes that turn a state of the whole cluster: the log, faults, doors, quorum, nodes, times.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::NewRule;
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
pub async fn faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.faults().list()))
}

/// POST /faults
pub async fn add_fault(
    State(shared): State<Arc<Shared>>,
    Json(rule): Json<NewRule>,
) -> Result<Json<Value>, Problem> {
    match shared.faults().add(rule) {
        Ok(id) => Ok(Json(json!({"id": id}))),
        Err(error) => Err(problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
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
pub async fn quorum(State(shared): State<Arc<Shared>>, Json(on): Json<On>) -> StatusCode {
    shared.world().datacenter.quorate = on.on;
    StatusCode::NO_CONTENT
}

/// Whether a node is alive.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Online {
    online: bool,
}

/// POST /nodes/{node}
pub async fn node(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(online): Json<Online>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let missing = || problem(StatusCode::NOT_FOUND, "no such node");
    world.nodes.get_mut(&name).ok_or_else(missing)?.online = online.online;
    Ok(StatusCode::NO_CONTENT)
}

/// Durations in seconds; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct NewDurations {
    clone: Option<f64>,
    full_clone: Option<f64>,
    start: Option<f64>,
    stop: Option<f64>,
    shutdown: Option<f64>,
    destroy: Option<f64>,
    resize: Option<f64>,
    stats_lag: Option<f64>,
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
    ];
    for (seconds, place) in pairs {
        if let Some(seconds) = seconds {
            *place = seconds_of(seconds)?;
        }
    }
    world.durations = changed;
    if let Some(lag) = stats_lag {
        world.set_stats_lag(seconds_of(lag)?);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn seconds_of(seconds: f64) -> Result<Duration, Problem> {
    let bad = |_| {
        problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "a duration is a number of seconds, not negative",
        )
    };
    Duration::try_from_secs_f64(seconds).map_err(bad)
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

/// A storage's state.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageState {
    enabled: bool,
}

/// PATCH /storages/{name}
pub async fn storage(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(state): Json<StorageState>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let missing = || problem(StatusCode::NOT_FOUND, "no such storage");
    world.storages.get_mut(&name).ok_or_else(missing)?.enabled = state.enabled;
    Ok(StatusCode::NO_CONTENT)
}

/// POST /reset
pub async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}
