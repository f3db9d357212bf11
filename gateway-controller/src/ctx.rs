//! What the controller's passes share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use crds::{Gateway, Slot};
use domain::ids::Uid;
use jiff::SignedDuration;
use kit::{
    apply::Writer, backoff::Backoff, cache::Guarded, clock::Clock, events::Events, metrics::Reconciles,
};
use kube::{Client, runtime::reflector::Store};

use crate::{names::Memory, zones::Zones};

/// Namespace and name of a Gateway.
pub type Key = (String, String);

/// Shared by all passes.
pub struct Ctx {
    /// The API server.
    pub client: Client,
    /// All writes, under the manager `decent-gateway`.
    pub writer: Writer,
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Events on transitions.
    pub events: Events,
    /// Durations and failures of passes.
    pub reconciles: Reconciles,
    /// Pauses after failures.
    pub backoff: Backoff<Key>,
    /// Gateways.
    pub gateways: Store<Guarded<Gateway>>,
    /// Slots.
    pub slots: Store<Guarded<Slot>>,
    /// Zones.
    pub zones: Zones,
    /// What is remembered of each Gateway, by UID.
    pub memories: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
    /// Identity of the hub.
    pub hub: Uid,
    /// Records are listed again after this.
    pub dns_interval: Duration,
    /// A failure is looked at again after this.
    pub dns_retry: Duration,
    /// A Secret that may enrol a host is removed after this.
    pub enrolment_life: SignedDuration,
}
