//! Whether an object must be applied again: what is there beside what is wanted does not matter.

use serde_json::Value;

/// Whether an object as it is lacks anything of what is wanted.
#[must_use]
pub fn lacks(wanted: &Value, actual: &Value) -> bool {
    match (wanted, actual) {
        (Value::Object(wanted), Value::Object(actual)) => wanted
            .iter()
            .any(|(key, value)| actual.get(key).is_none_or(|other| lacks(value, other))),
        _ => wanted != actual,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_is_no_lack_and_less_is() {
        let wanted = json!({"metadata": {"name": "a", "labels": {"b": "c"}}, "rules": [1, 2]});
        let more =
            json!({"metadata": {"name": "a", "uid": "u", "labels": {"b": "c", "d": "e"}}, "rules": [1, 2]});
        assert!(!lacks(&wanted, &more));
        for less in [
            json!({"metadata": {"name": "a"}, "rules": [1, 2]}),
            json!({"metadata": {"name": "a", "labels": {"b": "c"}}, "rules": [1, 2, 3]}),
            json!({}),
        ] {
            assert!(lacks(&wanted, &less), "{less}");
        }
    }
}
