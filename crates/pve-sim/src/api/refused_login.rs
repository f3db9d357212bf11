//! What is said to a token that is refused. Decides nothing about who is.

use crate::model::world::World;

/// What is said since nobody is told more.
const HIDDEN: &str = "Authentication failed!";

/// The reason: one for all since 9.1.5, the true one before.
pub fn reason(world: &World, token: &str) -> String {
    if world.version.hides_why_a_login_failed() {
        return HIDDEN.to_owned();
    }
    let Some((full, _)) = token.split_once('=') else {
        return "no tokenid specified".to_owned();
    };
    let (user, id) = full.split_once('!').unwrap_or((full, ""));
    if id.chars().count() < 2 {
        return format!("'{full}' is not a valid token ID - not able to split into user and token parts");
    }
    let Some(known) = world.access.users.get(user) else {
        return format!("no such user ('{user}')");
    };
    if !known.enable {
        return format!("user '{user}' is disabled");
    }
    if !known.alive(world.now.secs()) {
        return format!("user '{user}' access expired");
    }
    match known.tokens.get(id) {
        None => format!("no such token '{id}' for user '{user}'"),
        Some(token) if token.expire != 0 && token.expire <= world.now.secs() => {
            format!("token '{id}' access expired")
        }
        Some(_) => "invalid token value!".to_owned(),
    }
}

/// The same for a cookie whose ticket is no good one.
pub fn reason_of_cookie(world: &World) -> &'static str {
    if world.version.hides_why_a_login_failed() {
        HIDDEN
    } else {
        "permission denied - invalid PVE ticket"
    }
}
