//! One pass over a released Slot: look, plan, act, look again, until its VM is proven absent or it has to wait.

use std::{sync::Arc, time::Duration};

use crds::{Slot, common::Actor};
use domain::{
    ids::{Uid, Vmid},
    pve::Class,
    stamp::Stamp,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use operator_core::{
    condition::Wait,
    provider::{
        machine::status::sentence,
        plan::{Plan, Verdict},
        seen::{Presence, TaskSeen, Why},
        slot::release::{Agent, Bounds, Facts, Step, plan},
        trouble::{StepKind, Trouble},
    },
    reason::Reason,
};

use super::setting;
use crate::caches::{decoded, get};
use crate::provider::{
    Shared,
    act::{Drive, Hands},
    error::Error,
    failed::Failed,
    look::{Scope, free, look},
    memory::Remembered,
    objects::Identity,
    pool::PoolHandle,
};

/// Annotation by which a person states that the route is gone.
pub const ROUTE_REMOVED: &str = "decent-cloud.org/route-removed";
/// Steps of one pass at most.
const ROUNDS: usize = 12;

/// How a pass ended.
#[derive(Debug)]
pub enum Ending {
    /// It rests or is set aside.
    Over,
    /// It waits.
    Waiting(Wait, SignedDuration),
}

/// One pass.
///
/// # Errors
/// A call to the API server failed, or a step at Proxmox.
pub async fn pass(shared: &Shared, slot: &Slot, identity: &Identity) -> Result<Ending, Error> {
    let (namespace, pool_name) = (identity.namespace.as_str(), slot.spec.pool.as_str());
    let Some(pool) = shared.pools.get(namespace, pool_name) else {
        let wait = shared.pools.not_connected(namespace, pool_name);
        return Ok(Ending::Waiting(wait, SignedDuration::from_secs(2)));
    };
    let Some((stamp, vmid, template)) = identities(shared, slot, identity)? else {
        let text = format!(
            "Machine {} is gone, so nothing at VMID {} can be proven ours.",
            slot.spec.machine_ref.name, slot.spec.vmid
        );
        let wait = Wait::new(
            Reason::MachineLost,
            text,
            "The market operator looks at the VM's notes and removes it by hand.",
        );
        return Ok(Ending::Waiting(wait, SignedDuration::from_mins(1)));
    };
    let agent = agent(shared, slot, &identity.namespace).await?;
    let cell = shared.memory.of(&identity.uid);
    let mut memory = cell.lock().await;
    let mut giving = Giving {
        shared,
        slot,
        pool,
        stamp,
        vmid,
        template,
        agent,
    };
    giving.run(&mut memory).await
}

/// The stamp needs the hub, which only the Machine knows; without the Machine nothing can be proven.
fn identities(
    shared: &Shared,
    slot: &Slot,
    identity: &Identity,
) -> Result<Option<(Stamp, Vmid, Vmid)>, Error> {
    let machine_name = slot.spec.machine_ref.name.as_str();
    let incomplete = |field| Error::Incomplete {
        what: format!("Slot {}", identity.name),
        field,
    };
    let machine_uid: Uid = slot
        .spec
        .machine_ref
        .uid
        .as_str()
        .parse()
        .map_err(|_| incomplete("spec.machineRef.uid"))?;
    let guard = get(&shared.machines, &identity.namespace, machine_name);
    let machine = guard
        .as_ref()
        .and_then(|guard| decoded(guard))
        .filter(|m| m.uid().as_deref() == Some(slot.spec.machine_ref.uid.as_str()));
    let Some(machine) = machine else { return Ok(None) };
    let hub = machine
        .spec
        .hub_uid
        .as_str()
        .parse()
        .map_err(|_| incomplete("its hub"))?;
    let vmid = |value: i32, field| Vmid::try_from(i64::from(value)).map_err(|_| incomplete(field));
    let stamp = Stamp {
        hub,
        machine: machine_uid,
        slot: identity.uid,
    };
    Ok(Some((
        stamp,
        vmid(slot.spec.vmid, "spec.vmid")?,
        vmid(slot.spec.template_vmid, "spec.templateVmid")?,
    )))
}

/// Whether the agent of the Slot's Gateway lives.
///
/// # Errors
/// A call to the API server failed.
pub async fn agent(shared: &Shared, slot: &Slot, namespace: &str) -> Result<Agent, Error> {
    let api: Api<Lease> = Api::namespaced(shared.ctx.client.clone(), namespace);
    let lease = shared
        .ctx
        .writer
        .get(&api, &crds::gateway::agent_lease(slot.spec.gateway.as_str()))
        .await
        .map_err(Error::kube)?;
    let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
    let holds = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(15).into());
    let renewed = spec.renew_time.map(|time| time.0);
    // A host that has enrolled may have made routes, whatever became of its Lease.
    let enrolled = shared.pools.has_host(namespace, slot.spec.gateway.as_str());
    Ok(match Agent::of(renewed, holds, shared.ctx.clock.now()) {
        Agent::Never if enrolled => Agent::Expired,
        known => known,
    })
}

/// Takes note of a failed step.
fn failure(failed: &Failed, memory: &mut Remembered, now: Timestamp) -> Trouble {
    let Failed {
        step, class, text, ..
    } = failed;
    let trouble = Trouble::again(memory.trouble.as_ref(), *step, class.clone(), text.clone(), now);
    memory.trouble = Some(trouble.clone());
    trouble
}

struct Giving<'a> {
    shared: &'a Shared,
    slot: &'a Slot,
    pool: Arc<PoolHandle>,
    stamp: Stamp,
    vmid: Vmid,
    template: Vmid,
    agent: Agent,
}

impl Giving<'_> {
    async fn run(&mut self, memory: &mut Remembered) -> Result<Ending, Error> {
        // A Slot that this process made and never cloned for has no VM, but somebody may sit there: look all the same.
        memory.untouched = false;
        if memory.task.is_none() {
            memory.permit = None;
        }
        let mut wait = Wait::new(Reason::Destroying, "Being given back.", "");
        for _ in 0..ROUNDS {
            let now = memory.now(&*self.shared.ctx.clock);
            let Plan { step, verdict } = plan(&self.facts(memory, now).await);
            let recheck;
            (wait, recheck) = match verdict {
                Verdict::Settled => return Ok(Ending::Over),
                Verdict::Waiting { wait, recheck } => (wait, recheck),
                Verdict::Blocked { wait } => (wait, SignedDuration::from_secs(30)),
            };
            match step {
                None => return Ok(Ending::Waiting(wait, recheck)),
                Some(Step::Rest) => return setting::rest(self.shared, self.slot).await.map(|_| Ending::Over),
                Some(Step::Quarantine(text)) => {
                    return setting::quarantine(self.shared, self.slot, &text)
                        .await
                        .map(|_| Ending::Over);
                }
                Some(step) => {
                    if let Err(failed) = self.act(step, memory, now).await {
                        let trouble = failure(&failed, memory, now);
                        if failed.class != Class::Conflict {
                            self.tell(&trouble).await?;
                            return Err(Error::Step(failed));
                        }
                    }
                }
            }
        }
        Ok(Ending::Waiting(wait, SignedDuration::from_secs(1)))
    }

    /// Says what failed, unless it is the first time and mends itself.
    async fn tell(&self, trouble: &Trouble) -> Result<(), Error> {
        let wait = trouble.wait(&self.pool.asker());
        if trouble.count > 1 || wait.actor != Actor::Nobody {
            setting::say(self.shared, self.slot, wait.reason, &sentence(&wait)).await?;
        }
        Ok(())
    }

    async fn facts(&self, memory: &mut Remembered, now: Timestamp) -> Facts {
        let config = &self.shared.config;
        let scope = Scope {
            pve: &self.pool.pve,
            vmid: self.vmid,
            node: self.slot.spec.node.as_str(),
            template: self.template,
            absence_interval: config.absence_interval,
            pool: self.pool.spec.proxmox.pool.as_str(),
            token: self.pool.token_id(),
        };
        let found = look(&scope, memory, now).await;
        let quorate = match &found.guest {
            Presence::Present(_) if found.task == TaskSeen::None => self
                .pool
                .pve
                .cluster_status()
                .await
                .ok()
                .map(|status| status.quorate),
            _ => None,
        };
        let status = self.slot.status.as_ref();
        Facts {
            stamp: self.stamp,
            vmid: self.vmid,
            release: status.and_then(|s| s.release.clone()),
            route: status.and_then(|s| s.route.clone()),
            agent: self.agent,
            route_waived: self.slot.annotations().contains_key(ROUTE_REMOVED),
            guest: found.guest,
            task: found.task,
            quorate,
            trouble: memory.trouble.clone(),
            asker: self.pool.asker(),
            slot: setting::named(self.slot),
            now,
            bounds: Bounds {
                route: config.route_wait,
                shutdown: config.shutdown_wait,
                task: config.task_limit,
            },
        }
    }

    async fn act(&self, step: Step, memory: &mut Remembered, now: Timestamp) -> Result<TaskSeen, Failed> {
        let patience = Duration::try_from(self.shared.config.shutdown_wait).unwrap_or_default();
        let mut hands = Hands {
            pve: &self.pool.pve,
            memory,
            now,
        };
        match step {
            Step::Cancel => hands.cancel().await,
            Step::Shutdown(proof) => hands.drive(&proof, Drive::Shutdown(patience)).await,
            Step::Stop(proof) => hands.drive(&proof, Drive::Stop).await,
            Step::Unprotect(proof) => hands.unprotect(&proof).await.map(|()| TaskSeen::None),
            Step::Destroy(proof) => hands.drive(&proof, Drive::Destroy).await,
            Step::Rest | Step::Quarantine(_) => Ok(TaskSeen::None),
        }
    }
}

/// Why the VMID of a quarantined Slot is not proven free; None when it is.
///
/// # Errors
/// A step at Proxmox failed.
pub async fn hindrance(shared: &Shared, slot: &Slot, identity: &Identity) -> Result<Option<String>, Error> {
    let number = slot.spec.vmid;
    let Some(pool) = shared.pools.get(&identity.namespace, slot.spec.pool.as_str()) else {
        return Ok(Some(format!(
            "Pool {} is not connected, so nobody can ask.",
            slot.spec.pool
        )));
    };
    let Ok(vmid) = Vmid::try_from(i64::from(number)) else {
        return Ok(Some(format!("{number} is no VMID.")));
    };
    let cell = shared.memory.of(&identity.uid);
    let mut memory = cell.lock().await;
    let now = memory.now(&*shared.ctx.clock);
    // What was destroyed before the Slot was set aside proves nothing about what came after.
    memory.destroyed = false;
    let seen = free(
        &pool.pve,
        vmid,
        shared.config.absence_interval,
        (&mut memory, now),
    )
    .await
    .map_err(|e| Error::Step(Failed::of(StepKind::Observe)(e)))?;
    Ok(match seen {
        Some(Presence::Absent) => None,
        Some(Presence::Unknown(Why::NoQuorum)) => {
            Some("The Proxmox cluster has no quorum, so its word proves nothing.".to_owned())
        }
        Some(_) => Some(format!("VMID {number} looks free; one more look proves it.")),
        None => Some(format!("VMID {number} is still taken.")),
    })
}
