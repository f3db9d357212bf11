//! What an authoritative server answers to a question: exact names, empty names between, wildcards (RFC 4592), aliases,
//! and the proof that there is nothing. Pure: it sees the published records only.

use std::collections::BTreeMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::rdata;
use crate::model::record::Fields;
use crate::model::world::{NAME_SERVERS, World};
use crate::model::zone::Zone;

/// The longest chain of aliases.
const ALIASES: usize = 8;

/// An answer without its question.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How it went.
    pub code: ResponseCode,
    /// What answers the question.
    pub answers: Vec<Record>,
    /// The proof that there is no (further) answer.
    pub authority: Vec<Record>,
    /// Whether the server has the zone.
    pub authoritative: bool,
}

/// What one server has of one zone, by name.
struct View<'a> {
    zone: &'a Zone,
    names: BTreeMap<&'a str, Vec<&'a Fields>>,
    soa: Record,
}

/// Looks a name up in what a server has.
pub fn find(world: &World, server: usize, (name, kind): (&Name, RecordType)) -> Found {
    let asked = text(name);
    let zones = world.zones.values().filter(|zone| within(&asked, &zone.name));
    let Some(zone) = zones.max_by_key(|zone| zone.name.len()) else {
        return Found::code(ResponseCode::Refused);
    };
    let Some(view) = View::of(world, zone, server) else {
        return Found::code(ResponseCode::ServFail);
    };
    view.find(name, kind)
}

impl Found {
    /// Nothing but a code.
    pub fn code(code: ResponseCode) -> Self {
        Self {
            code,
            answers: Vec::new(),
            authority: Vec::new(),
            authoritative: false,
        }
    }
}

impl<'a> View<'a> {
    fn of(world: &World, zone: &'a Zone, server: usize) -> Option<Self> {
        let published = zone.published.get(server)?;
        let mut names: BTreeMap<&str, Vec<&Fields>> = BTreeMap::new();
        for record in published.records() {
            names
                .entry(record.fields.name.as_str())
                .or_default()
                .push(&record.fields);
        }
        names.entry(zone.name.as_str()).or_default();
        let (host, minimum) = (rdata::name(NAME_SERVERS[0])?, world.servers.negative_ttl);
        let soa = SOA::new(
            host,
            rdata::name("dns.cf-sim.test")?,
            2_026_000_000 + published.serial(),
            10_000,
            2_400,
            604_800,
            minimum,
        );
        let soa = Record::from_rdata(rdata::name(&zone.name)?, minimum, RData::SOA(soa));
        Some(Self { zone, names, soa })
    }

    fn find(&self, name: &Name, kind: RecordType) -> Found {
        let mut found = Found {
            authoritative: true,
            ..Found::code(ResponseCode::NoError)
        };
        let mut owner = name.clone();
        for _ in 0..ALIASES {
            let asked = text(&owner);
            let Some(there) = self.at(&asked) else {
                found.code = ResponseCode::NXDomain;
                break;
            };
            let own = self.records(&owner, there, kind);
            if !own.is_empty() {
                found.answers.extend(own);
                return found;
            }
            let mut aliases = self.records(&owner, there, RecordType::CNAME);
            let Some(RData::CNAME(target)) = aliases.first().map(|alias| alias.data.clone()) else {
                break;
            };
            found.answers.append(&mut aliases);
            owner = target.0;
            if !within(&text(&owner), &self.zone.name) {
                return found;
            }
        }
        found.authority.push(self.soa.clone());
        found
    }

    /// The name under which a question is answered: itself, or the wildcard that stands for it.
    fn at(&self, asked: &str) -> Option<&str> {
        if let Some((name, _)) = self.names.get_key_value(asked) {
            return Some(name);
        }
        if self.between(asked) {
            return Some("");
        }
        let mut rest = asked;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.names.contains_key(parent) || self.between(parent) {
                let wild = format!("*.{parent}");
                return self.names.get_key_value(wild.as_str()).map(|(name, _)| *name);
            }
            rest = parent;
        }
        None
    }

    /// Whether a name exists only because others are below it.
    fn between(&self, asked: &str) -> bool {
        self.names
            .keys()
            .any(|name| *name != asked && within(name, asked))
    }

    /// The records of a name and type, under the name that was asked for.
    fn records(&self, owner: &Name, name: &str, kind: RecordType) -> Vec<Record> {
        let fields = self.names.get(name).into_iter().flatten();
        let fits = |fields: &&&Fields| {
            let own = rdata::kind(fields);
            own == Some(kind) || (kind == RecordType::ANY && own.is_some())
        };
        let record = |fields: &&Fields| {
            Some(Record::from_rdata(
                owner.clone(),
                rdata::ttl(fields),
                rdata::rdata(fields)?,
            ))
        };
        let mut records: Vec<Record> = fields.filter(fits).filter_map(record).collect();
        if name == self.zone.name && matches!(kind, RecordType::SOA | RecordType::ANY) {
            let mut soa = self.soa.clone();
            soa.name = owner.clone();
            records.push(soa);
        }
        if name == self.zone.name && matches!(kind, RecordType::NS | RecordType::ANY) {
            let hosts = NAME_SERVERS.iter().filter_map(|host| rdata::name(host));
            records.extend(hosts.map(|host| Record::from_rdata(owner.clone(), 86_400, RData::NS(NS(host)))));
        }
        records
    }
}

/// A name as records are kept: lower case, without its last dot.
pub fn text(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

fn within(name: &str, zone: &str) -> bool {
    crate::model::names::within(name, zone)
}
