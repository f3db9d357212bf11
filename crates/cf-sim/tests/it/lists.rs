//! Lists: filters, order, pages.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::Rig;

async fn furnished() -> Rig {
    let rig = Rig::new().await;
    for body in [
        json!({"type": "A", "name": "a", "content": "192.0.2.1", "comment": "Decent hub=1 gateway=1"}),
        json!({"type": "A", "name": "b", "content": "192.0.2.2", "comment": "decent hub=1 gateway=2"}),
        json!({"type": "TXT", "name": "a", "content": "one", "ttl": 60}),
        json!({"type": "CNAME", "name": "c", "content": "target.test", "proxied": true}),
    ] {
        rig.create(body).await.result();
    }
    rig
}

async fn names(rig: &Rig, query: &str) -> Vec<String> {
    let got = rig
        .call("GET", &format!("{}?{query}", rig.records()), &Value::Null)
        .await
        .result();
    let shown = |record: &Value| {
        let name = record["name"].as_str().unwrap().replace(".example.org", "");
        format!("{} {name}", record["type"].as_str().unwrap())
    };
    got.as_array().unwrap().iter().map(shown).collect()
}

#[rstest]
#[case("", &["A a", "A b", "CNAME c", "TXT a"])]
#[case("type=TXT", &["TXT a"])]
#[case("name=A.example.org", &["A a", "TXT a"])]
#[case("name.exact=a.example.org&type=A", &["A a"])]
#[case("content=192.0.2.2", &["A b"])]
#[case("content.startswith=192.0", &["A a", "A b"])]
#[case("comment=decent%20hub%3D1%20gateway%3D1", &["A a"])]
#[case("comment.startswith=decent%20hub%3D1", &["A a", "A b"])]
#[case("comment.contains=gateway%3D2", &["A b"])]
#[case("comment.present=", &["A a", "A b"])]
#[case("comment.absent=", &["CNAME c", "TXT a"])]
#[case("proxied=true", &["CNAME c"])]
#[case("search=target", &["CNAME c"])]
#[case("type=TXT&content=192.0.2.2", &[])]
#[case("type=TXT&content=192.0.2.2&match=any", &["A b", "TXT a"])]
#[case("order=content", &["A a", "A b", "TXT a", "CNAME c"])]
#[case("order=name&direction=desc&type=A", &["A b", "A a"])]
#[tokio::test]
async fn filters_and_orders(#[case] query: &str, #[case] expected: &[&str]) {
    assert_eq!(names(&furnished().await, query).await, expected);
}

#[tokio::test]
async fn pages_hold_all_of_a_list_once() {
    let rig = furnished().await;
    let page = async |number: u32| {
        let path = format!("{}?order=name&per_page=3&page={number}", rig.records());
        rig.call("GET", &path, &Value::Null).await
    };
    let info = |got: &crate::rig::Got| got.body["result_info"].clone();
    let (first, second, third) = (page(1).await, page(2).await, page(3).await);
    let of = |page, count| json!({"page": page, "per_page": 3, "count": count, "total_count": 4, "total_pages": 2});
    assert_eq!(
        [info(&first), info(&second), info(&third)],
        [of(1, 3), of(2, 1), of(3, 0)]
    );
    let mut ids: Vec<String> = Vec::new();
    for got in [first, second, third] {
        let list = got.result();
        ids.extend(list.as_array().unwrap().iter().map(|one| one["id"].to_string()));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let path = format!("{}?page={}", rig.records(), u64::MAX);
    assert_eq!(rig.call("GET", &path, &Value::Null).await.result(), json!([]));
}

#[rstest]
#[case("page=0")]
#[case("page=x")]
#[case("per_page=0")]
#[case("per_page=5000001")]
#[case("order=id")]
#[case("direction=up")]
#[case("match=some")]
#[case("proxied=maybe")]
#[tokio::test]
async fn a_parameter_that_means_nothing_is_refused(#[case] query: &str) {
    let rig = Rig::new().await;
    let path = format!("{}?{query}", rig.records());
    assert_eq!(rig.call("GET", &path, &Value::Null).await.refusal().0, 400);
}

#[tokio::test]
async fn zones_are_found_by_name() {
    let rig = Rig::new().await;
    let found = rig
        .call("GET", "zones?name=Example.NET", &Value::Null)
        .await
        .result();
    assert_eq!(found[0]["id"], json!(rig.sim.zones[1].id));
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["name_servers"].as_array().unwrap().len(), 2);
    assert_eq!(
        rig.call("GET", "zones?name=none.test", &Value::Null)
            .await
            .result(),
        json!([])
    );
    assert_eq!(
        rig.call("GET", "zones?per_page=51", &Value::Null)
            .await
            .refusal()
            .0,
        400
    );
}
