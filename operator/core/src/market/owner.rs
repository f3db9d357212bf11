//! Which Account owns a namespace: the one whose label it carries; before there is one the oldest claim wins, so that a
//! later Account can take nothing over.
//! Must not look at the namespace itself: whether it is ours by label is the account planner's to say.

use crds::Account;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::condition::{READY, holds};

/// Whether this Account names the namespace, as a tenant's or as a provider's.
#[must_use]
pub fn claims(account: &Account, namespace: &str) -> bool {
    account.spec.namespace.as_str() == namespace || offers_from(account, namespace)
}

/// Whether this Account names the namespace as the one of its Offerings.
#[must_use]
pub fn offers_from(account: &Account, namespace: &str) -> bool {
    account
        .spec
        .provider
        .as_ref()
        .is_some_and(|p| p.namespace.as_str() == namespace)
}

/// The one Account that may have the namespace: of those that name it, the oldest.
pub fn owner<'a>(accounts: impl IntoIterator<Item = &'a Account>, namespace: &str) -> Option<&'a Account> {
    accounts
        .into_iter()
        .filter(|a| claims(a, namespace))
        .min_by_key(|a| age(a))
}

/// The Account whose Contracts live in the namespace, once the market has made it so: only one can carry its label.
pub fn tenant_of<'a>(
    accounts: impl IntoIterator<Item = &'a Account>,
    namespace: &str,
) -> Option<&'a Account> {
    accounts
        .into_iter()
        .filter(|a| a.spec.namespace.as_str() == namespace && settled(a))
        .min_by_key(|a| age(a))
}

/// Whether the market found the Account's namespaces to be its own.
#[must_use]
pub fn settled(account: &Account) -> bool {
    account
        .status
        .as_ref()
        .is_some_and(|s| holds(&s.conditions, READY))
}

/// Order of creation; the UID decides within a second.
fn age(account: &Account) -> (Timestamp, String) {
    (created(account), account.uid().unwrap_or_default())
}

/// When an object was created; objects that nobody stored yet come last.
pub fn created(object: &impl ResourceExt) -> Timestamp {
    object.creation_timestamp().map_or(Timestamp::MAX, |t| t.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::samples::{account, at, offering_account};

    #[test]
    fn the_oldest_claim_has_the_namespace() {
        let (mut old, mut young) = (account("alice"), account("mallory"));
        old.metadata.creation_timestamp = Some(at(1));
        young.metadata.creation_timestamp = Some(at(2));
        young.spec.namespace = old.spec.namespace.clone();
        let all = [young.clone(), old.clone()];
        assert_eq!(owner(&all, "tenant-alice"), Some(&old));
        assert_eq!(owner(&all, "tenant-bob"), None);
        young.metadata.creation_timestamp = Some(at(1));
        young.metadata.uid = Some("0".into());
        let tie = [old, young.clone()];
        assert_eq!(
            owner(&tie, "tenant-alice"),
            Some(&young),
            "the UID decides within a second"
        );
    }

    #[test]
    fn a_namespace_of_offerings_is_nobodys_for_contracts() {
        let all = [offering_account("acme")];
        assert_eq!(tenant_of(&all, "tenant-acme"), Some(&all[0]));
        assert_eq!(tenant_of(&all, "provider-acme"), None);
    }

    #[test]
    fn of_two_accounts_of_one_second_the_one_that_was_set_up_keeps_the_namespace() {
        let (mut first, mut second) = (account("alice"), account("mallory"));
        first.metadata.creation_timestamp = Some(at(1));
        second.metadata.creation_timestamp = Some(at(1));
        second.metadata.uid = Some("0".into());
        second.spec.namespace = first.spec.namespace.clone();
        second.status = None;
        assert_eq!(tenant_of(&[second, first.clone()], "tenant-alice"), Some(&first));
    }

    #[test]
    fn an_account_that_is_not_ready_is_no_tenant() {
        let mut alice = account("alice");
        alice.status = None;
        assert_eq!(tenant_of(&[alice], "tenant-alice"), None);
    }
}
