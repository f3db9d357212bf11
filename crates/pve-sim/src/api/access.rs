//! /access: what a caller may do, the list and its changes.

use serde_json::{Map, Value, json};

use crate::model::access::{AclEntry, Principal, Privs};

use super::call::{Call, USERS};
use super::reply::{Answer, Fault, Reply};
use super::schema::split_list;

/// GET /access/groups: there are none.
pub fn groups(_call: &mut Call<'_>) -> Reply {
    Answer::of(json!([]))
}

/// GET /access/domains
pub fn domains(_call: &mut Call<'_>) -> Reply {
    Answer::of(json!([
        {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
        {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
    ]))
}

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

/// PUT /access/acl
pub fn put_acl(call: &mut Call<'_>) -> Reply {
    let params = call.params;
    let path = call.fill("{path}");
    if !is_acl_path(&path) {
        return Err(Fault::param("path", format!("invalid ACL path '{path}'")));
    }
    let listed = |name: &str| split_list(params.text(name).unwrap_or_default()).map(str::to_owned);
    let whose: Vec<String> = listed("users").chain(listed("tokens")).collect();
    if whose.is_empty() {
        let text = "either 'users', 'groups' or 'tokens' is required.".to_owned();
        let errors = ["groups", "tokens", "users"].map(|name| (name.to_owned(), text.clone()));
        return Err(Fault::invalid(errors.into()));
    }
    call.lock_file(USERS, "ACL update")?;
    let roles: Vec<String> = listed("roles").collect();
    check_known(call, &roles, &whose)?;
    for role in &roles {
        for who in &whose {
            if params.flag("delete") {
                call.world.access.revoke(&path, who, role);
                continue;
            }
            call.world.access.grant(AclEntry {
                path: path.clone(),
                who: who.clone(),
                role: role.clone(),
                propagate: params.text("propagate") != Some("0"),
            });
        }
    }
    Answer::null()
}

fn check_known(call: &Call<'_>, roles: &[String], whose: &[String]) -> Result<(), Fault> {
    let access = &call.world.access;
    let failed = |why: String| Err(Fault::died(format!("ACL update failed: {why}")));
    if let Some(role) = roles.iter().find(|role| !access.roles.contains_key(*role)) {
        return failed(format!("role '{role}' does not exist"));
    }
    for who in whose.iter().map(|who| Principal::parse(who)) {
        let Some(user) = access.users.get(&who.user) else {
            return failed(format!("user '{}' does not exist", who.user));
        };
        if let Some(token) = who.token.filter(|token| !user.tokens.contains_key(token)) {
            return failed(format!("no such token '{token}' for user '{}'", who.user));
        }
    }
    Ok(())
}

/// Whether rights can be given on a path.
fn is_acl_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let word = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    path == "/"
        || match parts.as_slice() {
            ["access" | "mapping" | "nodes" | "pool" | "sdn" | "storage" | "vms"]
            | ["access", "groups" | "realm"] => true,
            ["access", "groups" | "realm", name] | ["nodes" | "storage", name] => word(name),
            ["vms", vmid] => vmid.len() > 2 && vmid.chars().all(|c| c.is_ascii_digit()),
            ["pool", names @ ..] => names.len() < 4 && names.iter().all(word),
            ["mapping" | "sdn", rest @ ..] => rest.len() < 5 && rest.iter().all(word),
            _ => false,
        }
}
