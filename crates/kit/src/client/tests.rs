//! The client against a small HTTP server on loopback.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::*;
use crate::{
    clock::TestClock,
    managers,
    scripted::refusal,
    server_clock::{Agreement, Limits},
};

#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

/// Starts a server that is busy for `busy` requests, then has an object.
async fn busy_server(busy: u32) -> (SocketAddr, Count) {
    let count = Count::default();
    let answer = async move |State(count): State<Count>, headers: http::HeaderMap| {
        assert_eq!(headers["user-agent"], managers::OPERATOR);
        let date = [("date", "Fri, 20 Nov 2026 12:00:00 GMT")];
        if count.0.fetch_add(1, Ordering::SeqCst) < busy {
            let refused = axum::Json(refusal(429, "TooManyRequests"));
            return (StatusCode::TOO_MANY_REQUESTS, date, refused).into_response();
        }
        (date, axum::Json(serde_json::json!({"metadata": {"name": "a"}}))).into_response()
    };
    let app = Router::new()
        .route("/api/v1/namespaces/n/configmaps/a", get(answer))
        .with_state(count.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio_util::task::TaskTracker::new().spawn(async { axum::serve(listener, app).await });
    (address, count)
}

fn client(address: SocketAddr) -> (Api<ConfigMap>, Arc<ServerClock>) {
    crate::tls::install();
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(managers::OPERATOR)));
    let now: Timestamp = "2026-11-20T12:00:10Z".parse().unwrap();
    let guard = Arc::new(ServerClock::new(Arc::new(TestClock::at(now)), Limits::default()));
    let client = connect(config, Arc::clone(&guard)).unwrap();
    (Api::namespaced(client, "n"), guard)
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_and_its_date_is_seen() {
    let (address, count) = busy_server(2).await;
    let (api, guard) = client(address);
    assert_eq!(guard.agreement(), Agreement::Unseen);
    api.get("a").await.unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 3);
    assert_eq!(guard.agreement(), Agreement::Agreed);
}

#[tokio::test]
async fn retries_are_few() {
    let (address, count) = busy_server(u32::MAX).await;
    let (api, _) = client(address);
    assert!(api.get("a").await.is_err());
    assert_eq!(count.0.load(Ordering::SeqCst), 1 + RETRIES);
}

#[tokio::test]
async fn a_missing_kubeconfig_is_named() {
    let path = PathBuf::from("/nonexistent/kubeconfig");
    let error = config(Some(path), managers::OPERATOR).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read the kubeconfig /nonexistent/kubeconfig"
    );
}
