//! A record as the zone keeps it, and as the API shows it.

use serde_json::{Map, Value, json};

use super::moment::Moment;

/// What a record says; all that a client can set.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields {
    /// Its type, in upper case; foreign hands may put any text here.
    pub kind: String,
    /// The whole name.
    pub name: String,
    /// The content.
    pub content: String,
    /// Seconds; 1 means automatic.
    pub ttl: u32,
    /// Whether Cloudflare stands in front of it.
    pub proxied: bool,
    /// The priority of MX and URI.
    pub priority: Option<u16>,
    /// The parts of a structured record.
    pub data: Option<Value>,
    /// What somebody noted about it.
    pub comment: Option<String>,
    /// Tags, `name:value`.
    pub tags: Vec<String>,
}

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// 32 hex digits.
    pub id: String,
    /// What it says.
    pub fields: Fields,
    /// When it was made.
    pub created: Moment,
    /// When it was changed last.
    pub modified: Moment,
    /// When its comment was changed last.
    pub commented: Option<Moment>,
}

/// Whether Cloudflare can stand in front of records of this type.
pub fn proxiable(kind: &str) -> bool {
    matches!(kind, "A" | "AAAA" | "CNAME")
}

impl Record {
    /// The record as the API shows it.
    pub fn shown(&self) -> Value {
        let Fields {
            kind,
            name,
            content,
            ttl,
            proxied,
            priority,
            data,
            comment,
            tags,
        } = &self.fields;
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
        put("id", json!(self.id));
        put("name", json!(name));
        put("type", json!(kind));
        put("content", json!(content));
        put("proxiable", json!(proxiable(kind)));
        put("proxied", json!(proxied));
        put("ttl", json!(ttl));
        put("settings", json!({}));
        put("meta", json!({}));
        put("comment", json!(comment));
        put("tags", json!(tags));
        put("created_on", json!(self.created.text()));
        put("modified_on", json!(self.modified.text()));
        if let Some(priority) = priority {
            put("priority", json!(priority));
        }
        if let Some(data) = data {
            put("data", data.clone());
        }
        if let Some(at) = self.commented {
            put("comment_modified_on", json!(at.text()));
        }
        Value::Object(map)
    }
}
