//! The agent's Lease: that this agent lives, and that no other has its identity. Says whether the hub is there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::identity::Identity;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kit::clock::Clock;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::client::writer;

/// How often it is renewed.
const BEAT: Duration = Duration::from_secs(5);
/// For how long it holds: three beats.
const HOLDS_SECONDS: i32 = 15;
const HOLDS: Duration = Duration::from_secs(15);
/// How soon a failed call is made again.
const RETRY: Duration = Duration::from_secs(1);

/// Why the agent must not go on.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// Another agent renews the Lease.
    #[error(
        "another agent has this host's identity and lives ({holder}): was the folder of its state copied? Enrol this host anew"
    )]
    Taken {
        /// Who.
        holder: String,
    },
}

/// One agent's claim to its identity.
pub struct Heartbeat {
    client: Client,
    namespace: String,
    name: String,
    holder: String,
    clock: Arc<dyn Clock>,
    hub: watch::Sender<bool>,
    held: watch::Sender<bool>,
}

/// What was seen of another holder: who, at which renewal, since when by our clock.
type Rival = (String, Option<Timestamp>, Instant);

impl Heartbeat {
    /// A claim; `state` tells two copies on one host apart, the boot two hosts.
    pub fn new(
        client: Client,
        identity: &Identity,
        state: &Path,
        clock: Arc<dyn Clock>,
        hub: (watch::Sender<bool>, watch::Sender<bool>),
    ) -> Self {
        let (hub, held) = hub;
        let name = crds::gateway::agent_lease(&identity.gateway);
        Self {
            client,
            namespace: identity.namespace.clone(),
            name,
            holder: format!("{}/{}", identity.host, instance(state)),
            clock,
            hub,
            held,
        }
    }

    /// Renews until shutdown.
    ///
    /// # Errors
    /// Another agent with the same identity lives.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), HeartbeatError> {
        let mut rival: Option<Rival> = None;
        loop {
            let pause = match self.beat(&mut rival).await? {
                Ok(held) => {
                    self.hub.send_replace(true);
                    self.held.send_replace(held);
                    if held { BEAT } else { RETRY }
                }
                Err(error) => {
                    if self.hub.send_replace(false) {
                        tracing::warn!("the hub is away: {}; routes stay as they are", kit::chain(&error));
                    } else {
                        tracing::debug!("the hub is away: {}", kit::chain(&error));
                    }
                    RETRY
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    /// Renews once, or waits for another holder's Lease to end. Whether the Lease is ours.
    async fn beat(
        &self,
        rival: &mut Option<Rival>,
    ) -> Result<Result<bool, kit::call::Error>, HeartbeatError> {
        let api = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let found = match writer().get(&api, &self.name).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let Some(mut lease) = found else {
            // The gateway controller makes it.
            return Ok(Ok(false));
        };
        if let Some(holder) = self.other(&lease, rival)? {
            tracing::debug!(holder, "the Lease has another holder; waiting for its end");
            return Ok(Ok(false));
        }
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        spec.holder_identity = Some(self.holder.clone());
        spec.lease_duration_seconds = Some(HOLDS_SECONDS);
        spec.renew_time = Some(MicroTime(self.clock.now()));
        Ok(writer().replace(&api, &lease).await.map(|_| true))
    }

    /// Another holder whose Lease may still hold: by our own clock, since its may be wrong.
    fn other(&self, lease: &Lease, rival: &mut Option<Rival>) -> Result<Option<String>, HeartbeatError> {
        let spec = lease.spec.as_ref();
        let holder = spec
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default();
        if holder.is_empty() || holder == self.holder {
            *rival = None;
            return Ok(None);
        }
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        match rival {
            Some((same, at, since)) if *same == holder && *at == renewed => {
                let over = since.elapsed() >= HOLDS;
                Ok((!over).then_some(holder))
            }
            Some((same, ..)) if *same == holder => Err(HeartbeatError::Taken { holder }),
            // Its clock may be wrong, and so may ours: only a renewal that does not come proves its end.
            _ => {
                *rival = Some((holder.clone(), renewed, Instant::now()));
                Ok(Some(holder))
            }
        }
    }
}

/// What differs between two hosts, two boots, and two copies of a state.
fn instance(state: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let place = std::fs::metadata(state).map(|found| format!("{:x}-{:x}", found.dev(), found.ino()));
    format!("{}/{}", boot.trim(), place.unwrap_or_default())
}
