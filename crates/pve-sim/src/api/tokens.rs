//! /access/users/{userid}/token: a secret is shown once, when it is made.

use serde_json::{Map, Value};

use crate::model::access::Token;

use super::call::{Call, USERS};
use super::reply::{Answer, Fault, Reply};
use super::schema::split_list;
use super::users::{listed_tokens, name, shown_token, user};

/// GET /access/users/{userid}/token
pub fn list(call: &mut Call<'_>) -> Reply {
    Answer::of(listed_tokens(user(call, &name(call))?))
}

fn token<'a>(call: &'a Call<'_>) -> Result<&'a Token, Fault> {
    let (user_name, token) = (name(call), call.segment("tokenid"));
    let missing = || Fault::died(format!("no such token '{token}' for user '{user_name}'"));
    user(call, &user_name)?.tokens.get(token).ok_or_else(missing)
}

/// GET /access/users/{userid}/token/{tokenid}
pub fn get(call: &mut Call<'_>) -> Reply {
    Answer::of(shown_token(token(call)?))
}

/// POST /access/users/{userid}/token/{tokenid}
pub fn create(call: &mut Call<'_>) -> Reply {
    let (user_name, id) = (name(call), call.segment("tokenid").to_owned());
    if user(call, &user_name)?.tokens.contains_key(&id) {
        return Err(Fault::param("tokenid", "Token already exists."));
    }
    call.lock_file(USERS, "generating token")?;
    let secret = call.world.dice.uuid();
    let sent = ["comment", "expire", "privsep"];
    let sent = sent
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), Value::from(call.params.text(key)?))));
    let mut info: Map<String, Value> = sent.collect();
    info.entry("privsep").or_insert(Value::from(1));
    let token = Token {
        secret: secret.clone(),
        privsep: call.params.text("privsep") != Some("0"),
        expire: call.params.number("expire").unwrap_or(0),
        comment: call.params.filled("comment").map(str::to_owned),
    };
    let full = format!("{user_name}!{id}");
    if let Some(user) = call.world.access.users.get_mut(&user_name) {
        user.tokens.insert(id, token);
    }
    Answer::of(serde_json::json!({"full-tokenid": full, "value": secret, "info": info}))
}

/// PUT /access/users/{userid}/token/{tokenid}
pub fn update(call: &mut Call<'_>) -> Reply {
    let mut token = token(call)?.clone();
    call.lock_file(USERS, "updating token info")?;
    if split_list(call.params.text("delete").unwrap_or_default()).any(|key| key == "comment") {
        token.comment = None;
    }
    if let Some(comment) = call.params.text("comment") {
        token.comment = Some(comment.to_owned()).filter(|comment| !comment.is_empty());
    }
    if let Some(expire) = call.params.number("expire") {
        token.expire = expire;
    }
    if let Some(privsep) = call.params.text("privsep") {
        token.privsep = privsep == "1";
    }
    let (user_name, id) = (name(call), call.segment("tokenid").to_owned());
    let mut shown = shown_token(&token);
    if call.params.flag("regenerate") {
        token.secret = call.world.dice.uuid();
        shown["value"] = Value::from(token.secret.as_str());
        shown["full-tokenid"] = Value::from(format!("{user_name}!{id}"));
    }
    if let Some(user) = call.world.access.users.get_mut(&user_name) {
        user.tokens.insert(id, token);
    }
    Answer::of(shown)
}

/// DELETE /access/users/{userid}/token/{tokenid}
pub fn delete(call: &mut Call<'_>) -> Reply {
    token(call)?;
    call.lock_file(USERS, "deleting token")?;
    let (user_name, id) = (name(call), call.segment("tokenid").to_owned());
    call.world.access.forget_token(&user_name, &id);
    Answer::null()
}
