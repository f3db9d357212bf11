//! The loop between hub and data plane: what is heard is done, what became of it is written. Local work comes first and
//! never waits for a write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_core::doctor::{Finding, judge};
use agent_core::identity::Identity;
use agent_core::routes::{Claim, Heard};
use agent_core::site::Site;
use crds::common::API_VERSION;
use crds::gateway::{AgentStatus, Enrolment};
use crds::{Gateway, Slot};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kit::clock::{Clock, SystemClock};
use kit::server_clock::{Limits, ServerClock};
use kit::tasks::Tasks;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::challenges::Challenges;
use super::client::{ClientError, Proof, connect, writer};
use super::facts::facts;
use super::heartbeat::Heartbeat;
use super::ledger::{Due, Ledger};
use super::report::{Facts, same, status};
use super::store::{Store, StoreError};
use super::token::renew;
use super::watch::{News, watch as follow};
use crate::config::Config;
use crate::doctor;
use crate::plane::{DataPlane, Seams};

/// How often what is left to do is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How often the host is examined.
const EXAMINE: Duration = Duration::from_mins(5);
/// Words of the hub that wait.
const QUEUE: usize = 1024;

/// Why the hub's part cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The enrolment.
    #[error("failed to read the enrolment")]
    Store(#[source] StoreError),
    /// There is none.
    #[error(
        "this host has not enrolled: on your machine `dcctl gateway token`, then here `decent-agent enrol`"
    )]
    NotEnrolled,
    /// Another host won.
    #[error(
        "another host ({0}) serves this Gateway with the same identity: remove this host's state, or revoke the other"
    )]
    Another(String),
    /// The way to the hub.
    #[error("failed to prepare for the hub")]
    Client(#[source] ClientError),
}

/// The hub's part of a running agent.
struct Hub {
    identity: Identity,
    client: Client,
    plane: DataPlane,
    ledger: Ledger,
    challenges: Challenges,
    site: Option<Arc<Site>>,
    gateway: Option<Gateway>,
    refused: Option<String>,
    findings: watch::Receiver<Vec<Finding>>,
    /// Slots as the hub told them, by name: read again when the Gateway has become usable.
    slots: BTreeMap<String, Slot>,
    /// Whether the Lease is ours: nothing is written before.
    held: watch::Receiver<bool>,
    told: Option<AgentStatus>,
    telling: bool,
    clock: Arc<SystemClock>,
}

/// A write that has landed, or not.
enum Landed {
    Route(Due, bool),
    Agent(Box<AgentStatus>, bool),
}

type Flying = FuturesUnordered<BoxFuture<'static, Landed>>;

/// A host that has enrolled.
pub struct Enrolled {
    identity: Identity,
    store: Store,
    state: PathBuf,
}

/// The enrolment that is kept in this folder, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn enrolled(state: &Path) -> Result<Option<Enrolled>, HubError> {
    let store = Store::new(state);
    let kept = store.load().map_err(HubError::Store)?;
    Ok(kept.map(|(identity, _)| Enrolled {
        identity,
        store,
        state: state.to_owned(),
    }))
}

/// Starts it beside a data plane.
///
/// # Errors
/// Why it cannot.
pub fn start(
    (config, enrolled): (Config, Enrolled),
    (plane, seams): (DataPlane, Seams),
    tasks: &Tasks,
    clock: Arc<SystemClock>,
) -> Result<(), HubError> {
    let Enrolled {
        identity,
        store,
        state,
    } = enrolled;
    let server_clock = Arc::new(ServerClock::new(clock.clone(), Limits::default()));
    let client =
        connect(&identity, &Proof::File(store.token_file()), server_clock).map_err(HubError::Client)?;
    let Seams { reports, asks, hub } = seams;
    let (holds, held) = watch::channel(false);
    let heartbeat = Heartbeat::new(client.clone(), &identity, &state, clock.clone(), (hub, holds));
    tasks.spawn("heartbeat", heartbeat.run(tasks.shutdown()));
    let renewing = renew(
        client.clone(),
        (identity.clone(), store),
        clock.clone(),
        tasks.shutdown(),
    );
    tasks.spawn("token", endless(renewing));
    let (sender, news) = mpsc::channel(QUEUE);
    let of = (identity.namespace.clone(), identity.gateway.clone());
    tasks.spawn(
        "watch",
        endless(follow(client.clone(), of, sender, tasks.shutdown())),
    );
    let (found, findings) = watch::channel(Vec::new());
    tasks.spawn(
        "doctor",
        endless(examine(config, Arc::clone(&clock), found, tasks.shutdown())),
    );
    let hub = Hub {
        identity,
        client,
        plane,
        ledger: Ledger::default(),
        challenges: Challenges::default(),
        site: None,
        gateway: None,
        refused: None,
        findings,
        slots: BTreeMap::new(),
        held,
        told: None,
        telling: false,
        clock,
    };
    tasks.spawn("hub", hub.run((news, reports, asks), tasks.shutdown()));
    Ok(())
}

async fn endless(run: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    run.await;
    Ok(())
}

/// Examines the host now and then.
async fn examine(
    config: Config,
    clock: Arc<SystemClock>,
    found: watch::Sender<Vec<Finding>>,
    shutdown: CancellationToken,
) {
    loop {
        found.send_replace(judge(
            &doctor::gather(&config, &*clock, facts(&config.state).await).await,
        ));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EXAMINE) => {}
        }
    }
}

type Inputs = (
    mpsc::Receiver<News>,
    mpsc::UnboundedReceiver<crate::probe::Report>,
    crate::certificate::Asks,
);

impl Hub {
    async fn run(mut self, inputs: Inputs, shutdown: CancellationToken) -> Result<(), HubError> {
        let (mut news, mut reports, mut asks) = inputs;
        let mut flying = Flying::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(said) = news.recv() => self.take(said).await?,
                Some(report) = reports.recv() => self.ledger.probed(report),
                Some(ask) = asks.recv() => self.challenges.take(ask),
                Some(landed) = flying.next(), if !flying.is_empty() => self.landed(landed),
                _ = tick.tick() => self.look().await,
            }
            self.remove().await;
            self.launch(&mut flying).await;
        }
    }

    async fn take(&mut self, said: News) -> Result<(), HubError> {
        match said {
            News::Gateway(gateway) => {
                self.refuse_another(&gateway)?;
                self.serve(*gateway).await;
            }
            News::Slots(slots) => {
                self.slots = slots.into_iter().map(|slot| (slot.name_any(), slot)).collect();
                self.hear_all().await;
            }
            News::Slot(slot) => {
                let claim = self.heard(&slot);
                self.slots.insert(slot.name_any(), *slot);
                if let Some(claim) = claim {
                    self.hear(Heard::One(&claim)).await;
                }
            }
            News::Gone(name) => {
                self.slots.remove(&name);
                self.ledger.gone(&name);
            }
        }
        Ok(())
    }

    /// Two hosts may have begun to enrol; the field says which of them serves.
    fn refuse_another(&self, gateway: &Gateway) -> Result<(), HubError> {
        let agent = gateway.status.as_ref().and_then(|status| status.agent.as_ref());
        let Some(by) = agent.and_then(|agent| agent.enrolment.as_ref()) else {
            return Ok(());
        };
        let same_identity = by.identity.as_str() == self.identity.identity.to_string();
        if same_identity && by.host.as_str() != self.identity.host.to_string() {
            return Err(HubError::Another(by.host.as_str().to_owned()));
        }
        Ok(())
    }

    /// All Slots as they were told last.
    async fn hear_all(&mut self) {
        let slots: Vec<Slot> = self.slots.values().cloned().collect();
        let claims: Vec<Claim> = slots.iter().filter_map(|slot| self.heard(slot)).collect();
        self.hear(Heard::All(&claims)).await;
    }

    async fn serve(&mut self, gateway: Gateway) {
        let published = gateway
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.challenges_published);
        self.challenges.published(published);
        let unchanged = self
            .gateway
            .as_ref()
            .is_some_and(|old| old.metadata.generation == gateway.metadata.generation);
        self.gateway = Some(gateway);
        if !unchanged || self.refused.is_some() {
            self.settle().await;
        }
    }

    /// Serves the Gateway as it is written, if it can be.
    async fn settle(&mut self) {
        let Some(gateway) = &self.gateway else { return };
        let first = self.site.is_none();
        let served = match Site::of(gateway) {
            Ok(site) => match self.plane.serve(site.clone()).await {
                Ok(()) => Ok(site),
                Err(error) => Err(kit::chain(&error)),
            },
            Err(error) => Err(kit::chain(&error)),
        };
        match served {
            Ok(site) => {
                self.site = Some(Arc::new(site));
                self.refused = None;
            }
            Err(text) => {
                if self.refused.as_ref() != Some(&text) {
                    tracing::error!("the Gateway cannot be served as it is written: {text}");
                }
                self.refused = Some(text);
            }
        }
        if first && self.site.is_some() && !self.slots.is_empty() {
            self.hear_all().await;
        }
    }

    /// A Slot as far as routes go; one that cannot be understood changes nothing.
    fn heard(&mut self, slot: &Slot) -> Option<Claim> {
        let site = self.site.as_ref()?;
        match Claim::read(slot, site) {
            Ok(claim) => {
                self.ledger.heard(slot, &claim);
                Some(claim)
            }
            Err(error) => {
                let name = slot.name_any();
                tracing::error!(slot = %name, "slot {name} is left alone: {}", kit::chain(&error));
                None
            }
        }
    }

    async fn hear(&self, heard: Heard<'_>) {
        if self.site.is_none() {
            return;
        }
        if let Err(error) = self.plane.hear(heard).await {
            tracing::warn!("routes are not yet as they should be: {}", kit::chain(&error));
        }
    }

    /// Tells the hub which routes are gone; what is not gone yet is removed again.
    async fn remove(&mut self) {
        for (index, uid) in self.ledger.leaving() {
            if self.plane.is_gone(index, uid).await {
                self.ledger.removed(index, uid, self.clock.now());
            }
        }
    }

    /// Now and then: what failed before is done again.
    async fn look(&mut self) {
        if self.refused.is_some() {
            self.settle().await;
        }
        for (index, uid) in self.ledger.leaving() {
            let name = domain::names::slot_name(&self.identity.gateway, index.0);
            let claim = self.slots.get(&name).cloned().and_then(|slot| self.heard(&slot));
            if let Some(claim) = claim.filter(|claim| claim.route.uid == uid) {
                self.hear(Heard::One(&claim)).await;
            }
        }
    }

    async fn launch(&mut self, flying: &mut Flying) {
        if !*self.held.borrow() {
            return;
        }
        for due in self.ledger.launch() {
            flying.push(Box::pin(write_route(
                self.client.clone(),
                self.identity.namespace.clone(),
                due,
            )));
        }
        if self.telling || self.gateway.is_none() {
            return;
        }
        let next = self.status().await;
        let told = self
            .told
            .clone()
            .or_else(|| self.gateway.as_ref()?.status.as_ref()?.agent.clone());
        if told.is_some_and(|told| same(&told, &next)) {
            return;
        }
        self.telling = true;
        flying.push(Box::pin(write_agent(
            self.client.clone(),
            self.identity.clone(),
            next,
        )));
    }

    async fn status(&self) -> AgentStatus {
        let (health, caddy) = (self.plane.health(), self.plane.caddy());
        let certificate = self.plane.certificate();
        let (health, caddy, certificate) = (
            health.borrow().clone(),
            caddy.borrow().clone(),
            certificate.borrow().clone(),
        );
        let doctor = self.findings.borrow().clone();
        let applied = self.gateway.as_ref().filter(|_| self.refused.is_none());
        status(&Facts {
            enrolment: Enrolment {
                host: self.identity.host.to_string().as_str().into(),
                identity: self.identity.identity.to_string().as_str().into(),
            },
            applied: applied.and_then(|gateway| gateway.metadata.generation),
            challenges: self.challenges.wanted(),
            certificate: &certificate,
            routes: self.plane.routes().await,
            health: &health,
            caddy: &caddy,
            refused: self.refused.as_deref(),
            doctor: &doctor,
        })
    }

    fn landed(&mut self, landed: Landed) {
        match landed {
            Landed::Route(due, ok) => self.ledger.landed(&due, ok),
            Landed::Agent(status, ok) => {
                self.telling = false;
                if ok {
                    self.told = Some(*status);
                }
            }
        }
    }
}

async fn write_route(client: Client, namespace: String, due: Due) -> Landed {
    let api = Api::<Slot>::namespaced(client, &namespace);
    let body = json!({
        "apiVersion": API_VERSION, "kind": "Slot", "metadata": {"name": due.name, "uid": due.uid},
        "status": {"route": due.route},
    });
    let written = writer().apply_status_if_present(&api, &due.name, &body).await;
    let ok = settled(written.map(drop), &format!("the route of slot {}", due.name)).await;
    Landed::Route(due, ok)
}

async fn write_agent(client: Client, identity: Identity, status: AgentStatus) -> Landed {
    let api = Api::<Gateway>::namespaced(client, &identity.namespace);
    let body = json!({
        "apiVersion": API_VERSION, "kind": "Gateway", "metadata": {"name": identity.gateway},
        "status": {"agent": status},
    });
    let written = writer()
        .apply_status_if_present(&api, &identity.gateway, &body)
        .await;
    let ok = settled(written.map(drop), "what the agent says of itself").await;
    Landed::Agent(Box::new(status), ok)
}

/// Whether a write has done its work; one that failed rests before it is tried again.
async fn settled(written: Result<(), kit::call::Error>, what: &str) -> bool {
    match written {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!("{what} was not written: {}", kit::chain(&error));
            tokio::time::sleep(TICK).await;
            false
        }
    }
}
