//! This family's shared parts on stores that a test fills, and an API server that echoes what is written to it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use crds::{Account, Contract, Machine, Offering, Provider};
use domain::ids::Uid;
use http::{Request, Response};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use kit::{
    apply::Writer, backoff::Backoff, clock::TestClock, events, managers, metrics, server_clock::ServerClock,
};
use kube::{
    Client,
    client::Body,
    core::DeserializeGuard,
    runtime::{reflector, watcher::Event},
};
use operator_core::market::contract::Config;
use serde_json::{Value, json};

use super::{Shared, admitted::Admitted, index::Indices, pace::Pace};
use crate::{
    caches::{Cached, Guarded},
    ctx::Ctx,
    recent::Recent,
};

pub const UID: &str = "0b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4d";
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKKynPjyBA8arsrxy59ZcV4zHyymJhe+uFPeWCJPAfz0";

/// Method, path and query, body.
pub type Log = Arc<Mutex<Vec<(String, Value)>>>;

/// A store and its filler.
pub struct Shelf<K: Cached> {
    pub store: reflector::Store<Guarded<K>>,
    writer: reflector::store::Writer<Guarded<K>>,
}

impl<K: Cached> Shelf<K> {
    fn new() -> Self {
        let (store, writer) = reflector::store();
        Self { store, writer }
    }

    pub fn put(&mut self, object: Value) -> Arc<Guarded<K>> {
        let object: K = serde_json::from_value(object).unwrap();
        let guard = DeserializeGuard(Ok(object));
        self.writer.apply_watcher_event(&Event::Apply(guard.clone()));
        Arc::new(guard)
    }
}

pub struct Bed {
    pub shared: Arc<Shared>,
    pub log: Log,
    pub clock: Arc<TestClock>,
    pub accounts: Shelf<Account>,
    pub contracts: Shelf<Contract>,
    pub offerings: Shelf<Offering>,
    pub providers: Shelf<Provider>,
    pub machines: Shelf<Machine>,
}

/// An API server that accepts every write and gives back what was sent, but refuses lines that contain `refuse`.
fn api(refuse: &'static str) -> (Client, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let service = tower::service_fn(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let (code, answer) = if !refuse.is_empty() && line.contains(refuse) {
                (
                    503,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "m", "reason": "r", "code": 503}),
                )
            } else if line.starts_with("GET") {
                (
                    404,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "m", "reason": "NotFound", "code": 404}),
                )
            } else {
                (200, echoed(&line, &body))
            };
            seen.lock().unwrap().push((line, body));
            let answer = Body::from(serde_json::to_vec(&answer).unwrap());
            let response = Response::builder()
                .status(code)
                .header("date", "Fri, 15 Jan 2027 08:01:40 GMT");
            Ok::<_, Infallible>(response.body(answer).unwrap())
        }
    });
    (Client::new(service, "default"), log)
}

/// What the API server would return, as far as it is looked at.
fn echoed(line: &str, body: &Value) -> Value {
    let mut object = if line.contains("/machines") {
        body.clone()
    } else {
        contract()
    };
    object["metadata"]["resourceVersion"] = json!("9");
    if line.contains("/contracts") {
        object["metadata"]["finalizers"] = json!(["decent-cloud.org/contract"]);
    }
    if line.contains("/status") {
        object["status"] = body["status"].clone();
    }
    object
}

pub fn contract() -> Value {
    json!({
        "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Contract",
        "metadata": {
            "name": "web", "namespace": "tenant-alice", "uid": UID, "resourceVersion": "5", "generation": 1,
            "creationTimestamp": "2027-01-15T08:00:00Z",
        },
        "spec": {"offeringRef": {"namespace": "provider-acme", "name": "small"}, "sshKeys": [KEY]},
    })
}

impl Bed {
    /// A market with one account, one provider and one free Offering, at 100 s past the Contract's creation.
    pub fn new(refuse: &'static str) -> Self {
        let (client, log) = api(refuse);
        let clock = Arc::new(TestClock::at(
            "2027-01-15T08:01:40Z".parse::<Timestamp>().unwrap(),
        ));
        let ctx = ctx(client, &clock);
        let (accounts, contracts, offerings) = (Shelf::new(), Shelf::new(), Shelf::new());
        let (providers, machines) = (Shelf::new(), Shelf::new());
        let shared = Shared {
            config: config(),
            accounts: accounts.store.clone(),
            contracts: contracts.store.clone(),
            offerings: offerings.store.clone(),
            providers: providers.store.clone(),
            pools: Shelf::new().store,
            gateways: Shelf::new().store,
            slots: Shelf::new().store,
            machines: machines.store.clone(),
            indices: Indices::default(),
            written_contracts: Recent::new(ctx.clock.clone()),
            written_machines: Recent::new(ctx.clock.clone()),
            admitted: Admitted::default(),
            backoff: Backoff::new(kit::backoff::Config::default(), 0),
            pace: Pace::new(ctx.clock.clone()),
            ctx: Arc::new(ctx),
        };
        let shared = Arc::new(shared);
        let mut bed = Self {
            shared,
            log,
            clock,
            accounts,
            contracts,
            offerings,
            providers,
            machines,
        };
        bed.furnish();
        bed
    }

    fn furnish(&mut self) {
        self.accounts.put(json!({
            "metadata": {"name": "alice", "uid": "a", "creationTimestamp": "2027-01-15T08:00:00Z"},
            "spec": {"namespace": "tenant-alice"},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "",
                "lastTransitionTime": "2027-01-15T08:00:00Z"}]},
        }));
        self.providers
            .put(json!({"metadata": {"name": "provider", "namespace": "provider-acme"}, "spec": {}}));
        self.offerings.put(json!({
            "metadata": {"name": "small", "namespace": "provider-acme"},
            "spec": {
                "visibility": "Public", "price": {"monthly": "0", "currency": "USD"},
                "resources": {"cpu": 1, "memory": "1Gi", "disk": "10Gi"},
                "template": {"name": "debian-13"}, "pools": ["rack1"],
            },
        }));
        self.shared.indices.fill(&self.shared);
    }

    /// What was sent since the last look.
    pub fn sent(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

fn ctx(client: Client, clock: &Arc<TestClock>) -> Ctx {
    let server_clock = ServerClock::new(clock.clone(), kit::server_clock::Limits::default());
    let date = http::HeaderMap::from_iter([(
        http::header::DATE,
        http::HeaderValue::from_static("Fri, 15 Jan 2027 08:01:40 GMT"),
    )]);
    server_clock.saw(&date);
    Ctx {
        writer: Writer::new(managers::OPERATOR, std::time::Duration::from_secs(10)),
        clock: clock.clone(),
        server_clock: Arc::new(server_clock),
        events: events::channel(client.clone(), managers::OPERATOR, "test").0,
        reconciles: metrics::Reconciles::new(&metrics::Metrics::new("test")),
        client,
    }
}

fn config() -> Config {
    Config {
        hub_uid: UID.parse::<Uid>().unwrap(),
        allow_test_payment: false,
        contract_hour: SignedDuration::from_hours(1),
        requested_limit: SignedDuration::from_hours(1),
        provisioning_limit: SignedDuration::from_hours(1),
    }
}
