//! One call from its headers to its answer: who calls, how often, what for.

use std::net::IpAddr;

use serde_json::Value;

use super::envelope::{Answer, refused};
use super::routes;
use crate::model::moment::Moment;
use crate::model::refusal::Refusal;
use crate::model::token::{Token, is_token};
use crate::model::world::World;

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of a query text.
    pub fn of(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a client says about itself.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where it calls from.
    pub from: IpAddr,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// Whether it sent a header of the old kind.
    pub old_key: bool,
}

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path behind `/client/v4`.
    pub path: String,
    /// Its parameters.
    pub query: String,
    /// The body; the refusal if it cannot be read.
    pub body: Result<Value, Refusal>,
}

/// A call on its way through the routes.
pub struct Known<'a> {
    /// Who calls.
    pub token: &'a Token,
    /// The method.
    pub method: &'a str,
    /// The parameters.
    pub query: &'a Query,
    /// The body.
    pub body: &'a Result<Value, Refusal>,
    /// When.
    pub now: Moment,
}

/// Answers a call.
pub fn answer(world: &mut World, caller: &Caller, call: &Call, now: Moment) -> Answer {
    let result = counted(world, caller, call, now);
    result.unwrap_or_else(|refusal| refused(&refusal, world.error_chain))
}

fn counted(world: &mut World, caller: &Caller, call: &Call, now: Moment) -> Result<Answer, Refusal> {
    world.rates.address(caller.from, now)?;
    let secret = secret(caller)?;
    let verify = call.path == routes::VERIFY;
    let token = world.token(secret).cloned();
    let token = token.ok_or_else(|| {
        if verify {
            Refusal::verify_failed()
        } else {
            Refusal::invalid_token()
        }
    })?;
    let left = world.rates.user(&token.user, now)?;
    let query = Query::of(&call.query);
    let known = Known {
        token: &token,
        method: &call.method,
        query: &query,
        body: &call.body,
        now,
    };
    let error_chain = world.error_chain;
    let result = routes::dispatch(world, &call.path, &known);
    let mut answer = result.unwrap_or_else(|refusal| refused(&refusal, error_chain));
    answer.left = Some(left);
    Ok(answer)
}

/// What the caller says that it has.
fn secret(caller: &Caller) -> Result<&str, Refusal> {
    let Some(header) = &caller.authorization else {
        return Err(if caller.old_key {
            Refusal::unknown_key()
        } else {
            Refusal::no_credentials()
        });
    };
    let token = header.strip_prefix("Bearer ").map(str::trim);
    token
        .filter(|token| is_token(token))
        .ok_or_else(Refusal::malformed_token)
}
