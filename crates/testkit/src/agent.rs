//! Plays the agent of one gateway, for tests and benchmarks: a route is programmed once the simulator says that the
//! VM of the Slot runs under its stamp, and removed once the Slot is released. Owns `Slot.status.route` and the
//! agent's Lease; touches no network, and must not see the operator's code.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::{Timestamp, Unit};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::GROUP;

/// Field manager of an agent.
const MANAGER: &str = "decent-agent";
const BANNER: &str = "SSH-2.0-OpenSSH_10.0p2 Debian-7";
const LOOK: Duration = Duration::from_millis(100);
const RENEW: Duration = Duration::from_secs(3);
const LEASE_SECONDS: i32 = 15;
const PARALLEL: usize = 16;

/// Whose agent is played, and where the truth about its VMs is.
pub struct Agent {
    /// May write Slots' status and Leases.
    pub client: Client,
    /// Namespace of the Gateway.
    pub namespace: String,
    /// Name of the Gateway.
    pub gateway: String,
    /// Address of the simulator's control port, such as `http://127.0.0.1:1`.
    pub sim_control: String,
}

/// What counts of a Slot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    uid: String,
    vmid: u64,
    claimed: bool,
    programmed: bool,
    removed: bool,
}

/// What is to be written to a Slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Program,
    Remove,
}

/// A guest, as far as it counts.
#[derive(Deserialize)]
struct Guest {
    vmid: u64,
    status: String,
    config: BTreeMap<String, Value>,
}

impl Agent {
    /// Plays until the future is dropped.
    ///
    /// # Errors
    /// When the first write or look fails; what fails later is said on stderr and tried again.
    pub async fn run(self) -> Result<()> {
        self.renew_lease().await?;
        let truth = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("failed to build a client")?;
        let config = Config::default().fields(&format!("spec.gateway={}", self.gateway));
        let mut events = pin!(watcher(self.slots(), config));
        let mut slots = BTreeMap::new();
        let (mut look_at, mut renew_at) = (Instant::now(), Instant::now() + RENEW);
        loop {
            let mut look = false;
            tokio::select! {
                event = events.next() => match event.context("the watch of Slots ended")? {
                    Ok(event) => note(&mut slots, event),
                    Err(error) => complain(&anyhow::Error::new(error).context("failed to watch Slots")),
                },
                () = sleep_until(look_at), if slots.values().any(Slot::awaits) => {
                    look = true;
                    look_at = Instant::now() + LOOK;
                }
                () = sleep_until(renew_at) => {
                    renew_at = Instant::now() + RENEW;
                    self.renew_lease().await.unwrap_or_else(|error| complain(&error));
                    continue;
                }
            }
            let done = async {
                let running = if look {
                    self.running(&truth).await?
                } else {
                    BTreeSet::new()
                };
                self.act(&mut slots, &running).await
            };
            done.await.unwrap_or_else(|error| complain(&error));
        }
    }

    /// Writes whatever the Slots need now.
    async fn act(&self, slots: &mut BTreeMap<String, Slot>, running: &BTreeSet<(u64, String)>) -> Result<()> {
        let due: Vec<(String, String, Act)> = slots
            .iter()
            .filter_map(|(name, slot)| Some((name.clone(), slot.uid.clone(), slot.due(running)?)))
            .collect();
        let mut done = stream::iter(due)
            .map(|(name, uid, act)| async move { self.write(&name, &uid, act).await.map(|()| (name, act)) })
            .buffer_unordered(PARALLEL);
        while let Some((name, act)) = done.try_next().await? {
            if let Some(slot) = slots.get_mut(&name) {
                slot.programmed = act == Act::Program;
                slot.removed = act == Act::Remove;
            }
        }
        Ok(())
    }

    /// Slot UIDs by VMID of the guests that run under a stamp.
    async fn running(&self, truth: &reqwest::Client) -> Result<BTreeSet<(u64, String)>> {
        let answer = truth
            .get(format!("{}/vms", self.sim_control))
            .send()
            .await
            .context("failed to ask the simulator")?;
        let guests: Vec<Guest> = answer
            .json()
            .await
            .context("failed to decode the simulator's guests")?;
        let running = guests.into_iter().filter(|guest| guest.status == "running");
        Ok(running
            .filter_map(|guest| Some((guest.vmid, guest.slot_uid()?)))
            .collect())
    }

    async fn write(&self, name: &str, uid: &str, act: Act) -> Result<()> {
        let at = now();
        let route = match act {
            Act::Program => {
                json!({ "programmed": true, "probedAt": at, "banner": BANNER, "hostKeys": [host_key(uid)] })
            }
            Act::Remove => json!({ "programmed": false, "removedAt": at }),
        };
        let body = json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "Slot", "metadata": { "name": name, "uid": uid },
            "status": { "route": route },
        });
        let written = self
            .slots()
            .patch_status(name, &params(), &Patch::Apply(&body))
            .await;
        match written {
            // Gone, or another one of that name.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            other => other
                .map(drop)
                .with_context(|| format!("failed to write the route of Slot {name}")),
        }
    }

    async fn renew_lease(&self) -> Result<()> {
        let name = format!("decent-agent-{}", self.gateway);
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name },
            "spec": { "holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now() },
        });
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let written = leases.patch(&name, &params(), &Patch::Apply(&body)).await;
        written
            .map(drop)
            .with_context(|| format!("failed to renew Lease {name}"))
    }

    fn slots(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(GROUP, "v1alpha1", "Slot");
        Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &ApiResource::from_gvk_with_plural(&kind, "slots"),
        )
    }
}

impl Slot {
    fn of(object: &DynamicObject) -> Self {
        let status = &object.data["status"];
        Self {
            uid: object.uid().unwrap_or_default(),
            vmid: object.data["spec"]["vmid"].as_u64().unwrap_or_default(),
            claimed: status["phase"].as_str().is_none_or(|phase| phase == "Claimed"),
            programmed: status["route"]["programmed"] == true,
            removed: status["route"]["removedAt"].is_string(),
        }
    }

    /// What was written already counts, though the watch may still deliver what was so before.
    fn keep(&mut self, known: &Self) {
        if self.uid == known.uid {
            self.programmed |= known.programmed && !known.removed;
            self.removed |= known.removed;
        }
    }

    /// Whether its VM must be looked for.
    fn awaits(&self) -> bool {
        self.claimed && !self.programmed
    }

    fn due(&self, running: &BTreeSet<(u64, String)>) -> Option<Act> {
        match self.claimed {
            true if self.awaits() && running.contains(&(self.vmid, self.uid.clone())) => Some(Act::Program),
            false if !self.removed => Some(Act::Remove),
            _ => None,
        }
    }
}

impl Guest {
    fn slot_uid(&self) -> Option<String> {
        let notes = self.config.get("description")?.as_str()?;
        let stamp = notes
            .lines()
            .find(|line| line.starts_with("decent-cloud.org/v1 "))?;
        stamp.split_once(" slot=").map(|(_, uid)| uid.trim().to_owned())
    }
}

fn note(slots: &mut BTreeMap<String, Slot>, event: Event<DynamicObject>) {
    match event {
        Event::Init => slots.clear(),
        Event::InitApply(object) | Event::Apply(object) => {
            let (name, mut slot) = (object.name_any(), Slot::of(&object));
            if let Some(known) = slots.get(&name) {
                slot.keep(known);
            }
            slots.insert(name, slot);
        }
        Event::Delete(object) => drop(slots.remove(&object.name_any())),
        Event::InitDone => {}
    }
}

fn params() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

#[expect(
    clippy::disallowed_methods,
    reason = "an agent's own clock; nothing is decided by it"
)]
fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Microsecond)
        .unwrap_or(now)
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

/// A well-formed Ed25519 public key that belongs to the Slot.
fn host_key(uid: &str) -> Value {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend(
        uid.bytes()
            .filter(|byte| *byte != b'-')
            .chain(std::iter::repeat(b'0'))
            .take(32),
    );
    // ByteString is the API's own base64.
    let text = json!(k8s_openapi::ByteString(blob));
    json!(format!("ssh-ed25519 {}", text.as_str().unwrap_or_default()))
}

fn complain(error: &anyhow::Error) {
    eprintln!("agent: {error:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    fn slot(status: &Value) -> Slot {
        let object = json!({
            "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Slot", "metadata": { "name": "ams1-0", "uid": UID },
            "spec": { "vmid": 10000 }, "status": status,
        });
        Slot::of(&serde_json::from_value(object).expect("an object"))
    }

    fn guests(status: &str, notes: &str) -> Option<(u64, String)> {
        let guest: Guest = serde_json::from_value(
            json!({ "vmid": 10000, "status": status, "config": { "description": notes } }),
        )
        .expect("a guest");
        Some((guest.vmid, guest.slot_uid()?))
    }

    #[test]
    fn a_route_needs_the_vm_of_this_very_slot() {
        let running = |uid: &str| {
            guests(
                "running",
                &format!("notes\ndecent-cloud.org/v1 hub=h machine=m slot={uid}"),
            )
        };
        let ours: BTreeSet<_> = running(UID).into_iter().collect();
        let other: BTreeSet<_> = running("0a1b2c3d-0000-4000-8000-000000000002")
            .into_iter()
            .collect();
        assert_eq!(slot(&json!({})).due(&ours), Some(Act::Program));
        assert_eq!(slot(&json!({})).due(&other), None);
        assert_eq!(
            slot(&json!({ "phase": "Claimed", "route": { "programmed": true } })).due(&ours),
            None
        );
    }

    #[test]
    fn a_released_slot_loses_its_route_once() {
        let none = BTreeSet::new();
        assert_eq!(
            slot(&json!({ "phase": "Releasing" })).due(&none),
            Some(Act::Remove)
        );
        let removed = json!({ "phase": "Releasing", "route": { "programmed": false, "removedAt": "t" } });
        assert_eq!(slot(&removed).due(&none), None);
    }

    #[test]
    fn what_was_written_is_not_written_again_for_an_older_event() {
        let released = slot(&json!({ "phase": "Releasing", "route": { "programmed": true } }));
        let mut again = released.clone();
        again.keep(&Slot {
            programmed: false,
            removed: true,
            ..released.clone()
        });
        assert_eq!(again.due(&BTreeSet::new()), None);
        let mut another = Slot {
            uid: "another".into(),
            ..released.clone()
        };
        another.keep(&Slot {
            removed: true,
            ..released
        });
        assert_eq!(another.due(&BTreeSet::new()), Some(Act::Remove));
    }

    #[test]
    fn host_keys_are_well_formed() {
        let key = host_key(UID);
        assert_eq!(key.as_str().map(str::len), Some("ssh-ed25519 ".len() + 68));
        assert!(
            key.as_str()
                .is_some_and(|key| key.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"))
        );
    }
}
