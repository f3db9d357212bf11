//! A TLS server for tests that answers exactly the bytes it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dc_proxmox::{Config, Endpoint, Pve, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The secret that must never be shown.
pub const SECRET: &str = "11111111-2222-3333-4444-555555555555";

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which connection it came by, from 0.
    pub connection: usize,
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// What to do about it.
pub enum Reply {
    /// Send these bytes.
    Bytes(String),
    /// End the connection.
    Close,
    /// Never answer.
    Hang,
}

/// A whole answer with a JSON body.
pub fn json(status: &str, body: &str) -> Reply {
    Reply::Bytes(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// An answer without body or type, as Proxmox sends for 401 and 595.
pub fn bare(status: &str) -> Reply {
    Reply::Bytes(format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// An authority and a certificate for 127.0.0.1.
pub struct Identity {
    pub ca_pem: String,
    pub fingerprint: [u8; 32],
    config: Arc<ServerConfig>,
}

impl Identity {
    pub fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let der: CertificateDer<'static> = cert.der().clone();
        let fingerprint = Sha256::digest(&der).into();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![der], private)
            .unwrap();
        Self {
            ca_pem: issuer.pem(),
            fingerprint,
            config: Arc::new(config),
        }
    }
}

/// A running server; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub identity: Identity,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Serves with `reply` until dropped.
    pub async fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let identity = Identity::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            identity.config.clone(),
            Arc::new(reply),
            Arc::clone(&asked),
        ));
        Self {
            address,
            identity,
            asked,
            _tasks: tasks,
        }
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// A client that trusts this server's authority.
    pub fn client(&self) -> Pve {
        client(&[self.address], Trust::Ca(self.identity.ca_pem.clone()))
    }
}

/// A client for these addresses.
pub fn client(addresses: &[SocketAddr], trust: Trust) -> Pve {
    let endpoint = |address: &SocketAddr| format!("https://{address}").parse::<Endpoint>().unwrap();
    let config = Config {
        endpoints: addresses.iter().map(endpoint).collect(),
        token: format!("dc@pve!op={SECRET}").parse().unwrap(),
        trust,
        deadline: Duration::from_secs(2),
    };
    Pve::new(&config).unwrap()
}

/// An address where nothing listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

type Handler = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

async fn accept(listener: TcpListener, tls: Arc<ServerConfig>, reply: Handler, log: Arc<Mutex<Vec<Asked>>>) {
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let Ok((tcp, _)) = listener.accept().await else {
            return;
        };
        let (acceptor, reply, log) = (TlsAcceptor::from(tls.clone()), reply.clone(), log.clone());
        connections.spawn(async move {
            let Ok(mut stream) = acceptor.accept(tcp).await else {
                return;
            };
            while let Some((head, body)) = request(&mut stream).await {
                let asked = Asked {
                    connection,
                    head,
                    body,
                };
                log.lock().unwrap().push(asked.clone());
                match reply(&asked) {
                    Reply::Bytes(bytes) => {
                        let close = bytes.contains("Connection: close");
                        if stream.write_all(bytes.as_bytes()).await.is_err() || close {
                            let _ = stream.shutdown().await;
                            return;
                        }
                    }
                    Reply::Close => return,
                    Reply::Hang => std::future::pending().await,
                }
            }
        });
    }
}

async fn request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        bytes.push(stream.read_u8().await.ok()?);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((
        String::from_utf8_lossy(&bytes[..end]).into_owned(),
        String::from_utf8(body).unwrap(),
    ))
}

/// Says that something is not tested, straight to stderr: the test runner would keep a passing test's words to itself.
pub fn skipped(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{what}");
}
