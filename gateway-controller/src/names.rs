//! A Gateway's records at Cloudflare: listed, compared, written, and looked for at the zone's own servers. Nothing is
//! asked while all is as it was written; what others have is never touched.

use std::{net::SocketAddr, time::Duration};

use crds::{Gateway, condition::Truth, gateway::Cloudflare};
use dc_cloudflare::{
    Class, Desired, Error as CfError, Kind, Name, Owner, Plan, Scope, View, plan, published, servers_of,
};
use gateway_core::{
    dns::{self, Wanted},
    reason::Reason,
    status::Dns,
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::{
    access::api,
    ctx::Ctx,
    error::{Error, Step, at},
    zones::Zone,
};

/// How long one server of a zone is waited for.
const LOOKUP: Duration = Duration::from_secs(3);
/// How soon servers that do not yet answer with the records are asked again: at first, and later.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(5);
/// Servers are asked soon for this long.
const FRESH: Duration = Duration::from_mins(1);
/// How soon a failed write or list is tried again.
pub const RETRY: Duration = Duration::from_secs(10);

/// What this process remembers about one Gateway. All of it can be lost: a new process looks again.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was written for it, and when it was last seen so.
    written: Option<Written>,
    /// Since when a state of failure is not looked at again, and what it is.
    failed: Option<(Duration, Duration, Dns)>,
    /// When its agent's access was last made sure of, and for which generation.
    pub furnished: Option<(Duration, Option<i64>)>,
    /// When its status was last written.
    pub wrote: Option<Duration>,
}

/// Records that were written and are believed to be there.
#[derive(Debug)]
struct Written {
    records: Vec<Wanted>,
    listed: Duration,
    since: Duration,
    published: bool,
}

/// Where the records stand, and when to look again.
pub struct Standing {
    /// For the status.
    pub dns: Dns,
    /// When to look again by itself.
    pub again: Duration,
}

/// Why there is no zone to write to.
enum NoZone {
    Told(Reason, String),
    Cf(CfError),
}

/// Brings the records to what is wanted, and says where they stand.
pub async fn settle(
    ctx: &Ctx,
    gateway: &Gateway,
    wanted: Vec<Wanted>,
    memory: &mut Memory,
) -> Result<Standing, Error> {
    let now = ctx.clock.monotonic();
    let same = memory.written.as_ref().is_some_and(|written| {
        written.records == wanted && now.saturating_sub(written.listed) < unsigned(ctx)
    });
    if let Some((at, pause, dns)) = memory.failed.as_ref().filter(|_| !same) {
        let left = (*at + *pause).saturating_sub(now);
        if !left.is_zero() && asked(gateway, &dns.challenges) {
            return Ok(Standing {
                dns: dns.clone(),
                again: left,
            });
        }
    }
    let zone = match zone(ctx, gateway).await? {
        Ok(zone) => zone,
        Err(why) => return Ok(failed(gateway, why, memory, now)),
    };
    if !same {
        let scope = scope(ctx, gateway)?;
        if let Err(why) = write(&zone, (gateway, &wanted), &scope).await {
            return Ok(failed(gateway, why, memory, now));
        }
        let before = memory.written.take().filter(|written| written.records == wanted);
        memory.failed = None;
        memory.written = Some(Written {
            records: wanted,
            listed: now,
            since: before.as_ref().map_or(now, |written| written.since),
            published: before.is_some_and(|written| written.published),
        });
    }
    Ok(publication(ctx, gateway, &zone, memory).await)
}

/// Removes every record of a Gateway that goes.
pub async fn remove(ctx: &Ctx, gateway: &Gateway, memory: &mut Memory) -> Result<Result<(), Dns>, Error> {
    let zone = match zone(ctx, gateway).await? {
        Ok(zone) => zone,
        // Where there is no zone, nothing of ours can be.
        Err(NoZone::Told(Reason::ZoneMissing, _)) => return Ok(Ok(())),
        Err(why) => return Ok(Err(failed(gateway, why, memory, ctx.clock.monotonic()).dns)),
    };
    let done = write(&zone, (gateway, &[]), &scope(ctx, gateway)?).await;
    Ok(done.map_err(|why| failed(gateway, why, memory, ctx.clock.monotonic()).dns))
}

fn unsigned(ctx: &Ctx) -> Duration {
    Duration::try_from(ctx.dns_interval).unwrap_or(Duration::MAX)
}

/// Whether a failure still speaks of what is asked now.
fn asked(gateway: &Gateway, challenges: &[String]) -> bool {
    dns::challenges(&dns::wanted(gateway, true)) == challenges || challenges.is_empty()
}

/// The zone that a Gateway's names are in.
async fn zone(ctx: &Ctx, gateway: &Gateway) -> Result<Result<Zone, NoZone>, Error> {
    let told = |reason, text: String| Ok(Err(NoZone::Told(reason, text)));
    let fqdn = gateway.spec.fqdn();
    let Ok(name) = fqdn.parse::<Name>() else {
        return told(Reason::ZoneMismatch, format!("{fqdn} is not a name."));
    };
    if let Some(own) = &gateway.spec.dns {
        return own_zone(ctx, gateway, &own.cloudflare, &name).await;
    }
    match ctx.zones.market(&name) {
        Some(zone) => Ok(Ok(zone)),
        None => told(
            Reason::ZoneMissing,
            format!(
                "The market has no zone that {fqdn} is in. Choose a domain of the market's, or name your own zone in \
                 spec.dns.cloudflare."
            ),
        ),
    }
}

async fn own_zone(
    ctx: &Ctx,
    gateway: &Gateway,
    own: &Cloudflare,
    name: &Name,
) -> Result<Result<Zone, NoZone>, Error> {
    let told = |reason, text: String| Ok(Err(NoZone::Told(reason, text)));
    let secret = own.token_secret_ref.name.as_str();
    let found = ctx
        .writer
        .get(&api::<Secret>(ctx, gateway), secret)
        .await
        .map_err(at(Step::Token))?;
    let data = found.and_then(|found| found.data);
    let token = data.and_then(|mut data| data.remove("token"));
    let Some(token) = token.and_then(|bytes| String::from_utf8(bytes.0).ok()) else {
        let text = format!(
            "Secret {secret} has no key `token`: kubectl create secret generic {secret} -n {} --from-file=token=FILE",
            gateway.namespace().unwrap_or_default()
        );
        return told(Reason::TokenMissing, text);
    };
    let mut zone = match ctx.zones.own(own.zone_id.as_str(), &token) {
        Ok(zone) => zone,
        Err(error) => return told(Reason::TokenRejected, format!("{}.", kit::chain(&error))),
    };
    let there = match zone.cf.zone(&zone.id).await {
        Ok(there) => there,
        Err(error) => return Ok(Err(NoZone::Cf(error))),
    };
    if !name.within(&there.name) {
        let text = format!(
            "{name} is not in the zone {} that spec.dns.cloudflare.zoneId names.",
            there.name
        );
        return told(Reason::ZoneMismatch, text);
    }
    zone.name = Some(there.name);
    Ok(Ok(zone))
}

/// Whose records are meant.
fn scope(ctx: &Ctx, gateway: &Gateway) -> Result<Scope, Error> {
    let owner = Owner {
        hub: ctx.hub,
        gateway: gateway
            .uid()
            .and_then(|uid| uid.parse().ok())
            .ok_or(Error::NoUid)?,
    };
    // After a change of its name the old records are its own too.
    let before = gateway.status.as_ref().and_then(|status| status.fqdn.clone());
    let under: Vec<Name> = [Some(gateway.spec.fqdn()), before]
        .into_iter()
        .flatten()
        .filter_map(|name| name.parse().ok())
        .collect();
    Ok(Scope { owner, under })
}

/// Writes what differs: new records first, so that a removal that fails holds up nothing.
async fn write(zone: &Zone, (gateway, wanted): (&Gateway, &[Wanted]), scope: &Scope) -> Result<(), NoZone> {
    let desired = wanted.iter().map(desired).collect::<Result<Vec<_>, _>>()?;
    let mut listed = zone.cf.mine(&zone.id, &scope.owner).await.map_err(NoZone::Cf)?;
    let mut names: Vec<&Name> = desired.iter().map(Desired::name).collect();
    names.dedup();
    for name in names {
        listed.extend(zone.cf.named(&zone.id, name).await.map_err(NoZone::Cf)?);
    }
    let planned = plan(&desired, &listed, scope);
    let found = planned.map_err(|error| NoZone::Told(Reason::ZoneMismatch, format!("{error}.")))?;
    let rest = Plan {
        delete: found.delete,
        ..Plan::default()
    };
    let first = Plan {
        delete: Vec::new(),
        ..found
    };
    zone.cf
        .apply(&zone.id, &first, &scope.owner)
        .await
        .map_err(NoZone::Cf)?;
    if let Err(error) = zone.cf.apply(&zone.id, &rest, &scope.owner).await {
        if wanted.is_empty() {
            return Err(NoZone::Cf(error));
        }
        let name = gateway.name_any();
        tracing::warn!(gateway = %name, "gateway {name}: old records are left for later: {}", kit::chain(&error));
    }
    match first.conflicts.first() {
        None => Ok(()),
        Some(conflict) => Err(NoZone::Told(
            Reason::ForeignRecord,
            format!(
                "A record at {} that isn't ours ({} {}) {}. Remove it at Cloudflare, or choose another dcId.",
                conflict.foreign.name,
                conflict.foreign.kind,
                conflict.foreign.content,
                conflict.why.words()
            ),
        )),
    }
}

fn desired(wanted: &Wanted) -> Result<Desired, NoZone> {
    let wrong = |what: &str| NoZone::Told(Reason::Invalid, format!("{} {what}.", wanted.name));
    let name: Name = wanted.name.parse().map_err(|_| wrong("is not a name"))?;
    let record = match wanted.kind {
        dns::Kind::A => Desired::a(
            name,
            wanted
                .content
                .parse()
                .map_err(|_| wrong("needs an IPv4 address"))?,
        ),
        dns::Kind::Txt => {
            Desired::txt(name, &wanted.content).map_err(|_| wrong("has a text that cannot be written"))?
        }
    };
    Ok(record.ttl(wanted.ttl))
}

/// Asks the zone's own servers for what was written, unless all have shown it.
async fn publication(ctx: &Ctx, gateway: &Gateway, zone: &Zone, memory: &mut Memory) -> Standing {
    let (now, interval) = (ctx.clock.monotonic(), unsigned(ctx));
    let Some(written) = &mut memory.written else {
        return Standing {
            dns: publishing(gateway, &[], "They are about to be written."),
            again: SOON,
        };
    };
    if !written.published {
        let lacking = match servers(ctx, zone).await {
            Ok(servers) => lacking(&written.records, &servers).await,
            Err(text) => Some(text),
        };
        if let Some(text) = lacking {
            let fresh = now.saturating_sub(written.since) < FRESH;
            let dns = publishing(gateway, &written.records, &text);
            return Standing {
                dns,
                again: if fresh { SOON } else { LATER },
            };
        }
        written.published = true;
    }
    let names = written.records.len();
    let dns = Dns {
        truth: Truth::True,
        reason: Reason::Published,
        message: format!("All servers of the zone answer with its {names} records."),
        challenges: dns::challenges(&written.records),
    };
    Standing {
        dns,
        again: (written.listed + interval).saturating_sub(now).max(SOON),
    }
}

/// What was confirmed before and is still wanted stays confirmed: a server that is slow proves nothing.
fn publishing(gateway: &Gateway, records: &[Wanted], text: &str) -> Dns {
    let before = gateway
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.challenges_published);
    let wanted = dns::challenges(records);
    Dns {
        truth: Truth::False,
        reason: Reason::Publishing,
        message: format!("The records are written; not all servers of the zone answer with them yet: {text}"),
        challenges: before
            .iter()
            .filter(|value| wanted.contains(value))
            .cloned()
            .collect(),
    }
}

async fn servers(ctx: &Ctx, zone: &Zone) -> Result<Vec<SocketAddr>, String> {
    if !zone.servers.is_empty() {
        return Ok(zone.servers.clone());
    }
    let Some(name) = &zone.name else {
        return Err("the zone's name is not known.".to_owned());
    };
    let found = servers_of(name, (ctx.zones.resolver(), None), LOOKUP).await;
    found.map_err(|error| format!("{}.", kit::chain(&error)))
}

/// The first server that lacks something, and why.
async fn lacking(records: &[Wanted], servers: &[SocketAddr]) -> Option<String> {
    for record in records {
        let Ok(name) = record.name.parse::<Name>() else {
            continue;
        };
        let kind = match record.kind {
            dns::Kind::A => Kind::A,
            dns::Kind::Txt => Kind::Txt,
        };
        let views = published(&name, &kind, servers, LOOKUP).await;
        if let Some(view) = views.iter().find(|view| !view.shows(&record.content)) {
            return Some(seen(view, record));
        }
    }
    None
}

fn seen(view: &View, record: &Wanted) -> String {
    match &view.seen {
        Ok(_) => format!("{} does not show {} yet.", view.server, record.name),
        Err(error) => format!("{}.", kit::chain(error)),
    }
}

/// Remembers a failure for a while, so that others' events lead to no call.
fn failed(gateway: &Gateway, why: NoZone, memory: &mut Memory, now: Duration) -> Standing {
    let (reason, message, pause) = match why {
        NoZone::Told(reason, text) => (reason, text, RETRY),
        NoZone::Cf(error) => told(&error),
    };
    let dns = Dns {
        truth: Truth::False,
        reason,
        message,
        // What servers showed once is not taken back by a failure to write something else.
        challenges: gateway
            .status
            .as_ref()
            .map_or_else(Vec::new, |status| status.challenges_published.clone()),
    };
    memory.failed = Some((now, pause, dns.clone()));
    Standing { dns, again: pause }
}

fn told(error: &CfError) -> (Reason, String, Duration) {
    let class = error.class();
    let text = format!("{}. {}", kit::chain(error), class.advice());
    let (reason, pause) = match class {
        Class::Denied if error.answer().is_some_and(|answer| answer.status == 401) => {
            (Reason::TokenRejected, RETRY)
        }
        Class::Denied => (Reason::DnsDenied, RETRY),
        Class::Conflict => (Reason::ForeignRecord, RETRY),
        Class::Quota => (Reason::ZoneFull, RETRY),
        Class::RateLimited { retry_after } => (Reason::RateLimited, retry_after.max(SOON)),
        // Looking again is the cure.
        Class::Ambiguous => (Reason::CloudflareUnreachable, SOON),
        Class::Unavailable => (Reason::CloudflareUnreachable, RETRY),
        Class::NotFound => (Reason::ZoneMissing, RETRY),
        Class::Untrusted | Class::Invalid | Class::Bug => (Reason::CloudflareError, RETRY),
    };
    (reason, text, pause)
}
