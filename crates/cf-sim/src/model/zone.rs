//! A zone: its records, its plan, and what its servers have of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::moment::Moment;
use super::publish::{Change, Published, due};
use super::record::{Fields, Record};
use super::refusal::Refusal;
use super::server::Servers;

/// How many authoritative servers there are.
pub const SERVERS: usize = 2;

/// What the zone's plan allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Records.
    pub records: usize,
    /// Characters of a comment.
    pub comment: usize,
    /// Tags of a record.
    pub tags: usize,
    /// Whether TXT contents are kept in quotes.
    pub quotes_txt: bool,
    /// Whether nothing at all may stand beside a CNAME; else only addresses may not.
    pub cname_alone: bool,
}

impl Plan {
    /// The free plan.
    pub fn free(records: usize) -> Self {
        Self {
            records,
            comment: 100,
            tags: 0,
            quotes_txt: false,
            cname_alone: true,
        }
    }
}

/// A zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// 32 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub plan: Plan,
    /// `active`, `pending`, …
    pub status: String,
    /// When it was made.
    pub created: Moment,
    /// What each server has of it.
    pub published: [Published; SERVERS],
    records: BTreeMap<String, Arc<Record>>,
}

impl Zone {
    /// An empty zone.
    pub fn new(id: String, name: &str, plan: Plan, now: Moment) -> Self {
        Self {
            id,
            name: name.to_owned(),
            plan,
            status: "active".to_owned(),
            created: now,
            published: [Published::default(), Published::default()],
            records: BTreeMap::new(),
        }
    }

    /// All records.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(Arc::as_ref)
    }

    /// A record.
    pub fn record(&self, id: &str) -> Option<&Record> {
        self.records.get(id).map(Arc::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Keeps a record, in place of an older one with its id, and sends it to the servers.
    pub fn put(&mut self, record: Record, (now, servers): (Moment, &Servers)) {
        let record = Arc::new(record);
        self.records.insert(record.id.clone(), Arc::clone(&record));
        self.publish(&Change::Put(record), now, servers);
    }

    /// Removes a record; false if there is none.
    pub fn remove(&mut self, id: &str, (now, servers): (Moment, &Servers)) -> bool {
        let found = self.records.remove(id).is_some();
        if found {
            self.publish(&Change::Gone(id.to_owned()), now, servers);
        }
        found
    }

    fn publish(&mut self, change: &Change, now: Moment, servers: &Servers) {
        for (published, server) in self.published.iter_mut().zip(&servers.each) {
            published.push(due(now, server.delay), change.clone());
        }
    }

    /// Whether a record may stand beside the others.
    pub fn room(&self, fields: &Fields, own: Option<&str>) -> Result<(), Refusal> {
        if own.is_none() && self.len() >= self.plan.records {
            return Err(Refusal::quota());
        }
        let others = self.records().filter(|other| Some(other.id.as_str()) != own);
        let beside: Vec<&Fields> = others
            .map(|other| &other.fields)
            .filter(|other| other.name == fields.name)
            .collect();
        let is = |one: &Fields, kinds: &[&str]| kinds.contains(&one.kind.as_str());
        if beside.iter().any(|other| same(other, fields)) {
            return Err(Refusal::identical());
        }
        for other in beside {
            let both = |kind| is(other, &[kind]) && is(fields, &[kind]);
            let address = ["A", "AAAA", "CNAME"];
            if is(fields, &["CNAME"]) && (self.plan.cname_alone || is(other, &address)) {
                return Err(Refusal::taken());
            }
            if is(other, &["CNAME"]) && (self.plan.cname_alone || is(fields, &address)) {
                return Err(Refusal::cname_there());
            }
            let delegated = is(other, &["NS"]) || is(fields, &["NS"]);
            if delegated && !both("NS") && fields.name != self.name {
                return Err(Refusal::ns_there());
            }
        }
        Ok(())
    }

    /// The zone as the API shows it.
    pub fn shown(&self, name_servers: &[String]) -> Value {
        json!({
            "id": self.id, "name": self.name, "status": self.status, "paused": false, "type": "full",
            "development_mode": 0, "name_servers": name_servers, "original_name_servers": null,
            "original_registrar": null, "original_dnshost": null, "vanity_name_servers": [],
            "created_on": self.created.text(), "modified_on": self.created.text(), "activated_on": self.created.text(),
            "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": false},
            "owner": {"id": null, "type": "user", "email": null},
            "account": {"id": "00000000000000000000000000000001", "name": "Simulated"},
            "plan": {"id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0,
                     "currency": "USD", "legacy_id": "free", "is_subscribed": false, "can_subscribe": false},
            "permissions": ["#zone:read", "#dns_records:read", "#dns_records:edit"],
        })
    }
}

/// Whether two records of one name say the same.
fn same(a: &Fields, b: &Fields) -> bool {
    let unquoted = |text: &str| text.trim_matches('"').to_owned();
    a.kind == b.kind && unquoted(&a.content) == unquoted(&b.content) && a.priority == b.priority
}
