//! What is told when records cannot be written, and when it is tried again. A failure is remembered for a while, so that
//! others' events lead to no call; blindness takes nothing back that was seen.

use std::{fmt, time::Duration};

use crds::{
    Gateway,
    condition::{Truth, find},
};
use dc_cloudflare::{Cf, Class, Error as CfError};
use gateway_core::{
    dns::Wanted,
    reason::Reason,
    status::{DNS_READY, Dns},
};

use super::{Memory, Standing};
use crate::ctx::Ctx;

/// How soon a write that may have happened is looked at; twice as late each time.
const SOON: Duration = Duration::from_millis(500);
/// Doublings.
const MOST: u32 = 10;

/// Why there is no zone to write to, or nothing was written.
pub enum NoZone {
    /// Known without Cloudflare's word.
    Told(Reason, String),
    /// Cloudflare refused, or said nothing.
    Cf(Reason, CfError),
}

impl fmt::Display for NoZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(_, text) => f.write_str(text),
            Self::Cf(_, error) => f.write_str(&kit::chain(error)),
        }
    }
}

/// A failure, and what it was about.
#[derive(Debug)]
pub struct Failed {
    until: Duration,
    times: u32,
    wanted: Vec<Wanted>,
    generation: Option<i64>,
    dns: Dns,
}

/// Names a failure of a call; a token that is refused is asked about itself.
pub async fn refused(cf: &Cf, error: CfError) -> NoZone {
    let reason = match error.class() {
        Class::Denied => denied(cf, &error).await,
        Class::Conflict => Reason::ForeignRecord,
        Class::Quota => Reason::ZoneFull,
        Class::RateLimited { .. } => Reason::RateLimited,
        Class::Ambiguous | Class::Unavailable => Reason::CloudflareUnreachable,
        Class::NotFound => Reason::ZoneMissing,
        Class::Untrusted | Class::Invalid | Class::Bug => Reason::CloudflareError,
    };
    NoZone::Cf(reason, error)
}

/// Cloudflare refuses a bad token, a right that a good one lacks and a zone that is not there with few codes.
async fn denied(cf: &Cf, error: &CfError) -> Reason {
    let bad = cf
        .verify()
        .await
        .is_err_and(|error| error.class() == Class::Denied);
    match error.answer() {
        _ if bad => Reason::TokenRejected,
        Some(answer) if answer.has(9109) => Reason::ZoneMissing,
        _ => Reason::DnsDenied,
    }
}

/// What was told, while it is too soon to try again.
pub fn resting(gateway: &Gateway, wanted: &[Wanted], (memory, now): (&Memory, Duration)) -> Option<Standing> {
    let failed = memory.failed.as_ref()?;
    let same = failed.wanted == wanted && failed.generation == gateway.metadata.generation;
    let left = failed.until.saturating_sub(now);
    (same && !left.is_zero()).then(|| Standing {
        dns: failed.dns.clone(),
        again: left,
    })
}

/// Remembers a failure, and says it.
pub fn told(
    ctx: &Ctx,
    gateway: &Gateway,
    (why, wanted): (NoZone, Vec<Wanted>),
    memory: &mut Memory,
) -> Standing {
    let times = memory.failed.as_ref().map_or(0, |failed| failed.times + 1);
    let (reason, message, pause, blind) = match why {
        NoZone::Told(reason, text) => (reason, text, ctx.dns_retry, false),
        NoZone::Cf(reason, error) => {
            let text = format!("{}. {}", kit::chain(&error), advice(reason, error.class()));
            (
                reason,
                text,
                pause(ctx, error.class(), times),
                is_blind(error.class()),
            )
        }
    };
    let keeps = blind && was_ready(gateway);
    let dns = Dns {
        truth: keeps.into(),
        reason,
        message: if keeps {
            format!("The records were seen at all servers of the zone and stay as they are. {message}")
        } else {
            message
        },
        // What servers showed once is not taken back by a failure to write something else.
        challenges: confirmed(gateway, &wanted),
    };
    memory.failed = Some(Failed {
        until: ctx.clock.monotonic().saturating_add(pause),
        times,
        wanted,
        generation: gateway.metadata.generation,
        dns: dns.clone(),
    });
    Standing { dns, again: pause }
}

/// Values of the challenge that were confirmed before and are still wanted.
pub fn confirmed(gateway: &Gateway, wanted: &[Wanted]) -> Vec<String> {
    let status = gateway.status.as_ref();
    let before = status.map_or(&[][..], |status| &status.challenges_published);
    let values = gateway_core::dns::challenges(wanted);
    before
        .iter()
        .filter(|value| values.contains(value))
        .cloned()
        .collect()
}

/// Whether the records of this generation were once seen at all servers.
pub fn was_ready(gateway: &Gateway) -> bool {
    let conditions = gateway.status.as_ref().map(|status| &status.conditions);
    let ready = conditions.and_then(|conditions| find(conditions, DNS_READY));
    ready.is_some_and(|ready| {
        ready.status == Truth::True.as_str() && ready.observed_generation == gateway.metadata.generation
    })
}

/// Says nothing about the records.
const fn is_blind(class: Class) -> bool {
    match class {
        Class::RateLimited { .. } | Class::Ambiguous | Class::Unavailable | Class::Untrusted | Class::Bug => {
            true
        }
        Class::Denied | Class::NotFound | Class::Conflict | Class::Quota | Class::Invalid => false,
    }
}

fn advice(reason: Reason, class: Class) -> &'static str {
    match reason {
        Reason::ZoneMissing => Class::NotFound.advice(),
        _ => class.advice(),
    }
}

fn pause(ctx: &Ctx, class: Class, times: u32) -> Duration {
    match class {
        Class::RateLimited { retry_after } => retry_after.max(SOON),
        // Looking again is the cure.
        Class::Ambiguous => SOON.saturating_mul(1 << times.min(MOST)).min(ctx.dns_retry),
        _ => ctx.dns_retry,
    }
}
