//! The tenant's hands: rents machines, ends contracts, and waits for what becomes of them.

use std::time::Duration;

use anyhow::{Context, Result};
use crds::{Contract, Machine, Slot};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use testkit::wait::until;

use super::clock::Clock;
use super::objects::{self, PROVIDER, TENANT};

/// A contract that was created.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Just before the request, in milliseconds since the epoch.
    pub asked_ms: f64,
    /// Just after the answer.
    pub answered_ms: f64,
}

impl Created {
    /// The name that its VM gets: the first ten digits of the UID.
    pub fn vm_name(&self) -> String {
        format!("dc-{}", self.digits(10))
    }

    /// The name of its Machine.
    pub fn machine_name(&self) -> String {
        format!("m-{}", self.digits(20))
    }

    fn digits(&self, count: usize) -> String {
        self.uid.chars().filter(|c| *c != '-').take(count).collect()
    }
}

/// The contracts of the tenant, and what the provider's namespace holds for them.
#[derive(Clone)]
pub struct Contracts {
    own: Api<Contract>,
    machines: Api<Machine>,
    slots: Api<Slot>,
}

impl Contracts {
    /// Through this client.
    pub fn new(client: Client) -> Self {
        Self {
            own: Api::namespaced(client.clone(), TENANT),
            machines: Api::namespaced(client.clone(), PROVIDER),
            slots: Api::namespaced(client, PROVIDER),
        }
    }

    /// Rents one machine.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create(&self, name: &str, clock: Clock) -> Result<Created> {
        let wanted: Contract =
            serde_json::from_value(objects::contract(name)).context("failed to build a contract")?;
        let asked_ms = clock.ms();
        let made = self.own.create(&PostParams::default(), &wanted).await;
        let answered_ms = clock.ms();
        let made = made.with_context(|| format!("failed to create contract {name}"))?;
        Ok(Created {
            name: name.to_owned(),
            uid: made.uid().unwrap_or_default(),
            asked_ms,
            answered_ms,
        })
    }

    /// Cancels one contract.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn cancel(&self, name: &str) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "cancel": { "reason": "measured" } } }));
        let patched = self.own.patch(name, &PatchParams::default(), &patch).await;
        patched
            .map(drop)
            .with_context(|| format!("failed to cancel contract {name}"))
    }

    /// Waits until all contracts of the tenant are Ready.
    ///
    /// # Errors
    /// When they are not by the deadline; the text shows one that is not.
    pub async fn all_ready(&self, deadline: Duration) -> Result<()> {
        let seen = until("all contracts are Ready", deadline, || async {
            Ok(self.laggard().await?.is_none().then_some(()))
        });
        match seen.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.laggard().await?.unwrap_or_default())),
        }
    }

    /// What one contract that is not Ready says of itself.
    async fn laggard(&self) -> Result<Option<String>> {
        let all = self
            .own
            .list(&ListParams::default())
            .await
            .context("failed to list contracts")?;
        let late = |contract: &&Contract| !is_ready(contract);
        Ok(all
            .items
            .iter()
            .find(late)
            .map(|contract| format!("contract {}: {}", contract.name_any(), json!(contract.status))))
    }

    /// Waits until the Slots of these Machines rest and the Machines are gone.
    ///
    /// # Errors
    /// When that is not so by the deadline.
    pub async fn gone(&self, names: &[String], deadline: Duration) -> Result<()> {
        until("the Slots rest and their Machines are gone", deadline, || async {
            let machines = self
                .machines
                .list(&ListParams::default())
                .await
                .context("failed to list Machines")?;
            let slots = self
                .slots
                .list(&ListParams::default())
                .await
                .context("failed to list Slots")?;
            let rests = |slot: &&Slot| slot.status.as_ref().is_some_and(|s| s.resting_since.is_some());
            let ours = |slot: &&Slot| names.contains(&slot.spec.machine_ref.name.0);
            let gone = !machines
                .items
                .iter()
                .any(|machine| names.contains(&machine.name_any()));
            let resting = slots.items.iter().filter(ours).filter(rests).count();
            Ok((gone && resting == names.len()).then_some(()))
        })
        .await
    }

    /// Slot names by the name of the Machine that holds them.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn slots(&self) -> Result<Vec<(String, String)>> {
        let slots = self
            .slots
            .list(&ListParams::default())
            .await
            .context("failed to list Slots")?;
        Ok(slots
            .items
            .iter()
            .map(|slot| (slot.name_any(), slot.spec.machine_ref.name.0.clone()))
            .collect())
    }
}

fn is_ready(contract: &Contract) -> bool {
    let conditions = contract.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}
