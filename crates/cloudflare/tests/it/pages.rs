//! Lists of several pages while others change them.

use std::collections::BTreeSet;

use dc_cloudflare::{Cf, Class, Desired};
use serde_json::{Value, json};

use crate::bed::{Bed, TOP, name, owner};

const LIST: &str = "/zones/{zone}/dns_records";

fn text(number: u32) -> Desired {
    Desired::txt(name(&format!("n{number:02}.{TOP}")), "x").unwrap()
}

/// A bed with twelve records of ours and a client that reads five a page.
async fn furnished() -> (Bed, Cf, BTreeSet<String>) {
    let bed = Bed::new().await;
    let mut made = BTreeSet::new();
    for number in 0..12 {
        let record = bed.cf.create(&bed.zone, &text(number), &owner()).await.unwrap();
        made.insert(record.id.to_string());
    }
    let cf = bed.with(|access| access.page = 5);
    (bed, cf, made)
}

async fn mine(bed: &Bed, cf: &Cf) -> Vec<String> {
    let records = cf.mine(&bed.zone, &owner()).await.unwrap();
    records.into_iter().map(|record| record.id.to_string()).collect()
}

#[tokio::test]
async fn all_pages_are_read_and_each_record_is_there_once() {
    let (bed, cf, made) = furnished().await;
    let seen = mine(&bed, &cf).await;
    assert_eq!(seen.len(), 12);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
    let whole = bed.log().await.len();
    assert_eq!(mine(&bed, &bed.cf).await.len(), 12);
    assert_eq!(bed.log().await.len(), whole + 1, "one page is one look");
}

#[tokio::test]
async fn a_record_that_goes_in_between_hides_none_of_ours() {
    let (bed, cf, mut made) = furnished().await;
    let first = bed.truth().await[0]["id"].as_str().unwrap().to_owned();
    // After the first page its first record goes and another comes at the end: the count stays, the pages shift.
    let gone = json!({"control": {"method": "DELETE", "path": format!("/zones/{{zone}}/records/{first}"), "when": "after"}});
    let body =
        json!({"type": "TXT", "name": format!("z.{TOP}"), "content": "y", "comment": owner().comment()});
    let come = json!({"control": {"method": "POST", "path": "/zones/{zone}/records", "body": body, "when": "after"}});
    bed.fault(json!({"method": "GET", "path": LIST}), json!([gone, come]))
        .await;
    let seen: BTreeSet<String> = mine(&bed, &cf).await.into_iter().collect();
    made.remove(&first);
    assert!(made.is_subset(&seen), "none is lost");
    assert!(
        !seen.contains(&first) && seen.len() == 12,
        "none is there twice or too long"
    );
}

#[tokio::test]
async fn a_list_that_never_holds_still_is_told_after_a_bounded_number_of_calls() {
    let (bed, cf, _) = furnished().await;
    let body =
        json!({"type": "TXT", "name": format!("a.{TOP}"), "content": "y", "comment": owner().comment()});
    let come = json!({"control": {"method": "POST", "path": "/zones/{zone}/records", "body": body, "when": "after"}});
    bed.fault(json!({"method": "GET", "path": LIST, "count": 0}), come)
        .await;
    let before = bed.log().await.len();
    let error = cf.mine(&bed.zone, &owner()).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    assert!(bed.log().await.len() - before < 40);
}

#[tokio::test]
async fn pages_that_are_shorter_than_asked_for_are_all_read() {
    let bed = Bed::new().await;
    let record = |number: u32| json!({"id": format!("{number:032x}"), "name": "a", "type": "A", "content": "x", "comment": owner().comment()});
    let page = |records: Value| {
        let body = json!({"success": true, "result": records, "result_info": {"total_count": 3}});
        json!({"answer": {"status": 200, "body": body.to_string()}})
    };
    for _ in 0..2 {
        // The newest rule comes first.
        bed.fault(json!({}), page(json!([record(3)]))).await;
        bed.fault(json!({}), page(json!([record(1), record(2)]))).await;
    }
    assert_eq!(mine(&bed, &bed.cf).await.len(), 3);
    assert_eq!(bed.log().await.len(), 4, "two looks of two pages");
}

#[tokio::test]
async fn a_list_without_end_is_not_read_for_ever() {
    let bed = Bed::new().await;
    let record = json!({"id": "0".repeat(32), "name": "a", "type": "A", "content": "x"});
    let body =
        json!({"success": true, "result": [record], "result_info": {"total_count": 4_000_000_000_u64}});
    let act = json!({"answer": {"status": 200, "body": body.to_string()}});
    bed.fault(json!({"count": 0}), act).await;
    let error = bed.cf.mine(&bed.zone, &owner()).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable);
    assert_eq!(bed.log().await.len(), 1);
}

#[tokio::test]
async fn p46_odd_records_hide_none_of_the_others() {
    let bed = Bed::new().await;
    let id = "0123456789abcdef0123456789abcdef";
    let good = json!({"id": id, "name": "a.example.org", "type": "A", "content": "192.0.2.1", "comment": owner().comment()});
    let odd = json!([null, 5, {}, {"id": 1}, {"id": "f".repeat(32), "type": 7, "name": null, "ttl": "x", "data": [1]}, good]);
    let body = json!({"success": true, "result": odd, "result_info": {"total_count": 6}});
    bed.fault(
        json!({}),
        json!({"answer": {"status": 200, "body": body.to_string()}}),
    )
    .await;
    let mine = bed.cf.mine(&bed.zone, &owner()).await.unwrap();
    assert_eq!((mine.len(), mine[0].id.as_str()), (1, id));
    let _: Value = bed.control("DELETE", "/faults", Value::Null).await;
}
