//! Records: as Cloudflare lists them, of any type and form, and as we want them.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::name::{Name, RecordId};
use crate::owner::Owner;

/// The longest TXT value that we write.
const TEXT: usize = 255;
/// Seconds that our records live in caches.
const TTL: u32 = 60;

/// A type of records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// An alias.
    Cname,
    /// A text.
    Txt,
    /// Who may issue certificates.
    Caa,
    /// Servers of a zone below.
    Ns,
    /// Any other, in upper case.
    Other(String),
}

impl From<&str> for Kind {
    fn from(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "CNAME" => Self::Cname,
            "TXT" => Self::Txt,
            "CAA" => Self::Caa,
            "NS" => Self::Ns,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
            Self::Caa => "CAA",
            Self::Ns => "NS",
            Self::Other(other) => other,
        })
    }
}

/// A record as Cloudflare lists it. What is missing or of another form has an empty value: no odd record hides the
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Its whole name, as it is shown; not necessarily one that we could write.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Its content, as it is shown.
    pub content: String,
    /// Seconds; 1 means automatic.
    pub ttl: u32,
    /// Whether Cloudflare stands in front of it.
    pub proxied: bool,
    /// What somebody noted about it.
    pub comment: Option<String>,
    /// Tags, `name:value`.
    pub tags: Vec<String>,
}

impl Record {
    /// Reads a record; none if it has no id.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let text = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default();
        let number = map.get("ttl").and_then(Value::as_u64).unwrap_or_default();
        let tags = map.get("tags").and_then(Value::as_array);
        let comment = map.get("comment").and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: text("id").parse().ok()?,
            name: text("name").trim_end_matches('.').to_ascii_lowercase(),
            kind: Kind::from(text("type")),
            content: content(map),
            ttl: u32::try_from(number).unwrap_or_default(),
            proxied: map.get("proxied").and_then(Value::as_bool).unwrap_or_default(),
            comment: comment.filter(|comment| !comment.is_empty()),
            tags: tags
                .into_iter()
                .flatten()
                .filter_map(|tag| tag.as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// Whom its comment names, if it is one of ours.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        Owner::of(self.comment.as_deref()?)
    }

    /// Whether it says what we want, whoever made it: name, type and value.
    #[must_use]
    pub fn says(&self, wanted: &Desired) -> bool {
        self.at(&wanted.name) && self.kind == wanted.kind && self.value() == wanted.content
    }

    /// Whether it stands at a name.
    pub(crate) fn at(&self, name: &Name) -> bool {
        self.name == name.as_str()
    }

    /// Its value: texts without the quotes in which they may be kept, hosts without the last dot.
    pub(crate) fn value(&self) -> String {
        match self.kind {
            Kind::Txt => unquoted(&self.content),
            Kind::Cname => self.content.trim_end_matches('.').to_ascii_lowercase(),
            _ => self.content.clone(),
        }
    }
}

fn content(map: &Map<String, Value>) -> String {
    match (map.get("content"), map.get("data")) {
        (Some(Value::String(text)), _) => text.clone(),
        (_, Some(data)) => data.to_string(),
        _ => String::new(),
    }
}

/// A text without its quotes; several quoted strings are one text in pieces.
fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inner {
        Some(inner) => inner.split("\" \"").collect(),
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        Self::of(&value).ok_or_else(|| serde::de::Error::missing_field("id"))
    }
}

/// Why a text cannot be a TXT record of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a TXT value has 1 to 255 printable ASCII characters without quotes, backslashes and spaces at its ends"
)]
pub struct TextError;

/// A record that we want.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Desired {
    name: Name,
    kind: Kind,
    content: String,
    ttl: u32,
}

impl Desired {
    /// An address.
    #[must_use]
    pub fn a(name: Name, address: Ipv4Addr) -> Self {
        Self::new(name, Kind::A, address.to_string())
    }

    /// An alias.
    #[must_use]
    pub fn cname(name: Name, target: &Name) -> Self {
        Self::new(name, Kind::Cname, target.to_string())
    }

    /// A text.
    ///
    /// # Errors
    /// If it is empty, longer than 255 characters, or holds what would have to be escaped.
    pub fn txt(name: Name, text: &str) -> Result<Self, TextError> {
        let plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
        if text.is_empty() || text.len() > TEXT || !text.bytes().all(plain) || text.trim() != text {
            return Err(TextError);
        }
        Ok(Self::new(name, Kind::Txt, text.to_owned()))
    }

    fn new(name: Name, kind: Kind, content: String) -> Self {
        Self {
            name,
            kind,
            content,
            ttl: TTL,
        }
    }

    /// The same with another life in caches: seconds, from 60 to 86 400.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds.clamp(60, 86_400);
        self
    }

    /// Where it shall stand.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it shall say.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Whether a record is just so, its comment apart.
    #[must_use]
    pub fn is(&self, record: &Record) -> bool {
        record.says(self) && record.ttl == self.ttl && !record.proxied
    }

    /// The body of a request that writes it. A text goes in quotes, as the API keeps it.
    pub(crate) fn body(&self, owner: &Owner) -> Value {
        let content = match self.kind {
            Kind::Txt => format!("\"{}\"", self.content),
            _ => self.content.clone(),
        };
        serde_json::json!({
            "type": self.kind.to_string(), "name": self.name.as_str(), "content": content, "ttl": self.ttl,
            "proxied": false, "comment": owner.comment(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn odd_records_are_read_with_empty_values() {
        let odd = json!({"id": ID, "type": "TYPE65534", "ttl": "60", "proxied": 1, "tags": [1, "a:b"], "comment": ""});
        let record = Record::of(&odd).unwrap();
        assert_eq!(
            (record.kind, record.ttl, record.proxied),
            (Kind::Other("TYPE65534".into()), 0, false)
        );
        assert_eq!((record.comment, record.tags), (None, vec!["a:b".to_owned()]));
        let caa = json!({"id": ID, "type": "CAA", "name": "A.b", "data": {"tag": "issue"}});
        let caa = Record::of(&caa).unwrap();
        assert_eq!(
            (caa.kind, caa.name.as_str(), caa.content.as_str()),
            (Kind::Caa, "a.b", "{\"tag\":\"issue\"}")
        );
        for none in [
            json!(null),
            json!([]),
            json!({}),
            json!({"id": 5}),
            json!({"id": "x"}),
        ] {
            assert_eq!(Record::of(&none), None);
        }
    }

    #[test]
    fn texts_are_compared_without_their_quotes() {
        let wanted = Desired::txt(name("t.example.org"), "a b").unwrap();
        for content in ["a b", "\"a b\"", "\"a\" \" b\""] {
            let record =
                json!({"id": ID, "type": "TXT", "name": "t.example.org", "content": content, "ttl": 60});
            assert!(wanted.is(&Record::of(&record).unwrap()), "{content}");
        }
    }

    #[test]
    fn texts_that_would_need_escapes_are_refused() {
        for bad in ["", " a", "a ", "\"", "a\\b", "ü", "a\nb", &"a".repeat(256)] {
            assert_eq!(
                Desired::txt(name("t.example.org"), bad),
                Err(TextError),
                "{bad:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_reading_panic(text in "\\PC*", ttl: i64) {
            let _ = Record::of(&json!({"id": ID, "type": text, "name": text, "content": text, "ttl": ttl, "data": text}));
        }
    }
}
