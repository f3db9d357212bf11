//! Who has a name: the Gateway that has it already, so that nobody takes a name over by changing his own; of several that
//! ask for it the oldest, then the one with the lowest UID. Names of different zones are different names.

use crds::Gateway;
use kube::ResourceExt;

/// The Gateway that has this one's name, as `NAMESPACE/NAME`, if it is another.
#[must_use]
pub fn rival<'a>(own: &Gateway, all: impl IntoIterator<Item = &'a Gateway>) -> Option<String> {
    let rank = |gateway: &Gateway| {
        let made = gateway.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (!has(gateway), made, gateway.uid())
    };
    let same = all
        .into_iter()
        .filter(|other| wants_same(own, other) && other.uid() != own.uid());
    let first = same.min_by_key(|other| rank(other))?;
    (rank(first) < rank(own))
        .then(|| format!("{}/{}", first.namespace().unwrap_or_default(), first.name_any()))
}

/// Whether two Gateways want one name of one zone.
#[must_use]
pub fn wants_same(one: &Gateway, other: &Gateway) -> bool {
    let zone = |gateway: &Gateway| {
        let own = gateway.spec.dns.as_ref();
        own.map(|dns| dns.cloudflare.zone_id.as_str().to_ascii_lowercase())
    };
    one.spec.fqdn() == other.spec.fqdn() && zone(one) == zone(other)
}

/// Whether it was told that the name is its own.
fn has(gateway: &Gateway) -> bool {
    let told = gateway.status.as_ref().and_then(|status| status.fqdn.as_deref());
    told == Some(gateway.spec.fqdn().as_str())
}

#[cfg(test)]
mod tests {
    use crds::GatewayStatus;
    use crds::gateway::{Cloudflare, Dns};

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
        assert!(rival(&two, std::slice::from_ref(&one)).is_some());
        two.spec.dc_id = "fra1".into();
        assert!(rival(&two, &[one]).is_none());
    }

    #[test]
    fn who_has_a_name_keeps_it_when_an_older_gateway_takes_to_it() {
        let (renamed, mut holder) = (gateway("old", 1, 10), gateway("young", 2, 20));
        holder.status = Some(GatewayStatus {
            fqdn: Some(holder.spec.fqdn()),
            ..GatewayStatus::default()
        });
        let all = [renamed.clone(), holder.clone()];
        assert_eq!(rival(&holder, &all), None);
        assert_eq!(rival(&renamed, &all).as_deref(), Some("provider-acme/young"));
        holder.spec.dc_id = "fra1".into();
        assert_eq!(rival(&renamed, &[holder]), None, "what it had before is free");
    }

    #[test]
    fn nobody_keeps_a_name_of_another_zone_from_its_owner() {
        let (mut squatter, honest) = (gateway("squatter", 1, 10), gateway("honest", 2, 20));
        let zone = |id: &str| {
            let cloudflare = Cloudflare {
                zone_id: id.into(),
                ..Cloudflare::default()
            };
            Some(Dns { cloudflare })
        };
        squatter.spec.dns = zone("00ff");
        assert_eq!(rival(&honest, std::slice::from_ref(&squatter)), None);
        let mut other = honest.clone();
        other.spec.dns = zone("00FF");
        assert!(rival(&other, &[squatter]).is_some());
    }
}
