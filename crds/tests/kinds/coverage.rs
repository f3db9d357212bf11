//! The tables are whole: a rule, or a field, without its case fails here, before any API server is asked.

use crate::support::Case;
use crate::support::walk::{places, root_rules};
use crate::{changes, edges, rules, states, texts};

fn refusals() -> Vec<Case> {
    [texts::bad(), rules::bad(), changes::all(), states::all()]
        .concat()
        .into_iter()
        .filter(|c| c.refusal.is_some())
        .collect()
}

/// A path as in the schema: without indices.
fn general(path: &str) -> String {
    let mut inside = false;
    let mut plain = String::new();
    for c in path.chars() {
        inside = c == '[' || inside && c != ']';
        if c == '[' || !inside {
            plain.push(c);
        }
    }
    plain
}

fn tried(cases: &[Case], kind: &str, path: &str, message: &str) -> bool {
    cases.iter().any(|case| {
        let (at, says) = case.refusal.clone().unwrap_or_default();
        case.kind() == kind && general(&at).starts_with(path) && message.contains(&says)
    })
}

#[test]
fn every_rule_is_tried() {
    let cases = refusals();
    let mut missing = Vec::new();
    for place in places() {
        let path = place.to_string();
        for (_, message) in place.rules() {
            if !tried(&cases, &place.kind, &path, &message) {
                missing.push(format!("{} {path}: {message}", place.kind));
            }
        }
    }
    for (kind, path, message) in root_rules() {
        if !tried(&cases, &kind, &path, &message) {
            missing.push(format!("{kind}: {message}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_field_of_a_spec_is_accepted_somewhere() {
    let objects = edges::good();
    let given = |place: &crate::support::walk::Place| {
        objects
            .iter()
            .any(|object| object["kind"] == place.kind && place.get(object).is_some())
    };
    let missing: Vec<String> = places()
        .iter()
        .filter(|place| place.within("spec") && !given(place))
        .map(|place| format!("{} {place}", place.kind))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
