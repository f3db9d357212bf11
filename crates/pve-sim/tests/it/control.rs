//! The control port: the log, faults, and foreign hands.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Rig, until};

#[tokio::test]
async fn the_log_tells_each_request_without_secrets() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let from = rig.control("GET", "/requests", Value::Null).await["last"]
        .as_u64()
        .unwrap();
    rig.call(
        "PUT",
        "/nodes/pve1/qemu/200/config",
        &[("cipassword", "hush"), ("cores", "2")],
    )
    .await
    .data();
    let log = rig
        .control("GET", &format!("/requests?since={from}"), Value::Null)
        .await;
    let entry = &log["requests"][0];
    assert_eq!(entry["params"], json!({"cipassword": "***", "cores": "2"}));
    assert_eq!(
        (&entry["vmid"], &entry["node"], &entry["status"]),
        (&json!(200), &json!("pve1"), &json!(200))
    );
    assert_eq!(entry["mutating"], true);
    assert!(!log.to_string().contains("hush"));
}

#[tokio::test]
async fn a_request_cut_before_had_no_effect_and_one_cut_after_had_it() {
    let rig = Rig::quick().await;
    let url = format!("{}/api2/json/nodes/pve1/qemu/9000/clone", rig.sim.url);
    for (act, newid, there) in [("drop_before", 200, false), ("drop_after", 201, true)] {
        rig.fault(json!({"vmid": newid, "method": "POST"}), json!(act))
            .await;
        let request = rig
            .client
            .post(&url)
            .header("authorization", format!("PVEAPIToken={}", rig.sim.token));
        let cut = request
            .form(&[("newid", newid.to_string().as_str()), ("pool", "decent")])
            .send()
            .await;
        assert!(cut.is_err());
        assert_eq!(rig.truth(newid).await.is_some(), there, "{act}");
    }
}

#[tokio::test]
async fn a_refusal_has_the_asked_status_and_reason_and_meets_once() {
    let rig = Rig::quick().await;
    let act = json!({"refuse": {"status": 595, "reason": "Connection refused"}});
    rig.fault(json!({"path": "^/cluster/"}), act).await;
    assert_eq!(
        rig.call("GET", "/cluster/status", &[]).await.line(),
        (595, "Connection refused")
    );
    assert_eq!(rig.call("GET", "/cluster/status", &[]).await.status, 200);
    assert_eq!(rig.control("GET", "/faults", Value::Null).await[0]["met"], 1);
}

#[tokio::test]
async fn a_delay_holds_the_answer_back() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": "/version"}), json!({"delay": {"ms": 150}}))
        .await;
    let begin = Instant::now();
    rig.call("GET", "/version", &[]).await.data();
    assert!(begin.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn while_connections_are_refused_open_ones_are_cut_and_then_all_is_well_again() {
    let rig = Rig::quick().await;
    rig.call("GET", "/version", &[]).await.data();
    rig.control("POST", "/refuse-connections", json!({"on": true}))
        .await;
    let url = format!("{}/api2/json/version", rig.sim.url);
    let ask = async || rig.client.get(&url).send().await;
    until("a refused connection", async || {
        ask().await.err().filter(reqwest::Error::is_connect)
    })
    .await;
    rig.control("POST", "/refuse-connections", json!({"on": false}))
        .await;
    until("a connection", async || ask().await.ok()).await;
    rig.call("GET", "/version", &[]).await.data();
}

#[tokio::test]
async fn foreign_hands_make_rename_move_and_remove_guests() {
    let rig = Rig::quick().await;
    rig.control(
        "POST",
        "/vms",
        json!({"vmid": 300, "node": "pve1", "name": "foreign", "pool": "decent", "running": true}),
    )
    .await;
    assert_eq!(rig.config(300).await["name"], "foreign");
    rig.control(
        "PATCH",
        "/vms/300",
        json!({"name": "renamed", "config": {"description": "mine", "cores": null}}),
    )
    .await;
    let config = rig.config(300).await;
    assert_eq!(
        (&config["name"], &config["description"], config.get("cores")),
        (&json!("renamed"), &json!("mine"), None)
    );
    rig.control("PATCH", "/vms/300", json!({"node": "pve2", "status": "stopped"}))
        .await;
    let gone = rig.call("GET", "/nodes/pve1/qemu/300/config", &[]).await;
    assert_eq!(
        gone.line(),
        (
            500,
            "Configuration file 'nodes/pve1/qemu-server/300.conf' does not exist"
        )
    );
    rig.control("PATCH", "/vms/300", json!({"pool": null})).await;
    assert_eq!(
        rig.call("GET", "/nodes/pve2/qemu/300/config", &[]).await.status,
        403
    );
    rig.control("DELETE", "/vms/300", Value::Null).await;
    assert!(rig.truth(300).await.is_none());
}

#[tokio::test]
async fn a_reset_forgets_guests_and_faults_and_keeps_secrets() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig.fault(
        json!({"count": 0}),
        json!({"refuse": {"status": 500, "reason": "x"}}),
    )
    .await;
    rig.control("POST", "/reset", json!({})).await;
    rig.call("GET", "/version", &[]).await.data();
    assert!(rig.truth(200).await.is_none());
}
