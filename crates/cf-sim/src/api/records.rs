//! Calls about records.

use serde_json::{Value, json};

use super::call::Known;
use super::envelope::Answer;
use super::filter::{Filter, Order};
use super::page::Page;
use crate::model::record::Record;
use crate::model::refusal::Refusal;
use crate::model::token::Right;
use crate::model::wish::Wish;
use crate::model::world::World;

/// The least, the usual and the largest page.
const PAGES: (usize, usize, usize) = (1, 100, 5_000_000);

/// `GET /zones/{zone}/dns_records`
pub fn list(world: &World, zone: &str, call: &Known<'_>) -> Result<Answer, Refusal> {
    let zone = world.permitted(call.token, zone, Right::DnsRead)?;
    let page = Page::of(call.query, PAGES)?;
    let (filter, order) = (Filter::of(call.query)?, Order::of(call.query)?);
    let mut records: Vec<&Record> = zone.records().filter(|record| filter.fits(record)).collect();
    records.sort_by(|a, b| order.compare(a, b));
    let shown: Vec<Value> = records.into_iter().map(Record::shown).collect();
    Ok(page.cut(&shown))
}

/// `GET /zones/{zone}/dns_records/{id}`
pub fn get(world: &World, (zone, id): (&str, &str), call: &Known<'_>) -> Result<Answer, Refusal> {
    let zone = world.permitted(call.token, zone, Right::DnsRead)?;
    let record = zone.record(id).ok_or_else(Refusal::no_record)?;
    Ok(Answer::good(record.shown()))
}

/// `POST /zones/{zone}/dns_records`
pub fn create(world: &mut World, zone: &str, call: &Known<'_>) -> Result<Answer, Refusal> {
    world.permitted(call.token, zone, Right::DnsEdit)?;
    let record = world.create(zone, wish(call)?, call.now)?;
    Ok(Answer::good(record.shown()))
}

/// `PUT and PATCH /zones/{zone}/dns_records/{id}`
pub fn change(
    world: &mut World,
    (zone, id): (&str, &str),
    (call, whole): (&Known<'_>, bool),
) -> Result<Answer, Refusal> {
    world.permitted(call.token, zone, Right::DnsEdit)?;
    let record = world.change((zone, id), (wish(call)?, whole), call.now)?;
    Ok(Answer::good(record.shown()))
}

/// `DELETE /zones/{zone}/dns_records/{id}`
pub fn delete(world: &mut World, (zone, id): (&str, &str), call: &Known<'_>) -> Result<Answer, Refusal> {
    world.permitted(call.token, zone, Right::DnsEdit)?;
    world.delete((zone, id), call.now)?;
    Ok(Answer::good(json!({"id": id})))
}

fn wish(call: &Known<'_>) -> Result<Wish, Refusal> {
    let body = call.body.as_ref().map_err(Clone::clone)?;
    Wish::read(body)
}
