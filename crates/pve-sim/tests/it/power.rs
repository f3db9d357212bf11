//! Start, stop, shutdown and the removal of guests.

use serde_json::json;

use crate::rig::Rig;

const VM: &str = "/nodes/pve1/qemu/200";

#[tokio::test]
async fn a_200_does_not_mean_that_the_task_goes_well() {
    let rig = Rig::quick().await;
    let rows = [
        (
            "7777",
            "start",
            "Configuration file 'nodes/pve1/qemu-server/7777.conf' does not exist",
        ),
        (
            "7777",
            "stop",
            "unable to find configuration file for VM 7777 on node 'pve1'",
        ),
        (
            "7777",
            "shutdown",
            "unable to find configuration file for VM 7777 on node 'pve1'",
        ),
        ("9000", "start", "you can't start a vm if it's a template"),
        ("9000", "stop", "OK"),
    ];
    for (vmid, act, end) in rows {
        let upid = rig
            .root("POST", &format!("/nodes/pve1/qemu/{vmid}/status/{act}"), &[])
            .await
            .data();
        assert_eq!(rig.end_of(&upid).await, end, "{act} {vmid}");
    }
    let reboot = rig.root("POST", "/nodes/pve1/qemu/7777/status/reboot", &[]).await;
    assert_eq!(
        reboot.line(),
        (
            500,
            "unable to find configuration file for VM 7777 on node 'pve1'"
        )
    );
}

#[tokio::test]
async fn a_guest_starts_once_and_stops_as_often_as_asked() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let start = format!("{VM}/status/start");
    assert_eq!(rig.task("POST", &start, &[]).await, "OK");
    let current = rig.call("GET", &format!("{VM}/status/current"), &[]).await.data();
    assert_eq!(
        (&current["status"], &current["qmpstatus"]),
        (&json!("running"), &json!("running"))
    );
    assert_eq!(rig.task("POST", &start, &[]).await, "VM 200 already running");
    for _ in 0..2 {
        assert_eq!(rig.task("POST", &format!("{VM}/status/stop"), &[]).await, "OK");
    }
    assert_eq!(rig.truth(200).await.unwrap()["status"], "stopped");
}

#[tokio::test]
async fn a_deaf_guest_times_a_shutdown_out_unless_it_is_forced() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    assert_eq!(rig.task("POST", &format!("{VM}/status/start"), &[]).await, "OK");
    rig.control("PATCH", "/vms/200", json!({"deaf": true})).await;
    let shutdown = format!("{VM}/status/shutdown");
    let end = rig.task("POST", &shutdown, &[("timeout", "0")]).await;
    assert_eq!(end, "VM quit/powerdown failed - got timeout");
    assert_eq!(
        rig.task("POST", &shutdown, &[("timeout", "0"), ("forceStop", "1")])
            .await,
        "OK"
    );
    assert_eq!(rig.truth(200).await.unwrap()["status"], "stopped");
}

#[tokio::test]
async fn what_cannot_run_is_only_found_at_the_start() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let config = format!("{VM}/config");
    rig.call("PUT", &config, &[("cores", "9999")]).await.data();
    assert_eq!(
        rig.task("POST", &format!("{VM}/status/start"), &[]).await,
        "MAX 16 vcpus allowed per VM on this node"
    );
    rig.call("PUT", &config, &[("cores", "1")]).await.data();
    rig.root("PUT", &config, &[("net1", "virtio,bridge=vmbr77")])
        .await
        .data();
    assert_eq!(
        rig.task("POST", &format!("{VM}/status/start"), &[]).await,
        "bridge 'vmbr77' does not exist"
    );
    let snippet = [("delete", "net1"), ("cicustom", "user=local:snippets/none.yaml")];
    rig.root("PUT", &config, &snippet).await.data();
    assert_eq!(
        rig.task("POST", &format!("{VM}/status/start"), &[]).await,
        "volume 'local:snippets/none.yaml' does not exist"
    );
}

#[tokio::test]
async fn a_guest_is_removed_only_stopped_and_unprotected_and_then_entirely() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig.call("PUT", &format!("{VM}/config"), &[("protection", "1")])
        .await
        .data();
    rig.call("PUT", &format!("{VM}/firewall/options"), &[("enable", "1")])
        .await
        .data();
    assert_eq!(
        rig.call("DELETE", VM, &[]).await.line(),
        (500, "can't remove VM 200 - protection mode enabled")
    );
    let disk = rig
        .call("PUT", &format!("{VM}/config"), &[("delete", "scsi0")])
        .await;
    assert_eq!(
        disk.line(),
        (500, "can't remove drive 'scsi0' - protection mode enabled")
    );
    rig.call("PUT", &format!("{VM}/config"), &[("protection", "0")])
        .await
        .data();
    assert_eq!(rig.task("POST", &format!("{VM}/status/start"), &[]).await, "OK");
    assert_eq!(
        rig.call("DELETE", VM, &[]).await.line(),
        (500, "VM 200 is running - destroy failed")
    );
    assert_eq!(rig.task("POST", &format!("{VM}/status/stop"), &[]).await, "OK");
    let digest = rig.call("DELETE", VM, &[("digest", "abc")]).await;
    assert_eq!(
        digest.body["errors"]["digest"],
        "property is not defined in schema and the schema does not allow additional properties"
    );
    assert_eq!(rig.task("DELETE", VM, &[("purge", "1")]).await, "OK");
    assert!(rig.truth(200).await.is_none());
    assert_eq!(
        rig.call("GET", "/cluster/nextid", &[("vmid", "200")])
            .await
            .data(),
        "200"
    );
    rig.clone(200).await;
    let options = rig
        .call("GET", &format!("{VM}/firewall/options"), &[])
        .await
        .data();
    assert_eq!(
        options,
        json!({"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}),
        "the file went with the guest"
    );
}

#[tokio::test]
async fn a_template_with_linked_clones_is_not_removed() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let upid = rig.root("DELETE", "/nodes/pve1/qemu/9000", &[]).await.data();
    let end = rig.end_of(&upid).await;
    assert_eq!(
        end,
        "base volume 'local:9000/base-9000-disk-0.qcow2' is still in use by linked cloned"
    );
    assert_eq!(rig.task("DELETE", VM, &[]).await, "OK");
    let upid = rig.root("DELETE", "/nodes/pve1/qemu/9000", &[]).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
}

#[tokio::test]
async fn without_quorum_a_removal_destroys_the_disks_and_keeps_the_configuration() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig.control("POST", "/quorum", json!({"on": false})).await;
    let status = rig.call("GET", "/cluster/status", &[]).await.data();
    assert_eq!(status[0]["quorate"], 0);
    let clone = rig
        .call(
            "POST",
            "/nodes/pve1/qemu/9000/clone",
            &[("newid", "201"), ("pool", "decent")],
        )
        .await;
    assert_eq!(clone.line(), (500, "cluster not ready - no quorum?"));
    let start = rig.call("POST", &format!("{VM}/status/start"), &[]).await;
    assert_eq!(start.line(), (500, "cluster not ready - no quorum?"));
    let put = rig.call("PUT", &format!("{VM}/config"), &[("cores", "2")]).await;
    assert!(
        put.reason
            .starts_with("unable to open file '/etc/pve/nodes/pve1/qemu-server/200.conf.tmp."),
        "{}",
        put.reason
    );
    let end = rig.task("DELETE", VM, &[]).await;
    assert!(end.ends_with("' - Permission denied"), "{end}");
    let config = rig.config(200).await;
    assert!(config["scsi0"].is_string());
    let volumes = rig
        .root("GET", "/nodes/pve1/storage/local/content", &[("vmid", "200")])
        .await
        .data();
    assert_eq!(volumes, json!([]));
}
