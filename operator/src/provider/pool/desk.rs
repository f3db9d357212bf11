//! A scripted API server and a simulated Proxmox around one Pool, for tests of its passes.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::Engine as _;
use crds::{
    Gateway, GatewaySpec, Machine, MachineSpec, Pool, Provider, Slot, SlotSpec, SlotStatus,
    provider::OperatorSite,
    slot::{Release, ReleaseCause, SlotPhase},
};
use http::{Request, Response};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kit::{
    apply::Writer,
    clock::Clock,
    events, managers,
    metrics::{Metrics, Reconciles},
    server_clock::{Limits, ServerClock},
};
use kube::{
    Client,
    client::Body,
    core::{DeserializeGuard, ObjectMeta},
    runtime::{reflector, watcher::Event},
};
use operator_core::provider::place::{Placement, Spot, queue::Decision};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Pools,
    pass::{Pass, Work},
    registry::Stores,
    tests::Bed,
};
use crate::{
    caches::{Cached, Guarded},
    ctx::{Ctx, ProviderConfig},
};

pub(super) const NAMESPACE: &str = "provider-acme";
pub(super) const TICK: SignedDuration = SignedDuration::from_secs(5);
pub(super) const PREFLIGHT: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn meta(name: &str, number: u32) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        uid: Some(format!("0a1b2c3d-0000-4000-8000-{number:012}")),
        generation: Some(1),
        creation_timestamp: Some(Time(Timestamp::from_second(i64::from(number)).unwrap())),
        ..ObjectMeta::default()
    }
}

/// A store that is filled by hand.
pub(super) struct Shelf<K: Cached> {
    store: reflector::Store<Guarded<K>>,
    writer: reflector::store::Writer<Guarded<K>>,
}

impl<K: Cached> Shelf<K> {
    fn new() -> Self {
        let (store, writer) = reflector::store();
        Self { store, writer }
    }

    pub(super) fn put(&mut self, object: K) {
        self.writer
            .apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(object))));
    }
}

pub(super) type Log = Arc<Mutex<Vec<(String, Value)>>>;

/// An API server that knows one Pool, one Gateway and one Secret, and writes down what is written.
pub(super) fn api(pool: &Pool, gateway: &Gateway, token: &str) -> (Client, Log) {
    let log = Log::default();
    let (seen, token) = (
        Arc::clone(&log),
        base64::engine::general_purpose::STANDARD.encode(token),
    );
    let (pool, gateway) = (json!(pool), json!(gateway));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (seen, token, pool, gateway) = (Arc::clone(&seen), token.clone(), pool.clone(), gateway.clone());
        async move {
            let (line, path) = (
                format!("{} {}", request.method(), request.uri().path()),
                request.uri().path().to_owned(),
            );
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            let answer = if path.contains("/secrets/") {
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"token": token}})
            } else {
                let body: Value = serde_json::from_slice(&bytes).unwrap();
                let mut object = if path.contains("/pools/") { pool } else { gateway };
                object["status"] = body["status"].clone();
                seen.lock().unwrap().push((line, body));
                object
            };
            Ok::<_, Infallible>(Response::new(Body::from(serde_json::to_vec(&answer).unwrap())))
        }
    });
    (Client::new(service, NAMESPACE), log)
}

pub(super) struct Desk {
    pub(super) bed: Bed,
    pub(super) pools: Arc<Pools>,
    pub(super) pool: Pool,
    pub(super) work: Work,
    pub(super) log: Log,
    pub(super) slots: Shelf<Slot>,
    pub(super) machines: Shelf<Machine>,
    pub(super) poked: mpsc::UnboundedReceiver<reflector::ObjectRef<Guarded<Machine>>>,
    pub(super) poke: mpsc::UnboundedSender<reflector::ObjectRef<Guarded<Machine>>>,
}

impl Desk {
    pub(super) async fn start() -> Self {
        let bed = Bed::start().await;
        let mut spec = bed.spec.clone();
        spec.gateway_ref.name = "ams1".into();
        spec.proxmox.token_secret_ref.name = "proxmox".into();
        let pool = Pool {
            metadata: meta("rack1", 1),
            spec,
            status: None,
        };
        let mut gateway = Gateway {
            metadata: meta("ams1", 2),
            spec: GatewaySpec::default(),
            status: None,
        };
        gateway.spec.network.cidr = "10.64.0.0/24".into();
        gateway.spec.network.gateway = "10.64.0.1".into();
        let (client, log) = api(&pool, &gateway, &bed.sim.token);
        let (mut pools, mut gateways) = (Shelf::new(), Shelf::new());
        pools.put(pool.clone());
        gateways.put(gateway);
        let (slots, machines) = (Shelf::new(), Shelf::new());
        let stores = Stores {
            providers: Shelf::<Provider>::new().store,
            pools: pools.store,
            gateways: gateways.store,
            slots: slots.store.clone(),
            machines: machines.store.clone(),
        };
        let pools = Arc::new(Pools::new(Arc::new(ctx(client, &bed)), config(), stores));
        let (poke, poked) = mpsc::unbounded_channel();
        Self {
            bed,
            pools,
            pool,
            work: Work::default(),
            log,
            slots,
            machines,
            poked,
            poke,
        }
    }

    pub(super) async fn pass(&mut self) {
        let entry = self.pools.entry(NAMESPACE, "rack1");
        let pass = Pass {
            pools: &self.pools,
            poke: &self.poke,
            pool: &self.pool,
            namespace: NAMESPACE.to_owned(),
            name: "rack1".to_owned(),
            entry: &entry,
            slots: self.slots.store.state(),
            now: self.bed.clock.now(),
        };
        pass.run(&mut self.work).await.unwrap();
    }

    pub(super) async fn later(&mut self, by: SignedDuration) {
        self.bed.clock.advance(Duration::try_from(by).unwrap());
        self.pass().await;
    }

    pub(super) fn writes(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    pub(super) fn pokes(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.poked.try_recv().ok())
            .map(|machine| machine.name)
            .collect()
    }

    pub(super) fn decide(&self, machine: &Machine) -> Decision {
        self.pools.decide(NAMESPACE, machine, self.bed.clock.now())
    }

    pub(super) fn slot(&mut self, spot: &Spot, machine: &Machine, phase: SlotPhase) {
        let name = format!("{}-{}", spot.gateway, spot.index);
        let mut held = Slot {
            metadata: meta(&name, 1000 + spot.index.0),
            spec: SlotSpec::default(),
            status: None,
        };
        held.spec.gateway = spot.gateway.as_str().into();
        held.spec.index = i32::try_from(spot.index.0).unwrap();
        held.spec.pool = spot.pool.as_str().into();
        held.spec.vmid = i32::try_from(spot.vmid).unwrap();
        held.spec.node = spot.node.as_str().into();
        held.spec.storage = spot.storage.as_str().into();
        held.spec.machine_ref.name = machine.metadata.name.clone().unwrap().into();
        held.spec.machine_ref.uid = machine.metadata.uid.clone().unwrap().into();
        let at = Time(self.bed.clock.now());
        let released = phase == SlotPhase::Resting;
        held.status = Some(SlotStatus {
            phase,
            release: released.then(|| Release {
                cause: ReleaseCause::Teardown,
                at: at.clone(),
                by: "t".to_owned(),
            }),
            resting_since: released.then_some(at),
            ..SlotStatus::default()
        });
        self.slots.put(held);
    }

    pub(super) fn machine(&mut self, number: u32, memory: &str) -> Machine {
        let mut machine = Machine {
            metadata: meta(&format!("m-{number}"), number),
            spec: MachineSpec::default(),
            status: None,
        };
        machine.spec.admitted = true;
        machine.spec.offering.resources.cpu = 1;
        machine.spec.offering.resources.memory = memory.into();
        machine.spec.offering.resources.disk = "4Gi".into();
        machine.spec.offering.template.name = "debian-13".into();
        machine.spec.offering.pools = vec!["rack1".into()];
        self.machines.put(machine.clone());
        machine
    }
}

pub(super) fn ctx(client: Client, bed: &Bed) -> Ctx {
    let clock: Arc<dyn Clock> = Arc::clone(&bed.clock) as Arc<dyn Clock>;
    let (events, _) = events::channel(client.clone(), managers::OPERATOR, "test");
    Ctx {
        client,
        writer: Writer::new(managers::OPERATOR, Duration::from_secs(10)),
        server_clock: Arc::new(ServerClock::new(Arc::clone(&clock), Limits::default())),
        clock,
        events,
        reconciles: Reconciles::new(&Metrics::new("test")),
    }
}

pub(super) fn config() -> ProviderConfig {
    ProviderConfig {
        site: OperatorSite::Hub,
        namespace: None,
        preflight_interval: PREFLIGHT,
        tick_interval: TICK,
        absence_interval: TICK,
        hidden_limit: TICK,
        node_lost_after: TICK,
        route_wait: TICK,
        shutdown_wait: TICK,
        task_limit: PREFLIGHT,
        slot_rest: PREFLIGHT,
        abandon_after: PREFLIGHT,
        allow_loopback_endpoints: true,
        cluster_networks: Vec::new(),
    }
}

pub(super) fn spot(decision: &Decision) -> Spot {
    match &decision.placement {
        Placement::At(spot) => spot.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn ready(body: &Value) -> (&str, &str) {
    let condition = &body["status"]["conditions"][0];
    (
        condition["status"].as_str().unwrap(),
        condition["reason"].as_str().unwrap(),
    )
}
