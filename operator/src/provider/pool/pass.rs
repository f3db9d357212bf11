//! One pass over a Pool: look at the cluster as far as that is due, judge, tell those machines that should be looked at,
//! store the status.

use std::{sync::Arc, time::Duration};

use crds::{Gateway, Machine, Pool, Slot, pool::ClusterIdentity};
use dc_proxmox::Admission;
use domain::slot::GatewayPlan;
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use operator_core::provider::{
    place::{Ledger, queue::Waiter},
    pool::{
        Contact, Facts, Finding, Readiness, findings,
        identity::{SAME, describe, is_same},
        lint::lint,
        overlap::{Range, overlap},
        readiness,
        status::{Outcome, nodes},
    },
};
use tokio::sync::mpsc;

use super::{
    Pools,
    connect::{self, Connected},
    deviations::{Told, deviating},
    handle::PoolHandle,
    inventory::{Inventory, identity, permitted},
    orphans::Orphans,
    probe::probe,
    registry::Entry,
    store, world,
};
use crate::{
    caches::{Guarded, all, decoded},
    provider::Error,
};

/// Waiting machines that are told at once when room may have been freed.
const TOLD_AT_ONCE: usize = 64;

/// Where machines to look at are handed in.
pub(super) type Poke = mpsc::UnboundedSender<ObjectRef<Guarded<Machine>>>;

/// What is remembered about a Pool between passes. All of it can be lost.
#[derive(Debug, Default)]
pub struct Work {
    connected: Option<Connected>,
    admission: Option<(i32, Admission)>,
    contact: Option<Contact>,
    checked: Option<Duration>,
    looked: Option<Duration>,
    generation: Option<i64>,
    unanswered_since: Option<Timestamp>,
    strays: Orphans,
    orphans: Option<Vec<String>>,
    told: Told,
}

/// Has the machines that wait looked at, in order of arrival.
pub(super) fn tell(poke: &Poke, namespace: &str, mut waiting: Vec<Waiter>) {
    waiting.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
    for waiter in waiting.iter().take(TOLD_AT_ONCE) {
        look_at(poke, namespace, &waiter.name);
    }
}

fn look_at(poke: &Poke, namespace: &str, machine: &str) {
    // A receiver that is gone looks at nothing any more.
    drop(poke.send(ObjectRef::new(machine).within(namespace)));
}

/// The cluster as Pools compare it, if it has a name.
fn named(inventory: &Inventory) -> Option<String> {
    let identity = inventory.identity()?;
    identity.name.as_ref()?;
    Some(describe(&identity))
}

/// One pass.
pub(super) struct Pass<'a> {
    pub pools: &'a Pools,
    pub poke: &'a Poke,
    pub pool: &'a Pool,
    pub namespace: String,
    pub name: String,
    pub entry: &'a Arc<Entry>,
    pub slots: Vec<Arc<Guarded<Slot>>>,
    pub now: Timestamp,
}

impl Pass<'_> {
    pub async fn run(&self, work: &mut Work) -> Result<(), Error> {
        let looked = self.look(work).await;
        let verdict = self.judge(work);
        let before = self.entry.link.judge(verdict.clone());
        self.entry.check();
        if !looked && before == verdict {
            return Ok(());
        }
        self.tell(work);
        self.store(work, &verdict).await
    }

    /// Looks at the cluster if that is due; whether it did.
    async fn look(&self, work: &mut Work) -> bool {
        let at = self.pools.ctx.clock.monotonic();
        let due = |last: Option<Duration>, every: SignedDuration| {
            let every = Duration::try_from(every).unwrap_or_default();
            last.is_none_or(|last| at.saturating_sub(last) >= every)
        };
        let config = &self.pools.config;
        let changed = work.generation != self.pool.metadata.generation;
        let tick = due(work.looked, config.tick_interval);
        let unhappy = !self.entry.link.readiness().is_ready() && tick;
        if changed || unhappy || due(work.checked, config.preflight_interval) {
            work.generation = self.pool.metadata.generation;
            self.check(work).await;
            work.checked = Some(self.pools.ctx.clock.monotonic());
            work.looked = work.checked;
            return true;
        }
        if let Some(connected) = work.connected.clone() {
            self.connect(work, &connected);
        }
        if tick {
            self.glance(work).await;
            work.looked = Some(self.pools.ctx.clock.monotonic());
        }
        tick
    }

    /// The whole preflight.
    async fn check(&self, work: &mut Work) {
        let contact = match self.checked(work).await {
            Ok(answered) => answered,
            Err(contact) => contact,
        };
        self.take_contact(work, contact);
    }

    async fn checked(&self, work: &mut Work) -> Result<Contact, Contact> {
        let (ctx, spec) = (&self.pools.ctx, &self.pool.spec);
        let before = work.connected.as_ref();
        let connected = connect::connect(ctx, &self.pools.config, &self.namespace, spec, before).await?;
        let since = self.since(work);
        let failed = |error: dc_proxmox::Error| connect::failed(&error, spec, connected.token.id(), since);
        if !self.slots.is_empty() && !before.is_some_and(|before| before.is(&connected)) {
            // Before anybody can ask it about machines.
            work.connected = None;
            self.entry.show(|shown| shown.handle = None);
            let Some(cluster) = permitted(connected.pve.cluster_status().await).map_err(failed)? else {
                let text = "its token may not read /cluster/status (Sys.Audit on /), so nobody can tell whether it is the \
                            cluster that this Pool's machines are on";
                return Err(Contact::Refused {
                    text: text.to_owned(),
                });
            };
            self.recognise(Some(identity(&cluster))).await?;
        }
        let handle = self.connect(work, &connected);
        let inventory = handle.fresh(Duration::ZERO).await.map_err(failed)?;
        self.recognise(inventory.identity()).await?;
        let answered = probe(spec, &connected, &inventory).await.map_err(failed)?;
        let online = |node: &str| inventory.online(node);
        let replicas = lint(spec, &answered.templates, online).replicas;
        let prints = connected.pve.tls_fingerprint().map(|print| print.to_string());
        self.entry.show(|shown| {
            shown.replicas = replicas;
            shown.cluster = prints.into_iter().chain(named(&inventory)).collect();
        });
        let claimed = world::claimed_vmids(&self.pools.stores, &self.namespace);
        work.orphans = Some(work.strays.look(&connected.pve, &inventory, &claimed).await);
        Ok(Contact::Answered(Box::new(answered)))
    }

    /// While Slots are here, another cluster is never taken for theirs: there, all their VMs would look absent.
    async fn recognise(&self, seen: Option<ClusterIdentity>) -> Result<(), Contact> {
        let written = self.entry.written.lock().await.clone();
        let status = written.as_ref().or(self.pool.status.as_ref());
        match (status.and_then(|status| status.cluster.clone()), seen) {
            (Some(known), Some(seen)) if !self.slots.is_empty() && !self.is_same(&known, &seen) => {
                Err(Contact::OtherCluster {
                    pool: format!("{} -n {}", self.name, self.namespace),
                    hosts: connect::hosts(&self.pool.spec),
                    known: describe(&known),
                    seen: describe(&seen),
                })
            }
            _ => Ok(()),
        }
    }

    fn is_same(&self, known: &ClusterIdentity, seen: &ClusterIdentity) -> bool {
        let said = self.pool.annotations().get(SAME);
        is_same(known, seen) || said == Some(&describe(seen))
    }

    /// One look at the cluster between two preflights.
    async fn glance(&self, work: &mut Work) {
        let Some(handle) = self.entry.shown().handle else {
            return;
        };
        let since = self.since(work);
        let failed =
            |error: dc_proxmox::Error| connect::failed(&error, &self.pool.spec, handle.token_id(), since);
        match handle.fresh(Duration::ZERO).await.map_err(failed) {
            Err(contact) => self.take_contact(work, contact),
            Ok(inventory) => {
                if let Err(contact) = self.recognise(inventory.identity()).await {
                    return self.take_contact(work, contact);
                }
                if let Some(Contact::Answered(answered)) = &mut work.contact {
                    answered.quorate = inventory.cluster.as_ref().map(|cluster| cluster.quorate);
                    for (name, node) in &mut answered.nodes {
                        node.online = inventory.online(name);
                    }
                }
            }
        }
    }

    fn take_contact(&self, work: &mut Work, contact: Contact) {
        work.unanswered_since = match &contact {
            Contact::Unreachable { since, .. } => Some(*since),
            _ => None,
        };
        if matches!(
            contact,
            Contact::SecretUnreadable { .. }
                | Contact::TrustUnreadable { .. }
                | Contact::EndpointRefused { .. }
                | Contact::OtherCluster { .. }
        ) {
            self.entry.link.forget();
            work.connected = None;
            self.entry.show(|shown| shown.handle = None);
        }
        work.contact = Some(contact);
    }

    /// Since when the cluster does not answer: as remembered, as written by a process before this one, or now.
    fn since(&self, work: &Work) -> Timestamp {
        let conditions = self
            .pool
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default();
        let written = conditions
            .iter()
            .find(|condition| condition.reason == operator_core::reason::Reason::ProxmoxUnreachable.as_str());
        let written = written
            .filter(|_| work.contact.is_none())
            .map(|condition| condition.last_transition_time.0);
        work.unanswered_since.or(written).unwrap_or(self.now)
    }

    /// Puts the handle up, anew if Pool, Gateway or client have changed.
    fn connect(&self, work: &mut Work, connected: &Connected) -> Arc<PoolHandle> {
        let same_client = work.connected.as_ref().is_some_and(|old| old.is(connected));
        work.connected = Some(connected.clone());
        let gateway = world::gateway(&self.pools.stores, &self.namespace, &self.pool.spec).ok();
        let behind = |of: Option<&(Gateway, GatewayPlan)>| {
            of.map(|(gateway, plan)| (gateway.spec.clone(), plan.clone()))
        };
        let same = |old: &Arc<PoolHandle>| {
            same_client
                && old.spec == self.pool.spec
                && behind(old.gateway.as_ref()) == behind(gateway.as_ref())
        };
        if let Some(old) = self.entry.shown().handle.filter(same) {
            return old;
        }
        let handle = Arc::new(PoolHandle {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            spec: self.pool.spec.clone(),
            gateway,
            pve: connected.pve.clone(),
            admission: self.admission(work),
            token: connected.token.id().to_owned(),
            link: Arc::clone(&self.entry.link),
        });
        self.entry.show(|shown| shown.handle = Some(Arc::clone(&handle)));
        handle
    }

    /// The gates outlive all but a change of their limits: permits that are out must count.
    fn admission(&self, work: &mut Work) -> Admission {
        let clones = self.pool.spec.limits.clones_per_node;
        if let Some((limit, admission)) = &work.admission
            && *limit == clones
        {
            return admission.clone();
        }
        let admission = Admission::new(u32::try_from(clones).unwrap_or(1));
        work.admission = Some((clones, admission.clone()));
        admission
    }

    fn judge(&self, work: &Work) -> Readiness {
        let Some(contact) = &work.contact else {
            return self.entry.link.readiness();
        };
        let held_by = self
            .pool
            .metadata
            .deletion_timestamp
            .as_ref()
            .and(self.slots.first())
            .map(|slot| slot.name_any());
        let facts = Facts {
            spec: &self.pool.spec,
            contact,
            gateway: world::gateway(&self.pools.stores, &self.namespace, &self.pool.spec).err(),
            overlap: self.overlap(),
            held_by,
        };
        readiness(&findings(&facts))
    }

    fn overlap(&self) -> Option<Finding> {
        let me = world::range(self.pools, &self.namespace, self.pool)?;
        let others: Vec<Range> = all(&self.pools.stores.pools, |other: &Pool| {
            other.namespace().as_deref() == Some(&self.namespace) && other.name_any() != self.name
        })
        .iter()
        .filter_map(|guard| world::range(self.pools, &self.namespace, decoded(guard)?))
        .collect();
        overlap(&me, &others)
    }

    /// Has those machines looked at that deviate, and those that wait for room.
    fn tell(&self, work: &mut Work) {
        if let Some(inventory) = self.entry.link.inventory() {
            let machines = world::machines_of(&self.pools.stores, &self.namespace, &self.slots);
            let decoded = machines.iter().filter_map(|guard| decoded(guard));
            for name in deviating(decoded, &inventory, &mut work.told) {
                look_at(self.poke, &self.namespace, &name);
            }
        }
        let (_, waiting) = self.pools.world(&self.namespace, self.now);
        let mine = |waiter: &Waiter| waiter.demand.pools.contains(&self.name);
        tell(
            self.poke,
            &self.namespace,
            waiting.into_iter().filter(mine).collect(),
        );
    }

    async fn store(&self, work: &Work, verdict: &Readiness) -> Result<(), Error> {
        let (world, _) = self.pools.world(&self.namespace, self.now);
        let ledger = Ledger::of(&world);
        let seen = self.entry.link.inventory().is_some();
        let connected = work.connected.as_ref();
        let version = match &work.contact {
            Some(Contact::Answered(answered)) => Some(answered.version.clone()),
            _ => None,
        };
        let out = Outcome {
            readiness: verdict,
            nodes: world
                .pool(&self.name)
                .filter(|_| seen)
                .map(|pool| nodes(pool, &ledger)),
            slots: !self.slots.is_empty(),
            orphans: work.orphans.clone(),
            fingerprint: connected
                .filter(|_| version.is_some())
                .and_then(|connected| connected.pve.tls_fingerprint())
                .map(|print| print.to_string()),
            version,
            cluster: self
                .entry
                .link
                .inventory()
                .filter(|_| matches!(work.contact, Some(Contact::Answered(_))))
                .and_then(|inventory| inventory.identity()),
        };
        store::outcome(self.pools, self.entry, self.pool, out, self.now).await
    }
}
