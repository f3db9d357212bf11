//! Limits of calls: by user and by address.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Rig, standing};

const VERIFY: &str = "user/tokens/verify";

#[tokio::test]
async fn the_call_after_the_last_blocks_a_user_for_five_minutes() {
    let rig = Rig::new().await;
    for call in 0..1_200 {
        if call % 100 == 0 {
            rig.pass(1);
        }
        assert_eq!(
            rig.call("GET", VERIFY, &Value::Null).await.status,
            200,
            "call {call}"
        );
    }
    let got = rig.call("GET", VERIFY, &Value::Null).await;
    assert_eq!(got.refusal(), (429, 971));
    assert_eq!(got.header("retry-after"), Some("300"));
    assert!(got.header("x-ratelimit-reset").unwrap().ends_with(" GMT"));
    let same_user = rig
        .call_as(&rig.sim.read_token, "GET", VERIFY, &Value::Null)
        .await;
    assert_eq!(same_user.refusal().0, 429, "it is the user's, not the token's");
    let other = rig
        .call_as(&rig.sim.other_token, "GET", VERIFY, &Value::Null)
        .await;
    assert_eq!(other.header("ratelimit"), Some("\"default\";r=1199;t=300"));
    rig.pass(299);
    assert_eq!(
        rig.call("GET", VERIFY, &Value::Null).await.header("retry-after"),
        Some("1")
    );
    rig.pass(1);
    assert_eq!(rig.call("GET", VERIFY, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_refusal_may_keep_silent_about_how_long() {
    let limits = cf_sim::Limits {
        calls: 1,
        block: Duration::ZERO,
        retry_after: false,
        ..cf_sim::Limits::default()
    };
    let rig = Rig::start(cf_sim::SimConfig { limits, ..standing() }).await;
    rig.call("GET", VERIFY, &Value::Null).await.result();
    rig.pass(200);
    let got = rig.call("GET", VERIFY, &Value::Null).await;
    assert_eq!((got.refusal().0, got.header("retry-after")), (429, None));
    rig.pass(100);
    assert_eq!(
        rig.call("GET", VERIFY, &Value::Null).await.status,
        200,
        "the window is over"
    );
}

#[tokio::test]
async fn an_address_may_make_so_many_calls_a_second() {
    let rig = Rig::new().await;
    rig.control("PUT", "/rate", json!({"per_second": 3})).await;
    for _ in 0..3 {
        rig.call("GET", VERIFY, &Value::Null).await.result();
    }
    assert_eq!(
        rig.call("GET", VERIFY, &Value::Null).await.refusal(),
        (429, 10429)
    );
    rig.pass(1);
    rig.call("GET", VERIFY, &Value::Null).await.result();
    rig.control("DELETE", "/rate", Value::Null).await;
    let got = rig.call("GET", VERIFY, &Value::Null).await;
    assert_eq!(
        got.header("x-ratelimit-remaining"),
        Some("1199"),
        "all is forgotten"
    );
}
