//! Bounds, enums, types and required fields, generated from the schemas: each is refused with its own path.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::with_namespace;

use crate::support::samples::{self, KINDS};
use crate::support::walk::{Place, places};
use crate::support::{Case, check, sample, statuses};

/// What breaks a bound of this place, and what the refusal says.
fn breaches(place: &Place, object: &Value) -> Vec<(Option<Value>, &'static str)> {
    let schema = &place.schema;
    let mut found = Vec::new();
    if place.required {
        found.push((None, "Required value"));
    }
    if schema["enum"].is_array() {
        found.push((Some(json!("Nonsense")), "Unsupported value"));
    }
    if let Some(max) = schema["maxLength"]
        .as_u64()
        .and_then(|max| usize::try_from(max).ok())
    {
        found.push((Some(json!("x".repeat(max + 1))), "Too long"));
    }
    if schema["minLength"].is_u64() {
        found.push((Some(json!("")), "should be at least 1 chars long"));
    }
    if schema["minItems"].is_u64() {
        found.push((Some(json!([])), "should have at least 1 items"));
    }
    if let Some(max) = schema["maxItems"]
        .as_u64()
        .and_then(|max| usize::try_from(max).ok())
    {
        let item = place
            .get(object)
            .and_then(|list| list.get(0))
            .cloned()
            .unwrap_or_default();
        found.push((Some(json!(vec![item; max + 1])), "must have at most"));
    }
    if schema["format"] == "date-time" {
        found.push((Some(json!("yesterday")), "must be of type date-time"));
    }
    if schema["type"] == "integer" && place.within("spec") {
        found.push((Some(json!(3_000_000_000_i64)), ""));
    }
    found.push((Some(wrong_type(schema)), "must be of type"));
    found
}

fn wrong_type(schema: &Value) -> Value {
    if schema["type"] == "string" {
        json!(7)
    } else {
        json!("seven")
    }
}

fn cases(part: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in places().into_iter().filter(|place| place.within(part)) {
        let mut object = samples::full(&place.kind);
        object["status"] = statuses::status(&place.kind);
        if place.get(&object).is_none() && !place.required {
            continue;
        }
        for (value, says) in breaches(&place, &object) {
            let changed = place.set(&object, value);
            let path = place.path_in(if says == "Required value" {
                &object
            } else {
                &changed
            });
            let case = Case::refused(changed, path, says);
            cases.push(if part == "status" {
                case.from(samples::full(&place.kind)).in_status()
            } else {
                case
            });
        }
    }
    cases
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_bound_of_a_spec_is_refused_at_its_path() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, cases("spec")).await }).await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_bound_of_a_status_is_refused_at_its_path() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, cases("status")).await }).await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_full_status_is_accepted() -> Result<()> {
    with_namespace(|ns| async move {
        let whole = |kind: &&str| {
            let mut object = samples::full(kind);
            object["status"] = statuses::status(kind);
            Case::accepted(object).from(samples::full(kind)).in_status()
        };
        check(&ns, KINDS.iter().map(whole).collect()).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn unknown_fields_are_refused_by_name() -> Result<()> {
    with_namespace(|ns| async move {
        for kind in KINDS {
            let object = sample(kind, &json!({ "colour": "red" }));
            testkit::admission::rejects(&ns, &object)
                .await
                .saying("unknown field \"spec.colour\"");
        }
        Ok(())
    })
    .await
}
