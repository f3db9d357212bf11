//! Users, tokens and roles: those with which the recording was made, and those of which a call about them speaks.

use std::collections::BTreeSet;

use pve_sim::model::access::{Principal, Token, User};
use pve_sim::model::world::World;
use serde_json::Value;

use crate::evidence::Unit;
use crate::pairs::Pair;

/// Root's token.
pub const ROOT: &str = "root@pam!t1";
/// The service token.
pub const SERVICE: &str = "dc@pve!dc";
/// Another token of another user.
pub const OTHER: &str = "svc@pve!agent";
/// The secret of all of them.
pub const SECRET: &str = "11111111-2222-4333-8444-555555555555";
/// Root's password.
pub const PASSWORD: &str = "testbed";

/// The accounts that make the recorded calls.
pub fn callers(world: &mut World) {
    for (full, privsep) in [(ROOT, false), (SERVICE, true), (OTHER, true)] {
        let token = Token { privsep, ..fresh() };
        let who = Principal::parse(full);
        let name = who.token.unwrap_or_default();
        user(world, &who.user).tokens.insert(name, token);
    }
    user(world, "root@pam").password = Some(PASSWORD.to_owned());
}

fn fresh() -> Token {
    Token {
        secret: SECRET.to_owned(),
        privsep: true,
        expire: 0,
        comment: None,
    }
}

/// A user, who is made if there is none.
fn user<'a>(world: &'a mut World, name: &str) -> &'a mut User {
    let entry = world.access.users.entry(name.to_owned());
    entry.or_insert_with(|| User {
        enable: true,
        ..User::default()
    })
}

/// What a call about users, tokens, roles or rights takes for granted.
pub fn prepare(world: &mut World, unit: &Unit<'_>) {
    refused(world, unit);
    let pair = unit.asked;
    if pair.segments.first().is_none_or(|part| part != "access") {
        return;
    }
    match pair.template().as_str() {
        "/access/users" if pair.method == "GET" => listed(world, pair),
        "/access/users" | "/access/users/{id}" => of_user(world, unit),
        "/access/users/{id}/token" | "/access/users/{id}/token/{id}" => of_tokens(world, unit),
        "/access/roles" | "/access/roles/{id}" => of_role(world, unit),
        "/access/acl" if pair.writes() => of_rights(world, unit),
        _ => {}
    }
}

/// Logins that were refused say why, before 9.1.5: the user was disabled, or something was too old.
fn refused(world: &mut World, unit: &Unit<'_>) {
    if unit.asked.status() != 401 {
        return;
    }
    if unit.asked.raw["auth_name"] == "svc" {
        user(world, "svc@pve").enable = false;
    }
    if let Some(name) = unit.find(r"user '([^']+)' is disabled") {
        user(world, &name).enable = false;
    }
    if let Some(name) = unit.find(r"user '([^']+)' access expired") {
        user(world, &name).expire = 1_000_000_000;
    }
    if let Some(name) = unit.find(r"token '([^']+)' access expired") {
        let token = Token {
            expire: 1_000_000_000,
            ..fresh()
        };
        user(world, "svc@pve").tokens.insert(name, token);
    }
}

/// Exactly those that a list shows; the caller's tokens stay with their users.
fn listed(world: &mut World, pair: &Pair) {
    if pair.raw["auth_name"] != "root" {
        return;
    }
    let list = || pair.data().as_array().into_iter().flatten();
    let shown: BTreeSet<&str> = list().filter_map(|entry| entry["userid"].as_str()).collect();
    world.access.users.retain(|name, _| shown.contains(name.as_str()));
    for entry in list() {
        facts(user(world, entry["userid"].as_str().unwrap_or_default()), entry);
    }
}

/// What an answer shows of a user.
fn facts(user: &mut User, shown: &Value) {
    user.enable = shown["enable"] != 0;
    user.expire = shown["expire"].as_u64().unwrap_or(0);
    user.comment = shown["comment"].as_str().map(str::to_owned);
    for key in ["email", "firstname", "lastname", "keys"] {
        if let Some(text) = shown[key].as_str() {
            user.about.insert(key.to_owned(), text.to_owned());
        }
    }
}

fn of_user(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    let Some(name) = pair
        .behind("users")
        .or(pair.params.get("userid").map(String::as_str))
    else {
        return;
    };
    let makes = pair.method == "POST" && unit.good();
    if makes || unit.says(&format!("no such user ('{name}')")) {
        world.access.users.remove(name);
    } else if pair.status() == 200 || unit.says("already exists") {
        let user = user(world, name);
        if pair.data().is_object() {
            facts(user, pair.data());
        }
        if pair.data().get("tokens").is_some_and(Value::is_null) {
            user.tokens.clear();
        }
    }
}

fn of_tokens(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    let Some(name) = pair.behind("users") else { return };
    let shown = |data: &Value| Token {
        privsep: data["privsep"] != 0,
        expire: data["expire"].as_u64().unwrap_or(0),
        comment: data["comment"].as_str().map(str::to_owned),
        ..fresh()
    };
    if let Some(list) = pair.data().as_array() {
        let of_list = list.iter().map(|entry| {
            (
                entry["tokenid"].as_str().unwrap_or_default().to_owned(),
                shown(entry),
            )
        });
        user(world, name).tokens = of_list.collect();
    }
    let Some(id) = pair.behind("token") else { return };
    let makes = pair.method == "POST" && unit.good();
    if makes || unit.says(&format!("no such token '{id}'")) {
        user(world, name).tokens.remove(id);
    } else if pair.status() == 200 || unit.says("already exists") {
        let token = shown(pair.data());
        user(world, name).tokens.insert(id.to_owned(), token);
    }
}

fn of_role(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    let Some(name) = pair
        .behind("roles")
        .or(pair.params.get("roleid").map(String::as_str))
    else {
        return;
    };
    let makes = pair.method == "POST" && unit.good();
    if makes || unit.says(&format!("role '{name}' does not exist")) {
        return drop(world.access.roles.remove(name));
    }
    if pair.status() == 200 || unit.says("already exists") {
        let shown = pair.data().as_object().into_iter().flatten();
        let privileges = shown.map(|(privilege, _)| privilege.clone()).collect();
        world.access.roles.insert(name.to_owned(), privileges);
    }
}

/// The roles and the holders that a change of rights names, but for those that it did not find.
fn of_rights(world: &mut World, unit: &Unit<'_>) {
    let list = |key: &str| {
        let text = unit.asked.params.get(key).map_or("", String::as_str);
        let names = text.split(',').filter(|name| !name.is_empty());
        let there = names.filter(|name| !unit.says(&format!("'{name}' does not exist")));
        there.map(str::to_owned).collect::<Vec<_>>()
    };
    for role in list("roles") {
        world.access.roles.entry(role).or_default();
    }
    for name in list("users") {
        user(world, &name);
    }
    for who in list("tokens").iter().map(|full| Principal::parse(full)) {
        let tokens = &mut user(world, &who.user).tokens;
        tokens.entry(who.token.unwrap_or_default()).or_insert_with(fresh);
    }
}
