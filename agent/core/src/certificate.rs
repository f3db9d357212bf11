//! When a certificate is renewed. Owns the decision and the delays after failures; must not read a clock or draw a
//! number.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// First delay after a failure. Authorities allow some five failed validations in an hour.
const FIRST_RETRY: Duration = Duration::from_mins(4);
const LAST_RETRY: Duration = Duration::from_hours(12);

/// What is known of the certificate at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Names that it is for.
    pub names: Vec<String>,
    /// Since when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// Why a certificate is wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is none.
    Absent,
    /// It is for another name.
    OtherName,
    /// A third of its life is left, or less.
    Due,
    /// It is over.
    Expired,
}

/// What to do about the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Get one.
    Renew(Why),
    /// Nothing until then.
    Wait(Timestamp),
}

/// The name that a site's certificate is for.
#[must_use]
pub fn wildcard(fqdn: &str) -> String {
    format!("*.{fqdn}")
}

/// The name of the TXT record that proves the site's name.
#[must_use]
pub fn challenge_name(fqdn: &str) -> String {
    format!("_acme-challenge.{fqdn}")
}

/// Whether to renew. `jitter` moves the moment forward by up to a twentieth of the certificate's life, so that many
/// gateways do not come in step.
#[must_use]
pub fn decide(held: Option<&Held>, fqdn: &str, now: Timestamp, jitter: u16) -> Decision {
    let Some(Held {
        names,
        not_before,
        not_after,
    }) = held
    else {
        return Decision::Renew(Why::Absent);
    };
    if !names.contains(&wildcard(fqdn)) {
        return Decision::Renew(Why::OtherName);
    }
    if now >= *not_after {
        return Decision::Renew(Why::Expired);
    }
    let life = not_after.duration_since(*not_before).max(SignedDuration::ZERO);
    let early = life / 3 + life / 20 * i32::from(jitter) / i32::from(u16::MAX);
    match not_after.checked_sub(early) {
        Ok(at) if now < at => Decision::Wait(at),
        _ => Decision::Renew(Why::Due),
    }
}

/// How long to wait after failure number `failures` (from 1) in a row: between half of a doubling delay and all of it,
/// placed by `jitter`.
#[must_use]
pub fn retry_after(failures: u32, jitter: u16) -> Duration {
    let full = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)));
    let half = full.min(LAST_RETRY) / 2;
    half + half * u32::from(jitter) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FQDN: &str = "ams1.gw.example.org";

    fn day(n: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + n * 86_400).unwrap()
    }

    fn held() -> Held {
        Held {
            names: vec![wildcard(FQDN)],
            not_before: day(0),
            not_after: day(90),
        }
    }

    #[test]
    fn a_third_of_the_life_left_is_when() {
        assert_eq!(decide(Some(&held()), FQDN, day(10), 0), Decision::Wait(day(60)));
        assert_eq!(decide(Some(&held()), FQDN, day(60), 0), Decision::Renew(Why::Due));
        assert_eq!(
            decide(Some(&held()), FQDN, day(90), 0),
            Decision::Renew(Why::Expired)
        );
        assert_eq!(decide(None, FQDN, day(1), 0), Decision::Renew(Why::Absent));
        assert_eq!(
            decide(Some(&held()), "fra1.example.org", day(1), 0),
            Decision::Renew(Why::OtherName)
        );
    }

    #[test]
    fn a_clock_before_its_time_renews_nothing() {
        assert_eq!(decide(Some(&held()), FQDN, day(-30), 0), Decision::Wait(day(60)));
    }

    #[test]
    fn no_more_than_five_failures_in_an_hour() {
        let mut at = Duration::ZERO;
        let within = (1..).take_while(|failures| {
            at += retry_after(*failures, 0);
            at < Duration::from_hours(1)
        });
        assert!(within.count() < 5);
    }

    proptest! {
        #[test]
        fn jitter_only_brings_it_forward_a_little(jitter: u16) {
            let Decision::Wait(at) = decide(Some(&held()), FQDN, day(10), jitter) else {
                return Err(TestCaseError::fail("renewed"));
            };
            prop_assert!(at <= day(60) && at >= day(55), "{at}");
        }

        #[test]
        fn delays_grow_and_are_bounded(failures in 1..10_000_u32, jitter: u16) {
            let delay = retry_after(failures, jitter);
            prop_assert!(delay <= LAST_RETRY && delay >= FIRST_RETRY / 2);
            prop_assert!(retry_after(failures + 1, jitter) >= delay);
        }
    }
}
