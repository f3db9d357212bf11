//! Who calls. Decides nothing about what they may do.

use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap};

use crate::model::access::Principal;
use crate::model::world::World;

use super::refused_login;
use super::reply::Fault;
use super::{ticket, tree};

/// The caller that the headers name; of a call that needs no login, nobody.
pub fn authenticate(
    world: &World,
    (method, path): (&str, &str),
    headers: &HeaderMap,
) -> Result<Principal, Fault> {
    if world.entry().is_some_and(|node| !node.services.files) {
        let why = "Unable to load access control list: Connection refused";
        return Err(Fault::bare(
            500,
            format!("RPCEnvironment init request failed: {why}"),
        ));
    }
    if tree::is_open(method, path) {
        return Ok(Principal::parse(""));
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = header(AUTHORIZATION.as_str()).and_then(|text| text.strip_prefix("PVEAPIToken"));
    if let Some(token) = token {
        let token = token.trim_start_matches(['=', ' ']);
        let why = || Fault::bare(401, refused_login::reason(world, token));
        return by_token(world, token).ok_or_else(why);
    }
    let Some(cookie) = header(COOKIE.as_str()).and_then(ticket_of) else {
        return Err(Fault::bare(401, "No ticket"));
    };
    let refused = || Fault::bare(401, refused_login::reason_of_cookie(world));
    let user = ticket::user_of(world, &cookie).ok_or_else(refused)?;
    let csrf = header("CSRFPreventionToken").unwrap_or_default();
    if method != "GET" && !ticket::is_csrf(world, &user, csrf) {
        return Err(Fault::bare(401, "Permission denied - invalid csrf token"));
    }
    Ok(Principal { user, token: None })
}

/// The ticket among the cookies.
fn ticket_of(cookies: &str) -> Option<String> {
    let value = cookies
        .split(';')
        .find_map(|cookie| cookie.trim().strip_prefix("PVEAuthCookie="))?;
    let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
    Some(value.into_owned())
}

fn by_token(world: &World, text: &str) -> Option<Principal> {
    let (full, secret) = text.split_once('=')?;
    let who = Principal::parse(full);
    let user = world.access.users.get(&who.user)?;
    let token = user.tokens.get(who.token.as_ref()?)?;
    let now = world.now.secs();
    let alive = token.expire == 0 || token.expire > now;
    (user.alive(now) && alive && token.secret == secret).then_some(who)
}
