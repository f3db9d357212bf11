//! Who has a name: of several Gateways with one name the oldest, then the one with the lowest UID.

use crds::Gateway;
use kube::ResourceExt;

/// The Gateway that has this one's name, as `NAMESPACE/NAME`, if it is another.
#[must_use]
pub fn rival<'a>(own: &Gateway, all: impl IntoIterator<Item = &'a Gateway>) -> Option<String> {
    let name = own.spec.fqdn();
    let age = |gateway: &Gateway| {
        let made = gateway.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (made, gateway.uid())
    };
    let same = all
        .into_iter()
        .filter(|other| other.spec.fqdn() == name && other.uid() != own.uid());
    let oldest = same.min_by_key(|other| age(other))?;
    (age(oldest) < age(own))
        .then(|| format!("{}/{}", oldest.namespace().unwrap_or_default(), oldest.name_any()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::gateway;

    #[test]
    fn the_older_has_the_name_and_both_agree() {
        let (older, younger) = (gateway("ams1", 1, 10), gateway("other", 2, 20));
        let all = [older.clone(), younger.clone()];
        assert_eq!(rival(&older, &all), None);
        assert_eq!(rival(&younger, &all).as_deref(), Some("provider-acme/ams1"));
    }

    #[test]
    fn of_one_second_the_lower_uid_has_it() {
        let (one, two) = (gateway("one", 1, 10), gateway("two", 2, 10));
        let all = [two.clone(), one.clone()];
        assert_eq!(
            (rival(&one, &all).is_none(), rival(&two, &all).is_some()),
            (true, true)
        );
    }

    #[test]
    fn names_differ_by_more_than_case() {
        let (one, mut two) = (gateway("one", 1, 10), gateway("two", 2, 20));
        two.spec.domain = "EXAMPLE.org".into();
        assert!(rival(&two, &[one.clone()]).is_some());
        two.spec.dc_id = "fra1".into();
        assert!(rival(&two, &[one]).is_none());
    }
}
