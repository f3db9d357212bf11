//! A simulator of its own for each test, with a client for its API, its control port and its DNS servers.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use cf_sim::{Sim, SimConfig, SimHandle, Time};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// A simulator and its client.
pub struct Rig {
    pub sim: SimHandle,
    pub client: Client,
    /// The id of the first zone, example.org.
    pub zone: String,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Got {
    /// The result, of a good answer.
    pub fn result(self) -> Value {
        assert_eq!(
            (self.status, &self.body["success"]),
            (200, &json!(true)),
            "{}",
            self.body
        );
        self.body["result"].clone()
    }

    /// The status and the code of a refusal.
    pub fn refusal(&self) -> (u16, u64) {
        assert_eq!(self.body["success"], json!(false), "{}", self.body);
        assert_eq!(self.body["result"], Value::Null);
        (self.status, self.body["errors"][0]["code"].as_u64().unwrap())
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A configuration whose clock stands.
pub fn standing() -> SimConfig {
    SimConfig {
        time: Time::Standing,
        seed: Some(1),
        ..SimConfig::default()
    }
}

/// A client that trusts one authority, or none.
pub fn client(ca: Option<&str>) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let roots = ca.map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()).unwrap());
    Client::builder()
        .tls_certs_only(roots)
        .no_proxy()
        .build()
        .unwrap()
}

impl Rig {
    /// A simulator whose clock stands.
    pub async fn new() -> Self {
        Self::start(standing()).await
    }

    /// A simulator.
    pub async fn start(config: SimConfig) -> Self {
        let sim = Sim::start(config).await.unwrap();
        Self {
            client: client(sim.ca_pem.as_deref()),
            zone: sim.zones[0].id.clone(),
            sim,
        }
    }

    /// A call as the token that may do everything.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Got {
        self.call_as(&self.sim.token, method, path, body).await
    }

    /// A call as anybody; null is no body.
    pub async fn call_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Got {
        self.try_call(token, method, path, body).await.unwrap()
    }

    /// A call that may end without an answer.
    pub async fn try_call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Got, reqwest::Error> {
        let url = format!("{}{}", self.sim.url, path.trim_start_matches('/'));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Got {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::from(text)),
        })
    }

    /// The path of the records of the first zone.
    pub fn records(&self) -> String {
        format!("zones/{}/dns_records", self.zone)
    }

    /// A new record in the first zone.
    pub async fn create(&self, body: Value) -> Got {
        self.call("POST", &self.records(), &body).await
    }

    /// A new record that must be taken; its id.
    pub async fn made(&self, kind: &str, name: &str, content: &str) -> String {
        let body = json!({"type": kind, "name": name, "content": content, "ttl": 60});
        let result = self.create(body).await.result();
        result["id"].as_str().unwrap().to_owned()
    }

    /// A call of the control port that must be good.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        self.sim.control(method, path, &body).await.unwrap()
    }

    /// Arms a fault.
    pub async fn fault(&self, matcher: Value, act: Value) {
        let rule = json!({"match": matcher, "act": act});
        self.control("POST", "/faults", rule).await;
    }

    /// Lets time pass.
    pub fn pass(&self, secs: u64) {
        assert!(self.sim.pass(Duration::from_secs(secs)));
    }

    /// A question to the first authoritative server.
    pub async fn ask(&self, name: &str, kind: RecordType) -> Message {
        ask(self.sim.name_servers[0], name, kind).await
    }
}

/// A question in a datagram.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let question = question(name, kind);
    let bytes = datagram(server, &question.to_vec().unwrap())
        .await
        .expect("an answer");
    let answer = Message::from_vec(&bytes).unwrap();
    assert_eq!(answer.metadata.id, question.metadata.id);
    answer
}

/// A question by a connection.
pub async fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let bytes = question(name, kind).to_vec().unwrap();
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

/// Some bytes in a datagram, and what comes back within half a second.
pub async fn datagram(server: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(bytes).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let wait = tokio::time::timeout(Duration::from_millis(500), socket.recv(&mut buffer));
    let length = wait.await.ok()?.unwrap();
    buffer.truncate(length);
    Some(buffer)
}

/// The data of all answers, as text.
pub fn data(message: &Message) -> Vec<String> {
    let mut all: Vec<String> = message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    all.sort();
    all
}
