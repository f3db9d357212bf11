//! What goes wrong, what class it has, and what the error says.

use std::time::{Duration, Instant};

use dc_cloudflare::{Act, Class, Endpoint, Error, TransportKind, Trust};
use rstest::rstest;
use serde_json::{Value, json};

use crate::bed::{Bed, challenge, config, name, owner, wildcard};

const WRONG: &str = "wrongwrongwrongwrongwrongwrongwrongwrong";

#[tokio::test]
async fn a_wrong_token_is_denied_and_never_shown() {
    let bed = Bed::new().await;
    let cf = bed.client(WRONG);
    for error in [
        cf.verify().await.unwrap_err(),
        cf.zone(&bed.zone).await.unwrap_err(),
        cf.mine(&bed.zone, &owner()).await.unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::Denied);
        assert!(error.class().advice().contains("token"));
        assert!(!format!("{error} {error:?} {cf:?}").contains(WRONG));
        assert!(error.ray().unwrap().ends_with("-SIM") && error.to_string().contains("[ray "));
    }
}

#[tokio::test]
async fn a_token_without_rights_is_denied_where_it_has_none() {
    let bed = Bed::new().await;
    let seer = bed.client(&bed.sim.zone_token);
    seer.verify().await.unwrap();
    assert_eq!(seer.zone(&bed.zone).await.unwrap().name, name("example.org"));
    assert_eq!(
        seer.mine(&bed.zone, &owner()).await.unwrap_err().class(),
        Class::Denied
    );
    let reader = bed.client(&bed.sim.read_token);
    assert_eq!(reader.mine(&bed.zone, &owner()).await.unwrap(), []);
    let error = reader
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.answer().unwrap().has(10000)),
        (Class::Denied, true)
    );
    assert_eq!(bed.truth().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_token_that_is_revoked_in_between_is_denied() {
    let bed = Bed::new().await;
    let tokens = bed.control("GET", "/tokens", Value::Null).await;
    let path = format!("/tokens/{}", tokens[0]["id"].as_str().unwrap());
    let act = json!({"control": {"method": "PATCH", "path": path, "body": {"status": "expired"}}});
    bed.fault(json!({"method": "POST"}), act).await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Denied);
}

#[tokio::test]
async fn zones_are_found_by_name_and_id() {
    let bed = Bed::new().await;
    let found = bed.cf.zone_named(&name("example.org")).await.unwrap().unwrap();
    assert_eq!(
        (&found.id, found.status.as_str(), found.name_servers.len()),
        (&bed.zone, "active", 2)
    );
    assert_eq!(bed.cf.zone(&bed.zone).await.unwrap(), found);
    assert_eq!(bed.cf.zone_named(&name("none.test")).await.unwrap(), None);
    let gone = "0123456789abcdef0123456789abcdef".parse().unwrap();
    assert_eq!(bed.cf.zone(&gone).await.unwrap_err().class(), Class::Denied);
}

#[tokio::test]
async fn p49_a_full_zone_is_told_by_its_class() {
    let bed = Bed::start(cf_sim::SimConfig { quota: 2, ..config() }, Duration::from_mins(1)).await;
    bed.foreign("A", "one", "192.0.2.1", None).await;
    assert_eq!(bed.cf.count(&bed.zone).await.unwrap(), 1);
    bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    assert_eq!(bed.cf.count(&bed.zone).await.unwrap(), 2);
    let error = bed
        .cf
        .create(&bed.zone, &challenge("x"), &owner())
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.answer().unwrap().has(81045)),
        (Class::Quota, true)
    );
}

#[tokio::test]
async fn something_in_the_way_is_a_conflict() {
    let bed = Bed::new().await;
    bed.foreign("CNAME", wildcard(1).name().as_str(), "target.test", None)
        .await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.answer().unwrap().has(81054)),
        (Class::Conflict, true)
    );
    assert_eq!(bed.changes().await.len(), 1);
}

#[tokio::test]
async fn codes_beyond_sixteen_bits_are_kept() {
    let bed = Bed::new().await;
    let act = json!({"refuse": {"status": 400, "code": 4_294_967_295_u32, "message": "odd"}});
    bed.fault(json!({}), act).await;
    let error = bed.cf.verify().await.unwrap_err();
    assert!(error.answer().unwrap().has(u32::MAX), "{error}");
    // In messages of a good answer, too.
    let body = json!({"success": true, "result": {"id": "x", "status": "active"}, "errors": [],
        "messages": [{"code": 4_294_967_295_u32, "message": "odd"}]});
    let act = json!({"answer": {"status": 200, "body": body.to_string()}});
    bed.fault(json!({}), act).await;
    bed.cf.verify().await.unwrap();
}

#[tokio::test]
async fn wrapped_refusals_are_understood_by_what_is_inside() {
    let bed = Bed::new().await;
    bed.control("PUT", "/answers", json!({"error_chain": true})).await;
    bed.control("PATCH", "/zones/example.org", json!({"comment_max": 50}))
        .await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert!(error.answer().unwrap().has(1004) && error.answer().unwrap().has(9313));
    assert_eq!(error.class(), Class::Invalid);
    assert!(
        error.to_string().contains("exceeds the maximum length of 50"),
        "{error}"
    );
}

#[rstest]
#[case(json!({"answer": {"status": 502, "body": "<html>bad gateway"}}), Class::Unavailable)]
#[case(json!({"answer": {"status": 200, "body": "<html>captcha", "content_type": "text/html"}}), Class::Bug)]
#[case(json!({"answer": {"status": 200, "body": "{\"success\": true, \"result\": 5}"}}), Class::Bug)]
#[case(json!({"answer": {"status": 200, "body": "{\"success\": false, \"errors\": [{\"code\": 9109}]}"}}), Class::Denied)]
#[case(json!({"answer": {"status": 403, "body": ""}}), Class::Denied)]
#[case(json!({"answer": {"status": 302, "body": ""}}), Class::Bug)]
#[case(json!("drop_before"), Class::Unavailable)]
#[case(json!("drop_after"), Class::Unavailable)]
#[tokio::test]
async fn odd_answers_of_reads_have_their_class(#[case] act: Value, #[case] class: Class) {
    let bed = Bed::new().await;
    bed.fault(json!({}), act).await;
    let error = bed.cf.verify().await.unwrap_err();
    assert_eq!(error.class(), class, "{error:?}");
    bed.cf.verify().await.unwrap();
}

#[tokio::test]
async fn an_answer_of_a_creation_that_is_no_json_leaves_it_open() {
    let bed = Bed::new().await;
    let act = json!({"answer": {"status": 200, "body": "<html>"}});
    bed.fault(json!({"method": "POST"}), act).await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreadable { sent: true, .. }));
    assert_eq!(error.class(), Class::Ambiguous);
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_deadline() {
    let bed = Bed::new().await;
    let cf = bed.with(|access| access.deadline = Duration::from_millis(200));
    bed.fault(json!({"count": 0}), json!("blackhole")).await;
    let begin = Instant::now();
    let error = cf.verify().await.unwrap_err();
    assert_eq!(
        (error.class(), error.transport()),
        (Class::Unavailable, Some(TransportKind::Timeout))
    );
    let error = cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap_err();
    assert_eq!(
        error.transport(),
        Some(TransportKind::Timeout),
        "the look after it fails the same way"
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
    bed.control("DELETE", "/faults", Value::Null).await;
    bed.fault(json!({"method": "POST"}), json!("blackhole")).await;
    let error = cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap_err();
    assert_eq!(error.class(), Class::Ambiguous);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    let bed = Bed::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/client/v4/", listener.local_addr().unwrap());
    drop(listener);
    let endpoint: Endpoint = url.parse().unwrap();
    let cf = bed.with(|access| access.endpoint = endpoint);
    let error = cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap_err();
    let expected = (Class::Unavailable, Some(TransportKind::Refused));
    assert_eq!((error.class(), error.transport()), expected);
    let unsent = matches!(
        error,
        Error::Transport {
            act: Act::Create,
            sent: false,
            ..
        }
    );
    assert!(
        unsent,
        "it cannot have arrived, so nothing is looked after: {error:?}"
    );
}

#[tokio::test]
async fn a_stranger_in_between_is_not_trusted() {
    let config = cf_sim::SimConfig {
        tls: true,
        ..config()
    };
    let bed = Bed::start(config.clone(), Duration::from_mins(1)).await;
    bed.cf.verify().await.unwrap();
    let other = Bed::start(config, Duration::from_mins(1)).await;
    let ca = other.sim.ca_pem.clone().unwrap();
    let cf = bed.with(|access| access.trust = Trust::Ca(ca));
    let error = cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap_err();
    assert_eq!(
        (error.class(), error.transport()),
        (Class::Untrusted, Some(TransportKind::Tls))
    );
    let cf = bed.with(|access| access.trust = Trust::System);
    assert_eq!(cf.verify().await.unwrap_err().class(), Class::Untrusted);
    assert_eq!(bed.log().await.len(), 1, "no token was sent to either");
}
