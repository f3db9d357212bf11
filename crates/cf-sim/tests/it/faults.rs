//! Faults: what goes wrong on request, the how manieth time; and the log that tells it.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::Rig;

const A: &str = "192.0.2.1";

async fn truth(rig: &Rig) -> Vec<Value> {
    let all = rig
        .control("GET", "/zones/example.org/records", Value::Null)
        .await;
    all.as_array().unwrap().clone()
}

fn record(name: &str) -> Value {
    json!({"type": "A", "name": name, "content": A})
}

#[rstest]
#[case("drop_before", 0)]
#[case("drop_after", 1)]
#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_effect(#[case] act: &str, #[case] made: usize) {
    let rig = Rig::new().await;
    rig.fault(json!({"method": "POST"}), json!(act)).await;
    let lost = rig
        .try_call(&rig.sim.token, "POST", &rig.records(), &record("a"))
        .await;
    assert!(lost.is_err());
    assert_eq!(truth(&rig).await.len(), made);
    let log = rig.control("GET", "/requests?mutating=true", Value::Null).await;
    assert_eq!(
        (&log["requests"][0]["cut"], &log["requests"][0]["method"]),
        (&json!(true), &json!("POST"))
    );
    assert_eq!(rig.create(record("b")).await.status, 200, "once");
}

#[tokio::test]
async fn the_nth_call_to_a_path_is_refused_as_stated() {
    let rig = Rig::new().await;
    let act = json!({"refuse": {"status": 429, "code": 971, "message": "slow down", "retry_after": 7}});
    let matcher = json!({"path": "/zones/{zone}/dns_records", "method": "get", "nth": 2, "count": 2});
    rig.fault(matcher, act).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let got = rig.call("GET", &rig.records(), &Value::Null).await;
        seen.push((got.status, got.header("retry-after").map(str::to_owned)));
    }
    let refused = (429, Some("7".to_owned()));
    assert_eq!(seen, [(200, None), refused.clone(), refused, (200, None)]);
    let rules = rig.control("GET", "/faults", Value::Null).await;
    assert_eq!((&rules[0]["seen"], &rules[0]["met"]), (&json!(4), &json!(2)));
}

#[tokio::test]
async fn an_answer_may_be_any_bytes() {
    let rig = Rig::new().await;
    let act = json!({"answer": {"status": 502, "body": "<html>bad gateway", "content_type": "text/html"}});
    rig.fault(json!({"count": 0}), act).await;
    let got = rig.call("GET", "zones", &Value::Null).await;
    assert_eq!((got.status, got.body.as_str()), (502, Some("<html>bad gateway")));
    assert_eq!(got.header("content-type"), Some("text/html"));
    rig.control("DELETE", "/faults", Value::Null).await;
    rig.call("GET", "zones", &Value::Null).await.result();
}

#[tokio::test]
async fn a_call_is_held_back_and_one_is_never_answered() {
    let rig = Rig::start(cf_sim::SimConfig::default()).await;
    rig.fault(json!({}), json!({"delay": {"ms": 100}})).await;
    let begin = Instant::now();
    rig.call("GET", "zones", &Value::Null).await.result();
    assert!(begin.elapsed() >= Duration::from_millis(100));
    rig.fault(json!({"method": "POST"}), json!("blackhole")).await;
    let never = rig.create(record("a"));
    assert!(
        tokio::time::timeout(Duration::from_millis(200), never)
            .await
            .is_err()
    );
    assert_eq!(truth(&rig).await.len(), 0);
}

#[tokio::test]
async fn foreign_hands_act_before_and_after_a_call() {
    let rig = Rig::new().await;
    let hand = |body: Value| json!({"control": body});
    let before = hand(json!({"method": "POST", "path": "/zones/{zone}/records",
        "body": {"type": "{type}", "name": "{name}", "content": "198.51.100.1", "comment": "theirs"}}));
    rig.fault(json!({"method": "POST", "type": "A"}), before).await;
    rig.made("A", "a", A).await;
    let both: Vec<Value> = truth(&rig)
        .await
        .into_iter()
        .map(|one| one["content"].clone())
        .collect();
    assert!(
        both.contains(&json!("198.51.100.1")) && both.contains(&json!(A)),
        "{both:?}"
    );
    let after = hand(
        json!({"method": "PATCH", "path": "/zones/{zone}/records/{record}", "when": "after",
        "body": {"comment": null, "content": "198.51.100.2"}}),
    );
    rig.fault(json!({"method": "POST", "name": "b"}), after).await;
    let id = rig.made("A", "b", A).await;
    let changed = truth(&rig)
        .await
        .into_iter()
        .find(|one| one["id"] == json!(id))
        .unwrap();
    assert_eq!(changed["content"], "198.51.100.2");
    let revoke = hand(json!({"method": "DELETE", "path": "/zones/{zone}/records/{record}"}));
    rig.fault(json!({"method": "DELETE", "name": "b."}), revoke).await;
    let got = rig
        .call("DELETE", &format!("{}/{id}", rig.records()), &Value::Null)
        .await;
    assert_eq!(got.refusal(), (404, 81044), "somebody was faster");
    let rules = rig.control("GET", "/faults", Value::Null).await;
    assert!(
        rules
            .as_array()
            .unwrap()
            .iter()
            .all(|rule| rule["complaints"] == json!([])),
        "{rules}"
    );
}

#[tokio::test]
async fn a_token_is_revoked_between_two_calls() {
    let rig = Rig::new().await;
    let tokens = rig.control("GET", "/tokens", Value::Null).await;
    assert!(
        !tokens.to_string().contains(&rig.sim.token),
        "secrets are not shown"
    );
    let id = tokens[0]["id"].as_str().unwrap();
    let act = json!({"control": {"method": "DELETE", "path": format!("/tokens/{id}")}});
    rig.fault(json!({"nth": 2}), act).await;
    rig.call("GET", "zones", &Value::Null).await.result();
    assert_eq!(
        rig.call("GET", "zones", &Value::Null).await.refusal(),
        (403, 9109)
    );
}

#[tokio::test]
async fn the_port_may_refuse_connections() {
    let rig = Rig::new().await;
    rig.control("POST", "/refuse-connections", json!({"on": true}))
        .await;
    let refused = rig.try_call(&rig.sim.token, "GET", "zones", &Value::Null).await;
    assert!(refused.is_err());
    rig.control("POST", "/refuse-connections", json!({"on": false}))
        .await;
    for _ in 0..200 {
        if rig
            .try_call(&rig.sim.token, "GET", "zones", &Value::Null)
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came back");
}

#[tokio::test]
async fn the_log_tells_calls_and_no_secret() {
    let rig = Rig::new().await;
    rig.made("A", "a", A).await;
    rig.create(record("a")).await;
    rig.call("GET", &format!("{}?type=A", rig.records()), &Value::Null)
        .await;
    let log = rig.control("GET", "/requests", Value::Null).await;
    assert!(!log.to_string().contains(&rig.sim.token));
    let all = log["requests"].as_array().unwrap();
    let codes: Vec<_> = all
        .iter()
        .map(|one| (one["status"].clone(), one["code"].clone()))
        .collect();
    assert_eq!(
        codes,
        [
            (json!(200), Value::Null),
            (json!(400), json!(81058)),
            (json!(200), Value::Null)
        ]
    );
    assert_eq!((&all[0]["name"], &all[0]["type"]), (&json!("a"), &json!("A")));
    assert_eq!(all[2]["query"], "type=A");
    rig.control("DELETE", "/requests", Value::Null).await;
    let log = rig.control("GET", "/requests", Value::Null).await;
    assert_eq!(log, json!({"last": 3, "requests": []}));
}

#[rstest]
#[case(json!({"method": "FETCH"}), json!("blackhole"), "match.method: \"FETCH\" is no method")]
#[case(json!({"nth": 0}), json!("blackhole"), "match.nth: requests are counted from 1")]
#[case(json!({"probability": 1.5}), json!("blackhole"), "match.probability: a probability is from 0 to 1")]
#[case(json!({"path": "(["}), json!("blackhole"), "match.path: failed to read the pattern")]
#[case(json!({"path": "(a{1000}){1000}"}), json!("blackhole"), "match.path: failed to read the pattern")]
#[case(json!({}), json!("explode"), "unknown variant `explode`")]
#[case(json!({}), json!([]), "act: a rule has 1 to 16 acts")]
#[case(json!({}), json!(["drop_before", "blackhole"]), "act: two acts decide the answer")]
#[case(json!({}), json!({"refuse": {"status": 200, "code": 1, "message": "x"}}), "a status is from 400 to 599")]
#[case(json!({}), json!({"delay": {"ms": 600_001}}), "act.delay.ms: a delay is 600000 ms at most")]
#[case(json!({}), json!({"control": {"method": "POST", "path": "/reset"}}), "a rule does not change the rules")]
#[case(json!({}), json!({"control": {"method": "POST", "path": "/nothing"}}), "the control port has no /nothing")]
#[case(json!({}), json!({"control": {"method": "GET", "path": "/zones"}}), "/zones of the control port takes")]
#[tokio::test]
async fn a_rule_that_means_nothing_is_refused(#[case] matcher: Value, #[case] act: Value, #[case] why: &str) {
    let rig = Rig::new().await;
    let rule = json!({"match": matcher, "act": act});
    let error = rig.sim.control("POST", "/faults", &rule).await.unwrap_err();
    assert!(
        error.contains("422") && error.contains(&why.replace('"', "\\\"")),
        "{error}"
    );
    assert_eq!(rig.control("GET", "/faults", Value::Null).await, json!([]));
}

#[tokio::test]
async fn a_likely_rule_meets_its_share_and_the_same_ones_with_the_same_seed() {
    let run = async || {
        let rig = Rig::new().await;
        let act = json!({"refuse": {"status": 500, "code": 1, "message": "x"}});
        rig.fault(json!({"probability": 0.3, "count": 0}), act).await;
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.push(rig.call("GET", "zones", &Value::Null).await.status);
        }
        seen
    };
    let first = run().await;
    let share = first.iter().filter(|status| **status == 500).count();
    assert!((15..45).contains(&share), "{share}");
    assert_eq!(first, run().await);
}
