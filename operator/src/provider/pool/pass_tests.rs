//! Whole passes over a Pool and the decisions that follow, with a scripted API server and a simulated Proxmox.

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
    Client, Resource,
    client::Body,
    core::{DeserializeGuard, ObjectMeta},
    runtime::{reflector, watcher::Event},
};
use operator_core::{
    provider::{
        place::{Placement, Spot, queue::Decision},
        pool::Readiness,
    },
    reason::Reason,
};
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

const NAMESPACE: &str = "provider-acme";
const TICK: SignedDuration = SignedDuration::from_secs(5);
const PREFLIGHT: SignedDuration = SignedDuration::from_secs(60);

fn meta(name: &str, number: u32) -> ObjectMeta {
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
struct Shelf<K: Cached> {
    store: reflector::Store<Guarded<K>>,
    writer: reflector::store::Writer<Guarded<K>>,
}

impl<K: Cached> Shelf<K> {
    fn new() -> Self {
        let (store, writer) = reflector::store();
        Self { store, writer }
    }

    fn put(&mut self, object: K) {
        self.writer
            .apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(object))));
    }
}

type Log = Arc<Mutex<Vec<(String, Value)>>>;

/// An API server that knows one Pool, one Gateway and one Secret, and writes down what is written.
fn api(pool: &Pool, gateway: &Gateway, token: &str) -> (Client, Log) {
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

struct Desk {
    bed: Bed,
    pools: Arc<Pools>,
    pool: Pool,
    work: Work,
    log: Log,
    slots: Shelf<Slot>,
    machines: Shelf<Machine>,
    poked: mpsc::UnboundedReceiver<reflector::ObjectRef<Guarded<Machine>>>,
    poke: mpsc::UnboundedSender<reflector::ObjectRef<Guarded<Machine>>>,
}

impl Desk {
    async fn start() -> Self {
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

    async fn pass(&mut self) {
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

    async fn later(&mut self, by: SignedDuration) {
        self.bed.clock.advance(Duration::try_from(by).unwrap());
        self.pass().await;
    }

    fn writes(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn pokes(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.poked.try_recv().ok())
            .map(|machine| machine.name)
            .collect()
    }

    fn decide(&self, machine: &Machine) -> Decision {
        self.pools.decide(NAMESPACE, machine, self.bed.clock.now())
    }

    fn slot(&mut self, spot: &Spot, machine: &Machine, phase: SlotPhase) {
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

    fn machine(&mut self, number: u32, memory: &str) -> Machine {
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

fn ctx(client: Client, bed: &Bed) -> Ctx {
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

fn config() -> ProviderConfig {
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
        slot_rest: PREFLIGHT,
        abandon_after: PREFLIGHT,
        allow_loopback_endpoints: true,
        cluster_networks: Vec::new(),
    }
}

fn spot(decision: &Decision) -> Spot {
    match &decision.placement {
        Placement::At(spot) => spot.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn ready(body: &Value) -> (&str, &str) {
    let condition = &body["status"]["conditions"][0];
    (
        condition["status"].as_str().unwrap(),
        condition["reason"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn a_good_pool_becomes_ready_with_one_write_and_then_nothing_is_written() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let writes = desk.writes();
    assert_eq!(writes.len(), 1);
    let (line, body) = &writes[0];
    assert_eq!(
        line,
        "PATCH /apis/decent-cloud.org/v1alpha1/namespaces/provider-acme/pools/rack1/status"
    );
    assert_eq!(ready(body), ("True", "Ready"));
    assert_eq!(body["status"]["fingerprint"], json!(desk.bed.sim.fingerprint));
    assert_eq!(body["status"]["nodes"][1]["name"], "pve2");
    assert!(body["status"]["version"].as_str().unwrap().starts_with('9'));
    for _ in 0..13 {
        desk.later(TICK).await;
    }
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn between_preflights_a_tick_reads_the_cluster_once() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    desk.bed
        .control(reqwest::Method::DELETE, "/requests", Value::Null)
        .await;
    desk.pass().await;
    desk.later(TICK).await;
    let seen = desk
        .bed
        .control(reqwest::Method::GET, "/requests?since=0", Value::Null)
        .await;
    let mut paths: Vec<&str> = seen["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert!(
        paths.len() == 2 && paths[0].ends_with("/cluster/resources") && paths[1].ends_with("/cluster/status"),
        "{paths:?}"
    );
}

#[tokio::test]
async fn a_fault_is_written_once_and_its_end_opens_the_pool_for_those_who_wait() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    desk.writes();
    let machine = desk.machine(10, "1Gi");
    let what = json!({"path": "/vms/9000", "privilege": "VM.Clone"});
    desk.bed.post("/privileges/revoke", what.clone()).await;
    desk.later(PREFLIGHT).await;
    desk.later(TICK).await;
    let writes = desk.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(ready(&writes[0].1), ("False", "MissingPrivilege"));
    let refused = desk.decide(&machine);
    assert!(
        matches!(
            refused.placement,
            Placement::NotReady {
                reason: Reason::MissingPrivilege,
                ..
            }
        ),
        "{refused:?}"
    );
    desk.pokes();
    desk.bed.post("/privileges/restore", what).await;
    desk.later(TICK).await;
    assert_eq!(ready(&desk.writes()[0].1), ("True", "Ready"));
    assert_eq!(desk.pokes(), ["m-10"]);
    assert_eq!(spot(&desk.decide(&machine)).vmid, 10_000);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_told_since_when_and_keeps_what_was_seen() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let nodes = desk.writes()[0].1["status"]["nodes"].clone();
    desk.bed.post("/refuse-connections", json!({"on": true})).await;
    desk.later(TICK).await;
    desk.later(PREFLIGHT).await;
    let writes = desk.writes();
    assert_eq!(writes.len(), 1, "the same fault is written once");
    let body = &writes[0].1;
    assert_eq!(ready(body), ("False", "ProxmoxUnreachable"));
    assert!(
        body["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("since 1970-01-01 00:00 UTC")
    );
    assert_eq!(body["status"]["nodes"], nodes);
    assert!(
        desk.pools.get(NAMESPACE, "rack1").is_some(),
        "its machines are still looked after"
    );
    desk.bed.post("/refuse-connections", json!({"on": false})).await;
    desk.later(TICK).await;
    assert_eq!(ready(&desk.writes()[0].1), ("True", "Ready"));
}

#[tokio::test]
async fn before_the_first_look_nothing_is_placed() {
    let mut desk = Desk::start().await;
    let machine = desk.machine(10, "1Gi");
    desk.pools.entry(NAMESPACE, "rack1");
    let decision = desk.decide(&machine);
    assert!(
        matches!(
            decision.placement,
            Placement::NotReady {
                reason: Reason::PoolNotReady,
                ..
            }
        ),
        "{decision:?}"
    );
    assert!(matches!(
        desk.pools.readiness(NAMESPACE, "rack1"),
        Some(Readiness::Not { .. })
    ));
}

#[tokio::test]
async fn two_machines_never_get_one_index() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let (first, second) = (desk.machine(10, "1Gi"), desk.machine(11, "1Gi"));
    let one = spot(&desk.decide(&first));
    assert_eq!((one.index.0, spot(&desk.decide(&second)).index.0), (0, 1));
    assert_eq!(
        spot(&desk.decide(&first)),
        one,
        "the same question has the same answer"
    );
    desk.pools.taken(NAMESPACE, "ams1", one.index);
    assert_eq!(spot(&desk.decide(&first)).index.0, 2);
    desk.pools
        .strike(NAMESPACE, second.metadata.uid.as_ref().unwrap());
    let third = desk.machine(12, "1Gi");
    assert_eq!(spot(&desk.decide(&third)).index.0, 1);
}

#[tokio::test]
async fn p26_room_is_held_by_a_slot_until_it_rests() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let size = desk
        .pools
        .get(NAMESPACE, "rack1")
        .unwrap()
        .inventory()
        .unwrap()
        .resources
        .nodes[0]
        .maxmem
        .unwrap();
    let most = (size >> 30) * 3 / 4;
    let machines: Vec<Machine> = (10..13).map(|n| desk.machine(n, &format!("{most}Gi"))).collect();
    let spots = [spot(&desk.decide(&machines[0])), spot(&desk.decide(&machines[1]))];
    assert_ne!(spots[0].node, spots[1].node);
    let full = desk.decide(&machines[2]);
    assert!(
        matches!(&full.placement, Placement::Full { needs } if needs.contains("more memory on one node")),
        "{full:?}"
    );
    assert_eq!(full.position, Some(1));
    for (spot, machine) in spots.iter().zip(&machines) {
        desk.slot(spot, machine, SlotPhase::Claimed);
    }
    desk.bed.clock.advance(Duration::from_mins(10));
    assert_eq!(desk.decide(&machines[2]).position, Some(1), "now by the Slots");
    let mut gone = machines[0].clone();
    gone.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    desk.machines.put(gone.clone());
    desk.slot(&spots[0], &gone, SlotPhase::Resting);
    let placed = spot(&desk.decide(&machines[2]));
    assert_eq!(
        (placed.node.as_str(), placed.index.0),
        (spots[0].node.as_str(), 2),
        "its index rests"
    );
}

#[tokio::test]
async fn marks_are_written_once_and_stay() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    desk.writes();
    for _ in 0..2 {
        desk.pools
            .mark_in_use(&desk.pools.ctx, NAMESPACE, "rack1", "ams1")
            .await
            .unwrap();
    }
    let writes = desk.writes();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].1["status"]["slotsInUse"], true);
    assert_eq!(
        ready(&writes[0].1),
        ("True", "Ready"),
        "the rest of the status stays"
    );
    assert_eq!(writes[1].1["status"], json!({"slotsInUse": true}));
    desk.later(PREFLIGHT).await;
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn a_pool_that_is_being_deleted_says_who_holds_it() {
    let mut desk = Desk::start().await;
    desk.pass().await;
    let machine = desk.machine(10, "1Gi");
    let at = spot(&desk.decide(&machine));
    desk.slot(&at, &machine, SlotPhase::Claimed);
    desk.writes();
    desk.pool.meta_mut().deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    desk.pass().await;
    let writes = desk.writes();
    assert_eq!(ready(&writes[0].1), ("False", "InUse"));
    assert!(
        writes[0].1["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("Slot ams1-0 still names it")
    );
}
