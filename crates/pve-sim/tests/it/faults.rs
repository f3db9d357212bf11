//! Fault rules on the wire: each act, what it does to the answer and to the cluster.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::{Rig, until};

const CLONE: &str = "/nodes/pve1/qemu/9000/clone";

/// The newest state of a rule.
async fn rule(rig: &Rig) -> Value {
    rig.control("GET", "/faults", Value::Null).await[0].clone()
}

/// Asks for a clone; its UPID.
async fn begin_clone(rig: &Rig, newid: &str) -> Value {
    rig.call("POST", CLONE, &[("newid", newid), ("pool", "decent")])
        .await
        .data()
}

async fn refused(rig: &Rig, rule: &Value) -> (StatusCode, String) {
    let url = format!("{}/faults", rig.sim.control_url);
    let answer = rig.plain().post(url).json(rule).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_task_with_warnings_has_done_its_work() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": CLONE}), json!({"warn_task": {"warnings": 2}}))
        .await;
    let upid = begin_clone(&rig, "200").await;
    assert_eq!(rig.end_of(&upid).await, "WARNINGS: 2");
    assert!(rig.config(200).await.get("lock").is_none());
}

#[tokio::test]
async fn a_lost_task_has_done_its_work_and_is_known_to_nobody() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": CLONE}), json!("lose_task")).await;
    let upid = begin_clone(&rig, "200").await;
    let path = format!("/nodes/pve1/tasks/{}/status", upid.as_str().unwrap());
    let lost = until("the task is lost", async || {
        let got = rig.root("GET", &path, &[]).await;
        (got.status != 200).then_some(got)
    })
    .await;
    assert_eq!(
        (lost.status, &lost.body["errors"]["upid"]),
        (400, &json!("no such task"))
    );
    assert_eq!(rig.config(200).await["name"], "Copy-of-VM-debian-13");
    let tasks = rig
        .root("GET", "/nodes/pve1/tasks", &[("source", "all")])
        .await
        .data();
    assert_eq!(tasks, json!([]));
}

#[tokio::test]
async fn an_endless_task_runs_until_it_is_stopped() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": CLONE}), json!("endless_task")).await;
    let upid = begin_clone(&rig, "200").await;
    let path = format!("/nodes/pve1/tasks/{}", upid.as_str().unwrap());
    for _ in 0..20 {
        let status = rig.call("GET", &format!("{path}/status"), &[]).await.data();
        assert_eq!(status["status"], "running");
    }
    assert_eq!(rig.truth(200).await.unwrap()["config"]["lock"], "clone");
    rig.call("DELETE", &path, &[]).await.data();
    assert!(rig.end_of(&upid).await.ends_with("interrupted by signal"));
    assert!(rig.truth(200).await.is_none());
}

#[tokio::test]
async fn an_answer_can_be_any_bytes_and_the_effect_is_left_out() {
    let rig = Rig::quick().await;
    let act = json!({"answer": {"status": 200, "body": "{\"data\":[{\"vmid\":\"x\"}]}"}});
    rig.fault(json!({"path": "/cluster/resources"}), act).await;
    let got = rig.call("GET", "/cluster/resources", &[]).await;
    assert_eq!((got.status, got.body), (200, json!({"data": [{"vmid": "x"}]})));
    let act = json!({"answer": {"status": 502, "body": "<html>", "content_type": "text/html"}});
    rig.fault(json!({"path": CLONE}), act).await;
    assert_eq!(rig.call("POST", CLONE, &[("newid", "200")]).await.status, 502);
    assert!(rig.truth(200).await.is_none());
}

#[tokio::test]
async fn an_empty_body_hides_an_effect_that_was_had() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": CLONE}), json!("empty_body")).await;
    let got = rig
        .call("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
        .await;
    assert_eq!((got.status, got.body), (200, Value::Null));
    assert!(rig.truth(200).await.is_some());
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_in_the_log_and_without_effect() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": CLONE}), json!("blackhole")).await;
    let url = format!("{}/api2/json{CLONE}", rig.sim.url);
    let asked = rig.client.post(&url).timeout(Duration::from_millis(200));
    let asked = asked.header("authorization", format!("PVEAPIToken={}", rig.sim.token));
    assert!(
        asked
            .form(&[("newid", "200")])
            .send()
            .await
            .unwrap_err()
            .is_timeout()
    );
    let log = rig.control("GET", "/requests", Value::Null).await;
    assert_eq!(log["requests"][0]["cut"], true);
    assert!(rig.truth(200).await.is_none());
}

#[tokio::test]
async fn a_request_whose_client_goes_away_while_it_is_held_is_carried_out_all_the_same() {
    let rig = Rig::quick().await;
    rig.fault(json!({"path": CLONE}), json!({"delay": {"ms": 600}}))
        .await;
    let asked = rig.client.post(format!("{}/api2/json{CLONE}", rig.sim.url));
    let asked = asked.header("authorization", format!("PVEAPIToken={}", rig.sim.token));
    let sent = asked.form(&[("newid", "200"), ("pool", "decent")]).send();
    let log = async || rig.control("GET", "/requests", Value::Null).await["requests"][0].clone();
    tokio::select! {
        _ = sent => panic!("it was answered at once"),
        // It is seen as soon as it has come.
        () = until("it is in the log", async || log().await.is_object().then_some(())) => {}
    }
    assert_eq!(
        (&log().await["status"], &log().await["upid"]),
        (&Value::Null, &Value::Null)
    );
    let vm = until("it is made", async || rig.truth(200).await).await;
    assert_eq!(vm["vmid"], 200);
    until("its end is in the log", async || {
        (log().await["status"] == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_foreigner_takes_the_id_at_the_moment_of_the_clone() {
    let rig = Rig::quick().await;
    let body = json!({"vmid": "{newid}", "node": "{node}", "name": "foreign"});
    rig.fault(
        json!({"path": "/nodes/{node}/qemu/{vmid}/clone"}),
        json!({"control": {"method": "POST", "path": "/vms", "body": body}}),
    )
    .await;
    let got = rig
        .call("POST", CLONE, &[("newid", "200"), ("pool", "decent")])
        .await;
    assert_eq!(
        got.line(),
        (500, "unable to create VM 200: config file already exists")
    );
    assert_eq!(rig.truth(200).await.unwrap()["name"], "foreign");
    assert_eq!(rule(&rig).await["complaints"], json!([]));
}

#[tokio::test]
async fn quorum_goes_with_a_request_and_comes_back_by_itself() {
    let rig = Rig::quick().await;
    let undo = json!({"after_ms": 100, "method": "POST", "path": "/quorum", "body": {"on": true}});
    let act = json!({"control": {"method": "POST", "path": "/quorum", "body": {"on": false}, "undo": undo}});
    rig.fault(json!({"path": CLONE}), act).await;
    let params = [("newid", "200"), ("pool", "decent")];
    let got = rig.call("POST", CLONE, &params).await;
    assert_eq!(got.line(), (500, "cluster not ready - no quorum?"));
    let begin = Instant::now();
    while rig.call("POST", CLONE, &params).await.status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(5), "quorum stays away");
    }
}

#[tokio::test]
async fn a_privilege_goes_after_the_request_that_used_it() {
    let rig = Rig::quick().await;
    let body = json!({"path": "/vms/9000", "privilege": "VM.Clone"});
    let act =
        json!({"control": {"method": "POST", "path": "/privileges/revoke", "body": body, "when": "after"}});
    rig.fault(json!({"path": CLONE}), json!([act, "drop_after"]))
        .await;
    let url = format!("{}/api2/json{CLONE}", rig.sim.url);
    let asked = rig
        .client
        .post(&url)
        .header("authorization", format!("PVEAPIToken={}", rig.sim.token));
    let cut = asked.form(&[("newid", "200"), ("pool", "decent")]).send().await;
    assert!(cut.is_err());
    assert!(rig.truth(200).await.is_some(), "the clone itself was allowed");
    let denied = rig
        .call("POST", CLONE, &[("newid", "201"), ("pool", "decent")])
        .await;
    assert_eq!(
        denied.line(),
        (403, "Permission check failed (/vms/9000, VM.Clone)")
    );
}

#[tokio::test]
async fn an_act_that_cannot_be_done_is_told_with_the_rule() {
    let rig = Rig::quick().await;
    let act = json!({"control": {"method": "DELETE", "path": "/vms/{newid}"}});
    rig.fault(json!({"count": 2}), act).await;
    rig.call("GET", "/version", &[]).await.data();
    begin_clone(&rig, "200").await;
    let complaints = rule(&rig).await["complaints"].clone();
    assert_eq!(complaints[0], "the request has no {newid}");
    assert!(
        complaints[1].as_str().unwrap().contains("no VM 200"),
        "{complaints}"
    );
}

#[tokio::test]
async fn a_rule_is_refused_with_what_is_wrong() {
    let rig = Rig::quick().await;
    let hand = |method: &str, path: &str| json!({"act": {"control": {"method": method, "path": path}}});
    for (rule, why) in [
        (
            hand("POST", "/quorums"),
            "act.control: the control port has no /quorums",
        ),
        (
            hand("DELETE", "/quorum"),
            "act.control: /quorum of the control port takes POST",
        ),
        (hand("GET", "/vms"), "act.control: /vms of the control port takes"),
        (
            json!({"act": "explode"}),
            "act: unknown variant `explode`, expected one of",
        ),
        (
            json!({"act": "blackhole", "match": {"probability": 2}}),
            "match.probability: ",
        ),
        (
            json!({"act": "blackhole", "match": {"paht": "/"}}),
            "unknown field `paht`",
        ),
        (json!({}), "missing field `act`"),
    ] {
        let (status, text) = refused(&rig, &rule).await;
        assert_eq!(status, 422, "{rule}");
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(rig.control("GET", "/faults", Value::Null).await, json!([]));
}
