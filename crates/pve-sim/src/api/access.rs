//! /access: what a caller may do, and the list.

use serde_json::{Map, Value, json};

use crate::model::access::{Principal, Privs};

use super::call::Call;
use super::reply::{Answer, Fault, Reply};

/// GET /access/permissions
pub fn permissions(call: &mut Call<'_>) -> Reply {
    let other = call.params.filled("userid").map(Principal::parse);
    if let Some(other) = other.as_ref().filter(|other| other.full() != call.who.full()) {
        call.need("/access", &["Sys.Audit"])?;
        if !call.world.access.users.contains_key(&other.user) {
            return Err(Fault::died(format!("no such user ('{}')", other.user)));
        }
    }
    let who = other.as_ref().unwrap_or(call.who);
    let access = &call.world.access;
    let mut data = Map::new();
    if let Some(path) = call.params.filled("path") {
        let privs = access.privileges(who, path, &call.world.pools);
        if !privs.is_empty() {
            data.insert(path.to_owned(), shown(&privs));
        }
    } else {
        let all = access.overview(who, &call.world.pools);
        data.extend(all.into_iter().map(|(path, privs)| (path, shown(&privs))));
    }
    Answer::of(data)
}

fn shown(privs: &Privs) -> Value {
    privs
        .iter()
        .map(|(name, propagate)| (name.clone(), Value::from(u8::from(*propagate))))
        .collect()
}

/// GET /access/acl
pub fn acl(call: &mut Call<'_>) -> Reply {
    let visible = call
        .world
        .access
        .entries()
        .filter(|entry| call.allows(&entry.path, "Permissions.Modify"));
    let list = visible.map(|entry| {
        let kind = if entry.who.contains('!') { "token" } else { "user" };
        json!({
            "path": entry.path, "roleid": entry.role, "ugid": entry.who, "type": kind,
            "propagate": u8::from(entry.propagate),
        })
    });
    Answer::of(list.collect::<Vec<_>>())
}
