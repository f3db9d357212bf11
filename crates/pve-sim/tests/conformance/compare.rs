//! Whether two answers are the same: all field names and types, all values but those named in one table.

use std::sync::LazyLock;

use pve_sim::LabResponse;
use regex::Regex;
use serde_json::{Map, Value};

use crate::differing::{FOREIGN_LINES, How, NORMALISED, TEXTS};
use crate::pairs::Pair;

/// What differs between a recorded answer and one of the simulator; nothing if they are the same.
pub fn answers(pair: &Pair, got: &LabResponse) -> Vec<String> {
    let mut wrong = Vec::new();
    let want = pair.reason();
    let got_line = format!("{} {}", got.status, masked(&got.reason));
    let want_line = format!(
        "{} {}",
        pair.status(),
        masked(want.lines().next().unwrap_or_default())
    );
    if got_line != want_line {
        wrong.push(format!("want {want_line}, got {got_line}"));
    }
    for name in ["Content-Type", "Connection"] {
        let got = got.headers.get(name).and_then(|value| value.to_str().ok());
        let want = pair.raw["headers"][name].as_str();
        if want != got {
            wrong.push(format!("{name}: want {want:?}, got {got:?}"));
        }
    }
    let body = String::from_utf8_lossy(&got.body);
    match &pair.raw["json"] {
        Value::Null => {
            let want = pair.raw["body_text"].as_str().unwrap_or_default();
            if want != body {
                wrong.push(format!("body: want {want:?}, got {body:?}"));
            }
        }
        want => match serde_json::from_str::<Value>(&body) {
            Ok(got) => values(want, &got, &Place::of(pair), &mut wrong),
            Err(_) => wrong.push(format!("no JSON: {body:?}")),
        },
    }
    wrong
}

/// Where in an answer something is.
#[derive(Clone)]
struct Place {
    call: String,
    template: String,
    key: String,
    path: String,
    /// Whether the configuration holds a hash that no answer shows.
    hidden: bool,
    /// Whether only types count, here and below.
    types: bool,
}

impl Place {
    fn of(pair: &Pair) -> Self {
        Self {
            call: pair.target.split('?').next().unwrap_or_default().to_owned(),
            template: pair.template(),
            key: String::new(),
            path: String::new(),
            hidden: pair.line.contains("cipassword"),
            types: false,
        }
    }

    fn below(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            path: format!("{}.{key}", self.path),
            types: self.types || self.how() == Some(How::Type),
            ..self.clone()
        }
    }

    fn how(&self) -> Option<How> {
        if self.types {
            return Some(How::Type);
        }
        let digest = self.path.ends_with("[\"digest\"].value");
        let own = if digest { "digest" } else { &self.key };
        let row = NORMALISED.iter().find(|(key, part, ..)| {
            let secret = *key != "digest" || !matches!(*part, "/config" | "/pending") || self.hidden;
            *key == own && (self.call.contains(part) || self.template.contains(part)) && secret
        });
        row.map(|(_, _, how, _)| *how)
    }
}

/// Compares two values.
fn values(want: &Value, got: &Value, place: &Place, wrong: &mut Vec<String>) {
    let how = place.how();
    let differ = |wrong: &mut Vec<String>| {
        wrong.push(format!(
            "{}: want {}, got {}",
            place.path,
            short(want),
            short(got)
        ));
    };
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => objects(want, got, place, wrong),
        (Value::Array(want), Value::Array(got)) if how.is_none() => lists(want, got, place, wrong),
        _ if kind(want) != kind(got) => differ(wrong),
        _ if how == Some(How::Type) => {}
        (Value::String(want), Value::String(got)) => {
            let same = match how {
                Some(How::Form) => form(want) == form(got),
                Some(How::Unordered) => sorted(want) == sorted(got),
                _ => masked(want) == masked(got),
            };
            if !same {
                differ(wrong);
            }
        }
        (Value::Number(want), Value::Number(got)) if want.as_f64() == got.as_f64() => {}
        _ if want == got => {}
        _ => differ(wrong),
    }
}

fn objects(want: &Map<String, Value>, got: &Map<String, Value>, place: &Place, wrong: &mut Vec<String>) {
    for (key, value) in want {
        match got.get(key) {
            Some(other) => values(value, other, &place.below(key), wrong),
            None => wrong.push(format!("{}.{key}: missing, want {}", place.path, short(value))),
        }
    }
    for (key, value) in got.iter().filter(|(key, _)| !want.contains_key(*key)) {
        wrong.push(format!(
            "{}.{key}: not recorded, got {}",
            place.path,
            short(value)
        ));
    }
}

/// Lists of things that have names are compared name by name, all others in order.
fn lists(want: &[Value], got: &[Value], place: &Place, wrong: &mut Vec<String>) {
    if want.len() != got.len() {
        let names = |list: &[Value]| {
            list.iter()
                .map(|item| identity(item).unwrap_or_default())
                .collect::<Vec<_>>()
                .join(" ")
        };
        wrong.push(format!(
            "{}: want {} ({}), got {} ({})",
            place.path,
            want.len(),
            names(want),
            got.len(),
            names(got)
        ));
        return;
    }
    for (index, item) in want.iter().enumerate() {
        let name = identity(item);
        let other = match &name {
            Some(_) => got.iter().find(|other| identity(other) == name),
            None => got.get(index),
        };
        let place = Place {
            path: format!(
                "{}[{}]",
                place.path,
                name.clone().unwrap_or_else(|| index.to_string())
            ),
            ..place.clone()
        };
        match other {
            Some(other) => values(item, other, &place, wrong),
            None => wrong.push(format!("{}: missing", place.path)),
        }
    }
}

/// What tells an entry of a list from the others.
fn identity(item: &Value) -> Option<String> {
    let keys = [
        "id", "upid", "volid", "poolid", "iface", "cidr", "vmid", "storage", "key", "userid", "tokenid",
        "pos", "n", "name", "subdir", "macro", "realm", "roleid",
    ];
    let keys = keys
        .iter()
        .filter(|key| !(**key == "id" && item.get("upid").is_some()));
    let name = keys
        .filter_map(|key| item.get(*key))
        .map(ToString::to_string)
        .next()?;
    let more: Vec<String> = ["path", "ugid"]
        .iter()
        .filter_map(|key| item.get(*key))
        .map(Value::to_string)
        .collect();
    Some(format!("{name}{}", more.join("")))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

fn form(text: &str) -> String {
    static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new("[0-9A-Fa-f]+").unwrap());
    DIGITS.replace_all(text, "N").into_owned()
}

fn sorted(list: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = list.split(',').collect();
    parts.sort_unstable();
    parts
}

/// A text without what differs in each run.
pub fn masked(text: &str) -> String {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rows = TEXTS
            .iter()
            .map(|(pattern, with, _)| (Regex::new(pattern).unwrap(), *with));
        rows.collect()
    });
    PATTERNS.iter().fold(text.to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

/// What differs between two logs of a task.
pub fn logs(want: &[Value], got: &[String]) -> Vec<String> {
    let own = |line: &&str| !FOREIGN_LINES.iter().any(|(start, _)| line.starts_with(start));
    let want: Vec<String> = want
        .iter()
        .filter_map(Value::as_str)
        .filter(own)
        .map(masked)
        .collect();
    let got: Vec<String> = got.iter().map(String::as_str).filter(own).map(masked).collect();
    // A long log was recorded in part only.
    let cut = !want.last().is_some_and(|line| line.starts_with("TASK "));
    if want == got || (cut && got.starts_with(&want)) {
        Vec::new()
    } else {
        vec![format!("log: want {want:?}, got {got:?}")]
    }
}
