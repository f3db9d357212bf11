//! Control routes that tell what is and what happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, problem};
use crate::model::publish::Published;
use crate::model::record::Record;
use crate::model::world::World;
use crate::sim::Shared;

/// Which requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
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

/// GET /questions: what the servers and the resolver were asked.
pub async fn questions(State(shared): State<Arc<Shared>>, Query(query): Query<Since>) -> Json<Value> {
    let world = shared.world();
    let asked: Vec<_> = world.servers.since(query.since).collect();
    Json(json!({"last": world.servers.last(), "questions": asked}))
}

/// GET /zones
pub async fn zones(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let shown = world.zones.values().map(|zone| {
        let waiting: Vec<usize> = zone.published.iter().map(Published::waiting).collect();
        json!({
            "id": zone.id, "name": zone.name, "status": zone.status, "records": zone.len(),
            "quota": zone.plan.records, "unpublished": waiting,
        })
    });
    Json(Value::from(shown.collect::<Vec<_>>()))
}

/// GET /zones/{zone}/records: the truth, whoever may see it.
pub async fn records(
    State(shared): State<Arc<Shared>>,
    Path(zone): Path<String>,
) -> Result<Json<Value>, Problem> {
    let world = shared.world();
    let zone = world
        .zone(&zone)
        .ok_or_else(|| problem(StatusCode::NOT_FOUND, "no such zone"))?;
    let mut records: Vec<&Record> = zone.records().collect();
    records.sort_by_key(|record| (record.created, &record.fields.name, &record.id));
    Ok(Json(records.into_iter().map(Record::shown).collect()))
}

/// GET /tokens: all but their secrets.
pub async fn tokens(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shown_tokens(&shared.world()))
}

fn shown_tokens(world: &World) -> Value {
    let tokens = world.tokens.iter().map(
        |token| json!({"id": token.id, "user": token.user, "status": token.status, "scopes": token.scopes}),
    );
    Value::from(tokens.collect::<Vec<_>>())
}
