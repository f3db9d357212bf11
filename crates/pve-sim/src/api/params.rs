//! The parameters of a call, as they came from path, query and body.

use std::collections::BTreeMap;

/// One parameter as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// One value.
    One(String),
    /// A repeated key or an array.
    Many,
    /// An object.
    Nested,
}

/// Parameters by name.
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: BTreeMap<String, Raw>,
}

impl Params {
    /// Adds a value; a second one of the same name makes it an array.
    pub fn push(&mut self, name: String, value: String) {
        let entry = self.values.entry(name);
        entry
            .and_modify(|raw| *raw = Raw::Many)
            .or_insert(Raw::One(value));
    }

    /// Sets a parameter.
    pub fn put(&mut self, name: String, value: Raw) {
        self.values.insert(name, value);
    }

    /// Adds others, which win.
    pub fn merge(&mut self, other: Self) {
        self.values.extend(other.values);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The text of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Raw::One(value)) => Some(value),
            _ => None,
        }
    }

    /// A text that is not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// Whether a boolean is on.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }

    /// Where a page begins, and how much is on it.
    pub fn page(&self) -> (usize, usize) {
        let limit = self.number("limit").filter(|limit| *limit > 0);
        (self.number("start").unwrap_or(0), limit.unwrap_or(50))
    }

    /// A number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }
}
