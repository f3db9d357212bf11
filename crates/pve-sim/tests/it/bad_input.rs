//! Bad input on the wire: refused clearly, the simulator goes on, and its memory stays bounded. Each test runs the program,
//! so that the memory that is looked at is its own.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Idle connections that are held at once, where this process may have so many files.
const IDLE: usize = 10_000;
/// Files that this process needs for other things.
const OTHER: usize = 200;

/// The simulator as a process; it ends when dropped.
struct Program {
    child: Child,
    address: String,
    token: String,
    tls: TlsConnector,
}

impl Program {
    async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pve-sim"));
        command
            .args(["--auth-delay", "0.01"])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(text("ca_pem").as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            child,
            address: text("url").replace("https://", ""),
            token: text("token"),
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    async fn connect(&self) -> TlsStream<tokio::net::TcpStream> {
        let tcp = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        self.tls.connect(name, tcp).await.unwrap()
    }

    /// Sends bytes and reads until the connection ends, which must be soon.
    async fn said_to(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The other side may have had enough before all is sent.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
        assert!(
            end.is_ok(),
            "the connection stays open after {:?}",
            &bytes[..bytes.len().min(40)]
        );
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A good call is answered well, and soon.
    async fn works(&self) {
        let begin = Instant::now();
        let call = format!(
            "GET /api2/json/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: PVEAPIToken={}\r\n\r\n",
            self.token
        );
        let answer = self.said_to(call.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    /// Its resident memory in MB.
    fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
    }
}

/// Says a figure, or that less was tested, where the runner shows it.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

#[tokio::test]
async fn garbage_in_place_of_http_ends_the_connection() {
    let program = Program::start().await;
    let long = [b"GET /".as_slice(), &vec![b'a'; 200_000]].concat();
    let many = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X-Header: y\r\n".repeat(5_000)
    );
    let cases: [&[u8]; 9] = [
        b"\0\0\0\0\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &long,
        many.as_bytes(),
    ];
    for bytes in cases {
        let answer = program.said_to(bytes).await;
        let refused = ["HTTP/1.1 4", "HTTP/1.1 5", "HTTP/1.0 4"]
            .iter()
            .any(|line| answer.starts_with(line));
        assert!(answer.is_empty() || refused, "{answer}");
    }
    program.works().await;
}

#[tokio::test]
async fn wrong_tls_ends_the_connection() {
    let program = Program::start().await;
    // Plain HTTP, an alert record, a client hello of SSL 2, and noise.
    let cases: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        &[0x5a; 4_096],
    ];
    for bytes in cases {
        let mut stream = tokio::net::TcpStream::connect(&program.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "the connection stays open");
        assert!(answer.len() < 100, "no more than an alert: {}", answer.len());
    }
    program.works().await;
}

#[tokio::test]
async fn huge_bodies_are_refused_with_bounded_memory() {
    const MEGABYTE: usize = 1 << 20;
    let program = Program::start().await;
    let before = program.memory();
    let head = |length: &str| {
        format!(
            "POST /api2/json/nodes/pve1/qemu/9000/clone HTTP/1.1\r\nHost: x\r\nAuthorization: PVEAPIToken={}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n{length}\r\n\r\n",
            program.token
        )
    };
    let mut large = head(&format!("Content-Length: {}", 64 * MEGABYTE)).into_bytes();
    large.extend(vec![b'a'; 64 * MEGABYTE]);
    let answer = program.said_to(&large).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413 for data too large"),
        "{answer}"
    );
    // One that never ends, of which no length is known.
    let mut stream = program.connect().await;
    stream
        .write_all(head("Transfer-Encoding: chunked").as_bytes())
        .await
        .unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b'a'; MEGABYTE], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 256 && stream.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 256, "nobody stopped it");
    let grown = program.memory().saturating_sub(before);
    say(&format!(
        "huge bodies: {before} MB before, {grown} MB more after, {sent} MB of an endless one taken"
    ));
    assert!(grown < 50, "{grown} MB");
    program.works().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_ends_the_connection() {
    let program = Program::start().await;
    let head =
        "POST /api2/json/nodes/pve1/qemu/9000/clone HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nnewid=";
    let answer = program.said_to(head.as_bytes()).await;
    assert!(answer.is_empty(), "{answer}");
    program.works().await;
}

#[tokio::test]
async fn large_bodies_of_strangers_are_not_kept() {
    const COUNT: usize = 300;
    let program = Program::start().await;
    let before = program.memory();
    let length = 500_000;
    let mut request = format!(
        "POST /api2/json/nodes/pve1/qemu/9000/clone HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\nname="
    )
    .into_bytes();
    request.extend(vec![b'a'; length - 5]);
    for _ in 0..COUNT {
        let answer = program.said_to(&request).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    let grown = program.memory().saturating_sub(before);
    say(&format!(
        "{COUNT} bodies of 500 kB without a token: {grown} MB more"
    ));
    assert!(grown < 60, "{grown} MB");
}

#[tokio::test]
async fn ten_thousand_idle_connections_disturb_nobody() {
    let program = Program::start().await;
    let before = program.memory();
    let count = IDLE.min(files().saturating_sub(OTHER));
    if count < IDLE {
        say(&format!(
            "only {count} idle connections: this process may have {} files",
            files()
        ));
    }
    let held: Vec<TcpStream> = (0..count)
        .map(|_| TcpStream::connect(&program.address).unwrap())
        .collect();
    program.works().await;
    let grown = program.memory().saturating_sub(before);
    say(&format!(
        "{} idle connections: {before} MB before, {grown} MB more",
        held.len()
    ));
    assert!(grown < 100, "{grown} MB");
    drop(held);
    program.works().await;
}

#[tokio::test]
async fn connections_that_greet_and_say_no_more_are_closed() {
    const COUNT: usize = 1_000;
    let program = Program::start().await;
    let before = program.memory();
    let mut held = Vec::new();
    for _ in 0..COUNT.min(files().saturating_sub(OTHER)) {
        held.push(program.connect().await);
    }
    program.works().await;
    let grown = program.memory().saturating_sub(before);
    say(&format!("{} greeted connections: {grown} MB more", held.len()));
    assert!(grown < 60, "{grown} MB");
    let closed = async {
        for stream in &mut held {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(rest.is_empty(), "nothing is said to who says nothing");
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(20), closed).await;
    assert!(end.is_ok(), "they stay open");
    program.works().await;
}

/// How many files this process may have open.
fn files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    line.split_whitespace()
        .nth(3)
        .and_then(|soft| soft.parse().ok())
        .unwrap_or(usize::MAX)
}
