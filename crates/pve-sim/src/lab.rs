//! The simulator in process: no sockets, no runtime, and a clock that moves only when it is told to.
//! A call goes through the same code as one that came over the wire, from its headers to its reason phrase.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::{HeaderMap, Request, Response};

use crate::clock::Clock;
use crate::config::SimConfig;
use crate::http::{Sent, perform, respond};
use crate::model::moment::Moment;
use crate::model::world::World;
use crate::sim::Shared;

/// When a laboratory's clock begins: some day in 2026.
const BEGINNING: u64 = 1_795_000_000_000_000;
/// How often a call may wait before it is given up.
const MOST_WAITS: u32 = 100_000;
/// How far time may move while the end of a task is waited for.
const MOST_TIME: Duration = Duration::from_hours(1);
/// In which steps it moves.
const STEP: Duration = Duration::from_millis(10);

/// A simulator without sockets.
pub struct Lab {
    shared: Arc<Shared>,
}

/// A request as it would stand on the wire.
#[derive(Debug, Clone, Default)]
pub struct LabRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer as it would stand on the wire.
#[derive(Debug, Clone)]
pub struct LabResponse {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// How long the answer was held.
    pub held: Duration,
}

impl Lab {
    /// A simulator as a process of this configuration would have it; addresses and folders in it are not used.
    #[must_use]
    pub fn new(config: &SimConfig) -> Self {
        let clock = Clock::standing(Moment::from_micros(BEGINNING));
        let fingerprint = vec!["AB"; 32].join(":");
        Self {
            shared: Arc::new(Shared::new(
                config,
                config.seed.unwrap_or(1),
                (clock, fingerprint),
            )),
        }
    }

    /// Looks at the cluster, or changes it behind the API's back.
    pub fn world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.shared.world())
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// Lets time pass, and everything happen that is due in it.
    pub fn pass(&self, span: Duration) {
        self.shared.clock.pass(span);
        drop(self.shared.world());
    }

    /// Lets time pass until a task has ended and gives its exit status; nothing if there is no such task or no end.
    #[must_use]
    pub fn until_task_ends(&self, upid: &str) -> Option<String> {
        let end = self.now().plus(MOST_TIME);
        while self.now() < end {
            let status =
                self.world(|world| Some(world.tasks.find(upid)?.end.as_ref().map(|end| end.status.clone())));
            if let Some(status) = status? {
                return Some(status);
            }
            self.pass(STEP);
        }
        None
    }

    /// Makes a call; time passes for as long as its answer is held. Nothing if the connection is cut or never answered.
    #[must_use]
    pub fn call(&self, request: LabRequest) -> Option<LabResponse> {
        self.calls(vec![request]).pop()?
    }

    /// Makes several calls at the same moment, taken up in this order.
    #[must_use]
    pub fn calls(&self, requests: Vec<LabRequest>) -> Vec<Option<LabResponse>> {
        type Running<'a> = Pin<Box<dyn Future<Output = Option<LabResponse>> + 'a>>;
        let mut running: Vec<Running<'_>> = Vec::new();
        for request in requests {
            running.push(Box::pin(self.one(request)));
        }
        let mut done: Vec<Option<Option<LabResponse>>> = running.iter().map(|_| None).collect();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..MOST_WAITS {
            for (call, slot) in running
                .iter_mut()
                .zip(&mut done)
                .filter(|(_, slot)| slot.is_none())
            {
                if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
                    *slot = Some(answer);
                }
            }
            if done.iter().all(Option::is_some) || !self.shared.clock.pass_to_next() {
                break;
            }
        }
        done.into_iter().map(Option::flatten).collect()
    }

    async fn one(&self, request: LabRequest) -> Option<LabResponse> {
        let LabRequest {
            method,
            target,
            headers,
            body,
        } = request;
        let mut built = Request::builder().method(method.as_str()).uri(target);
        for (name, value) in headers {
            built = built.header(name, value);
        }
        let begin = self.now();
        let request = built.body(Sent::Whole(Bytes::from(body))).ok()?;
        let done = perform(&self.shared, request).await.ok()?;
        let response = respond(&self.shared, done).await.ok()?;
        let held = self.now().since(begin);
        Some(LabResponse::of(response, held))
    }
}

impl LabResponse {
    fn of(response: Response<Body>, held: Duration) -> Self {
        let (parts, body) = response.into_parts();
        let said = parts.extensions.get::<ReasonPhrase>();
        let reason = said.map_or_else(
            || parts.status.canonical_reason().unwrap_or_default().to_owned(),
            |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        );
        Self {
            status: parts.status.as_u16(),
            reason,
            headers: parts.headers,
            body: bytes_of(body),
            held,
        }
    }
}

/// A body that is all there.
fn bytes_of(body: Body) -> Vec<u8> {
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    let mut bytes = Vec::new();
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str) -> LabRequest {
        LabRequest {
            method: "GET".to_owned(),
            target: target.to_owned(),
            ..LabRequest::default()
        }
    }

    #[test]
    fn a_refused_login_is_held_for_three_virtual_seconds() {
        let lab = Lab::new(&SimConfig::default());
        let answer = lab.call(get("/api2/json/version")).unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (401, "No ticket"));
        assert_eq!(answer.held, Duration::from_secs(3));
        assert!(answer.body.is_empty());
    }

    #[test]
    fn calls_of_one_moment_wait_together() {
        let lab = Lab::new(&SimConfig::default());
        let begin = lab.now();
        let answers = lab.calls(vec![get("/api2/json/version"); 50]);
        assert!(answers.iter().flatten().all(|answer| answer.status == 401));
        assert_eq!(lab.now().since(begin), Duration::from_secs(3));
    }
}
