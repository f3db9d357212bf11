//! What a call takes: names, types and bounds of its parameters, and the check of a request against them.

use std::collections::BTreeMap;

use super::params::{Params, Raw};
use crate::model::values;

/// The type of a parameter.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text of at most so many characters.
    Short(usize),
    /// 0 or 1.
    Bool,
    /// A whole number within bounds.
    Int(i64, i64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// A guest's id.
    VmId,
    /// A list of guests' ids.
    VmIdList,
    /// A form with a check of its own; the error is the text of the 400.
    Form(fn(&str) -> Result<(), String>),
    /// A configuration key, whose name decides the form.
    Config,
}

/// A parameter.
#[derive(Clone, Copy)]
pub struct Param {
    name: &'static str,
    kind: Kind,
    required: bool,
    /// Whether the name stands for a family with numbers behind it.
    numbered: bool,
}

/// An optional parameter.
pub const fn opt(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: false,
        numbered: false,
    }
}

/// A required parameter.
pub const fn req(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: true,
        numbered: false,
    }
}

/// A family of optional parameters with numbers behind the name.
pub const fn family(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: false,
        numbered: true,
    }
}

const UNKNOWN: &str = "property is not defined in schema and the schema does not allow additional properties";

/// Checks a request; the errors are by parameter.
pub fn check(specs: &[&[Param]], params: &Params) -> Result<(), BTreeMap<String, String>> {
    let all = || specs.iter().copied().flatten();
    let mut errors = BTreeMap::new();
    for (name, raw) in params.iter() {
        let spec = all().find(|spec| spec.names(name));
        let verdict = spec.map_or_else(|| Err(UNKNOWN.to_owned()), |spec| spec.check(name, raw));
        if let Err(text) = verdict {
            errors.insert(name.to_owned(), text);
        }
    }
    for spec in all().filter(|spec| spec.required && !params.iter().any(|(name, _)| name == spec.name)) {
        errors.insert(
            spec.name.to_owned(),
            "property is missing and it is not optional".to_owned(),
        );
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

impl Param {
    fn names(&self, name: &str) -> bool {
        if !self.numbered {
            return self.name == name;
        }
        let number = name.strip_prefix(self.name);
        number.is_some_and(|number| number.len() < 4 && number.parse::<u16>().is_ok())
    }

    fn check(&self, name: &str, raw: &Raw) -> Result<(), String> {
        match raw {
            Raw::One(value) => self.check_value(name, value),
            Raw::Many => Err(format!("type check ('{}') failed - got ARRAY", self.type_name())),
            Raw::Nested => Err(format!("type check ('{}') failed - got HASH", self.type_name())),
        }
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Bool => "boolean",
            Kind::Int(..) | Kind::VmId => "integer",
            _ => "string",
        }
    }

    fn check_value(&self, name: &str, value: &str) -> Result<(), String> {
        match self.kind {
            Kind::Short(most) if value.chars().count() > most => {
                Err(format!("value may only be {most} characters long"))
            }
            Kind::Text | Kind::Short(_) => Ok(()),
            Kind::Bool if matches!(value, "0" | "1") => Ok(()),
            Kind::Bool => Err(format!("type check ('boolean') failed - got '{value}'")),
            Kind::Int(low, high) => values::check_range(value, low, high),
            Kind::Choice(all) if all.contains(&value) => Ok(()),
            Kind::Choice(all) => Err(format!(
                "value '{value}' does not have a value in the enumeration '{}'",
                all.join(", ")
            )),
            Kind::VmId => check_vmid(value),
            Kind::VmIdList => value
                .split([',', ';', ' '])
                .filter(|part| !part.is_empty())
                .try_for_each(check_vmid),
            Kind::Form(check) => check(value),
            Kind::Config => values::check(name, value),
        }
    }
}

fn check_vmid(value: &str) -> Result<(), String> {
    if value.parse::<i64>().is_err() {
        return Err(format!("type check ('integer') failed - got '{value}'"));
    }
    match value.parse::<u32>() {
        Ok(100..=999_999_999) => Ok(()),
        _ => Err("invalid format - value does not look like a valid VM ID\n".to_owned()),
    }
}
