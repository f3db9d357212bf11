//! What a rule can see of a request, and what its acts may name of it.

use serde_json::{Map, Value};

use crate::api::params::Params;

/// What a rule can see of a request.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The method.
    pub method: String,
    /// The path behind /api2/json, decoded.
    pub path: String,
    /// The guest of the path.
    pub vmid: Option<u32>,
    /// The guest to be made.
    pub newid: Option<u32>,
    /// The node of the path.
    pub node: Option<String>,
}

/// The words that an act may use in braces.
pub const WORDS: [&str; 4] = ["vmid", "newid", "node", "upid"];

impl Facts {
    /// The facts of a request.
    pub fn new(method: &str, path: &str, params: &Params) -> Self {
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8_lossy()
            .into_owned();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let node = (parts.first() == Some(&"nodes"))
            .then(|| parts.get(1).map(|node| (*node).to_owned()))
            .flatten();
        let vmid = (parts.get(2) == Some(&"qemu"))
            .then(|| parts.get(3)?.parse().ok())
            .flatten();
        let newid = params.number("newid");
        Self {
            method: method.to_owned(),
            vmid,
            newid,
            node,
            path,
        }
    }

    /// The values of the words.
    pub fn words(&self, upid: Option<&str>) -> Words {
        let number = |value: Option<u32>| value.map(Value::from);
        let text = |value: Option<&str>| value.map(Value::from);
        let values = [
            number(self.vmid),
            number(self.newid),
            text(self.node.as_deref()),
            text(upid),
        ];
        Words(WORDS.into_iter().zip(values).collect())
    }
}

/// What the words in braces stand for in one request.
pub struct Words(Vec<(&'static str, Option<Value>)>);

impl Words {
    /// A text with the words replaced; a word that this request has no value for is the error.
    pub fn text(&self, template: &str) -> Result<String, &'static str> {
        let mut text = template.to_owned();
        for (word, value) in &self.0 {
            let braced = format!("{{{word}}}");
            if !text.contains(&braced) {
                continue;
            }
            text = match value.as_ref().ok_or(*word)? {
                Value::String(value) => text.replace(&braced, value),
                other => text.replace(&braced, &other.to_string()),
            };
        }
        Ok(text)
    }

    /// A value with the words replaced: a text that is one word alone keeps the kind of its value.
    pub fn value(&self, template: &Value) -> Result<Value, &'static str> {
        Ok(match template {
            Value::String(text) => match self.alone(text) {
                Some((word, value)) => value.clone().ok_or(word)?,
                None => Value::from(self.text(text)?),
            },
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item))
                .collect::<Result<_, _>>()?,
            Value::Object(map) => {
                let filled = map.iter().map(|(key, item)| {
                    let pair: Result<_, &'static str> =
                        self.text(key).and_then(|key| Ok((key, self.value(item)?)));
                    pair
                });
                Value::Object(filled.collect::<Result<Map<_, _>, _>>()?)
            }
            other => other.clone(),
        })
    }

    fn alone(&self, text: &str) -> Option<(&'static str, &Option<Value>)> {
        let word = text.strip_prefix('{')?.strip_suffix('}')?;
        let (name, value) = self.0.iter().find(|(name, _)| *name == word)?;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_become_what_the_request_names() {
        let mut params = Params::default();
        params.push("newid".to_owned(), "200".to_owned());
        let facts = Facts::new("POST", "/nodes/pve1/qemu/9000/clone", &params);
        let words = facts.words(None);
        let body = json!({"vmid": "{newid}", "node": "{node}", "config": {"description": "beside {vmid}"}});
        assert_eq!(
            words.value(&body),
            Ok(json!({"vmid": 200, "node": "pve1", "config": {"description": "beside 9000"}}))
        );
        assert_eq!(words.text("/vms/{newid}"), Ok("/vms/200".to_owned()));
        assert_eq!(words.text("/tasks/{upid}"), Err("upid"));
    }
}
