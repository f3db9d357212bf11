//! What every controller is given: the client and the shell kit. What a family is configured with is passed to its
//! `run` beside it.

use std::sync::Arc;

use crds::provider::OperatorSite;
use domain::ids::Uid;
use jiff::SignedDuration;
use kit::{apply::Writer, clock::Clock, events::Events, metrics::Reconciles, server_clock::ServerClock};
use kube::Client;
use operator_core::provider::pool::endpoint::Network;

/// Shared by all controllers of the process.
#[derive(Clone)]
pub struct Ctx {
    /// The API server.
    pub client: Client,
    /// All writes, under the manager `decent-operator`, each with a deadline.
    pub writer: Writer,
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Whether the wall clock may be trusted for acts that can't be undone.
    pub server_clock: Arc<ServerClock>,
    /// Events on transitions.
    pub events: Events,
    /// Durations and failures of reconciliations.
    pub reconciles: Reconciles,
}

/// Configuration of the market family.
#[derive(Clone, Debug)]
pub struct MarketConfig {
    /// Identity of the hub: the UID of namespace kube-system.
    pub hub_uid: Uid,
    /// Take payment.method Test.
    pub allow_test_payment: bool,
    /// Length of a contract's hour.
    pub contract_hour: SignedDuration,
    /// A Contract that is not accepted by then expires.
    pub request_limit: SignedDuration,
    /// A machine that is not reached by then is refunded.
    pub provisioning_limit: SignedDuration,
}

/// Configuration of the provider family.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Which Providers are served.
    pub site: OperatorSite,
    /// The one namespace that is served; all without.
    pub namespace: Option<String>,
    /// How often a Pool's rights and templates are checked.
    pub preflight_interval: SignedDuration,
    /// How often a Pool's machines are looked at.
    pub tick_interval: SignedDuration,
    /// Time between two looks that prove absence together.
    pub absence_interval: SignedDuration,
    /// An id that is taken by something unseen is given up as lost after this.
    pub hidden_limit: SignedDuration,
    /// A machine that is being made is placed again once its node has been offline for this long.
    pub node_lost_after: SignedDuration,
    /// A destruction waits this long for its route at most.
    pub route_wait: SignedDuration,
    /// A guest has this long to shut down.
    pub shutdown_wait: SignedDuration,
    /// A task of Proxmox that runs longer is ended and tried again.
    pub task_limit: SignedDuration,
    /// A Slot rests this long.
    pub slot_rest: SignedDuration,
    /// A teardown that can't be proven finished is given up after this.
    pub abandon_after: SignedDuration,
    /// Call Proxmox on loopback addresses.
    pub allow_loopback_endpoints: bool,
    /// Networks of the hub's own cluster: Proxmox is never called there.
    pub cluster_networks: Vec<Network>,
}
