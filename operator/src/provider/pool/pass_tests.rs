//! Whole passes over a Pool and the decisions that follow, with a scripted API server and a simulated Proxmox.

use std::time::Duration;

use crds::{Machine, slot::SlotPhase};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use operator_core::{
    provider::{place::Placement, pool::Readiness},
    reason::Reason,
};
use serde_json::{Value, json};

use super::desk::{Desk, NAMESPACE, PREFLIGHT, TICK, ready, spot};

#[tokio::test]
async fn a_good_pool_becomes_ready_with_one_write_and_then_nothing_is_written() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let writes = desk.writes();
    assert_eq!(writes.len(), 1);
    let (line, body) = &writes[0];
    assert_eq!(
        line,
        "PATCH /apis/decent-cloud.org/v1alpha1/namespaces/provider-acme/pools/rack1/status"
    );
    assert_eq!(ready(body), ("True", "Ready"));
    assert_eq!(body["status"]["fingerprint"], json!(desk.bed.sim.fingerprint));
    assert_eq!(body["status"]["nodes"][1]["name"], "pve2");
    assert!(body["status"]["version"].as_str().unwrap().starts_with('9'));
    for _ in 0..13 {
        desk.later(TICK).await;
    }
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn between_preflights_a_tick_reads_the_cluster_once() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    desk.bed
        .control(reqwest::Method::DELETE, "/requests", Value::Null)
        .await;
    desk.pass().await;
    desk.later(TICK).await;
    let seen = desk
        .bed
        .control(reqwest::Method::GET, "/requests?since=0", Value::Null)
        .await;
    let mut paths: Vec<&str> = seen["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert!(
        paths.len() == 2 && paths[0].ends_with("/cluster/resources") && paths[1].ends_with("/cluster/status"),
        "{paths:?}"
    );
}

#[tokio::test]
async fn a_fault_is_written_once_and_its_end_opens_the_pool_for_those_who_wait() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    desk.writes();
    let machine = desk.machine(10, "1Gi");
    let what = json!({"path": "/vms/9000", "privilege": "VM.Clone"});
    desk.bed.post("/privileges/revoke", what.clone()).await;
    desk.later(PREFLIGHT).await;
    desk.later(TICK).await;
    let writes = desk.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(ready(&writes[0].1), ("False", "MissingPrivilege"));
    let refused = desk.decide(&machine);
    assert!(
        matches!(
            refused.placement,
            Placement::NotReady {
                reason: Reason::MissingPrivilege,
                ..
            }
        ),
        "{refused:?}"
    );
    desk.pokes();
    desk.bed.post("/privileges/restore", what).await;
    desk.later(TICK).await;
    assert_eq!(ready(&desk.writes()[0].1), ("True", "Ready"));
    assert_eq!(desk.pokes(), ["m-10"]);
    assert_eq!(spot(&desk.decide(&machine)).vmid, 10_000);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_told_since_when_and_keeps_what_was_seen() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let nodes = desk.writes()[0].1["status"]["nodes"].clone();
    desk.bed.post("/refuse-connections", json!({"on": true})).await;
    desk.later(TICK).await;
    desk.later(PREFLIGHT).await;
    let writes = desk.writes();
    assert_eq!(writes.len(), 1, "the same fault is written once");
    let body = &writes[0].1;
    assert_eq!(ready(body), ("False", "ProxmoxUnreachable"));
    assert!(
        body["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("since 1970-01-01 00:00 UTC")
    );
    assert_eq!(body["status"]["nodes"], nodes);
    assert!(
        desk.pools.get(NAMESPACE, "rack1").is_some(),
        "its machines are still looked after"
    );
    desk.bed.post("/refuse-connections", json!({"on": false})).await;
    desk.later(TICK).await;
    assert_eq!(ready(&desk.writes()[0].1), ("True", "Ready"));
}

#[tokio::test]
async fn before_the_first_look_nothing_is_placed() {
    let mut desk = Desk::start().await;
    let machine = desk.machine(10, "1Gi");
    desk.pools.entry(NAMESPACE, "rack1");
    let decision = desk.decide(&machine);
    assert!(
        matches!(
            decision.placement,
            Placement::NotReady {
                reason: Reason::PoolNotReady,
                ..
            }
        ),
        "{decision:?}"
    );
    assert!(matches!(
        desk.pools.readiness(NAMESPACE, "rack1"),
        Some(Readiness::Not { .. })
    ));
}

#[tokio::test]
async fn two_machines_never_get_one_index() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let (first, second) = (desk.machine(10, "1Gi"), desk.machine(11, "1Gi"));
    let one = spot(&desk.decide(&first));
    assert_eq!((one.index.0, spot(&desk.decide(&second)).index.0), (0, 1));
    assert_eq!(
        spot(&desk.decide(&first)),
        one,
        "the same question has the same answer"
    );
    desk.pools.taken(NAMESPACE, "ams1", one.index);
    assert_eq!(spot(&desk.decide(&first)).index.0, 2);
    desk.pools
        .strike(NAMESPACE, second.metadata.uid.as_ref().unwrap());
    let third = desk.machine(12, "1Gi");
    assert_eq!(spot(&desk.decide(&third)).index.0, 1);
}

#[tokio::test]
async fn p26_room_is_held_by_a_slot_until_it_rests() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let size = desk
        .pools
        .get(NAMESPACE, "rack1")
        .unwrap()
        .inventory()
        .unwrap()
        .resources
        .nodes[0]
        .maxmem
        .unwrap();
    let most = (size >> 30) * 3 / 4;
    let machines: Vec<Machine> = (10..13).map(|n| desk.machine(n, &format!("{most}Gi"))).collect();
    let spots = [spot(&desk.decide(&machines[0])), spot(&desk.decide(&machines[1]))];
    assert_ne!(spots[0].node, spots[1].node);
    let full = desk.decide(&machines[2]);
    assert!(
        matches!(&full.placement, Placement::Full { needs } if needs.contains("more memory on one node")),
        "{full:?}"
    );
    assert_eq!(full.position, Some(1));
    for (spot, machine) in spots.iter().zip(&machines) {
        desk.slot(spot, machine, SlotPhase::Claimed);
    }
    desk.bed.clock.advance(Duration::from_mins(10));
    assert_eq!(desk.decide(&machines[2]).position, Some(1), "now by the Slots");
    let mut gone = machines[0].clone();
    gone.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    desk.machines.put(gone.clone());
    desk.slot(&spots[0], &gone, SlotPhase::Resting);
    let placed = spot(&desk.decide(&machines[2]));
    assert_eq!(
        (placed.node.as_str(), placed.index.0),
        (spots[0].node.as_str(), 2),
        "its index rests"
    );
}

#[tokio::test]
async fn marks_are_written_once_and_stay() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    desk.writes();
    for _ in 0..2 {
        desk.pools
            .mark_in_use(&desk.pools.ctx, NAMESPACE, "rack1", "ams1")
            .await
            .unwrap();
    }
    let writes = desk.writes();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].1["status"]["slotsInUse"], true);
    assert_eq!(
        ready(&writes[0].1),
        ("True", "Ready"),
        "the rest of the status stays"
    );
    assert_eq!(writes[1].1["status"], json!({"slotsInUse": true}));
    desk.later(PREFLIGHT).await;
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn a_pool_that_is_being_deleted_says_who_holds_it() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let machine = desk.machine(10, "1Gi");
    let at = spot(&desk.decide(&machine));
    desk.slot(&at, &machine, SlotPhase::Claimed);
    desk.writes();
    desk.pool.meta_mut().deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    desk.pass().await;
    let writes = desk.writes();
    assert_eq!(ready(&writes[0].1), ("False", "InUse"));
    assert!(
        writes[0].1["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("Slot ams1-0 still names it")
    );
}
