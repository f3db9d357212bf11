//! Calls about zones.

use serde_json::Value;

use super::call::Known;
use super::envelope::Answer;
use super::page::Page;
use crate::model::refusal::Refusal;
use crate::model::token::Right;
use crate::model::world::World;

/// The least, the usual and the largest page.
const PAGES: (usize, usize, usize) = (5, 20, 50);

/// GET /zones: those that the token may see.
pub fn list(world: &World, call: &Known<'_>) -> Result<Answer, Refusal> {
    let page = Page::of(call.query, PAGES)?;
    let (name, status) = (call.query.get("name"), call.query.get("status"));
    let mut zones: Vec<_> = world
        .zones
        .values()
        .filter(|zone| call.token.may(Right::ZoneRead, &zone.name))
        .filter(|zone| name.is_none_or(|name| zone.name.eq_ignore_ascii_case(name)))
        .filter(|zone| status.is_none_or(|status| zone.status == status))
        .collect();
    zones.sort_by(|a, b| a.name.cmp(&b.name));
    let names = World::name_servers();
    let shown: Vec<Value> = zones.iter().map(|zone| zone.shown(&names)).collect();
    Ok(page.cut(&shown))
}

/// GET /zones/{zone}
pub fn get(world: &World, zone: &str, call: &Known<'_>) -> Result<Answer, Refusal> {
    let zone = world.permitted(call.token, zone, Right::ZoneRead)?;
    Ok(Answer::good(zone.shown(&World::name_servers())))
}
