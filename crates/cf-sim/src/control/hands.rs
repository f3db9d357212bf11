//! Foreign hands: somebody makes, changes or removes zones, records and tokens past the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, problem};
use crate::model::names;
use crate::model::refusal::Refusal;
use crate::model::token::{Scope, Status, Token, is_token};
use crate::model::wish::Wish;
use crate::model::zone::{Plan, Zone};
use crate::sim::Shared;

type Answered = Result<Json<Value>, Problem>;

fn missing(what: &str) -> Problem {
    problem(StatusCode::NOT_FOUND, format!("no such {what}"))
}

fn bad(refusal: &Refusal) -> Problem {
    problem(StatusCode::UNPROCESSABLE_ENTITY, refusal.message.clone())
}

/// A zone that somebody adds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewZone {
    name: String,
    quota: Option<usize>,
}

/// POST /zones
pub async fn create_zone(State(shared): State<Arc<Shared>>, Json(new): Json<NewZone>) -> Answered {
    let NewZone { name, quota } = new;
    let name = name.to_ascii_lowercase();
    let mut world = shared.world();
    if !names::is_name(&name) {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "not a name"));
    }
    if world.zone(&name).is_some() {
        return Err(problem(StatusCode::CONFLICT, "that zone exists"));
    }
    let plan = Plan::free(quota.unwrap_or(shared.start.quota));
    let id = world.dice.id();
    let zone = Zone::new(id.clone(), &name, plan, shared.clock.now());
    world.zones.insert(id.clone(), zone);
    Ok(Json(json!({"id": id, "name": name})))
}

/// A change of a zone; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    status: Option<String>,
    quota: Option<usize>,
    comment_max: Option<usize>,
    tags_max: Option<usize>,
    quotes_txt: Option<bool>,
    cname_alone: Option<bool>,
}

/// PATCH /zones/{zone}
pub async fn change_zone(
    State(shared): State<Arc<Shared>>,
    Path(zone): Path<String>,
    Json(change): Json<ZoneChange>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let id = world.zone_id(&zone).ok_or_else(|| missing("zone"))?;
    let zone = world.zones.get_mut(&id).ok_or_else(|| missing("zone"))?;
    let ZoneChange {
        status,
        quota,
        comment_max,
        tags_max,
        quotes_txt,
        cname_alone,
    } = change;
    zone.status = status.unwrap_or_else(|| zone.status.clone());
    let plan = &mut zone.plan;
    plan.records = quota.unwrap_or(plan.records);
    plan.comment = comment_max.unwrap_or(plan.comment);
    plan.tags = tags_max.unwrap_or(plan.tags);
    plan.quotes_txt = quotes_txt.unwrap_or(plan.quotes_txt);
    plan.cname_alone = cname_alone.unwrap_or(plan.cname_alone);
    Ok(StatusCode::NO_CONTENT)
}

/// DELETE /zones/{zone}
pub async fn delete_zone(
    State(shared): State<Arc<Shared>>,
    Path(zone): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let id = world.zone_id(&zone).ok_or_else(|| missing("zone"))?;
    world.zones.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}

/// POST /zones/{zone}/records: any type, any content; only the fields must be of their kinds.
pub async fn create_record(
    State(shared): State<Arc<Shared>>,
    Path(zone): Path<String>,
    Json(body): Json<Value>,
) -> Answered {
    let mut world = shared.world();
    let at = world.zone(&zone).ok_or_else(|| missing("zone"))?;
    let (zone, origin) = (at.id.clone(), at.name.clone());
    let wish = Wish::read(&body).map_err(|refusal| bad(&refusal))?;
    let mut fields = wish.whole().map_err(|refusal| bad(&refusal))?;
    fields.name = names::normal(&fields.name, &origin).map_err(|refusal| bad(&refusal))?;
    let id = world.dice.id();
    let record = world.keep(&zone, id, fields, shared.clock.now());
    Ok(Json(record.shown()))
}

/// PATCH /zones/{zone}/records/{id}
pub async fn change_record(
    State(shared): State<Arc<Shared>>,
    Path((zone, id)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Answered {
    let mut world = shared.world();
    let at = world.zone(&zone).ok_or_else(|| missing("zone"))?;
    let there = at.record(&id).ok_or_else(|| missing("record"))?.fields.clone();
    let zone = at.id.clone();
    let wish = Wish::read(&body).map_err(|refusal| bad(&refusal))?;
    let fields = wish.over(there).map_err(|refusal| bad(&refusal))?;
    let record = world.keep(&zone, id, fields, shared.clock.now());
    Ok(Json(record.shown()))
}

/// DELETE /zones/{zone}/records/{id}
pub async fn delete_record(
    State(shared): State<Arc<Shared>>,
    Path((zone, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let zone = world.zone_id(&zone).ok_or_else(|| missing("zone"))?;
    let gone = world.delete((&zone, &id), shared.clock.now());
    gone.map(|()| StatusCode::NO_CONTENT)
        .map_err(|_| missing("record"))
}

/// A token that somebody makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    #[serde(default = "market")]
    user: String,
    scopes: Vec<Scope>,
    secret: Option<String>,
}

fn market() -> String {
    "market".to_owned()
}

/// POST /tokens
pub async fn create_token(State(shared): State<Arc<Shared>>, Json(new): Json<NewToken>) -> Answered {
    let NewToken { user, scopes, secret } = new;
    if secret.as_deref().is_some_and(|secret| !is_token(secret)) {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "not a token"));
    }
    let mut world = shared.world();
    let token = Token {
        id: world.dice.id(),
        secret: secret.unwrap_or_else(|| world.dice.secret()),
        user,
        status: Status::Active,
        scopes,
    };
    let answer = json!({"id": token.id, "token": token.secret});
    world.tokens.push(token);
    Ok(Json(answer))
}

/// A change of a token; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenChange {
    status: Option<Status>,
    scopes: Option<Vec<Scope>>,
}

/// PATCH /tokens/{id}
pub async fn change_token(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(change): Json<TokenChange>,
) -> Result<StatusCode, Problem> {
    let TokenChange { status, scopes } = change;
    let mut world = shared.world();
    let token = world.tokens.iter_mut().find(|token| token.id == id);
    let token = token.ok_or_else(|| missing("token"))?;
    token.status = status.unwrap_or(token.status);
    token.scopes = scopes.unwrap_or_else(|| token.scopes.clone());
    Ok(StatusCode::NO_CONTENT)
}

/// DELETE /tokens/{id}
pub async fn delete_token(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let before = world.tokens.len();
    world.tokens.retain(|token| token.id != id);
    if world.tokens.len() == before {
        return Err(missing("token"));
    }
    Ok(StatusCode::NO_CONTENT)
}
