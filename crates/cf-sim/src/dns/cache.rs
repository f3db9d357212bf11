//! What the resolver remembers: answers as long as their TTL, absences as long as their SOA says. Bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};

use super::lookup::Found;
use crate::model::moment::Moment;

/// The most answers that are remembered.
const MOST: usize = 10_000;

/// An answer and how long it holds.
#[derive(Debug)]
struct Kept {
    found: Found,
    since: Moment,
    until: Moment,
}

/// The resolver's memory.
#[derive(Debug, Default)]
pub struct Cache {
    kept: BTreeMap<(String, RecordType), Kept>,
}

impl Cache {
    /// What is remembered, with TTLs that have run down.
    pub fn get(&mut self, name: &str, kind: RecordType, now: Moment) -> Option<Found> {
        let key = (name.to_owned(), kind);
        let kept = self.kept.get(&key)?;
        if now >= kept.until {
            self.kept.remove(&key);
            return None;
        }
        let age = u32::try_from(now.since(kept.since).as_secs()).unwrap_or(u32::MAX);
        let mut found = kept.found.clone();
        for record in found.answers.iter_mut().chain(&mut found.authority) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Some(found)
    }

    /// Remembers an answer.
    pub fn put(&mut self, name: &str, kind: RecordType, found: &Found, now: Moment) {
        let Some(seconds) = lifetime(found).filter(|seconds| *seconds > 0) else {
            return;
        };
        if self.kept.len() >= MOST {
            self.kept.retain(|_, kept| kept.until > now);
        }
        if self.kept.len() >= MOST {
            self.kept.clear();
        }
        let kept = Kept {
            found: found.clone(),
            since: now,
            until: now.plus(Duration::from_secs(seconds.into())),
        };
        self.kept.insert((name.to_owned(), kind), kept);
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        self.kept.clear();
    }
}

/// Seconds for which an answer holds: its shortest TTL, or for an absence what the SOA says (RFC 2308).
fn lifetime(found: &Found) -> Option<u32> {
    let answers = found.answers.iter().map(|record| record.ttl);
    let absence = found.authority.iter().filter_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    answers.chain(absence).min()
}
