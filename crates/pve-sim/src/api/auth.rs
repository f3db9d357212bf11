//! Who calls. Decides nothing about what they may do.

use crate::model::access::Principal;
use crate::model::world::World;

use super::reply::Fault;

/// The caller that an `Authorization` header names.
pub fn authenticate(world: &World, header: Option<&str>) -> Result<Principal, Fault> {
    if world.entry().is_some_and(|node| !node.services.files) {
        let why = "Unable to load access control list: Connection refused";
        return Err(Fault::bare(
            500,
            format!("RPCEnvironment init request failed: {why}"),
        ));
    }
    let Some(header) = header else {
        return Err(Fault::bare(401, "No ticket"));
    };
    let Some(rest) = header.strip_prefix("PVEAPIToken") else {
        return Err(Fault::bare(401, "No ticket"));
    };
    let rest = rest.trim_start_matches(['=', ' ']);
    known(world, rest).ok_or_else(|| Fault::bare(401, "Authentication failed!"))
}

fn known(world: &World, token: &str) -> Option<Principal> {
    let (full, secret) = token.split_once('=')?;
    let who = Principal::parse(full);
    let user = world.access.users.get(&who.user)?;
    let token = user.tokens.get(who.token.as_ref()?)?;
    let alive = token.expire == 0 || token.expire > world.now.secs();
    (user.enable && alive && token.secret == secret).then_some(who)
}
