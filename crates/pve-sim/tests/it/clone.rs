//! Clones: visibility, races, what is inherited, what refuses, how they end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Rig, quick, until};

/// Parameters and the reason for which they are refused.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str);

const CLONE: &str = "/nodes/pve1/qemu/9000/clone";

async fn slow() -> Rig {
    let mut config = quick();
    config.durations.clone = Duration::from_millis(400).into();
    config.durations.full_clone = Duration::from_secs(30).into();
    Rig::start(config).await
}

#[tokio::test]
async fn a_clone_inherits_everything_that_is_not_overridden() {
    let rig = Rig::quick().await;
    let set = [
        ("tags", "tpl"),
        ("protection", "1"),
        ("onboot", "1"),
        ("description", "of the template"),
        ("ciuser", "debian"),
    ];
    rig.root("PUT", "/nodes/pve1/qemu/9000/config", &set).await.data();
    rig.root(
        "PUT",
        "/nodes/pve1/qemu/9000/firewall/options",
        &[("enable", "1")],
    )
    .await
    .data();
    assert_eq!(
        rig.task("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
            .await,
        "OK"
    );
    let (template, clone) = (rig.config(9000).await, rig.config(200).await);
    assert_eq!(clone["name"], "Copy-of-VM-debian-13");
    for key in [
        "tags",
        "protection",
        "onboot",
        "description",
        "ciuser",
        "cores",
        "memory",
    ] {
        assert_eq!(clone[key], template[key], "{key}");
    }
    for key in ["net0", "smbios1", "vmgenid", "scsi0", "ide2"] {
        assert_ne!(clone[key], template[key], "{key}");
    }
    assert!(clone.get("template").is_none() && clone.get("lock").is_none());
    assert_eq!(
        clone["scsi0"],
        "local:9000/base-9000-disk-0.qcow2/200/vm-200-disk-0.qcow2,size=2G"
    );
    assert_eq!(rig.truth(200).await.unwrap()["firewall"]["options"]["enable"], 1);
}

#[tokio::test]
async fn a_running_clone_is_invisible_to_the_pool_but_named_in_its_log() {
    let rig = slow().await;
    let upid = rig
        .call(
            "POST",
            CLONE,
            &[("newid", "200"), ("pool", "decent"), ("full", "1")],
        )
        .await
        .data();
    let path = format!("/nodes/pve1/tasks/{}", upid.as_str().unwrap());
    let log = loop {
        let log = rig
            .call("GET", &format!("{path}/log"), &[("start", "0"), ("limit", "1")])
            .await
            .data();
        if log[0].is_object() {
            break log;
        }
    };
    assert_eq!(
        log,
        json!([{"n": 1, "t": "creating a clone of VM 9000 with ID 200"}])
    );
    assert_eq!(
        rig.call("GET", "/nodes/pve1/qemu/200/config", &[]).await.status,
        403
    );
    assert_eq!(rig.call("DELETE", "/nodes/pve1/qemu/200", &[]).await.status, 403);
    let active = rig
        .call("GET", "/nodes/pve1/tasks", &[("source", "active")])
        .await
        .data();
    assert_eq!(active[0]["status"], "RUNNING");
    assert_eq!(active[0]["user"], "decent@pve!op");
    assert_eq!(active[0]["id"], "9000");
    assert!(active[0].get("tokenid").is_none());
    assert_eq!(rig.truth(200).await.unwrap()["config"]["lock"], "clone");
    // Its own token may interrupt it, and nothing is left.
    rig.call("DELETE", &path, &[]).await.data();
    assert!(rig.end_of(&upid).await.ends_with("failed: interrupted by signal"));
    assert!(rig.truth(200).await.is_none());
}

#[tokio::test]
async fn of_clones_into_one_id_exactly_one_wins_and_the_losers_say_why() {
    let rig = slow().await;
    let mut texts = Vec::new();
    for (node, template) in [("pve1", 9000), ("pve1", 9000), ("pve2", 9001)] {
        let path = format!("/nodes/{node}/qemu/{template}/clone");
        texts.push(
            rig.call("POST", &path, &[("newid", "200"), ("pool", "decent")])
                .await,
        );
    }
    let mut ends = Vec::new();
    for got in texts {
        ends.push(if got.status == 200 {
            rig.end_of(&got.data()).await
        } else {
            got.reason
        });
    }
    ends.sort();
    assert_eq!(ends.iter().filter(|end| *end == "OK").count(), 1, "{ends:?}");
    let lost = [
        "unable to create VM 200: config file already exists",
        "close (rename) atomic file '/etc/pve/nodes/pve2/qemu-server/200.conf' failed: File exists",
    ];
    assert!(
        ends.iter().all(|end| end == "OK" || lost.contains(&end.as_str())),
        "{ends:?}"
    );
    let late = rig
        .call("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
        .await;
    assert_eq!(late.line(), (500, lost[0]));
}

#[tokio::test]
async fn a_template_is_locked_by_a_full_clone_of_it() {
    let mut config = quick();
    config.durations.full_clone = Duration::from_millis(300).into();
    let rig = Rig::start(config).await;
    let upid = rig
        .call(
            "POST",
            CLONE,
            &[("newid", "200"), ("pool", "decent"), ("full", "1")],
        )
        .await
        .data();
    until("the target", async || rig.truth(200).await).await;
    rig.root("PUT", "/nodes/pve1/qemu/9000/config", &[("description", "x")])
        .await
        .data();
    // The write waited for the clone's end.
    assert!(rig.truth(200).await.unwrap()["config"].get("lock").is_none());
    assert_eq!(rig.end_of(&upid).await, "OK");
}

#[tokio::test]
async fn a_clone_without_pool_right_or_pool_is_denied_barely() {
    let rig = Rig::quick().await;
    for params in [&[("newid", "200")][..], &[("newid", "200"), ("pool", "gone")]] {
        assert_eq!(
            rig.call("POST", CLONE, params).await.line(),
            (403, "Permission check failed")
        );
    }
    let to_root = rig
        .root("POST", CLONE, &[("newid", "200"), ("pool", "gone")])
        .await;
    assert_eq!(
        to_root.line(),
        (403, "Permission check failed (pool 'gone' does not exist)")
    );
}

#[tokio::test]
async fn refusals_of_the_call_itself_have_the_recorded_texts() {
    let rig = Rig::quick().await;
    let rows: [Row<'_>; 5] = [
        (
            &[("newid", "120"), ("target", "pve9")],
            "no such cluster node 'pve9'",
        ),
        (
            &[("newid", "120"), ("full", "1"), ("storage", "nope")],
            "storage 'nope' does not exist",
        ),
        (
            &[("newid", "120"), ("full", "0"), ("storage", "local")],
            "parameter 'storage' not allowed for linked clones",
        ),
        (
            &[("newid", "120"), ("target", "pve2")],
            "can't clone VM to node 'pve2' (VM uses local storage)",
        ),
        (
            &[("newid", "9001")],
            "unable to create VM 9001: config file already exists",
        ),
    ];
    for (params, reason) in rows {
        assert_eq!(rig.root("POST", CLONE, params).await.line(), (500, reason));
    }
    let elsewhere = rig
        .root("POST", "/nodes/pve2/qemu/9000/clone", &[("newid", "120")])
        .await;
    assert_eq!(
        elsewhere.line(),
        (
            500,
            "unable to find configuration file for VM 9000 on node 'pve2'"
        )
    );
    rig.control("PATCH", "/storages/local", json!({"enabled": false}))
        .await;
    let disabled = rig
        .root(
            "POST",
            CLONE,
            &[("newid", "120"), ("full", "1"), ("storage", "local")],
        )
        .await;
    assert_eq!(disabled.line(), (500, "storage 'local' is disabled"));
}

#[tokio::test]
async fn a_pool_removed_during_a_clone_leaves_the_guest_in_none() {
    let rig = slow().await;
    let upid = rig
        .call("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
        .await
        .data();
    rig.root("DELETE", "/pools", &[("poolid", "decent")]).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    assert_eq!(rig.truth(200).await.unwrap()["pool"], Value::Null);
    assert_eq!(
        rig.call("GET", "/nodes/pve1/qemu/200/config", &[]).await.status,
        403
    );
}

#[tokio::test]
async fn a_killed_worker_leaves_a_locked_guest_that_no_token_removes() {
    let rig = Rig::quick().await;
    rig.fault(json!({"vmid": 200}), json!("kill_worker")).await;
    let end = rig
        .task(
            "POST",
            CLONE,
            &[("newid", "200"), ("pool", "decent"), ("description", "stamp")],
        )
        .await;
    assert_eq!(end, "unexpected status");
    let left = rig.root("GET", "/nodes/pve1/qemu/200/config", &[]).await.data();
    assert_eq!(
        (&left["lock"], &left["description"]),
        (&json!("clone"), &json!("stamp"))
    );
    assert!(left.get("scsi0").is_none());
    let upid = rig.root("DELETE", "/nodes/pve1/qemu/200", &[]).await.data();
    assert_eq!(rig.end_of(&upid).await, "VM is locked (clone)");
    let skip = rig
        .root("DELETE", "/nodes/pve1/qemu/200", &[("skiplock", "1")])
        .await;
    assert_eq!(skip.body["errors"]["skiplock"], "Only root may use this option.");
    let unlock = rig
        .root("PUT", "/nodes/pve1/qemu/200/config", &[("delete", "lock")])
        .await;
    assert_eq!(unlock.line(), (500, "only root can set 'lock' config"));
    let put = rig
        .root("PUT", "/nodes/pve1/qemu/200/config", &[("memory", "128")])
        .await;
    assert_eq!(put.line(), (500, "VM is locked (clone)"));
    let again = rig
        .call("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
        .await;
    assert_eq!(
        again.line(),
        (500, "unable to create VM 200: config file already exists")
    );
}

#[tokio::test]
async fn a_failed_clone_leaves_nothing() {
    let rig = Rig::quick().await;
    rig.fault(
        json!({"path": "/nodes/{node}/qemu/{vmid}/clone"}),
        json!({"fail_task": {"exitstatus": "clone failed: disk full"}}),
    )
    .await;
    let end = rig
        .task("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
        .await;
    assert_eq!(end, "clone failed: disk full");
    assert!(rig.truth(200).await.is_none());
    rig.clone(200).await;
}
