//! What a rule can see of a request, and what its acts may name of it.

use serde_json::{Map, Value};

use crate::api::{Answer, Call};
use crate::model::record::Record;
use crate::model::world::World;

/// The words that an act may use in braces.
pub const WORDS: [&str; 4] = ["zone", "record", "name", "type"];

/// What a rule can see of a request.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The method.
    pub method: String,
    /// The path behind /client/v4.
    pub path: String,
    /// The zone's id.
    pub zone: Option<String>,
    /// The zone's name.
    pub zone_name: Option<String>,
    /// The record's id; of a new record only after the effect.
    pub record: Option<String>,
    /// The record's name: as the body gives it, or as it is kept.
    pub name: Option<String>,
    /// The record's type.
    pub kind: Option<String>,
}

impl Facts {
    /// The facts of a request.
    pub fn new(world: &World, call: &Call) -> Self {
        let parts: Vec<&str> = call.path.split('/').skip(1).collect();
        let zone = (parts.first() == Some(&"zones")).then(|| parts.get(1)).flatten();
        let zone = zone.and_then(|id| world.zones.get(*id));
        let record = parts.get(3).map(|id| (*id).to_owned());
        let kept = zone.and_then(|zone| zone.record(record.as_deref()?));
        let text = |field: &str| {
            let body = call.body.as_ref().ok()?;
            body.get(field)?.as_str().map(str::to_owned)
        };
        let of = |field: fn(&Record) -> &String| kept.map(|record| field(record).clone());
        Self {
            method: call.method.clone(),
            path: call.path.clone(),
            zone: zone.map(|zone| zone.id.clone()),
            zone_name: zone.map(|zone| zone.name.clone()),
            name: text("name").or_else(|| of(|record| &record.fields.name)),
            kind: text("type").or_else(|| of(|record| &record.fields.kind)),
            record,
        }
    }

    /// The same after the effect: a new record has its id.
    pub fn after(&self, answer: Option<&Answer>) -> Self {
        let made = answer.and_then(|answer| answer.body.pointer("/result/id")?.as_str());
        Self {
            record: self.record.clone().or_else(|| made.map(str::to_owned)),
            ..self.clone()
        }
    }

    fn word(&self, word: &str) -> Option<&str> {
        match word {
            "zone" => self.zone.as_deref(),
            "record" => self.record.as_deref(),
            "name" => self.name.as_deref(),
            "type" => self.kind.as_deref(),
            _ => None,
        }
    }

    /// A text with the words replaced; a word that this request has no value for is the error.
    pub fn text(&self, template: &str) -> Result<String, &'static str> {
        let mut text = template.to_owned();
        for word in WORDS {
            let braced = format!("{{{word}}}");
            if text.contains(&braced) {
                text = text.replace(&braced, self.word(word).ok_or(word)?);
            }
        }
        Ok(text)
    }

    /// A value with the words replaced in its texts.
    pub fn value(&self, template: &Value) -> Result<Value, &'static str> {
        Ok(match template {
            Value::String(text) => Value::from(self.text(text)?),
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item))
                .collect::<Result<_, _>>()?,
            Value::Object(map) => {
                let filled = map.iter().map(|(key, item)| Ok((key.clone(), self.value(item)?)));
                Value::Object(filled.collect::<Result<Map<_, _>, &'static str>>()?)
            }
            other => other.clone(),
        })
    }
}
