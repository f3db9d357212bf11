use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::market::bed::{Bed, contract};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Method and path of what was sent, without the query.
fn lines(sent: &[(String, Value)]) -> Vec<&str> {
    sent.iter()
        .map(|(line, _)| line.split('?').next().unwrap())
        .collect()
}

const CONTRACTS: &str = "/apis/decent-cloud.org/v1alpha1/namespaces/tenant-alice/contracts";
const MACHINES: &str = "/apis/decent-cloud.org/v1alpha1/namespaces/provider-acme/machines";

#[test]
fn the_next_pass_is_at_the_instant_or_by_the_resync() {
    let live = State::Active;
    assert_eq!(
        next_pass(live, Some(at(7)), at(5)),
        Action::requeue(Duration::from_secs(2))
    );
    assert_eq!(
        next_pass(live, Some(at(5)), at(7)),
        Action::requeue(Duration::ZERO)
    );
    assert_eq!(next_pass(live, Some(at(100_000)), at(0)), Action::requeue(RESYNC));
    assert_eq!(next_pass(live, None, at(0)), Action::requeue(RESYNC));
    assert_eq!(next_pass(State::Expired, None, at(0)), Action::await_change());
}

#[tokio::test]
async fn a_new_contract_is_held_then_told_then_made() {
    let mut bed = Bed::new("");
    let guard = bed.contracts.put(contract());
    reconcile(guard, bed.shared.clone()).await.unwrap();
    let sent = bed.sent();
    assert_eq!(
        lines(&sent),
        [
            format!("PATCH {CONTRACTS}/web"),
            format!("PATCH {CONTRACTS}/web/status"),
            format!("POST {MACHINES}")
        ]
    );
    assert!(
        sent.iter()
            .all(|(line, _)| line.contains("fieldManager=decent-operator")),
        "{sent:?}"
    );
    let (line, status) = &sent[1];
    assert!(line.contains("force=true"));
    assert_eq!(
        status["metadata"]["uid"],
        contract()["metadata"]["uid"],
        "this very Contract"
    );
    assert_eq!(status["status"]["state"], "Accepted");
    assert_eq!(
        sent[2].1["metadata"]["finalizers"],
        json!(["decent-cloud.org/machine"])
    );
}

#[tokio::test]
async fn what_was_just_written_is_not_written_again_before_the_watch_brings_it() {
    let mut bed = Bed::new("");
    let guard = bed.contracts.put(contract());
    reconcile(guard.clone(), bed.shared.clone()).await.unwrap();
    bed.sent();
    reconcile(guard, bed.shared.clone()).await.unwrap();
    assert_eq!(lines(&bed.sent()), Vec::<&str>::new());
}

#[tokio::test]
async fn a_failed_step_ends_the_pass() {
    let mut bed = Bed::new("/status");
    let guard = bed.contracts.put(contract());
    let error = reconcile(guard, bed.shared.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "failed at step status");
    assert!(
        !lines(&bed.sent()).iter().any(|line| line.starts_with("POST")),
        "no machine without its status"
    );
    assert!(
        !bed.shared.admitted.decide().holds(crate::market::bed::UID),
        "its place is free again"
    );
}

#[tokio::test]
async fn a_settled_contract_sends_nothing() {
    let mut bed = Bed::new("");
    let guard = bed.contracts.put(contract());
    reconcile(guard, bed.shared.clone()).await.unwrap();
    let sent = bed.sent();
    let mut settled = contract();
    settled["metadata"]["resourceVersion"] = json!("10");
    settled["metadata"]["finalizers"] = json!(["decent-cloud.org/contract"]);
    settled["status"] = sent[1].1["status"].clone();
    bed.machines.put(sent[2].1.clone());
    bed.clock.advance(Duration::from_mins(1));
    let guard = bed.contracts.put(settled);
    reconcile(guard, bed.shared.clone()).await.unwrap();
    assert_eq!(bed.sent(), []);
}

#[tokio::test]
async fn a_machine_that_may_exist_is_asked_for_before_it_is_given_up() {
    let mut bed = Bed::new("");
    let mut lost = contract();
    lost["metadata"]["finalizers"] = json!(["decent-cloud.org/contract"]);
    lost["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:01:00Z");
    let guard = bed.contracts.put(lost);
    reconcile(guard, bed.shared.clone()).await.unwrap();
    let sent = bed.sent();
    let want = [
        format!("GET {MACHINES}/m-0b8f4b5e9b1e4c5a8d57"),
        format!("PATCH {CONTRACTS}/web/status"),
        format!("PATCH {CONTRACTS}/web"),
    ];
    assert_eq!(lines(&sent), want);
    let mut blind = Bed::new("/machines");
    let mut lost = contract();
    lost["metadata"]["finalizers"] = json!(["decent-cloud.org/contract"]);
    lost["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:01:00Z");
    let guard = blind.contracts.put(lost);
    reconcile(guard, blind.shared.clone()).await.unwrap();
    assert_eq!(lines(&blind.sent()), &want[..2], "no answer is not absence");
}

#[tokio::test]
async fn an_undecodable_contract_is_left_alone() {
    let bed = Bed::new("");
    let odd = json!({"metadata": {"name": "odd", "namespace": "tenant-alice"}, "spec": {"sshKeys": 7}});
    let guard: Arc<Guarded<Contract>> = Arc::new(serde_json::from_value(odd).unwrap());
    let error = reconcile(guard.clone(), bed.shared.clone()).await.unwrap_err();
    assert_eq!(failed(&guard, &error, &bed.shared), Action::await_change());
    assert_eq!(bed.sent(), []);
}
