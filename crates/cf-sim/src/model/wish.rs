//! What a client asks a record to be: the fields of a body, each of its kind, laid over what is there.

use serde_json::{Map, Value};

use super::record::Fields;
use super::refusal::Refusal;

/// The fields of a body; what is absent was not given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wish {
    kind: Option<String>,
    name: Option<String>,
    content: Option<String>,
    ttl: Option<u64>,
    proxied: Option<bool>,
    priority: Option<u16>,
    data: Option<Value>,
    comment: Note,
    tags: Option<Vec<String>>,
}

/// What becomes of a comment: null, which removes it, is not the same as nothing.
#[derive(Debug, Clone, Default, PartialEq)]
enum Note {
    #[default]
    Keep,
    Be(Option<String>),
}

impl Wish {
    /// Reads a body; fields that the API does not know are passed over, as it does.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let map = body.as_object().ok_or_else(Refusal::malformed_json)?;
        let data = given(map, "data").cloned();
        if data.as_ref().is_some_and(|data| !data.is_object()) {
            return Err(Refusal::kind("data", "an object"));
        }
        Ok(Self {
            kind: text(map, "type")?.map(|kind| kind.to_ascii_uppercase()),
            name: text(map, "name")?,
            content: text(map, "content")?,
            ttl: number(map, "ttl")?,
            proxied: flag(map, "proxied")?,
            priority: priority(map)?,
            data,
            comment: comment(map)?,
            tags: tags(map)?,
        })
    }

    /// A whole record: what is not given has its default.
    pub fn whole(self) -> Result<Fields, Refusal> {
        let empty = Fields {
            kind: String::new(),
            name: String::new(),
            content: String::new(),
            ttl: 1,
            proxied: false,
            priority: None,
            data: None,
            comment: None,
            tags: Vec::new(),
        };
        let has_value = self.content.is_some() || self.data.is_some();
        for (field, there) in [
            ("name", self.name.is_some()),
            ("type", self.kind.is_some()),
            ("content", has_value),
        ] {
            if !there {
                return Err(Refusal::required(field));
            }
        }
        self.over(empty)
    }

    /// What is given, over what is there.
    pub fn over(self, there: Fields) -> Result<Fields, Refusal> {
        let Self {
            kind,
            name,
            content,
            ttl,
            proxied,
            priority,
            data,
            comment,
            tags,
        } = self;
        let ttl = match ttl {
            None => there.ttl,
            Some(given) => u32::try_from(given).map_err(|_| bad_ttl())?,
        };
        // Data given without content makes its content anew.
        let content = match (content, &data) {
            (Some(content), _) => content,
            (None, Some(_)) => String::new(),
            (None, None) => there.content,
        };
        Ok(Fields {
            kind: kind.unwrap_or(there.kind),
            name: name.unwrap_or(there.name),
            content,
            ttl,
            proxied: proxied.unwrap_or(there.proxied),
            priority: priority.or(there.priority),
            data: data.or(there.data),
            comment: match comment {
                Note::Keep => there.comment,
                Note::Be(comment) => comment,
            },
            tags: tags.unwrap_or(there.tags),
        })
    }
}

/// A TTL that is refused.
pub fn bad_ttl() -> Refusal {
    Refusal::invalid(
        9021,
        "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
    )
}

fn given<'a>(map: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    map.get(field).filter(|value| !value.is_null())
}

fn text(map: &Map<String, Value>, field: &str) -> Result<Option<String>, Refusal> {
    match given(map, field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::kind(field, "a string")),
    }
}

fn number(map: &Map<String, Value>, field: &str) -> Result<Option<u64>, Refusal> {
    let wrong = || Refusal::kind(field, "a number");
    given(map, field)
        .map(|value| value.as_u64().ok_or_else(wrong))
        .transpose()
}

fn priority(map: &Map<String, Value>) -> Result<Option<u16>, Refusal> {
    let wrong = |_| Refusal::kind("priority", "a number from 0 to 65535");
    number(map, "priority")?
        .map(|number| u16::try_from(number).map_err(wrong))
        .transpose()
}

fn flag(map: &Map<String, Value>, field: &str) -> Result<Option<bool>, Refusal> {
    let wrong = || Refusal::kind(field, "a boolean");
    given(map, field)
        .map(|value| value.as_bool().ok_or_else(wrong))
        .transpose()
}

fn comment(map: &Map<String, Value>) -> Result<Note, Refusal> {
    if !map.contains_key("comment") {
        return Ok(Note::Keep);
    }
    let comment = text(map, "comment")?.filter(|comment| !comment.is_empty());
    Ok(Note::Be(comment))
}

fn tags(map: &Map<String, Value>) -> Result<Option<Vec<String>>, Refusal> {
    let wrong = || Refusal::kind("tags", "an array of strings");
    let Some(value) = given(map, "tags") else {
        return Ok(None);
    };
    let list = value.as_array().ok_or_else(wrong)?;
    let tags = list
        .iter()
        .map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong));
    tags.collect::<Result<_, _>>().map(Some)
}
