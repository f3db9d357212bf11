//! One parameter as a line, and the forms of values that several parameters share.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Map, Value};

use super::truthy;

/// The forms of values that are lists of keys, each written once.
#[derive(Default)]
pub struct Formats {
    /// The lines of each form, by name.
    by_name: BTreeMap<String, String>,
}

impl Formats {
    /// The line of a parameter.
    ///
    /// # Errors
    /// A pattern or value that would not survive in a line.
    pub fn line(&mut self, name: &str, property: &Value) -> Result<String> {
        let optional = truthy(&property["optional"]) == Some(true);
        let kind = property["type"].as_str().unwrap_or("string");
        let mut line = format!("{name}{} {kind}", if optional { "?" } else { "" });
        match &property["format"] {
            Value::String(format) => write!(line, " format={format}")?,
            Value::Object(keys) => write!(line, " keys={}", self.intern(name, keys)?)?,
            _ => {}
        }
        let plain = [
            ("minimum", "min"),
            ("maximum", "max"),
            ("minLength", "shortest"),
            ("maxLength", "longest"),
            ("requires", "needs"),
            ("alias", "alias"),
            ("keyAlias", "names"),
        ];
        for (key, short) in plain {
            match &property[key] {
                Value::String(text) => write!(line, " {short}={text}")?,
                Value::Number(number) => write!(line, " {short}={number}")?,
                _ => {}
            }
        }
        if truthy(&property["default_key"]) == Some(true) {
            line.push_str(" default");
        }
        if let Some(values) = property["enum"].as_array() {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            ensure!(
                values.iter().all(|value| !value.contains([' ', ','])),
                "a value of {name} has a space or comma"
            );
            write!(line, " of={}", values.join(","))?;
        }
        if let Some(pattern) = property["pattern"].as_str() {
            ensure!(!pattern.contains('\n'), "the pattern of {name} has a line end");
            // Last, because it may hold spaces.
            write!(line, " like={}", readable_pattern(pattern))?;
        }
        Ok(line)
    }

    /// The name of a form: the parameter's, with a number if another form has that name already.
    fn intern(&mut self, name: &str, keys: &Map<String, Value>) -> Result<String> {
        let mut text = String::new();
        for (key, property) in keys.iter().collect::<BTreeMap<_, _>>() {
            writeln!(text, "  {}", self.line(key, property)?)?;
        }
        let base = name.trim_end_matches("[n]");
        for number in 1.. {
            let candidate = if number == 1 {
                base.to_owned()
            } else {
                format!("{base}.{number}")
            };
            match self.by_name.get(&candidate) {
                Some(known) if *known == text => return Ok(candidate),
                Some(_) => {}
                None => {
                    self.by_name.insert(candidate.clone(), text);
                    return Ok(candidate);
                }
            }
        }
        Ok(base.to_owned())
    }

    /// All forms.
    pub fn text(&self) -> String {
        let blocks = self
            .by_name
            .iter()
            .map(|(name, lines)| format!("format {name}\n{lines}"));
        blocks.collect()
    }
}

/// Perl prints its compiled patterns with marks that only it knows.
fn readable_pattern(pattern: &str) -> String {
    let marks = [
        ("(?^u:", "(?:"),
        ("(?^i:", "(?i:"),
        ("(?^:", "(?:"),
        (r"\0", r"\x00"),
        ("{,", "{0,"),
    ];
    let mut text = pattern.to_owned();
    for (perl, plain) in marks {
        text = text.replace(perl, plain);
    }
    text
}
