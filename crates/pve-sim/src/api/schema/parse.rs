//! Reads the table. Its text is part of the program: what cannot be read is left out, and a test sees to it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::{Access, Check, Kind, Method, Property};

/// The calls by path and method, and the forms of values.
#[derive(Debug, Default)]
pub struct Table {
    /// Methods by path and name.
    pub paths: BTreeMap<&'static str, BTreeMap<&'static str, Method>>,
    /// Values that are lists of keys.
    pub formats: BTreeMap<&'static str, BTreeMap<&'static str, Property>>,
}

/// What the lines that follow belong to.
enum Place {
    Nowhere,
    Format(&'static str),
    Path(&'static str),
    Method(&'static str, &'static str),
}

/// Reads the whole text.
pub fn parse(text: &'static str) -> Table {
    let mut table = Table::default();
    let mut place = Place::Nowhere;
    for line in text.lines() {
        place = take(&mut table, place, line);
    }
    table
}

fn take(table: &mut Table, place: Place, line: &'static str) -> Place {
    if let Some(property) = line.strip_prefix("  ") {
        let (name, property) = property_of(property);
        match place {
            Place::Format(format) => drop(table.formats.entry(format).or_default().insert(name, property)),
            Place::Method(path, verb) => {
                if let Some(method) = table.paths.get_mut(path).and_then(|all| all.get_mut(verb)) {
                    match name.strip_suffix("[n]") {
                        Some(family) => drop(method.families.insert(family, property)),
                        None => drop(method.properties.insert(name, property)),
                    }
                }
            }
            Place::Nowhere | Place::Path(_) => {}
        }
        return place;
    }
    match (line.strip_prefix(' '), line.strip_prefix("format "), &place) {
        (Some(rest), _, Place::Path(path) | Place::Method(path, _)) => {
            let path = *path;
            let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            table.paths.entry(path).or_default().insert(verb, method_of(rest));
            Place::Method(path, verb)
        }
        (None, Some(name), _) => {
            table.formats.entry(name).or_default();
            Place::Format(name)
        }
        (None, None, _) if line.starts_with('/') => Place::Path(line),
        _ => Place::Nowhere,
    }
}

fn method_of(rest: &'static str) -> Method {
    let (who, flags) = rest.split_once(' ').unwrap_or((rest, ""));
    let access = match who {
        "world" => Access::World,
        "all" => Access::All,
        _ => serde_json::from_str::<Value>(who)
            .ok()
            .as_ref()
            .and_then(check_of)
            .map_or(Access::Root, Access::Check),
    };
    let has = |wanted: &str| flags.split(' ').any(|flag| flag == wanted);
    Method {
        access,
        token: !has("notoken"),
        open: has("open"),
        index: flags.split(' ').find_map(|flag| flag.strip_prefix("index=")),
        properties: BTreeMap::new(),
        families: BTreeMap::new(),
    }
}

fn check_of(value: &Value) -> Option<Check> {
    let list = value.as_array()?;
    let text = |index: usize| list.get(index).and_then(Value::as_str);
    let texts = |index: usize| -> Vec<String> {
        let listed = list.get(index).and_then(Value::as_array);
        let listed = listed.into_iter().flatten();
        listed.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let all = || list.iter().skip(1).map(check_of).collect::<Option<Vec<_>>>();
    let after = |key: &str| {
        let at = list.iter().position(|item| item == key)?;
        list.get(at + 1)
    };
    Some(match text(0)? {
        "and" => Check::And(all()?),
        "or" => Check::Or(all()?),
        "perm" => Check::Privileges {
            path: text(1)?.to_owned(),
            privileges: texts(2),
            any: after("any").is_some(),
            require: after("require_param").and_then(Value::as_str).map(str::to_owned),
        },
        "userid-param" if text(1)? == "self" => Check::SelfUser,
        "userid-param" => Check::Realm,
        "userid-group" => Check::UserGroup {
            privileges: texts(1),
            creates: after("groups_param").is_some_and(|act| act == "create"),
        },
        "perm-modify" => Check::Modify(text(1)?.to_owned()),
        _ => return None,
    })
}

fn property_of(line: &'static str) -> (&'static str, Property) {
    let (facts, pattern) = match line.split_once(" like=") {
        Some((facts, pattern)) => (facts, Some(pattern)),
        None => (line, None),
    };
    let mut words = facts.split(' ');
    let name = words.next().unwrap_or_default();
    let kind = match words.next() {
        Some("boolean") => Kind::Boolean,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("array") => Kind::List,
        _ => Kind::Text,
    };
    let facts: BTreeMap<&str, &'static str> = words
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .collect();
    let fact = |key: &str| facts.get(key).copied();
    let number = |key: &str| fact(key).and_then(|text| text.parse().ok());
    let property = Property {
        kind,
        optional: name.ends_with('?'),
        format: fact("format"),
        keys: fact("keys"),
        bounds: [fact("min"), fact("max")],
        lengths: [number("shortest"), number("longest")],
        needs: fact("needs"),
        alias: fact("alias"),
        names: fact("names"),
        default: fact("default").is_some(),
        values: fact("of")
            .map(|values| values.split(',').collect())
            .unwrap_or_default(),
        like: pattern,
        pattern: OnceLock::new(),
    };
    (name.trim_end_matches('?'), property)
}
