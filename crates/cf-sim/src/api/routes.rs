//! The table of routes.

use super::call::Known;
use super::envelope::Answer;
use super::{records, tokens, zones};
use crate::model::refusal::Refusal;
use crate::model::world::World;

/// The beginning of every path.
pub const PREFIX: &str = "/client/v4";
/// The path of a token that asks about itself.
pub const VERIFY: &str = "/user/tokens/verify";

/// Answers a call whose caller is known.
pub fn dispatch(world: &mut World, path: &str, call: &Known<'_>) -> Result<Answer, Refusal> {
    let no_route = || Refusal::no_route(&format!("{PREFIX}{path}"));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let ids = parts.iter().skip(1).step_by(2);
    if parts.first() == Some(&"zones") && !ids.copied().all(is_id) {
        return Err(no_route());
    }
    match (parts.as_slice(), call.method) {
        (["user", "tokens", "verify"], "GET") => Ok(tokens::verify(call)),
        (["zones"], "GET") => zones::list(world, call),
        (["zones", zone], "GET") => zones::get(world, zone, call),
        (["zones", zone, "dns_records"], "GET") => records::list(world, zone, call),
        (["zones", zone, "dns_records"], "POST") => records::create(world, zone, call),
        (["zones", zone, "dns_records", id], "GET") => records::get(world, (zone, id), call),
        (["zones", zone, "dns_records", id], "PUT") => records::change(world, (zone, id), (call, true)),
        (["zones", zone, "dns_records", id], "PATCH") => records::change(world, (zone, id), (call, false)),
        (["zones", zone, "dns_records", id], "DELETE") => records::delete(world, (zone, id), call),
        (
            ["user", "tokens", "verify"]
            | ["zones"]
            | ["zones", _]
            | ["zones", _, "dns_records"]
            | ["zones", _, "dns_records", _],
            _,
        ) => Err(Refusal::method()),
        _ => Err(no_route()),
    }
}

/// Whether this can be the id of an object.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
