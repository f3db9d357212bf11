//! Bad input on the wire: refused clearly, the simulator goes on, and its memory stays bounded.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::binary::program;
use crate::rig::{Rig, ask, datagram};

async fn raw(rig: &Rig, bytes: &[u8]) -> String {
    let address = rig.sim.url.replace("http://", "").replace("/client/v4/", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn garbage_in_place_of_http_is_answered_400_or_not_at_all() {
    let rig = Rig::new().await;
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /client/v4/zones HTTP/9.9\r\n\r\n",
    ] {
        let answer = raw(&rig, bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let head = format!(
        "GET /client/v4/zones HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let answer = raw(&rig, head.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    rig.call("GET", "zones", &Value::Null).await.result();
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused() {
    let rig = Rig::new().await;
    let url = format!("{}{}", rig.sim.url, rig.records());
    let send = async |kind: &str, body: String| {
        let request = rig
            .client
            .post(&url)
            .bearer_auth(&rig.sim.token)
            .header("content-type", kind);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        (status, body["errors"][0]["code"].as_u64().unwrap())
    };
    assert_eq!(send("application/json", "{".to_owned()).await, (400, 6007));
    assert_eq!(send("application/json", "[".repeat(100_000)).await, (400, 6007));
    assert_eq!(send("text/plain", "{}".to_owned()).await, (400, 9207));
    assert_eq!(
        send("application/json", "x".repeat(129 * 1024)).await,
        (413, 7413)
    );
}

#[tokio::test]
async fn garbage_in_place_of_a_question_gets_formerr_or_nothing() {
    let rig = Rig::new().await;
    let server = rig.sim.name_servers[0];
    assert_eq!(datagram(server, b"").await, None);
    assert_eq!(datagram(server, &[1; 11]).await, None, "no header, no answer");
    let mut broken = vec![0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    broken.extend([0xc0, 0x0c]);
    let answer = Message::from_vec(&datagram(server, &broken).await.unwrap()).unwrap();
    assert_eq!(
        (answer.metadata.id, answer.metadata.response_code),
        (0xabcd, ResponseCode::FormErr)
    );
    let mut answered = broken.clone();
    answered[2] = 0x80;
    assert_eq!(
        datagram(server, &answered).await,
        None,
        "answers are not answered"
    );
    let mut two = ask(server, "example.org", RecordType::SOA).await;
    two.metadata.message_type = hickory_proto::op::MessageType::Query;
    two.answers.clear();
    let again = two.queries[0].clone();
    two.add_query(again);
    let answer = Message::from_vec(&datagram(server, &two.to_vec().unwrap()).await.unwrap()).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
}

#[tokio::test]
async fn a_connection_that_breaks_off_harms_nobody() {
    let rig = Rig::new().await;
    let server = rig.sim.name_servers[0];
    for bytes in [&[0xff][..], &[0xff, 0xff, 1, 2, 3], &[0, 0], &[0, 3, 1, 2, 3]] {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, Vec::<u8>::new());
    }
    ask(server, "example.org", RecordType::SOA).await;
}

#[test]
fn no_datagram_ends_a_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(Rig::new());
    let server = rig.sim.name_servers[0];
    let socket = runtime
        .block_on(tokio::net::UdpSocket::bind("127.0.0.1:0"))
        .unwrap();
    proptest!(ProptestConfig::with_cases(512), |(bytes in proptest::collection::vec(any::<u8>(), 0..600))| {
        runtime.block_on(socket.send_to(&bytes, server)).unwrap();
    });
    let answer = runtime.block_on(ask(server, "example.org", RecordType::SOA));
    assert_eq!(answer.answers.len(), 1);
}

/// Kilobytes of memory that a process has.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn memory_stays_bounded_under_large_bodies_and_many_connections() {
    let (child, ready) = program(&["--per-second", "1000000", "--calls", "1000000"]).await;
    let (url, token) = (ready["url"].as_str().unwrap(), ready["token"].as_str().unwrap());
    let zone = ready["zones"]["example.org"].as_str().unwrap();
    let address = url.replace("http://", "").replace("/client/v4/", "");
    let mut open = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(b"POST /client/v4/zones HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
            .await
            .unwrap();
        open.push(stream);
    }
    let client = crate::rig::client(None);
    let path = format!("{url}zones/{zone}/dns_records");
    for _ in 0..600 {
        let body = json!({"type": "TXT", "name": "a", "content": "x".repeat(100_000)});
        let sent = client
            .post(&path)
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 400);
    }
    let kilobytes = resident(child.id().unwrap());
    assert!(kilobytes < 100_000, "{kilobytes} kB");
}
