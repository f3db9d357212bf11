//! What each authoritative server serves: the zone's changes, some time after they were written. Knows no API.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::moment::Moment;
use super::record::Record;

/// One change of a zone.
#[derive(Debug, Clone)]
pub enum Change {
    /// A record that is new or other than before.
    Put(Arc<Record>),
    /// A record that is gone.
    Gone(String),
}

/// What one server has of one zone.
#[derive(Debug, Clone, Default)]
pub struct Published {
    records: BTreeMap<String, Arc<Record>>,
    coming: VecDeque<(Moment, Change)>,
    /// How many changes it has seen.
    serial: u32,
    /// Whether nothing comes any more, for now.
    stale: bool,
}

impl Published {
    /// A change that is to be seen at a time, but not before those that were pushed before it.
    pub fn push(&mut self, due: Moment, change: Change) {
        self.coming.push_back((due, change));
    }

    /// Takes up what is due.
    pub fn advance(&mut self, now: Moment) {
        while !self.stale
            && let Some((due, _)) = self.coming.front()
            && *due <= now
            && let Some((_, change)) = self.coming.pop_front()
        {
            self.serial = self.serial.wrapping_add(1);
            match change {
                Change::Put(record) => drop(self.records.insert(record.id.clone(), record)),
                Change::Gone(id) => drop(self.records.remove(&id)),
            }
        }
    }

    /// Stops taking up changes, or goes on.
    pub fn set_stale(&mut self, stale: bool) {
        self.stale = stale;
    }

    /// The records that are seen.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(Arc::as_ref)
    }

    /// How many changes are seen.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// How many changes are not seen yet.
    pub fn waiting(&self) -> usize {
        self.coming.len()
    }
}

/// When a change that is written now is seen.
pub fn due(now: Moment, delay: Duration) -> Moment {
    now.plus(delay)
}
