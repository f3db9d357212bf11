//! /access/roles: names for sets of privileges.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::privileges::builtin_roles;

use super::call::{Call, USERS};
use super::reply::{Answer, Fault, Reply};
use super::schema::split_list;

/// GET /access/roles
pub fn list(call: &mut Call<'_>) -> Reply {
    let list = call.world.access.roles.iter().map(|(name, privileges)| {
        let names: Vec<&str> = privileges.iter().map(String::as_str).collect();
        json!({"roleid": name, "privs": names.join(","), "special": u8::from(is_builtin(name))})
    });
    Answer::of(list.collect::<Vec<_>>())
}

fn is_builtin(name: &str) -> bool {
    builtin_roles().iter().any(|(builtin, _)| *builtin == name)
}

/// GET /access/roles/{roleid}
pub fn get(call: &mut Call<'_>) -> Reply {
    let name = call.segment("roleid");
    let Some(privileges) = call.world.access.roles.get(name) else {
        return Err(Fault::died(format!("role '{name}' does not exist")));
    };
    let shown: Map<String, Value> = privileges
        .iter()
        .map(|name| (name.clone(), Value::from(1)))
        .collect();
    Answer::of(shown)
}

fn sent(call: &Call<'_>) -> BTreeSet<String> {
    split_list(call.params.text("privs").unwrap_or_default())
        .map(str::to_owned)
        .collect()
}

/// POST /access/roles
pub fn create(call: &mut Call<'_>) -> Reply {
    let name = call.fill("{roleid}");
    call.lock_file(USERS, "create role")?;
    if call.world.access.roles.contains_key(&name) {
        return Err(Fault::died(format!(
            "create role failed: role '{name}' already exists"
        )));
    }
    let privileges = sent(call);
    call.world.access.roles.insert(name, privileges);
    Answer::null()
}

/// PUT /access/roles/{roleid}
pub fn update(call: &mut Call<'_>) -> Reply {
    let name = call.fill("{roleid}");
    refuse_builtin(&name, "modified")?;
    call.lock_file(USERS, "update role")?;
    let new = sent(call);
    let append = call.params.flag("append");
    let Some(privileges) = call.world.access.roles.get_mut(&name) else {
        return Err(Fault::died(format!(
            "update role failed: role '{name}' does not exist"
        )));
    };
    if !append {
        privileges.clear();
    }
    privileges.extend(new);
    Answer::null()
}

fn refuse_builtin(name: &str, act: &str) -> Result<(), Fault> {
    if is_builtin(name) {
        return Err(Fault::died(format!(
            "auto-generated role '{name}' cannot be {act}"
        )));
    }
    Ok(())
}

/// DELETE /access/roles/{roleid}
pub fn delete(call: &mut Call<'_>) -> Reply {
    let name = call.fill("{roleid}");
    refuse_builtin(&name, "deleted")?;
    call.lock_file(USERS, "delete role")?;
    if !call.world.access.forget_role(&name) {
        return Err(Fault::died(format!(
            "delete role failed: role '{name}' does not exist"
        )));
    }
    Answer::null()
}
