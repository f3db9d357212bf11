//! Tokens: whose they are, whether they hold, and what they may do in which zone.

use serde::{Deserialize, Serialize};

/// What a token may do in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Right {
    /// See the zone.
    #[serde(rename = "zone:read")]
    ZoneRead,
    /// See its records.
    #[serde(rename = "dns:read")]
    DnsRead,
    /// Change its records.
    #[serde(rename = "dns:edit")]
    DnsEdit,
}

/// Whether a token holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does.
    #[default]
    Active,
    /// Switched off.
    Disabled,
    /// Too old.
    Expired,
}

/// Some rights in some zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The zone's name; none: all zones.
    #[serde(default)]
    pub zone: Option<String>,
    /// What may be done there.
    pub rights: Vec<Right>,
}

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// 32 hex digits.
    pub id: String,
    /// What a client sends.
    pub secret: String,
    /// Whose calls are counted together.
    pub user: String,
    /// Whether it holds.
    pub status: Status,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

impl Token {
    /// Whether it may do this in a zone; who may change records may see them.
    pub fn may(&self, right: Right, zone: &str) -> bool {
        let gives = |held: &Right| *held == right || (right == Right::DnsRead && *held == Right::DnsEdit);
        let scopes = self.scopes.iter();
        scopes
            .filter(|scope| scope.zone.as_deref().is_none_or(|name| name == zone))
            .any(|scope| scope.rights.iter().any(gives))
    }

    /// Whether it holds.
    pub fn active(&self) -> bool {
        self.status == Status::Active
    }
}

/// Whether a text has the form of a token.
pub fn is_token(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (20..=128).contains(&text.len()) && text.chars().all(good)
}
