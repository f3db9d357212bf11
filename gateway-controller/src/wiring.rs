//! Builds the process from its arguments and runs it until it is told to stop or a critical task ends.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use crds::common::API_VERSION;
use domain::ids::Uid;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kit::{
    admin::{Admin, Shown},
    apply::Writer,
    args::{AdminArgs, KubeArgs, TelemetryArgs},
    backoff::{self, Backoff},
    cache::{Cache, filled},
    client,
    clock::SystemClock,
    crds_ready, events,
    leader::{Candidate, Leadership},
    managers,
    metrics::{Metrics, Reconciles},
    ready::Ready,
    server_clock::{Limits, ServerClock},
    tasks::Tasks,
    telemetry, tls,
};
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::{args::Args, controller, ctx::Ctx, zones::Zones};

/// Pauses after failures.
const PAUSES: backoff::Config = backoff::Config {
    first: Duration::from_millis(500),
    max: Duration::from_mins(1),
    objects: 10_000,
};

/// Runs the gateway controller.
///
/// # Errors
/// Whatever keeps it from starting, or the critical task that ended.
pub async fn run(args: Args) -> Result<()> {
    let Args {
        zones,
        dns_interval,
        dns_retry,
        enrolment_life,
        kube: KubeArgs {
            kubeconfig,
            kube_timeout,
        },
        leader,
        telemetry: TelemetryArgs { log, log_format },
        admin: AdminArgs { admin_address, drain },
    } = args;
    tls::install();
    let log_level = telemetry::init(log_format, &log)?;
    let zones = Zones::read(&zones).context("failed to use --zones")?;
    let clock = Arc::new(SystemClock::new());
    let server_clock = Arc::new(ServerClock::new(clock.clone(), Limits::default()));
    let config = client::config(kubeconfig, managers::GATEWAY).await?;
    let client = client::connect(config, server_clock)?;
    let tasks = Tasks::new(drain);
    tasks.on_signals()?;
    let (metrics, ready) = (Metrics::new("gateway"), Ready::new());
    let reconciles = Reconciles::new(&metrics);
    let shown = Shown {
        ready: ready.clone(),
        metrics,
        log_level,
    };
    let admin = Admin::bind(admin_address, shown).await?;
    tracing::info!(address = %admin.address(), "gateway controller: admin port at {}", admin.address());
    tasks.spawn("admin", admin.serve(tasks.shutdown()));
    let leader = leader.config("decent-gateway-controller");
    let (events, publisher) = events::channel(client.clone(), managers::GATEWAY, &leader.identity);
    let (candidate, leads) = Candidate::new(client.clone(), managers::GATEWAY, leader, clock.clone());
    tasks.spawn_last("leader", candidate.run(tasks.last()));
    let publishing = publisher.run(tasks.shutdown());
    tasks.spawn("events", async move {
        publishing.await;
        Ok::<(), anyhow::Error>(())
    });
    let make = Make {
        client,
        writer: Writer::new(managers::GATEWAY, kube_timeout),
        clock,
        events,
        reconciles,
        zones,
        dns_interval,
        dns_retry,
        enrolment_life: signed(enrolment_life),
    };
    tasks.spawn("controller", when_leading(make, ready, leads, tasks.shutdown()));
    tasks.wait().await.context("the gateway controller stopped")
}

/// What is there before the first watch.
struct Make {
    client: Client,
    writer: Writer,
    clock: Arc<SystemClock>,
    events: events::Events,
    reconciles: Reconciles,
    zones: Zones,
    dns_interval: Duration,
    dns_retry: Duration,
    enrolment_life: SignedDuration,
}

/// Waits for the kinds and for leadership, then runs the controller until shutdown.
async fn when_leading(
    make: Make,
    ready: Ready,
    mut leads: Leadership,
    shutdown: CancellationToken,
) -> Result<()> {
    let (kinds, running) = (ready.gate("kinds"), ready.gate("controller"));
    let needed = crds_ready::Needed {
        group_version: API_VERSION,
        plurals: vec!["gateways", "slots"],
    };
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        () = async { crds_ready::wait(&make.client, &needed, &kinds).await; leads.gained().await; } => {}
    }
    let mut gateways = Cache::new(Api::all(make.client.clone()));
    let mut slots = Cache::new(Api::all(make.client.clone()));
    let hub = hub_uid(&make.client).await?;
    let ctx = Arc::new(make.ctx(hub, (&gateways, &slots)));
    let controller = controller::start(ctx, (&mut gateways, &mut slots), shutdown);
    let both = [filled(&gateways), filled(&slots)];
    let controller = async {
        futures::future::join_all(both).await;
        running.set();
        controller.await
    };
    tokio::select! {
        () = gateways.drive() => anyhow::bail!("the watch of Gateways ended"),
        () = slots.drive() => anyhow::bail!("the watch of Slots ended"),
        done = controller => done.context("the controller of Gateways"),
    }
}

impl Make {
    fn ctx(self, hub: Uid, (gateways, slots): (&Cache<crds::Gateway>, &Cache<crds::Slot>)) -> Ctx {
        let Self {
            client,
            writer,
            clock,
            events,
            reconciles,
            zones,
            dns_interval,
            dns_retry,
            enrolment_life,
        } = self;
        Ctx {
            client,
            writer,
            clock,
            events,
            reconciles,
            backoff: Backoff::new(PAUSES, seed(&hub)),
            gateways: gateways.store(),
            slots: slots.store(),
            zones,
            memories: std::sync::Mutex::default(),
            hub,
            dns_interval,
            dns_retry,
            enrolment_life,
        }
    }
}

/// Where the jitter of pauses begins: it only has to differ between hubs.
fn seed(hub: &Uid) -> u64 {
    hub.bytes()
        .iter()
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

async fn hub_uid(client: &Client) -> Result<Uid> {
    let system = Api::<Namespace>::all(client.clone())
        .get("kube-system")
        .await
        .context("failed to read namespace kube-system")?;
    let uid = system.uid().unwrap_or_default().parse();
    uid.context("namespace kube-system has no usable UID")
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
