//! A Gateway's records at Cloudflare: listed, compared, written, and looked for at the zone's own servers. Nothing is
//! asked while all is as it was written; what others have is never touched.

mod failure;
mod publish;
mod write;
mod zone;

use std::{collections::BTreeSet, time::Duration};

use crds::Gateway;
use dc_cloudflare::{Bucket, Pace};
use gateway_core::{dns::Wanted, reason::Reason, status::Dns};

use crate::{ctx::Ctx, error::Error, store};
use failure::{Failed, NoZone};
use publish::Written;

/// Looks at one Gateway's records in quick succession; after them one each `--dns-retry`.
const BURST: u32 = 12;

/// What this process remembers about one Gateway. All of it can be lost: a new process looks again.
#[derive(Debug, Default)]
pub struct Memory {
    /// Names under which records of its may stand; read from the status once.
    under: Option<BTreeSet<String>>,
    /// What was written for it, and what of it was seen.
    written: Option<Written>,
    /// The last failure, until a write.
    failed: Option<Failed>,
    /// How often its records may be looked at; nothing before the first time.
    pace: Option<Bucket>,
    /// What was said last.
    said: Option<Dns>,
    /// When its agent's access was last made sure of, and for which generation.
    pub furnished: Option<(Duration, Option<i64>)>,
    /// Since when its agent's identity is known to be revoked.
    pub revoked: Option<Duration>,
    /// When its status was last written.
    pub wrote: Option<Duration>,
}

impl Memory {
    /// Names under which records of the Gateway may stand.
    pub fn under(&mut self, gateway: &Gateway) -> &mut BTreeSet<String> {
        self.under.get_or_insert_with(|| {
            let status = gateway.status.as_ref();
            status.map_or_else(BTreeSet::new, |status| {
                status.records_under.iter().cloned().collect()
            })
        })
    }

    /// Whether these records were written and need not be listed again yet.
    fn stands(&self, wanted: &[Wanted], now: Duration) -> bool {
        let written = self.written.as_ref();
        written.is_some_and(|written| written.records == wanted && now < written.until)
    }
}

/// Where the records stand, and when to look again.
pub struct Standing {
    /// For the status.
    pub dns: Dns,
    /// When to look again by itself.
    pub again: Duration,
}

/// Brings the records to what is wanted, and says where they stand.
pub async fn settle(
    ctx: &Ctx,
    gateway: &Gateway,
    wanted: Vec<Wanted>,
    memory: &mut Memory,
) -> Result<Standing, Error> {
    let standing = moved(ctx, gateway, wanted, memory).await?;
    memory.said = Some(standing.dns.clone());
    Ok(standing)
}

async fn moved(
    ctx: &Ctx,
    gateway: &Gateway,
    wanted: Vec<Wanted>,
    memory: &mut Memory,
) -> Result<Standing, Error> {
    let now = ctx.clock.monotonic();
    let stands = memory.stands(&wanted, now);
    let known = if stands {
        publish::all_seen(gateway, memory, now)
    } else {
        let resting = failure::resting(gateway, &wanted, (memory, now));
        resting.or_else(|| paced(ctx, memory, now))
    };
    if let Some(standing) = known {
        return Ok(standing);
    }
    let zone = match zone::of(ctx, gateway).await? {
        Ok(zone) => zone,
        Err(why) => return Ok(failure::told(ctx, gateway, (why, wanted), memory)),
    };
    if !stands {
        write_ahead(ctx, gateway, memory).await?;
        match write::bring(ctx, gateway, (&zone, &wanted), memory).await? {
            Ok(done) => memory.written = Some(done.after(ctx, wanted, memory.written.take())),
            Err(why) => return Ok(failure::told(ctx, gateway, (why, wanted), memory)),
        }
        memory.failed = None;
    }
    Ok(publish::look(ctx, gateway, &zone, memory).await)
}

/// Takes one look out of the Gateway's share, or says how long that takes: an agent that changes its mind all the time
/// does not use up the calls of others.
fn paced(ctx: &Ctx, memory: &mut Memory, now: Duration) -> Option<Standing> {
    let retry = u32::try_from(ctx.dns_retry.as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    let pace = Pace {
        per_1000_seconds: (1_000_000 / retry).max(1),
        burst: BURST,
    };
    let wait = memory
        .pace
        .get_or_insert_with(|| Bucket::new(pace))
        .take(now)
        .err()?;
    let dns = memory.said.clone()?;
    Some(Standing { dns, again: wait })
}

/// Records are written only where the status says that they may stand: after a crash, or another change of the name, that
/// is where they are looked for.
async fn write_ahead(ctx: &Ctx, gateway: &Gateway, memory: &mut Memory) -> Result<(), Error> {
    let name = gateway.spec.fqdn();
    if memory.under(gateway).contains(&name) {
        return Ok(());
    }
    let mut under = memory.under(gateway).clone();
    under.insert(name);
    store::note(ctx, gateway, &under).await?;
    memory.under = Some(under);
    Ok(())
}

/// Removes every record of a Gateway that goes.
pub async fn remove(ctx: &Ctx, gateway: &Gateway, memory: &mut Memory) -> Result<Result<(), Dns>, Error> {
    if memory.under(gateway).is_empty() {
        return Ok(Ok(()));
    }
    let done = match zone::open(ctx, gateway).await? {
        Ok(zone) => write::clear(ctx, gateway, Some(&zone), memory).await?,
        // Where the market has no zone, nothing of the present name can be.
        Err(NoZone::Told(Reason::ZoneMissing | Reason::ZoneMismatch, _)) => {
            write::clear(ctx, gateway, None, memory).await?
        }
        Err(why) => Err(why),
    };
    Ok(done.map_err(|why| failure::told(ctx, gateway, (why, Vec::new()), memory).dns))
}
