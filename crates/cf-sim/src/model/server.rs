//! How the authoritative servers and the resolver behave: switches, and what they were asked. Answers nothing itself.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::moment::Moment;
use super::zone::SERVERS;

/// How many questions are remembered.
const KEPT: usize = 10_000;

/// How one server behaves.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// How long after it was written a change is seen.
    pub delay: Duration,
    /// Whether it takes up no changes.
    pub stale: bool,
    /// Whether it answers SERVFAIL to everything.
    pub servfail: bool,
    /// Whether it answers nothing.
    pub silent: bool,
    /// How long it thinks.
    pub slow: Duration,
    /// How many questions it had.
    pub asked: u64,
}

/// A question that was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Its number, from one.
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub time_ms: u64,
    /// `ns1`, `ns2` or `resolver`.
    pub server: &'static str,
    /// The name.
    pub name: String,
    /// The type.
    pub kind: String,
    /// `udp` or `tcp`.
    pub by: &'static str,
    /// What was answered.
    pub rcode: String,
    /// How many records.
    pub answers: usize,
}

/// All servers.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// The authoritative ones.
    pub each: [Server; SERVERS],
    /// How long a name's absence may be remembered, in seconds.
    pub negative_ttl: u32,
    log: VecDeque<Asked>,
    last: u64,
}

impl Servers {
    /// Servers that are in order.
    pub fn new(delay: Duration, negative_ttl: u32) -> Self {
        let server = || Server {
            delay,
            ..Server::default()
        };
        Self {
            each: [server(), server()],
            negative_ttl,
            ..Self::default()
        }
    }

    /// Remembers a question.
    pub fn note(&mut self, now: Moment, mut asked: Asked) {
        self.last += 1;
        asked.seq = self.last;
        asked.time_ms = now.millis();
        self.log.push_back(asked);
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
    }

    /// The questions after a number.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = &Asked> {
        self.log.iter().filter(move |asked| asked.seq > seq)
    }

    /// The number of the last question.
    pub fn last(&self) -> u64 {
        self.last
    }
}
