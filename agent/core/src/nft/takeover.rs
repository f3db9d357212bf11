//! How a table that is there becomes the one that should be, changing only what differs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use domain::slot::{Protocol, SlotIndex};

use super::{Elements, Fixed, Meter, Seen, Transaction};
use crate::routes::Routes;
use crate::site::Site;

/// What a look at the table leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takeover {
    /// It is as it should be.
    Nothing,
    /// Some elements differ.
    Change(Transaction),
    /// There is no table, or one with another fixed part: it is made anew in one step; what its meters say is kept.
    Replace(Transaction),
}

/// Where a look at the table leads, `seen` being none if there is no such table.
#[must_use]
pub fn takeover(fixed: &Fixed, want: Elements, seen: Option<&Seen>) -> Takeover {
    let Some(seen) = seen else {
        return Takeover::Replace(Transaction::replace(fixed, want));
    };
    let as_made = seen.marks == [fixed.mark.as_str()] && seen.rules == fixed.rules && !seen.dormant;
    if !as_made {
        return Takeover::Replace(Transaction::replace(fixed, metered(want, &seen.elements)));
    }
    let change = difference(&want, &seen.elements);
    if change.is_empty() {
        Takeover::Nothing
    } else {
        Takeover::Change(change)
    }
}

/// Slots whose ports a table forwards although nobody knows their route: they stay until the hub says what became of
/// them, since nothing says that they ended.
#[must_use]
pub fn unknown_slots(site: &Site, routes: &Routes, seen: &Seen) -> Vec<SlotIndex> {
    let forwarded = |index: &SlotIndex| {
        let (Ok(address), Ok(ports)) = (site.plan().ip(*index), site.plan().ports(*index)) else {
            return false;
        };
        ports.iter().any(|port| {
            let map = match port.protocol {
                Protocol::Tcp => &seen.elements.tcp,
                Protocol::Udp => &seen.elements.udp,
            };
            map.get(&port.public) == Some(&(address, port.private))
        })
    };
    let unknown = site.plan().indices().filter(|index| routes.get(*index).is_none());
    unknown.filter(forwarded).collect()
}

fn metered(mut want: Elements, seen: &Elements) -> Elements {
    let keep = |want: &mut BTreeMap<Ipv4Addr, Meter>, seen: &BTreeMap<Ipv4Addr, Meter>| {
        for (address, meter) in want {
            *meter = seen.get(address).copied().unwrap_or_default();
        }
    };
    keep(&mut want.sent, &seen.sent);
    keep(&mut want.received, &seen.received);
    want
}

fn difference(want: &Elements, seen: &Elements) -> Transaction {
    let ((more_tcp, less_tcp), (more_udp, less_udp)) = (
        differing(&want.tcp, &seen.tcp, PartialEq::eq),
        differing(&want.udp, &seen.udp, PartialEq::eq),
    );
    // What a meter says is no difference.
    let same = |_: &Meter, _: &Meter| true;
    let (more_sent, less_sent) = differing(&want.sent, &seen.sent, same);
    let (more_received, less_received) = differing(&want.received, &seen.received, same);
    Transaction {
        replace: None,
        remove: Elements {
            tcp: less_tcp,
            udp: less_udp,
            sent: less_sent,
            received: less_received,
        },
        add: Elements {
            tcp: more_tcp,
            udp: more_udp,
            sent: more_sent,
            received: more_received,
        },
    }
}

/// What is wanted and not there, and what is there and not wanted.
fn differing<K: Copy + Ord, V: Copy>(
    want: &BTreeMap<K, V>,
    seen: &BTreeMap<K, V>,
    same: fn(&V, &V) -> bool,
) -> (BTreeMap<K, V>, BTreeMap<K, V>) {
    let lacks =
        |of: &BTreeMap<K, V>, key: &K, value: &V| !of.get(key).is_some_and(|other| same(value, other));
    let only = |these: &BTreeMap<K, V>, those: &BTreeMap<K, V>| {
        let lacking = these.iter().filter(|(key, value)| lacks(those, key, value));
        lacking.map(|(key, value)| (*key, *value)).collect()
    };
    (only(want, seen), only(seen, want))
}

#[cfg(test)]
pub(super) mod samples {
    use std::net::Ipv4Addr;

    use super::super::{Ground, Limits, Network};

    pub fn ground() -> Ground {
        Ground {
            public: vec![Ipv4Addr::new(203, 0, 113, 7)],
            network: Network::around(Ipv4Addr::new(10, 64, 0, 0), 16).unwrap(),
            slots: (Ipv4Addr::new(10, 64, 0, 10), Ipv4Addr::new(10, 64, 15, 169)),
            gateway: Ipv4Addr::new(10, 64, 0, 1),
            lan: "lan0".parse().unwrap(),
            own: vec![Network::around(Ipv4Addr::new(203, 0, 113, 7), 24).unwrap()],
            resolvers: vec![Ipv4Addr::new(9, 9, 9, 9)],
            offers_dhcp: false,
            probe: Ipv4Addr::new(198, 18, 255, 254),
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
#[path = "takeover_tests.rs"]
mod tests;
