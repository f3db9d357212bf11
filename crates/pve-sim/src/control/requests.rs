//! The log of API requests, bounded, without secrets.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value};

use super::faults::Facts;
use crate::api::params::{Params, Raw};
use crate::model::moment::Moment;

/// How many requests are kept.
const KEPT: usize = 100_000;
/// How much of them is kept, in bytes of their texts.
const KEPT_BYTES: usize = 64 << 20;
/// How much of a value is shown, and how many values of a request.
const SHOWN: (usize, usize) = (16 << 10, 64);
/// Parameters that are not shown.
const SECRETS: &[&str] = &["cipassword", "password", "value"];

/// How a request ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The status sent.
    pub status: u16,
    /// Whether the connection was cut instead.
    pub cut: bool,
    /// The task that it started.
    pub upid: Option<String>,
}

/// A request.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its number, from one.
    pub seq: u64,
    /// When it came, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Its method.
    pub method: String,
    /// Its path behind /api2/json.
    pub path: String,
    /// The guest of the path; of a clone, the source.
    pub vmid: Option<u32>,
    /// The guest to be made.
    pub newid: Option<u32>,
    /// The node of the path.
    pub node: Option<String>,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// The status of the answer; none yet while the request is held or worked on.
    pub status: Option<u16>,
    /// Whether the connection was cut by a fault.
    pub cut: bool,
    /// The task that it started.
    pub upid: Option<String>,
    /// Whether it asked for a change.
    pub mutating: bool,
}

impl Entry {
    /// The entry of a request that has just come.
    pub fn new(at: Moment, facts: &Facts, params: &Params) -> Self {
        let shown = params
            .iter()
            .take(SHOWN.1)
            .map(|(name, raw)| (name.to_owned(), shown(name, raw)))
            .collect();
        Self {
            seq: 0,
            time_ms: at.millis(),
            method: facts.method.clone(),
            path: facts.path.clone(),
            vmid: facts.vmid,
            newid: facts.newid,
            node: facts.node.clone(),
            params: shown,
            status: None,
            cut: false,
            upid: None,
            mutating: facts.method != "GET",
        }
    }
}

fn shown(name: &str, raw: &Raw) -> Value {
    match raw {
        _ if SECRETS.contains(&name) => Value::from("***"),
        Raw::One(text) if text.len() > SHOWN.0 => {
            let cut = text.floor_char_boundary(SHOWN.0);
            Value::from(format!("{}…", text.get(..cut).unwrap_or_default()))
        }
        Raw::One(text) => Value::from(text.as_str()),
        Raw::Many => Value::from("[…]"),
        Raw::Nested => Value::from("{…}"),
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        let values = self
            .params
            .iter()
            .map(|(name, value)| name.len() + value.as_str().map_or(8, str::len));
        self.path.len() + values.sum::<usize>()
    }
}

/// The newest requests.
#[derive(Debug, Default)]
pub struct Requests {
    entries: VecDeque<Entry>,
    bytes: usize,
    last: u64,
}

impl Requests {
    /// Adds a request that has just come, and gives its number.
    pub fn came(&mut self, mut entry: Entry) -> u64 {
        self.last += 1;
        entry.seq = self.last;
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
        self.last
    }

    /// Notes how a request ended, if it is still kept.
    pub fn ended(&mut self, seq: u64, outcome: Outcome) {
        let Outcome { status, cut, upid } = outcome;
        if let Ok(at) = self.entries.binary_search_by_key(&seq, |entry| entry.seq) {
            let entry = &mut self.entries[at];
            (entry.status, entry.cut, entry.upid) = (Some(status), cut, upid);
        }
    }

    /// Those after a number.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.seq > seq)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The number of the newest.
    pub fn last(&self) -> u64 {
        self.last
    }
}
