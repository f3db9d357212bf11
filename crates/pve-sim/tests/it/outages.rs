//! Nodes, daemons and storages that fail, as their neighbours see it.

use serde_json::json;

use crate::rig::Rig;

const REFUSED: (u16, &str) = (595, "Connection refused");

#[tokio::test]
async fn while_pvedaemon_is_down_only_what_needs_root_is_refused() {
    let rig = Rig::quick().await;
    rig.control("POST", "/nodes/pve1/services", json!({"pvedaemon": false}))
        .await;
    let reads = ["/version", "/cluster/nextid", "/nodes/pve1/qemu/9000/config"];
    for path in reads {
        assert_eq!(rig.call("GET", path, &[]).await.status, 200, "{path}");
    }
    let clone = rig
        .root("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "503")])
        .await;
    assert_eq!(clone.line(), REFUSED);
    let current = rig.root("GET", "/nodes/pve1/qemu/9000/status/current", &[]).await;
    assert_eq!(current.line(), REFUSED);
    let other = rig.root("GET", "/nodes/pve2/qemu/9001/status/current", &[]).await;
    assert_eq!(other.status, 200, "each node has its own");
}

#[tokio::test]
async fn without_the_cluster_file_system_nobody_is_known() {
    let rig = Rig::quick().await;
    rig.control("POST", "/nodes/pve1/services", json!({"pmxcfs": false}))
        .await;
    let why = "RPCEnvironment init request failed: Unable to load access control list: Connection refused";
    for path in ["/version", "/cluster/resources", "/cluster/nextid"] {
        assert_eq!(rig.root("GET", path, &[]).await.line(), (500, why));
    }
}

#[tokio::test]
async fn another_nodes_proxy_that_is_down_refuses_and_its_files_are_still_read() {
    let rig = Rig::quick().await;
    rig.control("POST", "/nodes/pve2/services", json!({"pveproxy": false}))
        .await;
    let status = rig.root("GET", "/nodes/pve2/status", &[]).await;
    assert_eq!(status.line(), REFUSED);
    let rules = rig.root("GET", "/nodes/pve2/qemu/9001/firewall/rules", &[]).await;
    assert_eq!(rules.line(), (200, "OK"), "every node has the file");
}

#[tokio::test]
async fn a_dead_nodes_guests_stay_as_they_were_published() {
    let rig = Rig::quick().await;
    let guest = json!({"vmid": 710, "node": "pve2", "name": "on-pve2", "running": true});
    rig.control("POST", "/vms", guest).await;
    rig.control("POST", "/nodes/pve2", json!({"online": false})).await;
    let all = rig.root("GET", "/cluster/resources", &[]).await.data();
    let of = |id: &str| {
        let mut found = all.as_array().unwrap().iter();
        found.find(|entry| entry["id"] == id).unwrap().clone()
    };
    assert_eq!(of("qemu/710")["status"], "running");
    let node = of("node/pve2");
    assert_eq!((&node["status"], node.get("mem")), (&json!("offline"), None));
    assert!(node["maxmem"].is_u64());
    assert_eq!(of("storage/pve2/local")["status"], "available");
    assert_eq!(rig.truth(710).await.unwrap()["status"], "stopped");
    rig.control("POST", "/nodes/pve2", json!({"online": true})).await;
    let current = rig
        .root("GET", "/nodes/pve2/qemu/710/status/current", &[])
        .await
        .data();
    assert_eq!(current["status"], "stopped");
}

#[tokio::test]
async fn a_worker_killed_by_hand_ends_as_recorded() {
    let rig = Rig::quick().await;
    rig.control("PUT", "/durations", json!({"clone": "30..60"})).await;
    let params = [("newid", "200"), ("pool", "decent")];
    let upid = rig
        .call("POST", "/nodes/pve1/qemu/9000/clone", &params)
        .await
        .data();
    let path = format!("/tasks/{}/kill", upid.as_str().unwrap());
    rig.control("POST", &path, json!({})).await;
    assert_eq!(rig.end_of(&upid).await, "unexpected status");
}

#[tokio::test]
async fn storages_refuse_as_recorded_for_what_is_wrong_with_them() {
    let rig = Rig::quick().await;
    for name in ["isoonly", "off", "elsewhere", "nm"] {
        rig.control("PUT", &format!("/storages/{name}"), json!({"total": 1_u64 << 40}))
            .await;
    }
    rig.control("PATCH", "/storages/isoonly", json!({"content": ["iso"]}))
        .await;
    rig.control("PATCH", "/storages/off", json!({"enabled": false}))
        .await;
    rig.control("PATCH", "/storages/elsewhere", json!({"nodes": ["pve2"]}))
        .await;
    rig.control("PATCH", "/storages/nm", json!({"health": "unmounted"}))
        .await;
    let rows = [
        ("off", 500, "storage 'off' is disabled"),
        (
            "elsewhere",
            500,
            "storage 'elsewhere' is not available on node 'pve1'",
        ),
        ("isoonly", 400, "Parameter verification failed."),
        ("nm", 200, "OK"),
    ];
    for (storage, status, reason) in rows {
        let params = [("newid", "502"), ("full", "1"), ("storage", storage)];
        let got = rig.root("POST", "/nodes/pve1/qemu/9000/clone", &params).await;
        assert_eq!(got.line(), (status, reason));
        if storage == "isoonly" {
            let text = "storage 'isoonly' does not support vm images";
            assert_eq!(got.body["errors"]["storage"], text);
        }
    }
    let content = rig.root("GET", "/nodes/pve1/storage/nm/content", &[]).await;
    let text = "unable to activate storage 'nm' - directory is expected to be a mount point but is not mounted: \
                '/mnt/nm'";
    assert_eq!(content.line(), (500, text));
}
