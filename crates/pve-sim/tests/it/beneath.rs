//! What is wrong beneath a guest: images that are gone, storages without their mount, a node that is too small; and what
//! its file holds that no call shows.

use serde_json::{Value, json};

use crate::rig::Rig;

const VM: &str = "/nodes/pve1/qemu/200";

async fn log_of(rig: &Rig, upid: &Value) -> Vec<String> {
    let path = format!("/nodes/pve1/tasks/{}/log", upid.as_str().unwrap());
    let lines = rig.root("GET", &path, &[]).await.data();
    let lines = lines.as_array().unwrap().iter();
    lines.map(|line| line["t"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_image_that_is_gone_stops_a_clone_and_is_told_by_the_removal() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let config = rig.config(200).await;
    let volid = config["scsi0"].as_str().unwrap().split(',').next().unwrap();
    let own = format!("200/{}", volid.rsplit('/').next().unwrap());
    let path = format!(
        "/nodes/pve1/storage/local/content/local%3A{}",
        own.replace('/', "%2F")
    );
    let upid = rig.root("DELETE", &path, &[]).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let params = [("newid", "201"), ("full", "1")];
    let upid = rig.root("POST", &format!("{VM}/clone"), &params).await.data();
    let text = format!("clone failed: volume '{volid}' does not exist");
    assert_eq!(rig.end_of(&upid).await, text);
    let log = [
        "creating a clone of VM 200 with ID 201",
        &format!("TASK ERROR: {text}"),
    ];
    assert_eq!(log_of(&rig, &upid).await, log);
    assert!(rig.truth(201).await.is_none());
    let upid = rig.root("DELETE", VM, &[]).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let missing = format!("disk image '/var/lib/vz/images/{own}' does not exist");
    assert_eq!(log_of(&rig, &upid).await, [missing.as_str(), "TASK OK"]);
}

#[tokio::test]
async fn a_storage_without_its_mount_has_no_statistics_and_takes_nothing() {
    let rig = Rig::quick().await;
    rig.control("PUT", "/storages/nm", json!({"total": 1_u64 << 40}))
        .await;
    rig.control("PATCH", "/storages/nm", json!({"health": "unmounted"}))
        .await;
    let listed = rig
        .root("GET", "/cluster/resources", &[("type", "storage")])
        .await
        .data();
    let listed = listed.as_array().unwrap();
    let entry = listed
        .iter()
        .find(|entry| entry["id"] == "storage/pve1/nm")
        .unwrap();
    assert_eq!(entry["status"], "unknown");
    assert!(entry.get("disk").is_none() && entry.get("maxdisk").is_none());
    let params = [("newid", "502"), ("full", "1"), ("storage", "nm")];
    let upid = rig
        .root("POST", "/nodes/pve1/qemu/9000/clone", &params)
        .await
        .data();
    let end = rig.end_of(&upid).await;
    assert!(
        end.starts_with("clone failed: unable to activate storage 'nm'"),
        "{end}"
    );
    let log = log_of(&rig, &upid).await;
    let (first, last) = (log.get(1).unwrap(), log.len());
    assert!(first.starts_with("create full clone of drive "), "{log:?}");
    assert_eq!(last, 3, "nothing was allocated: {log:?}");
}

#[tokio::test]
async fn a_guest_that_is_larger_than_its_node_does_not_start() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let huge = [("memory", "4000000")];
    rig.call("PUT", &format!("{VM}/config"), &huge).await.data();
    let end = rig.task("POST", &format!("{VM}/status/start"), &[]).await;
    assert_eq!(end, "start failed: QEMU exited with code 1");
    assert_eq!(rig.truth(200).await.unwrap()["status"], "stopped");
}

#[tokio::test]
async fn the_digest_tells_that_the_image_of_a_running_guest_is_old() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let card = rig.config(200).await["net0"].as_str().unwrap().to_owned();
    let set = async |value: String| {
        let params = [("net0", value.as_str())];
        rig.call("PUT", &format!("{VM}/config"), &params).await.data();
        rig.config(200).await["digest"].clone()
    };
    let before = set(card.clone()).await;
    assert_eq!(rig.task("POST", &format!("{VM}/status/start"), &[]).await, "OK");
    assert_eq!(rig.config(200).await["digest"], before);
    let changed = set(format!("{card},firewall=1")).await;
    let back = set(card.clone()).await;
    assert_ne!(changed, before);
    assert_ne!(back, before, "the section stays, empty");
    rig.root("PUT", &format!("{VM}/cloudinit"), &[]).await.data();
    assert_eq!(rig.config(200).await["digest"], before);
}

#[tokio::test]
async fn nobody_has_rights_on_a_path_with_a_space() {
    let rig = Rig::quick().await;
    let refused = rig.root("POST", "/pools", &[("poolid", "a b")]).await;
    assert_eq!(refused.line(), (403, "Permission check failed (, Pool.Allocate)"));
}
