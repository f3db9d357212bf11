//! The data plane: what makes machines reachable, and keeps them so without a hub. Owns table, names, snapshot, probes
//! and certificate as one thing.
//!
//! The hub's part of the agent stands on top of it: it tells what it hears ([`DataPlane::serve`], [`DataPlane::hear`]),
//! asks whether a route is gone ([`DataPlane::is_gone`]), and drives the [`Seams`]. Nothing here knows Kubernetes.

mod error;
mod start;
mod table;
mod tasks;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use agent_core::brake::Brake;
use agent_core::nft::Fixed;
use agent_core::routes::{Changes, Route, Routes};
use agent_core::site::Site;
use domain::ids::Uid;
use domain::slot::SlotIndex;
use kit::clock::Clock;
use tokio::sync::{Mutex, Notify, mpsc, watch};

use crate::config::Config;
use crate::counters::Counters;
use crate::nft::Nft;
use crate::probe::watch::Order;
use crate::probe::{Answer, ProbeError, Prober, Report};
use crate::zone::Names;
use crate::{caddy, certificate, snapshot};

pub use error::PlaneError;

/// What the hub's part takes and gives.
pub struct Seams {
    /// What probes found: to be written to Slots.
    pub reports: mpsc::UnboundedReceiver<Report>,
    /// DNS records that the certificate needs.
    pub asks: certificate::Asks,
    /// Whether the hub is there: false until it is set.
    pub hub: watch::Sender<bool>,
}

/// What was done about something heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// What changed.
    pub changes: Changes,
    /// Routes whose Slot was not in a whole list: they stay.
    pub missing: Vec<SlotIndex>,
    /// Removals that wait for a person.
    pub held: usize,
}

/// How it is with the data plane, besides web server and certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the table is not as it should be; none while it is.
    pub table: Option<String>,
    /// Why the snapshot could not be written; none while it is.
    pub snapshot: Option<String>,
    /// A snapshot that could not be used, kept for whoever wants to know why.
    pub corrupt_snapshot: Option<PathBuf>,
    /// Routes whose Slot was not in the last whole list.
    pub missing: Vec<SlotIndex>,
    /// Removals that wait for a person.
    pub held: usize,
    /// Sources whose new SSH connections were limited within the last ten minutes.
    pub limited: Vec<Ipv4Addr>,
}

/// A running data plane.
#[derive(Clone)]
pub struct DataPlane(Arc<Shared>);

struct Shared {
    config: Config,
    clock: Arc<dyn Clock>,
    nft: Nft,
    names: Names,
    store: snapshot::Store,
    prober: Prober,
    table: Mutex<Table>,
    /// Only one save at a time, so that none overtakes a newer one.
    saving: Mutex<()>,
    dirty: Notify,
    counters: Counters,
    orders: mpsc::UnboundedSender<Order>,
    site: watch::Sender<Option<Arc<Site>>>,
    health: watch::Sender<Health>,
    caddy: watch::Receiver<caddy::State>,
    certificate: watch::Receiver<certificate::Status>,
}

/// What is programmed.
struct Table {
    site: Option<Arc<Site>>,
    /// The snapshot's site, while it could not be served yet.
    pending: Option<Arc<Site>>,
    fixed: Option<Fixed>,
    routes: Routes,
    brake: Brake,
    /// Removed routes whose connections are not yet known to be ended.
    clearing: Vec<Route>,
}

impl DataPlane {
    /// Whether nothing of a Slot's route is left: it is not programmed, its connections are ended, and the snapshot on
    /// disk does not have it.
    pub async fn is_gone(&self, index: SlotIndex, uid: Uid) -> bool {
        let table = self.0.table.lock().await;
        let clearing = table
            .clearing
            .iter()
            .any(|route| route.index == index && route.uid == uid);
        // A port that is forwarded for nobody known may still lead to this Slot's machine.
        let unnamed = table.routes.unnamed().any(|(other, _)| other == index);
        table.routes.get(index).is_none_or(|route| route.uid != uid) && !clearing && !unnamed
    }

    /// The route of an index.
    pub async fn route(&self, index: SlotIndex) -> Option<Route> {
        self.0.table.lock().await.routes.get(index).cloned()
    }

    /// How many slots are forwarded.
    pub async fn routes(&self) -> usize {
        self.0.table.lock().await.routes.len()
    }

    /// The site that is served.
    #[must_use]
    pub fn site(&self) -> Option<Arc<Site>> {
        self.0.site.borrow().clone()
    }

    /// Looks at a machine now, apart from the schedule.
    ///
    /// # Errors
    /// Why it does not answer.
    pub async fn probe(&self, index: SlotIndex) -> Result<Answer, ProbeError> {
        let (site, route) = (self.site(), self.route(index).await);
        let address = site.as_ref().and_then(|site| site.facts().public.first());
        let port = route.as_ref().and_then(Route::ssh_port);
        let (Some(address), Some(port)) = (address, port) else {
            return Err(ProbeError::Gone);
        };
        self.0.prober.answer(*address, port).await
    }

    /// A machine boots now: it is looked at often until it answers.
    pub fn expect(&self, index: SlotIndex, uid: Uid) {
        self.0.order(Order::Expect(index, uid));
    }

    /// A person has looked at the removals that wait: they may go, once. They are done when they are heard again.
    pub async fn release_brake(&self) {
        self.0.table.lock().await.brake.release();
    }

    /// How it is with table, snapshot and limits.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// How it is with the web server.
    #[must_use]
    pub fn caddy(&self) -> watch::Receiver<caddy::State> {
        self.0.caddy.clone()
    }

    /// How it is with the certificate.
    #[must_use]
    pub fn certificate(&self) -> watch::Receiver<certificate::Status> {
        self.0.certificate.clone()
    }

    /// Reads the counters now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn count(&self) -> Result<(), PlaneError> {
        self.0.count().await
    }

    /// What was counted, some seconds ago.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }
}

impl Shared {
    fn order(&self, order: Order) {
        // Nobody takes orders while the process ends.
        let _unheard = self.orders.send(order);
    }

    fn note(&self, change: impl FnOnce(&mut Health)) {
        self.health.send_if_modified(|health| {
            let before = health.clone();
            change(health);
            *health != before
        });
    }
}
