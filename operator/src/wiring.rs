//! Builds the process from its arguments and runs it until it is told to stop or a critical task ends.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use crds::{common::API_VERSION, provider::OperatorSite};
use domain::ids::Uid;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kit::{
    admin::{Admin, Shown},
    apply::Writer,
    args::{AdminArgs, KubeArgs, TelemetryArgs},
    client,
    clock::SystemClock,
    crds_ready,
    events::{self, Events},
    leader::{Candidate, Leadership},
    managers,
    metrics::{Metrics, Reconciles},
    ready::Ready,
    server_clock::{Limits, ServerClock},
    tasks::Tasks,
    telemetry, tls,
};
use kube::{Api, Client, ResourceExt};
use operator_core::provider::pool::endpoint::Network;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Args, BoundArgs, Family},
    caches::Caches,
    ctx::{Ctx, MarketConfig, ProviderConfig},
    market, provider,
};

/// Switches that exist in development builds only, with production's values elsewhere.
struct Switches {
    allow_test_payment: bool,
    contract_hour: SignedDuration,
    allow_loopback_endpoints: bool,
}

/// Runs the operator.
///
/// # Errors
/// Whatever keeps it from starting, or the critical task that ended.
pub async fn run(args: Args) -> Result<()> {
    let switches = switches(&args);
    let Args {
        controllers,
        namespace,
        refuse_networks,
        kube,
        leader,
        telemetry,
        admin,
        bounds,
        ..
    } = args;
    let TelemetryArgs { log, log_format } = telemetry;
    let AdminArgs { admin_address, drain } = admin;
    tls::install();
    let log_level = telemetry::init(log_format, &log)?;
    let hub = connect(kube).await?;
    let tasks = Tasks::new(drain);
    tasks.on_signals()?;
    let metrics = Metrics::new("operator");
    let ready = Ready::new();
    let reconciles = Reconciles::new(&metrics);
    let admin = Admin::bind(
        admin_address,
        Shown {
            ready: ready.clone(),
            metrics,
            log_level,
        },
    )
    .await?;
    tracing::info!(address = %admin.address(), "operator: admin port at {}", admin.address());
    tasks.spawn("admin", admin.serve(tasks.shutdown()));
    let leader = leader.config("decent-operator");
    let (events, publisher) = events::channel(hub.client.clone(), managers::OPERATOR, &leader.identity);
    let (candidate, leads) =
        Candidate::new(hub.client.clone(), managers::OPERATOR, leader, hub.clock.clone());
    tasks.spawn_last("leader", candidate.run(tasks.last()));
    tasks.spawn("events", always_ok(publisher.run(tasks.shutdown())));
    tasks.spawn("clock", watch_clock(hub.client.clone(), tasks.shutdown()));
    let ctx = hub.ctx(events, reconciles);
    let start = Start {
        controllers,
        namespace,
        refuse_networks,
        bounds,
        switches,
        ready,
    };
    tasks.spawn(
        "controllers",
        controllers_when_leading(ctx, start, leads, tasks.shutdown()),
    );
    tasks.wait().await.context("the operator stopped")
}

/// The API server, and the clocks that go with it.
struct Hub {
    client: Client,
    clock: Arc<SystemClock>,
    server_clock: Arc<ServerClock>,
    writer: Writer,
}

async fn connect(args: KubeArgs) -> Result<Hub> {
    let KubeArgs {
        kubeconfig,
        kube_timeout,
    } = args;
    let clock = Arc::new(SystemClock::new());
    let server_clock = Arc::new(ServerClock::new(clock.clone(), Limits::default()));
    let config = client::config(kubeconfig, managers::OPERATOR).await?;
    let client = client::connect(config, server_clock.clone())?;
    let writer = Writer::new(managers::OPERATOR, kube_timeout);
    Ok(Hub {
        client,
        clock,
        server_clock,
        writer,
    })
}

impl Hub {
    fn ctx(self, events: Events, reconciles: Reconciles) -> Ctx {
        let Self {
            client,
            clock,
            server_clock,
            writer,
        } = self;
        Ctx {
            client,
            writer,
            clock,
            server_clock,
            events,
            reconciles,
        }
    }
}

struct Start {
    controllers: Vec<Family>,
    namespace: Option<String>,
    refuse_networks: Vec<Network>,
    bounds: BoundArgs,
    switches: Switches,
    ready: Ready,
}

/// Waits for the kinds and for leadership, then runs the families until shutdown.
async fn controllers_when_leading(
    ctx: Ctx,
    start: Start,
    mut leads: Leadership,
    shutdown: CancellationToken,
) -> Result<()> {
    let Start {
        controllers,
        namespace,
        refuse_networks,
        bounds,
        switches,
        ready,
    } = start;
    let (kinds, running) = (ready.gate("kinds"), ready.gate("controllers"));
    let needed = crds_ready::Needed {
        group_version: API_VERSION,
        plurals: crds::manifests::definitions()
            .into_iter()
            .map(|(plural, _)| plural)
            .collect(),
    };
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        () = async { crds_ready::wait(&ctx.client, &needed, &kinds).await; leads.gained().await; } => {}
    }
    let ctx = Arc::new(ctx);
    let with_market = controllers.contains(&Family::Market);
    let mut caches = Caches::new(&ctx.client, namespace.as_deref(), with_market);
    let mut families: Vec<BoxFuture<'static, Result<()>>> = Vec::new();
    if with_market {
        let config = market_config(hub_uid(&ctx.client).await?, &bounds, &switches);
        let run = market::start(Arc::clone(&ctx), config, &mut caches, shutdown.clone());
        families.push(Box::pin(async move { run.await.context("market family") }));
    }
    if controllers.contains(&Family::Provider) {
        let config = ProviderConfig {
            cluster_networks: refuse_networks,
            ..provider_config(namespace, &bounds, &switches)
        };
        let run = provider::start(ctx, config, &mut caches, &shutdown);
        families.push(Box::pin(async move { run.await.context("provider family") }));
    }
    let filled = caches.filled();
    let families = async {
        filled.await;
        running.set();
        futures::future::try_join_all(families).await
    };
    tokio::select! {
        () = caches.drive() => anyhow::bail!("a watch ended"),
        done = families => done.map(drop),
    }
}

async fn hub_uid(client: &Client) -> Result<Uid> {
    let system = Api::<Namespace>::all(client.clone())
        .get("kube-system")
        .await
        .context("failed to read namespace kube-system")?;
    system
        .uid()
        .unwrap_or_default()
        .parse()
        .context("namespace kube-system has no usable UID")
}

async fn watch_clock(client: Client, shutdown: CancellationToken) -> Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = client::keep_clock_seen(client, Duration::from_mins(1)) => {}
    }
    Ok(())
}

async fn always_ok(run: impl Future<Output = ()>) -> Result<()> {
    run.await;
    Ok(())
}

fn market_config(hub_uid: Uid, bounds: &BoundArgs, switches: &Switches) -> MarketConfig {
    MarketConfig {
        hub_uid,
        allow_test_payment: switches.allow_test_payment,
        contract_hour: switches.contract_hour,
        request_limit: signed(bounds.request_limit),
        provisioning_limit: signed(bounds.provisioning_limit),
    }
}

fn provider_config(namespace: Option<String>, bounds: &BoundArgs, switches: &Switches) -> ProviderConfig {
    ProviderConfig {
        site: if namespace.is_some() {
            OperatorSite::Own
        } else {
            OperatorSite::Hub
        },
        namespace,
        preflight_interval: signed(bounds.preflight_interval),
        tick_interval: signed(bounds.tick_interval),
        absence_interval: signed(bounds.absence_interval),
        hidden_limit: signed(bounds.hidden_limit),
        node_lost_after: signed(bounds.node_lost_after),
        route_wait: signed(bounds.route_wait),
        shutdown_wait: signed(bounds.shutdown_wait),
        task_limit: signed(bounds.task_limit),
        slot_rest: signed(bounds.slot_rest),
        abandon_after: signed(bounds.abandon_after),
        allow_loopback_endpoints: switches.allow_loopback_endpoints,
        cluster_networks: Vec::new(),
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(feature = "dev-flags")]
fn switches(args: &Args) -> Switches {
    Switches {
        allow_test_payment: args.dev.allow_test_payment,
        contract_hour: signed(args.dev.contract_hour),
        allow_loopback_endpoints: args.dev.allow_loopback_endpoints,
    }
}

#[cfg(not(feature = "dev-flags"))]
fn switches(_: &Args) -> Switches {
    Switches {
        allow_test_payment: false,
        contract_hour: SignedDuration::from_hours(1),
        allow_loopback_endpoints: false,
    }
}
