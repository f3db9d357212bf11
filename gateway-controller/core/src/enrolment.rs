//! Which host serves a Gateway, and which Secrets may still enrol one. A token of a Secret that is gone is dead within
//! the API server's ten seconds.

use crds::{Gateway, gateway::Enrolment};
use jiff::{SignedDuration, Timestamp};

/// A Secret whose tokens may enrol a host may be as old as its tokens.
pub const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// The host that serves, if its credentials are those of the present identity: a replaced identity has no host yet.
#[must_use]
pub fn host<'a>(gateway: &'a Gateway, identity: Option<&str>) -> Option<&'a Enrolment> {
    let enrolment = gateway.status.as_ref()?.agent.as_ref()?.enrolment.as_ref()?;
    (Some(enrolment.identity.as_str()) == identity).then_some(enrolment)
}

/// Whether a Secret that may enrol a host has done its work, or is too old to.
#[must_use]
pub fn is_spent(enrolled: bool, made: Option<Timestamp>, now: Timestamp, life: SignedDuration) -> bool {
    enrolled || made.is_none_or(|made| now.duration_since(made) >= life)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{enrolled, uid};

    #[test]
    fn a_host_belongs_to_one_identity() {
        let gateway = enrolled("ams1");
        assert!(host(&gateway, Some(&uid(8))).is_some());
        assert!(
            host(&gateway, Some(&uid(9))).is_none(),
            "the identity was replaced"
        );
        assert!(host(&gateway, None).is_none());
    }

    #[test]
    fn a_secret_is_spent_by_use_or_age() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!is_spent(false, Some(at(0)), at(3599), LIFE));
        assert!(is_spent(false, Some(at(0)), at(3600), LIFE));
        assert!(is_spent(true, Some(at(0)), at(1), LIFE));
    }
}
