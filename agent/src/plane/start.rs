//! Starts a data plane: from the snapshot, if there is one; else it waits for a site and touches nothing.

use std::sync::Arc;

use agent_core::brake::Brake;
use agent_core::routes::Routes;
use agent_core::site::Site;
use kit::clock::Clock;
use kit::metrics::Metrics;
use kit::tasks::Tasks;
use tokio::sync::{Mutex, Notify, mpsc, watch};

use super::tasks::{self, WebInput};
use super::{DataPlane, Health, PlaneError, Seams, Shared, Table};
use crate::caddy::{self, Caddy};
use crate::certificate::{self, Keeper, Status};
use crate::config::Config;
use crate::counters::Counters;
use crate::nft::Nft;
use crate::probe::watch::{Order, Watch};
use crate::probe::{Namespace, Prober, Report};
use crate::snapshot::{Found, Store};
use crate::zone::{Names, Server};

type Known = Option<(Arc<Site>, Routes)>;

impl DataPlane {
    /// Starts it, with its tasks.
    ///
    /// # Errors
    /// Whatever it cannot be without. That the site of the snapshot cannot be served yet is no such thing: it is tried
    /// again.
    pub async fn start(
        config: Config,
        tasks: &Tasks,
        metrics: &Metrics,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Seams), PlaneError> {
        let store = Store::new(&config.state, Arc::clone(&clock));
        let (known, health) = load(store.clone()).await?;
        let names = Names::default();
        let server = Server::bind(config.zone, names.clone())
            .await
            .map_err(PlaneError::Zone)?;
        tasks.spawn("zone", server.serve(tasks.shutdown()));
        let probes = probes(&config, tasks, &clock).await?;
        let outward = outward(&config, tasks, &clock).await?;
        let shared = Arc::new(Shared {
            nft: Nft::default(),
            table: Mutex::new(Table {
                site: None,
                pending: None,
                fixed: None,
                routes: Routes::default(),
                brake: Brake::new(config.brake),
                clearing: Vec::new(),
            }),
            saving: Mutex::new(()),
            dirty: Notify::new(),
            counters: Counters::shown(metrics),
            prober: probes.prober,
            orders: probes.orders,
            site: outward.site,
            caddy: outward.caddy,
            certificate: outward.certificate,
            health: watch::Sender::new(health),
            names,
            store,
            clock,
            config,
        });
        tasks::web(tasks, Arc::clone(&shared), outward.web);
        let seams = Seams {
            reports: probes.reports,
            asks: outward.asks,
            hub: outward.hub,
        };
        let plane = Self(shared);
        plane.0.resume(known).await;
        tasks::maintenance(tasks, &plane.0);
        Ok((plane, seams))
    }
}

impl Shared {
    /// Goes on where the snapshot ends.
    async fn resume(&self, known: Known) {
        let Some((site, routes)) = known else {
            return;
        };
        tracing::info!("{} routes of {} are in the snapshot", routes.len(), site.fqdn());
        self.names.put(&routes);
        let mut table = self.table.lock().await;
        table.routes = routes;
        table.pending = Some(site);
        drop(table);
        if let Err(error) = self.mend().await {
            let text = kit::chain(&error);
            tracing::error!(error = text, "the snapshot's routes cannot be programmed yet");
            self.note(|health| health.table = Some(text));
        }
    }
}

async fn load(store: Store) -> Result<(Known, Health), PlaneError> {
    let found = tokio::task::spawn_blocking(move || store.load())
        .await
        .map_err(PlaneError::GivenUp)?;
    let mut health = Health::default();
    let known = match found.map_err(PlaneError::Load)? {
        Found::Whole(site, routes) => Some((Arc::new(*site), routes)),
        Found::Nothing => None,
        Found::Corrupt { why, kept } => {
            let error = kit::chain(&why);
            tracing::error!(error, kept = %kept.display(), "the snapshot cannot be used; it is kept aside");
            health.corrupt_snapshot = Some(kept);
            None
        }
    };
    Ok((known, health))
}

/// What looks at machines.
struct Probes {
    prober: Prober,
    orders: mpsc::UnboundedSender<Order>,
    reports: mpsc::UnboundedReceiver<Report>,
}

async fn probes(config: &Config, tasks: &Tasks, clock: &Arc<dyn Clock>) -> Result<Probes, PlaneError> {
    let namespace = Namespace::make(config.probe.clone())
        .await
        .map_err(PlaneError::Namespace)?;
    let prober = Prober::start(namespace.file())
        .await
        .map_err(PlaneError::Prober)?;
    let (news, reports) = mpsc::unbounded_channel();
    let (orders, taken) = mpsc::unbounded_channel();
    let machines = Watch::new(prober.clone(), Arc::clone(clock), news);
    tasks::machines(tasks, machines, taken, namespace);
    Ok(Probes {
        prober,
        orders,
        reports,
    })
}

/// Web server and certificate, as the rest sees them.
struct Outward {
    site: watch::Sender<Option<Arc<Site>>>,
    caddy: watch::Receiver<caddy::State>,
    certificate: watch::Receiver<Status>,
    web: WebInput,
    asks: certificate::Asks,
    hub: watch::Sender<bool>,
}

async fn outward(config: &Config, tasks: &Tasks, clock: &Arc<dyn Clock>) -> Result<Outward, PlaneError> {
    let (site, sites) = watch::channel(None);
    // Known before the web server is told anything: a start must not take https away for a moment.
    let store = certificate::Store::new(&config.state, config.web.user);
    let at_hand = certificate::at_hand(&store).await;
    let held = at_hand.as_ref().map(|stored| stored.held.clone());
    let (current, currents) = watch::channel(at_hand);
    let (status, certificate) = watch::channel(Status {
        held,
        ..Status::default()
    });
    let (hub, hubs) = watch::channel(false);
    let (wanted, wishes) = watch::channel(None);
    let (state, caddy) = watch::channel(caddy::State::Unknown);
    let (publisher, asks) = certificate::publisher();
    let client = Caddy::new(&config.web.admin).map_err(PlaneError::Caddy)?;
    tasks::caddy(tasks, client, wishes, state);
    let keeper = Keeper {
        store,
        publisher,
        site: sites.clone(),
        hub: hubs,
        clock: Arc::clone(clock),
        current,
        status,
    };
    tasks::certificate(tasks, keeper);
    let web = WebInput {
        sites,
        certificates: currents,
        wanted,
    };
    Ok(Outward {
        site,
        caddy,
        certificate,
        web,
        asks,
        hub,
    })
}
