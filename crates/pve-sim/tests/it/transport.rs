//! HTTP as the daemon speaks it.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};

use crate::rig::{Rig, got, quick};

fn url(rig: &Rig, path: &str) -> String {
    format!("{}{path}", rig.sim.url)
}

#[tokio::test]
async fn a_refused_login_waits_and_has_no_body() {
    let mut config = quick();
    config.auth_delay = Duration::from_millis(200);
    let rig = Rig::start(config).await;
    let begin = Instant::now();
    let refused = rig.call_as("decent@pve!op=wrong", "GET", "/version", &[]).await;
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(refused.line(), (401, "Authentication failed!"));
    assert!(refused.body.is_null());
    let none = got(rig
        .client
        .get(url(&rig, "/api2/json/version"))
        .send()
        .await
        .unwrap())
    .await;
    assert_eq!(none.line(), (401, "No ticket"));
}

#[tokio::test]
async fn errors_close_the_connection_and_answers_keep_it() {
    let rig = Rig::quick().await;
    let header = format!("PVEAPIToken {}", rig.sim.token);
    let ask = |path| {
        rig.client
            .get(url(&rig, path))
            .header("authorization", &header)
            .send()
    };
    let good = ask("/api2/json/version").await.unwrap();
    assert_eq!(good.headers()["connection"], "Keep-Alive");
    assert_eq!(good.headers()["content-type"], "application/json;charset=UTF-8");
    let bad = ask("/api2/json/nope").await.unwrap();
    assert_eq!(bad.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(bad.headers()["connection"], "close");
}

#[tokio::test]
async fn odd_methods_bodies_and_keys_are_answered_as_recorded() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let path = url(&rig, "/api2/json/nodes/pve1/qemu/200/config");
    let ask = |method: Method, kind: &str, body: &str| {
        let request = rig
            .client
            .request(method, &path)
            .header("authorization", format!("PVEAPIToken={}", rig.sim.token));
        let request = request
            .header("content-type", kind.to_owned())
            .body(body.to_owned());
        async move { got(request.send().await.unwrap()).await }
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(
        ask(Method::PATCH, form, "").await.line(),
        (501, "method 'PATCH' not available")
    );
    assert_eq!(
        ask(Method::PUT, "text/plain", "x").await.line(),
        (506, "upload 'Content-Type 'text/plain' not implemented")
    );
    assert_eq!(ask(Method::PUT, "application/json", "{bad").await.status, 500);
    let twice = ask(Method::PUT, form, "name=a&name=b").await;
    assert_eq!(
        twice.body["errors"]["name"],
        "type check ('string') failed - got ARRAY"
    );
    let yes = ask(Method::PUT, form, "protection=true").await;
    assert_eq!(
        yes.body["errors"]["protection"],
        "type check ('boolean') failed - got 'true'"
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_five_seconds() {
    let rig = Rig::quick().await;
    let mut roots = rustls::RootCertStore::empty();
    let pem = rustls::pki_types::pem::PemObject::from_pem_slice(rig.sim.ca_pem.as_bytes());
    roots.add(pem.unwrap()).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let address = rig.sim.url.trim_start_matches("https://");
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut tls = connector
        .connect("localhost".try_into().unwrap(), tcp)
        .await
        .unwrap();
    let begin = Instant::now();
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut tls, &mut rest).await;
    assert!(read.is_ok() || read.is_err_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof));
    assert!(
        (4..8).contains(&begin.elapsed().as_secs()),
        "{:?}",
        begin.elapsed()
    );
}
