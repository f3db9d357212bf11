//! A scripted API server for this crate's tests: exact requests in order.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::Value;
use tower_test::mock::{self, Handle, SendResponse};

/// The far end of a client that talks to nobody.
pub struct Server(Handle<Request<Body>, Response<Body>>);

/// What a request looked like.
pub struct Seen {
    /// "METHOD path?query".
    pub line: String,
    /// Its Content-Type.
    pub content_type: String,
    /// Its body, Null if empty.
    pub body: Value,
}

/// A client and the server that answers it by hand.
pub fn server() -> (Client, Server) {
    let (service, handle) = mock::pair();
    (Client::new(service, "default"), Server(handle))
}

impl Server {
    /// The next request, unanswered.
    pub async fn next(&mut self) -> (Seen, SendResponse<Response<Body>>) {
        let wait = tokio::time::timeout(Duration::from_mins(10), self.0.next_request());
        let (request, send) = wait.await.expect("a request").expect("a living client");
        let line = format!("{} {}", request.method(), request.uri());
        let content_type = request
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        (
            Seen {
                line,
                content_type,
                body,
            },
            send,
        )
    }

    /// Expects a request line, answers it, and hands out what was seen.
    pub async fn expect(&mut self, line: &str, code: u16, answer: Value) -> Seen {
        let (seen, send) = self.next().await;
        assert_eq!(seen.line, line);
        send.send_response(response(code, &answer));
        seen
    }

    /// Proves that no request comes for `time`.
    pub async fn silence(&mut self, time: Duration) {
        // A client that is gone is silent too.
        if let Ok(Some((request, _))) = tokio::time::timeout(time, self.0.next_request()).await {
            panic!("unexpected request {} {}", request.method(), request.uri());
        }
    }
}

/// A JSON answer.
pub fn response(code: u16, answer: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .header("date", "Fri, 20 Nov 2026 12:00:00 GMT")
        .body(Body::from(serde_json::to_vec(answer).unwrap()))
        .unwrap()
}

/// A refusal in the API server's form.
pub fn refusal(code: u16, reason: &str) -> Value {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "scripted", "reason": reason, "code": code,
    })
}
