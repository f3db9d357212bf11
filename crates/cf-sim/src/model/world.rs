//! All that there is: zones, tokens, servers, counters. Time is handed in.

use std::collections::BTreeMap;

use super::check::checked;
use super::dice::Dice;
use super::moment::Moment;
use super::rate::Rates;
use super::record::{Fields, Record};
use super::refusal::Refusal;
use super::server::Servers;
use super::token::{Right, Token};
use super::wish::Wish;
use super::zone::Zone;

/// The names of the authoritative servers.
pub const NAME_SERVERS: [&str; 2] = ["ada.ns.cf-sim.test", "bob.ns.cf-sim.test"];

/// The world.
#[derive(Debug, Clone)]
pub struct World {
    /// Zones by their ids.
    pub zones: BTreeMap<String, Zone>,
    /// Tokens.
    pub tokens: Vec<Token>,
    /// The servers.
    pub servers: Servers,
    /// Counters of calls.
    pub rates: Rates,
    /// Randomness.
    pub dice: Dice,
    /// Whether refusals of values are wrapped as they were until 2024.
    pub error_chain: bool,
}

impl World {
    /// The names of the authoritative servers.
    pub fn name_servers() -> Vec<String> {
        NAME_SERVERS.map(str::to_owned).to_vec()
    }

    /// A zone by its id or its name.
    pub fn zone(&self, key: &str) -> Option<&Zone> {
        let named = || self.zones.values().find(|zone| zone.name == key);
        self.zones.get(key).or_else(named)
    }

    /// The id of a zone, by its id or its name.
    pub fn zone_id(&self, key: &str) -> Option<String> {
        self.zone(key).map(|zone| zone.id.clone())
    }

    /// The token with this secret, if it holds.
    pub fn token(&self, secret: &str) -> Option<&Token> {
        let same = |token: &&Token| token.secret == secret && token.active();
        self.tokens.iter().find(same)
    }

    /// A zone in which a token may do something with records.
    pub fn permitted(&self, token: &Token, id: &str, right: Right) -> Result<&Zone, Refusal> {
        let zone = self.zones.get(id).ok_or_else(Refusal::unauthorized)?;
        if token.may(right, &zone.name) {
            return Ok(zone);
        }
        Err(match right {
            Right::ZoneRead => Refusal::unauthorized(),
            Right::DnsRead | Right::DnsEdit => Refusal::authentication(),
        })
    }

    /// A new record as a client asks for it.
    pub fn create(&mut self, zone: &str, wish: Wish, now: Moment) -> Result<Record, Refusal> {
        let at = self.zones.get(zone).ok_or_else(Refusal::unauthorized)?;
        let fields = checked(wish.whole()?, (&at.name, &at.plan))?;
        at.room(&fields, None)?;
        let id = self.dice.id();
        Ok(self.keep(zone, id, fields, now))
    }

    /// A record that says something else; all of it, or only what the wish names.
    pub fn change(
        &mut self,
        (zone, id): (&str, &str),
        (wish, whole): (Wish, bool),
        now: Moment,
    ) -> Result<Record, Refusal> {
        let at = self.zones.get(zone).ok_or_else(Refusal::unauthorized)?;
        let there = at.record(id).ok_or_else(Refusal::no_record)?;
        let wanted = if whole {
            wish.whole()?
        } else {
            wish.over(there.fields.clone())?
        };
        let fields = checked(wanted, (&at.name, &at.plan))?;
        at.room(&fields, Some(id))?;
        Ok(self.keep(zone, id.to_owned(), fields, now))
    }

    /// A record that goes.
    pub fn delete(&mut self, (zone, id): (&str, &str), now: Moment) -> Result<(), Refusal> {
        let at = self.zones.get_mut(zone).ok_or_else(Refusal::unauthorized)?;
        if at.remove(id, (now, &self.servers)) {
            Ok(())
        } else {
            Err(Refusal::no_record())
        }
    }

    /// Keeps a record without asking whether it is good: what foreign hands do.
    pub fn keep(&mut self, zone: &str, id: String, fields: Fields, now: Moment) -> Record {
        let old = self.zones.get(zone).and_then(|zone| zone.record(&id)).cloned();
        let noted = old.as_ref().and_then(|old| old.fields.comment.clone());
        let commented = if noted == fields.comment {
            old.as_ref().and_then(|old| old.commented)
        } else {
            Some(now)
        };
        let record = Record {
            id,
            fields,
            created: old.map_or(now, |old| old.created),
            modified: now,
            commented,
        };
        if let Some(zone) = self.zones.get_mut(zone) {
            zone.put(record.clone(), (now, &self.servers));
        }
        record
    }

    /// Lets the servers take up what is due.
    pub fn advance(&mut self, now: Moment) {
        for zone in self.zones.values_mut() {
            for (published, server) in zone.published.iter_mut().zip(&self.servers.each) {
                published.set_stale(server.stale);
                published.advance(now);
            }
        }
    }
}
