//! The pure part: what a candidate does about a lease as it has seen it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;

/// What a Lease says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; `None` when released.
    pub holder: Option<String>,
    /// For how long after a renewal it is held.
    pub duration: Duration,
    /// When it was renewed, by the holder's clock: only compared for equality.
    pub renewed: Option<Timestamp>,
    /// How often it changed hands.
    pub transitions: i32,
}

/// A record, and when it was first seen in this form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The lease; `None` if there is none.
    pub record: Option<Record>,
    /// Our monotonic clock at that time.
    pub since: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Take it: free, released, or not renewed for its whole duration.
    Acquire,
    /// It is ours: renew.
    Renew,
    /// Somebody else holds it for at least this long.
    Yield(Duration),
}

/// What `me` does at monotonic time `now`.
pub fn decide(lease: &Observed, me: &str, now: Duration) -> Decision {
    let Some(record) = &lease.record else {
        return Decision::Acquire;
    };
    match record.holder.as_deref() {
        None | Some("") => Decision::Acquire,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) => {
            let end = lease.since.saturating_add(record.duration);
            match end.checked_sub(now) {
                None | Some(Duration::ZERO) => Decision::Acquire,
                Some(left) => Decision::Yield(left),
            }
        }
    }
}

/// Notes a read of the lease; the time moves only if the record changed.
#[must_use]
pub fn observe(last: Option<Observed>, record: Option<Record>, now: Duration) -> Observed {
    match last {
        Some(last) if last.record == record => last,
        _ => Observed { record, since: now },
    }
}

impl Record {
    /// Reads a Lease; a missing duration counts as `default`.
    #[must_use]
    pub fn of(lease: &Lease, default: Duration) -> Self {
        let Some(spec) = &lease.spec else {
            return Self::default();
        };
        let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
        Self {
            holder: spec.holder_identity.clone().filter(|holder| !holder.is_empty()),
            duration: seconds.map_or(default, Duration::from_secs),
            renewed: spec.renew_time.as_ref().map(|time| time.0),
            transitions: spec.lease_transitions.unwrap_or(0),
        }
    }
}
