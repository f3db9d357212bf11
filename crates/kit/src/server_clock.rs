//! Guards irreversible acts against a wrong clock: compares ours with the API
//! server's `Date` header and with the monotonic clock. Must not correct time;
//! it only says whether to hold.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, header::DATE};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use crate::clock::Clock;

/// How far clocks may differ, and how long an observation counts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest difference to the API server's clock.
    pub skew: SignedDuration,
    /// Largest step of the wall clock against the monotonic one.
    pub jump: SignedDuration,
    /// After a step, how long acts are held although clocks agree again.
    pub settle: Duration,
    /// An observation older than this proves nothing.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            skew: SignedDuration::from_secs(30),
            jump: SignedDuration::from_secs(30),
            settle: Duration::from_mins(1),
            max_age: Duration::from_mins(10),
        }
    }
}

/// Local time at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub monotonic: Duration,
}

/// What is known of the API server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The server's `Date`.
    pub server: Timestamp,
    /// Our clocks when it arrived.
    pub local: Local,
    /// The last step of the wall clock seen between two observations.
    pub jumped: Option<Jump>,
}

/// A step of the wall clock against the monotonic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// How far it went.
    pub by: SignedDuration,
    /// When it was noticed (monotonic).
    pub at: Duration,
}

/// Whether an irreversible act may go by the local clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Agreement {
    /// The clocks agree: act.
    Agreed,
    /// The local clock is ahead of the server's by this much (negative: behind): hold.
    Skewed {
        /// Local minus server.
        by: SignedDuration,
    },
    /// The wall clock stepped: hold until it has settled.
    Jumped {
        /// How far it stepped.
        by: SignedDuration,
    },
    /// No recent answer of the API server: hold.
    Unseen,
}

impl Agreement {
    /// True if irreversible acts must wait.
    #[must_use]
    pub fn must_hold(self) -> bool {
        self != Self::Agreed
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agreed => f.write_str("the clock agrees with the API server"),
            Self::Skewed { by } => {
                write!(
                    f,
                    "the local clock differs from the API server's by {} s",
                    by.as_secs()
                )
            }
            Self::Jumped { by } => write!(f, "the local clock stepped by {} s", by.as_secs()),
            Self::Unseen => f.write_str("the API server's clock has not been seen recently"),
        }
    }
}

/// The pure rule behind [`ServerClock`].
pub fn decide(now: Local, seen: Option<&Observation>, limits: &Limits) -> Agreement {
    let Some(seen) = seen else {
        return Agreement::Unseen;
    };
    let elapsed = now.monotonic.saturating_sub(seen.local.monotonic);
    let step = step(seen.local, now);
    if step.abs() > limits.jump {
        return Agreement::Jumped { by: step };
    }
    if let Some(jump) = seen.jumped
        && now.monotonic.saturating_sub(jump.at) < limits.settle
    {
        return Agreement::Jumped { by: jump.by };
    }
    if elapsed > limits.max_age {
        return Agreement::Unseen;
    }
    // Small steps since the observation count towards the difference.
    let by = seen.local.wall.duration_since(seen.server).saturating_add(step);
    if by.abs() > limits.skew {
        Agreement::Skewed { by }
    } else {
        Agreement::Agreed
    }
}

/// The next observation, with a step since the last one noted.
#[must_use]
pub fn observe(last: Option<&Observation>, server: Timestamp, local: Local, limits: &Limits) -> Observation {
    let fresh = last
        .map(|seen| Jump {
            by: step(seen.local, local),
            at: local.monotonic,
        })
        .filter(|jump| jump.by.abs() > limits.jump);
    let jumped = fresh.or_else(|| last.and_then(|seen| seen.jumped));
    Observation {
        server,
        local,
        jumped,
    }
}

fn step(from: Local, to: Local) -> SignedDuration {
    let elapsed = to.monotonic.saturating_sub(from.monotonic);
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    to.wall.duration_since(from.wall).saturating_sub(elapsed)
}

/// Reads a `Date` header.
#[must_use]
pub fn parse_date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// Remembers the API server's last `Date`; fed by the client's layer.
pub struct ServerClock {
    clock: Arc<dyn Clock>,
    limits: Limits,
    seen: Mutex<Option<Observation>>,
}

impl ServerClock {
    /// Nothing observed yet: holds until the first answer.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            clock,
            limits,
            seen: Mutex::new(None),
        }
    }

    /// Takes note of an answer's `Date`.
    pub fn saw(&self, headers: &HeaderMap) {
        let Some(server) = parse_date(headers) else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let local = self.local();
        *seen = Some(observe(seen.as_ref(), server, local, &self.limits));
    }

    /// Whether irreversible acts may go by the local clock now.
    pub fn agreement(&self) -> Agreement {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        decide(self.local(), seen.as_ref(), &self.limits)
    }

    fn local(&self) -> Local {
        Local {
            wall: self.clock.now(),
            monotonic: self.clock.monotonic(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    fn guard() -> (Arc<TestClock>, ServerClock) {
        let start = "2026-11-20T12:00:00Z".parse().unwrap();
        let clock = Arc::new(TestClock::at(start));
        let guard = ServerClock::new(clock.clone(), Limits::default());
        (clock, guard)
    }

    fn date(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, http::HeaderValue::from_static(text))])
    }

    #[test]
    fn nothing_seen_holds() {
        let (_, guard) = guard();
        assert_eq!(guard.agreement(), Agreement::Unseen);
        guard.saw(&HeaderMap::new());
        guard.saw(&date("yesterday"));
        assert_eq!(guard.agreement(), Agreement::Unseen);
    }

    #[test]
    fn thirty_seconds_agree_and_one_more_holds() {
        let (_, guard) = guard();
        guard.saw(&date("Fri, 20 Nov 2026 12:00:30 GMT"));
        assert_eq!(guard.agreement(), Agreement::Agreed);
        guard.saw(&date("Fri, 20 Nov 2026 12:00:31 GMT"));
        assert_eq!(
            guard.agreement(),
            Agreement::Skewed {
                by: SignedDuration::from_secs(-31)
            }
        );
    }

    #[test]
    fn a_step_holds_at_once_and_until_it_has_settled() {
        let (clock, guard) = guard();
        guard.saw(&date("Fri, 20 Nov 2026 12:00:00 GMT"));
        clock.jump(SignedDuration::from_hours(1));
        let jumped = Agreement::Jumped {
            by: SignedDuration::from_hours(1),
        };
        assert_eq!(guard.agreement(), jumped);
        // The server stepped with us (same host): still held for a while.
        guard.saw(&date("Fri, 20 Nov 2026 13:00:00 GMT"));
        assert_eq!(guard.agreement(), jumped);
        clock.advance(Duration::from_secs(59));
        assert_eq!(guard.agreement(), jumped);
        clock.advance(Duration::from_secs(1));
        assert_eq!(guard.agreement(), Agreement::Agreed);
    }

    #[test]
    fn a_small_step_counts_towards_the_difference() {
        let (clock, guard) = guard();
        guard.saw(&date("Fri, 20 Nov 2026 11:59:40 GMT"));
        clock.jump(SignedDuration::from_secs(20));
        assert_eq!(
            guard.agreement(),
            Agreement::Skewed {
                by: SignedDuration::from_secs(40)
            }
        );
    }

    #[test]
    fn an_old_observation_proves_nothing() {
        let (clock, guard) = guard();
        guard.saw(&date("Fri, 20 Nov 2026 12:00:00 GMT"));
        clock.advance(Duration::from_mins(10));
        assert_eq!(guard.agreement(), Agreement::Agreed);
        clock.advance(Duration::from_secs(1));
        assert_eq!(guard.agreement(), Agreement::Unseen);
    }
}
