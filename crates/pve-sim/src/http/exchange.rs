//! One request and its answer, in two steps: what it asks for is done (faults that were asked for, the caller, the call,
//! the waiting), then it is told (the form of the answer, a connection that is cut). Reads nothing from a connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SERVER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;

use super::armed;
use super::body::{from_body, from_form};
use super::workers::Seat;
use crate::api::params::Params;
use crate::api::reply::{Fault, Reply};
use crate::api::{authenticate, dispatch, worker_of};
use crate::control::faults::{Ending, Facts, Plan};
use crate::control::requests::{Entry, Outcome};
use crate::model::access::Principal;
use crate::model::locks::PATIENCE;
use crate::model::refusal::Refusal;
use crate::model::task::Doom;
use crate::model::world::World;
use crate::sim::Shared;

/// How often a call looks again whether a lock file is free.
const FLOCK_POLL: Duration = Duration::from_millis(50);
/// How long the proxy waits for an answer of the daemon behind it.
const PROXY_PATIENCE: Duration = Duration::from_secs(30);
/// How long the daemon waits for the file of an upload.
const LOST_UPLOAD: Duration = Duration::from_secs(5);
/// The prefix of every path, before the name of the form of its answers.
const PREFIX: &str = "/api2/";

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Errors are HTTP errors.
    Json,
    /// Errors of the API are good answers that say so.
    Extjs,
}

/// The form that a path asks for, and the path of the call.
fn split_format(path: &str) -> Result<Option<(Format, &str)>, Fault> {
    let Some(rest) = path.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (name, call) = rest.split_at(end);
    match name {
        "json" => Ok(Some((Format::Json, call))),
        "extjs" => Ok(Some((Format::Extjs, call))),
        _ => Err(Fault::bare(501, format!("no formatter for uri {call}, {name}"))),
    }
}

/// The body of a request, all of it.
pub enum Sent {
    /// What came; nothing where no body is read.
    Whole(Bytes),
    /// More than the daemon takes.
    TooLarge,
}

/// Whether the daemon reads the body of such a request.
pub fn has_body(method: &Method) -> bool {
    matches!(*method, Method::PUT | Method::POST)
}

/// The connection is cut on purpose.
#[derive(Debug, Error)]
#[error("connection cut on request")]
pub struct Cut;

/// What became of a request, before anybody is told.
pub struct Done {
    reply: Reply,
    format: Format,
    ending: Option<Ending>,
    close: bool,
}

/// Does what a request asks for. Once begun it goes on to its end, whether or not somebody still waits for the answer:
/// the daemon does not look at the connection meanwhile.
pub async fn perform(shared: &Arc<Shared>, request: Request<Sent>) -> Result<Done, Cut> {
    let (head, sent) = request.into_parts();
    let (method, path) = (head.method.as_str(), head.uri.path());
    let params = params_of(&head, &sent);
    let shown = params.as_ref().map_or_else(|_| Params::default(), Clone::clone);
    let split = split_format(path).ok().flatten();
    let (format, call) = split.unwrap_or((Format::Json, path));
    let facts = Facts::new(method, call, &shown);
    if is_lost_upload(method, call, &head.headers) {
        shared.clock.sleep(LOST_UPLOAD).await;
        return Err(Cut);
    }
    let at = shared.clock.now();
    let number = shared.requests().came(Entry::new(at, &facts, &shown));
    let taken = shared.faults().take(&facts, at);
    armed::before(shared, &taken, &facts).await;
    let reply = if let Some(reply) = armed::instead(&taken.plan) {
        reply
    } else {
        answer(shared, (method, path), (&head.headers, &taken.plan), params).await
    };
    let outcome = Outcome {
        status: status_of(&reply),
        cut: taken.plan.cuts(),
        upid: upid_of(&reply),
    };
    armed::after(shared, &taken, &facts, outcome.upid.as_deref()).await;
    shared.requests().ended(number, outcome);
    Ok(Done {
        reply,
        format,
        ending: taken.plan.ending.clone(),
        close: wants_close(&head.headers),
    })
}

/// Answers a request whose work is done, or cuts the connection.
pub async fn respond(shared: &Shared, done: Done) -> Result<Response<Body>, Cut> {
    let mut response = finish(shared, done.ending.as_ref(), (done.reply, done.format)).await?;
    if done.close {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// The answer, or what an armed rule makes of it.
async fn finish(
    shared: &Shared,
    ending: Option<&Ending>,
    (reply, format): (Reply, Format),
) -> Result<Response<Body>, Cut> {
    match ending {
        Some(Ending::Blackhole) => std::future::pending().await,
        Some(Ending::DropBefore | Ending::DropAfter) => Err(Cut),
        Some(Ending::Answer {
            status,
            body,
            content_type,
        }) => Ok(armed::answer(*status, body, content_type)),
        Some(Ending::EmptyBody) => Ok(armed::emptied(render(shared, reply, format).await)),
        Some(Ending::Refuse { .. }) | None => Ok(render(shared, reply, format).await),
    }
}

/// An upload that is not multipart: the daemon waits for a file until it closes the connection.
fn is_lost_upload(method: &str, call: &str, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let multipart = kind.is_some_and(|kind| kind.starts_with("multipart/form-data"));
    method == "POST" && call.ends_with("/upload") && !multipart
}

/// Whether the client wants no further answers on this connection.
fn wants_close(headers: &HeaderMap) -> bool {
    let asked = headers.get(CONNECTION).and_then(|value| value.to_str().ok());
    asked.is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// The parameters of query and body.
fn params_of(head: &Parts, sent: &Sent) -> Result<Params, Fault> {
    let mut params = match sent {
        Sent::TooLarge => return Err(Fault::bare(413, "for data too large")),
        Sent::Whole(body) if has_body(&head.method) => {
            let kind = head.headers.get(CONTENT_TYPE);
            from_body(kind.and_then(|value| value.to_str().ok()), body)?
        }
        Sent::Whole(_) => Params::default(),
    };
    params.merge(from_form(head.uri.query().unwrap_or_default().as_bytes()));
    Ok(params)
}

/// The answer of the API, after every wait.
async fn answer(
    shared: &Shared,
    (method, path): (&str, &str),
    (headers, plan): (&HeaderMap, &Plan),
    params: Result<Params, Fault>,
) -> Reply {
    if !matches!(method, "GET" | "PUT" | "POST" | "DELETE") {
        return Err(Fault::bare(501, format!("method '{method}' not available")));
    }
    let Some((_, path)) = split_format(path)? else {
        return Err(Fault::bare(500, "no such file ''"));
    };
    let who = authenticate(&shared.world(), (method, path), headers)
        .map_err(|fault| fault.held(shared.auth_delay))?;
    let params = params?;
    let node = worker_of(shared.world().reading(), (method, path));
    let seat = match node {
        None => None,
        Some(node) => Some(seat(shared, &node).await?),
    };
    if !plan.work.is_zero() {
        shared.clock.sleep(plan.work).await;
    }
    let reply = served(shared, &who, (method, path), (&params, plan.doom.as_ref())).await;
    // A refused login takes its time here too.
    let reply = match reply {
        Err(fault) if status_of(&Err(fault.clone())) == 401 => Err(fault.held(shared.auth_delay)),
        reply => reply,
    };
    leave(shared, reply, seat).await
}

/// A worker of a node's daemon, once one is free.
async fn seat<'a>(shared: &'a Shared, node: &str) -> Result<Seat<'a>, Fault> {
    let hangs = |storage: &str| shared.world().reading().hangs(storage);
    let seat = shared.workers.take(node, (&shared.clock, PROXY_PATIENCE), hangs);
    seat.await.ok_or_else(timed_out)
}

fn timed_out() -> Fault {
    Fault::bare(596, "Connection timed out")
}

/// The answer of the daemon, after every wait for locks and storages.
async fn served(
    shared: &Shared,
    who: &Principal,
    call: (&str, &str),
    (params, doom): (&Params, Option<&Doom>),
) -> Reply {
    let begin = shared.clock.now();
    loop {
        let reply = {
            let mut world = shared.world();
            let world = if call.0 == "GET" {
                world.reading()
            } else {
                &mut *world
            };
            dispatch_doomed(world, who, call, (params, doom))
        };
        let waited = shared.clock.now().since(begin);
        match reply {
            Err(Fault::Busy(file)) if waited >= PATIENCE => {
                return Err(Fault::died(Refusal::Busy(file).to_string()));
            }
            Err(Fault::Busy(_)) => {}
            Err(Fault::Stuck(_)) if waited < PROXY_PATIENCE => {}
            reply => return reply,
        }
        shared.clock.sleep(FLOCK_POLL).await;
    }
}

/// Frees the worker once its answer is given; one that hangs on a storage stays behind.
async fn leave(shared: &Shared, mut reply: Reply, seat: Option<Seat<'_>>) -> Reply {
    if let (Err(Fault::Failed { after, .. }), Some(_)) = (&mut reply, &seat) {
        shared.clock.sleep(std::mem::take(after)).await;
    }
    let Err(Fault::Stuck(storage)) = &reply else {
        return reply;
    };
    if let Some(seat) = seat {
        seat.hang(storage);
    }
    Err(timed_out())
}

fn upid_of(reply: &Reply) -> Option<String> {
    let text = reply.as_ref().ok()?.data.as_str()?;
    text.starts_with("UPID:").then(|| text.to_owned())
}

/// A call whose task, if it starts one, a fault keeps from finishing.
fn dispatch_doomed(
    world: &mut World,
    who: &Principal,
    call: (&str, &str),
    (params, doom): (&Params, Option<&Doom>),
) -> Reply {
    let reply = dispatch(world, who, call, params);
    let Some(doom) = doom else { return reply };
    let number = upid_of(&reply).and_then(|upid| world.tasks.number(&upid));
    if let Some(task) = number.and_then(|number| world.tasks.get_mut(number)) {
        task.doom = Some(doom.clone());
    }
    reply
}

fn status_of(reply: &Reply) -> u16 {
    match reply {
        Ok(_) => 200,
        Err(Fault::Failed { status, .. }) => *status,
        Err(Fault::Busy(_) | Fault::Stuck(_)) => 500,
    }
}

async fn render(shared: &Shared, reply: Reply, format: Format) -> Response<Body> {
    match reply {
        Ok(answer) => {
            let mut body = answer.body();
            if format == Format::Extjs {
                body["success"] = Value::from(1);
            }
            good(&body)
        }
        Err(Fault::Busy(file)) => failed(500, &Refusal::Busy(file).to_string(), None),
        Err(Fault::Stuck(storage)) => failed(500, &Refusal::Stuck(storage).to_string(), None),
        Err(Fault::Failed {
            status,
            reason,
            errors,
            body,
            after,
        }) => {
            if !after.is_zero() {
                shared.clock.sleep(after).await;
            }
            let told = body && shared.world().version.has_error_bodies();
            let mut body = told.then(|| Fault::body_of(&reason, &errors, status));
            if let Some(body) = body.as_mut().filter(|_| format == Format::Extjs) {
                body["success"] = Value::from(0);
                body["status"] = Value::from(status);
                return good(body);
            }
            failed(status, &reason, body)
        }
    }
}

fn good(body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=UTF-8"),
    );
    headers.insert(CONNECTION, HeaderValue::from_static("Keep-Alive"));
    headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    response
}

/// What stands in the body of an error that has no JSON: the transport repeats its own words.
fn said_of_transport(status: u16, reason: &str) -> String {
    match status {
        500 if reason.contains("at character offset") || reason.starts_with("no such file") => {
            format!("{reason}\n")
        }
        501 if reason.starts_with("no formatter") => reason.to_owned(),
        506 => reason.to_owned(),
        _ => String::new(),
    }
}

fn failed(status: u16, reason: &str, body: Option<Value>) -> Response<Body> {
    let has_body = body.is_some();
    let body = body.map_or_else(
        || Body::from(said_of_transport(status, reason)),
        |body| Body::from(body.to_string()),
    );
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    if has_body {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json;charset=UTF-8"),
        );
    }
    let line = reason.lines().next().unwrap_or_default();
    if let Ok(reason) = ReasonPhrase::try_from(line.as_bytes()) {
        response.extensions_mut().insert(reason);
    }
    response
}
