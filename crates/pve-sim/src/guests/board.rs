//! What there is of guests, for others to see.

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A guest that there is.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    /// Its id.
    pub vmid: u32,
    /// Its namespace.
    pub namespace: String,
    /// The bridge that its card is on.
    pub bridge: Option<String>,
    /// The card's hardware address.
    pub mac: Option<String>,
    /// The card's address.
    pub address: Option<Ipv4Addr>,
    /// Who may log in.
    pub user: String,
    /// Whether its programs were started.
    pub booted: bool,
    /// The public halves of its host keys.
    pub host_keys: Vec<String>,
}

/// The newest facts.
#[derive(Debug, Default)]
pub struct Board(Mutex<Vec<Fact>>);

impl Board {
    /// Replaces the facts.
    pub fn publish(&self, facts: Vec<Fact>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// The facts.
    pub fn read(&self) -> Vec<Fact> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
