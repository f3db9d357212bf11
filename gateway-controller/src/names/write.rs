//! Writes what differs: new records first, so that a removal that fails holds up nothing.

use std::time::Duration;

use crds::Gateway;
use dc_cloudflare::{Class, Conflict, Desired, Error as CfError, Name, Owner, Plan, Record, Scope, plan};
use gateway_core::{
    dns::{self, Wanted},
    reason::Reason,
};
use kube::ResourceExt;

use super::{
    Memory,
    failure::{NoZone, refused},
    publish::Written,
};
use crate::{ctx::Ctx, error::Error, zones::Zone};

/// How soon old records that could not be removed are tried again.
const LEFT: Duration = Duration::from_mins(1);

/// What a write did.
pub struct Done {
    /// Those that were created or changed.
    wrote: Vec<Wanted>,
    /// Why not all old records are removed.
    left: Option<NoZone>,
}

impl Done {
    /// What is remembered of it; what was seen before and not written again need not be looked for.
    pub fn after(self, ctx: &Ctx, records: Vec<Wanted>, before: Option<Written>) -> Written {
        let now = ctx.clock.monotonic();
        let holds = match self.left {
            Some(_) => LEFT.min(ctx.dns_interval),
            None => ctx.dns_interval,
        };
        let same = before
            .as_ref()
            .filter(|before| self.wrote.is_empty() && before.records == records);
        let since = same.map_or(now, |before| before.since);
        let seen = before.map_or_else(Vec::new, |before| before.seen);
        let still = |record: &Wanted| records.contains(record) && !self.wrote.contains(record);
        Written {
            seen: seen.into_iter().filter(still).collect(),
            since,
            until: now.saturating_add(holds),
            records,
        }
    }
}

/// Brings a Gateway's records to what is wanted, and removes those of names that it no longer has.
pub async fn bring(
    ctx: &Ctx,
    gateway: &Gateway,
    (zone, wanted): (&Zone, &[Wanted]),
    memory: &mut Memory,
) -> Result<Result<Done, NoZone>, Error> {
    let scope = scope(ctx, gateway, memory)?;
    let mut done = match write(zone, wanted, &scope).await {
        Ok(done) => done,
        Err(why) => return Ok(Err(why)),
    };
    if done.left.is_none() {
        done.left = elsewhere(ctx, Some(zone), &scope).await.err();
    }
    if let Some(why) = &done.left {
        let name = gateway.name_any();
        tracing::warn!(gateway = %name, "gateway {name}: old records are left for later: {why}");
    } else {
        let present = gateway.spec.fqdn();
        memory.under(gateway).retain(|name| *name == present);
    }
    Ok(Ok(done))
}

/// Removes all records of a Gateway.
pub async fn clear(
    ctx: &Ctx,
    gateway: &Gateway,
    zone: Option<&Zone>,
    memory: &mut Memory,
) -> Result<Result<(), NoZone>, Error> {
    let scope = scope(ctx, gateway, memory)?;
    if let Some(zone) = zone {
        let done = write(zone, &[], &scope).await;
        if let Some(why) = done.map_or_else(Some, |done| done.left) {
            return Ok(Err(why));
        }
    }
    Ok(elsewhere(ctx, zone, &scope).await)
}

/// Whose records are meant, and where they may stand.
fn scope(ctx: &Ctx, gateway: &Gateway, memory: &mut Memory) -> Result<Scope, Error> {
    let gateway_uid = gateway.uid().and_then(|uid| uid.parse().ok());
    Ok(Scope {
        owner: Owner {
            hub: ctx.hub,
            gateway: gateway_uid.ok_or(Error::NoUid)?,
        },
        under: memory
            .under(gateway)
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect(),
    })
}

async fn write(zone: &Zone, wanted: &[Wanted], scope: &Scope) -> Result<Done, NoZone> {
    let desired = wanted.iter().map(desired).collect::<Result<Vec<_>, _>>()?;
    let listed = match listed(zone, &desired, &scope.owner).await {
        Ok(listed) => listed,
        Err(error) => return Err(refused(&zone.cf, error).await),
    };
    let planned = plan(&desired, &listed, scope);
    let Plan {
        delete,
        update,
        create,
        conflicts,
        strays: _,
    } = planned.map_err(|error| NoZone::Told(Reason::ZoneMismatch, format!("{error}.")))?;
    let news: Vec<&Desired> = create
        .iter()
        .chain(update.iter().map(|update| &update.to))
        .collect();
    let pairs = wanted.iter().zip(&desired);
    let wrote = pairs.filter(|(_, desired)| news.contains(desired));
    let wrote = wrote.map(|(wanted, _)| wanted.clone()).collect();
    let first = Plan {
        update,
        create,
        ..Plan::default()
    };
    let rest = Plan {
        delete,
        ..Plan::default()
    };
    let left = match apply(zone, (&first, &rest), &scope.owner).await {
        Ok(left) => left,
        Err(error) => return Err(refused(&zone.cf, error).await),
    };
    if let Some(conflict) = conflicts.first() {
        return Err(foreign(conflict));
    }
    Ok(Done {
        wrote,
        left: match left {
            Some(error) => Some(refused(&zone.cf, error).await),
            None => None,
        },
    })
}

/// All that is ours, and all at the wanted names.
async fn listed(zone: &Zone, desired: &[Desired], owner: &Owner) -> Result<Vec<Record>, CfError> {
    let mut listed = zone.cf.mine(&zone.id, owner).await?;
    let mut names: Vec<&Name> = desired.iter().map(Desired::name).collect();
    names.dedup();
    for name in names {
        listed.extend(zone.cf.named(&zone.id, name).await?);
    }
    Ok(listed)
}

/// New ones first, unless only the removal of old ones makes room for them; why old ones are left.
async fn apply(
    zone: &Zone,
    (first, rest): (&Plan, &Plan),
    owner: &Owner,
) -> Result<Option<CfError>, CfError> {
    match zone.cf.apply(&zone.id, first, owner).await {
        Ok(()) => Ok(zone.cf.apply(&zone.id, rest, owner).await.err()),
        Err(error) if error.class() == Class::Quota && !rest.is_settled() => {
            zone.cf.apply(&zone.id, rest, owner).await?;
            zone.cf.apply(&zone.id, first, owner).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Removes what is left in the market's other zones of names that the Gateway had before.
async fn elsewhere(ctx: &Ctx, zone: Option<&Zone>, scope: &Scope) -> Result<(), NoZone> {
    for name in &scope.under {
        let Some(other) = ctx.zones.market(name) else {
            continue;
        };
        if zone.is_some_and(|zone| zone.id == other.id) {
            continue;
        }
        let old = Scope {
            owner: scope.owner,
            under: vec![name.clone()],
        };
        if let Some(why) = write(&other, &[], &old).await?.left {
            return Err(why);
        }
    }
    Ok(())
}

fn foreign(conflict: &Conflict) -> NoZone {
    NoZone::Told(
        Reason::ForeignRecord,
        format!(
            "A record at {} that isn't ours ({} {}) {}. Remove it at Cloudflare, or choose another dcId.",
            conflict.foreign.name,
            conflict.foreign.kind,
            conflict.foreign.content,
            conflict.why.words()
        ),
    )
}

fn desired(wanted: &Wanted) -> Result<Desired, NoZone> {
    let wrong = |what: &str| NoZone::Told(Reason::Invalid, format!("{} {what}.", wanted.name));
    let name: Name = wanted.name.parse().map_err(|_| wrong("is not a name"))?;
    let record = match wanted.kind {
        dns::Kind::A => {
            let address = wanted.content.parse();
            Desired::a(name, address.map_err(|_| wrong("needs an IPv4 address"))?)
        }
        dns::Kind::Txt => {
            let text = Desired::txt(name, &wanted.content);
            text.map_err(|_| wrong("has a text that cannot be written"))?
        }
    };
    Ok(record.ttl(wanted.ttl))
}
