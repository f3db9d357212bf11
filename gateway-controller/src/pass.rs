//! One pass over a Gateway: look, bring names and access to what is wanted, say how it is.

use std::{sync::Arc, time::Duration};

use crds::{Gateway, Slot};
use domain::slot::{GatewayFacts, GatewayPlan};
use gateway_core::{
    claim::rival,
    dns::wanted,
    enrolment::host,
    reason::Reason,
    status::{Dns, Facts, LeaseSeen, recheck, status},
};
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kit::cache::{all, decoded};
use kube::ResourceExt;
use std::sync::PoisonError;

use crate::{
    access::{self, api},
    ctx::Ctx,
    error::{Error, Step, at},
    names::{self, Memory, Standing},
    store::store,
};

/// Held until the records are removed and no Slot names the Gateway.
pub const FINALIZER: &str = "decent-cloud.org/gateway";
/// A person states that the records may stay where they are.
pub const LEAVE_RECORDS: &str = "decent-cloud.org/leave-records";
/// What the agent is and may do is made sure of again after this.
const FURNISH: Duration = Duration::from_mins(10);
/// The API server remembers for ten seconds that a token was good.
const FORGOTTEN: Duration = Duration::from_secs(15);
/// A Gateway without a host that is heard of is looked at again after this.
const UNHEARD: Duration = Duration::from_secs(5);

/// One pass; when the next one is due by itself.
///
/// # Errors
/// A call to the API server failed.
pub async fn pass(ctx: &Ctx, gateway: &Gateway) -> Result<Option<Duration>, Error> {
    let cell = memory(ctx, gateway);
    let mut memory = cell.lock().await;
    let going = gateway.metadata.deletion_timestamp.is_some();
    if !going {
        let added = ctx
            .writer
            .add_finalizer(&api::<Gateway>(ctx, gateway), gateway, FINALIZER)
            .await;
        if added.map_err(at(Step::Finalize))?.is_some() {
            // The write brings it back, finalizer and all.
            return Ok(None);
        }
    }
    let slots = slots(ctx, gateway);
    if going && slots == 0 {
        return leave(ctx, gateway, &mut memory).await;
    }
    live(ctx, gateway, slots, &mut memory).await
}

fn memory(ctx: &Ctx, gateway: &Gateway) -> Arc<tokio::sync::Mutex<Memory>> {
    let uid = gateway.uid().unwrap_or_default();
    let mut all = ctx.memories.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(uid).or_default())
}

fn slots(ctx: &Ctx, gateway: &Gateway) -> usize {
    let (namespace, name) = (gateway.namespace(), gateway.name_any());
    let own = |slot: &Slot| slot.namespace() == namespace && slot.spec.gateway.as_str() == name;
    all(&ctx.slots, own).len()
}

async fn live(
    ctx: &Ctx,
    gateway: &Gateway,
    slots: usize,
    memory: &mut Memory,
) -> Result<Option<Duration>, Error> {
    let now = ctx.clock.now();
    let identity = identity(ctx, gateway, memory).await?;
    let enrolled = host(gateway, identity.as_deref()).is_some();
    access::spend(ctx, gateway, enrolled, now).await?;
    let others = all(&ctx.gateways, |_| true);
    let rival = rival(gateway, others.iter().filter_map(|guard| decoded(guard)));
    let standing = match &rival {
        Some(other) => taken(ctx, other),
        None => names::settle(ctx, gateway, wanted(gateway, enrolled), memory).await?,
    };
    let lease = access::lease(ctx, gateway).await?.as_ref().and_then(seen);
    let facts = Facts {
        gateway,
        rival,
        under: memory.under(gateway).iter().cloned().collect(),
        plan: plan(gateway),
        dns: standing.dns,
        identity,
        lease,
        slots,
        now,
    };
    let numbers = store(ctx, gateway, &status(&facts), memory).await?;
    let lease_ends = recheck(lease, now).and_then(|left| Duration::try_from(left).ok());
    let unheard = (lease_ends.is_none() || facts.identity.is_none()).then_some(UNHEARD);
    let next = [Some(standing.again), lease_ends, unheard, numbers]
        .into_iter()
        .flatten()
        .min();
    Ok(next)
}

/// UID of the Secret that credentials are bound to; what the agent needs is made now and then, and when that is gone.
///
/// Who deletes that Secret, or the account, revokes the agent's credentials. The API server takes them for some seconds
/// more: an identity that was made meanwhile could be had for them.
async fn identity(ctx: &Ctx, gateway: &Gateway, memory: &mut Memory) -> Result<Option<String>, Error> {
    let (now, generation) = (ctx.clock.monotonic(), gateway.metadata.generation);
    let fresh = memory
        .furnished
        .is_some_and(|(at, of)| of == generation && now.saturating_sub(at) < FURNISH);
    let there = access::identity(ctx, gateway).await?;
    if fresh && there.is_some() {
        return Ok(there);
    }
    let had = gateway
        .status
        .as_ref()
        .is_some_and(|status| status.identity.is_some());
    if had && (there.is_none() || !access::has_account(ctx, gateway).await?) {
        access::revoke(ctx, gateway).await?;
        let since = *memory.revoked.get_or_insert(now);
        if now.saturating_sub(since) < FORGOTTEN {
            return Ok(None);
        }
    }
    let identity = access::furnish(ctx, gateway).await?;
    memory.revoked = None;
    memory.furnished = Some((now, generation));
    Ok(identity)
}

fn taken(ctx: &Ctx, other: &str) -> Standing {
    Standing {
        dns: Dns {
            truth: false.into(),
            reason: Reason::NameTaken,
            message: format!("Gateway {other} has this name; no record is written."),
            challenges: Vec::new(),
        },
        again: ctx.dns_retry,
    }
}

/// The arithmetic of a Gateway; VMIDs are the Pools' affair.
fn plan(gateway: &Gateway) -> Result<GatewayPlan, String> {
    let spec = &gateway.spec;
    let none = |what: &str| format!("{what} is none");
    let facts = GatewayFacts {
        network: spec.network.cidr.as_str(),
        gateway: spec
            .network
            .gateway
            .as_str()
            .parse()
            .map_err(|_| none("spec.network.gateway"))?,
        first_port: u16::try_from(spec.ports.first).map_err(|_| none("spec.ports.first"))?,
        last_port: u16::try_from(spec.ports.last).map_err(|_| none("spec.ports.last"))?,
        gateway_uid: gateway
            .uid()
            .and_then(|uid| uid.parse().ok())
            .ok_or_else(|| none("its UID"))?,
        vmid_base: domain::ids::Vmid::MIN,
    };
    GatewayPlan::new(&facts).map_err(|error| error.to_string())
}

fn seen(lease: &Lease) -> Option<LeaseSeen> {
    let spec = lease.spec.as_ref()?;
    Some(LeaseSeen {
        renewed: spec.renew_time.as_ref()?.0,
        holds: SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(0).into()),
    })
}

/// The last pass: records first, then the finalizer.
async fn leave(ctx: &Ctx, gateway: &Gateway, memory: &mut Memory) -> Result<Option<Duration>, Error> {
    let leave = gateway.annotations().contains_key(LEAVE_RECORDS);
    let removed = if leave {
        Ok(())
    } else {
        names::remove(ctx, gateway, memory).await?
    };
    let Err(mut dns) = removed else {
        let dropped = ctx
            .writer
            .drop_finalizer(&api::<Gateway>(ctx, gateway), gateway, FINALIZER)
            .await;
        dropped.map_err(at(Step::Finalize))?;
        let uid = gateway.uid().unwrap_or_default();
        ctx.memories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&uid);
        return Ok(None);
    };
    let (name, namespace) = (gateway.name_any(), gateway.namespace().unwrap_or_default());
    dns.message = format!(
        "{} The Gateway goes once its records are removed; to leave them: kubectl annotate gateway {name} -n {namespace} \
         {LEAVE_RECORDS}=true",
        dns.message
    );
    let facts = Facts {
        gateway,
        rival: None,
        under: memory.under(gateway).iter().cloned().collect(),
        plan: plan(gateway),
        dns,
        identity: None,
        lease: None,
        slots: 0,
        now: ctx.clock.now(),
    };
    store(ctx, gateway, &status(&facts), memory).await?;
    Ok(Some(ctx.dns_retry))
}
