//! Looks for what was written at the zone's own servers, until all of them have shown it. A server that says nothing
//! proves nothing.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use crds::{Gateway, condition::Truth};
use dc_cloudflare::{Kind, Name, View, published, servers_of};
use futures::future::join_all;
use gateway_core::{
    dns::{self, Wanted},
    reason::Reason,
    status::Dns,
};

use super::{Memory, Standing, failure};
use crate::{ctx::Ctx, zones::Zone};

/// How long one server of a zone is waited for.
const LOOKUP: Duration = Duration::from_secs(3);
/// How soon servers that do not yet answer with the records are asked again: at first, and later.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(5);
/// Servers are asked soon for this long.
const FRESH: Duration = Duration::from_mins(1);

/// Records that were written and are believed to be there.
#[derive(Debug)]
pub struct Written {
    /// All of them.
    pub records: Vec<Wanted>,
    /// Those that all servers have shown.
    pub seen: Vec<Wanted>,
    /// When they became what they are.
    pub since: Duration,
    /// When they are listed again.
    pub until: Duration,
}

impl Written {
    fn missing(&self) -> impl Iterator<Item = &Wanted> {
        self.records.iter().filter(|record| !self.seen.contains(record))
    }
}

/// The standing of records that all servers have shown; nobody is asked for it.
pub fn all_seen(gateway: &Gateway, memory: &Memory, now: Duration) -> Option<Standing> {
    let written = memory.written.as_ref()?;
    let all = written.missing().next().is_none();
    all.then(|| Standing {
        dns: stated(gateway, written, None),
        again: written.until.saturating_sub(now).max(SOON),
    })
}

/// Asks the zone's servers for what they have not shown yet.
pub async fn look(ctx: &Ctx, gateway: &Gateway, zone: &Zone, memory: &mut Memory) -> Standing {
    let Some(written) = &mut memory.written else {
        let none = Written {
            records: Vec::new(),
            seen: Vec::new(),
            since: Duration::ZERO,
            until: Duration::ZERO,
        };
        return Standing {
            dns: stated(gateway, &none, Some(&Lack::default())),
            again: SOON,
        };
    };
    let lack = match servers(ctx, zone).await {
        Ok(servers) => ask(written, &servers).await,
        Err(text) => Some(Lack { text, certain: false }),
    };
    let now = ctx.clock.monotonic();
    let again = match lack {
        None => written.until.saturating_sub(now).max(SOON),
        Some(_) if now.saturating_sub(written.since) < FRESH => SOON,
        Some(_) => LATER,
    };
    Standing {
        dns: stated(gateway, written, lack.as_ref()),
        again,
    }
}

/// What keeps a record from being seen everywhere.
#[derive(Default)]
struct Lack {
    text: String,
    /// A server has said that it does not have an address.
    certain: bool,
}

async fn servers(ctx: &Ctx, zone: &Zone) -> Result<Vec<SocketAddr>, String> {
    if !zone.servers.is_empty() {
        return Ok(zone.servers.clone());
    }
    let Some(name) = &zone.name else {
        return Err("the zone's name is not known.".to_owned());
    };
    let found = servers_of(name, ctx.zones.resolver(), LOOKUP).await;
    found.map_err(|error| format!("{}.", kit::chain(&error)))
}

/// Notes what all servers show; the first thing that one of them lacks.
async fn ask(written: &mut Written, servers: &[SocketAddr]) -> Option<Lack> {
    let missing: Vec<Wanted> = written.missing().cloned().collect();
    let names: BTreeSet<(&str, dns::Kind)> = missing
        .iter()
        .map(|record| (record.name.as_str(), record.kind))
        .collect();
    let asked = names.into_iter().map(|(name, kind)| async move {
        let parsed = name.parse::<Name>().ok()?;
        Some((
            (name, kind),
            published(&parsed, &wire(kind), servers, LOOKUP).await,
        ))
    });
    let views: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    let mut lack = None;
    for record in &missing {
        let of = |((name, kind), _): &&((&str, dns::Kind), Vec<View>)| {
            *name == record.name && *kind == record.kind
        };
        let views = views.iter().find(of).map_or(&[][..], |(_, views)| views);
        match views.iter().find(|view| !view.shows(&record.content)) {
            None if !views.is_empty() => written.seen.push(record.clone()),
            view => {
                let certain =
                    record.kind == dns::Kind::A && views.iter().any(|view| view.lacks(&record.content));
                let first = lack.get_or_insert_with(|| Lack {
                    text: view.map_or_else(|| "no server was asked.".into(), |view| told(view, record)),
                    certain,
                });
                first.certain |= certain;
            }
        }
    }
    lack
}

const fn wire(kind: dns::Kind) -> Kind {
    match kind {
        dns::Kind::A => Kind::A,
        dns::Kind::Txt => Kind::Txt,
    }
}

fn told(view: &View, record: &Wanted) -> String {
    match &view.seen {
        Ok(_) => format!("{} does not show {} yet.", view.server, record.name),
        Err(error) => format!("{}.", kit::chain(error)),
    }
}

/// The addresses decide whether machines are found by name; values of a challenge are confirmed one by one.
fn stated(gateway: &Gateway, written: &Written, lack: Option<&Lack>) -> Dns {
    let seen_all = written.missing().all(|record| record.kind != dns::Kind::A) && !written.records.is_empty();
    let blind = lack.is_some_and(|lack| !lack.certain) && failure::was_ready(gateway);
    let mut challenges = dns::challenges(&written.seen);
    let before = failure::confirmed(gateway, &written.records);
    challenges.extend(
        before
            .into_iter()
            .filter(|value| !challenges.contains(value))
            .collect::<Vec<_>>(),
    );
    challenges.sort();
    let (truth, reason, message) = if seen_all {
        let text = format!("All servers of the zone answer with *.{}.", gateway.spec.fqdn());
        (Truth::True, Reason::Published, text)
    } else {
        let text = lack.map_or("", |lack| &lack.text);
        let text =
            format!("The records are written; not all servers of the zone answer with them yet: {text}");
        (blind.into(), Reason::Publishing, text)
    };
    Dns {
        truth,
        reason,
        message,
        challenges,
    }
}
