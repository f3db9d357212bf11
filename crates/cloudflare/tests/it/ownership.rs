//! Which records are written and which never are.

use dc_cloudflare::{Class, Error, Why};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::bed::{Bed, TOP, challenge, name, owner, wildcard};

#[tokio::test]
async fn p51_a_gateway_gets_its_records_and_the_second_pass_writes_nothing() {
    let bed = Bed::new().await;
    let desired = [wildcard(1), challenge("one"), challenge("two")];
    assert_eq!(bed.pass(&desired).await.create.len(), 3);
    let made = bed.truth().await;
    assert!(
        made.iter()
            .all(|one| one["comment"] == json!(owner().comment()) && one["ttl"] == 60)
    );
    let before = bed.changes().await.len();
    assert!(bed.pass(&desired).await.is_settled());
    assert_eq!(bed.changes().await.len(), before);
    drop(bed.pass(&[wildcard(2), challenge("two")]).await);
    let contents: Vec<Value> = bed
        .truth()
        .await
        .into_iter()
        .map(|one| one["content"].clone())
        .collect();
    assert_eq!(
        contents,
        [json!("192.0.2.2"), json!("\"two\"")],
        "one changed in place, one gone, one as it was"
    );
    drop(bed.pass(&[]).await);
    assert_eq!(bed.truth().await, Vec::<Value>::new());
}

#[tokio::test]
async fn p50_foreign_records_survive_and_are_told() {
    let bed = Bed::new().await;
    let star = format!("*.{TOP}");
    let acme = format!("_acme-challenge.{TOP}");
    bed.foreign("A", &star, "198.51.100.1", Some("theirs")).await;
    bed.foreign("CAA", &acme, "0 issue \"ca.test\"", None).await;
    bed.foreign("TXT", &acme, "foreign", None).await;
    bed.foreign("TYPE65534", &acme, "\\# 0", None).await;
    bed.foreign("A", "www", "198.51.100.2", Some(&owner().comment()))
        .await;
    let before = bed.truth().await;
    let desired = [wildcard(1), challenge("one")];
    let plan = bed.pass(&desired).await;
    assert_eq!(
        (plan.conflicts.len(), plan.conflicts[0].why),
        (1, Why::OtherAddress)
    );
    assert_eq!(
        (plan.strays.len(), plan.strays[0].name.as_str()),
        (1, "www.example.org")
    );
    let after = bed.truth().await;
    assert!(before.iter().all(|one| after.contains(one)));
    assert_eq!(after.len(), before.len() + 1, "the challenge stands beside them");
    drop(bed.pass(&[]).await);
    assert_eq!(bed.truth().await, before);
}

/// A foreign record of any kind, some with comments that are almost ours.
fn foreign() -> impl Strategy<Value = Value> {
    let kinds = [
        "A",
        "AAAA",
        "TXT",
        "CNAME",
        "CAA",
        "NS",
        "MX",
        "SRV",
        "TLSA",
        "HTTPS",
        "TYPE65534",
        "ÄÖ",
    ];
    let names = prop_oneof![
        3 => Just(format!("*.{TOP}")), 3 => Just(format!("_acme-challenge.{TOP}")), 2 => Just(TOP.to_owned()),
        1 => Just("www".to_owned()), 1 => "[a-z]{1,9}".prop_map(|label| label),
    ];
    let comments = prop_oneof![
        2 => Just(None), 1 => "\\PC{1,60}".prop_map(Some), 1 => Just(Some(owner().comment().to_uppercase())),
        1 => Just(Some(format!("{} ", owner().comment()))),
        1 => Just(Some(format!("{} hub", &owner().comment()[..50]))),
    ];
    let contents = prop_oneof![
        1 => Just("192.0.2.1".to_owned()), 1 => Just("one".to_owned()), 2 => "\\PC{1,40}".prop_map(|text| text),
    ];
    (proptest::sample::select(kinds.to_vec()), names, contents, comments).prop_map(|(kind, name, content, comment)| {
        json!({"type": kind, "name": name, "content": content, "comment": comment, "ttl": 60})
    })
}

#[tokio::test]
async fn p50_no_foreign_record_is_touched_whatever_it_is() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let bed = Bed::new().await;
    for round in 0..40 {
        let many = proptest::collection::vec(foreign(), 1..6);
        for body in many.new_tree(&mut runner).unwrap().current() {
            bed.control("POST", "/zones/example.org/records", body).await;
        }
        let before = bed.truth().await;
        for desired in [
            &[wildcard(1), challenge("one"), challenge("two")][..],
            &[wildcard(2)],
            &[],
        ] {
            drop(bed.pass(desired).await);
            let again = bed.pass(desired).await;
            assert!(again.is_settled(), "round {round}: {again:?}");
        }
        assert_eq!(bed.truth().await, before, "round {round}");
        bed.control("POST", "/reset", Value::Null).await;
        bed.sim
            .pass(std::time::Duration::from_mins(1))
            .then_some(())
            .unwrap();
    }
}

#[tokio::test]
async fn a_record_that_stopped_being_ours_is_neither_changed_nor_deleted() {
    let bed = Bed::new().await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    let hand = json!({"control": {"method": "PATCH", "path": "/zones/{zone}/records/{record}",
        "body": {"comment": "mine now", "content": "198.51.100.7"}}});
    bed.fault(
        json!({"method": "GET", "path": "/zones/{zone}/dns_records/{record}"}),
        hand,
    )
    .await;
    let error = bed.cf.delete(&bed.zone, &record.id, &owner()).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert_eq!(error.class(), Class::Conflict);
    let update = bed
        .cf
        .update(&bed.zone, (&record.id, &wildcard(2)), &owner())
        .await
        .unwrap_err();
    assert_eq!(update.class(), Class::Conflict);
    assert_eq!(bed.changes().await, ["POST"], "nothing was sent after the look");
    assert_eq!(bed.truth().await[0]["content"], "198.51.100.7");
}

#[tokio::test]
async fn what_is_gone_already_is_deleted_and_cannot_be_updated() {
    let bed = Bed::new().await;
    let record = bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    let path = format!("/zones/example.org/records/{}", record.id);
    bed.control("DELETE", &path, Value::Null).await;
    bed.cf.delete(&bed.zone, &record.id, &owner()).await.unwrap();
    let error = bed
        .cf
        .update(&bed.zone, (&record.id, &wildcard(2)), &owner())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
}

#[tokio::test]
async fn the_same_record_of_somebody_else_is_not_taken_over() {
    let bed = Bed::new().await;
    let at = format!("*.{TOP}");
    bed.foreign("A", &at, "192.0.2.1", Some("theirs")).await;
    let error = bed
        .cf
        .create(&bed.zone, &wildcard(1), &owner())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Theirs { .. }), "{error}");
    assert_eq!(bed.truth().await.len(), 1);
}

#[tokio::test]
async fn the_records_of_a_hub_are_told_by_gateway() {
    let bed = Bed::new().await;
    bed.cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap();
    let other = dc_cloudflare::Owner {
        gateway: domain::ids::Uid::from_bytes([3; 16]),
        ..owner()
    };
    bed.cf.create(&bed.zone, &challenge("x"), &other).await.unwrap();
    bed.foreign(
        "A",
        "www",
        "198.51.100.1",
        Some(&owner().comment().to_uppercase()),
    )
    .await;
    let hub = bed.cf.of_hub(&bed.zone, &owner().hub).await.unwrap();
    let mut owners: Vec<_> = hub.into_iter().map(|(owner, _)| owner).collect();
    owners.sort();
    assert_eq!(owners, [owner(), other]);
    let mine = bed.cf.mine(&bed.zone, &owner()).await.unwrap();
    assert_eq!(mine.len(), 1, "the filter does not look at the case; we do");
    assert_eq!(
        bed.cf
            .named(&bed.zone, &name("www.example.org"))
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn texts_in_quotes_or_without_are_the_same() {
    let bed = Bed::new().await;
    for quotes in [false, true] {
        bed.control("PATCH", "/zones/example.org", json!({"quotes_txt": quotes}))
            .await;
        drop(bed.pass(&[challenge("one two")]).await);
        assert!(bed.pass(&[challenge("one two")]).await.is_settled());
        drop(bed.pass(&[]).await);
    }
    bed.foreign(
        "TXT",
        &format!("_acme-challenge.{TOP}"),
        "one",
        Some(&owner().comment()),
    )
    .await;
    assert!(bed.pass(&[challenge("one")]).await.is_settled(), "kept bare");
}
