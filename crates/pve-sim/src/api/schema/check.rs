//! The check of a request: every parameter against its property, with the daemon's texts.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use super::{Kind, Method, Property, formats};
use crate::api::params::{Params, Raw};

pub(super) const UNKNOWN: &str =
    "property is not defined in schema and the schema does not allow additional properties";
/// Bytes that a compiled pattern may take; one counts up to 256 letters of any alphabet.
const LARGEST_PATTERN: usize = 64 << 20;
pub(super) const MISSING: &str = "property is missing and it is not optional";

/// Checks the named parts of a path and the parameters; the errors are by parameter.
pub fn check(
    method: &Method,
    path: &BTreeMap<&'static str, String>,
    params: &Params,
) -> Result<(), BTreeMap<String, String>> {
    let mut errors = BTreeMap::new();
    for (name, raw) in params.iter().filter(|(name, _)| !path.contains_key(name)) {
        let verdict = match method.property(name) {
            Some(property) => property.check(name, raw),
            None if method.open => Ok(()),
            None => Err(UNKNOWN.to_owned()),
        };
        note(&mut errors, name, verdict);
    }
    for (name, value) in path {
        if let Some(property) = method.properties.get(name) {
            note(&mut errors, name, property.check_text(name, value));
        }
    }
    let given = |name: &str| path.contains_key(name) || params.iter().any(|(other, _)| other == name);
    for (name, property) in &method.properties {
        if !property.optional && !given(name) {
            errors.insert((*name).to_owned(), MISSING.to_owned());
        }
        if let Some(needed) = property.needs.filter(|needed| given(name) && !given(needed)) {
            errors.insert(
                needed.to_owned(),
                format!("missing property - '{name}' requires this property"),
            );
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn note(errors: &mut BTreeMap<String, String>, name: &str, verdict: Result<(), String>) {
    if let Err(text) = verdict {
        errors.insert(name.to_owned(), text);
    }
}

impl Property {
    fn check(&self, name: &str, raw: &Raw) -> Result<(), String> {
        match raw {
            Raw::One(value) => self.check_text(name, value),
            Raw::Many if self.kind == Kind::List => Ok(()),
            Raw::Many => Err(format!("type check ('{}') failed - got ARRAY", self.type_name())),
            Raw::Nested => Err(format!("type check ('{}') failed - got HASH", self.type_name())),
        }
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Text => "string",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::List => "array",
        }
    }

    /// Checks a value of the parameter of this name.
    pub(super) fn check_text(&self, name: &str, value: &str) -> Result<(), String> {
        let typed = match self.kind {
            Kind::Text | Kind::List => true,
            Kind::Boolean => matches!(value, "0" | "1"),
            Kind::Integer => value.parse::<i64>().is_ok(),
            Kind::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
        };
        if !typed {
            return Err(format!(
                "type check ('{}') failed - got '{value}'",
                self.type_name()
            ));
        }
        let wrong_form = |text: String| format!("invalid format - {text}");
        if let Some(keys) = self.keys {
            formats::check_keys(keys, name, value).map_err(wrong_form)?;
        }
        if let Some(format) = self.format {
            formats::check(format, name, value).map_err(wrong_form)?;
        }
        self.check_bounds(value)?;
        self.check_lengths(value)?;
        if !self.values.is_empty() && !self.values.contains(&value) {
            return Err(format!(
                "value '{value}' does not have a value in the enumeration '{}'",
                self.values.join(", ")
            ));
        }
        match self.pattern() {
            Some(pattern) if !pattern.is_match(value) => {
                Err("value does not match the regex pattern".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_bounds(&self, value: &str) -> Result<(), String> {
        let number = |text: &str| text.parse::<f64>().ok();
        let Some(value) = number(value).filter(|_| matches!(self.kind, Kind::Integer | Kind::Number)) else {
            return Ok(());
        };
        let [low, high] = self.bounds;
        if let Some(low) = low.filter(|low| number(low).is_some_and(|low| value < low)) {
            return Err(format!("value must have a minimum value of {low}"));
        }
        match high.filter(|high| number(high).is_some_and(|high| value > high)) {
            Some(high) => Err(format!("value must have a maximum value of {high}")),
            None => Ok(()),
        }
    }

    fn check_lengths(&self, value: &str) -> Result<(), String> {
        let length = value.chars().count();
        match self.lengths {
            [_, Some(most)] if length > most => Err(format!("value may only be {most} characters long")),
            [Some(least), _] if length < least => {
                Err(format!("value must be at least {least} characters long"))
            }
            _ => Ok(()),
        }
    }

    fn pattern(&self) -> Option<&Regex> {
        let made = || {
            let whole = format!("^(?:{})$", self.like?);
            RegexBuilder::new(&whole).size_limit(LARGEST_PATTERN).build().ok()
        };
        self.pattern.get_or_init(made).as_ref()
    }

    /// Whether it has a pattern that can be asked.
    #[cfg(test)]
    pub fn compiles(&self) -> bool {
        self.pattern().is_some()
    }
}
