//! What the zone's own servers show.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dc_cloudflare::{Kind, LookupError, Seen, View, published, servers_of};
use serde_json::json;

use crate::bed::{Bed, challenge, name, owner, wildcard};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

async fn texts(bed: &Bed) -> Vec<View> {
    published(challenge("x").name(), &Kind::Txt, &bed.sim.name_servers, LONG).await
}

fn seen(views: &[View]) -> Vec<Seen> {
    views
        .iter()
        .map(|view| view.seen.as_ref().unwrap().clone())
        .collect()
}

fn values(texts: &[&str]) -> Seen {
    Seen::Values(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[tokio::test]
async fn p52_all_servers_are_asked_and_each_says_what_it_has() {
    let bed = Bed::new().await;
    assert_eq!(seen(&texts(&bed).await), [Seen::NoName, Seen::NoName]);
    drop(bed.pass(&[wildcard(1), challenge("one"), challenge("two")]).await);
    let both = texts(&bed).await;
    assert_eq!(seen(&both), [values(&["one", "two"]), values(&["one", "two"])]);
    assert!(both.iter().all(|view| view.shows("one") && view.lacks("three")));
    assert_eq!(
        both.iter().map(|view| view.server).collect::<Vec<_>>(),
        bed.sim.name_servers
    );
    let address = published(
        &name("vm7.ams1.gw.example.org"),
        &Kind::A,
        &bed.sim.name_servers,
        LONG,
    )
    .await;
    assert_eq!(seen(&address), [values(&["192.0.2.1"]), values(&["192.0.2.1"])]);
    let none = published(
        &name("vm7.ams1.gw.example.org"),
        &Kind::Caa,
        &bed.sim.name_servers,
        LONG,
    )
    .await;
    assert_eq!(seen(&none), [Seen::NoRecord, Seen::NoRecord]);
}

#[tokio::test]
async fn p52_a_stale_server_and_a_late_publication_show() {
    let bed = Bed::new().await;
    bed.control("PUT", "/dns", json!({"server": 1, "delay_ms": 3_000}))
        .await;
    bed.control("PUT", "/dns", json!({"server": 2, "stale": true}))
        .await;
    bed.cf
        .create(&bed.zone, &challenge("one"), &owner())
        .await
        .unwrap();
    assert_eq!(seen(&texts(&bed).await), [Seen::NoName, Seen::NoName]);
    assert!(bed.sim.pass(Duration::from_secs(3)));
    assert_eq!(seen(&texts(&bed).await), [values(&["one"]), Seen::NoName]);
    bed.control("PUT", "/dns", json!({"stale": false})).await;
    assert_eq!(seen(&texts(&bed).await), [values(&["one"]), values(&["one"])]);
}

#[tokio::test]
async fn p52_what_a_resolver_remembers_does_not_matter() {
    let bed = Bed::new().await;
    let resolver = [bed.sim.resolver];
    // A resolver is no server of the zone, and is told apart.
    let views = published(challenge("x").name(), &Kind::Txt, &resolver, LONG).await;
    assert!(matches!(views[0].seen, Err(LookupError::NotAuthoritative { .. })));
    bed.cf
        .create(&bed.zone, &challenge("one"), &owner())
        .await
        .unwrap();
    assert!(texts(&bed).await.iter().all(|view| view.shows("one")));
}

#[tokio::test]
async fn a_server_that_fails_or_keeps_silent_proves_nothing_and_delays_no_other() {
    let bed = Bed::new().await;
    bed.cf
        .create(&bed.zone, &challenge("one"), &owner())
        .await
        .unwrap();
    bed.control("PUT", "/dns", json!({"server": 2, "servfail": true}))
        .await;
    let views = texts(&bed).await;
    assert!(views[0].shows("one"));
    let error = views[1].seen.as_ref().unwrap_err();
    assert!(
        matches!(error, LookupError::Failed { .. }) && !views[1].lacks("one"),
        "{error}"
    );
    bed.control(
        "PUT",
        "/dns",
        json!({"server": 2, "servfail": false, "silent": true}),
    )
    .await;
    let begin = Instant::now();
    let views = published(challenge("x").name(), &Kind::Txt, &bed.sim.name_servers, SHORT).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(views[0].shows("one"));
    assert!(matches!(views[1].seen, Err(LookupError::Timeout { .. })));
    let elsewhere = published(&name("a.example.com"), &Kind::A, &bed.sim.name_servers[..1], LONG).await;
    assert!(matches!(elsewhere[0].seen, Err(LookupError::Failed { .. })));
    let nobody: SocketAddr = {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.local_addr().unwrap()
    };
    let views = published(challenge("x").name(), &Kind::Txt, &[nobody], SHORT).await;
    assert!(views[0].seen.is_err());
}

#[tokio::test]
async fn an_answer_that_does_not_fit_a_datagram_is_read_whole() {
    let bed = Bed::new().await;
    for number in 0..20 {
        let text = format!("{number}{}", "x".repeat(200));
        bed.cf
            .create(&bed.zone, &challenge(&text), &owner())
            .await
            .unwrap();
    }
    for view in texts(&bed).await {
        let Ok(Seen::Values(values)) = view.seen else {
            panic!("{view:?}")
        };
        assert_eq!(values.len(), 20);
    }
    let asked = bed.control("GET", "/questions", serde_json::Value::Null).await;
    let by: Vec<&str> = asked["questions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["by"].as_str().unwrap())
        .collect();
    assert_eq!(by.iter().filter(|by| **by == "tcp").count(), 2);
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let bed = Bed::new().await;
    bed.cf
        .create(&bed.zone, &challenge("one"), &owner())
        .await
        .unwrap();
    bed.control("PUT", "/dns", json!({"server": 1, "silent": true}))
        .await;
    let answered = async {
        let views = published(
            challenge("x").name(),
            &Kind::Txt,
            &bed.sim.name_servers[..1],
            LONG,
        )
        .await;
        assert!(views[0].shows("one"));
    };
    let mended = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        bed.control("PUT", "/dns", json!({"server": 1, "silent": false}))
            .await;
    };
    tokio::join!(answered, mended);
}

#[tokio::test]
async fn a_false_answer_is_passed_over() {
    let bed = Bed::new().await;
    let liar = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = liar.local_addr().unwrap();
    let lie = async {
        let mut buffer = [0; 1_500];
        let (length, from) = liar.recv_from(&mut buffer).await.unwrap();
        // First with another number, then about another name, then garbage: none is an answer.
        let mut other = buffer[..length].to_vec();
        other[0] ^= 0xff;
        other[2] |= 0x84;
        liar.send_to(&other, from).await.unwrap();
        let mut renamed = buffer[..length].to_vec();
        renamed[2] |= 0x84;
        renamed[13] ^= 1;
        liar.send_to(&renamed, from).await.unwrap();
        liar.send_to(b"garbage", from).await.unwrap();
    };
    let wanted = name("a.example.org");
    let asked = published(&wanted, &Kind::A, std::slice::from_ref(&at), SHORT);
    let (views, ()) = tokio::join!(asked, lie);
    assert!(
        matches!(views[0].seen, Err(LookupError::Timeout { .. })),
        "{views:?}"
    );
    drop(bed);
}

#[tokio::test]
async fn the_servers_of_a_zone_are_found_by_a_resolver() {
    let bed = Bed::new().await;
    let port = bed.sim.name_servers[0].port();
    let found = servers_of(&name("example.org"), (bed.sim.resolver, Some(port)), LONG)
        .await
        .unwrap();
    assert_eq!(found, bed.sim.name_servers);
    let error = servers_of(&name("example.com"), (bed.sim.resolver, None), LONG)
        .await
        .unwrap_err();
    assert!(matches!(error, LookupError::Failed { .. }));
    let gone = servers_of(&name("a.example.org"), (bed.sim.resolver, None), LONG).await;
    assert!(gone.is_err(), "no zone of its own");
}
