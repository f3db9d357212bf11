//! /access/ticket: a password becomes a ticket, which a cookie carries; writes with it need the token beside it.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::access::Principal;
use crate::model::world::World;

use super::call::Call;
use super::reply::{Answer, Fault, Reply};

/// How long a ticket is good, in seconds.
const GOOD_FOR: u64 = 7200;

/// GET /access/ticket, which says nothing.
pub fn get(_call: &mut Call<'_>) -> Reply {
    Answer::null()
}

/// POST /access/ticket
pub fn create(call: &mut Call<'_>) -> Reply {
    let text = |name: &str| call.params.text(name).unwrap_or_default();
    let mut name = text("username").to_owned();
    if let Some(realm) = call.params.filled("realm").filter(|_| !name.contains('@')) {
        name = format!("{name}@{realm}");
    }
    let secs = call.world.now.secs();
    let user = call.world.access.users.get(&name).filter(|user| user.alive(secs));
    let by_password = user.is_some_and(|user| user.password.as_deref() == Some(text("password")));
    let by_ticket =
        user.is_some() && user_of(call.world, text("password")).is_some_and(|owner| owner == name);
    if !by_password && !by_ticket {
        return Err(Fault::new(401, "authentication failure"));
    }
    let mut answer = json!({
        "username": name, "ticket": ticket(call.world, &name, secs), "CSRFPreventionToken": csrf(call.world, &name, secs),
        "cap": capabilities(call.world, &name),
    });
    if call.world.nodes.len() > 1 {
        answer["clustername"] = Value::from(call.world.datacenter.name.as_str());
    }
    Answer::of(answer)
}

fn sign(world: &World, text: &str) -> String {
    hex::encode(Sha256::digest(format!("{}:{text}", world.access.key)))
}

fn ticket(world: &World, user: &str, secs: u64) -> String {
    let plain = format!("PVE:{user}:{secs:08X}");
    let signature = sign(world, &plain);
    format!("{plain}::{signature}")
}

fn csrf(world: &World, user: &str, secs: u64) -> String {
    let signature = sign(world, &format!("CSRF:{user}:{secs:08X}"));
    format!("{secs:08X}:{signature}")
}

fn fresh(world: &World, hex: &str) -> Option<u64> {
    let secs = u64::from_str_radix(hex, 16).ok()?;
    let age = world.now.secs().checked_sub(secs)?;
    (age < GOOD_FOR).then_some(secs)
}

/// The user of a good ticket.
pub fn user_of(world: &World, text: &str) -> Option<String> {
    let (plain, _) = text.split_once("::")?;
    let (user, hex) = plain.strip_prefix("PVE:")?.rsplit_once(':')?;
    let secs = fresh(world, hex)?;
    let known = world
        .access
        .users
        .get(user)
        .is_some_and(|user| user.alive(world.now.secs()));
    (known && ticket(world, user, secs) == text).then(|| user.to_owned())
}

/// Whether this is a good token beside a user's ticket.
pub fn is_csrf(world: &World, user: &str, text: &str) -> bool {
    let secs = text.split_once(':').and_then(|(hex, _)| fresh(world, hex));
    secs.is_some_and(|secs| csrf(world, user, secs) == text)
}

/// What a user may do at the top of each area, for a page to show.
fn capabilities(world: &World, user: &str) -> Map<String, Value> {
    const AREAS: &[(&str, &str, &[&str])] = &[
        (
            "access",
            "/access/groups",
            &["User.", "Group.", "Permissions.Modify"],
        ),
        ("dc", "/", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("mapping", "/mapping", &["Mapping.", "Permissions.Modify"]),
        ("nodes", "/nodes", &["Sys.", "Permissions.Modify"]),
        ("sdn", "/sdn", &["SDN.", "Permissions.Modify"]),
        ("storage", "/storage", &["Datastore.", "Permissions.Modify"]),
        ("vms", "/vms", &["VM.", "Permissions.Modify"]),
    ];
    let who = Principal::parse(user);
    let area = |(name, path, shown): &(&str, &str, &[&str])| {
        let held = world.access.privileges(&who, path, &world.pools).into_keys();
        let held = held.filter(|privilege| shown.iter().any(|start| privilege.starts_with(start)));
        let held: Map<String, Value> = held.map(|privilege| (privilege, Value::from(1))).collect();
        ((*name).to_owned(), Value::Object(held))
    };
    AREAS.iter().map(area).collect()
}
