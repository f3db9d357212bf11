//! The log of API requests, bounded, without secrets.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::faults::{Ending, Facts};
use crate::api::{Answer, Call};
use crate::model::moment::Moment;

/// How many requests are kept.
const KEPT: usize = 20_000;
/// How much of them is kept, in bytes of their texts.
const KEPT_BYTES: usize = 16 << 20;
/// How much of a text is shown.
const SHOWN: usize = 2_000;

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    status: u16,
    code: Option<u32>,
    cut: bool,
}

impl Outcome {
    /// The outcome of an answer.
    pub fn of(answer: Option<&Answer>, ending: Option<&Ending>) -> Self {
        let stated = match ending {
            Some(Ending::Answer { status, .. }) => *status,
            _ => 0,
        };
        let code = answer.and_then(|answer| answer.body.pointer("/errors/0/code")?.as_u64());
        Self {
            status: answer.map_or(stated, |answer| answer.status),
            code: code.and_then(|code| u32::try_from(code).ok()),
            cut: ending.is_some_and(Ending::cuts),
        }
    }
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
    /// Its path behind /client/v4.
    pub path: String,
    /// Its query.
    pub query: String,
    /// Its body, if that was read and is not too large.
    pub body: Value,
    /// The name and the type of the record that it is about.
    pub name: Option<String>,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// The code of the first error.
    pub code: Option<u32>,
    /// Whether the connection was cut by a fault.
    pub cut: bool,
    /// Whether it asked for a change.
    pub mutating: bool,
    #[serde(skip)]
    bytes: usize,
}

impl Entry {
    /// The entry of a request.
    pub fn new(at: Moment, facts: &Facts, call: &Call, outcome: Outcome) -> Self {
        let body = call.body.clone().unwrap_or(Value::Null);
        let length = body.to_string().len();
        let shown = if length > SHOWN { Value::from("…") } else { body };
        let (path, query) = (cut(&call.path), cut(&call.query));
        Self {
            seq: 0,
            time_ms: at.millis(),
            method: call.method.clone(),
            bytes: path.len() + query.len() + length.min(SHOWN),
            path,
            query,
            body: shown,
            name: facts.name.as_deref().map(cut),
            kind: facts.kind.as_deref().map(cut),
            status: outcome.status,
            code: outcome.code,
            cut: outcome.cut,
            mutating: call.method != "GET",
        }
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN);
    text.get(..end).unwrap_or_default().to_owned()
}

/// The newest requests.
#[derive(Debug, Default)]
pub struct Requests {
    entries: VecDeque<Entry>,
    bytes: usize,
    last: u64,
}

impl Requests {
    /// Adds a request.
    pub fn push(&mut self, mut entry: Entry) {
        self.last += 1;
        entry.seq = self.last;
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
        while self.entries.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
    }

    /// Those after a number.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.seq > seq)
    }

    /// Forgets all of them; numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The number of the newest.
    pub fn last(&self) -> u64 {
        self.last
    }
}
