//! What the API takes and refuses, and how it says so.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::{Rig, client, standing};

#[tokio::test]
async fn a_token_is_told_that_it_holds() {
    let rig = Rig::new().await;
    let got = rig.call("GET", "user/tokens/verify", &Value::Null).await;
    assert_eq!(got.body["messages"][0]["code"], 10000);
    assert!(got.header("cf-ray").is_some());
    assert_eq!(got.result()["status"], "active");
}

#[tokio::test]
async fn without_a_good_token_there_is_nothing() {
    let rig = Rig::new().await;
    let wrong = "0123456789012345678901234567890123456789";
    for (token, path, expected) in [
        (wrong, "user/tokens/verify", (401, 1000)),
        (wrong, "zones", (403, 9109)),
        ("short", "zones", (400, 6003)),
    ] {
        let got = rig.call_as(token, "GET", path, &Value::Null).await;
        assert_eq!(got.refusal(), expected, "{token} {path}");
    }
    let malformed = rig.call_as("short", "GET", "zones", &Value::Null).await;
    assert_eq!(malformed.body["errors"][0]["error_chain"][0]["code"], 6111);
    let bare = rig
        .client
        .get(format!("{}zones", rig.sim.url))
        .send()
        .await
        .unwrap();
    let body: Value = serde_json::from_str(&bare.text().await.unwrap()).unwrap();
    assert_eq!(body["errors"][0]["code"], 9106);
    let old = rig
        .client
        .get(format!("{}zones", rig.sim.url))
        .header("x-auth-key", "k");
    let body: Value = serde_json::from_str(&old.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(body["errors"][0]["code"], 9103);
}

#[tokio::test]
async fn rights_hold_for_each_zone() {
    let rig = Rig::new().await;
    let (zone, records) = (format!("zones/{}", rig.zone), rig.records());
    let record = json!({"type": "A", "name": "a", "content": "192.0.2.1"});
    let seer = rig.sim.zone_token.clone();
    assert_eq!(rig.call_as(&seer, "GET", &zone, &Value::Null).await.status, 200);
    let got = rig.call_as(&seer, "GET", &records, &Value::Null).await;
    assert_eq!(got.refusal(), (403, 10000));
    let reader = rig.sim.read_token.clone();
    assert_eq!(
        rig.call_as(&reader, "GET", &records, &Value::Null).await.status,
        200
    );
    let got = rig.call_as(&reader, "POST", &records, &record).await;
    assert_eq!(got.refusal(), (403, 10000));

    let scopes = json!([{"zone": "example.net", "rights": ["zone:read", "dns:edit"]}]);
    let made = rig.control("POST", "/tokens", json!({"scopes": scopes})).await;
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let zones = rig.call_as(token, "GET", "zones", &Value::Null).await.result();
    assert_eq!(
        (zones[0]["name"].as_str(), zones.as_array().unwrap().len()),
        (Some("example.net"), 1)
    );
    assert_eq!(
        rig.call_as(token, "GET", &zone, &Value::Null).await.refusal(),
        (403, 9109)
    );
    assert_eq!(
        rig.call_as(token, "GET", &records, &Value::Null).await.refusal(),
        (403, 10000)
    );
    let own = format!("zones/{}/dns_records", rig.sim.zones[1].id);
    assert_eq!(rig.call_as(token, "POST", &own, &record).await.status, 200);
    rig.control("PATCH", &format!("/tokens/{id}"), json!({"status": "disabled"}))
        .await;
    assert_eq!(
        rig.call_as(token, "GET", &own, &Value::Null).await.refusal(),
        (403, 9109)
    );
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_named() {
    let rig = Rig::new().await;
    for path in ["nothing", "zones/xyz", "zones/xyz/dns_records", "zones/", "user"] {
        let got = rig.call("GET", path, &Value::Null).await;
        assert_eq!(got.refusal(), (404, 7003), "{path}");
        let message = got.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("/client/v4/{path},")), "{message}");
    }
    assert_eq!(rig.call("DELETE", "zones", &Value::Null).await.status, 405);
    let nobody = format!("{}/{}", rig.records(), "0".repeat(32));
    assert_eq!(
        rig.call("GET", &nobody, &Value::Null).await.refusal(),
        (404, 81044)
    );
    let gone = format!("zones/{}", "0".repeat(32));
    assert_eq!(rig.call("GET", &gone, &Value::Null).await.refusal(), (403, 9109));
}

#[tokio::test]
async fn a_record_lives_from_post_to_delete() {
    let rig = Rig::new().await;
    let body = json!({"type": "a", "name": "WWW", "content": "192.0.2.1", "ttl": 120, "comment": "mine"});
    let made = rig.create(body).await.result();
    assert_eq!(
        (&made["name"], &made["type"]),
        (&json!("www.example.org"), &json!("A"))
    );
    assert_eq!(
        (&made["proxied"], &made["proxiable"], &made["tags"]),
        (&json!(false), &json!(true), &json!([]))
    );
    assert_eq!(made["comment_modified_on"], made["created_on"]);
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let path = format!("{}/{id}", rig.records());
    rig.pass(5);
    let patched = rig
        .call("PATCH", &path, &json!({"content": "192.0.2.2"}))
        .await
        .result();
    assert_eq!(
        (&patched["ttl"], &patched["comment"]),
        (&json!(120), &json!("mine"))
    );
    assert_eq!(
        patched["comment_modified_on"], made["created_on"],
        "the comment stayed"
    );
    assert_ne!(patched["modified_on"], made["modified_on"]);
    let put = json!({"type": "A", "name": "www.example.org", "content": "192.0.2.3"});
    let put = rig.call("PUT", &path, &put).await.result();
    assert_eq!(
        (&put["ttl"], &put["comment"], &put["id"]),
        (&json!(1), &Value::Null, &json!(id))
    );
    assert_eq!(put["created_on"], made["created_on"]);
    assert_eq!(rig.call("GET", &path, &Value::Null).await.result(), put);
    assert_eq!(
        rig.call("DELETE", &path, &Value::Null).await.result(),
        json!({"id": id})
    );
    assert_eq!(
        rig.call("DELETE", &path, &Value::Null).await.refusal(),
        (404, 81044)
    );
}

#[rstest]
#[case(json!({"type": "A", "name": "x", "content": "300.0.0.1"}), 9005)]
#[case(json!({"type": "AAAA", "name": "x", "content": "192.0.2.1"}), 9006)]
#[case(json!({"type": "CNAME", "name": "x", "content": "192.0.2.1"}), 9007)]
#[case(json!({"type": "NS", "name": "x", "content": "-"}), 9008)]
#[case(json!({"type": "MX", "name": "x", "content": "mail.example.org"}), 9101)]
#[case(json!({"type": "TXT", "name": "x", "content": ""}), 9101)]
#[case(json!({"type": "TXT", "name": "x", "content": "a".repeat(2_049)}), 9010)]
#[case(json!({"type": "CAA", "name": "x", "content": "nonsense"}), 9011)]
#[case(json!({"type": "CAA", "name": "x", "data": {"flags": 300, "tag": "issue", "value": "a"}}), 9011)]
#[case(json!({"type": "NONSENSE", "name": "x", "content": "y"}), 9004)]
#[case(json!({"type": "A", "name": "a..b", "content": "192.0.2.1"}), 9000)]
#[case(json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 59}), 9021)]
#[case(json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 86_401}), 9021)]
#[case(json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 1_u64 << 40}), 9021)]
#[case(json!({"type": "TXT", "name": "x", "content": "y", "proxied": true}), 9041)]
#[case(json!({"type": "A", "name": "x", "content": "192.0.2.1", "comment": "c".repeat(101)}), 9313)]
#[case(json!({"type": "A", "name": "x", "content": "192.0.2.1", "tags": ["a:b"]}), 9300)]
#[case(json!({"type": "A", "name": "x"}), 9101)]
#[case(json!({"type": "A", "content": "192.0.2.1"}), 9101)]
#[case(json!({"type": 5, "name": "x", "content": "y"}), 9102)]
#[case(json!([]), 6007)]
#[tokio::test]
async fn a_value_that_means_nothing_is_refused(#[case] body: Value, #[case] code: u64) {
    let rig = Rig::new().await;
    assert_eq!(rig.create(body).await.refusal(), (400, code));
    let left = rig
        .control("GET", "/zones/example.org/records", Value::Null)
        .await;
    assert_eq!(left, json!([]));
}

#[tokio::test]
async fn edges_of_what_is_good_are_taken() {
    let rig = Rig::new().await;
    for (number, extra) in [
        json!({"ttl": 1}),
        json!({"ttl": 60}),
        json!({"ttl": 86_400}),
        json!({"comment": "ü".repeat(100)}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"type": "A", "name": format!("e{number}"), "content": "192.0.2.1"});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        assert_eq!(rig.create(body.clone()).await.status, 200, "{body}");
    }
    let proxied = json!({"type": "A", "name": "p", "content": "192.0.2.1", "proxied": true, "ttl": 600});
    assert_eq!(
        rig.create(proxied).await.result()["ttl"],
        1,
        "proxied records are automatic"
    );
    let caa = json!({"type": "CAA", "name": "@", "data": {"flags": 0, "tag": "issue", "value": "ca.test"}});
    let caa = rig.create(caa).await.result();
    assert_eq!(
        (&caa["content"], &caa["data"]["tag"]),
        (&json!("0 issue \"ca.test\""), &json!("issue"))
    );
    rig.control("PATCH", "/zones/example.org", json!({"tags_max": 2}))
        .await;
    let tagged = json!({"type": "A", "name": "t", "content": "192.0.2.1", "tags": ["a:b", "c:d"]});
    assert_eq!(rig.create(tagged).await.result()["tags"], json!(["a:b", "c:d"]));
}

#[tokio::test]
async fn what_stands_in_the_way_is_named_by_its_code() {
    let rig = Rig::new().await;
    rig.made("A", "a", "192.0.2.1").await;
    rig.made("CNAME", "c", "target.test").await;
    rig.made("TXT", "t", "one").await;
    rig.made("NS", "n", "ns.test").await;
    let refused = async |kind: &str, name: &str, content: &str| {
        rig.create(json!({"type": kind, "name": name, "content": content}))
            .await
            .refusal()
            .1
    };
    assert_eq!(refused("A", "a", "192.0.2.1").await, 81058);
    assert_eq!(refused("CNAME", "a", "target.test").await, 81053);
    assert_eq!(refused("CNAME", "c", "other.test").await, 81053);
    assert_eq!(refused("A", "c", "192.0.2.1").await, 81054);
    assert_eq!(
        refused("TXT", "c", "beside").await,
        81054,
        "nothing stands beside a CNAME"
    );
    assert_eq!(refused("CNAME", "t", "target.test").await, 81053);
    assert_eq!(refused("A", "n", "192.0.2.1").await, 81056);
    assert_eq!(refused("NS", "a", "ns.test").await, 81056);
    assert_eq!(
        refused("TXT", "t", "\"one\"").await,
        81058,
        "quotes make no difference"
    );
    rig.made("A", "a", "192.0.2.2").await;
    rig.made("TXT", "t", "two").await;
    rig.control("PATCH", "/zones/example.org", json!({"cname_alone": false}))
        .await;
    rig.made("TXT", "c", "beside").await;
    assert_eq!(refused("A", "c", "192.0.2.1").await, 81054, "addresses never do");
}

#[tokio::test]
async fn a_full_zone_takes_no_more_but_changes() {
    let rig = Rig::start(cf_sim::SimConfig {
        quota: 2,
        ..standing()
    })
    .await;
    let first = rig.made("A", "a", "192.0.2.1").await;
    rig.made("A", "b", "192.0.2.1").await;
    let third = json!({"type": "A", "name": "c", "content": "192.0.2.1"});
    assert_eq!(rig.create(third.clone()).await.refusal(), (400, 81045));
    let path = format!("{}/{first}", rig.records());
    assert_eq!(
        rig.call("PATCH", &path, &json!({"content": "192.0.2.9"}))
            .await
            .status,
        200
    );
    rig.call("DELETE", &path, &Value::Null).await.result();
    assert_eq!(rig.create(third).await.status, 200);
}

#[tokio::test]
async fn refusals_of_values_can_be_wrapped_as_they_were() {
    let rig = Rig::new().await;
    rig.control("PUT", "/answers", json!({"error_chain": true})).await;
    let got = rig
        .create(json!({"type": "A", "name": "x", "content": "y"}))
        .await;
    assert_eq!(got.refusal(), (400, 1004));
    assert_eq!(got.body["errors"][0]["error_chain"][0]["code"], 9005);
    rig.made("A", "a", "192.0.2.1").await;
    let same = json!({"type": "A", "name": "a", "content": "192.0.2.1"});
    assert_eq!(
        rig.create(same).await.refusal(),
        (400, 81058),
        "only those of values"
    );
}

#[tokio::test]
async fn it_speaks_tls_to_who_trusts_its_authority() {
    let rig = Rig::start(cf_sim::SimConfig {
        tls: true,
        ..standing()
    })
    .await;
    assert!(rig.sim.url.starts_with("https://"));
    rig.call("GET", "user/tokens/verify", &Value::Null).await.result();
    let stranger = client(None).get(&rig.sim.url).send().await;
    assert!(stranger.is_err(), "an unknown authority is not trusted");
}

#[tokio::test]
async fn a_zone_may_go_and_come() {
    let rig = Rig::new().await;
    rig.control("DELETE", "/zones/example.org", Value::Null).await;
    assert_eq!(
        rig.call("GET", &rig.records(), &Value::Null).await.refusal(),
        (403, 9109)
    );
    let made = rig
        .control("POST", "/zones", json!({"name": "Example.com", "quota": 1}))
        .await;
    let path = format!("zones/{}/dns_records", made["id"].as_str().unwrap());
    let body = json!({"type": "A", "name": "@", "content": "192.0.2.1"});
    assert_eq!(
        rig.call("POST", &path, &body).await.result()["name"],
        "example.com"
    );
    rig.control("POST", "/reset", Value::Null).await;
    assert_eq!(
        rig.call("GET", &rig.records(), &Value::Null).await.status,
        200,
        "ids stay"
    );
}
