//! Names: Caddy looks machines up per request, and changes of slots leave it alone.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::caddy::State;
use agent::certificate::Store;
use agent_core::routes::Heard;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use testkit::process::Process;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::bed::{self, Bed, LIMIT, Running, Space, until};
use super::guests::within;
use super::objects::{FQDN, live, released, site};

/// Puts a certificate where an earlier run would have kept it; the client's root is this file.
fn certify(bed: &Bed) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![format!("*.{FQDN}")]).unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    Store::new(&bed.state(), None)
        .put(chain.as_bytes(), &key.serialize_pem())
        .unwrap();
    let root = bed.folder.path().join("root.pem");
    std::fs::write(&root, chain).unwrap();
    root.display().to_string()
}

/// A machine's web server: says who it is, and speaks WebSocket as far as an echo needs.
fn web_server(space: &Space, name: &'static str) {
    let listener = within(space, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, name));
        }
    });
}

fn answer(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        if head.contains("upgrade: websocket") {
            // The answer to the key that the client below sends.
            stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            )?;
            let mut buffer = [0; 256];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    n => stream.write_all(&buffer[..n])?,
                }
            }
        }
        // In one piece: small ones would wait for each other.
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        stream.write_all(answer.as_bytes())?;
    }
}

struct Site {
    plane: Running,
    caddy: Process,
    root: String,
}

async fn serve(bed: &Bed) -> Site {
    let root = certify(bed);
    let caddy = bed.caddy().await;
    let plane = Running::start(bed.config()).await;
    plane.data.serve(site()).await.unwrap();
    plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
    web_server(&bed.vms[0], "zero");
    web_server(&bed.vms[1], "one");
    until("caddy has the configuration", async || {
        matches!(*plane.data.caddy().borrow(), State::Serving(_))
    })
    .await;
    Site { plane, caddy, root }
}

fn name(index: u32) -> String {
    format!("{}.{FQDN}", live(index).route.slug)
}

/// What curl says from the client: the body, a blank and the status.
async fn get(bed: &Bed, root: &str, host: &str) -> String {
    let resolve = format!(
        "--resolve {host}:443:{} --resolve {host}:80:{}",
        bed::PUBLIC,
        bed::PUBLIC
    );
    let line = format!("curl -sS -m 5 --cacert {root} {resolve} -w ' %{{http_code}}' https://{host}/");
    let Output { stdout, stderr, .. } = bed.client.sh(&line).await;
    format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    )
}

#[test]
#[ignore = "needs root, nftables, conntrack, caddy"]
fn a_name_leads_to_its_machine_and_an_unknown_one_nowhere() {
    bed::run(async |bed| {
        let Site {
            plane,
            root,
            caddy: _caddy,
        } = serve(bed).await;
        assert_eq!(get(bed, &root, &name(0)).await, "zero 200");
        assert_eq!(get(bed, &root, &name(1)).await, "one 200");
        assert_eq!(
            get(bed, &root, &format!("zzzzzz.{FQDN}")).await,
            "no such machine\n 404"
        );
        // Plain requests are sent to https.
        let host = name(0);
        let line = format!(
            "curl -sS -m 5 -o /dev/null -w '%{{http_code}} %{{redirect_url}}' --resolve {host}:80:{} http://{host}/a?b=c",
            bed::PUBLIC
        );
        let answer = bed.client.sh(&line).await.stdout;
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            format!("308 https://{host}/a?b=c")
        );
        // An old name ends within two seconds.
        plane.data.hear(Heard::One(&released(1))).await.unwrap();
        let begin = Instant::now();
        until("the old name ends", async || {
            get(bed, &root, &name(1)).await.ends_with(" 404")
        })
        .await;
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        plane.stop().await;
    });
}

/// A WebSocket through Caddy, by hand: rustls over a socket that was opened in the client.
fn web_socket(client: &Space, root: &str, host: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(root).unwrap();
    let certificate =
        <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem);
    roots.add(certificate.unwrap()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = within(client, || TcpStream::connect((bed::PUBLIC, 443)).unwrap());
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let server = ServerName::try_from(host.to_owned()).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), server).unwrap(), socket);
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream
}

fn talk(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<()> {
    // One unmasked frame would be wrong from a client, but nobody in between looks.
    stream.write_all(b"\x81\x02hi")?;
    let mut heard = [0; 4];
    stream.read_exact(&mut heard)?;
    assert_eq!(&heard, b"\x81\x02hi");
    Ok(())
}

#[test]
#[ignore = "needs root, nftables, conntrack, caddy"]
fn a_web_socket_outlives_other_slots_and_a_new_certificate() {
    bed::run(async |bed| {
        let Site {
            plane,
            root,
            caddy: _caddy,
        } = serve(bed).await;
        let mut socket = web_socket(&bed.client, &root, &name(0));
        talk(&mut socket).unwrap();
        for index in 2..12 {
            plane.data.hear(Heard::One(&live(index))).await.unwrap();
            plane.data.hear(Heard::One(&released(index))).await.unwrap();
            talk(&mut socket).unwrap();
        }
        plane.stop().await;
        talk(&mut socket).expect("while no agent runs");
        // A renewed certificate is a new configuration.
        let root = certify(bed);
        let plane = Running::start(bed.config()).await;
        until("the new certificate is served", async || {
            get(bed, &root, &name(0)).await == "zero 200"
        })
        .await;
        talk(&mut socket).expect("after a reload");
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack, caddy"]
fn a_released_machine_is_not_reached_by_the_web_server_any_more() {
    bed::run(async |bed| {
        let Site {
            plane,
            root,
            caddy: _caddy,
        } = serve(bed).await;
        let mut socket = web_socket(&bed.client, &root, &name(0));
        talk(&mut socket).unwrap();
        plane.data.hear(Heard::One(&released(0))).await.unwrap();
        assert!(talk(&mut socket).is_err(), "an open WebSocket still reaches it");
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack, caddy"]
fn a_caddy_that_restarts_is_configured_again_and_a_strangers_is_left_alone() {
    bed::run(async |bed| {
        let Site {
            plane,
            mut caddy,
            root,
        } = serve(bed).await;
        caddy.kill().unwrap();
        let mut state = plane.data.caddy();
        until("its absence is noticed", async || {
            matches!(*state.borrow_and_update(), State::Failing(_))
        })
        .await;
        let mut caddy = bed.caddy().await;
        until("it is configured again", async || {
            get(bed, &root, &name(0)).await == "zero 200"
        })
        .await;
        caddy.kill().unwrap();
        until("its absence is noticed", async || {
            matches!(*state.borrow_and_update(), State::Failing(_))
        })
        .await;
        let _caddy = bed.caddy().await;
        let foreign = r#"{"apps":{"http":{"servers":{"blog":{"listen":["127.0.0.1:8080"]}}}}}"#;
        let load =
            format!("curl -s -H 'Content-Type: application/json' -d '{foreign}' http://127.0.0.1:2019/load");
        // Our watch may have been first: then the stranger overwrites us.
        until("the stranger's site is loaded", async || {
            bed.gateway.sh(&load).await.status.success()
        })
        .await;
        until(
            "the stranger is seen",
            async || matches!(&*state.borrow_and_update(), State::Failing(why) if why.contains("blog")),
        )
        .await;
        let config = bed
            .gateway
            .sh("curl -s http://127.0.0.1:2019/config/")
            .await
            .stdout;
        assert!(String::from_utf8(config).unwrap().contains("blog"));
        plane.stop().await;
    });
}

/// Calls one name again and again on kept connections until told to stop; gives how often, and what went wrong.
async fn hammer(client: reqwest::Client, host: String, stop: CancellationToken) -> (u32, Vec<String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    while !stop.is_cancelled() {
        let answer = async {
            client
                .get(format!("https://{host}/"))
                .send()
                .await?
                .error_for_status()?
                .text()
                .await
        };
        match answer.await {
            Ok(text) if text == "zero" => count += 1,
            Ok(text) => wrong.push(text),
            Err(error) => wrong.push(kit::chain(&error)),
        }
    }
    (count, wrong)
}

#[test]
#[ignore = "needs root, nftables, conntrack, caddy"]
fn names_are_looked_up_under_load_without_an_error_while_slots_come_and_go() {
    bed::run(async |bed| {
        let Site {
            plane,
            root,
            caddy: _caddy,
        } = serve(bed).await;
        let host = name(0);
        let roots = reqwest::Certificate::from_pem(&std::fs::read(&root).unwrap()).unwrap();
        let stop = CancellationToken::new();
        let mut load = JoinSet::new();
        // From the gateway itself: a client's path is the other tests' business, throughput is Caddy's.
        for _ in 0..8 {
            let client = reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([roots.clone()])
                .resolve(&host, SocketAddr::from(([127, 0, 0, 1], 443)))
                .build()
                .unwrap();
            load.spawn(hammer(client, host.clone(), stop.clone()));
        }
        let begin = Instant::now();
        let mut changes = 0;
        while begin.elapsed() < Duration::from_secs(3) {
            let index = 2 + changes % 50;
            plane.data.hear(Heard::One(&live(index))).await.unwrap();
            plane.data.hear(Heard::One(&released(index))).await.unwrap();
            plane.data.release_brake().await;
            changes += 1;
        }
        stop.cancel();
        let (mut count, mut wrong) = (0, Vec::new());
        while let Some(done) = load.join_next().await {
            let (more, errors) = done.unwrap();
            count += more;
            wrong.extend(errors);
        }
        eprintln!(
            "{count} requests in {:?} beside {changes} slots that came and went",
            begin.elapsed()
        );
        assert!(
            wrong.is_empty(),
            "{} of {count}: {:?}",
            wrong.len(),
            wrong.first()
        );
        assert!(count > 100 && changes > 0);
        plane.stop().await;
    });
}
