//! The DNS servers: what they serve, prove absent, cut short, see late, and get wrong on request.

use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::{Rig, ask, ask_tcp, data, standing};

/// The code, the number of answers, and whether an SOA proves the absence.
fn shape(message: &Message) -> (ResponseCode, usize, bool) {
    let soa = message
        .authorities
        .iter()
        .any(|record| record.record_type() == RecordType::SOA);
    (message.metadata.response_code, message.answers.len(), soa)
}

async fn furnished() -> Rig {
    let rig = Rig::new().await;
    rig.made("A", "*.gw", "192.0.2.1").await;
    rig.made("TXT", "_acme-challenge.gw", "one").await;
    rig.made("TXT", "_acme-challenge.gw", "\"two\"").await;
    rig.made("A", "deep.below.gw", "192.0.2.2").await;
    rig.made("CNAME", "alias", "deep.below.gw.example.org").await;
    rig.made("CNAME", "away", "target.test").await;
    rig.made("CNAME", "dangling", "nothing.example.org").await;
    rig.create(
        json!({"type": "CAA", "name": "gw", "data": {"flags": 0, "tag": "issue", "value": "ca.test"}}),
    )
    .await;
    rig
}

#[rstest]
#[case::wildcard("a.gw.example.org", RecordType::A, &["192.0.2.1"])]
#[case::deep_wildcard("a.b.gw.example.org", RecordType::A, &["192.0.2.1"])]
#[case::case("A.GW.example.ORG", RecordType::A, &["192.0.2.1"])]
#[case::texts("_acme-challenge.gw.example.org", RecordType::TXT, &["one", "two"])]
#[case::caa("gw.example.org", RecordType::CAA, &["0 issue \"ca.test\""])]
#[case::alias("alias.example.org", RecordType::A, &["192.0.2.2", "deep.below.gw.example.org."])]
#[case::alias_itself("alias.example.org", RecordType::CNAME, &["deep.below.gw.example.org."])]
#[case::alias_away("away.example.org", RecordType::A, &["target.test."])]
#[case::servers("example.org", RecordType::NS, &["ada.ns.cf-sim.test.", "bob.ns.cf-sim.test."])]
#[tokio::test]
async fn what_is_there_is_answered(#[case] name: &str, #[case] kind: RecordType, #[case] expected: &[&str]) {
    let rig = furnished().await;
    let answer = rig.ask(name, kind).await;
    assert_eq!(data(&answer), expected);
    assert!(answer.metadata.authoritative && !answer.metadata.recursion_available);
    assert!(
        answer.answers[0]
            .name
            .to_ascii()
            .eq_ignore_ascii_case(&format!("{name}."))
    );
}

#[rstest]
#[case::no_name("nothing.example.org", RecordType::A, ResponseCode::NXDomain)]
#[case::no_type("gw.example.org", RecordType::A, ResponseCode::NoError)]
#[case::no_type_of_a_wildcard("a.gw.example.org", RecordType::TXT, ResponseCode::NoError)]
#[case::a_name_between("below.gw.example.org", RecordType::A, ResponseCode::NoError)]
#[case::no_wildcard_below_it("x.below.gw.example.org", RecordType::A, ResponseCode::NXDomain)]
#[case::the_wildcard_covers_no_name("_acme-challenge.gw.example.org", RecordType::A, ResponseCode::NoError)]
#[tokio::test]
async fn absence_is_proven_by_the_soa(
    #[case] name: &str,
    #[case] kind: RecordType,
    #[case] code: ResponseCode,
) {
    let rig = furnished().await;
    let answer = rig.ask(name, kind).await;
    assert_eq!(shape(&answer), (code, 0, true));
    assert!(answer.metadata.authoritative);
    let RData::SOA(soa) = &answer.authorities[0].data else {
        panic!("no SOA")
    };
    assert_eq!((soa.minimum, answer.authorities[0].ttl), (1_800, 1_800));
}

#[tokio::test]
async fn an_alias_to_nothing_ends_in_nxdomain_behind_it() {
    let answer = furnished().await.ask("dangling.example.org", RecordType::A).await;
    assert_eq!(shape(&answer), (ResponseCode::NXDomain, 1, true));
}

#[tokio::test]
async fn names_of_others_are_refused() {
    let rig = furnished().await;
    for name in ["test", "example.com", "notexample.org"] {
        assert_eq!(
            shape(&rig.ask(name, RecordType::A).await),
            (ResponseCode::Refused, 0, false),
            "{name}"
        );
    }
}

#[tokio::test]
async fn ttls_are_the_records_own() {
    let rig = Rig::new().await;
    rig.create(json!({"type": "A", "name": "auto", "content": "192.0.2.1", "ttl": 1}))
        .await
        .result();
    rig.create(json!({"type": "A", "name": "long", "content": "192.0.2.1", "ttl": 7200}))
        .await
        .result();
    assert_eq!(
        rig.ask("auto.example.org", RecordType::A).await.answers[0].ttl,
        300
    );
    assert_eq!(
        rig.ask("long.example.org", RecordType::A).await.answers[0].ttl,
        7_200
    );
}

#[tokio::test]
async fn what_does_not_fit_is_cut_and_whole_by_tcp() {
    let rig = Rig::new().await;
    for number in 0..8 {
        rig.made("TXT", "long", &format!("{number}{}", "x".repeat(200)))
            .await;
    }
    let cut = rig.ask("long.example.org", RecordType::TXT).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let whole = ask_tcp(rig.sim.name_servers[0], "long.example.org", RecordType::TXT).await;
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 8);
}

#[tokio::test]
async fn a_long_text_is_served_in_pieces() {
    let rig = Rig::new().await;
    rig.made("TXT", "t", &"x".repeat(600)).await;
    let whole = ask_tcp(rig.sim.name_servers[0], "t.example.org", RecordType::TXT).await;
    let RData::TXT(txt) = &whole.answers[0].data else {
        panic!("no TXT")
    };
    assert_eq!(
        txt.txt_data.iter().map(|piece| piece.len()).collect::<Vec<_>>(),
        [255, 255, 90]
    );
}

#[tokio::test]
async fn a_change_is_seen_after_its_delay_in_the_order_of_writing() {
    let rig = Rig::start(cf_sim::SimConfig {
        publish_delay: Duration::from_secs(5),
        ..standing()
    })
    .await;
    let id = rig.made("A", "a", "192.0.2.1").await;
    rig.pass(4);
    assert_eq!(
        shape(&rig.ask("a.example.org", RecordType::A).await).0,
        ResponseCode::NXDomain
    );
    let zones = rig.control("GET", "/zones", Value::Null).await;
    let zone = zones
        .as_array()
        .unwrap()
        .iter()
        .find(|zone| zone["name"] == "example.org")
        .unwrap();
    assert_eq!(zone["unpublished"], json!([1, 1]));
    rig.control("PUT", "/dns", json!({"delay_ms": 0})).await;
    rig.call("DELETE", &format!("{}/{id}", rig.records()), &Value::Null)
        .await
        .result();
    rig.pass(1);
    let answer = rig.ask("a.example.org", RecordType::A).await;
    assert_eq!(
        shape(&answer).0,
        ResponseCode::NXDomain,
        "the removal came right behind it"
    );
    let soa = rig.ask("example.org", RecordType::SOA).await;
    let RData::SOA(soa) = &soa.answers[0].data else {
        panic!("no SOA")
    };
    assert_eq!(soa.serial, 2_026_000_002, "two changes were seen");
}

#[tokio::test]
async fn the_resolver_remembers_an_absence_while_the_servers_are_fresh() {
    let rig = Rig::start(cf_sim::SimConfig {
        negative_ttl: 60,
        ..standing()
    })
    .await;
    let resolved = async || ask(rig.sim.resolver, "a.example.org", RecordType::A).await;
    let first = resolved().await;
    assert_eq!(shape(&first), (ResponseCode::NXDomain, 0, true));
    assert!(first.metadata.recursion_available && !first.metadata.authoritative);
    rig.made("A", "a", "192.0.2.1").await;
    assert_eq!(
        data(&rig.ask("a.example.org", RecordType::A).await),
        ["192.0.2.1"]
    );
    rig.pass(59);
    let later = resolved().await;
    assert_eq!(
        (shape(&later).0, later.authorities[0].ttl),
        (ResponseCode::NXDomain, 1)
    );
    rig.pass(1);
    assert_eq!(data(&resolved().await), ["192.0.2.1"]);
    rig.pass(20);
    assert_eq!(
        resolved().await.answers[0].ttl,
        40,
        "what is remembered runs down"
    );
    let unknown = ask(rig.sim.resolver, "example.com", RecordType::A).await;
    assert_eq!(shape(&unknown).0, ResponseCode::ServFail);
    rig.control("POST", "/resolver/flush", Value::Null).await;
    assert_eq!(resolved().await.answers[0].ttl, 60);
}

#[tokio::test]
async fn the_resolver_knows_where_the_servers_are() {
    let rig = Rig::new().await;
    let names = data(&ask(rig.sim.resolver, "example.org", RecordType::NS).await);
    for (name, server) in names.iter().zip(rig.sim.name_servers) {
        let found = data(&ask(rig.sim.resolver, name, RecordType::A).await);
        assert_eq!(found, [server.ip().to_string()]);
    }
    assert_eq!(rig.sim.name_servers[0].port(), rig.sim.name_servers[1].port());
}

#[tokio::test]
async fn one_server_may_be_stale_until_it_catches_up() {
    let rig = Rig::new().await;
    rig.made("A", "old", "192.0.2.1").await;
    rig.control("PUT", "/dns", json!({"server": 2, "stale": true}))
        .await;
    rig.made("A", "new", "192.0.2.2").await;
    let [first, second] = rig.sim.name_servers;
    assert_eq!(
        data(&ask(first, "new.example.org", RecordType::A).await),
        ["192.0.2.2"]
    );
    assert_eq!(
        shape(&ask(second, "new.example.org", RecordType::A).await).0,
        ResponseCode::NXDomain
    );
    assert_eq!(
        data(&ask(second, "old.example.org", RecordType::A).await),
        ["192.0.2.1"]
    );
    rig.control("PUT", "/dns", json!({"stale": false})).await;
    assert_eq!(
        data(&ask(second, "new.example.org", RecordType::A).await),
        ["192.0.2.2"]
    );
}

#[tokio::test]
async fn servers_may_fail_keep_silent_or_think_long() {
    let rig = Rig::new().await;
    rig.made("A", "a", "192.0.2.1").await;
    rig.control("PUT", "/dns", json!({"server": 1, "servfail": true}))
        .await;
    let [first, second] = rig.sim.name_servers;
    assert_eq!(
        shape(&ask(first, "a.example.org", RecordType::A).await),
        (ResponseCode::ServFail, 0, false)
    );
    assert_eq!(
        data(&ask(second, "a.example.org", RecordType::A).await),
        ["192.0.2.1"]
    );
    let resolved = ask(rig.sim.resolver, "a.example.org", RecordType::A).await;
    assert_eq!(data(&resolved), ["192.0.2.1"], "the resolver asks the other");
    rig.control("PUT", "/dns", json!({"server": 2, "silent": true}))
        .await;
    assert_eq!(crate::rig::datagram(second, &[0; 17]).await, None);
    rig.control("POST", "/resolver/flush", Value::Null).await;
    let resolved = ask(rig.sim.resolver, "a.example.org", RecordType::A).await;
    assert_eq!(shape(&resolved).0, ResponseCode::ServFail);
    let questions = rig.control("GET", "/questions", Value::Null).await;
    let rcodes: Vec<&str> = questions["questions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|q| q["rcode"].as_str().unwrap())
        .collect();
    assert_eq!(rcodes, ["ServFail", "NoError", "NoError", "ServFail"]);
}

#[tokio::test]
async fn a_slow_server_answers_late() {
    let rig = Rig::start(cf_sim::SimConfig {
        seed: Some(1),
        ..cf_sim::SimConfig::default()
    })
    .await;
    rig.control("PUT", "/dns", json!({"server": 1, "slow_ms": 150}))
        .await;
    let begin = Instant::now();
    rig.ask("example.org", RecordType::SOA).await;
    assert!(begin.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn foreign_records_of_any_kind_harm_nobody() {
    let rig = furnished().await;
    for (kind, content) in [
        ("TYPE65534", "\\# 2 abcd"),
        ("WR\u{f6}NG", "x"),
        ("A", "no address"),
        ("SRV", "broken"),
    ] {
        let body = json!({"type": kind, "name": "odd", "content": content});
        rig.control("POST", "/zones/example.org/records", body).await;
    }
    let answer = rig.ask("odd.example.org", RecordType::A).await;
    assert_eq!(shape(&answer), (ResponseCode::NoError, 0, true));
    assert_eq!(
        data(&rig.ask("a.gw.example.org", RecordType::A).await),
        ["192.0.2.1"]
    );
}
