//! How the world is at the start: zones, and tokens with and without rights.

use std::time::Duration;

use super::dice::Dice;
use super::moment::Moment;
use super::rate::{Limits, Rates};
use super::server::Servers;
use super::token::{Right, Scope, Status, Token};
use super::world::World;
use super::zone::{Plan, Zone};

/// What the start depends on.
#[derive(Debug, Clone)]
pub struct Start {
    /// The seed of all randomness.
    pub seed: u64,
    /// The names of the zones.
    pub zones: Vec<String>,
    /// Records that a zone may have.
    pub quota: usize,
    /// The limits of calls.
    pub limits: Limits,
    /// How long after it was written a change is seen.
    pub publish_delay: Duration,
    /// How long a name's absence may be remembered, in seconds.
    pub negative_ttl: u32,
}

/// A fresh world.
pub fn fresh(start: &Start, now: Moment) -> World {
    let mut dice = Dice::new(start.seed);
    let all = |rights: &[Right]| {
        vec![Scope {
            zone: None,
            rights: rights.to_vec(),
        }]
    };
    let mut token = |user: &str, rights: &[Right]| Token {
        id: dice.id(),
        secret: dice.secret(),
        user: user.to_owned(),
        status: Status::Active,
        scopes: all(rights),
    };
    let tokens = vec![
        token("market", &[Right::ZoneRead, Right::DnsRead, Right::DnsEdit]),
        token("market", &[Right::ZoneRead, Right::DnsRead]),
        token("market", &[Right::ZoneRead]),
        token("other", &[Right::ZoneRead, Right::DnsRead, Right::DnsEdit]),
    ];
    let mut world = World {
        zones: std::collections::BTreeMap::new(),
        tokens,
        servers: Servers::new(start.publish_delay, start.negative_ttl),
        rates: Rates::new(start.limits.clone()),
        dice,
        error_chain: false,
    };
    for name in &start.zones {
        let id = world.dice.id();
        let zone = Zone::new(
            id.clone(),
            &name.to_ascii_lowercase(),
            Plan::free(start.quota),
            now,
        );
        world.zones.insert(id, zone);
    }
    world
}
