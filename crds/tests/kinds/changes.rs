//! Rules about changes: what is fixed, what is only added to, what is set once.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::with_namespace;

use crate::rules::parse;
use crate::support::samples::{self, KINDS, UID};
use crate::support::{Case, check, merged, rows, sample, statuses};

const FIXED: &str = "is immutable";
const OTHER_UID: &str = "ffffffff-0000-4000-8000-000000000000";

/// A change of a spec.
fn spec(kind: &str, old: &Value, new: &Value) -> (Value, Value) {
    (sample(kind, old), sample(kind, new))
}

fn refused((old, new): (Value, Value), path: &str, says: &str) -> Case {
    Case::refused(new, path, says).from(old)
}

fn accepted((old, new): (Value, Value)) -> Case {
    Case::accepted(new).from(old)
}

fn fixed() -> Vec<Case> {
    let none = json!({});
    let from_full = |kind, change: Value, path| refused(spec(kind, &none, &change), path, FIXED);
    vec![
        from_full("Account", json!({ "namespace": "tenant-bob" }), "spec.namespace"),
        from_full(
            "Contract",
            json!({ "offeringRef": { "name": "large" } }),
            "spec.offeringRef",
        ),
        from_full(
            "Contract",
            json!({ "offeringRef": { "namespace": "birch" } }),
            "spec.offeringRef",
        ),
        from_full("Contract", json!({ "durationHours": 25 }), "spec.durationHours"),
        from_full("Contract", json!({ "durationHours": null }), "spec.durationHours"),
        from_full(
            "Contract",
            json!({ "payment": { "method": "Free" } }),
            "spec.payment",
        ),
        from_full("Contract", json!({ "payment": null }), "spec.payment"),
        from_full(
            "Machine",
            json!({ "contractRef": { "uid": OTHER_UID } }),
            "spec.contractRef",
        ),
        from_full("Machine", json!({ "hubUID": OTHER_UID }), "spec.hubUID"),
    ]
}

/// Any field of a Slot, changed to another value that would do at creation.
fn slots() -> Vec<Case> {
    let changes = [
        json!({ "pool": "rack2" }),
        json!({ "vmid": 10001 }),
        json!({ "node": "pve2" }),
        json!({ "storage": "slow" }),
        json!({ "templateVmid": 9001 }),
        json!({ "fullClone": true }),
        json!({ "address": "10.64.0.11" }),
        json!({ "machineRef": { "uid": OTHER_UID } }),
        json!({ "contractUID": OTHER_UID }),
    ];
    let none = json!({});
    changes
        .iter()
        .map(|change| {
            refused(
                spec("Slot", &none, change),
                "spec",
                "is immutable: a Slot is a claim",
            )
        })
        .collect()
}

fn extensions_and_cancellations() -> Vec<Case> {
    let hours = |old: Value, new: Value| {
        spec(
            "Contract",
            &json!({ "extendHours": old }),
            &json!({ "extendHours": new }),
        )
    };
    let added = |old, new| {
        refused(
            hours(old, new),
            "spec.extendHours",
            "extensions are only added at the end",
        )
    };
    let cancel =
        |old: Value, new: Value| spec("Contract", &json!({ "cancel": old }), &json!({ "cancel": new }));
    let last = |new| {
        refused(
            cancel(json!({ "reason": "a" }), new),
            "spec.cancel",
            "a cancellation is final",
        )
    };
    let full: Vec<i32> = (1..=23).collect();
    let mut changed = full.clone();
    changed[22] = 99;
    vec![
        added(json!([1, 2]), json!([1])),
        added(json!([1, 2]), json!([2, 1])),
        added(json!([1, 2]), json!([1, 3, 2])),
        added(json!([1]), json!([])),
        added(json!([1]), Value::Null),
        added(json!(full), json!(changed)),
        accepted(hours(Value::Null, json!([1]))),
        accepted(hours(json!([1]), json!([1, 1]))),
        accepted(hours(json!(full), json!(([&full[..], &[9]].concat())))),
        last(Value::Null),
        last(json!({ "reason": "b" })),
        last(json!({})),
        accepted(cancel(Value::Null, json!({ "reason": "a" }))),
        accepted(cancel(json!({ "reason": "a" }), json!({ "reason": "a" }))),
    ]
}

fn machine_once() -> Vec<Case> {
    let admitted = |old: bool, new: bool| {
        spec(
            "Machine",
            &json!({ "admitted": old }),
            &json!({ "admitted": new }),
        )
    };
    let teardown = |new: Value| spec("Machine", &json!({}), &json!({ "teardown": new }));
    let once = |new| refused(teardown(new), "spec.teardown", "teardown is set once");
    vec![
        refused(
            admitted(true, false),
            "spec.admitted",
            "admitted is never taken back",
        ),
        accepted(admitted(false, true)),
        once(Value::Null),
        once(json!({ "cause": "Expired" })),
        once(json!({ "by": "somebody else" })),
        accepted(spec("Machine", &json!({ "teardown": null }), &json!({}))),
        accepted(spec("Machine", &json!({}), &json!({ "powerState": "Running" }))),
    ]
}

/// Kind, change of the full sample's spec, field.
const IN_USE: &str = r#"
Gateway | {"dcId": "fra1"}                      | spec.dcId
Gateway | {"prefix": "vm"}                      | spec.prefix
Gateway | {"domain": "example.net"}             | spec.domain
Gateway | {"network": {"cidr": "10.64.0.0/17"}} | spec.network.cidr
Gateway | {"ports": {"first": 19000}}           | spec.ports
Gateway | {"ports": {"last": 30000}}            | spec.ports
Pool    | {"vmidBase": 20000}                   | spec.vmidBase
Pool    | {"gatewayRef": {"name": "fra1"}}      | spec.gatewayRef
Pool    | {"proxmox": {"pool": "other"}}        | spec.proxmox.pool
"#;

/// What is fixed while `status.slotsInUse` says so, and free otherwise.
fn fixed_in_use() -> Vec<Case> {
    let mut cases = Vec::new();
    for [kind, change, path] in rows(IN_USE) {
        let marked = |mark: Value| merged(&samples::full(kind), &json!({ "status": { "slotsInUse": mark } }));
        let changed = sample(kind, &parse(change));
        cases.push(Case::refused(changed.clone(), path, "is immutable while").from(marked(json!(true))));
        cases.push(Case::accepted(changed.clone()).from(marked(json!(false))));
        cases.push(Case::accepted(changed).from(samples::full(kind)));
    }
    let used = |kind| merged(&samples::full(kind), &json!({ "status": { "slotsInUse": true } }));
    cases.push(
        Case::accepted(sample("Gateway", &json!({ "publicIPs": ["192.0.2.99"] }))).from(used("Gateway")),
    );
    cases.push(
        Case::accepted(sample("Pool", &json!({ "storage": "other", "vlan": null }))).from(used("Pool")),
    );
    cases
}

/// Kind, field of the status, its value, another value, the refusal's sentence.
const ONCE: &str = r#"
Contract | price    | {"amountE9s": 1, "currency": "USD"} | {"amountE9s": 2, "currency": "USD"} | a price is fixed once
Contract | id       | "0a"                   | "0b"                   | the id is fixed
Contract | startsAt | "2026-01-01T00:00:00Z" | "2027-01-01T00:00:00Z" | the paid period starts once
Machine  | decision | "Accepted"             | "Rejected"             | a decision is made once
Machine  | ended    | {"outcome": "Deleted", "at": "2026-01-01T00:00:00Z"} | {"outcome": "Abandoned", "at": "2026-01-01T00:00:00Z"} | ended is set once
Slot     | release  | {"cause": "Teardown", "at": "2026-01-01T00:00:00Z", "by": "a"} | {"cause": "LostRace", "at": "2026-01-01T00:00:00Z", "by": "a"} | release is set once
"#;

fn set_once() -> Vec<Case> {
    let mut cases = Vec::new();
    for [kind, field, first, second, says] in rows(ONCE) {
        let having = |value: Value| {
            merged(
                &samples::full(kind),
                &json!({ "status": { "conditions": [], field: value } }),
            )
        };
        let (none, path) = (having(Value::Null), format!("status.{field}"));
        let (first, second) = (having(parse(first)), having(parse(second)));
        cases.push(Case::accepted(first.clone()).from(none.clone()).in_status());
        cases.push(Case::accepted(first.clone()).from(first.clone()).in_status());
        cases.push(
            Case::refused(second, path.clone(), says)
                .from(first.clone())
                .in_status(),
        );
        cases.push(Case::refused(none, path, says).from(first).in_status());
    }
    cases
}

/// A status is not lost as a whole, and neither is the mark that Slots exist.
fn kept() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS
        .iter()
        .filter(|kind| !["Account", "Offering", "Provider"].contains(kind))
    {
        let mut old = samples::full(kind);
        old["status"] = statuses::status(kind);
        let gone = Case::refused(samples::full(kind), "status", "a status is never taken away");
        cases.push(gone.from(old.clone()).in_status());
        if old["status"]["slotsInUse"] == true {
            let unmarked = |mark: Value| merged(&old, &json!({ "status": { "slotsInUse": mark } }));
            let says = "slotsInUse is changed on purpose only";
            cases.push(
                Case::refused(unmarked(Value::Null), "status", says)
                    .from(old.clone())
                    .in_status(),
            );
            cases.push(
                Case::accepted(unmarked(json!(false)))
                    .from(old.clone())
                    .in_status(),
            );
        }
    }
    cases
}

/// One host for each identity, and only for the present one.
fn enrolments() -> Vec<Case> {
    let (present, past) = (UID, OTHER_UID);
    let status = |identity: Option<&str>, enrolled: Option<(&str, &str)>| {
        let agent =
            enrolled.map(|(host, identity)| json!({ "enrolment": { "host": host, "identity": identity } }));
        let status = json!({ "conditions": [], "identity": identity, "agent": agent });
        merged(&samples::full("Gateway"), &json!({ "status": status }))
    };
    let (none, first) = (status(Some(present), None), Some((present, present)));
    let enrolled = status(Some(present), first);
    let taken = |object: Value| {
        let says = "another host has enrolled for this Gateway";
        Case::refused(object, "status.agent.enrolment", says)
            .from(enrolled.clone())
            .in_status()
    };
    let wrong = |object: Value, old: &Value| {
        let says = "a host enrols with the present identity";
        Case::refused(object, "status.agent.enrolment.identity", says)
            .from(old.clone())
            .in_status()
    };
    let accepted = |object: &Value, old: &Value| Case::accepted(object.clone()).from(old.clone()).in_status();
    let stale = status(Some(past), first);
    vec![
        accepted(&enrolled, &none),
        accepted(&enrolled, &status(None, None)),
        accepted(&stale, &enrolled),
        accepted(&status(Some(past), Some((past, past))), &stale),
        taken(status(Some(present), Some((past, present)))),
        taken(merged(&none, &json!({ "status": { "agent": {} } }))),
        Case::refused(none.clone(), "status", "what the agent says is never taken away")
            .from(enrolled.clone())
            .in_status(),
        wrong(status(Some(present), Some((past, past))), &enrolled),
        wrong(status(Some(present), Some((past, past))), &none),
    ]
}

/// A null is as good as nothing: what is set once may still be set.
fn nulls() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, part, field) in [
        ("Contract", "spec", "cancel"),
        ("Machine", "spec", "teardown"),
        ("Contract", "status", "price"),
        ("Contract", "status", "startsAt"),
        ("Machine", "status", "ended"),
        ("Slot", "status", "release"),
    ] {
        let mut given = samples::full(kind);
        if part == "status" {
            given["status"] = statuses::status(kind);
        }
        let mut null = given.clone();
        null[part][field] = Value::Null;
        if kind == "Slot" {
            null["status"]["phase"] = json!("Claimed");
        }
        let case = Case::accepted(given).from(null);
        cases.push(if part == "status" { case.in_status() } else { case });
    }
    cases
}

/// Every case of this file.
pub fn all() -> Vec<Case> {
    let groups = [
        fixed(),
        slots(),
        extensions_and_cancellations(),
        machine_once(),
        fixed_in_use(),
        set_once(),
        kept(),
        enrolments(),
        nulls(),
    ];
    groups.into_iter().flatten().collect()
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn what_is_fixed_stays_and_what_is_free_moves() -> Result<()> {
    assert_ne!(UID, OTHER_UID);
    with_namespace(|ns| async move { check(&ns, all()).await }).await
}
