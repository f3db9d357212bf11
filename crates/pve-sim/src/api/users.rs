//! /access/users: who there is.

use serde_json::{Map, Value, json};

use crate::model::access::{Token, User};

use super::call::{Call, USERS};
use super::params::Params;
use super::reply::{Answer, Fault, Reply};

/// The name of the call's user.
pub fn name(call: &Call<'_>) -> String {
    call.fill("{userid}")
}

/// The call's user.
pub fn user<'a>(call: &'a Call<'_>, name: &str) -> Result<&'a User, Fault> {
    let missing = || Fault::died(format!("no such user ('{name}')"));
    call.world.access.users.get(name).ok_or_else(missing)
}

/// GET /access/users: everybody sees at least their own.
pub fn list(call: &mut Call<'_>) -> Reply {
    let all = call.need("/access/groups", &["User.Modify", "Sys.Audit"]).is_ok();
    let full = call.params.flag("full");
    let enabled = call.params.text("enabled").map(|on| on == "1");
    let visible = call.world.access.users.iter().filter(|(name, user)| {
        (all || **name == call.who.full()) && enabled.is_none_or(|enabled| enabled == user.enable)
    });
    let list = visible.map(|(name, user)| {
        let mut entry = facts(user);
        entry.insert("userid".to_owned(), Value::from(name.as_str()));
        let realm = name.rsplit_once('@').map_or("", |(_, realm)| realm);
        if matches!(realm, "pam" | "pve") {
            entry.insert("realm-type".to_owned(), Value::from(realm));
        }
        if full {
            entry.insert("tokens".to_owned(), Value::from(listed_tokens(user)));
            entry.insert("groups".to_owned(), Value::from(""));
        }
        Value::Object(entry)
    });
    Answer::of(list.collect::<Vec<_>>())
}

fn facts(user: &User) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("enable".to_owned(), Value::from(u8::from(user.enable)));
    entry.insert("expire".to_owned(), Value::from(user.expire));
    let texts = user
        .about
        .iter()
        .map(|(key, text)| (key.clone(), Value::from(text.as_str())));
    entry.extend(texts);
    if let Some(comment) = &user.comment {
        entry.insert("comment".to_owned(), Value::from(comment.as_str()));
    }
    entry
}

/// GET /access/users/{userid}
pub fn get(call: &mut Call<'_>) -> Reply {
    let user = user(call, &name(call))?;
    let mut entry = facts(user);
    entry.insert("groups".to_owned(), json!([]));
    let tokens = user
        .tokens
        .iter()
        .map(|(name, token)| (name.clone(), shown_token(token)));
    let tokens: Map<String, Value> = tokens.collect();
    let shown = if tokens.is_empty() {
        Value::Null
    } else {
        Value::Object(tokens)
    };
    entry.insert("tokens".to_owned(), shown);
    Answer::of(entry)
}

/// POST /access/users
pub fn create(call: &mut Call<'_>) -> Reply {
    let name = name(call);
    call.lock_file(USERS, "create user")?;
    if call.world.access.users.contains_key(&name) {
        return Err(Fault::died(format!(
            "create user failed: user '{name}' already exists"
        )));
    }
    let mut user = User {
        enable: true,
        password: call.params.filled("password").map(str::to_owned),
        ..User::default()
    };
    take(&mut user, call.params);
    call.world.access.users.insert(name, user);
    Answer::null()
}

fn take(user: &mut User, params: &Params) {
    if let Some(enable) = params.text("enable") {
        user.enable = enable == "1";
    }
    if let Some(expire) = params.number("expire") {
        user.expire = expire;
    }
    if let Some(comment) = params.text("comment") {
        user.comment = Some(comment.to_owned()).filter(|comment| !comment.is_empty());
    }
    for key in ["email", "firstname", "lastname", "keys"] {
        if let Some(text) = params.text(key) {
            user.about.insert(key.to_owned(), text.to_owned());
        }
    }
}

/// PUT /access/users/{userid}
pub fn update(call: &mut Call<'_>) -> Reply {
    let name = name(call);
    user(call, &name)?;
    call.lock_file(USERS, "update user")?;
    if let Some(user) = call.world.access.users.get_mut(&name) {
        take(user, call.params);
    }
    Answer::null()
}

/// DELETE /access/users/{userid}
pub fn delete(call: &mut Call<'_>) -> Reply {
    let name = name(call);
    user(call, &name)?;
    call.lock_file(USERS, "delete user")?;
    if name == "root@pam" {
        return Err(Fault::died("delete user failed: cannot delete user 'root@pam'"));
    }
    call.world.access.forget_user(&name);
    Answer::null()
}

/// What is shown of a token.
pub fn shown_token(token: &Token) -> Value {
    let mut shown = json!({"expire": token.expire, "privsep": u8::from(token.privsep)});
    if let Some(comment) = &token.comment {
        shown["comment"] = Value::from(comment.as_str());
    }
    shown
}

/// The tokens of a user as they are listed.
pub fn listed_tokens(user: &User) -> Vec<Value> {
    let entry = |(name, token): (&String, &Token)| {
        let mut shown = shown_token(token);
        shown["tokenid"] = Value::from(name.as_str());
        shown
    };
    user.tokens.iter().map(entry).collect()
}
