//! Answers that are lost: what happened is found out by looking.

use dc_cloudflare::{Class, TransportKind};
use rstest::rstest;
use serde_json::{Value, json};

use crate::bed::{Bed, challenge, owner, wildcard};

#[rstest]
#[case(json!("drop_after"))]
#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_found_and_not_repeated(#[case] act: Value) {
    let bed = Bed::new().await;
    bed.fault(json!({"method": "POST"}), act).await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    let truth = bed.truth().await;
    assert_eq!(
        (truth.len(), truth[0]["id"].as_str()),
        (1, Some(record.id.as_str()))
    );
    assert_eq!(bed.changes().await, ["POST"]);
}

#[tokio::test]
async fn a_creation_that_never_happened_is_told_as_open() {
    let bed = Bed::new().await;
    bed.fault(json!({"method": "POST"}), json!("drop_before")).await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.transport()),
        (Class::Ambiguous, Some(TransportKind::Reset))
    );
    assert_eq!(
        bed.changes().await,
        ["POST"],
        "it may come yet: it is not sent again"
    );
    bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    assert_eq!(bed.truth().await.len(), 1);
}

#[tokio::test]
async fn a_creation_that_came_late_is_found_by_its_double() {
    let bed = Bed::new().await;
    bed.fault(json!({"method": "POST"}), json!("drop_before")).await;
    bed.cf
        .create(&bed.zone, &challenge("one"), &owner())
        .await
        .unwrap_err();
    let at = challenge("one").name().to_string();
    bed.foreign("TXT", &at, "\"one\"", Some(&owner().comment())).await;
    let record = bed
        .cf
        .create(&bed.zone, &challenge("one"), &owner())
        .await
        .unwrap();
    assert_eq!(bed.truth().await[0]["id"].as_str(), Some(record.id.as_str()));
}

#[tokio::test]
async fn a_server_error_of_a_creation_is_looked_after() {
    let bed = Bed::new().await;
    let refuse = json!({"refuse": {"status": 503, "code": 10000, "message": "later"}});
    bed.fault(json!({"method": "POST"}), refuse).await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Ambiguous);
    let methods: Vec<String> = bed.log().await.into_iter().map(|(method, ..)| method).collect();
    assert_eq!(methods, ["POST", "GET"]);
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_found() {
    let bed = Bed::new().await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    bed.fault(json!({"method": "PUT"}), json!("drop_after")).await;
    let updated = bed
        .cf
        .update(&bed.zone, (&record.id, &wildcard(2)), &owner())
        .await
        .unwrap();
    assert_eq!(updated.content, "192.0.2.2");
    assert_eq!(bed.changes().await, ["POST", "PUT"]);
    bed.fault(json!({"method": "PUT"}), json!("drop_before")).await;
    let error = bed
        .cf
        .update(&bed.zone, (&record.id, &wildcard(3)), &owner())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Ambiguous);
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_found() {
    let bed = Bed::new().await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    bed.fault(json!({"method": "DELETE"}), json!("drop_before")).await;
    let error = bed.cf.delete(&bed.zone, &record.id, &owner()).await.unwrap_err();
    assert_eq!(error.class(), Class::Ambiguous);
    bed.fault(json!({"method": "DELETE"}), json!("drop_after")).await;
    bed.cf.delete(&bed.zone, &record.id, &owner()).await.unwrap();
    assert_eq!(bed.truth().await, Vec::<Value>::new());
}

#[tokio::test]
async fn somebody_who_is_faster_with_the_deletion_is_no_failure() {
    let bed = Bed::new().await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    let hand = json!({"control": {"method": "DELETE", "path": "/zones/{zone}/records/{record}"}});
    bed.fault(json!({"method": "DELETE"}), hand).await;
    bed.cf.delete(&bed.zone, &record.id, &owner()).await.unwrap();
}

#[tokio::test]
async fn a_zone_that_is_gone_proves_no_deletion() {
    let bed = Bed::new().await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    bed.control("DELETE", "/zones/example.org", Value::Null).await;
    let error = bed.cf.delete(&bed.zone, &record.id, &owner()).await.unwrap_err();
    assert_eq!(error.class(), Class::Denied);
}
